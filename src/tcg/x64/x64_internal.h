/* SPDX-License-Identifier: MIT */
/*
 * Shared by the files of this folder: where values live, the compile context, the frame.
 *
 * Register use in generated code: RBP = vcpu + VCPU_BIAS; R15 = base of the current SPT window; RSP
 * = the frame below, 16-byte aligned; RAX, RCX, RDX, XMM0, XMM1 are scratch inside one node; all
 * other registers hold values. A value has one location for its whole life: a register, a stack
 * slot, or the state slot it was read from. Forward branches therefore need no fix-up code.
 *
 * Frame: addresses of the stubs that generated code reaches by `jmp [rsp + n]` or `call [rsp + n]`
 * (exit; slow load and store), scratch (a parallel move's, and what the fence locks), the spill
 * slots and the vector save area.
 */
#pragma once

#include "tcg/ir/ir_info.h"
#include "tcg/tcg.h"
#include "vcpu/vcpu.h"
#include "x64_emit.h"
#include "x64_emit_sse.h"
#include <errno.h>

#define FRAME_EXIT        0
#define FRAME_LOAD        8
#define FRAME_STORE       16
#define FRAME_SCRATCH     24 /* five words */
#define FRAME_SPILL       64
#define FRAME_SPILL_SLOTS 512 /* of 8 bytes */
#define FRAME_XMM         (FRAME_SPILL + FRAME_SPILL_SLOTS * 8)
#define FRAME_BYTES       (FRAME_XMM + 16 * 16 + 8) /* +8: six pushes and the return address */

/*
 * Displacement folded into an access; the window guards are 64 KiB. The largest negative one is
 * small: a table at the end of the address space, indexed by a small number (the vectors at
 * 0xffff0000 do that at each exception), must not begin below the window.
 */
#define ADDR_DISP_MAX     61440
#define ADDR_DISP_MIN     (-4096)

#define STATE(field)      ((int32_t)offsetof(struct vcpu, field) - VCPU_BIAS)

/* Host features beyond SSE2; a constructor fills it, tests change it. */
struct x64_cpu {
    bool bmi1, bmi2, lzcnt, sse41, avx2, fma;
};
extern struct x64_cpu x64_cpu;
void x64_cpu_detect(void);

enum val_kind {
    VAL_NONE, /* no value, nobody wants it, or computed inside its user */
    VAL_CONST,
    VAL_GPR,
    VAL_XMM,
    VAL_STACK, /* [rsp + disp] */
    VAL_STATE, /* [rbp + disp]: an IR_GET read where it is used */
};

struct x64_val {
    uint8_t kind; /* enum val_kind */
    uint8_t reg;
    bool folded;     /* computed by its only user: emit nothing */
    bool unclean;    /* GET: its slot is written before the last use */
    bool want_flags; /* ADD: emit `add`, somebody reads its carry or overflow */
    bool in_flags;   /* a carry that goes to its only reader in the host carry flag */
    bool deferred;   /* only DEFERs want it: computed where they are stored */
    bool chosen;     /* a deferred SELECT chooses from it */
    bool homed;      /* may live in the state slot it is stored to (`home`) */
    uint16_t uses;
    uint16_t defers;    /* uses by DEFERs, and by deferred SELECTs as a choice */
    uint16_t addresses; /* uses as an address */
    uint16_t last;      /* node of the last use */
    ir_ref ends_next;   /* another value whose last use is the same node */
    ir_ref base;        /* LD, ST: address without its constant part; GOTO_IND: the pc's value */
    ir_ref exec;        /* GOTO_IND: the value of exec_flags; 0 = in the state for long */
    ir_ref home;        /* PUT that stores the value */
    int32_t disp;       /* STACK, STATE: displacement */
    int32_t adisp;      /* LD, ST: constant part of the address */
};

/* What the host flags hold, in terms of values. */
enum flags_kind { FLAGS_NONE, FLAGS_ADD, FLAGS_CMP, FLAGS_ADC, FLAGS_TEST };
struct x64_flags {
    uint8_t kind;
    ir_ref a, b, c;
    ir_ref result; /* ZF and SF describe this value */
};

struct x64_fixup {
    uint32_t pos;   /* of the rel32 */
    uint32_t label; /* index */
};

