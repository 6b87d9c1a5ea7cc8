/* SPDX-License-Identifier: MIT */
/*
 * Ways out of a block: linkable direct jumps (inside the page as they are, into other pages behind
 * a comparison with the fetch cache), jump-cache lookups, exits to the run loop, and the poll at
 * the entry. Every block polls, so every cycle of linked blocks does.
 */
#include "x64_internal.h"

#include "base/inject.h"

/* Leave with a reason: the frame holds the exit stub's address. */
static void emit_leave(struct x64_ctx *c, enum tcg_exit reason)
{
    x_mov_ri(&c->e, RAX, reason);
    x_jmp_m(&c->e, x_at(RSP, FRAME_EXIT));
}

/* State pc at an exit, where RAX is free. */
static void put_pc(struct x64_ctx *c, uint64_t pc)
{
    if (c->b->pc_relative) {
        x_mov_rm(&c->e, X_32, RAX, x64_state(STATE(r[15])));
        x_alu_ri(&c->e, X_AND, X_32, RAX, (int32_t)GUEST_PAGE_MASK);
        x_alu_ri(&c->e, X_ADD, X_32, RAX, (int32_t)(pc - (c->b->pc & GUEST_PAGE_MASK)));
        x_mov_mr(&c->e, X_32, x64_state(STATE(r[15])), RAX);
        return;
    }
    x_mov_mi(&c->e, X_32, x64_state(STATE(r[15])), (int32_t)(uint32_t)pc);
}

/* The poll, what the block needs, and its entries counted. */
void x64_emit_entry(struct x64_ctx *c)
{
    const struct ir_block *b = c->b;

    x_alu_mi(&c->e, X_CMP, X_32, x64_state(STATE(poll)), 0);
    x64_slow_jcc(c, x64_slow_new(c, SLOW_POLL, 0), X_NE);
    c->out->unpolled_off = x64_pos(c);
    if (c->o->runs) {
        x_mov_ri(&c->e, RAX, (uintptr_t)c->o->runs);
        x_alu_mi(&c->e, X_ADD, X_64, x_at(RAX, 0), 1);
    }
    if (b->need_bit && !INJECT(SKIP_FP_NEED)) {
        x_test_mi(&c->e, X_32, x64_state((int32_t)b->need_off - VCPU_BIAS), (int32_t)b->need_bit);
        x64_slow_jcc(c, x64_slow_new(c, SLOW_NEED, 0), X_E);
    }
    if (c->o->counter_off) {
        x_alu_mi(&c->e, X_SUB, X_32, x64_state((int32_t)c->o->counter_off - VCPU_BIAS), 1);
        x64_slow_jcc(c, x64_slow_new(c, SLOW_HOT, 0), X_S);
    }
}

/* No-ops so that a rel32 which begins `head` bytes from here is 4-byte aligned: relinking a jump is
 * then one atomic store. */
static void align_rel32(struct x64_ctx *c, unsigned head)
{
    x_nop(&c->e, (0u - ((unsigned)(uintptr_t)x64_here(c) + head)) & 3);
}

/* The rel32 just emitted is the jump slot of GOTO node i. */
static void note_slot(struct x64_ctx *c, ir_ref i)
{
    struct x64_slow *s = x64_slow_new(c, SLOW_LINK, i);
    s->jump[s->njumps++] = x64_pos(c) - 4;
    s->slot = c->out->nslots;
    c->out->slot[c->out->nslots++] =
        (struct tcg_jump_slot){.patch_off = x64_pos(c) - 4, .target_pc = x64_node(c, i)->imm};
}

static bool linkable(const struct x64_ctx *c, const struct ir_node *n)
{
    return (n->imm ^ c->b->pc) >> c->o->link_page_bits == 0 && c->out->nslots < TCG_MAX_SLOTS;
}

static bool linkable_with_guard(const struct x64_ctx *c)
{
    return c->o->link_page_bits == GUEST_PAGE_BITS && c->out->nslots < TCG_MAX_SLOTS;
}

