/* SPDX-License-Identifier: MIT */
/*
 * Monitors on sockets: "unix:" and "tcp:" addresses, listening for any number of clients or
 * connecting to one. Opened by the main thread before the machine runs, then the monitor thread's.
 *
 * Whoever can connect controls the machine and may read its memory: an empty TCP host is loopback.
 */
#include "monitor_internal.h"

#include "base/log.h"
#include "io/chardev.h"
#include "io/io.h"
#include "io/unix_path.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
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

/* ---- addresses ---- */
static const char forms[] =
    "unix:PATH or tcp:HOST:PORT, each with [,server=on|off][,wait=on|off]";

static bool parse_switches(const char *p, struct address *a)
{
    bool nowait = false, ignored;

    while (*p == ',') {
        size_t n = strcspn(++p, ",");
        if (!chardev_parse_switch(p, n, "server", &a->server) &&
            !chardev_parse_switch(p, n, "wait", &a->wait) &&
            !chardev_parse_switch(p, n, "nowait", &nowait) &&
            !(a->tcp && chardev_parse_switch(p, n, "nodelay", &ignored))) {
            return false;
        }
        p += n;
    }
    a->wait = a->wait && !nowait;
    return true;
}

static bool parse_tcp(const char *where, size_t len, struct address *a)
{
    const char *colon = memrchr(where, ':', len);

    if (colon == NULL || colon + 1 == where + len ||
        (size_t)(where + len - colon) > sizeof a->service) {
        return false;
    }
    size_t host = (size_t)(colon - where);
    if (host >= 2 && where[0] == '[' && where[host - 1] == ']') {
        where++;
        host -= 2;
    }
    if (host >= sizeof a->host) {
        return false;
    }
    memcpy(a->host, where, host);
    memcpy(a->service, colon + 1, (size_t)(where + len - colon));
    a->service[strcspn(a->service, ",")] = '\0';
    return true;
}

bool address_parse(const char *spec, struct address *a, const char **why)
{
    *a = (struct address){.wait = true, .tcp = strncmp(spec, "tcp:", 4) == 0};
    *why = forms;
    if (!a->tcp && strncmp(spec, "unix:", 5) != 0) {
        return false;
    }
    const char *where = spec + (a->tcp ? 4 : 5);
    size_t len = strcspn(where, ",");
    if (len == 0 || !parse_switches(where + len, a)) {
        return false;
    }
    if (a->tcp) {
        return parse_tcp(where, len, a);
    }
    if (len >= sizeof a->path) {
        *why = "a path of at most 107 bytes (a limit of Unix sockets)";
        return false;
    }
    memcpy(a->path, where, len);
    return true;
}

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
/* Wait for the first client; Ctrl-C ends the wait and us, whatever the caller has blocked. */
static int accept_first(int fd)
{
    sigset_t quit, old;
    int client;

    sigemptyset(&quit);
    sigaddset(&quit, SIGINT);
    sigaddset(&quit, SIGTERM);
    sigaddset(&quit, SIGHUP);
    pthread_sigmask(SIG_UNBLOCK, &quit, &old);
    do {
        client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    } while (client < 0 && errno == EINTR);
    int err = errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return client >= 0 ? client : -err;
}

static int use(int fd, const struct address *a, const struct sockaddr *sa, socklen_t len)
{
    int on = 1;

    if (!a->server) {
        if (connect(fd, sa, len) != 0) {
            return -errno;
        }
        return fcntl(fd, F_SETFL, O_NONBLOCK) == 0 ? 0 : -errno;
    }
    if (a->tcp) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    }
    return bind(fd, sa, len) == 0 && listen(fd, 8) == 0 ? 0 : -errno;
}

/* A socket for one resolved address; its descriptor or -errno. */
static int open_one(const struct address *a, int family, const struct sockaddr *sa, socklen_t len)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -errno;
    }
    int err = use(fd, a, sa, len);
    if (err != 0) {
        close(fd);
        return err;
    }
    return fd;
}

static int open_unix(const struct address *a)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int err = a->server ? unix_path_free(a->path) : 0;

    memcpy(sa.sun_path, a->path, sizeof sa.sun_path);
    return err != 0 ? err : open_one(a, AF_UNIX, (const struct sockaddr *)&sa, sizeof sa);
}

static int open_tcp(const struct address *a, const char *spec)
{
    struct addrinfo hint = {.ai_socktype = SOCK_STREAM}, *list;
    int fd = -EADDRNOTAVAIL;
    int gai = getaddrinfo(a->host[0] != '\0' ? a->host : "127.0.0.1", a->service, &hint, &list);

    if (gai != 0) {
        log_error("monitor at %s: %s", spec, gai_strerror(gai));
        return -EINVAL;
    }
    for (const struct addrinfo *i = list; i != NULL && fd < 0; i = i->ai_next) {
        fd = open_one(a, i->ai_family, i->ai_addr, i->ai_addrlen);
    }
    freeaddrinfo(list);
    return fd;
}

static int serve(struct monitor *m, const struct listener *like, const struct address *a,
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
        client = accept_first(l->fd);
        if (client < 0) {
            return client;
        }
    }
    int err = client >= 0 ? add_client(m, l->mode, l->pretty, client) : 0;
    return err == 0 ? io_fd_add(m->loop, l->fd, EPOLLIN, on_listener, l) : err;
}

int sockets_open(struct monitor *m, enum monitor_mode mode, bool pretty, const char *spec)
{
    struct address a;
    const char *why;

    if (!address_parse(spec, &a, &why)) {
        log_error("monitor at %s: accepted: %s", spec, why);
        return -EINVAL;
    }
    int fd = a.tcp ? open_tcp(&a, spec) : open_unix(&a), err = fd;
    if (fd >= 0 && a.server) {
        err = serve(m, &(struct listener){.mon = m, .mode = mode, .pretty = pretty, .fd = fd}, &a,
                    spec);
    } else if (fd >= 0) {
        err = add_client(m, mode, pretty, fd);
    }
    if (err < 0 && err != -EINVAL) {
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
