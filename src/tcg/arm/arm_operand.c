/* SPDX-License-Identifier: MIT */
/*
 * Operands of data processing: shifts by immediate and by register with carry out, and the modified
 * immediates of both instruction sets. Arm ARM A5.2.4, A6.3.2, A8.4 (shifts applied to a register).
 *
 * Threads: the translating vCPU thread.
 */
#include "arm_internal.h"

static ir_ref bit_of(struct arm_ctx *s, ir_ref v, unsigned bit)
{
    return ir_extract(s->b, v, bit, 1);
}

/* RRX: 33-bit rotation through the carry. */
static struct arm_shifted shift_rrx(struct arm_ctx *s, ir_ref v, bool want_carry)
{
    ir_ref top = ir_op2i(s->b, IR_SHL, arm_get_c(s), 31);
    struct arm_shifted r = {ir_op2(s->b, IR_OR, ir_op2i(s->b, IR_SHR, v, 1), top), 0};

    if (want_carry) {
        r.carry = bit_of(s, v, 0);
    }
    return r;
}

struct arm_shifted arm_shift_imm(struct arm_ctx *s, ir_ref v, unsigned type, unsigned imm5,
                                 bool want_carry)
{
    static const enum ir_op op[] = {IR_SHL, IR_SHR, IR_SAR, IR_ROR};
    struct arm_shifted r = {v, 0};

    if (type == ARM_ROR && imm5 == 0) {
        return shift_rrx(s, v, want_carry);
    }
    if (type == ARM_LSL && imm5 == 0) {
        return r;
    }
    if (imm5 == 0) { /* LSR #32, ASR #32 */
        r.v = type == ARM_LSR ? arm_imm(s, 0) : ir_op2i(s->b, IR_SAR, v, 31);
        imm5 = 32;
    } else {
        r.v = ir_op2i(s->b, op[type], v, imm5);
    }
    if (want_carry) {
        r.carry = bit_of(s, v, type == ARM_LSL ? 32 - imm5 : imm5 - 1);
    }
    return r;
}

/*
 * Amounts of 32 and more: a 64-bit shift of the value placed so that the carry is the neighbouring
 * bit gives result and carry at once for amounts 1..33; larger ones clamp to 33 (40 for ASR is the
 * same as 32). An amount of 0 leaves the carry flag as it is.
 */
static ir_ref clamp(struct arm_ctx *s, ir_ref amount, uint32_t limit)
{
    ir_ref max = arm_imm(s, limit);

    return ir_select(s->b, IR_LTU, amount, max, amount, max);
}

struct arm_shifted arm_shift_reg(struct arm_ctx *s, ir_ref v, unsigned type, ir_ref amount,
                                 bool want_carry)
{
    struct ir_block *b = s->b;
    ir_ref n = ir_op1(b, IR_ZEXT8, amount);
    ir_ref zero = arm_imm(s, 0);
    ir_ref wide, out;
    struct arm_shifted r = {0, 0};

    switch (type) {
    case ARM_LSL: /* carry is bit 32 */
        wide = ir_op2(b, IR_SHL, ir_op1(b, IR_ZEXT32, v), clamp(s, n, 33));
        r.v = ir_op1(b, IR_TRUNC, wide);
        out = want_carry ? ir_op2i(b, IR_AND, ir_op1(b, IR_HI32, wide), 1) : 0;
        break;
    case ARM_LSR: /* value in the high half: carry is bit 31 of the low half */
        wide = ir_op2(b, IR_SHR, ir_op2(b, IR_PAIR, zero, v), clamp(s, n, 33));
        r.v = ir_op1(b, IR_HI32, wide);
        out = want_carry ? ir_op2i(b, IR_SHR, ir_op1(b, IR_TRUNC, wide), 31) : 0;
        break;
    case ARM_ASR:
        wide = ir_op2(b, IR_SAR, ir_op2(b, IR_PAIR, zero, v), clamp(s, n, 32));
        r.v = ir_op1(b, IR_HI32, wide);
        out = want_carry ? ir_op2i(b, IR_SHR, ir_op1(b, IR_TRUNC, wide), 31) : 0;
        break;
    default: /* ROR: the carry is bit 31 of the result, also for multiples of 32 */
        r.v = ir_op2(b, IR_ROR, v, n);
        out = want_carry ? ir_op2i(b, IR_SHR, r.v, 31) : 0;
        break;
    }
    if (want_carry) {
        r.carry = ir_select(b, IR_EQ, n, zero, arm_get_c(s), out);
    }
    return r;
}

static uint32_t ror32(uint32_t v, unsigned n)
{
    return n ? v >> n | v << (32 - n) : v;
}

static uint32_t expand_imm_t32(uint32_t imm12, int *carry)
{
    uint32_t imm8 = imm12 & 0xff;
    uint32_t v;

    if (imm12 < 0x400) {
        switch (imm12 >> 8) {
        case 0:
            return imm8;
        case 1:
            return imm8 * 0x00010001u;
        case 2:
            return imm8 * 0x01000100u;
        default:
            return imm8 * 0x01010101u;
        }
    }
    v = ror32(0x80 | (imm12 & 0x7f), imm12 >> 7);
    *carry = (int)(v >> 31);
    return v;
}

uint32_t arm_expand_imm(const struct arm_ctx *s, uint32_t imm12, int *carry)
{
    uint32_t v;

    *carry = -1;
    if (s->thumb) {
        return expand_imm_t32(imm12, carry);
    }
    v = ror32(imm12 & 0xff, (imm12 >> 8) * 2);
    if (imm12 >> 8) {
        *carry = (int)(v >> 31);
    }
    return v;
}
