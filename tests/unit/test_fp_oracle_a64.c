/* SPDX-License-Identifier: MIT */
/*
 * The floating-point library against an independent implementation, A64: what A32 does not have
 * (fused steps, f64 estimates, FMULX, FRECPX, FCVTXN, 64-bit integers) or does under the standard
 * FPSCR value only. Results and flags must be equal bit for bit. See lib/fp_oracle.h.
 */
#include <criterion/criterion.h>

#include "fp_oracle.h"
#include "insn/fp_oracle/fp_ops_a64.h"

FP_OPS_A64(FP_DEFINE_EVAL)

static const struct fp_op ops[] = {FP_OPS_A64(FP_LIST_OP)};

Test(fp_oracle, a64, .timeout = 3600)
{
    fp_oracle_check(&(struct fp_oracle){
        .emulator = "qemu-aarch64",
        .compiler = "aarch64-linux-gnu-gcc",
        .flags = "-march=armv8.2-a+fp16",
        .source = UMBRA_SOURCE_DIR "/tests/insn/fp_oracle/fp_oracle_a64.c",
        .ops = ops,
        .op_count = sizeof ops / sizeof ops[0],
    });
}
