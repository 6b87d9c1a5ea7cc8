/* SPDX-License-Identifier: MIT */
/*
 * Data processing of A32 and T32: the sixteen classic operations (and ORN) with a register shifted
 * by an immediate, a register shifted by a register, and a modified immediate; MOVW, MOVT,
 * ADDW/SUBW/ADR and the T32 forms on high registers. Arm ARM A5.2.1-A5.2.4, A6.2.1-A6.2.3, A6.3.1,
 * A6.3.3, A6.3.11.
 *
 * Threads: the translating vCPU thread.
 */
#include "arm_internal.h"
#include "a32_dp_decode.h"
#include "t16_dp_decode.h"
#include "t32_dp_decode.h"

enum dp_op {
    DP_AND,
    DP_EOR,
    DP_SUB,
    DP_RSB,
    DP_ADD,
    DP_ADC,
    DP_SBC,
    DP_RSC,
    DP_TST,
    DP_TEQ,
    DP_CMP,
    DP_CMN,
    DP_ORR,
    DP_MOV,
    DP_BIC,
    DP_MVN,
    DP_ORN,
};
#define NO_RD 16u

static bool is_arithmetic(enum dp_op op)
{
    return (op >= DP_SUB && op <= DP_RSC) || op == DP_CMP || op == DP_CMN;
}

/* Writing the PC: branch in A32; with S an exception return, UNPREDICTABLE in User mode; no T32
 * form. */
static bool rd_allowed(const struct arm_ctx *s, unsigned rd, bool flags)
{
    return rd != 15 || (!s->thumb && (!flags || s->privileged));
}

static ir_ref dp_logic(struct arm_ctx *s, enum dp_op op, ir_ref x, struct arm_shifted y, bool flags)
{
    struct ir_block *b = s->b;
    ir_ref res;

    switch (op) {
    case DP_AND:
    case DP_TST:
        res = ir_op2(b, IR_AND, x, y.v);
        break;
    case DP_EOR:
    case DP_TEQ:
        res = ir_op2(b, IR_XOR, x, y.v);
        break;
    case DP_ORR:
        res = ir_op2(b, IR_OR, x, y.v);
        break;
    case DP_ORN:
        res = ir_op2(b, IR_OR, x, ir_op1(b, IR_NOT, y.v));
        break;
    case DP_BIC:
        res = ir_op2(b, IR_ANDN, x, y.v);
        break;
    case DP_MVN:
        res = ir_op1(b, IR_NOT, y.v);
        break;
    default:
        res = y.v;
        break;
    }
    if (flags) {
        arm_set_logic(s, res, y.carry);
    }
    return res;
}

static ir_ref dp_adc(struct arm_ctx *s, ir_ref x, ir_ref y, bool flags)
{
    ir_ref c = arm_get_c(s);
    ir_ref res = ir_op3(s->b, IR_ADC, x, y, c);

    if (flags) {
        arm_set_adc(s, x, y, c, res);
    }
    return res;
}

static ir_ref dp_sub(struct arm_ctx *s, ir_ref x, ir_ref y, bool flags)
{
    ir_ref res = ir_op2(s->b, IR_SUB, x, y);

    if (flags) {
        arm_set_sub(s, x, y, res);
    }
    return res;
}

static ir_ref dp_add(struct arm_ctx *s, ir_ref x, ir_ref y, bool flags)
{
    ir_ref res = ir_op2(s->b, IR_ADD, x, y);

    if (flags) {
        arm_set_add(s, x, y, res);
    }
    return res;
}

static ir_ref dp_arithmetic(struct arm_ctx *s, enum dp_op op, ir_ref x, ir_ref y, bool flags)
{
    switch (op) {
    case DP_ADD:
    case DP_CMN:
        return dp_add(s, x, y, flags);
    case DP_SUB:
    case DP_CMP:
        return dp_sub(s, x, y, flags);
    case DP_RSB:
        return dp_sub(s, y, x, flags);
    case DP_ADC:
        return dp_adc(s, x, y, flags);
    case DP_SBC:
        return dp_adc(s, x, ir_op1(s->b, IR_NOT, y), flags);
    default: /* RSC */
        return dp_adc(s, y, ir_op1(s->b, IR_NOT, x), flags);
    }
}

static bool dp_finish(struct arm_ctx *s, enum dp_op op, unsigned rd, unsigned rn, bool flags,
                      struct arm_shifted y)
{
    bool exception_return = flags && rd == 15;
    bool set = flags && !exception_return;
    ir_ref x = op == DP_MOV || op == DP_MVN ? 0 : arm_read_reg(s, rn);
    ir_ref res = is_arithmetic(op) ? dp_arithmetic(s, op, x, y.v, set) : dp_logic(s, op, x, y, set);

    if (exception_return) {
        arm_exception_return(s, res);
    } else if (rd != NO_RD) {
        arm_write_reg(s, rd, res);
    }
    return true;
}

static bool dp_rri(struct arm_ctx *s, enum dp_op op, unsigned rd, unsigned rn, uint32_t sf,
                   unsigned rm, unsigned type, unsigned imm5)
{
    bool flags = arm_sets_flags(s, sf);
    struct arm_shifted y;

    if (!rd_allowed(s, rd, flags)) {
        return false;
    }
    y = arm_shift_imm(s, arm_read_reg(s, rm), type, imm5, flags && !is_arithmetic(op));
    return dp_finish(s, op, rd, rn, flags, y);
}

