/* SPDX-License-Identifier: MIT */
/*
 * The back end's main loop: analysis, allocation, one walk that emits, then the out-of-line parts
 * and the fix-ups. Runs on the translating vCPU's thread; the context is a thread-local scratch of
 * ~300 KiB, so that nothing is allocated per block.
 */
#include "x64_internal.h"
#include "base/inject.h"
#include "base/log.h"

#define NODE_BYTES 2048 /* more than any node or out-of-line part emits */

static void fail(struct x64_ctx *c, int error)
{
    if (!c->error)
        c->error = error;
}

void x64_set_rel32(struct x64_ctx *c, uint32_t pos, uint32_t target)
{
    uint8_t *field = x64_place(c, pos);
    int32_t rel = (int32_t)(x64_place(c, target) - (field + 4));
    memcpy(field, &rel, 4);
}

void x64_site(struct x64_ctx *c, const struct tcg_site *s)
{
    if (c->out->nsites == TCG_MAX_SITES)
        fail(c, -E2BIG);
    else
        c->out->site[c->out->nsites++] = *s;
}

struct x64_slow *x64_slow_new(struct x64_ctx *c, enum slow_kind kind, ir_ref node)
{
    if (c->nslow == X64_MAX_SLOW) {
        fail(c, -E2BIG);
        c->nslow--;
    }
    struct x64_slow *s = &c->slow[c->nslow++];
    *s = (struct x64_slow){.kind = (uint8_t)kind,
                           .node = node,
                           .pc = c->pc,
                           .extra = c->extra,
                           .live_gpr = c->live_gpr,
                           .live_xmm = c->live_xmm};
    return s;
}

void x64_slow_jcc(struct x64_ctx *c, struct x64_slow *s, enum x_cc cc)
{
    x_jcc(&c->e, cc, 0);
    VM_DEBUG_CHECK(s->njumps < ARRAY_SIZE(s->jump));
    s->jump[s->njumps++] = x64_pos(c) - 4;
}

void x64_jump_label(struct x64_ctx *c, unsigned label, bool conditional, enum x_cc cc)
{
    if (conditional)
        x_jcc(&c->e, cc, 0);
    else
        x_jmp(&c->e, 0);
    if (c->nfixups == X64_MAX_FIXUPS) {
        fail(c, -E2BIG);
        return;
    }
    c->fixup[c->nfixups++] = (struct x64_fixup){.pos = x64_pos(c) - 4, .label = label};
}

/* A jump to a label right behind it needs no code. */
static bool label_follows(const struct x64_ctx *c, unsigned i)
{
    uint64_t label = x64_node(c, (ir_ref)i)->imm;
    for (unsigned k = i + 1; k < c->b->n; k++) {
        const struct ir_node *n = x64_node(c, (ir_ref)k);
        if (n->op == IR_LABEL && n->imm == label)
            return true;
        if (n->op != IR_LABEL && n->op != IR_NOP && n->op != IR_CONST)
            return false;
    }
    return false;
}

static void emit_control(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    switch (n->op) {
    case IR_LABEL:
        c->label_pos[n->imm] = x64_pos(c);
        break;
    case IR_BR:
        if (!label_follows(c, i))
            x64_jump_label(c, (unsigned)n->imm, false, X_E);
        break;
    case IR_FENCE:
        if (!INJECT(NO_FENCE))
            x_lock_or0(&c->e, x_at(RSP, FRAME_SCRATCH));
        break;
    default:
        x64_emit_exit(c, i);
        break;
    }
}

/* Nodes that may look at, or at least keep, the host flags of earlier ones. */
static bool keeps_flags(unsigned op)
{
    switch (op) {
    case IR_GET:
    case IR_PUT:
    case IR_DEFER:
    case IR_MOV:
    case IR_ZEXT8:
    case IR_ZEXT16:
    case IR_SEXT8:
    case IR_SEXT16:
    case IR_ZEXT32:
    case IR_SEXT32:
    case IR_TRUNC:
    case IR_VTOI:
    case IR_ITOV:
    case IR_ADD:
    case IR_SUB:
    case IR_ADC:
    case IR_AND:
    case IR_ANDN:
    case IR_OR:
    case IR_XOR:
    case IR_ADD_C:
    case IR_ADD_V:
    case IR_SUB_V:
    case IR_ADC_C:
    case IR_ADC_V:
    case IR_SETC:
    case IR_SELECT:
    case IR_BRCOND:
    case IR_GOTO_IF:
    case IR_BX_UNLESS:
        return true;
    default:
        return false;
    }
}

void x64_emit_node(struct x64_ctx *c, ir_ref i)
{
    unsigned op = x64_node(c, i)->op;
    if (!keeps_flags(op))
        x64_no_flags(c);
    switch (op) {
    case IR_ADD:
    case IR_SUB:
    case IR_ADC:
    case IR_ADD_C:
    case IR_ADD_V:
    case IR_SUB_V:
    case IR_ADC_C:
    case IR_ADC_V:
    case IR_AND:
    case IR_ANDN:
    case IR_OR:
    case IR_XOR:
        x64_emit_arith(c, i);
        break;
    case IR_SETC:
    case IR_SELECT:
    case IR_BRCOND:
    case IR_GOTO_IF:
    case IR_BX_UNLESS:
        x64_emit_cond(c, i);
        break;
    case IR_UDIV:
    case IR_SDIV:
        x64_emit_div(c, i);
        break;
    case IR_EXTRACT:
    case IR_SEXTRACT:
    case IR_DEPOSIT:
    case IR_HI32:
    case IR_PAIR:
        x64_emit_field(c, i);
        break;
    case IR_LD:
    case IR_ST:
        x64_emit_access(c, i);
        break;
    case IR_CALL:
        x64_emit_call(c, i);
        break;
    case IR_FENCE:
    case IR_LABEL:
    case IR_BR:
    case IR_GOTO:
    case IR_GOTO_IND:
    case IR_EXIT:
        emit_control(c, i);
        break;
    default:
        if (op >= IR_VFADD)
            x64_emit_packed(c, i);
        else if (op >= IR_FADD)
            x64_emit_float(c, i);
        else if (op >= IR_VAND)
            x64_emit_vector(c, i);
        else
            x64_emit_int(c, i);
        break;
    }
}

