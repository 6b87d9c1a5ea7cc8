/* SPDX-License-Identifier: MIT */
/*
 * Bit fields, sign and zero extension with rotation, reversal, counting, and the CRC32 extension,
 * for A32 and T32. A destination of R15 is UNPREDICTABLE in all of them and UNDEF here. Arm ARM
 * A5.4, A5.4.3, A6.3.12, A6.3.15; CRC32: ARMv8 F5.1.
 *
 * Threads: the translating vCPU thread.
 */
#include "arm_internal.h"
#include "a32_bits_decode.h"
#include "t16_dp_decode.h"
#include "t32_bits_decode.h"

/* ---- bit fields ---- */
bool trans_SBFX(struct arm_ctx *s, const struct arg_SBFX *a)
{
    if (a->rd == 15 || a->lsb + a->widthm1 > 31) {
        return false;
    }
    arm_write_reg(s, a->rd, ir_sextract(s->b, arm_read_reg(s, a->rn), a->lsb, a->widthm1 + 1));
    return true;
}

bool trans_UBFX(struct arm_ctx *s, const struct arg_UBFX *a)
{
    if (a->rd == 15 || a->lsb + a->widthm1 > 31) {
        return false;
    }
    arm_write_reg(s, a->rd, ir_extract(s->b, arm_read_reg(s, a->rn), a->lsb, a->widthm1 + 1));
    return true;
}

bool trans_BFI(struct arm_ctx *s, const struct arg_BFI *a)
{
    ir_ref field;

    if (a->rd == 15 || a->msb < a->lsb) {
        return false;
    }
    field = a->rn == 15 ? arm_imm(s, 0) : arm_read_reg(s, a->rn);
    arm_write_reg(s, a->rd,
                  ir_deposit(s->b, arm_read_reg(s, a->rd), field, a->lsb, a->msb - a->lsb + 1));
    return true;
}

/* ---- extension ---- */
static ir_ref rotated(struct arm_ctx *s, unsigned rm, unsigned rot)
{
    ir_ref v = arm_read_reg(s, rm);

    return rot ? ir_op2i(s->b, IR_ROR, v, 8 * rot) : v;
}

static bool extend(struct arm_ctx *s, const struct arg_SXTAB *a, enum ir_op op)
{
    ir_ref v;

    if (a->rd == 15) {
        return false;
    }
    v = ir_op1(s->b, op, rotated(s, a->rm, a->rot));
    if (a->rn != 15) {
        v = ir_op2(s->b, IR_ADD, arm_read_reg(s, a->rn), v);
    }
    arm_write_reg(s, a->rd, v);
    return true;
}

bool trans_SXTAB(struct arm_ctx *s, const struct arg_SXTAB *a)
{
    return extend(s, a, IR_SEXT8);
}

bool trans_SXTAH(struct arm_ctx *s, const struct arg_SXTAH *a)
{
    return extend(s, a, IR_SEXT16);
}

bool trans_UXTAB(struct arm_ctx *s, const struct arg_UXTAB *a)
{
    return extend(s, a, IR_ZEXT8);
}

bool trans_UXTAH(struct arm_ctx *s, const struct arg_UXTAH *a)
{
    return extend(s, a, IR_ZEXT16);
}

/* rd = v, or the two halfword sums of rn and v. */
static void extend16_finish(struct arm_ctx *s, const struct arg_SXTAB16 *a, ir_ref v)
{
    struct ir_block *b = s->b;

    if (a->rn != 15) {
        ir_ref n = arm_read_reg(s, a->rn);
        ir_ref low = ir_op1(b, IR_ZEXT16, ir_op2(b, IR_ADD, n, v));
        ir_ref high = ir_op2(b, IR_ADD, ir_op2i(b, IR_AND, n, 0xffff0000u),
                             ir_op2i(b, IR_AND, v, 0xffff0000u));

        v = ir_op2(b, IR_OR, low, high);
    }
    arm_write_reg(s, a->rd, v);
}

bool trans_SXTAB16(struct arm_ctx *s, const struct arg_SXTAB16 *a)
{
    struct ir_block *b = s->b;
    ir_ref v, low, high;

    if (a->rd == 15) {
        return false;
    }
    v = rotated(s, a->rm, a->rot);
    low = ir_op1(b, IR_ZEXT16, ir_op1(b, IR_SEXT8, v));
    high = ir_op2i(b, IR_SHL, ir_sextract(b, v, 16, 8), 16);
    extend16_finish(s, a, ir_op2(b, IR_OR, low, high));
    return true;
}