enum slow_kind {
    SLOW_ACCESS,
    SLOW_FLOAT,
    SLOW_LOOKUP,
    SLOW_LINK,
    SLOW_GUARD,
    SLOW_POLL,
    SLOW_NEED,
    SLOW_HOT,
    SLOW_SIDE, /* the exit of a GOTO_IF */
    SLOW_BX,   /* of a BX_UNLESS */
};

/* DEFERs that the straight path has come by and nothing has overwritten yet. */
#define X64_MAX_PENDING 48
struct x64_pending {
    unsigned n;
    ir_ref put[X64_MAX_PENDING];
};

struct x64_slow {
    uint8_t kind;
    uint8_t njumps;
    uint16_t node;
    uint32_t jump[4]; /* rel32 fields that lead here */
    uint32_t post;    /* SLOW_FLOAT: the one of a suspicious result; 0 = none */
    uint32_t resume;
    uint32_t site; /* index + 1 of the access's site; 0 = none (soft MMU) */
    uint32_t live_gpr, live_xmm;
    uint32_t pc;
    uint16_t extra;
    uint32_t slot; /* SLOW_LINK, SLOW_GUARD: slot index */
    uint16_t pending_at, npending; /* DEFERs to store first, in c->pending_pool */
};

#define X64_MAX_FIXUPS 2048
#define X64_MAX_SLOW   2048
#define X64_PENDING_POOL 16384
struct x64_ctx {
    const struct ir_block *b;
    const struct x64_options *o;
    struct x64_result *out;
    struct x_buf e;
    uint8_t *start, *limit; /* writable; limit leaves room for one node */
    const uint8_t *rx;      /* executable address of start */
    uint32_t split;         /* offset from which on code is at `cold`; UINT32_MAX: not yet */
    uint8_t *cold;
    int error;
    struct x64_flags flags;
    uint32_t pc; /* current guest instruction */
    uint16_t extra;
    uint32_t live_gpr, live_xmm;
    uint32_t link_tail; /* where slots leave to be linked; 0 = not emitted yet */
    unsigned ncalls; /* CALL nodes in the block */
    bool dead;       /* the place being emitted cannot be reached */
    unsigned nfixups, nslow;
    uint32_t label_pos[IR_MAX_LABELS];
    uint16_t label_refs[IR_MAX_LABELS]; /* branches that need the label */
    ir_ref label_at[IR_MAX_LABELS];
    struct x64_fixup fixup[X64_MAX_FIXUPS];
    struct x64_slow slow[X64_MAX_SLOW];
    struct x64_pending pending;
    unsigned npool;
    ir_ref pending_pool[X64_PENDING_POOL];
    ir_ref ends[IR_MAX_NODES]; /* values whose last use is the node, through ends_next */
    uint16_t next_call[IR_MAX_NODES]; /* first CALL after the node */
    struct x64_val val[IR_MAX_NODES];
};

static inline uint32_t x64_pos(const struct x64_ctx *c)
{
    return c->split == UINT32_MAX ? (uint32_t)(c->e.p - c->start)
                                  : c->split + (uint32_t)(c->e.p - c->cold);
}

/* The place of an offset, writable. */
static inline uint8_t *x64_place(const struct x64_ctx *c, uint32_t pos)
{
    return pos < c->split ? c->start + pos : c->cold + (pos - c->split);
}

/* Where the next instruction will be executed. */
static inline const uint8_t *x64_here(const struct x64_ctx *c)
{
    return c->rx + (c->e.p - c->start);
}

static inline const struct ir_node *x64_node(const struct x64_ctx *c, ir_ref r)
{
    return &c->b->node[r];
}

static inline enum x_width x64_width(const struct x64_ctx *c, ir_ref r)
{
    return c->b->node[r].type == IR_I64 ? X_64 : X_32;
}

static inline void x64_no_flags(struct x64_ctx *c)
{
    c->flags = (struct x64_flags){0};
}

static inline struct x_mem x64_state(int32_t disp)
{
    return x_at(RBP, disp);
}

/*
 * Slots that always hold 0 or 1 (vcpu.h: C and V): a flag is set by one `setcc` on the low byte,
 * and they are read by that byte, so that the read can be forwarded from the store.
 */
static inline bool x64_bool_slot(uint32_t off)
{
    return off == offsetof(struct vcpu, cf) || off == offsetof(struct vcpu, vf);
}

