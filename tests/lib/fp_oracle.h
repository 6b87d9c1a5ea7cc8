/* SPDX-License-Identifier: MIT */
/*
 * Differential test of the floating-point library: an op table says what each guest instruction
 * must compute, an oracle program (tests/insn/fp_oracle) executes it under user-mode emulation.
 * Known deviations of the emulator (qemu-user 7.2) from the manual: none in these tables.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fp/fp.h"
#include "insn/fp_oracle/fp_gen.h"

/* Width of a comparison's result: the NZCV flags, which are compared as FPSCR[31:28]. */
#define FP_NZCV_BITS 4

enum fp_env_kind {
    FP_ENV_VFP,  /* as FPSCR says */
    FP_ENV_SIMD, /* the standard FPSCR value */
};

struct fp_op {
    const char *name;
    enum fp_env_kind env;
    enum fp_operand operand;
    unsigned bits; /* compared bits of the result: the lowest lane of a vector */
    uint64_t (*eval)(uint64_t a, uint64_t b, uint64_t c, struct fp_env *env);
};

struct fp_oracle {
    const char *emulator;
    const char *compiler;
    const char *flags; /* of the compiler, separated by blanks */
    const char *source;
    const struct fp_op *ops; /* in the order of the oracle program's table */
    size_t op_count;
};

/* Defines what the library computes for a row of a table; fp.h's prototypes narrow the operands. */
#define FP_DEFINE_EVAL(name, env_, operand, bits, code, expression)                     \
    static uint64_t eval_##name(uint64_t a, uint64_t b, uint64_t c, struct fp_env *env) \
    {                                                                                   \
        (void)a, (void)b, (void)c, (void)env;                                           \
        return expression;                                                              \
    }

/* The row's element in an array of struct fp_op. */
#define FP_LIST_OP(name, env, operand, bits, code, expression) \
    {#name, FP_ENV_##env, FP_OPERAND_##operand, bits, eval_##name},

/*
 * Inside a Criterion test: skips it if emulator or compiler are missing, else builds the oracle,
 * runs UMBRA_FP_COUNT (default 2000) operands per op seeded by UMBRA_FP_SEED, and fails the test
 * for each op with a difference, after printing a few of them.
 */
void fp_oracle_check(const struct fp_oracle *oracle);
