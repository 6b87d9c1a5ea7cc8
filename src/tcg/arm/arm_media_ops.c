/* SPDX-License-Identifier: MIT */
/*
 * Parallel addition and subtraction, 16-bit saturation and sums of absolute differences, lane by
 * lane as the manual's pseudocode has them. Pure functions, any thread; called from generated code.
 * Arm ARM A8.8.113-A8.8.280: SADD16 ... UHSUB8, SSAT16, USAT16, USAD8, USADA8; A2.4 (GE flags).
 */
#include "arm_media.h"

/* One lane before it is narrowed: operands extended as the kind asks, added or subtracted. */
enum lane_kind { KIND_S, KIND_Q, KIND_SH, KIND_U, KIND_UQ, KIND_UH };

struct lane_result {
    uint32_t value;
    bool ge;
};

static int32_t extend(uint32_t v, unsigned bits, bool is_signed)
{
    v &= (1u << bits) - 1;
    if (is_signed && (v >> (bits - 1))) {
        return (int32_t)v - (int32_t)(1u << bits);
    }
    return (int32_t)v;
}

static int32_t clamp(int32_t v, int32_t min, int32_t max)
{
    return v < min ? min : v > max ? max : v;
}

static inline __attribute__((always_inline)) struct lane_result
lane_op(enum lane_kind kind, unsigned bits, uint32_t n, uint32_t m, bool subtract)
{
    bool is_signed = kind <= KIND_SH;
    int32_t x = extend(n, bits, is_signed);
    int32_t y = extend(m, bits, is_signed);
    int32_t v = subtract ? x - y : x + y;
    struct lane_result r;

    /* Signed and unsigned subtraction: not negative; unsigned addition: carry out. */
    r.ge = kind == KIND_U && !subtract ? v >= 1 << bits : v >= 0;
    switch (kind) {
    case KIND_Q:
        v = clamp(v, -(1 << (bits - 1)), (1 << (bits - 1)) - 1);
        break;
    case KIND_UQ:
        v = clamp(v, 0, (1 << bits) - 1);
        break;
    case KIND_SH:
    case KIND_UH:
        v >>= 1;
        break;
    default:
        break;
    }
    r.value = (uint32_t)v & ((1u << bits) - 1);
    return r;
}

/* Halfwords: `subtract` bit 0 for the low lane, bit 1 for the high one; `cross` exchanges m's
 * halves. */
static inline __attribute__((always_inline)) uint64_t
parallel16(enum lane_kind kind, uint32_t n, uint32_t m, unsigned subtract, bool cross)
{
    struct lane_result lo, hi;

    if (cross) {
        m = m >> 16 | m << 16;
    }
    lo = lane_op(kind, 16, n, m, subtract & 1);
    hi = lane_op(kind, 16, n >> 16, m >> 16, subtract & 2);
    return lo.value | hi.value << 16 | (uint64_t)((lo.ge ? 3u : 0) | (hi.ge ? 12u : 0)) << 32;
}

static inline __attribute__((always_inline)) uint64_t parallel8(enum lane_kind kind, uint32_t n,
                                                                uint32_t m, bool subtract)
{
    uint64_t result = 0;

    for (unsigned i = 0; i < 4; i++) {
        struct lane_result r = lane_op(kind, 8, n >> 8 * i, m >> 8 * i, subtract);

        result |= (uint64_t)r.value << 8 * i | (uint64_t)r.ge << (32 + i);
    }
    return result;
}

#define OP_ADD16(kind, n, m) parallel16(kind, n, m, 0, false)
#define OP_SUB16(kind, n, m) parallel16(kind, n, m, 3, false)
#define OP_ASX(kind, n, m)   parallel16(kind, n, m, 1, true)
#define OP_SAX(kind, n, m)   parallel16(kind, n, m, 2, true)
#define OP_ADD8(kind, n, m)  parallel8(kind, n, m, false)
#define OP_SUB8(kind, n, m)  parallel8(kind, n, m, true)

#define DEFINE(kind, op)                                                  \
    uint64_t arm_media_##kind##op(struct vcpu *v, uint32_t n, uint32_t m) \
    {                                                                     \
        (void)v;                                                          \
        return OP_##op(KIND_##kind, n, m);                                \
    }
#define DEFINE_ALL(op) ARM_PARALLEL_KINDS(DEFINE, op)
ARM_PARALLEL_OPS(DEFINE_ALL)

static uint64_t saturate16(uint32_t n, int32_t min, int32_t max)
{
    int32_t x = extend(n, 16, true), y = extend(n >> 16, 16, true);
    int32_t lo = clamp(x, min, max), hi = clamp(y, min, max);
    uint64_t saturated = lo != x || hi != y;

    return ((uint32_t)lo & 0xffff) | (uint32_t)hi << 16 | saturated << 32;
}

uint64_t arm_media_ssat16(struct vcpu *v, uint32_t n, uint32_t bits)
{
    (void)v;
    return saturate16(n, -(1 << (bits - 1)), (1 << (bits - 1)) - 1);
}

uint64_t arm_media_usat16(struct vcpu *v, uint32_t n, uint32_t bits)
{
    (void)v;
    return saturate16(n, 0, (1 << bits) - 1);
}

uint32_t arm_media_usada8(struct vcpu *v, uint32_t n, uint32_t m, uint32_t acc)
{
    (void)v;
    for (unsigned i = 0; i < 32; i += 8) {
        uint32_t x = n >> i & 0xff, y = m >> i & 0xff;

        acc += x > y ? x - y : y - x;
    }
    return acc;
}
