/* SPDX-License-Identifier: MIT */
/*
 * Single precision in four lanes, as Advanced SIMD has it. As for scalars (x64_float.c) the host
 * computes and a helper is called out of line: for subnormal operands, which raise a flag and count
 * as zero; for NaNs; for results that are subnormal or the smallest normal number; and for products
 * while Inexact has not been raised. SSE2 is enough.
 *
 * The checks use XMM0, XMM1 and the result's register, which no operand is in. A result on the
 * stack is left to the helper.
 */
#include "x64_internal.h"
#include "base/log.h"

#define P66(op)      ((op) | X_0F | X_66)
#define MOVAPS_STORE (X_MOVAPS + 1)
#define PADDD        P66(0xfe)
#define PXOR         P66(0xef)
#define POR          P66(0xeb)
#define PCMPEQD      P66(0x76)
#define CMPPS        (0xc2u | X_0F)
#define FPSCR_IXC    0x10

enum { CMP_EQ, CMP_LT, CMP_LE, CMP_UNORD };

static void sse(struct x64_ctx *c, unsigned op, struct x_xmm d, struct x_xmm s)
{
    x_sse_rr(&c->e, op, d, s);
}

static void sse_value(struct x64_ctx *c, unsigned op, struct x_xmm d, ir_ref r)
{
    if (c->val[r].kind == VAL_STACK)
        x_sse_rm(&c->e, op, d, x64_mem_of(c, r));
    else
        sse(c, op, d, X_XMM(c->val[r].reg));
}

static void compare(struct x64_ctx *c, struct x_xmm d, ir_ref r, unsigned predicate)
{
    sse_value(c, CMPPS, d, r);
    x_byte(&c->e, predicate);
}

/* d, a copy of a number without its sign and less one, becomes its exponent; zero's wraps, so that
 * 0 is left for subnormal numbers and the smallest normal one. XMM0 is all ones. */
static void exponent(struct x64_ctx *c, struct x_xmm d)
{
    sse(c, PADDD, d, d);
    sse(c, PADDD, d, XMM0);
    x_sse_shift(&c->e, P66(0x72), 2, d, 24); /* psrld */
}

/* The jump when any lane of the mask is set. */
static void any_lane(struct x64_ctx *c, struct x_xmm mask)
{
    x_movmskps(&c->e, RAX, mask);
    x_test_rr(&c->e, X_32, RAX, RAX);
}

static void check_subnormal(struct x64_ctx *c, struct x64_slow *s, const struct ir_node *n,
                            struct x_xmm d)
{
    unsigned count = 0;
    for (unsigned k = 0; k < ir_ops[n->op].nargs; k++) {
        if (!(n->rel & IR_FP_SUBNORMAL << k))
            continue;
        if (!count)
            sse(c, PCMPEQD, XMM0, XMM0);
        x64_load_xmm(c, count ? XMM1 : d, n->arg[k]);
        exponent(c, count ? XMM1 : d);
        if (count++)
            sse(c, P66(0xea), d, XMM1); /* pminsw: the upper halves are zero */
    }
    if (!count)
        return;
    sse(c, PXOR, XMM1, XMM1);
    sse(c, PCMPEQD, d, XMM1);
    any_lane(c, d);
    x64_slow_jcc(c, s, X_NE);
}

/* ---- arithmetic ---- */
static bool is_product(unsigned op)
{
    return op == IR_VFMUL || op == IR_VFMA;
}

static void check_result(struct x64_ctx *c, struct x64_slow *s, struct x_xmm d)
{
    sse(c, PCMPEQD, XMM0, XMM0);
    sse(c, X_MOVAPS, XMM1, d);
    exponent(c, XMM1);
    sse(c, PXOR, XMM0, XMM0);
    sse(c, PCMPEQD, XMM1, XMM0);
    sse(c, CMPPS, XMM0, d); /* unordered with zero: a NaN, and a quiet one raises nothing */
    x_byte(&c->e, CMP_UNORD);
    sse(c, POR, XMM1, XMM0);
    any_lane(c, XMM1);
    x64_slow_jcc(c, s, X_NE);
}

