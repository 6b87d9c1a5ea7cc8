/* SPDX-License-Identifier: MIT */
/*
 * Which window a translation context uses: the choice at a switch of contexts or privilege.
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
#include "base/stats.h"

#include <x86intrin.h>

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
    v->win_base[priv] = w ? w->base : spt_no_window(s)->base;
}

/* Whether user code of the context runs in a window. */
static bool wants_window(const struct vcpu *v, const struct context *c)
{
    return !v->vm->mmu->spt->opt.tiered || c->tier.windowed;
}

static void give_user_window(struct vcpu *v, struct context *c)
{
    c->win[0] = spt_user_window(v, c);
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
    if (!s->cur[1] || to->win[1] != s->cur[1] || spt_rights_differ(to->win[1], to) ||
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
        c->win[1] = spt_privileged_window(v, c);
    if (c->win[1] && spt_rights_differ(c->win[1], c)) {
        spt_split_by_dacr(v);
        c->win[1] = spt_privileged_window(v, c);
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
        v->win_base[0] = spt_no_window(s)->base;
    }
    if (w)
        spt_retire(v, w);
}

void spt_context_forget(struct vcpu *v, struct context *c)
{
    if (!v->mmu->spt)
        return;
    if (c->win[0])
        spt_retire(v, c->win[0]);
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
        v->win_base[priv] = spt_no_window(s)->base;
    }
    for (unsigned i = 1; i < atomic_load(&s->nused); i++)
        if (atomic_load(s->win[i].tag) & WINDOW_USED)
            spt_retire(v, &s->win[i]);
}
