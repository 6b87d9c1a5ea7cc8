/* SPDX-License-Identifier: MIT */
/*
 * Private to src/display: the display's state.
 */
#pragma once

#include "display/display.h"
#include "display/input.h"
#include "io/io.h"

#include <pthread.h>

struct chord {
    uint16_t code[INPUT_CHORD];
    unsigned n, hold_ms;
};

struct input {
    struct input_sink *sink[INPUT_KINDS]; /* fixed once the machine runs */
    pthread_mutex_t lock;                 /* all below */
    unsigned x, y, buttons;               /* of the pointer */
    bool touching[INPUT_SLOTS];
    uint32_t next_tracking;
    struct chord chord[INPUT_CHORDS];     /* a ring; while any wait, the first is held */
    unsigned first, waiting;
    struct io_timer timer;                /* the end of the first one's hold */
};

struct display {
    struct display_source *sources;       /* by rank; fixed once the machine runs */
    struct input input;

    pthread_mutex_t lock;                 /* all below */
    struct display_image image;
    const struct display_source *shown;   /* whose picture `image` holds; NULL: nobody's */
    struct display_viewer *viewers;
};

void input_init(struct display *d, struct io_loop *io);
void input_fini(struct display *d);