static void emit_arith(struct x64_ctx *c, struct x64_slow *s, const struct ir_node *n,
                       struct x_xmm d)
{
    static const uint8_t opcode[] = {0x58, 0x5c, 0x59}; /* VFADD, VFSUB, VFMUL */
    if (n->op == IR_VFMA) {
        x64_load_xmm(c, d, n->arg[2]);
        x_fmadd_packed(&c->e, d, x64_use_xmm(c, n->arg[0], XMM0), x64_use_xmm(c, n->arg[1], XMM1));
    } else {
        x64_load_xmm(c, d, n->arg[0]);
        sse_value(c, opcode[n->op - IR_VFADD] | X_0F, d, n->arg[1]);
    }
    check_result(c, s, d);
}

/* ---- the others: no result of theirs is suspicious ---- */
/* NaNs are the helper's; of two zeros the instruction gives the second. */
static void emit_extreme(struct x64_ctx *c, struct x64_slow *s, const struct ir_node *n,
                         struct x_xmm d)
{
    bool max = n->op == IR_VFMAX;
    unsigned op = (max ? 0x5f : 0x5d) | X_0F;
    x64_load_xmm(c, XMM0, n->arg[0]);
    compare(c, XMM0, n->arg[1], CMP_UNORD);
    any_lane(c, XMM0);
    x64_slow_jcc(c, s, X_NE);
    x64_load_xmm(c, d, n->arg[0]);
    sse_value(c, op, d, n->arg[1]);
    x64_load_xmm(c, XMM0, n->arg[1]);
    sse_value(c, op, XMM0, n->arg[0]);
    sse(c, (max ? 0x54 : 0x56) | X_0F, d, XMM0); /* andps, orps */
}

static void emit_compare(struct x64_ctx *c, const struct ir_node *n, struct x_xmm d)
{
    bool equal = n->op == IR_VFCEQ; /* a > b: b < a */
    x64_load_xmm(c, d, n->arg[equal ? 0 : 1]);
    compare(c, d, n->arg[equal ? 1 : 0], equal ? CMP_EQ : n->op == IR_VFCGT ? CMP_LT : CMP_LE);
}

/* d = the word in all lanes */
static void splat(struct x64_ctx *c, struct x_xmm d, uint32_t word)
{
    x_mov_ri(&c->e, RAX, word);
    x_movd_xr(&c->e, X_32, d, RAX);
    x_sse_rri(&c->e, P66(0x70), d, d, 0);
}

#define TWO_TO_31 0x4f000000u
#define TWO_TO_16 0x47800000u

/* What the host cannot convert becomes INT_MIN. Unsigned numbers from 2^31 and negative ones are
 * sorted out before, since the host would raise flags for them. */
static void emit_to_int(struct x64_ctx *c, struct x64_slow *s, const struct ir_node *n,
                        struct x_xmm d)
{
    if (n->rel & IR_FP_UNSIGNED) {
        splat(c, XMM1, TWO_TO_31 - 1);
        x64_load_xmm(c, d, n->arg[0]);
        sse(c, P66(0x66), d, XMM1);      /* pcmpgtd */
        sse_value(c, POR, d, n->arg[0]); /* and the sign */
        any_lane(c, d);
        x64_slow_jcc(c, s, X_NE);
    }
    sse_value(c, 0x5b | X_0F | X_F3, d, n->arg[0]); /* cvttps2dq */
    if (n->rel & IR_FP_UNSIGNED)
        return;
    sse(c, PCMPEQD, XMM0, XMM0);
    x_sse_shift(&c->e, P66(0x72), 6, XMM0, 31);
    sse(c, PCMPEQD, XMM0, d);
    any_lane(c, XMM0);
    x64_slow_jcc(c, s, X_NE);
}

