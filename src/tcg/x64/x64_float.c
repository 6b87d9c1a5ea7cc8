/* SPDX-License-Identifier: MIT */
/*
 * Scalar floating point: one SSE instruction, a look at its result, and out of line a call of the
 * helper that computes as the Arm ARM does. The look finds, in the exponent field of the result,
 * NaNs and what may be tiny; docs/floating-point.md says why that is enough, and what flush-to-zero
 * adds: operands that are subnormal raise a flag, and a tiny product raises Underflow alone, which
 * the host cannot; so Inexact must have been raised before. Then a result of zero is always right.
 *
 * A result's register is none of its operands' (x64_regalloc.c): the helper needs them.
 */
#include "x64_internal.h"
#include "base/log.h"

#define P66(op)       ((op) | X_0F | X_66)
#define FPSCR_IXC     0x10

/* What differs between F32 and F64: units of a mask on the top 16 bits of the number. */
#define TOP_FIELD(n)  ((n)->size == 8 ? 3 : 1)
#define TOP_MASK(n)   ((n)->size == 8 ? 0x7ff0 : 0x7f80)
#define TOP_UNIT(n)   ((n)->size == 8 ? 0x10 : 0x80)
#define FRAC_SHIFT(n) ((n)->size == 8 ? 53 : 24)
#define WIDTH(n)      ((n)->size == 8 ? X_64 : X_32)

static unsigned scalar_op(const struct ir_node *n, unsigned op)
{
    return op | X_0F | (n->size == 8 ? X_F2 : X_F3);
}

static void sse(struct x64_ctx *c, unsigned op, struct x_xmm d, struct x_xmm s)
{
    x_sse_rr(&c->e, op, d, s);
}

/* d op= r; scalar operands in memory are the low part of a whole stack slot. */
static void sse_value(struct x64_ctx *c, unsigned op, struct x_xmm d, ir_ref r)
{
    if (c->val[r].kind == VAL_STACK)
        x_sse_rm(&c->e, op, d, x64_mem_of(c, r));
    else
        sse(c, op, d, X_XMM(c->val[r].reg));
}

/* ---- before the instruction ---- */
/* To the helper when the operand is subnormal: shifted left to drop the sign, less one, it is below
 * the smallest exponent; zero wraps. */
static void check_subnormal(struct x64_ctx *c, struct x64_slow *s, const struct ir_node *n,
                            ir_ref operand)
{
    x_movd_rx(&c->e, WIDTH(n), RAX, x64_use_xmm(c, operand, XMM1));
    x_alu_rr(&c->e, X_ADD, WIDTH(n), RAX, RAX);
    x_alu_ri(&c->e, X_SUB, WIDTH(n), RAX, 1);
    x_shift_ri(&c->e, X_SHR, WIDTH(n), RAX, (unsigned)FRAC_SHIFT(n));
    x64_slow_jcc(c, s, X_E);
}

/* Can the host raise Inexact where flush-to-zero does not? Tiny sums are exact, and square roots
 * never tiny. */
static bool raises_inexact(unsigned op)
{
    return op == IR_FMUL || op == IR_FDIV || op == IR_FMA || op == IR_FCVT;
}

static void check_operands(struct x64_ctx *c, struct x64_slow *s, const struct ir_node *n)
{
    if (!(n->rel & IR_FP_FZ))
        return;
    if (raises_inexact(n->op) && !(n->op == IR_FCVT && n->size == 4)) {
        x_test_mi(&c->e, X_32, x64_state(STATE(fpscr_rest)), FPSCR_IXC);
        x64_slow_jcc(c, s, X_E);
    }
    for (unsigned k = 0; k < ir_ops[n->op].nargs; k++)
        if (n->rel & IR_FP_SUBNORMAL << k)
            check_subnormal(c, s, n, n->arg[k]);
}

/* ---- after it ---- */
static void jump_post(struct x64_ctx *c, struct x64_slow *s, enum x_cc cc)
{
    x_jcc(&c->e, cc, 0);
    s->post = x64_pos(c) - 4;
}

