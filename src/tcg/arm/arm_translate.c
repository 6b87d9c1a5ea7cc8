/* SPDX-License-Identifier: MIT */
/*
 * The block loop of the ARM front end: fetch, IT and condition handling, decode, and where a block
 * ends (an instruction that leaves, the end of the page, the limit of instructions). An instruction
 * that crosses the page end is a block of its own, so that a block depends on one page in all other
 * cases but regions, which may go on in other pages behind guards. Arm ARM A2.5 (execution state),
 * A5.1, A6.1 (instruction set encoding), A7.3.2 (IT blocks).
 *
 * Threads: the translating vCPU thread; the context lives on its stack.
 */
#include "arm_internal.h"
#include "vcpu/exclusive.h"
#include <string.h>

#define ROOM_PER_INSN 400

enum fetch_result { FETCH_OK, FETCH_NEXT_BLOCK, FETCH_FAULT };

static uint16_t fetch_half(const uint8_t *p)
{
    uint16_t h;

    memcpy(&h, p, sizeof(h));
    return h;
}

static unsigned page_offset(uint32_t pc)
{
    return pc & (unsigned)(GUEST_PAGE_SIZE - 1);
}

static bool outside_page(const struct arm_ctx *s)
{
    return ((s->pc ^ s->page_pc) & (uint32_t)GUEST_PAGE_MASK) != 0;
}

/* A region leaves here unless the fetch cache says that this physical page is executed at s->pc.
 * The same makes links into other pages safe (x64_exit.c). */
static void emit_page_guard(struct arm_ctx *s, uint32_t gpa_page)
{
    struct ir_block *b = s->b;
    uint32_t entry = ARM_OFF(fetch_cache) +
                     fetch_cache_index(s->pc) * (uint32_t)sizeof(struct fetch_cache_entry);
    uint64_t page = (s->pc & (uint32_t)GUEST_PAGE_MASK) | (s->privileged ? FETCH_PRIV : 0);
    ir_ref tag = ir_get(b, IR_I64, ARM_OFF(jump_tag) + (s->privileged ? 8 : 0), 8);
    ir_ref key = ir_get(b, IR_I64, entry + (uint32_t)offsetof(struct fetch_cache_entry, key), 8);
    ir_ref have =
        ir_get(b, IR_I32, entry + (uint32_t)offsetof(struct fetch_cache_entry, gpa_page), 4);

    ir_goto_if(b, IR_NE, key, ir_op2(b, IR_OR, tag, ir_const64(b, page)), s->pc);
    ir_goto_if(b, IR_NE, have, arm_imm(s, gpa_page), s->pc);
}

/* Has the region entered this physical page before? If not, that is noted. */
static bool was_entered(struct tcg_source *src, gpa_t page)
{
    for (unsigned i = 0; i < src->nguarded; i++) {
        if (src->guarded[i] == page) {
            return true;
        }
    }
    src->guarded[src->nguarded++] = page;
    return false;
}

/* A region has branched into another page: false when it ends there. */
static bool enter_page(struct arm_ctx *s)
{
    struct tcg_source *src = s->src;
    uint32_t gpa_page;
    const uint8_t *page = src->region_page ? src->region_page(src, s->pc, &gpa_page) : NULL;

    if (!page) {
        return false;
    }
    s->page = page;
    s->page_pc = s->pc;
    if (page != src->page && !was_entered(src, (gpa_t)gpa_page << GUEST_PAGE_BITS)) {
        emit_page_guard(s, gpa_page);
    }
    return true;
}

static bool is_t32_prefix(uint16_t half)
{
    return half >= 0xe800;
}

static enum fetch_result fetch_t32(struct arm_ctx *s, bool first)
{
    unsigned off = page_offset(s->pc);
    uint16_t half = fetch_half(s->page + off);
    const uint8_t *second = s->page + off + 2;

    s->insn = half;
    s->insn_len = 2;
    if (!is_t32_prefix(half)) {
        return FETCH_OK;
    }
    s->insn_len = 4;
    if (off + 2 == GUEST_PAGE_SIZE) {
        if (!first) {
            return FETCH_NEXT_BLOCK;
        }
        second = s->src->next_page(s->src->vcpu);
        if (!second) {
            return FETCH_FAULT;
        }
        s->src->crosses_page = true;
    }
    s->insn = (uint32_t)half << 16 | fetch_half(second);
    return FETCH_OK;
}

static enum fetch_result fetch(struct arm_ctx *s, bool first)
{
    if (s->thumb) {
        return fetch_t32(s, first);
    }
    memcpy(&s->insn, s->page + page_offset(s->pc), 4);
    s->insn_len = 4;
    return FETCH_OK;
}

/* The second half of the instruction at pc cannot be fetched: the abort is the instruction's. */
static void emit_fetch_fault(struct arm_ctx *s)
{
    s->insn_len = 2;
    s->next_pc = s->pc; /* when the fetch succeeds by then: again from here */
    s->it_next = s->it;
    ir_insn(s->b, s->pc, s->it);
    arm_call(s, "fetch_fault", (void *)arm_helper_fetch_fault, CALL_RAISES,
             arm_pc_ref(s, s->pc + 2), 0, 0);
    arm_exit_next(s, TCG_EXIT_STATE);
}

