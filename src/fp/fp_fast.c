/* SPDX-License-Identifier: MIT */
/*
 * Public f32 and f64 arithmetic: the host's FPU where its result is provably ARM's, else fp_exact.
 *
 * The host is used in RN mode for operands that are zero or normal and clear of the range's ends,
 * and its result is taken if it is a normal number above the smallest binade (so no underflow,
 * overflow, denormal or NaN is in play) or an exact zero. What is left to decide is IXC, by
 * error-free transformations: TwoSum, an exact product in double, or the remainder from a fused
 * multiply-add.
 *
 * MXCSR may be the guest's (these run as helpers of generated code, which collects the guest's
 * flags in it): the host is used only if it rounds to nearest without FTZ and DAZ. An accepted
 * result has raised nothing but PE, and that only together with IXC; a rejected one puts MXCSR
 * back.
 */
#include <immintrin.h>
#include <string.h>

#include "fp_exact.h"

#define MXCSR_FLAGS       0x3fu
#define MXCSR_NEAREST     0x1f80u /* all exceptions masked, no other control set */

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

/* Whether the guest wants what the host's FPU does now; *csr is for give_up(). */
static inline bool host_fits(const struct fp_env *env, unsigned *csr)
{
    *csr = _mm_getcsr();
    return env->rounding == FP_RN && (*csr & ~MXCSR_FLAGS) == MXCSR_NEAREST;
}

/* After a rejected result: forget the host's flags. Always false. */
static inline bool give_up(unsigned csr)
{
    _mm_setcsr(csr);
    return false;
}

/*
 * Loads an operand in a way that keeps the compiler from starting host arithmetic, with its flags,
 * before the checks that precede the load.
 */
static inline float load_f32(uint32_t bits)
{
    float v = as_f32(bits);
    __asm__ volatile("" : "+x"(v));
    return v;
}

static inline double load_f64(uint64_t bits)
{
    double v = as_f64(bits);
    __asm__ volatile("" : "+x"(v));
    return v;
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

static inline bool host_add_f32(uint32_t a, uint32_t b, uint32_t *out, struct fp_env *env)
{
    unsigned csr;
    if (!fit_f32(a) || !fit_f32(b) || !host_fits(env, &csr)) {
        return false;
    }
    float x = load_f32(a);
    float y = load_f32(b);
    float s = x + y;
    *out = bits_f32(s);
    if (!safe_f32(*out) && s != 0.0f) {
        return give_up(csr);
    }
    raise_inexact(env, sum_inexact_f32(x, y, s));
    return true;
}

uint32_t fp_add_f32(uint32_t a, uint32_t b, struct fp_env *env)
{
    uint32_t result;
    return host_add_f32(a, b, &result, env) ? result : fp_exact_add_f32(a, b, env);
}

/* Operands that fit are no NaNs, so a subtraction is the addition of the negated operand. */
uint32_t fp_sub_f32(uint32_t a, uint32_t b, struct fp_env *env)
{
    uint32_t result;
    return host_add_f32(a, fp_neg_f32(b), &result, env) ? result : fp_exact_sub_f32(a, b, env);
}

static inline bool host_add_f64(uint64_t a, uint64_t b, uint64_t *out, struct fp_env *env)
{
    unsigned csr;
    if (!fit_f64(a) || !fit_f64(b) || !host_fits(env, &csr)) {
        return false;
    }
    double x = load_f64(a);
    double y = load_f64(b);
    double s = x + y;
    *out = bits_f64(s);
    if (!safe_f64(*out) && s != 0.0) {
        return give_up(csr);
    }
    raise_inexact(env, sum_inexact_f64(x, y, s));
    return true;
}

uint64_t fp_add_f64(uint64_t a, uint64_t b, struct fp_env *env)
{
    uint64_t result;
    return host_add_f64(a, b, &result, env) ? result : fp_exact_add_f64(a, b, env);
}

uint64_t fp_sub_f64(uint64_t a, uint64_t b, struct fp_env *env)
{
    uint64_t result;
    return host_add_f64(a, fp_neg_f64(b), &result, env) ? result : fp_exact_sub_f64(a, b, env);
}

static inline bool host_mul_f32(uint32_t a, uint32_t b, uint32_t *out, struct fp_env *env)
{
    unsigned csr;
    if (!fit_f32(a) || !fit_f32(b) || !host_fits(env, &csr)) {
        return false;
    }
    float x = load_f32(a);
    float y = load_f32(b);
    float r = x * y;
    *out = bits_f32(r);
    double exact = (double)x * (double)y; /* 48 bits fit */
    if (!safe_f32(*out) && exact != 0.0) {
        return give_up(csr);
    }
    raise_inexact(env, (double)r != exact);
    return true;
}

uint32_t fp_mul_f32(uint32_t a, uint32_t b, struct fp_env *env)
{
    uint32_t result;
    return host_mul_f32(a, b, &result, env) ? result : fp_exact_mul_f32(a, b, env);
}

static inline bool host_div_f32(uint32_t a, uint32_t b, uint32_t *out, struct fp_env *env)
{
    unsigned csr;
    if (!fit_f32(a) || !fit_f32(b) || !host_fits(env, &csr)) {
        return false;
    }
    float x = load_f32(a);
    float y = load_f32(b);
    float r = x / y;
    *out = bits_f32(r);
    if (!safe_f32(*out)) {
        return give_up(csr);
    }
    raise_inexact(env, (double)r * (double)y != (double)x);
    return true;
}

uint32_t fp_div_f32(uint32_t a, uint32_t b, struct fp_env *env)
{
    uint32_t result;
    return host_div_f32(a, b, &result, env) ? result : fp_exact_div_f32(a, b, env);
}

uint32_t fp_sqrt_f32(uint32_t a, struct fp_env *env)
{
    unsigned csr;
    if (!fit_f32(a) || (int32_t)a <= 0 || !host_fits(env, &csr)) {
        return fp_exact_sqrt_f32(a, env);
    }
    float x = load_f32(a);
    float r = _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));
    raise_inexact(env, (double)r * (double)r != (double)x);
    return bits_f32(r);
}

