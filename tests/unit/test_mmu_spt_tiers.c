/* SPDX-License-Identifier: MIT */
/*
 * SPT mode: organisations of windows, the hybrid that moves code between tiers, switches between
 * address spaces.
 */
#include "spt_rig.h"

TestSuite(spt, .init = setup, .fini = teardown);

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

/* Here it waits for a window's lock meanwhile. The vCPU does not spread over its whole arena. */
Test(spt, a_reclaimer_that_is_behind_is_helped, .init = NULL)
{
    struct window *held;
    unsigned wrong = 0;

    organise((struct mmu_options){.windows = 1});
    touch(1, 20);
    touch(2, 20);
    wait_for_reclaimer();
    held = v->mmu->spt->cur[0];
    pthread_mutex_lock(&held->lock);
    touch(3, 20);
    /* When the reclaimer is late, the vCPU must not choose this one: it would wait for itself. */
    atomic_store(&held->last_used, UINT64_MAX);
    for (unsigned round = 1; round < 200; round++)
        wrong += touch(3 + round % 6, 20) != 20; /* who leaves here keeps the lock */
    cr_expect_lt(v->mmu->spt->nused, 48);
    cr_expect(atomic_load(held->tag) & WINDOW_RETIRED);
    pthread_mutex_unlock(&held->lock);
    cr_expect_eq(wrong, 0);
    wait_for_reclaimer();
}

