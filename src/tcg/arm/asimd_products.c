/* SPDX-License-Identifier: MIT */
/*
 * Products of Advanced SIMD that the IR has no op for: bytes, results twice as wide, polynomials.
 * Arm ARM A8.8: VMUL, VMULL; A2.8 (polynomials).
 *
 * Threads: the translating vCPU thread.
 */
#include "asimd_build.h"

/* Even and odd bytes in halfwords; the upper halves of the even products are not wanted. */
ir_ref asimd_mul_bytes(struct arm_ctx *s, ir_ref x, ir_ref y)
{
    ir_ref even = asimd_vop(s, IR_VMUL, 2, x, y), odd;

    odd = asimd_vop(s, IR_VMUL, 2, asimd_vopi(s, IR_VSHRI, 2, x, 8),
                    asimd_vopi(s, IR_VSHRI, 2, y, 8));
    even = asimd_vop(s, IR_VAND, 8, even, asimd_lanes(s, 2, 0xff));
    return asimd_vop(s, IR_VOR, 8, even, asimd_vopi(s, IR_VSHLI, 2, odd, 8));
}

/* A signed product is the unsigned one less, in its high half, each operand
 * where the other is negative. */
ir_ref asimd_mull_even_words(struct arm_ctx *s, bool is_unsigned, ir_ref x, ir_ref y)
{
    ir_ref r, less;

    if (!is_unsigned && ir_has_shuffles()) {
        return asimd_vop(s, IR_VMULWS, 4, x, y);
    }
    r = asimd_vop(s, IR_VMULWU, 4, x, y);
    if (is_unsigned) {
        return r;
    }
    less = asimd_vop(s, IR_VADD, 4, asimd_vop(s, IR_VAND, 8, asimd_vopi(s, IR_VSARI, 4, x, 31), y),
                     asimd_vop(s, IR_VAND, 8, asimd_vopi(s, IR_VSARI, 4, y, 31), x));
    return asimd_vop(s, IR_VSUB, 8, r, asimd_vopi(s, IR_VSHLI, 8, less, 32));
}

ir_ref asimd_mull_lanes(struct arm_ctx *s, bool is_unsigned, unsigned size, ir_ref x, ir_ref y)
{
    switch (size) {
    case 0:
        return asimd_vop(s, IR_VMUL, 2, asimd_widen(s, is_unsigned, 0, x),
                         asimd_widen(s, is_unsigned, 0, y));
    case 1:
        return asimd_vop(s, IR_VUNPKL, 2, asimd_vop(s, IR_VMUL, 2, x, y),
                         asimd_vop(s, is_unsigned ? IR_VMULHU : IR_VMULHS, 2, x, y));
    default:
        return asimd_mull_even_words(s, is_unsigned, asimd_vop(s, IR_VUNPKL, 4, x, x),
                                     asimd_vop(s, IR_VUNPKL, 4, y, y));
    }
}

/* x shifted by each bit that is set in y. */
ir_ref asimd_pmull_bytes(struct arm_ctx *s, ir_ref x, ir_ref y)
{
    ir_ref r = 0;

    x = asimd_widen(s, true, 0, x);
    y = asimd_widen(s, true, 0, y);
    for (unsigned i = 0; i < 8; i++) {
        ir_ref bit = asimd_vopi(s, IR_VSARI, 2, asimd_vopi(s, IR_VSHLI, 2, y, 15 - i), 15);
        ir_ref shifted = i ? asimd_vopi(s, IR_VSHLI, 2, x, i) : x;
        ir_ref term = asimd_vop(s, IR_VAND, 8, shifted, bit);

        r = r ? asimd_vop(s, IR_VXOR, 8, r, term) : term;
    }
    return r;
}

/* From the highest bit of y down: twice what there is, and x where the bit is set. */
ir_ref asimd_pmul_bytes(struct arm_ctx *s, ir_ref x, ir_ref y)
{
    ir_ref r = asimd_vop(s, IR_VAND, 8, x, asimd_signs(s, 0, y));

    for (unsigned i = 1; i < 8; i++) {
        y = asimd_vop(s, IR_VADD, 1, y, y);
        r = asimd_vop(s, IR_VXOR, 8, asimd_vop(s, IR_VADD, 1, r, r),
                      asimd_vop(s, IR_VAND, 8, x, asimd_signs(s, 0, y)));
    }
    return r;
}
