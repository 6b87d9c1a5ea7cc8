/* SPDX-License-Identifier: MIT */
/*
 * The thread that serves the display: new connections, clients' messages, and the picture, as often
 * as it is worth. It sleeps in poll(); a clock runs only while somebody is connected.
 *
 * Everything in struct display_server but `stop` belongs to this thread while it runs.
 */
#include "serve_internal.h"

#include "base/log.h"
#include "io/io.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define VNC_PORT 5900u
#define MS ((uint64_t)1000000)
#define LOOK_BUSY (33 * MS) /* between two looks at a screen that changes, or that somebody uses */
#define LOOK_IDLE (100 * MS)
#define BUSY_FOR (1000 * MS)

/* ---- the loop ---- */
enum { POLL_WAKE, POLL_VNC, POLL_WEB, POLL_FIXED };
#define POLL_MAX (POLL_FIXED + 2 * SERVE_CLIENTS)

/* poll() passes over negative descriptors. */
static unsigned fill(const struct display_server *s, struct pollfd *p)
{
    unsigned n = POLL_FIXED;

    p[POLL_WAKE] = (struct pollfd){.fd = s->wake, .events = POLLIN};
    p[POLL_VNC] = (struct pollfd){.fd = s->listen, .events = POLLIN};
    p[POLL_WEB] = (struct pollfd){.fd = s->web.listen, .events = POLLIN};
    for (unsigned i = 0; i < s->web.nfresh; i++) {
        p[n++] = (struct pollfd){.fd = s->web.fresh[i], .events = POLLIN};
    }
    return n + vnc_poll(s, p + n, SERVE_CLIENTS);
}

static int until_look(const struct display_server *s)
{
    uint64_t now = io_now_ns();

    if (s->clients == 0) {
        return -1;
    }
    return s->next_look <= now ? 0 : (int)((s->next_look - now + MS - 1) / MS);
}

static void look_when_due(struct display_server *s)
{
    uint64_t now = io_now_ns();

    if (s->clients == 0 || now < s->next_look) {
        return;
    }
    vnc_look(s);
    if (s->viewer.damage.n > 0) {
        s->busy_until = now + BUSY_FOR;
    }
    s->next_look = now + (now < s->busy_until ? LOOK_BUSY : LOOK_IDLE);
}

static void serve_once(struct display_server *s)
{
    struct pollfd p[POLL_MAX];
    unsigned n = fill(s, p), nfresh = s->web.nfresh;

    if (poll(p, n, until_look(s)) < 0 && errno != EINTR) {
        log_error("-display: poll: %s", strerror(errno));
        atomic_store(&s->stop, true);
        return;
    }
    for (unsigned i = nfresh; i-- > 0;) { /* from the end: each leaves the list */
        if (p[POLL_FIXED + i].revents != 0) {
            web_sort(s, i);
        }
    }
    if (p[POLL_VNC].revents & POLLIN) {
        vnc_add_client(s, accept4(s->listen, NULL, NULL, SOCK_CLOEXEC));
    }
    if (p[POLL_WEB].revents & POLLIN) {
        web_accept(&s->web, accept4(s->web.listen, NULL, NULL, SOCK_CLOEXEC));
    }
    look_when_due(s);
    if (s->clients > 0) {
        vnc_process(s);
    }
}

static void *thread_main(void *opaque)
{
    struct display_server *s = opaque;

    pthread_setname_np(pthread_self(), "display");
    while (!atomic_load(&s->stop)) {
        serve_once(s);
    }
    return NULL;
}

/* Signals are the main thread's. */
static int start_thread(struct display_server *s)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&s->thread, NULL, thread_main, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -err;
}

/* ---- life cycle ---- */
static int listen_vnc(struct display_server *s, const char *where)
{
    char host[256];
    int port = serve_port(where, VNC_PORT, false, host, sizeof host);

    s->listen = serve_listen(host, port);
    if (s->listen < 0) {
        log_error("-display vnc=%s: cannot listen on port %d: %s", where, port,
                  strerror(-s->listen));
    }
    return s->listen < 0 ? s->listen : 0;
}

static void tear_down(struct display_server *s)
{
    web_stop(s);
    if (s->screen != NULL) {
        vnc_stop(s);
    }
    display_viewer_remove(s->display, &s->viewer);
    if (s->listen >= 0) {
        close(s->listen);
    }
    if (s->wake >= 0) {
        close(s->wake);
    }
    free(s);
}

static int start(struct display_server *s, const struct display_options *o, const char *name)
{
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int err = s->wake < 0 ? -errno : 0;

    if (err == 0 && o->vnc != NULL) {
        err = listen_vnc(s, o->vnc);
    }
    if (err == 0 && o->web != NULL) {
        err = web_start(s, o->web);
    }
    if (err == 0) {
        err = vnc_start(s, name);
    }
    return err == 0 ? start_thread(s) : err;
}

int display_serve(struct display *d, const struct display_options *o, const char *name,
                  struct display_server **out)
{
    *out = NULL;
    if (o->vnc == NULL && o->web == NULL) {
        return 0;
    }
    struct display_server *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return -ENOMEM;
    }
    *s = (struct display_server){.display = d, .listen = -1, .wake = -1, .web.listen = -1};
    display_viewer_add(d, &s->viewer);
    int err = start(s, o, name);
    if (err != 0) {
        tear_down(s);
        return err;
    }
    *out = s;
    return 0;
}

void display_serve_connect(struct display_server *s, const struct display_hooks *hooks)
{
    if (s != NULL) {
        atomic_store(&s->web.hooks, hooks);
    }
}

void display_serve_end(struct display_server *s)
{
    uint64_t one = 1;

    if (s == NULL) {
        return;
    }
    atomic_store(&s->stop, true);
    while (write(s->wake, &one, sizeof one) < 0 && errno == EINTR) {
    }
    pthread_join(s->thread, NULL);
    tear_down(s);
}
