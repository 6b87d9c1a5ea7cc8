/* SPDX-License-Identifier: MIT */
/*
 * Monitors on character back ends (io/chardev.h): one of their own on the monitor thread, or the
 * serial port's, which belongs to the I/O thread and is shared with the guest's console. What comes
 * from there is posted to the monitor thread.
 */
#include "monitor_internal.h"

#include "base/log.h"
#include "board.h"
#include "io/chardev.h"
#include "io/io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_ROOM 4096u

static ssize_t backend_write(struct session *s, const char *buf, size_t len)
{
    return (ssize_t)chardev_write(s->chr, (const uint8_t *)buf, len);
}

static int no_poll_fd(const struct session *s)
{
    (void)s;
    return -1; /* chardev_close() waits itself */
}

/* ---- one of our own ---- */
static size_t own_room(void *opaque)
{
    const struct session *s = opaque;

    return s->listening ? INPUT_ROOM : 0;
}

static void own_receive(void *opaque, const uint8_t *buf, size_t len)
{
    session_receive(opaque, (const char *)buf, len);
    session_settle(opaque);
}

static void own_sent(void *opaque)
{
    session_writable(opaque);
    session_settle(opaque);
}

static void own_escape(void *opaque, char key)
{
    struct session *s = opaque;

    board_console_key(s->mon->vm, key);
}

static void own_update(struct session *s)
{
    if (s->listening) {
        chardev_accept_input(s->chr);
    }
}

static void own_close(struct session *s)
{
    chardev_close(s->chr);
}

static const struct transport own_transport = {
    .write = backend_write,
    .update = own_update,
    .lasting = true,
    .poll_fd = no_poll_fd,
    .close = own_close,
};

int backend_open(struct monitor *m, enum monitor_mode mode, bool pretty, const char *spec)
{
    struct chardev *c;
    int err = chardev_open(m->loop, spec, &c);

    if (err != 0) {
        return err;
    }
    struct session *s = session_create(m, mode, &own_transport);
    if (s == NULL) {
        chardev_close(c);
        return -ENOMEM;
    }
    s->chr = c;
    s->control.pretty = pretty;
    s->human.echo = true;
    chardev_attach(c, &(struct chardev_user){.room = own_room, .receive = own_receive,
                                             .sent = own_sent, .escape = own_escape, .opaque = s});
    session_greet(s);
    session_settle(s);
    return 0;
}

/* ---- the guest's console ---- */
struct typed {
    struct session *s;
    size_t len;
    char text[];
};

static void take_typed(void *opaque)
{
    struct typed *t = opaque;

    session_receive(t->s, t->text, t->len);
    session_settle(t->s);
    free(t);
}

/* I/O thread. */
static void console_receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct session *s = opaque;
    struct typed *t = malloc(sizeof *t + len);

    if (t == NULL) {
        return; /* a key that is lost; the user sees no echo and types it again */
    }
    t->s = s;
    t->len = len;
    memcpy(t->text, buf, len);
    if (io_post(s->mon->loop, take_typed, t) != 0) {
        free(t);
    }
}

static void greet(void *opaque)
{
    struct session *s = opaque;

    human_greet(s);
    session_settle(s);
}

/* I/O thread: Ctrl-A c. */
static void console_focus(void *opaque)
{
    struct session *s = opaque;

    if (io_post(s->mon->loop, greet, s) != 0) {
        log_warn("the monitor does not answer: out of memory");
    }
}

static void writable(void *opaque)
{
    own_sent(opaque);
}

/* I/O thread. */
static void console_sent(void *opaque)
{
    struct session *s = opaque;

    if (io_post(s->mon->loop, writable, s) != 0) {
        log_warn("output of the monitor waits for its next line: out of memory");
    }
}

static void console_update(struct session *s)
{
    (void)s; /* a person types: there is nothing to hold back */
}

static void console_close(struct session *s)
{
    chardev_share(s->chr, NULL);
}

static const struct transport console_transport = {
    .write = backend_write,
    .update = console_update,
    .lasting = true,
    .poll_fd = no_poll_fd,
    .close = console_close,
};

int backend_share_console(struct monitor *m)
{
    struct session *s = session_create(m, MONITOR_HUMAN, &console_transport);

    if (s == NULL) {
        return -ENOMEM;
    }
    s->chr = board_serial(m->vm);
    s->human.echo = true;
    chardev_share(s->chr, &(struct chardev_sharer){.receive = console_receive,
                                                   .focus = console_focus, .sent = console_sent,
                                                   .opaque = s});
    return 0;
}
