/* SPDX-License-Identifier: MIT */
/*
 * Branches, table branches, compare and branch, If-Then, Supervisor Call, breakpoint and the T32
 * exception return. Arm ARM A4.3, A5.5, A6.2.3, A6.2.6, A6.3.4, A6.3.6.
 *
 * Threads: the translating vCPU thread.
 */
#include "arm_internal.h"
#include "semihosting/semihosting.h"
#include "a32_branch_decode.h"
#include "t16_branch_decode.h"
#include "t32_branch_decode.h"

static uint32_t return_address(const struct arm_ctx *s)
{
    return s->next_pc | (s->thumb ? 1 : 0);
}

static void put_lr(struct arm_ctx *s)
{
    ir_put(s->b, ARM_OFF_REG(14), 4, arm_pc_ref(s, return_address(s)));
}

static void call(struct arm_ctx *s, uint32_t target)
{
    uint32_t to = return_address(s);

    put_lr(s);
    arm_goto(s, target);
    arm_expect_return(s, to);
}

/* imm is S:J1:J2:... sign-extended; I1 = NOT(J1 EOR S), I2 likewise, stand at bits 23 and 22. */
static uint32_t t32_offset(int32_t imm)
{
    return (uint32_t)imm ^ (imm < 0 ? 0 : 0x00c00000u);
}

/* In a region: one way is a side exit, the other is where translation goes on. */
static bool follow_if(struct arm_ctx *s, struct arm_test t, uint32_t target)
{
    uint32_t next = s->next_pc;
    enum tcg_follow way = arm_follow(s, target, next);

    if (way == FOLLOW_TAKEN) {
        ir_goto_if(s->b, ir_rel_invert(t.rel), t.x, t.y, next);
    } else if (way == FOLLOW_NEXT) {
        ir_goto_if(s->b, t.rel, t.x, t.y, target);
    }
    return way != FOLLOW_NONE;
}

bool arm_follow_conditional(struct arm_ctx *s)
{
    uint32_t offset = s->insn << 8;

    if (s->thumb || !s->src->follow || (s->insn & 0x0f000000) != 0x0a000000) {
        return false;
    }
    arm_section_close(s);
    return follow_if(s, arm_cond_test(s, s->cond),
                     arm_pc_value(s) + (uint32_t)((int32_t)offset >> 6));
}

/* Emit both ways of a conditional branch whose relation holds for the taken one. */
static void branch_if(struct arm_ctx *s, struct arm_test t, uint32_t target)
{
    unsigned taken;

    if (follow_if(s, t, target)) {
        return;
    }
    taken = ir_label_new(s->b);
    ir_brcond(s->b, t.rel, t.x, t.y, taken);
    arm_fallthrough(s);
    ir_label(s->b, taken);
    arm_goto_end(s, target);
}

bool trans_B(struct arm_ctx *s, const struct arg_B *a)
{
    arm_goto(s, arm_pc_value(s) + (uint32_t)a->imm);
    return true;
}

bool trans_B_t4(struct arm_ctx *s, const struct arg_B_t4 *a)
{
    arm_goto(s, arm_pc_value(s) + t32_offset(a->imm));
    return true;
}

bool trans_B_cond(struct arm_ctx *s, const struct arg_B_cond *a)
{
    if (arm_in_it(s)) {
        return false;
    }
    branch_if(s, arm_cond_test(s, a->cond), arm_pc_value(s) + (uint32_t)a->imm);
    return true;
}

bool trans_BL(struct arm_ctx *s, const struct arg_BL *a)
{
    call(s, arm_pc_value(s) + (uint32_t)a->imm);
    return true;
}

bool trans_BL_t32(struct arm_ctx *s, const struct arg_BL_t32 *a)
{
    call(s, arm_pc_value(s) + t32_offset(a->imm));
    return true;
}

bool trans_BLX_i(struct arm_ctx *s, const struct arg_BLX_i *a)
{
    put_lr(s);
    arm_goto_exchange(s, arm_pc_value(s) + (uint32_t)a->imm);
    return true;
}

