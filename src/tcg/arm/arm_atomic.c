/* SPDX-License-Identifier: MIT */
/*
 * Loops of LDREX and STREX that are one atomic operation, as compilers and Linux write them:
 *
 *   LDREX rt, [rn];  [AND rx, rt, rm;]  OP rd, rt, operand;  STREX rs, rd, [rn];  CMP rs, #0;  BNE
 *   LDREX rt, [rn];  STREX rs, rv, [rn];  CMP rs, #0;  BNE
 *   LDREX rt, [rn];  CMP rt, re;  BNE out;  STREX rs, rv, [rn];  CMP rs, #0;  BNE
 *   LDREX rt, [rn];  MOV rs, #0;  TEQ rt, re;  STREXEQ rs, rv, [rn];  CMP rs, #0;  BNE
 *
 * with TEQ for CMP. The operation is tried before the LDREX; where it cannot be had (no RAM at
 * hand, an unaligned address, another value) the loop follows as it stands, so that faults are its
 * own. The loop must end in its page, outside IT blocks, without breakpoints, little-endian.
 * vcpu/exclusive_atomic.c does it. Arm ARM A3.4; A8.8 for the encodings.
 *
 * Threads: the translating vCPU thread.
 */
#include "arm_atomic.h"

#include "vcpu/exclusive.h"

#include <string.h>

#define LONGEST_LOOP 7 /* instructions */

enum piece_kind { OTHER, OPERATE, MOVE_ZERO, COMPARE, TEST, STORE, BRANCH_NE };
enum operation { OP_AND, OP_EOR, OP_SUB, OP_ADD, OP_ORR, OP_BIC };

/* An instruction, as far as it can be part of such a loop. */
struct piece {
    enum piece_kind kind;
    enum operation op;
    uint8_t rd, rn, rm; /* STORE: status, address, value */
    bool immediate;     /* operand is imm, not rm */
    bool sets;          /* flags */
    bool if_equal;      /* STORE: under EQ */
    uint8_t size;       /* STORE: MEMOP_8.. */
    uint32_t imm, target;
};

struct cursor {
    const struct arm_ctx *s;
    uint32_t pc;
    unsigned count;
};

/* ---- decoding ---- */
static void alu(struct piece *p, enum piece_kind kind, enum operation op, unsigned rd, unsigned rn,
                bool sets)
{
    p->kind = kind;
    p->op = op;
    p->rd = (uint8_t)rd;
    p->rn = (uint8_t)rn;
    p->sets = sets;
}

static void operand_imm(struct piece *p, uint32_t imm)
{
    p->immediate = true;
    p->imm = imm;
}

static void decode_a32_dp(const struct arm_ctx *s, uint32_t w, struct piece *p)
{
    static const int8_t op[16] = {OP_AND, OP_EOR, OP_SUB, -1, OP_ADD, -1, -1,     -1,
                                  -1,     -1,     -1,     -1, OP_ORR, -1, OP_BIC, -1};
    unsigned code = w >> 21 & 15, rd = w >> 12 & 15, rn = w >> 16 & 15;
    bool sets = w >> 20 & 1;
    int carry;

    if (w >> 25 & 1)
        operand_imm(p, arm_expand_imm(s, w & 0xfff, &carry));
    else if (w & 0xff0)
        return;
    p->rm = w & 15;
    if (op[code] >= 0)
        alu(p, OPERATE, (enum operation)op[code], rd, rn, sets);
    else if (code == 13 && !sets && p->immediate && p->imm == 0)
        alu(p, MOVE_ZERO, OP_AND, rd, rn, false);
    else if (sets && (code == 9 || code == 10))
        alu(p, code == 10 ? COMPARE : TEST, OP_SUB, 0, rn, true);
}

static void decode_a32(const struct arm_ctx *s, uint32_t pc, uint32_t w, struct piece *p)
{
    static const uint8_t size[4] = {MEMOP_32, MEMOP_64, MEMOP_8, MEMOP_16};
    unsigned cond = w >> 28;

    if ((w & 0x0f900ff0) == 0x01800f90 && (cond == ARM_COND_AL || cond == ARM_COND_EQ)) {
        *p = (struct piece){.kind = STORE,
                            .rd = w >> 12 & 15,
                            .rn = w >> 16 & 15,
                            .rm = w & 15,
                            .if_equal = cond == ARM_COND_EQ,
                            .size = size[w >> 21 & 3]};
    } else if ((w & 0xff000000) == 0x1a000000) {
        p->kind = BRANCH_NE;
        p->target = pc + 8 + (uint32_t)((int32_t)(w << 8) >> 6);
    } else if (cond == ARM_COND_AL && (w & 0x0c000000) == 0) {
        decode_a32_dp(s, w, p);
    }
}

