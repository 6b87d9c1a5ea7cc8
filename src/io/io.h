/* SPDX-License-Identifier: MIT */
/*
 * The I/O thread: an epoll loop that owns device back ends, and timers. Callbacks run on the I/O
 * thread.
 */
#pragma once

#include "base/types.h"

struct io_loop;
struct io_timer {
    void (*fn)(void *opaque);
    void *opaque;
    uint64_t deadline; /* CLOCK_MONOTONIC ns; UINT64_MAX = idle; private to io */
    unsigned heap_index;
    struct io_loop *loop;
};

int io_loop_create(struct io_loop **out) MUST_CHECK; /* -errno */
int io_loop_start(struct io_loop *l) MUST_CHECK;      /* starts the thread */
void io_loop_stop(struct io_loop *l);                 /* stops and joins */
void io_loop_destroy(struct io_loop *l);
/* Watch fd for EPOLL* events; the callback gets them. -errno. Any thread. */
typedef void io_fd_fn(void *opaque, uint32_t events);
int io_fd_add(struct io_loop *l, int fd, uint32_t events, io_fd_fn *fn, void *opaque) MUST_CHECK;
int io_fd_mod(struct io_loop *l, int fd, uint32_t events) MUST_CHECK;
/* Afterwards the callback no longer runs, unless called from itself. */
void io_fd_del(struct io_loop *l, int fd);
/* Run fn once on the I/O thread, soon. Any thread. */
int io_post(struct io_loop *l, void (*fn)(void *opaque), void *opaque) MUST_CHECK;
/* Timers: absolute CLOCK_MONOTONIC ns. Setting again moves it. Any thread; cheap when not
   earlier than the next wake-up. */
void io_timer_init(struct io_timer *t, struct io_loop *l, void (*fn)(void *), void *opaque);
void io_timer_set(struct io_timer *t, uint64_t deadline_ns);
void io_timer_cancel(struct io_timer *t); /* the callback may still be running on the I/O thread */
uint64_t io_now_ns(void);
