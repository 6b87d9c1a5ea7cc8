/* SPDX-License-Identifier: MIT */
/*
 * What the differential instruction test and its oracle program exchange: machine states before and
 * after one instruction. Little-endian, read and written as raw structures by both sides (32- and
 * 64-bit).
 */
#pragma once

#include <stdint.h>

#define INSN_CODE_BASE \
    0x20000000u /* filled with undefined words; the instruction is in the middle */
#define INSN_CODE_SIZE   0x10000u
#define INSN_CODE_AT     (INSN_CODE_BASE + INSN_CODE_SIZE / 2)
#define INSN_DATA_BASE   0x30000000u
#define INSN_DATA_SIZE   0x10000u
#define INSN_DATA_AT     (INSN_DATA_BASE + INSN_DATA_SIZE / 2)

/* Fills the code area: UDF in A32; UDF, then a branch to the next UDF, in T32. */
#define INSN_TRAP        0xe7ffdefeu

#define INSN_MAX_BYTES   240u

#define INSN_USES_MEMORY 1u /* restore and hash the data area */
#define INSN_USES_VFP    2u /* set and report d[] and fpscr */

#define INSN_CPSR_T      (1u << 5)
/* NZCVQ, GE, E and T: what is compared. */
#define INSN_CPSR_MASK   0xf80f0220u

/* Without Len, Stride and trap enables, which a Cortex-A15 does not implement and the oracle
 * stores. */
#define INSN_FPSCR_MASK  0xffc0009fu

struct insn_state {
    uint32_t r[16];
    uint32_t cpsr;
    uint32_t fpscr;
    uint64_t d[32];
};

struct insn_test {
    struct insn_state in;
    uint8_t code[INSN_MAX_BYTES]; /* in memory order */
    uint32_t code_len;
    uint32_t flags;
};

/* How it ended. */
enum insn_outcome { INSN_UNDEF, INSN_FAULT, INSN_OTHER };

struct insn_result {
    struct insn_state out;
    uint32_t outcome;
    uint32_t unused;
    uint64_t memory; /* hash of the data area */
};

/* Initial content of the data area, by word. */
static inline uint32_t insn_data_word(uint32_t index)
{
    return (index + 1) * 2654435761u;
}

static inline uint64_t insn_data_hash(const uint32_t *words, uint32_t n)
{
    uint64_t h = 14695981039346656037u;

    for (uint32_t i = 0; i < n; i++) {
        h = (h ^ words[i]) * 1099511628211u;
    }
    return h;
}

/* The part of the data area that tests reach: words of the middle quarter. */
#define INSN_WINDOW_FIRST (INSN_DATA_SIZE / 4 * 3 / 8)
#define INSN_WINDOW_WORDS (INSN_DATA_SIZE / 4 / 4)
