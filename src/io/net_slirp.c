/* SPDX-License-Identifier: MIT */
/*
 * -netdev user: libslirp gives the guest a private network, 10.0.2.0/24 and fec0::/64, with a
 * gateway that is the host, DHCP and DNS, and carries its connections over ordinary sockets of this
 * process.
 *
 * Threads: everything but opening and closing runs on the back end's thread. Lock: `slirp_lock`,
 * one for the process, around every call into the library: with two cards there are two threads,
 * and the library keeps a few things (addresses of name servers) in globals. The card's lock may be
 * taken inside it, never the other way round.
 *
 * Towards the guest: what the card has no room for waits in a queue of bounded size, and as long as
 * that is not empty sockets are not read, so that TCP slows down the sender; what comes in spite of
 * this and finds the queue full is dropped. From the guest: the library takes every frame and drops
 * by itself.
 */
#include "net_internal.h"

#include "base/log.h"
#include "io/io.h"
#include "tcg/tcg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>

#define PENDING_SIZE (1u << 20)
#define NS_PER_MS 1000000u

struct timer {
    struct timer *next;
    SlirpTimerCb fn;
    void *opaque;
    int64_t deadline_ms; /* INT64_MAX: idle */
};

struct net_slirp {
    struct net net;
    Slirp *slirp;
    struct timer *timers;
    /* Frames that wait for room, each after its length. */
    uint8_t *pending;
    size_t pending_at, pending_end;
    struct net_hdr out[(NET_PACKET_MAX + sizeof(struct net_hdr) - 1) / sizeof(struct net_hdr)];
};

static pthread_mutex_t slirp_lock = PTHREAD_MUTEX_INITIALIZER;

static struct net_slirp *to_slirp(struct net *n)
{
    return container_of(n, struct net_slirp, net);
}

/* ---- towards the guest ---- */
static bool deliver(struct net_slirp *s, const void *frame, size_t len)
{
    /* The library computed all checksums, and nothing can have changed the frame since. */
    s->out[0] = (struct net_hdr){.flags = NET_HDR_DATA_VALID};
    memcpy(s->out + 1, frame, len);
    return s->net.user.receive(s->net.user.opaque, 0, s->out, sizeof s->out[0] + len);
}

static void keep(struct net_slirp *s, const void *frame, uint32_t len)
{
    if (PENDING_SIZE - s->pending_end < sizeof len + len && s->pending_at > 0) {
        memmove(s->pending, s->pending + s->pending_at, s->pending_end - s->pending_at);
        s->pending_end -= s->pending_at;
        s->pending_at = 0;
    }
    if (PENDING_SIZE - s->pending_end < sizeof len + len) {
        return;
    }
    memcpy(s->pending + s->pending_end, &len, sizeof len);
    memcpy(s->pending + s->pending_end + sizeof len, frame, len);
    s->pending_end += sizeof len + len;
}

static bool held_back(const struct net_slirp *s)
{
    return s->pending_at != s->pending_end;
}

static void deliver_pending(struct net_slirp *s)
{
    uint32_t len;

    while (held_back(s)) {
        memcpy(&len, s->pending + s->pending_at, sizeof len);
        if (!deliver(s, s->pending + s->pending_at + sizeof len, len)) {
            return;
        }
        s->pending_at += sizeof len + len;
    }
    s->pending_at = s->pending_end = 0;
}

static ssize_t cb_send_packet(const void *buf, size_t len, void *opaque)
{
    struct net_slirp *s = opaque;

    if (len <= NET_FRAME_MAX && (held_back(s) || !deliver(s, buf, len))) {
        keep(s, buf, (uint32_t)len);
    }
    return (ssize_t)len;
}

/* ---- timers, of which the library has one or two ---- */
static int64_t now_ms(void)
{
    return (int64_t)(io_now_ns() / NS_PER_MS);
}

static int64_t cb_clock(void *opaque)
{
    (void)opaque;
    return (int64_t)io_now_ns();
}

