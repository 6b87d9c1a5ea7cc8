/* SPDX-License-Identifier: MIT */
/*
 * For tests of devices: a bus, stand-ins for vCPUs, and an interrupt line that remembers what
 * happened. One thread; the functions are static, so that a test links only the device it tests.
 */
#pragma once

#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/rcu.h"
#include "dev/bus.h"
#include "vcpu/vcpu.h"

struct test_line {
    bool level;
    unsigned raised; /* rising edges */
};

static inline void test_line_set(void *opaque, unsigned n, bool level)
{
    struct test_line *l = (struct test_line *)opaque + n;

    l->raised += level && !l->level;
    l->level = level;
}

static inline struct irq_line test_line_of(struct test_line *l)
{
    return (struct irq_line){.set = test_line_set, .ctrl = l, .n = 0};
}

static inline struct vcpu *test_vcpu(unsigned index)
{
    struct vcpu *v = aligned_alloc(CACHE_LINE, (sizeof *v + CACHE_LINE - 1) & ~(CACHE_LINE - 1ul));

    cr_assert_not_null(v);
    v->index = index;
    return v;
}

static inline struct bus *test_bus(void)
{
    rcu_thread_register();
    struct bus *bus = bus_create();
    cr_assert_not_null(bus);
    return bus;
}

static inline void test_bus_end(struct bus *bus)
{
    rcu_drain();
    bus_destroy(bus);
    rcu_thread_unregister();
}

static inline uint64_t test_read(struct bus *bus, struct vcpu *v, gpa_t gpa, unsigned size)
{
    uint64_t value = 0;

    cr_assert(bus_read(bus, v, gpa, size, &value), "nothing at 0x%llx", (unsigned long long)gpa);
    return value;
}

static inline void test_write(struct bus *bus, struct vcpu *v, gpa_t gpa, unsigned size,
                              uint64_t value)
{
    cr_assert(bus_write(bus, v, gpa, size, value), "nothing at 0x%llx", (unsigned long long)gpa);
}
