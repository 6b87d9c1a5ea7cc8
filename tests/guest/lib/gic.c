/* SPDX-License-Identifier: MIT */
/* GICv2 set-up and single-interrupt accessors; banked registers act on the calling CPU. */
#include "gic.h"

static void bit_write(uint32_t reg, unsigned irq)
{
    gicd_write(reg + irq / 32 * 4, 1u << irq % 32);
}

static bool bit_read(uint32_t reg, unsigned irq)
{
    return gicd_read(reg + irq / 32 * 4) >> irq % 32 & 1;
}

void gic_init_dist(void)
{
    unsigned lines = ((gicd_read(GICD_TYPER) & 31) + 1) * 32;
    gicd_write(GICD_CTLR, 0);
    for (unsigned i = 32; i < lines; i += 32) {
        gicd_write(GICD_ICENABLER + i / 8, ~0u);
        gicd_write(GICD_ICPENDR + i / 8, ~0u);
        gicd_write(GICD_ICACTIVER + i / 8, ~0u);
    }
    for (unsigned i = 32; i < lines; i += 4) {
        gicd_write(GICD_IPRIORITYR + i, 0xa0a0a0a0);
        gicd_write(GICD_ITARGETSR + i, 0x01010101);
    }
    gicd_write(GICD_CTLR, 1);
}

void gic_init_cpu(void)
{
    gicd_write(GICD_ICENABLER, 0xffff0000);
    gicd_write(GICD_ICPENDR, 0xffff0000);
    gicd_write(GICD_ICACTIVER, ~0u);
    gicd_write(GICD_ISENABLER, 0xffff);
    for (unsigned i = 0; i < 16; i += 4)
        gicd_write(GICD_CPENDSGIR + i, ~0u);
    for (unsigned i = 0; i < 32; i += 4)
        gicd_write(GICD_IPRIORITYR + i, 0xa0a0a0a0);
    gicc_write(GICC_PMR, 0xf0);
    gicc_write(GICC_BPR, 0);
    gicc_write(GICC_CTLR, 1);
}

void gic_enable(unsigned irq)
{
    bit_write(GICD_ISENABLER, irq);
}
void gic_disable(unsigned irq)
{
    bit_write(GICD_ICENABLER, irq);
}
void gic_set_pending(unsigned irq)
{
    bit_write(GICD_ISPENDR, irq);
}
void gic_clear_pending(unsigned irq)
{
    bit_write(GICD_ICPENDR, irq);
}
bool gic_is_pending(unsigned irq)
{
    return bit_read(GICD_ISPENDR, irq);
}
bool gic_is_active(unsigned irq)
{
    return bit_read(GICD_ISACTIVER, irq);
}

void gic_priority(unsigned irq, unsigned prio)
{
    *(volatile uint8_t *)(GICD + GICD_IPRIORITYR + irq) = (uint8_t)prio;
    dsb();
}

void gic_target(unsigned irq, unsigned cpu_mask)
{
    *(volatile uint8_t *)(GICD + GICD_ITARGETSR + irq) = (uint8_t)cpu_mask;
    dsb();
}

void gic_sgi(unsigned irq, unsigned cpu_mask)
{
    dsb();
    gicd_write(GICD_SGIR, cpu_mask << 16 | irq);
}

uint32_t gic_take(void)
{
    uint32_t iar = gicc_read(GICC_IAR);
    if ((iar & 1023) == IRQ_VTIMER)
        write_cntv_ctl(0);
    if ((iar & 1023) != IRQ_SPURIOUS)
        gicc_write(GICC_EOIR, iar);
    return iar;
}

static volatile uint32_t ticks;

static void on_tick(struct cpu *cpu, struct regs *regs)
{
    (void)cpu;
    (void)regs;
    ticks += (gic_take() & 1023) == IRQ_VTIMER;
}

unsigned gic_try_timer(unsigned want)
{
    gic_init_dist();
    gic_init_cpu();
    gic_enable(IRQ_VTIMER);
    gic_priority(IRQ_VTIMER, 0x40);
    this_cpu()->irq = on_tick;
    ticks = 0;
    for (unsigned i = 0; i < want; i++) {
        write_cntv_tval(ticks_per_ms());
        write_cntv_ctl(1);
        irq_enable();
        for (uint64_t end = now() + 20000ull * ticks_per_ms(); ticks <= i && now() < end;)
            cpu_yield();
        irq_disable();
    }
    write_cntv_ctl(0);
    return ticks;
}
