/* SPDX-License-Identifier: MIT */
/*
 * Interrupt controller: the CPU interface, GICC_* registers, always that of the accessing CPU.
 * Acknowledge and end of an SGI or PPI take the CPU's lock only. IHI 0048B 4.4; pseudocode in 3.8.
 */
#include "gic_internal.h"

#include "base/log.h"
#include "tcg/tcg.h"

enum {
    GICC_CTLR = 0x00, GICC_PMR = 0x04, GICC_BPR = 0x08, GICC_IAR = 0x0c, GICC_EOIR = 0x10,
    GICC_RPR = 0x14, GICC_HPPIR = 0x18, GICC_ABPR = 0x1c, GICC_AIAR = 0x20, GICC_AEOIR = 0x24,
    GICC_AHPPIR = 0x28, GICC_APR0 = 0xd0, GICC_NSAPR0 = 0xe0, GICC_IIDR = 0xfc, GICC_DIR = 0x1000,
};

#define GICC_IIDR_VALUE 0x0002043bu /* Arm, architecture version 2, as the Cortex-A15 */

/*
 * What a read of (A)IAR or (A)HPPIR reports for the best interrupt: GICC_IAR hides group 1 unless
 * AckCtl is set, GICC_AIAR shows group 1 only.
 */
static unsigned visible_id(const struct gic_cpu *c, const struct gic_best *b, bool alias)
{
    if (b->id == GIC_SPURIOUS) {
        return GIC_SPURIOUS;
    }
    if (alias) {
        return b->group == 1 ? b->id : GIC_SPURIOUS;
    }
    return b->group == 0 || (c->ctlr & GICC_ACKCTL) ? b->id : GIC_WRONG_GROUP;
}

static uint32_t sgi_source(const struct gic_cpu *c, unsigned id)
{
    return id < 16 && c->sgi_source[id] != 0 ? (uint32_t)__builtin_ctz(c->sgi_source[id]) : 0;
}

/* Pending becomes active; returns the value of IAR. The lock of the word's owner is held. */
static uint32_t activate_locked(struct gic *g, struct gic_cpu *c, const struct gic_best *b)
{
    uint32_t bit = 1u << b->id % 32;
    uint32_t source = sgi_source(c, b->id);

    c->apr[b->group] |= 1u << (gic_group_priority_locked(c, b->prio, b->group) >> 3);
    if (b->id < 16) {
        c->sgi_source[b->id] &= (uint8_t)~(1u << source);
        if (c->sgi_source[b->id] == 0) {
            c->priv.latch &= ~bit;
        }
        c->priv.active |= bit;
    } else {
        struct gic_word *w = b->id < 32 ? &c->priv : &g->spi[b->id / 32 - 1];
        w->latch &= ~bit;
        w->active |= bit;
    }
    return b->id | source << 10;
}

/*
 * Acknowledge. `has_dist`: gic.lock is held, so an SPI may be taken. Returns false when an SPI is
 * best and gic.lock is needed.
 */
static bool acknowledge_locked(struct gic *g, struct gic_cpu *c, bool alias, bool has_dist,
                               struct gic_best *b, uint32_t *iar)
{
    *b = gic_cpu_best_locked(g, c);
    if (!gic_cpu_signals_locked(c, b)) {
        b->id = GIC_SPURIOUS;
    }
    *iar = visible_id(c, b, alias);
    if (*iar >= GIC_WRONG_GROUP) {
        b->id = GIC_SPURIOUS;
        return true;
    }
    if (b->id >= 32 && !has_dist) {
        return false;
    }
    *iar = activate_locked(g, c, b);
    if (b->id < 32) {
        gic_cpu_update_locked(g, c);
    }
    return true;
}

static uint32_t acknowledge(struct gic *g, struct gic_cpu *c, bool alias)
{
    struct gic_best b;
    uint32_t iar;

    pthread_mutex_lock(&c->lock);
    bool done = acknowledge_locked(g, c, alias, false, &b, &iar);
    pthread_mutex_unlock(&c->lock);
    if (done) {
        return iar;
    }
    pthread_mutex_lock(&g->lock);
    pthread_mutex_lock(&c->lock);
    acknowledge_locked(g, c, alias, true, &b, &iar);
    pthread_mutex_unlock(&c->lock);
    if (b.id != GIC_SPURIOUS && b.id >= 32) {
        gic_spi_update_locked(g, g->spi[b.id / 32 - 1].target[b.id % 32]);
        /* The active priority changed even if the next best SPI equals the old. */
        pthread_mutex_lock(&c->lock);
        gic_cpu_update_locked(g, c);
        pthread_mutex_unlock(&c->lock);
    }
    pthread_mutex_unlock(&g->lock);
    return iar;
}

/* Forget the highest active priority. */
static void priority_drop_locked(struct gic_cpu *c)
{
    uint32_t active = c->apr[0] | c->apr[1];
    uint32_t top = active & -active;

    /* Both groups cannot hold the same level unless software wrote the registers. */
    if (c->apr[0] & top) {
        c->apr[0] &= ~top;
    } else {
        c->apr[1] &= ~top;
    }
}

