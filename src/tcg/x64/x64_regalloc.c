/* SPDX-License-Identifier: MIT */
/*
 * Linear scan: one location for a value's whole life. When registers run out, the value that is
 * needed last goes to the stack for all of its life (or is read from its state slot each time, when
 * it came from one that stays unwritten). Values that live across a helper call take callee-saved
 * registers or the stack; slow paths of memory accesses save what they clobber themselves.
 */
#include "x64_internal.h"

struct alloc {
    struct x64_ctx *c;
    uint32_t free_gpr, free_xmm;
    ir_ref gpr_owner[16], xmm_owner[16];
    uint16_t spill_free[FRAME_SPILL_SLOTS]; /* last use of the slot's latest value */
};

/* A place on the stack that is free since before `def`; sets the value's location. */
static bool alloc_stack(struct alloc *a, ir_ref r)
{
    struct x64_val *v = &a->c->val[r];
    unsigned step = x64_node(a->c, r)->type == IR_V128 ? 2 : 1;
    for (unsigned s = 0; s + step <= FRAME_SPILL_SLOTS; s += step) {
        if (a->spill_free[s] >= r || a->spill_free[s + step - 1] >= r)
            continue;
        a->spill_free[s] = a->spill_free[s + step - 1] = v->last;
        v->kind = VAL_STACK;
        v->disp = FRAME_SPILL + (int32_t)s * 8;
        return true;
    }
    return false;
}

/* Does the state hold the value for all of its life, for free? */
static bool stays_in_state(const struct x64_ctx *c, ir_ref r)
{
    const struct ir_node *n = x64_node(c, r);
    if (c->val[r].homed)
        return true;
    return n->op == IR_GET && !x64_bool_slot(n->off) && !c->val[r].unclean && n->type != IR_V128 &&
           n->size * 8 == ir_type_bits(n->type);
}

static void place_in_state(struct x64_ctx *c, ir_ref r)
{
    const struct x64_val *v = &c->val[r];
    uint32_t off = x64_node(c, v->homed ? v->home : r)->off;
    c->val[r].kind = VAL_STATE;
    c->val[r].disp = (int32_t)off - VCPU_BIAS;
}

static bool demote(struct alloc *a, ir_ref r)
{
    if (stays_in_state(a->c, r)) {
        place_in_state(a->c, r);
        return true;
    }
    return alloc_stack(a, r);
}

static bool crosses_call(const struct x64_ctx *c, ir_ref r)
{
    return c->next_call[r] < c->val[r].last;
}

static void take_gpr(struct alloc *a, ir_ref r, unsigned reg)
{
    a->free_gpr &= ~(1u << reg);
    a->gpr_owner[reg] = r;
    a->c->val[r].kind = VAL_GPR;
    a->c->val[r].reg = (uint8_t)reg;
}

/* How late a value is needed; values that cost nothing to drop look later. */
static unsigned eviction_weight(const struct x64_ctx *c, ir_ref r)
{
    return c->val[r].last + (stays_in_state(c, r) ? 256u : 0);
}

/* Evict from `allowed` whoever is needed last, or place r itself on the stack. */
static bool evict_gpr(struct alloc *a, ir_ref r, uint32_t allowed)
{
    unsigned best = 16, weight = eviction_weight(a->c, r);
    for (unsigned reg = 0; reg < 16; reg++) {
        if (!(allowed >> reg & 1))
            continue;
        unsigned w = eviction_weight(a->c, a->gpr_owner[reg]);
        if (w > weight) {
            best = reg;
            weight = w;
        }
    }
    if (best == 16)
        return demote(a, r);
    if (!demote(a, a->gpr_owner[best]))
        return false;
    take_gpr(a, r, best);
    return true;
}

/* The register of an argument that dies here, when the op computes in place on it. */
static unsigned preferred_gpr(const struct x64_ctx *c, ir_ref r)
{
    const struct ir_node *n = x64_node(c, r);
    ir_ref hint = n->op == IR_SELECT                        ? n->arg[3]
                  : ir_ops[n->op].nargs && n->op != IR_CALL ? n->arg[0]
                                                            : 0;
    return hint && c->val[hint].kind == VAL_GPR ? c->val[hint].reg : 16;
}

