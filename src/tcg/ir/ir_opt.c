/* SPDX-License-Identifier: MIT */
/*
 * Passes over a finished block: unreachable nodes, then one backward pass that removes PUTs which
 * are overwritten before anybody can observe them and pure nodes nobody uses. Branches are forward
 * only, so one backward pass sees every label before the branches to it: liveness is exact. The
 * same pass turns PUTs that only soft observation points may need into DEFERs (ir.h).
 */
#include "ir_internal.h"
#include "base/log.h"
#include <stdlib.h>
#include <string.h>

/* One bit per state byte below IR_SLOT_SPAN: overwritten before the next observation. */
struct overwritten {
    uint64_t w[IR_SLOT_SPAN / 64];
};

/*
 * The PUT that overwrites each granule of the state before a hard observation point, 0 = none. A
 * PUT all of whose granules fall to one later PUT need not be stored by the straight path: what
 * soft observation points lie in between store it out of line. At a label the two ways in must have
 * the same PUTs outstanding, so those to slots written since the first branch to it are not kept.
 */
struct fates {
    ir_ref put[IR_SLOT_SPAN / 4];
};

struct opt {
    struct ir_block *b;
    struct fates fate;
    struct fates *fate_at_label; /* [nlabels] */
    ir_ref *first_branch;        /* [nlabels] */
    struct overwritten now;
    struct overwritten *at_label; /* [nlabels] */
    uint16_t uses[IR_MAX_NODES];
};

static bool ends_flow(unsigned op)
{
    return op == IR_BR || op == IR_GOTO || op == IR_GOTO_IND || op == IR_EXIT;
}

static void remove_unreachable(struct ir_block *b)
{
    bool target[IR_MAX_LABELS] = {0};
    bool reachable = true;
    for (unsigned i = 1; i < b->n; i++) {
        struct ir_node *n = &b->node[i];
        if (n->op == IR_LABEL) {
            reachable = reachable || target[n->imm];
            if (!target[n->imm])
                n->op = IR_NOP;
        }
        if (!reachable && n->op != IR_CONST) { /* a constant is valid anywhere */
            *n = (struct ir_node){.op = IR_NOP};
            continue;
        }
        if (n->op == IR_BR || n->op == IR_BRCOND)
            target[n->imm] = true;
        if (ends_flow(n->op))
            reachable = false;
    }
}

/* The bits of [off, off + size) word by word: at most two words. */
static uint64_t range_bits(uint32_t off, uint32_t size, unsigned word)
{
    uint64_t lo = off / 64 == word ? ~(uint64_t)0 << (off % 64) : ~(uint64_t)0;
    uint32_t last = off + size - 1;
    uint64_t hi = last / 64 == word ? ~(uint64_t)0 >> (63 - last % 64) : ~(uint64_t)0;
    return lo & hi;
}

static bool in_span(const struct ir_node *n)
{
    return n->off < IR_SLOT_SPAN && n->size <= IR_SLOT_SPAN - n->off;
}

static void mark_read(struct opt *o, const struct ir_node *n)
{
    uint32_t end = n->off + n->size < IR_SLOT_SPAN ? n->off + n->size : IR_SLOT_SPAN;
    for (unsigned w = n->off / 64; n->off < end && w <= (end - 1) / 64; w++)
        o->now.w[w] &= ~range_bits(n->off, n->size, w);
}

/* True when the PUT is dead; else it now covers what comes before it. */
static bool put_is_dead(struct opt *o, const struct ir_node *n)
{
    if (!in_span(n))
        return false;
    bool dead = true;
    for (unsigned w = n->off / 64; w <= (n->off + n->size - 1u) / 64; w++) {
        uint64_t bits = range_bits(n->off, n->size, w);
        dead = dead && (o->now.w[w] & bits) == bits;
        o->now.w[w] |= bits;
    }
    return dead;
}

static void forget_fates(struct opt *o, uint32_t off, uint32_t size)
{
    for (uint32_t g = off / 4; g < IR_SLOT_SPAN / 4 && g <= (off + size - 1) / 4; g++)
        o->fate.put[g] = 0;
}

/* True when the PUT can be deferred; else it is the fate of what comes before it. */
static bool put_is_deferrable(struct opt *o, const struct ir_node *n, ir_ref i)
{
    uint32_t first = n->off / 4, last = (n->off + n->size - 1u) / 4;
    if (!in_span(n))
        return false;
    if (n->size < 4 || n->off & 3) {
        forget_fates(o, n->off, n->size);
        return false;
    }
    ir_ref fate = o->fate.put[first];
    bool same = fate != 0;
    for (uint32_t g = first; g <= last; g++) {
        same = same && o->fate.put[g] == fate;
        o->fate.put[g] = i;
    }
    const struct ir_node *k = &o->b->node[fate];
    return same && k->off <= n->off && n->off + n->size <= k->off + k->size;
}

