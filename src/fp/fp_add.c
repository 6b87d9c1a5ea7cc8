/* SPDX-License-Identifier: MIT */
/*
 * FPAdd() and FPSub(), and the wide addition they share with the fused multiply-add and the step
 * functions. Pure functions. DDI 0406C A2.7.7 (addition and subtraction).
 */
#include "fp_exact.h"
#include "fp_internal.h"

struct fp_wide fp_widen(const struct fp_num *n)
{
    return (struct fp_wide){
        .sign = n->sign, .exp = n->exp, .sig = n->class == FPC_ZERO ? 0 : (fp_u128_t)n->sig << 63};
}

/* Magnitude of the sum once both have a's exponent; the larger magnitude decides the sign. */
static struct fp_wide add_aligned(struct fp_wide a, struct fp_wide b)
{
    if (a.sign == b.sign) {
        a.sig += b.sig;
    } else if (a.sig >= b.sig) {
        a.sig -= b.sig;
    } else {
        a.sig = b.sig - a.sig;
        a.sign = b.sign;
    }
    return a;
}

static unsigned leading_zeros128(fp_u128_t v)
{
    uint64_t high = (uint64_t)(v >> 64);
    return high != 0 ? (unsigned)__builtin_clzll(high)
                     : 64u + (unsigned)__builtin_clzll((uint64_t)v);
}

uint64_t fp_add_wide(const struct fp_format *f, struct fp_wide a, struct fp_wide b, int scale,
                     struct fp_env *env)
{
    if (a.sig == 0 || (b.sig != 0 && b.exp > a.exp)) {
        struct fp_wide t = a;
        a = b;
        b = t;
    }
    /*
     * The sticky bit is harmless below a subtraction: bits are lost only if the exponents differ by
     * two or more, and then at most one leading bit cancels.
     */
    if (b.sig != 0) {
        b.sig = fp_shift_right_sticky128(b.sig, (unsigned)(a.exp - b.exp));
        a = add_aligned(a, b);
    }
    if (a.sig == 0) {
        return fp_zero(f, env->rounding == FP_RM);
    }
    unsigned shift = leading_zeros128(a.sig);
    return fp_round(f, a.sign, a.exp + 1 - (int)shift + scale, fp_narrow_sticky(a.sig << shift),
                    env);
}

uint64_t fp_generic_add(const struct fp_format *f, uint64_t abits, uint64_t bbits, bool subtract,
                        int scale, struct fp_env *env)
{
    struct fp_num n[2] = {fp_unpack(f, abits, env), fp_unpack(f, bbits, env)};
    uint64_t result;

    if (fp_process_nans(f, 2, n, (uint64_t[]){abits, bbits}, env, &result)) {
        return result;
    }
    n[1].sign ^= subtract;
    if (n[0].class == FPC_INF && n[1].class == FPC_INF && n[0].sign != n[1].sign) {
        return fp_raise_invalid(f, env);
    }
    if (n[0].class == FPC_INF || n[1].class == FPC_INF) {
        return fp_infinity(f, n[n[0].class == FPC_INF ? 0 : 1].sign);
    }
    if (n[0].class == FPC_ZERO && n[1].class == FPC_ZERO && n[0].sign == n[1].sign) {
        return fp_zero(f, n[0].sign);
    }
    return fp_add_wide(f, fp_widen(&n[0]), fp_widen(&n[1]), scale, env);
}

#define DEFINE_ADD(prefix, N)                                                      \
    uint##N##_t prefix##add_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env) \
    {                                                                              \
        return (uint##N##_t)fp_generic_add(&fp_format_f##N, a, b, false, 0, env);  \
    }                                                                              \
    uint##N##_t prefix##sub_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env) \
    {                                                                              \
        return (uint##N##_t)fp_generic_add(&fp_format_f##N, a, b, true, 0, env);   \
    }

DEFINE_ADD(fp_, 16)
DEFINE_ADD(fp_exact_, 32)
DEFINE_ADD(fp_exact_, 64)
