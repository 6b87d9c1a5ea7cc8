/* SPDX-License-Identifier: MIT */
/*
 * The builder's integer ops: constant folding, identities, canonical operand order. Everything here
 * may return an existing node instead of a new one.
 */
#include "ir_internal.h"
#include "base/log.h"

static enum ir_type type_of(const struct ir_block *b, ir_ref r)
{
    return (enum ir_type)b->node[r].type;
}

static enum ir_type result_type(enum ir_op op, enum ir_type operand)
{
    switch (ir_ops[op].res) {
    case 'W':
        return IR_I32;
    case 'D':
        return IR_I64;
    case 'V':
        return IR_V128;
    case 'N':
        return IR_VOID;
    default:
        return operand;
    }
}

static ir_ref build(struct ir_block *b, enum ir_op op, enum ir_type t, ir_ref a, ir_ref c, ir_ref d)
{
    struct ir_node n = {.op = (uint8_t)op, .type = (uint8_t)t, .arg = {a, c, d}};
    return ir_ops[op].flags & IR_PURE ? ir_append_pure(b, &n) : ir_append(b, &n);
}

void ir_insn(struct ir_block *b, uint64_t pc, uint32_t extra)
{
    struct ir_node n = {.op = IR_INSN, .imm = (pc & 0xffffffffu) | (uint64_t)extra << 32};
    ir_append(b, &n);
}

/* Simplify through the node that computes a; 0 when nothing applies. */
static ir_ref op1_through(struct ir_block *b, enum ir_op op, ir_ref a)
{
    const struct ir_node *n = &b->node[a];
    switch (op) {
    case IR_MOV:
        return a;
    case IR_NOT:
    case IR_NEG:
    case IR_BSWAP:
        return n->op == op ? n->arg[0] : 0;
    case IR_ZEXT8:
    case IR_ZEXT16:
        if (n->op == IR_ZEXT8 || n->op == IR_SETC || n->op == op)
            return a;
        if (n->op == IR_GET && n->size <= (op == IR_ZEXT8 ? 1 : 2))
            return a;
        return 0;
    case IR_SEXT8:
    case IR_SEXT16:
        return n->op == op || (n->op == IR_SEXT8 && op == IR_SEXT16) ? a : 0;
    case IR_TRUNC:
        if (n->op == IR_ZEXT32 || n->op == IR_SEXT32 || n->op == IR_PAIR)
            return n->arg[0];
        return 0;
    case IR_HI32:
        if (n->op == IR_PAIR)
            return n->arg[1];
        return n->op == IR_ZEXT32 ? ir_const32(b, 0) : 0;
    default:
        return 0;
    }
}

/* The vector value that lane 0 was taken from, if it has nothing but that lane; or 0. */
static ir_ref itov_through(struct ir_block *b, enum ir_type t, ir_ref a)
{
    const struct ir_node *n = &b->node[a];
    bool whole = n->op == IR_VTOI && ir_vec_upper_zero(b, n->arg[0], ir_type_bits(t) / 8);
    return whole ? n->arg[0] : 0;
}

ir_ref ir_op1(struct ir_block *b, enum ir_op op, ir_ref a)
{
    enum ir_type ta = type_of(b, a), t = result_type(op, ta);
    uint64_t v;
    if (op != IR_ITOV && op != IR_VTOI && ir_is_const(b, a, &v))
        return ir_const(b, t, ir_eval1(op, ta, v));
    ir_ref r = op == IR_ITOV ? itov_through(b, ta, a) : op1_through(b, op, a);
    return r ? r : build(b, op, t, a, 0, 0);
}

static bool commutative(enum ir_op op)
{
    switch (op) {
    case IR_ADD:
    case IR_ADD_C:
    case IR_ADD_V:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_MUL:
    case IR_ADC:
    case IR_ADC_C:
    case IR_ADC_V:
        return true;
    default:
        return false;
    }
}

/* x op x */
static ir_ref op2_same(struct ir_block *b, enum ir_op op, enum ir_type t, ir_ref a)
{
    switch (op) {
    case IR_SUB:
    case IR_XOR:
    case IR_ANDN:
    case IR_SUB_V:
        return ir_const(b, t, 0);
    case IR_AND:
    case IR_OR:
        return a;
    default:
        return 0;
    }
}

static bool power_of_two(uint64_t v)
{
    return v && !(v & (v - 1));
}

/* ADD and SUB of constants collect in one ADD. */
static ir_ref add_chain(struct ir_block *b, enum ir_type t, ir_ref a, uint64_t v)
{
    const struct ir_node *n = &b->node[a];
    uint64_t inner;
    if (n->op != IR_ADD || !ir_is_const(b, n->arg[1], &inner))
        return 0;
    return ir_op2(b, IR_ADD, n->arg[0], ir_const(b, t, inner + v));
}

