/* SPDX-License-Identifier: MIT */
/*
 * The VMA budget (I-4): vm.max_map_count bounds the mappings of the whole process. Windows count
 * theirs (window.c); near the budget idle windows are emptied, the least recently scheduled of any
 * vCPU first, slice by slice and no further than needed, since each call holds the host's mmap
 * lock. When nothing idle is left, the window with the most mappings of all gives a slice, whoever
 * runs in it: dropping pages is what any vCPU may do to any window (spt_tlbi.c). That is rationed,
 * since such pages come back at once: a vCPU that has had its ration uses the soft TLB. The guest
 * only gets slower.
 *
 * Any vCPU thread; pages are dropped under their window's lock.
 */
#include "spt.h"

#include "base/inject.h"
#include "base/log.h"
#include "base/stats.h"

#include <stdio.h>
#include <x86intrin.h>

#define DEFAULT_MAX_MAP_COUNT 65530
#define HEADROOM_MIN          1024
#define OTHERS_SPARE          24
#define RATION_US             500 /* a slice of what is in use costs some 200 us with its refills */

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

/*
 * What the process has mapped besides windows: counted once, when the first window is filled and
 * all threads run, with room for what those still allocate.
 */
static void count_others(struct spt_vm *sv)
{
    uint64_t windows = atomic_load(&sv->vmas), all = count_lines("/proc/self/maps");

    atomic_store(&sv->others, all > windows ? all - windows + OTHERS_SPARE : OTHERS_SPARE);
}

uint64_t mmu_vma_process(struct vm *vm)
{
    const struct spt_vm *sv = vm->mmu->spt;

    return sv ? atomic_load(&sv->vmas) + atomic_load(&sv->others) : 0;
}

void budget_warn_once(struct vm *vm)
{
    if (!atomic_exchange(&vm->mmu->spt->warned, 1))
        log_warn("out of memory mappings: the guest runs slower; raise the limit with "
                 "\"sysctl -w vm.max_map_count=1048576\"");
}

typedef bool (*better_fn)(const struct window *w, const struct window *than);

static bool older_idle(const struct window *w, const struct window *than)
{
    if (!atomic_load(&w->mapped) || atomic_load(&w->current))
        return false;
    return !than || atomic_load(&w->last_used) < atomic_load(&than->last_used);
}

static bool larger(const struct window *w, const struct window *than)
{
    return atomic_load(&w->mapped) && atomic_load(&w->vmas) > (than ? atomic_load(&than->vmas) : 0);
}

static struct window *best(struct vm *vm, better_fn better)
{
    struct window *victim = NULL;

    for (unsigned i = 0; i < VCPU_MAX; i++) {
        struct spt_vcpu *s = vm->cpu[i] && vm->cpu[i]->mmu ? vm->cpu[i]->mmu->spt : NULL;

        for (unsigned k = 1; s && k < atomic_load(&s->nused); k++)
            if (better(&s->win[k], victim))
                victim = &s->win[k];
    }
    return victim;
}

/* False: its owner made it current meanwhile. */
static bool evict_slice(struct window *w)
{
    bool idle;

    pthread_mutex_lock(&w->lock);
    /* Pairs with make_current(): its owner waits for the lock once it sees this. */
    atomic_store(&w->evicting, 1);
    INJECT_MEET(EVICTING);
    idle = !atomic_load(&w->current);
    if (idle) {
        window_drop_slice_locked(w);
        window_rebuild_locked(w, true);
        atomic_fetch_add_explicit(&w->evicted, 1, memory_order_relaxed);
    }
    atomic_store(&w->evicting, 0);
    pthread_mutex_unlock(&w->lock);
    return idle;
}

/* What is in use gives way only so often. */
static bool take_ration(struct vcpu *v)
{
    struct spt_vcpu *s = v->mmu->spt;
    uint64_t now = __rdtsc();

    if (now - s->last_ration < RATION_US * v->vm->mmu->host.ticks_per_us)
        return false;
    s->last_ration = now;
    return true;
}

static bool take_from_current(struct vcpu *v)
{
    struct window *w = best(v->vm, larger);
    unsigned n;

    if (!w || !take_ration(v))
        return false;
    pthread_mutex_lock(&w->lock);
    n = window_drop_slice_locked(w);
    pthread_mutex_unlock(&w->lock);
    return n;
}

bool budget_evict(struct vcpu *v)
{
    struct window *w;

    while ((w = best(v->vm, older_idle))) {
        if (evict_slice(w)) {
            STAT_INC(&stats_vcpu[v->index], spt_evictions);
            return true;
        }
    }
    if (!take_from_current(v))
        return false;
    STAT_INC(&stats_vcpu[v->index], spt_evictions);
    return true;
}

bool budget_make_room(struct vcpu *v, unsigned cost)
{
    struct spt_vm *sv = v->vm->mmu->spt;

    if (!atomic_load_explicit(&sv->others, memory_order_relaxed))
        count_others(sv);
    while (atomic_load(&sv->vmas) + cost > sv->budget) {
        budget_warn_once(v->vm);
        if (!budget_evict(v))
            return false;
    }
    return true;
}
