/* SPDX-License-Identifier: MIT */
/*
 * The intermediate representation of one translated block: a linear list of typed SSA nodes, made
 * by a front end through the builder functions below and consumed by a host back end.
 *
 * - A node's value is its index (`ir_ref`); 0 means "no value". Nodes are in execution order.
 * - Guest state is memory: IR_GET reads and IR_PUT writes a slot (byte offset into the vCPU state,
 *   `off`, and a size in bytes). The builder forwards a PUT to a later GET of the same slot, so a
 * front end simply gets and puts. PUTs stay in program order relative to observation points (memory
 *   accesses, helper calls that read state, exits, labels): the state in memory is exact there.
 *   A PUT that is overwritten before the next observation point is removed by the passes. Accesses,
 *   GOTO_IFs and BX_UNLESS are soft observation points: only their out-of-line code lets anybody
 *   look. A PUT that is overwritten before any other observation point becomes a DEFER, which does
 *   not store itself: out-of-line code of the soft ones in between does.
 * - Control flow inside a block is forward only: IR_BR / IR_BRCOND to an IR_LABEL placed later.
 *   A value defined between a branch and its label must not be used after the label (use PUT/GET,
 *   or IR_SELECT). The builder forgets forwarded slot values at a label.
 * - Each guest instruction begins with IR_INSN, which gives the guest PC and the front end's extra
 * word for the side table (host PC to guest state, invariant I-7).
 *
 * Threads: a block belongs to the vCPU thread that translates; nothing here is shared.
 */
#pragma once

#include "base/types.h"
#include <stdio.h>

typedef uint16_t ir_ref; /* index of a node; 0 = none */

enum ir_type {
    IR_VOID,
    IR_I32, /* general register, upper half of the host register is zero */
    IR_I64,
    IR_V128, /* vector register; narrower GETs (4, 8 bytes) zero the rest */
};

/* Relations of IR_SETC, IR_SELECT, IR_BRCOND. TSTEQ/TSTNE compare (a & b) with zero. */
enum ir_rel {
    IR_EQ,
    IR_NE,
    IR_LTU,
    IR_GEU,
    IR_LEU,
    IR_GTU,
    IR_LTS,
    IR_GES,
    IR_LES,
    IR_GTS,
    IR_TSTEQ,
    IR_TSTNE,
};

/*
 * IR_OPS(X): X(name, result, nargs, flags) with
 *   result  I = type of the node (I32 or I64), W = I32 always, D = I64 always, V = V128, N = none
 *   flags   P pure (may be removed, merged, moved), M guest memory access (observation point, may
 *           raise a guest exception), S reads or writes guest state, C control flow
 */