static void decode_t16(uint32_t pc, uint32_t w, struct piece *p)
{
    static const int8_t logic[16] = {OP_AND, OP_EOR, -1, -1, -1,     -1, -1,     -1,
                                     -1,     -1,     -1, -1, OP_ORR, -1, OP_BIC, -1};
    unsigned lo = w & 7, mid = w >> 3 & 7, high = w >> 8 & 7;

    if ((w & 0xf800) == 0x1800) { /* ADDS, SUBS: three registers or a small immediate */
        alu(p, OPERATE, w & 0x200 ? OP_SUB : OP_ADD, lo, mid, true);
        p->rm = w >> 6 & 7;
        p->immediate = w & 0x400;
        p->imm = p->rm;
    } else if ((w & 0xf000) == 0x3000) {
        alu(p, OPERATE, w & 0x800 ? OP_SUB : OP_ADD, high, high, true);
        operand_imm(p, w & 0xff);
    } else if ((w & 0xfc00) == 0x4000 && logic[w >> 6 & 15] >= 0) {
        alu(p, OPERATE, (enum operation)logic[w >> 6 & 15], lo, lo, true);
        p->rm = (uint8_t)mid;
    } else if ((w & 0xff00) == 0x4400) { /* ADD, all registers, no flags */
        alu(p, OPERATE, OP_ADD, lo | (w >> 4 & 8), lo | (w >> 4 & 8), false);
        p->rm = w >> 3 & 15;
    } else if ((w & 0xffc0) == 0x4280) {
        alu(p, COMPARE, OP_SUB, 0, lo, true);
        p->rm = (uint8_t)mid;
    } else if ((w & 0xff00) == 0x4500) {
        alu(p, COMPARE, OP_SUB, 0, lo | (w >> 4 & 8), true);
        p->rm = w >> 3 & 15;
    } else if ((w & 0xf800) == 0x2800) {
        alu(p, COMPARE, OP_SUB, 0, high, true);
        operand_imm(p, w & 0xff);
    } else if ((w & 0xff00) == 0xd100) {
        p->kind = BRANCH_NE;
        p->target = pc + 4 + (uint32_t)((int32_t)(w << 24) >> 23);
    }
}

static void decode_t32_dp(const struct arm_ctx *s, uint32_t w, struct piece *p)
{
    static const int8_t op[16] = {OP_AND, OP_BIC, OP_ORR, -1,     OP_EOR, -1, -1, -1,
                                  OP_ADD, -1,     -1,     -1,     -1,     OP_SUB, -1, -1};
    unsigned code = w >> 21 & 15, rd = w >> 8 & 15, rn = w >> 16 & 15;
    bool sets = w >> 20 & 1;
    int carry;
    uint32_t imm12 = (w >> 15 & 0x800) | (w >> 4 & 0x700) | (w & 0xff);

    if ((w & 0xfa008000) == 0xf0000000)
        operand_imm(p, arm_expand_imm(s, imm12, &carry));
    else if ((w & 0xfe00f0f0) != 0xea000000)
        return;
    p->rm = w & 15;
    if (rd == 15 && sets && (code == 4 || code == 13))
        alu(p, code == 13 ? COMPARE : TEST, OP_SUB, 0, rn, true);
    else if (rd != 15 && rn != 15 && op[code] >= 0)
        alu(p, OPERATE, (enum operation)op[code], rd, rn, sets);
}

static void decode_t32(const struct arm_ctx *s, uint32_t w, struct piece *p)
{
    if ((w & 0xfff000ff) == 0xe8400000 || (w & 0xfff00fe0) == 0xe8c00f40) {
        bool word = (w & 0x00800000) == 0;

        *p = (struct piece){.kind = STORE,
                            .rd = word ? w >> 8 & 15 : w & 15,
                            .rn = w >> 16 & 15,
                            .rm = w >> 12 & 15,
                            .size = word ? MEMOP_32 : w & 0x10 ? MEMOP_16 : MEMOP_8};
    } else {
        decode_t32_dp(s, w, p);
    }
}

/* False at the end of the page. */
static bool next(struct cursor *c, struct piece *p)
{
    unsigned off = c->pc & (unsigned)(GUEST_PAGE_SIZE - 1);
    const uint8_t *code = c->s->page + off;
    uint16_t half[2];

    *p = (struct piece){.kind = OTHER};
    if (off == 0 || off + 4 > GUEST_PAGE_SIZE)
        return false;
    c->count++;
    memcpy(half, code, 4);
    if (!c->s->thumb) {
        decode_a32(c->s, c->pc, half[0] | (uint32_t)half[1] << 16, p);
    } else if (half[0] < 0xe800) {
        decode_t16(c->pc, half[0], p);
        c->pc += 2;
        return true;
    } else {
        decode_t32(c->s, (uint32_t)half[0] << 16 | half[1], p);
    }
    c->pc += 4;
    return true;
}

