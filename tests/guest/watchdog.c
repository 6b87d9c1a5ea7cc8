/* SPDX-License-Identifier: MIT */
/*
 * The SP805 watchdog: registers, a guest that feeds it, and one that does not. RAM tells the second
 * life from the first. Not in `list`: it needs -M watchdog=on, and a driver that may stop the
 * machine after the line HUNGRY (tests/system/control.py).
 */
#include "lib/guest.h"

const char payload_name[] = "watchdog";

#define WDOG       0x09060000u
#define LOAD       (WDOG + 0x000)
#define VALUE      (WDOG + 0x004)
#define CONTROL    (WDOG + 0x008)
#define INTCLR     (WDOG + 0x00c)
#define RIS        (WDOG + 0x010)
#define MIS        (WDOG + 0x014)
#define LOCK       (WDOG + 0xc00)
#define UNLOCK     0x1acce551u
#define PERIOD_MS  100u
#define TICKS      (24000u * PERIOD_MS)
#define LIVES      (RAM_BASE + RAM_SIZE - 0x1000)
#define MAGIC      0x57415443u

static void check_registers(void)
{
    tap_eq(load32(WDOG + 0xfe0) | load32(WDOG + 0xfe4) << 8, 0x1805, "peripheral ID");
    tap_eq(load32(LOAD), UINT32_MAX, "load after reset");
    tap_eq(load32(CONTROL), 0, "off after reset");
    store32(LOCK, 1);
    store32(LOAD, 5);
    tap_eq(load32(LOAD), UINT32_MAX, "a locked register keeps its value");
    tap_eq(load32(LOCK), 1, "it says that it is locked");
    store32(LOCK, UNLOCK);
    store32(LOAD, TICKS);
    tap_eq(load32(LOAD), TICKS, "unlocked");
    tap_eq(load32(VALUE), TICKS, "it does not count while it is off");
}

/* The end of the period, within twice its time. */
static bool interrupted(void)
{
    uint64_t limit = now() + (uint64_t)2 * PERIOD_MS * ticks_per_ms();

    while (now() < limit) {
        if (load32(RIS))
            return true;
    }
    return false;
}

void payload_main(void)
{
    if (load32(LIVES) == MAGIC) {
        tap_ok(true, "a guest that does not feed it is reset");
        tap_eq(load32(CONTROL), 0, "off in the second life");
        tap_finish();
    }
    check_registers();
    uint64_t start = now();
    store32(CONTROL, 3);
    tap_ok(load32(VALUE) < TICKS, "it counts");
    tap_ok(interrupted(), "the end of a period interrupts");
    tap_ok(now() - start >= (uint64_t)PERIOD_MS * ticks_per_ms(), "not before the period is over");
    tap_eq(load32(MIS), 1, "masked status");
    for (unsigned i = 0; i < 6; i++) {
        store32(INTCLR, 1);
        delay_ms(PERIOD_MS / 2);
    }
    tap_ok(true, "fed for three periods");
    store32(INTCLR, 1);
    store32(LIVES, MAGIC);
    print("HUNGRY\n");
    delay_ms(20 * PERIOD_MS);
    tap_ok(false, "a guest that does not feed it is reset");
    tap_finish();
}
