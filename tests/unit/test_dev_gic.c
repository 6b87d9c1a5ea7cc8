/* SPDX-License-Identifier: MIT */
/*
 * GICv2 through its registers: states of level and edge interrupts, SGIs with their sources,
 * priorities, masking and preemption, both EOI modes, groups, targets, banking, identification.
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

static void set_irq(struct vcpu *v, uint32_t line, bool level)
{
    cr_assert_neq((lines[v->index] & line) != 0, level, "only changes are reported");
    lines[v->index] = level ? lines[v->index] | line : lines[v->index] & ~line;
}

static uint32_t dr(unsigned c, unsigned off)
{
    return (uint32_t)test_read(bus, cpu[c], DIST + off, 4);
}

static void dw(unsigned c, unsigned off, uint32_t v)
{
    test_write(bus, cpu[c], DIST + off, 4, v);
}

static uint32_t cread(unsigned c, unsigned off)
{
    return (uint32_t)test_read(bus, cpu[c], CPUIF + off, 4);
}

static void cw(unsigned c, unsigned off, uint32_t v)
{
    test_write(bus, cpu[c], CPUIF + off, 4, v);
}

static bool irq(unsigned c)
{
    return lines[c] & VCPU_IRQ_LINE;
}

static bool fiq(unsigned c)
{
    return lines[c] & VCPU_FIQ_LINE;
}

static void enable(unsigned c, unsigned id)
{
    dw(c, ISENABLER + id / 32 * 4, 1u << id % 32);
}

static void disable(unsigned c, unsigned id)
{
    dw(c, ICENABLER + id / 32 * 4, 1u << id % 32);
}

static void prio(unsigned c, unsigned id, uint8_t p)
{
    test_write(bus, cpu[c], DIST + IPRIORITYR + id, 1, p);
}

static void target(unsigned id, uint8_t cpus)
{
    test_write(bus, cpu[0], DIST + ITARGETSR + id, 1, cpus);
}

static void edge(unsigned c, unsigned id, bool on)
{
    unsigned off = ICFGR + id / 16 * 4;
    uint32_t bit = 2u << 2 * (id % 16);

    dw(c, off, on ? dr(c, off) | bit : dr(c, off) & ~bit);
}

static bool bit(unsigned c, unsigned reg, unsigned id)
{
    return dr(c, reg + id / 32 * 4) >> id % 32 & 1;
}

static void group1(unsigned c, unsigned id)
{
    unsigned off = IGROUPR + id / 32 * 4;

    dw(c, off, dr(c, off) | 1u << id % 32);
}

static void spi(unsigned id, bool level)
{
    struct irq_line l = gic_spi(gic, id - 32);

    irq_set(&l, level);
}

static void ppi(unsigned c, unsigned id, bool level)
{
    struct irq_line l = gic_ppi(gic, c, id);

    irq_set(&l, level);
}

static void create(unsigned ncpus)
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

static void destroy(unsigned ncpus)
{
    gic_destroy(gic);
    test_bus_end(bus);
    for (unsigned i = 0; i < ncpus; i++) {
        free(cpu[i]);
    }
}

/* Everything on, as Linux leaves it. */
static void setup(void)
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

static void teardown(void)
{
    destroy(NCPUS);
}

TestSuite(gic, .init = setup, .fini = teardown);

Test(gic, level_spi_pends_again_until_the_line_falls)
{
    enable(0, 40);
    spi(40, true);
    cr_expect(irq(0));
    cr_expect(bit(0, ISPENDR, 40));
    cr_expect_eq(cread(0, C_IAR), 40);
    cr_expect_not(irq(0), "active: not signalled again");
    cr_expect(bit(0, ISACTIVER, 40));
    cr_expect(bit(0, ISPENDR, 40), "active and pending while the line is high");
    cw(0, C_EOIR, 40);
    cr_expect(irq(0), "pends again after the end of interrupt");
    cr_expect_eq(cread(0, C_IAR), 40);
    spi(40, false);
    cr_expect_not(bit(0, ISPENDR, 40));
    cw(0, C_EOIR, 40);
    cr_expect_not(irq(0));
    cr_expect_eq(cread(0, C_IAR), 1023);
}