#define IR_PURE          1u
#define IR_MEM           2u
#define IR_STATE         4u
#define IR_CTRL          8u
/* clang-format off */
#define IR_OPS(X) \
    X(NOP, N, 0, 0) \
    X(INSN, N, 0, 0)        /* imm = guest pc | extra << 32 */ \
    X(CONST, I, 0, IR_PURE) /* imm */ \
    X(GET, I, 0, IR_STATE)  /* off, size 1, 2, 4, 8, 16 (zero-extends); V128 allowed */ \
    X(PUT, N, 1, IR_STATE)  /* off, size, a */ \
    X(DEFER, N, 1, IR_STATE) /* PUT that only soft observation points may ask for (passes) */ \
    X(MOV, I, 1, IR_PURE) \
    X(ADD, I, 2, IR_PURE) \
    X(SUB, I, 2, IR_PURE) \
    X(ADC, I, 3, IR_PURE)   /* a + b + c, c is 0 or 1 */ \
    X(ADD_C, W, 2, IR_PURE) /* carry out of a + b: 0 or 1 (operand width = width of a) */ \
    X(ADD_V, W, 2, IR_PURE) /* signed overflow of a + b: 0 or 1 */ \
    X(SUB_V, W, 2, IR_PURE) /* signed overflow of a - b; its ARM carry is SETC(GEU, a, b) */ \
    X(ADC_C, W, 3, IR_PURE) /* carry out of a + b + c */ \
    X(ADC_V, W, 3, IR_PURE) \
    X(AND, I, 2, IR_PURE) \
    X(ANDN, I, 2, IR_PURE)  /* a & ~b */ \
    X(OR, I, 2, IR_PURE) \
    X(XOR, I, 2, IR_PURE) \
    X(NOT, I, 1, IR_PURE) \
    X(NEG, I, 1, IR_PURE) \
    X(MUL, I, 2, IR_PURE)   /* low half; 32x32->64 is MUL of two ZEXT32/SEXT32 in I64 */ \
    X(UDIV, I, 2, IR_PURE)  /* ARM: x / 0 = 0 */ \
    X(SDIV, I, 2, IR_PURE)  /* ARM: x / 0 = 0, INT_MIN / -1 = INT_MIN */ \
    X(SHL, I, 2, IR_PURE)   /* amount b must be below the width (b is I32) */ \
    X(SHR, I, 2, IR_PURE) \
    X(SAR, I, 2, IR_PURE) \
    X(ROR, I, 2, IR_PURE)   /* amount taken modulo the width */ \
    X(CLZ, I, 1, IR_PURE)   /* width for 0 */ \
    X(BSWAP, I, 1, IR_PURE) /* all bytes of the type */ \
    X(ZEXT8, I, 1, IR_PURE) \
    X(ZEXT16, I, 1, IR_PURE) \
    X(SEXT8, I, 1, IR_PURE) \
    X(SEXT16, I, 1, IR_PURE) \
    X(ZEXT32, D, 1, IR_PURE) /* I32 -> I64 */ \
    X(SEXT32, D, 1, IR_PURE) \
    X(TRUNC, W, 1, IR_PURE)  /* I64 -> I32, low half */ \
    X(HI32, W, 1, IR_PURE)   /* I64 -> I32, high half */ \
    X(PAIR, D, 2, IR_PURE)   /* I64 from I32 low a, I32 high b */ \
    X(EXTRACT, I, 1, IR_PURE)  /* imm = pos | len << 8, zero-extended field */ \
    X(SEXTRACT, I, 1, IR_PURE) /* the same, sign-extended */ \
    X(DEPOSIT, I, 2, IR_PURE)  /* a with field (imm = pos | len << 8) replaced by low bits of b */ \
    X(SETC, W, 2, IR_PURE)   /* rel: 0 or 1; operand width = width of a */ \
    X(SELECT, I, 4, IR_PURE) /* (a rel b) ? c : d */ \
    X(LD, I, 1, IR_MEM)      /* a = GVA (I32 here), memop in imm */ \
    X(ST, N, 2, IR_MEM)      /* a = GVA, b = value */ \
    X(FENCE, N, 0, IR_STATE) /* full barrier */ \
    X(CALL, I, 6, IR_STATE)  /* helper: imm = index into the call table */ \
    X(LABEL, N, 0, IR_CTRL)  /* imm = label number */ \
    X(BR, N, 0, IR_CTRL)     /* imm = label number */ \
    X(BRCOND, N, 2, IR_CTRL) /* rel a b, imm = label number; taken when true */ \
    X(GOTO, N, 0, IR_CTRL)   /* leave to guest pc imm, same exec_flags; may be linked */ \
    X(GOTO_IF, N, 2, IR_CTRL) /* if (a rel b) GOTO imm; else go on: a soft observation point */ \
    X(BX_UNLESS, N, 2, IR_CTRL) /* if (a != b) leave as BX a does: pc a & ~1, exec_flags imm | */ \
                                /* (a & 1), through the jump cache; else go on; soft, too */ \
    X(GOTO_IND, N, 0, IR_CTRL) /* leave to state pc and exec_flags through the jump cache */ \
    X(EXIT, N, 0, IR_CTRL)   /* leave to the run loop; imm = enum tcg_exit; pc is set */ \
    IR_VECTOR_OPS(X) \
    IR_FLOAT_OPS(X)