/* The rest needs the host's fused multiply-add. */

#define HOST_FMA __attribute__((target("fma")))

static inline bool have_fma(void)
{
    return __builtin_cpu_supports("fma") != 0;
}

HOST_FMA static bool host_muladd_f32(uint32_t c, uint32_t a, uint32_t b, uint32_t *out,
                                     struct fp_env *env)
{
    unsigned csr;
    if (!fit_f32(a) || !fit_f32(b) || !fit_f32(c) || !host_fits(env, &csr)) {
        return false;
    }
    float x = load_f32(a);
    float y = load_f32(b);
    float z = load_f32(c);
    double product = (double)x * (double)y;
    double sum = product + (double)z;
    bool sum_rounded = sum_inexact_f64(product, (double)z, sum);
    float r = __builtin_fmaf(x, y, z);

    *out = bits_f32(r);
    if (!safe_f32(*out) && (sum != 0.0 || sum_rounded)) {
        return give_up(csr);
    }
    raise_inexact(env, sum_rounded || (double)r != sum);
    return true;
}

uint32_t fp_muladd_f32(uint32_t c, uint32_t a, uint32_t b, struct fp_env *env)
{
    uint32_t result;
    return have_fma() && host_muladd_f32(c, a, b, &result, env) ? result
                                                                : fp_exact_muladd_f32(c, a, b, env);
}

/* Only with IXC set already, because nothing cheap tells whether the sum was exact. */
HOST_FMA static bool host_muladd_f64(uint64_t c, uint64_t a, uint64_t b, uint64_t *out,
                                     const struct fp_env *env)
{
    unsigned csr;
    if ((env->flags & FP_IXC) == 0 || !fit_f64(a) || !fit_f64(b) || !fit_f64(c) ||
        !host_fits(env, &csr)) {
        return false;
    }
    *out = bits_f64(__builtin_fma(load_f64(a), load_f64(b), load_f64(c)));
    return safe_f64(*out) || give_up(csr);
}

uint64_t fp_muladd_f64(uint64_t c, uint64_t a, uint64_t b, struct fp_env *env)
{
    uint64_t result;
    return have_fma() && host_muladd_f64(c, a, b, &result, env) ? result
                                                                : fp_exact_muladd_f64(c, a, b, env);
}

HOST_FMA static bool host_mul_f64(uint64_t a, uint64_t b, uint64_t *out, struct fp_env *env)
{
    unsigned csr;
    if (!fit_f64(a) || !fit_f64(b) || !host_fits(env, &csr)) {
        return false;
    }
    double x = load_f64(a);
    double y = load_f64(b);
    double r = x * y;
    *out = bits_f64(r);
    if (x == 0.0 || y == 0.0) {
        return true;
    }
    if (!safe_f64(*out) || exp_f64(*out) < F64_MIN_REMAINDER) {
        return give_up(csr);
    }
    raise_inexact(env, __builtin_fma(x, y, -r) != 0.0);
    return true;
}

uint64_t fp_mul_f64(uint64_t a, uint64_t b, struct fp_env *env)
{
    uint64_t result;
    return have_fma() && host_mul_f64(a, b, &result, env) ? result : fp_exact_mul_f64(a, b, env);
}

HOST_FMA static bool host_div_f64(uint64_t a, uint64_t b, uint64_t *out, struct fp_env *env)
{
    unsigned csr;
    if (!fit_f64(a) || !fit_f64(b) || exp_f64(a) < F64_MIN_REMAINDER || !host_fits(env, &csr)) {
        return false;
    }
    double x = load_f64(a);
    double y = load_f64(b);
    double r = x / y;
    *out = bits_f64(r);
    if (!safe_f64(*out)) {
        return give_up(csr);
    }
    raise_inexact(env, __builtin_fma(-r, y, x) != 0.0);
    return true;
}

uint64_t fp_div_f64(uint64_t a, uint64_t b, struct fp_env *env)
{
    uint64_t result;
    return have_fma() && host_div_f64(a, b, &result, env) ? result : fp_exact_div_f64(a, b, env);
}

HOST_FMA static bool host_sqrt_f64(uint64_t a, uint64_t *out, struct fp_env *env)
{
    unsigned csr;
    if (!fit_f64(a) || (int64_t)a <= 0 || exp_f64(a) < F64_MIN_REMAINDER || !host_fits(env, &csr)) {
        return false;
    }
    double x = load_f64(a);
    double r = _mm_cvtsd_f64(_mm_sqrt_sd(_mm_set_sd(x), _mm_set_sd(x)));
    *out = bits_f64(r);
    raise_inexact(env, __builtin_fma(-r, r, x) != 0.0);
    return true;
}

uint64_t fp_sqrt_f64(uint64_t a, struct fp_env *env)
{
    uint64_t result;
    return have_fma() && host_sqrt_f64(a, &result, env) ? result : fp_exact_sqrt_f64(a, env);
}
