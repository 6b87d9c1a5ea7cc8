/* SPDX-License-Identifier: MIT */
/*
 * GICv2: priorities, masking and preemption, both ways of ending an interrupt.
 */
#include "gic_rig.h"

TestSuite(gic, .init = setup, .fini = teardown);

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
