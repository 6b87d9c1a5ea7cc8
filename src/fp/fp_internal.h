/* SPDX-License-Identifier: MIT */
/*
 * Inside of the floating-point library: formats, the unpacked number and the functions generic over
 * the format. Bits of any format travel in a uint64_t.
 *
 * The unpacked number stands for FPUnpack()'s (type, sign, value): a finite nonzero one is
 * sig * 2^(exp - 63) with bit 63 of sig set. Intermediate results carry everything below bit 0 as
 * one sticky bit ORed into it, which is enough because every format keeps at least ten bits less.
 */
#pragma once

#include "fp.h"

__extension__ typedef unsigned __int128 fp_u128_t;

struct fp_format {
    uint8_t bits;
    uint8_t exp_bits;
    uint8_t frac_bits;
    int16_t bias;
};

extern const struct fp_format fp_format_f16;
extern const struct fp_format fp_format_f32;
extern const struct fp_format fp_format_f64;

enum fp_class {
    FPC_ZERO,
    FPC_FINITE,
    FPC_INF,
    FPC_QNAN,
    FPC_SNAN,
};

struct fp_num {
    enum fp_class class;
    bool sign;
    int exp;
    uint64_t sig;
};

/* A number in an addition: sig * 2^(exp - 126), bit 126 set unless zero, bit 127 clear. */
struct fp_wide {
    bool sign;
    int exp;
    fp_u128_t sig;
};

/* Constants of a format. */
static inline uint64_t fp_sign_bit(const struct fp_format *f, bool sign)
{
    return (uint64_t)sign << (f->bits - 1);
}

static inline uint64_t fp_exp_max(const struct fp_format *f)
{
    return (UINT64_C(1) << f->exp_bits) - 1;
}

static inline uint64_t fp_frac_mask(const struct fp_format *f)
{
    return (UINT64_C(1) << f->frac_bits) - 1;
}

static inline uint64_t fp_quiet_bit(const struct fp_format *f)
{
    return UINT64_C(1) << (f->frac_bits - 1);
}

static inline uint64_t fp_zero(const struct fp_format *f, bool sign)
{
    return fp_sign_bit(f, sign);
}

static inline uint64_t fp_infinity(const struct fp_format *f, bool sign)
{
    return fp_sign_bit(f, sign) | fp_exp_max(f) << f->frac_bits;
}

static inline uint64_t fp_max_normal(const struct fp_format *f, bool sign)
{
    return fp_infinity(f, sign) - 1;
}

static inline uint64_t fp_default_nan(const struct fp_format *f)
{
    return fp_infinity(f, false) | fp_quiet_bit(f);
}

/* 2^exp, exp in the normal range. */
static inline uint64_t fp_power_of_two(const struct fp_format *f, int exp)
{
    return (uint64_t)(exp + f->bias) << f->frac_bits;
}

static inline bool fp_is_nan(const struct fp_num *n)
{
    return n->class >= FPC_QNAN;
}

static inline uint64_t fp_raise_invalid(const struct fp_format *f, struct fp_env *env)
{
    env->flags |= FP_IOC;
    return fp_default_nan(f);
}

/* Whether denormals of this format are flushed: f16 has a control of its own. */
static inline bool fp_flushes(const struct fp_format *f, const struct fp_env *env)
{
    return f->bits == 16 ? env->fz16 : env->fz;
}

/* Shifts right by any n >= 0; what falls out is kept as the sticky bit 0. */
static inline uint64_t fp_shift_right_sticky(uint64_t v, unsigned n)
{
    if (n == 0) {
        return v;
    }
    if (n >= 64) {
        return v != 0;
    }
    return v >> n | ((v << (64 - n)) != 0);
}

static inline fp_u128_t fp_shift_right_sticky128(fp_u128_t v, unsigned n)
{
    if (n == 0) {
        return v;
    }
    if (n >= 128) {
        return v != 0;
    }
    return v >> n | ((v << (128 - n)) != 0);
}

/* The upper half of v, with the lower half as its sticky bit. */
static inline uint64_t fp_narrow_sticky(fp_u128_t v)
{
    return (uint64_t)(v >> 64) | ((uint64_t)v != 0);
}

/* fp_unpack.c: FPUnpack(), and FPUnpackCV() for conversions (f16: AHP counts, FZ16 does not). */
struct fp_num fp_unpack(const struct fp_format *f, uint64_t bits, struct fp_env *env);
struct fp_num fp_unpack_cv(const struct fp_format *f, uint64_t bits, struct fp_env *env);

/*
 * fp_nan.c: FPProcessNaN() and its forms for several operands, which return false if none is a NaN
 * and else give the result for the first signalling, or else the first quiet one.
 */
uint64_t fp_process_nan(const struct fp_format *f, const struct fp_num *n, uint64_t bits,
                        struct fp_env *env);
bool fp_process_nans(const struct fp_format *f, unsigned count, const struct fp_num *nums,
                     const uint64_t *bits, struct fp_env *env, uint64_t *result);

/* fp_round.c: FPRound() of sign, sig * 2^(exp - 63) with bit 63 of sig set. */
uint64_t fp_round(const struct fp_format *f, bool sign, int exp, uint64_t sig, struct fp_env *env);
uint64_t fp_round_cv(const struct fp_format *f, bool sign, int exp, uint64_t sig,
                     struct fp_env *env);

/*
 * Rounds sig * 2^(exp - 63) to an integer. False if it is 2^64 or more (*out unchanged); *inexact
 * tells whether anything was lost.
 */
bool fp_round_to_integer(bool sign, int exp, uint64_t sig, enum fp_rounding rounding, uint64_t *out,
                         bool *inexact);

/* fp_add.c: the sum of two numbers not both zero, times 2^scale, rounded. */
struct fp_wide fp_widen(const struct fp_num *n);
uint64_t fp_add_wide(const struct fp_format *f, struct fp_wide a, struct fp_wide b, int scale,
                     struct fp_env *env);
/* (a + b) * 2^scale or (a - b) * 2^scale with all special cases. */
uint64_t fp_generic_add(const struct fp_format *f, uint64_t abits, uint64_t bbits, bool subtract,
                        int scale, struct fp_env *env);

/* fp_mul.c; inf_times_zero: what that product gives (FMULX), or 0 for an invalid operation. */
uint64_t fp_generic_mul(const struct fp_format *f, uint64_t abits, uint64_t bbits,
                        uint64_t inf_times_zero, struct fp_env *env);
/* Exact product of two finite numbers, either of which may be zero. */
struct fp_wide fp_multiply(const struct fp_num *a, const struct fp_num *b);
