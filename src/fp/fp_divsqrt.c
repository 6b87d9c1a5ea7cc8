/* SPDX-License-Identifier: MIT */
/*
 * FPDiv() and FPSqrt(): long division and the digit-by-digit square root on 128-bit integers, with
 * the remainder as sticky bit. Pure functions. DDI 0406C A2.7.7 (division, square root).
 */
#include "fp_exact.h"
#include "fp_internal.h"

static uint64_t div_finite(const struct fp_format *f, const struct fp_num *a,
                           const struct fp_num *b, struct fp_env *env)
{
    /* Scale so that the quotient has exactly 64 bits. */
    bool below = a->sig < b->sig;
    fp_u128_t dividend = (fp_u128_t)a->sig << (below ? 64 : 63);
    uint64_t quotient = (uint64_t)(dividend / b->sig);
    quotient |= dividend % b->sig != 0;
    return fp_round(f, a->sign != b->sign, a->exp - b->exp - below, quotient, env);
}

static uint64_t generic_div(const struct fp_format *f, uint64_t abits, uint64_t bbits,
                            struct fp_env *env)
{
    struct fp_num n[2] = {fp_unpack(f, abits, env), fp_unpack(f, bbits, env)};
    bool sign = n[0].sign != n[1].sign;
    uint64_t result;

    if (fp_process_nans(f, 2, n, (uint64_t[]){abits, bbits}, env, &result)) {
        return result;
    }
    if (n[0].class == n[1].class && n[0].class != FPC_FINITE) {
        return fp_raise_invalid(f, env); /* 0 / 0 or infinity / infinity */
    }
    if (n[0].class == FPC_INF) {
        return fp_infinity(f, sign);
    }
    if (n[1].class == FPC_ZERO) {
        env->flags |= FP_DZC;
        return fp_infinity(f, sign);
    }
    if (n[0].class == FPC_ZERO || n[1].class == FPC_INF) {
        return fp_zero(f, sign);
    }
    return div_finite(f, &n[0], &n[1], env);
}

/* Floor of the square root of v >= 2^126, with the sticky bit: one result bit per round. */
static uint64_t square_root_sticky(fp_u128_t v)
{
    fp_u128_t rest = v;
    fp_u128_t root = 0;
    for (fp_u128_t bit = (fp_u128_t)1 << 126; bit != 0; bit >>= 2) {
        fp_u128_t trial = root + bit;
        root >>= 1;
        if (rest >= trial) {
            rest -= trial;
            root += bit;
        }
    }
    return (uint64_t)root | (rest != 0);
}

static uint64_t generic_sqrt(const struct fp_format *f, uint64_t bits, struct fp_env *env)
{
    struct fp_num n = fp_unpack(f, bits, env);

    if (fp_is_nan(&n)) {
        return fp_process_nan(f, &n, bits, env);
    }
    if (n.class == FPC_ZERO) {
        return fp_zero(f, n.sign);
    }
    if (n.sign) {
        return fp_raise_invalid(f, env);
    }
    if (n.class == FPC_INF) {
        return fp_infinity(f, false);
    }
    /* With an even exponent the radicand is in [1, 4) and its root has 64 bits. */
    int odd = n.exp & 1;
    uint64_t root = square_root_sticky((fp_u128_t)n.sig << (63 + odd));
    return fp_round(f, false, (n.exp - odd) / 2, root, env);
}

#define DEFINE_DIVSQRT(prefix, N)                                                  \
    uint##N##_t prefix##div_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env) \
    {                                                                              \
        return (uint##N##_t)generic_div(&fp_format_f##N, a, b, env);               \
    }                                                                              \
    uint##N##_t prefix##sqrt_f##N(uint##N##_t a, struct fp_env *env)               \
    {                                                                              \
        return (uint##N##_t)generic_sqrt(&fp_format_f##N, a, env);                 \
    }

DEFINE_DIVSQRT(fp_, 16)
DEFINE_DIVSQRT(fp_exact_, 32)
DEFINE_DIVSQRT(fp_exact_, 64)
