/* SPDX-License-Identifier: MIT */
/*
 * SPT mode: fills and their runs, rights, watchpoints, code pages. Guest accesses go through the
 * emulator's own SIGSEGV handler (spt_rig.h).
 */
#include "spt_rig.h"

TestSuite(spt, .init = setup, .fini = teardown);

Test(spt, first_access_fills_later_ones_hit)
{
    map(1, VA, DATA + 0x3000, 3, NG);
    mode(v, false);
    cr_expect_eq(load(VA, USER), 0x203000);
    cr_expect_eq(how, 1);
    cr_expect_eq(load(VA, USER), 0x203000);
    cr_expect_eq(how, 0);
    cr_expect(store_ok(VA + 4, 77, USER));
    cr_expect_eq(how, 0, "a readable and writable page is mapped so at once");
    cr_expect_eq(rig_get32(DATA + 0x3004), 77);
}

Test(spt, rights)
{
    map(1, VA, DATA, 2, NG);                   /* user read-only */
    map(1, VA + 0x1000, DATA + 0x5000, 1, NG); /* privileged only */
    mode(v, false);
    cr_expect(load_ok(VA, USER));
    cr_expect(!store_ok(VA, 1, USER));
    cr_expect_eq(rig_exc.fsr, 0x80f);
    cr_expect(!load_ok(VA + 0x1000, USER));
    mode(v, true);
    cr_expect(store_ok(VA + 8, 1, PRIV));
    cr_expect(load_ok(VA + 0x1000, PRIV));
    cr_expect(!load_ok(VA + 0x1000, LDRT));
    cr_expect(load_ok(VA, LDRT));
    cr_expect(!store_ok(VA, 1, LDRT));
}

Test(spt, unprivileged_access_of_a_kernel_only_context)
{
    map(1, VA, DATA, 3, NG);
    cr_expect_null(v->mmu->current->win[0]);
    cr_expect_eq(load(VA, LDRT), 0x200000);
    cr_expect_eq(how, -1, "RETRY must not change the base");
    cr_expect_eq(load(VA, LDRT), 0x200000);
    cr_expect_eq(how, 1);
    cr_expect_eq(load(VA, LDRT), 0x200000);
    cr_expect_eq(how, 0);
}

Test(spt, upgrade_without_maintenance)
{
    map(1, VA, DATA, 7, NG);
    cr_expect(load_ok(VA, PRIV));
    cr_expect(!store_ok(VA, 1, PRIV));
    map(1, VA, DATA, 3, NG);
    cr_expect(store_ok(VA, 1, PRIV));
    cr_expect_eq(how, 1);
    cr_expect(store_ok(VA, 1, PRIV));
    cr_expect_eq(how, 0);
}

Test(spt, section_is_one_fill)
{
    uint64_t before = fills();

    for (uint32_t off = 0; off < 0x200000; off += 0x1000)
        cr_expect_eq(load(KERNEL + 0x400000 + off, PRIV), 0x400000 + off);
    cr_expect_eq(fills() - before, 1, "two contiguous sections, one run of 2 MiB");
    cr_expect_eq(mmu_vma_count(&rig_vm) - VCPU_MAX, 2);
}

Test(spt, runs_end_where_contiguity_or_rights_end)
{
    for (uint32_t i = 0; i < 16; i++)
        map(1, VA + (i << 12), DATA + (i << 12), 3, NG);
    map(1, VA + 0x4000, DATA + 0x40000, 3, NG); /* elsewhere */
    map(1, VA + 0x9000, DATA + 0x9000, 7, NG);  /* read-only */
    map(1, VA + 0xc000, DATA + 0xc000, 3, 0);   /* global */
    cr_expect_eq(load(VA + 0x6000, PRIV), 0x206000);
    for (uint32_t i = 0; i < 16; i++)
        cr_expect_eq(rec(true, VA + (i << 12)) != 0, i >= 5 && i <= 8, "page %u", i);
    cr_expect_eq(load(VA + 0x2000, PRIV), 0x202000);
    cr_expect(rec(true, VA) && rec(true, VA + 0x3000) && !rec(true, VA + 0x4000));
    cr_expect_eq(load(VA + 0x4000, PRIV), 0x240000);
    cr_expect_eq(load(VA + 0x9000, PRIV), 0x209000);
    cr_expect_eq(load(VA + 0xa000, PRIV), 0x20a000);
    cr_expect_eq(load(VA + 0xc000, PRIV), 0x20c000);
}

Test(spt, a_run_never_maps_what_its_own_walk_would_refuse)
{
    map(1, VA, DATA, 3, NG);
    map(1, VA + 0x1000, DATA + 0x1000, 1, NG); /* not for user */
    rig_put32(L2(1) + 2 * 4, 0);
    mode(v, false);
    load(VA, USER);
    cr_expect(!rec(false, VA + 0x1000));
    cr_expect(!load_ok(VA + 0x1000, USER));
    cr_expect(!load_ok(VA + 0x2000, USER));
    cr_expect_eq(rig_exc.fsr, 0x07);
}