static bool dp_rrr(struct arm_ctx *s, enum dp_op op, unsigned rd, unsigned rn, uint32_t sf,
                   unsigned rm, unsigned type, unsigned rs)
{
    bool flags = arm_sets_flags(s, sf);
    struct arm_shifted y;

    if (!rd_allowed(s, rd, flags)) {
        return false;
    }
    y = arm_shift_reg(s, arm_read_reg(s, rm), type, arm_read_reg(s, rs),
                      flags && !is_arithmetic(op));
    return dp_finish(s, op, rd, rn, flags, y);
}

static bool dp_ri(struct arm_ctx *s, enum dp_op op, unsigned rd, unsigned rn, uint32_t sf,
                  uint32_t imm12)
{
    bool flags = arm_sets_flags(s, sf);
    struct arm_shifted y = {0, 0};
    int carry;

    if (!rd_allowed(s, rd, flags)) {
        return false;
    }
    y.v = arm_imm(s, arm_expand_imm(s, imm12, &carry));
    if (carry >= 0) {
        y.carry = arm_imm(s, (uint32_t)carry);
    }
    return dp_finish(s, op, rd, rn, flags, y);
}

/* The trans functions: per operation, with the registers its encodings have. */
#define DP_RRI(op, rd, rn, sf)                                               \
    bool trans_##op##_rri(struct arm_ctx *s, const struct arg_##op##_rri *a) \
    {                                                                        \
        return dp_rri(s, DP_##op, rd, rn, sf, a->rm, a->shty, a->shim);      \
    }
#define DP_RRR(op, rd, rn, sf)                                               \
    bool trans_##op##_rrr(struct arm_ctx *s, const struct arg_##op##_rrr *a) \
    {                                                                        \
        return dp_rrr(s, DP_##op, rd, rn, sf, a->rm, a->shty, a->rs);        \
    }
#define DP_RI(op, rd, rn, sf)                                              \
    bool trans_##op##_ri(struct arm_ctx *s, const struct arg_##op##_ri *a) \
    {                                                                      \
        return dp_ri(s, DP_##op, rd, rn, sf, a->imm);                      \
    }
#define DP_ALL(op, rd, rn, sf) DP_RRI(op, rd, rn, sf) DP_RRR(op, rd, rn, sf) DP_RI(op, rd, rn, sf)

DP_ALL(AND, a->rd, a->rn, a->s)
DP_ALL(EOR, a->rd, a->rn, a->s)
DP_ALL(SUB, a->rd, a->rn, a->s)
DP_ALL(RSB, a->rd, a->rn, a->s)
DP_ALL(ADD, a->rd, a->rn, a->s)
DP_ALL(ADC, a->rd, a->rn, a->s)
DP_ALL(SBC, a->rd, a->rn, a->s)
DP_ALL(RSC, a->rd, a->rn, a->s)
DP_ALL(TST, NO_RD, a->rn, 1)
DP_ALL(TEQ, NO_RD, a->rn, 1)
DP_ALL(CMP, NO_RD, a->rn, 1)
DP_ALL(CMN, NO_RD, a->rn, 1)
DP_ALL(ORR, a->rd, a->rn, a->s)
DP_ALL(MOV, a->rd, 0, a->s)
DP_ALL(BIC, a->rd, a->rn, a->s)
DP_ALL(MVN, a->rd, 0, a->s)
DP_RRI(ORN, a->rd, a->rn, a->s)
DP_RI(ORN, a->rd, a->rn, a->s)

bool trans_MOVW(struct arm_ctx *s, const struct arg_MOVW *a)
{
    if (a->rd == 15) {
        return false;
    }
    arm_write_reg(s, a->rd, arm_imm(s, a->imm));
    return true;
}

bool trans_MOVT(struct arm_ctx *s, const struct arg_MOVT *a)
{
    if (a->rd == 15) {
        return false;
    }
    arm_write_reg(s, a->rd, ir_deposit(s->b, arm_read_reg(s, a->rd), arm_imm(s, a->imm), 16, 16));
    return true;
}

static bool add_wide(struct arm_ctx *s, unsigned rd, unsigned rn, uint32_t imm)
{
    if (rd == 15) {
        return false;
    }
    arm_write_reg(s, rd, ir_op2i(s->b, IR_ADD, arm_read_base(s, rn), imm));
    return true;
}

bool trans_ADDW(struct arm_ctx *s, const struct arg_ADDW *a)
{
    return add_wide(s, a->rd, a->rn, a->imm);
}

bool trans_SUBW(struct arm_ctx *s, const struct arg_SUBW *a)
{
    return add_wide(s, a->rd, a->rn, 0u - a->imm);
}

bool trans_ADD_hi(struct arm_ctx *s, const struct arg_ADD_hi *a)
{
    ir_ref sum = ir_op2(s->b, IR_ADD, arm_read_reg(s, a->rdn), arm_read_reg(s, a->rm));

    arm_write_reg(s, a->rdn, sum);
    return true;
}

bool trans_MOV_hi(struct arm_ctx *s, const struct arg_MOV_hi *a)
{
    arm_write_reg(s, a->rd, arm_read_reg(s, a->rm));
    return true;
}
