/* SPDX-License-Identifier: MIT */
/*
 * What the slow-path stubs call: mmu/'s slow paths, with pairs taken apart again, so that devices
 * and faults see each word as an access of its own. Owning vCPU's thread.
 */
#include "x64_internal.h"
#include "mmu/mmu.h"

/* Memop of the words of a pair. Only the first carries the alignment check. */
static uint32_t first_word(uint32_t memop)
{
    return (memop & ~(3u | MEMOP_PAIR)) | MEMOP_32;
}

static uint32_t second_word(uint32_t memop)
{
    return first_word(memop) & ~MEMOP_ALIGN4;
}

uint64_t x64_slow_load(struct vcpu *v, gva_t gva, uint32_t memop, uintptr_t ra)
{
    if (v->soft_credit < 0)
        tcg_soft_sampled(v, gva, ra);
    if (!(memop & MEMOP_PAIR))
        return mmu_slow_load(v, gva, memop, ra);
    uint64_t low = mmu_slow_load(v, gva, first_word(memop), ra);
    return low | mmu_slow_load(v, (uint32_t)(gva + 4), second_word(memop), ra) << 32;
}

void x64_slow_store(struct vcpu *v, gva_t gva, uint64_t value, uint32_t memop, uintptr_t ra)
{
    if (v->soft_credit < 0)
        tcg_soft_sampled(v, gva, ra);
    if (!(memop & MEMOP_PAIR)) {
        mmu_slow_store(v, gva, value, memop, ra);
        return;
    }
    mmu_slow_store(v, gva, (uint32_t)value, first_word(memop), ra);
    mmu_slow_store(v, (uint32_t)(gva + 4), value >> 32, second_word(memop), ra);
}
