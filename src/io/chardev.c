/* SPDX-License-Identifier: MIT */
/*
 * Character back ends: the output ring, input with back-pressure, the calls of the front end. How
 * the file descriptors come to be is chardev_open.c.
 *
 * Threads: chardev_write() and chardev_accept_input() from any thread; the rest on the I/O
 * thread. Lock: chardev.lock (leaf); it is not held while a callback of the front end runs. A
 * file descriptor that epoll refuses (regular file, /dev/null) never blocks and is read and
 * written directly.
 */
#include "chardev_internal.h"
#include "base/log.h"
#include "io/io.h"
#include "io/unix_path.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void post_flush(void *opaque);
static void post_input(void *opaque);

/* ---- output ---- */
/* Write to a descriptor that may be a socket whose peer is gone. */
static ssize_t write_some(int fd, const uint8_t *p, size_t len)
{
    ssize_t n = send(fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);

    return n < 0 && errno == ENOTSOCK ? write(fd, p, len) : n;
}

/* Empty the ring as far as the descriptor takes it. 0, or the error that stopped it. */
static int drain_locked(struct chardev *c)
{
    while (c->used > 0) {
        size_t n = CHARDEV_RING - c->head < c->used ? CHARDEV_RING - c->head : c->used;
        ssize_t done = c->out_fd < 0 || c->discard ? (ssize_t)n
                                                   : write_some(c->out_fd, c->ring + c->head, n);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            return errno;
        }
        c->head = (c->head + (size_t)done) % CHARDEV_RING;
        c->used -= (size_t)done;
    }
    return 0;
}

/* Tell epoll what to wait for, if that changed. I/O thread. */
static void set_events(struct chardev *c)
{
    pthread_mutex_lock(&c->lock);
    bool blocked = c->flush_posted && c->used > 0;
    pthread_mutex_unlock(&c->lock);
    uint32_t out = blocked ? EPOLLOUT : 0;
    uint32_t in = atomic_load(&c->input_stopped) && !chardev_keys_room(c) ? 0 : EPOLLIN;
    int err = 0;

    if (c->in_watched) {
        uint32_t want = c->in_fd == c->out_fd ? in | out : in;
        if (want != c->in_events) {
            err = io_fd_mod(c->loop, c->in_fd, want);
            c->in_events = want;
        }
    }
    if (c->out_watched && out != c->out_events) {
        err = io_fd_mod(c->loop, c->out_fd, out);
        c->out_events = out;
    }
    VM_CHECK(err == 0);
}

/* A write was cut short, whoever's it was. */
static void tell_sent(struct chardev *c)
{
    if (c->user.sent != NULL) {
        c->user.sent(c->user.opaque);
    }
    if (c->sharer.sent != NULL) {
        c->sharer.sent(c->sharer.opaque);
    }
}

/* Flush on the I/O thread. */
static void flush(struct chardev *c)
{
    pthread_mutex_lock(&c->lock);
    int err = drain_locked(c);
    if (err != 0 && err != EAGAIN) {
        if (!c->discard && err != EPIPE && err != ECONNRESET) {
            log_warn("serial output is lost from here on: %s", strerror(err));
        }
        c->discard = true;
        drain_locked(c);
        err = 0;
    }
    c->flush_posted = err == EAGAIN;
    bool tell = c->user_waits && c->used < CHARDEV_RING / 2;
    if (tell) {
        c->user_waits = false;
    }
    pthread_mutex_unlock(&c->lock);
    set_events(c);
    if (tell) {
        tell_sent(c);
    }
}

static void post_flush(void *opaque)
{
    flush(opaque);
}

