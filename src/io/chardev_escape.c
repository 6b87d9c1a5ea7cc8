/* SPDX-License-Identifier: MIT */
/*
 * The keys of a console: Ctrl-A followed by x (quit), h (help), p (power key), b (break), c (to the
 * monitor that shares it, and back), a or Ctrl-A (a literal Ctrl-A). I/O thread.
 *
 * What the guest has no room for waits here, up to CHARDEV_TYPED bytes: a guest that hangs and no
 * longer reads its serial port must not keep us from seeing Ctrl-A x.
 */
#include "chardev_internal.h"

#include <stdio.h>
#include <string.h>

#define CTRL_A 0x01

static void help(const struct chardev *c)
{
    fprintf(stderr,
            "\n"
            "Ctrl-A h   this help\n"
            "Ctrl-A x   quit the emulator\n"
            "Ctrl-A p   press the machine's power key\n"
            "Ctrl-A b   send a break (Linux: magic SysRq)\n"
            "%s"
            "Ctrl-A a   send Ctrl-A to the guest\n",
            c->sharer.receive != NULL ? "Ctrl-A c   switch between console and monitor\n" : "");
}

static void switch_focus(struct chardev *c)
{
    if (c->sharer.receive == NULL) {
        fputs("\nno monitor here: start with -serial mon:stdio\n", stderr);
        return;
    }
    c->focus = !c->focus;
    if (c->focus) {
        c->sharer.focus(c->sharer.opaque);
    }
}

/* True: the key was for us. */
static bool handle_key(struct chardev *c, uint8_t key)
{
    switch (key) {
    case 'h':
    case '?': help(c); return true;
    case 'c': switch_focus(c); return true;
    case 'x':
    case 'p':
    case 'b':
        if (key == 'x') {
            fputs("\n", stderr); /* the shell's prompt gets a line of its own */
        }
        if (c->user.escape != NULL) {
            c->user.escape(c->user.opaque, (char)key);
        }
        return true;
    default: return false;
    }
}

static void pass_on(struct chardev *c, uint8_t byte)
{
    if (c->focus) {
        c->sharer.receive(c->sharer.opaque, &byte, 1);
    } else {
        c->typed[c->ntyped++] = byte;
    }
}

void chardev_keys(struct chardev *c, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!c->escaped) {
            c->escaped = buf[i] == CTRL_A;
            if (!c->escaped) {
                pass_on(c, buf[i]);
            }
            continue;
        }
        c->escaped = false;
        if (buf[i] == 'a' || buf[i] == CTRL_A) {
            pass_on(c, CTRL_A);
        } else if (!handle_key(c, buf[i])) {
            pass_on(c, buf[i]);
        }
    }
}

bool chardev_keys_room(const struct chardev *c)
{
    return c->escapes && c->ntyped < CHARDEV_TYPED;
}

bool chardev_keys_deliver(struct chardev *c)
{
    while (c->ntyped > 0) {
        size_t room = c->user.room(c->user.opaque);
        if (room == 0) {
            atomic_store(&c->input_stopped, true);
            /* The front end may have made room before it could see the flag. */
            room = c->user.room(c->user.opaque);
            if (room == 0) {
                return false;
            }
            atomic_store(&c->input_stopped, false);
        }
        size_t n = room < c->ntyped ? room : c->ntyped;
        c->user.receive(c->user.opaque, c->typed, n);
        c->ntyped -= n;
        memmove(c->typed, c->typed + n, c->ntyped);
    }
    return true;
}