bool x64_branch_to_goto(struct x64_ctx *c, unsigned label, enum x_cc cc)
{
    for (unsigned i = c->label_at[label]; i < c->b->n; i++) {
        const struct ir_node *n = x64_node(c, (ir_ref)i);
        if (n->op == IR_LABEL || n->op == IR_NOP || n->op == IR_CONST || n->op == IR_INSN)
            continue;
        if (n->op != IR_GOTO || !linkable(c, n))
            return false;
        align_rel32(c, 2);
        x_jcc(&c->e, cc, 0);
        note_slot(c, (ir_ref)i);
        c->label_refs[label]--;
        return true;
    }
    return false;
}

static void emit_link(struct x64_ctx *c, ir_ref i)
{
    align_rel32(c, 1);
    x_jmp(&c->e, 0);
    note_slot(c, i);
}

static int32_t jump_tag(const struct x64_ctx *c)
{
    return c->b->privileged ? STATE(jump_tag[1]) : STATE(jump_tag[0]);
}

/* The jump cache's key, in two loads: one of 64 bits would have to wait for the 32-bit store of
 * exec_flags that interworking branches do just before. */
static void load_key(struct x64_ctx *c, struct x_gpr d)
{
    x_mov_rm(&c->e, X_32, d, x64_state(STATE(exec_flags)));
    x_alu_rm(&c->e, X_OR, X_64, d, x64_state(jump_tag(c)));
}

/* RDX = offset of the fetch-cache entry for the pc in EAX, RCX = its page. */
static void emit_fetch_cache_index(struct x64_ctx *c)
{
    _Static_assert(sizeof(struct fetch_cache_entry) == 16 && GUEST_PAGE_BITS == 12, "shift below");
    x_mov_rr(&c->e, X_32, RCX, RAX);
    x_alu_ri(&c->e, X_AND, X_32, RCX, (int32_t)GUEST_PAGE_MASK);
    x_mov_rr(&c->e, X_32, RDX, RCX);
    x_shift_ri(&c->e, X_SHR, X_32, RDX, 8);
    x_alu_ri(&c->e, X_AND, X_32, RDX, (FETCH_CACHE_SIZE - 1) << 4);
}

/*
 * A direct jump into another page, linked to a block of one physical page: right while that is what
 * is fetched there. Whoever drops a page from the jump cache drops it from the fetch cache.
 */
static void emit_guarded_link(struct x64_ctx *c, ir_ref i)
{
    uint64_t pc = x64_node(c, i)->imm;
    struct x64_slow *s = x64_slow_new(c, SLOW_GUARD, i);
    struct x_mem key, page;
    int32_t e = STATE(fetch_cache);
    uint32_t guard;

    put_pc(c, pc); /* the target may be PC-relative code */
    if (c->b->pc_relative) {
        emit_fetch_cache_index(c);
        key = x_at_index(RBP, RDX, 0, e + (int32_t)offsetof(struct fetch_cache_entry, key));
        page = x_at_index(RBP, RDX, 0, e + (int32_t)offsetof(struct fetch_cache_entry, gpa_page));
    } else {
        e += (int32_t)(fetch_cache_index(pc) * sizeof(struct fetch_cache_entry));
        x_mov_ri(&c->e, RCX,
                 (uint32_t)(pc & GUEST_PAGE_MASK) | (c->b->privileged ? FETCH_PRIV : 0));
        key = x64_state(e + (int32_t)offsetof(struct fetch_cache_entry, key));
        page = x64_state(e + (int32_t)offsetof(struct fetch_cache_entry, gpa_page));
    }
    x_alu_rm(&c->e, X_OR, X_64, RCX, x64_state(jump_tag(c)));
    x_alu_mr(&c->e, X_CMP, X_64, key, RCX);
    x64_slow_jcc(c, s, X_NE);
    x_alu_mi(&c->e, X_CMP, X_32, page, INT32_MIN); /* four bytes, patched by x64_patch_guard() */
    guard = x64_pos(c) - 4;
    x64_slow_jcc(c, s, X_NE);
    align_rel32(c, 1);
    x_jmp(&c->e, 0);
    s->jump[s->njumps++] = x64_pos(c) - 4;
    s->slot = c->out->nslots;
    c->out->slot[c->out->nslots++] =
        (struct tcg_jump_slot){.patch_off = x64_pos(c) - 4, .guard_off = guard, .target_pc = pc};
}

