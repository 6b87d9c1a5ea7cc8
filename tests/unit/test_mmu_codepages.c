/* SPDX-License-Identifier: MIT */
/*
 * Pages with translated code: which writes are noticed, who is told, and that nobody pays twice.
 * Soft mode through the slow paths; SPT mode in test_mmu_spt.c.
 */
#include "mmu_rig.h"

#include <criterion/criterion.h>
#include <pthread.h>

#define L1   (RIG_RAM_BASE + 0x10000)
#define DATA (RIG_RAM_BASE + 0x100000)
#define VA   0x50000000u
#define P32  (MEMOP_32 | MEMOP_PRIV)

static unsigned invalidated[VCPU_MAX];
static gpa_t last_page;

static void note(struct vcpu *v, gpa_t page)
{
    invalidated[v->index]++;
    last_page = page;
}

static void setup(void)
{
    rig_start(MMU_SOFT, 4 << 20, 3, 0);
    rig_on_invalidate = note;
    rig_put32(L1 + (VA >> 20) * 4, (uint32_t)DATA | 2u | 3u << 2 | 3u << 10);
    for (unsigned i = 0; i < 3; i++) {
        struct arm_mmu_regs *r = arm_mmu_regs(rig_vm.cpu[i]);

        r->sctlr = SCTLR_M;
        r->ttbr0 = L1;
        r->dacr = 1;
        mmu_context_changed(rig_vm.cpu[i]);
    }
}

static void teardown(void)
{
    rig_stop();
}

static void store(unsigned cpu, uint32_t off)
{
    mmu_slow_store(rig_vm.cpu[cpu], VA + off, 0x1234, P32, 1);
}

/* Would generated code store without a call? */
static bool unseen(unsigned cpu, uint32_t off)
{
    struct vcpu *v = rig_vm.cpu[cpu];

    unsigned place = ((VA + off) >> 12 & (SOFTTLB_SIZE - 1)) ^ v->soft_bank / 32;

    return v->softtlb[1][place].tag[MMU_WRITE] ==
           (((VA + off) & (uint32_t)GUEST_PAGE_MASK) | v->ctx_tag);
}

TestSuite(codepages, .init = setup, .fini = teardown);

Test(codepages, write_after_translation_is_noticed_once)
{
    struct vcpu *a = rig_vm.cpu[0];

    store(0, 0);
    cr_expect(unseen(0, 0));
    mmu_code_page_translate(a, DATA + 0x10);
    cr_expect(!unseen(0, 0));
    store(0, 4);
    cr_expect(unseen(0, 0), "dirty now: further writes run at full speed");
    cr_expect_eq(invalidated[0], 0, "not before the guest's maintenance");
    mmu_icache_invalidate(a, false);
    cr_expect_eq(invalidated[0], 1);
    cr_expect_eq(last_page, DATA);
    mmu_icache_invalidate(a, false);
    cr_expect_eq(invalidated[0], 1, "cost is proportional to dirtied pages");
}

Test(codepages, clean_pages_keep_their_code)
{
    struct vcpu *a = rig_vm.cpu[0];

    for (unsigned i = 0; i < 16; i++)
        mmu_code_page_translate(a, DATA + i * 4096);
    store(0, 5 * 4096);
    mmu_icache_invalidate(a, true);
    cr_expect_eq(invalidated[0], 1);
    cr_expect_eq(last_page, DATA + 5 * 4096);
}

Test(codepages, other_writers_are_stopped_and_other_readers_told)
{
    struct vcpu *a = rig_vm.cpu[0], *b = rig_vm.cpu[1];

    store(1, 0);
    cr_expect(unseen(1, 0));
    mmu_code_page_translate(a, DATA); /* b is quiescent: served before it goes on */
    vcpu_quiescent_end(b);
    cr_expect(!unseen(1, 0));
    vcpu_quiescent_begin(b);
    mmu_code_page_translate(rig_vm.cpu[2], DATA);
    store(1, 8);
    mmu_icache_invalidate(b, true);
    mmu_dsb(b);
    vcpu_quiescent_end(a);
    vcpu_quiescent_end(rig_vm.cpu[2]);
    cr_expect_eq(invalidated[0], 1);
    cr_expect_eq(invalidated[1], 0);
    cr_expect_eq(invalidated[2], 1);
}

Test(codepages, retranslation_starts_the_watch_again)
{
    struct vcpu *a = rig_vm.cpu[0];

    for (unsigned i = 1; i < 10; i++) {
        mmu_code_page_translate(a, DATA);
        cr_expect(!unseen(0, 0));
        store(0, 0);
        mmu_icache_invalidate(a, false);
        cr_expect_eq(invalidated[0], i);
    }
}

Test(codepages, translation_while_dirty_is_still_invalidated)
{
    struct vcpu *a = rig_vm.cpu[0];

    mmu_code_page_translate(a, DATA);
    store(0, 0);
    mmu_code_page_translate(a, DATA); /* before maintenance: watched again, and still queued */
    cr_expect(!unseen(0, 0));
    store(0, 4);
    mmu_icache_invalidate(a, false);
    cr_expect_eq(invalidated[0], 1);
}

Test(codepages, dma)
{
    struct vcpu *a = rig_vm.cpu[0];

    mmu_code_page_translate(a, DATA);
    mmu_code_page_translate(a, DATA + 0x2000);
    mmu_dma_written(&rig_vm, DATA - 0x1000, 0x1000);
    mmu_dma_written(&rig_vm, DATA + 0x1000, 0x1000);
    mmu_dma_written(&rig_vm, RIG_DEVICE, 0x1000);
    mmu_icache_invalidate(a, false);
    cr_expect_eq(invalidated[0], 0);
    mmu_dma_written(&rig_vm, DATA + 0xfff, 0x1002);
    mmu_icache_invalidate(a, false);
    cr_expect_eq(invalidated[0], 2);
}

Test(codepages, released_pages_cost_nothing)
{
    struct vcpu *a = rig_vm.cpu[0];

    mmu_code_page_translate(a, DATA);
    mmu_code_page_release(a, DATA);
    store(0, 0);
    mmu_icache_invalidate(a, false);
    cr_expect_eq(invalidated[0], 0);
}

Test(codepages, exclusive_helpers_count_as_writers)
{
    struct vcpu *a = rig_vm.cpu[0];
    gpa_t gpa;

    mmu_code_page_translate(a, DATA);
    mmu_helper_host(a, VA + 8, MMU_READ, P32, 1, &gpa);
    mmu_icache_invalidate(a, false);
    cr_expect_eq(invalidated[0], 0);
    mmu_helper_host(a, VA + 8, MMU_WRITE, P32, 1, &gpa);
    mmu_icache_invalidate(a, false);
    cr_expect_eq(invalidated[0], 1);
}

Test(codepages, epoch_changes_when_requests_were_served)
{
    struct vcpu *a = rig_vm.cpu[0], *b = rig_vm.cpu[1];
    uint32_t before = mmu_epoch(a);

    mmu_tlbi(b, TLBI_ALL, 0, 0, true);
    cr_expect_eq(mmu_epoch(a), before);
    vcpu_quiescent_end(a);
    cr_expect_neq(mmu_epoch(a), before);
    mmu_dsb(b);
}
