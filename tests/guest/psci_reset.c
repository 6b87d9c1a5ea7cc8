/* SPDX-License-Identifier: MIT */
/*
 * PSCI SYSTEM_RESET while another CPU is busy: the emulator, started with -no-reboot, ends with
 * status 0 after the report.
 */
#include "lib/guest.h"

const char payload_name[] = "psci_reset";

static void spin(unsigned cpu, void *arg)
{
    (void)cpu;
    for (;;)
        atomic_add(arg, 1);
}

void payload_main(void)
{
    static volatile uint32_t count;
    unsigned n = smp_start(MAX_CPUS);
    for (unsigned i = 1; i < n; i++)
        smp_call(i, spin, (void *)&count);
    delay_ms(20);
    tap_ok(n == 1 || count, "other CPUs are busy");
    tap_finish_by_reset();
}
