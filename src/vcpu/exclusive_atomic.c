/* SPDX-License-Identifier: MIT */
/*
 * Whole loops of LDREX and STREX as one atomic operation of the host (src/tcg/arm/arm_atomic.c
 * recognises them). To the monitor such an operation is an exclusive store: the granule is marked
 * before, by its lock bit, and after, by its version, so an exclusive load on either side of it
 * fails its store, also where the value was put back.
 *
 * Only for RAM that the software TLB has for writing without a flag (code, Device memory, watched)
 * and an aligned address; whatever else there is to be said, faults above all, is left to the loop
 * itself, for which 0 is returned.
 *
 * Threads: the vCPU's own; the host address is used before the helper returns and not kept.
 */
#include "vcpu/exclusive.h"

#include "base/inject.h"
#include "base/stats.h"
#include "mmu/mmu.h"
#include "tcg/ir/ir.h"

#define DONE (UINT64_C(1) << 32)

/* Where the operation may go; NULL: the loop does it. */
static void *location(struct vcpu *v, uint32_t gva, uint32_t how, gpa_t *gpa)
{
    if (gva & ((1u << MEMOP_SIZE(how)) - 1))
        return NULL;
    return mmu_helper_peek_write(v, gva, how & MEMOP_PRIV, gpa);
}

#define APPLY(type)                                                                        \
    switch (op) {                                                                          \
    case ATOMIC_ADD:                                                                       \
        return __atomic_fetch_add((type *)host, (type)operand, __ATOMIC_SEQ_CST);          \
    case ATOMIC_AND:                                                                       \
        return __atomic_fetch_and((type *)host, (type)operand, __ATOMIC_SEQ_CST);          \
    case ATOMIC_OR:                                                                        \
        return __atomic_fetch_or((type *)host, (type)operand, __ATOMIC_SEQ_CST);           \
    case ATOMIC_XOR:                                                                       \
        return __atomic_fetch_xor((type *)host, (type)operand, __ATOMIC_SEQ_CST);          \
    default:                                                                               \
        return __atomic_exchange_n((type *)host, (type)operand, __ATOMIC_SEQ_CST);         \
    }

static uint32_t apply_8(void *host, enum atomic_op op, uint32_t operand)
{
    APPLY(uint8_t)
}

static uint32_t apply_16(void *host, enum atomic_op op, uint32_t operand)
{
    APPLY(uint16_t)
}

static uint32_t apply_32(void *host, enum atomic_op op, uint32_t operand)
{
    APPLY(uint32_t)
}

uint64_t exclusive_helper_atomic(struct vcpu *v, uint32_t gva, uint32_t operand, uint32_t how)
{
    enum atomic_op op = how >> ATOMIC_OP_SHIFT;
    gpa_t gpa;
    void *host = location(v, gva, how, &gpa);
    struct exclusive_mark mark;
    uint32_t old;

    if (!host)
        return 0;
    v->excl.armed = false;
    mark = exclusive_mark_begin(gpa);
    if (MEMOP_SIZE(how) == MEMOP_32)
        old = apply_32(host, op, operand);
    else if (MEMOP_SIZE(how) == MEMOP_16)
        old = apply_16(host, op, operand);
    else
        old = apply_8(host, op, operand);
    exclusive_mark_end(&mark, !INJECT(UNMARKED_ATOMIC));
    STAT_INC(&stats_vcpu[v->index], excl_fused);
    return DONE | old;
}

/* Compare and store: that the value differs is left to the loop too, which then ends without a
 * store and with its monitor armed. */
uint64_t exclusive_helper_compare(struct vcpu *v, uint32_t gva, uint32_t expected, uint32_t value,
                                  uint32_t how)
{
    unsigned size = MEMOP_SIZE(how);
    gpa_t gpa;
    void *host = location(v, gva, how, &gpa);
    struct exclusive_mark mark;
    bool stored;

    if (!host || (uint64_t)expected >> (8u << size))
        return 0;
    v->excl.armed = false;
    mark = exclusive_mark_begin(gpa);
    stored = exclusive_compare_swap(host, size, expected, value);
    exclusive_mark_end(&mark, stored && !INJECT(UNMARKED_ATOMIC));
    if (!stored)
        return 0;
    STAT_INC(&stats_vcpu[v->index], excl_fused);
    return DONE | expected;
}
