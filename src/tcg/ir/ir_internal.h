/* SPDX-License-Identifier: MIT */
/*
 * Shared by the files of this folder: the builder's state, node append, constant evaluation.
 *
 * Slot map: which node's value the state memory at an offset holds right now. Only whole 4-, 8- and
 * 16-byte slots at 4-byte granules below IR_SLOT_SPAN are tracked; others always go through memory.
 * `hidden` marks nodes defined between a branch and its (already placed) label: not available any
 * more.
 */
#pragma once

#include "tcg/ir/ir_info.h"

#define IR_SLOT_COUNT (IR_SLOT_SPAN / 4)
#define IR_HASH_SIZE  1024u

struct ir_slot {
    ir_ref ref;    /* value the memory holds */
    ir_ref set_at; /* node at which this became known */
    uint8_t size;  /* 0 = unknown */
};

struct ir_builder_state {
    struct ir_slot slot[IR_SLOT_COUNT];
    ir_ref first_branch[IR_MAX_LABELS]; /* earliest branch to the label; 0 = none yet */
    ir_ref hash[IR_HASH_SIZE];          /* pure nodes, direct-mapped */
    uint64_t hidden[IR_MAX_NODES / 64];
    uint64_t zero_above[2][IR_MAX_NODES / 64]; /* V128: all zero above 4, above 8 bytes */
};

static inline bool ir_hidden(const struct ir_builder_state *bs, ir_ref r)
{
    return (bs->hidden[r / 64] >> (r % 64)) & 1;
}

/* Append a node as it is; sets b->full and returns the spare last node when there is no room. */
ir_ref ir_append(struct ir_block *b, const struct ir_node *n);
/* Append a pure node, or return an available equal one. */
ir_ref ir_append_pure(struct ir_block *b, const struct ir_node *n);
ir_ref ir_const(struct ir_block *b, enum ir_type t, uint64_t v);

/* ---- constant evaluation (ir_eval.c) ---- */
int64_t ir_sext(uint64_t v, unsigned bits);
bool ir_eval_rel(enum ir_rel rel, unsigned type, uint64_t x, uint64_t y);
uint64_t ir_eval1(enum ir_op op, unsigned type, uint64_t a);
uint64_t ir_eval2(enum ir_op op, unsigned type, uint64_t a, uint64_t b);
uint64_t ir_eval_adc(enum ir_op op, unsigned type, uint64_t a, uint64_t b, uint64_t c);

/* ---- conditions (ir_cond.c) ---- */
enum ir_cond_result { COND_FALSE, COND_TRUE, COND_OPEN };
/* Bring (x rel y) into canonical, cheapest form; tells when it is constant. */
enum ir_cond_result ir_cond_simplify(struct ir_block *b, enum ir_rel *rel, ir_ref *x, ir_ref *y);

/* ---- slots (ir_slots.c) ---- */
void ir_slots_forget(struct ir_block *b);
/* After a label whose earliest branch is `first`: keep only what was known there and is unchanged.
 */
void ir_slots_keep_until(struct ir_block *b, ir_ref first);
/* Upper bytes of a V128 value beyond `size` are known to be zero. */
bool ir_vec_upper_zero(const struct ir_block *b, ir_ref v, unsigned size);
/* Find that out for a new V128 node. */
void ir_vec_note_zeros(struct ir_block *b, ir_ref v);

/* ---- passes ---- */
void ir_pair_accesses(struct ir_block *b); /* ir_pair.c */
