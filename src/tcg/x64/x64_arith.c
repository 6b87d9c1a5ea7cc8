/* SPDX-License-Identifier: MIT */
/*
 * ADD, SUB, ADC and their carry and overflow, logic ops: everything whose host flags later nodes
 * may read. c->flags says which values the host flags belong to; a guest ADDS or CMP thus becomes
 * one host instruction and some setcc.
 */
#include "x64_internal.h"
#include "base/log.h"

/* d = a op b on registers or memory, for any overlap of d with the operands. Returns where the
 * result is. */
static struct x_gpr two_operand(struct x64_ctx *c, enum x_alu op, enum x_width w, struct x_gpr d,
                                ir_ref a, ir_ref b)
{
    struct x_gpr ra, rb;
    bool commutes = op != X_SUB && op != X_SBB;
    if (x64_in_gpr(c, b, &rb) && rb.n == d.n && !(x64_in_gpr(c, a, &ra) && ra.n == d.n)) {
        if (commutes) {
            ir_ref t = a;
            a = b;
            b = t;
        } else {
            d = RAX;
        }
    }
    x64_load(c, d, a);
    x64_alu(c, op, w, d, b);
    return d;
}

static void set_flags(struct x64_ctx *c, enum flags_kind kind, const struct ir_node *n,
                      ir_ref result)
{
    c->flags = (struct x64_flags){
        .kind = (uint8_t)kind, .a = n->arg[0], .b = n->arg[1], .c = n->arg[2], .result = result};
}

/* a + b without flags, when that saves a move. */
static bool emit_lea(struct x64_ctx *c, ir_ref i, struct x_gpr d)
{
    const struct ir_node *n = x64_node(c, i);
    enum x_width w = x64_width(c, i);
    struct x_gpr a, b;
    int32_t k;
    if (c->val[i].want_flags || !x64_in_gpr(c, n->arg[0], &a) || a.n == d.n)
        return false;
    if (x64_imm(c, n->arg[1], w, &k))
        x_lea(&c->e, w, d, x_at(a, k));
    else if (x64_in_gpr(c, n->arg[1], &b) && b.n != d.n)
        x_lea(&c->e, w, d, x_at_index(a, b, 0, 0));
    else
        return false;
    return true;
}

/* The left operand and the result live in the same state slot: one instruction on memory. */
static bool in_place(struct x64_ctx *c, enum x_alu op, ir_ref i, ir_ref a, ir_ref b)
{
    const struct x64_val *vi = &c->val[i], *va = &c->val[a];
    enum x_width w = x64_width(c, i);
    int32_t k;
    if (vi->kind != VAL_STATE || va->kind != VAL_STATE || vi->disp != va->disp ||
        x64_width(c, a) != w)
        return false;
    if (x64_imm(c, b, w, &k))
        x_alu_mi(&c->e, op, w, x64_mem_of(c, i), k);
    else
        x_alu_mr(&c->e, op, w, x64_mem_of(c, i), x64_use(c, b, RCX));
    return true;
}

static void emit_add_sub(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    struct x_gpr d = x64_dest(c, i);
    if (n->op == IR_ADD && emit_lea(c, i, d)) {
        x64_finish(c, i, d);
        return;
    }
    enum x_alu op = n->op == IR_ADD ? X_ADD : X_SUB;
    if (!in_place(c, op, i, n->arg[0], n->arg[1])) {
        d = two_operand(c, op, x64_width(c, i), d, n->arg[0], n->arg[1]);
        x64_finish(c, i, d);
    }
    set_flags(c, n->op == IR_ADD ? FLAGS_ADD : FLAGS_CMP, n, i);
}

/* Is the 0/1 value r the host carry flag already, or its complement? */
static bool carry_in_flags(const struct x64_ctx *c, ir_ref r, bool *inverted)
{
    const struct ir_node *n = x64_node(c, r);
    const struct x64_flags *f = &c->flags;
    *inverted = n->op == IR_SETC && n->rel == IR_GEU;
    if (f->a != n->arg[0] || f->b != n->arg[1])
        return false;
    switch (n->op) {
    case IR_ADD_C:
        return f->kind == FLAGS_ADD;
    case IR_ADC_C:
        return f->kind == FLAGS_ADC && f->c == n->arg[2];
    case IR_SETC:
        return f->kind == FLAGS_CMP && (n->rel == IR_GEU || n->rel == IR_LTU);
    default:
        return false;
    }
}