Test(gic, level_spi_that_falls_before_ack_is_gone)
{
    enable(0, 40);
    spi(40, true);
    spi(40, false);
    cr_expect_not(irq(0));
    cr_expect_eq(cread(0, C_IAR), 1023);
}

Test(gic, edge_spi_stays_pending_and_counts_edges_while_active)
{
    enable(0, 41);
    edge(0, 41, true);
    spi(41, true);
    spi(41, false);
    cr_expect(irq(0), "latched");
    cr_expect_eq(cread(0, C_IAR), 41);
    cr_expect_not(bit(0, ISPENDR, 41));
    spi(41, true);
    cr_expect(bit(0, ISPENDR, 41), "a new edge while active");
    cr_expect_not(irq(0));
    cw(0, C_EOIR, 41);
    cr_expect(irq(0));
    cr_expect_eq(cread(0, C_IAR), 41);
    cw(0, C_EOIR, 41);
    cr_expect_not(irq(0), "a line that stays high is no new edge");
}

Test(gic, software_pending_of_a_level_interrupt)
{
    enable(0, 42);
    dw(0, ISPENDR + 4, 1u << 10);
    cr_expect(irq(0));
    spi(42, true);
    dw(0, ICPENDR + 4, 1u << 10);
    cr_expect(irq(0), "the line still holds it");
    spi(42, false);
    cr_expect_not(irq(0));
    dw(0, ISPENDR + 4, 1u << 10);
    cr_expect_eq(cread(0, C_IAR), 42);
    cr_expect_not(bit(0, ISPENDR, 42), "acknowledging takes the software request");
    cw(0, C_EOIR, 42);
    cr_expect_not(irq(0));
}

Test(gic, disabled_interrupts_pend_silently)
{
    edge(0, 43, true);
    spi(43, true);
    cr_expect(bit(0, ISPENDR, 43));
    cr_expect_not(irq(0));
    enable(0, 43);
    cr_expect(irq(0));
    disable(0, 43);
    cr_expect_not(irq(0));
    cr_expect(bit(0, ISPENDR, 43));
    cr_expect_not(bit(0, ISENABLER, 43));
}

Test(gic, sgi_carries_its_source)
{
    dw(2, SGIR, 2u << 16 | 5);
    dw(3, SGIR, 2u << 16 | 5);
    cr_expect(irq(1));
    cr_expect_not(irq(0));
    cr_expect_eq(dr(1, SPENDSGIR + 4), 0x0c00, "two sources of SGI 5");
    cr_expect_eq(dr(0, SPENDSGIR + 4), 0, "banked");
    cr_expect_eq(cread(1, C_HPPIR), (2u << 10 | 5));
    cr_expect_eq(cread(1, C_IAR), (2u << 10 | 5), "lowest source first");
    cr_expect_not(irq(1), "the second waits for the end of the first");
    cw(1, C_EOIR, 2u << 10 | 5);
    cr_expect(irq(1));
    cr_expect_eq(cread(1, C_IAR), (3u << 10 | 5));
    cw(1, C_EOIR, 3u << 10 | 5);
    cr_expect_not(irq(1));
    cr_expect_eq(cread(1, C_IAR), 1023);
}

Test(gic, sgi_target_filters)
{
    dw(1, SGIR, 1u << 24 | 3);
    cr_expect(irq(0) && !irq(1) && irq(2) && irq(3), "all but the sender");
    dw(1, SGIR, 2u << 24 | 0xffu << 16 | 4);
    cr_expect(irq(1));
    cr_expect_eq(cread(1, C_IAR), (1u << 10 | 4), "the sender only");
    dw(1, SGIR, 3u << 24 | 0xffu << 16 | 6);
    for (unsigned c = 0; c < NCPUS; c++) {
        cr_expect_not(bit(c, ISPENDR, 6), "reserved filter");
    }
    dw(0, SGIR, 0xffu << 16 | 7);
    for (unsigned c = 0; c < NCPUS; c++) {
        cr_expect(bit(c, ISPENDR, 7), "CPUs that do not exist are no targets");
    }
}

