/* SPDX-License-Identifier: MIT */
/*
 * Advanced SIMD arithmetic on the host's vectors, for the operands where it is provably ARM's: all
 * lanes zero or normal numbers, and results that are zero, normal above the smallest normal number,
 * or infinite by overflow. Neither NaNs nor flushing to zero (A2.7.5) are in play then, and the
 * flags that the host raises in MXCSR, which is the guest's, are those of FPSCR.
 *
 * Each function gives *r, or false: the lanes have to be computed one by one, and MXCSR put back.
 */
#pragma once

#include <immintrin.h>
#include <stdbool.h>

static inline __m128i asimd_host_bits(__m128 x)
{
    return _mm_castps_si128(x);
}

/* Lanes that are +0 or -0, as masks. */
static inline __m128i asimd_host_zero(__m128 x)
{
    return _mm_cmpeq_epi32(_mm_slli_epi32(asimd_host_bits(x), 1), _mm_setzero_si128());
}

static inline bool asimd_host_none(__m128i mask)
{
    return _mm_movemask_epi8(mask) == 0;
}

/* No subnormal number, infinity or NaN. */
static inline bool asimd_host_fits(__m128 x)
{
    const __m128i infinity = _mm_set1_epi32(0x7f800000);
    __m128i exponent = _mm_and_si128(asimd_host_bits(x), infinity);
    __m128i low = _mm_cmpeq_epi32(exponent, _mm_setzero_si128());

    return asimd_host_none(_mm_or_si128(_mm_cmpeq_epi32(exponent, infinity),
                                        _mm_andnot_si128(asimd_host_zero(x), low)));
}

/* Lanes of a magnitude from the smallest subnormal to the smallest normal number. */
static inline __m128i asimd_host_tiny(__m128 x)
{
    const __m128i flip = _mm_set1_epi32((int)0x80000000u);
    __m128i magnitude = _mm_slli_epi32(asimd_host_bits(x), 1);
    __m128i below = _mm_sub_epi32(magnitude, _mm_set1_epi32(1)); /* zero: the highest number */

    return _mm_cmpgt_epi32(_mm_set1_epi32((int)0x81000000u), _mm_xor_si128(below, flip));
}

/* Keeps the compiler from moving arithmetic on x across reads and writes of MXCSR. */
static inline __m128 asimd_host_pin(__m128 x)
{
    __asm__ volatile("" : "+x"(x));
    return x;
}

/* A product is zero only when a factor is; else it vanished. */
static inline bool asimd_host_product_good(__m128 x, __m128 y, __m128 r)
{
    __m128i factor = _mm_or_si128(asimd_host_zero(x), asimd_host_zero(y));

    return asimd_host_none(
        _mm_or_si128(asimd_host_tiny(r), _mm_andnot_si128(factor, asimd_host_zero(r))));
}

static inline bool asimd_host_add(__m128 x, __m128 y, __m128 old, __m128 *r)
{
    (void)old;
    *r = asimd_host_pin(_mm_add_ps(x, y));
    return asimd_host_none(asimd_host_tiny(*r));
}

static inline bool asimd_host_sub(__m128 x, __m128 y, __m128 old, __m128 *r)
{
    (void)old;
    *r = asimd_host_pin(_mm_sub_ps(x, y));
    return asimd_host_none(asimd_host_tiny(*r));
}

static inline bool asimd_host_mul(__m128 x, __m128 y, __m128 old, __m128 *r)
{
    (void)old;
    *r = asimd_host_pin(_mm_mul_ps(x, y));
    return asimd_host_product_good(x, y, *r);
}

static inline bool asimd_host_mla(__m128 x, __m128 y, __m128 old, __m128 *r)
{
    __m128 product = asimd_host_pin(_mm_mul_ps(x, y));

    return asimd_host_fits(old) && asimd_host_product_good(x, y, product) &&
           asimd_host_add(old, product, old, r);
}

static inline bool asimd_host_mls(__m128 x, __m128 y, __m128 old, __m128 *r)
{
    __m128 product = asimd_host_pin(_mm_mul_ps(x, y));

    return asimd_host_fits(old) && asimd_host_product_good(x, y, product) &&
           asimd_host_sub(old, product, old, r);
}

__attribute__((target("fma"))) static inline bool asimd_host_fused(__m128 x, __m128 y, __m128 old,
                                                                   __m128 *r)
{
    *r = asimd_host_pin(_mm_fmadd_ps(x, y, old));
    return asimd_host_product_good(x, y, *r);
}

static inline bool asimd_host_fma(__m128 x, __m128 y, __m128 old, __m128 *r)
{
    return __builtin_cpu_supports("fma") && asimd_host_fits(old) && asimd_host_fused(x, y, old, r);
}

static inline bool asimd_host_fms(__m128 x, __m128 y, __m128 old, __m128 *r)
{
    return asimd_host_fma(_mm_xor_ps(x, _mm_set1_ps(-0.0f)), y, old, r);
}
