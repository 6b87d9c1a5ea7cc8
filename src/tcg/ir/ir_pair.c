/* SPDX-License-Identifier: MIT */
/*
 * Pass: neighbouring words of one guest instruction (LDM, STM, push, pop) that go to or come from
 * neighbouring state slots become one 64-bit access; likewise the two halves of one 64-bit value on
 * their way to or from such slots (LDRD, STRD, UMULL). Accesses join only inside one guest
 * instruction, where the architecture leaves open how much of it happened when a later word faults
 * (Arm ARM A8.8.58: the registers loaded are UNKNOWN then, the base register is not). Each word
 * stays single-copy atomic: a host access of 8 bytes at a 4-byte boundary never tears a word.
 */
#include "ir_internal.h"

/* An access that may become one half of a pair. */
struct half {
    unsigned at;  /* the LD or ST; 0 = none */
    unsigned put; /* LD: the PUT of its value, right behind */
    ir_ref base;  /* address = base + off */
    uint32_t off;
    uint32_t slot; /* LD, ST of a GET: state offset of the word */
    ir_ref get;    /* ST: the GET of its value, or 0 when it is half of: */
    ir_ref low_of, high_of;
};

struct pairing {
    struct ir_block *b;
    uint16_t uses[IR_MAX_NODES];
    struct half prev;
    unsigned prev_put;   /* PUT of half of a 64-bit value, nothing but pure nodes since; 0 = none */
    unsigned quiet_from; /* first node of the current run without PUT, call or control flow */
};

static void drop(struct ir_node *n)
{
    *n = (struct ir_node){.op = IR_NOP};
}

static bool plain_word(const struct ir_node *n)
{
    return MEMOP_SIZE(n->imm) == MEMOP_32 &&
           !(n->imm & (MEMOP_SIGN | MEMOP_BSWAP | MEMOP_ALIGN | MEMOP_PAIR));
}

static void split_address(const struct ir_block *b, ir_ref a, struct half *h)
{
    const struct ir_node *n = &b->node[a];
    uint64_t v;
    h->base = a;
    h->off = 0;
    if (n->op == IR_ADD && ir_is_const(b, n->arg[1], &v)) {
        h->base = n->arg[0];
        h->off = (uint32_t)v;
    }
}

/* The PUT of a load's value, right behind it; 0 when there is none. */
static unsigned put_of_load(const struct pairing *p, unsigned i)
{
    unsigned k = i + 1;
    while (k < p->b->n && (p->b->node[k].op == IR_CONST || p->b->node[k].op == IR_NOP))
        k++;
    const struct ir_node *n = &p->b->node[k];
    return k < p->b->n && n->op == IR_PUT && n->size == 4 && n->arg[0] == i ? k : 0;
}

/* A GET that only this store wants, with nothing in between that could change the slot. */
static bool own_get(const struct pairing *p, ir_ref v)
{
    const struct ir_node *n = &p->b->node[v];
    return n->op == IR_GET && n->type == IR_I32 && n->size == 4 && p->uses[v] == 1 &&
           v >= p->quiet_from;
}

/* Describe the access at i when it can be half of a pair. */
static bool describe(const struct pairing *p, unsigned i, struct half *h)
{
    const struct ir_node *n = &p->b->node[i];
    if (!plain_word(n))
        return false;
    *h = (struct half){.at = i};
    split_address(p->b, n->arg[0], h);
    if (n->op == IR_LD) {
        h->put = put_of_load(p, i);
        h->slot = h->put ? p->b->node[h->put].off : 0;
        return h->put && n->type == IR_I32;
    }
    const struct ir_node *v = &p->b->node[n->arg[1]];
    if (own_get(p, n->arg[1])) {
        h->get = n->arg[1];
        h->slot = v->off;
        return true;
    }
    h->low_of = v->op == IR_TRUNC ? v->arg[0] : 0;
    h->high_of = v->op == IR_HI32 ? v->arg[0] : 0;
    return h->low_of || h->high_of;
}

/* Do the values of two words make one 64-bit slot or value? */
static bool values_match(const struct half *first, const struct half *second)
{
    if (first->put || (first->get && second->get))
        return first->slot + 4 == second->slot;
    return first->low_of && first->low_of == second->high_of;
}

static bool used_between(const struct ir_block *b, ir_ref v, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        for (unsigned k = 0; k < ir_ops[b->node[i].op].nargs; k++)
            if (b->node[i].arg[k] == v)
                return true;
    return false;
}

static bool follows(const struct ir_block *b, const struct half *first, const struct half *second)
{
    const struct ir_node *x = &b->node[first->at], *y = &b->node[second->at];
    uint64_t flags = ~(uint64_t)MEMOP_ALIGN4;
    if (!first->at || x->op != y->op || first->base != second->base ||
        first->off + 4 != second->off || (x->imm & flags) != (y->imm & flags) ||
        (y->imm & MEMOP_ALIGN4) || !values_match(first, second))
        return false;
    return !first->put || !used_between(b, (ir_ref)first->at, first->put + 1, second->put);
}

/* Later readers of v read `by` instead. */
static void replace_uses(struct ir_block *b, ir_ref v, ir_ref by, unsigned from)
{
    for (unsigned i = from; i < b->n; i++)
        for (unsigned k = 0; k < ir_ops[b->node[i].op].nargs; k++)
            if (b->node[i].arg[k] == v)
                b->node[i].arg[k] = by;
}

