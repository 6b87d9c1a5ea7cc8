/* SPDX-License-Identifier: MIT */
/*
 * Many invalidations before one DSB, while the other CPUs sleep: a queue of requests between CPUs
 * must not lose what it has no room for. Every CPU reads all pages, then sleeps in WFI; CPU 0
 * remaps all pages, invalidates them one by one in random order, executes one DSB, and wakes the
 * others, who must then see the new frames. Arm ARM B3.10.5. Parameters: seed, ms.
 */
#include "lib/gic.h"
#include "lib/mmu.h"

const char payload_name[] = "inj_batch";

#define PAGES 192u
#define VA    0x80000000u

static uint32_t l2[256] __attribute__((aligned(1024)));
static uint8_t *frame[2];
static volatile uint32_t gen = 1; /* pages hold frame gen & 1 of their number */
static struct {
    volatile uint32_t stale, looks, seen;
} res[MAX_CPUS];
static volatile uint32_t stop;
static struct barrier gate;

static void map_all(unsigned f)
{
    for (unsigned i = 0; i < PAGES; i++)
        l2[i] = L2_SMALL((uint32_t)frame[f] + i * PAGE_SIZE) | P_NORMAL | P_AP(AP_RW_RW);
    dsb();
}

/* 97 has no factor in common with PAGES. */
static void invalidate_all(uint32_t r)
{
    for (unsigned i = 0; i < PAGES; i++) {
        uint32_t va = VA + (i * 97 + r) % PAGES * PAGE_SIZE;
        if (r & 0x100)
            do_tlbimvais(va);
        else
            do_tlbimvaais(va);
    }
    dsb();
    isb();
}

static void look(unsigned cpu, uint32_t want)
{
    for (unsigned i = 0; i < PAGES; i++)
        res[cpu].stale += load32(VA + i * PAGE_SIZE) != (want & 1);
    res[cpu].looks++;
}

static void on_irq(struct cpu *cpu, struct regs *regs)
{
    (void)cpu;
    (void)regs;
    gic_take();
}

static void sleeper(unsigned cpu, void *arg)
{
    (void)arg;
    gic_init_cpu();
    this_cpu()->irq = on_irq;
    barrier_wait(&gate);
    while (!stop) {
        uint32_t g = gen;
        dmb();
        look(cpu, g);
        res[cpu].seen = g;
        while (gen == g && !stop) {
            wfi();
            irq_enable();
            isb();
            irq_disable();
        }
    }
}

static bool all_seen(unsigned n)
{
    for (unsigned c = 1; c < n; c++)
        if (res[c].seen != gen)
            return false;
    return true;
}

void payload_main(void)
{
    unsigned n = smp_start(MAX_CPUS);
    uint32_t ms = param("ms", 1000), seed = param("seed", 1) + 1, stale = 0;
    tap_diag("seed %u, %u ms, %u CPUs", (unsigned)seed - 1, (unsigned)ms, n);
    gic_init_dist();
    flat_l1[VA >> 20] = L1_TABLE(l2, 0);
    for (unsigned f = 0; f < 2; f++) {
        frame[f] = mem_alloc(PAGES * PAGE_SIZE, PAGE_SIZE);
        for (unsigned i = 0; i < PAGES; i++)
            *(uint32_t *)(frame[f] + i * PAGE_SIZE) = f;
    }
    map_all(1);
    barrier_init(&gate, n);
    for (unsigned c = 1; c < n; c++)
        smp_call(c, sleeper, NULL);
    barrier_wait(&gate);
    uint64_t end = now() + (uint64_t)ms * ticks_per_ms();
    while (time_left(end, gen > 10)) {
        while (!all_seen(n))
            cpu_yield();
        for (uint32_t k = rnd(&seed) & 4095; k; k--) /* most of them sleep by now */
            isb();
        map_all((gen + 1) & 1);
        invalidate_all(rnd(&seed));
        look(0, gen + 1);
        dmb();
        gen++;
        gic_sgi(1, ((1u << n) - 1) & ~1u);
    }
    stop = 1;
    gic_sgi(1, ((1u << n) - 1) & ~1u);
    for (unsigned c = 1; c < n; c++)
        smp_wait(c);
    for (unsigned c = 0; c < n; c++)
        stale += res[c].stale;
    tap_diag("%u batches of %u pages", (unsigned)gen, PAGES);
    tap_ok(gen > 10, "the test did something");
    tap_eq(stale, 0, "after one DSB for all no page is seen in its old frame");
}
