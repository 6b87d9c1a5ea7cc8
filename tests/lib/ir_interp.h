/* SPDX-License-Identifier: MIT */
/*
 * An interpreter of the intermediate representation, so that front ends can be tested without a
 * host back end, and back ends against it. Integer ops; memory through callbacks.
 */
#pragma once

#include "tcg/ir/ir.h"

struct vcpu;

struct ir_interp {
    struct vcpu *v;
    /* Guest memory; may leave by longjmp. */
    uint64_t (*load)(struct ir_interp *in, uint64_t gva, uint32_t memop);
    void (*store)(struct ir_interp *in, uint64_t gva, uint64_t value, uint32_t memop);
    /* results */
    uint64_t insn_pc; /* of the last IR_INSN */
    uint32_t insn_extra;
    enum ir_op left_by; /* IR_GOTO, IR_GOTO_IND or IR_EXIT */
    uint64_t left_imm;  /* target pc or exit reason */
};

/* Run a block to one of its exits. False when it has an op the interpreter does not know (named on
 * stderr). */
bool ir_interp_run(struct ir_interp *in, const struct ir_block *b);
