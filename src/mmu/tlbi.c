/* SPDX-License-Identifier: MIT */
/*
 * TLB maintenance by the guest (I-1, I-2). Local effects are immediate. For the inner-shareable
 * forms the issuer itself drops pages from the SPT windows of the other vCPUs and posts requests
 * for what only their owners can touch; its DSB waits for those. Nothing stops the world.
 *
 * A by-address operation also kills global entries, whatever ASID it names, and the whole leaf that
 * holds the address. The guest's table update is ordered before everything read here by the
 * read-modify-write on the target's generation. Arm ARM DDI0406C B3.10.6.
 */
#include "mmu_internal.h"

#include "base/inject.h"
#include "base/log.h"
#include "base/stats.h"
#include "spt.h"
#include "tcg/tcg.h"

#include <inttypes.h>

void tlbi_apply_soft(struct vcpu *v, enum tlbi_kind kind, gva_t va, uint32_t asid)
{
    if (INJECT(MISS_SOFTTLB))
        return;
    switch (kind) {
    case TLBI_ALL:
        softtlb_drop_all(v);
        break;
    case TLBI_ASID:
        context_renew_asid(v, asid);
        break;
    case TLBI_VA:
    case TLBI_VA_ALL_ASID:
        softtlb_drop_va(v, va);
        break;
    }
}

/* What the issuing vCPU can do itself to the windows of `u`. */
static void drop_windows(struct vcpu *v, struct vcpu *u, const struct request *rq)
{
    if (u->mmu->spt && seen_concerns(&u->mmu->mapped, rq->tlbi, rq->addr, rq->asid))
        spt_tlbi(v, u, rq->tlbi, rq->addr, rq->asid);
}

static void broadcast(struct vcpu *v, const struct request *rq)
{
    struct vm *vm = v->vm;

    for (unsigned i = 0; i < VCPU_MAX; i++) {
        struct vcpu *u = vm->cpu[i];

        if (!u || u == v || !u->mmu)
            continue;
        /* Pairs with miss() in softtlb.c and map_run_locked() in spt_fill.c: generation, then what
         * they made visible. */
        if (!INJECT(SKIP_GENERATION_STEP))
            atomic_fetch_add(&u->mmu->gen, 1);
        INJECT_MEET(STEPPED);
        if (!INJECT(SKIP_REMOTE_DROP))
            drop_windows(v, u, rq);
        INJECT_MEET(DROPPED);
        if (!seen_concerns(&u->mmu->seen, rq->tlbi, rq->addr, rq->asid) || INJECT(SKIP_REQUEST))
            continue;
        v->mmu->wait_seq[i] = request_post(v, u, rq);
        v->mmu->wait_mask |= 1u << i;
    }
}

void mmu_tlbi(struct vcpu *v, enum tlbi_kind kind, gva_t va, uint32_t asid, bool inner_shareable)
{
    struct request rq = {.kind = REQ_TLBI, .tlbi = kind, .addr = (uint32_t)va, .asid = asid & 0xff};

    if (log_on(LOG_MMU))
        log_printf("cpu%u: tlbi kind %u va %08" PRIx64 " asid %02x%s\n", v->index, kind, rq.addr,
                   rq.asid, inner_shareable ? " inner shareable" : "");
    if (INJECT(DROP_WRONG_ASID))
        rq.asid ^= 1;
    if (seen_concerns(&v->mmu->seen, kind, rq.addr, rq.asid))
        tlbi_apply_soft(v, kind, rq.addr, rq.asid);
    drop_windows(v, v, &rq);
    if (inner_shareable) {
        STAT_INC(&stats_vcpu[v->index], tlbi_broadcast);
        broadcast(v, &rq);
    } else {
        STAT_INC(&stats_vcpu[v->index], tlbi_local);
    }
}

void mmu_dsb(struct vcpu *v)
{
    struct mmu_vcpu *m = v->mmu;

    if (m->wait_mask && INJECT(NO_DSB_WAIT))
        m->wait_mask = 0;
    while (m->wait_mask) {
        unsigned i = (unsigned)__builtin_ctz(m->wait_mask);

        m->wait_mask &= m->wait_mask - 1;
        request_wait(v, v->vm->cpu[i], m->wait_seq[i]);
    }
}