/* Somebody observes this node even when nobody uses its value. */
static bool needed(const struct x64_ctx *c, ir_ref i)
{
    const struct x64_val *v = &c->val[i];
    const struct ir_node *n = x64_node(c, i);
    if (v->folded || v->deferred)
        return false;
    return v->uses || v->want_flags || (!(ir_ops[n->op].flags & IR_PURE) && n->op != IR_GET);
}

/* Registers whose values end at node i; returned so that the node's result can be added after. */
static void kill_args(struct x64_ctx *c, ir_ref i)
{
    for (ir_ref r = c->ends[i]; r; r = c->val[r].ends_next) {
        const struct x64_val *v = &c->val[r];
        if (v->kind == VAL_GPR)
            c->live_gpr &= ~(1u << v->reg);
        else if (v->kind == VAL_XMM)
            c->live_xmm &= ~(1u << v->reg);
    }
}

static void emit_block(struct x64_ctx *c)
{
    const struct ir_block *b = c->b;
    x64_emit_entry(c);
    for (unsigned i = 1; i < b->n && !c->error; i++) {
        const struct ir_node *n = &b->node[i];
        if (c->e.p > c->limit) {
            fail(c, -ENOSPC);
            return;
        }
        if (n->op == IR_INSN) {
            c->pc = (uint32_t)n->imm;
            c->extra = (uint16_t)(n->imm >> 32);
        }
        if (n->op == IR_NOP || n->op == IR_CONST || n->op == IR_INSN)
            continue;
        kill_args(c, (ir_ref)i);
        if (n->op == IR_PUT || n->op == IR_DEFER)
            x64_pending_put(c, &c->pending, (ir_ref)i);
        if (n->op == IR_LABEL && c->label_refs[n->imm])
            c->dead = false;
        if (c->dead || !needed(c, (ir_ref)i))
            continue;
        x64_emit_node(c, (ir_ref)i);
        c->dead = n->op == IR_BR || n->op == IR_GOTO || n->op == IR_GOTO_IND || n->op == IR_EXIT;
        if (c->val[i].kind == VAL_GPR)
            c->live_gpr |= 1u << c->val[i].reg;
        else if (c->val[i].kind == VAL_XMM)
            c->live_xmm |= 1u << c->val[i].reg;
    }
}

/* From here on code goes to its other place, if there is one. */
static void go_out_of_line(struct x64_ctx *c, const struct code_buffer *buf)
{
    if (!buf->cold_rw)
        return;
    VM_DEBUG_CHECK(buf->cold_rw - c->start == buf->cold_rx - c->rx);
    c->split = x64_pos(c);
    c->cold = c->e.p = buf->cold_rw;
    c->limit = buf->cold_rw + buf->cold_room - NODE_BYTES;
}

static void emit_slow(struct x64_ctx *c)
{
    for (unsigned k = 0; k < c->nslow && !c->error; k++) {
        struct x64_slow *s = &c->slow[k];
        if (c->e.p > c->limit) {
            fail(c, -ENOSPC);
            return;
        }
        for (unsigned j = 0; j < s->njumps; j++)
            x64_set_rel32(c, s->jump[j], x64_pos(c));
        if (s->kind == SLOW_ACCESS)
            x64_emit_slow_access(c, s);
        else if (s->kind == SLOW_FLOAT)
            x64_emit_slow_float(c, s);
        else
            x64_emit_slow_exit(c, s);
    }
}

int x64_compile(const struct ir_block *b, const struct x64_options *o,
                const struct code_buffer *buf, struct x64_result *out)
{
    static _Thread_local struct x64_ctx ctx;
    struct x64_ctx *c = &ctx;
    if (buf->room < 2 * NODE_BYTES || (buf->cold_rw && buf->cold_room < 2 * NODE_BYTES))
        return -ENOSPC;
    out->nsites = out->nslots = 0;
    c->b = b;
    c->o = o;
    c->out = out;
    c->start = c->e.p = buf->rw;
    c->limit = buf->rw + buf->room - NODE_BYTES;
    c->rx = buf->rx;
    c->split = UINT32_MAX;
    c->cold = NULL;
    c->error = 0;
    c->dead = false;
    c->pc = (uint32_t)b->pc;
    c->extra = 0;
    c->live_gpr = c->live_xmm = 0;
    c->nfixups = c->nslow = c->npool = 0;
    c->link_tail = 0;
    x64_no_flags(c);
    x64_analyse(c);
    c->error = x64_allocate(c);
    c->pending.n = 0;
    if (!c->error)
        emit_block(c);
    out->straight_bytes = x64_pos(c);
    go_out_of_line(c, buf);
    if (!c->error)
        emit_slow(c);
    for (unsigned k = 0; k < c->nfixups && !c->error; k++)
        x64_set_rel32(c, c->fixup[k].pos, c->label_pos[c->fixup[k].label]);
    out->host_bytes = x64_pos(c);
    return c->error;
}
