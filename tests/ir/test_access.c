/* SPDX-License-Identifier: MIT */
/*
 * Which accesses take the fast path: window and soft-TLB table by privilege, tags by kind of access
 * and context, crossing pages, alignment; wrap-around at 2^32; side table of faults; patched sites.
 */
#include "rig.c.inc"

#define OFF_R(n) ((uint32_t)offsetof(struct vcpu, r[n]))

/* r1 = [r0 + disp] or [r0 + disp] = r1 */
static void build(bool load, bool priv, uint32_t memop, uint32_t disp)
{
    struct ir_block *b = rig.b;
    ir_block_reset(b, 0x1000, priv ? EXEC_PRIV : 0, priv);
    rig.v->exec_flags = priv ? EXEC_PRIV : 0;
    enum ir_type t = MEMOP_SIZE(memop) == MEMOP_64 ? IR_I64 : IR_I32;
    unsigned size = t == IR_I64 ? 8 : 4;
    ir_insn(b, 0x1234, 7);
    ir_ref at = ir_op2i(b, IR_ADD, ir_get(b, IR_I32, OFF_R(0), 4), disp);
    if (load)
        ir_put(b, OFF_R(2), size, ir_load(b, t, at, memop));
    else
        ir_store(b, at, ir_get(b, t, OFF_R(2), size), memop);
    ir_exit(b, TCG_EXIT_WFI);
    ir_optimize(b);
    cr_assert_eq(rig_compile(), 0);
}

/* Slow calls and faults of one run with r0 = base. */
static unsigned slow_of_run(uint32_t base)
{
    rig.slow_calls = rig.faults = 0;
    rig.v->r[0] = base;
    cr_assert_eq(rig_run(), TCG_EXIT_WFI);
    return rig.slow_calls;
}

Test(access, soft_tlb_hits_where_it_should)
{
    rig_init();
    for (unsigned k = 0; k < 64; k++) {
        bool load = k & 1, priv = k & 2, user = k & 4;
        unsigned size = k >> 3 & 3;
        uint32_t memop = size | (priv && user ? MEMOP_USER : 0) | (k & 32 ? MEMOP_ALIGN : 0);
        rig_reset_memory(RIG_SOFT);
        build(load, priv, memop, 0x10);
        uint32_t base = RIG_BASE + 0x2000;
        cr_assert_eq(slow_of_run(base), 1u);
        cr_assert_eq(slow_of_run(base), 0u, "miss after fill: %u", k);
        cr_assert_eq(slow_of_run(base + 0xfe8), 0u); /* the last 8 bytes of the page */
        if (size) {
            cr_assert_eq(slow_of_run(base + 1), memop & MEMOP_ALIGN ? 1u : 0u);
            cr_assert_eq(slow_of_run(base + 0xff0 - 1), 1u); /* crosses into the next page */
        }
        rig.v->ctx_tag += (uint64_t)1 << 32; /* another context */
        cr_assert_eq(slow_of_run(base), 1u);
        rig.v->ctx_tag -= (uint64_t)1 << 32;
        struct softtlb_entry *e = &rig.v->softtlb[priv && !user][base >> 12 & (SOFTTLB_SIZE - 1)];
        slow_of_run(base);
        e->tag[load ? MMU_WRITE : MMU_READ] = ~(uint64_t)0; /* the other kind does not matter */
        cr_assert_eq(slow_of_run(base), 0u);
        e->tag[load ? MMU_READ : MMU_WRITE] |= 0x800; /* a flag forces the slow path */
        cr_assert_eq(slow_of_run(base), 1u);
    }
}

/* LDRD needs 4-byte alignment only, and may cross a page at a word boundary. */
Test(access, soft_align4)
{
    rig_init();
    rig_reset_memory(RIG_SOFT);
    build(true, false, MEMOP_64 | MEMOP_ALIGN4, 0);
    slow_of_run(RIG_BASE);
    cr_assert_eq(slow_of_run(RIG_BASE + 4), 0u);
    cr_assert_eq(slow_of_run(RIG_BASE + 0xff8), 0u);
    cr_assert_eq(slow_of_run(RIG_BASE + 0xffc), 1u);
    cr_assert_eq(slow_of_run(RIG_BASE + 2), 1u);
    cr_assert_eq(slow_of_run(RIG_BASE + 7), 1u);
}

