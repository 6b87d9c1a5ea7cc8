/* SPDX-License-Identifier: MIT */
/*
 * The reclaimer: a thread that clears windows which vCPUs have taken out of use (I-3). A vCPU that
 * gives up a window with many mappings retires it and goes on with a clean one; unmapping thousands
 * of pages is not its business. The host's mmap lock is one for the process, so the reclaimer works
 * in slices (window_host.c) between which others can have it. It does not yield: on a busy host
 * retired windows would pile up.
 *
 * A retired window (WINDOW_RETIRED in its tag, nothing else) belongs to nobody: its owner never
 * uses its base again, TLB maintenance passes it over, and what it still maps stays counted in the
 * budget and in the page descriptors until it is gone. The tag becomes 0 last, and only then may
 * the owner allocate the window again. Lock order: reclaim lock > nothing; window lock > nothing.
 */
#include "spt.h"

#include "base/inject.h"
#include "base/stats.h"

#include <errno.h>

struct reclaimer {
    pthread_mutex_t lock;
    pthread_cond_t work, idle;
    struct window *head; /* through window.next_retired; under lock */
    struct window *busy; /* being cleared */
    bool started, stop;
    pthread_t thread;
};

static void clear_in_slices(struct window *w)
{
    unsigned n;

    if (INJECT(FREE_UNCLEARED))
        atomic_store(w->tag, 0);
    INJECT_MEET(RETIRED);
    do {
        pthread_mutex_lock(&w->lock);
        n = window_drop_slice_locked(w);
        pthread_mutex_unlock(&w->lock);
    } while (n);
    pthread_mutex_lock(&w->lock);
    window_clear_locked(w); /* leaf marks; what could not be dropped at the host's limit */
    window_rebuild_locked(w, true);
    atomic_store(&w->stale, 0);
    pthread_mutex_unlock(&w->lock);
    atomic_store(w->tag, 0);
}

static void *reclaim_main(void *opaque)
{
    struct reclaimer *r = opaque;

    pthread_setname_np(pthread_self(), "reclaim");
    pthread_mutex_lock(&r->lock);
    while (!r->stop) {
        if (!r->head) {
            pthread_cond_wait(&r->work, &r->lock);
            continue;
        }
        r->busy = r->head;
        r->head = r->busy->next_retired;
        pthread_mutex_unlock(&r->lock);
        clear_in_slices(r->busy);
        pthread_mutex_lock(&r->lock);
        r->busy = NULL;
        pthread_cond_broadcast(&r->idle);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

struct reclaimer *reclaim_create(void)
{
    struct reclaimer *r = mmu_zalloc(sizeof(*r));

    if (!r)
        return NULL;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->work, NULL);
    pthread_cond_init(&r->idle, NULL);
    return r;
}

void reclaim_destroy(struct reclaimer *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_signal(&r->work);
    pthread_mutex_unlock(&r->lock);
    if (r->started)
        pthread_join(r->thread, NULL);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->work);
    pthread_cond_destroy(&r->idle);
    mmu_zfree(r, sizeof(*r));
}

bool reclaim_post(struct reclaimer *r, struct window *w)
{
    bool ok;

    pthread_mutex_lock(&r->lock);
    if (!r->started)
        r->started = !pthread_create(&r->thread, NULL, reclaim_main, r);
    ok = r->started;
    if (ok) {
        atomic_store(&w->last_used, 0); /* the budget evicts it first */
        atomic_store(w->tag, WINDOW_RETIRED);
        w->next_retired = r->head;
        r->head = w;
        pthread_cond_signal(&r->work);
    }
    pthread_mutex_unlock(&r->lock);
    return ok;
}

void reclaim_forget(struct reclaimer *r, const struct window *first, const struct window *end)
{
    struct window **p;

    pthread_mutex_lock(&r->lock);
    for (p = &r->head; *p;) {
        if (*p >= first && *p < end)
            *p = (*p)->next_retired;
        else
            p = &(*p)->next_retired;
    }
    while (r->busy >= first && r->busy < end)
        pthread_cond_wait(&r->idle, &r->lock);
    pthread_mutex_unlock(&r->lock);
}
