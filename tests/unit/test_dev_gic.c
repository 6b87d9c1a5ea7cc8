/* SPDX-License-Identifier: MIT */
/*
 * GICv2: states of level and edge interrupts, SGIs with their sources, banking, targets, enables,
 * groups.
 */
#include "gic_rig.h"

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
