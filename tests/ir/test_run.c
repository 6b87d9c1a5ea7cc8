/* SPDX-License-Identifier: MIT */
/*
 * Generated code at its edges: poll, linked and unlinked jumps, the inline jump cache, unwinding
 * from a helper, sites of helper calls, MXCSR, tables that overflow, too small a buffer.
 */
#include "rig.c.inc"

#define OFF_R(n) ((uint32_t)offsetof(struct vcpu, r[n]))

static struct ir_block *start(uint64_t pc)
{
    rig_init();
    rig_reset_memory(RIG_SPT);
    rig.v->exec_flags = 0;
    atomic_store(&rig.v->poll, 0);
    memset(rig.v->jump_cache, 0xff, sizeof(rig.v->jump_cache));
    memset(rig.v->r, 0, sizeof(rig.v->r));
    ir_block_reset(rig.b, pc, 0, false);
    return rig.b;
}

static enum tcg_exit compile_and_run(void)
{
    cr_assert_null(ir_verify(rig.b), "%s", ir_verify(rig.b));
    cr_assert_eq(rig_compile(), 0);
    return rig_run();
}

Test(run, poll_leaves_before_the_block)
{
    struct ir_block *b = start(0x5000);
    ir_put(b, OFF_R(0), 4, ir_const32(b, 7));
    ir_exit(b, TCG_EXIT_WFI);
    atomic_store(&rig.v->poll, POLL_IRQ);
    cr_assert_eq(compile_and_run(), TCG_EXIT_POLL);
    cr_assert_eq(rig.v->r[0], 0u);
    cr_assert_eq(rig.v->r[15], 0x5000u);
    atomic_store(&rig.v->poll, 0);
    cr_assert_eq(rig_run(), TCG_EXIT_WFI);
    cr_assert_eq(rig.v->r[0], 7u);
}

/* A second block behind the first: sets r1 and stops. Returns its code. */
static uint8_t *second_block(uint64_t pc)
{
    size_t first = rig.code_at;
    rig.code_at += (rig.res.host_bytes + 63) & ~(size_t)63;
    struct x64_result keep = rig.res;
    ir_block_reset(rig.b, pc, 0, false);
    ir_put(rig.b, OFF_R(1), 4, ir_const32(rig.b, 0x77));
    ir_exit(rig.b, TCG_EXIT_WFE);
    cr_assert_eq(rig_compile(), 0);
    uint8_t *code = rig.rx + rig.code_at;
    rig.code_at = first;
    rig.res = keep;
    return code;
}

Test(run, jump_links_and_unlinks)
{
    struct ir_block *b = start(0x5000);
    ir_goto(b, 0x5ff0);
    cr_assert_eq(compile_and_run(), TCG_EXIT_LINK);
    cr_assert_eq(rig.v->r[15], 0x5ff0u);
    cr_assert_eq(rig.v->exit_tb, (void *)&rig);
    cr_assert_eq(rig.v->exit_arg, 0u);
    cr_assert_eq(rig.res.nslots, 1u);
    cr_assert_eq(rig.res.slot[0].target_pc, 0x5ff0u);
    uint8_t *to = second_block(0x5ff0);
    uint32_t at = rig.res.slot[0].patch_off;
    uint8_t *rw = rig.rw + rig.code_at + at, *rx = rig.rx + rig.code_at + at;
    cr_assert_eq((uintptr_t)rx % 4, 0u);
    x64_patch_jump(rw, rx, to);
    cr_assert_eq(rig_run(), TCG_EXIT_WFE);
    cr_assert_eq(rig.v->r[1], 0x77u);
    x64_patch_jump(rw, rx, rig.rx + rig.code_at + rig.res.slot[0].unlinked_off);
    cr_assert_eq(rig_run(), TCG_EXIT_LINK);
}

static void cache_put(uint32_t pc, void *code)
{
    rig.v->jump_cache[jump_cache_index(pc)] = (struct jump_cache_entry){
        .pc = pc, .key = rig.v->exec_flags | rig.v->jump_tag[0], .code = code};
}

static void fetch_put(uint32_t pc, uint32_t priv, uint32_t gpa_page)
{
    rig.v->fetch_cache[fetch_cache_index(pc)] = (struct fetch_cache_entry){
        .key = (pc & ~0xfffu) | priv | rig.v->jump_tag[priv != 0], .gpa_page = gpa_page};
}

