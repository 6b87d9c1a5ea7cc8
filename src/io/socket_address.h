/* SPDX-License-Identifier: MIT */
/*
 * "unix:PATH" and "tcp:[HOST]:PORT" as -serial, -monitor, -qmp and -gdb spell them, and the stream
 * sockets at such addresses. An empty host is the loopback: whoever connects controls a machine.
 */
#pragma once

#include "base/types.h"

struct socket_address {
    bool server, wait;
    bool tcp;
    char host[256], service[32]; /* tcp */
    char path[108];              /* unix */
};

/* Parse; false: *why says what is accepted. */
bool socket_address_parse(const char *spec, struct socket_address *a, const char **why);
/* Listen there (a->server) or connect, non-blocking. A descriptor, or -errno and *why. Main
   thread. */
int socket_address_open(const struct socket_address *a, const char **why) MUST_CHECK;
/* Wait for the first client of a listener; Ctrl-C ends the wait and the process, whatever signals
   the caller has blocked. A descriptor or -errno. */
int socket_address_accept(int fd) MUST_CHECK;
