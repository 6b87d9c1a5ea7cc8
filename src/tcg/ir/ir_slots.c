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

/* ---- bytes of vectors known to be zero, above 4 (index 0) and above 8 (1) ---- */
static bool zero_above(const struct ir_block *b, ir_ref v, unsigned k)
{
    return b->bs->zero_above[k][v / 64] >> (v % 64) & 1;
}

bool ir_vec_upper_zero(const struct ir_block *b, ir_ref v, unsigned size)
{
    return size >= 16 || (size >= 4 && zero_above(b, v, size >= 8));
}

/* Does a vector node have zeros above `size` bytes? Lanes of most ops are zero where both operands'
 * are. */
static bool makes_zeros(const struct ir_block *b, const struct ir_node *n, unsigned size)
{
    bool x = n->arg[0] && ir_vec_upper_zero(b, n->arg[0], size);
    bool y = n->arg[1] && ir_vec_upper_zero(b, n->arg[1], size);
    switch (n->op) {
    case IR_GET:
        return n->size <= size;
    case IR_ITOV:
        return size >= 8 || b->node[n->arg[0]].type == IR_I32;
    case IR_ITOF:
        return n->size <= size;
    case IR_FCVT:
        return size >= (n->size == 4 ? 8 : 4);
    case IR_FADD:
    case IR_FSUB:
    case IR_FMUL:
    case IR_FDIV: /* the lanes above come from the first operand */
    case IR_FSQRT:
        return n->size <= size && x;
    case IR_FMA:
        return n->size <= size && ir_vec_upper_zero(b, n->arg[2], size);
    case IR_VAND:
        return x || y;
    case IR_VMUL:
    case IR_VMULHS:
    case IR_VMULHU:
        return n->size <= size && (x || y);
    case IR_VANDN:
        return x;
    case IR_VOR:
    case IR_VXOR:
        return x && y;
    case IR_VADD:
    case IR_VSUB:
    case IR_VCMPGTS:
    case IR_VMINS:
    case IR_VMAXS:
    case IR_VMINU:
    case IR_VMAXU:
    case IR_VQADDS:
    case IR_VQADDU:
    case IR_VQSUBS:
    case IR_VQSUBU:
    case IR_VAVGU:
    case IR_VFADD:
    case IR_VFSUB:
    case IR_VFMUL:
    case IR_VFMAX:
    case IR_VFMIN:
        return n->size <= size && x && y;
    case IR_VFMA:
        return n->size <= size && x && y && ir_vec_upper_zero(b, n->arg[2], size);
    case IR_VSHLI:
    case IR_VSHRI:
    case IR_VSARI:
    case IR_VFTOI:
    case IR_VITOF:
        return n->size <= size && x;
    default:
        return false;
    }
}

void ir_vec_note_zeros(struct ir_block *b, ir_ref v)
{
    for (unsigned k = 0; k < 2; k++) {
        uint64_t bit = (uint64_t)1 << (v % 64), *word = &b->bs->zero_above[k][v / 64];
        *word = makes_zeros(b, &b->node[v], k ? 8 : 4) ? *word | bit : *word & ~bit;
    }
}

/* A 16-byte slot whose halves are known: the processor would wait for both stores. */
static ir_ref join_halves(struct ir_block *b, uint32_t off)
{
    const struct ir_slot *low = &b->bs->slot[off / 4], *high = low + 2;
    if (low->size != 8 || high->size != 8)
        return 0;
    ir_ref half[2] = {low->ref, high->ref};
    for (unsigned k = 0; k < 2; k++)
        if (b->node[half[k]].type != IR_V128)
            half[k] = ir_op1(b, IR_ITOV, half[k]);
    return ir_vop(b, IR_VUNPKL, 8, half[0], half[1], 0);
}

/* The slot's known value as type t, or 0. */
static ir_ref slot_forward(struct ir_block *b, enum ir_type t, uint32_t off, uint32_t size)
{
    const struct ir_slot *s = &b->bs->slot[off / 4];
    if (size == 16 && s->size == 8 && off + 8 < IR_SLOT_SPAN)
        return join_halves(b, off);
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
