/* SPDX-License-Identifier: MIT */
/*
 * Multiplies of 16-bit halves, single and dual, and saturating addition and subtraction: the DSP
 * instructions that set Q when a sum overflows (never on the way of a 16 x 16 product alone).
 * Arm ARM A8.8.134-A8.8.141 (QADD...), A8.8.176-A8.8.193 (SMLAxy, SMLAD, SMLALxy, SMULWy,
 * SMUSD...).
 *
 * Threads: the translating vCPU thread.
 */
#include "arm_mul.h"

static ir_ref half(struct arm_ctx *s, ir_ref v, unsigned high)
{
    return high ? ir_op2i(s->b, IR_SAR, v, 16) : ir_op1(s->b, IR_SEXT16, v);
}

static ir_ref half_product(struct arm_ctx *s, ir_ref x, unsigned xh, ir_ref y, unsigned yh)
{
    return ir_op2(s->b, IR_MUL, half(s, x, xh), half(s, y, yh));
}

/* rd = product + ra; Q |= signed overflow. */
static void accumulate_q(struct arm_ctx *s, unsigned rd, ir_ref v, unsigned ra)
{
    ir_ref acc = arm_read_reg(s, ra);

    arm_put_q(s, ir_op2(s->b, IR_ADD_V, v, acc));
    arm_write_reg(s, rd, ir_op2(s->b, IR_ADD, v, acc));
}

/* pair += v, sign-extended; no flags. */
static void accumulate_long(struct arm_ctx *s, unsigned lo, unsigned hi, ir_ref v64)
{
    arm_mul_write_pair(s, lo, hi, ir_op2(s->b, IR_ADD, arm_mul_read_pair(s, lo, hi), v64));
}

bool trans_SMULxy(struct arm_ctx *s, const struct arg_SMULxy *a)
{
    arm_write_reg(s, a->rd,
                  half_product(s, arm_read_reg(s, a->rn), a->nh, arm_read_reg(s, a->rm), a->mh));
    return true;
}

bool trans_SMLAxy(struct arm_ctx *s, const struct arg_SMLAxy *a)
{
    ir_ref v = half_product(s, arm_read_reg(s, a->rn), a->nh, arm_read_reg(s, a->rm), a->mh);

    accumulate_q(s, a->rd, v, a->ra);
    return true;
}

bool trans_SMLALxy(struct arm_ctx *s, const struct arg_SMLALxy *a)
{
    ir_ref v = half_product(s, arm_read_reg(s, a->rn), a->nh, arm_read_reg(s, a->rm), a->mh);

    accumulate_long(s, a->rdlo, a->rdhi, ir_op1(s->b, IR_SEXT32, v));
    return true;
}

/* Bits 47:16 of a 32 x 16 product. */
static ir_ref word_half_product(struct arm_ctx *s, unsigned rn, unsigned rm, unsigned mh)
{
    ir_ref v = arm_mul_signed(s, arm_read_reg(s, rn), half(s, arm_read_reg(s, rm), mh));

    return ir_op1(s->b, IR_TRUNC, ir_op2i(s->b, IR_SAR, v, 16));
}

bool trans_SMULWy(struct arm_ctx *s, const struct arg_SMULWy *a)
{
    arm_write_reg(s, a->rd, word_half_product(s, a->rn, a->rm, a->mh));
    return true;
}

bool trans_SMLAWy(struct arm_ctx *s, const struct arg_SMLAWy *a)
{
    accumulate_q(s, a->rd, word_half_product(s, a->rn, a->rm, a->mh), a->ra);
    return true;
}

/* ---- dual: low x low and high x high, or crosswise ---- */
struct products {
    ir_ref low, high; /* 32-bit */
};

static struct products dual_products(struct arm_ctx *s, unsigned rn, unsigned rm, unsigned cross)
{
    ir_ref x = arm_read_reg(s, rn);
    ir_ref y = arm_read_reg(s, rm);

    return (struct products){half_product(s, x, 0, y, cross), half_product(s, x, 1, y, !cross)};
}

