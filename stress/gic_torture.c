/* SPDX-License-Identifier: MIT */
/*
 * The interrupt controller under parallel load. Four threads are CPUs that acknowledge and end
 * interrupts and send SGIs to each other; one thread raises level SPIs and PPIs whose handler
 * lowers them; one moves SPIs between CPUs and disables and enables them. Checked:
 *  - every SGI arrives exactly once, at its target, with its source;
 *  - every raised SPI and PPI is handled, an SPI never on two CPUs at once;
 *  - nothing is left pending, active or signalled at the end.
 * usage: gic_torture [MILLISECONDS]
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/rcu.h"
#include "dev/gic.h"
#include "vcpu/vcpu.h"

#define NCPUS 4u
#define DIST 0x08000000u
#define CPUIF 0x08010000u
#define FIRST_SPI 40u
#define NSPIS 8u
#define PPI 27u
#define STUCK_S 20

static struct bus *bus;
static struct gic *gic;
static struct vcpu *cpu[NCPUS];
static _Atomic uint32_t lines[NCPUS];
static atomic_bool stop_sending, stop;

static _Atomic uint32_t sgi_flying[NCPUS][NCPUS][16]; /* [from][to][id] */
static _Atomic uint64_t sgi_sent, sgi_got, spi_raised, spi_handled, ppi_raised, ppi_handled, moves;
static atomic_bool spi_asserted[NSPIS], ppi_asserted[NCPUS];
static _Atomic uint32_t spi_inside[NSPIS];
static _Atomic uint64_t progress;

static void fail(const char *what, unsigned a, unsigned b)
{
    fprintf(stderr, "gic_torture: %s (%u, %u)\n", what, a, b);
    abort();
}

static void set_irq(struct vcpu *v, uint32_t line, bool level)
{
    if (level) {
        atomic_fetch_or(&lines[v->index], line);
    } else {
        atomic_fetch_and(&lines[v->index], ~line);
    }
}

static uint32_t rd(unsigned c, gpa_t gpa)
{
    uint64_t v = 0;

    if (!bus_read(bus, cpu[c], gpa, 4, &v)) {
        fail("nothing on the bus", c, (unsigned)gpa);
    }
    return (uint32_t)v;
}

static void wr(unsigned c, gpa_t gpa, uint32_t v, unsigned size)
{
    if (!bus_write(bus, cpu[c], gpa, size, v)) {
        fail("nothing on the bus", c, (unsigned)gpa);
    }
}

static void handle_sgi(unsigned me, uint32_t iar)
{
    unsigned id = iar & 0x3ff, from = iar >> 10 & 7;

    if (from >= NCPUS || atomic_exchange(&sgi_flying[from][me][id], 0) != 1) {
        fail("SGI that nobody sent", from, id);
    }
    atomic_fetch_add(&sgi_got, 1);
}

static void handle_spi(unsigned me, unsigned id)
{
    unsigned n = id - FIRST_SPI;
    struct irq_line l = gic_spi(gic, id - 32);

    if (n >= NSPIS) {
        fail("SPI that nobody raised", me, id);
    }
    if (atomic_fetch_add(&spi_inside[n], 1) != 0) {
        fail("SPI active on two CPUs", me, id);
    }
    if (!atomic_load(&spi_asserted[n])) {
        fail("SPI whose device is quiet", me, id);
    }
    irq_set(&l, false);
    atomic_fetch_add(&spi_handled, 1);
    atomic_store(&spi_asserted[n], false);
    atomic_fetch_sub(&spi_inside[n], 1);
}

static void handle_ppi(unsigned me)
{
    struct irq_line l = gic_ppi(gic, me, PPI);

    if (!atomic_load(&ppi_asserted[me])) {
        fail("PPI that nobody raised", me, PPI);
    }
    irq_set(&l, false);
    atomic_fetch_add(&ppi_handled, 1);
    atomic_store(&ppi_asserted[me], false);
}

