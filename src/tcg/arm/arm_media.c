/* SPDX-License-Identifier: MIT */
/*
 * SIMD on general registers: parallel addition and subtraction with the GE flags, SEL, packing,
 * saturation, and sums of absolute differences. Parallel operations are one call of a pure function
 * (arm_media_ops.c), but for those that string routines are made of: UADD8, USUB8, UQSUB8 and SEL
 * are inline. Arm ARM A5.4.1-A5.4.3, A6.3.13, A6.3.14, A8.8.125 (PKH), A8.8.166 (SEL), A8.8.193,
 * A8.8.263 (SSAT, USAT).
 *
 * Threads: the translating vCPU thread.
 */
#include "arm_internal.h"
#include "arm_media.h"

#include "a32_media_decode.h"
#include "t32_media_decode.h"

#define LANES_LOW7 0x7f7f7f7fu
#define LANES_TOP  0x80808080u

static void put_ge(struct arm_ctx *s, ir_ref ge)
{
    ir_put(s->b, ARM_OFF(ge), 4, ge);
}

typedef uint64_t parallel_fn(struct vcpu *v, uint32_t n, uint32_t m);

static ir_ref call_pure2(struct arm_ctx *s, const char *name, void *fn, ir_ref x, ir_ref y)
{
    return ir_call(s->b, IR_I64, name, fn, CALL_PURE, 2, (ir_ref[]){x, y});
}

static bool parallel(struct arm_ctx *s, const struct arg_SADD16 *a, const char *name,
                     parallel_fn *fn, bool with_ge)
{
    ir_ref v = call_pure2(s, name, (void *)fn, arm_read_reg(s, a->rn), arm_read_reg(s, a->rm));

    arm_write_reg(s, a->rd, ir_op1(s->b, IR_TRUNC, v));
    if (with_ge) {
        put_ge(s, ir_op1(s->b, IR_HI32, v));
    }
    return true;
}