Test(spt, device_and_device_typed_ram_stay_out)
{
    map(1, VA, RIG_DEVICE, 3, NG);
    cr_expect_eq(load(VA + 0x40, PRIV), 0x40);
    cr_expect_eq(how, -1);
    rig_put32(L2(1) + 4, (uint32_t)DATA | 2u | 3u << 4 | 1u << 2);
    cr_expect_eq(load(VA + 0x1000, PRIV), 0x200000);
    cr_expect_eq(how, -1);
}

Test(spt, edges_of_the_address_space)
{
    rig_put32(L1(1) + 0xfff * 4, SECTION(RIG_RAM_BASE + 0x100000, 3));
    rig_put32(L1(1), SECTION(RIG_RAM_BASE + 0x200000, 3));
    rig_put32(RIG_RAM_BASE + 0x1ffffc, 0x11112222);
    cr_expect_eq(load(0xfffffffc, PRIV), 0x11112222);
    cr_expect_eq(how, 1);
    cr_expect_eq(load(0xfffffffe, PRIV), 0x00001111u, "straddles the end: slow path, modulo 2^32");
    cr_expect_eq(how, -1);
}

/* ---- watchpoints ---- */
Test(spt, watched_pages_stay_out_of_windows)
{
    const struct debug_watch watch[] = {{VA + 0x1ffe, VA + 0x2001, 1u << MMU_WRITE},
                                        {DATA + 0x9000, DATA + 0x9000, 1u << MMU_READ}};

    for (unsigned i = 0; i < 5; i++)
        map(1, VA + i * 0x1000, DATA + i * 0x1000, 3, NG);
    load(VA + 0x1000, PRIV);
    memcpy(rig_vm.debug.watch, watch, sizeof(watch));
    rig_vm.debug.nwatch = 2;
    mmu_watch_changed(v);
    for (unsigned i = 0; i < 5; i++)
        cr_expect_eq(load(VA + i * 0x1000, PRIV), 0x200000 + i * 0x1000);
    cr_expect(rec(true, VA) && rec(true, VA + 0x3000), "the others are mapped");
    cr_expect(!rec(true, VA + 0x1000) && !rec(true, VA + 0x2000), "by no run of neighbours either");
    rig_watch_checks = 0;
    load(VA + 0x1000, PRIV);
    cr_expect_eq(how, -1);
    store_ok(VA + 0x2000, 1, PRIV);
    cr_expect_eq(how, -1);
    cr_expect_eq(rig_watch_checks, 2, "every access is looked at");
    r->sctlr = 0;
    mmu_context_changed(v);
    load((uint32_t)DATA + 0x8000, PRIV);
    load((uint32_t)DATA + 0x9000, PRIV);
    cr_expect_eq(how, -1);
    rig_vm.debug.nwatch = 0;
    mmu_watch_changed(v);
    load((uint32_t)DATA + 0x9000, PRIV);
    cr_expect_eq(how, 1, "nothing is watched any more");
}

/* ---- code pages ---- */
static unsigned invalidated;

static void note(struct vcpu *u, gpa_t page)
{
    (void)u;
    invalidated += page == DATA;
}

Test(spt, code_pages_are_read_only_until_written)
{
    rig_on_invalidate = note;
    map(1, VA, DATA, 3, NG);
    cr_expect(store_ok(VA, 1, PRIV));
    cr_expect(store_ok(KERNEL + 0x200000, 2, PRIV)); /* the same page through the linear map */
    mmu_code_page_translate(v, DATA);
    cr_expect(!(rec(true, VA) & REC_WRITABLE));
    cr_expect(!(rec(true, KERNEL + 0x200000) & REC_WRITABLE));
    cr_expect(rec(true, KERNEL + 0x201000) & REC_WRITABLE);
    load(VA, PRIV);
    cr_expect_eq(how, 0, "reading stays fast");
    cr_expect(store_ok(KERNEL + 0x200000, 3, PRIV));
    cr_expect_eq(how, 1);
    cr_expect(store_ok(KERNEL + 0x200000, 3, PRIV));
    cr_expect_eq(how, 0);
    mmu_icache_invalidate(v, false);
    cr_expect_eq(invalidated, 1);
    mmu_icache_invalidate(v, false);
    cr_expect_eq(invalidated, 1);
    /* watched before it is mapped: a read maps it read-only, a write is noticed */
    mmu_tlbi(v, TLBI_ALL, 0, 0, false);
    mmu_code_page_translate(v, DATA);
    load(VA, PRIV);
    cr_expect(rec(true, VA) && !(rec(true, VA) & REC_WRITABLE));
    cr_expect(store_ok(VA, 4, PRIV));
    mmu_icache_invalidate(v, false);
    cr_expect_eq(invalidated, 2);
}

Test(spt, code_page_watch_reaches_other_vcpus)
{
    struct vcpu *u = rig_vm.cpu[1];

    rig_on_invalidate = note;
    map(1, VA, DATA, 3, NG);
    cr_expect(store_ok(VA, 1, PRIV));
    atomic_store(&u->in_guest, 0);
    mmu_code_page_translate(u, DATA);
    cr_expect(store_ok(VA, 5, PRIV));
    cr_expect_eq(how, 1);
    mmu_icache_invalidate(v, true);
    vcpu_quiescent_end(u);
    cr_expect_eq(invalidated, 1);
}
