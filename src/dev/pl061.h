/* SPDX-License-Identifier: MIT */
/*
 * PL061 general-purpose I/O, eight pins. DDI 0190.
 */
#pragma once

#include "dev/bus.h"

struct dt;
struct io_loop;
struct pl061;

/* `io` times pulses; NULL: a pulse ends at once. */
int pl061_create(struct bus *bus, gpa_t base, const struct irq_line *irq, struct io_loop *io,
                 struct pl061 **out) MUST_CHECK;
void pl061_destroy(struct pl061 *g);
void pl061_reset(struct pl061 *g);
/* Drive an input pin from outside. Any thread. */
void pl061_set_input(struct pl061 *g, unsigned pin, bool level);
/* A key pressed and let go: high for a tenth of a second. Any thread. */
void pl061_pulse(struct pl061 *g, unsigned pin);
/* The controller's node and a gpio-keys node with the power key at `pin`. */
void pl061_fdt(struct dt *d, gpa_t base, unsigned spi, unsigned pin);