/* a op constant v; 0 when nothing applies. `t` is the type of a. */
static ir_ref op2_const(struct ir_block *b, enum ir_op op, enum ir_type t, ir_ref a, uint64_t v)
{
    uint64_t m = ir_type_mask(t);
    unsigned bits = ir_type_bits(t);
    const struct ir_node *n = &b->node[a];
    switch (op) {
    case IR_ADD:
        return v ? add_chain(b, t, a, v) : a;
    case IR_SUB:
    case IR_OR:
    case IR_XOR:
    case IR_ANDN:
        if (!v)
            return a;
        if (op == IR_ANDN)
            return ir_op2(b, IR_AND, a, ir_const(b, t, ~v));
        if (op == IR_OR && v == m)
            return ir_const(b, t, v);
        return op == IR_XOR && v == m ? ir_op1(b, IR_NOT, a) : 0;
    case IR_AND:
        if (!v)
            return ir_const(b, t, 0);
        if (v == m)
            return a;
        if (v == 0xff || v == 0xffff)
            return ir_op1(b, v == 0xff ? IR_ZEXT8 : IR_ZEXT16, a);
        if (n->op == IR_AND && ir_is_const(b, n->arg[1], &m))
            return ir_op2(b, IR_AND, n->arg[0], ir_const(b, t, m & v));
        return n->op == IR_SETC ? ((v & 1) ? a : ir_const(b, t, 0)) : 0;
    case IR_ADD_C:
    case IR_ADD_V:
    case IR_SUB_V:
        return v ? 0 : ir_const32(b, 0);
    case IR_MUL:
        if (!v || v == 1)
            return v ? a : ir_const(b, t, 0);
        if (!power_of_two(v))
            return 0;
        return ir_op2(b, IR_SHL, a, ir_const32(b, (uint32_t)__builtin_ctzll(v)));
    case IR_UDIV:
        if (!v || v == 1)
            return v ? a : ir_const(b, t, 0);
        if (!power_of_two(v))
            return 0;
        return ir_op2(b, IR_SHR, a, ir_const32(b, (uint32_t)__builtin_ctzll(v)));
    case IR_SDIV:
        if (!v || v == 1)
            return v ? a : ir_const(b, t, 0);
        return 0;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROR:
        if (v >= bits)
            return ir_op2(b, op, a, ir_const32(b, (uint32_t)v & (bits - 1)));
        return v ? 0 : a;
    default:
        return 0;
    }
}

/* constant v op c, for ops that do not commute */
static ir_ref op2_const_left(struct ir_block *b, enum ir_op op, enum ir_type t, uint64_t v,
                             ir_ref c)
{
    switch (op) {
    case IR_SUB:
        return v ? 0 : ir_op1(b, IR_NEG, c);
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROR:
    case IR_UDIV:
    case IR_SDIV:
    case IR_ANDN:
        if (op == IR_ANDN && v == ir_type_mask(t))
            return ir_op1(b, IR_NOT, c);
        return v ? 0 : ir_const(b, t, 0);
    default:
        return 0;
    }
}

ir_ref ir_op2(struct ir_block *b, enum ir_op op, ir_ref a, ir_ref c)
{
    enum ir_type t = type_of(b, a), rt = result_type(op, t);
    uint64_t va, vc;
    if (t == IR_V128)
        return ir_vop(b, op, 0, a, c, 0);
    bool ka = ir_is_const(b, a, &va), kc = ir_is_const(b, c, &vc);
    if (ka && kc)
        return ir_const(b, rt, ir_eval2(op, t, va, vc));
    if (ka && commutative(op)) {
        ir_ref s = a;
        a = c;
        c = s;
        vc = va;
        kc = true;
        ka = false;
    }
    ir_ref r = 0;
    if (op == IR_PAIR) {
        const struct ir_node *x = &b->node[a], *y = &b->node[c];
        if (kc && vc == 0)
            return ir_op1(b, IR_ZEXT32, a);
        if (x->op == IR_TRUNC && y->op == IR_HI32 && x->arg[0] == y->arg[0])
            return x->arg[0];
    } else if (kc) {
        r = op2_const(b, op, t, a, vc);
    } else if (ka) {
        r = op2_const_left(b, op, t, va, c);
    } else if (a == c) {
        r = op2_same(b, op, rt, a);
    }
    if (!r && op == IR_AND && b->node[c].op == IR_NOT && !kc)
        return ir_op2(b, IR_ANDN, a, b->node[c].arg[0]);
    return r ? r : build(b, op, rt, a, c, 0);
}

ir_ref ir_op3(struct ir_block *b, enum ir_op op, ir_ref a, ir_ref c, ir_ref d)
{
    enum ir_type t = type_of(b, a);
    uint64_t va, vc, vd;
    bool ka = ir_is_const(b, a, &va), kc = ir_is_const(b, c, &vc), kd = ir_is_const(b, d, &vd);
    if (ka && kc && kd)
        return ir_const(b, result_type(op, t), ir_eval_adc(op, t, va, vc, vd));
    if (kd && !vd)
        return ir_op2(b, op == IR_ADC ? IR_ADD : op == IR_ADC_C ? IR_ADD_C : IR_ADD_V, a, c);
    if (ka && !kc)
        return build(b, op, result_type(op, t), c, a, d);
    return build(b, op, result_type(op, t), a, c, d);
}