bool trans_BLX_t32(struct arm_ctx *s, const struct arg_BLX_t32 *a)
{
    put_lr(s);
    arm_goto_exchange(s, (arm_pc_value(s) & ~3u) + t32_offset(a->imm));
    return true;
}

bool trans_BX(struct arm_ctx *s, const struct arg_BX *a)
{
    arm_branch_bx(s, arm_read_reg(s, a->rm));
    return true;
}

/* No Jazelle: BXJ is BX. */
bool trans_BXJ(struct arm_ctx *s, const struct arg_BXJ *a)
{
    if (a->rm == 15) {
        return false;
    }
    arm_branch_bx(s, arm_read_reg(s, a->rm));
    return true;
}

bool trans_BLX_r(struct arm_ctx *s, const struct arg_BLX_r *a)
{
    ir_ref target;

    if (a->rm == 15) {
        return false;
    }
    target = arm_read_reg(s, a->rm);
    put_lr(s);
    arm_branch_bx(s, target);
    arm_expect_return(s, return_address(s));
    return true;
}

bool trans_CBZ(struct arm_ctx *s, const struct arg_CBZ *a)
{
    struct arm_test t;

    if (arm_in_it(s)) {
        return false;
    }
    t = (struct arm_test){a->nz ? IR_NE : IR_EQ, arm_read_reg(s, a->rn), arm_imm(s, 0)};
    branch_if(s, t, arm_pc_value(s) + a->imm);
    return true;
}

static bool table_branch(struct arm_ctx *s, unsigned rn, unsigned rm, unsigned size)
{
    ir_ref index, entry;

    if (rm == 15 || arm_it_not_last(s)) {
        return false;
    }
    index = ir_op2i(s->b, IR_SHL, arm_read_reg(s, rm), size);
    entry =
        ir_load(s->b, IR_I32, ir_op2(s->b, IR_ADD, arm_read_reg(s, rn), index), arm_memop(s, size));
    arm_branch_plain(
        s, ir_op2(s->b, IR_ADD, ir_op2i(s->b, IR_SHL, entry, 1), arm_pc_ref(s, arm_pc_value(s))));
    return true;
}

bool trans_TBB(struct arm_ctx *s, const struct arg_TBB *a)
{
    return table_branch(s, a->rn, a->rm, MEMOP_8);
}

bool trans_TBH(struct arm_ctx *s, const struct arg_TBH *a)
{
    return table_branch(s, a->rn, a->rm, MEMOP_16);
}

/* A condition of 1111 inside the block counts as always. */
bool trans_IT(struct arm_ctx *s, const struct arg_IT *a)
{
    if (arm_in_it(s) || a->firstcond == 15) {
        return false;
    }
    s->it_next = (uint8_t)(a->firstcond << 4 | a->mask);
    return true;
}

bool trans_SVC(struct arm_ctx *s, const struct arg_SVC *a)
{
    uint32_t semihosting = s->thumb ? 0xab : 0x123456;

    /* SVC has no fault status: its place tells the run loop (semihosting/). */
    arm_raise(s, ARM_EXC_SVC, a->imm == semihosting ? SEMIHOSTING_SVC : 0);
    return true;
}

bool trans_BKPT(struct arm_ctx *s, const struct arg_BKPT *a)
{
    (void)a;
    arm_call(s, "bkpt", (void *)arm_helper_bkpt, CALL_RAISES, arm_pc_ref(s, s->pc), 0, 0);
    ir_exit(s->b, TCG_EXIT_EXCEPTION);
    s->done = true;
    return true;
}

bool trans_UDF(struct arm_ctx *s, const struct arg_UDF *a)
{
    (void)s;
    (void)a;
    return false;
}

/* SUBS PC, LR, #imm8: exception return, UNPREDICTABLE in User mode. */
bool trans_SUBS_PC(struct arm_ctx *s, const struct arg_SUBS_PC *a)
{
    if (!s->privileged || arm_it_not_last(s)) {
        return false;
    }
    arm_exception_return(s, ir_op2i(s->b, IR_SUB, arm_read_reg(s, 14), a->imm));
    return true;
}
