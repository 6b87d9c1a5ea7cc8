/* SPDX-License-Identifier: MIT */
/*
 * Which window a translation context uses: the arena of a vCPU, allocation, choice at a context
 * switch.
 *
 * Maintenance of a whole window (by ASID, or all) only marks it stale, in O(1). Its owner cleans it
 * before generated code uses it again: in make_current(), or, for a window that is current, when it
 * serves the request which the maintaining vCPU posts after the mark and waits for.
 *
 * An evictor sets `evicting`, then reads `current`; make_current() sets `current`, then reads
 * `evicting` (sequentially consistent, Dekker): the evictor sees the window current and leaves it,
 * or its owner waits for the lock.
 *
 * Everything here runs on the owning vCPU thread.
 */
#include "spt.h"

#include "base/inject.h"
#include "base/log.h"
#include "base/stats.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <x86intrin.h>

static struct window *none(struct spt_vcpu *s)
{
    return &s->win[0];
}

#define SPARE (UINT64_C(1) << 30) /* for each vCPU: code cache, stack, tables */

static void *reserve(uint64_t bytes)
{
    return mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

unsigned spt_windows_that_fit(unsigned cpus)
{
    for (unsigned n = SPT_WINDOWS; n >= SPT_WINDOWS_MIN; n /= 2) {
        uint64_t bytes = cpus * (n * SPT_WINDOW_STRIDE + SPARE);
        void *p = reserve(bytes);

        if (p == MAP_FAILED)
            continue;
        munmap(p, bytes);
        return n;
    }
    return 0;
}

static int reserve_arena(struct vcpu *v, struct spt_vcpu *s)
{
    unsigned n = v->vm->mmu->spt->windows;
    void *p = reserve(n * SPT_WINDOW_STRIDE);

    if (p == MAP_FAILED)
        return -ENOMEM;
    s->arena = (hva_t)p;
    s->arena_bytes = n * SPT_WINDOW_STRIDE;
    s->nwindows = n;
    return 0;
}

static int create_windows(struct vcpu *v, struct spt_vcpu *s)
{
    if (record_create(v, s))
        return -ENOMEM;
    s->win = mmu_zalloc(s->nwindows * sizeof(s->win[0]));
    s->win_key = mmu_zalloc(s->nwindows * sizeof(s->win_key[0]));
    s->tag = mmu_zalloc(s->nwindows * sizeof(s->tag[0]));
    if (!s->win || !s->win_key || !s->tag)
        return -ENOMEM;
    for (unsigned i = 0; i < s->nwindows; i++) {
        s->win[i].tag = &s->tag[i];
        int err = window_init(&s->win[i], v->vm, s->arena + i * SPT_WINDOW_STRIDE + WINDOW_GUARD,
                              GUEST_VA_BITS, &v->vm->mmu->spt->vmas);

        if (err)
            return err;
    }
    atomic_store(&s->nused, 1);
    return 0;
}

int spt_vcpu_create(struct vcpu *v)
{
    struct spt_vcpu *s;
    int err;

    if (!v->vm->mmu->spt)
        return 0;
    s = mmu_zalloc(sizeof(*s));
    if (!s)
        return -ENOMEM;
    err = reserve_arena(v, s);
    v->mmu->spt = s;
    if (!err)
        err = create_windows(v, s);
    if (err) {
        spt_vcpu_destroy(v);
        return err;
    }
    v->win_base[0] = v->win_base[1] = none(s)->base;
    v->exec_mmu[0] = v->vm->mmu->spt->opt.tiered ? 0 : EXEC_WINDOW;
    v->exec_mmu[1] = EXEC_WINDOW;
    return 0;
}

/* The range of a lost window belongs to somebody else by now. */
static void release_arena(struct spt_vcpu *s)
{
    hva_t from = s->arena;

    for (unsigned i = 0; s->win && i < s->nwindows; i++) {
        const struct window *w = &s->win[i];

        if (!w->lost)
            continue;
        munmap((void *)from, w->base - from);
        from = w->base + (UINT64_C(1) << w->bits);
    }
    if (s->arena)
        munmap((void *)from, s->arena + s->arena_bytes - from);
}

void spt_vcpu_destroy(struct vcpu *v)
{
    struct spt_vcpu *s = v->mmu->spt;

    if (!s)
        return;
    v->mmu->spt = NULL;
    if (s->win)
        reclaim_forget(v->vm->mmu->spt->reclaimer, s->win, s->win + s->nwindows);
    for (unsigned i = 0; s->win && i < s->nwindows && s->win[i].region; i++) {
        window_clear_locked(&s->win[i]); /* gives back its counts in the page descriptors */
        window_fini(&s->win[i]);
    }
    release_arena(s);
    record_destroy(v, s);
    mmu_zfree(s->win, s->nwindows * sizeof(s->win[0]));
    mmu_zfree(s->win_key, s->nwindows * sizeof(s->win_key[0]));
    mmu_zfree(s->tag, s->nwindows * sizeof(s->tag[0]));
    mmu_zfree(s, sizeof(*s));
}

/* ---- allocation ---- */
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

/* Out of use: no context refers to it, nothing runs in it. It can be allocated again when its tag
 * is 0, which may be later. */
static void retire(struct vcpu *v, struct window *w)
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
    retire(v, victim);
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

/* Does DACR give the pages in the window other rights in this context than in the one before? */
static bool rights_differ(const struct window *w, const struct context *c)
{
    return (w->dacr ^ c->key.dacr) & w->dacr_mask && !INJECT(KEEP_DOMAIN);
}

static void split_by_dacr(struct vcpu *v)
{
    struct spt_vcpu *s = v->mmu->spt;

    s->split_by_dacr = true;
    if (s->cur[1])
        atomic_store(&s->cur[1]->current, 0);
    s->cur[1] = NULL;
    for (unsigned i = 1; i < atomic_load(&s->nused); i++)
        if ((atomic_load(s->win[i].tag) & (WINDOW_USED | WINDOW_USER)) == WINDOW_USED)
            retire(v, &s->win[i]);
}

static struct window *privileged_window(struct vcpu *v, const struct context *c)
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

#define LEFT_US 1000000 /* not scheduled for so long */
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
    uint64_t since = __rdtsc() - LEFT_US * v->vm->mmu->spt->ticks_per_us;
    unsigned n = 0;

    for (unsigned i = 1; i < atomic_load(&s->nused) && n < LEFT_AT_ONCE; i++) {
        struct window *w = &s->win[i];

        if (w->lost || atomic_load(&w->current) || !(atomic_load(w->tag) & WINDOW_USER) ||
            !atomic_load(&w->stale) || (int64_t)(atomic_load(&w->last_used) - since) > 0)
            continue;
        retire(v, w);
        n++;
    }
}

