/* SPDX-License-Identifier: MIT */
/*
 * Device-tree writing helpers. Pure functions on the caller's struct dt; used while the board is
 * built, on one thread. Flattened format: Devicetree Specification v0.3, chapter 5.
 */
#include "dev/dt.h"

#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>

static void note(struct dt *d, int err)
{
    if (d->err == 0 && err < 0) {
        d->err = err;
    }
}

void dt_begin(struct dt *d, const char *fmt, ...)
{
    char name[64];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    note(d, fdt_begin_node(d->buf, name));
}

void dt_end(struct dt *d)
{
    note(d, fdt_end_node(d->buf));
}

void dt_bytes(struct dt *d, const char *name, const void *p, size_t len)
{
    note(d, fdt_property(d->buf, name, p, (int)len));
}

void dt_flag(struct dt *d, const char *name)
{
    dt_bytes(d, name, NULL, 0);
}

void dt_string(struct dt *d, const char *name, const char *value)
{
    note(d, fdt_property_string(d->buf, name, value));
}

void dt_cells(struct dt *d, const char *name, const uint32_t *cell, size_t n)
{
    void *p = NULL;
    int err = fdt_property_placeholder(d->buf, name, (int)(n * 4), &p);

    note(d, err);
    for (size_t i = 0; err == 0 && i < n; i++) {
        fdt32_st((uint8_t *)p + 4 * i, cell[i]);
    }
}

void dt_reg(struct dt *d, gpa_t base, uint64_t size)
{
    DT_CELLS(d, "reg", (uint32_t)(base >> 32), (uint32_t)base, (uint32_t)(size >> 32),
             (uint32_t)size);
}
