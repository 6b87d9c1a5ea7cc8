/* SPDX-License-Identifier: MIT */
/*
 * Pass: neighbouring words of one guest instruction (LDM, STM, push, pop) that go to or come from
 * neighbouring state slots become one 64-bit access. Only inside one guest instruction, where the
 * architecture leaves open how much of it happened when a later word faults (Arm ARM A8.8.58: the
 * registers loaded are UNKNOWN then, the base register is not). Each word stays single-copy atomic:
 * a host access of 8 bytes at a 4-byte boundary never tears a word.
 */
#include "ir_internal.h"

/* An access that may become the first half of a pair. */
struct half {
    unsigned at; /* the LD or ST; 0 = none */
    ir_ref base; /* address = base + off */
    uint32_t off;
    uint32_t slot; /* state offset of the word */
    ir_ref get;    /* ST: the GET of its value */
};

struct pairing {
    struct ir_block *b;
    uint16_t uses[IR_MAX_NODES];
    struct half prev;
    unsigned quiet_from; /* first node of the current run without PUT, call or control flow */
};

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

/* The PUT of a load's value, right behind it; 0 when it is used otherwise. */
static unsigned put_of_load(const struct pairing *p, unsigned i)
{
    unsigned k = i + 1;
    while (k < p->b->n && (p->b->node[k].op == IR_CONST || p->b->node[k].op == IR_NOP))
        k++;
    const struct ir_node *n = &p->b->node[k];
    if (k >= p->b->n || n->op != IR_PUT || n->size != 4 || n->arg[0] != i || p->uses[i] != 1)
        return 0;
    return k;
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
        unsigned put = put_of_load(p, i);
        h->slot = put ? p->b->node[put].off : 0;
        return put && n->type == IR_I32;
    }
    const struct ir_node *get = &p->b->node[n->arg[1]];
    h->get = n->arg[1];
    h->slot = get->off;
    return get->op == IR_GET && get->type == IR_I32 && get->size == 4 && p->uses[h->get] == 1 &&
           h->get >= p->quiet_from;
}

static bool follows(const struct ir_block *b, const struct half *first, const struct half *second)
{
    const struct ir_node *x = &b->node[first->at], *y = &b->node[second->at];
    uint64_t flags = ~(uint64_t)MEMOP_ALIGN4;
    return first->at && x->op == y->op && first->base == second->base &&
           first->off + 4 == second->off && first->slot + 4 == second->slot &&
           (x->imm & flags) == (y->imm & flags) && !(y->imm & MEMOP_ALIGN4);
}

static void drop(struct ir_node *n)
{
    *n = (struct ir_node){.op = IR_NOP};
}

static void merge(struct pairing *p, const struct half *second)
{
    struct ir_node *node = p->b->node, *first = &node[p->prev.at];
    first->imm = (first->imm & ~(uint64_t)3) | MEMOP_64 | MEMOP_PAIR;
    if (first->op == IR_LD) {
        unsigned put = put_of_load(p, second->at);
        node[put_of_load(p, p->prev.at)].size = 8;
        first->type = IR_I64;
        drop(&node[put]);
    } else {
        ir_ref low = p->prev.get < second->get ? p->prev.get : second->get;
        drop(&node[p->prev.get]);
        drop(&node[second->get]);
        node[low] = (struct ir_node){.op = IR_GET, .type = IR_I64, .off = p->prev.slot, .size = 8};
        first->arg[1] = low;
    }
    drop(&node[second->at]);
}

static void count_uses(struct pairing *p)
{
    for (unsigned i = 0; i < p->b->n; i++)
        p->uses[i] = 0;
    for (unsigned i = 1; i < p->b->n; i++)
        for (unsigned k = 0; k < ir_ops[p->b->node[i].op].nargs; k++)
            p->uses[p->b->node[i].arg[k]]++;
}

void ir_pair_accesses(struct ir_block *b)
{
    static _Thread_local struct pairing p;
    unsigned accesses = 0;
    for (unsigned i = 1; i < b->n; i++)
        accesses += b->node[i].op == IR_LD || b->node[i].op == IR_ST;
    if (accesses < 2)
        return;
    p.b = b;
    p.prev.at = 0;
    p.quiet_from = 1;
    count_uses(&p);
    for (unsigned i = 1; i < b->n; i++) {
        unsigned op = b->node[i].op;
        struct half h;
        if (op == IR_LD || op == IR_ST) {
            if (!describe(&p, i, &h)) {
                p.prev.at = 0;
            } else if (follows(b, &p.prev, &h)) {
                merge(&p, &h);
                p.prev.at = 0;
            } else {
                p.prev = h;
            }
            if (op == IR_LD && put_of_load(&p, i)) {
                i = put_of_load(&p, i); /* its PUT belongs to it */
                p.quiet_from = i + 1;
            }
        } else if (op == IR_GET) {
            if (p.prev.at && b->node[p.prev.at].op == IR_LD)
                p.prev.at = 0; /* might read what a moved PUT writes */
        } else if (op != IR_NOP && !(ir_ops[op].flags & IR_PURE)) {
            p.prev.at = 0;
            p.quiet_from = i + 1;
        }
    }
}
