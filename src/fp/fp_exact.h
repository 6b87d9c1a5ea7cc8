/* SPDX-License-Identifier: MIT */
/*
 * The integer-only versions of the operations that fp_fast.c may hand to the host's FPU. The fast
 * versions fall back to these; tests call both and compare. Same contracts as in fp.h; MXCSR is
 * never touched.
 */
#pragma once

#include "fp.h"

#define FP_DECLARE_EXACT(N)                                                          \
    uint##N##_t fp_exact_add_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env); \
    uint##N##_t fp_exact_sub_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env); \
    uint##N##_t fp_exact_mul_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env); \
    uint##N##_t fp_exact_div_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env); \
    uint##N##_t fp_exact_sqrt_f##N(uint##N##_t a, struct fp_env *env);               \
    uint##N##_t fp_exact_muladd_f##N(uint##N##_t c, uint##N##_t a, uint##N##_t b,    \
                                     struct fp_env *env);

FP_DECLARE_EXACT(32)
FP_DECLARE_EXACT(64)
