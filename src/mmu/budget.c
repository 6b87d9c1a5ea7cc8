/* SPDX-License-Identifier: MIT */
/*
 * The VMA budget (I-4): vm.max_map_count bounds the mappings of the whole process. Windows count
 * theirs (window.c); near the budget whole windows are given up, the least recently scheduled of
 * any vCPU first, and never one that generated code may be using. The guest only gets slower.
 *
 * Any vCPU thread; a victim is cleared under its lock.
 */
#include "spt.h"

#include "base/log.h"
#include "base/stats.h"

#include <stdio.h>

#define DEFAULT_MAX_MAP_COUNT 65530
#define HEADROOM_MIN          1024

static uint64_t count_lines(const char *path)
{
    FILE *f = fopen(path, "re");
    uint64_t n = 0;
    int c;

    if (!f)
        return 0;
    while ((c = getc(f)) != EOF)
        n += c == '\n';
    fclose(f);
    return n;
}

uint64_t budget_read_limit(void)
{
    FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
    unsigned long max = DEFAULT_MAX_MAP_COUNT;
    uint64_t other = count_lines("/proc/self/maps"), headroom;

    if (f) {
        if (fscanf(f, "%lu", &max) != 1)
            max = DEFAULT_MAX_MAP_COUNT;
        fclose(f);
    }
    /* Threads, code caches and libraries still to come, and mappings that split while they are
     * cleared. */
    headroom = HEADROOM_MIN + max / 16 + other;
    return max > headroom + BUDGET_MIN ? max - headroom : BUDGET_MIN;
}

void budget_warn_once(struct vm *vm)
{
    if (!atomic_exchange(&vm->mmu->spt->warned, 1))
        log_warn("out of memory mappings: the guest runs slower; raise the limit with "
                 "\"sysctl -w vm.max_map_count=1048576\"");
}

static struct window *oldest_idle(struct vm *vm)
{
    struct window *victim = NULL;

    for (unsigned i = 0; i < VCPU_MAX; i++) {
        struct spt_vcpu *s = vm->cpu[i] && vm->cpu[i]->mmu ? vm->cpu[i]->mmu->spt : NULL;

        for (unsigned k = 1; s && k < atomic_load(&s->nused); k++) {
            struct window *w = &s->win[k];

            if (!atomic_load(&w->mapped) || atomic_load(&w->current))
                continue;
            if (!victim || atomic_load(&w->last_used) < atomic_load(&victim->last_used))
                victim = w;
        }
    }
    return victim;
}

/* False: its owner made it current meanwhile. */
static bool evict(struct window *w)
{
    bool idle;

    pthread_mutex_lock(&w->lock);
    /* Pairs with make_current(): its owner waits for the lock once it sees this. */
    atomic_store(&w->evicting, 1);
    idle = !atomic_load(&w->current);
    if (idle) {
        window_clear_locked(w);
        window_rebuild_locked(w, true);
    }
    atomic_store(&w->evicting, 0);
    pthread_mutex_unlock(&w->lock);
    return idle;
}

bool budget_evict_one(struct vcpu *v)
{
    for (;;) {
        struct window *w = oldest_idle(v->vm);

        if (!w)
            return false;
        if (evict(w)) {
            STAT_INC(&stats_vcpu[v->index], spt_evictions);
            return true;
        }
    }
}

bool budget_make_room(struct vcpu *v, unsigned cost)
{
    struct spt_vm *sv = v->vm->mmu->spt;

    while (atomic_load(&sv->vmas) + cost > sv->budget) {
        budget_warn_once(v->vm);
        if (!budget_evict_one(v))
            return false;
    }
    return true;
}
