/* SPDX-License-Identifier: MIT */
/*
 * Multiply, multiply-accumulate, long multiply and divide of 32-bit values. The S forms set N and Z
 * and leave C and V. Arm ARM A8.8.100, A8.8.101 (MLA, MLS), A8.8.114 (MUL), A8.8.165 (SDIV),
 * A8.8.176-A8.8.189, A8.8.248-A8.8.257; A4.4.3.
 *
 * Threads: the translating vCPU thread.
 */
#include "arm_mul.h"

/* s = 2: a 16-bit encoding, which sets the flags outside an IT block. */
static bool sets_flags(const struct arm_ctx *s, unsigned encoded)
{
    return encoded == 1 || (encoded == 2 && !arm_in_it(s));
}

ir_ref arm_mul_signed(struct arm_ctx *s, ir_ref x, ir_ref y)
{
    return ir_op2(s->b, IR_MUL, ir_op1(s->b, IR_SEXT32, x), ir_op1(s->b, IR_SEXT32, y));
}

static ir_ref mul_unsigned(struct arm_ctx *s, ir_ref x, ir_ref y)
{
    return ir_op2(s->b, IR_MUL, ir_op1(s->b, IR_ZEXT32, x), ir_op1(s->b, IR_ZEXT32, y));
}

ir_ref arm_mul_read_pair(struct arm_ctx *s, unsigned lo, unsigned hi)
{
    return ir_op2(s->b, IR_PAIR, arm_read_reg(s, lo), arm_read_reg(s, hi));
}

static void write_pair_flags(struct arm_ctx *s, unsigned lo, unsigned hi, ir_ref v, bool flags)
{
    ir_ref low = ir_op1(s->b, IR_TRUNC, v);
    ir_ref high = ir_op1(s->b, IR_HI32, v);

    arm_write_reg(s, lo, low);
    arm_write_reg(s, hi, high);
    if (flags) {
        arm_set_nz64(s, low, high);
    }
}

void arm_mul_write_pair(struct arm_ctx *s, unsigned lo, unsigned hi, ir_ref v)
{
    write_pair_flags(s, lo, hi, v, false);
}

static void write_result(struct arm_ctx *s, unsigned rd, ir_ref v, bool flags)
{
    arm_write_reg(s, rd, v);
    if (flags) {
        arm_set_nz(s, v);
    }
}

static ir_ref product(struct arm_ctx *s, unsigned rn, unsigned rm)
{
    return ir_op2(s->b, IR_MUL, arm_read_reg(s, rn), arm_read_reg(s, rm));
}

bool trans_MUL(struct arm_ctx *s, const struct arg_MUL *a)
{
    write_result(s, a->rd, product(s, a->rn, a->rm), sets_flags(s, a->s));
    return true;
}

bool trans_MLA(struct arm_ctx *s, const struct arg_MLA *a)
{
    ir_ref v = ir_op2(s->b, IR_ADD, arm_read_reg(s, a->ra), product(s, a->rn, a->rm));

    write_result(s, a->rd, v, sets_flags(s, a->s));
    return true;
}

bool trans_MLS(struct arm_ctx *s, const struct arg_MLS *a)
{
    arm_write_reg(s, a->rd, ir_op2(s->b, IR_SUB, arm_read_reg(s, a->ra), product(s, a->rn, a->rm)));
    return true;
}

/* Equal registers for the halves of a result are UNPREDICTABLE: the high half wins. */
typedef ir_ref multiply_fn(struct arm_ctx *s, ir_ref x, ir_ref y);

static bool multiply_long(struct arm_ctx *s, const struct arg_UMULL *a, multiply_fn *multiply,
                          bool accumulate)
{
    ir_ref v = multiply(s, arm_read_reg(s, a->rn), arm_read_reg(s, a->rm));

    if (accumulate) {
        v = ir_op2(s->b, IR_ADD, v, arm_mul_read_pair(s, a->rdlo, a->rdhi));
    }
    write_pair_flags(s, a->rdlo, a->rdhi, v, a->s);
    return true;
}

