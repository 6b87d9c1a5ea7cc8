/* SPDX-License-Identifier: MIT */
/*
 * Builder functions with effects: memory accesses, helper calls, labels, branches and exits; and
 * the vector and floating-point ops, which fold nothing.
 */
#include "ir_internal.h"
#include "base/log.h"

ir_ref ir_load(struct ir_block *b, enum ir_type t, ir_ref gva, uint32_t memop)
{
    if (b->privileged)
        memop |= MEMOP_PRIV;
    struct ir_node n = {.op = IR_LD, .type = (uint8_t)t, .arg = {gva}, .imm = memop};
    return ir_append(b, &n);
}

void ir_store(struct ir_block *b, ir_ref gva, ir_ref v, uint32_t memop)
{
    if (b->privileged)
        memop |= MEMOP_PRIV;
    if (b->store_helper) {
        ir_call(b, IR_VOID, "store", b->store_helper, CALL_RAISES, 3,
                (ir_ref[]){gva, v, ir_const32(b, memop)});
        return;
    }
    struct ir_node n = {.op = IR_ST, .arg = {gva, v}, .imm = memop};
    ir_append(b, &n);
}

void ir_fence(struct ir_block *b)
{
    struct ir_node n = {.op = IR_FENCE};
    ir_append(b, &n);
}

/* Index in the call table; the same helper with the same flags shares an entry. */
static unsigned call_index(struct ir_block *b, const struct ir_call *c)
{
    for (unsigned i = b->ncalls; i-- > 0 && i + 16 > b->ncalls;)
        if (b->call[i].fn == c->fn && b->call[i].flags == c->flags && b->call[i].nargs == c->nargs)
            return i;
    if (b->ncalls == IR_MAX_CALLS) {
        b->full = true;
        return 0;
    }
    b->call[b->ncalls] = *c;
    return b->ncalls++;
}

ir_ref ir_call(struct ir_block *b, enum ir_type t, const char *name, void *fn, unsigned flags,
               unsigned nargs, const ir_ref *args)
{
    VM_CHECK(nargs <= 5);
    if (flags & CALL_RAISES)
        flags |= CALL_STATE;
    struct ir_call c = {.name = name, .fn = fn, .flags = (uint8_t)flags, .nargs = (uint8_t)nargs};
    struct ir_node n = {.op = IR_CALL, .type = (uint8_t)t, .imm = call_index(b, &c)};
    for (unsigned i = 0; i < nargs; i++)
        n.arg[i] = args[i];
    ir_ref r = ir_append(b, &n);
    if (flags & CALL_WRITES)
        ir_slots_forget(b);
    return r;
}

/* ---- control flow ---- */
unsigned ir_label_new(struct ir_block *b)
{
    if (b->nlabels == IR_MAX_LABELS) {
        b->full = true;
        return 0;
    }
    b->bs->first_branch[b->nlabels] = 0;
    return b->nlabels++;
}

static void note_branch(struct ir_block *b, unsigned label, ir_ref at)
{
    if (!b->bs->first_branch[label])
        b->bs->first_branch[label] = at;
}

void ir_label(struct ir_block *b, unsigned label)
{
    ir_ref first = b->bs->first_branch[label];
    if (!first)
        return; /* nothing jumps here (its condition was constant): not a join */
    struct ir_node n = {.op = IR_LABEL, .imm = label};
    ir_ref at = ir_append(b, &n);
    if (b->full)
        return;
    ir_slots_keep_until(b, first);
    for (unsigned r = first + 1u; r < at; r++)
        b->bs->hidden[r / 64] |= (uint64_t)1 << (r % 64);
}

void ir_br(struct ir_block *b, unsigned label)
{
    struct ir_node n = {.op = IR_BR, .imm = label};
    note_branch(b, label, ir_append(b, &n));
}

void ir_brcond(struct ir_block *b, enum ir_rel rel, ir_ref x, ir_ref y, unsigned label)
{
    enum ir_cond_result r = ir_cond_simplify(b, &rel, &x, &y);
    if (r == COND_TRUE)
        ir_br(b, label);
    if (r != COND_OPEN)
        return;
    struct ir_node n = {.op = IR_BRCOND, .rel = (uint8_t)rel, .arg = {x, y}, .imm = label};
    note_branch(b, label, ir_append(b, &n));
}

