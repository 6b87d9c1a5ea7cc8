/* SPDX-License-Identifier: MIT */
/*
 * Saturating arithmetic of Advanced SIMD in the IR. QC is gathered without a branch: the difference
 * between the saturated and the plain result is or'ed into the state, and FPSCR is read rarely.
 * Arm ARM A2.2.1 (SignedSatQ, UnsignedSatQ), A8.8.
 *
 * Threads: the translating vCPU thread.
 */
#include "asimd_build.h"

static ir_ref keep(struct arm_ctx *s, ir_ref saturated, ir_ref plain)
{
    asimd_gather_qc(s, asimd_vop(s, IR_VXOR, 8, saturated, plain));
    return saturated;
}

ir_ref asimd_limit_lanes(struct arm_ctx *s, bool is_unsigned, unsigned size, ir_ref fits, ir_ref x,
                         ir_ref of)
{
    ir_ref limit = is_unsigned
                       ? asimd_ones(s)
                       : asimd_vop(s, IR_VXOR, 8, asimd_signs(s, size, of), asimd_highest(s, size));

    asimd_gather_qc(s, asimd_not(s, fits));
    return asimd_select(s, fits, x, limit);
}

/* Words and doublewords: the sign of `overflow` is set where the sum or difference does not fit,
 * and the limit has the sign of x. */
static ir_ref saturate_wide(struct arm_ctx *s, unsigned size, ir_ref x, ir_ref overflow,
                            ir_ref plain)
{
    ir_ref fits = asimd_not(s, asimd_signs(s, size, overflow));

    return asimd_limit_lanes(s, false, size, fits, plain, x);
}

/* Unsigned doublewords: a carry out of the highest bit is one of both operands, or of one and of
 * the carry into it, which the sum then lacks. */
static ir_ref qadd_u64(struct arm_ctx *s, ir_ref x, ir_ref y, ir_ref plain)
{
    ir_ref one = asimd_vop(s, IR_VANDN, 8, asimd_vop(s, IR_VOR, 8, x, y), plain);
    ir_ref carry = asimd_vop(s, IR_VOR, 8, asimd_vop(s, IR_VAND, 8, x, y), one);

    return asimd_vop(s, IR_VOR, 8, plain, asimd_signs(s, 3, carry));
}

static ir_ref qsub_u64(struct arm_ctx *s, ir_ref x, ir_ref y, ir_ref plain)
{
    ir_ref same = asimd_vop(s, IR_VANDN, 8, plain, asimd_vop(s, IR_VXOR, 8, x, y));
    ir_ref borrow = asimd_vop(s, IR_VOR, 8, asimd_vop(s, IR_VANDN, 8, y, x), same);

    return asimd_vop(s, IR_VANDN, 8, plain, asimd_signs(s, 3, borrow));
}

ir_ref asimd_qadd_lanes(struct arm_ctx *s, bool is_unsigned, unsigned size, ir_ref x, ir_ref y)
{
    unsigned lane = 1u << size;
    ir_ref plain = asimd_vop(s, IR_VADD, lane, x, y);

    if (size < 2) {
        return keep(s, asimd_vop(s, is_unsigned ? IR_VQADDU : IR_VQADDS, lane, x, y), plain);
    }
    if (!is_unsigned) {
        ir_ref changed = asimd_vop(s, IR_VXOR, 8, plain, x);

        return saturate_wide(
            s, size, x, asimd_vop(s, IR_VANDN, 8, changed, asimd_vop(s, IR_VXOR, 8, x, y)), plain);
    }
    return keep(s,
                size == 3
                    ? qadd_u64(s, x, y, plain)
                    : asimd_vop(s, IR_VADD, 4, x, asimd_vop(s, IR_VMINU, 4, y, asimd_not(s, x))),
                plain);
}

ir_ref asimd_qsub_lanes(struct arm_ctx *s, bool is_unsigned, unsigned size, ir_ref x, ir_ref y)
{
    unsigned lane = 1u << size;
    ir_ref plain = asimd_vop(s, IR_VSUB, lane, x, y);

    if (size < 2) {
        return keep(s, asimd_vop(s, is_unsigned ? IR_VQSUBU : IR_VQSUBS, lane, x, y), plain);
    }
    if (!is_unsigned) {
        ir_ref changed = asimd_vop(s, IR_VXOR, 8, plain, x);

        return saturate_wide(
            s, size, x, asimd_vop(s, IR_VAND, 8, changed, asimd_vop(s, IR_VXOR, 8, x, y)), plain);
    }
    return keep(s,
                size == 3 ? qsub_u64(s, x, y, plain)
                          : asimd_vop(s, IR_VSUB, 4, asimd_vop(s, IR_VMAXU, 4, x, y), y),
                plain);
}

