/* SPDX-License-Identifier: MIT */
/*
 * Interrupt controller: which interrupt is the highest-priority pending one, and whether a CPU
 * sees it. Lower value = higher priority; among equals the lower ID wins. Locks: see
 * gic_internal.h. IHI 0048B 3.3 (prioritization), 3.3.3 (priority grouping), 3.3.2 (preemption).
 */
#include "gic_internal.h"
#include "vcpu/vcpu.h"

static void best_of_word(const struct gic_word *w, uint32_t candidates, unsigned first_id,
                         struct gic_best *best)
{
    while (candidates != 0) {
        unsigned n = (unsigned)__builtin_ctz(candidates);
        candidates &= candidates - 1;
        if (w->prio[n] < best->prio || best->id == GIC_SPURIOUS) {
            best->id = (uint16_t)(first_id + n);
            best->prio = w->prio[n];
            best->group = w->group1 >> n & 1;
        }
    }
}

struct gic_best gic_cpu_best_locked(const struct gic *g, const struct gic_cpu *c)
{
    struct gic_best best = {.id = GIC_SPURIOUS, .prio = GIC_IDLE_PRIO};
    const struct gic_word *w = &c->priv;
    uint32_t in_group = ((c->ctlr & 1) ? ~w->group1 : 0) | ((c->ctlr & 2) ? w->group1 : 0);

    best_of_word(
        w, gic_word_pending(w) & w->enabled & ~w->active & gic_word_forwarded(g, w) & in_group, 0,
        &best);
    for (unsigned grp = 0; grp < 2; grp++) {
        const struct gic_best *s = &c->spi[grp];
        if (!(c->ctlr >> grp & 1) || s->id == GIC_SPURIOUS) {
            continue;
        }
        if (best.id == GIC_SPURIOUS || s->prio < best.prio ||
            (s->prio == best.prio && s->id < best.id)) {
            best = *s;
        }
    }
    return best;
}

uint32_t gic_group_priority_locked(const struct gic_cpu *c, uint32_t prio, unsigned group)
{
    /* Group 1's own binary point counts from one bit higher (its priorities were seen shifted). */
    unsigned shift = group == 0 || (c->ctlr & GICC_CBPR) ? c->bpr + 1 : c->abpr;

    return prio & (0xffu << shift) & 0xff;
}

uint32_t gic_running_priority_locked(const struct gic_cpu *c)
{
    uint32_t active = c->apr[0] | c->apr[1];

    return active == 0 ? GIC_IDLE_PRIO : (uint32_t)__builtin_ctz(active) << 3;
}

bool gic_cpu_signals_locked(const struct gic_cpu *c, const struct gic_best *b)
{
    return b->id != GIC_SPURIOUS && b->prio < c->pmr &&
           gic_group_priority_locked(c, b->prio, b->group) < gic_running_priority_locked(c);
}

void gic_cpu_update_locked(struct gic *g, struct gic_cpu *c)
{
    struct gic_best best = gic_cpu_best_locked(g, c);
    bool signal = gic_cpu_signals_locked(c, &best);
    bool fiq = signal && best.group == 0 && (c->ctlr & GICC_FIQEN);
    bool irq = signal && !fiq;

    if (irq != c->irq) {
        c->irq = irq;
        g->set_irq(c->vcpu, VCPU_IRQ_LINE, irq);
    }
    if (fiq != c->fiq) {
        c->fiq = fiq;
        g->set_irq(c->vcpu, VCPU_FIQ_LINE, fiq);
    }
}

static void best_spis(const struct gic *g, unsigned cpu, struct gic_best best[2])
{
    for (unsigned grp = 0; grp < 2; grp++) {
        best[grp] = (struct gic_best){.id = GIC_SPURIOUS, .prio = GIC_IDLE_PRIO};
    }
    for (unsigned i = 0; i < g->nirqs / 32 - 1; i++) {
        const struct gic_word *w = &g->spi[i];
        uint32_t ready = gic_word_pending(w) & w->enabled & ~w->active & w->targets[cpu] &
                         gic_word_forwarded(g, w);
        if (ready != 0) {
            best_of_word(w, ready & ~w->group1, 32 * (i + 1), &best[0]);
            best_of_word(w, ready & w->group1, 32 * (i + 1), &best[1]);
        }
    }
}

static bool same_best(const struct gic_best *a, const struct gic_best *b)
{
    return a->id == b->id && a->prio == b->prio;
}

void gic_spi_update_locked(struct gic *g, uint32_t cpus)
{
    for (unsigned i = 0; i < g->ncpus; i++) {
        struct gic_cpu *c = &g->cpu[i];
        struct gic_best best[2];
        if (!(cpus >> i & 1)) {
            continue;
        }
        best_spis(g, i, best);
        /* Read without the CPU's lock: spi[] is only written with gic.lock held too. */
        if (same_best(&best[0], &c->spi[0]) && same_best(&best[1], &c->spi[1])) {
            continue;
        }
        pthread_mutex_lock(&c->lock);
        c->spi[0] = best[0];
        c->spi[1] = best[1];
        gic_cpu_update_locked(g, c);
        pthread_mutex_unlock(&c->lock);
    }
}

void gic_update_all_locked(struct gic *g)
{
    gic_spi_update_locked(g, UINT32_MAX);
    for (unsigned i = 0; i < g->ncpus; i++) {
        pthread_mutex_lock(&g->cpu[i].lock);
        gic_cpu_update_locked(g, &g->cpu[i]);
        pthread_mutex_unlock(&g->cpu[i].lock);
    }
}
