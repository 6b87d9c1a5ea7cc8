/* SPDX-License-Identifier: MIT */
/*
 * SPT mode: the budget of host mappings, eviction, windows that were lost at the host's limit.
 */
#include "spt_rig.h"

TestSuite(spt, .init = setup, .fini = teardown);

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
