/* SPDX-License-Identifier: MIT */
/*
 * The screen for people elsewhere: VNC viewers, and browsers (a viewer in a web page, by
 * WebSockets). A thread of its own serves all of them; it sleeps while nobody is connected.
 */
#pragma once

#include "display/display.h"

#include <stdio.h>

struct chardev;

struct display_options {
    const char *vnc; /* "[ADDR]:N", or NULL */
    const char *web; /* "[ADDR:]PORT", or NULL */
    bool window;     /* of this host's desktop (window.h) */
};
/* Spelling only; on false *why says what is accepted. */
bool display_vnc_valid(const char *where, const char **why);
bool display_web_valid(const char *where, const char **why);

/* What the page for browsers has besides the screen. */
struct display_hooks {
    struct chardev *serial; /* recorded (chardev_record()) */
    /* Counters in the text format of Prometheus. Any thread. */
    void (*stats)(void *opaque, FILE *f);
    void *opaque;
};

struct display_server;
/* Open what the options name; nothing to open: *out = NULL. `name` (or NULL) is shown to viewers.
   Reports its own errors; -errno. */
int display_serve(struct display *d, const struct display_options *o, const char *name,
                  struct display_server **out) MUST_CHECK;
/* Once, before the machine runs; until then, and without a server, the page has the screen only.
   *hooks stays until display_serve_end(). */
void display_serve_connect(struct display_server *s, const struct display_hooks *hooks);
/* Disconnects everybody. NULL is fine. */
void display_serve_end(struct display_server *s);