/* ---- analysis and allocation ---- */
void x64_analyse(struct x64_ctx *c);
int x64_allocate(struct x64_ctx *c);
/* Arguments as the back end uses them (folded addresses looked through). */
static inline unsigned x64_args(const struct x64_ctx *c, ir_ref i, ir_ref arg[6])
{
    const struct ir_node *n = &c->b->node[i];
    unsigned nargs = ir_ops[n->op].nargs;
    if (n->op == IR_CALL)
        nargs = c->b->call[n->imm].nargs;
    for (unsigned k = 0; k < nargs; k++)
        arg[k] = n->arg[k];
    if (n->op == IR_LD || n->op == IR_ST)
        arg[0] = c->val[i].base;
    else if (n->op == IR_GOTO_IND) {
        if (c->val[i].base)
            arg[nargs++] = c->val[i].base;
        if (c->val[i].exec)
            arg[nargs++] = c->val[i].exec;
    }
    return nargs;
}
#define CALLER_SAVED_GPR ((1u << 6) | (1u << 7) | (1u << 8) | (1u << 9) | (1u << 10) | (1u << 11))
#define CALLEE_SAVED_GPR ((1u << 3) | (1u << 12) | (1u << 13) | (1u << 14))
#define ALLOC_XMM        0xfffcu

/* ---- operands (x64_operand.c) ---- */
bool x64_const(const struct x64_ctx *c, ir_ref r, uint64_t *v);
/* Constant usable as a sign-extended imm32 at this width. */
bool x64_imm(const struct x64_ctx *c, ir_ref r, enum x_width w, int32_t *v);
bool x64_in_gpr(const struct x64_ctx *c, ir_ref r, struct x_gpr *reg);
struct x_mem x64_mem_of(const struct x64_ctx *c, ir_ref r);
/* The value in some register: its own, or `scratch` after a load. Flags untouched. */
struct x_gpr x64_use(struct x64_ctx *c, ir_ref r, struct x_gpr scratch);
void x64_load(struct x64_ctx *c, struct x_gpr d, ir_ref r);
/* Where to compute node i: its register, or RAX when it lives on the stack or nowhere. */
struct x_gpr x64_dest(const struct x64_ctx *c, ir_ref i);
void x64_finish(struct x64_ctx *c, ir_ref i, struct x_gpr d);
/* Node i = the host condition cc, 0 or 1. */
void x64_set_cc(struct x64_ctx *c, ir_ref i, enum x_cc cc);
/* d = d op r; d must not be RCX when r may be a wide constant. */
void x64_alu(struct x64_ctx *c, enum x_alu op, enum x_width w, struct x_gpr d, ir_ref r);
struct x_xmm x64_use_xmm(struct x64_ctx *c, ir_ref r, struct x_xmm scratch);
void x64_load_xmm(struct x64_ctx *c, struct x_xmm d, ir_ref r);
struct x_xmm x64_dest_xmm(const struct x64_ctx *c, ir_ref i);
void x64_finish_xmm(struct x64_ctx *c, ir_ref i, struct x_xmm d);

/* ---- deferred stores (x64_defer.c) ---- */
/* A PUT or DEFER comes by. */
void x64_pending_put(const struct x64_ctx *c, struct x64_pending *p, ir_ref i);
/* Values that only DEFERs want and that can be computed from what is live anyway. */
void x64_mark_deferred(struct x64_ctx *c);
/* Out-of-line code of s, which is new, begins with what is pending here. */
void x64_note_pending(struct x64_ctx *c, struct x64_slow *s);
void x64_emit_pending(struct x64_ctx *c, const struct x64_slow *s);
/* RAX = v, which is deferred. */
void x64_emit_deferred(struct x64_ctx *c, ir_ref v);
static inline bool x64_soft_observation(unsigned op)
{
    return op == IR_LD || op == IR_ST || op == IR_GOTO_IF || op == IR_BX_UNLESS;
}