/* How many of the lowest exponents (zero and subnormal, the smallest normal ones) are suspicious;
 * 0: only NaNs are. */
static unsigned low_exponents(const struct ir_node *n)
{
    switch (n->op) {
    case IR_FADD:
    case IR_FSUB:
        return n->rel & IR_FP_FZ ? 1 : 0;
    case IR_FDIV:
        return n->rel & IR_FP_FZ ? 2 : 0;
    case IR_FMUL:
    case IR_FMA:
        return 2;
    case IR_FCVT:
        return n->size == 8 ? 2 : 0;
    default:
        return 0;
    }
}

/* The number that the result is: of the other size after a conversion. */
static struct ir_node result_of(const struct ir_node *n)
{
    struct ir_node r = *n;
    if (n->op == IR_FCVT)
        r.size = n->size == 8 ? 4 : 8;
    return r;
}

static void check_result(struct x64_ctx *c, struct x64_slow *s, const struct ir_node *n,
                         struct x_xmm d)
{
    struct ir_node r = result_of(n);
    int32_t low = (int32_t)low_exponents(n) * TOP_UNIT(&r);
    if (!low) { /* an arithmetic result is no signalling NaN: the comparison raises nothing */
        sse(c, 0x2e | X_0F | (r.size == 8 ? X_66 : 0), d, d);
        jump_post(c, s, X_P);
        return;
    }
    x_pextrw(&c->e, RAX, d, (uint8_t)TOP_FIELD(&r));
    x_alu_ri(&c->e, X_AND, X_32, RAX, TOP_MASK(&r));
    x_alu_ri(&c->e, X_SUB, X_32, RAX, low);
    x_alu_ri(&c->e, X_CMP, X_32, RAX, TOP_MASK(&r) - low); /* infinity and NaN, or wrapped */
    jump_post(c, s, X_AE);
}

/* ---- the instructions ---- */
static void emit_arith(struct x64_ctx *c, const struct ir_node *n, struct x_xmm d)
{
    static const uint8_t opcode[] = {0x58, 0x5c, 0x59, 0x5e}; /* FADD, FSUB, FMUL, FDIV */
    x64_load_xmm(c, d, n->arg[0]);
    sse_value(c, scalar_op(n, opcode[n->op - IR_FADD]), d, n->arg[1]);
}

static void emit_fma(struct x64_ctx *c, const struct ir_node *n, struct x_xmm d)
{
    ir_ref b = n->arg[1];
    struct x_xmm a;
    x64_load_xmm(c, d, n->arg[2]);
    a = x64_use_xmm(c, n->arg[0], XMM1);
    if (c->val[b].kind == VAL_STACK)
        x_fmadd_m(&c->e, n->size == 8, d, a, x64_mem_of(c, b));
    else
        x_fmadd(&c->e, n->size == 8, d, a, X_XMM(c->val[b].reg));
}

static void emit_convert(struct x64_ctx *c, const struct ir_node *n, struct x_xmm d)
{
    sse(c, P66(0xef), d, d); /* pxor: the lanes above, and no wait for what d was */
    sse_value(c, scalar_op(n, 0x5a), d, n->arg[0]);
}

static void emit_from_int(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    struct x_gpr a = x64_use(c, n->arg[0], RAX);
    struct x_xmm d = x64_dest_xmm(c, i);
    sse(c, P66(0xef), d, d);
    x_cvt_xr(&c->e, scalar_op(n, 0x2a), n->rel & IR_FP_UNSIGNED ? X_64 : X_32, d, a);
    x64_finish_xmm(c, i, d);
}

/* The lowest of the top 16 bits that are too high to convert: 2^32, and with rounding what may
 * become that. Negative numbers and NaNs are above. */
static int32_t unsigned_limit(const struct ir_node *n)
{
    if (n->size == 4)
        return 0x4f80;
    return n->rel & IR_FP_NEAREST ? 0x41ef : 0x41f0;
}

