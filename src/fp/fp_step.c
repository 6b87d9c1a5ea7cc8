/* SPDX-License-Identifier: MIT */
/*
 * Newton-Raphson steps: 2 - a*b and (3 - a*b) / 2. The AArch32 forms (FPRecipStep(), FPRSqrtStep())
 * round the product, the A64 forms (FPRecipStepFused(), FPRSqrtStepFused()) negate the first
 * operand, NaN or not, and round once. Infinity times zero counts as zero. Pure functions.
 * DDI 0406C A2.7.7 (reciprocal steps), DDI 0487 FPRecipStepFused.
 */
#include "fp_internal.h"

/* (minuend - a*b) * 2^scale */
struct step {
    uint64_t minuend;
    int scale;
};

static struct step recip_step(const struct fp_format *f)
{
    return (struct step){.minuend = fp_power_of_two(f, 1), .scale = 0};
}

static struct step rsqrt_step(const struct fp_format *f)
{
    return (struct step){.minuend = fp_power_of_two(f, 1) | fp_quiet_bit(f), .scale = -1};
}

static bool is_inf_times_zero(const struct fp_num *n)
{
    return (n[0].class == FPC_INF && n[1].class == FPC_ZERO) ||
           (n[0].class == FPC_ZERO && n[1].class == FPC_INF);
}

static uint64_t generic_step(const struct fp_format *f, struct step step, uint64_t abits,
                             uint64_t bbits, struct fp_env *env)
{
    struct fp_num n[2] = {fp_unpack(f, abits, env), fp_unpack(f, bbits, env)};
    uint64_t result;

    if (fp_process_nans(f, 2, n, (uint64_t[]){abits, bbits}, env, &result)) {
        return result;
    }
    uint64_t product =
        is_inf_times_zero(n) ? fp_zero(f, false) : fp_generic_mul(f, abits, bbits, 0, env);
    return fp_generic_add(f, step.minuend, product, true, step.scale, env);
}

static uint64_t generic_step_fused(const struct fp_format *f, struct step step, uint64_t abits,
                                   uint64_t bbits, struct fp_env *env)
{
    abits ^= fp_sign_bit(f, true);
    struct fp_num n[2] = {fp_unpack(f, abits, env), fp_unpack(f, bbits, env)};
    uint64_t result;

    if (fp_process_nans(f, 2, n, (uint64_t[]){abits, bbits}, env, &result)) {
        return result;
    }
    if (is_inf_times_zero(n)) {
        n[0] = n[1] = (struct fp_num){.class = FPC_ZERO};
    }
    if (n[0].class == FPC_INF || n[1].class == FPC_INF) {
        return fp_infinity(f, n[0].sign != n[1].sign);
    }
    struct fp_num minuend = fp_unpack(f, step.minuend, env);
    return fp_add_wide(f, fp_widen(&minuend), fp_multiply(&n[0], &n[1]), step.scale, env);
}

#define DEFINE_STEP(N)                                                                     \
    uint##N##_t fp_recip_step_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env)       \
    {                                                                                      \
        const struct fp_format *f = &fp_format_f##N;                                       \
        return (uint##N##_t)generic_step(f, recip_step(f), a, b, env);                     \
    }                                                                                      \
    uint##N##_t fp_rsqrt_step_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env)       \
    {                                                                                      \
        const struct fp_format *f = &fp_format_f##N;                                       \
        return (uint##N##_t)generic_step(f, rsqrt_step(f), a, b, env);                     \
    }                                                                                      \
    uint##N##_t fp_recip_step_fused_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env) \
    {                                                                                      \
        const struct fp_format *f = &fp_format_f##N;                                       \
        return (uint##N##_t)generic_step_fused(f, recip_step(f), a, b, env);               \
    }                                                                                      \
    uint##N##_t fp_rsqrt_step_fused_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env) \
    {                                                                                      \
        const struct fp_format *f = &fp_format_f##N;                                       \
        return (uint##N##_t)generic_step_fused(f, rsqrt_step(f), a, b, env);               \
    }

DEFINE_STEP(16)
DEFINE_STEP(32)
DEFINE_STEP(64)
