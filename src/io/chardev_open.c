/* SPDX-License-Identifier: MIT */
/*
 * Character back ends: parsing -serial and opening what it names. Main thread, before the machine
 * runs; only a Unix server's later clients are accepted on the I/O thread.
 *
 * The user's terminal and pipes are opened a second time, non-blocking, through /proc/self/fd:
 * setting O_NONBLOCK on the descriptor we inherited would change it for the shell and everyone
 * who shares it.
 */
#include "chardev_internal.h"
#include "base/log.h"
#include "io/io.h"
#include "io/terminal.h"
#include "io/unix_path.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

static const char accepted[] =
    "stdio, null, none, pty, testdev, file:PATH, unix:PATH[,server=on|off][,wait=on|off], or one "
    "of them after mon: for a console with a monitor";

bool chardev_spec_valid(const char *spec, const char **why)
{
    static const char *const word[] = {"stdio", "null", "none", "pty", "testdev"};

    *why = accepted;
    spec += strncmp(spec, "mon:", 4) == 0 ? 4 : 0;
    for (size_t i = 0; i < ARRAY_SIZE(word); i++) {
        if (strcmp(spec, word[i]) == 0) {
            return true;
        }
    }
    return (strncmp(spec, "ringbuf:", 8) == 0 && chardev_ringbuf_valid(spec + 8)) ||
           (strncmp(spec, "file:", 5) == 0 && spec[5] != '\0') ||
           (strncmp(spec, "unix:", 5) == 0 && spec[5] != '\0' && spec[5] != ',');
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
    return chardev_open_unix(c, spec + 5);
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

/* ---- unix sockets ---- */
struct unix_spec {
    struct sockaddr_un addr;
    bool server, wait;
};

bool chardev_parse_switch(const char *opt, size_t len, const char *name, bool *value)
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

static int parse_unix(const char *spec, struct unix_spec *u)
{
    size_t len = strcspn(spec, ",");
    bool nowait = false;

    *u = (struct unix_spec){.addr.sun_family = AF_UNIX, .wait = true};
    if (len >= sizeof u->addr.sun_path) {
        log_error("character device unix:%.*s: the path is longer than %zu bytes", (int)len, spec,
                  sizeof u->addr.sun_path - 1);
        return -ENAMETOOLONG;
    }
    memcpy(u->addr.sun_path, spec, len);
    for (const char *p = spec + len; *p == ',';) {
        size_t n = strcspn(++p, ",");
        if (!chardev_parse_switch(p, n, "server", &u->server) &&
            !chardev_parse_switch(p, n, "wait", &u->wait) &&
            !chardev_parse_switch(p, n, "nowait", &nowait)) {
            log_error("character device unix: unknown option %.*s; accepted: server=on|off, "
                      "wait=on|off",
                      (int)n, p);
            return -EINVAL;
        }
        p += n;
    }
    if (nowait) {
        u->wait = false;
    }
    return 0;
}

static void on_client(void *opaque, uint32_t events)
{
    struct chardev *c = opaque;
    int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (fd < 0) {
        return;
    }
    /* One client at a time: the next one waits in the queue. */
    if (io_fd_mod(c->loop, c->listen_fd, 0) != 0 || chardev_connect_fd(c, fd) != 0) {
        close(fd);
    }
}

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

static int serve(struct chardev *c, const struct unix_spec *u, int fd)
{
    int err = unix_path_free(u->addr.sun_path);

    if (err != 0) {
        return err;
    }
    if (bind(fd, (const struct sockaddr *)&u->addr, sizeof u->addr) != 0 || listen(fd, 1) != 0) {
        return -errno;
    }
    c->listen_fd = fd;
    c->unlink_path = strdup(u->addr.sun_path);
    c->discard = true;
    if (!u->wait) {
        return io_fd_add(c->loop, fd, EPOLLIN, on_client, c);
    }
    fprintf(stderr, "umbra: waiting for a client of the serial port at %s\n", u->addr.sun_path);
    int client = accept_first(fd);
    if (client < 0) {
        return client;
    }
    c->in_fd = c->out_fd = client;
    return io_fd_add(c->loop, fd, 0, on_client, c);
}

int chardev_open_unix(struct chardev *c, const char *spec)
{
    struct unix_spec u;
    int err = parse_unix(spec, &u);

    if (err != 0) {
        return err;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        err = -errno;
    } else if (u.server) {
        err = serve(c, &u, fd);
    } else if (connect(fd, (const struct sockaddr *)&u.addr, sizeof u.addr) != 0) {
        err = -errno;
    } else {
        c->in_fd = c->out_fd = fd;
        fcntl(fd, F_SETFL, O_NONBLOCK);
    }
    if (err != 0) {
        log_error("character device unix:%s: %s", u.addr.sun_path, strerror(-err));
        if (fd >= 0 && c->listen_fd != fd) {
            close(fd);
        }
    }
    return err;
}
