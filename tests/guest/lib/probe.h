/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Single accesses of every kind to one address, for page-table tests: read, write, execute, from
 * privileged code, from User mode, and by LDRT/STRT.  The trap is in this_cpu()->trap; the value of
 * a read in this_cpu()->result.  An executed word must be BX LR (probe_code) or the like.
 */
#include "guest.h"

enum access { ACC_READ, ACC_WRITE, ACC_EXEC, ACC_LDRT, ACC_STRT, ACC_KINDS };
extern const char *const access_names[ACC_KINDS];
enum trap_kind probe(enum access acc, bool user, uint32_t va, uint32_t value);
/* true when acc is checked with User permissions */
static inline bool access_is_user(enum access acc, bool user)
{
    return user || acc == ACC_LDRT || acc == ACC_STRT;
}
static inline bool access_is_write(enum access acc)
{
    return acc == ACC_WRITE || acc == ACC_STRT;
}
/* A function that returns id, at physical (flat) address p: movw r0, #id; bx lr. */
void code_returning(void *p, uint16_t id);