/* Vector ops: integers of lane size `size` (1, 2, 4, 8 bytes) on whole V128 values. */
#define IR_VECTOR_OPS(X) \
    X(VAND, V, 2, IR_PURE) \
    X(VANDN, V, 2, IR_PURE) /* a & ~b */ \
    X(VOR, V, 2, IR_PURE) \
    X(VXOR, V, 2, IR_PURE) \
    X(VADD, V, 2, IR_PURE) \
    X(VSUB, V, 2, IR_PURE) \
    X(VMUL, V, 2, IR_PURE)   /* size 2, 4 */ \
    X(VCMPEQ, V, 2, IR_PURE) \
    X(VCMPGTS, V, 2, IR_PURE) /* size 1, 2, 4 */ \
    X(VMINS, V, 2, IR_PURE)  /* size 1, 2, 4 */ \
    X(VMAXS, V, 2, IR_PURE) \
    X(VMINU, V, 2, IR_PURE) \
    X(VMAXU, V, 2, IR_PURE) \
    X(VSHLI, V, 1, IR_PURE)  /* imm = amount; size 2, 4, 8 */ \
    X(VSHRI, V, 1, IR_PURE) \
    X(VSARI, V, 1, IR_PURE)  /* size 2, 4 */ \
    X(VSHLV, V, 2, IR_PURE)  /* by the lane's amount in b, unsigned; from the width on nothing, */ \
    X(VSHRV, V, 2, IR_PURE)  /* or all sign, is left; size 4, 8; ir_has_lane_shifts() */ \
    X(VSARV, V, 2, IR_PURE)  /* size 4 */ \
    X(VDUP, V, 1, IR_PURE)   /* a is I32: all 16 bytes */ \
    X(VQADDS, V, 2, IR_PURE) /* saturating; size 1, 2 */ \
    X(VQADDU, V, 2, IR_PURE) \
    X(VQSUBS, V, 2, IR_PURE) \
    X(VQSUBU, V, 2, IR_PURE) \
    X(VAVGU, V, 2, IR_PURE)  /* (a + b + 1) >> 1; size 1, 2 */ \
    X(VMULHS, V, 2, IR_PURE) /* high half of the product; size 2 */ \
    X(VMULHU, V, 2, IR_PURE) \
    X(VMULWS, V, 2, IR_PURE) /* 64-bit products of lanes 0 and 2; size 4; ir_has_shuffles() */ \
    X(VMULWU, V, 2, IR_PURE) \
    X(VUNPKL, V, 2, IR_PURE) /* lanes a0 b0 a1 b1 ... of the low halves */ \
    X(VUNPKH, V, 2, IR_PURE) /* of the high halves */ \
    X(VPACKSS, V, 2, IR_PURE) /* lanes of a, then b, narrowed with signed saturation; size 2, 4 */ \
    X(VPACKUS, V, 2, IR_PURE) /* signed lanes to unsigned ones; size 2 */ \
    X(VSHUFB, V, 2, IR_PURE) /* byte i = a[b[i] & 15], 0 if b[i] has bit 7; ir_has_shuffles() */ \
    X(VSHUFD, V, 1, IR_PURE) /* 32-bit lane i = lane (imm >> 2 i & 3) of a */ \
    X(VALIGN, V, 2, IR_PURE) /* 16 bytes of b followed by a, from byte imm (1-15) on */ \
    X(VCONST, V, 0, IR_PURE) /* the 16 bytes at address imm, which never change */ \
    X(VTOI, I, 1, IR_PURE)   /* lane 0 bits to a general register of the node's type */ \
    X(ITOV, V, 1, IR_PURE)   /* general register to lane 0, rest zero */

/*
 * Scalar floating point in lane 0: F32 with size 4, F64 with size 8; lanes above are zero in the
 * result if they are in the operands. The host computes, and its MXCSR collects the guest's
 * cumulative flags. Where its result is, or its flags may be, other than ARM's, out-of-line code
 * calls the helper of the node (`imm`, index into the call table) and takes what that returns. Its
 * arguments are the operands' bits, then the constant `off` if it has one argument more. It
 * does not touch state slots and raises no exception. `rel` has IR_FP_ bits.
 */
