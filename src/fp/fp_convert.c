/* SPDX-License-Identifier: MIT */
/*
 * Conversions between f16, f32 and f64: FPHalfToSingle(), FPSingleToDouble() and the rest, with the
 * IEEE and the alternative half-precision format. FZ never applies to the f16 side. Pure functions.
 * DDI 0406C A2.7.7 (floating-point conversions), DDI 0487 FPConvert.
 */
#include "fp_internal.h"

/* FPConvertNaN(): sign and leading fraction bits are kept, and the result is quiet. */
static uint64_t convert_nan(const struct fp_format *to, const struct fp_format *from, uint64_t bits)
{
    uint64_t frac = (bits & fp_frac_mask(from)) << (63 - from->frac_bits);
    bool sign = (bits >> (from->bits - 1) & 1) != 0;
    return fp_infinity(to, sign) | fp_quiet_bit(to) | frac >> (63 - to->frac_bits);
}

/* The alternative half format has neither NaNs nor infinities. */
static uint64_t convert_special_ahp(const struct fp_format *to, const struct fp_num *n,
                                    struct fp_env *env)
{
    env->flags |= FP_IOC;
    return n->class == FPC_INF ? fp_sign_bit(to, n->sign) | (fp_sign_bit(to, true) - 1)
                               : fp_zero(to, n->sign);
}

static uint64_t generic_convert(const struct fp_format *to, const struct fp_format *from,
                                uint64_t bits, struct fp_env *env)
{
    struct fp_num n = fp_unpack_cv(from, bits, env);

    if (n.class == FPC_ZERO) {
        return fp_zero(to, n.sign);
    }
    if (n.class == FPC_FINITE) {
        return fp_round_cv(to, n.sign, n.exp, n.sig, env);
    }
    if (to->bits == 16 && env->ahp) {
        return convert_special_ahp(to, &n, env);
    }
    if (n.class == FPC_INF) {
        return fp_infinity(to, n.sign);
    }
    if (n.class == FPC_SNAN) {
        env->flags |= FP_IOC;
    }
    return env->dn ? fp_default_nan(to) : convert_nan(to, from, bits);
}

uint64_t fp_f32_to_f64(uint32_t a, struct fp_env *env)
{
    return generic_convert(&fp_format_f64, &fp_format_f32, a, env);
}

uint32_t fp_f64_to_f32(uint64_t a, struct fp_env *env)
{
    return (uint32_t)generic_convert(&fp_format_f32, &fp_format_f64, a, env);
}

uint32_t fp_f16_to_f32(uint16_t a, struct fp_env *env)
{
    return (uint32_t)generic_convert(&fp_format_f32, &fp_format_f16, a, env);
}

uint64_t fp_f16_to_f64(uint16_t a, struct fp_env *env)
{
    return generic_convert(&fp_format_f64, &fp_format_f16, a, env);
}

uint16_t fp_f32_to_f16(uint32_t a, struct fp_env *env)
{
    return (uint16_t)generic_convert(&fp_format_f16, &fp_format_f32, a, env);
}

uint16_t fp_f64_to_f16(uint64_t a, struct fp_env *env)
{
    return (uint16_t)generic_convert(&fp_format_f16, &fp_format_f64, a, env);
}