/* The slot of the block just compiled leads to `to`, a block of physical page gpa_page. */
static void link_guarded(uint8_t *to, uint32_t gpa_page)
{
    const struct tcg_jump_slot *s = &rig.res.slot[0];
    x64_patch_jump(rig.rw + rig.code_at + s->patch_off, rig.rx + rig.code_at + s->patch_off, to);
    x64_patch_guard(rig.rw + rig.code_at + s->guard_off, gpa_page);
}

/* A jump to another page is taken while the page it was linked to is what is fetched there. */
static void check_guard(uint32_t pc)
{
    cr_assert_eq(compile_and_run(), TCG_EXIT_LINK);
    cr_assert_eq(rig.v->exit_tb, (void *)&rig);
    cr_assert_eq(rig.v->exit_arg, 0u);
    cr_assert_eq(rig.v->r[15], pc);
    cr_assert_eq(rig.res.nslots, 1u);
}

static void check_guarded_link(uint32_t at, uint32_t pc, uint32_t priv)
{
    uint32_t r15 = rig.v->r[15] = at;
    static const struct {
        uint32_t key_change, page_change;
    } wrong[] = {{0x1000, 0}, {FETCH_PRIV, 0}, {0, 1}};

    check_guard(pc);
    link_guarded(second_block(pc), 0x40123);
    rig.v->r[15] = r15;
    cr_assert_eq(rig_run(), TCG_EXIT_LINK, "nothing known of the page");
    cr_assert_eq(rig.v->r[15], pc);
    fetch_put(pc, priv, 0x40123);
    rig.v->r[15] = r15;
    cr_assert_eq(rig_run(), TCG_EXIT_WFE);
    for (unsigned k = 0; k < ARRAY_SIZE(wrong); k++) {
        struct fetch_cache_entry *e = &rig.v->fetch_cache[fetch_cache_index(pc)];
        fetch_put(pc, priv, 0x40123);
        e->key ^= wrong[k].key_change;
        e->gpa_page ^= wrong[k].page_change;
        rig.v->r[15] = r15;
        cr_assert_eq(rig_run(), TCG_EXIT_LINK, "case %u", k);
    }
    fetch_put(pc, priv, 0x40123);
    rig.v->jump_tag[priv == 0] += (uint64_t)1 << 32;
    rig.v->r[15] = r15;
    cr_assert_eq(rig_run(), TCG_EXIT_WFE, "the other privilege's context does not matter");
    rig.v->jump_tag[priv != 0] += (uint64_t)1 << 32;
    rig.v->r[15] = r15;
    cr_assert_eq(rig_run(), TCG_EXIT_LINK, "another context");
}

Test(run, goto_of_another_page_is_guarded)
{
    for (unsigned priv = 0; priv < 2; priv++) {
        struct ir_block *b = start(0x5000);
        b->privileged = priv;
        ir_goto(b, 0xffff1234);
        check_guarded_link(0x5000, 0xffff1234, priv ? FETCH_PRIV : 0);
    }
}

Test(run, goto_of_another_page_is_guarded_pc_relative)
{
    struct ir_block *b = start(0x5010);
    b->pc_relative = true;
    ir_goto(b, 0x6014);
    check_guarded_link(0xabc010, 0xabd014, 0); /* moved by 0xab7000 */
}

Test(run, goto_ind_uses_the_jump_cache)
{
    static const uint32_t pcs[] = {0,      2,       0x7e,    0x80,       0xffe,
                                   0x1000, 0x3f000, 0x40000, 0x80001234, 0xfffffffe};
    struct ir_block *b = start(0x5000);
    ir_put(b, OFF_R(15), 4, ir_get(b, IR_I32, OFF_R(0), 4));
    ir_goto_ind(b);
    cr_assert_eq(compile_and_run(), TCG_EXIT_LOOKUP);
    uint8_t *to = second_block(0x9000);
    for (unsigned k = 0; k < ARRAY_SIZE(pcs); k++) {
        rig.v->r[0] = pcs[k];
        rig.v->r[1] = 0;
        cr_assert_eq(rig_run(), TCG_EXIT_LOOKUP);
        cr_assert_eq(rig.v->r[15], pcs[k]);
        cache_put(pcs[k], to);
        cr_assert_eq(rig_run(), TCG_EXIT_WFE, "pc %#x", pcs[k]);
        rig.v->exec_flags ^= EXEC_T;
        cr_assert_eq(rig_run(), TCG_EXIT_LOOKUP);
        rig.v->exec_flags ^= EXEC_T;
    }
}

