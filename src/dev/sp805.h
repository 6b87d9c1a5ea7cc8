/* SPDX-License-Identifier: MIT */
/*
 * SP805 watchdog. DDI 0270.
 */
#pragma once

#include "dev/bus.h"

struct dt;
struct io_loop;
struct sp805;

/* `bite` is called, on the I/O thread with no lock held, when the second period ends without a sign
   of life and the guest has enabled the reset. */
int sp805_create(struct bus *bus, gpa_t base, const struct irq_line *irq, struct io_loop *io,
                 void (*bite)(void *opaque), void *opaque, struct sp805 **out) MUST_CHECK;
void sp805_destroy(struct sp805 *w);
void sp805_reset(struct sp805 *w);
void sp805_fdt(struct dt *d, gpa_t base, unsigned spi);