bool trans_UXTAB16(struct arm_ctx *s, const struct arg_UXTAB16 *a)
{
    if (a->rd == 15) {
        return false;
    }
    extend16_finish(s, a, ir_op2i(s->b, IR_AND, rotated(s, a->rm, a->rot), 0x00ff00ffu));
    return true;
}

/* ---- reversal and counting ---- */
bool trans_REV(struct arm_ctx *s, const struct arg_REV *a)
{
    if (a->rd == 15) {
        return false;
    }
    arm_write_reg(s, a->rd, ir_op1(s->b, IR_BSWAP, arm_read_reg(s, a->rm)));
    return true;
}

/* Swap neighbouring groups of `width` bits; mask selects the lower of each pair. */
static ir_ref swap_groups(struct arm_ctx *s, ir_ref v, unsigned width, uint32_t mask)
{
    struct ir_block *b = s->b;
    ir_ref down = ir_op2i(b, IR_AND, ir_op2i(b, IR_SHR, v, width), mask);
    ir_ref up = ir_op2i(b, IR_SHL, ir_op2i(b, IR_AND, v, mask), width);

    return ir_op2(b, IR_OR, down, up);
}

bool trans_REV16(struct arm_ctx *s, const struct arg_REV16 *a)
{
    if (a->rd == 15) {
        return false;
    }
    arm_write_reg(s, a->rd, swap_groups(s, arm_read_reg(s, a->rm), 8, 0x00ff00ffu));
    return true;
}

bool trans_REVSH(struct arm_ctx *s, const struct arg_REVSH *a)
{
    ir_ref v;

    if (a->rd == 15) {
        return false;
    }
    v = ir_op1(s->b, IR_BSWAP, arm_read_reg(s, a->rm));
    arm_write_reg(s, a->rd, ir_op2i(s->b, IR_SAR, v, 16));
    return true;
}

bool trans_RBIT(struct arm_ctx *s, const struct arg_RBIT *a)
{
    ir_ref v;

    if (a->rd == 15) {
        return false;
    }
    v = ir_op1(s->b, IR_BSWAP, arm_read_reg(s, a->rm));
    v = swap_groups(s, v, 4, 0x0f0f0f0fu);
    v = swap_groups(s, v, 2, 0x33333333u);
    v = swap_groups(s, v, 1, 0x55555555u);
    arm_write_reg(s, a->rd, v);
    return true;
}

bool trans_CLZ(struct arm_ctx *s, const struct arg_CLZ *a)
{
    if (a->rd == 15) {
        return false;
    }
    arm_write_reg(s, a->rd, ir_op1(s->b, IR_CLZ, arm_read_reg(s, a->rm)));
    return true;
}

/* ---- CRC32 ---- */
/* c selects the Castagnoli polynomial; the accumulator is neither pre- nor post-inverted. */
static uint32_t helper_crc32(struct vcpu *v, uint32_t acc, uint32_t value, uint32_t bytes,
                             uint32_t c)
{
    uint32_t poly = c ? 0x82f63b78u : 0xedb88320u;

    (void)v;
    acc ^= bytes < 4 ? value & ((1u << 8 * bytes) - 1) : value;
    for (uint32_t i = 0; i < 8 * bytes; i++) {
        acc = acc >> 1 ^ (poly & (0u - (acc & 1)));
    }
    return acc;
}

bool trans_CRC32(struct arm_ctx *s, const struct arg_CRC32 *a)
{
    ir_ref args[4];

    if (!arm_has(s, ARM_FEAT_V8_AARCH32) || a->rd == 15 || a->rn == 15 || a->rm == 15) {
        return false;
    }
    args[0] = arm_read_reg(s, a->rn);
    args[1] = arm_read_reg(s, a->rm);
    args[2] = arm_imm(s, 1u << a->sz);
    args[3] = arm_imm(s, a->c);
    arm_write_reg(s, a->rd,
                  ir_call(s->b, IR_I32, "crc32", (void *)helper_crc32, CALL_PURE, 4, args));
    return true;
}
