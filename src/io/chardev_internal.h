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

struct chardev {
    struct io_loop *loop;
    struct chardev_user user;
    bool attached;

    /* ---- I/O thread ---- */
    int in_fd, out_fd;       /* -1: none. A socket has both the same */
    int listen_fd;           /* unix server */
    int hold_fd;             /* pty: our own open slave end */
    bool in_watched, out_watched;   /* the descriptor is in the loop */
    uint32_t in_events, out_events; /* what it waits for there */
    bool in_eof;
    bool escapes, escaped;   /* Ctrl-A handling; the last byte was Ctrl-A */
    char *unlink_path;
    bool lossy;              /* pty, nobody need be connected: full ring drops its oldest */

    /* ---- lock ---- */
    pthread_mutex_t lock;
    uint8_t *ring;           /* NULL: output is thrown away */
    size_t head, used;
    bool flush_posted;       /* chardev_flush() is on its way, or waits for EPOLLOUT */
    bool user_waits;         /* a write was cut short */
    bool discard;            /* nobody can read it: no client, broken pipe, disk full */
    _Atomic bool input_stopped;
};

/* chardev_open.c: fill in fds. -errno, reported. */
int chardev_open_stdio(struct chardev *c) MUST_CHECK;
int chardev_open_file(struct chardev *c, const char *path) MUST_CHECK;
int chardev_open_unix(struct chardev *c, const char *spec) MUST_CHECK;
int chardev_open_pty(struct chardev *c) MUST_CHECK;

/* chardev_escape.c: take Ctrl-A sequences out of buf; returns what is left for the guest. */
size_t chardev_filter_escapes(struct chardev *c, uint8_t *buf, size_t len);

/* chardev.c: (re)start and stop watching a connected fd; I/O thread or before it runs. */
int chardev_connect_fd(struct chardev *c, int fd) MUST_CHECK;