/* The first load becomes 64 bits wide; the second load's place and its PUT's hold the words, for
 * whoever wants them besides the PUT. */
static void merge_loads(struct pairing *p, const struct half *second)
{
    struct ir_node *node = p->b->node;
    ir_ref wide = (ir_ref)p->prev.at;
    node[wide].type = IR_I64;
    node[p->prev.put].size = 8;
    drop(&node[second->at]);
    drop(&node[second->put]);
    if (p->uses[second->at] > 1)
        node[second->at] = (struct ir_node){.op = IR_HI32, .type = IR_I32, .arg = {wide}};
    if (p->uses[wide] > 1) {
        node[second->put] = (struct ir_node){.op = IR_TRUNC, .type = IR_I32, .arg = {wide}};
        replace_uses(p->b, wide, (ir_ref)second->put, second->put + 1);
    }
}

static void merge_stores(struct pairing *p, const struct half *second)
{
    struct ir_node *node = p->b->node;
    ir_ref value = p->prev.low_of;
    if (p->prev.get) {
        value = p->prev.get < second->get ? p->prev.get : second->get;
        drop(&node[p->prev.get]);
        drop(&node[second->get]);
        node[value] =
            (struct ir_node){.op = IR_GET, .type = IR_I64, .off = p->prev.slot, .size = 8};
    }
    node[p->prev.at].arg[1] = value;
    drop(&node[second->at]);
}

static void visit_access(struct pairing *p, unsigned i)
{
    struct ir_node *node = p->b->node;
    struct half h;
    if (!describe(p, i, &h)) {
        p->prev.at = 0;
        return;
    }
    if (!follows(p->b, &p->prev, &h)) {
        p->prev = h;
        return;
    }
    struct ir_node *first = &node[p->prev.at];
    first->imm = (first->imm & ~(uint64_t)3) | MEMOP_64 | MEMOP_PAIR;
    if (first->op == IR_LD)
        merge_loads(p, &h);
    else
        merge_stores(p, &h);
    p->prev.at = 0;
}

/* PUTs of both halves of one value to neighbouring slots: one PUT. */
static void visit_put(struct pairing *p, unsigned i)
{
    struct ir_node *node = p->b->node, *n = &node[i], *m = &node[p->prev_put];
    const struct ir_node *v = &node[n->arg[0]];
    if (n->size != 4 || (v->op != IR_TRUNC && v->op != IR_HI32)) {
        p->prev_put = 0;
        return;
    }
    const struct ir_node *w = &node[m->arg[0]];
    bool low_first = v->op == IR_HI32;
    if (p->prev_put && v->op != w->op && v->arg[0] == w->arg[0] &&
        (low_first ? m->off + 4 == n->off : n->off + 4 == m->off)) {
        m->off = low_first ? m->off : n->off;
        m->size = 8;
        m->arg[0] = v->arg[0];
        drop(n);
        p->prev_put = 0;
    } else {
        p->prev_put = i;
    }
}

/* PAIR of two neighbouring slots read for nothing else: one GET. */
static void visit_pair(struct pairing *p, unsigned i)
{
    struct ir_node *node = p->b->node, *n = &node[i];
    ir_ref a = n->arg[0], b = n->arg[1];
    if (!own_get(p, a) || !own_get(p, b) || node[a].off + 4 != node[b].off)
        return;
    *n = (struct ir_node){.op = IR_GET, .type = IR_I64, .off = node[a].off, .size = 8};
    drop(&node[a]);
    drop(&node[b]);
}

static void count_uses(struct pairing *p)
{
    for (unsigned i = 0; i < p->b->n; i++)
        p->uses[i] = 0;
    for (unsigned i = 1; i < p->b->n; i++)
        for (unsigned k = 0; k < ir_ops[p->b->node[i].op].nargs; k++)
            p->uses[p->b->node[i].arg[k]]++;
}

static void visit(struct pairing *p, unsigned i)
{
    unsigned op = p->b->node[i].op;
    switch (op) {
    case IR_LD:
    case IR_ST:
        visit_access(p, i);
        p->prev_put = 0;
        break;
    case IR_PUT:
        visit_put(p, i);
        /* The PUT that belongs to the load before it leaves the pair open. */
        if (p->prev.put != i)
            p->prev.at = 0;
        p->quiet_from = i + 1;
        break;
    case IR_GET: /* might read what a moved PUT writes */
        p->prev_put = 0;
        if (p->prev.put)
            p->prev.at = 0;
        break;
    case IR_PAIR:
        visit_pair(p, i);
        break;
    default:
        if (op == IR_NOP || (ir_ops[op].flags & IR_PURE))
            break;
        p->prev.at = p->prev_put = 0;
        p->quiet_from = i + 1;
        break;
    }
}

void ir_pair_accesses(struct ir_block *b)
{
    static _Thread_local struct pairing p;
    unsigned accesses = 0;
    for (unsigned i = 1; i < b->n; i++)
        accesses += b->node[i].op == IR_LD || b->node[i].op == IR_ST || b->node[i].op == IR_HI32;
    if (!accesses)
        return;
    p.b = b;
    p.prev = (struct half){0};
    p.prev_put = 0;
    p.quiet_from = 1;
    count_uses(&p);
    for (unsigned i = 1; i < b->n; i++)
        visit(&p, i);
}