/* Slots written between the first branch to a label and the label. */
static void forget_written_since(struct opt *o, ir_ref from, ir_ref label)
{
    for (unsigned i = from; i < label; i++)
        if (o->b->node[i].op == IR_PUT)
            forget_fates(o, o->b->node[i].off, o->b->node[i].size);
}

static void observe_fates(struct opt *o, const struct ir_node *n, ir_ref i)
{
    switch (n->op) {
    case IR_GET:
        forget_fates(o, n->off, n->size);
        break;
    case IR_CALL:
        if (!(o->b->call[n->imm].flags & (CALL_READS | CALL_WRITES | CALL_RAISES)))
            break;
        memset(&o->fate, 0, sizeof(o->fate));
        break;
    case IR_GOTO:
    case IR_GOTO_IND:
    case IR_EXIT:
        memset(&o->fate, 0, sizeof(o->fate));
        break;
    case IR_LABEL:
        forget_written_since(o, o->first_branch[n->imm], i);
        o->fate_at_label[n->imm] = o->fate;
        break;
    case IR_BR:
        o->fate = o->fate_at_label[n->imm];
        break;
    case IR_BRCOND:
        for (unsigned g = 0; g < ARRAY_SIZE(o->fate.put); g++)
            if (o->fate.put[g] != o->fate_at_label[n->imm].put[g])
                o->fate.put[g] = 0;
        break;
    default:
        break;
    }
}

static bool removable(const struct ir_block *b, const struct ir_node *n)
{
    if (n->op == IR_GET)
        return true;
    if (n->op == IR_CALL)
        return (b->call[n->imm].flags & CALL_PURE) != 0;
    return (ir_ops[n->op].flags & IR_PURE) != 0;
}

static void observe(struct opt *o, const struct ir_node *n)
{
    switch (n->op) {
    case IR_GET:
        mark_read(o, n);
        break;
    case IR_CALL:
        if (o->b->call[n->imm].flags & (CALL_READS | CALL_WRITES | CALL_RAISES))
            memset(&o->now, 0, sizeof(o->now));
        break;
    case IR_LD:
    case IR_ST:
    case IR_GOTO_IF:
    case IR_BX_UNLESS:
    case IR_GOTO:
    case IR_GOTO_IND:
    case IR_EXIT:
        memset(&o->now, 0, sizeof(o->now));
        break;
    case IR_LABEL:
        o->at_label[n->imm] = o->now;
        break;
    case IR_BR:
        o->now = o->at_label[n->imm];
        break;
    case IR_BRCOND:
        for (unsigned w = 0; w < ARRAY_SIZE(o->now.w); w++)
            o->now.w[w] &= o->at_label[n->imm].w[w];
        break;
    default:
        break;
    }
}

/* Earliest branch to each label, or into what lies between: on the way from there to the label code
 * may have been jumped over. */
static void find_first_branches(struct opt *o)
{
    if (!o->b->nlabels)
        return;
    memset(o->first_branch, 0, o->b->nlabels * sizeof(o->first_branch[0]));
    for (unsigned i = 1; i < o->b->n; i++) {
        const struct ir_node *n = &o->b->node[i];
        if ((n->op == IR_BR || n->op == IR_BRCOND) && !o->first_branch[n->imm])
            o->first_branch[n->imm] = (ir_ref)i;
        if (n->op != IR_LABEL)
            continue;
        ir_ref *first = &o->first_branch[n->imm];
        for (unsigned k = i - 1; k > *first && *first; k--) {
            const struct ir_node *m = &o->b->node[k];
            if (m->op == IR_LABEL && o->first_branch[m->imm] < *first)
                *first = o->first_branch[m->imm];
        }
    }
}

void ir_optimize(struct ir_block *b)
{
    static _Thread_local struct opt o;
    static _Thread_local struct overwritten labels[IR_MAX_LABELS];
    static _Thread_local struct fates fates[IR_MAX_LABELS];
    static _Thread_local ir_ref first_branch[IR_MAX_LABELS];
    remove_unreachable(b);
    ir_pair_accesses(b);
    o.b = b;
    o.at_label = labels;
    o.fate_at_label = fates;
    o.first_branch = first_branch;
    find_first_branches(&o);
    memset(&o.fate, 0, sizeof(o.fate));
    memset(&o.now, 0, sizeof(o.now));
    memset(o.uses, 0, b->n * sizeof(o.uses[0]));
    for (unsigned i = b->n; i-- > 1;) {
        struct ir_node *n = &b->node[i];
        bool dead = n->op == IR_PUT ? put_is_dead(&o, n) : !o.uses[i] && removable(b, n);
        if (dead) {
            n->op = IR_NOP;
            n->type = IR_VOID;
            continue;
        }
        if (n->op == IR_PUT && put_is_deferrable(&o, n, (ir_ref)i))
            n->op = IR_DEFER;
        observe(&o, n);
        observe_fates(&o, n, (ir_ref)i);
        for (unsigned k = 0; k < ir_ops[n->op].nargs; k++)
            o.uses[n->arg[k]]++;
    }
}