Test(run, more_gotos_than_slots_use_the_cache)
{
    struct ir_block *b = start(0x5000);
    ir_ref x = ir_get(b, IR_I32, OFF_R(0), 4);
    for (unsigned k = 0; k < TCG_MAX_SLOTS + 3; k++) {
        unsigned skip = ir_label_new(b);
        ir_brcond(b, IR_NE, x, ir_const32(b, k), skip);
        ir_goto(b, 0x5100 + 4 * k);
        ir_label(b, skip);
    }
    ir_exit(b, TCG_EXIT_YIELD);
    cr_assert_eq(compile_and_run(), TCG_EXIT_LINK);
    for (unsigned k = 0; k <= TCG_MAX_SLOTS + 3; k++) {
        rig.v->r[0] = k;
        enum tcg_exit want = k < TCG_MAX_SLOTS       ? TCG_EXIT_LINK
                             : k < TCG_MAX_SLOTS + 3 ? TCG_EXIT_LOOKUP
                                                     : TCG_EXIT_YIELD;
        cr_assert_eq(rig_run(), want);
        if (want != TCG_EXIT_YIELD)
            cr_assert_eq(rig.v->r[15], 0x5100 + 4 * k);
        if (want == TCG_EXIT_LINK)
            cr_assert_eq(rig.v->exit_arg, k);
    }
}

static uint64_t leave(struct vcpu *v, uint64_t reason)
{
    const struct tcg_site *s = rig_site(VCPU_RA());
    cr_assert(s && s->pc == 0x5004 && s->extra == 9 && s->kind == SITE_CALL);
    tcg_unwind(v, (enum tcg_exit)reason);
}

Test(run, unwind_from_a_helper)
{
    struct ir_block *b = start(0x5000);
    ir_insn(b, 0x5000, 8);
    ir_put(b, OFF_R(2), 4, ir_const32(b, 1));
    ir_insn(b, 0x5004, 9);
    ir_ref reason = ir_get(b, IR_I32, OFF_R(3), 4);
    ir_call(b, IR_VOID, "leave", (void *)leave, CALL_RAISES, 1, &reason);
    ir_insn(b, 0x5008, 10);
    ir_put(b, OFF_R(2), 4, ir_const32(b, 2));
    ir_exit(b, TCG_EXIT_WFI);
    rig.v->r[3] = TCG_EXIT_EXCEPTION;
    ir_optimize(b);
    for (unsigned k = 0; k < 1000; k++) { /* a leak of stack would show */
        cr_assert_eq(compile_and_run(), TCG_EXIT_EXCEPTION);
        cr_assert_eq(rig.v->r[2], 1u);
    }
}

Test(run, mxcsr_is_the_guests_inside)
{
    struct ir_block *b = start(0x5000);
    ir_ref x = ir_get(b, IR_V128, offsetof(struct vcpu, vfp), 4);
    ir_ref y = ir_get(b, IR_V128, offsetof(struct vcpu, vfp) + 4, 4);
    struct ir_float f = {.name = "none", .helper = (void *)leave, .size = 4};
    ir_put(b, offsetof(struct vcpu, vfp) + 8, 4, ir_fop(b, IR_FDIV, &f, x, y, 0));
    ir_exit(b, TCG_EXIT_WFI);
    unsigned before = __builtin_ia32_stmxcsr();
    rig.v->mxcsr = 0x1f80 | 0x6000; /* toward zero */
    float one = 1, three = 3, third;
    memcpy(&rig.v->vfp.s[0], &one, 4);
    memcpy(&rig.v->vfp.s[1], &three, 4);
    cr_assert_eq(compile_and_run(), TCG_EXIT_WFI);
    cr_assert_eq(__builtin_ia32_stmxcsr(), before);
    cr_assert_eq(rig.v->vfp.s[2], 0x3eaaaaaau); /* nearest would be ...ab */
    cr_assert_eq(rig.v->mxcsr, 0x1f80u | 0x6000u | 0x20u);
    memcpy(&third, &rig.v->vfp.s[2], 4);
    cr_assert(third < 1.0f / 3);
    rig.v->mxcsr = 0x1f80;
}

