/* SPDX-License-Identifier: MIT */
/*
 * Keys, pointer and touches, from whoever makes them to the guest's input devices (sinks). Key and
 * axis numbers are Linux's (linux/input-event-codes.h), which virtio-input uses too. Any thread; no
 * function waits for the guest, and what no device takes is dropped. Lock: the input's, inside it
 * those of devices, which never call here with their own held.
 */
#pragma once

#include "display/display.h"

enum input_kind { INPUT_KEYBOARD, INPUT_TABLET, INPUT_TOUCH, INPUT_KINDS };

struct input_event {
    uint16_t type, code;
    uint32_t value;
};

#define INPUT_AXIS_MAX 32767u /* positions go from 0 to this on both axes, whatever the screen */
#define INPUT_SLOTS 10u       /* fingers */

struct input_sink {
    enum input_kind kind;
    void *opaque;
    /* What happened at one moment. Any thread, with the input's lock held. */
    void (*report)(void *opaque, const struct input_event *e, unsigned n);
};
/* Main thread, before the machine runs. The device added first of a kind gets its events. */
void input_add_sink(struct display *d, struct input_sink *s);
bool input_has(const struct display *d, enum input_kind kind);

/* False: the guest has no keyboard. */
bool input_key(struct display *d, unsigned code, bool down);

enum {
    INPUT_LEFT = 1, INPUT_MIDDLE = 2, INPUT_RIGHT = 4, INPUT_WHEEL_UP = 8, INPUT_WHEEL_DOWN = 16,
};
/* Where the pointer is and which buttons are held. Goes to the tablet; without one the left button
   is a finger. False: there is neither. */
bool input_pointer(struct display *d, unsigned x, unsigned y, unsigned buttons);
/* The same in parts: where it was last, and what is held. */
void input_pointer_state(struct display *d, unsigned *x, unsigned *y, unsigned *buttons);

enum input_touch_kind { INPUT_TOUCH_BEGIN, INPUT_TOUCH_MOVE, INPUT_TOUCH_END };
bool input_touch(struct display *d, enum input_touch_kind kind, unsigned slot, unsigned x,
                 unsigned y);

#define INPUT_CHORD 16u  /* keys held at once */
#define INPUT_CHORDS 64u /* that may wait */
#define INPUT_HOLD_MS 100u
/* Press the keys in turn, hold them, release them; after the chords that wait already. -ENODEV:
   there is no keyboard; -EAGAIN: too many wait. */
int input_chord(struct display *d, const uint16_t *code, unsigned n, unsigned hold_ms) MUST_CHECK;

/* ---- names of keys (keys.c) ---- */
/* "a", "ret", "ctrl", ...; 0: unknown. */
uint16_t input_key_by_name(const char *name, size_t len);
/* The key of a US keyboard that makes an X11 key symbol; *shift: with the shift key. 0: none. */
uint16_t input_key_by_symbol(uint32_t symbol, bool *shift);