/* The sum overflows only for four times -0x8000. */
bool trans_SMUAD(struct arm_ctx *s, const struct arg_SMUAD *a)
{
    struct products p = dual_products(s, a->rn, a->rm, a->x);

    arm_put_q(s, ir_op2(s->b, IR_ADD_V, p.low, p.high));
    arm_write_reg(s, a->rd, ir_op2(s->b, IR_ADD, p.low, p.high));
    return true;
}

/* Q when the sum of three does not fit, whatever its parts do on the way. */
bool trans_SMLAD(struct arm_ctx *s, const struct arg_SMLAD *a)
{
    struct products p = dual_products(s, a->rn, a->rm, a->x);
    ir_ref sum =
        ir_op2(s->b, IR_ADD, ir_op1(s->b, IR_SEXT32, p.low), ir_op1(s->b, IR_SEXT32, p.high));
    ir_ref res;

    sum = ir_op2(s->b, IR_ADD, sum, ir_op1(s->b, IR_SEXT32, arm_read_reg(s, a->ra)));
    res = ir_op1(s->b, IR_TRUNC, sum);
    arm_put_q(s, ir_setc(s->b, IR_NE, sum, ir_op1(s->b, IR_SEXT32, res)));
    arm_write_reg(s, a->rd, res);
    return true;
}

bool trans_SMUSD(struct arm_ctx *s, const struct arg_SMUSD *a)
{
    struct products p = dual_products(s, a->rn, a->rm, a->x);

    arm_write_reg(s, a->rd, ir_op2(s->b, IR_SUB, p.low, p.high));
    return true;
}

/* The difference of two products always fits. */
bool trans_SMLSD(struct arm_ctx *s, const struct arg_SMLSD *a)
{
    struct products p = dual_products(s, a->rn, a->rm, a->x);

    accumulate_q(s, a->rd, ir_op2(s->b, IR_SUB, p.low, p.high), a->ra);
    return true;
}

static bool dual_long(struct arm_ctx *s, const struct arg_SMLALD *a, enum ir_op op)
{
    struct products p = dual_products(s, a->rn, a->rm, a->x);
    ir_ref v = ir_op2(s->b, op, ir_op1(s->b, IR_SEXT32, p.low), ir_op1(s->b, IR_SEXT32, p.high));
    accumulate_long(s, a->rdlo, a->rdhi, v);
    return true;
}

bool trans_SMLALD(struct arm_ctx *s, const struct arg_SMLALD *a)
{
    return dual_long(s, a, IR_ADD);
}

bool trans_SMLSLD(struct arm_ctx *s, const struct arg_SMLSLD *a)
{
    return dual_long(s, a, IR_SUB);
}

/* ---- QADD, QSUB, QDADD, QDSUB ---- */
/* SignedSat(x op y, 32): an overflowed result has the wrong sign, so its sign picks the limit. */
static ir_ref saturate(struct arm_ctx *s, ir_ref x, ir_ref y, bool subtract)
{
    ir_ref over = ir_op2(s->b, subtract ? IR_SUB_V : IR_ADD_V, x, y);
    ir_ref v = ir_op2(s->b, subtract ? IR_SUB : IR_ADD, x, y);
    ir_ref limit = ir_op2i(s->b, IR_XOR, ir_op2i(s->b, IR_SAR, v, 31), 0x80000000u);

    arm_put_q(s, over);
    return ir_select(s->b, IR_NE, over, arm_imm(s, 0), limit, v);
}

static bool saturating(struct arm_ctx *s, const struct arg_QADD *a, bool twice, bool subtract)
{
    ir_ref n = arm_read_reg(s, a->rn);

    if (twice) {
        n = saturate(s, n, n, false);
    }
    arm_write_reg(s, a->rd, saturate(s, arm_read_reg(s, a->rm), n, subtract));
    return true;
}

bool trans_QADD(struct arm_ctx *s, const struct arg_QADD *a)
{
    return saturating(s, a, false, false);
}

bool trans_QSUB(struct arm_ctx *s, const struct arg_QSUB *a)
{
    return saturating(s, a, false, true);
}

bool trans_QDADD(struct arm_ctx *s, const struct arg_QDADD *a)
{
    return saturating(s, a, true, false);
}

bool trans_QDSUB(struct arm_ctx *s, const struct arg_QDSUB *a)
{
    return saturating(s, a, true, true);
}
