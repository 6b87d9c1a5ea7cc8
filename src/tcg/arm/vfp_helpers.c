/* SPDX-License-Identifier: MIT */
/*
 * VFP arithmetic as helpers of generated code: each computes with the exact library (src/fp) as
 * FPSCR says and adds the cumulative flags. Arm ARM A2.7, A8.8.281ff. Run on the vCPU thread; MXCSR
 * holds the guest's state; what conversions to integers and fused operations raise there is meant.
 *
 * The shortcuts at comparisons and conversions are taken when FPSCR has no controls set; they do
 * what the library does for numbers that are neither NaNs nor out of range.
 */
#include "vfp_helpers.h"

#include "fp/fp.h"

#include <string.h>

#define FPSCR_CONTROLS 0x07f70000u /* AHP, DN, FZ, RMode, Stride, Len */

static inline bool plain(const struct vcpu *v)
{
    return !(v->fpscr_rest & FPSCR_CONTROLS);
}

#define BINARY(name, N, expr)                                                             \
    VFP_TYPE_##N vfp_helper_##name##_f##N(struct vcpu *v, VFP_TYPE_##N a, VFP_TYPE_##N b) \
    {                                                                                     \
        struct fp_env e = fp_env_from_fpscr(v->fpscr_rest), *env = &e;                    \
        VFP_TYPE_##N r = (expr);                                                          \
        v->fpscr_rest |= e.flags;                                                         \
        return r;                                                                         \
    }
#define TERNARY(name, N, expr)                                                            \
    VFP_TYPE_##N vfp_helper_##name##_f##N(struct vcpu *v, VFP_TYPE_##N a, VFP_TYPE_##N b, \
                                          VFP_TYPE_##N d)                                 \
    {                                                                                     \
        struct fp_env e = fp_env_from_fpscr(v->fpscr_rest), *env = &e;                    \
        VFP_TYPE_##N r = (expr);                                                          \
        v->fpscr_rest |= e.flags;                                                         \
        return r;                                                                         \
    }
