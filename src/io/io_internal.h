/* SPDX-License-Identifier: MIT */
/*
 * The I/O loop's state, shared by io_loop.c and io_timer.c. Locks: `lock` (watches, posts) and
 * `timer_lock` (heap); neither nests in the other, no callback runs under either.
 */
#pragma once

#include "io/io.h"
#include <pthread.h>
#include <stdatomic.h>

struct io_watch;
struct io_post;

struct io_loop {
    int epfd, evfd, tfd;
    pthread_t thread;
    bool running;            /* written by start and stop only */
    _Atomic bool stop;

    pthread_mutex_t lock;
    pthread_cond_t idle;     /* `current` changed */
    struct io_watch *watch;  /* by file descriptor */
    size_t nwatch;
    uint32_t next_generation;
    uint32_t current;        /* generation of the watch whose callback runs; 0 = none */
    struct io_post *posts, *last_post;

    pthread_mutex_t timer_lock;
    struct io_timer **heap;  /* binary min-heap by deadline; element 0 is the next */
    unsigned ntimers, heap_room;
    uint64_t programmed;     /* what the timerfd is set to; UINT64_MAX = not set */
};

/* Run the timers that are due; on the I/O thread. */
void io_timers_run(struct io_loop *l);
