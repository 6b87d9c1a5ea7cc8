/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the tests of the GIC share: one with 4 CPUs, its registers, and the lines that it has set.
 */
#include "dev_test.h"

#include "dev/gic.h"

#define DIST 0x08000000u
#define CPUIF 0x08010000u
#define V2M 0x08020000u
#define NCPUS 4u

enum {
    CTLR = 0, TYPER = 4, IGROUPR = 0x80, ISENABLER = 0x100, ICENABLER = 0x180, ISPENDR = 0x200,
    ICPENDR = 0x280, ISACTIVER = 0x300, ICACTIVER = 0x380, IPRIORITYR = 0x400, ITARGETSR = 0x800,
    ICFGR = 0xc00, SGIR = 0xf00, CPENDSGIR = 0xf10, SPENDSGIR = 0xf20,
};
enum {
    C_CTLR = 0, C_PMR = 4, C_BPR = 8, C_IAR = 0xc, C_EOIR = 0x10, C_RPR = 0x14, C_HPPIR = 0x18,
    C_ABPR = 0x1c, C_AIAR = 0x20, C_AEOIR = 0x24, C_AHPPIR = 0x28, C_APR0 = 0xd0, C_NSAPR0 = 0xe0,
    C_IIDR = 0xfc, C_DIR = 0x1000,
};

static struct bus *bus;
static struct gic *gic;
static struct vcpu *cpu[8];
static uint32_t lines[8];

static inline void set_irq(struct vcpu *v, uint32_t line, bool level)
{
    cr_assert_neq((lines[v->index] & line) != 0, level, "only changes are reported");
    lines[v->index] = level ? lines[v->index] | line : lines[v->index] & ~line;
}

static inline uint32_t dr(unsigned c, unsigned off)
{
    return (uint32_t)test_read(bus, cpu[c], DIST + off, 4);
}

static inline void dw(unsigned c, unsigned off, uint32_t v)
{
    test_write(bus, cpu[c], DIST + off, 4, v);
}

static inline uint32_t cread(unsigned c, unsigned off)
{
    return (uint32_t)test_read(bus, cpu[c], CPUIF + off, 4);
}

static inline void cw(unsigned c, unsigned off, uint32_t v)
{
    test_write(bus, cpu[c], CPUIF + off, 4, v);
}

static inline bool irq(unsigned c)
{
    return lines[c] & VCPU_IRQ_LINE;
}

static inline bool fiq(unsigned c)
{
    return lines[c] & VCPU_FIQ_LINE;
}

static inline void enable(unsigned c, unsigned id)
{
    dw(c, ISENABLER + id / 32 * 4, 1u << id % 32);
}

static inline void disable(unsigned c, unsigned id)
{
    dw(c, ICENABLER + id / 32 * 4, 1u << id % 32);
}

static inline void prio(unsigned c, unsigned id, uint8_t p)
{
    test_write(bus, cpu[c], DIST + IPRIORITYR + id, 1, p);
}

static inline void target(unsigned id, uint8_t cpus)
{
    test_write(bus, cpu[0], DIST + ITARGETSR + id, 1, cpus);
}

static inline void edge(unsigned c, unsigned id, bool on)
{
    unsigned off = ICFGR + id / 16 * 4;
    uint32_t bit = 2u << 2 * (id % 16);

    dw(c, off, on ? dr(c, off) | bit : dr(c, off) & ~bit);
}

static inline bool bit(unsigned c, unsigned reg, unsigned id)
{
    return dr(c, reg + id / 32 * 4) >> id % 32 & 1;
}

static inline void group1(unsigned c, unsigned id)
{
    unsigned off = IGROUPR + id / 32 * 4;

    dw(c, off, dr(c, off) | 1u << id % 32);
}

static inline void spi(unsigned id, bool level)
{
    struct irq_line l = gic_spi(gic, id - 32);

    irq_set(&l, level);
}

static inline void ppi(unsigned c, unsigned id, bool level)
{
    struct irq_line l = gic_ppi(gic, c, id);

    irq_set(&l, level);
}

static inline void create(unsigned ncpus)
{
    bus = test_bus();
    for (unsigned i = 0; i < ncpus; i++) {
        cpu[i] = test_vcpu(i);
        lines[i] = 0;
    }
    struct gic_config c = {.ncpus = ncpus, .nspis = 256, .vcpu = cpu, .set_irq = set_irq};
    cr_assert_eq(gic_create(&c, &gic), 0);
    cr_assert_eq(gic_attach(gic, bus, DIST, CPUIF), 0);
    cr_assert_eq(gic_v2m_attach(gic, bus, V2M, 48, 64), 0);
}

static inline void destroy(unsigned ncpus)
{
    gic_destroy(gic);
    test_bus_end(bus);
    for (unsigned i = 0; i < ncpus; i++) {
        free(cpu[i]);
    }
}

/* Everything on, as Linux leaves it. */
static inline void setup(void)
{
    create(NCPUS);
    dw(0, CTLR, 1);
    for (unsigned c = 0; c < NCPUS; c++) {
        cw(c, C_CTLR, 1);
        cw(c, C_PMR, 0xf0);
        for (unsigned id = 0; id < 32; id++) {
            prio(c, id, 0xa0);
        }
    }
    for (unsigned id = 32; id < 288; id++) {
        prio(0, id, 0xa0);
        target(id, 1);
    }
}

static inline void teardown(void)
{
    destroy(NCPUS);
}
