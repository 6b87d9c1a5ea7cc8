/* SPDX-License-Identifier: MIT */
/*
 * Special cases of ARM floating point with the results that the manual's pseudocode gives: NaN
 * selection, invalid operations, flush-to-zero, tininess, overflow by rounding mode, conversions,
 * alternative half precision, estimates and steps.
 */
#include <criterion/criterion.h>
#include <inttypes.h>

#include "fp/fp.h"

#define ZERO         0x00000000u
#define ONE          0x3f800000u
#define TWO          0x40000000u
#define THREE        0x40400000u
#define INF          0x7f800000u
#define MAX_NORMAL   0x7f7fffffu
#define MIN_NORMAL   0x00800000u
#define MIN_DENORMAL 0x00000001u
#define DEFAULT_NAN  0x7fc00000u
#define QNAN1        0x7fc00011u
#define QNAN2        0xffc00022u
#define SNAN1        0x7f800033u
#define SNAN2        0xff800044u
#define QUIET        0x00400000u
#define MINUS        0x80000000u

static const struct fp_env rn = {.rounding = FP_RN};
static const struct fp_env standard = {.rounding = FP_RN, .fz = true, .dn = true};

/* Evaluates a call that uses `env`, starting from a copy of `start`, and checks result and flags.
 */
#define EXPECT(start, call, result, raised)                                               \
    do {                                                                                  \
        struct fp_env env = start;                                                        \
        uint64_t got = (call);                                                            \
        cr_expect(got == (uint64_t)(result), "%s: %" PRIx64 ", not %" PRIx64, #call, got, \
                  (uint64_t)(result));                                                    \
        cr_expect(env.flags == (raised), "%s: flags %x, not %x", #call, env.flags,        \
                  (unsigned)(raised));                                                    \
    } while (0)

Test(fp_special, nan_selection)
{
    EXPECT(rn, fp_add_f32(QNAN1, QNAN2, &env), QNAN1, 0);
    EXPECT(rn, fp_add_f32(ONE, QNAN2, &env), QNAN2, 0);
    EXPECT(rn, fp_add_f32(QNAN1, SNAN2, &env), SNAN2 | QUIET, FP_IOC);
    EXPECT(rn, fp_add_f32(SNAN1, SNAN2, &env), SNAN1 | QUIET, FP_IOC);
    EXPECT(rn, fp_sub_f32(ONE, QNAN2, &env), QNAN2, 0); /* the sign of a NaN is not negated */
    EXPECT(standard, fp_add_f32(QNAN1, SNAN2, &env), DEFAULT_NAN, FP_IOC);
    EXPECT(standard, fp_add_f32(QNAN2, ONE, &env), DEFAULT_NAN, 0);
    EXPECT(rn, fp_muladd_f32(QNAN1, QNAN2, SNAN1, &env), SNAN1 | QUIET, FP_IOC);
    EXPECT(rn, fp_muladd_f32(QNAN1, QNAN2, ONE, &env), QNAN1, 0);
    EXPECT(rn, fp_muladd_f32(ONE, QNAN2, QNAN1, &env), QNAN2, 0);
    EXPECT(rn, fp_sqrt_f64(UINT64_C(0xfff0000000000001), &env), UINT64_C(0xfff8000000000001),
           FP_IOC);
}

Test(fp_special, invalid_operations)
{
    EXPECT(rn, fp_sub_f32(INF, INF, &env), DEFAULT_NAN, FP_IOC);
    EXPECT(rn, fp_add_f32(INF, INF | MINUS, &env), DEFAULT_NAN, FP_IOC);
    EXPECT(rn, fp_add_f32(INF, INF, &env), INF, 0);
    EXPECT(rn, fp_mul_f32(INF, MINUS, &env), DEFAULT_NAN, FP_IOC);
    EXPECT(rn, fp_mulx_f32(INF, MINUS, &env), TWO | MINUS, 0);
    EXPECT(rn, fp_div_f32(INF, INF, &env), DEFAULT_NAN, FP_IOC);
    EXPECT(rn, fp_div_f32(ZERO, MINUS, &env), DEFAULT_NAN, FP_IOC);
    EXPECT(rn, fp_div_f32(ONE, MINUS, &env), INF | MINUS, FP_DZC);
    EXPECT(rn, fp_div_f32(INF, ZERO, &env), INF, 0);
    EXPECT(rn, fp_div_f32(ONE, INF | MINUS, &env), MINUS, 0);
    EXPECT(rn, fp_sqrt_f32(ONE | MINUS, &env), DEFAULT_NAN, FP_IOC);
    EXPECT(rn, fp_sqrt_f32(MINUS, &env), MINUS, 0);
    EXPECT(rn, fp_muladd_f32(QNAN1, INF, ZERO, &env), DEFAULT_NAN, FP_IOC);
    EXPECT(rn, fp_muladd_f32(SNAN1, INF, ZERO, &env), SNAN1 | QUIET, FP_IOC);
    EXPECT(rn, fp_muladd_f32(INF | MINUS, INF, ONE, &env), DEFAULT_NAN, FP_IOC);
    EXPECT(rn, fp_muladd_f32(ONE, INF, ZERO, &env), DEFAULT_NAN, FP_IOC);
}

