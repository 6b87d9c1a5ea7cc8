/* SPDX-License-Identifier: MIT */
/*
 * Where the display is served: "ADDR:N" of the command line as a listening socket. An address that
 * is left out is the loopback, so nobody on the network gets in by accident.
 */
#include "serve_internal.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define VNC_PORT 5900u

int serve_port(const char *where, unsigned first, bool bare, char *host, size_t size)
{
    const char *colon = strrchr(where, ':'), *digits = colon != NULL ? colon + 1 : where;
    size_t len = colon != NULL ? (size_t)(colon - where) : 0;
    char *end;

    if ((colon == NULL && !bare) || len >= size || strspn(digits, "0123456789") == 0) {
        return -1;
    }
    if (len >= 2 && where[0] == '[' && where[len - 1] == ']') { /* of IPv6 */
        where++;
        len -= 2;
    }
    snprintf(host, size, "%.*s", (int)len, len > 0 ? where : "");
    errno = 0;
    unsigned long n = strtoul(digits, &end, 10);
    return errno != 0 || *end != '\0' || n > 65535 - first || n + first == 0 ? -1
                                                                             : (int)(n + first);
}

bool display_vnc_valid(const char *where, const char **why)
{
    char host[256];

    *why = "vnc=[ADDR]:N, which listens on port 5900 + N (no ADDR: this host only)";
    return serve_port(where, VNC_PORT, false, host, sizeof host) > 0;
}

bool display_web_valid(const char *where, const char **why)
{
    char host[256];

    *why = "web=[ADDR:]PORT (no ADDR: this host only)";
    return serve_port(where, 0, true, host, sizeof host) > 0;
}

static int listen_at(const struct addrinfo *a)
{
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
    int on = 1;

    if (fd < 0) {
        return -errno;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, 8) != 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

int serve_listen(const char *host, int port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *list;
    char service[16];

    snprintf(service, sizeof service, "%d", port);
    if (getaddrinfo(host[0] != '\0' ? host : "127.0.0.1", service, &hints, &list) != 0) {
        return -EADDRNOTAVAIL;
    }
    int fd = listen_at(list);
    freeaddrinfo(list);
    return fd;
}