/* Unsigned numbers in two halves, which are exact, and whose sum is rounded once. */
static void emit_from_int(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    struct x_xmm d = x64_dest_xmm(c, i);
    if (!(n->rel & IR_FP_UNSIGNED)) {
        sse_value(c, 0x5b | X_0F, d, n->arg[0]); /* cvtdq2ps */
        x64_finish_xmm(c, i, d);
        return;
    }
    x64_load_xmm(c, XMM1, n->arg[0]);
    x_sse_shift(&c->e, P66(0x72), 6, XMM1, 16);
    x_sse_shift(&c->e, P66(0x72), 2, XMM1, 16);
    x64_load_xmm(c, d, n->arg[0]);
    x_sse_shift(&c->e, P66(0x72), 2, d, 16);
    sse(c, 0x5b | X_0F, XMM1, XMM1);
    sse(c, 0x5b | X_0F, d, d);
    x_sse_rm(&c->e, MOVAPS_STORE, XMM1, x_at(RSP, FRAME_XMM));
    splat(c, XMM1, TWO_TO_16);
    sse(c, 0x59 | X_0F, d, XMM1);
    x_sse_rm(&c->e, 0x58 | X_0F, d, x_at(RSP, FRAME_XMM));
    x64_finish_xmm(c, i, d);
}

static void emit_node(struct x64_ctx *c, struct x64_slow *s, const struct ir_node *n,
                      struct x_xmm d)
{
    if (is_product(n->op)) {
        x_test_mi(&c->e, X_32, x64_state(STATE(fpscr_rest)), FPSCR_IXC);
        x64_slow_jcc(c, s, X_E);
    }
    check_subnormal(c, s, n, d);
    switch (n->op) {
    case IR_VFMAX:
    case IR_VFMIN:
        emit_extreme(c, s, n, d);
        break;
    case IR_VFCEQ:
    case IR_VFCGE:
    case IR_VFCGT:
        emit_compare(c, n, d);
        break;
    case IR_VFTOI:
        emit_to_int(c, s, n, d);
        break;
    default:
        emit_arith(c, s, n, d);
        break;
    }
}

void x64_emit_packed(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    struct x64_slow *s;
    if (n->op == IR_VITOF) {
        emit_from_int(c, i);
        return;
    }
    s = x64_slow_new(c, SLOW_FLOAT, i);
    if (c->val[i].kind != VAL_XMM || (n->op == IR_VFMA && !x64_cpu.fma)) {
        x_jmp(&c->e, 0);
        s->jump[s->njumps++] = x64_pos(c) - 4;
    } else {
        emit_node(c, s, n, X_XMM(c->val[i].reg));
    }
    s->resume = x64_pos(c);
    x64_finish_xmm(c, i, x64_dest_xmm(c, i));
    if (!s->njumps)
        c->nslow--; /* nothing leads there */
}

/* ---- out of line ---- */
void x64_emit_slow_packed(struct x64_ctx *c, struct x64_slow *s)
{
    const struct ir_node *n = x64_node(c, s->node);
    struct x_xmm d = x64_dest_xmm(c, s->node);
    x64_save_live(c, s, false);
    for (unsigned k = 0; k < ir_ops[n->op].nargs; k++)
        x_sse_rm(&c->e, X_MOVUPS_STORE, x64_use_xmm(c, n->arg[k], XMM1),
                 x64_state(STATE(float_arg) + (int32_t)k * 16));
    x_lea(&c->e, X_64, RDI, x_at(RBP, -VCPU_BIAS));
    x64_call_host(c, c->b->call[n->imm].fn);
    x_sse_rm(&c->e, X_MOVUPS_LOAD, d, x64_state(STATE(float_arg)));
    x64_save_live(c, s, true);
    x_jmp(&c->e, 0);
    x64_set_rel32(c, x64_pos(c) - 4, s->resume);
}