bool trans_UMULL(struct arm_ctx *s, const struct arg_UMULL *a)
{
    return multiply_long(s, a, mul_unsigned, false);
}

bool trans_UMLAL(struct arm_ctx *s, const struct arg_UMLAL *a)
{
    return multiply_long(s, a, mul_unsigned, true);
}

bool trans_SMULL(struct arm_ctx *s, const struct arg_SMULL *a)
{
    return multiply_long(s, a, arm_mul_signed, false);
}

bool trans_SMLAL(struct arm_ctx *s, const struct arg_SMLAL *a)
{
    return multiply_long(s, a, arm_mul_signed, true);
}

/* Two 32-bit accumulators: the sum cannot overflow 64 bits. */
bool trans_UMAAL(struct arm_ctx *s, const struct arg_UMAAL *a)
{
    ir_ref v = mul_unsigned(s, arm_read_reg(s, a->rn), arm_read_reg(s, a->rm));

    v = ir_op2(s->b, IR_ADD, v, ir_op1(s->b, IR_ZEXT32, arm_read_reg(s, a->rdlo)));
    v = ir_op2(s->b, IR_ADD, v, ir_op1(s->b, IR_ZEXT32, arm_read_reg(s, a->rdhi)));
    arm_mul_write_pair(s, a->rdlo, a->rdhi, v);
    return true;
}

/* Division by zero gives zero (SCTLR.DZ belongs to the R profile); IR_SDIV and IR_UDIV say the
 * same. */
bool trans_SDIV(struct arm_ctx *s, const struct arg_SDIV *a)
{
    arm_write_reg(s, a->rd, ir_op2(s->b, IR_SDIV, arm_read_reg(s, a->rn), arm_read_reg(s, a->rm)));
    return true;
}

bool trans_UDIV(struct arm_ctx *s, const struct arg_UDIV *a)
{
    arm_write_reg(s, a->rd, ir_op2(s->b, IR_UDIV, arm_read_reg(s, a->rn), arm_read_reg(s, a->rm)));
    return true;
}

/* ---- most significant word: bits 63:32, truncated or rounded ---- */
static ir_ref most_significant(struct arm_ctx *s, ir_ref v, unsigned round)
{
    return ir_op1(s->b, IR_HI32, round ? ir_op2i(s->b, IR_ADD, v, 0x80000000u) : v);
}

/* The accumulator is the high word of a 64-bit value. */
static ir_ref high_word(struct arm_ctx *s, unsigned ra)
{
    return ir_op2(s->b, IR_PAIR, arm_imm(s, 0), arm_read_reg(s, ra));
}

bool trans_SMMUL(struct arm_ctx *s, const struct arg_SMMUL *a)
{
    ir_ref v = arm_mul_signed(s, arm_read_reg(s, a->rn), arm_read_reg(s, a->rm));

    arm_write_reg(s, a->rd, most_significant(s, v, a->r));
    return true;
}

bool trans_SMMLA(struct arm_ctx *s, const struct arg_SMMLA *a)
{
    ir_ref v = arm_mul_signed(s, arm_read_reg(s, a->rn), arm_read_reg(s, a->rm));

    v = ir_op2(s->b, IR_ADD, high_word(s, a->ra), v);
    arm_write_reg(s, a->rd, most_significant(s, v, a->r));
    return true;
}

bool trans_SMMLS(struct arm_ctx *s, const struct arg_SMMLS *a)
{
    ir_ref v = arm_mul_signed(s, arm_read_reg(s, a->rn), arm_read_reg(s, a->rm));

    v = ir_op2(s->b, IR_SUB, high_word(s, a->ra), v);
    arm_write_reg(s, a->rd, most_significant(s, v, a->r));
    return true;
}
