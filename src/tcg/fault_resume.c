/* SPDX-License-Identifier: MIT */
/*
 * Where to go on after a host fault in generated code, and which access sites use their window.
 * Owning vCPU thread, on its normal stack: called by the fault stub, with all registers of the
 * generated code saved, and by slow paths.
 *
 * RAM is mapped and the access retried. An access that has no business in the window (a device, a
 * page not worth a mapping) makes its site a jump to its slow path, which begins with the soft TLB.
 * Such sites are sampled: every SAMPLE_PERIOD-th hit of a vCPU's soft-TLB stubs counts for the site
 * it comes from, and a site with enough samples has its page mapped and becomes a window access
 * again. Each return, and each sample whose page has no place in the window either, doubles what
 * the next one takes. After a few of them the site has settled: its block is translated anew, with
 * the soft TLB's lookup inline, and stays so until the cache is emptied.
 */
#include "base/log.h"
#include "base/stats.h"
#include "mmu/mmu.h"
#include "tcg/tcg_internal.h"
#include "vcpu/vcpu.h"

#define PF_WRITE      2u /* page-fault error code, bit 1 */
#define SAMPLE_PERIOD 1024
#define SETTLE_LEVEL  3

/* The block is dead, and gone on with until it ends. */
static void settle(struct vcpu *v, struct tb *tb, const struct tb_access *site)
{
    uint32_t k = settled_index(tb_gpa(tb) + (gpa_t)(int32_t)(site->pc - (uint32_t)tb->pc));

    v->tcg->settled.bits[k / 64] |= UINT64_C(1) << (k % 64);
    STAT_INC(&stats_vcpu[v->index], sites_settled);
    if (!tb->dead)
        tb_invalidate(v, tb);
}

static void level_up(struct vcpu *v, struct tb *tb, struct tb_access *site)
{
    site->score = 0;
    if (++site->level == SETTLE_LEVEL)
        settle(v, tb, site);
}

static void patch(struct vcpu *v, struct tb *tb, struct tb_access *site)
{
    uint8_t *rx = tb->code + site->host_off;

    x64_patch_site_to_slow(code_rx_to_rw(v->tcg, rx), rx, tb_place(v->tcg, tb, site->slow_off),
                           site->old);
    site->patched = true;
    level_up(v, tb, site);
    STAT_INC(&stats_vcpu[v->index], sites_patched);
}

static void unpatch(struct vcpu *v, struct tb *tb, struct tb_access *site)
{
    x64_unpatch_site(code_rx_to_rw(v->tcg, tb->code + site->host_off), site->old);
    site->patched = false;
    STAT_INC(&stats_vcpu[v->index], sites_unpatched);
}

uintptr_t tcg_fault_resume(struct vcpu *v, uintptr_t host_pc, hva_t addr, uint32_t error_code)
{
    struct tb *tb = tb_by_host_pc(v->tcg, host_pc);
    struct tb_access *site = tb ? tb_access_at(tb, tb_offset(v->tcg, tb, host_pc)) : NULL;

    STAT_INC(&stats_vcpu[v->index], spt_faults);
    if (!site)
        vm_bug("host fault at %#lx (address %#lx) is not a guest access", (unsigned long)host_pc,
               (unsigned long)addr);
    switch (mmu_spt_fault(v, addr, error_code & PF_WRITE, site->memop)) {
    case MMU_FAULT_RETRY:
        return host_pc;
    case MMU_FAULT_SOFT:
        patch(v, tb, site);
        break;
    case MMU_FAULT_SLOW:
        break;
    }
    return (uintptr_t)tb_place(v->tcg, tb, site->slow_off);
}

/* The access whose slow path holds this return address. */
static struct tb_access *site_of_slow_path(const struct tb *tb, uint32_t off)
{
    struct tb_access *found = NULL;

    for (unsigned i = 0; i < tb->naccesses; i++) {
        struct tb_access *s = &tb_accesses(tb)[i];

        if (s->slow_off < off && (!found || s->slow_off > found->slow_off))
            found = s;
    }
    return found;
}

void tcg_soft_sampled(struct vcpu *v, gva_t gva, uintptr_t ra)
{
    struct tb *tb = tb_by_host_pc(v->tcg, ra);
    struct tb_access *site =
        tb && !tb->dead ? site_of_slow_path(tb, tb_offset(v->tcg, tb, ra)) : NULL;

    v->soft_credit = SAMPLE_PERIOD;
    if (!site || !site->patched || ++site->score < 1u << site->level)
        return;
    site->score = 0;
    if (mmu_spt_promote(v, gva, site->store, site->memop))
        unpatch(v, tb, site);
    else
        level_up(v, tb, site);
}
