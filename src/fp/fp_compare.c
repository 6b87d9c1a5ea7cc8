/* SPDX-License-Identifier: MIT */
/*
 * FPCompare() and FPCompareEQ(), GE(), GT(). Pure functions. DDI 0406C A2.7.7 (comparison).
 */
#include "fp_internal.h"

/* NZCV of a comparison. */
enum {
    NZCV_LESS = 8,
    NZCV_EQUAL = 6,
    NZCV_GREATER = 2,
    NZCV_UNORDERED = 3,
};

/*
 * With zeros (and flushed denormals) made equal, magnitudes order like their bit patterns, so a
 * sign and magnitude comparison of those is one of the values.
 */
static uint32_t compare_ordered(const struct fp_format *f, uint64_t abits, uint64_t bbits,
                                const struct fp_num *n)
{
    uint64_t mask = fp_sign_bit(f, true) - 1;
    uint64_t a = n[0].class == FPC_ZERO ? 0 : abits & mask;
    uint64_t b = n[1].class == FPC_ZERO ? 0 : bbits & mask;
    int64_t va = n[0].sign ? -(int64_t)a : (int64_t)a;
    int64_t vb = n[1].sign ? -(int64_t)b : (int64_t)b;
    return va == vb ? NZCV_EQUAL : va < vb ? NZCV_LESS : NZCV_GREATER;
}

static uint32_t generic_compare(const struct fp_format *f, uint64_t abits, uint64_t bbits,
                                bool signalling, struct fp_env *env)
{
    struct fp_num n[2] = {fp_unpack(f, abits, env), fp_unpack(f, bbits, env)};

    if (fp_is_nan(&n[0]) || fp_is_nan(&n[1])) {
        if (signalling || n[0].class == FPC_SNAN || n[1].class == FPC_SNAN) {
            env->flags |= FP_IOC;
        }
        return NZCV_UNORDERED;
    }
    return compare_ordered(f, abits, bbits, n);
}

#define DEFINE_COMPARE(N)                                                                       \
    uint32_t fp_compare_f##N(uint##N##_t a, uint##N##_t b, bool signalling, struct fp_env *env) \
    {                                                                                           \
        return generic_compare(&fp_format_f##N, a, b, signalling, env);                         \
    }                                                                                           \
    bool fp_compare_eq_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env)                   \
    {                                                                                           \
        return generic_compare(&fp_format_f##N, a, b, false, env) == NZCV_EQUAL;                \
    }                                                                                           \
    bool fp_compare_ge_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env)                   \
    {                                                                                           \
        uint32_t nzcv = generic_compare(&fp_format_f##N, a, b, true, env);                      \
        return nzcv == NZCV_EQUAL || nzcv == NZCV_GREATER;                                      \
    }                                                                                           \
    bool fp_compare_gt_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env)                   \
    {                                                                                           \
        return generic_compare(&fp_format_f##N, a, b, true, env) == NZCV_GREATER;               \
    }

DEFINE_COMPARE(16)
DEFINE_COMPARE(32)
DEFINE_COMPARE(64)
