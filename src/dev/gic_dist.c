/* SPDX-License-Identifier: MIT */
/*
 * Interrupt controller: the distributor, GICD_* registers. The first word of each array is
 * banked: it shows the SGIs and PPIs of the accessing CPU and needs that CPU's lock; the rest are
 * SPIs under the distributor's lock. Byte and halfword accesses reach the register that holds
 * them with a lane mask. IHI 0048B 4.3.
 */
#include "gic_internal.h"

#include "base/inject.h"
#include "base/log.h"
#include "tcg/tcg.h"

enum {
    GICD_CTLR = 0x000, GICD_TYPER = 0x004, GICD_IIDR = 0x008, GICD_IGROUPR = 0x080,
    GICD_ISENABLER = 0x100, GICD_ICENABLER = 0x180, GICD_ISPENDR = 0x200, GICD_ICPENDR = 0x280,
    GICD_ISACTIVER = 0x300, GICD_ICACTIVER = 0x380, GICD_IPRIORITYR = 0x400,
    GICD_ITARGETSR = 0x800, GICD_ICFGR = 0xc00, GICD_PPISR = 0xd00, GICD_NSACR = 0xe00,
    GICD_SGIR = 0xf00, GICD_CPENDSGIR = 0xf10, GICD_SPENDSGIR = 0xf20, GICD_PIDR4 = 0xfd0,
};

#define SGI_BITS 0xffffu

static const uint8_t id_register[12] = {
    0x04, 0x00, 0x00, 0x00, 0x90, 0xb4, 0x2b, 0x00, 0x0d, 0xf0, 0x05, 0xb1,
};

/* The word with interrupts 32 * n .. 32 * n + 31 as `cpu` sees it; NULL past the last. */
static struct gic_word *word_of(struct gic *g, unsigned cpu, unsigned n)
{
    if (n >= g->nirqs / 32) {
        return NULL;
    }
    return n == 0 ? &g->cpu[cpu].priv : &g->spi[n - 1];
}

