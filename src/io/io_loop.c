/* SPDX-License-Identifier: MIT */
/*
 * The I/O thread: epoll over device back ends, an eventfd for work posted by other threads, a
 * timerfd for the timers of io_timer.c.
 *
 * Owns: the epoll set and the watch table. Lock: io_loop.lock guards the table and the post list;
 * no callback runs with it held. io_fd_del() waits until a callback of that fd that is running
 * has returned, so the caller may free what the callback uses.
 */
#include "io_internal.h"
#include "base/log.h"
#include "base/rcu.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define MAX_EVENTS 16

struct io_watch {
    io_fd_fn *fn;
    void *opaque;
    uint32_t generation; /* 0: unused slot */
};

struct io_post {
    struct io_post *next;
    void (*fn)(void *opaque);
    void *opaque;
};

/* epoll's user word: file descriptor and generation, so that an event of a closed fd is not
   delivered. */
static uint64_t event_key(int fd, uint32_t generation)
{
    return (uint64_t)generation << 32 | (uint32_t)fd;
}

static int add_internal(struct io_loop *l, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = event_key(fd, 0)};

    return epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &ev) == 0 ? 0 : -errno;
}

int io_loop_create(struct io_loop **out)
{
    struct io_loop *l = calloc(1, sizeof *l);
    int err = 0;

    if (l == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&l->lock, NULL);
    pthread_mutex_init(&l->timer_lock, NULL);
    pthread_cond_init(&l->idle, NULL);
    l->next_generation = 1;
    l->programmed = UINT64_MAX;
    l->epfd = epoll_create1(EPOLL_CLOEXEC);
    l->evfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->tfd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (l->epfd < 0 || l->evfd < 0 || l->tfd < 0) {
        err = -errno;
    }
    if (err == 0) {
        err = add_internal(l, l->evfd);
    }
    if (err == 0) {
        err = add_internal(l, l->tfd);
    }
    if (err != 0) {
        io_loop_destroy(l);
        return err;
    }
    *out = l;
    return 0;
}

void io_loop_destroy(struct io_loop *l)
{
    if (l == NULL) {
        return;
    }
    while (l->posts != NULL) {
        struct io_post *p = l->posts;
        l->posts = p->next;
        free(p);
    }
    if (l->tfd >= 0) {
        close(l->tfd);
    }
    if (l->evfd >= 0) {
        close(l->evfd);
    }
    if (l->epfd >= 0) {
        close(l->epfd);
    }
    pthread_cond_destroy(&l->idle);
    pthread_mutex_destroy(&l->timer_lock);
    pthread_mutex_destroy(&l->lock);
    free(l->watch);
    free(l->heap);
    free(l);
}

static bool on_io_thread(const struct io_loop *l)
{
    return l->running && pthread_equal(pthread_self(), l->thread);
}

