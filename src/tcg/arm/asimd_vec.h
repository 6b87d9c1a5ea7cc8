/* SPDX-License-Identifier: MIT */
/*
 * Register values as the Advanced SIMD helpers compute with them: a vector by lanes of each type. A
 * D register fills the low half and the rest is zero; helpers compute all lanes of 16 bytes (a
 * constant count, which the compiler turns into vector code) and write back 8 or 16 bytes.
 */
#pragma once

#include "asimd.h"

#include <immintrin.h>
#include <string.h>

union asimd_vec {
    uint8_t u8[16];
    uint16_t u16[8];
    uint32_t u32[4];
    uint64_t u64[2];
    int8_t s8[16];
    int16_t s16[8];
    int32_t s32[4];
    int64_t s64[2];
    __m128 f32;
};

static inline union asimd_vec asimd_read(const struct vcpu *v, unsigned d, unsigned q)
{
    union asimd_vec x = {.u64 = {v->vfp.d[d], q ? v->vfp.d[d | 1] : 0}};

    return x;
}

static inline void asimd_write(struct vcpu *v, unsigned d, unsigned q, const union asimd_vec *x)
{
    v->vfp.d[d] = x->u64[0];
    if (q) {
        v->vfp.d[d | 1] = x->u64[1];
    }
}

static inline void asimd_saturated(struct vcpu *v, bool qc)
{
    if (qc) {
        v->fpscr_rest |= ASIMD_QC;
    }
}

#define ASIMD_LANES(lane) (16 / sizeof((union asimd_vec *)0)->lane[0])
