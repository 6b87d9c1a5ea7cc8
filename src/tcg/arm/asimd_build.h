/* SPDX-License-Identifier: MIT */
/*
 * Building blocks of Advanced SIMD operations in the IR: lanes of 2^size bytes, constants, widening
 * and narrowing, saturation. What they need is SSE2 unless they say so. Used inside src/tcg/arm
 * only.
 */
#pragma once

#include "asimd.h"

static inline ir_ref asimd_vop(struct arm_ctx *s, enum ir_op op, unsigned lane, ir_ref x, ir_ref y)
{
    return ir_vop(s->b, op, lane, x, y, 0);
}

/* An op with an immediate: shifts, VSHUFD. */
static inline ir_ref asimd_vopi(struct arm_ctx *s, enum ir_op op, unsigned lane, ir_ref x,
                                unsigned imm)
{
    return ir_vop(s->b, op, lane, x, 0, imm);
}

static inline ir_ref asimd_zero(struct arm_ctx *s)
{
    return ir_op1(s->b, IR_ITOV, arm_imm(s, 0));
}

static inline ir_ref asimd_ones(struct arm_ctx *s)
{
    return asimd_vop(s, IR_VCMPEQ, 4, asimd_zero(s), asimd_zero(s));
}

static inline ir_ref asimd_not(struct arm_ctx *s, ir_ref x)
{
    return asimd_vop(s, IR_VXOR, 8, x, asimd_ones(s));
}

/* A constant in all lanes of 1, 2 or 4 bytes. */
static inline ir_ref asimd_lanes(struct arm_ctx *s, unsigned lane, uint32_t value)
{
    if (lane < 4) {
        value &= (1u << 8 * lane) - 1;
    }
    return ir_vop(s->b, IR_VDUP, lane, arm_imm(s, value), 0, 0);
}

/* mask ? ones : zeros, bit by bit */
static inline ir_ref asimd_select(struct arm_ctx *s, ir_ref mask, ir_ref ones, ir_ref zeros)
{
    return asimd_vop(s, IR_VOR, 8, asimd_vop(s, IR_VAND, 8, ones, mask),
                     asimd_vop(s, IR_VANDN, 8, zeros, mask));
}

/* Lanes of 2^size bytes that are all sign. */
static inline ir_ref asimd_signs(struct arm_ctx *s, unsigned size, ir_ref x)
{
    if (size == 0) {
        return asimd_vop(s, IR_VCMPGTS, 1, asimd_zero(s), x);
    }
    if (size == 3) { /* of the high words, in both */
        return asimd_vopi(s, IR_VSHUFD, 4, asimd_vopi(s, IR_VSARI, 4, x, 31), 0xf5);
    }
    return asimd_vopi(s, IR_VSARI, 1u << size, x, (8u << size) - 1);
}

/* The highest signed number of 2^size bytes, or the lowest, in all lanes. */
static inline ir_ref asimd_highest(struct arm_ctx *s, unsigned size)
{
    return size == 3 ? asimd_vopi(s, IR_VSHRI, 8, asimd_ones(s), 1)
                     : asimd_lanes(s, 1u << size, (1u << ((8u << size) - 1)) - 1);
}

static inline ir_ref asimd_lowest(struct arm_ctx *s, unsigned size)
{
    return size == 3 ? asimd_vopi(s, IR_VSHLI, 8, asimd_ones(s), 63)
                     : asimd_lanes(s, 1u << size, 1u << ((8u << size) - 1));
}

/* Lanes of 2^size bytes in the low half, each twice as wide. */
static inline ir_ref asimd_widen(struct arm_ctx *s, bool is_unsigned, unsigned size, ir_ref x)
{
    unsigned lane = 1u << size;

    if (is_unsigned) {
        return asimd_vop(s, IR_VUNPKL, lane, x, asimd_zero(s));
    }
    if (size == 2) {
        return asimd_vop(s, IR_VUNPKL, 4, x, asimd_vopi(s, IR_VSARI, 4, x, 31));
    }
    return asimd_vopi(s, IR_VSARI, 2 * lane, asimd_vop(s, IR_VUNPKL, lane, x, x), 8 * lane);
}

