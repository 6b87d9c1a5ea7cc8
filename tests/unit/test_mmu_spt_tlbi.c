/* SPDX-License-Identifier: MIT */
/*
 * SPT mode: what TLB maintenance drops and keeps, by its issuer and on other vCPUs, and what a
 * whole window's maintenance revalidates.
 */
#include "spt_rig.h"

TestSuite(spt, .init = setup, .fini = teardown);

Test(spt, tlbi_by_address)
{
    map(1, VA, DATA, 3, NG);
    map(1, VA + 0x1000, DATA + 0x8000, 3, NG);
    mode(v, false);
    load(VA, USER);
    load(VA + 0x1000, USER);
    map(1, VA, DATA + 0x7000, 3, NG);
    cr_expect_eq(load(VA, USER), 0x200000, "stale until maintenance, as the architecture allows");
    mmu_tlbi(v, TLBI_VA, VA, 2, false); /* another ASID, non-global */
    cr_expect_eq(how, 0);
    mmu_tlbi(v, TLBI_VA, VA, 1, false);
    cr_expect_eq(load(VA, USER), 0x207000);
    cr_expect_eq(how, 1);
    load(VA + 0x1000, USER);
    cr_expect_eq(how, 0);
    mmu_tlbi(v, TLBI_VA_ALL_ASID, VA + 0x1000, 9, false);
    load(VA + 0x1000, USER);
    cr_expect_eq(how, 1);
}

Test(spt, tlbi_kills_the_whole_leaf_and_globals_of_any_asid)
{
    load(KERNEL + 0x400000, PRIV);
    load(KERNEL + 0x4ff000, PRIV);
    mmu_tlbi(v, TLBI_VA, KERNEL + 0x480000, 0, false); /* ASID 0: how Linux flushes kernel pages */
    cr_expect(!rec(true, KERNEL + 0x400000));
    cr_expect(!rec(true, KERNEL + 0x4ff000));
    cr_expect(rec(true, KERNEL + 0x500000), "the other section of the run is another leaf");
    /* a 16 MiB leaf, seen from a part of it with nothing mapped */
    for (uint32_t i = 0; i < 16; i++)
        rig_put32(L1(1) + (0x700 + i) * 4,
                  (uint32_t)RIG_RAM_BASE | 2u | 1u << 18 | 3u << 2 | 3u << 10);
    cr_expect_eq(load(0x70400000, PRIV), 0x400000);
    mmu_tlbi(v, TLBI_VA, 0x70f00000, 0, false);
    cr_expect(!rec(true, 0x70400000));
    /* a global page in a user window */
    map(1, VA, DATA, 3, 0);
    mode(v, false);
    load(VA, USER);
    mmu_tlbi(v, TLBI_VA, VA, 5, false);
    load(VA, USER);
    cr_expect_eq(how, 1);
}

Test(spt, tlbi_by_asid)
{
    map(1, VA, DATA, 3, NG);
    map(1, VA + 0x1000, DATA + 0x8000, 3, NG);
    map(2, VA, DATA + 0x1000, 3, NG);
    mode(v, false);
    load(VA, USER);
    load(VA + 0x1000, USER);
    space(v, 2);
    load(VA, USER);
    map(1, VA, DATA + 0x5000, 3, NG);
    map(2, VA, DATA + 0x6000, 3, NG);
    mmu_tlbi(v, TLBI_ASID, 0, 1, false);
    cr_expect_eq(load(VA, USER), 0x201000, "ASID 2 was not named");
    space(v, 1);
    cr_expect_eq(load(VA, USER), 0x205000, "not current at the time");
    cr_expect_eq(how, 1);
    cr_expect_eq(load(VA + 0x1000, USER), 0x208000);
    cr_expect_eq(how, 0, "a fresh walk gives the same: kept");
    map(1, VA, DATA + 0x7000, 3, NG);
    mmu_tlbi(v, TLBI_ASID, 0, 1, false);
    cr_expect_eq(load(VA, USER), 0x207000, "current at the time");
}

