/* SPDX-License-Identifier: MIT */
/*
 * Shifts of one lane as the Arm ARM's pseudocode has them, for each lane type: by a signed amount
 * from a register, and right by an immediate of 1 to the lane's width. `qc` is set on saturation.
 * Pure functions.
 */
#pragma once

#include "base/types.h"

/*
 * The pseudocode has unlimited precision, which matters in two places: the rounding constant may
 * carry out of the lane (so the last bit shifted out is added after the shift), and amounts may
 * exceed the width.
 */
#define ASIMD_SHIFTS(lane, type, utype, bits, is_signed)                                          \
    static inline type lane_shr_##lane(type x, unsigned n) /* n >= 1 */                           \
    {                                                                                             \
        if (n >= (bits)) {                                                                        \
            return is_signed ? (type)(x >> ((bits)-1)) : 0;                                       \
        }                                                                                         \
        return (type)(x >> n);                                                                    \
    }                                                                                             \
    static inline type lane_rshr_##lane(type x, unsigned n) /* n >= 1 */                          \
    {                                                                                             \
        if (n > (bits) || (n == (bits) && is_signed)) {                                           \
            return 0;                                                                             \
        }                                                                                         \
        return (type)(lane_shr_##lane(x, n) + (x >> (n - 1) & 1));                                \
    }                                                                                             \
    static inline type lane_shl_##lane(type x, unsigned n)                                        \
    {                                                                                             \
        return n >= (bits) ? 0 : (type)((utype)x << n);                                           \
    }                                                                                             \
    static inline type lane_qshl_##lane(type x, unsigned n, bool *qc)                             \
    {                                                                                             \
        type r = lane_shl_##lane(x, n);                                                           \
                                                                                                  \
        if (x == 0 || (n < (bits) && (type)(r >> n) == x)) {                                      \
            return r;                                                                             \
        }                                                                                         \
        *qc = true;                                                                               \
        if (is_signed) {                                                                          \
            /* the highest value, or one more: the lowest */                                      \
            return (type)((((utype)1 << ((bits)-1)) - 1) + ((utype)x >> ((bits)-1)));             \
        }                                                                                         \
        return (type) ~(utype)0;                                                                  \
    }                                                                                             \
    static inline type lane_by_reg_##lane(type x, type amount, bool round, bool saturate,         \
                                          bool *qc)                                               \
    {                                                                                             \
        int n = (int8_t)amount;                                                                   \
                                                                                                  \
        if (n < 0) {                                                                              \
            return round ? lane_rshr_##lane(x, (unsigned)-n) : lane_shr_##lane(x, (unsigned)-n);  \
        }                                                                                         \
        return saturate ? lane_qshl_##lane(x, (unsigned)n, qc) : lane_shl_##lane(x, (unsigned)n); \
    }

ASIMD_SHIFTS(s8, int8_t, uint8_t, 8, true)
ASIMD_SHIFTS(s16, int16_t, uint16_t, 16, true)
ASIMD_SHIFTS(s32, int32_t, uint32_t, 32, true)
ASIMD_SHIFTS(s64, int64_t, uint64_t, 64, true)
ASIMD_SHIFTS(u8, uint8_t, uint8_t, 8, false)
ASIMD_SHIFTS(u16, uint16_t, uint16_t, 16, false)
ASIMD_SHIFTS(u32, uint32_t, uint32_t, 32, false)
ASIMD_SHIFTS(u64, uint64_t, uint64_t, 64, false)
