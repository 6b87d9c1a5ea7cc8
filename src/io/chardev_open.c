/* SPDX-License-Identifier: MIT */
/*
 * Character back ends: parsing -serial and opening what it names; sockets are in
 * chardev_socket.c. Main thread, before the machine runs.
 *
 * The user's terminal and pipes are opened a second time, non-blocking, through /proc/self/fd:
 * setting O_NONBLOCK on the descriptor we inherited would change it for the shell and everyone
 * who shares it.
 */
#include "chardev_internal.h"
#include "base/log.h"
#include "io/io.h"
#include "io/socket_address.h"
#include "io/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static const char accepted[] =
    "stdio, null, none, pty, testdev, file:PATH, unix:PATH or tcp:HOST:PORT, the last two with "
    "[,server=on|off][,wait=on|off], or one of them after mon: for a console with a monitor";

static bool is_socket(const char *spec)
{
    return strncmp(spec, "unix:", 5) == 0 || strncmp(spec, "tcp:", 4) == 0;
}

bool chardev_spec_valid(const char *spec, const char **why)
{
    static const char *const word[] = {"stdio", "null", "none", "pty", "testdev"};
    struct socket_address a;

    *why = accepted;
    spec += strncmp(spec, "mon:", 4) == 0 ? 4 : 0;
    for (size_t i = 0; i < ARRAY_SIZE(word); i++) {
        if (strcmp(spec, word[i]) == 0) {
            return true;
        }
    }
    return (strncmp(spec, "ringbuf:", 8) == 0 && chardev_ringbuf_valid(spec + 8)) ||
           (strncmp(spec, "file:", 5) == 0 && spec[5] != '\0') ||
           (is_socket(spec) && socket_address_parse(spec, &a, why));
}

static int open_parts(struct chardev *c, const char *spec)
{
    if (strncmp(spec, "mon:", 4) == 0) {
        spec += 4;
        c->escapes = true;
    }
    c->escapes |= strcmp(spec, "stdio") == 0;
    if (c->escapes && (c->typed = malloc(CHARDEV_TYPED)) == NULL) {
        return -ENOMEM;
    }
    c->testdev = strcmp(spec, "testdev") == 0;
    if (c->testdev || strcmp(spec, "null") == 0 || strcmp(spec, "none") == 0) {
        return 0;
    }
    if (strncmp(spec, "ringbuf:", 8) == 0) {
        return chardev_open_ringbuf(c, spec + 8);
    }
    c->ring = malloc(CHARDEV_RING);
    if (c->ring == NULL) {
        return -ENOMEM;
    }
    if (strcmp(spec, "stdio") == 0) {
        return chardev_open_stdio(c);
    }
    if (strcmp(spec, "pty") == 0) {
        return chardev_open_pty(c);
    }
    if (strncmp(spec, "file:", 5) == 0) {
        return chardev_open_file(c, spec + 5);
    }
    return chardev_open_socket(c, spec);
}

int chardev_open(struct io_loop *l, const char *spec, struct chardev **out)
{
    const char *why;
    struct chardev *c;

    if (!chardev_spec_valid(spec, &why)) {
        log_error("character device %s: unknown back end; accepted: %s", spec, why);
        return -EINVAL;
    }
    c = calloc(1, sizeof *c);
    if (c == NULL) {
        return -ENOMEM;
    }
    c->loop = l;
    c->in_fd = c->out_fd = c->listen_fd = c->hold_fd = -1;
    pthread_mutex_init(&c->lock, NULL);
    int err = open_parts(c, spec);
    if (err != 0) {
        chardev_close(c);
        return err;
    }
    *out = c;
    return 0;
}

/* A second, non-blocking description of fd; fd itself when that cannot or need not be. */
static int reopen(int fd, int flags)
{
    char path[32];
    struct stat st;
    int again;

    if (fstat(fd, &st) != 0) {
        return -1;
    }
    if (!S_ISCHR(st.st_mode) && !S_ISFIFO(st.st_mode)) {
        return fd; /* a file keeps its offset, a socket is sent to with MSG_DONTWAIT */
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    again = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return again >= 0 ? again : fd;
}

int chardev_open_stdio(struct chardev *c)
{
    terminal_use(STDIN_FILENO);
    c->in_fd = reopen(STDIN_FILENO, O_RDONLY);
    c->out_fd = reopen(STDOUT_FILENO, O_WRONLY);
    return 0;
}

int chardev_open_file(struct chardev *c, const char *path)
{
    c->out_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0666);
    if (c->out_fd < 0) {
        int err = errno;
        log_error("character device file:%s: %s", path, strerror(err));
        return -err;
    }
    return 0;
}

int chardev_open_pty(struct chardev *c)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    const char *name;

    if (fd < 0 || grantpt(fd) != 0 || unlockpt(fd) != 0 || (name = ptsname(fd)) == NULL) {
        int err = errno;
        log_error("character device pty: no pseudo-terminal: %s", strerror(err));
        if (fd >= 0) {
            close(fd);
        }
        return -err;
    }
    c->in_fd = c->out_fd = fd;
    c->lossy = true;
    /* Held open, so that the master reports no hang-up while nobody is connected. */
    c->hold_fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (c->hold_fd < 0) {
        int err = errno;
        log_error("character device pty: %s: %s", name, strerror(err));
        return -err;
    }
    struct termios t;
    if (tcgetattr(c->hold_fd, &t) == 0) {
        cfmakeraw(&t); /* no echo of the guest's output back to it */
        tcsetattr(c->hold_fd, TCSANOW, &t);
    }
    fprintf(stderr, "umbra: serial port is %s\n", name);
    return 0;
}