/* Each way in which a mapping may have become wrong, one page each; the last is right. */
Test(spt, tlbi_all_drops_what_a_fresh_walk_would_not_give)
{
    for (uint32_t i = 0; i < 8; i++)
        map(1, VA + (i << 12), DATA + (i << 13), 3, NG);
    rig_put32(L1(1) + 0x700 * 4, SECTION(RIG_RAM_BASE + 0x400000, 3));
    for (uint32_t i = 0; i < 8; i++)
        load(VA + (i << 12), PRIV);
    load(KERNEL + 0x400000, PRIV);
    load(0x70000000, PRIV);
    map(1, VA, DATA + 0x20000, 3, NG);                                            /* elsewhere */
    map(1, VA + 0x1000, DATA + 0x2000, 7, NG);                                    /* read-only */
    map(1, VA + 0x2000, DATA + 0x4000, 3, 0);                                     /* global */
    rig_put32(L2(1) + 3 * 4, 0);                                                  /* gone */
    rig_put32(L2(1) + 4 * 4, (uint32_t)DATA + 0x8000 + (2u | 3u << 4 | 1u << 2)); /* Device */
    rig_put32(L2(1) + 5 * 4, SMALL(DATA + 0xa000, 0) | NG);                       /* no access */
    rig_put32(L1(1) + 0x700 * 4, SECTION(RIG_RAM_BASE + 0x600000, 3)); /* section elsewhere */
    mmu_tlbi(v, TLBI_ALL, 0, 0, false);
    for (uint32_t i = 0; i < 6; i++)
        cr_expect(!rec(true, VA + (i << 12)), "page %u", i);
    cr_expect(!rec(true, 0x70000000));
    cr_expect(rec(true, VA + 0x6000) && rec(true, VA + 0x7000));
    cr_expect(rec(true, KERNEL + 0x400000) && rec(true, KERNEL + 0x5ff000));
    cr_expect_eq(load(VA, PRIV), 0x220000);
    cr_expect(!store_ok(VA + 0x1000, 0, PRIV));
    cr_expect(!load_ok(VA + 0x3000, PRIV));
    cr_expect_eq(load(0x70000000, PRIV), 0x600000);
}

/* A page that became part of a larger leaf with the same address must die with any page of that
 * leaf. */
Test(spt, revalidation_knows_the_leaf)
{
    map(1, VA, RIG_RAM_BASE + 0x300000, 3, 0);
    load(VA, PRIV);
    rig_put32(L1(1) + (VA >> 20) * 4, SECTION(RIG_RAM_BASE + 0x300000, 3));
    mmu_tlbi(v, TLBI_ALL, 0, 0, false);
    cr_expect_eq(load(VA, PRIV), 0x300000);
    rig_put32(L1(1) + (VA >> 20) * 4, SECTION(RIG_RAM_BASE + 0x500000, 3));
    mmu_tlbi(v, TLBI_VA, VA + 0x80000, 0, false);
    cr_expect_eq(load(VA, PRIV), 0x500000);
}

/*
 * Pages of a large leaf that were mapped alike are looked at once. The first here is watched for
 * code, so it is mapped read-only and stays right when the leaf becomes so; the others do not.
 */
Test(spt, revalidation_of_a_leaf_that_became_read_only)
{
    mmu_code_page_translate(v, RIG_RAM_BASE + 0x400000);
    load(KERNEL + 0x400000, PRIV);
    cr_assert(!(rec(true, KERNEL + 0x400000) & REC_WRITABLE));
    load(KERNEL + 0x401000, PRIV);
    cr_assert(rec(true, KERNEL + 0x401000) & REC_WRITABLE);
    for (uint32_t i = 4; i < 6; i++)
        rig_put32(L1(1) + ((KERNEL >> 20) + i) * 4, SECTION(RIG_RAM_BASE + (i << 20), 5));
    mmu_tlbi(v, TLBI_ALL, 0, 0, false);
    cr_expect(rec(true, KERNEL + 0x400000));
    cr_expect(!rec(true, KERNEL + 0x401000));
    cr_expect(!rec(true, KERNEL + 0x5ff000));
    cr_expect(!store_ok(KERNEL + 0x401000, 0, PRIV));
    mmu_code_page_release(v, RIG_RAM_BASE + 0x400000);
}

