/* SPDX-License-Identifier: MIT */
/*
 * Formats and FPUnpack(): from bits to class, sign, exponent and normalised significand, flushing
 * denormal inputs. A flushed f32 or f64 raises IDC, a flushed f16 does not. Pure functions.
 * DDI 0406C A2.7.8 (unpacking), DDI 0487 FPUnpackBase.
 */
#include "fp_internal.h"

const struct fp_format fp_format_f16 = {.bits = 16, .exp_bits = 5, .frac_bits = 10, .bias = 15};
const struct fp_format fp_format_f32 = {.bits = 32, .exp_bits = 8, .frac_bits = 23, .bias = 127};
const struct fp_format fp_format_f64 = {.bits = 64, .exp_bits = 11, .frac_bits = 52, .bias = 1023};

static void unpack_denormal(const struct fp_format *f, uint64_t frac, bool flush, struct fp_num *n,
                            struct fp_env *env)
{
    if (frac == 0) {
        return;
    }
    if (flush) {
        if (f->bits != 16) {
            env->flags |= FP_IDC;
        }
        return;
    }
    int shift = __builtin_clzll(frac);
    n->class = FPC_FINITE;
    n->sig = frac << shift;
    n->exp = 1 - f->bias + (63 - f->frac_bits) - shift;
}

static struct fp_num unpack(const struct fp_format *f, uint64_t bits, bool flush, bool no_specials,
                            struct fp_env *env)
{
    uint64_t frac = bits & fp_frac_mask(f);
    uint64_t biased = bits >> f->frac_bits & fp_exp_max(f);
    struct fp_num n = {.class = FPC_ZERO, .sign = (bits >> (f->bits - 1) & 1) != 0};

    if (biased == 0) {
        unpack_denormal(f, frac, flush, &n, env);
    } else if (biased == fp_exp_max(f) && !no_specials) {
        n.class = frac == 0 ? FPC_INF : (frac & fp_quiet_bit(f)) != 0 ? FPC_QNAN : FPC_SNAN;
    } else {
        n.class = FPC_FINITE;
        n.sig = UINT64_C(1) << 63 | frac << (63 - f->frac_bits);
        n.exp = (int)biased - f->bias;
    }
    return n;
}

struct fp_num fp_unpack(const struct fp_format *f, uint64_t bits, struct fp_env *env)
{
    return unpack(f, bits, fp_flushes(f, env), false, env);
}

struct fp_num fp_unpack_cv(const struct fp_format *f, uint64_t bits, struct fp_env *env)
{
    bool half = f->bits == 16;
    return unpack(f, bits, !half && env->fz, half && env->ahp, env);
}