/* ---- nodes ---- */
void x64_emit_node(struct x64_ctx *c, ir_ref i);  /* x64_compile.c: any of them */
void x64_emit_put(struct x64_ctx *c, ir_ref i);
void x64_emit_int(struct x64_ctx *c, ir_ref i);   /* x64_int.c */
void x64_emit_arith(struct x64_ctx *c, ir_ref i); /* x64_arith.c: ops that share host flags */
void x64_emit_div(struct x64_ctx *c, ir_ref i);   /* x64_div.c */
void x64_emit_field(struct x64_ctx *c, ir_ref i); /* x64_field.c */
void x64_emit_cond(struct x64_ctx *c, ir_ref i);  /* x64_cond.c */
enum x_cc x64_compare(struct x64_ctx *c, enum ir_rel rel, ir_ref x, ir_ref y);
void x64_emit_vector(struct x64_ctx *c, ir_ref i); /* x64_vector.c */
void x64_emit_float(struct x64_ctx *c, ir_ref i);  /* x64_float.c */
void x64_emit_slow_float(struct x64_ctx *c, struct x64_slow *s);
void x64_emit_packed(struct x64_ctx *c, ir_ref i); /* x64_packed.c */
void x64_emit_slow_packed(struct x64_ctx *c, struct x64_slow *s);
/* Everything alive, to or from the frame, around a helper's call out of line (x64_float.c). */
void x64_save_live(struct x64_ctx *c, const struct x64_slow *s, bool restore);
/* A floating-point node needs its operands after its result is there: for the helper. */
static inline bool x64_keeps_operands(unsigned op)
{
    return (op >= IR_FADD && op <= IR_FCVT) || op >= IR_VFADD;
}
void x64_emit_access(struct x64_ctx *c, ir_ref i); /* x64_access.c */
void x64_emit_slow_access(struct x64_ctx *c, struct x64_slow *s);
/* d = [m], extended as memop says (`wide`: to 64 bits); [m] = s. No byte swap. */
void x64_host_load(struct x_buf *e, struct x_gpr d, struct x_mem m, uint32_t memop, bool wide);
void x64_host_store(struct x_buf *e, struct x_gpr s, struct x_mem m, uint32_t memop);

/* ---- soft TLB (x64_soft.c) ---- */
unsigned x64_access_align(uint32_t memop); /* required alignment in bytes */
/* Compare the entry of address `at` (not RCX, RDX): NE on a miss. RCX = offset of the entry. */
void x64_soft_compare(struct x_buf *e, struct x_gpr at, uint32_t memop, bool load);
/* After a hit: the host operand; uses RCX. */
struct x_mem x64_soft_operand(struct x_buf *e, struct x_gpr at, uint32_t memop);
/* Which stub serves the access; -1: none, the C slow path does. */
int x64_soft_stub_index(uint32_t memop, bool load);
/* Emit all stubs behind `start`; a miss goes on in the slow stubs. */
void x64_emit_soft_stubs(struct x64_stubs *s, struct x_buf *e, const uint8_t *start,
                         const uint8_t *slow_load, const uint8_t *slow_store);
uint64_t x64_slow_load(struct vcpu *v, gva_t gva, uint32_t memop, uintptr_t ra); /* x64_slow.c */
void x64_slow_store(struct vcpu *v, gva_t gva, uint64_t value, uint32_t memop, uintptr_t ra);
void x64_emit_call(struct x64_ctx *c, ir_ref i); /* x64_call.c */
void x64_call_host(struct x64_ctx *c, const void *fn);
void x64_emit_exit(struct x64_ctx *c, ir_ref i); /* x64_exit.c */
/* Conditional branch to a label where nothing but a linkable GOTO stands: link the branch itself.
 */
bool x64_branch_to_goto(struct x64_ctx *c, unsigned label, enum x_cc cc);
/* GOTO_IF, BX_UNLESS node i: leave when cc. */
void x64_emit_side_exit(struct x64_ctx *c, ir_ref i, enum x_cc cc);
void x64_emit_slow_exit(struct x64_ctx *c, struct x64_slow *s);
void x64_emit_entry(struct x64_ctx *c);

/* ---- bookkeeping (x64_compile.c) ---- */
void x64_site(struct x64_ctx *c, const struct tcg_site *s);
struct x64_slow *x64_slow_new(struct x64_ctx *c, enum slow_kind kind, ir_ref node);
void x64_slow_jcc(struct x64_ctx *c, struct x64_slow *s, enum x_cc cc);
void x64_jump_label(struct x64_ctx *c, unsigned label, bool conditional, enum x_cc cc);
void x64_set_rel32(struct x64_ctx *c, uint32_t pos, uint32_t target);