/* Two leaves in one region: what is said of the first says nothing about the second. */
Test(spt, revalidation_looks_at_each_leaf)
{
    load(KERNEL + 0x400000, PRIV);
    cr_assert(rec(true, KERNEL + 0x5ff000), "one run over both sections");
    rig_put32(L1(1) + ((KERNEL >> 20) + 5) * 4, SECTION(RIG_RAM_BASE + 0x700000, 1));
    mmu_tlbi(v, TLBI_ALL, 0, 0, false);
    cr_expect(rec(true, KERNEL + 0x400000) && rec(true, KERNEL + 0x4ff000));
    cr_expect(!rec(true, KERNEL + 0x500000) && !rec(true, KERNEL + 0x5ff000));
    cr_expect_eq(load(KERNEL + 0x500000, PRIV), 0x700000);
}

/* Linux enters modules into a process's tables at the first abort there, for each new process. */
Test(spt, what_each_revalidation_drops_goes_to_the_soft_tlb)
{
    for (unsigned i = 0; i < 4; i++) {
        map(1, VA, DATA, 3, 0);
        load(VA, PRIV);
        cr_expect_eq(how, 1, "filled for the %uth time", i + 1);
        rig_put32(L2(1), 0);
        mmu_tlbi(v, TLBI_ALL, 0, 0, false);
        cr_expect(!rec(true, VA));
    }
    map(1, VA, DATA, 3, 0);
    cr_expect_eq(load(VA, PRIV), 0x200000);
    cr_expect(!rec(true, VA));
}

/*
 * What revalidation keeps, others must have known of before its walk: their maintenance by address
 * passes over what they do not know of, and they may have been there between the walk and the note.
 * Here a page has become global, so that maintenance for any ASID concerns it.
 */
Test(spt, revalidation_keeps_nothing_that_is_news_to_others)
{
    map(1, VA, DATA, 3, NG);
    map(1, VA + 0x2000, DATA + 0x4000, 3, 0);
    mode(v, false);
    load(VA, USER);
    load(VA + 0x2000, USER);
    map(1, VA, DATA, 3, 0);
    mmu_tlbi(v, TLBI_ALL, 0, 0, false);
    cr_expect(rec(false, VA + 0x2000), "was global before");
    cr_expect(!rec(false, VA));
    load(VA, USER);
    cr_expect_eq(how, 1);
    mmu_tlbi(v, TLBI_ALL, 0, 0, false);
    cr_expect(rec(false, VA), "known by now");
}

Test(spt, whole_window_maintenance_of_another_vcpu)
{
    struct vcpu *u = rig_vm.cpu[1];

    map(1, VA, DATA, 3, NG);
    load(VA, PRIV);
    map(1, VA, DATA + 0x1000, 3, NG);
    mmu_tlbi(u, TLBI_ALL, 0, 0, true);
    vcpu_quiescent_end(v); /* v was quiescent: it cleans before it goes on */
    cr_expect_eq(load(VA, PRIV), 0x201000);
    vcpu_quiescent_begin(v);
    mmu_dsb(u);
}

Test(spt, broadcast_drops_from_running_vcpus_without_their_help)
{
    struct vcpu *u = rig_vm.cpu[1];

    map(1, VA, DATA, 3, NG);
    mode(v, false);
    load(VA, USER);
    atomic_store(&u->in_guest, 0);
    map(1, VA, DATA + 0x1000, 3, NG);
    mmu_tlbi(u, TLBI_VA, VA, 1, true);
    cr_expect_eq(load(VA, USER), 0x201000);
    cr_expect_eq(how, 1);
    mmu_serve_requests(v);
    mmu_dsb(u);
}

/*
 * Maintenance of what nobody has mapped: no lock of a window is taken, so no system call is made
 * under it; but a fill in flight must learn of it.
 */