void ir_goto(struct ir_block *b, uint64_t pc)
{
    struct ir_node n = {.op = IR_GOTO, .imm = pc};
    ir_append(b, &n);
}

void ir_goto_if(struct ir_block *b, enum ir_rel rel, ir_ref x, ir_ref y, uint64_t pc)
{
    enum ir_cond_result r = ir_cond_simplify(b, &rel, &x, &y);
    if (r == COND_TRUE)
        ir_goto(b, pc);
    if (r != COND_OPEN)
        return;
    struct ir_node n = {.op = IR_GOTO_IF, .rel = (uint8_t)rel, .arg = {x, y}, .imm = pc};
    ir_append(b, &n);
}

void ir_bx_unless(struct ir_block *b, ir_ref v, ir_ref expected, uint32_t exec_flags)
{
    struct ir_node n = {.op = IR_BX_UNLESS, .arg = {v, expected}, .imm = exec_flags};
    ir_append(b, &n);
}

void ir_goto_ind(struct ir_block *b)
{
    struct ir_node n = {.op = IR_GOTO_IND};
    ir_append(b, &n);
}

void ir_exit(struct ir_block *b, unsigned reason)
{
    struct ir_node n = {.op = IR_EXIT, .imm = reason};
    ir_append(b, &n);
}

/* ---- vectors ---- */
ir_ref ir_vop(struct ir_block *b, enum ir_op op, unsigned lane, ir_ref a, ir_ref c, uint64_t imm)
{
    struct ir_node n = {.op = (uint8_t)op, .size = (uint8_t)lane, .arg = {a, c}, .imm = imm};
    n.type = ir_ops[op].res == 'V' ? IR_V128 : ir_ops[op].res == 'D' ? IR_I64 : IR_I32;
    return ir_ops[op].flags & IR_PURE ? ir_append_pure(b, &n) : ir_append(b, &n);
}

/* Can a lane of `size` bytes be a subnormal number? Not what was flushed in lanes of that size, or
 * made from an integer. */
static bool may_be_subnormal(const struct ir_block *b, ir_ref v, unsigned size)
{
    const struct ir_node *n = &b->node[v];
    uint64_t k;
    if (n->op == IR_ITOV) /* zero, of a comparison */
        return !ir_is_const(b, n->arg[0], &k) || k;
    if (n->op == IR_FCVT || n->op == IR_VFCEQ || n->op == IR_VFCGE || n->op == IR_VFCGT ||
        n->op == IR_VFTOI || n->op < IR_FADD)
        return true;
    return n->size != size || !(n->rel & IR_FP_FZ || n->op == IR_ITOF || n->op == IR_VITOF);
}

ir_ref ir_fop(struct ir_block *b, enum ir_op op, const struct ir_float *f, ir_ref x, ir_ref y,
              ir_ref z)
{
    struct ir_node n = {
        .op = (uint8_t)op, .rel = f->how, .size = f->size, .off = f->last, .arg = {x, y, z}};
    n.type = ir_ops[op].res == 'V' ? IR_V128 : IR_I32;
    if (f->helper) {
        struct ir_call c = {
            .name = f->name, .fn = f->helper, .nargs = (uint8_t)(ir_ops[op].nargs + f->has_last)};
        n.imm = call_index(b, &c);
    }
    for (unsigned k = 0; (f->how & IR_FP_FZ) && k < ir_ops[op].nargs; k++)
        if (may_be_subnormal(b, n.arg[k], f->size))
            n.rel |= (uint8_t)(IR_FP_SUBNORMAL << k);
    return ir_append(b, &n);
}

ir_ref ir_vconst(struct ir_block *b, const uint8_t *bytes)
{
    return ir_vop(b, IR_VCONST, 1, 0, 0, (uintptr_t)bytes);
}

ir_ref ir_vtoi(struct ir_block *b, enum ir_type t, ir_ref v)
{
    const struct ir_node *x = &b->node[v];
    if (x->op == IR_ITOV && b->node[x->arg[0]].type == (unsigned)t)
        return x->arg[0];
    struct ir_node n = {.op = IR_VTOI, .type = (uint8_t)t, .arg = {v}};
    return ir_append_pure(b, &n);
}