#define PARALLEL(name, ge)                                           \
    bool trans_##name(struct arm_ctx *s, const struct arg_##name *a) \
    {                                                                \
        return parallel(s, a, #name, arm_media_##name, ge);          \
    }

PARALLEL(SADD16, true)
PARALLEL(SASX, true)
PARALLEL(SSAX, true)
PARALLEL(SSUB16, true)
PARALLEL(SADD8, true)
PARALLEL(SSUB8, true)
PARALLEL(QADD16, false)
PARALLEL(QASX, false)
PARALLEL(QSAX, false)
PARALLEL(QSUB16, false)
PARALLEL(QADD8, false)
PARALLEL(QSUB8, false)
PARALLEL(SHADD16, false)
PARALLEL(SHASX, false)
PARALLEL(SHSAX, false)
PARALLEL(SHSUB16, false)
PARALLEL(SHADD8, false)
PARALLEL(SHSUB8, false)
PARALLEL(UADD16, true)
PARALLEL(UASX, true)
PARALLEL(USAX, true)
PARALLEL(USUB16, true)
PARALLEL(UQADD16, false)
PARALLEL(UQASX, false)
PARALLEL(UQSAX, false)
PARALLEL(UQSUB16, false)
PARALLEL(UQADD8, false)
PARALLEL(UHADD16, false)
PARALLEL(UHASX, false)
PARALLEL(UHSAX, false)
PARALLEL(UHSUB16, false)
PARALLEL(UHADD8, false)
PARALLEL(UHSUB8, false)

/* ---- four bytes at once in one word ---- */
/* Bits 7, 15, 23, 31 to bits 3:0: the multiplication adds them up at 31:28 without carries between.
 */
static ir_ref gather_tops(struct arm_ctx *s, ir_ref tops)
{
    ir_ref v = ir_op2i(s->b, IR_SHR, tops, 7);

    return ir_op2i(s->b, IR_SHR, ir_op2i(s->b, IR_MUL, v, 0x10204080u), 28);
}

/* 0xff in each byte whose bit 7 is set in `tops` (other bits are zero). */
static ir_ref spread_tops(struct arm_ctx *s, ir_ref tops)
{
    return ir_op2i(s->b, IR_MUL, ir_op2i(s->b, IR_SHR, tops, 7), 0xff);
}

/* Byte-wise x + y: the low seven bits cannot carry out of a byte; bit 7 is added by exclusive or.
 */
bool trans_UADD8(struct arm_ctx *s, const struct arg_UADD8 *a)
{
    struct ir_block *b = s->b;
    ir_ref x = arm_read_reg(s, a->rn), y = arm_read_reg(s, a->rm);
    ir_ref low =
        ir_op2(b, IR_ADD, ir_op2i(b, IR_AND, x, LANES_LOW7), ir_op2i(b, IR_AND, y, LANES_LOW7));
    ir_ref differ = ir_op2(b, IR_XOR, x, y);
    ir_ref sum = ir_op2(b, IR_XOR, low, ir_op2i(b, IR_AND, differ, LANES_TOP));
    /* Carry out of bit 7: both set, or one set and the sum's bit 7 clear. */
    ir_ref carry = ir_op2(b, IR_OR, ir_op2(b, IR_AND, x, y), ir_op2(b, IR_ANDN, differ, sum));

    put_ge(s, gather_tops(s, ir_op2i(b, IR_AND, carry, LANES_TOP)));
    arm_write_reg(s, a->rd, sum);
    return true;
}

struct byte_difference {
    ir_ref value;
    ir_ref no_borrow; /* bit 7 of each byte where x >= y, other bits zero */
};

static struct byte_difference subtract_bytes(struct arm_ctx *s, ir_ref x, ir_ref y)
{
    struct ir_block *b = s->b;
    ir_ref low =
        ir_op2(b, IR_SUB, ir_op2i(b, IR_OR, x, LANES_TOP), ir_op2i(b, IR_AND, y, LANES_LOW7));
    ir_ref differ = ir_op2(b, IR_XOR, x, y);
    ir_ref same = ir_op2i(b, IR_AND, ir_op1(b, IR_NOT, differ), LANES_TOP);
    ir_ref value = ir_op2(b, IR_XOR, low, same);
    /* No borrow out of bit 7: x has it and y not, or they agree and the difference's bit 7 is
     * clear. */
    ir_ref ge = ir_op2(b, IR_OR, ir_op2(b, IR_AND, x, differ), ir_op2(b, IR_ANDN, same, value));

    return (struct byte_difference){value, ir_op2i(b, IR_AND, ge, LANES_TOP)};
}

bool trans_USUB8(struct arm_ctx *s, const struct arg_USUB8 *a)
{
    struct byte_difference d = subtract_bytes(s, arm_read_reg(s, a->rn), arm_read_reg(s, a->rm));

    put_ge(s, gather_tops(s, d.no_borrow));
    arm_write_reg(s, a->rd, d.value);
    return true;
}

bool trans_UQSUB8(struct arm_ctx *s, const struct arg_UQSUB8 *a)
{
    struct byte_difference d = subtract_bytes(s, arm_read_reg(s, a->rn), arm_read_reg(s, a->rm));

    arm_write_reg(s, a->rd, ir_op2(s->b, IR_AND, d.value, spread_tops(s, d.no_borrow)));
    return true;
}

/* GE bit i to bit 8 * i + 7 by a multiplication that copies the four bits to where one of each
 * lands. */
bool trans_SEL(struct arm_ctx *s, const struct arg_SEL *a)
{
    struct ir_block *b = s->b;
    ir_ref ge = ir_get(b, IR_I32, ARM_OFF(ge), 4);
    ir_ref ones = ir_op2i(b, IR_AND, ir_op2i(b, IR_MUL, ge, 0x00204081u), 0x01010101u);
    ir_ref mask = ir_op2i(b, IR_MUL, ones, 0xff);
    ir_ref n = ir_op2(b, IR_AND, arm_read_reg(s, a->rn), mask);

    arm_write_reg(s, a->rd, ir_op2(b, IR_OR, n, ir_op2(b, IR_ANDN, arm_read_reg(s, a->rm), mask)));
    return true;
}

/* ---- packing: PKHBT takes the low half of rn, PKHTB the high one ---- */
bool trans_PKH(struct arm_ctx *s, const struct arg_PKH *a)
{
    ir_ref n = arm_read_reg(s, a->rn);
    ir_ref m =
        arm_shift_imm(s, arm_read_reg(s, a->rm), a->tb ? ARM_ASR : ARM_LSL, a->shim, false).v;

    arm_write_reg(s, a->rd, ir_deposit(s->b, a->tb ? n : m, a->tb ? m : n, 0, 16));
    return true;
}

/* ---- saturation ---- */
static bool saturate(struct arm_ctx *s, const struct arg_SSAT *a, int32_t min, int32_t max)
{
    struct ir_block *b = s->b;
    ir_ref v =
        arm_shift_imm(s, arm_read_reg(s, a->rn), a->sh ? ARM_ASR : ARM_LSL, a->shim, false).v;
    ir_ref lo = arm_imm(s, (uint32_t)min), hi = arm_imm(s, (uint32_t)max);
    ir_ref res = ir_select(b, IR_LTS, v, lo, lo, v);

    res = ir_select(b, IR_GTS, v, hi, hi, res);
    arm_put_q(s, ir_setc(b, IR_NE, res, v));
    arm_write_reg(s, a->rd, res);
    return true;
}

bool trans_SSAT(struct arm_ctx *s, const struct arg_SSAT *a)
{
    int32_t max = (int32_t)((1u << a->sat) - 1);

    return saturate(s, a, -max - 1, max);
}

bool trans_USAT(struct arm_ctx *s, const struct arg_USAT *a)
{
    return saturate(s, a, 0, (int32_t)((1u << a->sat) - 1));
}

static bool saturate16(struct arm_ctx *s, const struct arg_SSAT16 *a, parallel_fn *fn,
                       unsigned bits)
{
    ir_ref v = call_pure2(s, "saturate16", (void *)fn, arm_read_reg(s, a->rn), arm_imm(s, bits));

    arm_put_q(s, ir_op1(s->b, IR_HI32, v));
    arm_write_reg(s, a->rd, ir_op1(s->b, IR_TRUNC, v));
    return true;
}

bool trans_SSAT16(struct arm_ctx *s, const struct arg_SSAT16 *a)
{
    return saturate16(s, a, arm_media_ssat16, a->sat + 1);
}

bool trans_USAT16(struct arm_ctx *s, const struct arg_USAT16 *a)
{
    return saturate16(s, a, arm_media_usat16, a->sat);
}

/* ---- sum of absolute differences ---- */
static bool absolute_differences(struct arm_ctx *s, unsigned rd, unsigned rn, unsigned rm,
                                 ir_ref acc)
{
    ir_ref args[3] = {arm_read_reg(s, rn), arm_read_reg(s, rm), acc};

    arm_write_reg(s, rd,
                  ir_call(s->b, IR_I32, "usada8", (void *)arm_media_usada8, CALL_PURE, 3, args));
    return true;
}

bool trans_USAD8(struct arm_ctx *s, const struct arg_USAD8 *a)
{
    return absolute_differences(s, a->rd, a->rn, a->rm, arm_imm(s, 0));
}

bool trans_USADA8(struct arm_ctx *s, const struct arg_USADA8 *a)
{
    return absolute_differences(s, a->rd, a->rn, a->rm, arm_read_reg(s, a->ra));
}