/* A number out of range: the host gives INT_MIN. Unsigned ones are looked at before, since the host
 * would raise Inexact for a fraction as well. */
static void emit_to_int(struct x64_ctx *c, ir_ref i, struct x64_slow *s)
{
    const struct ir_node *n = x64_node(c, i);
    bool is_unsigned = n->rel & IR_FP_UNSIGNED;
    struct x_xmm a = x64_use_xmm(c, n->arg[0], XMM0);
    struct x_gpr d = x64_dest(c, i);
    if (is_unsigned) {
        x_pextrw(&c->e, RAX, a, (uint8_t)TOP_FIELD(n));
        x_alu_ri(&c->e, X_CMP, X_32, RAX, unsigned_limit(n));
        x64_slow_jcc(c, s, X_AE);
    }
    x_cvt_rx(&c->e, scalar_op(n, n->rel & IR_FP_NEAREST ? 0x2d : 0x2c), is_unsigned ? X_64 : X_32,
             d, a);
    if (!is_unsigned) {
        x_alu_ri(&c->e, X_CMP, X_32, d, 1);
        x64_slow_jcc(c, s, X_O);
    }
    s->resume = x64_pos(c);
    x64_finish(c, i, d);
}

static void emit_compare(struct x64_ctx *c, ir_ref i, struct x64_slow *s)
{
    static const struct {
        enum x_cc cc;
        uint32_t nzcv;
    } others[] = {{X_E, 0x60000000}, {X_B, 0x80000000}, {X_P, 0x30000000}};
    const struct ir_node *n = x64_node(c, i);
    struct x_gpr d = x64_dest(c, i);
    struct x_xmm a = x64_use_xmm(c, n->arg[0], XMM0);
    unsigned op = n->rel & IR_FP_SIGNALLING ? 0x2f : 0x2e; /* comis, ucomis */
    sse_value(c, op | X_0F | (n->size == 8 ? X_66 : 0), a, n->arg[1]);
    x_mov_ri(&c->e, d, 0x20000000); /* greater */
    for (unsigned k = 0; k < ARRAY_SIZE(others); k++) {
        x_mov_ri(&c->e, RCX, others[k].nzcv);
        x_cmov_rr(&c->e, others[k].cc, X_32, d, RCX);
    }
    s->resume = x64_pos(c);
    x64_finish(c, i, d);
}

static void emit_number(struct x64_ctx *c, ir_ref i, struct x64_slow *s)
{
    const struct ir_node *n = x64_node(c, i);
    struct x_xmm d = x64_dest_xmm(c, i);
    if (n->op == IR_FMA) {
        emit_fma(c, n, d);
    } else if (n->op == IR_FCVT) {
        emit_convert(c, n, d);
    } else if (n->op == IR_FSQRT) {
        x64_load_xmm(c, d, n->arg[0]);
        sse(c, scalar_op(n, 0x51), d, d);
    } else {
        emit_arith(c, n, d);
    }
    check_result(c, s, n, d);
    s->resume = x64_pos(c);
    x64_finish_xmm(c, i, d);
}

void x64_emit_float(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    struct x64_slow *s;
    if (n->op == IR_ITOF) {
        emit_from_int(c, i);
        return;
    }
    s = x64_slow_new(c, SLOW_FLOAT, i);
    if (n->op == IR_FMA && !x64_cpu.fma) { /* the helper does it all */
        x_jmp(&c->e, 0);
        s->jump[s->njumps++] = x64_pos(c) - 4;
        s->resume = x64_pos(c);
        x64_finish_xmm(c, i, x64_dest_xmm(c, i));
        return;
    }
    check_operands(c, s, n);
    if (n->op == IR_FCMP)
        emit_compare(c, i, s);
    else if (n->op == IR_FTOI)
        emit_to_int(c, i, s);
    else
        emit_number(c, i, s);
    if (!s->njumps && !s->post)
        c->nslow--; /* nothing leads there */
}

/* ---- out of line ---- */
/* Six general registers and fourteen vector registers may be alive: the places of XMM0 and XMM1 and
 * the scratch words take the former. */
