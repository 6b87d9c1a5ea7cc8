/* SPDX-License-Identifier: MIT */
/*
 * ARM floating point, bit for bit: what VFP, Advanced SIMD and (later) A64 helpers compute with.
 *
 * Values are bit patterns in uint16_t, uint32_t and uint64_t. Every function is pure but for
 * env->flags, to which it only adds bits, so any thread may call it with its own env. Results,
 * NaN selection, flush-to-zero and flags follow the pseudocode of the Arm ARM (DDI 0406C A2.7;
 * DDI 0487 for what ARMv8 added). Exceptions are never trapped.
 *
 * MXCSR may hold anything: results do not depend on it. The arithmetic functions may set its PE
 * flag, but only together with IXC in env->flags; they are faster if it rounds to nearest.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Rounding modes: the first four as in FPSCR.RMode, the others only by instruction. */
enum fp_rounding {
    FP_RN, /* to nearest, ties to even */
    FP_RP, /* towards plus infinity */
    FP_RM, /* towards minus infinity */
    FP_RZ, /* towards zero */
    FP_RA, /* to nearest, ties away from zero: VCVTA, VRINTA */
    FP_RO, /* to odd: FCVTXN */
};

/* Cumulative exception flags, at their FPSCR positions. */
enum {
    FP_IOC = 1u << 0, /* invalid operation */
    FP_DZC = 1u << 1, /* divide by zero */
    FP_OFC = 1u << 2, /* overflow */
    FP_UFC = 1u << 3, /* underflow */
    FP_IXC = 1u << 4, /* inexact */
    FP_IDC = 1u << 7, /* input denormal */
    FP_ALL_FLAGS = 0x9fu,
};

struct fp_env {
    uint8_t rounding; /* enum fp_rounding */
    bool fz;          /* flush denormals to zero, f32 and f64 */
    bool dn;          /* NaN results are the default NaN */
    bool ahp;         /* f16 conversions use the alternative half-precision format */
    bool fz16;        /* flush denormals to zero, f16 arithmetic (ARMv8.2) */
    uint32_t flags;   /* FP_* flags raised so far */
};

/*
 * An env as FPSCR asks, flags included, so that one env may serve any number of operations; the
 * caller ORs env.flags into FPSCR afterwards. (With IXC already set the fast paths are faster.)
 */
static inline struct fp_env fp_env_from_fpscr(uint32_t fpscr)
{
    return (struct fp_env){
        .rounding = (uint8_t)(fpscr >> 22 & 3u),
        .fz = (fpscr >> 24 & 1u) != 0,
        .dn = (fpscr >> 25 & 1u) != 0,
        .ahp = (fpscr >> 26 & 1u) != 0,
        .fz16 = (fpscr >> 19 & 1u) != 0,
        .flags = fpscr & FP_ALL_FLAGS,
    };
}

/* StandardFPSCRValue(): what Advanced SIMD arithmetic uses; only AHP and FZ16 come from FPSCR. */
static inline struct fp_env fp_env_standard(uint32_t fpscr)
{
    return (struct fp_env){
        .rounding = FP_RN,
        .fz = true,
        .dn = true,
        .ahp = (fpscr >> 26 & 1u) != 0,
        .fz16 = (fpscr >> 19 & 1u) != 0,
        .flags = fpscr & FP_ALL_FLAGS,
    };
}

/*
 * The functions that exist for every format; N is 16, 32 or 64.
 *
 * Arithmetic. muladd is c + a * b rounded once; the caller negates operands for VFMS, VFNMA, ...
 * mulx is A64's FMULX: infinity times zero is 2.
 *   fp_add_fN fp_sub_fN fp_mul_fN fp_mulx_fN fp_div_fN fp_sqrt_fN fp_muladd_fN(c, a, b)
 *
 * Comparison. compare returns NZCV in bits 3:0; `signalling` (VCMPE) raises IOC for a quiet NaN
 * too. compare_eq raises IOC for signalling NaNs only, ge and gt for any NaN; all three are false
 * if unordered.
 *
 * Selection. min, max: a NaN operand gives a NaN. minnum, maxnum (VMINNM, VMAXNM): a single quiet
 * NaN loses against a number.
 *
 * to_int converts a * 2^fbits to a `width`-bit integer (1 to 64), saturating; the result is sign-
 * or zero-extended to 64 bits. from_int converts value * 2^-fbits, where value is a signed or
 * unsigned 64-bit integer (the caller extends narrower ones).
 *
 * round_int rounds to an integral value in the same format; `exact` (VRINTX) raises IXC.
 *
 * Estimates and steps. recip_step and rsqrt_step are those of AArch32 (product rounded before the
 * subtraction: VRECPS, VRSQRTS); the fused ones are those of A64 (FRECPS, FRSQRTS), as is recpx.
 */
