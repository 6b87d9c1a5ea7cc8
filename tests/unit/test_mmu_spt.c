/* SPDX-License-Identifier: MIT */
/*
 * SPT mode with real host faults: fills and their runs, rights, what TLB maintenance and context
 * switches drop and keep, code pages, the VMA budget. Guest accesses go through the emulator's own
 * SIGSEGV handler (mmu_rig.h). Short descriptors; user = ASID 1.. with tables of their own.
 */
#include "mmu_rig.h"

#include "mmu/mmu_internal.h"
#include "mmu/spt.h"

#include <unistd.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/mman.h>

#define RAM_SIZE        (UINT64_C(32) << 20)
#define L1(n)           (RIG_RAM_BASE + 0x10000 + (n)*0x4000)
#define L2(n)           (RIG_RAM_BASE + 0x80000 + (n)*0x400)
#define DATA            (RIG_RAM_BASE + 0x200000)
#define VA              0x00100000u /* pages, own table in each address space */
#define KERNEL          0xc0000000u /* sections, global, privileged */
#define NG              (1u << 11)
#define SMALL(pa, ap)   ((uint32_t)(pa) | 2u | (3u << 2) | ((ap)&3u) << 4 | ((ap) >> 2 & 1u) << 9)
#define SECTION(pa, ap) ((uint32_t)(pa) | 2u | (3u << 2) | ((ap)&3u) << 10 | ((ap) >> 2 & 1u) << 15)
#define PRIV            (MEMOP_32 | MEMOP_PRIV)
#define USER            MEMOP_32
#define LDRT            (MEMOP_32 | MEMOP_PRIV | MEMOP_USER)

static struct vcpu *v;
static struct arm_mmu_regs *r;
static int how;

static void space(struct vcpu *u, unsigned n)
{
    struct arm_mmu_regs *regs = arm_mmu_regs(u);

    regs->contextidr = n;
    regs->ttbr0 = L1(n);
    mmu_context_changed(u);
    mmu_mode_changed(u);
}

static void mode(struct vcpu *u, bool priv)
{
    u->exec_flags = (priv ? EXEC_PRIV : 0) | u->exec_mmu[priv];
    mmu_mode_changed(u);
}

static void start(uint64_t budget, unsigned ncpus)
{
    rig_start(MMU_SPT, RAM_SIZE, ncpus, budget);
    for (unsigned n = 0; n < 16; n++) {
        rig_put32(L1(n) + (VA >> 20) * 4, (uint32_t)L2(n) | 1u);
        for (uint32_t i = 0; i < 32; i++)
            rig_put32(L1(n) + ((KERNEL >> 20) + i) * 4, SECTION(RIG_RAM_BASE + (i << 20), 1));
    }
    for (uint32_t off = 0x200000; off < RAM_SIZE; off += 4096)
        rig_put32(RIG_RAM_BASE + off, off);
    for (unsigned i = 0; i < ncpus; i++) {
        *arm_mmu_regs(rig_vm.cpu[i]) = (struct arm_mmu_regs){.sctlr = SCTLR_M, .dacr = 1};
        space(rig_vm.cpu[i], 1);
    }
    v = rig_current = rig_vm.cpu[0];
    r = arm_mmu_regs(v);
}

static void setup(void)
{
    start(0, 2);
}

static void teardown(void)
{
    rig_stop();
}

static void map(unsigned n, uint32_t va, gpa_t pa, unsigned ap, uint32_t more)
{
    rig_put32(L2(n) + (va >> 12 & 0xff) * 4, SMALL(pa, ap) | more);
}

static uint32_t load(uint32_t va, uint32_t memop)
{
    return rig_spt_load(v, va, memop, &how);
}

static bool load_ok(uint32_t va, uint32_t memop)
{
    return RIG_TRY(load(va, memop));
}

static bool store_ok(uint32_t va, uint32_t value, uint32_t memop)
{
    return RIG_TRY(rig_spt_store(v, va, value, memop, &how));
}

