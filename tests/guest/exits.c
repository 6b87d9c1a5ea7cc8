/* SPDX-License-Identifier: MIT */
/*
 * Ways to tell the host about the end: a status for "testdev" behind the serial port, and a panic.
 * Not in `list`: what it does is up to the driver (tests/system/control.py). Parameters: status (of
 * testdev), panic (what is written to the device pvpanic-mmio).
 */
#include "lib/guest.h"

const char payload_name[] = "exits";

#define PVPANIC 0x090d0000u
#define NONE    0xffffffffu

void payload_main(void)
{
    uint32_t status = param("status", NONE), panic = param("panic", NONE);

    if (panic != NONE) {
        volatile uint8_t *device = (volatile uint8_t *)PVPANIC;
        tap_eq(*device, 3, "a panic and a loaded crash kernel can be told");
        device[1] = 1; /* is not the device's byte */
        *device = (uint8_t)panic;
    }
    if (status != NONE)
        print("12x%uq", (unsigned)status); /* what is no digit makes a number be forgotten */
    for (unsigned i = 0; i < 100 && status != NONE; i++)
        delay_ms(100);
    tap_ok(status == NONE, "it goes on");
}
