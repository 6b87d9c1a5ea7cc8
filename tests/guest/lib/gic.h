/* SPDX-License-Identifier: MIT */
#pragma once
/* GICv2 registers and the few helpers that several payloads need (GICv2 architecture, ch. 4). */
#include "guest.h"

#define GICD 0x08000000u
#define GICC 0x08010000u
enum {
    GICD_CTLR = 0x000,
    GICD_TYPER = 0x004,
    GICD_IIDR = 0x008,
    GICD_IGROUPR = 0x080,
    GICD_ISENABLER = 0x100,
    GICD_ICENABLER = 0x180,
    GICD_ISPENDR = 0x200,
    GICD_ICPENDR = 0x280,
    GICD_ISACTIVER = 0x300,
    GICD_ICACTIVER = 0x380,
    GICD_IPRIORITYR = 0x400,
    GICD_ITARGETSR = 0x800,
    GICD_ICFGR = 0xc00,
    GICD_SGIR = 0xf00,
    GICD_CPENDSGIR = 0xf10,
    GICD_SPENDSGIR = 0xf20,
    GICC_CTLR = 0x00,
    GICC_PMR = 0x04,
    GICC_BPR = 0x08,
    GICC_IAR = 0x0c,
    GICC_EOIR = 0x10,
    GICC_RPR = 0x14,
    GICC_HPPIR = 0x18,
    GICC_IIDR = 0xfc,
    GICC_DIR = 0x1000,
    IRQ_VTIMER = 27,
    IRQ_PTIMER = 30,
    IRQ_SPURIOUS = 1023,
};

static inline uint32_t gicd_read(uint32_t reg)
{
    return load32(GICD + reg);
}
static inline void gicd_write(uint32_t reg, uint32_t v)
{
    store32(GICD + reg, v);
    dsb();
}
static inline uint32_t gicc_read(uint32_t reg)
{
    return load32(GICC + reg);
}
static inline void gicc_write(uint32_t reg, uint32_t v)
{
    store32(GICC + reg, v);
    dsb();
}
void gic_init_dist(void); /* distributor on, all SPIs off, priority 0xa0, to CPU 0 */
void gic_init_cpu(void);  /* this CPU's SGIs, PPIs off, interface on, PMR 0xf0, BPR 0 */
void gic_enable(unsigned irq);
void gic_disable(unsigned irq);
void gic_set_pending(unsigned irq);
void gic_clear_pending(unsigned irq);
bool gic_is_pending(unsigned irq);
bool gic_is_active(unsigned irq);
void gic_priority(unsigned irq, unsigned prio);
void gic_target(unsigned irq, unsigned cpu_mask);
void gic_sgi(unsigned irq, unsigned cpu_mask);
/* Acknowledge and end the interrupt at hand, the virtual timer's with the timer turned off, since
 * its line is a level. What GICC_IAR said. */
uint32_t gic_take(void);
/* Distributor, interface and virtual timer of this CPU from scratch: how many of so many interrupts
 * of the timer came within seconds. */
unsigned gic_try_timer(unsigned want);
