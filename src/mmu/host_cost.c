/* SPDX-License-Identifier: MIT */
/*
 * Measured when the machine is made, not assumed: the tiers (tier.c) and the size of a slice
 * (window_host.c) follow from it. Of each figure the least of a few tries, so that what else runs
 * on the host counts little.
 */
#include "host_cost.h"

#include "base/stats.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#define TRIES     5
#define CLOCK_NS  200000
#define PAGE      4096u
/* Linux flushes up to 33 pages one by one (tlb_single_page_flush_ceiling). */
#define RUN_PAGES 32u

static uint64_t measure_clock(void)
{
    uint64_t start_ns = stats_now_ns(), start = __rdtsc(), ns;

    while ((ns = stats_now_ns() - start_ns) < CLOCK_NS)
        ;
    return (__rdtsc() - start) * 1000 / ns;
}

static void keep_least(uint32_t *least, uint64_t ns)
{
    if (!*least || ns < *least)
        *least = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

static sigjmp_buf behind_fault;

static void on_fault_sig(int sig)
{
    siglongjmp(behind_fault, sig);
}

/* An access that nothing is mapped for, caught. */
static void measure_signal(struct host_cost *c, volatile const char *nothing)
{
    struct sigaction catch = {.sa_handler = on_fault_sig}, old;

    sigemptyset(&catch.sa_mask);
    if (sigaction(SIGSEGV, &catch, &old))
        return;
    for (volatile unsigned i = 0; i < TRIES; i++) {
        volatile uint64_t start = stats_now_ns();

        if (!sigsetjmp(behind_fault, 1))
            (void)*nothing;
        keep_least(&c->signal_ns, stats_now_ns() - start);
    }
    sigaction(SIGSEGV, &old, NULL);
}

static char *map(char *at, unsigned pages, int fd, int flags)
{
    return mmap(at, (size_t)pages * PAGE, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_FIXED | MAP_NORESERVE | flags, fd, 0);
}

static char *reserve(char *at)
{
    return mmap(at, (size_t)RUN_PAGES * PAGE, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED : 0), -1, 0);
}

static void measure_mappings(struct host_cost *c, char *at, int fd)
{
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t start;

        /* All pages of the file are there before the first is timed: guest RAM is, mostly. */
        if (map(at, RUN_PAGES, fd, MAP_POPULATE) == MAP_FAILED)
            return;
        start = stats_now_ns();
        if (reserve(at) == MAP_FAILED)
            return;
        keep_least(&c->flush_ns, (stats_now_ns() - start) / RUN_PAGES);
        start = stats_now_ns();
        if (map(at, 1, fd, 0) == MAP_FAILED)
            return;
        *(volatile char *)at = 0;
        keep_least(&c->map_ns, stats_now_ns() - start);
    }
}

void host_cost_measure(struct host_cost *c)
{
    char *at = reserve(NULL);
    int fd = memfd_create("umbra-cost", MFD_CLOEXEC);

    *c = (struct host_cost){.ticks_per_us = measure_clock()};
    if (at != MAP_FAILED) {
        measure_signal(c, at);
        if (fd >= 0 && !ftruncate(fd, (off_t)RUN_PAGES * PAGE))
            measure_mappings(c, at, fd);
        munmap(at, (size_t)RUN_PAGES * PAGE);
    }
    if (fd >= 0)
        close(fd);
}
