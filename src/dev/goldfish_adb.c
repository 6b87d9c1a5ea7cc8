/* SPDX-License-Identifier: MIT */
/*
 * adb through the goldfish pipe: the guest's adbd opens a pipe and says "accept"; when a debugger
 * has connected to our port, we say "ok", it says "start", and from then on bytes go both ways.
 * Then it opens the next pipe, for the next debugger. Connections wait in the listener's queue
 * while the guest is not there.
 *
 * Threads: sockets belong to the I/O thread. vCPUs (and resets) only change a link's state, with
 * the pipe's lock, and have adb_work() called on the I/O thread.
 */
#include "goldfish_service.h"

#include "io/io.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINKS 16u
#define CHUNK 4096u

static const char word_accept[] = "accept", word_ok[] = "ok", word_start[] = "start";

enum link_state { LINK_ACCEPT, LINK_WAIT, LINK_START, LINK_LIVE };

struct link {
    struct goldfish_adb *adb;
    bool used;
    struct goldfish_stream *stream; /* NULL: the guest has closed it */
    enum link_state state;
    int fd;          /* -1: none. The I/O thread's, as are its events */
    uint32_t events; /* what it is watched for; 0: it is not */
};

struct goldfish_adb {
    struct io_loop *io;
    struct goldfish_pipe *pipe;
    int listen;
    bool listening; /* the listener is watched; the I/O thread's */
    bool posted;    /* adb_work() will run; the pipe's lock, as are the links */
    struct link link[LINKS];
};

static void adb_work(void *opaque);

static void on_socket(void *opaque, uint32_t events)
{
    (void)events;
    adb_work(opaque);
}

/* Any thread, with the pipe's lock. */
static void post_work(struct goldfish_adb *a)
{
    if (!a->posted) {
        a->posted = io_post(a->io, adb_work, a) == 0;
    }
}

/* ---- the I/O thread ---- */
static void watch(struct link *l, uint32_t events)
{
    struct io_loop *io = l->adb->io;
    int err = 0;

    if (l->fd < 0 || events == l->events) {
        return;
    }
    if (events == 0) {
        io_fd_del(io, l->fd);
    } else {
        err = l->events == 0 ? io_fd_add(io, l->fd, events, on_socket, l->adb)
                             : io_fd_mod(io, l->fd, events);
    }
    l->events = err == 0 ? events : 0;
}

static void drop(struct link *l)
{
    watch(l, 0);
    if (l->fd >= 0) {
        close(l->fd);
    }
    if (l->stream != NULL) {
        *goldfish_stream_state(l->stream) = NULL;
        goldfish_stream_hang_up(l->stream);
    }
    *l = (struct link){.fd = -1};
}

/* The guest's next bytes are this word: take it. */
static bool take_word(struct link *l, const char *word)
{
    char buf[16];
    size_t len = strlen(word);

    if (goldfish_stream_peek(l->stream, buf, len) < len) {
        return false;
    }
    goldfish_stream_skip(l->stream, len);
    return memcmp(buf, word, len) == 0;
}

static void accept_debugger(struct link *l)
{
    int on = 1, fd = accept4(l->adb->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        l->fd = fd;
        l->state = LINK_START;
        (void)goldfish_stream_put(l->stream, word_ok, strlen(word_ok)); /* nothing is before it */
    }
}