Test(run, small_buffer_is_refused_and_big_blocks_too)
{
    struct ir_block *b = start(0x5000);
    for (unsigned k = 0; k < 500; k++)
        ir_store(b, ir_get(b, IR_I32, OFF_R(k % 8), 4), ir_get(b, IR_I32, OFF_R(9), 4), MEMOP_32);
    ir_exit(b, TCG_EXIT_WFI);
    struct x64_options o = {.link_page_bits = 12};
    int seen_space = 0;
    size_t need = 0;
    for (size_t room = 0; room < 200000; room += 512) {
        struct code_buffer buf = {
            .rw = rig.rw + rig.code_at, .rx = rig.rx + rig.code_at, .room = room};
        memset(rig.rw + rig.code_at + room, 0xcc, 64);
        rig.res.site = rig.site;
        int err = x64_compile(b, &o, &buf, &rig.res);
        for (unsigned k = 0; k < 64; k++)
            cr_assert_eq(rig.rw[rig.code_at + room + k], 0xcc, "wrote beyond the room");
        if (err == 0) {
            need = rig.res.host_bytes;
            break;
        }
        cr_assert_eq(err, -ENOSPC);
        seen_space++;
    }
    cr_assert(seen_space > 3 && need > 5000);
    /* more sites than the table holds: two for each access */
    start(0x5000);
    for (unsigned k = 0; k < TCG_MAX_SITES / 2 + 1; k++)
        ir_store(b, ir_get(b, IR_I32, OFF_R(k % 8), 4), ir_get(b, IR_I32, OFF_R(9), 4), MEMOP_32);
    ir_exit(b, TCG_EXIT_WFI);
    cr_assert_eq(rig_compile(), -E2BIG);
}

Test(run, same_ir_gives_same_code)
{
    struct ir_block *b = start(0x5000);
    for (unsigned k = 0; k < 40; k++)
        ir_put(b, OFF_R(k % 13), 4,
               ir_load(b, IR_I32, ir_get(b, IR_I32, OFF_R((k * 7) % 13), 4), MEMOP_32));
    ir_goto(b, 0x9000);
    cr_assert_eq(rig_compile(), 0);
    size_t bytes = rig.res.host_bytes;
    uint8_t *copy = malloc(bytes);
    memcpy(copy, rig.rw + rig.code_at, bytes);
    memset(rig.rw + rig.code_at, 0, bytes);
    cr_assert_eq(rig_compile(), 0);
    cr_assert_eq(rig.res.host_bytes, bytes);
    cr_assert(!memcmp(copy, rig.rw + rig.code_at, bytes));
    free(copy);
}

/* Code that may run at any page: exits give the pc of the page it runs at. */
Test(run, pc_relative_exits)
{
    static const struct {
        uint64_t to;
        enum tcg_exit why;
    } cases[] = {{0x5ff0, TCG_EXIT_LINK}, {0x4000, TCG_EXIT_LINK}, {0x80006010, TCG_EXIT_LINK}};
    for (unsigned k = 0; k < ARRAY_SIZE(cases); k++) {
        struct ir_block *b = start(0x5010);
        b->pc_relative = true;
        ir_put(b, OFF_R(3), 4, ir_get(b, IR_I32, OFF_R(2), 4));
        ir_goto(b, cases[k].to);
        rig.v->r[15] = 0xabc010; /* moved by 0xab7000 */
        cr_assert_eq(compile_and_run(), cases[k].why);
        cr_assert_eq(rig.v->r[15], (uint32_t)cases[k].to + 0xab7000);
        rig.v->r[15] = 0xabc010;
        atomic_store(&rig.v->poll, POLL_IRQ);
        cr_assert_eq(rig_run(), TCG_EXIT_POLL);
        cr_assert_eq(rig.v->r[15], 0xabc010u);
    }
}
