/* SPDX-License-Identifier: MIT */
/*
 * The decode tables of the ARM instruction sets as data: for tests, the random instruction
 * generator and the coverage list. Constant data, any thread.
 */
#pragma once

#include "tcg/decode_table.h"

enum arm_isa { ARM_ISA_A32, ARM_ISA_T32, ARM_ISA_T16, ARM_ISA_COUNT };

struct arm_ctx;

struct arm_table {
    const char *name;
    bool (*decode)(struct arm_ctx *s, uint32_t insn);
    int (*lookup)(uint32_t insn); /* index into encoding[], -1 for none */
    const struct decode_encoding *encoding;
    const unsigned *count;
};

/* The tables of one instruction set, in the order in which the decoder asks them. */
const struct arm_table *arm_tables(enum arm_isa isa, unsigned *count);
/* The encoding a word matches (T32: first halfword high), NULL when undefined in all tables. */
const struct decode_encoding *arm_find_encoding(enum arm_isa isa, uint32_t insn);