Test(fp_special, signs_of_zero)
{
    struct fp_env rm = {.rounding = FP_RM};
    EXPECT(rn, fp_sub_f32(ONE, ONE, &env), ZERO, 0);
    EXPECT(rm, fp_sub_f32(ONE, ONE, &env), MINUS, 0);
    EXPECT(rm, fp_add_f32(ZERO, ZERO, &env), ZERO, 0);
    EXPECT(rn, fp_add_f32(MINUS, MINUS, &env), MINUS, 0);
    EXPECT(rm, fp_muladd_f32(ZERO, MINUS, ONE, &env), MINUS, 0);
    EXPECT(rn, fp_muladd_f32(MINUS, ZERO, ONE, &env), ZERO, 0);
    EXPECT(rn, fp_muladd_f32(MINUS, MINUS, ONE, &env), MINUS, 0);
}

Test(fp_special, flush_to_zero)
{
    struct fp_env fz = {.rounding = FP_RN, .fz = true};
    struct fp_env fz16 = {.rounding = FP_RN, .fz16 = true};
    /* Inputs: IDC, also beside a NaN; the zero keeps its sign. */
    EXPECT(fz, fp_add_f32(MIN_DENORMAL, ONE, &env), ONE, FP_IDC);
    EXPECT(fz, fp_add_f32(MIN_DENORMAL | MINUS, MINUS, &env), MINUS, FP_IDC);
    EXPECT(fz, fp_mul_f32(MIN_DENORMAL, QNAN1, &env), QNAN1, FP_IDC);
    EXPECT(fz, fp_mul_f32(MIN_DENORMAL, INF, &env), DEFAULT_NAN, FP_IDC | FP_IOC);
    EXPECT(fz, fp_compare_f32(MIN_DENORMAL, MINUS, false, &env), 6, FP_IDC);
    EXPECT(fz, fp_max_f32(MIN_DENORMAL, MINUS, &env), ZERO, FP_IDC);
    EXPECT(fz, fp_to_int_f32(MIN_DENORMAL, 32, false, 0, FP_RP, &env), 0, FP_IDC);
    /* Outputs: UFC and nothing else, even if the result would round up to a normal one. */
    EXPECT(fz, fp_mul_f32(MIN_NORMAL, 0x3f000000u, &env), ZERO, FP_UFC);
    EXPECT(fz, fp_mul_f32(MIN_NORMAL | MINUS, 0x3f7fffffu, &env), MINUS, FP_UFC);
    EXPECT(fz, fp_f64_to_f32(UINT64_C(0x380fffffffffffff), &env), ZERO, FP_UFC);
    /* Half precision has a control of its own, without IDC. */
    EXPECT(fz, fp_add_f16(1, 0, &env), 1, 0);
    EXPECT(fz16, fp_add_f16(1, 0x3c00, &env), 0x3c00, 0);
    EXPECT(fz16, fp_mul_f16(0x0400, 0x3800, &env), 0, FP_UFC);
    EXPECT(fz16, fp_f16_to_f32(1, &env), 0x33800000u, 0);
    EXPECT(fz16, fp_f32_to_f16(0x33800000u, &env), 1, 0);
}

