/* SPDX-License-Identifier: MIT */
/*
 * Public f32 and f64 arithmetic: the host's FPU where its result is provably ARM's, else fp_exact.
 *
 * The host is used in RN mode for operands that are zero or normal and clear of the range's ends,
 * and its result is taken if it is a normal number above the smallest binade (so no underflow,
 * overflow, denormal or NaN is in play) or an exact zero. What is left to decide is IXC, by
 * error-free transformations: TwoSum, an exact product in double, or the remainder from a fused
 * multiply-add. Needs a host that rounds to nearest (see fp.h). Pure functions.
 */
#include <immintrin.h>
#include <string.h>

#include "fp_exact.h"

/* Exponent fields from which the remainder of an f64 operation cannot underflow. */
#define F64_MIN_REMAINDER 128u

static inline float as_f32(uint32_t bits)
{
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static inline uint32_t bits_f32(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static inline double as_f64(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static inline uint64_t bits_f64(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static inline uint32_t exp_f32(uint32_t a)
{
    return a >> 23 & 0xffu;
}

static inline uint32_t exp_f64(uint64_t a)
{
    return (uint32_t)(a >> 52) & 0x7ffu;
}

/* Zero, or normal and far enough from overflow for a sum of two and its error term. */
static inline bool fit_f32(uint32_t a)
{
    return exp_f32(a) - 1u < 251u || a << 1 == 0;
}

static inline bool fit_f64(uint64_t a)
{
    return exp_f64(a) - 1u < 2043u || a << 1 == 0;
}

/* A finite result above the smallest normal binade: rounding did not leave the normal range. */
static inline bool safe_f32(uint32_t r)
{
    return exp_f32(r) - 2u < 253u;
}

static inline bool safe_f64(uint64_t r)
{
    return exp_f64(r) - 2u < 2045u;
}

static inline bool nearest(const struct fp_env *env)
{
    return env->rounding == FP_RN;
}

static inline void raise_inexact(struct fp_env *env, bool inexact)
{
    env->flags |= inexact ? FP_IXC : 0;
}

/* TwoSum (Knuth): whether x + y differs from its rounding s. No overflow for fitting operands. */
static inline bool sum_inexact_f32(float x, float y, float s)
{
    float t = s - x;
    return (x - (s - t)) + (y - t) != 0.0f;
}

static inline bool sum_inexact_f64(double x, double y, double s)
{
    double t = s - x;
    return (x - (s - t)) + (y - t) != 0.0;
}

uint32_t fp_add_f32(uint32_t a, uint32_t b, struct fp_env *env)
{
    if (nearest(env) && fit_f32(a) && fit_f32(b)) {
        float x = as_f32(a);
        float y = as_f32(b);
        float s = x + y;
        if (safe_f32(bits_f32(s)) || s == 0.0f) {
            raise_inexact(env, sum_inexact_f32(x, y, s));
            return bits_f32(s);
        }
    }
    return fp_exact_add_f32(a, b, env);
}

/* Operands that fit are no NaNs, so a subtraction is the addition of the negated operand. */
uint32_t fp_sub_f32(uint32_t a, uint32_t b, struct fp_env *env)
{
    return fit_f32(b) ? fp_add_f32(a, fp_neg_f32(b), env) : fp_exact_sub_f32(a, b, env);
}

uint64_t fp_add_f64(uint64_t a, uint64_t b, struct fp_env *env)
{
    if (nearest(env) && fit_f64(a) && fit_f64(b)) {
        double x = as_f64(a);
        double y = as_f64(b);
        double s = x + y;
        if (safe_f64(bits_f64(s)) || s == 0.0) {
            raise_inexact(env, sum_inexact_f64(x, y, s));
            return bits_f64(s);
        }
    }
    return fp_exact_add_f64(a, b, env);
}

uint64_t fp_sub_f64(uint64_t a, uint64_t b, struct fp_env *env)
{
    return fit_f64(b) ? fp_add_f64(a, fp_neg_f64(b), env) : fp_exact_sub_f64(a, b, env);
}

uint32_t fp_mul_f32(uint32_t a, uint32_t b, struct fp_env *env)
{
    if (nearest(env) && fit_f32(a) && fit_f32(b)) {
        float r = as_f32(a) * as_f32(b);
        double exact = (double)as_f32(a) * (double)as_f32(b); /* 48 bits fit */
        if (safe_f32(bits_f32(r)) || exact == 0.0) {
            raise_inexact(env, (double)r != exact);
            return bits_f32(r);
        }
    }
    return fp_exact_mul_f32(a, b, env);
}

uint32_t fp_div_f32(uint32_t a, uint32_t b, struct fp_env *env)
{
    if (nearest(env) && fit_f32(a) && fit_f32(b)) {
        float r = as_f32(a) / as_f32(b);
        if (safe_f32(bits_f32(r))) {
            raise_inexact(env, (double)r * (double)as_f32(b) != (double)as_f32(a));
            return bits_f32(r);
        }
    }
    return fp_exact_div_f32(a, b, env);
}

uint32_t fp_sqrt_f32(uint32_t a, struct fp_env *env)
{
    if (nearest(env) && fit_f32(a) && (int32_t)a > 0) {
        float r = _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(as_f32(a))));
        raise_inexact(env, (double)r * (double)r != (double)as_f32(a));
        return bits_f32(r);
    }
    return fp_exact_sqrt_f32(a, env);
}

/* The rest needs the host's fused multiply-add. */

__attribute__((target("fma"))) static bool muladd_fma_f32(uint32_t c, uint32_t a, uint32_t b,
                                                          uint32_t *out, struct fp_env *env)
{
    double product = (double)as_f32(a) * (double)as_f32(b);
    double sum = product + (double)as_f32(c);
    bool sum_rounded = sum_inexact_f64(product, (double)as_f32(c), sum);
    float r = __builtin_fmaf(as_f32(a), as_f32(b), as_f32(c));

    if (!safe_f32(bits_f32(r)) && (sum != 0.0 || sum_rounded)) {
        return false;
    }
    raise_inexact(env, sum_rounded || (double)r != sum);
    *out = bits_f32(r);
    return true;
}

uint32_t fp_muladd_f32(uint32_t c, uint32_t a, uint32_t b, struct fp_env *env)
{
    uint32_t result;
    if (nearest(env) && fit_f32(a) && fit_f32(b) && fit_f32(c) && __builtin_cpu_supports("fma") &&
        muladd_fma_f32(c, a, b, &result, env)) {
        return result;
    }
    return fp_exact_muladd_f32(c, a, b, env);
}

/* Only with IXC set already, because nothing cheap tells whether the sum was exact. */
__attribute__((target("fma"))) static bool muladd_fma_f64(uint64_t c, uint64_t a, uint64_t b,
                                                          uint64_t *out)
{
    double r = __builtin_fma(as_f64(a), as_f64(b), as_f64(c));
    *out = bits_f64(r);
    return safe_f64(*out);
}

uint64_t fp_muladd_f64(uint64_t c, uint64_t a, uint64_t b, struct fp_env *env)
{
    uint64_t result;
    if (nearest(env) && (env->flags & FP_IXC) != 0 && fit_f64(a) && fit_f64(b) && fit_f64(c) &&
        __builtin_cpu_supports("fma") && muladd_fma_f64(c, a, b, &result)) {
        return result;
    }
    return fp_exact_muladd_f64(c, a, b, env);
}

__attribute__((target("fma"))) static bool mul_fma_f64(uint64_t a, uint64_t b, uint64_t *out,
                                                       struct fp_env *env)
{
    double r = as_f64(a) * as_f64(b);
    *out = bits_f64(r);
    if (r == 0.0) {
        return a << 1 == 0 || b << 1 == 0;
    }
    if (!safe_f64(*out) || exp_f64(*out) < F64_MIN_REMAINDER) {
        return false;
    }
    raise_inexact(env, __builtin_fma(as_f64(a), as_f64(b), -r) != 0.0);
    return true;
}

uint64_t fp_mul_f64(uint64_t a, uint64_t b, struct fp_env *env)
{
    uint64_t result;
    if (nearest(env) && fit_f64(a) && fit_f64(b) && __builtin_cpu_supports("fma") &&
        mul_fma_f64(a, b, &result, env)) {
        return result;
    }
    return fp_exact_mul_f64(a, b, env);
}

__attribute__((target("fma"))) static bool div_fma_f64(uint64_t a, uint64_t b, uint64_t *out,
                                                       struct fp_env *env)
{
    double r = as_f64(a) / as_f64(b);
    *out = bits_f64(r);
    if (!safe_f64(*out)) {
        return false;
    }
    raise_inexact(env, __builtin_fma(-r, as_f64(b), as_f64(a)) != 0.0);
    return true;
}

uint64_t fp_div_f64(uint64_t a, uint64_t b, struct fp_env *env)
{
    uint64_t result;
    if (nearest(env) && fit_f64(a) && fit_f64(b) && exp_f64(a) >= F64_MIN_REMAINDER &&
        __builtin_cpu_supports("fma") && div_fma_f64(a, b, &result, env)) {
        return result;
    }
    return fp_exact_div_f64(a, b, env);
}

__attribute__((target("fma"))) static uint64_t sqrt_fma_f64(uint64_t a, struct fp_env *env)
{
    __m128d x = _mm_set_sd(as_f64(a));
    double r = _mm_cvtsd_f64(_mm_sqrt_sd(x, x));
    raise_inexact(env, __builtin_fma(-r, r, as_f64(a)) != 0.0);
    return bits_f64(r);
}

uint64_t fp_sqrt_f64(uint64_t a, struct fp_env *env)
{
    if (nearest(env) && fit_f64(a) && (int64_t)a > 0 && exp_f64(a) >= F64_MIN_REMAINDER &&
        __builtin_cpu_supports("fma")) {
        return sqrt_fma_f64(a, env);
    }
    return fp_exact_sqrt_f64(a, env);
}