/* ---- recognition ---- */
enum shape { SHAPE_NONE, SHAPE_OPERATE, SHAPE_SWAP, SHAPE_COMPARE };

struct loop {
    enum shape shape;
    unsigned rt, rn, size;
    struct piece extra, operate, compare, store; /* kind OTHER: not there */
    bool by_compare; /* the status is tested by CMP, which sets C and V */
    uint32_t end;
};

static bool one_of(unsigned r, unsigned a, unsigned b, unsigned c)
{
    return r == a || r == b || r == c;
}

/* Up to the store. */
static bool match_middle(struct cursor *c, struct loop *l)
{
    struct piece p;

    if (!next(c, &p))
        return false;
    if (p.kind == OPERATE && p.op == OP_AND && p.rn == l->rt && p.rd != l->rt) {
        l->extra = p;
        if (!next(c, &p))
            return false;
        if (p.kind == STORE && p.rm == l->extra.rd) { /* it was the operation */
            l->operate = l->extra;
            l->extra.kind = OTHER;
        }
    }
    if (p.kind == OPERATE && l->operate.kind == OTHER) {
        l->operate = p;
        if (!next(c, &p))
            return false;
    } else if (l->operate.kind == OTHER && l->extra.kind == OTHER) {
        bool zero_first = p.kind == MOVE_ZERO;
        unsigned zeroed = p.rd;

        if (zero_first && !next(c, &p))
            return false;
        if (p.kind == COMPARE || p.kind == TEST) {
            l->compare = p;
            if (!next(c, &p) || (!zero_first && (p.kind != BRANCH_NE || !next(c, &p))))
                return false;
            if (p.if_equal != zero_first || (zero_first && p.rd != zeroed))
                return false;
        } else if (zero_first) {
            return false;
        }
    }
    l->store = p;
    return p.kind == STORE && p.if_equal == (l->compare.kind != OTHER && l->store.if_equal);
}

static bool match(struct arm_ctx *s, struct loop *l)
{
    struct cursor c = {.s = s, .pc = s->pc + s->insn_len};
    struct piece test, branch;

    if (!match_middle(&c, l) || !next(&c, &test) || !next(&c, &branch))
        return false;
    if ((test.kind != COMPARE && test.kind != TEST) || !test.immediate || test.imm != 0 ||
        test.rn != l->store.rd || branch.kind != BRANCH_NE || branch.target != s->pc)
        return false;
    l->by_compare = test.kind == COMPARE;
    l->end = c.pc;
    return c.count < LONGEST_LOOP;
}

/* Registers: what the loop reads it does not write, and each result has one writer. */
static bool registers_apart(const struct loop *l)
{
    unsigned rs = l->store.rd, rv = l->store.rm, rt = l->rt;

    if (l->store.rn != l->rn || l->store.size != l->size || one_of(l->rn, rt, rs, 15) || rt == 15 ||
        one_of(rs, rv, l->rn, 15) || rv == 15)
        return false;
    switch (l->shape) {
    case SHAPE_OPERATE:
        if (l->operate.rn != rt || l->operate.rd != rv || rv == l->rn ||
            (!l->operate.immediate &&
             (l->operate.rm == 15 || one_of(l->operate.rm, rt, rv, rs))))
            return false;
        break;
    case SHAPE_COMPARE:
        return l->extra.kind == OTHER && l->compare.rn == rt && rv != rt && rs != rt &&
               (l->compare.immediate || !one_of(l->compare.rm, rt, rs, 15));
    default:
        return l->extra.kind == OTHER && rv != rt && rs != rt;
    }
    return l->extra.kind == OTHER ||
           (!l->extra.immediate && l->extra.rm != 15 && !one_of(l->extra.rm, rt, rv, rs) &&
            !one_of(l->extra.rd, l->rn, rt, rv) && !one_of(l->extra.rd, rs, l->extra.rm, 15) &&
            (l->operate.immediate || l->extra.rd != l->operate.rm) && l->extra.rd != 13);
}

/* Flags at the end: those of the test of the status, and C and V as somebody has left them. */
static bool flags_simple(const struct loop *l)
{
    if (l->by_compare)
        return true;
    return !l->extra.sets && !l->operate.sets &&
           (l->compare.kind != TEST || !l->compare.immediate);
}

static enum shape shape_of(const struct loop *l)
{
    return l->operate.kind != OTHER   ? SHAPE_OPERATE
           : l->compare.kind != OTHER ? SHAPE_COMPARE
                                      : SHAPE_SWAP;
}

