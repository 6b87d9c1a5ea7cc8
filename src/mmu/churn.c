/* SPDX-License-Identifier: MIT */
/*
 * Pages that a window is not worth: a fill and a drop cost as much as some hundred slow-path
 * accesses, and some pages live for one access (Linux patches code through a fixmap page that it
 * maps and flushes for every word). A page that its own vCPU's maintenance dropped several times is
 * left to the slow path. When it turns out to be used in earnest between two operations (a page the
 * kernel maps in order to copy it), it is filled again, and may be dropped more often before it is
 * doubted again; and when maintenance finds such a page mapped anew in the guest's tables, it is
 * filled at once, which saves the host fault of the first access.
 *
 * Privileged windows only: what kernels do at fixed addresses. A small direct-mapped table of each
 * vCPU, owner only. Losing an entry costs a fill.
 */
#include "spt.h"

#define LIMIT_MIN 4 /* drops before a page is refused, at first */
#define LIMIT_MAX 200
#define USES_MIN  24 /* refused accesses without maintenance that make it worth a fill again */

static struct churn_entry *entry_of(struct spt_vcpu *s, gva_t gva)
{
    return &s->churn[gva >> GUEST_PAGE_BITS & (CHURN_ENTRIES - 1)];
}

void churn_note_tlbi(struct vcpu *v, gva_t gva, bool was_mapped)
{
    struct churn_entry *e = entry_of(v->mmu->spt, gva);
    uint32_t page = (uint32_t)(gva >> GUEST_PAGE_BITS);

    if (e->page != page) {
        if (!was_mapped)
            return;
        *e = (struct churn_entry){.page = page, .limit = LIMIT_MIN};
    }
    e->uses = 0;
    if (was_mapped && e->drops < e->limit)
        e->drops++;
}

bool churn_refuses(struct vcpu *v, gva_t gva)
{
    struct churn_entry *e = entry_of(v->mmu->spt, gva);

    if (e->page != gva >> GUEST_PAGE_BITS || e->drops < e->limit)
        return false;
    if (++e->uses < USES_MIN)
        return true;
    e->drops = 0;
    e->limit = e->limit < LIMIT_MAX / 4 ? e->limit * 4 : LIMIT_MAX;
    return false;
}

bool churn_worth(struct vcpu *v, gva_t gva)
{
    struct churn_entry *e = entry_of(v->mmu->spt, gva);

    return e->page == gva >> GUEST_PAGE_BITS && e->limit > LIMIT_MIN && e->drops < e->limit;
}