static void emit_lookup_const(struct x64_ctx *c, ir_ref i)
{
    uint64_t pc = x64_node(c, i)->imm;
    int32_t e =
        STATE(jump_cache) + (int32_t)(jump_cache_index(pc) * sizeof(struct jump_cache_entry));
    struct x64_slow *s = x64_slow_new(c, SLOW_LOOKUP, i);
    put_pc(c, pc); /* the target may be PC-relative code */
    x_mov_ri(&c->e, RCX, pc);
    load_key(c, RAX);
    x_alu_mr(&c->e, X_CMP, X_32, x64_state(e + (int32_t)offsetof(struct jump_cache_entry, pc)),
             RCX);
    x64_slow_jcc(c, s, X_NE);
    x_alu_mr(&c->e, X_CMP, X_64, x64_state(e + (int32_t)offsetof(struct jump_cache_entry, key)),
             RAX);
    x64_slow_jcc(c, s, X_NE);
    x_jmp_m(&c->e, x64_state(e + (int32_t)offsetof(struct jump_cache_entry, code)));
}

/* RCX = offset of the jump-cache entry for the pc: jump_cache_index() * 32. */
static void emit_jump_cache_index(struct x64_ctx *c, struct x_gpr pc)
{
    _Static_assert(sizeof(struct jump_cache_entry) == 32 && JUMP_CACHE_BITS == 15,
                   "shifts and masks below");
    x_mov_rr(&c->e, X_32, RCX, pc);
    x_shift_ri(&c->e, X_SHR, X_32, RCX, 9);
    x_alu_rr(&c->e, X_XOR, X_32, RCX, pc);
    x_shift_ri(&c->e, X_SHL, X_32, RCX, 3);
    x_alu_ri(&c->e, X_AND, X_32, RCX, 0x7fff << 5);
}

/* To the block for the pc in a register and the exec_flags in EDX, which are in the state as well:
 * loads of what was just stored would wait for the stores. */
static void emit_jump_cache(struct x64_ctx *c, ir_ref i, struct x_gpr pc)
{
    int32_t e = STATE(jump_cache);
    struct x64_slow *s = x64_slow_new(c, SLOW_LOOKUP, i);
    emit_jump_cache_index(c, pc);
    x_alu_rm(&c->e, X_OR, X_64, RDX, x64_state(jump_tag(c)));
    x_alu_mr(&c->e, X_CMP, X_32,
             x_at_index(RBP, RCX, 0, e + (int32_t)offsetof(struct jump_cache_entry, pc)), pc);
    x64_slow_jcc(c, s, X_NE);
    x_alu_mr(&c->e, X_CMP, X_64,
             x_at_index(RBP, RCX, 0, e + (int32_t)offsetof(struct jump_cache_entry, key)), RDX);
    x64_slow_jcc(c, s, X_NE);
    x_jmp_m(&c->e, x_at_index(RBP, RCX, 0, e + (int32_t)offsetof(struct jump_cache_entry, code)));
}

static void emit_lookup(struct x64_ctx *c, ir_ref i)
{
    const struct x64_val *v = &c->val[i];
    struct x_gpr pc = RAX;
    if (v->base)
        pc = x64_use(c, v->base, RAX);
    else
        x_mov_rm(&c->e, X_32, RAX, x64_state(STATE(r[15])));
    if (v->exec)
        x64_load(c, RDX, v->exec);
    else
        x_mov_rm(&c->e, X_32, RDX, x64_state(STATE(exec_flags)));
    emit_jump_cache(c, i, pc);
}

