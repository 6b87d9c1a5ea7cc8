/* SPDX-License-Identifier: MIT */
/*
 * State of the interrupt controller, shared by the gic_*.c files.
 *
 * Locks, taken in this order: gic.lock (the distributor: everything about SPIs, GICD_CTLR), then
 * one gic_cpu.lock (that CPU's SGIs and PPIs, its CPU interface, its outputs). Acknowledging and
 * ending SGIs and PPIs needs the CPU's own lock only, so CPUs do not meet there (I-9); an SPI
 * needs both.
 */
#pragma once

#include "dev/gic.h"
#include <pthread.h>
#include <stdatomic.h>

#define GIC_SPURIOUS 1023u
#define GIC_WRONG_GROUP 1022u
#define GIC_SPI_WORDS (GIC_MAX_SPIS / 32)
#define GIC_PRIO_MASK 0xf8u /* five priority bits are implemented */
#define GIC_IDLE_PRIO 0xffu

#define GICC_ACKCTL (1u << 2)
#define GICC_FIQEN (1u << 3)
#define GICC_CBPR (1u << 4)
#define GICC_EOIMODE (1u << 9)
#define GICC_CTLR_MASK 0x3ffu

/* 32 interrupts: bit or index n is interrupt ID 32 * word + n. */
struct gic_word {
    uint32_t enabled, group1, edge;
    uint32_t latch;  /* pending by an edge, a software write or an SGI */
    uint32_t line;   /* level of the input */
    uint32_t active;
    uint8_t prio[32];
    uint8_t target[32];                /* SPIs only */
    uint32_t targets[GIC_MAX_CPUS];    /* the same by CPU: bit n = interrupt n goes there */
};

struct gic_best {
    uint16_t id; /* GIC_SPURIOUS: none */
    uint8_t prio;
    uint8_t group;
};

struct gic_cpu {
    _Alignas(CACHE_LINE) pthread_mutex_t lock;
    struct gic_word priv;
    uint8_t sgi_source[16];  /* per SGI: CPUs whose request is pending */
    uint32_t ctlr, pmr, bpr, abpr;
    uint32_t apr[2];         /* active priorities of group 0 and 1, bit = priority >> 3 */
    struct gic_best spi[2];  /* best SPI of each group; written with both locks held */
    bool irq, fiq;           /* outputs */
    struct vcpu *vcpu;
};

struct gic {
    struct gic_cpu cpu[GIC_MAX_CPUS];
    _Alignas(CACHE_LINE) pthread_mutex_t lock;
    _Atomic uint32_t ctlr;   /* written under lock, read under either */
    struct gic_word spi[GIC_SPI_WORDS];
    unsigned ncpus, nirqs;
    void (*set_irq)(struct vcpu *v, uint32_t line, bool level);
    gpa_t v2m_base;
    unsigned v2m_first, v2m_count;
};

static inline uint32_t gic_word_pending(const struct gic_word *w)
{
    return w->latch | (w->line & ~w->edge);
}

/* Bits of a word whose group the distributor forwards. */
static inline uint32_t gic_word_forwarded(const struct gic *g, const struct gic_word *w)
{
    uint32_t ctlr = atomic_load_explicit(&g->ctlr, memory_order_relaxed);

    return ((ctlr & 1) ? ~w->group1 : 0) | ((ctlr & 2) ? w->group1 : 0);
}

unsigned gic_cpu_index(const struct gic *g, const struct vcpu *v);

/* ---- arbitration (gic_prio.c); `_locked`: the CPU's lock is held ---- */
/* The highest-priority pending interrupt of the enabled groups, whatever the priority mask says. */
struct gic_best gic_cpu_best_locked(const struct gic *g, const struct gic_cpu *c);
/* Would it be signalled: above the mask, and preempting what is active? */
bool gic_cpu_signals_locked(const struct gic_cpu *c, const struct gic_best *b);
uint32_t gic_running_priority_locked(const struct gic_cpu *c);
/* Group priority: the bits of a priority that matter for preemption. */
uint32_t gic_group_priority_locked(const struct gic_cpu *c, uint32_t prio, unsigned group);
/* Drive the CPU's outputs after any change. */
void gic_cpu_update_locked(struct gic *g, struct gic_cpu *c);
/* Recompute the best SPIs of the CPUs in `cpus` and their outputs; gic.lock held, no CPU lock. */
void gic_spi_update_locked(struct gic *g, uint32_t cpus);
void gic_update_all_locked(struct gic *g); /* gic.lock held, no CPU lock */

/* ---- SGIs (gic.c) ---- */
void gic_sgi_set(struct gic *g, unsigned cpu, unsigned id, uint32_t sources);

extern const struct bus_ops gic_dist_ops, gic_cpu_ops, gic_v2m_ops;
