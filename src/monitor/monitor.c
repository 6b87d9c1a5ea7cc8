/* SPDX-License-Identifier: MIT */
/*
 * Monitors: life cycle, the monitor thread, events of the machine on their way to the clients.
 *
 * Owns the loop, whose thread runs everything in this folder; created and destroyed by the main
 * thread while the machine does not run.
 */
#include "monitor_internal.h"

#include "base/log.h"
#include "io/chardev.h"
#include "io/socket_address.h"
#include "io/io.h"
#include "vm_control.h"

#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_MS 1000

static bool on_socket(const char *spec)
{
    return strncmp(spec, "unix:", 5) == 0 || strncmp(spec, "tcp:", 4) == 0;
}

bool monitor_spec_valid(const char *spec, const char **why)
{
    static const char accepted[] = "stdio, null, none, pty, file:PATH, unix:PATH or tcp:HOST:PORT, "
                                   "the last two with [,server=on|off][,wait=on|off]";
    struct socket_address a;

    if (on_socket(spec)) {
        return socket_address_parse(spec, &a, why);
    }
    bool ok = strncmp(spec, "mon:", 4) != 0 && strncmp(spec, "ringbuf:", 8) != 0 &&
              chardev_spec_valid(spec, why);
    *why = accepted;
    return ok;
}

/* ---- events ---- */
struct posted_event {
    struct monitor *mon;
    struct vm_event event;
};

static void deliver(void *opaque)
{
    struct posted_event *p = opaque;

    for (struct session *s = p->mon->sessions, *next; s != NULL; s = next) {
        next = s->next;
        if (s->mode == MONITOR_CONTROL) {
            control_event(s, &p->event);
            session_settle(s);
        }
    }
    free(p);
}

/* Any thread. */
static void on_vm_event(void *opaque, const struct vm_event *e)
{
    struct monitor *m = opaque;
    struct posted_event *p = malloc(sizeof *p);

    if (p != NULL) {
        *p = (struct posted_event){.mon = m, .event = *e};
    }
    if (p == NULL || io_post(m->loop, deliver, p) != 0) {
        log_warn("an event is not reported: out of memory");
        free(p);
    }
}

/* ---- life cycle ---- */
static void name_thread(void *opaque)
{
    (void)opaque;
    pthread_setname_np(pthread_self(), "monitor");
}

static int open_one(struct monitor *m, enum monitor_mode mode, bool pretty, const char *spec)
{
    if (strcmp(spec, "none") == 0) {
        return 0;
    }
    return on_socket(spec) ? sockets_open(m, mode, pretty, spec)
                           : backend_open(m, mode, pretty, spec);
}

static int open_all(struct monitor *m, const struct monitor_options *o, bool console)
{
    int err = console ? backend_share_console(m) : 0;

    for (unsigned i = 0; err == 0 && i < o->n; i++) {
        err = open_one(m, o->at[i].mode, o->at[i].pretty, o->at[i].spec);
    }
    if (err == 0 && o->metrics != NULL) {
        err = metrics_start(m->vm, o->metrics, &m->metrics);
    }
    return err;
}

int monitor_create(struct vm *vm, const struct monitor_options *o, struct monitor **out)
{
    bool console = strncmp(vm->opt->serial, "mon:", 4) == 0;
    struct monitor *m;

    *out = NULL;
    if (o->n == 0 && o->metrics == NULL && !console) {
        return 0;
    }
    m = calloc(1, sizeof *m);
    if (m == NULL) {
        return -ENOMEM;
    }
    m->vm = vm;
    int err = io_loop_create(&m->loop);
    if (err == 0) {
        err = open_all(m, o, console);
    }
    if (err == 0) {
        err = io_post(m->loop, name_thread, NULL);
    }
    if (err == 0) {
        vm_listen(vm, on_vm_event, m);
        err = io_loop_start(m->loop);
        m->started = err == 0;
        if (err != 0) {
            log_error("cannot start the thread of the monitors: %s", strerror(-err));
        }
    }
    if (err != 0) {
        monitor_destroy(m);
        return err;
    }
    *out = m;
    return 0;
}

/* The last answers and the SHUTDOWN event reach clients that read them. */
static void drain(struct session *s)
{
    while (s->out_len > 0 && !s->dead) {
        struct pollfd p = {.fd = s->transport->poll_fd(s), .events = POLLOUT};
        if (p.fd < 0 || poll(&p, 1, DRAIN_MS) <= 0) {
            break;
        }
        session_writable(s);
    }
}

static void arrived(void *opaque)
{
    sem_post(opaque);
}

/* Everything posted so far has run. */
static void settle(struct monitor *m)
{
    sem_t done;

    sem_init(&done, 0, 0);
    if (io_post(m->loop, arrived, &done) == 0) {
        while (sem_wait(&done) != 0) {
        }
    }
    sem_destroy(&done);
}

void monitor_destroy(struct monitor *m)
{
    if (m == NULL) {
        return;
    }
    metrics_stop(m->metrics);
    if (m->started) {
        settle(m);
        io_loop_stop(m->loop);
    }
    vm_listen(m->vm, NULL, NULL);
    sockets_close(m);
    for (struct session *s; (s = m->sessions) != NULL;) {
        drain(s);
        session_destroy(s);
    }
    io_loop_destroy(m->loop);
    free(m);
}