/* The low halves, of 2^size bytes, of all lanes of x, in the low half of the result. */
static inline ir_ref asimd_truncate(struct arm_ctx *s, unsigned size, ir_ref x)
{
    switch (size) {
    case 0:
        x = asimd_vop(s, IR_VAND, 8, x, asimd_lanes(s, 2, 0xff));
        return asimd_vop(s, IR_VPACKUS, 2, x, x);
    case 1:
        x = asimd_vopi(s, IR_VSARI, 4, asimd_vopi(s, IR_VSHLI, 4, x, 16), 16);
        return asimd_vop(s, IR_VPACKSS, 4, x, x);
    default:
        return asimd_vopi(s, IR_VSHUFD, 4, x, 0x08);
    }
}

/* The high halves. */
static inline ir_ref asimd_high_halves(struct arm_ctx *s, unsigned size, ir_ref x)
{
    switch (size) {
    case 0:
        x = asimd_vopi(s, IR_VSHRI, 2, x, 8);
        return asimd_vop(s, IR_VPACKUS, 2, x, x);
    case 1:
        x = asimd_vopi(s, IR_VSARI, 4, x, 16);
        return asimd_vop(s, IR_VPACKSS, 4, x, x);
    default:
        return asimd_vopi(s, IR_VSHUFD, 4, x, 0x0d);
    }
}

/* What a shift by a register does besides. */
struct asimd_shift {
    bool is_unsigned, round, saturate;
};

/* FPSCR.QC |= any bit of `differs` is set. */
static inline void asimd_gather_qc(struct arm_ctx *s, ir_ref differs)
{
    ir_ref old = ir_get(s->b, IR_V128, ARM_OFF(fpscr_qc), 16);

    ir_put(s->b, ARM_OFF(fpscr_qc), 16, asimd_vop(s, IR_VOR, 8, old, differs));
}

/* Sums and differences that saturate, and QC (asimd_saturate.c). */
ir_ref asimd_qadd_lanes(struct arm_ctx *s, bool is_unsigned, unsigned size, ir_ref x, ir_ref y);
ir_ref asimd_qsub_lanes(struct arm_ctx *s, bool is_unsigned, unsigned size, ir_ref x, ir_ref y);
/* x where `fits` is set; else the limit next to `of`, and QC. */
ir_ref asimd_limit_lanes(struct arm_ctx *s, bool is_unsigned, unsigned size, ir_ref fits, ir_ref x,
                         ir_ref of);
/* x where it is not the lowest signed number, else the highest, and QC. */
ir_ref asimd_fix_lowest(struct arm_ctx *s, unsigned size, ir_ref x);
/* High halves of twice the products of signed halfwords or words; rounded. */
ir_ref asimd_qdmulh_lanes(struct arm_ctx *s, unsigned size, ir_ref x, ir_ref y, bool round);
/* Lanes twice as wide as 2^size bytes (0, 1, 2), shifted already, to those, saturating from and to
 * what the flags say, and QC. The result is in the low half and, of words, in the high half. */
ir_ref asimd_narrow_lanes(struct arm_ctx *s, unsigned size, ir_ref x, bool from_unsigned,
                          bool to_unsigned);
/* Shifted left by the signed amount in the low byte of each lane of n, right by negative ones, with
 * rounding or saturation (and QC) where asked for; ir_has_lane_shifts() (asimd_shift_reg.c). */
ir_ref asimd_shift_lanes(struct arm_ctx *s, const struct asimd_shift *how, unsigned size, ir_ref x,
                         ir_ref n);
/* Products of the lanes of 2^size bytes in the low halves, twice as wide (asimd_products.c). */
ir_ref asimd_mull_lanes(struct arm_ctx *s, bool is_unsigned, unsigned size, ir_ref x, ir_ref y);
/* Of words in lanes 0 and 2. */
ir_ref asimd_mull_even_words(struct arm_ctx *s, bool is_unsigned, ir_ref x, ir_ref y);
ir_ref asimd_mul_bytes(struct arm_ctx *s, ir_ref x, ir_ref y);
/* Products of bytes as polynomials over {0, 1}: twice as wide; the low halves. */
ir_ref asimd_pmull_bytes(struct arm_ctx *s, ir_ref x, ir_ref y);
ir_ref asimd_pmul_bytes(struct arm_ctx *s, ir_ref x, ir_ref y);