Test(spt, tlbi_of_an_unmapped_page_is_a_generation_step_and_no_more, .timeout = 10)
{
    struct vcpu *u = rig_vm.cpu[1];
    uint64_t gen = atomic_load(&v->mmu->gen);
    const struct spt_vcpu *s = v->mmu->spt;

    map(1, VA, DATA, 3, NG);
    load(VA, PRIV);
    load(KERNEL + 0x400000, PRIV);
    atomic_store(&u->in_guest, 0);
    map(1, VA + 0x3000, DATA, 3, NG); /* was mapped, so that summaries know it */
    load(VA + 0x3000, PRIV);
    mmu_tlbi(v, TLBI_VA, VA + 0x3000, 1, false);
    stats_vcpu[0].spt_drops = 0;
    for (unsigned i = 1; i < s->nused; i++)
        pthread_mutex_lock(&s->win[i].lock);
    for (uint32_t i = 1; i <= 16; i++)
        mmu_tlbi(u, i & 1 ? TLBI_VA : TLBI_VA_ALL_ASID, VA + (i << 12), 1, true);
    mmu_tlbi(v, TLBI_VA, VA + 0x5000, 1, false);
    for (unsigned i = 1; i < s->nused; i++)
        pthread_mutex_unlock(&s->win[i].lock);
    cr_expect_eq(atomic_load(&v->mmu->gen), gen + 16);
    cr_expect_eq(stats_vcpu[0].spt_drops + stats_vcpu[1].spt_drops, 0);
    cr_expect(rec(true, VA) && rec(true, KERNEL + 0x400000));
    mmu_dsb(u);
}

/* Registers that choose a translation: what each write changes holds at once; no entry dies. */
Test(spt, register_writes_have_their_effect_and_no_more)
{
    struct arm_mmu_regs kept;
    uint64_t before;

    map(1, VA, DATA + 0x1000, 3, NG);
    map(2, VA, DATA + 0x2000, 3, NG);
    map(3, VA, DATA + 0x3000, 3, NG);
    mode(v, false);
    cr_expect_eq(load(VA, USER), 0x201000);
    cr_expect_eq(load(KERNEL + 0x400000, PRIV), 0x400000);
    kept = *r;
    r->ttbr0 = L1(2);
    mmu_context_changed(v);
    cr_expect_eq(load(VA, USER), 0x202000, "TTBR0");
    *r = kept;
    r->ttbcr = 1; /* 2 GiB for TTBR0, the rest is TTBR1's: the kernel is elsewhere */
    r->ttbr1 = L1(4);
    rig_put32(L1(4) + ((KERNEL >> 20) + 4) * 4, SECTION(RIG_RAM_BASE + 0x600000, 1));
    mmu_context_changed(v);
    cr_expect_eq(load(KERNEL + 0x400000, PRIV), 0x600000, "TTBCR");
    *r = kept;
    r->contextidr = 3;
    r->ttbr0 = L1(3);
    mmu_context_changed(v);
    cr_expect_eq(load(VA, USER), 0x203000, "CONTEXTIDR and TTBR0");
    *r = kept;
    r->dacr = 0;
    mmu_context_changed(v);
    cr_expect(!load_ok(VA, USER), "DACR");
    *r = kept;
    r->sctlr = 0;
    mmu_context_changed(v);
    cr_expect_eq(load((uint32_t)DATA + 0x7000, PRIV), 0x207000, "SCTLR.M");
    *r = kept;
    mmu_context_changed(v);
    before = fills();
    map(1, VA, DATA + 0x5000, 3, NG); /* not maintained: the old entry may be used */
    cr_expect_eq(load(VA, USER), 0x201000);
    cr_expect_eq(load(KERNEL + 0x400000, PRIV), 0x400000);
    cr_expect_eq(fills(), before, "everything is as it was, without a fill");
}

Test(spt, a_page_that_lives_for_one_access_is_left_to_the_slow_path)
{
    uint64_t before = 0;

    for (unsigned i = 0; i < 200; i++) {
        if (i == 10)
            before = fills();
        map(1, VA, DATA + ((i & 31) << 12), 3, 0);
        cr_assert_eq(load(VA, PRIV), 0x200000 + ((i & 31) << 12));
        mmu_tlbi(v, TLBI_VA, VA, 0, false);
    }
    cr_expect_eq(fills(), before);
    cr_expect(!mmu_spt_promote(v, VA, false, PRIV), "however hot, while it changes");
    /* until it stays */
    usleep(30000);
    cr_expect(mmu_spt_promote(v, VA, false, PRIV));
    load(VA, PRIV);
    cr_expect_eq(how, 0);
    cr_expect_eq(fills(), before + 1);
}