#define FP_DECLARE_FORMAT(N)                                                                     \
    uint##N##_t fp_add_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env);                   \
    uint##N##_t fp_sub_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env);                   \
    uint##N##_t fp_mul_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env);                   \
    uint##N##_t fp_mulx_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env);                  \
    uint##N##_t fp_div_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env);                   \
    uint##N##_t fp_sqrt_f##N(uint##N##_t a, struct fp_env *env);                                 \
    uint##N##_t fp_muladd_f##N(uint##N##_t c, uint##N##_t a, uint##N##_t b, struct fp_env *env); \
                                                                                                 \
    uint32_t fp_compare_f##N(uint##N##_t a, uint##N##_t b, bool signalling, struct fp_env *env); \
    bool fp_compare_eq_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env);                   \
    bool fp_compare_ge_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env);                   \
    bool fp_compare_gt_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env);                   \
                                                                                                 \
    uint##N##_t fp_min_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env);                   \
    uint##N##_t fp_max_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env);                   \
    uint##N##_t fp_minnum_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env);                \
    uint##N##_t fp_maxnum_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env);                \
                                                                                                 \
    uint64_t fp_to_int_f##N(uint##N##_t a, unsigned width, bool is_unsigned, unsigned fbits,     \
                            enum fp_rounding rounding, struct fp_env *env);                      \
    uint##N##_t fp_from_int_f##N(uint64_t value, bool is_unsigned, unsigned fbits,               \
                                 enum fp_rounding rounding, struct fp_env *env);                 \
    uint##N##_t fp_round_int_f##N(uint##N##_t a, enum fp_rounding rounding, bool exact,          \
                                  struct fp_env *env);                                           \
                                                                                                 \
    uint##N##_t fp_recip_estimate_f##N(uint##N##_t a, struct fp_env *env);                       \
    uint##N##_t fp_rsqrt_estimate_f##N(uint##N##_t a, struct fp_env *env);                       \
    uint##N##_t fp_recip_step_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env);            \
    uint##N##_t fp_rsqrt_step_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env);            \
    uint##N##_t fp_recip_step_fused_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env);      \
    uint##N##_t fp_rsqrt_step_fused_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env);      \
    uint##N##_t fp_recpx_f##N(uint##N##_t a, struct fp_env *env);                                \
                                                                                                 \
    static inline uint##N##_t fp_abs_f##N(uint##N##_t a)                                         \
    {                                                                                            \
        return a & (uint##N##_t)(UINT##N##_MAX >> 1);                                            \
    }                                                                                            \
                                                                                                 \
    static inline uint##N##_t fp_neg_f##N(uint##N##_t a)                                         \
    {                                                                                            \
        return a ^ (uint##N##_t)(UINT64_C(1) << ((N)-1));                                        \
    }

FP_DECLARE_FORMAT(16)
FP_DECLARE_FORMAT(32)
FP_DECLARE_FORMAT(64)

/* Conversions between formats, rounded as env->rounding says; f16 as env->ahp says. */
uint64_t fp_f32_to_f64(uint32_t a, struct fp_env *env);
uint32_t fp_f64_to_f32(uint64_t a, struct fp_env *env);
uint32_t fp_f16_to_f32(uint16_t a, struct fp_env *env);
uint64_t fp_f16_to_f64(uint16_t a, struct fp_env *env);
uint16_t fp_f32_to_f16(uint32_t a, struct fp_env *env);
uint16_t fp_f64_to_f16(uint64_t a, struct fp_env *env);

/* UnsignedRecipEstimate(), UnsignedRSqrtEstimate(): VRECPE.U32, VRSQRTE.U32. */
uint32_t fp_recip_estimate_u32(uint32_t a);
uint32_t fp_rsqrt_estimate_u32(uint32_t a);
