/* SPDX-License-Identifier: MIT */
/*
 * The stub's socket and thread. It listens, serves one debugger at a time, and waits in poll() for
 * three things: the debugger, the next one (who is turned away while another is there), and the
 * event of a vCPU that stopped or of the end. Attaching halts the machine; a debugger that
 * detaches, or whose connection breaks, leaves no breakpoints behind, and the machine goes on,
 * unless it was paused (-S) before and nobody has continued it.
 */
#include "gdb/gdb_internal.h"

#include "base/log.h"
#include "base/rcu.h"
#include "io/socket_address.h"
#include "io/unix_path.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEND_TIMEOUT_MS 5000 /* a debugger that does not read its replies is gone */
#define ACCEPTED        "tcp:[HOST]:PORT, unix:PATH (of at most 107 bytes)"

/* ---- listening ---- */
/* The stub always serves and never waits, so server= and wait= of scripts change nothing. */
static bool parse_spec(const char *spec, struct socket_address *a, const char **why)
{
    if (!socket_address_parse(spec, a, why))
        return false;
    a->server = true;
    return !a->tcp || (strspn(a->service, "0123456789") == strlen(a->service) &&
                       atoi(a->service) <= 65535);
}

bool gdb_spec_valid(const char *spec, const char **why)
{
    struct socket_address a;
    bool ok = parse_spec(spec, &a, why);

    *why = ACCEPTED;
    return ok;
}

/* A listening socket, or -errno. */
static int listen_at(struct gdb *g, const char *spec)
{
    struct socket_address a;
    const char *why;

    if (!parse_spec(spec, &a, &why))
        return -EINVAL;
    int fd = socket_address_open(&a, &why);

    if (fd < 0)
        log_error("-gdb %s: cannot listen: %s; %s", spec, why,
                  a.tcp ? "give another port with -gdb tcp::PORT"
                        : "give another path, or remove the file if nobody uses it");
    else if (!a.tcp)
        g->unix_path = strdup(a.path);
    return fd;
}

/* ---- the session ---- */
static bool send_all(struct gdb *g, const char *data, size_t len)
{
    while (len) {
        struct pollfd p = {.fd = g->client_fd, .events = POLLOUT};
        ssize_t n = send(g->client_fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n > 0) {
            data += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN || errno == EINTR) {
            if (poll(&p, 1, SEND_TIMEOUT_MS) == 0)
                return false;
        } else {
            return false;
        }
    }
    return true;
}

static bool send_reply(struct gdb *g)
{
    return send_all(g, g->out.data, g->out.len);
}

static void session_start(struct gdb *g, int fd)
{
    g->client_fd = fd;
    g->running = g->no_ack = g->swbreak = g->physical = g->closing = false;
    g->cpu = g->run_cpu = g->listed = 0;
    memset(&g->in, 0, sizeof(g->in));
    g->out.len = 0;
    gdb_halt(g);
}

static void session_end(struct gdb *g)
{
    close(g->client_fd);
    g->client_fd = -1;
    gdb_let_go(g);
}

static bool report_stop(struct gdb *g)
{
    g->running = false;
    gdb_halt(g);
    gdb_reply_start(&g->out);
    gdb_reply_stop(g);
    gdb_reply_end(&g->out);
    return send_reply(g);
}

/* A debugger that sends commands while the machine runs wants it halted. */
static bool on_packet(struct gdb *g)
{
    if (!g->no_ack && !send_all(g, "+", 1))
        return false;
    if (g->running && !report_stop(g))
        return false;
    return !gdb_execute(g) || send_reply(g);
}

/* False: the session is over. */
static bool on_byte(struct gdb *g, uint8_t byte)
{
    switch (gdb_parser_byte(&g->in, byte)) {
    case GDB_PACKET:
        return on_packet(g);
    case GDB_BAD:
        return g->no_ack || send_all(g, "-", 1);
    case GDB_NAK:
        return g->no_ack || send_reply(g);
    case GDB_INTERRUPT:
        return !g->running || report_stop(g);
    case GDB_GARBAGE:
        log_warn("-gdb: the peer does not speak the debugger's protocol; disconnected");
        return false;
    default:
        return true;
    }
}