/* CF = the 0/1 value r */
static void carry_in(struct x64_ctx *c, ir_ref r)
{
    struct x_gpr s;
    uint64_t k;
    bool inverted;
    if (carry_in_flags(c, r, &inverted)) {
        if (inverted)
            x_cmc(&c->e);
        return;
    }
    VM_CHECK(!c->val[r].in_flags);
    if (x64_const(c, r, &k)) {
        if (k & 1)
            x_stc(&c->e);
        else
            x_clc(&c->e);
    } else if (x64_in_gpr(c, r, &s)) {
        x_bt_ri(&c->e, X_32, s, 0);
    } else {
        x_bt_mi(&c->e, X_32, x64_mem_of(c, r), 0);
    }
}

static void emit_adc(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    struct x_gpr d = n->op == IR_ADC ? x64_dest(c, i) : RAX;
    carry_in(c, n->arg[2]);
    d = two_operand(c, X_ADC, x64_width(c, n->arg[0]), d, n->arg[0], n->arg[1]);
    set_flags(c, FLAGS_ADC, n, n->op == IR_ADC ? i : 0);
    if (n->op == IR_ADC)
        x64_finish(c, i, d);
}

static void emit_logic(struct x64_ctx *c, ir_ref i, enum x_alu op)
{
    const struct ir_node *n = x64_node(c, i);
    enum x_width w = x64_width(c, i);
    uint64_t k;
    if (in_place(c, op, i, n->arg[0], n->arg[1])) {
        set_flags(c, op == X_AND ? FLAGS_TEST : FLAGS_NONE, n, i);
        return;
    }
    /* A mask without upper half: the 32-bit form clears it for free. */
    if (op == X_AND && x64_const(c, n->arg[1], &k) && k <= 0x7fffffff)
        w = X_32;
    struct x_gpr d = two_operand(c, op, w, x64_dest(c, i), n->arg[0], n->arg[1]);
    x64_finish(c, i, d);
    set_flags(c, op == X_AND && w == x64_width(c, i) ? FLAGS_TEST : FLAGS_NONE, n,
              w == x64_width(c, i) ? i : 0);
}

static void emit_andn(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    enum x_width w = x64_width(c, i);
    struct x_gpr d = x64_dest(c, i);
    if (x64_cpu.bmi1) {
        struct x_gpr a = x64_use(c, n->arg[0], RAX);
        x_andn(&c->e, w, d, x64_use(c, n->arg[1], RCX), a);
    } else {
        x64_load(c, RCX, n->arg[1]);
        x_not(&c->e, w, RCX);
        x64_load(c, d, n->arg[0]);
        x_alu_rr(&c->e, X_AND, w, d, RCX);
    }
    x64_finish(c, i, d);
    c->flags = (struct x64_flags){.result = i};
}

/* Host flags of the operation behind a carry or overflow node, computing it again if they are gone.
 */
static void need_flags(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    enum x_width w = x64_width(c, n->arg[0]);
    const struct x64_flags *f = &c->flags;
    bool same = f->a == n->arg[0] && f->b == n->arg[1];
    switch (n->op) {
    case IR_ADD_C:
    case IR_ADD_V:
        if (f->kind == FLAGS_ADD && (same || (f->a == n->arg[1] && f->b == n->arg[0])))
            return;
        two_operand(c, X_ADD, w, RAX, n->arg[0], n->arg[1]);
        set_flags(c, FLAGS_ADD, n, 0);
        return;
    case IR_SUB_V:
        if (f->kind != FLAGS_CMP || !same)
            x64_compare(c, IR_LTU, n->arg[0], n->arg[1]);
        return;
    default:
        if (f->kind != FLAGS_ADC || !same || f->c != n->arg[2])
            emit_adc(c, i);
        return;
    }
}

static void emit_flag(struct x64_ctx *c, ir_ref i)
{
    unsigned op = x64_node(c, i)->op;
    need_flags(c, i);
    if (c->val[i].in_flags)
        return;
    x64_set_cc(c, i, op == IR_ADD_C || op == IR_ADC_C ? X_B : X_O);
}

void x64_emit_arith(struct x64_ctx *c, ir_ref i)
{
    switch (x64_node(c, i)->op) {
    case IR_ADD:
    case IR_SUB:
        emit_add_sub(c, i);
        break;
    case IR_ADC:
        emit_adc(c, i);
        break;
    case IR_AND:
        emit_logic(c, i, X_AND);
        break;
    case IR_OR:
        emit_logic(c, i, X_OR);
        break;
    case IR_XOR:
        emit_logic(c, i, X_XOR);
        break;
    case IR_ANDN:
        emit_andn(c, i);
        break;
    default:
        emit_flag(c, i);
        break;
    }
}