static size_t write_ring(struct chardev *c, const uint8_t *buf, size_t len)
{
    bool post = false;

    if (c->ring == NULL) {
        if (c->testdev) {
            chardev_testdev(c, buf, len);
        } else if (c->ringbuf != NULL) {
            chardev_ringbuf_write(c->ringbuf, buf, len);
        }
        return len;
    }
    pthread_mutex_lock(&c->lock);
    if (c->lossy && len <= CHARDEV_RING && CHARDEV_RING - c->used < len) {
        size_t drop = len - (CHARDEV_RING - c->used);
        c->head = (c->head + drop) % CHARDEV_RING;
        c->used -= drop;
    }
    size_t n = CHARDEV_RING - c->used < len ? CHARDEV_RING - c->used : len;
    for (size_t done = 0; done < n;) {
        size_t at = (c->head + c->used) % CHARDEV_RING;
        size_t part = CHARDEV_RING - at < n - done ? CHARDEV_RING - at : n - done;
        memcpy(c->ring + at, buf + done, part);
        c->used += part;
        done += part;
    }
    if (n < len) {
        c->user_waits = true;
    }
    if (n > 0 && !c->flush_posted) {
        c->flush_posted = post = true;
    }
    pthread_mutex_unlock(&c->lock);
    if (post && io_post(c->loop, post_flush, c) != 0) {
        pthread_mutex_lock(&c->lock);
        c->flush_posted = false; /* the next write tries again */
        pthread_mutex_unlock(&c->lock);
    }
    return n;
}

size_t chardev_write(struct chardev *c, const uint8_t *buf, size_t len)
{
    size_t n = write_ring(c, buf, len);

    if (c->tap != NULL) {
        chardev_tap_note(c, buf, n);
    }
    return n;
}

/* ---- input ---- */
/* Nobody reads our output any more: drop it and let a waiting front end go on. */
static void discard_output(struct chardev *c)
{
    pthread_mutex_lock(&c->lock);
    c->discard = true;
    drain_locked(c);
    c->flush_posted = false;
    bool tell = c->user_waits;
    c->user_waits = false;
    pthread_mutex_unlock(&c->lock);
    if (tell) {
        tell_sent(c);
    }
}

/*
 * End of input. The descriptor leaves the loop, since epoll reports a hang-up for ever; a server
 * goes back to waiting for the next client.
 */
static void disconnect(struct chardev *c)
{
    bool both = c->in_fd == c->out_fd;

    if (c->in_watched) {
        io_fd_del(c->loop, c->in_fd);
        c->in_watched = false;
    }
    c->in_eof = true;
    if (!both) {
        return;
    }
    pthread_mutex_lock(&c->lock);
    close(c->in_fd);
    c->in_fd = c->out_fd = -1;
    pthread_mutex_unlock(&c->lock);
    discard_output(c);
    if (c->listen_fd >= 0) {
        VM_CHECK(io_fd_mod(c->loop, c->listen_fd, EPOLLIN) == 0);
    }
}

/* Room of the front end; 0: it will call chardev_accept_input() when there is some. */
static size_t front_room(struct chardev *c)
{
    size_t room = c->user.room(c->user.opaque);

    if (room == 0) {
        atomic_store(&c->input_stopped, true);
        /* The front end may have made room before it could see the flag. */
        room = c->user.room(c->user.opaque);
        if (room != 0) {
            atomic_store(&c->input_stopped, false);
        }
    }
    return room;
}

/* Read what there is room for. Returns false when there is nothing (more) to read now. */
static bool input_once(struct chardev *c)
{
    uint8_t buf[256];
    size_t room = c->escapes ? CHARDEV_TYPED - c->ntyped : front_room(c);

    if (room == 0) {
        return false;
    }
    ssize_t n = read(c->in_fd, buf, room < sizeof buf ? room : sizeof buf);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    if (n <= 0) {
        disconnect(c);
        return false;
    }
    if (c->escapes) {
        chardev_keys(c, buf, (size_t)n);
        chardev_keys_deliver(c);
    } else {
        c->user.receive(c->user.opaque, buf, (size_t)n);
    }
    return true;
}

static void input(struct chardev *c)
{
    chardev_keys_deliver(c);
    if (c->in_fd < 0 || c->in_eof) {
        return;
    }
    if (c->in_watched) {
        input_once(c); /* level-triggered: comes back while there is more */
        set_events(c);
    } else {
        while (input_once(c)) {
        }
    }
}

static void post_input(void *opaque)
{
    struct chardev *c = opaque;

    atomic_store(&c->input_stopped, false);
    input(c);
}

