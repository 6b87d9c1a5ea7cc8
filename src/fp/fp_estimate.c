/* SPDX-License-Identifier: MIT */
/*
 * Reciprocal and reciprocal square root estimates with ARM's exact 8-bit results, for floating
 * point (FPRecipEstimate(), FPRSqrtEstimate()), for unsigned fixed point, and A64's FPRecpX().
 * With FZ set, as Advanced SIMD has it, the f32 forms are those of ARMv7. Pure functions.
 * DDI 0406C A2.7.7 (reciprocal estimates), DDI 0487 FPRecipEstimate.
 */
#include "fp_internal.h"

/* a in [256, 512) stands for [0.5, 1); the result, in the same range, stands for [1, 2). */
static uint32_t recip_estimate(uint32_t a)
{
    uint32_t middle = 2 * a + 1; /* midpoint of the interval of inputs, in 1/1024 */
    return ((1u << 19) / middle + 1) / 2;
}

/* a in [128, 512) stands for [0.25, 1); the result in [256, 512) stands for [1, 2). */
static uint32_t rsqrt_estimate(uint32_t a)
{
    uint32_t middle = a < 256 ? 2 * a + 1 : 2 * (a | 1u);
    uint32_t root = 512;

    /* The largest root with middle * root^2 < 2^28; it stays below 2^10, the product below 2^31. */
    for (uint32_t bit = 256; bit != 0; bit >>= 1) {
        uint32_t trial = root + bit;
        if (middle * trial * trial < 1u << 28) {
            root = trial;
        }
    }
    return (root + 1) / 2;
}

uint32_t fp_recip_estimate_u32(uint32_t a)
{
    return (a & 0x80000000u) == 0 ? UINT32_MAX : recip_estimate(a >> 23) << 23;
}

uint32_t fp_rsqrt_estimate_u32(uint32_t a)
{
    return (a & 0xc0000000u) == 0 ? UINT32_MAX : rsqrt_estimate(a >> 23) << 23;
}

static uint64_t recip_overflow(const struct fp_format *f, bool sign, const struct fp_env *env)
{
    bool to_infinity = env->rounding == FP_RN || (env->rounding == FP_RP && !sign) ||
                       (env->rounding == FP_RM && sign);
    return to_infinity ? fp_infinity(f, sign) : fp_max_normal(f, sign);
}

static uint64_t recip_finite(const struct fp_format *f, const struct fp_num *n, struct fp_env *env)
{
    /* n is 1.x * 2^exp; its reciprocal is y * 2^(-exp - 1) with y in (1, 2]. */
    int biased = f->bias - n->exp - 1;
    if (biased > (int)fp_exp_max(f) - 1) {
        env->flags |= FP_OFC | FP_IXC;
        return recip_overflow(f, n->sign, env);
    }
    if (biased <= 0 && fp_flushes(f, env)) {
        env->flags |= FP_UFC;
        return fp_zero(f, n->sign);
    }
    uint64_t mant = (uint64_t)recip_estimate((uint32_t)(n->sig >> 55)) << (f->frac_bits - 8);
    /* Denormal estimates are truncated and raise nothing. */
    uint64_t magnitude =
        biased > 0 ? ((uint64_t)(biased - 1) << f->frac_bits) + mant : mant >> (1 - biased);
    return fp_sign_bit(f, n->sign) | magnitude;
}

static uint64_t generic_recip_estimate(const struct fp_format *f, uint64_t bits, struct fp_env *env)
{
    struct fp_num n = fp_unpack(f, bits, env);

    switch (n.class) {
    case FPC_QNAN:
    case FPC_SNAN:
        return fp_process_nan(f, &n, bits, env);
    case FPC_INF:
        return fp_zero(f, n.sign);
    case FPC_ZERO:
        env->flags |= FP_DZC;
        return fp_infinity(f, n.sign);
    case FPC_FINITE:
        break;
    }
    return recip_finite(f, &n, env);
}

static uint64_t rsqrt_finite(const struct fp_format *f, const struct fp_num *n)
{
    /* An odd exponent takes the radicand from [0.5, 1), an even one from [0.25, 0.5). */
    bool odd = (n->exp & 1) != 0;
    uint32_t estimate = rsqrt_estimate((uint32_t)(n->sig >> (odd ? 55 : 56)));
    int exp = -((n->exp + (odd ? 1 : 2)) / 2);
    return ((uint64_t)(exp + f->bias - 1) << f->frac_bits) +
           ((uint64_t)estimate << (f->frac_bits - 8));
}

static uint64_t generic_rsqrt_estimate(const struct fp_format *f, uint64_t bits, struct fp_env *env)
{
    struct fp_num n = fp_unpack(f, bits, env);

    if (fp_is_nan(&n)) {
        return fp_process_nan(f, &n, bits, env);
    }
    if (n.class == FPC_ZERO) {
        env->flags |= FP_DZC;
        return fp_infinity(f, n.sign);
    }
    if (n.sign) {
        return fp_raise_invalid(f, env);
    }
    return n.class == FPC_INF ? fp_zero(f, false) : rsqrt_finite(f, &n);
}

static uint64_t generic_recpx(const struct fp_format *f, uint64_t bits, struct fp_env *env)
{
    struct fp_num n = fp_unpack(f, bits, env);

    if (fp_is_nan(&n)) {
        return fp_process_nan(f, &n, bits, env);
    }
    uint64_t biased = bits >> f->frac_bits & fp_exp_max(f);
    uint64_t inverse = biased == 0 ? fp_exp_max(f) - 1 : ~biased & fp_exp_max(f);
    return fp_sign_bit(f, n.sign) | inverse << f->frac_bits;
}

#define DEFINE_ESTIMATE(N)                                                   \
    uint##N##_t fp_recip_estimate_f##N(uint##N##_t a, struct fp_env *env)    \
    {                                                                        \
        return (uint##N##_t)generic_recip_estimate(&fp_format_f##N, a, env); \
    }                                                                        \
    uint##N##_t fp_rsqrt_estimate_f##N(uint##N##_t a, struct fp_env *env)    \
    {                                                                        \
        return (uint##N##_t)generic_rsqrt_estimate(&fp_format_f##N, a, env); \
    }                                                                        \
    uint##N##_t fp_recpx_f##N(uint##N##_t a, struct fp_env *env)             \
    {                                                                        \
        return (uint##N##_t)generic_recpx(&fp_format_f##N, a, env);          \
    }

DEFINE_ESTIMATE(16)
DEFINE_ESTIMATE(32)
DEFINE_ESTIMATE(64)
