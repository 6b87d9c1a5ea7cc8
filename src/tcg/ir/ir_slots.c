/* SPDX-License-Identifier: MIT */
/*
 * Guest state slots: forwarding of PUT to GET, GET to GET, and removal of PUTs that would store
 * what the memory holds already. Overlaps are by byte range (S0, D0 and Q0 share bytes): a PUT
 * makes every other slot it touches unknown.
 */
#include "ir_internal.h"
#include <string.h>

void ir_slots_forget(struct ir_block *b)
{
    memset(b->bs->slot, 0, sizeof(b->bs->slot));
}

void ir_slots_keep_until(struct ir_block *b, ir_ref first)
{
    for (unsigned g = 0; g < IR_SLOT_COUNT; g++)
        if (b->bs->slot[g].size && b->bs->slot[g].set_at >= first)
            b->bs->slot[g].size = 0;
}

static bool slot_tracked(uint32_t off, uint32_t size)
{
    return size >= 4 && !(off & 3) && off < IR_SLOT_SPAN && size <= IR_SLOT_SPAN - off;
}

static void slot_invalidate(struct ir_builder_state *bs, uint32_t off, uint32_t size)
{
    if (off >= IR_SLOT_SPAN)
        return;
    uint32_t first = off / 4 < 3 ? 0 : off / 4 - 3; /* a slot of 16 bytes reaches 3 granules on */
    uint32_t last = (off + size - 1) / 4;
    for (uint32_t g = first; g <= last && g < IR_SLOT_COUNT; g++)
        if (bs->slot[g].size && g * 4 + bs->slot[g].size > off)
            bs->slot[g].size = 0;
}

static void slot_set(struct ir_block *b, uint32_t off, uint32_t size, ir_ref v, ir_ref at)
{
    struct ir_slot *s = &b->bs->slot[off / 4];
    s->ref = v;
    s->set_at = at;
    s->size = (uint8_t)size;
}

bool ir_vec_upper_zero(const struct ir_block *b, ir_ref v, unsigned size)
{
    const struct ir_node *n = &b->node[v];
    switch (n->op) {
    case IR_GET:
        return n->size <= size;
    case IR_ITOV:
        return size >= 8 || b->node[n->arg[0]].type == IR_I32;
    case IR_FADD:
    case IR_FSUB:
    case IR_FMUL:
    case IR_FDIV: /* the lanes above come from the first operand */
    case IR_FSQRT:
        return n->size <= size && ir_vec_upper_zero(b, n->arg[0], size);
    case IR_FMA:
        return n->size <= size && ir_vec_upper_zero(b, n->arg[2], size);
    case IR_FCVT:
        return size >= (n->size == 4 ? 8 : 4);
    case IR_ITOF:
        return n->size <= size;
    case IR_VXOR:
        return size >= 16 || (ir_vec_upper_zero(b, n->arg[0], size) &&
                              ir_vec_upper_zero(b, n->arg[1], size));
    case IR_VAND:
        return size >= 16 || ir_vec_upper_zero(b, n->arg[0], size) ||
               ir_vec_upper_zero(b, n->arg[1], size);
    default:
        return size >= 16;
    }
}

/* The slot's known value as type t, or 0. */
static ir_ref slot_forward(struct ir_block *b, enum ir_type t, uint32_t off, uint32_t size)
{
    const struct ir_slot *s = &b->bs->slot[off / 4];
    if (s->size != size)
        return 0;
    unsigned have = b->node[s->ref].type;
    if (have == (unsigned)t)
        return s->ref;
    if (t == IR_V128)
        return ir_op1(b, IR_ITOV, s->ref);
    if (have == IR_V128 && size * 8 == ir_type_bits(t))
        return ir_vtoi(b, t, s->ref);
    return 0;
}

ir_ref ir_get(struct ir_block *b, enum ir_type t, uint32_t off, uint32_t size)
{
    bool tracked = slot_tracked(off, size) && (t == IR_V128 || size * 8 == ir_type_bits(t));
    if (tracked) {
        ir_ref known = slot_forward(b, t, off, size);
        if (known)
            return known;
    }
    struct ir_node n = {.op = IR_GET, .type = (uint8_t)t, .off = off, .size = (uint8_t)size};
    ir_ref r = ir_append(b, &n);
    if (tracked && !b->full)
        slot_set(b, off, size, r, r);
    return r;
}

void ir_put(struct ir_block *b, uint32_t off, uint32_t size, ir_ref v)
{
    unsigned t = b->node[v].type;
    bool tracked = slot_tracked(off, size);
    if (tracked && b->bs->slot[off / 4].size == size && b->bs->slot[off / 4].ref == v)
        return;
    struct ir_node n = {.op = IR_PUT, .off = off, .size = (uint8_t)size, .arg = {v}};
    ir_ref r = ir_append(b, &n);
    slot_invalidate(b->bs, off, size);
    bool whole = t == IR_V128 ? ir_vec_upper_zero(b, v, size) : size * 8 == ir_type_bits(t);
    if (tracked && whole && !b->full)
        slot_set(b, off, size, v, r);
}