/* A process ended when all of it was maintained and it was not scheduled for a second. */
Test(spt, windows_of_ended_processes_are_taken_back, .init = NULL)
{
    struct spt_vcpu *s;
    struct window *left[2];

    organise((struct mmu_options){.windows = 0});
    s = v->mmu->spt;
    for (unsigned n = 1; n <= 3; n++) {
        touch(n, 20);
        if (n < 3)
            left[n - 1] = s->cur[0];
    }
    space(v, 4);
    atomic_store(&left[0]->last_used, 1);
    cr_expect_eq(touch(4, 5), 5);
    cr_expect_eq(touch(1, 20), 0, "not maintained");
    space(v, 4);
    mmu_tlbi(v, TLBI_ALL, 0, 0, false);
    atomic_store(&left[0]->last_used, 1);
    cr_expect_eq(touch(5, 5), 5);
    cr_expect_eq(touch(2, 20), 0, "was scheduled lately");
    cr_expect_eq(touch(1, 20), 20, "was not");
    wait_for_reclaimer();
    for (unsigned i = 0; i < left[0]->nregions; i++)
        cr_assert(atomic_load(left[0]->tag) || !atomic_load(&left[0]->region[i]));
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

Test(spt, a_slow_host_promotes_later, .init = NULL)
{
    organise((struct mmu_options){.tiered = true});
    rig_vm.mmu->spt->price = tier_prices(&(struct host_cost){.signal_ns = 11000, .map_ns = 12000});
    cr_expect_eq(rig_vm.mmu->spt->price.fault, 92);
    cr_expect_eq(rig_vm.mmu->spt->price.promote, 92 * 1600);
    cr_expect_eq(rig_vm.mmu->spt->price.abort, 22);
    cr_expect_eq(rig_vm.mmu->spt->price.fill, 24);
    cr_expect_eq(rig_vm.mmu->spt->price.drop, 142);
    space(v, 1);
    run_user_for_us(20000);
    cr_expect(!(v->exec_flags & EXEC_WINDOW));
    v->mmu->current->tier.user_ticks = 150000 * v->vm->mmu->host.ticks_per_us;
    mode(v, true);
    mode(v, false);
    cr_expect(v->exec_flags & EXEC_WINDOW);
}

/* What is translated all the time is not made faster by windows. */
Test(spt, time_spent_translating_does_not_count, .init = NULL)
{
    uint64_t end, since;

    organise((struct mmu_options){.tiered = true});
    space(v, 1);
    since = v->mmu->user_since;
    end = stats_now_ns() + 2000000;
    while (stats_now_ns() < end)
        ;
    mmu_not_run(v, 1000000);
    cr_expect_eq(v->mmu->user_since - since, 1000 * v->vm->mmu->host.ticks_per_us);
    mmu_not_run(v, UINT64_MAX / 1000000); /* never more than there was */
    cr_expect_leq(v->mmu->user_since, __builtin_ia32_rdtsc());
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
    v->mmu->current->tier.user_ticks = 10000 * v->vm->mmu->host.ticks_per_us;
    mode(v, false);
    cr_expect(!(v->exec_flags & EXEC_WINDOW), "not again after 10 ms: the next try waits longer");
}

/* Those who compute need more mappings than there are: each turn would fault them in again. */
Test(spt, user_code_whose_window_was_evicted_moves_back, .init = NULL)
{
    const struct window *w;

    organise((struct mmu_options){.tiered = true});
    space(v, 1);
    for (unsigned i = 0; i < 20; i++)
        mmu_slow_load(v, VA + (i << 12), USER, 1);
    run_user_for_us(20000);
    w = v->mmu->current->win[0];
    cr_assert(w && atomic_load(&w->mapped));
    space(v, 2);
    space(v, 1);
    cr_expect(v->exec_flags & EXEC_WINDOW, "nobody needed room");
    space(v, 2);
    while (atomic_load(&w->mapped) && budget_evict(v))
        ;
    space(v, 1);
    cr_expect(!(v->exec_flags & EXEC_WINDOW));
    cr_expect_null(v->mmu->current->win[0]);
    cr_expect_null(v->mmu->spt->cur[0]);
    cr_expect_eq(stats_vcpu[0].spt_demotions, 1);
    v->mmu->current->tier.user_ticks = UINT64_C(1000000) * v->vm->mmu->host.ticks_per_us;
    mode(v, true);
    mode(v, false);
    cr_expect(v->exec_flags & EXEC_WINDOW, "it may try again");
    cr_expect_eq(touch(1, 20), 0, "what was in the soft TLB is there");
}

/* However long it has run well: another CPU drops its page faster than windows are worth. */
Test(spt, user_code_in_a_storm_of_maintenance_moves_back, .init = NULL)
{
    unsigned n;

    organise((struct mmu_options){.tiered = true});
    space(v, 1);
    run_user_for_us(20000);
    v->mmu->current->tier.user_ticks = UINT64_C(1000000000) * v->vm->mmu->host.ticks_per_us;
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
    cr_expect(!mmu_spt_promote(v, VA, false, PRIV), "not even when the site is hot");
    cr_expect(!rec(true, VA));
    cr_expect(mmu_spt_promote(v, KERNEL + 0x500000, false, PRIV));
    load(KERNEL + 0x500000, PRIV);
    cr_expect_eq(how, 0);
}

/* The kernel's sections are of domain 0; DACR gives its clients their rights. */
#define DACR_KERNEL    1u
#define DACR_OTHER(k)  ((uint32_t)(k) << 10) /* of domain 5, which nobody uses */
#define DACR_OPEN      3u                    /* domain 0 again: no checks at all */

Test(spt, dacr_values_share_a_privileged_window_unless_it_concerns_them, .init = NULL)
{
    const struct window *shared;

    organise((struct mmu_options){.tiered = true});
    space(v, 1);
    mode(v, true);
    mmu_write_dacr(v, DACR_KERNEL);
    load(KERNEL + 0x400000, PRIV);
    cr_expect_eq(how, 1);
    shared = v->mmu->spt->cur[1];
    for (unsigned n = 0; n < 6; n++) {
        mmu_write_dacr(v, DACR_KERNEL | DACR_OTHER(n & 1));
        cr_expect_eq(v->mmu->spt->cur[1], shared);
        load(KERNEL + 0x400000, PRIV);
        cr_expect_eq(how, 0);
    }
    mmu_write_dacr(v, 0); /* a value never seen: no access to domain 0 */
    cr_expect(!load_ok(KERNEL + 0x400000, PRIV));
    mmu_write_dacr(v, DACR_KERNEL);
    load(KERNEL + 0x400000, PRIV);
    cr_expect_eq(how, 1, "each value has its window from now on");
    mmu_write_dacr(v, DACR_OPEN);
    load(KERNEL + 0x400000, PRIV);
    cr_expect_eq(how, 1);
    mmu_write_dacr(v, DACR_KERNEL);
    load(KERNEL + 0x400000, PRIV);
    cr_expect_eq(how, 0);
}

Test(spt, software_pan_leaves_the_user_window_where_it_is, .init = NULL)
{
    const struct window *user;

    organise((struct mmu_options){.tiered = true});
    mmu_write_dacr(v, DACR_KERNEL | DACR_OTHER(1));
    space(v, 1);
    run_user_for_us(20000);
    user = v->mmu->spt->cur[0];
    cr_assert_not_null(user);
    load(VA, USER);
    cr_expect_eq(how, 1);
    for (unsigned n = 0; n < 4; n++) {
        mode(v, true);
        mmu_write_dacr(v, DACR_KERNEL); /* a context of the kernel alone */
        cr_expect_null(v->mmu->current->win[0]);
        cr_expect_eq(v->mmu->spt->cur[0], user);
        if (n == 2)
            mmu_tlbi(v, TLBI_ALL, 0, 0, false);
        mmu_write_dacr(v, DACR_KERNEL | DACR_OTHER(1));
        mode(v, false);
        cr_expect_eq(v->mmu->spt->cur[0], user);
        cr_expect(!atomic_load(&user->stale), "cleaned with its own registers");
        load(VA, USER);
        cr_expect_eq(how, 0, "round %u", n);
    }
    mode(v, true);
    mmu_write_dacr(v, DACR_KERNEL);
    mode(v, false); /* the kernel returns with DACR as it is */
    cr_expect_null(v->mmu->spt->cur[0]);
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