Test(access, windows_by_privilege)
{
    rig_init();
    for (unsigned k = 0; k < 32; k++) {
        bool load = k & 1, priv = k & 2, user = k & 4;
        uint32_t memop = (k >> 3 & 3) | (priv && user ? MEMOP_USER : 0);
        rig_reset_memory(RIG_SPT);
        build(load, priv, memop, 0x20);
        rig.v->win_base[!(priv && !user)] = 0x1000; /* the other window: nowhere */
        cr_assert_eq(slow_of_run(RIG_BASE + 0x123), 0u);
        cr_assert_eq(rig.faults, 0u, "wrong window: %u", k);
    }
}

Test(access, spt_alignment_checks)
{
    rig_init();
    rig_reset_memory(RIG_SPT);
    build(true, false, MEMOP_32 | MEMOP_ALIGN, 2); /* the constant counts */
    cr_assert_eq(slow_of_run(RIG_BASE + 2), 0u);
    cr_assert_eq(slow_of_run(RIG_BASE), 1u);
    build(false, false, MEMOP_64 | MEMOP_ALIGN4, 0);
    cr_assert_eq(slow_of_run(RIG_BASE + 4), 0u);
    cr_assert_eq(slow_of_run(RIG_BASE + 6), 1u);
    cr_assert_eq(rig.faults, 0u);
}

/* base + displacement beyond 2^32 or below 0: the guard faults, the slow path wraps. */
Test(access, addresses_wrap)
{
    static const struct {
        uint32_t base, disp;
    } wrap[] = {{0xffffc000u, 0x8010}, {0x8000u, 0xffffc010u}, {RIG_BASE, 0x30}};
    rig_init();
    for (unsigned k = 0; k < ARRAY_SIZE(wrap) * 2; k++) {
        rig_reset_memory(k & 1 ? RIG_SPT_FILL : RIG_SOFT);
        build(false, false, MEMOP_32, wrap[k / 2].disp);
        rig.v->r[2] = 0x600d0000u + k;
        slow_of_run(wrap[k / 2].base);
        uint32_t at = wrap[k / 2].base + wrap[k / 2].disp, got;
        memcpy(&got, rig.flat + (at - RIG_BASE), 4);
        cr_assert_eq(got, rig.v->r[2]);
    }
}

static void expect_site(struct rig *r, uint32_t gva, uint64_t value, uint32_t memop, uintptr_t ra)
{
    const struct tcg_site *s = rig_site(ra);
    (void)r;
    (void)gva;
    (void)value;
    cr_assert(s->pc == 0x1234 && s->extra == 7 && s->memop == memop && s->kind == SITE_CALL);
}

Test(access, a_fault_resumes_or_goes_slow_or_is_patched)
{
    rig_init();
    rig.on_slow = expect_site;
    for (unsigned k = 0; k < 8; k++) {
        bool load = k & 1;
        rig_reset_memory(k & 2 ? RIG_SPT_PATCH : RIG_SPT_FILL);
        build(load, true, k & 4 ? MEMOP_16 : MEMOP_64, 0x18);
        uint64_t word = 0x1122334455667788u + k, got = 0;
        memset(rig.flat, 0, RIG_SIZE);
        if (load)
            memcpy(rig.flat + 0x118, &word, k & 4 ? 2 : 8);
        else
            memcpy(&rig.v->r[2], &word, 8);
        cr_assert_eq(slow_of_run(RIG_BASE + 0x100), 1u); /* the first fault goes the slow way */
        cr_assert_eq(rig.faults, 1u);
        unsigned again = slow_of_run(RIG_BASE + 0x100);
        cr_assert_eq(rig.faults, k & 2 ? 0u : 1u);
        cr_assert(again <= 1);
        memcpy(&got, load ? (void *)&rig.v->r[2] : (void *)(rig.flat + 0x118), k & 4 ? 2 : 8);
        cr_assert_eq(got, k & 4 ? (uint16_t)word : word);
    }
    rig.on_slow = NULL;
}
