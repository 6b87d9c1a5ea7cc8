/* SPDX-License-Identifier: MIT */
/*
 * Helper calls from the middle of a block: C calling convention, first argument the vCPU. Register
 * moves are ordered so that no argument is overwritten before it is read; values that live on are
 * in callee-saved registers or on the stack by allocation.
 */
#include "x64_internal.h"

static const uint8_t arg_reg[5] = {6, 2, 1, 8, 9}; /* RSI, RDX, RCX, R8, R9; RDI is the vCPU */

void x64_call_host(struct x64_ctx *c, const void *fn)
{
    intptr_t rel = (intptr_t)fn - (intptr_t)(x64_here(c) + 5);
    if (x_fits32(rel)) {
        x_call(&c->e, (int32_t)rel);
    } else {
        x_mov_ri(&c->e, RAX, (uintptr_t)fn);
        x_call_r(&c->e, RAX);
    }
}

/* Does another pending register argument still read `reg`? */
static bool still_read(const struct x64_ctx *c, const struct ir_node *n, unsigned pending,
                       unsigned except, unsigned reg)
{
    for (unsigned k = 0; k < 5; k++)
        if ((pending >> k & 1) && k != except && c->val[n->arg[k]].reg == reg)
            return true;
    return false;
}

/* One round: move every argument whose target nobody reads any more. */
static unsigned move_ready(struct x64_ctx *c, const struct ir_node *n, unsigned pending)
{
    for (unsigned k = 0; k < 5; k++) {
        if (!(pending >> k & 1) || still_read(c, n, pending, k, arg_reg[k]))
            continue;
        x64_load(c, X_GPR(arg_reg[k]), n->arg[k]);
        pending &= ~(1u << k);
    }
    return pending;
}

/*
 * A cycle: every pending target is read by another. Parking its first argument in RAX frees a
 * source; the parked ones are stored to the frame's save area, since a helper call can have several
 * cycles.
 */
static void move_args(struct x64_ctx *c, const struct ir_node *n, unsigned nargs)
{
    unsigned pending = 0, parked = 0;
    for (unsigned k = 0; k < nargs; k++)
        if (c->val[n->arg[k]].kind == VAL_GPR)
            pending |= 1u << k;
    while (pending) {
        unsigned left = move_ready(c, n, pending);
        if (left == pending) {
            unsigned k = (unsigned)__builtin_ctz(pending);
            x_mov_mr(&c->e, X_64, x_at(RSP, FRAME_SCRATCH + (int32_t)k * 8),
                     X_GPR(c->val[n->arg[k]].reg));
            parked |= 1u << k;
            left &= ~(1u << k);
        }
        pending = left;
    }
    for (unsigned k = 0; k < nargs; k++) {
        if (parked >> k & 1)
            x_mov_rm(&c->e, X_64, X_GPR(arg_reg[k]), x_at(RSP, FRAME_SCRATCH + (int32_t)k * 8));
        else if (c->val[n->arg[k]].kind != VAL_GPR)
            x64_load(c, X_GPR(arg_reg[k]), n->arg[k]);
    }
}

void x64_emit_call(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    const struct ir_call *call = &c->b->call[n->imm];
    move_args(c, n, call->nargs);
    x_lea(&c->e, X_64, RDI, x_at(RBP, -VCPU_BIAS));
    x64_call_host(c, call->fn);
    struct tcg_site site = {
        .host_off = x64_pos(c), .pc = c->pc, .extra = c->extra, .kind = SITE_CALL};
    x64_site(c, &site);
    if (!c->o->soft_mmu && (call->flags & (CALL_WRITES | CALL_RAISES)))
        x_mov_rm(&c->e, X_64, R15,
                 x64_state(c->b->privileged ? STATE(win_base[1]) : STATE(win_base[0])));
    if (n->type == IR_I32 && c->val[i].kind == VAL_GPR)
        x_mov_rr(&c->e, X_32, X_GPR(c->val[i].reg), RAX);
    else
        x64_finish(c, i, RAX);
}
