/* SPDX-License-Identifier: MIT */
/*
 * DEFERs: stores of guest state that only out-of-line code may need. The straight path keeps the
 * value alive until a later store of the slot instead; the out-of-line code of each access and side
 * exit in between begins with the stores that are pending there. Values that nothing but DEFERs
 * wants (most flags) are computed there, too.
 */
#include "x64_internal.h"

static bool touches(const struct ir_node *x, const struct ir_node *y)
{
    return x->off < y->off + y->size && y->off < x->off + x->size;
}

void x64_pending_put(const struct x64_ctx *c, struct x64_pending *p, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    unsigned kept = 0;
    for (unsigned k = 0; k < p->n; k++)
        if (!touches(x64_node(c, p->put[k]), n))
            p->put[kept++] = p->put[k];
    p->n = kept;
    if (n->op == IR_DEFER && p->n < X64_MAX_PENDING)
        p->put[p->n++] = i;
}

static bool computable_later(unsigned op)
{
    switch (op) {
    case IR_ADD:
    case IR_SUB:
    case IR_AND:
    case IR_ANDN:
    case IR_OR:
    case IR_XOR:
    case IR_NOT:
    case IR_NEG:
    case IR_SETC:
    case IR_ADD_C:
    case IR_ADD_V:
    case IR_SUB_V:
    case IR_EXTRACT:
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
        return true;
    default:
        return false;
    }
}

void x64_mark_deferred(struct x64_ctx *c)
{
    for (unsigned i = 1; i < c->b->n; i++) {
        struct x64_val *v = &c->val[i];
        v->deferred =
            v->defers && v->defers == v->uses && computable_later(x64_node(c, (ir_ref)i)->op);
    }
}

void x64_note_pending(struct x64_ctx *c, struct x64_slow *s)
{
    s->pending_at = (uint16_t)c->npool;
    if (c->npool + c->pending.n > X64_PENDING_POOL) {
        c->error = -E2BIG;
        return;
    }
    s->npending = (uint16_t)c->pending.n;
    for (unsigned k = 0; k < c->pending.n; k++)
        c->pending_pool[c->npool++] = c->pending.put[k];
}

/* The value is in the slot already. */
static bool stored_in_place(const struct x64_ctx *c, const struct ir_node *n)
{
    const struct x64_val *v = &c->val[n->arg[0]];
    return v->kind == VAL_STATE && v->disp == (int32_t)n->off - VCPU_BIAS;
}

void x64_emit_pending(struct x64_ctx *c, const struct x64_slow *s)
{
    ir_ref computed = 0; /* the value in RAX */
    x64_no_flags(c);
    for (unsigned k = 0; k < s->npending; k++) {
        ir_ref i = c->pending_pool[s->pending_at + k];
        const struct ir_node *n = x64_node(c, i);
        if (!c->val[n->arg[0]].deferred) {
            if (!stored_in_place(c, n))
                x64_emit_put(c, i);
            computed = 0;
            continue;
        }
        if (computed != n->arg[0])
            x64_emit_node(c, n->arg[0]);
        computed = n->arg[0];
        x_mov_mr(&c->e, n->size == 8 ? X_64 : X_32, x64_state((int32_t)n->off - VCPU_BIAS), RAX);
    }
    x64_no_flags(c);
}
