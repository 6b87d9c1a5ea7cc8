/* SPDX-License-Identifier: MIT */
/*
 * FPToFixed(), FixedToFP() and FPRoundInt(): integers and fixed-point numbers of up to 64 bits, and
 * rounding to an integral value in the same format. Pure functions.
 * DDI 0406C A2.7.7 (fixed-point conversions), DDI 0487 FPRoundInt.
 */
#include "fp_internal.h"

/* SatQ(): magnitude with sign into width bits; the limit has the width's largest magnitude. */
static uint64_t saturate(bool sign, uint64_t magnitude, bool in_range, unsigned width,
                         bool is_unsigned, bool *saturated)
{
    uint64_t all = UINT64_MAX >> (64 - width);
    uint64_t limit = is_unsigned ? (sign ? 0 : all) : (all >> 1) + sign;

    *saturated = !in_range || magnitude > limit;
    if (*saturated) {
        magnitude = limit;
    }
    return sign ? UINT64_C(0) - magnitude : magnitude;
}

static uint64_t generic_to_int(const struct fp_format *f, uint64_t bits, unsigned width,
                               bool is_unsigned, unsigned fbits, enum fp_rounding rounding,
                               struct fp_env *env)
{
    struct fp_num n = fp_unpack(f, bits, env);
    uint64_t magnitude = 0;
    bool in_range = false;
    bool inexact = false;
    bool saturated;

    if (fp_is_nan(&n)) {
        env->flags |= FP_IOC;
        return 0;
    }
    if (n.class == FPC_ZERO) {
        return 0;
    }
    if (n.class == FPC_FINITE) {
        in_range =
            fp_round_to_integer(n.sign, n.exp + (int)fbits, n.sig, rounding, &magnitude, &inexact);
    }
    uint64_t result = saturate(n.sign, magnitude, in_range, width, is_unsigned, &saturated);
    env->flags |= saturated ? FP_IOC : inexact ? FP_IXC : 0;
    return result;
}

static uint64_t generic_from_int(const struct fp_format *f, uint64_t value, bool is_unsigned,
                                 unsigned fbits, enum fp_rounding rounding, struct fp_env *env)
{
    if (value == 0) {
        return fp_zero(f, false);
    }
    bool sign = !is_unsigned && value >> 63 != 0;
    uint64_t magnitude = sign ? UINT64_C(0) - value : value;
    int shift = __builtin_clzll(magnitude);
    struct fp_env local = *env;

    local.rounding = (uint8_t)rounding;
    uint64_t result = fp_round(f, sign, 63 - shift - (int)fbits, magnitude << shift, &local);
    env->flags = local.flags;
    return result;
}

static uint64_t generic_round_int(const struct fp_format *f, uint64_t bits,
                                  enum fp_rounding rounding, bool exact, struct fp_env *env)
{
    struct fp_num n = fp_unpack(f, bits, env);
    uint64_t whole = 0;
    bool inexact;

    if (fp_is_nan(&n)) {
        return fp_process_nan(f, &n, bits, env);
    }
    if (n.class == FPC_ZERO) {
        return fp_zero(f, n.sign);
    }
    if (n.class == FPC_INF || n.exp >= f->frac_bits) {
        return bits; /* integral already */
    }
    fp_round_to_integer(n.sign, n.exp, n.sig, rounding, &whole, &inexact);
    if (inexact && exact) {
        env->flags |= FP_IXC;
    }
    if (whole == 0) {
        return fp_zero(f, n.sign);
    }
    int shift = __builtin_clzll(whole);
    return fp_round(f, n.sign, 63 - shift, whole << shift, env);
}

#define DEFINE_INTEGER(N)                                                                          \
    uint64_t fp_to_int_f##N(uint##N##_t a, unsigned width, bool is_unsigned, unsigned fbits,       \
                            enum fp_rounding rounding, struct fp_env *env)                         \
    {                                                                                              \
        return generic_to_int(&fp_format_f##N, a, width, is_unsigned, fbits, rounding, env);       \
    }                                                                                              \
    uint##N##_t fp_from_int_f##N(uint64_t value, bool is_unsigned, unsigned fbits,                 \
                                 enum fp_rounding rounding, struct fp_env *env)                    \
    {                                                                                              \
        return (uint##N##_t)generic_from_int(&fp_format_f##N, value, is_unsigned, fbits, rounding, \
                                             env);                                                 \
    }                                                                                              \
    uint##N##_t fp_round_int_f##N(uint##N##_t a, enum fp_rounding rounding, bool exact,            \
                                  struct fp_env *env)                                              \
    {                                                                                              \
        return (uint##N##_t)generic_round_int(&fp_format_f##N, a, rounding, exact, env);           \
    }

DEFINE_INTEGER(16)
DEFINE_INTEGER(32)
DEFINE_INTEGER(64)