void x64_save_live(struct x64_ctx *c, const struct x64_slow *s, bool restore)
{
    unsigned k = 0;
    for (unsigned r = 0; r < 16; r++) {
        struct x_mem m =
            x_at(RSP, k < 4 ? FRAME_XMM + (int32_t)k * 8 : FRAME_SCRATCH + (int32_t)(k - 4) * 8);
        if (!((s->live_gpr & CALLER_SAVED_GPR) >> r & 1))
            continue;
        if (restore)
            x_mov_rm(&c->e, X_64, X_GPR((uint8_t)r), m);
        else
            x_mov_mr(&c->e, X_64, m, X_GPR((uint8_t)r));
        k++;
    }
    for (unsigned r = 2; r < 16; r++)
        if (s->live_xmm >> r & 1)
            x_sse_rm(&c->e, restore ? X_MOVAPS : X_MOVAPS + 1, X_XMM((uint8_t)r),
                     x_at(RSP, FRAME_XMM + (int32_t)r * 16));
}

static void load_bits(struct x64_ctx *c, const struct ir_node *n, struct x_gpr d, ir_ref r)
{
    if (c->val[r].kind == VAL_STACK)
        x_mov_rm(&c->e, WIDTH(n), d, x64_mem_of(c, r));
    else
        x_movd_rx(&c->e, WIDTH(n), d, X_XMM(c->val[r].reg));
}

static void call_helper(struct x64_ctx *c, const struct ir_node *n)
{
    static const struct x_gpr args[] = {RSI, RDX, RCX, R8};
    const struct ir_call *call = &c->b->call[n->imm];
    unsigned k = 0;
    for (; k < ir_ops[n->op].nargs; k++)
        load_bits(c, n, args[k], n->arg[k]);
    if (k < call->nargs)
        x_mov_ri(&c->e, args[k], n->off);
    x_lea(&c->e, X_64, RDI, x_at(RBP, -VCPU_BIAS));
    x64_call_host(c, call->fn);
}

/* A suspicious result that is right all the same: zero or, where those are not flushed, subnormal.
 * RAX is the exponent field less the lowest good one. */
static void accept_low_results(struct x64_ctx *c, const struct x64_slow *s, const struct ir_node *n)
{
    struct ir_node r = result_of(n);
    if (n->rel & IR_FP_FZ) {
        x_movd_rx(&c->e, WIDTH(&r), RAX, x64_dest_xmm(c, s->node));
        x_alu_rr(&c->e, X_ADD, WIDTH(&r), RAX, RAX); /* drop the sign */
    } else {
        x_alu_ri(&c->e, X_CMP, X_32, RAX, -(int32_t)low_exponents(n) * TOP_UNIT(&r));
    }
    x_jcc(&c->e, X_E, 0);
    x64_set_rel32(c, x64_pos(c) - 4, s->resume);
}

void x64_emit_slow_float(struct x64_ctx *c, struct x64_slow *s)
{
    const struct ir_node *n = x64_node(c, s->node);
    struct ir_node r = result_of(n);
    uint32_t start = x64_pos(c);
    if (n->op >= IR_VFADD) {
        x64_emit_slow_packed(c, s);
        return;
    }
    x64_save_live(c, s, false);
    call_helper(c, n);
    if (n->type == IR_I32)
        x_mov_rr(&c->e, X_32, x64_dest(c, s->node), RAX);
    else
        x_movd_xr(&c->e, WIDTH(&r), x64_dest_xmm(c, s->node), RAX);
    x64_save_live(c, s, true);
    x_jmp(&c->e, 0);
    x64_set_rel32(c, x64_pos(c) - 4, s->resume);
    if (!s->post)
        return;
    x64_set_rel32(c, s->post, x64_pos(c));
    if (low_exponents(n))
        accept_low_results(c, s, n);
    x_jmp(&c->e, 0);
    x64_set_rel32(c, x64_pos(c) - 4, start);
}
