/* SPDX-License-Identifier: MIT */
/*
 * The escape key of a console on the user's terminal: Ctrl-A followed by x (quit), h (help), p
 * (power key), a or Ctrl-A (a literal Ctrl-A). I/O thread.
 */
#include "chardev_internal.h"

#include <stdio.h>

#define CTRL_A 0x01

static void help(void)
{
    fputs("\n"
          "Ctrl-A h   this help\n"
          "Ctrl-A x   quit the emulator\n"
          "Ctrl-A p   press the machine's power key\n"
          "Ctrl-A a   send Ctrl-A to the guest\n",
          stderr);
}

static bool handle_key(struct chardev *c, uint8_t key)
{
    switch (key) {
    case 'h':
    case '?':
        help();
        return true;
    case 'x':
    case 'p':
        if (key == 'x') {
            fputs("\n", stderr); /* the shell's prompt gets a line of its own */
        }
        if (c->user.escape != NULL) {
            c->user.escape(c->user.opaque, (char)key);
        }
        return true;
    default:
        return false;
    }
}

size_t chardev_filter_escapes(struct chardev *c, uint8_t *buf, size_t len)
{
    size_t kept = 0;

    for (size_t i = 0; i < len; i++) {
        if (!c->escaped) {
            c->escaped = buf[i] == CTRL_A;
            if (!c->escaped) {
                buf[kept++] = buf[i];
            }
            continue;
        }
        c->escaped = false;
        if (buf[i] == 'a' || buf[i] == CTRL_A) {
            buf[kept++] = CTRL_A;
        } else if (!handle_key(c, buf[i])) {
            buf[kept++] = buf[i];
        }
    }
    return kept;
}
