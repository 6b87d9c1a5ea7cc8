/* SPDX-License-Identifier: MIT */
/*
 * First pass of the back end: use counts, last uses, address folding, which GETs may be read from
 * the state where they are used, which additions must leave their flags. One forward walk each.
 */
#include "x64_internal.h"

/* Node of the last write of each 4-byte granule of the state. */
struct writes {
    ir_ref granule[IR_SLOT_SPAN / 4];
    ir_ref all; /* last write of anything else: helper calls, offsets beyond the span */
};

static void note_put(struct writes *w, const struct ir_node *n, ir_ref i)
{
    if (n->off >= IR_SLOT_SPAN || n->size > IR_SLOT_SPAN - n->off) {
        w->all = i;
        return;
    }
    for (uint32_t g = n->off / 4; g <= (n->off + n->size - 1u) / 4; g++)
        w->granule[g] = i;
}

static bool written_since(const struct writes *w, const struct ir_node *n, ir_ref def)
{
    if (w->all > def || n->off >= IR_SLOT_SPAN || n->size > IR_SLOT_SPAN - n->off)
        return true;
    for (uint32_t g = n->off / 4; g <= (n->off + n->size - 1u) / 4; g++)
        if (w->granule[g] > def)
            return true;
    return false;
}

static void note_use(struct x64_ctx *c, const struct writes *w, ir_ref a, ir_ref at)
{
    struct x64_val *v = &c->val[a];
    const struct ir_node *n = x64_node(c, a);
    v->last = at;
    if (n->op == IR_GET && written_since(w, n, a))
        v->unclean = true;
    if (v->homed && v->home != at && written_since(w, x64_node(c, v->home), v->home))
        v->homed = false;
}

/* Address = value + constant: take the constant into the access when the sum is wanted for nothing
 * but addresses. */
static void fold_address(struct x64_ctx *c, ir_ref i)
{
    struct x64_val *v = &c->val[i];
    ir_ref a = x64_node(c, i)->arg[0];
    const struct ir_node *n = x64_node(c, a);
    uint64_t k;
    v->base = a;
    v->adisp = 0;
    if ((n->op != IR_ADD && n->op != IR_SUB) || !x64_const(c, n->arg[1], &k))
        return;
    if (n->type != IR_I32 || c->val[a].uses != c->val[a].addresses)
        return;
    int64_t d = n->op == IR_ADD ? (int32_t)k : -(int64_t)(int32_t)k;
    if (d < ADDR_DISP_MIN || d > ADDR_DISP_MAX || x64_node(c, n->arg[0])->op == IR_CONST)
        return;
    v->base = n->arg[0];
    v->adisp = (int32_t)d;
    if (c->val[a].folded)
        c->val[v->base].uses++; /* the sum stood for one use */
    c->val[a].folded = true;
}

static bool touches(const struct ir_node *n, const struct ir_node *put)
{
    return n->off < put->off + put->size && put->off < n->off + n->size;
}

/* May `put` be moved up over node k? */
static bool can_move_over(const struct x64_ctx *c, ir_ref k, const struct ir_node *put)
{
    const struct ir_node *n = x64_node(c, k);
    if (n->op == IR_GET || n->op == IR_PUT || n->op == IR_DEFER) {
        if (touches(n, put))
            return false;
    } else if (!(ir_ops[n->op].flags & IR_PURE) && n->op != IR_INSN && n->op != IR_NOP) {
        return false;
    }
    /* An argument that may be read from the slot at this place? */
    for (unsigned a = 0; a < ir_ops[n->op].nargs; a++) {
        const struct x64_val *v = &c->val[n->arg[a]];
        const struct ir_node *arg = x64_node(c, v->homed ? v->home : n->arg[a]);
        if ((arg->op == IR_GET || v->homed) && touches(arg, put))
            return false;
    }
    return true;
}

#define HOME_DISTANCE 8
/* A value stored to a state slot soon after it is made: it may live there instead of on the stack.
 */
static void find_home(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *put = x64_node(c, i);
    ir_ref v = put->arg[0];
    const struct ir_node *n = x64_node(c, v);
    if (c->val[v].home || c->val[v].deferred || i - v > HOME_DISTANCE || put->off >= IR_SLOT_SPAN)
        return;
    if (n->op == IR_CONST || n->op == IR_GET || n->type == IR_V128 ||
        put->size * 8 != ir_type_bits(n->type))
        return;
    for (unsigned k = v + 1u; k < i; k++)
        if (!can_move_over(c, (ir_ref)k, put))
            return;
    c->val[v].home = i;
    c->val[v].homed = true;
}

/* A flag of a + b: ask a nearby ADD of the same operands for a real `add`. */
static void want_add_flags(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    for (unsigned k = i - 1; k > 0 && k + 12 > i; k--) {
        const struct ir_node *m = x64_node(c, (ir_ref)k);
        if (m->op == IR_ADD && m->arg[0] == n->arg[0] && m->arg[1] == n->arg[1])
            c->val[k].want_flags = true;
    }
}

/* The carry of an addition that only this ADC wants, with nothing in between that touches the host
 * flags: it need not become a value. */
static void keep_carry(struct x64_ctx *c, ir_ref i)
{
    ir_ref carry = x64_node(c, i)->arg[2];
    unsigned op = x64_node(c, carry)->op;
    if ((op != IR_ADD_C && op != IR_ADC_C) || c->val[carry].uses != 1)
        return;
    for (unsigned k = carry + 1u; k < i; k++) {
        op = x64_node(c, (ir_ref)k)->op;
        if (op != IR_PUT && op != IR_DEFER && op != IR_GET && op != IR_CONST && op != IR_NOP &&
            op != IR_INSN)
            return;
    }
    c->val[carry].in_flags = true;
}