#define IR_FLOAT_OPS(X) \
    X(FADD, V, 2, 0) \
    X(FSUB, V, 2, 0) \
    X(FMUL, V, 2, 0) \
    X(FDIV, V, 2, 0) \
    X(FSQRT, V, 1, 0) \
    X(FMA, V, 3, 0)  /* a * b + c, rounded once */ \
    X(FCVT, V, 1, 0) /* from `size` to the other size */ \
    X(FCMP, W, 2, 0) /* NZCV in bits 31:28: 6 equal, 8 less, 2 greater, 3 unordered; rest zero */ \
    X(FTOI, W, 1, 0) /* to a 32-bit integer, saturating */ \
    X(ITOF, V, 1, 0) /* a is I32, the result of `size`; no helper */ \
    IR_PACKED_OPS(X)

/*
 * The same on four F32 lanes, always as Advanced SIMD has it: flush-to-zero, default NaNs (IR_FP_FZ
 * is set). The helper finds the operands in the state, vcpu.float_arg, and leaves the result in the
 * first of them. Lanes that the guest does not have are zero in all operands, and raise nothing.
 */
#define IR_PACKED_OPS(X) \
    X(VFADD, V, 2, 0) \
    X(VFSUB, V, 2, 0) \
    X(VFMUL, V, 2, 0) \
    X(VFMA, V, 3, 0)  /* a * b + c, rounded once */ \
    X(VFMAX, V, 2, 0) \
    X(VFMIN, V, 2, 0) \
    X(VFCEQ, V, 2, 0) /* masks */ \
    X(VFCGE, V, 2, 0) \
    X(VFCGT, V, 2, 0) \
    X(VFTOI, V, 1, 0) /* to 32-bit integers towards zero, saturating */ \
    X(VITOF, V, 1, 0) /* from 32-bit integers; no helper */

/* clang-format on */

/* Bits of `rel` of floating-point nodes. */
#define IR_FP_FZ         1u  /* ARM's flush-to-zero, which is not the host's */
#define IR_FP_SUBNORMAL  2u  /* with FZ: argument k may be subnormal: this << k */
#define IR_FP_UNSIGNED   16u /* FTOI, ITOF, VFTOI, VITOF */
#define IR_FP_NEAREST    32u /* FTOI: round to nearest instead of towards zero */
#define IR_FP_SIGNALLING 64u /* FCMP: Invalid for quiet NaNs, too */

enum ir_op {
#define X(name, res, n, fl) IR_##name,
    IR_OPS(X)
#undef X
        IR_OP_COUNT
};

/* Memory operation word of IR_LD / IR_ST and of the slow paths. */
#define MEMOP_SIZE(m) ((m)&3u) /* log2 of bytes: 0..3 */
#define MEMOP_8       0u
#define MEMOP_16      1u
#define MEMOP_32      2u
#define MEMOP_64      3u
#define MEMOP_SIGN    (1u << 2) /* sign-extend the loaded value to the node's type */
#define MEMOP_BSWAP   (1u << 3) /* big-endian data (CPSR.E) */
#define MEMOP_ALIGN   (1u << 4) /* must be naturally aligned: alignment fault otherwise */
#define MEMOP_ALIGN4  (1u << 5) /* must be 4-byte aligned (LDRD/LDM style) */
#define MEMOP_USER    (1u << 6) /* unprivileged access from privileged code (LDRT, STRT) */
#define MEMOP_PRIV    (1u << 7) /* the block runs privileged (set by the builder from the block) */
#define MEMOP_PAIR                                                                             \
    (1u << 8) /* two words of one instruction in one MEMOP_64 access (set by the passes); slow \
                 paths see them as two MEMOP_32 accesses */

