/* SPDX-License-Identifier: MIT */
/*
 * What the load/store files of the ARM front end share: addresses with their offset, and the memory
 * operation words beyond arm_memop(). Used inside src/tcg/arm/arm_ld*.c and arm_excl*.c only.
 */
#pragma once

#include "arm_internal.h"

#include "a32_ldst_decode.h"
#include "t16_ldst_decode.h"
#include "t32_ldst_decode.h"

/* Address of an access, and the value the base register gets after it. */
struct arm_address {
    ir_ref access;
    ir_ref moved;
    unsigned rn;
    bool writeback;
};

/* p, u and w as in a32_ldst.decode. */
struct arm_address arm_address_offset(struct arm_ctx *s, unsigned rn, ir_ref offset, unsigned p,
                                      unsigned u, unsigned w);
void arm_address_writeback(struct arm_ctx *s, const struct arm_address *addr);
/* Reverse the bytes of a 32-bit value when the block's data is big-endian. */
ir_ref arm_word_to_memory(struct arm_ctx *s, ir_ref v);
