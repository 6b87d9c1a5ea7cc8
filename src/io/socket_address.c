/* SPDX-License-Identifier: MIT */
/*
 * Addresses of sockets: parsing, listening, connecting. Main thread, no state.
 */
#include "io/socket_address.h"

#include "io/unix_path.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define QUEUE 8 /* clients that wait to be accepted */

/* ---- parsing ---- */
static bool parse_switch(const char *opt, size_t len, const char *name, bool *value)
{
    size_t n = strlen(name);

    if (len < n || strncmp(opt, name, n) != 0) {
        return false;
    }
    if (len == n || (len == n + 3 && strncmp(opt + n, "=on", 3) == 0)) {
        *value = true;
        return true;
    }
    if (len == n + 4 && strncmp(opt + n, "=off", 4) == 0) {
        *value = false;
        return true;
    }
    return false;
}

static bool parse_switches(const char *p, struct socket_address *a)
{
    bool nowait = false, ignored;

    while (*p == ',') {
        size_t n = strcspn(++p, ",");
        if (!parse_switch(p, n, "server", &a->server) && !parse_switch(p, n, "wait", &a->wait) &&
            !parse_switch(p, n, "nowait", &nowait) &&
            !(a->tcp && parse_switch(p, n, "nodelay", &ignored))) {
            return false;
        }
        p += n;
    }
    a->wait = a->wait && !nowait;
    return true;
}

static bool parse_tcp(const char *where, size_t len, struct socket_address *a)
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

bool socket_address_parse(const char *spec, struct socket_address *a, const char **why)
{
    *a = (struct socket_address){.wait = true, .tcp = strncmp(spec, "tcp:", 4) == 0};
    *why = "unix:PATH or tcp:HOST:PORT, each with [,server=on|off][,wait=on|off]";
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

/* ---- opening ---- */
static int use(int fd, const struct socket_address *a, const struct sockaddr *sa, socklen_t len)
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
    return bind(fd, sa, len) == 0 && listen(fd, QUEUE) == 0 ? 0 : -errno;
}

/* A socket for one resolved address; its descriptor or -errno. */
static int open_one(const struct socket_address *a, int family, const struct sockaddr *sa,
                    socklen_t len)
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

static int open_unix(const struct socket_address *a)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int err = a->server ? unix_path_free(a->path) : 0;

    memcpy(sa.sun_path, a->path, sizeof sa.sun_path);
    return err != 0 ? err : open_one(a, AF_UNIX, (const struct sockaddr *)&sa, sizeof sa);
}

static int open_tcp(const struct socket_address *a, const char **why)
{
    struct addrinfo hint = {.ai_socktype = SOCK_STREAM}, *list;
    int fd = -EADDRNOTAVAIL;
    int gai = getaddrinfo(a->host[0] != '\0' ? a->host : "127.0.0.1", a->service, &hint, &list);

    if (gai != 0) {
        *why = gai_strerror(gai);
        return -EINVAL;
    }
    for (const struct addrinfo *i = list; i != NULL && fd < 0; i = i->ai_next) {
        fd = open_one(a, i->ai_family, i->ai_addr, i->ai_addrlen);
    }
    freeaddrinfo(list);
    return fd;
}

int socket_address_open(const struct socket_address *a, const char **why)
{
    *why = NULL;
    int fd = a->tcp ? open_tcp(a, why) : open_unix(a);

    if (fd < 0 && *why == NULL) {
        *why = strerror(-fd);
    }
    return fd;
}

int socket_address_accept(int fd)
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