static uint32_t rec(bool priv, uint32_t va)
{
    struct window *w = v->mmu->spt->cur[priv];

    return w ? window_record(w, va) : 0;
}

static uint64_t fills(void)
{
    return stats_vcpu[v->index].spt_fills;
}

static void wait_for_reclaimer(void)
{
    const struct spt_vcpu *s = v->mmu->spt;

    for (unsigned i = 1; i < s->nused; i++)
        while (atomic_load(s->win[i].tag) & WINDOW_RETIRED)
            usleep(100);
}

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

/* ---- maintenance ---- */
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

/* ---- organisations ---- */
static void organise(struct mmu_options o)
{
    rig_options = o;
    start(0, 1);
    for (unsigned n = 1; n <= 8; n++)
        for (unsigned i = 0; i < 20; i++)
            map(n, VA + (i << 12), DATA + ((n * 32 + (i ^ 1)) << 12), 3, NG);
    mode(v, false);
}

/* Use `n` pages of space s; how many of them took a fault. */
static unsigned touch(unsigned s, unsigned n)
{
    unsigned faults = 0;

    space(v, s);
    for (unsigned i = 0; i < n; i++) {
        cr_assert_eq(load(VA + (i << 12), USER), 0x200000 + ((s * 32 + (i ^ 1)) << 12));
        faults += how > 0;
    }
    return faults;
}

Test(spt, shared_is_one_window, .init = NULL)
{
    organise((struct mmu_options){.windows = 1});
    cr_expect_eq(touch(1, 20), 20);
    cr_expect_eq(touch(1, 20), 0);
    cr_expect_eq(touch(2, 20), 20);
    cr_expect_eq(touch(1, 20), 20, "cleared by the switch");
    wait_for_reclaimer();
    cr_expect_leq(mmu_vma_count(&rig_vm) - VCPU_MAX, 41, "only one window holds mappings");
}

Test(spt, prefill_replays_the_last_pages, .init = NULL)
{
    organise((struct mmu_options){.windows = 1, .prefill = 8});
    cr_expect_eq(touch(1, 20), 20);
    touch(2, 4);
    cr_expect_eq(touch(1, 20), 12, "the last eight were filled at the switch");
    cr_expect_eq(stats_vcpu[0].spt_prefills, 8);
    cr_expect_eq(touch(2, 4), 0);
    rig_put32(L2(1) + (VA >> 12 & 0xff) * 4, 0);
    space(v, 1);
    cr_expect(!load_ok(VA, USER), "a page the guest took away is not replayed");
}

Test(spt, group_evicts_the_least_recently_scheduled, .init = NULL)
{
    organise((struct mmu_options){.windows = 3});
    for (unsigned n = 1; n <= 3; n++)
        cr_expect_eq(touch(n, 5), 5);
    for (unsigned n = 1; n <= 3; n++)
        cr_expect_eq(touch(n, 5), 0);
    cr_expect_eq(touch(4, 5), 5);
    cr_expect_eq(touch(3, 5), 0);
    cr_expect_eq(touch(2, 5), 0);
    cr_expect_eq(touch(1, 5), 5, "was evicted");
    cr_expect_eq(touch(4, 5), 5, "and then this");
}

/* A retired window keeps what it maps until the reclaimer has been there, and counts it. */
Test(spt, retired_windows_are_cleared_and_used_again, .init = NULL)
{
    organise((struct mmu_options){.windows = 1});
    for (unsigned round = 0; round < 400; round++)
        cr_assert_eq(touch(1 + round % 8, 20), 20);
    wait_for_reclaimer();
    for (unsigned i = 1; i < v->mmu->spt->nused; i++)
        cr_expect(atomic_load(&v->mmu->spt->win[i].current) ||
                  !atomic_load(&v->mmu->spt->win[i].mapped));
}

/* ---- the hybrid ---- */
static void run_user_for_us(unsigned us)
{
    uint64_t end = stats_now_ns() + us * UINT64_C(1000);

    while (stats_now_ns() < end)
        ;
    mode(v, true);
    mode(v, false);
}

