/* SPDX-License-Identifier: MIT */
/*
 * Names of guest code (-symbols): from an ELF file's symbol table, a System.map or a copy of the
 * guest's /proc/kallsyms. Read once before other threads exist, then only looked at.
 */
#pragma once

#include "base/types.h"

/* -errno, with the reason as a sentence's end in *why. Replaces what was there. */
int symbols_open(const char *path, const char **why) MUST_CHECK;
void symbols_close(void);
/* The symbol that holds guest address pc, and pc's offset in it; NULL: none. */
const char *symbols_find(gva_t pc, uint32_t *offset);
/* ":name+0x12" or "", cut to `size` bytes; returns buf. */
const char *symbols_format(gva_t pc, char *buf, size_t size);