static void wake(struct io_loop *l)
{
    uint64_t one = 1;

    while (write(l->evfd, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

/* ---- file descriptors ---- */
static int watch_reserve_locked(struct io_loop *l, int fd)
{
    if ((size_t)fd >= l->nwatch) {
        size_t n = (size_t)fd + 32;
        struct io_watch *w = realloc(l->watch, n * sizeof *w);
        if (w == NULL) {
            return -ENOMEM;
        }
        memset(w + l->nwatch, 0, (n - l->nwatch) * sizeof *w);
        l->watch = w;
        l->nwatch = n;
    }
    return l->watch[fd].generation != 0 ? -EEXIST : 0;
}

int io_fd_add(struct io_loop *l, int fd, uint32_t events, io_fd_fn *fn, void *opaque)
{
    pthread_mutex_lock(&l->lock);
    int err = watch_reserve_locked(l, fd);
    if (err == 0) {
        uint32_t generation = l->next_generation++;
        struct epoll_event ev = {.events = events, .data.u64 = event_key(fd, generation)};
        if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &ev) != 0) {
            err = -errno;
        } else {
            l->watch[fd] = (struct io_watch){fn, opaque, generation};
        }
    }
    pthread_mutex_unlock(&l->lock);
    return err;
}

int io_fd_mod(struct io_loop *l, int fd, uint32_t events)
{
    int err = -ENOENT;

    pthread_mutex_lock(&l->lock);
    if (fd >= 0 && (size_t)fd < l->nwatch && l->watch[fd].generation != 0) {
        struct epoll_event ev = {.events = events,
                                 .data.u64 = event_key(fd, l->watch[fd].generation)};
        err = epoll_ctl(l->epfd, EPOLL_CTL_MOD, fd, &ev) == 0 ? 0 : -errno;
    }
    pthread_mutex_unlock(&l->lock);
    return err;
}

void io_fd_del(struct io_loop *l, int fd)
{
    pthread_mutex_lock(&l->lock);
    if (fd >= 0 && (size_t)fd < l->nwatch && l->watch[fd].generation != 0) {
        uint32_t generation = l->watch[fd].generation;
        epoll_ctl(l->epfd, EPOLL_CTL_DEL, fd, NULL);
        l->watch[fd].generation = 0;
        while (l->current == generation && !on_io_thread(l)) {
            pthread_cond_wait(&l->idle, &l->lock);
        }
    }
    pthread_mutex_unlock(&l->lock);
}

static void run_watch(struct io_loop *l, int fd, uint32_t generation, uint32_t events)
{
    struct io_watch w = {0};

    pthread_mutex_lock(&l->lock);
    if ((size_t)fd < l->nwatch && l->watch[fd].generation == generation) {
        w = l->watch[fd];
        l->current = generation;
    }
    pthread_mutex_unlock(&l->lock);
    if (w.fn == NULL) {
        return;
    }
    w.fn(w.opaque, events);
    pthread_mutex_lock(&l->lock);
    l->current = 0;
    pthread_cond_broadcast(&l->idle);
    pthread_mutex_unlock(&l->lock);
}

/* ---- posted work ---- */
int io_post(struct io_loop *l, void (*fn)(void *opaque), void *opaque)
{
    struct io_post *p = malloc(sizeof *p);

    if (p == NULL) {
        return -ENOMEM;
    }
    *p = (struct io_post){.fn = fn, .opaque = opaque};
    pthread_mutex_lock(&l->lock);
    bool first = l->posts == NULL;
    *(first ? &l->posts : &l->last_post->next) = p;
    l->last_post = p;
    pthread_mutex_unlock(&l->lock);
    if (first) {
        wake(l);
    }
    return 0;
}

static void run_posts(struct io_loop *l)
{
    uint64_t count;

    if (read(l->evfd, &count, sizeof count) < 0 && errno != EAGAIN && errno != EINTR) {
        vm_bug("eventfd of the I/O loop: %s", strerror(errno));
    }
    pthread_mutex_lock(&l->lock);
    struct io_post *p = l->posts;
    l->posts = l->last_post = NULL;
    pthread_mutex_unlock(&l->lock);
    while (p != NULL) {
        struct io_post *next = p->next;
        p->fn(p->opaque);
        free(p);
        p = next;
    }
}

/* ---- the thread ---- */
static void dispatch(struct io_loop *l, const struct epoll_event *ev)
{
    int fd = (int)(uint32_t)ev->data.u64;
    uint32_t generation = (uint32_t)(ev->data.u64 >> 32);

    if (generation != 0) {
        run_watch(l, fd, generation, ev->events);
    } else if (fd == l->evfd) {
        run_posts(l);
    } else {
        io_timers_run(l);
    }
}

static void *io_thread(void *opaque)
{
    struct io_loop *l = opaque;
    struct epoll_event ev[MAX_EVENTS];

    rcu_thread_register();
    while (!atomic_load(&l->stop)) {
        int n = epoll_wait(l->epfd, ev, MAX_EVENTS, -1);
        if (n < 0 && errno != EINTR) {
            vm_bug("epoll_wait: %s", strerror(errno));
        }
        for (int i = 0; i < n; i++) {
            dispatch(l, &ev[i]);
        }
    }
    rcu_thread_unregister();
    return NULL;
}

int io_loop_start(struct io_loop *l)
{
    sigset_t all, old;

    atomic_store(&l->stop, false);
    /* Signals go to the main thread; a fault of ours must still reach its handler. */
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_mutex_lock(&l->lock);
    int err = pthread_create(&l->thread, NULL, io_thread, l);
    l->running = err == 0;
    pthread_mutex_unlock(&l->lock);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (err == 0) {
        pthread_setname_np(l->thread, "io");
    }
    return -err;
}

void io_loop_stop(struct io_loop *l)
{
    if (!l->running) {
        return;
    }
    atomic_store(&l->stop, true);
    wake(l);
    pthread_join(l->thread, NULL);
    l->running = false;
}