Test(gic, sgi_same_source_twice_is_one)
{
    dw(1, SGIR, 1u << 16 | 2);
    dw(1, SGIR, 1u << 16 | 2);
    cr_expect_eq(cread(0, C_IAR), (1u << 10 | 2));
    cw(0, C_EOIR, 1u << 10 | 2);
    cr_expect_eq(cread(0, C_IAR), 1023);
}

Test(gic, sgi_pending_registers)
{
    dw(0, SPENDSGIR + 8, 0x05000000); /* SGI 11 from CPUs 0 and 2 */
    cr_expect(irq(0));
    cr_expect_eq(dr(0, CPENDSGIR + 8), 0x05000000);
    dw(0, CPENDSGIR + 8, 0x01000000);
    cr_expect_eq(cread(0, C_IAR), (2u << 10 | 11));
    cw(0, C_EOIR, 2u << 10 | 11);
    test_write(bus, cpu[0], DIST + SPENDSGIR + 1, 1, 2); /* a byte access: SGI 1 from CPU 1 */
    cr_expect_eq(cread(0, C_IAR), (1u << 10 | 1));
    dw(0, ISPENDR, 0xffff);
    dw(0, ICPENDR, 0xffff);
    cr_expect_eq(dr(0, ISPENDR) & 0xffff, 0, "not through the ordinary registers");
    dw(0, ICENABLER, 0xffff);
    cr_expect_eq(dr(0, ISENABLER) & 0xffff, 0xffff, "always enabled");
}

Test(gic, ppis_are_banked)
{
    enable(1, 27);
    ppi(0, 27, true);
    ppi(1, 27, true);
    cr_expect_not(irq(0), "enabled on CPU 1 only");
    cr_expect(irq(1));
    cr_expect_eq(cread(1, C_IAR), 27);
    cr_expect(bit(1, ISACTIVER, 27));
    cr_expect_not(bit(0, ISACTIVER, 27));
    ppi(1, 27, false);
    cw(1, C_EOIR, 27);
    cr_expect_not(irq(1));
    cr_expect(bit(0, ISPENDR, 27));
    cr_expect_eq(dr(0, 0xd00) >> 11 & 1, 1, "PPISR shows the input");
    cr_expect_eq(dr(1, 0xd00) >> 11 & 1, 0);
}

Test(gic, best_priority_wins_then_lowest_number)
{
    unsigned id[] = {50, 60, 33, 30};

    for (unsigned i = 0; i < ARRAY_SIZE(id); i++) {
        enable(0, id[i]);
    }
    prio(0, 50, 0x80);
    prio(0, 60, 0x40);
    prio(0, 33, 0x80);
    prio(0, 30, 0x80);
    spi(50, true);
    spi(60, true);
    spi(33, true);
    ppi(0, 30, true);
    cr_expect_eq(cread(0, C_IAR), 60);
    spi(60, false);
    cw(0, C_EOIR, 60);
    cr_expect_eq(cread(0, C_IAR), 30, "a private one among equals");
    ppi(0, 30, false);
    cw(0, C_EOIR, 30);
    cr_expect_eq(cread(0, C_IAR), 33);
    spi(33, false);
    cw(0, C_EOIR, 33);
    cr_expect_eq(cread(0, C_IAR), 50);
}

Test(gic, priority_mask)
{
    enable(0, 40);
    prio(0, 40, 0x50);
    spi(40, true);
    cr_expect(irq(0));
    cw(0, C_PMR, 0x50);
    cr_expect_not(irq(0), "equal to the mask is masked");
    cr_expect_eq(cread(0, C_IAR), 1023);
    cr_expect_eq(cread(0, C_HPPIR), 40, "but it is the highest pending one");
    cw(0, C_PMR, 0x58);
    cr_expect(irq(0));
    cw(0, C_PMR, 0xff);
    cr_expect_eq(cread(0, C_PMR), 0xf8, "five bits");
    prio(0, 40, 0xff);
    cr_expect_eq(dr(0, IPRIORITYR + 40), 0xa0a0a0f8);
    cr_expect_not(irq(0), "the lowest priority is never signalled");
}

