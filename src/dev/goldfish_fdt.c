/* SPDX-License-Identifier: MIT */
/*
 * Device-tree nodes of the goldfish devices: they differ only in names and places.
 */
#include "dev/goldfish.h"

#include "dev/dt.h"

void goldfish_fdt(struct dt *d, const char *name, const char *compatible, size_t len, gpa_t base,
                  uint64_t size, unsigned spi)
{
    dt_begin(d, "%s@%llx", name, (unsigned long long)base);
    dt_bytes(d, "compatible", compatible, len);
    dt_reg(d, base, size);
    DT_CELLS(d, "interrupts", DT_SPI, spi, DT_LEVEL_HIGH);
    dt_end(d);
}
