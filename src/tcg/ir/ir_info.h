/* SPDX-License-Identifier: MIT */
/*
 * Facts about ops and types for whoever walks nodes: passes, back ends, interpreters.
 */
#pragma once

#include "tcg/ir/ir.h"

/* State offsets below this are followed byte by byte; what lies beyond is always memory. */
#define IR_SLOT_SPAN 1024u

struct ir_op_info {
    const char *name;
    char res; /* I, W, D, V, N as in IR_OPS */
    uint8_t nargs;
    uint8_t flags;
};
extern const struct ir_op_info ir_ops[IR_OP_COUNT];

static inline uint64_t ir_type_mask(unsigned type)
{
    return type == IR_I32 ? 0xffffffffu : ~(uint64_t)0;
}

static inline unsigned ir_type_bits(unsigned type)
{
    return type == IR_I32 ? 32 : type == IR_I64 ? 64 : 128;
}
