/* SPDX-License-Identifier: MIT */
/*
 * Resets again and again: RAM keeps its contents over a reset, so a counter there says how often.
 * Before the first and after the last reset it waits for a byte on the serial port, so that whoever
 * runs it can look at the emulator while nothing moves. All CPUs are up, with translated code and
 * touched memory, at each reset. Not in `list`: it needs a driver (tests/system/control.py).
 */
#include "lib/guest.h"

const char payload_name[] = "reboots";

#define RESETS   120u
#define SETTLED  20u /* resets before the first look */
#define COUNTER  (RAM_BASE + RAM_SIZE - 0x1000)
#define MAGIC    0x52455345u
#define UART     0x09000000u
#define UART_FR  (UART + 0x18)
#define FR_RXFE  (1u << 4)

static void touch(unsigned cpu, void *arg)
{
    volatile uint32_t *p = arg;

    for (unsigned i = 0; i < 256; i++)
        p[(cpu * 256 + i) * (PAGE_SIZE / 4)] = i;
}

static void wait_for_byte(void)
{
    while (load32(UART_FR) & FR_RXFE) {
    }
    (void)load32(UART);
}

void payload_main(void)
{
    static uint8_t pages[MAX_CPUS * 256 * PAGE_SIZE];
    unsigned n = smp_start(MAX_CPUS);

    if (load32(COUNTER) != MAGIC) {
        store32(COUNTER, MAGIC);
        store32(COUNTER + 4, 0);
    }
    uint32_t resets = load32(COUNTER + 4);
    smp_run_all(n, touch, pages);
    if (resets == SETTLED || resets == RESETS) {
        print("RESETS %u\n", resets);
        wait_for_byte();
    }
    if (resets == RESETS) {
        tap_ok(true, "%u resets", RESETS);
        tap_finish();
    }
    store32(COUNTER + 4, resets + 1);
    psci(PSCI_SYSTEM_RESET, 0, 0, 0);
}