static void *cb_timer_new(SlirpTimerCb fn, void *cb_opaque, void *opaque)
{
    struct net_slirp *s = opaque;
    struct timer *t = malloc(sizeof *t);

    if (t == NULL) {
        vm_bug("out of memory for a timer of the network");
    }
    *t = (struct timer){s->timers, fn, cb_opaque, INT64_MAX};
    s->timers = t;
    return t;
}

static void cb_timer_free(void *timer, void *opaque)
{
    struct net_slirp *s = opaque;

    for (struct timer **p = &s->timers; *p != NULL; p = &(*p)->next) {
        if (*p == timer) {
            *p = (*p)->next;
            break;
        }
    }
    free(timer);
}

static void cb_timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
    (void)opaque;
    ((struct timer *)timer)->deadline_ms = expire_ms;
}

static void run_timers(struct net_slirp *s)
{
    int64_t now = now_ms();

    for (struct timer *t = s->timers, *next; t != NULL; t = next) {
        next = t->next;
        if (t->deadline_ms <= now) {
            t->deadline_ms = INT64_MAX;
            t->fn(t->opaque);
        }
    }
}

/* ---- waiting ---- */
static int cb_add_poll(int fd, int events, void *opaque)
{
    struct net_slirp *s = opaque;
    int wanted = events;

    if (held_back(s)) {
        wanted &= ~(SLIRP_POLL_IN | SLIRP_POLL_PRI);
    }
    return net_poll_add(&s->net, fd,
                        (short)((wanted & SLIRP_POLL_IN ? POLLIN : 0) |
                                (wanted & SLIRP_POLL_OUT ? POLLOUT : 0) |
                                (wanted & SLIRP_POLL_PRI ? POLLPRI : 0)));
}

static int cb_revents(int i, void *opaque)
{
    const struct net_slirp *s = opaque;
    int r = i >= 0 ? s->net.poll[i].revents : 0;

    return (r & POLLIN ? SLIRP_POLL_IN : 0) | (r & POLLOUT ? SLIRP_POLL_OUT : 0) |
           (r & POLLPRI ? SLIRP_POLL_PRI : 0) | (r & POLLERR ? SLIRP_POLL_ERR : 0) |
           (r & POLLHUP ? SLIRP_POLL_HUP : 0);
}

static int slirp_prepare(struct net *n)
{
    struct net_slirp *s = to_slirp(n);
    uint32_t timeout = UINT32_MAX;
    int64_t now = now_ms();

    pthread_mutex_lock(&slirp_lock);
    slirp_pollfds_fill(s->slirp, &timeout, cb_add_poll, s);
    pthread_mutex_unlock(&slirp_lock);
    for (const struct timer *t = s->timers; t != NULL; t = t->next) {
        int64_t left = t->deadline_ms > now ? t->deadline_ms - now : 0;
        timeout = left < timeout ? (uint32_t)left : timeout;
    }
    return timeout > INT32_MAX ? -1 : (int)timeout;
}

static void slirp_work(struct net *n)
{
    struct net_slirp *s = to_slirp(n);

    deliver_pending(s);
    pthread_mutex_lock(&slirp_lock);
    slirp_pollfds_poll(s->slirp, 0, cb_revents, s);
    run_timers(s);
    pthread_mutex_unlock(&slirp_lock);
}

/* ---- from the guest ---- */
static bool slirp_send(struct net *n, unsigned queue, struct net_hdr *packet, size_t len)
{
    struct net_slirp *s = to_slirp(n);

    (void)queue;
    /* Segments longer than a frame need nothing done: the library takes them as they are. */
    if (net_checksum_finish(packet, len)) {
        pthread_mutex_lock(&slirp_lock);
        slirp_input(s->slirp, (const uint8_t *)(packet + 1), (int)(len - sizeof *packet));
        pthread_mutex_unlock(&slirp_lock);
    }
    return true;
}