Test(gic, preemption_and_running_priority)
{
    enable(0, 40);
    enable(0, 41);
    enable(0, 42);
    prio(0, 40, 0xa0);
    prio(0, 41, 0x40);
    prio(0, 42, 0xa0);
    cr_expect_eq(cread(0, C_RPR), 0xff);
    spi(40, true);
    cr_expect_eq(cread(0, C_IAR), 40);
    cr_expect_eq(cread(0, C_RPR), 0xa0);
    spi(42, true);
    cr_expect_not(irq(0), "an equal one does not preempt");
    cr_expect_eq(cread(0, C_IAR), 1023);
    spi(41, true);
    cr_expect(irq(0), "a higher one does");
    cr_expect_eq(cread(0, C_IAR), 41);
    cr_expect_eq(cread(0, C_RPR), 0x40);
    cr_expect_eq(cread(0, C_APR0), (1u << (0x40 >> 3) | 1u << (0xa0 >> 3)));
    spi(41, false);
    cw(0, C_EOIR, 41);
    cr_expect_eq(cread(0, C_RPR), 0xa0);
    cr_expect_not(irq(0));
    spi(40, false);
    cw(0, C_EOIR, 40);
    cr_expect_eq(cread(0, C_RPR), 0xff);
    cr_expect(irq(0), "now the equal one");
}

Test(gic, binary_point_limits_preemption)
{
    enable(0, 40);
    enable(0, 41);
    prio(0, 40, 0x58);
    prio(0, 41, 0x48);
    cw(0, C_BPR, 5); /* group priority: bits 7:6 */
    cr_expect_eq(cread(0, C_BPR), 5);
    spi(40, true);
    cr_expect_eq(cread(0, C_IAR), 40);
    cr_expect_eq(cread(0, C_RPR), 0x40);
    spi(41, true);
    cr_expect_not(irq(0), "the same group priority");
    cw(0, C_EOIR, 40);
    cr_expect_eq(cread(0, C_IAR), 41, "the full priority still decides the order");
    cw(0, C_EOIR, 41);
    cw(0, C_BPR, 0);
    cr_expect_eq(cread(0, C_BPR), 2, "the least with five bits");
    cw(0, C_ABPR, 0);
    cr_expect_eq(cread(0, C_ABPR), 3);
}

Test(gic, binary_point_seven_never_preempts)
{
    enable(0, 40);
    enable(0, 41);
    prio(0, 41, 0x00);
    cw(0, C_BPR, 7);
    spi(40, true);
    cr_expect(irq(0), "the idle priority is lower than any");
    cr_expect_eq(cread(0, C_IAR), 40);
    spi(41, true);
    cr_expect_not(irq(0));
}

Test(gic, split_end_of_interrupt)
{
    enable(0, 40);
    enable(0, 41);
    cw(0, C_CTLR, 1 | 1u << 9);
    spi(40, true);
    cr_expect_eq(cread(0, C_IAR), 40);
    cw(0, C_EOIR, 40);
    cr_expect_eq(cread(0, C_RPR), 0xff, "priority dropped");
    cr_expect(bit(0, ISACTIVER, 40), "still active");
    cr_expect_not(irq(0), "so not signalled again");
    spi(41, true);
    cr_expect(irq(0), "another of the same priority is");
    cr_expect_eq(cread(0, C_IAR), 41);
    cw(0, C_EOIR, 41);
    spi(41, false);
    cw(0, C_DIR, 41);
    cw(0, C_DIR, 40);
    cr_expect_not(bit(0, ISACTIVER, 40));
    cr_expect(irq(0), "the level pends again");
    dw(1, SGIR, 1u << 16 | 2);
    cr_expect_eq(cread(0, C_IAR), (1u << 10 | 2));
    cw(0, C_EOIR, 1u << 10 | 2);
    cr_expect(bit(0, ISACTIVER, 2));
    cw(0, C_DIR, 1u << 10 | 2);
    cr_expect_not(bit(0, ISACTIVER, 2));
}