/* ---- emission ---- */
static ir_ref operand_of(struct arm_ctx *s, const struct piece *p)
{
    return p->immediate ? arm_imm(s, p->imm) : arm_read_reg(s, p->rm);
}

static ir_ref invert(struct arm_ctx *s, ir_ref v)
{
    return ir_op2i(s->b, IR_XOR, v, UINT32_MAX);
}

static ir_ref emit_call(struct arm_ctx *s, const struct loop *l)
{
    static const enum atomic_op op[] = {[OP_AND] = ATOMIC_AND, [OP_EOR] = ATOMIC_XOR,
                                        [OP_SUB] = ATOMIC_ADD, [OP_ADD] = ATOMIC_ADD,
                                        [OP_ORR] = ATOMIC_OR,  [OP_BIC] = ATOMIC_AND};
    uint32_t how = l->size | (s->privileged ? MEMOP_PRIV : 0);
    ir_ref args[4] = {arm_read_reg(s, l->rn)};

    if (l->shape == SHAPE_COMPARE) {
        args[1] = operand_of(s, &l->compare);
        args[2] = arm_read_reg(s, l->store.rm);
        args[3] = arm_imm(s, how);
        return ir_call(s->b, IR_I64, "compare", (void *)exclusive_helper_compare, CALL_STATE, 4,
                       args);
    }
    if (l->shape == SHAPE_SWAP) {
        args[1] = arm_read_reg(s, l->store.rm);
        how |= (uint32_t)ATOMIC_SWAP << ATOMIC_OP_SHIFT;
    } else {
        args[1] = operand_of(s, &l->operate);
        if (l->operate.op == OP_SUB)
            args[1] = ir_op2(s->b, IR_SUB, arm_imm(s, 0), args[1]);
        else if (l->operate.op == OP_BIC)
            args[1] = invert(s, args[1]);
        how |= (uint32_t)op[l->operate.op] << ATOMIC_OP_SHIFT;
    }
    args[2] = arm_imm(s, how);
    return ir_call(s->b, IR_I64, "atomic", (void *)exclusive_helper_atomic, CALL_STATE, 3, args);
}

static ir_ref result_of(struct arm_ctx *s, const struct piece *p, ir_ref old)
{
    static const enum ir_op op[] = {[OP_AND] = IR_AND, [OP_EOR] = IR_XOR, [OP_SUB] = IR_SUB,
                                    [OP_ADD] = IR_ADD, [OP_ORR] = IR_OR,  [OP_BIC] = IR_AND};
    ir_ref v = operand_of(s, p);

    return ir_op2(s->b, op[p->op], old, p->op == OP_BIC ? invert(s, v) : v);
}

/* What the loop would have left in registers and flags. */
static void emit_results(struct arm_ctx *s, const struct loop *l, ir_ref old)
{
    ir_ref extra = 0, value = 0;

    if (l->extra.kind != OTHER)
        extra = result_of(s, &l->extra, old);
    if (l->shape == SHAPE_OPERATE)
        value = result_of(s, &l->operate, old);
    arm_write_reg(s, l->rt, old);
    if (extra)
        arm_write_reg(s, l->extra.rd, extra);
    if (value)
        arm_write_reg(s, l->operate.rd, value);
    arm_write_reg(s, l->store.rd, arm_imm(s, 0));
    arm_set_nz(s, arm_imm(s, 0));
    if (l->by_compare || l->compare.kind == COMPARE) {
        arm_put_c(s, arm_imm(s, 1));
        arm_put_v(s, arm_imm(s, 0));
    }
}

static bool may_look(const struct arm_ctx *s)
{
    return !s->src->breakpoint && s->src->n_insns + LONGEST_LOOP <= s->src->max_insns &&
           s->cond >= ARM_COND_AL && !s->it && !s->it_next && !(s->exec & EXEC_E) &&
           !s->src->crosses_page;
}

void arm_try_atomic(struct arm_ctx *s, unsigned rn, unsigned rt, unsigned size)
{
    struct loop l = {.rn = rn, .rt = rt, .size = size};
    unsigned as_it_stands;
    ir_ref got;

    if (!may_look(s) || !match(s, &l))
        return;
    l.shape = shape_of(&l);
    if (!registers_apart(&l) || !flags_simple(&l))
        return;
    as_it_stands = ir_label_new(s->b);
    got = emit_call(s, &l);
    ir_brcond(s->b, IR_EQ, ir_op1(s->b, IR_HI32, got), arm_imm(s, 0), as_it_stands);
    emit_results(s, &l, ir_op1(s->b, IR_TRUNC, got));
    arm_goto_end(s, l.end);
    s->done = false;
    ir_label(s->b, as_it_stands);
    arm_flags_changed(s);
    s->reach = l.end;
}
