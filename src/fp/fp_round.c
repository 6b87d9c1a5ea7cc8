/* SPDX-License-Identifier: MIT */
/*
 * FPRound(): from an exact intermediate value to the bits of a format, with underflow, overflow and
 * inexact flags; and rounding to an integer, shared by VCVT and VRINT. Tininess is detected before
 * rounding, as ARM wants; a flushed result raises UFC and not IXC. Pure functions.
 * DDI 0406C A2.7.9, DDI 0487 FPRoundBase.
 */
#include "fp_internal.h"

/* Whether to go up from the truncated magnitude `lsb...`, given the bits below as rest / 2*half. */
static bool rounds_up(enum fp_rounding rounding, bool sign, bool lsb, uint64_t rest, uint64_t half)
{
    switch (rounding) {
    case FP_RN:
        return rest > half || (rest == half && lsb);
    case FP_RA:
        return rest >= half;
    case FP_RP:
        return rest != 0 && !sign;
    case FP_RM:
        return rest != 0 && sign;
    case FP_RO:
        return rest != 0 && !lsb;
    case FP_RZ:
        break;
    }
    return false;
}

/* Whether an overflow gives infinity rather than the largest finite number. */
static bool overflows_to_infinity(enum fp_rounding rounding, bool sign)
{
    return rounding == FP_RN || rounding == FP_RA || (rounding == FP_RP && !sign) ||
           (rounding == FP_RM && sign);
}

static uint64_t round_overflow(const struct fp_format *f, bool sign, struct fp_env *env)
{
    env->flags |= FP_OFC | FP_IXC;
    return overflows_to_infinity(env->rounding, sign) ? fp_infinity(f, sign)
                                                      : fp_max_normal(f, sign);
}

/* The alternative half format has no infinity: overflow saturates and is invalid, not inexact. */
static uint64_t round_overflow_ahp(const struct fp_format *f, bool sign, struct fp_env *env)
{
    env->flags |= FP_IOC;
    return fp_sign_bit(f, sign) | (fp_sign_bit(f, true) - 1);
}

static uint64_t round_pack(const struct fp_format *f, bool sign, int exp, uint64_t sig, bool flush,
                           bool ahp, struct fp_env *env)
{
    int biased = exp + f->bias;
    unsigned drop = 63u - f->frac_bits;

    if (biased <= 0) {
        if (flush) {
            env->flags |= FP_UFC;
            return fp_zero(f, sign);
        }
        /* A denormal: align to the smallest exponent. */
        sig = fp_shift_right_sticky(sig, (unsigned)(1 - biased));
        biased = 0;
    }
    if (biased > (int)fp_exp_max(f)) {
        return ahp ? round_overflow_ahp(f, sign, env) : round_overflow(f, sign, env);
    }
    uint64_t rest = sig & ((UINT64_C(1) << drop) - 1);
    uint64_t mant = sig >> drop;
    mant += rounds_up(env->rounding, sign, (mant & 1) != 0, rest, UINT64_C(1) << (drop - 1));

    /* The hidden bit of a normal, or a carry out of a denormal, adds one to the exponent field. */
    uint64_t magnitude = ((uint64_t)(biased > 0 ? biased - 1 : 0) << f->frac_bits) + mant;
    if (ahp && magnitude >= fp_sign_bit(f, true)) {
        return round_overflow_ahp(f, sign, env);
    }
    if (!ahp && magnitude >= fp_infinity(f, false)) {
        return round_overflow(f, sign, env);
    }
    if (rest != 0) {
        env->flags |= biased == 0 ? FP_UFC | FP_IXC : FP_IXC;
    }
    return fp_sign_bit(f, sign) | magnitude;
}

uint64_t fp_round(const struct fp_format *f, bool sign, int exp, uint64_t sig, struct fp_env *env)
{
    return round_pack(f, sign, exp, sig, fp_flushes(f, env), false, env);
}

uint64_t fp_round_cv(const struct fp_format *f, bool sign, int exp, uint64_t sig,
                     struct fp_env *env)
{
    bool half = f->bits == 16;
    return round_pack(f, sign, exp, sig, !half && env->fz, half && env->ahp, env);
}

bool fp_round_to_integer(bool sign, int exp, uint64_t sig, enum fp_rounding rounding, uint64_t *out,
                         bool *inexact)
{
    *inexact = false;
    if (exp > 63) {
        return false;
    }
    if (exp == 63) {
        *out = sig;
        return true;
    }
    /* Below one: align to the ones place, so that there is always a bit 63 to keep. */
    if (exp < 0) {
        sig = fp_shift_right_sticky(sig, (unsigned)-exp);
        exp = 0;
    }
    unsigned drop = (unsigned)(63 - exp);
    uint64_t rest = sig & ((UINT64_C(1) << drop) - 1);
    uint64_t whole = sig >> drop;
    *inexact = rest != 0;
    *out = whole + rounds_up(rounding, sign, (whole & 1) != 0, rest, UINT64_C(1) << (drop - 1));
    return true;
}