/* False: the debugger is gone. */
static bool to_debugger(struct link *l)
{
    char buf[CHUNK];

    for (size_t n; (n = goldfish_stream_peek(l->stream, buf, sizeof buf)) > 0;) {
        ssize_t sent = send(l->fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        goldfish_stream_skip(l->stream, (size_t)sent);
    }
    return true;
}

static bool from_debugger(struct link *l)
{
    char buf[CHUNK];

    for (size_t room; (room = goldfish_stream_room(l->stream)) > 0;) {
        ssize_t n = recv(l->fd, buf, room < sizeof buf ? room : sizeof buf, MSG_DONTWAIT);
        if (n <= 0) {
            return n < 0 && (errno == EAGAIN || errno == EINTR);
        }
        (void)goldfish_stream_put(l->stream, buf, (size_t)n); /* there is room */
    }
    return true;
}

static void serve(struct link *l)
{
    if (l->state == LINK_ACCEPT && take_word(l, word_accept)) {
        l->state = LINK_WAIT;
    }
    if (l->state == LINK_WAIT) {
        accept_debugger(l);
    }
    if (l->state == LINK_START && take_word(l, word_start)) {
        l->state = LINK_LIVE;
    }
    if (l->state != LINK_LIVE) {
        return;
    }
    if (!to_debugger(l) || !from_debugger(l)) {
        drop(l);
        return;
    }
    watch(l, (goldfish_stream_room(l->stream) > 0 ? EPOLLIN : 0u) |
                 (goldfish_stream_pending(l->stream) > 0 ? EPOLLOUT : 0u));
}

/* Whether a guest waits for a debugger decides whether we look for one. */
static void watch_listener(struct goldfish_adb *a, bool wanted)
{
    if (wanted && !a->listening) {
        a->listening = io_fd_add(a->io, a->listen, EPOLLIN, on_socket, a) == 0;
    } else if (!wanted && a->listening) {
        io_fd_del(a->io, a->listen);
        a->listening = false;
    }
}

static void adb_work(void *opaque)
{
    struct goldfish_adb *a = opaque;
    bool waits = false;

    goldfish_pipe_lock(a->pipe);
    a->posted = false;
    for (unsigned i = 0; i < LINKS; i++) {
        struct link *l = &a->link[i];
        if (l->used && l->stream == NULL) {
            drop(l);
        } else if (l->used) {
            serve(l);
        }
        waits = waits || (l->used && l->state == LINK_WAIT);
    }
    watch_listener(a, waits);
    goldfish_pipe_unlock(a->pipe);
}

/* ---- the service ---- */
static bool adb_open(struct goldfish_stream *s, const char *arguments)
{
    struct goldfish_adb *a = goldfish_stream_adb(s);

    (void)arguments; /* the port of the guest's adbd, 5555 */
    for (unsigned i = 0; a != NULL && i < LINKS; i++) {
        if (!a->link[i].used) {
            a->link[i] = (struct link){.adb = a, .used = true, .stream = s, .fd = -1};
            *goldfish_stream_state(s) = &a->link[i];
            return true;
        }
    }
    return false;
}

static void adb_changed(struct goldfish_stream *s)
{
    const struct link *l = *goldfish_stream_state(s);

    if (l != NULL) {
        post_work(l->adb);
    }
}

static void adb_close(struct goldfish_stream *s)
{
    struct link *l = *goldfish_stream_state(s);

    if (l != NULL) {
        l->stream = NULL;
        post_work(l->adb);
    }
}

const struct goldfish_service goldfish_adb_service = {
    .name = "qemud:adb",
    .open = adb_open,
    .received = adb_changed,
    .room = adb_changed,
    .close = adb_close,
};

/* ---- life cycle ---- */
static int start_listening(struct goldfish_adb *a, const char *where)
{
    struct sockaddr_in addr;
    int on = 1;

    if (!goldfish_adb_address(where, &addr)) {
        return -EINVAL;
    }
    a->listen = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (a->listen < 0) {
        return -errno;
    }
    setsockopt(a->listen, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    return bind(a->listen, (const struct sockaddr *)&addr, sizeof addr) == 0 &&
                   listen(a->listen, 4) == 0
               ? 0
               : -errno;
}

int goldfish_adb_create(struct io_loop *io, struct goldfish_pipe *pipe, const char *where,
                        struct goldfish_adb **out)
{
    struct goldfish_adb *a = calloc(1, sizeof *a);

    if (a == NULL) {
        return -ENOMEM;
    }
    a->io = io;
    a->pipe = pipe;
    a->listen = -1;
    int err = start_listening(a, where);
    if (err != 0) {
        goldfish_adb_destroy(a);
        return err;
    }
    *out = a;
    return 0;
}

void goldfish_adb_destroy(struct goldfish_adb *a)
{
    if (a == NULL) {
        return;
    }
    for (unsigned i = 0; i < LINKS; i++) {
        if (a->link[i].used) {
            drop(&a->link[i]);
        }
    }
    watch_listener(a, false);
    if (a->listen >= 0) {
        close(a->listen);
    }
    free(a);
}