Test(spt, user_code_moves_to_windows_when_it_has_run_for_a_while, .init = NULL)
{
    organise((struct mmu_options){.tiered = true});
    space(v, 1);
    cr_expect(!(v->exec_flags & EXEC_WINDOW));
    cr_expect_null(v->mmu->current->win[0]);
    for (unsigned i = 0; i < 20; i++)
        mmu_slow_load(v, VA + (i << 12), USER, 1);
    run_user_for_us(20000);
    cr_expect(v->exec_flags & EXEC_WINDOW);
    cr_expect_eq(touch(1, 20), 0, "what was in the soft TLB is there");
    space(v, 2);
    cr_expect(!(v->exec_flags & EXEC_WINDOW), "each address space by itself");
    space(v, 1);
    cr_expect(v->exec_flags & EXEC_WINDOW);
    mode(v, true);
    cr_expect(v->exec_flags & EXEC_WINDOW, "privileged code always");
}

Test(spt, user_code_that_keeps_faulting_moves_back, .init = NULL)
{
    organise((struct mmu_options){.tiered = true});
    space(v, 1);
    run_user_for_us(20000);
    for (unsigned n = 0; n < 20000 && v->mmu->current->tier.windowed; n++) {
        v->mmu->current->tier.user_ticks = 0; /* a busy host may take its time for a fault */
        load(VA, USER);
        mmu_tlbi(v, TLBI_VA, VA, 1, false);
    }
    cr_assert(!v->mmu->current->tier.windowed);
    mmu_serve_requests(v);
    cr_expect(!(v->exec_flags & EXEC_WINDOW));
    mode(v, true);
    v->mmu->current->tier.user_ticks = 10000 * v->vm->mmu->spt->ticks_per_us;
    mode(v, false);
    cr_expect(!(v->exec_flags & EXEC_WINDOW), "not again after 10 ms: the next try waits longer");
}

/* However long it has run well: another CPU drops its page faster than windows are worth. */
Test(spt, user_code_in_a_storm_of_maintenance_moves_back, .init = NULL)
{
    unsigned n;

    organise((struct mmu_options){.tiered = true});
    space(v, 1);
    run_user_for_us(20000);
    v->mmu->current->tier.user_ticks = UINT64_C(1000000000) * v->vm->mmu->spt->ticks_per_us;
    for (n = 0; n < 20000 && v->mmu->current->tier.windowed; n++) {
        v->mmu->current->tier.recent_ticks = 0; /* as above */
        load(VA, USER);
        mmu_tlbi(v, TLBI_VA, VA, 1, false);
    }
    cr_expect_geq(n, 32, "a few drops are no storm");
    cr_expect_lt(n, 200);
}

Test(spt, what_a_kernel_touches_of_user_memory_stays_out_of_its_window, .init = NULL)
{
    organise((struct mmu_options){.tiered = true});
    space(v, 1);
    mode(v, true);
    load(VA, PRIV);
    cr_expect_eq(how, -1);
    cr_expect(!rec(true, VA));
    load(KERNEL + 0x400000, PRIV);
    cr_expect_eq(how, 1);
    load(VA, LDRT);
    cr_expect_eq(how, -1);
    cr_expect_null(v->mmu->current->win[0]);
    cr_expect(mmu_spt_promote(v, VA, false, PRIV), "unless the site is hot");
    load(VA, PRIV);
    cr_expect_eq(how, 0);
}

/* ---- address spaces ---- */
Test(spt, switching_back_finds_everything_mapped)
{
    mode(v, false);
    for (unsigned n = 1; n <= 8; n++) {
        map(n, VA, DATA + (n << 12), 3, NG);
        space(v, n);
        cr_expect_eq(load(VA, USER), 0x200000 + (n << 12));
        cr_expect_eq(how, 1);
    }
    for (unsigned n = 1; n <= 8; n++) {
        space(v, n);
        cr_expect_eq(load(VA, USER), 0x200000 + (n << 12));
        cr_expect_eq(how, 0);
    }
}