/* Priority drop and deactivation, each if asked for. */
static void end_interrupt(struct gic *g, struct gic_cpu *c, unsigned id, bool drop, bool deactivate)
{
    uint32_t bit = 1u << id % 32;
    bool spi = id >= 32 && deactivate;

    if (spi) {
        pthread_mutex_lock(&g->lock);
        g->spi[id / 32 - 1].active &= ~bit;
    }
    pthread_mutex_lock(&c->lock);
    if (drop) {
        priority_drop_locked(c);
    }
    if (deactivate && id < 32) {
        c->priv.active &= ~bit;
    }
    gic_cpu_update_locked(g, c);
    pthread_mutex_unlock(&c->lock);
    if (spi) {
        gic_spi_update_locked(g, g->spi[id / 32 - 1].target[id % 32]);
        pthread_mutex_unlock(&g->lock);
    }
}

static void write_eoir(struct gic *g, struct gic_cpu *c, uint32_t value)
{
    unsigned id = value & 0x3ff;

    if (id >= g->nirqs) { /* spurious IDs: no effect */
        return;
    }
    pthread_mutex_lock(&c->lock);
    bool split = (c->ctlr & GICC_EOIMODE) != 0;
    pthread_mutex_unlock(&c->lock);
    end_interrupt(g, c, id, true, !split);
}

static void write_dir(struct gic *g, struct gic_cpu *c, uint32_t value)
{
    unsigned id = value & 0x3ff;

    pthread_mutex_lock(&c->lock);
    bool split = (c->ctlr & GICC_EOIMODE) != 0;
    pthread_mutex_unlock(&c->lock);
    if (!split || id >= g->nirqs) {
        if (log_on(LOG_GUEST_ERROR)) {
            log_printf("gic-cpu: GICC_DIR write of %u ignored (EOImode %d)\n", id, split);
        }
        return;
    }
    end_interrupt(g, c, id, false, true);
}

static uint32_t highest_pending(struct gic *g, struct gic_cpu *c, bool alias)
{
    struct gic_best b = gic_cpu_best_locked(g, c);
    unsigned id = visible_id(c, &b, alias);

    return id >= GIC_WRONG_GROUP ? id : id | sgi_source(c, id) << 10;
}

static uint64_t cpu_read(void *dev, struct vcpu *v, uint64_t off, unsigned size)
{
    struct gic *g = dev;
    struct gic_cpu *c = &g->cpu[gic_cpu_index(g, v)];
    uint32_t r = 0;

    (void)size;
    if (off == GICC_IAR || off == GICC_AIAR) {
        return acknowledge(g, c, off == GICC_AIAR);
    }
    pthread_mutex_lock(&c->lock);
    switch (off) {
    case GICC_CTLR: r = c->ctlr; break;
    case GICC_PMR: r = c->pmr; break;
    case GICC_BPR: r = c->bpr; break;
    case GICC_RPR: r = gic_running_priority_locked(c); break;
    case GICC_HPPIR: r = highest_pending(g, c, false); break;
    case GICC_ABPR: r = c->abpr; break;
    case GICC_AHPPIR: r = highest_pending(g, c, true); break;
    case GICC_APR0: r = c->apr[0]; break;
    case GICC_NSAPR0: r = c->apr[1]; break;
    case GICC_IIDR: r = GICC_IIDR_VALUE; break;
    default: break; /* reserved and write-only: zero */
    }
    pthread_mutex_unlock(&c->lock);
    return r;
}

static void cpu_write(void *dev, struct vcpu *v, uint64_t off, uint64_t value, unsigned size)
{
    struct gic *g = dev;
    struct gic_cpu *c = &g->cpu[gic_cpu_index(g, v)];
    uint32_t w = (uint32_t)value;

    (void)size;
    switch (off) {
    case GICC_EOIR:
    case GICC_AEOIR: write_eoir(g, c, w); return;
    case GICC_DIR: write_dir(g, c, w); return;
    default: break;
    }
    pthread_mutex_lock(&c->lock);
    switch (off) {
    case GICC_CTLR: c->ctlr = w & GICC_CTLR_MASK; break;
    case GICC_PMR: c->pmr = w & GIC_PRIO_MASK; break;
    case GICC_BPR: c->bpr = (w & 7) < 2 ? 2 : w & 7; break;   /* smallest with five bits */
    case GICC_ABPR: c->abpr = (w & 7) < 3 ? 3 : w & 7; break;
    case GICC_APR0: c->apr[0] = w; break;
    case GICC_NSAPR0: c->apr[1] = w; break;
    default: break; /* read-only or reserved */
    }
    gic_cpu_update_locked(g, c);
    pthread_mutex_unlock(&c->lock);
}

const struct bus_ops gic_cpu_ops = {
    .read = cpu_read, .write = cpu_write, .min_size = 4, .max_size = 4};
