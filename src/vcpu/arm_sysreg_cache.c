/* SPDX-License-Identifier: MIT */
/*
 * CP15 c7 (caches, barriers) and c8 (TLB maintenance). Arm ARM DDI0406C B4.2. Data caches do not
 * exist for the guest's purposes (memory is coherent), so their operations do nothing;
 * instruction-cache operations make this vCPU, or all of them, forget translations of code that was
 * written.
 */
#include "base/inject.h"
#include "mmu/mmu.h"
#include "vcpu/arm_sys_internal.h"

/* ICIALLU is local; ICIALLUIS and, on a multiprocessor, ICIMVAU reach the inner shareable domain.
 */
static void icache_local(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    (void)r;
    (void)value;
    mmu_icache_invalidate(v, false);
}

static void icache_shared(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    (void)r;
    (void)value;
    mmu_icache_invalidate(v, true);
}

static void barrier_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    (void)r;
    (void)value;
    if (!INJECT(NO_FENCE))
        atomic_thread_fence(memory_order_seq_cst);
    mmu_dsb(v);
}

static const struct sysreg cache_regs[] = {
    CP15("NOP(WFI)", 7, 0, 0, 4, PL1_W, .write = sysreg_write_ignored),
    CP15("ICIALLUIS", 7, 0, 1, 0, PL1_W, .write = icache_shared),
    CP15("BPIALLIS", 7, 0, 1, 6, PL1_W, .write = sysreg_write_ignored),
    CP15("ICIALLU", 7, 0, 5, 0, PL1_W, .write = icache_local),
    CP15("ICIMVAU", 7, 0, 5, 1, PL1_W, .write = icache_shared),
    CP15("CP15ISB", 7, 0, 5, 4, PL0_W | PL1_W, .write = sysreg_write_ignored,
         .flags = SYSREG_END_BLOCK),
    CP15("BPIALL", 7, 0, 5, 6, PL1_W, .write = sysreg_write_ignored),
    CP15("BPIMVA", 7, 0, 5, 7, PL1_W, .write = sysreg_write_ignored),
    CP15("DCIMVAC", 7, 0, 6, 1, PL1_W, .write = sysreg_write_ignored),
    CP15("DCISW", 7, 0, 6, 2, PL1_W, .write = sysreg_write_ignored),
    CP15("DCCMVAC", 7, 0, 10, 1, PL1_W, .write = sysreg_write_ignored),
    CP15("DCCSW", 7, 0, 10, 2, PL1_W, .write = sysreg_write_ignored),
    CP15("CP15DSB", 7, 0, 10, 4, PL0_W | PL1_W, .write = barrier_write),
    CP15("CP15DMB", 7, 0, 10, 5, PL0_W | PL1_W, .write = barrier_write),
    CP15("DCCMVAU", 7, 0, 11, 1, PL1_W, .write = sysreg_write_ignored),
    CP15("NOP(prefetch)", 7, 0, 13, 1, PL1_W, .write = sysreg_write_ignored),
    CP15("DCCIMVAC", 7, 0, 14, 1, PL1_W, .write = sysreg_write_ignored),
    CP15("DCCISW", 7, 0, 14, 2, PL1_W, .write = sysreg_write_ignored),
};
const struct sysreg_table arm_cache_regs = {cache_regs, ARRAY_SIZE(cache_regs)};

/* ---- c8: opc2 is the kind, CRm the scope: 3 inner shareable, 5/6/7 local (instruction, data,
 * unified) ---- */
static void tlb_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    static const enum tlbi_kind kinds[] = {TLBI_ALL, TLBI_VA, TLBI_ASID, TLBI_VA_ALL_ASID};
    bool shared = (r->key >> 8 & 15) == 3;

    mmu_tlbi(v, kinds[r->key & 3], (uint32_t)value & ~0xfffu, (uint32_t)value & 0xff, shared);
}

#define TLB_OPS(prefix, suffix, crm)                                        \
    CP15(prefix "ALL" suffix, 8, 0, crm, 0, PL1_W, .write = tlb_write),     \
        CP15(prefix "MVA" suffix, 8, 0, crm, 1, PL1_W, .write = tlb_write), \
        CP15(prefix "ASID" suffix, 8, 0, crm, 2, PL1_W, .write = tlb_write)

static const struct sysreg tlb_regs[] = {
    TLB_OPS("TLBI", "IS", 3), CP15("TLBIMVAAIS", 8, 0, 3, 3, PL1_W, .write = tlb_write),
    TLB_OPS("ITLBI", "", 5),  TLB_OPS("DTLBI", "", 6),
    TLB_OPS("TLBI", "", 7),   CP15("TLBIMVAA", 8, 0, 7, 3, PL1_W, .write = tlb_write),
};
const struct sysreg_table arm_tlb_regs = {tlb_regs, ARRAY_SIZE(tlb_regs)};
