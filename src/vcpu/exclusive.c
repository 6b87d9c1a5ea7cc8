/* SPDX-License-Identifier: MIT */
/*
 * The exclusive monitor. A plain compare-and-swap for STREX would miss a location that changed and
 * changed back (ABA), so every granule has a version that each exclusive or atomic store advances:
 * LDREX remembers address, size, value and version; STREX succeeds only when version and value are
 * unchanged. Arm ARM A3.4 (synchronization and semaphores).
 *
 * Owns the granule table. An entry serves all granules that hash to it (by physical address: aliases of
 * one page share it); a collision only makes a STREX fail that could have succeeded, which the
 * architecture allows. The entry is `version << 1 | lock`: the lock bit is held around the one
 * compare-and-swap or exchange of a store, nothing else, and never waited for by LDREX or STREX (they
 * record respectively report a failure, and the guest's loop comes round again). Only a swap, which must
 * not fail, spins for it, yielding to a holder that was preempted.
 *
 * Orderings: the version is read with acquire before the value, so a store that completed its unlock is
 * seen in both; a store is the locked compare-and-swap on the entry, then one on the value, and a release
 * of the entry: a full barrier, more than STREX asks for and just what STLEX does.
 *
 * Known limitation: a plain store that restores the old value between LDREX and STREX is not detected.
 */
#include "vcpu/exclusive.h"

#include "mmu/mmu.h"
#include "tcg/ir/ir.h"
#include "vcpu/arm.h"

#include <sched.h>

#define GRANULE_BITS 4u /* 16 bytes: any exclusive access lies in one granule */
#define TABLE_BITS 14u
#define ENTRY_LOCKED 1u
#define ENTRY_STEP 2u
#define SPINS_BEFORE_YIELD 200u

/* External abort on a memory access that is not RAM; short and long-descriptor format. */
#define FSR_EXTERNAL_SHORT 0x008u
#define FSR_EXTERNAL_LONG 0x210u
#define FSR_WNR (1u << 11)

static _Alignas(CACHE_LINE) _Atomic uint64_t granule_table[1u << TABLE_BITS];

/* Multiplicative hash: neighbouring granules land on different cache lines. */
static _Atomic uint64_t *granule_entry(gpa_t gpa)
{
    return &granule_table[((gpa >> GRANULE_BITS) * 0x9e3779b97f4a7c15u) >> (64 - TABLE_BITS)];
}

static uint64_t location_read(const void *host, unsigned size)
{
    switch (size) {
    case MEMOP_8:
        return __atomic_load_n((const uint8_t *)host, __ATOMIC_ACQUIRE);
    case MEMOP_16:
        return __atomic_load_n((const uint16_t *)host, __ATOMIC_ACQUIRE);
    case MEMOP_32:
        return __atomic_load_n((const uint32_t *)host, __ATOMIC_ACQUIRE);
    default:
        return __atomic_load_n((const uint64_t *)host, __ATOMIC_ACQUIRE);
    }
}

#define COMPARE_SWAP(type, host, expected, value) \
    __atomic_compare_exchange_n((type *)(host), &(type){ (type)(expected) }, (type)(value), false, \
                                __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)

static bool location_compare_swap(void *host, unsigned size, uint64_t expected, uint64_t value)
{
    switch (size) {
    case MEMOP_8:
        return COMPARE_SWAP(uint8_t, host, expected, value);
    case MEMOP_16:
        return COMPARE_SWAP(uint16_t, host, expected, value);
    case MEMOP_32:
        return COMPARE_SWAP(uint32_t, host, expected, value);
    default:
        return COMPARE_SWAP(uint64_t, host, expected, value);
    }
}

static uint64_t location_swap(void *host, unsigned size, uint64_t value)
{
    switch (size) {
    case MEMOP_8:
        return __atomic_exchange_n((uint8_t *)host, (uint8_t)value, __ATOMIC_SEQ_CST);
    case MEMOP_16:
        return __atomic_exchange_n((uint16_t *)host, (uint16_t)value, __ATOMIC_SEQ_CST);
    case MEMOP_32:
        return __atomic_exchange_n((uint32_t *)host, (uint32_t)value, __ATOMIC_SEQ_CST);
    default:
        return __atomic_exchange_n((uint64_t *)host, value, __ATOMIC_SEQ_CST);
    }
}

uint64_t exclusive_load_at(struct vcpu *v, const void *host, gpa_t gpa, unsigned size)
{
    uint64_t version = atomic_load_explicit(granule_entry(gpa), memory_order_acquire);
    uint64_t value = location_read(host, size);

    v->excl.armed = true;
    v->excl.size = size;
    v->excl.gpa = gpa;
    v->excl.value = value;
    v->excl.version = version;
    return value;
}

/* A version recorded while the entry was locked can be anything by now: it never matches. */
bool exclusive_store_at(struct vcpu *v, void *host, gpa_t gpa, unsigned size, uint64_t value)
{
    _Atomic uint64_t *entry = granule_entry(gpa);
    uint64_t version = v->excl.version;
    bool armed = v->excl.armed && v->excl.gpa == gpa && v->excl.size == size;
    bool stored;

    v->excl.armed = false;
    if (!armed || (version & ENTRY_LOCKED) ||
        !atomic_compare_exchange_strong_explicit(entry, &version, version | ENTRY_LOCKED,
                                                 memory_order_seq_cst, memory_order_relaxed)) {
        return false;
    }
    stored = location_compare_swap(host, size, v->excl.value, value);
    atomic_store_explicit(entry, version + (stored ? ENTRY_STEP : 0), memory_order_release);
    return stored;
}

static uint64_t entry_lock(_Atomic uint64_t *entry)
{
    for (unsigned spins = 0;; spins++) {
        uint64_t version = atomic_load_explicit(entry, memory_order_relaxed);

        if (!(version & ENTRY_LOCKED) &&
            atomic_compare_exchange_weak_explicit(entry, &version, version | ENTRY_LOCKED,
                                                  memory_order_seq_cst, memory_order_relaxed)) {
            return version;
        }
        if (spins < SPINS_BEFORE_YIELD) {
            __builtin_ia32_pause();
        } else {
            sched_yield();
        }
    }
}

uint64_t exclusive_swap_at(void *host, gpa_t gpa, unsigned size, uint64_t value)
{
    _Atomic uint64_t *entry = granule_entry(gpa);
    uint64_t version = entry_lock(entry);
    uint64_t old = location_swap(host, size, value);

    atomic_store_explicit(entry, version + ENTRY_STEP, memory_order_release);
    return old;
}

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
