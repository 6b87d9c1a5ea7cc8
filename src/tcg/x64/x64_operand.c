/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing values wherever they live. None of these touches the host flags except
 * x64_alu.
 */
#include "x64_internal.h"
#include "base/log.h"

bool x64_const(const struct x64_ctx *c, ir_ref r, uint64_t *v)
{
    if (x64_node(c, r)->op != IR_CONST)
        return false;
    *v = x64_node(c, r)->imm;
    return true;
}

bool x64_imm(const struct x64_ctx *c, ir_ref r, enum x_width w, int32_t *v)
{
    uint64_t k;
    if (!x64_const(c, r, &k) || (w == X_64 && !x_fits32((int64_t)k)))
        return false;
    *v = (int32_t)(uint32_t)k;
    return true;
}

bool x64_in_gpr(const struct x64_ctx *c, ir_ref r, struct x_gpr *reg)
{
    if (c->val[r].kind != VAL_GPR)
        return false;
    *reg = X_GPR(c->val[r].reg);
    return true;
}

struct x_mem x64_mem_of(const struct x64_ctx *c, ir_ref r)
{
    const struct x64_val *v = &c->val[r];
    VM_DEBUG_CHECK(v->kind == VAL_STACK || v->kind == VAL_STATE);
    return x_at(v->kind == VAL_STACK ? RSP : RBP, v->disp);
}

void x64_load(struct x64_ctx *c, struct x_gpr d, ir_ref r)
{
    struct x_gpr s;
    uint64_t k;
    if (x64_in_gpr(c, r, &s)) {
        if (s.n != d.n)
            x_mov_rr(&c->e, x64_width(c, r), d, s);
    } else if (x64_const(c, r, &k)) {
        x_mov_ri(&c->e, d, k);
    } else {
        x_mov_rm(&c->e, x64_width(c, r), d, x64_mem_of(c, r));
    }
}

struct x_gpr x64_use(struct x64_ctx *c, ir_ref r, struct x_gpr scratch)
{
    struct x_gpr s;
    if (x64_in_gpr(c, r, &s))
        return s;
    x64_load(c, scratch, r);
    return scratch;
}

struct x_gpr x64_dest(const struct x64_ctx *c, ir_ref i)
{
    return c->val[i].kind == VAL_GPR ? X_GPR(c->val[i].reg) : RAX;
}

void x64_finish(struct x64_ctx *c, ir_ref i, struct x_gpr d)
{
    const struct x64_val *v = &c->val[i];
    if (v->kind == VAL_STACK || v->kind == VAL_STATE)
        x_mov_mr(&c->e, x64_width(c, i), x64_mem_of(c, i), d);
    else if (v->kind == VAL_GPR && v->reg != d.n)
        x_mov_rr(&c->e, x64_width(c, i), X_GPR(v->reg), d);
}

void x64_set_cc(struct x64_ctx *c, ir_ref i, enum x_cc cc)
{
    const struct x64_val *v = &c->val[i];
    struct x_gpr d = x64_dest(c, i);
    if (v->kind == VAL_STATE && x64_bool_slot((uint32_t)(v->disp + VCPU_BIAS))) {
        x_setcc_m(&c->e, cc, x64_mem_of(c, i));
        return;
    }
    x_setcc(&c->e, cc, d);
    x_movx_rr(&c->e, X_32, X_MOVZX8, d, d);
    x64_finish(c, i, d);
}

void x64_alu(struct x64_ctx *c, enum x_alu op, enum x_width w, struct x_gpr d, ir_ref r)
{
    struct x_gpr s;
    int32_t v;
    uint64_t k;
    if (x64_imm(c, r, w, &v)) {
        x_alu_ri(&c->e, op, w, d, v);
    } else if (x64_const(c, r, &k)) {
        x_mov_ri(&c->e, RCX, k);
        x_alu_rr(&c->e, op, w, d, RCX);
    } else if (x64_in_gpr(c, r, &s)) {
        x_alu_rr(&c->e, op, w, d, s);
    } else {
        x_alu_rm(&c->e, op, w, d, x64_mem_of(c, r));
    }
}

void x64_load_xmm(struct x64_ctx *c, struct x_xmm d, ir_ref r)
{
    const struct x64_val *v = &c->val[r];
    if (v->kind == VAL_STACK)
        x_sse_rm(&c->e, X_MOVAPS, d, x64_mem_of(c, r));
    else if (v->reg != d.n)
        x_sse_rr(&c->e, X_MOVAPS, d, X_XMM(v->reg));
}

struct x_xmm x64_use_xmm(struct x64_ctx *c, ir_ref r, struct x_xmm scratch)
{
    if (c->val[r].kind == VAL_XMM)
        return X_XMM(c->val[r].reg);
    x64_load_xmm(c, scratch, r);
    return scratch;
}

struct x_xmm x64_dest_xmm(const struct x64_ctx *c, ir_ref i)
{
    return c->val[i].kind == VAL_XMM ? X_XMM(c->val[i].reg) : XMM0;
}

void x64_finish_xmm(struct x64_ctx *c, ir_ref i, struct x_xmm d)
{
    const struct x64_val *v = &c->val[i];
    if (v->kind == VAL_STACK)
        x_sse_rm(&c->e, X_MOVAPS + 1, d, x64_mem_of(c, i)); /* 29: store form */
    else if (v->kind == VAL_XMM && v->reg != d.n)
        x_sse_rr(&c->e, X_MOVAPS, X_XMM(v->reg), d);
}
