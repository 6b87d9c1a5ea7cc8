/* SPDX-License-Identifier: MIT */
/*
 * Integer nodes whose host flags nobody uses: moves, shifts, multiplication, extensions, CLZ, and
 * GET and PUT of state slots.
 */
#include "x64_internal.h"
#include "base/log.h"

static bool in_memory(const struct x64_ctx *c, ir_ref r)
{
    return c->val[r].kind == VAL_STACK || c->val[r].kind == VAL_STATE;
}

static void emit_get(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    struct x_mem m = x64_state((int32_t)n->off - VCPU_BIAS);
    if (n->type == IR_V128) {
        static const unsigned op[17] = {
            [4] = X_MOVSS_LOAD, [8] = X_MOVSD_LOAD, [16] = X_MOVUPS_LOAD};
        struct x_xmm d = x64_dest_xmm(c, i);
        x_sse_rm(&c->e, op[n->size], d, m);
        x64_finish_xmm(c, i, d);
        return;
    }
    if (c->val[i].kind == VAL_STATE)
        return; /* read by its users */
    struct x_gpr d = x64_dest(c, i);
    if (n->size == 4 && x64_bool_slot(n->off))
        x_movx_rm(&c->e, X_32, X_MOVZX8, d, m);
    else if (n->size >= 4)
        x_mov_rm(&c->e, n->size == 8 ? X_64 : X_32, d, m);
    else
        x_movx_rm(&c->e, X_32, n->size == 1 ? X_MOVZX8 : X_MOVZX16, d, m);
    x64_finish(c, i, d);
}

static void put_const(struct x64_ctx *c, struct x_mem m, unsigned size, uint64_t v)
{
    switch (size) {
    case 1:
        x_mov_mi8(&c->e, m, (uint8_t)v);
        break;
    case 2:
        x_mov_mi16(&c->e, m, (uint16_t)v);
        break;
    case 4:
        x_mov_mi(&c->e, X_32, m, (int32_t)(uint32_t)v);
        break;
    default:
        if (x_fits32((int64_t)v)) {
            x_mov_mi(&c->e, X_64, m, (int32_t)v);
        } else {
            x_mov_ri(&c->e, RAX, v);
            x_mov_mr(&c->e, X_64, m, RAX);
        }
        break;
    }
}

void x64_emit_put(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    struct x_mem m = x64_state((int32_t)n->off - VCPU_BIAS);
    ir_ref v = n->arg[0];
    uint64_t k;
    if (x64_node(c, v)->type == IR_V128) {
        static const unsigned op[17] = {
            [4] = X_MOVSS_STORE, [8] = X_MOVSD_STORE, [16] = X_MOVUPS_STORE};
        x_sse_rm(&c->e, op[n->size], x64_use_xmm(c, v, XMM0), m);
        return;
    }
    if (x64_const(c, v, &k)) {
        put_const(c, m, n->size, k);
        return;
    }
    if (c->val[v].homed && c->val[v].kind == VAL_STATE && c->val[v].home == i)
        return; /* computed in place */
    struct x_gpr s = x64_use(c, v, RAX);
    switch (n->size) {
    case 1:
        x_mov_mr8(&c->e, m, s);
        break;
    case 2:
        x_mov_mr16(&c->e, m, s);
        break;
    case 4:
        x_mov_mr(&c->e, X_32, m, s);
        break;
    default:
        x_mov_mr(&c->e, X_64, m, s);
        break;
    }
}

/* Nothing, unless too many are pending already. */
static void emit_defer(struct x64_ctx *c, ir_ref i)
{
    const struct x64_pending *p = &c->pending;
    if (p->n && p->put[p->n - 1] == i)
        return;
    ir_ref v = x64_node(c, i)->arg[0];
    if (!c->val[v].deferred) {
        x64_emit_put(c, i);
        return;
    }
    x64_emit_deferred(c, v);
    x_mov_mr(&c->e, x64_node(c, i)->size == 8 ? X_64 : X_32,
             x64_state((int32_t)x64_node(c, i)->off - VCPU_BIAS), RAX);
}

static enum x_shift shift_op(unsigned op)
{
    return op == IR_SHL ? X_SHL : op == IR_SHR ? X_SHR : op == IR_SAR ? X_SAR : X_ROR;
}