static void take_interrupt(unsigned me)
{
    uint32_t iar = rd(me, CPUIF + 0x0c);
    unsigned id = iar & 0x3ff;

    if (id >= 1020) {
        return; /* taken by another, or moved away */
    }
    if (id < 16) {
        handle_sgi(me, iar);
    } else if (id == PPI) {
        handle_ppi(me);
    } else {
        handle_spi(me, id);
    }
    wr(me, CPUIF + 0x10, iar, 4);
    atomic_fetch_add(&progress, 1);
}

static void send_sgi(unsigned me, uint32_t rnd)
{
    unsigned to = rnd >> 8 & (NCPUS - 1), id = rnd >> 12 & 15;
    uint32_t none = 0;

    if (atomic_compare_exchange_strong(&sgi_flying[me][to][id], &none, 1)) {
        atomic_fetch_add(&sgi_sent, 1);
        wr(me, DIST + 0xf00, 1u << (16 + to) | id, 4);
    }
}

static void *cpu_thread(void *opaque)
{
    unsigned me = (unsigned)(uintptr_t)opaque;
    uint32_t rnd = me * 77 + 1;

    rcu_thread_register();
    while (!atomic_load(&stop)) {
        if (atomic_load(&lines[me]) & VCPU_IRQ_LINE) {
            take_interrupt(me);
        } else if (!atomic_load(&stop_sending)) {
            rnd = rnd * 1664525 + 1013904223;
            send_sgi(me, rnd);
        } else {
            sched_yield();
        }
    }
    rcu_thread_unregister();
    return NULL;
}

static void *device_thread(void *opaque)
{
    uint32_t rnd = 5;

    (void)opaque;
    rcu_thread_register();
    while (!atomic_load(&stop_sending)) {
        rnd = rnd * 1664525 + 1013904223;
        unsigned n = rnd >> 10 & (NSPIS - 1), c = rnd >> 20 & (NCPUS - 1);
        if (!atomic_load(&spi_asserted[n])) {
            struct irq_line l = gic_spi(gic, FIRST_SPI - 32 + n);
            atomic_store(&spi_asserted[n], true);
            atomic_fetch_add(&spi_raised, 1);
            irq_set(&l, true);
        }
        if (!atomic_load(&ppi_asserted[c])) {
            struct irq_line l = gic_ppi(gic, c, PPI);
            atomic_store(&ppi_asserted[c], true);
            atomic_fetch_add(&ppi_raised, 1);
            irq_set(&l, true);
        }
    }
    rcu_thread_unregister();
    return NULL;
}

/* Registers of CPU 0 stand for "some CPU": distributor registers of SPIs are not banked. */
static void *mover_thread(void *opaque)
{
    uint32_t rnd = 9;

    (void)opaque;
    rcu_thread_register();
    while (!atomic_load(&stop_sending)) {
        rnd = rnd * 1664525 + 1013904223;
        unsigned id = FIRST_SPI + (rnd >> 10 & (NSPIS - 1));
        uint32_t cpus = rnd >> 16 & ((1u << NCPUS) - 1);
        wr(0, DIST + 0x800 + id, cpus != 0 ? cpus : 1, 1);
        if (rnd >> 28 == 0) {
            wr(0, DIST + 0x180 + id / 32 * 4, 1u << id % 32, 4);
            wr(0, DIST + 0x100 + id / 32 * 4, 1u << id % 32, 4);
        }
        atomic_fetch_add(&moves, 1);
        sched_yield();
    }
    rcu_thread_unregister();
    return NULL;
}

