/* SPDX-License-Identifier: MIT */
/*
 * PL011 UART. DDI 0183.
 */
#pragma once

#include "dev/bus.h"

struct chardev;
struct dt;
struct io_loop;
struct pl011;

/* `chr` may be NULL (nothing connected). `io` gives the receive time-out its timer; NULL: it
   is immediate. */
int pl011_create(struct bus *bus, gpa_t base, const struct irq_line *irq, struct io_loop *io,
                 struct chardev *chr, struct pl011 **out) MUST_CHECK;
void pl011_destroy(struct pl011 *u);
void pl011_reset(struct pl011 *u);
/* Key of the console's escape sequence, from the back end; see chardev.h. */
void pl011_set_escape(struct pl011 *u, void (*fn)(void *opaque, char key), void *opaque);
/* What "testdev" as the back end calls; see chardev.h. */
void pl011_set_quit(struct pl011 *u, void (*fn)(void *opaque, int status), void *opaque);
/* The line is held low: a break, which Linux's magic SysRq key waits for. Any thread. */
void pl011_receive_break(struct pl011 *u);
void pl011_fdt(struct dt *d, gpa_t base, unsigned spi);

/* What the back end calls; public for tests. */
size_t pl011_room(void *pl011);
void pl011_receive(void *pl011, const uint8_t *buf, size_t len);
void pl011_sent(void *pl011);