static void emit_shift(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    enum x_width w = x64_width(c, i);
    enum x_shift op = shift_op(n->op);
    struct x_gpr d = x64_dest(c, i), a;
    uint64_t k;
    if (x64_const(c, n->arg[1], &k)) {
        k &= w == X_64 ? 63 : 31;
        if (op == X_ROR && x64_cpu.bmi2 && x64_in_gpr(c, n->arg[0], &a) && a.n != d.n) {
            x_rorx(&c->e, w, d, a, (unsigned)k);
        } else {
            x64_load(c, d, n->arg[0]);
            if (k)
                x_shift_ri(&c->e, op, w, d, (unsigned)k);
        }
    } else if (op != X_ROR && x64_cpu.bmi2) {
        a = x64_use(c, n->arg[0], RAX);
        x_shiftx(&c->e, op, w, d, a, x64_use(c, n->arg[1], RCX));
    } else {
        x64_load(c, RCX, n->arg[1]);
        x64_load(c, d, n->arg[0]);
        x_shift_cl(&c->e, op, w, d);
    }
    x64_finish(c, i, d);
}

static void emit_mul(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    enum x_width w = x64_width(c, i);
    struct x_gpr d = x64_dest(c, i), rb;
    ir_ref a = n->arg[0], b = n->arg[1];
    int32_t k;
    if (x64_imm(c, b, w, &k)) {
        x_imul_rri(&c->e, w, d, x64_use(c, a, RAX), k);
    } else {
        if (x64_in_gpr(c, b, &rb) && rb.n == d.n) {
            b = a;
            a = n->arg[1];
        }
        x64_load(c, d, a);
        if (in_memory(c, b))
            x_imul_rm(&c->e, w, d, x64_mem_of(c, b));
        else
            x_imul_rr(&c->e, w, d, x64_use(c, b, RCX));
    }
    x64_finish(c, i, d);
}

static void emit_unary(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    enum x_width w = x64_width(c, i);
    struct x_gpr d = x64_dest(c, i);
    x64_load(c, d, n->arg[0]);
    if (n->op == IR_NOT)
        x_not(&c->e, w, d);
    else if (n->op == IR_NEG)
        x_neg(&c->e, w, d);
    else if (n->op == IR_BSWAP)
        x_bswap(&c->e, w, d);
    x64_finish(c, i, d);
}

static void emit_clz(struct x64_ctx *c, ir_ref i)
{
    enum x_width w = x64_width(c, i);
    struct x_gpr d = x64_dest(c, i), a = x64_use(c, x64_node(c, i)->arg[0], RAX);
    if (x64_cpu.lzcnt) {
        x_lzcnt(&c->e, w, d, a);
    } else {
        unsigned bits = w == X_64 ? 64 : 32;
        x_mov_ri(&c->e, RCX, bits * 2 - 1); /* index that makes the xor give `bits` for zero */
        x_bsr(&c->e, w, RAX, a);
        x_cmov_rr(&c->e, X_E, w, RAX, RCX);
        x_alu_ri(&c->e, X_XOR, w, RAX, (int32_t)bits - 1);
        d = RAX;
    }
    x64_finish(c, i, d);
}

static void emit_extend(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    struct x_gpr d = x64_dest(c, i);
    unsigned op = X_MOV_LOAD;
    enum x_width w = X_32;
    switch (n->op) {
    case IR_ZEXT8:
        op = X_MOVZX8;
        break;
    case IR_ZEXT16:
        op = X_MOVZX16;
        break;
    case IR_SEXT8:
        op = X_MOVSX8;
        w = x64_width(c, i);
        break;
    case IR_SEXT16:
        op = X_MOVSX16;
        w = x64_width(c, i);
        break;
    case IR_SEXT32:
        op = X_MOVSXD;
        w = X_64;
        break;
    default:
        break; /* ZEXT32, TRUNC: a 32-bit move clears the upper half */
    }
    if (in_memory(c, n->arg[0])) {
        x_movx_rm(&c->e, w, op, d, x64_mem_of(c, n->arg[0]));
    } else {
        struct x_gpr a = x64_use(c, n->arg[0], RAX);
        if (n->op == IR_TRUNC && c->val[i].kind != VAL_GPR) {
            x64_finish(c, i, a); /* a 32-bit store truncates */
            return;
        }
        if (n->op != IR_ZEXT32 || a.n != d.n) /* an I32 is zero-extended already */
            x_movx_rr(&c->e, w, op, d, a);
    }
    x64_finish(c, i, d);
}

void x64_emit_int(struct x64_ctx *c, ir_ref i)
{
    switch (x64_node(c, i)->op) {
    case IR_GET:
        emit_get(c, i);
        break;
    case IR_PUT:
        x64_emit_put(c, i);
        break;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROR:
        emit_shift(c, i);
        break;
    case IR_DEFER:
        emit_defer(c, i);
        break;
    case IR_MUL:
        emit_mul(c, i);
        break;
    case IR_MOV:
    case IR_NOT:
    case IR_NEG:
    case IR_BSWAP:
        emit_unary(c, i);
        break;
    case IR_CLZ:
        emit_clz(c, i);
        break;
    default:
        emit_extend(c, i);
        break;
    }
}