ir_ref ir_op2i(struct ir_block *b, enum ir_op op, ir_ref a, uint64_t imm)
{
    bool shift = op == IR_SHL || op == IR_SHR || op == IR_SAR || op == IR_ROR;
    return ir_op2(b, op, a, ir_const(b, shift ? IR_I32 : type_of(b, a), imm));
}

/* ---- bit fields ---- */
static ir_ref build_field(struct ir_block *b, enum ir_op op, ir_ref a, ir_ref v, unsigned pos,
                          unsigned len)
{
    struct ir_node n = {
        .op = (uint8_t)op, .type = b->node[a].type, .arg = {a, v}, .imm = pos | len << 8};
    return ir_append_pure(b, &n);
}

ir_ref ir_extract(struct ir_block *b, ir_ref a, unsigned pos, unsigned len)
{
    enum ir_type t = type_of(b, a);
    unsigned bits = ir_type_bits(t);
    VM_DEBUG_CHECK(len && pos + len <= bits);
    uint64_t v, field = len >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << len) - 1;
    if (ir_is_const(b, a, &v))
        return ir_const(b, t, v >> pos & field);
    if (pos + len == bits)
        return ir_op2i(b, IR_SHR, a, pos);
    if (pos == 0)
        return ir_op2i(b, IR_AND, a, field);
    return build_field(b, IR_EXTRACT, a, 0, pos, len);
}

ir_ref ir_sextract(struct ir_block *b, ir_ref a, unsigned pos, unsigned len)
{
    enum ir_type t = type_of(b, a);
    unsigned bits = ir_type_bits(t);
    VM_DEBUG_CHECK(len && pos + len <= bits);
    uint64_t v;
    if (ir_is_const(b, a, &v))
        return ir_const(b, t, (uint64_t)ir_sext(v >> pos, len));
    if (pos + len == bits)
        return ir_op2i(b, IR_SAR, a, pos);
    if (pos == 0 && (len == 8 || len == 16))
        return ir_op1(b, len == 8 ? IR_SEXT8 : IR_SEXT16, a);
    return build_field(b, IR_SEXTRACT, a, 0, pos, len);
}

ir_ref ir_deposit(struct ir_block *b, ir_ref a, ir_ref v, unsigned pos, unsigned len)
{
    enum ir_type t = type_of(b, a);
    unsigned bits = ir_type_bits(t);
    VM_DEBUG_CHECK(len && pos + len <= bits);
    if (len == bits)
        return v;
    uint64_t field = (((uint64_t)1 << len) - 1) << pos, va, vv;
    bool ka = ir_is_const(b, a, &va), kv = ir_is_const(b, v, &vv);
    if (ka && kv)
        return ir_const(b, t, (va & ~field) | (vv << pos & field));
    if (kv) {
        ir_ref kept = ir_op2i(b, IR_AND, a, ~field & ir_type_mask(t));
        return ir_op2i(b, IR_OR, kept, vv << pos & field);
    }
    if (ka && !(va & ~field)) {
        ir_ref low = pos + len == bits ? v : ir_op2i(b, IR_AND, v, field >> pos);
        return ir_op2i(b, IR_SHL, low, pos);
    }
    return build_field(b, IR_DEPOSIT, a, v, pos, len);
}

/* ---- conditions ---- */
ir_ref ir_setc(struct ir_block *b, enum ir_rel rel, ir_ref x, ir_ref y)
{
    enum ir_cond_result r = ir_cond_simplify(b, &rel, &x, &y);
    if (r != COND_OPEN)
        return ir_const32(b, r == COND_TRUE);
    struct ir_node n = {.op = IR_SETC, .type = IR_I32, .rel = (uint8_t)rel, .arg = {x, y}};
    return ir_append_pure(b, &n);
}

ir_ref ir_select(struct ir_block *b, enum ir_rel rel, ir_ref x, ir_ref y, ir_ref t, ir_ref f)
{
    enum ir_cond_result r = ir_cond_simplify(b, &rel, &x, &y);
    if (r != COND_OPEN)
        return r == COND_TRUE ? t : f;
    if (t == f)
        return t;
    uint64_t vt, vf;
    if (type_of(b, t) == IR_I32 && ir_is_const(b, t, &vt) && ir_is_const(b, f, &vf) &&
        (vt ^ vf) == 1 && (vt | vf) == 1)
        return ir_setc(b, vt ? rel : ir_rel_invert(rel), x, y);
    struct ir_node n = {
        .op = IR_SELECT, .type = b->node[t].type, .rel = (uint8_t)rel, .arg = {x, y, t, f}};
    return ir_append_pure(b, &n);
}