Test(fp_special, tininess_before_rounding)
{
    /* Rounds to the smallest normal number, but was below it before: underflow. */
    EXPECT(rn, fp_mul_f32(0x3f7fffffu, MIN_NORMAL, &env), MIN_NORMAL, FP_UFC | FP_IXC);
    /* A denormal result that is exact is no underflow. */
    EXPECT(rn, fp_mul_f32(0x3f000000u, MIN_NORMAL, &env), MIN_NORMAL / 2, 0);
    EXPECT(rn, fp_mul_f32(MIN_DENORMAL, MIN_DENORMAL, &env), ZERO, FP_UFC | FP_IXC);
    struct fp_env rp = {.rounding = FP_RP};
    EXPECT(rp, fp_mul_f32(MIN_DENORMAL, MIN_DENORMAL, &env), MIN_DENORMAL, FP_UFC | FP_IXC);
    EXPECT(rp, fp_mul_f32(MIN_DENORMAL, MIN_DENORMAL | MINUS, &env), MINUS, FP_UFC | FP_IXC);
}

Test(fp_special, overflow_by_rounding_mode)
{
    static const struct {
        enum fp_rounding rounding;
        uint32_t plus, minus;
    } rows[] = {
        {FP_RN, INF, INF | MINUS},
        {FP_RP, INF, MAX_NORMAL | MINUS},
        {FP_RM, MAX_NORMAL, INF | MINUS},
        {FP_RZ, MAX_NORMAL, MAX_NORMAL | MINUS},
        {FP_RO, MAX_NORMAL, MAX_NORMAL | MINUS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fp_env start = {.rounding = (uint8_t)rows[i].rounding};
        EXPECT(start, fp_add_f32(MAX_NORMAL, MAX_NORMAL, &env), rows[i].plus, FP_OFC | FP_IXC);
        EXPECT(start, fp_mul_f32(MAX_NORMAL, TWO | MINUS, &env), rows[i].minus, FP_OFC | FP_IXC);
    }
    /* Half an ulp above the largest number is the tie that becomes infinity. */
    EXPECT(rn, fp_add_f32(MAX_NORMAL, 0x73000000u, &env), INF, FP_OFC | FP_IXC);
    EXPECT(rn, fp_add_f32(MAX_NORMAL, 0x72ffffffu, &env), MAX_NORMAL, FP_IXC);
}

Test(fp_special, fused_rounds_once)
{
    /* (1 + 2^-12)^2 - (1 + 2^-11) = 2^-24, lost if the product were rounded to 24 bits. */
    EXPECT(rn, fp_muladd_f32(0xbf801000u, 0x3f800800u, 0x3f800800u, &env), 0x33800000u, 0);
    /* A tiny addend decides a tie that is 2^-100 away. */
    EXPECT(rn, fp_muladd_f32(0x0d800000u, ONE, 0x3f800001u, &env), 0x3f800001u, FP_IXC);
    struct fp_env rp = {.rounding = FP_RP};
    EXPECT(rp, fp_muladd_f32(0x0d800000u, ONE, 0x3f800001u, &env), 0x3f800002u, FP_IXC);
}

Test(fp_special, comparisons)
{
    EXPECT(rn, fp_compare_f32(ONE, TWO, false, &env), 8, 0);
    EXPECT(rn, fp_compare_f32(ONE | MINUS, TWO | MINUS, false, &env), 2, 0);
    EXPECT(rn, fp_compare_f32(ZERO, MINUS, false, &env), 6, 0);
    EXPECT(rn, fp_compare_f32(ONE, QNAN1, false, &env), 3, 0);
    EXPECT(rn, fp_compare_f32(ONE, QNAN1, true, &env), 3, FP_IOC);
    EXPECT(rn, fp_compare_f32(ONE, SNAN1, false, &env), 3, FP_IOC);
    EXPECT(rn, fp_compare_eq_f32(QNAN1, QNAN1, &env), false, 0);
    EXPECT(rn, fp_compare_eq_f32(SNAN1, ONE, &env), false, FP_IOC);
    EXPECT(rn, fp_compare_ge_f32(QNAN1, ONE, &env), false, FP_IOC);
    EXPECT(rn, fp_compare_gt_f32(ONE, ONE, &env), false, 0);
    EXPECT(rn, fp_compare_ge_f32(ONE, ONE, &env), true, 0);
    EXPECT(rn, fp_compare_f64(UINT64_C(0xfff0000000000000), 0, false, &env), 8, 0);
}

Test(fp_special, min_max)
{
    EXPECT(rn, fp_max_f32(ZERO, MINUS, &env), ZERO, 0);
    EXPECT(rn, fp_min_f32(ZERO, MINUS, &env), MINUS, 0);
    EXPECT(rn, fp_max_f32(INF | MINUS, MAX_NORMAL | MINUS, &env), MAX_NORMAL | MINUS, 0);
    EXPECT(rn, fp_min_f32(ONE, QNAN2, &env), QNAN2, 0);
    EXPECT(rn, fp_maxnum_f32(QNAN1, ONE | MINUS, &env), ONE | MINUS, 0);
    EXPECT(rn, fp_minnum_f32(ONE, QNAN1, &env), ONE, 0);
    EXPECT(rn, fp_minnum_f32(QNAN2, QNAN1, &env), QNAN2, 0);
    EXPECT(rn, fp_maxnum_f32(QNAN1, SNAN2, &env), SNAN2 | QUIET, FP_IOC);
    EXPECT(rn, fp_maxnum_f32(ONE, SNAN1, &env), SNAN1 | QUIET, FP_IOC);
}

Test(fp_special, to_integer)
{
    EXPECT(rn, fp_to_int_f32(0x4f000000u, 32, false, 0, FP_RZ, &env), 0x7fffffff, FP_IOC);
    EXPECT(rn, fp_to_int_f32(0xcf000000u, 32, false, 0, FP_RZ, &env), (uint64_t)INT32_MIN, 0);
    EXPECT(rn, fp_to_int_f32(0xcf000001u, 32, false, 0, FP_RZ, &env), (uint64_t)INT32_MIN, FP_IOC);
    EXPECT(rn, fp_to_int_f32(QNAN1, 32, false, 0, FP_RZ, &env), 0, FP_IOC);
    EXPECT(rn, fp_to_int_f32(INF | MINUS, 32, true, 0, FP_RZ, &env), 0, FP_IOC);
    EXPECT(rn, fp_to_int_f32(INF, 16, true, 0, FP_RZ, &env), 0xffff, FP_IOC);
    /* -0.5 is inexact towards zero, invalid for unsigned only if it rounds to -1. */
    EXPECT(rn, fp_to_int_f32(0xbf000000u, 32, true, 0, FP_RZ, &env), 0, FP_IXC);
    EXPECT(rn, fp_to_int_f32(0xbf000000u, 32, true, 0, FP_RM, &env), 0, FP_IOC);
    EXPECT(rn, fp_to_int_f32(0x3f000000u, 32, false, 0, FP_RN, &env), 0, FP_IXC);
    EXPECT(rn, fp_to_int_f32(0x3f000000u, 32, false, 0, FP_RA, &env), 1, FP_IXC);
    EXPECT(rn, fp_to_int_f32(0x3fc00000u, 32, false, 0, FP_RN, &env), 2, FP_IXC);
    EXPECT(rn, fp_to_int_f32(0x3fc00000u, 16, false, 1, FP_RZ, &env), 3, 0);
    EXPECT(rn, fp_to_int_f64(UINT64_C(0x41dfffffffe00000), 32, false, 0, FP_RN, &env), 0x7fffffff,
           FP_IOC);
    EXPECT(rn, fp_to_int_f64(UINT64_C(0x43e0000000000000), 64, true, 0, FP_RZ, &env),
           UINT64_C(1) << 63, 0);
    EXPECT(rn, fp_to_int_f64(UINT64_C(0x43f0000000000000), 64, true, 0, FP_RZ, &env), UINT64_MAX,
           FP_IOC);
    EXPECT(rn, fp_to_int_f64(UINT64_C(0xc3e0000000000000), 64, false, 0, FP_RZ, &env),
           UINT64_C(1) << 63, 0);
    EXPECT(rn, fp_to_int_f64(1, 64, false, 64, FP_RP, &env), 1, FP_IXC);
}

Test(fp_special, from_integer)
{
    EXPECT(rn, fp_from_int_f32((uint64_t)-1, false, 0, FP_RN, &env), ONE | MINUS, 0);
    EXPECT(rn, fp_from_int_f32(UINT64_MAX, true, 0, FP_RN, &env), 0x5f800000u, FP_IXC);
    EXPECT(rn, fp_from_int_f32(0x01000001u, true, 0, FP_RN, &env), 0x4b800000u, FP_IXC);
    EXPECT(rn, fp_from_int_f32(0x01000001u, true, 0, FP_RP, &env), 0x4b800001u, FP_IXC);
    EXPECT(rn, fp_from_int_f64(UINT64_C(1) << 63, false, 63, FP_RN, &env),
           UINT64_C(0xbff0000000000000), 0);
    EXPECT(rn, fp_from_int_f16(65520, true, 0, FP_RN, &env), 0x7c00, FP_OFC | FP_IXC);
    EXPECT(rn, fp_from_int_f32(0, false, 7, FP_RM, &env), ZERO, 0);
}

Test(fp_special, round_to_integral)
{
    EXPECT(rn, fp_round_int_f32(0xbf000000u, FP_RN, true, &env), MINUS, FP_IXC);
    EXPECT(rn, fp_round_int_f32(0xbf000000u, FP_RA, false, &env), ONE | MINUS, 0);
    EXPECT(rn, fp_round_int_f32(0x3f800001u, FP_RP, false, &env), TWO, 0);
    EXPECT(rn, fp_round_int_f32(INF | MINUS, FP_RZ, true, &env), INF | MINUS, 0);
    EXPECT(rn, fp_round_int_f32(SNAN1, FP_RZ, false, &env), SNAN1 | QUIET, FP_IOC);
    EXPECT(rn, fp_round_int_f64(UINT64_C(0x432fffffffffffff), FP_RN, true, &env),
           UINT64_C(0x4330000000000000), FP_IXC);
}

Test(fp_special, half_precision)
{
    struct fp_env ahp = {.rounding = FP_RN, .ahp = true};
    EXPECT(rn, fp_f16_to_f32(0x7c00, &env), INF, 0);
    EXPECT(ahp, fp_f16_to_f32(0x7c00, &env), 0x47800000u, 0); /* 65536 */
    EXPECT(ahp, fp_f16_to_f32(0xffff, &env), 0xc7ffe000u, 0); /* -131008 */
    EXPECT(rn, fp_f32_to_f16(0x477ff000u, &env), 0x7c00, FP_OFC | FP_IXC);
    EXPECT(ahp, fp_f32_to_f16(0x477ff000u, &env), 0x7c00, FP_IXC);
    EXPECT(ahp, fp_f32_to_f16(0x48000000u, &env), 0x7fff, FP_IOC);
    EXPECT(ahp, fp_f32_to_f16(INF | MINUS, &env), 0xffff, FP_IOC);
    EXPECT(ahp, fp_f32_to_f16(QNAN2, &env), 0x8000, FP_IOC);
    EXPECT(rn, fp_f32_to_f16(0xffc02000u, &env), 0xfe01, 0);
    EXPECT(rn, fp_f32_to_f16(0x7f802000u, &env), 0x7e01, FP_IOC);
    EXPECT(rn, fp_f16_to_f64(0xfc01, &env), UINT64_C(0xfff8040000000000), FP_IOC);
    EXPECT(rn, fp_f64_to_f16(UINT64_C(0x3e60000000000000), &env), 0, FP_UFC | FP_IXC);
}

Test(fp_special, single_and_double)
{
    EXPECT(rn, fp_f32_to_f64(SNAN2, &env), UINT64_C(0xfff8000880000000), FP_IOC);
    EXPECT(rn, fp_f64_to_f32(UINT64_C(0x7ff0000000000001), &env), DEFAULT_NAN, FP_IOC);
    EXPECT(rn, fp_f32_to_f64(MIN_DENORMAL, &env), UINT64_C(0x36a0000000000000), 0);
    EXPECT(standard, fp_f32_to_f64(MIN_DENORMAL, &env), 0, FP_IDC);
    /* FCVTXN: to odd, so that a second rounding is harmless. */
    struct fp_env odd = {.rounding = FP_RO};
    EXPECT(odd, fp_f64_to_f32(UINT64_C(0x3ff0000000000001), &env), 0x3f800001u, FP_IXC);
    EXPECT(odd, fp_f64_to_f32(UINT64_C(0x3ff0000030000000), &env), 0x3f800001u, FP_IXC);
    EXPECT(odd, fp_f64_to_f32(UINT64_C(0x3ff0000040000000), &env), 0x3f800002u, 0);
}

Test(fp_special, estimates)
{
    EXPECT(standard, fp_recip_estimate_f32(ONE, &env), 0x3f7f8000u, 0);
    EXPECT(standard, fp_recip_estimate_f32(TWO, &env), 0x3eff8000u, 0);
    EXPECT(standard, fp_recip_estimate_f32(MINUS, &env), INF | MINUS, FP_DZC);
    EXPECT(standard, fp_recip_estimate_f32(MIN_DENORMAL, &env), INF, FP_DZC | FP_IDC);
    EXPECT(standard, fp_recip_estimate_f32(INF | MINUS, &env), MINUS, 0);
    EXPECT(standard, fp_recip_estimate_f32(0x7e800000u, &env), ZERO, FP_UFC);
    EXPECT(rn, fp_recip_estimate_f32(0x7e800000u, &env), 0x007fc000u, 0);
    EXPECT(rn, fp_recip_estimate_f32(MIN_DENORMAL, &env), INF, FP_OFC | FP_IXC);
    EXPECT(standard, fp_rsqrt_estimate_f32(ONE, &env), 0x3f7f8000u, 0);
    EXPECT(standard, fp_rsqrt_estimate_f32(0x40800000u, &env), 0x3eff8000u, 0);
    EXPECT(standard, fp_rsqrt_estimate_f32(MINUS, &env), INF | MINUS, FP_DZC);
    EXPECT(standard, fp_rsqrt_estimate_f32(ONE | MINUS, &env), DEFAULT_NAN, FP_IOC);
    EXPECT(standard, fp_rsqrt_estimate_f32(INF, &env), ZERO, 0);
    EXPECT(rn, fp_rsqrt_estimate_f32(MIN_DENORMAL, &env), 0x64b48000u, 0);
    EXPECT(rn, fp_recip_estimate_u32(0x80000000u), 0xff800000u, 0);
    EXPECT(rn, fp_recip_estimate_u32(0x7fffffffu), 0xffffffffu, 0);
    EXPECT(rn, fp_recip_estimate_u32(0xffffffffu), 0x80000000u, 0);
    EXPECT(rn, fp_rsqrt_estimate_u32(0x40000000u), 0xff800000u, 0);
    EXPECT(rn, fp_rsqrt_estimate_u32(0x3fffffffu), 0xffffffffu, 0);
    EXPECT(rn, fp_recpx_f32(0x40490fdbu, &env), 0x3f800000u, 0);
    EXPECT(rn, fp_recpx_f32(MIN_DENORMAL | MINUS, &env), 0xff000000u, 0);
}

Test(fp_special, steps)
{
    EXPECT(standard, fp_recip_step_f32(ZERO, INF | MINUS, &env), TWO, 0);
    EXPECT(standard, fp_rsqrt_step_f32(INF, MINUS, &env), 0x3fc00000u, 0);
    EXPECT(standard, fp_recip_step_f32(INF, ONE, &env), INF | MINUS, 0);
    EXPECT(standard, fp_recip_step_f32(ONE, ONE, &env), ONE, 0);
    EXPECT(standard, fp_rsqrt_step_f32(ONE, ONE, &env), ONE, 0);
    EXPECT(standard, fp_rsqrt_step_f32(THREE, ONE, &env), ZERO, 0);
    EXPECT(rn, fp_recip_step_fused_f32(QNAN1, ONE, &env), QNAN1 | MINUS, 0);
    EXPECT(rn, fp_recip_step_fused_f32(INF, ZERO, &env), TWO, 0);
    EXPECT(rn, fp_rsqrt_step_fused_f32(INF, ONE, &env), INF | MINUS, 0);
    /* The product 1 - 2^-46 rounds to 1 in the two-step form only. */
    EXPECT(rn, fp_recip_step_f32(0x3f800001u, 0x3f7ffffeu, &env), ONE, FP_IXC);
    EXPECT(
        rn,
        fp_recip_step_fused_f64(UINT64_C(0x3ff0000000000001), UINT64_C(0x4000000000000000), &env),
        UINT64_C(0xbcc0000000000000), 0);
}