/*
 * The access is made of elements of 2^n < 2^MEMOP_SIZE bytes (a doubleword that is two words to the
 * architecture, vector elements transferred several at once): what is not RAM sees them one by one
 * when the whole is not aligned, and their alignment decides whether Device memory faults.
 */
#define MEMOP_OF(n)      (((n) + 1u) << 9)
#define MEMOP_ELEMENT(m) ((m) >> 9 & 3u ? ((m) >> 9 & 3u) - 1u : MEMOP_SIZE(m)) /* log2 of bytes */

/* Flags of a helper call. */
#define CALL_READS  1u /* reads guest state: an observation point for PUTs */
#define CALL_WRITES 2u /* writes guest state: forwarded slots are forgotten after it */
#define CALL_RAISES 4u /* may raise a guest exception (implies reads and writes) */
#define CALL_PURE   8u /* result depends on the arguments only: removable */
#define CALL_STATE  (CALL_READS | CALL_WRITES)

struct vcpu;

struct ir_call {
    const char *name; /* for dumps */
    /* C function: struct vcpu *, then the node's arguments, at most 5, as uint64_t-compatible
       integers (I32 arguments are zero-extended). */
    void *fn;
    uint8_t flags;
    uint8_t nargs;
};

struct ir_node {
    uint8_t op;   /* enum ir_op */
    uint8_t type; /* enum ir_type of the result */
    uint8_t rel;  /* enum ir_rel */
    uint8_t size; /* slot or lane size in bytes */
    uint32_t off; /* slot offset of GET/PUT */
    ir_ref arg[6];
    uint64_t imm;
};

#define IR_MAX_NODES  8192
#define IR_MAX_CALLS  512
#define IR_MAX_LABELS 512

struct ir_block {
    struct ir_node *node; /* [IR_MAX_NODES], node[0] unused */
    uint32_t n;
    struct ir_call *call; /* [IR_MAX_CALLS] */
    uint32_t ncalls;
    uint32_t nlabels;
    uint64_t pc;         /* guest pc of the block */
    uint32_t exec_flags; /* see vcpu/vcpu.h */
    bool privileged;
    /* The code may run at any virtual page: state r[15] is in the page it runs at, and the PCs of
       INSN and GOTO nodes count from the page of `pc`. Set by the front end after the reset. */
    bool pc_relative;
    /* The code is right while the state word at need_off has this bit: a check at the entry leaves
     * with TCG_EXIT_NEED otherwise. 0: nothing is needed. */
    uint32_t need_off, need_bit;
    bool full; /* an append found no room: the front end must end the block and retry it shorter */
    void *
        store_helper; /* not NULL: ir_store() becomes a call of it with (vCPU, GVA, value, memop) */
    struct ir_builder_state *bs; /* the builder's slot map; opaque */
};

/* Allocate / free the arenas of a block (once per vCPU, reused for each translation). */
struct ir_block *ir_block_new(void);
void ir_block_free(struct ir_block *b);
void ir_block_reset(struct ir_block *b, uint64_t pc, uint32_t exec_flags, bool privileged);
/* Nodes left before `full`; a front end ends the block when less than 400 remain. */
uint32_t ir_room(const struct ir_block *b);

static inline void ir_need(struct ir_block *b, uint32_t off, uint32_t bit)
{
    b->need_off = off;
    b->need_bit = bit;
}

/* ---- builder: every function folds constants and simple identities ---- */
void ir_insn(struct ir_block *b, uint64_t pc, uint32_t extra);
ir_ref ir_const32(struct ir_block *b, uint32_t v);
ir_ref ir_const64(struct ir_block *b, uint64_t v);
bool ir_is_const(const struct ir_block *b, ir_ref r, uint64_t *v);
ir_ref ir_get(struct ir_block *b, enum ir_type t, uint32_t off, uint32_t size);
void ir_put(struct ir_block *b, uint32_t off, uint32_t size, ir_ref v);
/* One- to three-operand ops; the type comes from the first operand (result rules as in IR_OPS). */
ir_ref ir_op1(struct ir_block *b, enum ir_op op, ir_ref a);
ir_ref ir_op2(struct ir_block *b, enum ir_op op, ir_ref a, ir_ref c);
ir_ref ir_op3(struct ir_block *b, enum ir_op op, ir_ref a, ir_ref c, ir_ref d);
ir_ref ir_op2i(struct ir_block *b, enum ir_op op, ir_ref a,
               uint64_t imm); /* b = constant of a's type (I32 for shifts) */
