/* SPDX-License-Identifier: MIT */
/*
 * Compares: SETC, SELECT, BRCOND. Host flags left by an earlier node are used when they answer the
 * same question.
 */
#include "x64_internal.h"

static enum x_cc rel_cc(enum ir_rel rel)
{
    static const uint8_t cc[] = {
        [IR_EQ] = X_E,   [IR_NE] = X_NE, [IR_LTU] = X_B,   [IR_GEU] = X_AE,
        [IR_LEU] = X_BE, [IR_GTU] = X_A, [IR_LTS] = X_L,   [IR_GES] = X_GE,
        [IR_LES] = X_LE, [IR_GTS] = X_G, [IR_TSTEQ] = X_E, [IR_TSTNE] = X_NE,
    };
    return (enum x_cc)cc[rel];
}

/* Sign and zero of the last result; false when this relation needs more. */
static bool result_cc(enum ir_rel rel, enum x_cc *cc)
{
    switch (rel) {
    case IR_EQ:
        *cc = X_E;
        return true;
    case IR_NE:
        *cc = X_NE;
        return true;
    case IR_LTS:
        *cc = X_S;
        return true;
    case IR_GES:
        *cc = X_NS;
        return true;
    default:
        return false;
    }
}

static void emit_cmp(struct x64_ctx *c, ir_ref x, ir_ref y)
{
    enum x_width w = x64_width(c, x);
    struct x_gpr rx, ry;
    int32_t k;
    bool imm = x64_imm(c, y, w, &k);
    if (x64_in_gpr(c, x, &rx)) {
        if (imm && k == 0)
            x_test_rr(&c->e, w, rx, rx);
        else
            x64_alu(c, X_CMP, w, rx, y);
    } else if (imm && c->val[x].kind != VAL_CONST) {
        x_alu_mi(&c->e, X_CMP, w, x64_mem_of(c, x), k);
    } else if (c->val[x].kind != VAL_CONST && x64_in_gpr(c, y, &ry)) {
        x_alu_mr(&c->e, X_CMP, w, x64_mem_of(c, x), ry);
    } else {
        x64_load(c, RAX, x);
        x64_alu(c, X_CMP, w, RAX, y);
    }
}

static void emit_test(struct x64_ctx *c, ir_ref x, ir_ref y)
{
    enum x_width w = x64_width(c, x);
    struct x_gpr rx, ry;
    int32_t k;
    uint64_t v;
    bool in_gpr = x64_in_gpr(c, x, &rx);
    if (x64_const(c, y, &v) && v <= 0x7fffffff)
        w = X_32; /* the upper half cannot matter */
    if (x64_imm(c, y, w, &k)) {
        if (in_gpr && v <= 0xff)
            x_test_ri8(&c->e, rx, (uint8_t)v);
        else if (in_gpr)
            x_test_ri(&c->e, w, rx, k);
        else if (c->val[x].kind != VAL_CONST)
            x_test_mi(&c->e, w, x64_mem_of(c, x), k);
        else {
            x64_load(c, RAX, x);
            x_test_ri(&c->e, w, RAX, k);
        }
        return;
    }
    ry = x64_use(c, y, RCX);
    if (in_gpr || c->val[x].kind == VAL_CONST)
        x_test_rr(&c->e, w, x64_use(c, x, RAX), ry);
    else
        x_test_mr(&c->e, w, x64_mem_of(c, x), ry);
}

enum x_cc x64_compare(struct x64_ctx *c, enum ir_rel rel, ir_ref x, ir_ref y)
{
    struct x64_flags *f = &c->flags;
    enum x_cc cc;
    uint64_t k;
    bool same = f->a == x && f->b == y;
    if (rel == IR_TSTEQ || rel == IR_TSTNE) {
        if (f->kind == FLAGS_TEST && (same || (f->a == y && f->b == x)))
            return rel_cc(rel);
        emit_test(c, x, y);
        *f = (struct x64_flags){.kind = FLAGS_TEST, .a = x, .b = y};
        return rel_cc(rel);
    }
    if (f->kind == FLAGS_CMP && same)
        return rel_cc(rel);
    if (f->result == x && x && x64_const(c, y, &k) && k == 0 && result_cc(rel, &cc))
        return cc;
    emit_cmp(c, x, y);
    *f = (struct x64_flags){.kind = FLAGS_CMP, .a = x, .b = y};
    return rel_cc(rel);
}

static void emit_setc(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    x64_set_cc(c, i, x64_compare(c, (enum ir_rel)n->rel, n->arg[0], n->arg[1]));
}

static void emit_cmov(struct x64_ctx *c, enum x_cc cc, enum x_width w, struct x_gpr d, ir_ref r)
{
    if (c->val[r].kind == VAL_STACK || c->val[r].kind == VAL_STATE)
        x_cmov_rm(&c->e, cc, w, d, x64_mem_of(c, r));
    else
        x_cmov_rr(&c->e, cc, w, d, x64_use(c, r, RCX));
}

static void emit_select(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    enum x_width w = x64_width(c, i);
    enum x_cc cc = x64_compare(c, (enum ir_rel)n->rel, n->arg[0], n->arg[1]);
    struct x_gpr d = x64_dest(c, i), t;
    if (x64_in_gpr(c, n->arg[2], &t) && t.n == d.n) {
        emit_cmov(c, (enum x_cc)(cc ^ 1), w, d, n->arg[3]);
    } else {
        x64_load(c, d, n->arg[3]);
        emit_cmov(c, cc, w, d, n->arg[2]);
    }
    x64_finish(c, i, d);
}

static void emit_brcond(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    enum x_cc cc = x64_compare(c, (enum ir_rel)n->rel, n->arg[0], n->arg[1]);
    if (!x64_branch_to_goto(c, (unsigned)n->imm, cc))
        x64_jump_label(c, (unsigned)n->imm, true, cc);
}

void x64_emit_cond(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    if (n->op == IR_SETC)
        emit_setc(c, i);
    else if (n->op == IR_SELECT)
        emit_select(c, i);
    else if (n->op == IR_GOTO_IF)
        x64_emit_side_exit(c, i, x64_compare(c, (enum ir_rel)n->rel, n->arg[0], n->arg[1]));
    else if (n->op == IR_BX_UNLESS)
        x64_emit_side_exit(c, i, x64_compare(c, IR_NE, n->arg[0], n->arg[1]));
    else
        emit_brcond(c, i);
}
