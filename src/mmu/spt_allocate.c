/* SPDX-License-Identifier: MIT */
/*
 * Which windows are in use, by whom, and which of them goes when there is none left. One that goes
 * is retired: nothing refers to it, but its mappings may wait for the reclaimer (reclaim.c).
 *
 * Everything here runs on the owning vCPU thread.
 */
#include "spt.h"

#include "base/inject.h"
#include "base/stats.h"

#include <string.h>
#include <x86intrin.h>

#define RETIRE_ABOVE 8 /* pages; fewer are cleared on the spot */

static void clear_now(struct window *w)
{
    pthread_mutex_lock(&w->lock);
    if (!INJECT(KEEP_RETIRED))
        window_clear_locked(w);
    window_rebuild_locked(w, !atomic_load(&w->current));
    atomic_store(&w->stale, 0);
    atomic_store(w->tag, 0);
    pthread_mutex_unlock(&w->lock);
}

void spt_retire(struct vcpu *v, struct window *w)
{
    struct mmu_vcpu *m = v->mmu;

    for (unsigned i = 0; i < CONTEXT_COUNT; i++)
        for (unsigned priv = 0; priv < 2; priv++)
            if (m->ctx[i].win[priv] == w)
                m->ctx[i].win[priv] = NULL;
    m->spt->nuser -= (atomic_load(w->tag) & WINDOW_USER) != 0;
    STAT_INC(&stats_vcpu[v->index], spt_retires);
    if (atomic_load(&w->mapped) <= RETIRE_ABOVE || !reclaim_post(v->vm->mmu->spt->reclaimer, w))
        clear_now(w);
}

static struct window *find_free(struct spt_vcpu *s)
{
    for (unsigned i = 1; i < s->nwindows; i++) {
        struct window *w = &s->win[i];

        if (!w->lost && !atomic_load(w->tag))
            return w;
    }
    return NULL;
}

static unsigned count_retired(const struct spt_vcpu *s)
{
    unsigned n = 0;

    for (unsigned i = 1; i < atomic_load(&s->nused); i++)
        n += atomic_load(&s->tag[i]) == WINDOW_RETIRED;
    return n;
}

/* The least recently scheduled window that is not current; of users only, if so asked. */
static struct window *find_victim(struct spt_vcpu *s, uint32_t kind)
{
    struct window *victim = NULL;

    for (unsigned i = 1; i < atomic_load(&s->nused); i++) {
        struct window *w = &s->win[i];

        if (w->lost || atomic_load(&w->current) || (atomic_load(w->tag) & kind) != kind)
            continue;
        if (!victim || atomic_load(&w->last_used) < atomic_load(&victim->last_used))
            victim = w;
    }
    return victim;
}

/* Back-pressure when the reclaimer is behind: a window that waits for it is cleared here. */
static struct window *take_back(struct vcpu *v)
{
    struct window *w = find_victim(v->mmu->spt, WINDOW_RETIRED);

    if (!w)
        return NULL;
    reclaim_forget(v->vm->mmu->spt->reclaimer, w, w + 1);
    if (atomic_load(w->tag))
        clear_now(w);
    return w;
}

#define RETIRED_MAX 32 /* that may wait for the reclaimer before their vCPU does its part */

/*
 * One that is free, or that waits for the reclaimer. Windows that were never used before, whose
 * tables take memory, come last: a reclaimer that gets little of a busy host must not spread the
 * vCPU over all of its arena.
 */
static struct window *free_window(struct vcpu *v)
{
    struct spt_vcpu *s = v->mmu->spt;
    struct window *w = find_free(s), *back = NULL;
    bool fresh = w && w - s->win >= (ptrdiff_t)atomic_load(&s->nused);

    if (!w || (fresh && count_retired(s) >= RETIRED_MAX))
        back = take_back(v);
    if (back)
        return back;
    if (fresh)
        atomic_store(&s->nused, (unsigned)(w - s->win) + 1);
    return w;
}

/* NULL when all are in use right now, or lost. */
static struct window *allocate(struct vcpu *v)
{
    struct window *w = free_window(v), *victim;

