/* SPDX-License-Identifier: MIT */
/*
 * The ARM front end's own header: the translation context of one block, and the helpers that the
 * instruction-group files (arm_*.c) build on. A group file defines trans_NAME() functions, called
 * by the decoders that tools/decodegen.py makes from the *.decode tables (docs/decode.md).
 *
 * Rules of a trans function:
 *  - false = UNDEF; it must be decided before anything is emitted.
 *  - Conditions are dealt with by the block loop (arm_translate.c); a trans function always acts.
 *  - An instruction that leaves the block ends with one of the arm_goto / arm_branch / arm_exit
 *    functions, which set `done`.
 *  - Whoever changes NZCV other than through arm_set_*() calls arm_flags_changed().
 *
 * Threads: a context lives on the stack of the vCPU thread that translates.
 */
#pragma once

#include "tcg/ir/ir.h"
#include "tcg/tcg.h"
#include "vcpu/arm.h"
#include "vcpu/vcpu.h"

enum {
    ARM_COND_EQ,
    ARM_COND_NE,
    ARM_COND_CS,
    ARM_COND_CC,
    ARM_COND_MI,
    ARM_COND_PL,
    ARM_COND_VS,
    ARM_COND_VC,
    ARM_COND_HI,
    ARM_COND_LS,
    ARM_COND_GE,
    ARM_COND_LT,
    ARM_COND_GT,
    ARM_COND_LE,
    ARM_COND_AL
};

enum { ARM_LSL, ARM_LSR, ARM_ASR, ARM_ROR };

/* What is known inside the block about the flags in the state: they came from this. */
enum arm_flag_source {
    FLAGS_UNKNOWN,
    FLAGS_NZ,  /* N and Z from res */
    FLAGS_SUB, /* all from x - y */
    FLAGS_FP,  /* res is NZCV in bits 31:28, one of the four results of a VCMP; rest zero */
};

/* A condition as a relation of two values. */
struct arm_test {
    enum ir_rel rel;
    ir_ref x, y;
};

struct arm_ctx {
    struct ir_block *b;
    struct tcg_source *src;
    const uint8_t *page; /* host address of the page of this instruction */
    uint32_t page_pc;    /* its virtual address */
    uint32_t exec;     /* exec_flags of the block: what the state memory holds on entry */
    uint32_t features; /* enum arm_feature */
    bool thumb;
    bool privileged;
    uint32_t pc;      /* address of this instruction */
    uint32_t next_pc; /* address of the following one */
    uint32_t insn;    /* 32-bit T32: first halfword in the high half */
    uint8_t insn_len; /* 2 or 4 */
    uint8_t it;       /* CPSR.IT for this instruction; 0 = outside an IT block */
    uint8_t it_next;  /* CPSR.IT for the following one */
    uint8_t cond;     /* condition of this instruction, ARM_COND_AL when none */
    bool done;        /* an exit was emitted: nothing follows on this path */
    bool select;      /* arm_write_reg(), arm_set_*() merge by `test` instead of a branch around */
    struct arm_test test;
    bool in_section;  /* between a branch on section_cond and its label */
    uint8_t section_cond;
    bool section_dirty; /* flags changed inside the section */
    unsigned section_label;
    uint32_t expected[8]; /* where calls that a region went into return to, as BX takes it */
    unsigned nexpected;
    uint32_t reach; /* the block depends on the code up to here, in its page; 0: up to its end */
    enum arm_flag_source flags;
    ir_ref flag_x, flag_y, flag_res;
};

#define ARM_OFF(field) ((uint32_t)offsetof(struct vcpu, field))
#define ARM_OFF_REG(n) ((uint32_t)(offsetof(struct vcpu, r) + 4 * (n)))

static inline bool arm_has(const struct arm_ctx *s, unsigned feature)
{
    return (s->features & feature) != 0;
}

/* False: UNDEF. True: the block checks FPEXC.EN at its entry, which nothing in it changes. */
static inline bool vfp_enabled(const struct arm_ctx *s)
{
    if (!(s->exec & EXEC_CPACR) || (s->exec & EXEC_FPOFF))
        return false;
    ir_need(s->b, ARM_OFF(fpexc), FPEXC_EN);
    return true;
}