Test(spt, global_pages_survive_a_new_address_space_and_others_do_not)
{
    map(1, VA, DATA + 0x1000, 3, NG);
    map(2, VA, DATA + 0x2000, 3, NG);
    load(KERNEL + 0x400000, PRIV);
    cr_expect_eq(load(VA, PRIV), 0x201000);
    for (unsigned n = 2; n < 10; n++) {
        space(v, n);
        load(KERNEL + 0x400000, PRIV);
        cr_expect_eq(how, 0, "kernel pages are not faulted in again");
        cr_expect(!rec(true, VA));
    }
    space(v, 2);
    cr_expect_eq(load(VA, PRIV), 0x202000);
    /* the same ASID with another table is another address space */
    r->ttbr0 = L1(3);
    mmu_context_changed(v);
    cr_expect(!rec(true, VA));
}

Test(spt, dacr_flip_costs_no_fill)
{
    load(KERNEL + 0x400000, PRIV);
    r->dacr = 1 | 1 << 2;
    mmu_context_changed(v);
    load(KERNEL + 0x400000, PRIV);
    cr_expect_eq(how, 1);
    for (unsigned i = 0; i < 10; i++) {
        r->dacr ^= 1 << 2;
        mmu_context_changed(v);
        load(KERNEL + 0x400000, PRIV);
        cr_expect_eq(how, 0);
    }
    /* and an access that must fault, faults */
    r->dacr = 0;
    mmu_context_changed(v);
    cr_expect(!load_ok(KERNEL + 0x400000, PRIV));
    cr_expect_eq(rig_exc.fsr, 0x09);
}

Test(spt, more_address_spaces_than_windows)
{
    mode(v, false);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned n = 0; n < 600; n++) {
            r->contextidr = n & 0xff;
            r->ttbr0 = L1(1);
            r->ttbr1 = (uint64_t)(n >> 8) << 14; /* unused by the walk, part of the key */
            mmu_context_changed(v);
            map(1, VA, DATA + ((n & 15) << 12), 3, NG);
            mmu_tlbi(v, TLBI_ASID, 0, n & 0xff, false);
            cr_assert_eq(load(VA, USER), 0x200000 + ((n & 15) << 12), "space %u", n);
        }
}

Test(spt, reset_leaves_nothing)
{
    map(1, VA, DATA, 3, NG);
    load(KERNEL + 0x400000, PRIV);
    mmu_vcpu_reset(v);
    wait_for_reclaimer();
    cr_expect_eq(mmu_vma_count(&rig_vm), VCPU_MAX);
    cr_expect_eq(load(VA, PRIV), 0x200000);
    cr_expect_eq(how, 1);
}

