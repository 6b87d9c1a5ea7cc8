/* SPDX-License-Identifier: MIT */
/*
 * NZCV: setters that write the state's nf, zf, cf, vf and remember what the flags came from, and
 * conditions as one IR relation, on the operands of the last comparison when the block knows it.
 * Arm ARM A8.3 (conditional execution), A2.4 (APSR).
 *
 * Threads: the translating vCPU thread.
 */
#include "arm_internal.h"

void arm_flags_changed(struct arm_ctx *s)
{
    s->flags = FLAGS_UNKNOWN;
    s->section_dirty = true;
}

/* Under a select: what the flag in a slot is where the condition does not hold. */
static ir_ref old_flag(struct arm_ctx *s, uint32_t off)
{
    if (s->cond == ARM_COND_NE && s->flags == FLAGS_SUB) { /* the operands were equal */
        return arm_imm(s, off == ARM_OFF(cf));
    }
    return ir_get(s->b, IR_I32, off, 4);
}

static ir_ref put_flag(struct arm_ctx *s, uint32_t off, ir_ref v)
{
    if (s->select) {
        v = arm_merge(s, v, old_flag(s, off));
    }
    ir_put(s->b, off, 4, v);
    s->section_dirty = true;
    return v;
}

void arm_set_nz(struct arm_ctx *s, ir_ref res)
{
    ir_ref n = put_flag(s, ARM_OFF(nf), res), z = put_flag(s, ARM_OFF(zf), res);

    s->flags = n == z ? FLAGS_NZ : FLAGS_UNKNOWN;
    s->flag_res = z;
}

void arm_set_nz64(struct arm_ctx *s, ir_ref lo, ir_ref hi)
{
    ir_put(s->b, ARM_OFF(nf), 4, hi);
    ir_put(s->b, ARM_OFF(zf), 4, ir_op2(s->b, IR_OR, lo, hi));
    arm_flags_changed(s);
}

ir_ref arm_get_c(struct arm_ctx *s)
{
    return ir_get(s->b, IR_I32, ARM_OFF(cf), 4);
}

/* C alone leaves N and Z known, but not a comparison. */
static void arm_forget_compare(struct arm_ctx *s)
{
    if (s->flags == FLAGS_SUB) {
        s->flags = FLAGS_NZ;
    } else if (s->flags == FLAGS_FP) {
        s->flags = FLAGS_UNKNOWN;
    }
}

void arm_put_c(struct arm_ctx *s, ir_ref c)
{
    put_flag(s, ARM_OFF(cf), c);
    arm_forget_compare(s);
}

void arm_put_v(struct arm_ctx *s, ir_ref v)
{
    put_flag(s, ARM_OFF(vf), v);
    arm_forget_compare(s);
}

void arm_put_q(struct arm_ctx *s, ir_ref q)
{
    ir_ref old = ir_get(s->b, IR_I32, ARM_OFF(qf), 4);

    ir_put(s->b, ARM_OFF(qf), 4, ir_op2(s->b, IR_OR, old, q));
}

void arm_set_logic(struct arm_ctx *s, ir_ref res, ir_ref carry)
{
    if (carry) {
        put_flag(s, ARM_OFF(cf), carry);
    }
    arm_set_nz(s, res);
}

static void set_all(struct arm_ctx *s, ir_ref res, ir_ref c, ir_ref v)
{
    put_flag(s, ARM_OFF(cf), c);
    put_flag(s, ARM_OFF(vf), v);
    arm_set_nz(s, res);
}

void arm_set_add(struct arm_ctx *s, ir_ref x, ir_ref y, ir_ref res)
{
    set_all(s, res, ir_op2(s->b, IR_ADD_C, x, y), ir_op2(s->b, IR_ADD_V, x, y));
}

void arm_set_sub(struct arm_ctx *s, ir_ref x, ir_ref y, ir_ref res)
{
    set_all(s, res, ir_setc(s->b, IR_GEU, x, y), ir_op2(s->b, IR_SUB_V, x, y));
    if (s->select) {
        return;
    }
    s->flags = FLAGS_SUB;
    s->flag_x = x;
    s->flag_y = y;
}

void arm_set_adc(struct arm_ctx *s, ir_ref x, ir_ref y, ir_ref carry, ir_ref res)
{
    set_all(s, res, ir_op3(s->b, IR_ADC_C, x, y, carry), ir_op3(s->b, IR_ADC_V, x, y, carry));
}

