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

/* A SELECT that is computed out of line, and with it what it chooses from if nobody else wants
 * that: the flags of a comparison under a condition. */
static void mark_choices(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    for (unsigned k = 2; k < 4; k++) {
        struct x64_val *v = &c->val[n->arg[k]];
        v->defers += v->kind != VAL_CONST;
        v->chosen = true;
    }
}

/* Users come first. A choice of a SELECT that is one itself would need more scratch. */
void x64_mark_deferred(struct x64_ctx *c)
{
    for (unsigned i = c->b->n; i-- > 1;) {
        struct x64_val *v = &c->val[i];
        unsigned op = x64_node(c, (ir_ref)i)->op;
        bool select = op == IR_SELECT && !v->chosen;
        v->deferred = v->defers && v->defers == v->uses && (select || computable_later(op));
        if (v->deferred && select)
            mark_choices(c, (ir_ref)i);
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

/* RAX = a choice of a SELECT. */
static void compute_choice(struct x64_ctx *c, ir_ref r)
{
    if (c->val[r].deferred)
        x64_emit_node(c, r);
    else
        x64_load(c, RAX, r);
}

static void emit_deferred_select(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    enum x_width w = x64_width(c, i);
    struct x_mem yes = x_at(RSP, FRAME_SCRATCH), no = x_at(RSP, FRAME_SCRATCH + 8);
    enum x_cc cc;
    compute_choice(c, n->arg[2]);
    x_mov_mr(&c->e, w, yes, RAX);
    compute_choice(c, n->arg[3]);
    x_mov_mr(&c->e, w, no, RAX);
    cc = x64_compare(c, (enum ir_rel)n->rel, n->arg[0], n->arg[1]);
    x_mov_rm(&c->e, w, RAX, no);
    x_cmov_rm(&c->e, cc, w, RAX, yes);
}

void x64_emit_deferred(struct x64_ctx *c, ir_ref v)
{
    if (x64_node(c, v)->op == IR_SELECT)
        emit_deferred_select(c, v);
    else
        x64_emit_node(c, v);
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
            x64_emit_deferred(c, n->arg[0]);
        computed = n->arg[0];
        x_mov_mr(&c->e, n->size == 8 ? X_64 : X_32, x64_state((int32_t)n->off - VCPU_BIAS), RAX);
    }
    x64_no_flags(c);
}
