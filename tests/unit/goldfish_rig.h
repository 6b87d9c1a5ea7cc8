/* SPDX-License-Identifier: MIT */
/*
 * For tests of goldfish devices: guest RAM, a bus, the I/O thread, the display, and the registers of
 * one device. Static; included by exactly one file of a program.
 */
#pragma once

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "dev_test.h"

#include "dev/goldfish.h"
#include "io/io.h"
#include "vm.h"

#define RIG_DEVICE 0x09010000u
#define RIG_RAM    0x40000000u
#define RIG_BYTES  (1u << 20)

static struct vm vm;
static struct {
    _Atomic bool level;
    _Atomic unsigned raised;
} rig_line;

/* The translator's hook: the range is RAM. */
void mmu_dma_written(struct vm *v, gpa_t gpa, uint64_t len)
{
    cr_assert_not_null(ram_ptr(&v->ram, gpa, len));
}

static void rig_line_set(void *ctrl, unsigned n, bool level)
{
    (void)ctrl;
    (void)n;
    if (!atomic_exchange(&rig_line.level, level) && level) {
        atomic_fetch_add(&rig_line.raised, 1);
    }
}

static inline struct irq_line rig_irq(void)
{
    return (struct irq_line){.set = rig_line_set};
}

static inline bool rig_level(void)
{
    return atomic_load(&rig_line.level);
}

/* The line is up, at once or soon. */
static inline bool rig_wait_line(void)
{
    for (unsigned i = 0; i < 5000 && !rig_level(); i++) {
        usleep(1000);
    }
    return rig_level();
}

static inline void rig_setup(void)
{
    vm.bus = test_bus();
    cr_assert_eq(ram_create(&vm.ram, RIG_RAM, RIG_BYTES), 0);
    cr_assert_eq(io_loop_create(&vm.io), 0);
    cr_assert_eq(display_create(vm.io, &vm.display), 0);
    cr_assert_eq(io_loop_start(vm.io), 0);
}

/* Before the device is destroyed, and after. */
static inline void rig_stop(void)
{
    io_loop_stop(vm.io);
    display_destroy(vm.display);
}

static inline void rig_end(void)
{
    io_loop_destroy(vm.io);
    test_bus_end(vm.bus);
    ram_destroy(&vm.ram);
}

static inline void *rig_ram(gpa_t gpa)
{
    void *p = ram_ptr(&vm.ram, gpa, 1);

    cr_assert_not_null(p);
    return p;
}

static inline uint32_t rd(unsigned off)
{
    return (uint32_t)test_read(vm.bus, NULL, RIG_DEVICE + off, 4);
}

static inline void wr(unsigned off, uint32_t v)
{
    test_write(vm.bus, NULL, RIG_DEVICE + off, 4, v);
}

/* Every register with every kind of nonsense: nothing is checked but that we live. */
static inline void rig_abuse(unsigned size)
{
    static const uint32_t value[] = {0, 1, 3, 4096, 0x3fffffff, RIG_RAM, RIG_RAM + RIG_BYTES - 4,
                                     0x7fffffff, 0x80000000, 0xffffffff};

    for (unsigned round = 0; round < ARRAY_SIZE(value); round++) {
        for (unsigned off = 0; off < size; off += 4) {
            wr(off, value[(off / 4 + round) % ARRAY_SIZE(value)]);
            (void)rd(off);
            (void)test_read(vm.bus, NULL, RIG_DEVICE + off + 1, 1);
        }
    }
}
