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

/* Words: overflow is a sign that neither operand explains; the limit has the sign of x. */
static ir_ref saturate_words(struct arm_ctx *s, ir_ref x, ir_ref overflow, ir_ref plain)
{
    ir_ref limit =
        asimd_vop(s, IR_VXOR, 8, asimd_vopi(s, IR_VSARI, 4, x, 31), asimd_lanes(s, 4, 0x7fffffff));

    return asimd_select(s, asimd_vopi(s, IR_VSARI, 4, overflow, 31), limit, plain);
}

ir_ref asimd_qadd_lanes(struct arm_ctx *s, bool is_unsigned, unsigned size, ir_ref x, ir_ref y)
{
    unsigned lane = 1u << size;
    ir_ref plain = asimd_vop(s, IR_VADD, lane, x, y), r;

    if (size < 2) {
        r = asimd_vop(s, is_unsigned ? IR_VQADDU : IR_VQADDS, lane, x, y);
    } else if (is_unsigned) {
        r = asimd_vop(s, IR_VADD, 4, x, asimd_vop(s, IR_VMINU, 4, y, asimd_not(s, x)));
    } else {
        ir_ref changed = asimd_vop(s, IR_VXOR, 8, plain, x);

        r = saturate_words(s, x, asimd_vop(s, IR_VANDN, 8, changed, asimd_vop(s, IR_VXOR, 8, x, y)),
                           plain);
    }
    return keep(s, r, plain);
}

ir_ref asimd_qsub_lanes(struct arm_ctx *s, bool is_unsigned, unsigned size, ir_ref x, ir_ref y)
{
    unsigned lane = 1u << size;
    ir_ref plain = asimd_vop(s, IR_VSUB, lane, x, y), r;

    if (size < 2) {
        r = asimd_vop(s, is_unsigned ? IR_VQSUBU : IR_VQSUBS, lane, x, y);
    } else if (is_unsigned) {
        r = asimd_vop(s, IR_VSUB, 4, asimd_vop(s, IR_VMAXU, 4, x, y), y);
    } else {
        ir_ref changed = asimd_vop(s, IR_VXOR, 8, plain, x);

        r = saturate_words(s, x, asimd_vop(s, IR_VAND, 8, changed, asimd_vop(s, IR_VXOR, 8, x, y)),
                           plain);
    }
    return keep(s, r, plain);
}

ir_ref asimd_fix_lowest(struct arm_ctx *s, unsigned size, ir_ref x)
{
    ir_ref lowest = asimd_lanes(s, 1u << size, 1u << ((8u << size) - 1));
    ir_ref is = asimd_vop(s, IR_VCMPEQ, 1u << size, x, lowest);

    asimd_gather_qc(s, is);
    return asimd_vop(s, IR_VXOR, 8, x, is);
}

/* Only the square of the lowest number saturates, and only it gives the lowest number. */
ir_ref asimd_qdmulh_16(struct arm_ctx *s, ir_ref x, ir_ref y, bool round)
{
    ir_ref high = asimd_vopi(s, IR_VSHLI, 2, asimd_vop(s, IR_VMULHS, 2, x, y), 1);
    ir_ref low = asimd_vop(s, IR_VMUL, 2, x, y);

    low = asimd_vopi(s, IR_VSHRI, 2, low, round ? 14 : 15);
    if (round) {
        low = asimd_vop(s, IR_VAVGU, 2, low, asimd_zero(s));
    }
    return asimd_fix_lowest(s, 1, asimd_vop(s, IR_VADD, 2, high, low));
}

ir_ref asimd_narrow_lanes(struct arm_ctx *s, unsigned size, ir_ref x, bool from_unsigned,
                          bool to_unsigned)
{
    unsigned wide = 2u << size, bits = 8u << size;
    uint32_t top = to_unsigned ? (1u << bits) - 1 : (1u << (bits - 1)) - 1;
    ir_ref max = asimd_lanes(s, wide, top), r;

    if (from_unsigned) {
        r = asimd_vop(s, IR_VMINU, wide, x, max);
    } else {
        ir_ref min = to_unsigned ? asimd_zero(s) : asimd_lanes(s, wide, ~top);

        r = asimd_vop(s, IR_VMAXS, wide, asimd_vop(s, IR_VMINS, wide, x, max), min);
    }
    return asimd_truncate(s, size, keep(s, r, x));
}
