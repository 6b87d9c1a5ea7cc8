/* SPDX-License-Identifier: MIT */
/*
 * Conservative summaries of what a vCPU may have cached: one for its soft TLB, jump cache and
 * running code, so that other vCPUs ask it (and wait for it at their DSB) only when their TLB
 * maintenance concerns it; one for its windows, so that nobody looks through them in vain (a kernel
 * flushes its whole vmalloc range page by page). Written by the owner, read by everybody; bits are
 * only ever added until everything cached has died, for windows until reset. The ASID of the
 * current context is noted without a gap, since its windows are used without a note of their own.
 *
 * Order: the owner reads its generation, walks, adds the note (a read-modify-write when it is
 * news), then reads the generation again and walks again if it moved. Whoever maintains advances
 * the generation, then reads the summary. So a note that came too late to be read belongs to a walk
 * that is repeated; and a note read is answered by a request, which the owner serves after it
 * cached the entry.
 *
 * Starting afresh needs a point where no generated code is up the stack, since a running block came
 * from a page that has to stay noted: mmu_serve_requests() outside of waits, and reset.
 */
#include "mmu_internal.h"

#include "base/inject.h"

#include <string.h>

static unsigned page_bit(gva_t gva)
{
    return gva >> GUEST_PAGE_BITS & (SEEN_WORDS * 64 - 1);
}

static bool add_bit(_Atomic uint64_t *words, unsigned bit)
{
    uint64_t mask = UINT64_C(1) << (bit % 64);

    if (atomic_load_explicit(&words[bit / 64], memory_order_relaxed) & mask)
        return false;
    atomic_fetch_or(&words[bit / 64], mask);
    return true;
}

static bool has_bit(const _Atomic uint64_t *words, unsigned bit)
{
    return atomic_load(&words[bit / 64]) >> (bit % 64) & 1;
}

/* All MiBs of a leaf are marked together: one that knows this size speaks for the others. */
static bool note_leaf(struct seen *s, gva_t gva, uint64_t size)
{
    uint8_t log2 = (uint8_t)__builtin_ctzll(size);
    gva_t first = gva & ~(size - 1);

    if (atomic_load(&s->leaf_log2[gva >> LEAF_REGION_BITS]) >= log2)
        return false;
    for (gva_t r = first >> LEAF_REGION_BITS; r <= (first + size - 1) >> LEAF_REGION_BITS; r++)
        if (atomic_load_explicit(&s->leaf_log2[r], memory_order_relaxed) < log2)
            atomic_store_explicit(&s->leaf_log2[r], log2, memory_order_relaxed);
    return true;
}

bool seen_note(struct seen *s, gva_t gva, uint64_t leaf_size, bool global)
{
    if (leaf_size > UINT64_C(1) << 30) /* MMU off: there is no guest entry to maintain */
        return false;
    if (leaf_size > GUEST_PAGE_SIZE)
        return note_leaf(s, gva, leaf_size);
    return add_bit(s->page[global], page_bit(gva));
}

void seen_note_asid(struct seen *s, uint32_t asid)
{
    add_bit(s->asid, asid & 0xff);
}

void seen_forget_asid(struct seen *s, uint32_t asid)
{
    atomic_fetch_and(&s->asid[(asid & 0xff) / 64], ~(UINT64_C(1) << (asid % 64)));
}

static void clear(_Atomic uint64_t *words, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        atomic_store_explicit(&words[i], 0, memory_order_relaxed);
}

void seen_forget_all(struct seen *s, uint32_t current_asid)
{
    uint64_t keep = UINT64_C(1) << (current_asid % 64);

    clear(s->page[0], SEEN_WORDS);
    clear(s->page[1], SEEN_WORDS);
    /* Not cleared and then noted again: maintenance by ASID that looks in between would ask nobody
     * to clean the current windows it has just marked stale. */
    if (INJECT(FORGET_CURRENT_ASID))
        clear(s->asid, ARRAY_SIZE(s->asid));
    INJECT_MEET(FORGOT);
    for (unsigned i = 0; i < ARRAY_SIZE(s->asid); i++)
        atomic_store(&s->asid[i], i == (current_asid & 0xff) / 64 ? keep : 0);
    for (unsigned i = 0; i < ARRAY_SIZE(s->leaf_log2); i++)
        atomic_store_explicit(&s->leaf_log2[i], 0, memory_order_relaxed);
}

bool seen_concerns(const struct seen *s, enum tlbi_kind kind, gva_t va, uint32_t asid)
{
    switch (kind) {
    case TLBI_ALL:
        return true;
    case TLBI_ASID:
        return has_bit(s->asid, asid & 0xff);
    case TLBI_VA:
    case TLBI_VA_ALL_ASID:
        break;
    }
    if (atomic_load(&s->leaf_log2[va >> LEAF_REGION_BITS]) || has_bit(s->page[1], page_bit(va)))
        return true;
    return has_bit(s->page[0], page_bit(va)) &&
           (kind == TLBI_VA_ALL_ASID || has_bit(s->asid, asid & 0xff));
}
