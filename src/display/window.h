/* SPDX-License-Identifier: MIT */
/*
 * The screen in a window of this host's desktop, by SDL 2. A thread of its own does everything with
 * it; it sleeps while the window cannot be seen.
 */
#pragma once

#include "display/display.h"

struct display_window;
/* `closed` is called, on the window's thread, when its user closes it. Reports its own errors;
   -errno. */
int display_window_open(struct display *d, const char *name, void (*closed)(void *opaque),
                        void *opaque, struct display_window **out) MUST_CHECK;
void display_window_close(struct display_window *w); /* NULL is fine */
