/* SPDX-License-Identifier: MIT */
/*
 * Bit fields and halves: EXTRACT, SEXTRACT, DEPOSIT, HI32, PAIR.
 */
#include "x64_internal.h"

static uint64_t field_mask(unsigned len)
{
    return len >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << len) - 1;
}

/* d &= mask, through RDX when the mask is no imm32. */
static void and_mask(struct x64_ctx *c, enum x_width w, struct x_gpr d, uint64_t mask)
{
    if (w == X_32 || x_fits32((int64_t)mask)) {
        if (mask == 0xff)
            x_movx_rr(&c->e, X_32, X_MOVZX8, d, d);
        else if (mask == 0xffff)
            x_movx_rr(&c->e, X_32, X_MOVZX16, d, d);
        else
            x_alu_ri(&c->e, X_AND, w, d, (int32_t)(uint32_t)mask);
    } else if (mask == 0xffffffffu) {
        x_mov_rr(&c->e, X_32, d, d);
    } else {
        x_mov_ri(&c->e, RDX, mask);
        x_alu_rr(&c->e, X_AND, X_64, d, RDX);
    }
}

static void emit_extract(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    enum x_width w = x64_width(c, i);
    unsigned pos = n->imm & 0xff, len = (unsigned)(n->imm >> 8), bits = w == X_64 ? 64 : 32;
    struct x_gpr d = x64_dest(c, i);
    x64_load(c, d, n->arg[0]);
    if (n->op == IR_SEXTRACT) {
        if (pos + len < bits)
            x_shift_ri(&c->e, X_SHL, w, d, bits - pos - len);
        if (len < bits)
            x_shift_ri(&c->e, X_SAR, w, d, bits - len);
    } else {
        if (pos)
            x_shift_ri(&c->e, X_SHR, w, d, pos);
        if (pos + len < bits)
            and_mask(c, w, d, field_mask(len));
    }
    x64_finish(c, i, d);
}

static void emit_deposit(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    enum x_width w = x64_width(c, i);
    unsigned pos = n->imm & 0xff, len = (unsigned)(n->imm >> 8), bits = w == X_64 ? 64 : 32;
    uint64_t all = w == X_64 ? ~(uint64_t)0 : 0xffffffffu;
    struct x_gpr d = x64_dest(c, i);
    if (len == bits) {
        x64_load(c, d, n->arg[1]);
    } else if (pos == 0 && (len == 8 || len == 16)) {
        struct x_gpr v = x64_use(c, n->arg[1], RCX);
        if (v.n == d.n) {
            x_mov_rr(&c->e, w, RCX, v);
            v = RCX;
        }
        x64_load(c, d, n->arg[0]);
        if (len == 8)
            x_mov_rr8(&c->e, d, v);
        else
            x_mov_rr16(&c->e, d, v);
    } else {
        x64_load(c, RCX, n->arg[1]);
        if (pos + len < bits)
            and_mask(c, w, RCX, field_mask(len));
        if (pos)
            x_shift_ri(&c->e, X_SHL, w, RCX, pos);
        x64_load(c, d, n->arg[0]);
        and_mask(c, w, d, ~(field_mask(len) << pos) & all);
        x_alu_rr(&c->e, X_OR, w, d, RCX);
    }
    x64_finish(c, i, d);
}

static void emit_hi32(struct x64_ctx *c, ir_ref i)
{
    ir_ref a = x64_node(c, i)->arg[0];
    struct x_gpr d = x64_dest(c, i);
    if (c->val[a].kind == VAL_STACK || c->val[a].kind == VAL_STATE) {
        struct x_mem m = x64_mem_of(c, a);
        m.disp += 4;
        x_mov_rm(&c->e, X_32, d, m);
    } else {
        struct x_gpr own;
        if (c->val[i].kind != VAL_GPR && c->val[a].last == i && x64_in_gpr(c, a, &own))
            d = own; /* the operand ends here: shift it where it is */
        x64_load(c, d, a);
        x_shift_ri(&c->e, X_SHR, X_64, d, 32);
    }
    x64_finish(c, i, d);
}

static void emit_pair(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    struct x_gpr d = x64_dest(c, i);
    x64_load(c, RCX, n->arg[1]);
    x_shift_ri(&c->e, X_SHL, X_64, RCX, 32);
    x64_load(c, d, n->arg[0]);
    x_alu_rr(&c->e, X_OR, X_64, d, RCX);
    x64_finish(c, i, d);
}

void x64_emit_field(struct x64_ctx *c, ir_ref i)
{
    switch (x64_node(c, i)->op) {
    case IR_DEPOSIT:
        emit_deposit(c, i);
        break;
    case IR_HI32:
        emit_hi32(c, i);
        break;
    case IR_PAIR:
        emit_pair(c, i);
        break;
    default:
        emit_extract(c, i);
        break;
    }
}
