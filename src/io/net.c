/* SPDX-License-Identifier: MIT */
/*
 * The thread of a network back end: wait for the network and for kicks, let the card send, hand the
 * card what arrived.
 *
 * One thread for each back end; all of its state but the eventfd and the atomics belongs to it. No
 * locks here. A kick is an eventfd write; it is read before serve() is called, so none is lost.
 */
#include "net_internal.h"

#include "base/log.h"
#include "base/rcu.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int net_init(struct net *n, const struct net_ops *ops, const struct net_config *c)
{
    n->ops = ops;
    n->id = c->id;
    n->queues = 1;
    n->evfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return n->evfd < 0 ? -errno : 0;
}

void net_fini(struct net *n)
{
    if (n->evfd >= 0) {
        close(n->evfd);
    }
    free(n->poll);
}

int net_open(const struct net_config *config, struct net **out)
{
    return config->kind == NET_USER ? net_slirp_open(config, out) : net_tap_open(config, out);
}

void net_kick(struct net *n)
{
    uint64_t one = 1;

    while (write(n->evfd, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

int net_poll_add(struct net *n, int fd, short events)
{
    if (n->npoll == n->poll_room) {
        unsigned room = n->poll_room + 64;
        struct pollfd *p = realloc(n->poll, room * sizeof *p);
        if (p == NULL) {
            return -1;
        }
        n->poll = p;
        n->poll_room = room;
    }
    n->poll[n->npoll] = (struct pollfd){.fd = fd, .events = events};
    return (int)n->npoll++;
}

/* One round. */
static void run_once(struct net *n)
{
    uint64_t kicks;

    n->npoll = 1;
    n->poll[0] = (struct pollfd){.fd = n->evfd, .events = POLLIN};
    int timeout = n->ops->prepare(n);
    if (poll(n->poll, n->npoll, timeout) < 0 && errno != EINTR && errno != ENOMEM) {
        vm_bug("poll for network %s: %s", n->id, strerror(errno));
    }
    if (read(n->evfd, &kicks, sizeof kicks) == (ssize_t)sizeof kicks) {
        n->user.serve(n->user.opaque);
    }
    uint32_t accept = atomic_exchange(&n->accept, 0);
    if (accept != 0) {
        n->ops->accept(n, accept & 0xff, accept >> 8);
    }
    n->ops->work(n);
}

static void *net_thread(void *opaque)
{
    struct net *n = opaque;

    rcu_thread_register();
    while (!atomic_load(&n->stop)) {
        run_once(n);
    }
    rcu_thread_unregister();
    return NULL;
}

int net_start(struct net *n, const struct net_user *user)
{
    sigset_t all, old;

    n->user = *user;
    if (net_poll_add(n, n->evfd, POLLIN) < 0) {
        return -ENOMEM;
    }
    /* Signals go to the main thread; a fault of ours must still reach its handler. */
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int err = pthread_create(&n->thread, NULL, net_thread, n);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    n->running = err == 0;
    if (err == 0) {
        pthread_setname_np(n->thread, "net");
    }
    return -err;
}

void net_close(struct net *n)
{
    if (n == NULL) {
        return;
    }
    if (n->running) {
        atomic_store(&n->stop, true);
        net_kick(n);
        pthread_join(n->thread, NULL);
    }
    n->ops->close(n);
}

bool net_send(struct net *n, unsigned queue, struct net_hdr *packet, size_t len)
{
    return n->ops->send(n, queue, packet, len);
}

unsigned net_queues(const struct net *n)
{
    return n->queues;
}

unsigned net_offloads(const struct net *n)
{
    return n->offloads;
}

void net_accept(struct net *n, unsigned offloads, unsigned queues)
{
    if (n->ops->accept != NULL) {
        atomic_store(&n->accept, queues << 8 | offloads);
        net_kick(n);
    }
}
