/* SPDX-License-Identifier: MIT */
/*
 * Monitors on sockets: "unix:" and "tcp:" addresses, listening for any number of clients or
 * connecting to one. Opened by the main thread before the machine runs, then the monitor thread's.
 *
 * Whoever can connect controls the machine and may read its memory: an empty TCP host is loopback.
 */
#include "monitor_internal.h"

#include "base/log.h"
#include "io/io.h"
#include "io/socket_address.h"
#include "io/unix_path.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX 32u /* of one listener; more wait in the queue of the socket */

struct listener {
    struct listener *next;
    struct monitor *mon;
    enum monitor_mode mode;
    bool pretty;
    int fd;
    char *unlink_path;
};

/* ---- clients ---- */
static ssize_t socket_write(struct session *s, const char *buf, size_t len)
{
    ssize_t n = send(s->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    }
    return n;
}

static void socket_update(struct session *s)
{
    uint32_t want = (s->listening && !s->ending ? EPOLLIN : 0u) | (s->out_len > 0 ? EPOLLOUT : 0u);

    if (want != s->events) {
        s->events = want;
        VM_CHECK(io_fd_mod(s->mon->loop, s->fd, want) == 0);
    }
}

static int socket_poll_fd(const struct session *s)
{
    return s->fd;
}

static void socket_close(struct session *s)
{
    io_fd_del(s->mon->loop, s->fd);
    close(s->fd);
}

static const struct transport socket_transport = {
    .write = socket_write,
    .update = socket_update,
    .poll_fd = socket_poll_fd,
    .close = socket_close,
};

static void read_socket(struct session *s)
{
    char buf[4096];
    ssize_t n = recv(s->fd, buf, sizeof buf, MSG_DONTWAIT);

    if (n > 0) {
        session_receive(s, buf, (size_t)n);
    } else if (n == 0) {
        s->ending = true; /* what it asked for is still sent */
        session_writable(s);
    } else if (errno != EAGAIN && errno != EINTR) {
        s->dead = true;
    }
}

static void on_client(void *opaque, uint32_t events)
{
    struct session *s = opaque;

    if (events & EPOLLOUT) {
        session_writable(s);
    }
    if ((events & EPOLLIN) && !s->dead) {
        read_socket(s);
    } else if (events & (EPOLLHUP | EPOLLERR)) {
        s->dead = true;
    }
    session_settle(s);
}

static int add_client(struct monitor *m, enum monitor_mode mode, bool pretty, int fd)
{
    int on = 1;
    struct session *s = session_create(m, mode, &socket_transport);

    if (s == NULL) {
        close(fd);
        return -ENOMEM;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* refused by Unix sockets */
    s->fd = fd;
    s->control.pretty = pretty;
    s->events = EPOLLIN;
    int err = io_fd_add(m->loop, fd, EPOLLIN, on_client, s);
    if (err != 0) {
        session_destroy(s);
        return err;
    }
    session_greet(s);
    session_settle(s);
    return 0;
}

static unsigned count_sessions(const struct monitor *m)
{
    unsigned n = 0;

    for (const struct session *s = m->sessions; s != NULL; s = s->next) {
        n++;
    }
    return n;
}

static void on_listener(void *opaque, uint32_t events)
{
    struct listener *l = opaque;
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (fd < 0) {
        return;
    }
    if (count_sessions(l->mon) >= CLIENTS_MAX) {
        close(fd);
    } else if (add_client(l->mon, l->mode, l->pretty, fd) != 0) {
        log_warn("a client of the monitor was turned away: out of memory or descriptors");
    }
}

/* ---- opening ---- */
static int serve(struct monitor *m, const struct listener *like, const struct socket_address *a,
                 const char *spec)
{
    struct listener *l = malloc(sizeof *l);
    int client = -1;

    if (l == NULL) {
        close(like->fd);
        return -ENOMEM;
    }
    *l = *like;
    l->unlink_path = a->tcp ? NULL : strdup(a->path);
    l->next = m->listeners;
    m->listeners = l;
    if (a->wait) {
        fprintf(stderr, "umbra: waiting for a client of the monitor at %s\n", spec);
        client = socket_address_accept(l->fd);
        if (client < 0) {
            return client;
        }
    }
    int err = client >= 0 ? add_client(m, l->mode, l->pretty, client) : 0;
    return err == 0 ? io_fd_add(m->loop, l->fd, EPOLLIN, on_listener, l) : err;
}

int sockets_open(struct monitor *m, enum monitor_mode mode, bool pretty, const char *spec)
{
    struct socket_address a;
    const char *why;

    if (!socket_address_parse(spec, &a, &why)) {
        log_error("monitor at %s: accepted: %s", spec, why);
        return -EINVAL;
    }
    int fd = socket_address_open(&a, &why);
    if (fd < 0) {
        log_error("monitor at %s: %s", spec, why);
        return fd;
    }
    int err = a.server ? serve(m, &(struct listener){.mon = m, .mode = mode, .pretty = pretty,
                                                     .fd = fd}, &a, spec)
                       : add_client(m, mode, pretty, fd);
    if (err != 0) {
        log_error("monitor at %s: %s", spec, strerror(-err));
    }
    return err;
}

void sockets_close(struct monitor *m)
{
    while (m->listeners != NULL) {
        struct listener *l = m->listeners;
        m->listeners = l->next;
        io_fd_del(m->loop, l->fd);
        close(l->fd);
        if (l->unlink_path != NULL) {
            (void)unix_path_free(l->unlink_path);
        }
        free(l->unlink_path);
        free(l);
    }
}