static void set_up(void)
{
    struct gic_config c = {.ncpus = NCPUS, .nspis = 256, .vcpu = cpu, .set_irq = set_irq};

    bus = bus_create();
    for (unsigned i = 0; i < NCPUS; i++) {
        cpu[i] = aligned_alloc(CACHE_LINE, (sizeof *cpu[i] + CACHE_LINE - 1) & ~(CACHE_LINE - 1ul));
        if (cpu[i] == NULL) {
            fail("no memory", i, 0);
        }
        cpu[i]->index = i;
    }
    if (bus == NULL || gic_create(&c, &gic) != 0 || gic_attach(gic, bus, DIST, CPUIF) != 0) {
        fail("set-up", 0, 0);
    }
    wr(0, DIST, 1, 4);
    for (unsigned i = 0; i < NCPUS; i++) {
        wr(i, CPUIF, 1, 4);
        wr(i, CPUIF + 4, 0xf0, 4);
        wr(i, DIST + 0x100, 1u << PPI, 4);
        for (unsigned id = 0; id < 32; id += 4) {
            wr(i, DIST + 0x400 + id, 0xa0a080a0, 4);
        }
    }
    for (unsigned n = 0; n < NSPIS; n++) {
        unsigned id = FIRST_SPI + n;
        wr(0, DIST + 0x400 + id, 0x80 + 8 * n, 1);
        wr(0, DIST + 0x800 + id, 1u << n % NCPUS, 1);
        wr(0, DIST + 0x100 + id / 32 * 4, 1u << id % 32, 4);
    }
}

static bool all_arrived(void)
{
    return atomic_load(&sgi_sent) == atomic_load(&sgi_got) &&
           atomic_load(&spi_raised) == atomic_load(&spi_handled) &&
           atomic_load(&ppi_raised) == atomic_load(&ppi_handled);
}

static void print_counts(void)
{
    printf("SGIs %llu/%llu, SPIs %llu/%llu, PPIs %llu/%llu, moves %llu\n",
           (unsigned long long)atomic_load(&sgi_got), (unsigned long long)atomic_load(&sgi_sent),
           (unsigned long long)atomic_load(&spi_handled),
           (unsigned long long)atomic_load(&spi_raised),
           (unsigned long long)atomic_load(&ppi_handled),
           (unsigned long long)atomic_load(&ppi_raised), (unsigned long long)atomic_load(&moves));
}

/* Let what is on its way arrive. */
static void settle(void)
{
    uint64_t last = atomic_load(&progress);

    for (unsigned idle = 0; !all_arrived(); idle++) {
        usleep(1000);
        if (atomic_load(&progress) != last) {
            last = atomic_load(&progress);
            idle = 0;
        }
        if (idle > STUCK_S * 1000) {
            print_counts();
            fail("interrupts were lost", 0, 0);
        }
    }
    usleep(10000);
}

static void check_quiet(void)
{
    for (unsigned i = 0; i < NCPUS; i++) {
        if (atomic_load(&lines[i]) != 0) {
            fail("still signalled", i, atomic_load(&lines[i]));
        }
        if (rd(i, CPUIF + 0x14) != 0xff) {
            fail("running priority", i, rd(i, CPUIF + 0x14));
        }
        for (unsigned w = 0; w < 3; w++) {
            if (rd(i, DIST + 0x200 + 4 * w) != 0 || rd(i, DIST + 0x300 + 4 * w) != 0) {
                fail("still pending or active", i, w);
            }
        }
    }
}

int main(int argc, char **argv)
{
    unsigned ms = argc > 1 ? (unsigned)atoi(argv[1]) : 2000;
    pthread_t t[NCPUS + 2];

    rcu_thread_register();
    set_up();
    for (unsigned i = 0; i < NCPUS; i++) {
        pthread_create(&t[i], NULL, cpu_thread, (void *)(uintptr_t)i);
    }
    pthread_create(&t[NCPUS], NULL, device_thread, NULL);
    pthread_create(&t[NCPUS + 1], NULL, mover_thread, NULL);
    usleep(ms * 1000u);
    atomic_store(&stop_sending, true);
    pthread_join(t[NCPUS], NULL);
    pthread_join(t[NCPUS + 1], NULL);
    settle();
    atomic_store(&stop, true);
    for (unsigned i = 0; i < NCPUS; i++) {
        pthread_join(t[i], NULL);
    }
    print_counts();
    if (atomic_load(&sgi_got) == 0 || atomic_load(&spi_handled) == 0 ||
        atomic_load(&ppi_handled) == 0) {
        fail("nothing happened", 0, 0);
    }
    check_quiet();
    gic_destroy(gic);
    rcu_drain();
    bus_destroy(bus);
    for (unsigned i = 0; i < NCPUS; i++) {
        free(cpu[i]);
    }
    rcu_thread_unregister();
    return 0;
}