void chardev_accept_input(struct chardev *c)
{
    if (c->tap != NULL) {
        chardev_tap_accept(c);
    }
    if (atomic_exchange(&c->input_stopped, false) && io_post(c->loop, post_input, c) != 0) {
        atomic_store(&c->input_stopped, true);
    }
}

static void on_event(void *opaque, uint32_t events)
{
    struct chardev *c = opaque;

    if (events & EPOLLOUT) {
        flush(c);
    }
    if (events & (EPOLLHUP | EPOLLERR)) {
        /* Reported for ever from now on: leave the loop, and read what is left like a file. */
        io_fd_del(c->loop, c->in_fd);
        c->in_watched = false;
    }
    if (!atomic_load(&c->input_stopped) || chardev_keys_room(c)) {
        input(c);
    }
}

static void on_out_event(void *opaque, uint32_t events)
{
    struct chardev *c = opaque;

    if (events & (EPOLLERR | EPOLLHUP)) {
        io_fd_del(c->loop, c->out_fd);
        c->out_watched = false;
        discard_output(c);
    } else {
        flush(c);
    }
}

int chardev_connect_fd(struct chardev *c, int fd)
{
    int err = io_fd_add(c->loop, fd, EPOLLIN, on_event, c);

    if (err != 0) {
        return err;
    }
    pthread_mutex_lock(&c->lock);
    c->in_fd = c->out_fd = fd;
    c->discard = false;
    pthread_mutex_unlock(&c->lock);
    c->in_eof = false;
    c->in_watched = true;
    c->in_events = EPOLLIN;
    return 0;
}

/* A descriptor that epoll refuses stays unwatched; that is no error. */
static int watch_one(struct chardev *c, int fd, uint32_t events, io_fd_fn *fn, bool *watched)
{
    int err = io_fd_add(c->loop, fd, events, fn, c);

    *watched = err == 0;
    return err == -EPERM ? 0 : err;
}

static int watch(struct chardev *c)
{
    int err = 0;

    if (c->in_fd >= 0 && c->in_fd == c->out_fd) {
        return chardev_connect_fd(c, c->in_fd);
    }
    if (c->in_fd >= 0) {
        err = watch_one(c, c->in_fd, EPOLLIN, on_event, &c->in_watched);
        c->in_events = EPOLLIN;
    }
    if (err == 0 && c->out_fd >= 0) {
        err = watch_one(c, c->out_fd, 0, on_out_event, &c->out_watched);
    }
    return err;
}

void chardev_attach(struct chardev *c, const struct chardev_user *user)
{
    c->user = *user;
    c->attached = true;
    if (watch(c) != 0) {
        log_warn("serial port: input and output are not available");
        return;
    }
    if (!c->in_watched && c->in_fd >= 0 && io_post(c->loop, post_input, c) != 0) {
        log_warn("serial port: input is not available");
    }
}

void chardev_share(struct chardev *c, const struct chardev_sharer *sharer)
{
    c->sharer = sharer != NULL ? *sharer : (struct chardev_sharer){0};
    c->focus = false;
}

void chardev_close(struct chardev *c)
{
    if (c == NULL) {
        return;
    }
    while (c->used > 0 && drain_locked(c) == EAGAIN) {
        struct pollfd p = {.fd = c->out_fd, .events = POLLOUT};
        if (poll(&p, 1, 1000) <= 0) {
            break;
        }
    }
    if (c->in_watched) {
        io_fd_del(c->loop, c->in_fd);
    }
    if (c->out_watched) {
        io_fd_del(c->loop, c->out_fd);
    }
    if (c->listen_fd >= 0) {
        io_fd_del(c->loop, c->listen_fd);
        close(c->listen_fd);
    }
    if (c->out_fd > STDERR_FILENO) {
        close(c->out_fd);
    }
    if (c->in_fd > STDERR_FILENO && c->in_fd != c->out_fd) {
        close(c->in_fd);
    }
    if (c->hold_fd >= 0) {
        close(c->hold_fd);
    }
    if (c->unlink_path != NULL) {
        (void)unix_path_free(c->unlink_path);
        free(c->unlink_path);
    }
    chardev_ringbuf_close(c);
    chardev_tap_free(c);
    pthread_mutex_destroy(&c->lock);
    free(c->ring);
    free(c->typed);
    free(c);
}
