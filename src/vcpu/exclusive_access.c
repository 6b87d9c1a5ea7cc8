/* SPDX-License-Identifier: MIT */
/*
 * Exclusive accesses and swaps by guest virtual address, as generated code calls them: translation,
 * alignment and aborts here, the monitor itself in exclusive.c. A store to a page that holds
 * translated code marks it dirty on the way (mmu_helper_host). Arm ARM A3.4, A3.2.1 (alignment),
 * A3.4.5.
 *
 * Threads: the vCPU's own; the host address is used before the helper returns and not kept.
 */
#include "vcpu/exclusive.h"

#include "mmu/mmu.h"
#include "tcg/ir/ir.h"
#include "vcpu/arm.h"

/* External abort on a memory access that is not RAM; short and long-descriptor format. */
#define FSR_EXTERNAL_SHORT 0x008u
#define FSR_EXTERNAL_LONG  0x210u
#define FSR_WNR            (1u << 11)

/* Exclusive and atomic accesses to devices are not supported by the interconnect: external abort.
 */
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

/* ---- -exclusive strict ---- */
static bool strict_mode;

static uint64_t to_memory_order(uint64_t value, uint32_t memop)
{
    unsigned bits = 8u << MEMOP_SIZE(memop);

    return (memop & MEMOP_BSWAP) ? __builtin_bswap64(value) >> (64 - bits) : value;
}

/* Versions of both ends of an unaligned location; what is not RAM has none. May raise. */
struct touched {
    gpa_t first, last;
};

static struct touched unaligned_ends(struct vcpu *v, uint32_t gva, uint32_t memop, uintptr_t ra)
{
    uint32_t last = gva + (1u << MEMOP_SIZE(memop)) - 1;
    bool crosses = (gva ^ last) >> GUEST_PAGE_BITS;
    uint32_t probe =
        crosses ? last & (uint32_t)GUEST_PAGE_MASK : last; /* where its abort would be */
    uint32_t byte = (memop & (MEMOP_USER | MEMOP_PRIV)) | MEMOP_8;
    struct touched t = {0, 0};

    mmu_helper_host(v, gva, MMU_WRITE, byte, ra, &t.first);
    mmu_helper_host(v, probe, MMU_WRITE, byte, ra, &t.last);
    t.last += last - probe;
    return t;
}

/*
 * A store that is not naturally aligned is not a single access to the architecture either: it
 * advances the versions of what it touches before and after.
 */
static void strict_store_unaligned(struct vcpu *v, uint32_t gva, uint64_t value, uint32_t memop,
                                   uintptr_t ra)
{
    bool faults = (memop & MEMOP_ALIGN) || ((memop & MEMOP_ALIGN4) && (gva & 3));
    struct touched t = {0, 0};

    if (!faults) {
        t = unaligned_ends(v, gva, memop, ra);
        exclusive_touch(t.first);
        exclusive_touch(t.last);
    }
    mmu_slow_store(v, gva, value, memop, ra);
    exclusive_touch(t.first);
    exclusive_touch(t.last);
}

/* A plain store as an atomic exchange. */
static void helper_strict_store(struct vcpu *v, uint32_t gva, uint64_t value, uint32_t memop)
{
    uintptr_t ra = VCPU_RA();
    unsigned size = MEMOP_SIZE(memop);
    gpa_t gpa = 0;
    void *host;

    if (gva & ((1u << size) - 1)) {
        strict_store_unaligned(v, gva, value, memop, ra);
        return;
    }
    host = mmu_helper_host(v, gva, MMU_WRITE, memop, ra, &gpa);
    if (host) {
        exclusive_swap_at(host, gpa, size, to_memory_order(value, memop));
    } else {
        mmu_slow_store(v, gva, value, memop, ra);
    }
}

void exclusive_set_strict(bool strict)
{
    strict_mode = strict;
}

void *exclusive_store_helper(void)
{
    return strict_mode ? (void *)helper_strict_store : NULL;
}