Test(gic, dir_without_split_mode_does_nothing)
{
    enable(0, 40);
    spi(40, true);
    cr_expect_eq(cread(0, C_IAR), 40);
    cw(0, C_DIR, 40);
    cr_expect(bit(0, ISACTIVER, 40));
}

Test(gic, dir_from_another_cpu)
{
    enable(0, 40);
    for (unsigned c = 0; c < 2; c++) {
        cw(c, C_CTLR, 1 | 1u << 9);
    }
    spi(40, true);
    cr_expect_eq(cread(0, C_IAR), 40);
    cw(0, C_EOIR, 40);
    cw(1, C_DIR, 40);
    cr_expect_not(bit(0, ISACTIVER, 40));
    cr_expect(irq(0));
}

Test(gic, end_of_spurious_and_foreign_numbers)
{
    enable(0, 40);
    spi(40, true);
    cr_expect_eq(cread(0, C_IAR), 40);
    cw(0, C_EOIR, 1023);
    cw(0, C_EOIR, 1022);
    cw(0, C_EOIR, 1020);
    cw(0, C_EOIR, 288);
    cr_expect_eq(cread(0, C_RPR), 0xa0, "no effect");
    cr_expect(bit(0, ISACTIVER, 40));
    cw(0, C_EOIR, 40);
    cw(0, C_EOIR, 40);
    cr_expect_eq(cread(0, C_RPR), 0xff, "one too many does not underflow");
}

Test(gic, targets_and_first_acknowledge)
{
    enable(0, 40);
    target(40, 0x6);
    spi(40, true);
    cr_expect(!irq(0) && irq(1) && irq(2) && !irq(3));
    cr_expect_eq(cread(2, C_IAR), 40);
    cr_expect_not(irq(1), "taken by the other");
    cr_expect_eq(cread(1, C_IAR), 1023);
    cw(2, C_EOIR, 40);
    cr_expect(irq(1) && irq(2));
    target(40, 0x8);
    cr_expect(!irq(1) && !irq(2) && irq(3), "moved while pending");
    target(40, 0xff);
    cr_expect_eq(dr(0, ITARGETSR + 40) & 0xff, 0xf, "only CPUs that exist");
    target(40, 0);
    cr_expect(!irq(0) && !irq(3), "no target");
    target(16, 0xf);
    cr_expect_eq(dr(2, ITARGETSR + 16), 0x04040404, "private: read-only, this CPU");
}

Test(gic, enables_of_distributor_and_interface)
{
    enable(0, 40);
    spi(40, true);
    cr_expect(irq(0));
    dw(0, CTLR, 0);
    cr_expect_not(irq(0));
    cr_expect_eq(cread(0, C_IAR), 1023);
    dw(0, CTLR, 1);
    cr_expect(irq(0));
    cw(0, C_CTLR, 0);
    cr_expect_not(irq(0));
    cr_expect_eq(cread(0, C_IAR), 1023);
    cr_expect_eq(cread(0, C_HPPIR), 1023);
    cw(0, C_CTLR, 1);
    cr_expect(irq(0));
}

Test(gic, active_bits_by_hand)
{
    enable(0, 40);
    dw(0, ISACTIVER + 4, 1u << 8);
    spi(40, true);
    cr_expect_not(irq(0), "an active one is not signalled");
    dw(0, ICACTIVER + 4, 1u << 8);
    cr_expect(irq(0));
}