void arm_set_nzcv(struct arm_ctx *s, ir_ref v, bool of_compare)
{
    struct ir_block *b = s->b;

    ir_put(b, ARM_OFF(nf), 4, v);
    ir_put(b, ARM_OFF(zf), 4, ir_op2i(b, IR_XOR, ir_op2i(b, IR_AND, v, 1u << 30), 1u << 30));
    ir_put(b, ARM_OFF(cf), 4, ir_extract(b, v, 29, 1));
    ir_put(b, ARM_OFF(vf), 4, ir_extract(b, v, 28, 1));
    arm_flags_changed(s);
    if (of_compare) {
        s->flags = FLAGS_FP;
        s->flag_res = v;
    }
}

static ir_ref flag_n(struct arm_ctx *s)
{
    return s->flags ? s->flag_res : ir_get(s->b, IR_I32, ARM_OFF(nf), 4);
}

static ir_ref flag_z(struct arm_ctx *s)
{
    return s->flags ? s->flag_res : ir_get(s->b, IR_I32, ARM_OFF(zf), 4);
}

static struct arm_test test_zero(struct arm_ctx *s, enum ir_rel rel, ir_ref v)
{
    return (struct arm_test){rel, v, arm_imm(s, 0)};
}

/* A value whose sign bit is N != V. */
static ir_ref flag_n_xor_v(struct arm_ctx *s)
{
    ir_ref v = ir_get(s->b, IR_I32, ARM_OFF(vf), 4);

    return ir_op2(s->b, IR_XOR, flag_n(s), ir_op2i(s->b, IR_SHL, v, 31));
}

/* The condition of the pair (cond & ~1), from the flags in the state. */
static struct arm_test test_of_state(struct arm_ctx *s, unsigned pair)
{
    ir_ref zero = arm_imm(s, 0);

    switch (pair) {
    case ARM_COND_EQ:
        return test_zero(s, IR_EQ, flag_z(s));
    case ARM_COND_CS:
        return test_zero(s, IR_NE, arm_get_c(s));
    case ARM_COND_MI:
        return test_zero(s, IR_LTS, flag_n(s));
    case ARM_COND_VS:
        return test_zero(s, IR_NE, ir_get(s->b, IR_I32, ARM_OFF(vf), 4));
    case ARM_COND_HI: /* C set and Z clear: C ? zf : 0 is not zero */
        return test_zero(s, IR_NE, ir_select(s->b, IR_NE, arm_get_c(s), zero, flag_z(s), zero));
    case ARM_COND_GE:
        return test_zero(s, IR_GES, flag_n_xor_v(s));
    default: /* GT: Z clear and N == V; all ones (negative) stands for Z set */
        return test_zero(s, IR_GES,
                         ir_select(s->b, IR_EQ, flag_z(s), zero, arm_imm(s, ~0u), flag_n_xor_v(s)));
    }
}

/* The same after a floating-point comparison: 2 greater, 3 unordered, 6 equal, 8 less. */
static struct arm_test test_of_fp(struct arm_ctx *s, unsigned pair)
{
    static const struct {
        uint8_t rel, nzcv;
    } tests[] = {
        [ARM_COND_EQ] = {IR_EQ, 6}, [ARM_COND_CS] = {IR_NE, 8},  [ARM_COND_MI] = {IR_EQ, 8},
        [ARM_COND_VS] = {IR_EQ, 3}, [ARM_COND_HI] = {IR_LTU, 4}, [ARM_COND_GE] = {IR_TSTEQ, 9},
        [ARM_COND_GT] = {IR_EQ, 2},
    };

    return (struct arm_test){(enum ir_rel)tests[pair].rel, s->flag_res,
                             arm_imm(s, (uint32_t)tests[pair].nzcv << 28)};
}

struct arm_test arm_cond_test(struct arm_ctx *s, unsigned cond)
{
    /* After a comparison; MI, PL, VS, VC are not relations of the operands. */
    static const uint8_t of_compare[] = {
        [ARM_COND_EQ] = IR_EQ + 1,  [ARM_COND_CS] = IR_GEU + 1, [ARM_COND_HI] = IR_GTU + 1,
        [ARM_COND_GE] = IR_GES + 1, [ARM_COND_GT] = IR_GTS + 1,
    };
    unsigned pair = cond & ~1u;
    struct arm_test t;

    if (s->flags == FLAGS_SUB && pair < ARRAY_SIZE(of_compare) && of_compare[pair]) {
        t = (struct arm_test){(enum ir_rel)(of_compare[pair] - 1), s->flag_x, s->flag_y};
    } else if (s->flags == FLAGS_FP) {
        t = test_of_fp(s, pair);
    } else {
        t = test_of_state(s, pair);
    }
    if (cond & 1) {
        t.rel = ir_rel_invert(t.rel);
    }
    return t;
}