/* As many as the organisation has; the current one is none of ours, since its context is not. */
static struct window *user_window(struct vcpu *v, const struct context *c)
{
    struct spt_vcpu *s = v->mmu->spt;
    unsigned max = v->vm->mmu->spt->opt.windows;
    struct window *w = max && s->nuser >= max ? find_victim(s, WINDOW_USED | WINDOW_USER) : NULL;

    if (w)
        retire(v, w);
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

/* ---- choice ---- */
static void clean(struct vcpu *v, struct window *w, bool privileged)
{
    unsigned n = 0;

    pthread_mutex_lock(&w->lock);
    if (atomic_exchange(&w->stale, 0) && !INJECT(SKIP_REVALIDATE)) {
        INJECT_MEET(UNMARKED);
        n = spt_revalidate_locked(v, w, privileged);
    }
    pthread_mutex_unlock(&w->lock);
    STAT_INC(&stats_vcpu[v->index], spt_retires);
    STAT_ADD(&stats_vcpu[v->index], spt_drops, n);
}

/* The user window of a context that is not current (see spt_select()) waits until it is again: the
 * registers are not its own. */
void spt_clean_current(struct vcpu *v)
{
    struct spt_vcpu *s = v->mmu->spt;

    for (unsigned priv = 0; s && priv < 2; priv++)
        if (s->cur[priv] && s->cur[priv] == v->mmu->current->win[priv] &&
            atomic_load(&s->cur[priv]->stale))
            clean(v, s->cur[priv], priv);
}

/* Non-global pages of another address space leave a privileged window before it is used in this
 * one. */
static void adopt(struct vcpu *v, struct window *w, const struct context *c)
{
    if (w->ng_context == c->serial)
        return;
    if (atomic_load(&w->nonglobal) && !INJECT(ADOPT_KEEPS_NONGLOBAL)) {
        unsigned n;

        pthread_mutex_lock(&w->lock);
        n = window_drop_nonglobal_locked(w);
        pthread_mutex_unlock(&w->lock);
        STAT_ADD(&stats_vcpu[v->index], spt_drops, n);
    }
    w->ng_context = c->serial;
    if (atomic_load(w->tag) != (WINDOW_USED | c->key.asid))
        atomic_store(w->tag, WINDOW_USED | c->key.asid);
}

static void make_current(struct vcpu *v, unsigned priv, struct context *c)
{
    struct spt_vcpu *s = v->mmu->spt;
    struct window *w = c->win[priv], *old = s->cur[priv];

    if (old != w) {
        if (old) {
            atomic_store_explicit(&old->last_used, __rdtsc(), memory_order_relaxed);
            atomic_store_explicit(&old->current, 0, memory_order_release);
        }
        if (w)
            atomic_store(&w->current, 1);
        s->cur[priv] = w;
    }
    if (w && atomic_load(&w->evicting)) {
        pthread_mutex_lock(&w->lock);
        pthread_mutex_unlock(&w->lock);
    }
    if (w && w->lost) {
        /* Its range went away while it was idle; nothing may use the base again. */
        s->nuser -= (atomic_exchange(w->tag, 0) & WINDOW_USER) != 0;
        c->win[priv] = s->cur[priv] = w = NULL;
    }
    if (w && priv)
        adopt(v, w, c);
    INJECT_MEET(CURRENT);
    if (w && atomic_load(&w->stale) && !INJECT(SKIP_STALE_LOOK))
        clean(v, w, priv);
    v->win_base[priv] = w ? w->base : none(s)->base;
}

/* Whether user code of the context runs in a window. */
static bool wants_window(const struct vcpu *v, const struct context *c)
{
    return !v->vm->mmu->spt->opt.tiered || c->tier.windowed;
}

static void give_user_window(struct vcpu *v, struct context *c)
{
    c->win[0] = user_window(v, c);
    make_current(v, 0, c);
    if (c->win[0])
        record_replay(v);
}

bool spt_runs_in(const struct vcpu *v, const struct context *c)
{
    return v->mmu->spt && c->win[0] && c->win[0] == v->mmu->spt->cur[0];
}

/*
 * In auto a kernel never uses the user window (its LDRT and STRT take the soft TLB). So while it
 * goes to and fro between DACR values, the window of the process stays where it is;
 * spt_clean_current() and mmu_mode_changed() know that it may be another context's.
 */
static bool user_window_stays(const struct vcpu *v, const struct context *c)
{
    return spt_tiered(v) && (v->exec_flags & EXEC_PRIV) && !c->win[0] && c->pair &&
           c->pair->serial == c->pair_serial && spt_runs_in(v, c->pair);
}

bool spt_stays(struct vcpu *v, const struct context *to)
{
    struct spt_vcpu *s = v->mmu->spt;
    const struct window *user = to->win[0];

    if (!s)
        return true;
    if (!s->cur[1] || to->win[1] != s->cur[1] || rights_differ(to->win[1], to) ||
        atomic_load_explicit(&s->cur[1]->nonglobal, memory_order_relaxed))
        return false;
    if (user && (user != s->cur[0] || atomic_load(&user->stale)))
        return false;
    if (!user && s->cur[0] && !user_window_stays(v, to))
        return false;
    v->exec_mmu[0] = wants_window(v, to) ? EXEC_WINDOW : 0;
    s->cur[1]->dacr = to->key.dacr;
    return true;
}

void spt_select(struct vcpu *v)
{
    struct context *c = v->mmu->current;

    if (!v->mmu->spt)
        return;
    v->exec_mmu[0] = wants_window(v, c) ? EXEC_WINDOW : 0;
    if (!c->win[1])
        c->win[1] = privileged_window(v, c);
    if (c->win[1] && rights_differ(c->win[1], c)) {
        split_by_dacr(v);
        c->win[1] = privileged_window(v, c);
    }
    make_current(v, 1, c);
    if (c->win[1])
        c->win[1]->dacr = c->key.dacr;
    if (user_window_stays(v, c))
        return;
    make_current(v, 0, c);
    /* Kernel-only contexts are many (each DACR value): a user window only where user code runs. */
    if (!c->win[0] && !(v->exec_flags & EXEC_PRIV) && wants_window(v, c))
        give_user_window(v, c);
}

void mmu_mode_changed(struct vcpu *v)
{
    bool user = !(v->exec_flags & EXEC_PRIV);

    if (!v->mmu->spt)
        return;
    if (v->vm->mmu->spt->opt.tiered) {
        if (user)
            tier_enter_user(v);
        else
            tier_leave_user(v);
    }
    if (!user)
        return;
    spt_apply_tier(v);
    if (v->mmu->spt->cur[0] != v->mmu->current->win[0] ||
        (!v->mmu->current->win[0] && wants_window(v, v->mmu->current)))
        spt_select(v);
}

void spt_apply_tier(struct vcpu *v)
{
    unsigned priv = (v->exec_flags & EXEC_PRIV) != 0;

    v->exec_flags = (v->exec_flags & ~EXEC_WINDOW) | v->exec_mmu[priv];
}

bool spt_has_user_window(struct vcpu *v)
{
    struct context *c = v->mmu->current;

    if (!c->win[0] && wants_window(v, c))
        give_user_window(v, c);
    return c->win[0];
}

void spt_give_up_window(struct vcpu *v, struct context *c)
{
    struct spt_vcpu *s = v->mmu->spt;
    struct window *w = c->win[0];

    if (w && w == s->cur[0]) {
        atomic_store(&w->current, 0);
        s->cur[0] = NULL;
        v->win_base[0] = none(s)->base;
    }
    if (w)
        retire(v, w);
}

void spt_context_forget(struct vcpu *v, struct context *c)
{
    if (!v->mmu->spt)
        return;
    if (c->win[0])
        retire(v, c->win[0]);
    c->win[0] = c->win[1] = NULL;
}

void spt_reset(struct vcpu *v)
{
    struct spt_vcpu *s = v->mmu->spt;

    if (!s)
        return;
    for (unsigned priv = 0; priv < 2; priv++) {
        if (s->cur[priv])
            atomic_store(&s->cur[priv]->current, 0);
        s->cur[priv] = NULL;
        v->win_base[priv] = none(s)->base;
    }
    for (unsigned i = 1; i < atomic_load(&s->nused); i++)
        if (atomic_load(s->win[i].tag) & WINDOW_USED)
            retire(v, &s->win[i]);
}

bool mmu_window_contains_sig(const struct vcpu *v, hva_t addr)
{
    const struct spt_vcpu *s = v->mmu ? v->mmu->spt : NULL;

    return s && addr - s->arena < s->arena_bytes;
}
