/* SPDX-License-Identifier: MIT */
/*
 * 128-bit integer ops. One SSE instruction each where the host has it;
 * what came with SSE4.1 has an SSE2 sequence. Results are built in XMM0 when the destination holds
 * the second operand.
 */
#include "x64_internal.h"
#include "base/log.h"

#define P66(op) ((op) | X_0F | X_66)
#define P38(op) ((op) | X_0F38 | X_66)
#define NEED41  0x100000u /* SSE4.1 */

/* Opcode by lane size: [0] 1 byte, [1] 2, [2] 4, [3] 8; 0 = no instruction. */
static const struct vop {
    uint32_t op[4];
    bool commutes;
} vops[IR_OP_COUNT] = {
    [IR_VAND] = {{P66(0xdb), P66(0xdb), P66(0xdb), P66(0xdb)}, true},
    [IR_VOR] = {{P66(0xeb), P66(0xeb), P66(0xeb), P66(0xeb)}, true},
    [IR_VXOR] = {{P66(0xef), P66(0xef), P66(0xef), P66(0xef)}, true},
    [IR_VADD] = {{P66(0xfc), P66(0xfd), P66(0xfe), P66(0xd4)}, true},
    [IR_VSUB] = {{P66(0xf8), P66(0xf9), P66(0xfa), P66(0xfb)}, false},
    [IR_VMUL] = {{0, P66(0xd5), P38(0x40) | NEED41, 0}, true},
    [IR_VCMPEQ] = {{P66(0x74), P66(0x75), P66(0x76), P38(0x29) | NEED41}, true},
    [IR_VCMPGTS] = {{P66(0x64), P66(0x65), P66(0x66), 0}, false},
    [IR_VMINS] = {{P38(0x38) | NEED41, P66(0xea), P38(0x39) | NEED41, 0}, true},
    [IR_VMAXS] = {{P38(0x3c) | NEED41, P66(0xee), P38(0x3d) | NEED41, 0}, true},
    [IR_VMINU] = {{P66(0xda), P38(0x3a) | NEED41, P38(0x3b) | NEED41, 0}, true},
    [IR_VQADDS] = {{P66(0xec), P66(0xed)}, true},
    [IR_VQADDU] = {{P66(0xdc), P66(0xdd)}, true},
    [IR_VQSUBS] = {{P66(0xe8), P66(0xe9)}, false},
    [IR_VQSUBU] = {{P66(0xd8), P66(0xd9)}, false},
    [IR_VAVGU] = {{P66(0xe0), P66(0xe3)}, true},
    [IR_VMULHS] = {{0, P66(0xe5)}, true},
    [IR_VMULHU] = {{0, P66(0xe4)}, true},
    [IR_VMULWS] = {{0, 0, P38(0x28)}, true},
    [IR_VMULWU] = {{0, 0, P66(0xf4)}, true},
    [IR_VUNPKL] = {{P66(0x60), P66(0x61), P66(0x62), P66(0x6c)}, false},
    [IR_VUNPKH] = {{P66(0x68), P66(0x69), P66(0x6a), P66(0x6d)}, false},
    [IR_VPACKSS] = {{0, P66(0x63), P66(0x6b)}, false},
    [IR_VPACKUS] = {{0, P66(0x67)}, false},
    [IR_VSHUFB] = {{P38(0x00)}, false},
    [IR_VMAXU] = {{P66(0xde), P38(0x3e) | NEED41, P38(0x3f) | NEED41, 0}, true},
};

static unsigned lane_index(const struct ir_node *n)
{
    return n->size == 1 ? 0 : n->size == 2 ? 1 : n->size == 4 ? 2 : 3;
}

static void sse(struct x64_ctx *c, unsigned op, struct x_xmm d, struct x_xmm s)
{
    x_sse_rr(&c->e, op, d, s);
}

/* d op= r, from a register or (16-byte aligned) from the stack. */
static void sse_value(struct x64_ctx *c, unsigned op, struct x_xmm d, ir_ref r)
{
    if (c->val[r].kind == VAL_STACK)
        x_sse_rm(&c->e, op, d, x64_mem_of(c, r));
    else
        sse(c, op, d, X_XMM(c->val[r].reg));
}

static bool in_xmm(const struct x64_ctx *c, ir_ref r, struct x_xmm x)
{
    return c->val[r].kind == VAL_XMM && c->val[r].reg == x.n;
}

static void emit_simple(struct x64_ctx *c, ir_ref i, unsigned op)
{
    const struct ir_node *n = x64_node(c, i);
    ir_ref a = n->arg[0], b = n->arg[1];
    struct x_xmm d = x64_dest_xmm(c, i);
    if (in_xmm(c, b, d) && !in_xmm(c, a, d)) {
        if (vops[n->op].commutes) {
            b = a;
            a = n->arg[1];
        } else {
            d = XMM0;
        }
    }
    x64_load_xmm(c, d, a);
    sse_value(c, op, d, b);
    x64_finish_xmm(c, i, d);
}