static bool place_gpr(struct alloc *a, ir_ref r)
{
    static const uint8_t order[] = {6, 7, 8, 9, 10, 11, 3, 14, 13, 12};
    struct x64_ctx *c = a->c;
    uint32_t allowed = crosses_call(c, r) ? CALLEE_SAVED_GPR : CALLEE_SAVED_GPR | CALLER_SAVED_GPR;
    if (stays_in_state(c, r) && c->val[r].uses == 1) {
        place_in_state(c, r);
        return true;
    }
    uint32_t avail = a->free_gpr & allowed;
    if (!avail)
        return evict_gpr(a, r, allowed);
    unsigned hint = preferred_gpr(c, r);
    if (hint < 16 && (avail >> hint & 1)) {
        take_gpr(a, r, hint);
        return true;
    }
    if (!c->ncalls && (avail >> 3 & 1)) { /* RBX needs no REX prefix */
        take_gpr(a, r, 3);
        return true;
    }
    for (unsigned k = 0; k < sizeof(order); k++)
        if (avail >> order[k] & 1) {
            take_gpr(a, r, order[k]);
            return true;
        }
    return false;
}

static bool place_xmm(struct alloc *a, ir_ref r)
{
    struct x64_ctx *c = a->c;
    if (crosses_call(c, r))
        return alloc_stack(a, r);
    unsigned best = 16;
    if (a->free_xmm) {
        ir_ref hint = ir_ops[x64_node(c, r)->op].nargs ? x64_node(c, r)->arg[0] : 0;
        best = (unsigned)__builtin_ctz(a->free_xmm);
        if (hint && c->val[hint].kind == VAL_XMM && (a->free_xmm >> c->val[hint].reg & 1))
            best = c->val[hint].reg;
    } else {
        unsigned last = c->val[r].last;
        for (unsigned reg = 2; reg < 16; reg++)
            if (c->val[a->xmm_owner[reg]].last > last) {
                best = reg;
                last = c->val[a->xmm_owner[reg]].last;
            }
        if (best == 16)
            return alloc_stack(a, r);
        if (!alloc_stack(a, a->xmm_owner[best]))
            return false;
    }
    a->free_xmm &= ~(1u << best);
    a->xmm_owner[best] = r;
    c->val[r].kind = VAL_XMM;
    c->val[r].reg = (uint8_t)best;
    return true;
}

static void release(struct alloc *a, ir_ref r)
{
    const struct x64_val *v = &a->c->val[r];
    if (v->kind == VAL_GPR)
        a->free_gpr |= 1u << v->reg;
    else if (v->kind == VAL_XMM)
        a->free_xmm |= 1u << v->reg;
}

/* The registers of values that are not used after node i. */
static void release_ending(struct alloc *a, ir_ref i)
{
    for (ir_ref r = a->c->ends[i]; r; r = a->c->val[r].ends_next)
        release(a, r);
}

int x64_allocate(struct x64_ctx *c)
{
    struct alloc a = {
        .c = c, .free_gpr = CALLER_SAVED_GPR | CALLEE_SAVED_GPR, .free_xmm = ALLOC_XMM};
    for (unsigned i = 1; i < c->b->n; i++) {
        struct x64_val *v = &c->val[i];
        const struct ir_node *n = x64_node(c, (ir_ref)i);
        bool keeps = x64_keeps_operands(n->op);
        if (!keeps)
            release_ending(&a, (ir_ref)i);
        if (n->type != IR_VOID && n->op != IR_CONST && !v->folded && !v->in_flags && !v->deferred &&
            v->uses && !(n->type == IR_V128 ? place_xmm(&a, (ir_ref)i) : place_gpr(&a, (ir_ref)i)))
            return -E2BIG;
        if (keeps)
            release_ending(&a, (ir_ref)i);
    }
    return 0;
}