/* ---- set-up ---- */
static void cb_guest_error(const char *msg, void *opaque)
{
    if (log_on(LOG_GUEST_ERROR)) {
        log_printf("network %s: %s\n", ((struct net_slirp *)opaque)->net.id, msg);
    }
}

/* The set of descriptors is asked for before every wait. */
static void cb_poll_fd(int fd, void *opaque)
{
    (void)fd;
    (void)opaque;
}

static void cb_notify(void *opaque)
{
    (void)opaque; /* only called by functions we do not use */
}

static const SlirpCb callbacks = {
    .send_packet = cb_send_packet,
    .guest_error = cb_guest_error,
    .clock_get_ns = cb_clock,
    .timer_new = cb_timer_new,
    .timer_free = cb_timer_free,
    .timer_mod = cb_timer_mod,
    .register_poll_fd = cb_poll_fd,
    .unregister_poll_fd = cb_poll_fd,
    .notify = cb_notify,
};

static void slirp_close(struct net *n)
{
    struct net_slirp *s = to_slirp(n);

    if (s->slirp != NULL) {
        pthread_mutex_lock(&slirp_lock);
        slirp_cleanup(s->slirp);
        pthread_mutex_unlock(&slirp_lock);
    }
    net_fini(n);
    free(s->pending);
    free(s);
}

static const struct net_ops slirp_ops = {
    .close = slirp_close,
    .prepare = slirp_prepare,
    .work = slirp_work,
    .send = slirp_send,
};

static Slirp *start_library(struct net_slirp *s, const struct net_config *c)
{
    SlirpConfig cfg = {
        .version = 1,
        .restricted = c->restricted,
        .in_enabled = true,
        .vnetwork.s_addr = htonl(c->network),
        .vnetmask.s_addr = htonl(c->netmask),
        .vhost.s_addr = htonl(c->gateway),
        .vdhcp_start.s_addr = htonl(c->dhcp_start),
        .vnameserver.s_addr = htonl(c->nameserver),
        .tftp_path = c->tftp,
        .bootfile = c->bootfile,
        .in6_enabled = !c->no_ipv6,
        .vprefix_len = 64,
        .vhostname = c->hostname,
    };

    inet_pton(AF_INET6, "fec0::", &cfg.vprefix_addr6);
    inet_pton(AF_INET6, "fec0::2", &cfg.vhost6);
    inet_pton(AF_INET6, "fec0::3", &cfg.vnameserver6);
    return slirp_new(&cfg, &callbacks, s);
}

static int add_forwards(struct net_slirp *s, const struct net_config *c)
{
    for (unsigned i = 0; i < c->nforwards; i++) {
        const struct net_forward *f = &c->forward[i];
        if (slirp_add_hostfwd(s->slirp, f->udp, f->host, f->host_port, f->guest,
                              f->guest_port) != 0) {
            int err = errno != 0 ? -errno : -EINVAL;
            log_error("network %s: hostfwd=%s: cannot listen on port %u: %s", c->id, f->text,
                      f->host_port, strerror(-err));
            return err;
        }
    }
    return 0;
}

int net_slirp_open(const struct net_config *c, struct net **out)
{
    struct net_slirp *s = calloc(1, sizeof *s);
    int err = s == NULL ? -ENOMEM : net_init(&s->net, &slirp_ops, c);

    if (s == NULL) {
        return err;
    }
    s->net.offloads = NET_CSUM | NET_TSO | NET_ECN;
    s->pending = malloc(PENDING_SIZE);
    if (err == 0 && s->pending == NULL) {
        err = -ENOMEM;
    }
    if (err == 0) {
        pthread_mutex_lock(&slirp_lock);
        s->slirp = start_library(s, c);
        err = s->slirp != NULL ? add_forwards(s, c) : -ENOMEM;
        pthread_mutex_unlock(&slirp_lock);
    }
    if (err != 0) {
        slirp_close(&s->net);
        return err;
    }
    *out = &s->net;
    return 0;
}