/* ---- SSE2 sequences; result in XMM0, XMM1 is free ---- */

/* 32-bit products of two lanes, in the low half of d: unpack (op) doubles the lanes for pmuludq. */
static void mul32_half(struct x64_ctx *c, unsigned unpack, ir_ref a, ir_ref b)
{
    x64_load_xmm(c, XMM0, a);
    x64_load_xmm(c, XMM1, b);
    sse(c, unpack, XMM0, XMM0);
    sse(c, unpack, XMM1, XMM1);
    sse(c, P66(0xf4), XMM0, XMM1);                 /* pmuludq */
    x_sse_rri(&c->e, P66(0x70), XMM0, XMM0, 0x08); /* low words of both products */
}

static void emit_mul32(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    struct x_mem save = x_at(RSP, FRAME_XMM);
    mul32_half(c, P66(0x62), n->arg[0], n->arg[1]); /* punpckldq: lanes 0 0 1 1 */
    x_sse_rm(&c->e, X_MOVAPS + 1, XMM0, save);
    mul32_half(c, P66(0x6a), n->arg[0], n->arg[1]); /* punpckhdq: lanes 2 2 3 3 */
    x_sse_rm(&c->e, X_MOVAPS, XMM1, save);
    sse(c, P66(0x6c), XMM1, XMM0); /* punpcklqdq */
    x64_finish_xmm(c, i, XMM1);
}

static void emit_cmpeq64(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    x64_load_xmm(c, XMM0, n->arg[0]);
    sse_value(c, P66(0x76), XMM0, n->arg[1]);
    x_sse_rri(&c->e, P66(0x70), XMM1, XMM0, 0xb1); /* swap the halves of each lane */
    sse(c, P66(0xdb), XMM0, XMM1);
    x64_finish_xmm(c, i, XMM0);
}

/* XMM1 ^= sign bits of the lanes: unsigned order becomes signed order */
static void flip_signs(struct x64_ctx *c, struct x_xmm x, struct x_xmm scratch, unsigned size)
{
    sse(c, P66(0x76), scratch, scratch); /* all ones */
    if (size == 4)
        x_sse_shift(&c->e, P66(0x72), 6, scratch, 31);
    else
        x_sse_shift(&c->e, P66(0x71), 6, scratch, 15);
    sse(c, P66(0xef), x, scratch);
}

/* Choose between a and b by a compare: XMM0 = mask, then (a & mask) | (b & ~mask). */
static void emit_minmax(struct x64_ctx *c, ir_ref i)
{
    static const unsigned gt[] = {P66(0x64), P66(0x65), P66(0x66)};
    const struct ir_node *n = x64_node(c, i);
    bool min = n->op == IR_VMINS || n->op == IR_VMINU,
         is_signed = n->op == IR_VMINS || n->op == IR_VMAXS;
    ir_ref a = n->arg[0], b = n->arg[1];
    struct x_mem save = x_at(RSP, FRAME_XMM);
    x64_load_xmm(c, XMM0, min ? b : a); /* mask = min ? b > a : a > b: take a */
    if (!is_signed) {
        flip_signs(c, XMM0, XMM1, n->size);
        x_sse_rm(&c->e, X_MOVAPS + 1, XMM0, save);
        x64_load_xmm(c, XMM0, min ? a : b);
        flip_signs(c, XMM0, XMM1, n->size);
        sse(c, X_MOVAPS, XMM1, XMM0);
        x_sse_rm(&c->e, X_MOVAPS, XMM0, save);
    } else {
        x64_load_xmm(c, XMM1, min ? a : b);
    }
    sse(c, gt[lane_index(n)], XMM0, XMM1);
    x64_load_xmm(c, XMM1, a);
    sse(c, P66(0xdb), XMM1, XMM0);    /* a & mask */
    sse_value(c, P66(0xdf), XMM0, b); /* ~mask & b */
    sse(c, P66(0xeb), XMM0, XMM1);
    x64_finish_xmm(c, i, XMM0);
}

static void emit_binary(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    uint32_t op = vops[n->op].op[n->size ? lane_index(n) : 0];
    if (!(op & NEED41) || x64_cpu.sse41)
        emit_simple(c, i, op & ~NEED41);
    else if (n->op == IR_VMUL)
        emit_mul32(c, i);
    else if (n->op == IR_VCMPEQ)
        emit_cmpeq64(c, i);
    else
        emit_minmax(c, i);
}

/* ---- the others ---- */
static void emit_andn(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    x64_load_xmm(c, XMM0, n->arg[1]);
    sse_value(c, P66(0xdf), XMM0, n->arg[0]); /* pandn: ~b & a */
    x64_finish_xmm(c, i, XMM0);
}

