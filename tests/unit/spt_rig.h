/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the tests of SPT mode share: a machine with real host faults (mmu_rig.h), short descriptors,
 * user = ASID 1.. with tables of their own, a kernel of sections; accesses, and what they left.
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

static inline void space(struct vcpu *u, unsigned n)
{
    struct arm_mmu_regs *regs = arm_mmu_regs(u);

    regs->contextidr = n;
    regs->ttbr0 = L1(n);
    mmu_context_changed(u);
    mmu_mode_changed(u);
}

static inline void mode(struct vcpu *u, bool priv)
{
    u->exec_flags = (priv ? EXEC_PRIV : 0) | u->exec_mmu[priv];
    mmu_mode_changed(u);
}

static inline void start(uint64_t budget, unsigned ncpus)
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

static inline void setup(void)
{
    start(0, 2);
}

static inline void teardown(void)
{
    rig_stop();
}

static inline void map(unsigned n, uint32_t va, gpa_t pa, unsigned ap, uint32_t more)
{
    rig_put32(L2(n) + (va >> 12 & 0xff) * 4, SMALL(pa, ap) | more);
}

static inline uint32_t load(uint32_t va, uint32_t memop)
{
    return rig_spt_load(v, va, memop, &how);
}

static inline bool load_ok(uint32_t va, uint32_t memop)
{
    return RIG_TRY(load(va, memop));
}

static inline bool store_ok(uint32_t va, uint32_t value, uint32_t memop)
{
    return RIG_TRY(rig_spt_store(v, va, value, memop, &how));
}

static inline uint32_t rec(bool priv, uint32_t va)
{
    struct window *w = v->mmu->spt->cur[priv];

    return w ? window_record(w, va) : 0;
}

static inline uint64_t fills(void)
{
    return stats_vcpu[v->index].spt_fills;
}

static inline void wait_for_reclaimer(void)
{
    const struct spt_vcpu *s = v->mmu->spt;

    for (unsigned i = 1; i < s->nused; i++)
        while (atomic_load(s->win[i].tag) & WINDOW_RETIRED)
            usleep(100);
}

/* As on a quick host, whatever this one is. */
static inline void organise(struct mmu_options o)
{
    rig_options = o;
    start(0, 1);
    rig_vm.mmu->spt->price = tier_prices(&(struct host_cost){0});
    for (unsigned n = 1; n <= 8; n++)
        for (unsigned i = 0; i < 20; i++)
            map(n, VA + (i << 12), DATA + ((n * 32 + (i ^ 1)) << 12), 3, NG);
    mode(v, false);
}

/* Use `n` pages of space s; how many of them took a fault. */
static inline unsigned touch(unsigned s, unsigned n)
{
    unsigned faults = 0;

    space(v, s);
    for (unsigned i = 0; i < n; i++) {
        cr_assert_eq(load(VA + (i << 12), USER), 0x200000 + ((s * 32 + (i ^ 1)) << 12));
        faults += how > 0;
    }
    return faults;
}
