/* SPDX-License-Identifier: MIT */
/*
 * Arenas of a block, node append and value numbering. Equal pure nodes share one index while the
 * first is still available (see `hidden` in ir_internal.h). Owned by the translating vCPU's thread.
 */
#include "tcg/ir/ir.h"
#include "ir_internal.h"
#include "base/log.h"
#include <stdlib.h>
#include <string.h>

const struct ir_op_info ir_ops[IR_OP_COUNT] = {
#define N                       'N'
#define I                       'I'
#define W                       'W'
#define D                       'D'
#define V                       'V'
#define X(name_, res_, n_, fl_) [IR_##name_] = {#name_, res_, n_, (uint8_t)(fl_)},
    IR_OPS(X)
#undef X
#undef N
#undef I
#undef W
#undef D
#undef V
};

struct ir_block *ir_block_new(void)
{
    struct ir_block *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->node = malloc(IR_MAX_NODES * sizeof(*b->node));
    b->call = malloc(IR_MAX_CALLS * sizeof(*b->call));
    b->bs = calloc(1, sizeof(*b->bs));
    if (!b->node || !b->call || !b->bs) {
        ir_block_free(b);
        return NULL;
    }
    ir_block_reset(b, 0, 0, false);
    return b;
}

void ir_block_free(struct ir_block *b)
{
    if (!b)
        return;
    free(b->node);
    free(b->call);
    free(b->bs);
    free(b);
}

void ir_block_reset(struct ir_block *b, uint64_t pc, uint32_t exec_flags, bool privileged)
{
    struct ir_builder_state *bs = b->bs;
    memset(bs->slot, 0, sizeof(bs->slot));
    memset(bs->hash, 0, sizeof(bs->hash));
    memset(bs->hidden, 0, (b->n / 64 + 1) * sizeof(bs->hidden[0]));
    memset(&b->node[0], 0, sizeof(b->node[0]));
    b->n = 1;
    b->ncalls = 0;
    b->nlabels = 0;
    b->pc = pc;
    b->exec_flags = exec_flags;
    b->privileged = privileged;
    b->pc_relative = false;
    b->need_bit = 0;
    b->full = false;
}

uint32_t ir_room(const struct ir_block *b)
{
    uint32_t nodes = IR_MAX_NODES - 1 - b->n;
    /* A node of every kind may need one of the smaller tables' entries. */
    uint32_t calls = IR_MAX_CALLS - b->ncalls, labels = IR_MAX_LABELS - b->nlabels;
    if (b->full || calls < 64 || labels < 64)
        return 0;
    return nodes;
}

const char *ir_op_name(enum ir_op op)
{
    return (unsigned)op < IR_OP_COUNT ? ir_ops[op].name : "?";
}

ir_ref ir_append(struct ir_block *b, const struct ir_node *n)
{
    if (b->n >= IR_MAX_NODES - 1) {
        b->full = true;
        b->node[IR_MAX_NODES - 1] = *n;
        return IR_MAX_NODES - 1;
    }
    ir_ref r = (ir_ref)b->n++;
    b->node[r] = *n;
    if (n->type == IR_V128)
        ir_vec_note_zeros(b, r);
    return r;
}

static unsigned node_hash(const struct ir_node *n)
{
    uint64_t h = n->op | (uint64_t)n->type << 8 | (uint64_t)n->rel << 16 | (uint64_t)n->size << 24;
    h ^= n->imm * 0x9e3779b97f4a7c15u;
    h += (uint64_t)n->arg[0] << 32 | (uint64_t)n->arg[1] << 48;
    h ^= (uint64_t)n->arg[2] << 13 | (uint64_t)n->arg[3] << 29;
    h *= 0xff51afd7ed558ccdu;
    return (unsigned)(h >> 48) % IR_HASH_SIZE;
}

static bool node_equal(const struct ir_node *x, const struct ir_node *y)
{
    return x->op == y->op && x->type == y->type && x->rel == y->rel && x->size == y->size &&
           x->imm == y->imm && !memcmp(x->arg, y->arg, sizeof(x->arg));
}

ir_ref ir_append_pure(struct ir_block *b, const struct ir_node *n)
{
    ir_ref *bucket = &b->bs->hash[node_hash(n)];
    ir_ref old = *bucket;
    /* A constant needs no execution: it stays available after labels. */
    if (old && node_equal(&b->node[old], n) && (n->op == IR_CONST || !ir_hidden(b->bs, old)))
        return old;
    ir_ref r = ir_append(b, n);
    if (!b->full)
        *bucket = r;
    return r;
}

ir_ref ir_const(struct ir_block *b, enum ir_type t, uint64_t v)
{
    struct ir_node n = {.op = IR_CONST, .type = (uint8_t)t, .imm = v & ir_type_mask(t)};
    return ir_append_pure(b, &n);
}

ir_ref ir_const32(struct ir_block *b, uint32_t v)
{
    return ir_const(b, IR_I32, v);
}

ir_ref ir_const64(struct ir_block *b, uint64_t v)
{
    return ir_const(b, IR_I64, v);
}

bool ir_is_const(const struct ir_block *b, ir_ref r, uint64_t *v)
{
    if (b->node[r].op != IR_CONST)
        return false;
    if (v)
        *v = b->node[r].imm;
    return true;
}
