/* SPDX-License-Identifier: MIT */
/*
 * Shifts of Advanced SIMD by a register in the IR, for hosts that shift each lane by its own
 * amount. Those shift words and doublewords, by an unsigned amount, and leave nothing (or all sign)
 * when it is too large. So the shifts to both sides are made, and the one that was not meant gets a
 * negative, hence a very large, amount. Bytes and halfwords are widened. Arm ARM A8.8: VSHL, VQSHL,
 * VRSHL, VQRSHL (register).
 *
 * Threads: the translating vCPU thread.
 */
#include "asimd_build.h"

/* The signed low byte of each word, or doubleword. */
static ir_ref amounts(struct arm_ctx *s, unsigned size, ir_ref n)
{
    ir_ref words = asimd_vopi(s, IR_VSARI, 4, asimd_vopi(s, IR_VSHLI, 4, n, 24), 24), signs;

    if (size == 2) {
        return words;
    }
    signs = asimd_vopi(s, IR_VSHLI, 8, asimd_vopi(s, IR_VSARI, 4, words, 31), 32);
    words = asimd_vopi(s, IR_VSHRI, 8, asimd_vopi(s, IR_VSHLI, 8, words, 32), 32);
    return asimd_vop(s, IR_VOR, 8, words, signs);
}

/* Arithmetic shifts of doublewords are logical ones of numbers without signs. */
static ir_ref right(struct arm_ctx *s, bool is_unsigned, unsigned size, ir_ref x, ir_ref n)
{
    ir_ref signs;

    if (is_unsigned) {
        return asimd_vop(s, IR_VSHRV, 1u << size, x, n);
    }
    if (size == 2) {
        return asimd_vop(s, IR_VSARV, 4, x, n);
    }
    signs = asimd_signs(s, 3, x);
    x = asimd_vop(s, IR_VSHRV, 8, asimd_vop(s, IR_VXOR, 8, x, signs), n);
    return asimd_vop(s, IR_VXOR, 8, x, signs);
}

/* By -n; rounded: by one less, and then the last bit out is added, so that nothing carries out. */
static ir_ref right_by_negative(struct arm_ctx *s, const struct asimd_shift *how, unsigned size,
                                ir_ref x, ir_ref n)
{
    unsigned lane = 1u << size;
    ir_ref less, half, one;

    if (!how->round) {
        return right(s, how->is_unsigned, size, x, asimd_vop(s, IR_VSUB, lane, asimd_zero(s), n));
    }
    less = right(s, how->is_unsigned, size, x, asimd_not(s, n));
    one = asimd_vopi(s, IR_VSHRI, lane, asimd_ones(s), 8 * lane - 1);
    half = right(s, how->is_unsigned, size, less, one);
    return asimd_vop(s, IR_VADD, lane, half, asimd_vop(s, IR_VAND, 8, less, one));
}

/* Words and doublewords. */
static ir_ref shift_wide(struct arm_ctx *s, const struct asimd_shift *how, unsigned size, ir_ref x,
                         ir_ref n)
{
    unsigned lane = 1u << size;
    ir_ref by = amounts(s, size, n), negative = asimd_signs(s, size, by);
    ir_ref left = asimd_vop(s, IR_VSHLV, lane, x, by), r = right_by_negative(s, how, size, x, by);

    if (how->saturate) {
        ir_ref back = right(s, how->is_unsigned, size, left, by);
        ir_ref fits = asimd_vop(s, IR_VOR, 8, asimd_vop(s, IR_VCMPEQ, lane, back, x), negative);

        left = asimd_limit_lanes(s, how->is_unsigned, size, fits, left, x);
    }
    if (!how->is_unsigned) { /* where not meant, it left the sign */
        r = asimd_vop(s, IR_VAND, 8, r, negative);
    }
    return asimd_vop(s, IR_VOR, 8, left, r);
}

static ir_ref upper_half(struct arm_ctx *s, ir_ref x)
{
    return asimd_vopi(s, IR_VSHUFD, 4, x, 0xee);
}

/* Half of the lanes, twice as wide: what overflows them overflows the narrow ones, too. */
static ir_ref shift_half(struct arm_ctx *s, const struct asimd_shift *how, unsigned size, ir_ref x,
                         ir_ref n)
{
    ir_ref r = asimd_shift_lanes(s, how, size + 1, asimd_widen(s, how->is_unsigned, size, x),
                                 asimd_widen(s, true, size, n));

    return how->saturate ? asimd_narrow_lanes(s, size, r, how->is_unsigned, how->is_unsigned)
                         : asimd_truncate(s, size, r);
}

ir_ref asimd_shift_lanes(struct arm_ctx *s, const struct asimd_shift *how, unsigned size, ir_ref x,
                         ir_ref n)
{
    if (size >= 2) {
        return shift_wide(s, how, size, x, n);
    }
    return asimd_vop(s, IR_VUNPKL, 8, shift_half(s, how, size, x, n),
                     shift_half(s, how, size, upper_half(s, x), upper_half(s, n)));
}