#define ALL(N)                                                                               \
    BINARY(vadd, N, fp_add_f##N(a, b, env))                                                  \
    BINARY(vsub, N, fp_sub_f##N(a, b, env))                                                  \
    BINARY(vmul, N, fp_mul_f##N(a, b, env))                                                  \
    BINARY(vnmul, N, fp_neg_f##N(fp_mul_f##N(a, b, env)))                                    \
    BINARY(vdiv, N, fp_div_f##N(a, b, env))                                                  \
    BINARY(vmaxnm, N, fp_maxnum_f##N(a, b, env))                                             \
    BINARY(vminnm, N, fp_minnum_f##N(a, b, env))                                             \
    TERNARY(vmla, N, fp_add_f##N(d, fp_mul_f##N(a, b, env), env))                            \
    TERNARY(vmls, N, fp_add_f##N(d, fp_neg_f##N(fp_mul_f##N(a, b, env)), env))               \
    TERNARY(vnmls, N, fp_add_f##N(fp_neg_f##N(d), fp_mul_f##N(a, b, env), env))              \
    TERNARY(vnmla, N, fp_add_f##N(fp_neg_f##N(d), fp_neg_f##N(fp_mul_f##N(a, b, env)), env)) \
    VFP_TYPE_##N vfp_helper_vsqrt_f##N(struct vcpu *v, VFP_TYPE_##N a)                       \
    {                                                                                        \
        struct fp_env e = fp_env_from_fpscr(v->fpscr_rest);                                  \
        VFP_TYPE_##N r = fp_sqrt_f##N(a, &e);                                                \
        v->fpscr_rest |= e.flags;                                                            \
        return r;                                                                            \
    }

ALL(32)
ALL(64)

/*
 * Fused multiply-add: the host's instruction, whose flags go to MXCSR, unless the result is a NaN,
 * or zero, subnormal or the smallest normal number. The library computes those again: it selects
 * NaNs as ARM does and detects tininess before rounding. What the host raised for them is right,
 * but may not be all.
 */
#define LOWEST_32   (1u << 23)
#define LOWEST_64   (UINT64_C(1) << 52)
#define INFINITY_32 0x7f800000u
#define INFINITY_64 (UINT64_C(0x7ff) << 52)
#define FUSED(N, type, host_fma)                                                                  \
    __attribute__((target("fma"))) static bool fused_host_##N(VFP_TYPE_##N d, VFP_TYPE_##N a,     \
                                                              VFP_TYPE_##N b, VFP_TYPE_##N *out)  \
    {                                                                                             \
        type x, y, z, r;                                                                          \
        memcpy(&x, &a, sizeof(x));                                                                \
        memcpy(&y, &b, sizeof(y));                                                                \
        memcpy(&z, &d, sizeof(z));                                                                \
        r = host_fma(x, y, z);                                                                    \
        memcpy(out, &r, sizeof(r));                                                               \
        return fp_abs_f##N(*out) - LOWEST_##N - 1 < INFINITY_##N - LOWEST_##N;                    \
    }                                                                                             \
    static VFP_TYPE_##N fused_##N(struct vcpu *v, VFP_TYPE_##N d, VFP_TYPE_##N a, VFP_TYPE_##N b) \
    {                                                                                             \
        struct fp_env e;                                                                          \
        VFP_TYPE_##N r;                                                                           \
        if (plain(v) && __builtin_cpu_supports("fma") && fused_host_##N(d, a, b, &r)) {           \
            return r;                                                                             \
        }                                                                                         \
        e = fp_env_from_fpscr(v->fpscr_rest);                                                     \
        r = fp_muladd_f##N(d, a, b, &e);                                                          \
        v->fpscr_rest |= e.flags;                                                                 \
        return r;                                                                                 \
    }                                                                                             \
    VFP_TYPE_##N vfp_helper_vfma_f##N(struct vcpu *v, VFP_TYPE_##N a, VFP_TYPE_##N b,             \
                                      VFP_TYPE_##N d)                                             \
    {                                                                                             \
        return fused_##N(v, d, a, b);                                                             \
    }                                                                                             \
    VFP_TYPE_##N vfp_helper_vfms_f##N(struct vcpu *v, VFP_TYPE_##N a, VFP_TYPE_##N b,             \
                                      VFP_TYPE_##N d)                                             \
    {                                                                                             \
        return fused_##N(v, d, fp_neg_f##N(a), b);                                                \
    }                                                                                             \
    VFP_TYPE_##N vfp_helper_vfnma_f##N(struct vcpu *v, VFP_TYPE_##N a, VFP_TYPE_##N b,            \
                                       VFP_TYPE_##N d)                                            \
    {                                                                                             \
        return fused_##N(v, fp_neg_f##N(d), fp_neg_f##N(a), b);                                   \
    }                                                                                             \
    VFP_TYPE_##N vfp_helper_vfnms_f##N(struct vcpu *v, VFP_TYPE_##N a, VFP_TYPE_##N b,            \
                                       VFP_TYPE_##N d)                                            \
    {                                                                                             \
        return fused_##N(v, fp_neg_f##N(d), a, b);                                                \
    }
FUSED(32, float, __builtin_fmaf)
FUSED(64, double, __builtin_fma)

static enum fp_rounding rounding_of(uint32_t how, const struct fp_env *e)
{
    return (enum fp_rounding)((how & VFP_AS_FPSCR) ? e->rounding : how & 7);
}

#define ROUND(N)                                                                            \
    VFP_TYPE_##N vfp_helper_vrint_f##N(struct vcpu *v, VFP_TYPE_##N a, uint32_t how)        \
    {                                                                                       \
        struct fp_env e = fp_env_from_fpscr(v->fpscr_rest);                                 \
        VFP_TYPE_##N r = fp_round_int_f##N(a, rounding_of(how, &e), how & VFP_INEXACT, &e); \
        v->fpscr_rest |= e.flags;                                                           \
        return r;                                                                           \
    }
ROUND(32)
ROUND(64)

/* ---- comparison ---- */
#define NZCV_EQUAL   0x60000000u
#define NZCV_LESS    0x80000000u
#define NZCV_GREATER 0x20000000u

/* Sign and magnitude as an integer of the same order; both zeros are 0. */
static inline int64_t order_32(uint32_t a)
{
    int64_t magnitude = a & 0x7fffffffu;
    return a >> 31 ? -magnitude : magnitude;
}

static inline int64_t order_64(uint64_t a)
{
    int64_t magnitude = (int64_t)(a & (UINT64_MAX >> 1));
    return a >> 63 ? -magnitude : magnitude;
}

#define IS_NAN_32(a) ((a) << 1 > 0xff000000u)
#define IS_NAN_64(a) ((a) << 1 > UINT64_C(0xffe0000000000000))
#define COMPARE(N)                                                                              \
    uint32_t vfp_helper_vcmp_f##N(struct vcpu *v, VFP_TYPE_##N a, VFP_TYPE_##N b, uint32_t how) \
    {                                                                                           \
        if (plain(v) && !IS_NAN_##N(a) && !IS_NAN_##N(b)) {                                     \
            int64_t x = order_##N(a), y = order_##N(b);                                         \
            return x == y ? NZCV_EQUAL : x < y ? NZCV_LESS : NZCV_GREATER;                      \
        }                                                                                       \
        struct fp_env e = fp_env_from_fpscr(v->fpscr_rest);                                     \
        uint32_t nzcv = fp_compare_f##N(a, b, how != 0, &e) << 28;                              \
        v->fpscr_rest |= e.flags;                                                               \
        return nzcv;                                                                            \
    }
COMPARE(32)
COMPARE(64)

/* ---- conversions ---- */
uint64_t vfp_helper_vcvt_f64_f32(struct vcpu *v, uint32_t a)
{
    uint32_t exponent = a >> 23 & 0xff;

    if (exponent - 1 < 254) { /* normal: the same number with a wider exponent */
        return (uint64_t)(a & 0x80000000u) << 32 | (uint64_t)(exponent + 896) << 52 |
               (uint64_t)(a & 0x7fffff) << 29;
    }
    struct fp_env e = fp_env_from_fpscr(v->fpscr_rest);
    uint64_t r = fp_f32_to_f64(a, &e);
    v->fpscr_rest |= e.flags;
    return r;
}

uint32_t vfp_helper_vcvt_f32_f64(struct vcpu *v, uint64_t a)
{
    struct fp_env e = fp_env_from_fpscr(v->fpscr_rest);
    uint32_t r = fp_f64_to_f32(a, &e);

    v->fpscr_rest |= e.flags;
    return r;
}

/* To int32_t towards zero where that is in range; MXCSR.PE becomes FPSCR.IXC. */
static inline bool truncate_f32(uint32_t a, int32_t *out)
{
    float x;

    if ((a << 1) >> 24 >= 127 + 31) {
        return false;
    }
    memcpy(&x, &a, sizeof(x));
    *out = (int32_t)x;
    return true;
}

static inline bool truncate_f64(uint64_t a, int32_t *out)
{
    double x;

    if ((a << 1) >> 53 >= 1023 + 31) {
        return false;
    }
    memcpy(&x, &a, sizeof(x));
    *out = (int32_t)x;
    return true;
}

#define INTEGERS(N)                                                                             \
    VFP_TYPE_##N vfp_helper_from_int_f##N(struct vcpu *v, uint32_t a, uint32_t how)             \
    {                                                                                           \
        struct fp_env e = fp_env_from_fpscr(v->fpscr_rest);                                     \
        bool is_unsigned = how & VFP_UNSIGNED;                                                  \
        uint64_t x = is_unsigned ? a : (uint64_t)(int64_t)(int32_t)a;                           \
        VFP_TYPE_##N r = fp_from_int_f##N(x, is_unsigned, 0, (enum fp_rounding)e.rounding, &e); \
        v->fpscr_rest |= e.flags;                                                               \
        return r;                                                                               \
    }                                                                                           \
    uint32_t vfp_helper_to_int_f##N(struct vcpu *v, VFP_TYPE_##N a, uint32_t how)               \
    {                                                                                           \
        int32_t fast;                                                                           \
        if (how == VFP_ROUND(FP_RZ) && plain(v) && truncate_f##N(a, &fast)) {                   \
            return (uint32_t)fast;                                                              \
        }                                                                                       \
        struct fp_env e = fp_env_from_fpscr(v->fpscr_rest);                                     \
        enum fp_rounding rounding =                                                             \
            (enum fp_rounding)((how & VFP_AS_FPSCR) ? e.rounding : how >> 1 & 7);               \
        uint32_t r = (uint32_t)fp_to_int_f##N(a, 32, how & VFP_UNSIGNED, 0, rounding, &e);      \
        v->fpscr_rest |= e.flags;                                                               \
        return r;                                                                               \
    }
INTEGERS(32)
INTEGERS(64)

/* Fixed point, in place (A8.8.308). From fixed rounds to nearest, to fixed towards zero. */
#define FIXED(N)                                                                            \
    VFP_TYPE_##N vfp_helper_from_fixed_f##N(struct vcpu *v, VFP_TYPE_##N a, uint32_t how,   \
                                            uint32_t bits)                                  \
    {                                                                                       \
        struct fp_env e = fp_env_from_fpscr(v->fpscr_rest);                                 \
        bool is_unsigned = how & VFP_UNSIGNED, wide = how & VFP_WIDE;                       \
        uint32_t w = (uint32_t)a;                                                           \
        int64_t x = wide ? (is_unsigned ? (int64_t)w : (int32_t)w)                          \
                         : (is_unsigned ? (uint16_t)w : (int16_t)w);                        \
        VFP_TYPE_##N r = fp_from_int_f##N((uint64_t)x, is_unsigned, bits, FP_RN, &e);       \
        v->fpscr_rest |= e.flags;                                                           \
        return r;                                                                           \
    }                                                                                       \
    VFP_TYPE_##N vfp_helper_to_fixed_f##N(struct vcpu *v, VFP_TYPE_##N a, uint32_t how,     \
                                          uint32_t bits)                                    \
    {                                                                                       \
        struct fp_env e = fp_env_from_fpscr(v->fpscr_rest);                                 \
        VFP_TYPE_##N r = (VFP_TYPE_##N)fp_to_int_f##N(a, (how & VFP_WIDE) ? 32 : 16,        \
                                                      how & VFP_UNSIGNED, bits, FP_RZ, &e); \
        v->fpscr_rest |= e.flags;                                                           \
        return r;                                                                           \
    }
FIXED(32)
FIXED(64)

/* ---- half precision ---- */
#define HALF(N)                                                                                  \
    VFP_TYPE_##N vfp_helper_from_half_f##N(struct vcpu *v, uint32_t a, uint32_t how)             \
    {                                                                                            \
        struct fp_env e = fp_env_from_fpscr(v->fpscr_rest);                                      \
        VFP_TYPE_##N r = fp_f16_to_f##N((uint16_t)(how ? a >> 16 : a), &e);                      \
        v->fpscr_rest |= e.flags;                                                                \
        return r;                                                                                \
    }                                                                                            \
    uint32_t vfp_helper_to_half_f##N(struct vcpu *v, VFP_TYPE_##N a, uint32_t old, uint32_t how) \
    {                                                                                            \
        struct fp_env e = fp_env_from_fpscr(v->fpscr_rest);                                      \
        uint32_t h = fp_f##N##_to_f16(a, &e);                                                    \
        v->fpscr_rest |= e.flags;                                                                \
        return how ? (old & 0xffff) | h << 16 : (old & 0xffff0000u) | h;                         \
    }
HALF(32)
HALF(64)
