/* SPDX-License-Identifier: MIT */
/*
 * Hints and barriers. The host orders everything but a store before a later load (TSO), so DMB of
 * stores only is nothing and the others are one full fence. DSB also waits for the TLB maintenance
 * that this vCPU asked of others (invariant I-1); DSB and ISB end the block so that requests served
 * meanwhile take effect. Arm ARM A8.8.43, A8.8.44, A8.8.53 (DMB, DSB, ISB), A5.2.11 (hints).
 *
 * Threads: the translating vCPU thread.
 */
#include "arm_internal.h"
#include "a32_branch_decode.h"
#include "t16_branch_decode.h"
#include "t32_branch_decode.h"

/* Bits 1:0 of a barrier option. */
#define BARRIER_LOADS  1u
#define BARRIER_STORES 2u

/* Go on at the next instruction, by the run loop when something waits to be served. */
static void next_with_poll(struct arm_ctx *s)
{
    unsigned quiet = ir_label_new(s->b);
    ir_ref poll = ir_get(s->b, IR_I32, ARM_OFF(poll), 4);

    ir_brcond(s->b, IR_EQ, poll, arm_imm(s, 0), quiet);
    arm_exit_next(s, TCG_EXIT_POLL);
    ir_label(s->b, quiet);
    arm_fallthrough(s);
}

bool trans_NOP(struct arm_ctx *s, const struct arg_NOP *a)
{
    (void)s;
    (void)a;
    return true;
}

bool trans_YIELD(struct arm_ctx *s, const struct arg_YIELD *a)
{
    (void)a;
    arm_exit_next(s, TCG_EXIT_YIELD);
    return true;
}

bool trans_WFE(struct arm_ctx *s, const struct arg_WFE *a)
{
    (void)a;
    arm_exit_next(s, TCG_EXIT_WFE);
    return true;
}

bool trans_WFI(struct arm_ctx *s, const struct arg_WFI *a)
{
    (void)a;
    arm_exit_next(s, TCG_EXIT_WFI);
    return true;
}

bool trans_SEV(struct arm_ctx *s, const struct arg_SEV *a)
{
    (void)a;
    arm_call(s, "sev", (void *)arm_helper_sev, 0, 0, 0, 0);
    return true;
}

/* ARMv8; the hint is a NOP before it. */
bool trans_SEVL(struct arm_ctx *s, const struct arg_SEVL *a)
{
    (void)a;
    if (arm_has(s, ARM_FEAT_V8_AARCH32)) {
        arm_call(s, "sevl", (void *)arm_helper_sevl, 0, 0, 0, 0);
    }
    return true;
}

bool trans_CLREX(struct arm_ctx *s, const struct arg_CLREX *a)
{
    (void)a;
    ir_put(s->b, ARM_OFF(excl.armed), 1, arm_imm(s, 0));
    return true;
}

bool trans_DMB(struct arm_ctx *s, const struct arg_DMB *a)
{
    unsigned kind = a->opt & 3;

    if (kind == BARRIER_STORES || (kind == BARRIER_LOADS && arm_has(s, ARM_FEAT_V8_AARCH32))) {
        return true;
    }
    ir_fence(s->b);
    return true;
}

bool trans_DSB(struct arm_ctx *s, const struct arg_DSB *a)
{
    (void)a;
    ir_fence(s->b);
    arm_call(s, "dsb", (void *)arm_helper_dsb, CALL_STATE, 0, 0, 0);
    arm_flags_changed(s);
    next_with_poll(s);
    return true;
}

bool trans_ISB(struct arm_ctx *s, const struct arg_ISB *a)
{
    (void)a;
    next_with_poll(s);
    return true;
}
