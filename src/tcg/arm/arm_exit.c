/* SPDX-License-Identifier: MIT */
/*
 * Ways out of a block: direct and computed branches, interworking, exceptions, and returns to the
 * run loop. Each keeps the rule that at an exit the state holds the architectural PC (r[15]) and
 * exec_flags; inside a block exec_flags in memory is the value of the block's entry, CPSR.IT
 * included. Arm ARM A2.3.1 (interworking), A2.5.2 (ITSTATE).
 *
 * Threads: the translating vCPU thread.
 */
#include "arm_internal.h"

static void arm_put_pc(struct arm_ctx *s, uint32_t pc)
{
    ir_put(s->b, ARM_OFF_REG(15), 4, arm_pc_ref(s, pc));
}

static uint32_t arm_flags_with_it(const struct arm_ctx *s, uint8_t it)
{
    return (s->exec & ~EXEC_IT_MASK) | (uint32_t)it << EXEC_IT_SHIFT;
}

static void arm_put_exec(struct arm_ctx *s, uint32_t exec)
{
    if (exec != s->exec) {
        ir_put(s->b, ARM_OFF(exec_flags), 4, ir_const32(s->b, exec));
    }
}

static void note_followed(struct arm_ctx *s, enum tcg_follow way, uint32_t taken)
{
    struct tcg_source *src = s->src;

    src->n_followed += way != FOLLOW_NONE;
    if (way == FOLLOW_TAKEN) {
        if (!src->guest_bytes) {
            src->guest_bytes = s->next_pc - (uint32_t)src->pc;
        }
        s->next_pc = taken;
    }
}

enum tcg_follow arm_follow(struct arm_ctx *s, uint32_t taken, uint32_t next)
{
    struct tcg_source *src = s->src;
    enum tcg_follow way = src->follow ? src->follow(src, taken, next) : FOLLOW_NONE;

    note_followed(s, way, taken);
    return way;
}

/* Can a region go on behind this branch? Under a condition control must join here. */
static bool follows(struct arm_ctx *s, uint32_t pc, uint32_t exec)
{
    return s->cond >= ARM_COND_AL && !s->in_section && exec == s->exec &&
           arm_follow(s, pc, pc) == FOLLOW_TAKEN;
}

void arm_expect_return(struct arm_ctx *s, uint32_t to)
{
    if (!s->done && s->nexpected < ARRAY_SIZE(s->expected)) {
        s->expected[s->nexpected++] = to;
    }
}

#define NOWHERE UINT64_MAX

/* In a region: likely to be the return from a call inside it. Where to, as BX takes it. */
static gva_t follow_return(struct arm_ctx *s)
{
    uint32_t to = s->expected[--s->nexpected];

    return follows(s, to & ~1u, arm_flags_with_it(s, 0)) ? to : NOWHERE;
}

/* In a region: where the branch went before. */
static gva_t follow_indirect(struct arm_ctx *s)
{
    struct tcg_source *src = s->src;
    gva_t pc;

    if (!src->follow_indirect || s->cond < ARM_COND_AL || s->in_section ||
        arm_flags_with_it(s, 0) != s->exec) {
        return NOWHERE;
    }
    pc = src->follow_indirect(src);
    if (pc == NOWHERE) {
        return NOWHERE;
    }
    note_followed(s, FOLLOW_TAKEN, (uint32_t)pc);
    return pc | s->thumb;
}

/* In a region: a branch to v, as BX takes it, is most likely to a place where the region goes on.
 */
static bool follow_likely(struct arm_ctx *s, ir_ref v, bool returns)
{
    gva_t to = returns && s->nexpected ? follow_return(s) : follow_indirect(s);

    if (to == NOWHERE) {
        return false;
    }
    ir_bx_unless(s->b, v, arm_pc_ref(s, (uint32_t)to), arm_flags_with_it(s, 0) & ~EXEC_T);
    return true;
}

/* Leave to a constant PC with constant exec_flags. */
static void arm_leave(struct arm_ctx *s, uint32_t pc, uint32_t exec)
{
    if (exec == s->exec) {
        ir_goto(s->b, pc);
    } else {
        arm_put_exec(s, exec);
        arm_put_pc(s, pc);
        ir_goto_ind(s->b);
    }
    s->done = true;
}

/* A branch to a constant PC: a region may go on there. */
static void branch_const(struct arm_ctx *s, uint32_t pc, uint32_t exec)
{
    if (!follows(s, pc, exec)) {
        arm_leave(s, pc, exec);
    }
}

void arm_goto(struct arm_ctx *s, uint32_t pc)
{
    branch_const(s, pc, arm_flags_with_it(s, 0));
}

void arm_goto_end(struct arm_ctx *s, uint32_t pc)
{
    arm_leave(s, pc, arm_flags_with_it(s, 0));
}

void arm_goto_exchange(struct arm_ctx *s, uint32_t pc)
{
    arm_leave(s, pc, arm_flags_with_it(s, 0) ^ EXEC_T);
}

void arm_fallthrough(struct arm_ctx *s)
{
    arm_leave(s, s->next_pc, arm_flags_with_it(s, s->it_next));
}

