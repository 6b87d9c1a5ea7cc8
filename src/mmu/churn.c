/* SPDX-License-Identifier: MIT */
/*
 * Pages that a window is not worth: a fill and a drop cost as much as some hundred slow-path accesses, and
 * some pages live for one access (Linux patches code through a fixmap page that it maps and flushes for
 * every word). A page dropped a few times in a row by its own vCPU's maintenance is left to the slow path until it
 * has been used often without maintenance in between.
 *
 * A small direct-mapped table of each vCPU, owner only. Losing an entry costs a fill.
 */
#include "spt.h"

#define DROPS_MAX 4  /* fills in vain before a page is refused */
#define USES_MIN 24  /* refused accesses since the last maintenance that make it worth a fill again */

static struct churn_entry *entry_of(struct spt_vcpu *s, gva_t gva)
{
    return &s->churn[gva >> GUEST_PAGE_BITS & (CHURN_ENTRIES - 1)];
}

/* The same page of another address space has another life. */
static uint64_t key_of(const struct vcpu *v, gva_t gva)
{
    return gva >> GUEST_PAGE_BITS | v->mmu->current->serial << (GUEST_VA_BITS - GUEST_PAGE_BITS);
}

void churn_note_tlbi(struct vcpu *v, gva_t gva, bool was_mapped)
{
    struct churn_entry *e = entry_of(v->mmu->spt, gva);
    uint64_t key = key_of(v, gva);

    if (e->key != key) {
        if (!was_mapped)
            return;
        *e = (struct churn_entry){.key = key};
    }
    e->uses = 0;
    if (was_mapped && e->drops < DROPS_MAX)
        e->drops++;
}

bool churn_refuses(struct vcpu *v, gva_t gva)
{
    struct churn_entry *e = entry_of(v->mmu->spt, gva);

    if (e->key != key_of(v, gva) || e->drops < DROPS_MAX)
        return false;
    if (++e->uses < USES_MIN)
        return true;
    e->drops = 0;
    return false;
}