static void emit_shift(struct x64_ctx *c, ir_ref i)
{
    static const uint8_t opcode[] = {0, 0x71, 0x72, 0x73};
    const struct ir_node *n = x64_node(c, i);
    struct x_xmm d = x64_dest_xmm(c, i);
    unsigned ext = n->op == IR_VSHLI ? 6 : n->op == IR_VSHRI ? 2 : 4;
    x64_load_xmm(c, d, n->arg[0]);
    x_sse_shift(&c->e, P66(opcode[lane_index(n)]), ext, d, (uint8_t)n->imm);
    x64_finish_xmm(c, i, d);
}

static void emit_lane_shift(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    enum x_shift op = n->op == IR_VSHLV ? X_SHL : n->op == IR_VSHRV ? X_SHR : X_SAR;
    struct x_xmm d = x64_dest_xmm(c, i);
    x_lane_shift(&c->e, op, n->size == 8 ? X_64 : X_32, d, x64_use_xmm(c, n->arg[0], XMM0),
                 x64_use_xmm(c, n->arg[1], XMM1));
    x64_finish_xmm(c, i, d);
}

static void emit_dup(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    struct x_xmm d = x64_dest_xmm(c, i);
    x_movd_xr(&c->e, X_32, d, x64_use(c, n->arg[0], RAX));
    if (n->size == 1)
        sse(c, P66(0x60), d, d); /* punpcklbw */
    if (n->size <= 2)
        x_sse_rri(&c->e, 0x70u | X_0F | X_F2, d, d, 0); /* pshuflw */
    x_sse_rri(&c->e, P66(0x70), d, d, n->size == 8 ? 0x44 : 0);
    x64_finish_xmm(c, i, d);
}

static void emit_shuffle32(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    struct x_xmm d = x64_dest_xmm(c, i), a = x64_use_xmm(c, n->arg[0], XMM0);
    x_sse_rri(&c->e, P66(0x70), d, a, (uint8_t)n->imm);
    x64_finish_xmm(c, i, d);
}

static void emit_align(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    x64_load_xmm(c, XMM0, n->arg[0]);
    if (x64_cpu.sse41) { /* palignr is older still */
        x_sse_rri(&c->e, 0x0f | X_0F3A | X_66, XMM0, x64_use_xmm(c, n->arg[1], XMM1),
                  (uint8_t)n->imm);
    } else {
        x64_load_xmm(c, XMM1, n->arg[1]);
        x_sse_shift(&c->e, P66(0x73), 7, XMM0, (uint8_t)(16 - n->imm)); /* pslldq */
        x_sse_shift(&c->e, P66(0x73), 3, XMM1, (uint8_t)n->imm);        /* psrldq */
        sse(c, P66(0xeb), XMM0, XMM1);
    }
    x64_finish_xmm(c, i, XMM0);
}

static void emit_const(struct x64_ctx *c, ir_ref i)
{
    struct x_xmm d = x64_dest_xmm(c, i);
    x_mov_ri(&c->e, RAX, x64_node(c, i)->imm);
    x_sse_rm(&c->e, X_MOVUPS_LOAD, d, x_at(RAX, 0));
    x64_finish_xmm(c, i, d);
}

static void emit_transfer(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    ir_ref a = n->arg[0];
    if (n->op == IR_VTOI) {
        struct x_gpr d = x64_dest(c, i);
        if (c->val[a].kind == VAL_STACK)
            x_mov_rm(&c->e, x64_width(c, i), d, x64_mem_of(c, a));
        else
            x_movd_rx(&c->e, x64_width(c, i), d, X_XMM(c->val[a].reg));
        x64_finish(c, i, d);
        return;
    }
    struct x_xmm d = x64_dest_xmm(c, i);
    uint64_t k;
    if (x64_const(c, a, &k) && !k)
        sse(c, P66(0xef), d, d);
    else
        x_movd_xr(&c->e, x64_width(c, a), d, x64_use(c, a, RAX));
    x64_finish_xmm(c, i, d);
}

void x64_emit_vector(struct x64_ctx *c, ir_ref i)
{
    switch (x64_node(c, i)->op) {
    case IR_VANDN:
        emit_andn(c, i);
        break;
    case IR_VSHLI:
    case IR_VSHRI:
    case IR_VSARI:
        emit_shift(c, i);
        break;
    case IR_VSHLV:
    case IR_VSHRV:
    case IR_VSARV:
        emit_lane_shift(c, i);
        break;
    case IR_VDUP:
        emit_dup(c, i);
        break;
    case IR_VSHUFD:
        emit_shuffle32(c, i);
        break;
    case IR_VALIGN:
        emit_align(c, i);
        break;
    case IR_VCONST:
        emit_const(c, i);
        break;
    case IR_VTOI:
    case IR_ITOV:
        emit_transfer(c, i);
        break;
    default:
        emit_binary(c, i);
        break;
    }
}
