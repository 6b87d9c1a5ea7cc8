/* SPDX-License-Identifier: MIT */
/*
 * What one vCPU asks of another about its private caches (soft TLB, jump cache, translated code): a
 * bounded queue for each target, a sequence number, and a poll bit. A queue that overflows degrades
 * to "drop everything", so a poster never waits for room.
 *
 * Completion (I-2): the poster waits until the target has acknowledged its number, or is quiescent.
 * Quiescent suffices: post sets the poll bit, then reads in_guest; the target sets in_guest, then
 * reads the poll bit (vcpu_quiescent_end), both sequentially consistent, so either the poster sees
 * the target inside, or the target serves before it uses anything cached. A waiter is quiescent
 * itself, so two vCPUs that wait for each other both go on. Argument in full: docs/concurrency.md.
 */
#include "mmu_internal.h"

#include "base/inject.h"
#include "base/stats.h"
#include "spt.h"

#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SPIN_ROUNDS 200
/* A target may also become quiescent, which wakes nobody: look again at least this often. */
#define RECHECK_NS  100000

uint32_t request_post(struct vcpu *from, struct vcpu *target, const struct request *rq)
{
    struct request_queue *q = &target->mmu->rq;
    uint32_t seq;

    pthread_mutex_lock(&q->lock);
    if (q->n < REQUEST_MAX)
        q->item[q->n++] = *rq;
    else
        q->overflow = true;
    seq = atomic_load_explicit(&q->seq, memory_order_relaxed) + 1;
    atomic_store_explicit(&q->seq, seq, memory_order_release);
    pthread_mutex_unlock(&q->lock);
    INJECT_MEET(POSTED);
    if (!INJECT(LOSE_KICK))
        vcpu_kick(target, POLL_MMU);
    STAT_INC(&stats_vcpu[from->index], shootdowns_sent);
    return seq;
}

static bool done(struct vcpu *target, uint32_t seq)
{
    /* acked: pairs with the release in mmu_serve_requests(); in_guest: see the head of this file */
    return (int32_t)(atomic_load(&target->mmu->rq.acked) - seq) >= 0 ||
           !atomic_load(&target->in_guest);
}

static void sleep_until_done(struct vcpu *target, uint32_t seq)
{
    static const struct timespec recheck = {.tv_nsec = RECHECK_NS};
    struct request_queue *q = &target->mmu->rq;

    atomic_fetch_add(&q->waiters, 1);
    for (;;) {
        uint32_t acked = atomic_load(&q->acked);

        if (done(target, seq))
            break;
        syscall(SYS_futex, &q->acked, FUTEX_WAIT_PRIVATE, acked, &recheck, NULL, 0);
    }
    atomic_fetch_sub(&q->waiters, 1);
}

void request_wait(struct vcpu *v, struct vcpu *target, uint32_t seq)
{
    uint64_t start;

    if (done(target, seq))
        return;
    start = stats_now_ns();
    v->mmu->waiting = true;
    if (!INJECT(BUSY_WAIT))
        vcpu_quiescent_begin(v);
    INJECT_MEET(WAITING);
    for (unsigned i = 0; i < SPIN_ROUNDS && !done(target, seq); i++)
        __builtin_ia32_pause();
    if (!done(target, seq))
        sleep_until_done(target, seq);
    vcpu_quiescent_end(v);
    v->mmu->waiting = false;
    STAT_ADD(&stats_vcpu[v->index], shootdown_wait_ns, stats_now_ns() - start);
}

static void serve_one(struct vcpu *v, const struct request *rq)
{
    switch (rq->kind) {
    case REQ_TLBI:
        tlbi_apply_soft(v, rq->tlbi, rq->addr, rq->asid);
        spt_clean_current(v);
        break;
    case REQ_WATCH:
        page_unwrite(v, rq->addr);
        break;
    case REQ_CODE:
        page_drain_dirty(v);
        break;
    case REQ_ROM:
        softtlb_drop_rom(v);
        break;
    }
}

static void serve_queue(struct vcpu *v)
{
    struct request_queue *q = &v->mmu->rq;
    struct request item[REQUEST_MAX];
    unsigned n;
    bool overflow;
    uint32_t seq;

    pthread_mutex_lock(&q->lock);
    n = q->n;
    memcpy(item, q->item, n * sizeof(item[0]));
    overflow = q->overflow;
    seq = atomic_load_explicit(&q->seq, memory_order_relaxed);
    q->n = 0;
    q->overflow = false;
    pthread_mutex_unlock(&q->lock);
    for (unsigned i = 0; i < n; i++)
        serve_one(v, &item[i]);
    if (overflow && !INJECT(SKIP_OVERFLOW)) {
        softtlb_drop_all(v);
        spt_clean_current(v);
        page_drain_dirty(v);
    }
    v->mmu->served_epoch++;
    INJECT_MEET(SERVED);
    atomic_store(&q->acked, seq);
    if (atomic_load(&q->waiters))
        syscall(SYS_futex, &q->acked, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    STAT_INC(&stats_vcpu[v->index], shootdowns_served);
}

void mmu_serve_requests(struct vcpu *v)
{
    struct request_queue *q = &v->mmu->rq;

    INJECT_MEET(SERVING);
    if (INJECT(ACK_BEFORE_DROP)) /* what was asked is done with the next request */
        atomic_store(&q->acked, atomic_load(&q->seq));
    if (atomic_load(&q->seq) != atomic_load_explicit(&q->acked, memory_order_relaxed))
        serve_queue(v);
    /* Below a helper, the block that called it runs on: from a page that `seen` must keep, and by
     * links to blocks of a page that may be gone. So it has to leave for the run loop. */
    if (v->mmu->waiting && !INJECT(FORGET_UNDER_CODE)) {
        if (!INJECT(STAY_IN_BLOCKS))
            atomic_fetch_or(&v->poll, POLL_MMU);
        return;
    }
    if (v->mmu->seen_stale)
        context_start_afresh(v);
    spt_apply_tier(v);
}

uint32_t mmu_epoch(const struct vcpu *v)
{
    return v->mmu->served_epoch;
}
