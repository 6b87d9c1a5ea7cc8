/* SPDX-License-Identifier: MIT */
/*
 * The exclusive monitor. A plain compare-and-swap for STREX would miss a location that changed and
 * changed back (ABA), so every granule has a version that each exclusive or atomic store advances:
 * LDREX remembers address, size, value and version; STREX succeeds only when version and value are
 * unchanged. Arm ARM A3.4 (synchronization and semaphores).
 *
 * Owns the granule table. An entry serves all granules that hash to it (by physical address:
 * aliases of one page share it); a collision only makes a STREX fail that could have succeeded,
 * which the architecture allows. The entry is `version << 1 | lock`: the lock bit is held around
 * the one compare-and-swap or exchange of a store, nothing else. LDREX looks at it a bounded number
 * of times and gives the processor to a holder that was preempted, STREX fails at once; either way
 * the guest's loop comes round again. Only a swap, which must not fail, waits for as long as it
 * takes.
 *
 * Orderings: the version is read with acquire before the value, so a store that completed its
 * unlock is seen in both; a store is the locked compare-and-swap on the entry, then one on the
 * value, and a release of the entry: a full barrier, more than STREX asks for and just what STLEX
 * does.
 *
 * Known limitation: a plain store that restores the old value between LDREX and STREX is not
 * detected, unless -exclusive strict sends plain stores this way as well (exclusive_access.c).
 */
#include "vcpu/exclusive.h"

#include "base/inject.h"
#include "tcg/ir/ir.h"

#include <sched.h>

#define GRANULE_BITS       4u /* 16 bytes: any exclusive access lies in one granule */
#define TABLE_BITS         14u
#define ENTRY_LOCKED       1u
#define ENTRY_STEP         2u
#define SPINS_BEFORE_YIELD 200u

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

#define COMPARE_SWAP(type, host, expected, value)                                                \
    __atomic_compare_exchange_n((type *)(host), &(type){(type)(expected)}, (type)(value), false, \
                                __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)

bool exclusive_compare_swap(void *host, unsigned size, uint64_t expected, uint64_t value)
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

/* The entry is locked: wait a little, then let others run, and take what is there. */
static __attribute__((noinline)) uint64_t version_after_wait(_Atomic uint64_t *entry)
{
    uint64_t version = ENTRY_LOCKED;

    for (unsigned spins = 0; (version & ENTRY_LOCKED) && spins < SPINS_BEFORE_YIELD; spins++) {
        __builtin_ia32_pause();
        version = atomic_load_explicit(entry, memory_order_acquire);
    }
    if (version & ENTRY_LOCKED) {
        sched_yield();
        version = atomic_load_explicit(entry, memory_order_acquire);
    }
    return version;
}

uint64_t exclusive_load_at(struct vcpu *v, const void *host, gpa_t gpa, unsigned size)
{
    _Atomic uint64_t *entry = granule_entry(gpa);
    uint64_t version = atomic_load_explicit(entry, memory_order_acquire);
    uint64_t value;

    if (__builtin_expect(version & ENTRY_LOCKED, 0)) {
        version = version_after_wait(entry);
    }
    INJECT_MEET(EXCL_READ);
    value = location_read(host, size);

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
    if (INJECT(PLAIN_CAS))
        version = atomic_load(entry) & ~(uint64_t)ENTRY_LOCKED;
    if (!armed || (version & ENTRY_LOCKED) ||
        !atomic_compare_exchange_strong_explicit(entry, &version, version | ENTRY_LOCKED,
                                                 memory_order_seq_cst, memory_order_relaxed)) {
        return false;
    }
    INJECT_MEET(EXCL_LOCKED);
    if (INJECT(BLIND_STORE))
        v->excl.value = location_read(host, size);
    stored = exclusive_compare_swap(host, size, v->excl.value, value);
    atomic_store_explicit(entry, version + (stored && !INJECT(SKIP_VERSION_STEP) ? ENTRY_STEP : 0),
                          memory_order_release);
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

void exclusive_touch(gpa_t gpa)
{
    _Atomic uint64_t *entry = granule_entry(gpa);
    uint64_t version = entry_lock(entry);

    atomic_store_explicit(entry, version + ENTRY_STEP, memory_order_release);
}

struct exclusive_mark exclusive_mark_begin(gpa_t gpa)
{
    struct exclusive_mark m = {.entry = granule_entry(gpa)};

    m.version = entry_lock(m.entry);
    return m;
}

void exclusive_mark_end(const struct exclusive_mark *m, bool stored)
{
    atomic_store_explicit(m->entry, m->version + (stored ? ENTRY_STEP : 0), memory_order_release);
}
