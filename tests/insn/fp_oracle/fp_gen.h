/* SPDX-License-Identifier: MIT */
/*
 * Seeded operands for floating-point tests, biased towards the edges: specials, denormals,
 * exponents at the ends of ranges and of integer conversions, sparse fractions (ties), and second
 * and third operands close to what cancels. One struct fp_gen per test, not shared between threads.
 */
#pragma once

#include <stdint.h>

#include "fp/fp.h"

enum fp_operand {
    FP_OPERAND_F16,
    FP_OPERAND_F32,
    FP_OPERAND_F64,
    FP_OPERAND_I16,
    FP_OPERAND_I32,
    FP_OPERAND_I64,
};

static inline unsigned fp_operand_bits(enum fp_operand kind)
{
    return 16u << kind % 3;
}

static inline bool fp_operand_is_int(enum fp_operand kind)
{
    return kind >= FP_OPERAND_I16;
}

struct fp_gen {
    uint64_t state;
};

/* SplitMix64. */
static inline uint64_t fp_gen_u64(struct fp_gen *g)
{
    uint64_t z = g->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline unsigned fp_gen_below(struct fp_gen *g, unsigned n)
{
    return (unsigned)(fp_gen_u64(g) % n);
}

/* Up to `count` random bits set or cleared at random places of an all-zero or all-one word. */
static inline uint64_t fp_gen_sparse(struct fp_gen *g, unsigned count)
{
    uint64_t v = 0;
    for (unsigned i = fp_gen_below(g, count + 1); i > 0; i--) {
        v |= UINT64_C(1) << fp_gen_below(g, 64);
    }
    return fp_gen_below(g, 3) == 0 ? ~v : v;
}

static inline uint64_t fp_gen_int(struct fp_gen *g)
{
    switch (fp_gen_below(g, 4)) {
    case 0:
        return fp_gen_u64(g);
    case 1:
        return fp_gen_sparse(g, 3);
    case 2: /* near a power of two, either sign */
        return ((fp_gen_below(g, 2) != 0 ? UINT64_MAX : 1) << fp_gen_below(g, 64)) +
               (uint64_t)fp_gen_below(g, 5) - 2;
    default:
        return fp_gen_u64(g) >> fp_gen_below(g, 64);
    }
}

struct fp_gen_format {
    unsigned bits, frac_bits, exp_max, bias;
};

static inline struct fp_gen_format fp_gen_format(enum fp_operand kind)
{
    switch (kind) {
    case FP_OPERAND_F16:
        return (struct fp_gen_format){16, 10, 31, 15};
    case FP_OPERAND_F32:
        return (struct fp_gen_format){32, 23, 255, 127};
    default:
        return (struct fp_gen_format){64, 52, 2047, 1023};
    }
}

/* An exponent field: any, at the ends of the range, around one, or where integers overflow. */
static inline uint64_t fp_gen_exp(struct fp_gen *g, struct fp_gen_format f)
{
    static const unsigned char integer_widths[] = {0, 7, 8, 15, 16, 31, 32, 63, 64};
    switch (fp_gen_below(g, 5)) {
    case 0:
        return fp_gen_below(g, f.exp_max + 1);
    case 1:
        return fp_gen_below(g, 3);
    case 2:
        return f.exp_max - fp_gen_below(g, 4);
    case 3:
        return f.bias - 4 + fp_gen_below(g, f.frac_bits < 20 ? 12 : f.frac_bits + 8);
    default: {
        unsigned e = f.bias + integer_widths[fp_gen_below(g, sizeof integer_widths)] - 1;
        return e < f.exp_max ? e : f.exp_max - 1;
    }
    }
}

/* Zero, denormals, ends of the normal range, one, two, three halves, infinity, NaNs. */
static inline uint64_t fp_gen_special(struct fp_gen *g, struct fp_gen_format f)
{
    uint64_t one_exp = UINT64_C(1) << f.frac_bits;
    uint64_t half_frac = one_exp >> 1;
    uint64_t inf = (uint64_t)f.exp_max << f.frac_bits;
    uint64_t one = (uint64_t)f.bias << f.frac_bits;
    const uint64_t table[] = {
        0,
        0,
        1,
        half_frac,
        one_exp - 1,
        one_exp,
        one_exp + 1,
        one,
        one + 1,
        one - 1,
        one + one_exp,
        one + half_frac,
        inf - 1,
        inf,
        inf,
        inf + 1,
        inf + half_frac,
        inf + half_frac + 1,
        inf + half_frac - 1,
        inf + half_frac + (fp_gen_u64(g) & (half_frac - 1)),
        inf + 1 + (fp_gen_u64(g) & (half_frac - 2)),
    };
    return table[fp_gen_below(g, sizeof table / sizeof table[0])];
}

static inline uint64_t fp_gen_float(struct fp_gen *g, enum fp_operand kind)
{
    struct fp_gen_format f = fp_gen_format(kind);
    uint64_t sign = (fp_gen_u64(g) & 1) << (f.bits - 1);
    uint64_t frac_mask = (UINT64_C(1) << f.frac_bits) - 1;

    switch (fp_gen_below(g, 4)) {
    case 0:
        return sign | fp_gen_special(g, f);
    case 1:
        return fp_gen_u64(g) >> (64 - f.bits);
    case 2:
        return sign | fp_gen_exp(g, f) << f.frac_bits | (fp_gen_u64(g) & frac_mask);
    default:
        return sign | fp_gen_exp(g, f) << f.frac_bits | (fp_gen_sparse(g, 3) & frac_mask);
    }
}

static inline uint64_t fp_gen_operand(struct fp_gen *g, enum fp_operand kind)
{
    return fp_operand_is_int(kind) ? fp_gen_int(g) : fp_gen_float(g, kind);
}

/* A value a few units away from v, of either sign: sums and differences with v cancel. */
static inline uint64_t fp_gen_near(struct fp_gen *g, enum fp_operand kind, uint64_t v)
{
    struct fp_gen_format f = fp_gen_format(kind);
    v += fp_gen_below(g, 3) == 0 ? 0 : (uint64_t)fp_gen_below(g, 9) - 4;
    v += (uint64_t)fp_gen_below(g, 3) << f.frac_bits;
    v ^= (fp_gen_u64(g) & 1) << (f.bits - 1);
    return f.bits == 64 ? v : v & ((UINT64_C(1) << f.bits) - 1);
}

static inline uint64_t fp_gen_product(enum fp_operand kind, uint64_t a, uint64_t b)
{
    struct fp_env env = {.rounding = FP_RZ};
    switch (kind) {
    case FP_OPERAND_F16:
        return fp_mul_f16((uint16_t)a, (uint16_t)b, &env);
    case FP_OPERAND_F32:
        return fp_mul_f32((uint32_t)a, (uint32_t)b, &env);
    default:
        return fp_mul_f64(a, b, &env);
    }
}

/* Three operands: b sometimes close to a, c sometimes close to a * b. */
static inline void fp_gen_operands(struct fp_gen *g, enum fp_operand kind, uint64_t v[3])
{
    for (unsigned i = 0; i < 3; i++) {
        v[i] = fp_gen_operand(g, kind);
    }
    if (fp_operand_is_int(kind)) {
        return;
    }
    if (fp_gen_below(g, 4) == 0) {
        v[1] = fp_gen_near(g, kind, v[0]);
    }
    if (fp_gen_below(g, 3) == 0) {
        v[2] = fp_gen_near(g, kind, fp_gen_product(kind, v[0], v[1]));
    }
}

/* FPSCR: any rounding mode and controls; flags mostly clear, else random. */
static inline uint32_t fp_gen_fpscr(struct fp_gen *g)
{
    uint32_t controls = (uint32_t)fp_gen_u64(g) & 0x07c80000u; /* AHP, DN, FZ, RMode, FZ16 */
    return controls | (fp_gen_below(g, 4) == 0 ? (uint32_t)fp_gen_u64(g) & FP_ALL_FLAGS : 0);
}