/* Out of line: as BX to the first argument. */
static void emit_bx(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    x64_load(c, RAX, n->arg[0]);
    x_mov_rr(&c->e, X_32, RDX, RAX);
    x_alu_ri(&c->e, X_AND, X_32, RDX, EXEC_T);
    x_alu_ri(&c->e, X_OR, X_32, RDX, (int32_t)n->imm);
    x_mov_mr(&c->e, X_32, x64_state(STATE(exec_flags)), RDX);
    x_alu_ri(&c->e, X_AND, X_32, RAX, ~1);
    x_mov_mr(&c->e, X_32, x64_state(STATE(r[15])), RAX);
    emit_jump_cache(c, i, RAX);
}

/* To a constant pc. */
static void emit_goto(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    if (linkable(c, n))
        emit_link(c, i);
    else if (linkable_with_guard(c))
        emit_guarded_link(c, i);
    else if (c->b->pc_relative) {
        put_pc(c, n->imm);
        emit_lookup(c, i);
    } else
        emit_lookup_const(c, i);
}

void x64_emit_exit(struct x64_ctx *c, ir_ref i)
{
    const struct ir_node *n = x64_node(c, i);
    if (n->op == IR_EXIT)
        emit_leave(c, (enum tcg_exit)n->imm);
    else if (n->op == IR_GOTO_IND)
        emit_lookup(c, i);
    else
        emit_goto(c, i);
}

void x64_emit_side_exit(struct x64_ctx *c, ir_ref i, enum x_cc cc)
{
    bool bx = x64_node(c, i)->op == IR_BX_UNLESS;
    if (!bx && !c->pending.n && linkable(c, x64_node(c, i))) {
        align_rel32(c, 2);
        x_jcc(&c->e, cc, 0);
        note_slot(c, i);
        return;
    }
    struct x64_slow *s = x64_slow_new(c, bx ? SLOW_BX : SLOW_SIDE, i);
    x64_note_pending(c, s);
    x64_slow_jcc(c, s, cc);
}

/* The same for all slots of a block: the first has the code. */
static void leave_to_link(struct x64_ctx *c)
{
    if (c->link_tail) {
        x_jmp(&c->e, 0);
        x64_set_rel32(c, x64_pos(c) - 4, c->link_tail);
        return;
    }
    c->link_tail = x64_pos(c);
    x_mov_ri(&c->e, RAX, (uintptr_t)c->o->tb);
    x_mov_mr(&c->e, X_64, x64_state(STATE(exit_tb)), RAX);
    emit_leave(c, TCG_EXIT_LINK);
}

void x64_emit_slow_exit(struct x64_ctx *c, struct x64_slow *s)
{
    const struct ir_node *n = x64_node(c, s->node);
    switch (s->kind) {
    case SLOW_POLL:
    case SLOW_NEED:
    case SLOW_HOT:
        put_pc(c, c->b->pc);
        emit_leave(c, s->kind == SLOW_POLL  ? TCG_EXIT_POLL
                      : s->kind == SLOW_HOT ? TCG_EXIT_HOT
                                            : TCG_EXIT_NEED);
        break;
    case SLOW_LINK:
    case SLOW_GUARD:
        c->out->slot[s->slot].unlinked_off = x64_pos(c);
        if (s->kind == SLOW_LINK)
            put_pc(c, n->imm);
        x_mov_mi(&c->e, X_32, x64_state(STATE(exit_arg)), (int32_t)s->slot);
        leave_to_link(c);
        break;
    case SLOW_SIDE:
        x64_emit_pending(c, s);
        emit_goto(c, s->node);
        break;
    case SLOW_BX:
        x64_emit_pending(c, s);
        emit_bx(c, s->node);
        break;
    default:
        emit_leave(c, TCG_EXIT_LOOKUP);
        break;
    }
}
