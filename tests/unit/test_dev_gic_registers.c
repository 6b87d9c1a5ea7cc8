/* SPDX-License-Identifier: MIT */
/*
 * GICv2: the message frame, identification, access sizes, reset, and other numbers of CPUs.
 */
#include "gic_rig.h"

TestSuite(gic, .init = setup, .fini = teardown);

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