static uint32_t read_bytes(const uint8_t *p)
{
    return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

/* ICFGR: two bits per interrupt, the upper one says edge-triggered. */
static uint32_t read_config(const struct gic_word *w, unsigned half)
{
    uint32_t edge = w->edge >> 16 * half & 0xffff, r = 0;

    for (unsigned i = 0; i < 16; i++) {
        r |= (edge >> i & 1) << (2 * i + 1);
    }
    return r;
}

static void write_config(struct gic_word *w, bool priv, unsigned half, uint32_t value,
                         uint32_t mask)
{
    for (unsigned i = 0; i < 16; i++) {
        uint32_t bit = 1u << (16 * half + i);
        if (!(mask >> (2 * i + 1) & 1) || (priv && half == 0)) { /* SGIs: read-only */
            continue;
        }
        w->edge = value >> (2 * i + 1) & 1 ? w->edge | bit : w->edge & ~bit;
    }
}

static uint32_t read_targets(const struct gic *g, unsigned cpu, const struct gic_word *w, bool priv,
                             unsigned at)
{
    if (g->ncpus == 1) {
        return 0;
    }
    return priv ? 0x01010101u << cpu : read_bytes(w->target + at);
}

static void write_target(const struct gic *g, struct gic_word *w, unsigned n, uint32_t cpus)
{
    cpus &= (1u << g->ncpus) - 1;
    w->target[n] = (uint8_t)cpus;
    for (unsigned c = 0; c < g->ncpus; c++) {
        w->targets[c] = cpus >> c & 1 ? w->targets[c] | 1u << n : w->targets[c] & ~(1u << n);
    }
}

/* A register of one word, its lock held. `off` is 4-aligned. */
static uint32_t word_read(const struct gic *g, unsigned cpu, uint64_t off, const struct gic_word *w,
                          bool priv)
{
    if (off >= GICD_ICFGR) {
        return read_config(w, off >> 2 & 1);
    }
    if (off >= GICD_ITARGETSR) {
        return read_targets(g, cpu, w, priv, off & 0x1f);
    }
    if (off >= GICD_IPRIORITYR) {
        return read_bytes(w->prio + (off & 0x1f));
    }
    switch (off & ~0x7full) {
    case GICD_IGROUPR: return w->group1;
    case GICD_ISENABLER:
    case GICD_ICENABLER: return w->enabled;
    case GICD_ISPENDR:
    case GICD_ICPENDR: return gic_word_pending(w);
    case GICD_ISACTIVER:
    case GICD_ICACTIVER: return w->active;
    default: return 0;
    }
}

static void word_write_bytes(const struct gic *g, uint64_t off, struct gic_word *w, bool priv,
                             uint32_t value, uint32_t mask)
{
    for (unsigned i = 0; i < 4; i++, value >>= 8, mask >>= 8) {
        unsigned n = (unsigned)(off & 0x1f) + i;
        if (!(mask & 0xff)) {
            continue;
        }
        if (off < GICD_ITARGETSR) {
            w->prio[n] = value & GIC_PRIO_MASK;
        } else if (!priv && g->ncpus > 1) {
            write_target(g, w, n, value & 0xff);
        }
    }
}

static void word_write(const struct gic *g, uint64_t off, struct gic_word *w, bool priv,
                       uint32_t value, uint32_t mask)
{
    uint32_t fixed = priv ? SGI_BITS : 0; /* SGIs: always enabled, pending only through SGIR */

    if (off >= GICD_ICFGR) {
        write_config(w, priv, off >> 2 & 1, value, mask);
        return;
    }
    if (off >= GICD_IPRIORITYR) {
        word_write_bytes(g, off, w, priv, value, mask);
        return;
    }
    value &= mask;
    switch (off & ~0x7full) {
    case GICD_IGROUPR: w->group1 = (w->group1 & ~mask) | value; break;
    case GICD_ISENABLER: w->enabled |= value; break;
    case GICD_ICENABLER: w->enabled &= ~value | fixed; break;
    case GICD_ISPENDR: w->latch |= value & ~fixed; break;
    case GICD_ICPENDR: w->latch &= ~value | fixed; break;
    case GICD_ISACTIVER: w->active |= value; break;
    case GICD_ICACTIVER: w->active &= ~value; break;
    default: break;
    }
}

/* Which word a register belongs to; UINT32_MAX when off is none of the per-interrupt arrays. */
static unsigned word_index(uint64_t off)
{
    if (off >= GICD_IGROUPR && off < GICD_IPRIORITYR) {
        return (off & 0x7f) / 4;
    }
    if (off >= GICD_IPRIORITYR && off < GICD_ICFGR) {
        return (off & 0x3ff) / 32;
    }
    if (off >= GICD_ICFGR && off < GICD_PPISR) {
        return (off & 0xff) / 8;
    }
    return UINT32_MAX;
}

static uint32_t read_other(struct gic *g, unsigned cpu, uint64_t off)
{
    if (off >= GICD_PPISR && off < GICD_PPISR + 4 * (g->nirqs / 32)) {
        unsigned n = (unsigned)(off - GICD_PPISR) / 4;
        return n == 0 ? g->cpu[cpu].priv.line >> 16 : g->spi[n - 1].line;
    }
    if ((off >= GICD_CPENDSGIR && off < GICD_CPENDSGIR + 16) ||
        (off >= GICD_SPENDSGIR && off < GICD_SPENDSGIR + 16)) {
        return read_bytes(g->cpu[cpu].sgi_source + (off & 0xf));
    }
    if (off >= GICD_PIDR4 && off < 0x1000) {
        return id_register[(off - GICD_PIDR4) / 4];
    }
    switch (off) {
    case GICD_CTLR: return atomic_load_explicit(&g->ctlr, memory_order_relaxed);
    case GICD_TYPER: return (g->nirqs / 32 - 1) | (g->ncpus - 1) << 5;
    case GICD_IIDR: return 0x0000043b;
    default: return 0;
    }
}

static uint64_t dist_read(void *dev, struct vcpu *v, uint64_t off, unsigned size)
{
    struct gic *g = dev;
    unsigned cpu = gic_cpu_index(g, v), lane = 8 * (unsigned)(off & 3);
    uint64_t reg = off & ~3ull;
    unsigned n = word_index(reg);
    uint32_t r;

    (void)size; /* the bus masks the value to the access */
    pthread_mutex_lock(&g->lock);
    pthread_mutex_lock(&g->cpu[cpu].lock);
    if (n == UINT32_MAX) {
        r = read_other(g, cpu, reg);
    } else {
        const struct gic_word *w = word_of(g, cpu, n);
        r = w == NULL ? 0 : word_read(g, cpu, reg, w, n == 0);
    }
    pthread_mutex_unlock(&g->cpu[cpu].lock);
    pthread_mutex_unlock(&g->lock);
    return r >> lane;
}

static void write_sgir(struct gic *g, unsigned cpu, uint32_t value)
{
    uint32_t all = (1u << g->ncpus) - 1, targets = value >> 16 & 0xff;

    switch (value >> 24 & 3) {
    case 0: break;
    case 1: targets = all & ~(1u << cpu); break;
    case 2: targets = 1u << cpu; break;
    default: targets = 0; break; /* reserved */
    }
    for (targets &= all; targets != 0; targets &= targets - 1) {
        if (!INJECT(LOSE_IPI))
            gic_sgi_set(g, (unsigned)__builtin_ctz(targets), value & 0xf, 1u << cpu);
    }
}

/* CPENDSGIR / SPENDSGIR: a byte of source CPUs per SGI. */
static void write_sgi_pending(struct gic *g, unsigned cpu, uint64_t off, uint32_t value, bool set)
{
    struct gic_cpu *c = &g->cpu[cpu];

    pthread_mutex_lock(&c->lock);
    for (unsigned i = 0; i < 4; i++) {
        unsigned id = (unsigned)(off & 0xc) + i;
        uint32_t sources = value >> 8 * i & ((1u << g->ncpus) - 1);
        if (set) {
            c->sgi_source[id] |= (uint8_t)sources;
        } else {
            c->sgi_source[id] &= (uint8_t)~sources;
        }
        c->priv.latch &= ~(1u << id);
        c->priv.latch |= (uint32_t)(c->sgi_source[id] != 0) << id;
    }
    gic_cpu_update_locked(g, c);
    pthread_mutex_unlock(&c->lock);
}

static void write_other(struct gic *g, unsigned cpu, uint64_t off, uint32_t value)
{
    if (off == GICD_CTLR) {
        pthread_mutex_lock(&g->lock);
        atomic_store_explicit(&g->ctlr, value & 3, memory_order_relaxed);
        gic_update_all_locked(g);
        pthread_mutex_unlock(&g->lock);
    } else if (off == GICD_SGIR) {
        write_sgir(g, cpu, value);
    } else if (off >= GICD_CPENDSGIR && off < GICD_SPENDSGIR + 16) {
        write_sgi_pending(g, cpu, off, value, off >= GICD_SPENDSGIR);
    } else if (log_on(LOG_GUEST_ERROR)) {
        log_printf("gic-dist: write of 0x%x to read-only or reserved register 0x%x\n",
                   (unsigned)value, (unsigned)off);
    }
}

static void dist_write(void *dev, struct vcpu *v, uint64_t off, uint64_t value, unsigned size)
{
    struct gic *g = dev;
    unsigned cpu = gic_cpu_index(g, v), lane = 8 * (unsigned)(off & 3);
    uint64_t reg = off & ~3ull;
    uint32_t mask = (uint32_t)((((uint64_t)1 << 8 * size) - 1) << lane);
    uint32_t word = (uint32_t)(value << lane) & mask;
    unsigned n = word_index(reg);
    struct gic_word *w;

    if (n == UINT32_MAX) {
        write_other(g, cpu, reg, word);
    } else if (n == 0) {
        struct gic_cpu *c = &g->cpu[cpu];
        pthread_mutex_lock(&c->lock);
        word_write(g, reg, &c->priv, true, word, mask);
        gic_cpu_update_locked(g, c);
        pthread_mutex_unlock(&c->lock);
    } else if ((w = word_of(g, cpu, n)) != NULL) {
        pthread_mutex_lock(&g->lock);
        word_write(g, reg, w, false, word, mask);
        gic_spi_update_locked(g, UINT32_MAX);
        pthread_mutex_unlock(&g->lock);
    }
}

const struct bus_ops gic_dist_ops = {
    .read = dist_read, .write = dist_write, .min_size = 1, .max_size = 4};