ir_ref ir_extract(struct ir_block *b, ir_ref a, unsigned pos, unsigned len);
ir_ref ir_sextract(struct ir_block *b, ir_ref a, unsigned pos, unsigned len);
ir_ref ir_deposit(struct ir_block *b, ir_ref a, ir_ref v, unsigned pos, unsigned len);
ir_ref ir_setc(struct ir_block *b, enum ir_rel rel, ir_ref x, ir_ref y);
ir_ref ir_select(struct ir_block *b, enum ir_rel rel, ir_ref x, ir_ref y, ir_ref t, ir_ref f);
ir_ref ir_load(struct ir_block *b, enum ir_type t, ir_ref gva, uint32_t memop);
void ir_store(struct ir_block *b, ir_ref gva, ir_ref v, uint32_t memop);
void ir_fence(struct ir_block *b);
/* Helper call: type IR_VOID, IR_I32 or IR_I64; unused arguments 0. `name` must be a literal. */
ir_ref ir_call(struct ir_block *b, enum ir_type t, const char *name, void *fn, unsigned flags,
               unsigned nargs, const ir_ref *args);
/* Vector ops with a lane size and an immediate. */
ir_ref ir_vop(struct ir_block *b, enum ir_op op, unsigned lane, ir_ref a, ir_ref c, uint64_t imm);
/* A floating-point node; `how`: IR_FP_ bits but SUBNORMAL, which the builder adds. */
struct ir_float {
    const char *name; /* of the helper */
    void *helper;
    uint8_t size, how;
    bool has_last; /* the helper takes `last` after the operands */
    uint32_t last;
};
ir_ref ir_fop(struct ir_block *b, enum ir_op op, const struct ir_float *f, ir_ref x, ir_ref y,
              ir_ref z);
/* 16 bytes of static storage as a value. */
ir_ref ir_vconst(struct ir_block *b, const uint8_t *bytes);
/* Has the host the byte shuffles and products that came after SSE2? (the back end says) */
bool ir_has_shuffles(void);
/* Has it shifts of each lane by an amount of its own? */
bool ir_has_lane_shifts(void);
ir_ref ir_vtoi(struct ir_block *b, enum ir_type t, ir_ref v);
unsigned ir_label_new(struct ir_block *b);
void ir_label(struct ir_block *b, unsigned label);
void ir_br(struct ir_block *b, unsigned label);
void ir_brcond(struct ir_block *b, enum ir_rel rel, ir_ref x, ir_ref y, unsigned label);
void ir_goto(struct ir_block *b, uint64_t pc);
/* Side exit: to pc if the relation holds, else on. */
void ir_goto_if(struct ir_block *b, enum ir_rel rel, ir_ref x, ir_ref y, uint64_t pc);
void ir_goto_ind(struct ir_block *b);
/* Side exit: to the address v, as BX, unless it is `expected`. */
void ir_bx_unless(struct ir_block *b, ir_ref v, ir_ref expected, uint32_t exec_flags);
void ir_exit(struct ir_block *b, unsigned reason);
enum ir_rel ir_rel_invert(enum ir_rel rel);

/* ---- passes ---- */
/* Dead PUTs, dead code, redundant GETs after labels; keeps every observation point exact. */
void ir_optimize(struct ir_block *b);
/* Check the rules of this page; NULL when they hold, else a sentence naming the node (debug builds,
 * tests). */
const char *ir_verify(const struct ir_block *b);
/* Text form, one node a line; golden tests and -d op use it. */
void ir_dump(const struct ir_block *b, FILE *f);
const char *ir_op_name(enum ir_op op);