static void count_uses(struct x64_ctx *c)
{
    const struct ir_block *b = c->b;
    memset(c->label_refs, 0, b->nlabels * sizeof(c->label_refs[0]));
    for (unsigned i = 1; i < b->n; i++) {
        const struct ir_node *n = &b->node[i];
        unsigned nargs = n->op == IR_CALL ? b->call[n->imm].nargs : ir_ops[n->op].nargs;
        c->val[i] = (struct x64_val){.kind = n->op == IR_CONST ? VAL_CONST : VAL_NONE};
        for (unsigned k = 0; k < nargs; k++)
            c->val[n->arg[k]].uses++;
        if (n->op == IR_DEFER)
            c->val[n->arg[0]].defers++;
        if (n->op == IR_LD || n->op == IR_ST)
            c->val[n->arg[0]].addresses++;
        else if (n->op == IR_BR || n->op == IR_BRCOND)
            c->label_refs[n->imm]++;
        else if (n->op == IR_LABEL)
            c->label_at[n->imm] = (ir_ref)i;
    }
}

/* Value of the 4-byte slot at `off`, when it was stored since the last label or call. It is to be
 * in a register at node i, rather than read back from the slot. */
static ir_ref stored_value(struct x64_ctx *c, ir_ref i, uint32_t off)
{
    for (unsigned k = i - 1u; k > 0 && k + 32 > i; k--) {
        const struct ir_node *n = x64_node(c, (ir_ref)k);
        if (n->op == IR_PUT && n->off == off && n->size == 4) {
            c->val[n->arg[0]].homed = false;
            return n->arg[0];
        }
        if (n->op == IR_PUT && n->off + n->size > off && n->off < off + 4)
            return 0;
        if (n->op == IR_CALL || (ir_ops[n->op].flags & IR_CTRL))
            return 0;
    }
    return 0;
}

static void note_exit_state(struct x64_ctx *c, ir_ref i)
{
    c->val[i].base = stored_value(c, i, offsetof(struct vcpu, r[15]));
    c->val[i].exec = stored_value(c, i, offsetof(struct vcpu, exec_flags));
}

/* What computing v at node i reads: the value, or what it is made from if it has no place. */
static void note_deferred_use(struct x64_ctx *c, const struct writes *w, ir_ref v, ir_ref i)
{
    const struct ir_node *n = x64_node(c, v);
    if (!c->val[v].deferred) {
        note_use(c, w, v, i);
        return;
    }
    for (unsigned a = 0; a < ir_ops[n->op].nargs; a++)
        if (n->op == IR_SELECT && a >= 2)
            note_deferred_use(c, w, n->arg[a], i);
        else
            note_use(c, w, n->arg[a], i);
}

/* What the stores that are pending at node i read. */
static void note_pending_uses(struct x64_ctx *c, const struct writes *w, ir_ref i)
{
    for (unsigned k = 0; k < c->pending.n; k++)
        note_deferred_use(c, w, x64_node(c, c->pending.put[k])->arg[0], i);
}

static void chain_ends(struct x64_ctx *c)
{
    memset(c->ends, 0, c->b->n * sizeof(c->ends[0]));
    for (unsigned i = 1; i < c->b->n; i++) {
        struct x64_val *v = &c->val[i];
        v->ends_next = c->ends[v->last];
        c->ends[v->last] = (ir_ref)i;
    }
}

void x64_analyse(struct x64_ctx *c)
{
    const struct ir_block *b = c->b;
    struct writes w = {{0}, 0};
    count_uses(c);
    x64_mark_deferred(c);
    c->pending.n = 0;
    c->ncalls = 0;
    for (unsigned i = 1; i < b->n; i++) {
        const struct ir_node *n = &b->node[i];
        if (n->op == IR_LD || n->op == IR_ST)
            fold_address(c, (ir_ref)i);
        else if ((n->op == IR_ADD_C || n->op == IR_ADD_V) && !c->val[i].deferred)
            want_add_flags(c, (ir_ref)i);
        else if (n->op == IR_ADC || n->op == IR_ADC_C || n->op == IR_ADC_V)
            keep_carry(c, (ir_ref)i);
        else if (n->op == IR_PUT || n->op == IR_DEFER)
            find_home(c, (ir_ref)i);
        else if (n->op == IR_GOTO_IND)
            note_exit_state(c, (ir_ref)i);
        ir_ref arg[6];
        unsigned nargs = x64_args(c, (ir_ref)i, arg);
        for (unsigned k = 0; k < nargs; k++)
            note_use(c, &w, arg[k], (ir_ref)i);
        if (x64_soft_observation(n->op))
            note_pending_uses(c, &w, (ir_ref)i);
        if (n->op == IR_PUT || n->op == IR_DEFER) {
            x64_pending_put(c, &c->pending, (ir_ref)i);
            note_put(&w, n, (ir_ref)i);
        } else if (n->op == IR_CALL && (b->call[n->imm].flags & (CALL_WRITES | CALL_RAISES)))
            w.all = (ir_ref)i;
        c->ncalls += n->op == IR_CALL;
    }
    chain_ends(c);
    uint16_t next = 0xffff;
    for (unsigned i = b->n; i-- > 1;) {
        c->next_call[i] = next;
        if (b->node[i].op == IR_CALL)
            next = (uint16_t)i;
    }
}
