/* SPDX-License-Identifier: MIT */
/*
 * SRS and RFE: store and load the two words (return address, saved status) of an exception frame.
 * UNPREDICTABLE in User and System mode and with a mode that does not exist: UNDEF here.
 * Arm ARM B9.3.13 (RFE), B9.3.16 (SRS).
 *
 * Threads: the translating vCPU thread; the helpers run on it too.
 */
#include "arm_ldst.h"

static uint32_t helper_banked_sp_read(struct vcpu *v, uint32_t mode)
{
    if (arm_mode_bank(arm_mode(v)) == BANK_USR) { /* no SPSR to store */
        vcpu_raise(v, VCPU_RA(), ARM_EXC_UNDEF, 0, 0);
    }
    return *arm_banked_reg(v, mode, 13);
}

static void helper_banked_sp_write(struct vcpu *v, uint32_t mode, uint32_t value)
{
    *arm_banked_reg(v, mode, 13) = value;
}

static uint32_t helper_spsr(struct vcpu *v)
{
    return arm_spsr_read(v);
}

/* Return to pc with the loaded status; the T bit of the new state masks the address. */
static void helper_rfe(struct vcpu *v, uint32_t pc, uint32_t cpsr)
{
    if (!arm_mode_valid(cpsr & 0x1f)) {
        vcpu_raise(v, VCPU_RA(), ARM_EXC_UNDEF, 0, 0);
    }
    arm_cpsr_write(v, cpsr, ~0u);
    v->r[15] = pc & ((v->exec_flags & EXEC_T) ? ~1u : ~3u);
}

/* First word of the frame and the moved base. */
static ir_ref frame_address(struct arm_ctx *s, ir_ref base, unsigned p, unsigned u, ir_ref *moved)
{
    *moved = ir_op2i(s->b, u ? IR_ADD : IR_SUB, base, 8);
    return ir_op2i(s->b, IR_ADD, u ? base : *moved, p == u ? 4 : 0);
}

bool trans_SRS(struct arm_ctx *s, const struct arg_SRS *a)
{
    uint32_t memop = arm_memop(s, MEMOP_32) & ~MEMOP_ALIGN;
    ir_ref base, moved, low;

    if (!s->privileged || !arm_mode_valid(a->mode)) {
        return false;
    }
    base = ir_call(s->b, IR_I32, "banked_sp_read", (void *)helper_banked_sp_read, CALL_RAISES, 1,
                   (ir_ref[]){ arm_imm(s, a->mode) });
    low = frame_address(s, base, a->p, a->u, &moved);
    ir_store(s->b, low, arm_read_reg(s, 14), memop | MEMOP_ALIGN4);
    ir_store(s->b, ir_op2i(s->b, IR_ADD, low, 4),
             ir_call(s->b, IR_I32, "spsr", (void *)helper_spsr, CALL_READS, 0, NULL), memop);
    if (a->w) {
        arm_call(s, "banked_sp_write", (void *)helper_banked_sp_write, CALL_STATE,
                 arm_imm(s, a->mode), moved, 0);
    }
    return true;
}

bool trans_RFE(struct arm_ctx *s, const struct arg_RFE *a)
{
    uint32_t memop = arm_memop(s, MEMOP_32) & ~MEMOP_ALIGN;
    ir_ref moved, low, pc, cpsr;

    if (!s->privileged) {
        return false;
    }
    low = frame_address(s, arm_read_reg(s, a->rn), a->p, a->u, &moved);
    pc = ir_load(s->b, IR_I32, low, memop | MEMOP_ALIGN4);
    cpsr = ir_load(s->b, IR_I32, ir_op2i(s->b, IR_ADD, low, 4), memop);
    if (a->w) {
        arm_write_reg(s, a->rn, moved);
    }
    arm_call(s, "rfe", (void *)helper_rfe, CALL_RAISES, pc, cpsr, 0);
    ir_exit(s->b, TCG_EXIT_STATE);
    s->done = true;
    return true;
}
