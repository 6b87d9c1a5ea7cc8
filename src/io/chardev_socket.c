/* SPDX-License-Identifier: MIT */
/*
 * Character back ends on sockets, Unix and TCP: connected to a server, or serving one client at a
 * time. Opened on the main thread; later clients are accepted on the I/O thread.
 */
#include "chardev_internal.h"

#include "base/log.h"
#include "io/io.h"
#include "io/socket_address.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_client(void *opaque, uint32_t events)
{
    struct chardev *c = opaque;
    int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), on = 1;

    (void)events;
    if (fd < 0) {
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* refused by Unix sockets */
    /* One client at a time: the next one waits in the queue. */
    if (io_fd_mod(c->loop, c->listen_fd, 0) != 0 || chardev_connect_fd(c, fd) != 0) {
        close(fd);
    }
}

static int serve(struct chardev *c, const struct socket_address *a, const char *spec)
{
    c->unlink_path = a->tcp ? NULL : strdup(a->path);
    c->discard = true;
    if (!a->wait) {
        return io_fd_add(c->loop, c->listen_fd, EPOLLIN, on_client, c);
    }
    fprintf(stderr, "umbra: waiting for a client of the serial port at %s\n", spec);
    int client = socket_address_accept(c->listen_fd);
    if (client < 0) {
        return client;
    }
    c->in_fd = c->out_fd = client;
    return io_fd_add(c->loop, c->listen_fd, 0, on_client, c);
}

int chardev_open_socket(struct chardev *c, const char *spec)
{
    struct socket_address a;
    const char *why;

    if (!socket_address_parse(spec, &a, &why)) {
        log_error("character device %s: accepted: %s", spec, why);
        return -EINVAL;
    }
    int fd = socket_address_open(&a, &why);
    if (fd < 0) {
        log_error("character device %s: %s", spec, why);
        return fd;
    }
    if (!a.server) {
        c->in_fd = c->out_fd = fd;
        return 0;
    }
    c->listen_fd = fd;
    int err = serve(c, &a, spec);
    if (err != 0) {
        log_error("character device %s: %s", spec, strerror(-err));
    }
    return err;
}
