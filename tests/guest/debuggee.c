/* SPDX-License-Identifier: MIT */
/*
 * What tests/system/gdb_stub.py debugs. CPU 0 writes and reads a few variables; then all CPUs count
 * until a debugger sets `release`, or for five seconds.
 */
#include "lib/guest.h"

const char payload_name[] = "debuggee";

volatile uint32_t watched, quiet, release;
volatile uint32_t rounds[MAX_CPUS];

static __attribute__((noinline, noclone)) void touch(uint32_t value)
{
    watched = value;
}

static __attribute__((noinline, noclone)) uint32_t look(void)
{
    return watched;
}

static __attribute__((noinline, noclone)) void bump(unsigned cpu)
{
    rounds[cpu]++;
}

static void spin(unsigned cpu, void *arg)
{
    uint64_t end = now() + (uint64_t)ticks_per_ms() * 5000;

    (void)arg;
    while (!release && now() < end)
        bump(cpu);
}

void payload_main(void)
{
    unsigned n = smp_start(MAX_CPUS);

    touch(1);
    quiet = 7; /* on the same page as `watched`, and nobody watches it */
    touch(2);
    tap_eq(look(), 2, "the value written last");
    smp_run_all(n, spin, NULL);
    for (unsigned i = 0; i < n; i++)
        tap_ok(rounds[i] > 0, "CPU %u counted", i);
    tap_diag("released: %u", (unsigned)release);
}
