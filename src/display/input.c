/* SPDX-License-Identifier: MIT */
/*
 * Keys, pointer and touches on their way to the guest's input devices: what a change of state means
 * as events, fingers for those without a tablet, chords that are held for a while. The end of a
 * hold comes from a timer of the I/O thread.
 */
#include "display_internal.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <string.h>

static bool report_locked(struct input *in, enum input_kind kind, const struct input_event *e,
                          unsigned n)
{
    const struct input_sink *s = in->sink[kind];

    if (s != NULL && n > 0) {
        s->report(s->opaque, e, n);
    }
    return s != NULL;
}

void input_add_sink(struct display *d, struct input_sink *s)
{
    if (d->input.sink[s->kind] == NULL) {
        d->input.sink[s->kind] = s;
    }
}

bool input_has(const struct display *d, enum input_kind kind)
{
    return d->input.sink[kind] != NULL;
}

/* ---- keys ---- */
static bool key_locked(struct input *in, unsigned code, bool down)
{
    return report_locked(in, INPUT_KEYBOARD,
                         &(struct input_event){EV_KEY, (uint16_t)code, down}, 1);
}

bool input_key(struct display *d, unsigned code, bool down)
{
    pthread_mutex_lock(&d->input.lock);
    bool ok = key_locked(&d->input, code, down);
    pthread_mutex_unlock(&d->input.lock);
    return ok;
}

/* ---- chords ---- */
static void press_first_locked(struct input *in)
{
    const struct chord *c = &in->chord[in->first];

    for (unsigned i = 0; i < c->n; i++) {
        key_locked(in, c->code[i], true);
    }
    io_timer_set(&in->timer, io_now_ns() + (uint64_t)c->hold_ms * 1000000);
}

/* I/O thread. */
static void hold_ends(void *opaque)
{
    struct input *in = opaque;

    pthread_mutex_lock(&in->lock);
    const struct chord *c = &in->chord[in->first];
    for (unsigned i = c->n; i-- > 0;) {
        key_locked(in, c->code[i], false);
    }
    in->first = (in->first + 1) % INPUT_CHORDS;
    in->waiting--;
    if (in->waiting > 0) {
        press_first_locked(in);
    }
    pthread_mutex_unlock(&in->lock);
}

int input_chord(struct display *d, const uint16_t *code, unsigned n, unsigned hold_ms)
{
    struct input *in = &d->input;
    int err = 0;

    pthread_mutex_lock(&in->lock);
    if (in->sink[INPUT_KEYBOARD] == NULL) {
        err = -ENODEV;
    } else if (in->waiting == INPUT_CHORDS) {
        err = -EAGAIN;
    } else {
        struct chord *c = &in->chord[(in->first + in->waiting) % INPUT_CHORDS];
        c->n = n < INPUT_CHORD ? n : INPUT_CHORD;
        c->hold_ms = hold_ms;
        memcpy(c->code, code, c->n * sizeof *code);
        if (in->waiting++ == 0) {
            press_first_locked(in);
        }
    }
    pthread_mutex_unlock(&in->lock);
    return err;
}

/* ---- touches ---- */
static bool touching_locked(const struct input *in)
{
    for (unsigned i = 0; i < INPUT_SLOTS; i++) {
        if (in->touching[i]) {
            return true;
        }
    }
    return false;
}

static bool touch_locked(struct input *in, enum input_touch_kind kind, unsigned slot, unsigned x,
                         unsigned y)
{
    struct input_event e[7];
    unsigned n = 0;
    bool before = touching_locked(in);

    if (kind != INPUT_TOUCH_BEGIN && !in->touching[slot]) {
        return in->sink[INPUT_TOUCH] != NULL; /* nothing to move or to lift */
    }
    e[n++] = (struct input_event){EV_ABS, ABS_MT_SLOT, slot};
    if (kind == INPUT_TOUCH_BEGIN && !in->touching[slot]) {
        e[n++] = (struct input_event){EV_ABS, ABS_MT_TRACKING_ID, in->next_tracking++ & 0xffff};
    }
    in->touching[slot] = kind != INPUT_TOUCH_END;
    if (kind == INPUT_TOUCH_END) {
        e[n++] = (struct input_event){EV_ABS, ABS_MT_TRACKING_ID, UINT32_MAX};
    } else {
        e[n++] = (struct input_event){EV_ABS, ABS_MT_POSITION_X, x};
        e[n++] = (struct input_event){EV_ABS, ABS_MT_POSITION_Y, y};
    }
    if (slot == 0 && kind != INPUT_TOUCH_END) { /* for programs that know one finger */
        e[n++] = (struct input_event){EV_ABS, ABS_X, x};
        e[n++] = (struct input_event){EV_ABS, ABS_Y, y};
    }
    if (before != touching_locked(in)) {
        e[n++] = (struct input_event){EV_KEY, BTN_TOUCH, !before};
    }
    return report_locked(in, INPUT_TOUCH, e, n);
}