static inline bool arm_in_it(const struct arm_ctx *s)
{
    return s->it != 0;
}

/* Not the last instruction of an IT block: where branches are UNPREDICTABLE. */
static inline bool arm_it_not_last(const struct arm_ctx *s)
{
    return s->it_next != 0;
}

/* The `s` member of the tables: 2 = 16-bit encodings, which set flags outside IT blocks only. */
static inline bool arm_sets_flags(const struct arm_ctx *s, uint32_t sf)
{
    return sf == 1 || (sf == 2 && !arm_in_it(s));
}

/* ---- registers (arm_regs.c) ---- */
/* R15 reads as the address of the instruction + 8 (A32) or + 4 (T32). */
ir_ref arm_read_reg(struct arm_ctx *s, unsigned n);
/* The same with R15 aligned to 4: base of literal accesses and ADR. */
ir_ref arm_read_base(struct arm_ctx *s, unsigned n);
uint32_t arm_pc_value(const struct arm_ctx *s);
/* An address that depends on where the code runs, as a value: constant unless the block is
 * PC-relative. */
ir_ref arm_pc_ref(struct arm_ctx *s, uint32_t pc);
/* n = 15 branches as the Arm ARM's ALUWritePC() and ends the path. */
void arm_write_reg(struct arm_ctx *s, unsigned n, ir_ref v);
/* n = 15 branches as LoadWritePC() (always interworking) and ends the path. */
void arm_write_reg_load(struct arm_ctx *s, unsigned n, ir_ref v);
/* Common memory operation bits of this block (CPSR.E, SCTLR.A) for an access of 2^size bytes. */
uint32_t arm_memop(const struct arm_ctx *s, unsigned size);

/* ---- leaving the block (arm_exit.c) ---- */
/* A call has been emitted, and its return address is `to`. */
void arm_expect_return(struct arm_ctx *s, uint32_t to);
void arm_goto(struct arm_ctx *s, uint32_t pc); /* direct branch, same instruction set */
void arm_goto_end(struct arm_ctx *s, uint32_t pc); /* the same, and no region goes on there */
void arm_goto_exchange(struct arm_ctx *s,
                       uint32_t pc);                /* direct branch to the other instruction set */
void arm_branch_plain(struct arm_ctx *s, ir_ref v); /* BranchWritePC */
void arm_branch_bx(struct arm_ctx *s, ir_ref v);    /* BXWritePC: bit 0 selects T32 */
/* The same to what was on the stack: most likely a return (as is, without this, that to r14). */
void arm_branch_return(struct arm_ctx *s, ir_ref v);
/* In a region: translate on at `taken` or `next` (`taken` again: no choice) if that is worth it.
 * The instruction at hand is a direct branch without a condition, or the caller tests that. */
enum tcg_follow arm_follow(struct arm_ctx *s, uint32_t taken, uint32_t next);
/* The instruction at hand, under a condition, is a branch that a region goes on behind. */
bool arm_follow_conditional(struct arm_ctx *s);
void arm_fallthrough(struct arm_ctx *s);            /* go on at next_pc */
void arm_exit_next(struct arm_ctx *s,
                   enum tcg_exit why); /* leave to the run loop, going on at next_pc */
/* The same after a helper that may have changed exec_flags in the state (system registers, CPSR):
   call arm_sync_it() before the helper and this after it. */
void arm_exit_changed(struct arm_ctx *s);
/* The same when only the translation context may have changed: by way of the jump cache. */
void arm_exit_context(struct arm_ctx *s);
/* Bring CPSR.IT in the state up to date, for helpers that read or write exec_flags or the CPSR. */
void arm_sync_it(struct arm_ctx *s);
/* Go on at next_pc with other constant exec_flags bits (SETEND, ...). */
void arm_exit_exec_flags(struct arm_ctx *s, uint32_t clear, uint32_t set);
/* Raise an exception at this instruction; the path ends. */
void arm_raise(struct arm_ctx *s, enum arm_exception e, uint32_t fsr);
void arm_undef(struct arm_ctx *s);
/* CPSR = SPSR and branch to v (masked for the new instruction set); the caller checked privilege.
 */
