/* SPDX-License-Identifier: MIT */
/*
 * Interrupt controller: life cycle and inputs. Input lines may be driven by any thread; an SPI
 * takes the distributor's lock, a PPI only that of its CPU. IHI 0048B chapter 3 (states), 3.2
 * (level and edge).
 */
#include "gic_internal.h"
#include "base/log.h"
#include "vcpu/vcpu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int gic_create(const struct gic_config *c, struct gic **out)
{
    struct gic *g;

    if (c->ncpus == 0 || c->ncpus > GIC_MAX_CPUS || c->nspis == 0 || c->nspis % 32 != 0 ||
        c->nspis > GIC_MAX_SPIS) {
        return -EINVAL;
    }
    g = aligned_alloc(CACHE_LINE, sizeof *g);
    if (g == NULL) {
        return -ENOMEM;
    }
    memset(g, 0, sizeof *g);
    g->ncpus = c->ncpus;
    g->nirqs = 32 + c->nspis;
    g->set_irq = c->set_irq;
    pthread_mutex_init(&g->lock, NULL);
    for (unsigned i = 0; i < c->ncpus; i++) {
        pthread_mutex_init(&g->cpu[i].lock, NULL);
        g->cpu[i].vcpu = c->vcpu[i];
    }
    gic_reset(g);
    *out = g;
    return 0;
}

void gic_destroy(struct gic *g)
{
    if (g == NULL) {
        return;
    }
    for (unsigned i = 0; i < g->ncpus; i++) {
        pthread_mutex_destroy(&g->cpu[i].lock);
    }
    pthread_mutex_destroy(&g->lock);
    free(g);
}

static void word_reset(struct gic_word *w)
{
    uint32_t line = w->line;

    memset(w, 0, sizeof *w);
    w->line = line;
}

static void cpu_reset(struct gic_cpu *c)
{
    word_reset(&c->priv);
    c->priv.enabled = 0xffff; /* SGIs cannot be disabled */
    c->priv.edge = 0xffff;
    memset(c->sgi_source, 0, sizeof c->sgi_source);
    c->ctlr = 0;
    c->pmr = 0;
    c->bpr = 2;
    c->abpr = 3;
    c->apr[0] = c->apr[1] = 0;
    for (unsigned grp = 0; grp < 2; grp++) {
        c->spi[grp] = (struct gic_best){.id = GIC_SPURIOUS, .prio = GIC_IDLE_PRIO};
    }
}

void gic_reset(struct gic *g)
{
    pthread_mutex_lock(&g->lock);
    atomic_store_explicit(&g->ctlr, 0, memory_order_relaxed);
    for (unsigned i = 0; i < GIC_SPI_WORDS; i++) {
        word_reset(&g->spi[i]);
        if (g->ncpus == 1) { /* a uniprocessor has no target registers: all go to CPU 0 */
            memset(g->spi[i].target, 1, sizeof g->spi[i].target);
            g->spi[i].targets[0] = UINT32_MAX;
        }
    }
    for (unsigned i = 0; i < g->ncpus; i++) {
        pthread_mutex_lock(&g->cpu[i].lock);
        cpu_reset(&g->cpu[i]);
        gic_cpu_update_locked(g, &g->cpu[i]);
        pthread_mutex_unlock(&g->cpu[i].lock);
    }
    pthread_mutex_unlock(&g->lock);
}

int gic_attach(struct gic *g, struct bus *bus, gpa_t dist, gpa_t cpu)
{
    int err = bus_add(bus, &(struct bus_region){.name = "gic-dist", .base = dist, .size = 0x10000,
                                                .ops = &gic_dist_ops, .dev = g});
    if (err != 0) {
        return err;
    }
    return bus_add(bus, &(struct bus_region){.name = "gic-cpu", .base = cpu, .size = 0x10000,
                                             .ops = &gic_cpu_ops, .dev = g});
}

unsigned gic_cpu_index(const struct gic *g, const struct vcpu *v)
{
    return v != NULL && v->index < g->ncpus ? v->index : 0; /* NULL: a debugger looks as CPU 0 */
}

/* Change one input bit of a word; true when its pending state may have changed. */
static bool word_input(struct gic_word *w, uint32_t bit, bool level)
{
    uint32_t before = gic_word_pending(w);

    if (level && !(w->line & bit) && (w->edge & bit)) {
        w->latch |= bit;
    }
    w->line = level ? w->line | bit : w->line & ~bit;
    return gic_word_pending(w) != before;
}

static void spi_set(void *ctrl, unsigned id, bool level)
{
    struct gic *g = ctrl;
    struct gic_word *w = &g->spi[id / 32 - 1];

    pthread_mutex_lock(&g->lock);
    if (word_input(w, 1u << id % 32, level)) {
        gic_spi_update_locked(g, w->target[id % 32]);
    }
    pthread_mutex_unlock(&g->lock);
}

static void ppi_set(void *ctrl, unsigned id, bool level)
{
    struct gic_cpu *c = ctrl;
    struct gic *g = (struct gic *)((char *)c - offsetof(struct gic, cpu) -
                                   (id / 32) * sizeof(struct gic_cpu));

    pthread_mutex_lock(&c->lock);
    if (word_input(&c->priv, 1u << id % 32, level)) {
        gic_cpu_update_locked(g, c);
    }
    pthread_mutex_unlock(&c->lock);
}

struct irq_line gic_spi(struct gic *g, unsigned n)
{
    VM_CHECK(n + 32 < g->nirqs);
    return (struct irq_line){.set = spi_set, .ctrl = g, .n = n + 32};
}

struct irq_line gic_ppi(struct gic *g, unsigned cpu, unsigned id)
{
    VM_CHECK(cpu < g->ncpus && id >= 16 && id < 32);
    return (struct irq_line){.set = ppi_set, .ctrl = &g->cpu[cpu], .n = cpu * 32 + id};
}

void gic_sgi_set(struct gic *g, unsigned cpu, unsigned id, uint32_t sources)
{
    struct gic_cpu *c = &g->cpu[cpu];

    pthread_mutex_lock(&c->lock);
    c->sgi_source[id] |= (uint8_t)sources;
    if (sources != 0 && !(c->priv.latch & 1u << id)) {
        c->priv.latch |= 1u << id;
        gic_cpu_update_locked(g, c);
    }
    pthread_mutex_unlock(&c->lock);
}