static unsigned on_axis(unsigned v)
{
    return v < INPUT_AXIS_MAX ? v : INPUT_AXIS_MAX;
}

bool input_touch(struct display *d, enum input_touch_kind kind, unsigned slot, unsigned x,
                 unsigned y)
{
    if (slot >= INPUT_SLOTS) {
        return false;
    }
    pthread_mutex_lock(&d->input.lock);
    bool ok = touch_locked(&d->input, kind, slot, on_axis(x), on_axis(y));
    pthread_mutex_unlock(&d->input.lock);
    return ok;
}

/* ---- the pointer ---- */
static bool tablet_locked(struct input *in, unsigned x, unsigned y, unsigned buttons)
{
    static const struct {
        unsigned mask;
        uint16_t code;
    } button[] = {{INPUT_LEFT, BTN_LEFT}, {INPUT_MIDDLE, BTN_MIDDLE}, {INPUT_RIGHT, BTN_RIGHT}};
    struct input_event e[7];
    unsigned n = 0, changed = buttons ^ in->buttons, pressed = changed & buttons;

    if (x != in->x) {
        e[n++] = (struct input_event){EV_ABS, ABS_X, x};
    }
    if (y != in->y) {
        e[n++] = (struct input_event){EV_ABS, ABS_Y, y};
    }
    for (unsigned i = 0; i < ARRAY_SIZE(button); i++) {
        if (changed & button[i].mask) {
            e[n++] = (struct input_event){EV_KEY, button[i].code,
                                          (buttons & button[i].mask) != 0};
        }
    }
    if (pressed & (INPUT_WHEEL_UP | INPUT_WHEEL_DOWN)) {
        e[n++] = (struct input_event){EV_REL, REL_WHEEL,
                                      pressed & INPUT_WHEEL_UP ? 1 : UINT32_MAX};
    }
    return report_locked(in, INPUT_TABLET, e, n);
}

static bool finger_locked(struct input *in, unsigned x, unsigned y, unsigned buttons)
{
    bool now = buttons & INPUT_LEFT, before = in->buttons & INPUT_LEFT;

    if (!now && !before) {
        return in->sink[INPUT_TOUCH] != NULL;
    }
    return touch_locked(in,
                        !before ? INPUT_TOUCH_BEGIN
                        : now   ? INPUT_TOUCH_MOVE
                                : INPUT_TOUCH_END,
                        0, x, y);
}

bool input_pointer(struct display *d, unsigned x, unsigned y, unsigned buttons)
{
    struct input *in = &d->input;

    x = on_axis(x);
    y = on_axis(y);
    pthread_mutex_lock(&in->lock);
    bool ok = in->sink[INPUT_TABLET] != NULL ? tablet_locked(in, x, y, buttons)
                                             : finger_locked(in, x, y, buttons);
    in->x = x;
    in->y = y;
    in->buttons = buttons;
    pthread_mutex_unlock(&in->lock);
    return ok;
}

void input_pointer_state(struct display *d, unsigned *x, unsigned *y, unsigned *buttons)
{
    pthread_mutex_lock(&d->input.lock);
    *x = d->input.x;
    *y = d->input.y;
    *buttons = d->input.buttons;
    pthread_mutex_unlock(&d->input.lock);
}

/* ---- life cycle ---- */
void input_init(struct display *d, struct io_loop *io)
{
    pthread_mutex_init(&d->input.lock, NULL);
    io_timer_init(&d->input.timer, io, hold_ends, &d->input);
}

void input_fini(struct display *d)
{
    io_timer_cancel(&d->input.timer);
    pthread_mutex_destroy(&d->input.lock);
}
