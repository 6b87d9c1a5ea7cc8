/* SPDX-License-Identifier: MIT */
/*
 * Lost wake-ups: the other CPUs sleep in WFI until a timer of a few microseconds to milliseconds or
 * an SGI of CPU 0 wakes them, switch themselves off and are switched on again, while CPU 0, which
 * never sleeps, waits for each answer with a time limit that a busy host does not reach. Timers and
 * SGIs come at random moments, so they meet a CPU that is just going to sleep. Parameters: seed,
 * ms.
 */
#include "lib/gic.h"

const char payload_name[] = "inj_sleep";

#define LIMIT_MS 3000u

static struct {
    volatile uint32_t asked, answered; /* SGIs */
    volatile uint32_t timers;          /* WFI that a timer ended */
    volatile uint32_t off;             /* 1: switches itself off at the next occasion */
    volatile uint32_t up;              /* lives */
} __attribute__((aligned(64))) sleeper[MAX_CPUS];
static volatile uint32_t stop;
static uint32_t seed0;

static void on_irq(struct cpu *cpu, struct regs *regs)
{
    (void)regs;
    uint32_t iar = gicc_read(GICC_IAR);
    if ((iar & 1023) == IRQ_SPURIOUS)
        return;
    if ((iar & 1023) == IRQ_VTIMER) {
        write_cntv_ctl(0);
        sleeper[cpu->index].timers++;
    } else {
        dmb();
        sleeper[cpu->index].answered = sleeper[cpu->index].asked;
    }
    gicc_write(GICC_EOIR, iar);
}

/* Interrupts are masked between the look and WFI, which a pending interrupt ends all the same. */
static void wait_for(volatile uint32_t *word, uint32_t old)
{
    for (;;) {
        irq_disable();
        bool same = *word == old && !stop;
        if (same)
            wfi();
        irq_enable();
        isb();
        if (!same)
            return;
    }
}

static void sleep_loop(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t seed = seed0 * 0x9e3779b9u + cpu * 0x7f4a7c15u + 1;
    gic_init_cpu();
    this_cpu()->irq = on_irq;
    gic_enable(IRQ_VTIMER);
    irq_enable();
    sleeper[cpu].up++;
    while (!stop && !sleeper[cpu].off) {
        uint32_t old = sleeper[cpu].timers;
        write_cntv_tval(1 + (rnd(&seed) & (rnd(&seed) & 1 ? 0xffff : 0x3ff)));
        write_cntv_ctl(1);
        wait_for(&sleeper[cpu].timers, old);
    }
    irq_disable();
    write_cntv_ctl(0);
    if (sleeper[cpu].off)
        psci(PSCI_CPU_OFF, 0, 0, 0);
}

/* CPU 0: false when the word does not change in time. */
static bool changes(volatile uint32_t *word, uint32_t old)
{
    uint64_t end = now() + (uint64_t)LIMIT_MS * ticks_per_ms();
    while (*word == old)
        if (now() > end)
            return false;
    return true;
}

static const char *ask(unsigned cpu)
{
    uint32_t n = ++sleeper[cpu].asked;
    dmb();
    gic_sgi(3, 1u << cpu);
    return changes(&sleeper[cpu].answered, n - 1) ? NULL : "an SGI wakes its CPU";
}

static const char *timer(unsigned cpu)
{
    return changes(&sleeper[cpu].timers, sleeper[cpu].timers) ? NULL : "a timer wakes its CPU";
}

static const char *cycle(unsigned cpu)
{
    static const char bad[] = "a CPU switches off and on";
    uint32_t up = sleeper[cpu].up;
    uint64_t end = now() + (uint64_t)LIMIT_MS * ticks_per_ms();
    sleeper[cpu].off = 1;
    while (psci(PSCI_AFFINITY_INFO, cpu, 0, 0) != 1)
        if (now() > end)
            return bad;
    sleeper[cpu].off = 0;
    cpus[cpu].online = 0;
    dmb();
    if (psci(PSCI_CPU_ON, cpu, (uint32_t)secondary_start, cpu) || !changes(&cpus[cpu].online, 0))
        return bad;
    smp_call(cpu, sleep_loop, NULL);
    return changes(&sleeper[cpu].up, up) ? NULL : bad;
}

void payload_main(void)
{
    unsigned n = smp_start(MAX_CPUS);
    uint32_t ms = param("ms", 1000), seed, asked = 0;
    const char *lost = NULL;
    seed = seed0 = param("seed", 1) + 1;
    tap_diag("seed %u, %u ms, %u CPUs", (unsigned)(seed0 - 1), (unsigned)ms, n);
    gic_init_dist();
    for (unsigned c = 1; c < n; c++)
        smp_call(c, sleep_loop, NULL);
    for (unsigned c = 1; c < n && !lost; c++)
        lost = changes(&sleeper[c].up, 0) ? NULL : "CPUs begin";
    uint64_t end = now() + (uint64_t)ms * ticks_per_ms();
    while (n > 1 && !lost && now() < end) {
        uint32_t r = rnd(&seed);
        unsigned c = 1 + (r >> 8) % (n - 1);
        for (uint32_t k = r >> 20 & 1023; k; k--)
            isb();
        lost = (r & 31) == 0 ? cycle(c) : r & 1 ? ask(c) : timer(c);
        asked++;
    }
    tap_diag("%u answers awaited", (unsigned)asked);
    tap_ok(!lost, "no wake-up is lost");
    if (lost) { /* that CPU may never come back */
        tap_diag("not so: %s", lost);
        tap_finish();
    }
    stop = 1;
    for (unsigned c = 1; c < n; c++)
        smp_wait(c);
}
