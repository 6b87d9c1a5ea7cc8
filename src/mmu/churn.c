/* SPDX-License-Identifier: MIT */
/*
 * Pages that are not worth a window: those that are dropped again and again. Kernels patch code
 * and reach high memory through a few fixed addresses that they map, touch and flush; Linux for
 * ARM enters modules into the tables of a process only after the first abort there. A fill and its
 * drop cost as much as thousands of soft-TLB hits. A privileged page that its own vCPU's
 * maintenance or revalidation dropped several times is refused, so the sites that touch it go to
 * the soft TLB. When such a site turns out hot (tcg/fault_resume.c) and the page has not been
 * dropped for a while, it is forgiven.
 *
 * Privileged windows only: what kernels do at fixed addresses. A small direct-mapped table of each
 * vCPU, owner only. Losing an entry costs a fill.
 */
#include "spt.h"

#include <x86intrin.h>

#define LIMIT    4     /* drops before a page is refused */
#define QUIET_US 20000 /* without a drop: forgiven */

static struct churn_entry *entry_of(struct spt_vcpu *s, gva_t gva)
{
    return &s->churn[gva >> GUEST_PAGE_BITS & (CHURN_ENTRIES - 1)];
}

void churn_note_drop(struct vcpu *v, gva_t gva)
{
    struct churn_entry *e = entry_of(v->mmu->spt, gva);
    uint32_t page = (uint32_t)(gva >> GUEST_PAGE_BITS);

    if (e->page != page)
        *e = (struct churn_entry){.page = page};
    if (e->drops < LIMIT)
        e->drops++;
    e->last_drop = __rdtsc();
}

bool churn_refuses(struct vcpu *v, gva_t gva)
{
    const struct churn_entry *e = entry_of(v->mmu->spt, gva);

    return e->page == gva >> GUEST_PAGE_BITS && e->drops >= LIMIT;
}

bool churn_forgives(struct vcpu *v, gva_t gva)
{
    struct churn_entry *e = entry_of(v->mmu->spt, gva);

    if (!churn_refuses(v, gva))
        return true;
    if (__rdtsc() - e->last_drop < QUIET_US * v->vm->mmu->host.ticks_per_us)
        return false;
    e->drops = 0;
    return true;
}
