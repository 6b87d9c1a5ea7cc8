/* SPDX-License-Identifier: MIT */
/*
 * Identification registers that end the 4 KiB of every PrimeCell peripheral (PeriphID0-3 and
 * PCellID0-3 at 0xfe0..0xffc), one byte in each word.
 */
#pragma once

#include "base/types.h"

/* part: 12-bit part number, designer Arm (0x41); revision: bits [7:4] of PeriphID2. */
static inline uint32_t primecell_id(uint64_t off, unsigned part, unsigned revision)
{
    const uint8_t id[8] = {
        (uint8_t)part, (uint8_t)(part >> 8 | 0x10), (uint8_t)(revision << 4 | 4), 0, /* PeriphID */
        0x0d, 0xf0, 0x05, 0xb1,                                                      /* PCellID */
    };

    return off >= 0xfe0 && off < 0x1000 ? id[(off - 0xfe0) / 4] : 0;
}