static uint8_t it_advance(uint8_t it)
{
    return (it & 7) ? (uint8_t)((it & 0xe0) | (it << 1 & 0x1f)) : 0;
}

static bool is_t16_bkpt(const struct arm_ctx *s)
{
    return s->insn_len == 2 && (s->insn & 0xff00) == 0xbe00;
}

/* Condition of the instruction at hand; 1111 stands for unconditional in A32. BKPT is unconditional
 * inside an IT block too (A8.8.24). */
static uint8_t condition(const struct arm_ctx *s)
{
    if (s->thumb) {
        return s->it && !is_t16_bkpt(s) ? s->it >> 4 : ARM_COND_AL;
    }
    return (uint8_t)(s->insn >> 28);
}

/* Translate the instruction in s->insn; true when the block ends with it. */
static bool translate_insn(struct arm_ctx *s)
{
    bool conditional;

    s->next_pc = s->pc + s->insn_len;
    s->it_next = it_advance(s->it);
    s->cond = condition(s);
    conditional = s->cond < ARM_COND_AL;
    if (s->in_section && (s->section_cond != s->cond || s->section_dirty)) {
        arm_section_close(s);
    }
    ir_insn(s->b, s->pc, s->it);
    if (conditional && arm_follow_conditional(s)) {
        return false;
    }
    arm_section_begin(s);
    if (!arm_decode(s)) {
        if (s->select) {
            arm_section_open(s);
        }
        arm_undef(s);
    }
    s->select = false;
    if (s->done && conditional) {
        s->done = false;
        arm_section_close(s);
        arm_fallthrough(s);
    }
    return s->done;
}

/* A branch to an address that this instruction set cannot have (UNPREDICTABLE): align it. */
static void emit_align_pc(struct arm_ctx *s)
{
    uint32_t mask = s->thumb ? ~1u : ~3u;

    s->insn_len = s->thumb ? 2 : 4;
    ir_insn(s->b, s->pc, s->it);
    ir_put(s->b, ARM_OFF_REG(15), 4, arm_pc_ref(s, s->pc & mask));
    ir_goto_ind(s->b);
    s->pc = (s->pc & mask) + s->insn_len;
    s->src->n_insns = 1;
}

/* To the run loop, which knows whether the address is really one to stop at. */
static void emit_breakpoint(struct arm_ctx *s)
{
    s->src->n_insns = 1;
    s->next_pc = s->pc;
    s->it_next = s->it;
    ir_insn(s->b, s->pc, s->it);
    arm_exit_next(s, TCG_EXIT_BREAK);
    s->pc += s->thumb ? 2 : 4;
}

static void translate_run(struct arm_ctx *s, unsigned max_insns)
{
    struct tcg_source *src = s->src;

    if (src->breakpoint && src->breakpoint(src, s->pc)) {
        emit_breakpoint(s);
        return;
    }
    for (;;) {
        enum fetch_result f = fetch(s, src->n_insns == 0);

        if (f == FETCH_NEXT_BLOCK) {
            break;
        }
        src->n_insns++;
        if (f == FETCH_FAULT) {
            emit_fetch_fault(s);
            s->pc += 2;
            return;
        }
        if (translate_insn(s)) {
            s->pc = s->next_pc;
            return;
        }
        s->pc = s->next_pc;
        s->it = s->it_next;
        if (src->n_insns >= max_insns || src->crosses_page || (outside_page(s) && !enter_page(s)) ||
            ir_room(s->b) < ROOM_PER_INSN || (src->breakpoint && src->breakpoint(src, s->pc))) {
            break;
        }
    }
    arm_section_close(s);
    s->next_pc = s->pc;
    s->it_next = s->it;
    arm_fallthrough(s);
}

static void translate_attempt(struct tcg_source *src, struct ir_block *b, unsigned max_insns)
{
    struct arm_ctx s = {
        .b = b,
        .src = src,
        .page = src->page,
        .page_pc = (uint32_t)src->pc,
        .exec = src->exec_flags,
        .features = src->features,
        .thumb = src->exec_flags & EXEC_T,
        .privileged = src->exec_flags & EXEC_PRIV,
        .pc = (uint32_t)src->pc,
    };

    b->pc_relative = src->pc_relative;
    src->n_insns = src->n_followed = src->guest_bytes = 0;
    src->crosses_page = false;
    src->indirect = false;
    src->nguarded = 0;
    if (s.thumb) {
        s.it = (uint8_t)(src->exec_flags >> EXEC_IT_SHIFT);
        if ((s.it & 15) == 0) {
            s.it = 0; /* no such state: as outside an IT block */
        }
    }
    if (s.pc & (s.thumb ? 1 : 3)) {
        emit_align_pc(&s);
    } else {
        translate_run(&s, max_insns);
    }
    if (!src->guest_bytes) {
        src->guest_bytes = (s.reach > s.pc ? s.reach : s.pc) - (uint32_t)src->pc;
    }
}

void arm_translate_block(struct tcg_source *src, struct ir_block *b)
{
    unsigned max_insns = src->max_insns ? src->max_insns : 1;

    b->store_helper = exclusive_store_helper();
    translate_attempt(src, b, max_insns);
    while (b->full && max_insns > 1) {
        max_insns /= 2;
        ir_block_reset(b, src->pc, src->exec_flags, src->exec_flags & EXEC_PRIV);
        translate_attempt(src, b, max_insns);
    }
}
