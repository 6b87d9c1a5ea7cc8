/* SPDX-License-Identifier: MIT */
/*
 * "testdev": the character device by which ARM unit-test frameworks give their exit status. A
 * command is an optional decimal number and a letter; "q" ends the emulator with the status
 * number * 2 + 1. Everything else is passed over.
 */
#include "chardev_internal.h"

void chardev_testdev(struct chardev *c, const uint8_t *buf, size_t len)
{
    bool quit = false;
    uint32_t arg = 0;

    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < len && !quit; i++) {
        if (buf[i] >= '0' && buf[i] <= '9') {
            c->test_arg = c->test_arg * 10 + (buf[i] - (uint32_t)'0');
            continue;
        }
        quit = buf[i] == 'q';
        arg = c->test_arg;
        c->test_arg = 0;
    }
    pthread_mutex_unlock(&c->lock);
    if (quit && c->user.quit != NULL) {
        c->user.quit(c->user.opaque, (int)((arg << 1 | 1) & 0xff));
    }
}
