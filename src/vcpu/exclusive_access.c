/* SPDX-License-Identifier: MIT */
/*
 * Exclusive accesses and swaps by guest virtual address, as generated code calls them: translation,
 * alignment and aborts here, the monitor itself in exclusive.c. A store to a page that holds translated
 * code marks it dirty on the way (mmu_helper_host). Arm ARM A3.4, A3.2.1 (alignment), A3.4.5.
 *
 * Threads: the vCPU's own; the host address is used before the helper returns and not kept.
 */
#include "vcpu/exclusive.h"

#include "mmu/mmu.h"
#include "tcg/ir/ir.h"
#include "vcpu/arm.h"

/* External abort on a memory access that is not RAM; short and long-descriptor format. */
#define FSR_EXTERNAL_SHORT 0x008u
#define FSR_EXTERNAL_LONG 0x210u
#define FSR_WNR (1u << 11)

/* Exclusive and atomic accesses to devices are not supported by the interconnect: external abort. */
static _Noreturn void raise_external(struct vcpu *v, uint32_t gva, bool write, uintptr_t ra)
{
    uint32_t fsr = (arm_mmu_regs(v)->ttbcr & TTBCR_EAE) ? FSR_EXTERNAL_LONG : FSR_EXTERNAL_SHORT;

    vcpu_raise(v, ra, ARM_EXC_DABT, fsr | (write ? FSR_WNR : 0), gva);
}

uint64_t exclusive_helper_load(struct vcpu *v, uint32_t gva, uint32_t memop)
{
    uintptr_t ra = VCPU_RA();
    gpa_t gpa = 0;
    void *host;

    v->excl.armed = false;
    host = mmu_helper_host(v, gva, MMU_READ, memop, ra, &gpa);
    if (!host) {
        raise_external(v, gva, false, ra);
    }
    v->excl.addr = gva;
    return exclusive_load_at(v, host, gpa, MEMOP_SIZE(memop));
}

/*
 * A STREX that fails by the local monitor alone does not look at memory: whether it would have
 * aborted is IMPLEMENTATION DEFINED (A3.4.5), alignment apart.
 */
uint32_t exclusive_helper_store(struct vcpu *v, uint32_t gva, uint64_t value, uint32_t memop)
{
    uintptr_t ra = VCPU_RA();
    bool aligned = !(gva & ((1u << MEMOP_SIZE(memop)) - 1));
    gpa_t gpa = 0;
    void *host;

    if (!v->excl.armed && aligned) {
        return 1;
    }
    host = mmu_helper_host(v, gva, MMU_WRITE, memop, ra, &gpa);
    if (!host) {
        raise_external(v, gva, true, ra);
    }
    return !exclusive_store_at(v, host, gpa, MEMOP_SIZE(memop), value);
}

uint32_t exclusive_swap(struct vcpu *v, uint32_t gva, uint32_t value, uint32_t memop, uintptr_t ra)
{
    gpa_t gpa = 0;
    void *host = mmu_helper_host(v, gva, MMU_WRITE, memop, ra, &gpa);

    if (!host) {
        raise_external(v, gva, true, ra);
    }
    return (uint32_t)exclusive_swap_at(host, gpa, MEMOP_SIZE(memop), value);
}
