/* SPDX-License-Identifier: MIT */
/*
 * Prefill: what an address space faulted in while it had a window is recorded, the last W pages of
 * it, and filled again at once when it is given a window anew. For the organisations where windows
 * are taken away (shared, group); W is `prefill=` of -mmu. HSPT (VEE 2015), section 3.3.
 *
 * Owning vCPU thread only.
 */
#include "spt.h"

#include "base/stats.h"

#include <errno.h>

static uint32_t *ring_of(const struct vcpu *v, const struct context *c)
{
    return v->mmu->spt->record + (uint64_t)(c - v->mmu->ctx) * v->vm->mmu->spt->opt.prefill;
}

int record_create(struct vcpu *v, struct spt_vcpu *s)
{
    uint64_t entries = (uint64_t)CONTEXT_COUNT * v->vm->mmu->spt->opt.prefill;

    if (!entries)
        return 0;
    s->record = mmu_zalloc(entries * sizeof(s->record[0]));
    return s->record ? 0 : -ENOMEM;
}

void record_destroy(struct vcpu *v, struct spt_vcpu *s)
{
    mmu_zfree(s->record, (uint64_t)CONTEXT_COUNT * v->vm->mmu->spt->opt.prefill * sizeof(uint32_t));
}

void record_note(struct vcpu *v, gva_t gva)
{
    struct context *c = v->mmu->current;
    unsigned w = v->vm->mmu->spt->opt.prefill;

    if (w)
        ring_of(v, c)[c->record_len++ % w] = (uint32_t)(gva >> GUEST_PAGE_BITS);
}

void record_replay(struct vcpu *v)
{
    struct context *c = v->mmu->current;
    unsigned w = v->vm->mmu->spt->opt.prefill, n = c->record_len < w ? c->record_len : w;

    for (unsigned i = 0; i < n; i++)
        if (spt_fill_page(v, (gva_t)ring_of(v, c)[i] << GUEST_PAGE_BITS, false))
            STAT_INC(&stats_vcpu[v->index], spt_prefills);
}
