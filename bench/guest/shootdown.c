/* SPDX-License-Identifier: MIT */
/*
 * How fast one CPU takes translations away from others, and for how long that stops them. Half of
 * the CPUs write (change mappings of the process), the others read pages of the same process all
 * the time and look at the clock after each batch; threads are pinned.
 *
 *   idle      nobody writes: how long the host itself interrupts a reader
 *   mprotect  a page the readers use becomes read-only and writable again, written each time
 *   munmap    a fresh page is mapped, written and unmapped; the readers use its neighbours
 *   remap     a page the readers use is replaced by a fresh one, written each time
 *
 *   shootdown SECONDS    for each phase: "PHASE ops/s", "PHASE worst stall of a reader, us",
 *                        "PHASE its 99.9 % quantile, us", "PHASE batches read per second"
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 64, MAX_CPUS = 8, BUCKETS = 4096, WRITTEN = 0x5a };

enum phase { IDLE, MPROTECT, MUNMAP, REMAP, PHASES };

static const char *const phase_names[PHASES] = {"idle", "mprotect", "munmap", "remap"};

struct worker {
    unsigned cpu;
    int writes;
    uint64_t count;     /* operations, or batches read */
    uint64_t worst_ns;  /* longest time between two looks at the clock */
    uint32_t gaps[BUCKETS]; /* of a microsecond each; the last has all that are longer */
} __attribute__((aligned(64)));

static struct worker workers[MAX_CPUS];
static unsigned cpus;
static unsigned char *area; /* PAGES pages for each writer */
static enum phase phase;
static _Atomic int stop;
static pthread_barrier_t gate;

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(const char *what)
{
    perror(what);
    _exit(1);
}

static void pin(unsigned cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set)) {
        fail("sched_setaffinity");
    }
}

/* One or two operations on a page; returns how many. */
static unsigned write_once(unsigned char *page)
{
    unsigned char *fresh = NULL;

    switch (phase) {
    case MPROTECT:
        if (mprotect(page, PAGE, PROT_READ) || mprotect(page, PAGE, PROT_READ | PROT_WRITE)) {
            fail("mprotect");
        }
        *(volatile unsigned char *)page = WRITTEN;
        return 2;
    case MUNMAP:
        fresh = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (fresh == MAP_FAILED) {
            fail("mmap");
        }
        *(volatile unsigned char *)fresh = WRITTEN;
        if (munmap(fresh, PAGE)) {
            fail("munmap");
        }
        return 1;
    case REMAP:
        if (mmap(page, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                 0) != page) {
            fail("mmap");
        }
        *(volatile unsigned char *)page = WRITTEN;
        return 1;
    default: usleep(1000); return 0;
    }
}

static void writer(struct worker *w, unsigned char *mine)
{
    uint64_t start = now_ns();

    for (unsigned i = 0; !atomic_load_explicit(&stop, memory_order_relaxed); i++) {
        w->count += write_once(mine + (size_t)(i % PAGES) * PAGE);
    }
    w->worst_ns = now_ns() - start; /* the time the count belongs to */
}

/* Every byte is WRITTEN, or 0 in a page that has just been replaced. */
static void read_batch(void)
{
    unsigned pages = PAGES * (cpus / 2);

    for (unsigned i = 0; i < pages; i++) {
        unsigned char byte = *(volatile unsigned char *)(area + (size_t)i * PAGE);

        if (byte != WRITTEN && !(byte == 0 && phase == REMAP)) {
            fprintf(stderr, "shootdown: page %u holds %u\n", i, byte);
            _exit(1);
        }
    }
}

static void reader(struct worker *w)
{
    read_batch();
    uint64_t last = now_ns();

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        read_batch();
        uint64_t now = now_ns(), gap = now - last, us = gap / 1000;

        w->gaps[us < BUCKETS ? us : BUCKETS - 1]++;
        w->worst_ns = gap > w->worst_ns ? gap : w->worst_ns;
        w->count++;
        last = now;
    }
}

static void *work(void *opaque)
{
    struct worker *w = opaque;

    pin(w->cpu);
    pthread_barrier_wait(&gate);
    if (w->writes) {
        writer(w, area + (size_t)w->cpu * PAGES * PAGE);
    } else {
        reader(w);
    }
    return NULL;
}

/* The number of microseconds that 99.9 % of all batches stay below. */
static unsigned quantile(void)
{
    uint64_t total = 0, seen = 0;
    unsigned us = 0;

    for (unsigned i = cpus / 2; i < cpus; i++) {
        total += workers[i].count;
    }
    for (; us < BUCKETS - 1 && seen * 1000 <= total * 999; us++) {
        for (unsigned i = cpus / 2; i < cpus; i++) {
            seen += workers[i].gaps[us];
        }
    }
    return us;
}

static void report(double seconds)
{
    uint64_t batches = 0, worst = 0;
    double rate = 0;

    for (unsigned i = 0; i < cpus; i++) {
        if (workers[i].writes) {
            rate += (double)workers[i].count * 1e9 / (double)workers[i].worst_ns;
            continue;
        }
        batches += workers[i].count;
        worst = workers[i].worst_ns > worst ? workers[i].worst_ns : worst;
    }
    printf("%s_ops %.0f\n", phase_names[phase], rate);
    printf("%s_worst_us %.1f\n", phase_names[phase], (double)worst / 1e3);
    printf("%s_p999_us %u\n", phase_names[phase], quantile());
    printf("%s_reads %.0f\n", phase_names[phase], (double)batches / seconds);
    fflush(stdout);
}

static void run_phase(double seconds)
{
    pthread_t threads[MAX_CPUS];

    memset(workers, 0, sizeof workers);
    memset(area, WRITTEN, (size_t)PAGES * PAGE * (cpus / 2));
    atomic_store(&stop, 0);
    for (unsigned i = 0; i < cpus; i++) {
        workers[i].cpu = i;
        workers[i].writes = i < cpus / 2;
        if (pthread_create(&threads[i], NULL, work, &workers[i])) {
            fail("pthread_create");
        }
    }
    pthread_barrier_wait(&gate);
    usleep((useconds_t)(seconds * 1e6));
    atomic_store(&stop, 1);
    for (unsigned i = 0; i < cpus; i++) {
        pthread_join(threads[i], NULL);
    }
    report(seconds);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 1;

    cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    if (cpus < 2 || cpus > MAX_CPUS) {
        fprintf(stderr, "shootdown: needs 2 to %d CPUs\n", MAX_CPUS);
        return 1;
    }
    area = mmap(NULL, (size_t)PAGES * PAGE * (cpus / 2), PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED || pthread_barrier_init(&gate, NULL, cpus + 1)) {
        fail("shootdown");
    }
    for (phase = IDLE; phase < PHASES; phase++) {
        run_phase(seconds);
    }
    return 0;
}
