/* SPDX-License-Identifier: MIT */
/*
 * Messages to the user and -d logging. Errors: host failures travel as -errno and are reported
 * once by the caller nearest the user with log_error(); a broken invariant of ours is vm_bug().
 * Any thread.
 */
#pragma once

#include "base/types.h"
#include <stdio.h>

void log_error(const char *fmt, ...) PRINTF_LIKE(1, 2);   /* "umbra: ..." on stderr, one line */
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);    /* "umbra: warning: ..." */

extern unsigned log_mask; /* LOG_* of tcg/tcg.h, set once at start by -d */
static inline bool log_on(unsigned mask) { return __builtin_expect((log_mask & mask) != 0, 0); }
/* Names separated by commas ("in_asm,op"); false names the unknown one in *bad. */
bool log_mask_parse(const char *list, unsigned *mask, const char **bad);
const char *log_mask_names(void);
int log_open(const char *path) MUST_CHECK; /* -D; NULL = stderr; -errno */
void log_close(void);
/* Write to the -d log; log_begin/log_end make several writes one piece. */
void log_printf(const char *fmt, ...) PRINTF_LIKE(1, 2);
FILE *log_begin(void);
void log_end(FILE *f);

/* A broken invariant: message, vCPU dump when on a vCPU thread, core dump. */
_Noreturn void vm_bug_at(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);
#define vm_bug(...) vm_bug_at(__FILE__, __LINE__, __VA_ARGS__)
#define VM_CHECK(cond)                         \
    do {                                       \
        if (__builtin_expect(!(cond), 0))      \
            vm_bug("check failed: %s", #cond); \
    } while (0)
#if UMBRA_DEBUG
#define VM_DEBUG_CHECK(cond) VM_CHECK(cond)
#else
#define VM_DEBUG_CHECK(cond) ((void)sizeof(cond))
#endif
/* Called by vm_bug to dump the current vCPU, if any; set by vcpu/. */
extern void (*vm_bug_dump)(FILE *f);
/* Called first where the process ends at once, in signal handlers too: undo raw mode of the
   terminal; set by io/. */
extern void (*fatal_restore_terminal)(void);
