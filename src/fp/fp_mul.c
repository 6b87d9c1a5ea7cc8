/* SPDX-License-Identifier: MIT */
/*
 * FPMul(), FPMulX() and FPMulAdd(). Pure functions. DDI 0406C A2.7.7 (multiplication, multiply
 * accumulate), DDI 0487 FPMulX.
 */
#include "fp_exact.h"
#include "fp_internal.h"

static bool is_inf_times_zero(const struct fp_num *a, const struct fp_num *b)
{
    return (a->class == FPC_INF && b->class == FPC_ZERO) ||
           (a->class == FPC_ZERO && b->class == FPC_INF);
}

struct fp_wide fp_multiply(const struct fp_num *a, const struct fp_num *b)
{
    struct fp_wide p = {.sign = a->sign != b->sign};
    if (a->class == FPC_ZERO || b->class == FPC_ZERO) {
        return p;
    }
    p.exp = a->exp + b->exp;
    p.sig = (fp_u128_t)a->sig * b->sig;
    if ((p.sig >> 127) != 0) {
        p.sig >>= 1; /* exact: no format has more than 53 significant bits */
        p.exp++;
    }
    return p;
}

uint64_t fp_generic_mul(const struct fp_format *f, uint64_t abits, uint64_t bbits,
                        uint64_t inf_times_zero, struct fp_env *env)
{
    struct fp_num n[2] = {fp_unpack(f, abits, env), fp_unpack(f, bbits, env)};
    bool sign = n[0].sign != n[1].sign;
    uint64_t result;

    if (fp_process_nans(f, 2, n, (uint64_t[]){abits, bbits}, env, &result)) {
        return result;
    }
    if (is_inf_times_zero(&n[0], &n[1])) {
        return inf_times_zero != 0 ? fp_sign_bit(f, sign) | inf_times_zero
                                   : fp_raise_invalid(f, env);
    }
    if (n[0].class == FPC_INF || n[1].class == FPC_INF) {
        return fp_infinity(f, sign);
    }
    if (n[0].class == FPC_ZERO || n[1].class == FPC_ZERO) {
        return fp_zero(f, sign);
    }
    struct fp_wide p = fp_multiply(&n[0], &n[1]);
    return fp_round(f, sign, p.exp, fp_narrow_sticky(p.sig << 1), env);
}

static uint64_t generic_muladd(const struct fp_format *f, uint64_t cbits, uint64_t abits,
                               uint64_t bbits, struct fp_env *env)
{
    struct fp_num n[3] = {fp_unpack(f, cbits, env), fp_unpack(f, abits, env),
                          fp_unpack(f, bbits, env)};
    bool invalid_product = is_inf_times_zero(&n[1], &n[2]);
    bool product_sign = n[1].sign != n[2].sign;
    bool product_inf = n[1].class == FPC_INF || n[2].class == FPC_INF;
    bool product_zero = n[1].class == FPC_ZERO || n[2].class == FPC_ZERO;
    uint64_t result;

    if (fp_process_nans(f, 3, n, (uint64_t[]){cbits, abits, bbits}, env, &result)) {
        /* An invalid product wins over a quiet NaN addend. */
        return n[0].class == FPC_QNAN && invalid_product ? fp_raise_invalid(f, env) : result;
    }
    if (invalid_product || (n[0].class == FPC_INF && product_inf && n[0].sign != product_sign)) {
        return fp_raise_invalid(f, env);
    }
    if (n[0].class == FPC_INF || product_inf) {
        return fp_infinity(f, n[0].class == FPC_INF ? n[0].sign : product_sign);
    }
    if (n[0].class == FPC_ZERO && product_zero && n[0].sign == product_sign) {
        return fp_zero(f, product_sign);
    }
    return fp_add_wide(f, fp_widen(&n[0]), fp_multiply(&n[1], &n[2]), 0, env);
}

#define DEFINE_MUL(prefix, N)                                                      \
    uint##N##_t prefix##mul_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env) \
    {                                                                              \
        return (uint##N##_t)fp_generic_mul(&fp_format_f##N, a, b, 0, env);         \
    }                                                                              \
    uint##N##_t prefix##muladd_f##N(uint##N##_t c, uint##N##_t a, uint##N##_t b,   \
                                    struct fp_env *env)                            \
    {                                                                              \
        return (uint##N##_t)generic_muladd(&fp_format_f##N, c, a, b, env);         \
    }                                                                              \
    uint##N##_t fp_mulx_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env)     \
    {                                                                              \
        const struct fp_format *f = &fp_format_f##N;                               \
        return (uint##N##_t)fp_generic_mul(f, a, b, fp_power_of_two(f, 1), env);   \
    }

DEFINE_MUL(fp_, 16)
DEFINE_MUL(fp_exact_, 32)
DEFINE_MUL(fp_exact_, 64)