Test(spt, mmu_off)
{
    r->sctlr = 0;
    mmu_context_changed(v);
    cr_expect_eq(load((uint32_t)DATA + 0x5000, PRIV), 0x205000);
    cr_expect_eq(how, 1);
    cr_expect_eq(load((uint32_t)DATA + 0x6000, PRIV), 0x206000);
    cr_expect_eq(how, 0);
    cr_expect_eq(load((uint32_t)RIG_DEVICE + 8, PRIV), 8);
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

/* ---- budget ---- */
Test(spt, budget_is_kept, .init = NULL)
{
    uint32_t n = 0;

    start(200, 1);
    mode(v, false);
    for (unsigned round = 0; round < 6; round++)
        for (unsigned s = 1; s <= 8; s++) {
            space(v, s);
            for (uint32_t i = 0; i < 256; i += 2, n++) {
                map(s, VA + (i << 12), DATA + ((n * 7 % 4096) << 12), 3, NG);
                mmu_tlbi(v, TLBI_VA, VA + (i << 12), s, false);
                cr_assert_eq(load(VA + (i << 12), USER), 0x200000 + ((n * 7 % 4096) << 12));
                cr_assert_leq(mmu_vma_count(&rig_vm), 200 + VCPU_MAX);
            }
        }
    cr_expect_gt(stats_vcpu[0].spt_evictions, 0);
}

/* Idle windows give slices, and no more than is needed. */
Test(spt, eviction_is_no_longer_than_needed, .init = NULL)
{
    const struct window *idle;

    start(400, 1);
    mode(v, false);
    space(v, 1);
    for (uint32_t i = 0; i < 256; i += 2) {
        map(1, VA + (i << 12), DATA + (i << 13), 3, NG);
        load(VA + (i << 12), USER);
    }
    idle = v->mmu->spt->cur[0];
    space(v, 2);
    for (uint32_t i = 0; i < 256 && !stats_vcpu[0].spt_evictions; i += 2) {
        map(2, VA + (i << 12), DATA + (i << 13), 3, NG);
        load(VA + (i << 12), USER);
        cr_expect_eq(how, 1);
    }
    cr_expect_eq(stats_vcpu[0].spt_evictions, 1);
    cr_expect_gt(atomic_load(&idle->mapped), 64);
    cr_expect_lt(atomic_load(&idle->mapped), 128);
}

/* One vCPU runs in a window that has the whole budget: the other gets a share of it. */
Test(spt, a_running_window_shares_the_budget, .init = NULL)
{
    struct vcpu *u;

    start(64, 2);
    u = rig_vm.cpu[1];
    for (unsigned i = 0; i < 2; i++)
        mode(rig_vm.cpu[i], false);
    for (uint32_t i = 0; i < 80; i += 2) {
        map(1, VA + (i << 12), DATA + (i << 13), 3, NG);
        load(VA + (i << 12), USER);
    }
    cr_expect_gt(atomic_load(&v->mmu->spt->cur[0]->mapped), 20);
    v = rig_current = u;
    for (uint32_t i = 0; i < 80; i += 2) {
        cr_assert_eq(load(VA + (i << 12), USER), 0x200000 + (i << 13));
        cr_assert_leq(mmu_vma_count(&rig_vm), 64 + VCPU_MAX);
        usleep(i < 40 ? 1000 : 0); /* its ration is due again, and then it is not */
    }
    cr_expect_gt(atomic_load(&u->mmu->spt->cur[0]->mapped), 10);
    cr_expect_geq(stats_vcpu[1].spt_evictions, 1);
    cr_expect_leq(stats_vcpu[1].spt_evictions, 24);
    v = rig_current = rig_vm.cpu[0];
    for (uint32_t i = 0; i < 80; i += 2)
        cr_assert_eq(load(VA + (i << 12), USER), 0x200000 + (i << 13));
}

/* What is in use gives a slice, but not another at once. */
Test(spt, slices_of_running_windows_are_rationed, .init = NULL)
{
    bool refused = false;

    start(64, 1);
    mode(v, false);
    map(1, VA, DATA, 3, NG);
    for (unsigned i = 0; i < 50 && !refused; i++) { /* unless the host takes the CPU in between */
        usleep(1000);
        load(VA, USER);
        cr_assert(budget_evict(v));
        load(VA, USER);
        cr_assert_eq(how, 1);
        refused = !budget_evict(v);
    }
    cr_expect(refused);
}

/* A window whose range went to somebody else is not unmapped at the end. */
Test(spt, what_landed_in_a_lost_window_survives)
{
    struct window *w = &v->mmu->spt->win[5];
    uint64_t size = UINT64_C(1) << w->bits;
    void *base = (void *)w->base;
    uint32_t *theirs;

    munmap(base, size);
    theirs = mmap(base, 4096, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    cr_assert_eq(theirs, base);
    *theirs = 42;
    atomic_store(&w->lost, true);
    mmu_vcpu_destroy(v);
    cr_expect_eq(*theirs, 42);
    munmap(theirs, 4096);
    cr_assert_eq(mmu_vcpu_create(v), 0);
}
