/* SPDX-License-Identifier: MIT */
/*
 * Differential test of instructions: for each encoding of the decode tables UMBRA_INSN_COUNT random
 * tests (default 40; nightly 200), seeded by UMBRA_INSN_SEED, executed by a subject and by the
 * oracle program (tests/diff/oracle) under user-mode emulation; registers, flags, memory and how it
 * ended must be equal. UMBRA_INSN_ONLY=NAME restricts it to one encoding. Not tested: see
 * insn_excluded().
 */
#pragma once

#include <stdbool.h>

#include "insn_record.h"

struct insn_subject {
    /* Run one test to its end. */
    void (*run)(const struct insn_test *t, struct insn_result *out);
    const char *cpu; /* which CPU the oracle is */
    bool vfp;        /* it can execute VFP and Advanced SIMD */
    bool programs;   /* only programs of several blocks, 50 * UMBRA_INSN_COUNT */
};

/* Inside a Criterion test: fails it for differences; skips it without the emulator or the compiler.
 */
void insn_compare(const struct insn_subject *subject);
