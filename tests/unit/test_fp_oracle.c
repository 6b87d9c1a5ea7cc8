/* SPDX-License-Identifier: MIT */
/*
 * The floating-point library against an independent implementation: every A32 instruction of
 * fp_ops_a32.h (VFP, Advanced SIMD and half-precision arithmetic) with edge-biased operands, all
 * rounding modes and controls; results and FPSCR must be equal bit for bit. See lib/fp_oracle.h.
 */
#include <criterion/criterion.h>

#include "fp_oracle.h"
#include "insn/fp_oracle/fp_ops_a32.h"

FP_OPS_A32(FP_DEFINE_EVAL)

static const struct fp_op ops[] = {FP_OPS_A32(FP_LIST_OP)};

Test(fp_oracle, a32, .timeout = 3600)
{
    fp_oracle_check(&(struct fp_oracle){
        .emulator = "qemu-arm",
        .compiler = "arm-linux-gnueabihf-gcc",
        .flags = "-marm -march=armv8.2-a+fp16 -mfpu=neon-fp-armv8",
        .source = UMBRA_SOURCE_DIR "/tests/insn/fp_oracle/fp_oracle_a32.c",
        .ops = ops,
        .op_count = sizeof ops / sizeof ops[0],
    });
}