Test(gic, groups_and_fiq)
{
    dw(0, CTLR, 3);
    cw(0, C_CTLR, 3 | 1u << 3); /* both groups, group 0 as FIQ */
    enable(0, 40);
    enable(0, 41);
    group1(0, 41);
    spi(40, true);
    cr_expect(fiq(0) && !irq(0));
    cr_expect_eq(cread(0, C_IAR), 40);
    spi(40, false);
    cw(0, C_EOIR, 40);
    spi(41, true);
    cr_expect(irq(0) && !fiq(0));
    cr_expect_eq(cread(0, C_IAR), 1022, "group 1 without AckCtl");
    cr_expect_eq(cread(0, C_HPPIR), 1022);
    cr_expect_eq(cread(0, C_AHPPIR), 41);
    cr_expect_eq(cread(0, C_AIAR), 41);
    cr_expect_eq(cread(0, C_NSAPR0), 1u << (0xa0 >> 3));
    cr_expect_eq(cread(0, C_APR0), 0);
    spi(41, false);
    cw(0, C_AEOIR, 41);
    cr_expect_eq(cread(0, C_RPR), 0xff);
    spi(40, true);
    cr_expect_eq(cread(0, C_AIAR), 1023, "the alias does not show group 0");
    spi(40, false);
    cw(0, C_CTLR, 3 | 1u << 2);
    spi(41, true);
    cr_expect_eq(cread(0, C_IAR), 41, "AckCtl");
    cw(0, C_EOIR, 41);
    dw(0, CTLR, 1);
    cr_expect_not(irq(0), "group 1 not forwarded");
    cw(0, C_CTLR, 2);
    dw(0, CTLR, 3);
    spi(40, true);
    cr_expect(irq(0), "a disabled group does not hide the other");
    cr_expect_eq(cread(0, C_AIAR), 41);
}

Test(gic, common_binary_point)
{
    dw(0, CTLR, 3);
    enable(0, 40);
    enable(0, 41);
    group1(0, 40);
    group1(0, 41);
    prio(0, 40, 0x58);
    prio(0, 41, 0x48);
    cw(0, C_BPR, 5);
    cw(0, C_ABPR, 3);
    cw(0, C_CTLR, 3);
    spi(40, true);
    cr_expect_eq(cread(0, C_AIAR), 40);
    spi(41, true);
    cr_expect(irq(0), "group 1 uses its own binary point");
    spi(41, false);
    cw(0, C_AEOIR, 40);
    cw(0, C_CTLR, 3 | 1u << 4);
    cr_expect_eq(cread(0, C_AIAR), 40);
    spi(41, true);
    cr_expect_not(irq(0), "with CBPR that of group 0");
}

Test(gic, message_frame)
{
    cr_expect_eq(test_read(bus, NULL, V2M + 8, 4), 80u << 16 | 64);
    edge(0, 100, true);
    enable(0, 100);
    test_write(bus, NULL, V2M + 0x40, 4, 79);
    test_write(bus, NULL, V2M + 0x40, 4, 144);
    test_write(bus, NULL, V2M + 0x40, 4, 0xffffffff);
    cr_expect_not(irq(0), "outside the frame's range");
    test_write(bus, NULL, V2M + 0x40, 4, 100);
    cr_expect(irq(0));
    cr_expect_eq(cread(0, C_IAR), 100);
}

Test(gic, identification)
{
    cr_expect_eq(dr(0, TYPER), (8u | (NCPUS - 1) << 5));
    cr_expect_eq(dr(0, 0xfe8) & 0xff, 0x2b);
    cr_expect_eq(dr(0, 0xfe8) >> 4 & 0xf, 2, "architecture version 2");
    cr_expect_eq(cread(0, C_IIDR), 0x0002043b);
    cr_expect_eq(dr(0, ICFGR), 0xaaaaaaaa);
    dw(0, ICFGR, 0);
    cr_expect_eq(dr(0, ICFGR), 0xaaaaaaaa, "SGIs are edge-triggered");
    cr_expect_eq(dr(0, ISENABLER + 4 * 9), 0, "past the last interrupt");
    dw(0, ISENABLER + 4 * 9, 0xffffffff);
    cr_expect_eq(dr(0, ISENABLER + 4 * 9), 0);
    cr_expect_eq(dr(0, ITARGETSR + 288), 0);
}