void arm_exit_exec_flags(struct arm_ctx *s, uint32_t clear, uint32_t set)
{
    arm_leave(s, s->next_pc, (arm_flags_with_it(s, s->it_next) & ~clear) | set);
}

void arm_branch_plain(struct arm_ctx *s, ir_ref v)
{
    uint64_t known;
    uint32_t mask = s->thumb ? ~1u : ~3u;

    if (!s->b->pc_relative && ir_is_const(s->b, v, &known)) {
        arm_goto(s, (uint32_t)known & mask);
        return;
    }
    v = ir_op2i(s->b, IR_AND, v, mask);
    if (s->src->follow && follow_likely(s, ir_op2i(s->b, IR_OR, v, s->thumb), false)) {
        return;
    }
    arm_put_exec(s, arm_flags_with_it(s, 0));
    ir_put(s->b, ARM_OFF_REG(15), 4, v);
    ir_goto_ind(s->b);
    s->src->indirect = s->done = true;
}

/*
 * A target with bits 1:0 = 10 is UNPREDICTABLE; bit 1 stays in the PC here and the block loop
 * clears it when it finds an unaligned A32 PC, which keeps two operations off the path of every
 * return.
 */
static void branch_bx(struct arm_ctx *s, ir_ref v, bool returns)
{
    ir_ref exec;
    uint64_t known;
    uint32_t base = arm_flags_with_it(s, 0) & ~EXEC_T;

    if (!s->b->pc_relative && ir_is_const(s->b, v, &known)) {
        s->nexpected -= s->nexpected && s->expected[s->nexpected - 1] == known;
        branch_const(s, (uint32_t)known & ((known & 1) ? ~1u : ~3u),
                     base | ((known & 1) ? EXEC_T : 0));
        return;
    }
    if (follow_likely(s, v, returns)) {
        return;
    }
    exec = ir_op2i(s->b, IR_OR, ir_op2i(s->b, IR_AND, v, EXEC_T), base);
    ir_put(s->b, ARM_OFF(exec_flags), 4, exec);
    ir_put(s->b, ARM_OFF_REG(15), 4, ir_op2i(s->b, IR_AND, v, ~1u));
    ir_goto_ind(s->b);
    s->src->indirect = s->done = true;
}

void arm_branch_bx(struct arm_ctx *s, ir_ref v)
{
    branch_bx(s, v, s->src->follow && v == arm_read_reg(s, 14));
}

void arm_branch_return(struct arm_ctx *s, ir_ref v)
{
    branch_bx(s, v, true);
}

void arm_exit_next(struct arm_ctx *s, enum tcg_exit why)
{
    arm_put_exec(s, arm_flags_with_it(s, s->it_next));
    arm_put_pc(s, s->next_pc);
    ir_exit(s->b, why);
    s->done = true;
}

void arm_sync_it(struct arm_ctx *s)
{
    arm_put_exec(s, arm_flags_with_it(s, s->it));
}

/* IT state and PC of the next instruction, for a block that ends behind this one. */
static void put_next(struct arm_ctx *s)
{
    if (s->it != s->it_next || s->it != (uint8_t)(s->exec >> EXEC_IT_SHIFT)) {
        ir_ref exec = ir_get(s->b, IR_I32, ARM_OFF(exec_flags), 4);

        exec = ir_deposit(s->b, exec, ir_const32(s->b, s->it_next), EXEC_IT_SHIFT, 8);
        ir_put(s->b, ARM_OFF(exec_flags), 4, exec);
    }
    arm_put_pc(s, s->next_pc);
}

void arm_exit_changed(struct arm_ctx *s)
{
    put_next(s);
    ir_exit(s->b, TCG_EXIT_STATE);
    s->done = true;
}

void arm_exit_context(struct arm_ctx *s)
{
    put_next(s);
    ir_goto_ind(s->b);
    s->done = true;
}

void arm_call(struct arm_ctx *s, const char *name, void *fn, unsigned flags, ir_ref a0, ir_ref a1,
              ir_ref a2)
{
    ir_ref args[3] = {a0, a1, a2};
    unsigned n = a2 ? 3 : a1 ? 2 : a0 ? 1 : 0;

    ir_call(s->b, IR_VOID, name, fn, flags, n, args);
}

void arm_raise(struct arm_ctx *s, enum arm_exception e, uint32_t fsr)
{
    arm_call(s, "raise", (void *)arm_helper_raise, CALL_RAISES, arm_imm(s, e), arm_imm(s, fsr), 0);
    ir_exit(s->b, TCG_EXIT_EXCEPTION);
    s->done = true;
}

void arm_undef(struct arm_ctx *s)
{
    arm_raise(s, ARM_EXC_UNDEF, 0);
}

void arm_exception_return(struct arm_ctx *s, ir_ref v)
{
    arm_call(s, "exception_return", (void *)arm_helper_exception_return, CALL_RAISES, v, 0, 0);
    arm_flags_changed(s);
    ir_exit(s->b, TCG_EXIT_STATE);
    s->done = true;
}