static void on_client(struct gdb *g)
{
    uint8_t buf[4096];
    ssize_t n = recv(g->client_fd, buf, sizeof(buf), MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    for (ssize_t i = 0; i < n; i++)
        if (!on_byte(g, buf[i]) || g->closing) {
            session_end(g);
            return;
        }
    if (n <= 0)
        session_end(g);
}

static void on_connection(struct gdb *g)
{
    int fd = accept4(g->listen_fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if (g->client_fd >= 0)
        close(fd);
    else
        session_start(g, fd);
}

static void on_event(struct gdb *g)
{
    uint64_t count;

    if (read(g->event_fd, &count, sizeof(count)) < 0 || atomic_load(&g->stop))
        return;
    /* Not halted: the event of a stop that Ctrl-C reported, before the last resume. */
    if (g->client_fd >= 0 && g->running && atomic_load(&g->halted) && !report_stop(g))
        session_end(g);
}

static void say_goodbye(struct gdb *g)
{
    if (g->client_fd < 0)
        return;
    gdb_reply_start(&g->out);
    gdb_reply_text(&g->out, "W%02x", (unsigned)g->exit_status & 0xff);
    gdb_reply_end(&g->out);
    if (g->running)
        send_reply(g);
    close(g->client_fd);
    g->client_fd = -1;
}

static void *stub_thread(void *opaque)
{
    struct gdb *g = opaque;

    rcu_thread_register();
    while (!atomic_load(&g->stop)) {
        struct pollfd p[3] = {{.fd = g->event_fd, .events = POLLIN},
                              {.fd = g->listen_fd, .events = POLLIN},
                              {.fd = g->client_fd, .events = POLLIN}};

        if (poll(p, ARRAY_SIZE(p), -1) < 0)
            continue;
        if (p[0].revents)
            on_event(g);
        if (p[2].revents && g->client_fd >= 0)
            on_client(g);
        if (p[1].revents)
            on_connection(g);
    }
    say_goodbye(g);
    rcu_thread_unregister();
    return NULL;
}

/* ---- life cycle ---- */
static void destroy(struct gdb *g)
{
    if (g->listen_fd >= 0)
        close(g->listen_fd);
    if (g->event_fd >= 0)
        close(g->event_fd);
    if (g->unix_path)
        (void)unix_path_free(g->unix_path);
    free(g->unix_path);
    free(g);
}

static int start_thread(struct gdb *g)
{
    sigset_t all, old;
    int err;

    /* Signals go to the main thread; a fault of ours must still reach its handler. */
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    err = pthread_create(&g->thread, NULL, stub_thread, g);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (err)
        log_error("-gdb: cannot start a thread: %s", strerror(err));
    else
        pthread_setname_np(g->thread, "gdb");
    return -err;
}

int gdb_start(struct vm *vm, const char *spec, struct gdb **out)
{
    struct gdb *g = calloc(1, sizeof(*g));
    int err;

    if (!g)
        return -ENOMEM;
    g->vm = vm;
    g->client_fd = -1;
    g->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    g->listen_fd = listen_at(g, spec);
    vm->debug.hit = gdb_hit;
    vm->debug.opaque = g;
    err = g->listen_fd < 0 ? g->listen_fd : g->event_fd < 0 ? -EMFILE : start_thread(g);
    if (err) {
        destroy(g);
        return err;
    }
    *out = g;
    return 0;
}

void gdb_stop(struct gdb *g, int status)
{
    uint64_t one = 1;

    if (!g)
        return;
    g->exit_status = status;
    atomic_store(&g->stop, true);
    while (write(g->event_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    pthread_join(g->thread, NULL);
    destroy(g);
}
