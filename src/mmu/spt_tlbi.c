/* SPDX-License-Identifier: MIT */
/*
 * TLB maintenance on windows, by the issuing vCPU itself for every vCPU covered. By address it
 * drops pages: no request, no wait; when the host's mmap() that drops a page has returned, no
 * thread of the process can complete an access through it. By ASID, or all, it marks windows stale
 * (spt_select.c). Also: making a page read-only in every window before its code is translated.
 *
 * The caller has advanced the target's generation, also when nothing is mapped: a fill may be in
 * flight.
 */
#include "spt.h"

#include "base/inject.h"
#include "base/stats.h"

/* The whole leaf that holds va; was anything mapped? */
static bool drop_va(struct vcpu *v, struct window *w, gva_t va)
{
    unsigned log2 = atomic_load(&w->leaf_log2[va >> REGION_BITS]), n;
    uint64_t size = UINT64_C(1) << (log2 > GUEST_PAGE_BITS ? log2 : GUEST_PAGE_BITS);

    if (INJECT(MISS_LEAF))
        size = GUEST_PAGE_SIZE;
    va &= ~(size - 1);
    if (!window_any(w, va, size))
        return false;
    pthread_mutex_lock(&w->lock);
    n = window_drop_locked(w, va, size);
    if (n)
        atomic_fetch_add_explicit(&w->maintained, 1, memory_order_relaxed);
    pthread_mutex_unlock(&w->lock);
    STAT_ADD(&stats_vcpu[v->index], spt_drops, n);
    return n;
}

static void mark_stale(struct window *w)
{
    if (!INJECT(SKIP_STALE_MARK))
        atomic_store(&w->stale, 1);
    INJECT_MEET(MARKED);
}

/* True when a by-address operation dropped something from a privileged window. */
static bool apply(struct vcpu *v, struct window *w, enum tlbi_kind kind, gva_t va, uint32_t asid)
{
    uint32_t tag = atomic_load(w->tag);
    bool user = tag & WINDOW_USER, same = (tag & WINDOW_ASID) == asid;

    if (!(tag & WINDOW_USED))
        return false;
    switch (kind) {
    case TLBI_ALL:
        mark_stale(w);
        break;
    case TLBI_ASID:
        if (same && (user || atomic_load(&w->nonglobal)))
            mark_stale(w);
        break;
    case TLBI_VA:
        /* Another ASID's user window matters for the sake of global pages only, which are rare
         * there. */
        return (!user || same || (tag & WINDOW_HAS_GLOBAL)) && drop_va(v, w, va) && !user;
    case TLBI_VA_ALL_ASID:
        return drop_va(v, w, va) && !user;
    }
    return false;
}

void spt_tlbi(struct vcpu *v, struct vcpu *target, enum tlbi_kind kind, gva_t va, uint32_t asid)
{
    struct spt_vcpu *s = target->mmu->spt;
    bool dropped = false;

    if (!s)
        return;
    for (unsigned i = 1; i < atomic_load(&s->nused); i++)
        dropped |= apply(v, &s->win[i], kind, va, asid);
    if (v != target)
        return;
    if (kind == TLBI_ALL || kind == TLBI_ASID) {
        spt_clean_current(v);
        return;
    }
    if (dropped)
        churn_note_drop(v, va);
}

void spt_protect_page(struct vm *vm, gpa_t page, uint64_t count)
{
    uint32_t ram_page = (uint32_t)((page - vm->ram.base) >> GUEST_PAGE_BITS);

    for (unsigned i = 0; i < VCPU_MAX && count; i++) {
        struct spt_vcpu *s = vm->cpu[i] && vm->cpu[i]->mmu ? vm->cpu[i]->mmu->spt : NULL;

        for (unsigned k = 1; s && k < atomic_load(&s->nused) && count; k++) {
            unsigned max = count < UINT32_MAX ? (unsigned)count : UINT32_MAX;

            count -= window_protect_gpa(&s->win[k], ram_page, max);
        }
    }
}
