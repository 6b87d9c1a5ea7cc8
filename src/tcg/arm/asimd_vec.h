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

/* Lane `index` of a D register in all lanes: the scalar operand of the by-scalar forms. */
static inline union asimd_vec asimd_broadcast(const struct vcpu *v, unsigned d, unsigned index,
                                              unsigned size)
{
    uint64_t lane = v->vfp.d[d] >> (8 * size * index);
    uint64_t all = size == 2 ? (lane & 0xffff) * 0x0001000100010001u
                             : (lane & 0xffffffff) * 0x0000000100000001u;

    return (union asimd_vec){.u64 = {all, all}};
}

/*
 * The second operand. An immediate of 1 + index makes it a scalar of fm (lanes of `size` bytes, 2
 * or 4); 0 is the whole register.
 */
static inline union asimd_vec asimd_operand_m(const struct vcpu *v, uint32_t arg, unsigned q,
                                              unsigned size)
{
    if (ARG_IMM(arg)) {
        return asimd_broadcast(v, ARG_FM(arg), ARG_IMM(arg) - 1, size);
    }
    return asimd_read(v, ARG_FM(arg), q);
}

static inline void asimd_saturated(struct vcpu *v, bool qc)
{
    if (qc) {
        v->fpscr_rest |= ASIMD_QC;
    }
}

#define ASIMD_LANES(lane) (16 / sizeof((union asimd_vec *)0)->lane[0])
