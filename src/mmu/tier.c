/* SPDX-License-Identifier: MIT */
/*
 * -mmu auto: which address spaces run their user code in windows. A fill costs as much as several
 * hundred soft-TLB misses, so a process that ends soon, or that keeps changing its mappings, is
 * better off with the soft TLB; one that computes gains a third or more from windows.
 *
 * Every context starts on the soft TLB. It is promoted when it has run for a while, and demoted
 * when what it paid for fills exceeds a fixed share of the time it ran: at any moment the cost of
 * having guessed wrong is bounded by that share, and each demotion doubles the time until the next
 * try. Also demoted is a context whose window was evicted for the budget while others ran: when
 * those who compute need more mappings than there are, each would fault in again what it lost at
 * each turn. At promotion the pages in the soft TLB are filled at once, without a host fault each.
 * Blocks of both kinds coexist (EXEC_WINDOW is part of a block's key), and libraries translated
 * for windows serve all promoted processes.
 *
 * Privileged code always runs in windows: kernels live in large mappings that stay. What they touch
 * besides goes to the soft TLB site by site (spt_fill.c, churn.c, tcg/fault_resume.c).
 *
 * Owning vCPU thread only.
 */
#include "spt.h"

#include "base/stats.h"

#include <x86intrin.h>

/* The time of so many before the first promotion, break-even of a typical context: 16 ms on a quick
 * host. */
#define PROMOTE_FILLS 1600
#define SHARE         4  /* fills may cost one part in this many of the time in user mode */
#define FAULT_US      10 /* prices on a host that is quick; a slow one's are measured */
#define ABORT_US      5
#define FILL_US       5
#define DROP_US       60
#define DROPS_MIN     64 /* fewer lately are no storm */
#define RECENT_US     64000
#define SHIFT_MAX     10

static uint32_t at_least(uint32_t us, uint64_t ns)
{
    return ns / 1000 > us ? (uint32_t)(ns / 1000) : us;
}

/*
 * Signal and mapping are a quarter of what a fill takes in the end: its other pages are touched for
 * the first time, too, and it is unmapped one day, both beside CPUs that must flush their TLBs.
 */
struct tier_prices tier_prices(const struct host_cost *host)
{
    uint32_t fault = at_least(FAULT_US, 4 * ((uint64_t)host->signal_ns + host->map_ns));

    return (struct tier_prices){
        .promote = PROMOTE_FILLS * fault,
        .fault = fault,
        .abort = at_least(ABORT_US, 2 * (uint64_t)host->signal_ns),
        .fill = at_least(FILL_US, 2 * (uint64_t)host->map_ns),
        .drop = DROP_US + fault - FAULT_US,
    };
}

static bool may_promote(const struct vcpu *v, const struct context *c)
{
    const struct tier *t = &c->tier;
    uint64_t us = v->vm->mmu->host.ticks_per_us;
    uint64_t need = t->cost_us * SHARE + ((uint64_t)v->vm->mmu->spt->price.promote << t->demotions);

    return t->user_ticks > need * us;
}

/* What the context's user code has in the soft TLB goes into its window. */
static void fill_known_pages(struct vcpu *v, struct context *c)
{
    for (unsigned i = 0; i < SOFTTLB_SIZE; i++) {
        uint64_t tag = v->softtlb[0][i].tag[MMU_READ];

        if (tag >> 32 == v->ctx_id && !(tag & SOFT_FLAGS) &&
            spt_fill_page(v, tag & UINT32_MAX & GUEST_PAGE_MASK, false))
            c->tier.cost_us += v->vm->mmu->spt->price.fill;
    }
}

static void promote(struct vcpu *v, struct context *c)
{
    c->tier.windowed = true;
    v->exec_mmu[0] = EXEC_WINDOW;
    STAT_INC(&stats_vcpu[v->index], spt_promotions);
    spt_select(v);
    fill_known_pages(v, c);
}

static void demote(struct vcpu *v, struct tier *t)
{
    t->windowed = false;
    if (t->demotions < SHIFT_MAX)
        t->demotions++;
    v->exec_mmu[0] = 0;
    STAT_INC(&stats_vcpu[v->index], spt_demotions);
}

static bool was_evicted(const struct context *c)
{
    return c->win[0] && atomic_load_explicit(&c->win[0]->evicted, memory_order_relaxed);
}

void tier_enter_user(struct vcpu *v)
{
    struct context *c = v->mmu->current;

    v->mmu->user_since = __rdtsc();
    if (c->tier.windowed && was_evicted(c)) {
        demote(v, &c->tier);
        spt_give_up_window(v, c);
    }
    if (!c->tier.windowed && may_promote(v, c))
        promote(v, c);
}

static void account(struct vcpu *v, struct context *c)
{
    uint64_t now = __rdtsc();

    c->tier.user_ticks += now - v->mmu->user_since;
    c->tier.recent_ticks += now - v->mmu->user_since;
    v->mmu->user_since = now;
    if (c->tier.recent_ticks > RECENT_US * v->vm->mmu->host.ticks_per_us) {
        c->tier.recent_ticks /= 2;
        c->tier.recent_drops /= 2;
    }
}

void mmu_not_run(struct vcpu *v, uint64_t ns)
{
    uint64_t now = __rdtsc(), since = v->mmu->user_since;

    if (!since)
        return;
    since += ns * v->vm->mmu->host.ticks_per_us / 1000;
    v->mmu->user_since = since < now ? since : now;
}

void tier_leave_user(struct vcpu *v)
{
    if (v->mmu->user_since)
        account(v, v->mmu->current);
    v->mmu->user_since = 0;
}

/*
 * Did maintenance by any vCPU drop something since the last fault? In a storm each drop is followed
 * by a fault; a burst, such as a large block of memory that is moved, counts once.
 */
static bool dropped_since(struct vcpu *v)
{
    struct window *w = v->mmu->spt->cur[0];
    uint32_t all = w ? atomic_load_explicit(&w->maintained, memory_order_relaxed) : 0;

    if (!w || all == w->drops_paid)
        return false;
    w->drops_paid = all;
    return true;
}

/* More than its share over its life; or, whatever its life was, in a storm of maintenance now. */
static bool too_dear(const struct vcpu *v, const struct tier *t)
{
    uint64_t us = v->vm->mmu->host.ticks_per_us;

    return t->cost_us * (SHARE + 1) * us > t->user_ticks ||
           (t->recent_drops >= DROPS_MIN &&
            t->recent_drops * v->vm->mmu->spt->price.drop * SHARE * us > t->recent_ticks);
}

void tier_note_fault(struct vcpu *v, bool filled)
{
    struct context *c = v->mmu->current;
    const struct tier_prices *price = &v->vm->mmu->spt->price;
    struct tier *t = &c->tier;
    bool dropped = filled && dropped_since(v);

    t->cost_us += (filled ? price->fault : price->abort) + (dropped ? price->drop : 0);
    t->recent_drops += dropped;
    account(v, c);
    if (!t->windowed || !too_dear(v, t))
        return;
    t->recent_drops = 0;
    demote(v, t);
    /* The block that faulted goes on as it is; the run loop chooses anew at the next poll. */
    atomic_fetch_or(&v->poll, POLL_MMU);
}