ir_ref asimd_fix_lowest(struct arm_ctx *s, unsigned size, ir_ref x)
{
    ir_ref is = asimd_vop(s, IR_VCMPEQ, 1u << size, x, asimd_lowest(s, size));

    asimd_gather_qc(s, is);
    return asimd_vop(s, IR_VXOR, 8, x, is);
}

static ir_ref qdmulh_halfwords(struct arm_ctx *s, ir_ref x, ir_ref y, bool round)
{
    ir_ref high = asimd_vopi(s, IR_VSHLI, 2, asimd_vop(s, IR_VMULHS, 2, x, y), 1);
    ir_ref low = asimd_vop(s, IR_VMUL, 2, x, y);

    low = asimd_vopi(s, IR_VSHRI, 2, low, round ? 14 : 15);
    if (round) {
        low = asimd_vop(s, IR_VAVGU, 2, low, asimd_zero(s));
    }
    return asimd_vop(s, IR_VADD, 2, high, low);
}

/* Of words in lanes 0 and 2: in the high halves, with something below. */
static ir_ref qdmulh_even_words(struct arm_ctx *s, ir_ref x, ir_ref y, bool round)
{
    ir_ref r = asimd_vopi(s, IR_VSHLI, 8, asimd_mull_even_words(s, false, x, y), 1);

    if (round) {
        r = asimd_vop(s, IR_VADD, 8, r, asimd_vopi(s, IR_VSHRI, 8, asimd_lowest(s, 3), 32));
    }
    return r;
}

static ir_ref qdmulh_words(struct arm_ctx *s, ir_ref x, ir_ref y, bool round)
{
    ir_ref even = qdmulh_even_words(s, x, y, round);
    ir_ref odd = qdmulh_even_words(s, asimd_vopi(s, IR_VSHRI, 8, x, 32),
                                   asimd_vopi(s, IR_VSHRI, 8, y, 32), round);

    odd = asimd_vopi(s, IR_VSHLI, 8, asimd_vopi(s, IR_VSHRI, 8, odd, 32), 32);
    return asimd_vop(s, IR_VOR, 8, asimd_vopi(s, IR_VSHRI, 8, even, 32), odd);
}

/* Only the square of the lowest number saturates, and only it gives the lowest number. */
ir_ref asimd_qdmulh_lanes(struct arm_ctx *s, unsigned size, ir_ref x, ir_ref y, bool round)
{
    return asimd_fix_lowest(
        s, size, size == 1 ? qdmulh_halfwords(s, x, y, round) : qdmulh_words(s, x, y, round));
}

/* Doublewords: what is above the low word must be no more than its sign, or nothing. */
static ir_ref narrow_doublewords(struct arm_ctx *s, ir_ref x, bool from_unsigned, bool to_unsigned)
{
    ir_ref low = asimd_vopi(s, IR_VSHUFD, 4, x, 0x88), high = asimd_vopi(s, IR_VSHUFD, 4, x, 0xdd);
    ir_ref limit, fits;

    if (!to_unsigned) {
        fits = asimd_vop(s, IR_VCMPEQ, 4, high, asimd_signs(s, 2, low));
        return asimd_limit_lanes(s, false, 2, fits, low, high);
    }
    fits = asimd_vop(s, IR_VCMPEQ, 4, high, asimd_zero(s));
    limit = from_unsigned ? asimd_ones(s) : asimd_not(s, asimd_signs(s, 2, high));
    asimd_gather_qc(s, asimd_not(s, fits));
    return asimd_select(s, fits, low, limit);
}

ir_ref asimd_narrow_lanes(struct arm_ctx *s, unsigned size, ir_ref x, bool from_unsigned,
                          bool to_unsigned)
{
    unsigned wide = 2u << size, bits = 8u << size;
    uint32_t top;
    ir_ref max, r;

    if (size == 2) {
        return narrow_doublewords(s, x, from_unsigned, to_unsigned);
    }
    top = to_unsigned ? (1u << bits) - 1 : (1u << (bits - 1)) - 1;
    max = asimd_lanes(s, wide, top);
    if (from_unsigned) {
        r = asimd_vop(s, IR_VMINU, wide, x, max);
    } else {
        ir_ref min = to_unsigned ? asimd_zero(s) : asimd_lanes(s, wide, ~top);

        r = asimd_vop(s, IR_VMAXS, wide, asimd_vop(s, IR_VMINS, wide, x, max), min);
    }
    return asimd_truncate(s, size, keep(s, r, x));
}
