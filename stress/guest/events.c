/* SPDX-License-Identifier: MIT */
/*
 * CPUs that wait for each other by WFE, SEV and YIELD, usually more of them than the host has
 * processors. No SEV is lost: CPU 0 awaits an answer of the others, which sleep in WFE with nothing
 * else to wake them. A lock whose waiters sleep in WFE keeps what it guards whole. How much work
 * CPU 0 gets done while the others wait in each way, and how often the lock changes hands, is told.
 * Parameters: seed, ms.
 */
#include "lib/excl.h"
#include "lib/guest.h"

const char payload_name[] = "events";

#define LIMIT_MS 3000u
#define EVNTEN   4u
#define STREAM   (EVNTEN | 12u << 4) /* 131 us at 62.5 MHz, as Linux sets it */

enum how { WFE, WFE_STREAM, YIELD, NOTHING, HOWS };
static const char *const how_name[] = {"WFE", "WFE with the event stream", "YIELD", "nothing"};

static volatile uint32_t stop, waiting;
static struct {
    volatile uint32_t asked, answered;
    uint32_t taken;
} __attribute__((aligned(64))) told[MAX_CPUS];
static struct {
    volatile uint32_t next __attribute__((aligned(64)));
    volatile uint32_t owner __attribute__((aligned(64)));
    volatile uint32_t a, b __attribute__((aligned(64)));
    volatile uint32_t broken;
} lock;

/* ---- they wait while CPU 0 works ---- */
static void wait_idly(unsigned cpu, void *arg)
{
    enum how how = (enum how)(uintptr_t)arg;
    (void)cpu;
    write_cntkctl(how == WFE_STREAM ? STREAM : 0);
    atomic_add(&waiting, 1);
    while (!stop) {
        if (how == YIELD)
            cpu_yield();
        else if (how != NOTHING)
            wfe();
    }
    write_cntkctl(0);
}

static void work(uint32_t rounds)
{
    __asm__ volatile("1: subs %0, %0, #1\n bne 1b" : "+r"(rounds) : : "cc");
}

static void work_beside(unsigned n, enum how how, uint32_t ms)
{
    uint32_t rounds = 0;
    uint64_t start, end;
    stop = waiting = 0;
    dmb();
    for (unsigned c = 1; c < n; c++)
        smp_call(c, wait_idly, (void *)how);
    while (waiting != n - 1)
        cpu_yield();
    start = now();
    end = start + (uint64_t)ms * ticks_per_ms();
    while (now() < end) {
        work(100000);
        rounds++;
    }
    uint32_t took = (uint32_t)(now() - start) / ticks_per_ms();
    stop = 1;
    dsb();
    sev();
    for (unsigned c = 1; c < n; c++)
        smp_wait(c);
    tap_diag("beside %u CPUs in %s: %u rounds a second", n - 1, how_name[how],
             (unsigned)(rounds * 1000 / (took ? took : 1)));
}

/* ---- no event is lost ---- */
static void answer(unsigned cpu, void *arg)
{
    (void)arg;
    while (!stop) {
        if (told[cpu].answered == told[cpu].asked)
            wfe();
        dmb();
        told[cpu].answered = told[cpu].asked;
    }
}

static bool answers(unsigned cpu, uint32_t r)
{
    uint64_t end = now() + (uint64_t)LIMIT_MS * ticks_per_ms();
    for (uint32_t k = r >> 20 & 1023; k; k--)
        isb();
    told[cpu].asked++;
    dsb();
    sev();
    while (told[cpu].answered != told[cpu].asked)
        if (now() > end)
            return false;
    return true;
}

static void ask(unsigned n, uint32_t *seed, uint32_t ms)
{
    uint64_t end = now() + (uint64_t)ms * ticks_per_ms();
    uint32_t asked = 0;
    bool good = true;
    stop = 0;
    dmb();
    for (unsigned c = 1; c < n; c++)
        smp_call(c, answer, NULL);
    while (n > 1 && good && time_left(end, asked > 20)) {
        uint32_t r = rnd(seed);
        good = answers(1 + (r >> 8) % (n - 1), r);
        asked++;
    }
    tap_diag("%u answers awaited", (unsigned)asked);
    if (!tap_ok(good, "no event is lost"))
        tap_finish(); /* that CPU may never come back */
    stop = 1;
    dsb();
    sev();
    for (unsigned c = 1; c < n; c++)
        smp_wait(c);
}

/* ---- a lock ---- */
static uint32_t take_number(void)
{
    uint32_t mine, fail;
    __asm__ volatile("1: ldrex %0, [%2]\n add %1, %0, #1\n strex r3, %1, [%2]\n cmp r3, #0\n bne 1b"
                     : "=&r"(mine), "=&r"(fail)
                     : "r"(&lock.next)
                     : "r3", "cc", "memory");
    return mine;
}

static void contend(unsigned cpu, void *arg)
{
    uint64_t end = now() + *(uint32_t *)arg * (uint64_t)ticks_per_ms();
    while (time_left(end, told[cpu].taken)) {
        uint32_t mine = take_number();
        while (lock.owner != mine)
            wfe();
        dmb();
        if (lock.b != 3 * lock.a)
            lock.broken++;
        lock.a++;
        lock.b = 3 * lock.a;
        dmb();
        lock.owner = mine + 1;
        dsb();
        sev();
        told[cpu].taken++;
    }
}

void payload_main(void)
{
    unsigned n = smp_start(MAX_CPUS);
    uint32_t ms = param("ms", 1000), seed = param("seed", 1) + 1, taken = 0, part = ms / 10;
    tap_diag("seed %u, %u ms, %u CPUs", (unsigned)(seed - 1), (unsigned)ms, n);
    ask(n, &seed, ms / 2);
    for (unsigned how = 0; how < HOWS; how++)
        work_beside(n, (enum how)how, part);
    uint64_t start = now();
    smp_run_all(n, contend, &part);
    uint32_t took = (uint32_t)(now() - start) / ticks_per_ms();
    for (unsigned c = 0; c < n; c++)
        taken += told[c].taken;
    tap_diag("the lock was taken %u times a second", (unsigned)(taken / (took ? took : 1) * 1000));
    tap_ok(!lock.broken && lock.a == taken, "the lock keeps what it guards whole");
    tap_finish();
}
