/* SPDX-License-Identifier: MIT */
/*
 * A character back end's state, shared by chardev*.c. `lock` guards the output ring and the
 * flags; fds and input belong to the I/O thread once attached.
 */
#pragma once

#include "io/chardev.h"
#include <pthread.h>
#include <stdatomic.h>

#define CHARDEV_RING 65536u
#define CHARDEV_TYPED 4096u

struct chardev {
    struct io_loop *loop;
    struct chardev_user user;
    bool attached;

    /* ---- I/O thread ---- */
    int in_fd, out_fd;       /* -1: none. A socket has both the same */
    int listen_fd;           /* socket server */
    int hold_fd;             /* pty: our own open slave end */
    bool in_watched, out_watched;   /* the descriptor is in the loop */
    uint32_t in_events, out_events; /* what it waits for there */
    bool in_eof;
    bool escapes, escaped;   /* Ctrl-A handling; the last byte was Ctrl-A */
    uint8_t *typed;          /* escapes: input that the front end has no room for, so that Ctrl-A is
                                seen although the guest does not read */
    size_t ntyped;
    bool focus;              /* input goes to the sharer */
    struct chardev_sharer sharer; /* receive NULL: none */
    char *unlink_path;
    bool lossy;              /* pty, nobody need be connected: full ring drops its oldest */

    /* ---- lock ---- */
    pthread_mutex_t lock;
    uint8_t *ring;           /* NULL: output is thrown away */
    size_t head, used;
    bool flush_posted;       /* chardev_flush() is on its way, or waits for EPOLLOUT */
    bool user_waits;         /* a write was cut short */
    bool discard;            /* nobody can read it: no client, broken pipe, disk full */
    struct ringbuf *ringbuf; /* NULL: it is no ring buffer */
    struct chardev_tap *tap; /* chardev_tap.c; NULL: nothing is recorded */
    bool testdev;
    uint32_t test_arg;       /* testdev: digits so far */
    _Atomic bool input_stopped;
};

/* chardev_open.c: fill in fds. -errno, reported. */
int chardev_open_stdio(struct chardev *c) MUST_CHECK;
int chardev_open_file(struct chardev *c, const char *path) MUST_CHECK;
int chardev_open_pty(struct chardev *c) MUST_CHECK;

/* chardev_socket.c: "unix:..." or "tcp:..." */
int chardev_open_socket(struct chardev *c, const char *spec) MUST_CHECK;

/* chardev_escape.c: input of a back end that knows the Ctrl-A keys. */
/* May more be read from the descriptor? */
bool chardev_keys_room(const struct chardev *c);
/* Take what was read: keys are acted on, the rest goes where the focus is. len <= the room. */
void chardev_keys(struct chardev *c, const uint8_t *buf, size_t len);
/* Give the front end what it has room for; false: it has none and something waits. */
bool chardev_keys_deliver(struct chardev *c);

/* chardev_tap.c */
void chardev_tap_note(struct chardev *c, const uint8_t *buf, size_t len);
/* The front end has room for what was typed. Any thread. */
void chardev_tap_accept(struct chardev *c);
void chardev_tap_free(struct chardev *c);

/* chardev_testdev.c */
void chardev_testdev(struct chardev *c, const uint8_t *buf, size_t len);

/* chardev_ringbuf.c */
bool chardev_ringbuf_valid(const char *spec); /* what follows "ringbuf:" */
int chardev_open_ringbuf(struct chardev *c, const char *spec) MUST_CHECK;
void chardev_ringbuf_write(struct ringbuf *r, const uint8_t *buf, size_t len);
void chardev_ringbuf_close(struct chardev *c);

/* chardev.c: (re)start and stop watching a connected fd; I/O thread or before it runs. */
int chardev_connect_fd(struct chardev *c, int fd) MUST_CHECK;