void arm_exception_return(struct arm_ctx *s, ir_ref v);

/* ---- flags and conditions (arm_flags.c) ---- */
/* A relation that is true exactly when the condition (not AL) holds. */
struct arm_test arm_cond_test(struct arm_ctx *s, unsigned cond);
ir_ref arm_get_c(struct arm_ctx *s); /* 0 or 1 */
void arm_put_c(struct arm_ctx *s, ir_ref c);
void arm_put_v(struct arm_ctx *s, ir_ref v);
void arm_put_q(struct arm_ctx *s, ir_ref q); /* Q |= q, q is 0 or 1 */
void arm_set_nz(struct arm_ctx *s, ir_ref res);
void arm_set_nz64(struct arm_ctx *s, ir_ref lo, ir_ref hi);
void arm_set_logic(struct arm_ctx *s, ir_ref res, ir_ref carry); /* carry = 0: C unchanged */
void arm_set_add(struct arm_ctx *s, ir_ref x, ir_ref y, ir_ref res);
void arm_set_sub(struct arm_ctx *s, ir_ref x, ir_ref y, ir_ref res);
void arm_set_adc(struct arm_ctx *s, ir_ref x, ir_ref y, ir_ref carry, ir_ref res);
void arm_flags_changed(struct arm_ctx *s);
/* NZCV = bits 31:28 of v; the caller knows that v is FLAGS_FP, or does not. */
void arm_set_nzcv(struct arm_ctx *s, ir_ref v, bool of_compare);

/* ---- conditional execution (arm_section.c) ---- */
/* Under a select: v where the condition holds, else `old`. */
ir_ref arm_merge(struct arm_ctx *s, ir_ref v, ir_ref old);
/* Before an instruction under s->cond, with no section of another condition open: select or
 * section. */
void arm_section_begin(struct arm_ctx *s);
/* Force a section (for an instruction that turned out to be UNDEF under a select). */
void arm_section_open(struct arm_ctx *s);
/* Place the label of an open section; control joins here. */
void arm_section_close(struct arm_ctx *s);

/* ---- decoding (arm_decode.c): all tables in order; false = UNDEF ---- */
bool arm_decode(struct arm_ctx *s);

/* ---- operands (arm_operand.c) ---- */
struct arm_shifted {
    ir_ref v;
    ir_ref carry; /* 0: the C flag is unchanged */
};
/* Shift by the immediate of the instruction (type ARM_LSL..; imm5 = 0 as the Arm ARM's
 * DecodeImmShift). */
struct arm_shifted arm_shift_imm(struct arm_ctx *s, ir_ref v, unsigned type, unsigned imm5,
                                 bool want_carry);
/* Shift by the low byte of a register value. */
struct arm_shifted arm_shift_reg(struct arm_ctx *s, ir_ref v, unsigned type, ir_ref amount,
                                 bool want_carry);
/* ARMExpandImm_C or ThumbExpandImm_C of the 12-bit field; *carry = -1 when C is unchanged. */
uint32_t arm_expand_imm(const struct arm_ctx *s, uint32_t imm12, int *carry);
static inline ir_ref arm_imm(struct arm_ctx *s, uint32_t v)
{
    return ir_const32(s->b, v);
}

/* ---- helpers called by generated code (arm_helpers.c); each may raise ---- */
void arm_helper_raise(struct vcpu *v, uint32_t exception, uint32_t fsr);
void arm_helper_exception_return(struct vcpu *v, uint32_t pc);
void arm_helper_fetch_fault(struct vcpu *v, uint32_t va);
void arm_helper_bkpt(struct vcpu *v, uint32_t pc);
void arm_helper_sev(struct vcpu *v);
void arm_helper_sevl(struct vcpu *v);
void arm_helper_dsb(struct vcpu *v);

/* Helper call of up to three I32 arguments (0 = none) without a result. */
void arm_call(struct arm_ctx *s, const char *name, void *fn, unsigned flags, ir_ref a0, ir_ref a1,
              ir_ref a2);
