/* SPDX-License-Identifier: MIT */
/*
 * Timers of the I/O thread: a binary heap by deadline over one timerfd.
 *
 * Setting or cancelling a timer touches the kernel only when the new deadline is earlier than what
 * the timerfd is set to; a guest that pushes its timer back at each tick costs a heap move. Lock:
 * timer_lock; callbacks run without it.
 */
#include "io_internal.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define IDLE UINT64_MAX

uint64_t io_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void io_timer_init(struct io_timer *t, struct io_loop *l, void (*fn)(void *), void *opaque)
{
    *t = (struct io_timer){.fn = fn, .opaque = opaque, .deadline = IDLE, .loop = l};
}

static void place(struct io_loop *l, struct io_timer *t, unsigned i)
{
    l->heap[i] = t;
    t->heap_index = i;
}

static void sift_up(struct io_loop *l, unsigned i)
{
    struct io_timer *t = l->heap[i];

    while (i > 0 && l->heap[(i - 1) / 2]->deadline > t->deadline) {
        place(l, l->heap[(i - 1) / 2], i);
        i = (i - 1) / 2;
    }
    place(l, t, i);
}

static void sift_down(struct io_loop *l, unsigned i)
{
    struct io_timer *t = l->heap[i];

    for (;;) {
        unsigned child = 2 * i + 1;
        if (child >= l->ntimers) {
            break;
        }
        if (child + 1 < l->ntimers && l->heap[child + 1]->deadline < l->heap[child]->deadline) {
            child++;
        }
        if (l->heap[child]->deadline >= t->deadline) {
            break;
        }
        place(l, l->heap[child], i);
        i = child;
    }
    place(l, t, i);
}

static void heap_remove_locked(struct io_loop *l, struct io_timer *t)
{
    unsigned i = t->heap_index;
    struct io_timer *last = l->heap[--l->ntimers];

    t->deadline = IDLE;
    if (last != t) {
        place(l, last, i);
        sift_up(l, i);
        sift_down(l, last->heap_index);
    }
}

static void heap_add_locked(struct io_loop *l, struct io_timer *t)
{
    if (l->ntimers == l->heap_room) {
        unsigned room = l->heap_room ? 2 * l->heap_room : 16;
        struct io_timer **heap = realloc(l->heap, room * sizeof(struct io_timer *));
        VM_CHECK(heap != NULL); /* a few pointers; the board has a fixed number of timers */
        l->heap = heap;
        l->heap_room = room;
    }
    place(l, t, l->ntimers++);
    sift_up(l, t->heap_index);
}

static void program_locked(struct io_loop *l, uint64_t deadline)
{
    struct itimerspec its = {
        .it_value = {.tv_sec = (time_t)(deadline / 1000000000u),
                     .tv_nsec = (long)(deadline % 1000000000u)},
    };

    if (deadline == 0) {
        its.it_value.tv_nsec = 1; /* zero would disarm */
    }
    if (timerfd_settime(l->tfd, TFD_TIMER_ABSTIME, &its, NULL) != 0) {
        vm_bug("timerfd_settime: %s", strerror(errno));
    }
    l->programmed = deadline;
}

void io_timer_set(struct io_timer *t, uint64_t deadline_ns)
{
    struct io_loop *l = t->loop;

    /* Beyond a century time_t arithmetic in the kernel saturates; such a timer never fires
       anyway. */
    if (deadline_ns > (uint64_t)INT64_MAX / 2) {
        io_timer_cancel(t);
        return;
    }
    pthread_mutex_lock(&l->timer_lock);
    if (t->deadline == IDLE) {
        t->deadline = deadline_ns;
        heap_add_locked(l, t);
    } else {
        t->deadline = deadline_ns;
        sift_up(l, t->heap_index);
        sift_down(l, t->heap_index);
    }
    if (deadline_ns < l->programmed) {
        program_locked(l, deadline_ns);
    }
    pthread_mutex_unlock(&l->timer_lock);
}

void io_timer_cancel(struct io_timer *t)
{
    struct io_loop *l = t->loop;

    pthread_mutex_lock(&l->timer_lock);
    if (t->deadline != IDLE) {
        heap_remove_locked(l, t);
    }
    pthread_mutex_unlock(&l->timer_lock);
}

void io_timers_run(struct io_loop *l)
{
    uint64_t expirations;

    if (read(l->tfd, &expirations, sizeof expirations) < 0 && errno != EAGAIN && errno != EINTR) {
        vm_bug("timerfd of the I/O loop: %s", strerror(errno));
    }
    pthread_mutex_lock(&l->timer_lock);
    l->programmed = IDLE;
    while (l->ntimers > 0 && l->heap[0]->deadline <= io_now_ns()) {
        struct io_timer *t = l->heap[0];
        void (*fn)(void *) = t->fn;
        void *opaque = t->opaque;
        heap_remove_locked(l, t);
        pthread_mutex_unlock(&l->timer_lock);
        fn(opaque);
        pthread_mutex_lock(&l->timer_lock);
    }
    if (l->ntimers > 0 && l->heap[0]->deadline < l->programmed) {
        program_locked(l, l->heap[0]->deadline);
    }
    pthread_mutex_unlock(&l->timer_lock);
}
