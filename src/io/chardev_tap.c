/* SPDX-License-Identifier: MIT */
/*
 * A window on a console: a record of its output, and keys typed by somebody who is not at its
 * input. What is typed waits here until the front end has room; it is delivered on the I/O thread.
 *
 * Lock: chardev.lock guards the record and what waits.
 */
#include "chardev_internal.h"
#include "io/io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct chardev_tap {
    uint8_t record[CHARDEV_RECORD]; /* byte n of the output is at n % CHARDEV_RECORD */
    uint64_t written;
    uint8_t typed[CHARDEV_TYPED];
    size_t ntyped;
    _Atomic bool stopped; /* something waits for chardev_accept_input() */
};

int chardev_record(struct chardev *c)
{
    if (c->tap == NULL) {
        c->tap = calloc(1, sizeof *c->tap);
    }
    return c->tap == NULL ? -ENOMEM : 0;
}

void chardev_tap_free(struct chardev *c)
{
    free(c->tap);
}

/* ---- output ---- */
void chardev_tap_note(struct chardev *c, const uint8_t *buf, size_t len)
{
    struct chardev_tap *t = c->tap;

    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < len; i++) {
        t->record[t->written++ % CHARDEV_RECORD] = buf[i];
    }
    pthread_mutex_unlock(&c->lock);
}

size_t chardev_recorded(struct chardev *c, uint64_t *from, uint8_t *buf, size_t size)
{
    struct chardev_tap *t = c->tap;

    pthread_mutex_lock(&c->lock);
    uint64_t oldest = t->written > CHARDEV_RECORD ? t->written - CHARDEV_RECORD : 0;
    uint64_t at = *from < oldest || *from > t->written ? oldest : *from;
    size_t n = t->written - at < size ? (size_t)(t->written - at) : size;
    for (size_t i = 0; i < n; i++) {
        buf[i] = t->record[(at + i) % CHARDEV_RECORD];
    }
    pthread_mutex_unlock(&c->lock);
    *from = at + n;
    return n;
}

/* ---- typing ---- */
/* Room of the front end; 0: it will call chardev_accept_input() when there is some. */
static size_t room_now(struct chardev *c)
{
    size_t room = c->user.room(c->user.opaque);

    if (room == 0) {
        atomic_store(&c->tap->stopped, true);
        /* It may have made room before it could see the flag. */
        room = c->user.room(c->user.opaque);
        if (room != 0) {
            atomic_store(&c->tap->stopped, false);
        }
    }
    return room;
}

static void deliver(void *opaque)
{
    struct chardev *c = opaque;
    struct chardev_tap *t = c->tap;
    uint8_t buf[256];

    for (size_t room; (room = room_now(c)) > 0;) {
        pthread_mutex_lock(&c->lock);
        size_t n = room < sizeof buf ? room : sizeof buf;
        n = n < t->ntyped ? n : t->ntyped;
        memcpy(buf, t->typed, n);
        t->ntyped -= n;
        memmove(t->typed, t->typed + n, t->ntyped);
        pthread_mutex_unlock(&c->lock);
        if (n == 0) {
            return;
        }
        c->user.receive(c->user.opaque, buf, n);
    }
}

size_t chardev_type(struct chardev *c, const uint8_t *buf, size_t len)
{
    struct chardev_tap *t = c->tap;

    pthread_mutex_lock(&c->lock);
    size_t n = len < CHARDEV_TYPED - t->ntyped ? len : CHARDEV_TYPED - t->ntyped;
    memcpy(t->typed + t->ntyped, buf, n);
    t->ntyped += n;
    pthread_mutex_unlock(&c->lock);
    if (n > 0 && io_post(c->loop, deliver, c) != 0) {
        atomic_store(&t->stopped, true); /* the front end's next sign of life delivers it */
    }
    return n;
}

void chardev_tap_accept(struct chardev *c)
{
    if (atomic_exchange(&c->tap->stopped, false) && io_post(c->loop, deliver, c) != 0) {
        atomic_store(&c->tap->stopped, true);
    }
}
