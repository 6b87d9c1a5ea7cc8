/* SPDX-License-Identifier: MIT */
/*
 * The physical bus: immutable map of device regions published by RCU (I-9), and interrupt lines.
 * Device callbacks run on the accessing vCPU's thread and take the device's own lock. Every
 * guest-supplied offset, size and value is hostile: offsets are inside the region and sizes are
 * 1, 2, 4 or 8 by the time a device sees them, nothing more is promised.
 */
#pragma once

#include "base/types.h"

#include <stdio.h>

struct vcpu;
struct vm;

struct bus_ops {
    uint64_t (*read)(void *dev, struct vcpu *cpu, uint64_t off, unsigned size);
    void (*write)(void *dev, struct vcpu *cpu, uint64_t off, uint64_t value, unsigned size);
    unsigned min_size, max_size; /* the bus splits wider and rejects (guest error, reads 0) narrower
                                    accesses; 0 = 1..8 */
};

struct bus_region {
    const char *name;
    gpa_t base;
    uint64_t size;
    const struct bus_ops *ops;
    void *dev;
};

struct bus;
struct bus *bus_create(void);
void bus_destroy(struct bus *bus);
/* Adds a region; -EEXIST when it overlaps another. Before or while vCPUs run. */
int bus_add(struct bus *bus, const struct bus_region *r) MUST_CHECK;
/* Guest access to non-RAM. False: nothing there (external abort for the guest). Any vCPU
   thread; value for reads in *value. */
bool bus_read(struct bus *bus, struct vcpu *cpu, gpa_t gpa, unsigned size, uint64_t *value);
bool bus_write(struct bus *bus, struct vcpu *cpu, gpa_t gpa, unsigned size, uint64_t value);
/* Is any device at gpa? */
bool bus_has(struct bus *bus, gpa_t gpa);
/* The map, a line for each region, by address. A thread that is registered with RCU. */
void bus_dump(struct bus *bus, FILE *f);

/* An interrupt line: an input of an interrupt controller. Any thread. */
struct irq_line {
    void (*set)(void *ctrl, unsigned n, bool level);
    void *ctrl;
    unsigned n;
};
static inline void irq_set(const struct irq_line *l, bool level)
{
    if (l->set)
        l->set(l->ctrl, l->n, level);
}
static inline void irq_pulse(const struct irq_line *l)
{
    irq_set(l, true);
    irq_set(l, false);
}
