/* SPDX-License-Identifier: MIT */
/*
 * PL031 real-time clock. DDI 0224.
 */
#pragma once

#include "dev/bus.h"

struct dt;
struct io_loop;
struct pl031;

/* `io` gives the alarm its timer; NULL: the alarm is checked only at register accesses. */
int pl031_create(struct bus *bus, gpa_t base, const struct irq_line *irq, struct io_loop *io,
                 struct pl031 **out) MUST_CHECK;
void pl031_destroy(struct pl031 *r);
void pl031_reset(struct pl031 *r); /* the clock keeps its time */
void pl031_fdt(struct dt *d, gpa_t base, unsigned spi);
