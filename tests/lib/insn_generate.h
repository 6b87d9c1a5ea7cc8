/* SPDX-License-Identifier: MIT */
/*
 * Random tests of one encoding of the decode tables: a well-formed word with sensible registers,
 * and a machine state with edge values.
 */
#pragma once

#include <stdbool.h>

#include "insn_record.h"
#include "tcg/arm/arm_tables.h"

struct insn_random {
    uint64_t state;
};

uint32_t insn_next_random(struct insn_random *r);
/* Why an encoding is not tested here, NULL when it is. */
const char *insn_excluded(const struct decode_encoding *e, const char *cpu);
/* Is this a table of VFP or Advanced SIMD instructions? */
bool insn_is_vfp(const struct arm_table *table);
/* Fill in one test of e, which is in `table`. */
void insn_generate(struct insn_random *r, enum arm_isa isa, const struct arm_table *table,
                   const struct decode_encoding *e, struct insn_test *t);
/*
 * A test of several conditional integer instructions in a row, one of them possibly a load that
 * faults when it is executed: what a translator knows about flags and registers across
 * instructions.
 */
void insn_generate_sequence(struct insn_random *r, enum arm_isa isa, struct insn_test *t);
#define INSN_FAULT_ADDRESS 0xc0000000u /* in R13, which sequences and programs do not write */
/* What sequences and programs are made of: an ordinary integer instruction of the set, which may be
 * A32 or T32, when *isa is ARM_ISA_T16 or _T32 then. */
uint32_t insn_plain_word(struct insn_random *r, enum arm_isa *isa,
                         const struct decode_encoding **of);
void insn_random_plain_state(struct insn_random *r, enum arm_isa isa, struct insn_state *in);
/* Does a register field name one of first .. last? */
bool insn_names_register(const struct decode_encoding *e, uint32_t insn, unsigned first,
                         unsigned last);
/* A program of several blocks (insn_program.c): a loop, possibly with another inside, with branches,
 * calls, IT blocks, loads and stores, and possibly a load that faults in some round. */
void insn_generate_program(struct insn_random *r, enum arm_isa isa, struct insn_test *t);
/* The same of VFP and Advanced SIMD data processing, whose registers overlap. */
void insn_generate_vector_sequence(struct insn_random *r, enum arm_isa isa, struct insn_test *t);
