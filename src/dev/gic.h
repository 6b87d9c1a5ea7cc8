/* SPDX-License-Identifier: MIT */
/*
 * Arm Generic Interrupt Controller v2 without the Security Extensions, as GIC-400 and the
 * Cortex-A15's own show it: 16 SGIs, 16 PPIs per CPU, up to 256 SPIs, 32 priority levels, two
 * groups, and the v2m frame that turns writes into SPIs. IHI 0048B.
 */
#pragma once

#include "dev/bus.h"

#include <stdio.h>

struct dt;
struct vcpu;
struct gic;

#define GIC_MAX_CPUS 8
#define GIC_MAX_SPIS 256

struct gic_config {
    unsigned ncpus;            /* 1..GIC_MAX_CPUS */
    unsigned nspis;            /* multiple of 32, at most GIC_MAX_SPIS */
    struct vcpu *const *vcpu;  /* [ncpus], copied */
    /* Drives the IRQ and FIQ inputs of a CPU (VCPU_IRQ_LINE, VCPU_FIQ_LINE); called under that
       CPU's lock. */
    void (*set_irq)(struct vcpu *v, uint32_t line, bool level);
};

int gic_create(const struct gic_config *c, struct gic **out) MUST_CHECK; /* -errno */
void gic_destroy(struct gic *g);
void gic_reset(struct gic *g); /* vCPUs stopped; input lines keep their level */
int gic_attach(struct gic *g, struct bus *bus, gpa_t dist, gpa_t cpu) MUST_CHECK;
/* MSI frame at base that covers SPIs [first, first + count). */
int gic_v2m_attach(struct gic *g, struct bus *bus, gpa_t base, unsigned first, unsigned count)
    MUST_CHECK;
/* A message-signalled interrupt from a device; false: `address` is not the frame's register. Any
   thread. */
bool gic_v2m_message(struct gic *g, uint64_t address, uint32_t data);
void gic_fdt(struct dt *d, gpa_t dist, gpa_t cpu, gpa_t v2m);

/* State of the interrupts that are enabled, pending or active, and of the CPU interfaces. Any
   thread. */
void gic_dump(struct gic *g, FILE *f);

/* Inputs: shared peripheral interrupt n (interrupt ID 32 + n), or ID 16..31 of one CPU. */
struct irq_line gic_spi(struct gic *g, unsigned n);
struct irq_line gic_ppi(struct gic *g, unsigned cpu, unsigned id);