Test(gic, byte_and_halfword_registers)
{
    test_write(bus, cpu[0], DIST + IPRIORITYR + 64, 2, 0x1020);
    test_write(bus, cpu[0], DIST + IPRIORITYR + 67, 1, 0x30);
    cr_expect_eq(dr(0, IPRIORITYR + 64), 0x30a01020);
    cr_expect_eq(test_read(bus, cpu[0], DIST + IPRIORITYR + 65, 1), 0x10);
    test_write(bus, cpu[0], DIST + ISENABLER + 9, 1, 0x80); /* interrupt 79 */
    cr_expect(bit(0, ISENABLER, 79));
    cr_expect_eq(cread(0, C_PMR), 0xf0);
    test_write(bus, cpu[0], CPUIF + C_PMR, 1, 0);
    cr_expect_eq(cread(0, C_PMR), 0xf0, "the CPU interface takes words only");
}

Test(gic, changing_edge_to_level)
{
    enable(0, 40);
    edge(0, 40, true);
    spi(40, true);
    cr_expect_eq(cread(0, C_IAR), 40);
    cw(0, C_EOIR, 40);
    cr_expect_not(irq(0));
    edge(0, 40, false);
    cr_expect(irq(0), "the line is high");
}

Test(gic, reset_forgets_everything_but_the_lines)
{
    enable(0, 40);
    spi(40, true);
    dw(1, SGIR, 1u << 16 | 2);
    cr_expect_eq(cread(0, C_IAR), (1u << 10 | 2));
    gic_reset(gic);
    cr_expect_not(irq(0));
    cr_expect_eq(dr(0, CTLR), 0);
    cr_expect_eq(cread(0, C_RPR), 0xff);
    cr_expect_eq(dr(0, ISACTIVER), 0);
    cr_expect_not(bit(0, ISENABLER, 40));
    cr_expect(bit(0, ISPENDR, 40), "the input still drives it");
}

TestSuite(gic_up);

Test(gic_up, uniprocessor_has_no_targets)
{
    create(1);
    dw(0, CTLR, 1);
    cw(0, C_CTLR, 1);
    cw(0, C_PMR, 0xf0);
    enable(0, 40);
    cr_expect_eq(dr(0, TYPER) >> 5 & 7, 0);
    target(40, 0);
    cr_expect_eq(dr(0, ITARGETSR + 40), 0);
    cr_expect_eq(dr(0, ITARGETSR), 0);
    spi(40, true);
    cr_expect(irq(0));
    destroy(1);
}

Test(gic_up, eight_cpus)
{
    create(8);
    dw(0, CTLR, 1);
    for (unsigned c = 0; c < 8; c++) {
        cw(c, C_CTLR, 1);
        cw(c, C_PMR, 0xf0);
    }
    dw(0, SGIR, 1u << 24 | 1);
    for (unsigned c = 1; c < 8; c++) {
        cr_expect_eq(cread(c, C_IAR), 1);
        cw(c, C_EOIR, 1);
        dw(c, SGIR, 1u << 16 | 9);
    }
    cr_expect_eq(dr(0, SPENDSGIR + 8), 0xfe00);
    for (unsigned c = 1; c < 8; c++) {
        cr_expect_eq(cread(0, C_IAR), (c << 10 | 9));
        cw(0, C_EOIR, c << 10 | 9);
    }
    cr_expect_eq(cread(0, C_IAR), 1023);
    target(287, 0x80);
    enable(0, 287);
    spi(287, true);
    cr_expect(irq(7));
    cr_expect_eq(cread(7, C_IAR), 287);
    destroy(8);
}

Test(gic_up, refuses_bad_sizes)
{
    struct gic_config c = {.ncpus = 9, .nspis = 256, .vcpu = cpu, .set_irq = set_irq};

    cr_expect_lt(gic_create(&c, &gic), 0);
    c.ncpus = 0;
    cr_expect_lt(gic_create(&c, &gic), 0);
    c = (struct gic_config){.ncpus = 1, .nspis = 33, .vcpu = cpu, .set_irq = set_irq};
    cr_expect_lt(gic_create(&c, &gic), 0);
    c.nspis = 288;
    cr_expect_lt(gic_create(&c, &gic), 0);
}