    if (w)
        return w;
    victim = find_victim(v->mmu->spt, WINDOW_USED);
    if (!victim)
        return NULL;
    spt_retire(v, victim);
    return free_window(v);
}

/*
 * What privileged windows are shared by: everything but the address space; in auto, whose
 * privileged windows have global pages alone, also any DACR. Kernels with software PAN write
 * DACR twice in each system call, but what changes is the domain of user pages. If another
 * domain's rights change, windows are split by DACR for good.
 */
static struct context_key privileged_key(const struct vcpu *v, const struct context_key *k)
{
    struct context_key p = *k;

    p.ttbr0 = p.ttbr1 = 0;
    p.asid = 0;
    if (spt_tiered(v) && !v->mmu->spt->split_by_dacr)
        p.dacr = 0;
    return p;
}

bool spt_rights_differ(const struct window *w, const struct context *c)
{
    return (w->dacr ^ c->key.dacr) & w->dacr_mask && !INJECT(KEEP_DOMAIN);
}

void spt_split_by_dacr(struct vcpu *v)
{
    struct spt_vcpu *s = v->mmu->spt;

    s->split_by_dacr = true;
    if (s->cur[1])
        atomic_store(&s->cur[1]->current, 0);
    s->cur[1] = NULL;
    for (unsigned i = 1; i < atomic_load(&s->nused); i++)
        if ((atomic_load(s->win[i].tag) & (WINDOW_USED | WINDOW_USER)) == WINDOW_USED)
            spt_retire(v, &s->win[i]);
}

struct window *spt_privileged_window(struct vcpu *v, const struct context *c)
{
    struct spt_vcpu *s = v->mmu->spt;
    struct context_key key = privileged_key(v, &c->key);
    struct window *w;

    for (unsigned i = 1; i < atomic_load(&s->nused); i++)
        if ((atomic_load(s->win[i].tag) & (WINDOW_USED | WINDOW_USER)) == WINDOW_USED &&
            !memcmp(&s->win_key[i], &key, sizeof(key)))
            return &s->win[i];
    w = allocate(v);
    if (!w)
        return NULL;
    s->win_key[w - s->win] = key;
    w->ng_context = 0;
    w->dacr = c->key.dacr;
    w->dacr_mask = 0;
    atomic_store(w->tag, WINDOW_USED | c->key.asid);
    return w;
}

#define LEFT_US      1000000 /* not scheduled for so long */
#define LEFT_AT_ONCE 2

/*
 * Processes that ended leave their windows behind. They are known by whole-TLB maintenance or that
 * of their ASID, which marked the window, and by not being scheduled since. So windows, their
 * mappings and their records grow with the processes there are, not with those there were. At each
 * new window a few go.
 */
static void retire_left(struct vcpu *v)
{
    struct spt_vcpu *s = v->mmu->spt;
    uint64_t since = __rdtsc() - LEFT_US * v->vm->mmu->host.ticks_per_us;
    unsigned n = 0;

    for (unsigned i = 1; i < atomic_load(&s->nused) && n < LEFT_AT_ONCE; i++) {
        struct window *w = &s->win[i];

        if (w->lost || atomic_load(&w->current) || !(atomic_load(w->tag) & WINDOW_USER) ||
            !atomic_load(&w->stale) || (int64_t)(atomic_load(&w->last_used) - since) > 0)
            continue;
        spt_retire(v, w);
        n++;
    }
}

/* As many as the organisation has; the current one is none of ours, since its context is not. */
struct window *spt_user_window(struct vcpu *v, const struct context *c)
{
    struct spt_vcpu *s = v->mmu->spt;
    unsigned max = v->vm->mmu->spt->opt.windows;
    struct window *w = max && s->nuser >= max ? find_victim(s, WINDOW_USED | WINDOW_USER) : NULL;

    if (w)
        spt_retire(v, w);
    retire_left(v);
    w = allocate(v);
    if (!w)
        return NULL;
    s->nuser++;
    w->drops_paid = atomic_load_explicit(&w->maintained, memory_order_relaxed);
    atomic_store_explicit(&w->evicted, 0, memory_order_relaxed);
    atomic_store(w->tag, WINDOW_USED | WINDOW_USER | c->key.asid);
    return w;
}
