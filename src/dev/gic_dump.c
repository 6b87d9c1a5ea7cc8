/* SPDX-License-Identifier: MIT */
/*
 * Interrupt controller: its state as text, for the monitor. Any thread; takes the locks in the
 * usual order, so what it prints of one CPU or of the SPIs belongs together.
 */
#include "gic_internal.h"

static void dump_word(FILE *f, const struct gic_word *w, unsigned first, unsigned count)
{
    uint32_t pending = gic_word_pending(w);

    for (unsigned n = 0; n < count; n++) {
        uint32_t bit = 1u << n;
        if (!((w->enabled | w->active | pending) & bit)) {
            continue;
        }
        if (first + n < 16 && !((w->active | pending) & bit)) {
            continue; /* software interrupts are always enabled */
        }
        fprintf(f, "  %3u %s%s%s %s group %u priority %02x", first + n,
                w->enabled & bit ? "enabled" : "       ", pending & bit ? " pending" : "",
                w->active & bit ? " active" : "", w->edge & bit ? "edge" : "level",
                w->group1 & bit ? 1u : 0u, w->prio[n]);
        if (first >= 32) {
            fprintf(f, " to CPUs %02x", w->target[n]);
        }
        fputc('\n', f);
    }
}

static void dump_cpu(FILE *f, struct gic_cpu *c, unsigned i)
{
    pthread_mutex_lock(&c->lock);
    fprintf(f, "CPU %u: CTLR %03x PMR %02x running %02x outputs%s%s\n", i, c->ctlr, c->pmr,
            gic_running_priority_locked(c), c->irq ? " IRQ" : "", c->fiq ? " FIQ" : "");
    dump_word(f, &c->priv, 0, 32);
    pthread_mutex_unlock(&c->lock);
}

void gic_dump(struct gic *g, FILE *f)
{
    pthread_mutex_lock(&g->lock);
    fprintf(f, "GICv2: distributor CTLR %x\n",
            atomic_load_explicit(&g->ctlr, memory_order_relaxed));
    for (unsigned i = 0; i < g->ncpus; i++) {
        dump_cpu(f, &g->cpu[i], i);
    }
    fputs("shared:\n", f);
    for (unsigned w = 0; w < g->nirqs / 32 - 1; w++) {
        dump_word(f, &g->spi[w], 32 * (w + 1), 32);
    }
    pthread_mutex_unlock(&g->lock);
}
