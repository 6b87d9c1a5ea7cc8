/* SPDX-License-Identifier: MIT */
/*
 * -netdev tap: the guest's card is plugged into an interface of the host, named or given as ready
 * descriptors (one for each pair of queues). With the kernel's packet headers (IFF_VNET_HDR)
 * checksums and segmentation go through to the kernel as they are.
 *
 * All on the back end's thread, without locks. A packet that the guest has no room for stays where
 * it was read to, and its descriptor is not read until
 * the guest took it: then the kernel's queue fills and drops. A packet that the kernel does not
 * take is not taken from the guest either.
 */
#include "net_internal.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TAP_DEVICE "/dev/net/tun"
#define READS 64u /* packets of a queue before others get their turn */

struct tap_queue {
    int fd;
    bool enabled;   /* by the kernel, for interfaces with several queues */
    bool full;      /* the kernel takes no more for now */
    bool gone;      /* the interface was deleted */
    size_t held;    /* bytes in `in` that the guest has not taken */
    struct net_hdr in[(NET_PACKET_MAX + sizeof(struct net_hdr) - 1) / sizeof(struct net_hdr)];
};

struct net_tap {
    struct net net;
    bool headers;   /* the kernel's, in front of every packet */
    bool multi;
    struct tap_queue *queue[NET_QUEUES];
};

static struct net_tap *to_tap(struct net *n)
{
    return container_of(n, struct net_tap, net);
}

/* ---- from the host ---- */
/* Read one packet into q->in; false: there is none. */
static bool read_packet(const struct net_tap *t, struct tap_queue *q)
{
    size_t skip = t->headers ? 0 : sizeof(struct net_hdr);
    ssize_t n = read(q->fd, (uint8_t *)q->in + skip, NET_PACKET_MAX - skip);

    if (n < 0 && (errno == EBADFD || errno == EIO)) {
        q->gone = true;
        log_warn("network %s: the tap interface is gone", t->net.id);
    }
    if (n <= 0) {
        return false;
    }
    if (!t->headers) {
        q->in[0] = (struct net_hdr){0};
    }
    q->held = (size_t)n + skip;
    return q->held > sizeof(struct net_hdr);
}

static void read_queue(struct net_tap *t, unsigned i)
{
    struct tap_queue *q = t->queue[i];

    for (unsigned left = READS; left > 0; left--) {
        if (q->held == 0 && !read_packet(t, q)) {
            q->held = 0;
            return;
        }
        if (!t->net.user.receive(t->net.user.opaque, i, q->in, q->held)) {
            return;
        }
        q->held = 0;
    }
}

static int tap_prepare(struct net *n)
{
    struct net_tap *t = to_tap(n);

    for (unsigned i = 0; i < n->queues; i++) {
        const struct tap_queue *q = t->queue[i];
        short events = (short)((q->held == 0 ? POLLIN : 0) | (q->full ? POLLOUT : 0));
        events = q->gone ? 0 : events;
        /* Without an event poll() would still report errors, at once and for ever. */
        net_poll_add(n, events != 0 ? q->fd : -1, events);
    }
    return -1;
}

static void tap_work(struct net *n)
{
    struct net_tap *t = to_tap(n);

    for (unsigned i = 0; i < n->queues; i++) {
        struct tap_queue *q = t->queue[i];
        if (q->full && i + 1 < n->npoll && (n->poll[i + 1].revents & (POLLOUT | POLLERR))) {
            q->full = false;
            net_kick(n);
        }
        if (!q->gone) {
            read_queue(t, i);
        }
    }
}

/* ---- to the host ---- */
static bool tap_send(struct net *n, unsigned queue, struct net_hdr *packet, size_t len)
{
    struct net_tap *t = to_tap(n);
    struct tap_queue *q = t->queue[queue % n->queues];
    size_t skip = t->headers ? 0 : sizeof *packet;

    if (!t->headers && !net_checksum_finish(packet, len)) {
        return true;
    }
    packet->flags &= NET_HDR_NEEDS_CSUM;
    packet->num_buffers = 0;
    while (write(q->fd, (uint8_t *)packet + skip, len - skip) < 0) {
        if (errno == EAGAIN || errno == ENOBUFS) {
            q->full = true;
            return false;
        }
        if (errno != EINTR) {
            break; /* the kernel refuses this packet (or the interface is down): dropped */
        }
    }
    return true;
}

/* ---- what the card takes ---- */
static void enable_queue(struct tap_queue *q, bool on)
{
    struct ifreq r = {.ifr_flags = on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE};

    if (q->enabled != on && ioctl(q->fd, TUNSETQUEUE, &r) == 0) {
        q->enabled = on;
    }
}

static void tap_accept(struct net *n, unsigned offloads, unsigned queues)
{
    struct net_tap *t = to_tap(n);
    unsigned flags = offloads & NET_CSUM ? TUN_F_CSUM : 0;

    if ((offloads & (NET_CSUM | NET_TSO)) == (NET_CSUM | NET_TSO)) {
        flags |= TUN_F_TSO4 | TUN_F_TSO6 | (offloads & NET_ECN ? TUN_F_TSO_ECN : 0u);
    }
    for (unsigned i = 0; t->multi && i < n->queues; i++) {
        enable_queue(t->queue[i], i < queues);
    }
    if (t->headers && ioctl(t->queue[0]->fd, TUNSETOFFLOAD, flags) != 0) {
        log_warn("network %s: the host refuses offloads 0x%x: %s", n->id, flags, strerror(errno));
    }
}

/* ---- set-up ---- */
static void tap_close(struct net *n)
{
    struct net_tap *t = to_tap(n);

    for (unsigned i = 0; i < NET_QUEUES; i++) {
        if (t->queue[i] != NULL) {
            close(t->queue[i]->fd);
            free(t->queue[i]);
        }
    }
    net_fini(n);
    free(t);
}

static const struct net_ops tap_ops = {
    .close = tap_close,
    .prepare = tap_prepare,
    .work = tap_work,
    .send = tap_send,
    .accept = tap_accept,
};

/* Takes over fd. */
static int add_queue(struct net_tap *t, unsigned i, int fd)
{
    struct tap_queue *q = calloc(1, sizeof *q);

    if (q == NULL) {
        close(fd);
        return -ENOMEM;
    }
    q->fd = fd;
    q->enabled = true;
    t->queue[i] = q;
    return 0;
}

static int open_named(struct net_tap *t, const struct net_config *c, unsigned i)
{
    struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int fd = open(TAP_DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        int err = -errno;
        log_error("network %s: cannot open " TAP_DEVICE ": %s", c->id, strerror(-err));
        return err;
    }
    if (t->net.queues > 1) {
        r.ifr_flags |= IFF_MULTI_QUEUE;
    }
    strncpy(r.ifr_name, c->ifname, sizeof r.ifr_name - 1);
    if (ioctl(fd, TUNSETIFF, &r) != 0) {
        int err = -errno;
        log_error("network %s: cannot use the interface %s: %s%s", c->id, c->ifname,
                  strerror(-err),
                  err == -EPERM ? "; have it made for you: ip tuntap add mode tap user NAME"
                  : err == -EINVAL ? "; is it a tap interface, multi_queue if it has several?"
                                   : "");
        close(fd);
        return err;
    }
    return add_queue(t, i, fd);
}

/* A descriptor that somebody else opened. */
static int take_fd(struct net_tap *t, const struct net_config *c, unsigned i)
{
    struct ifreq r = {0};
    int fd = c->fd[i], flags = fcntl(fd, F_GETFL);

    if (flags < 0 || ioctl(fd, TUNGETIFF, &r) != 0 || !(r.ifr_flags & IFF_TAP)) {
        int err = flags < 0 ? -errno : -EINVAL;
        log_error("network %s: fd=%d is not an open tap interface", c->id, fd);
        return err;
    }
    if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        int err = -errno;
        log_error("network %s: fd=%d: %s", c->id, fd, strerror(-err));
        return err;
    }
    return add_queue(t, i, fd);
}

static int set_headers(struct net_tap *t, const struct net_config *c)
{
    struct ifreq r = {0};
    int size = sizeof(struct net_hdr);

    if (ioctl(t->queue[0]->fd, TUNGETIFF, &r) != 0) {
        int err = -errno;
        log_error("network %s: %s", c->id, strerror(-err));
        return err;
    }
    t->headers = (r.ifr_flags & IFF_VNET_HDR) != 0;
    t->multi = (r.ifr_flags & IFF_MULTI_QUEUE) != 0;
    for (unsigned i = 0; t->headers && i < t->net.queues; i++) {
        if (ioctl(t->queue[i]->fd, TUNSETVNETHDRSZ, &size) != 0) {
            int err = -errno;
            log_error("network %s: packet headers of %d bytes: %s", c->id, size, strerror(-err));
            return err;
        }
    }
    t->net.offloads = NET_CSUM | (t->headers ? NET_TSO | NET_ECN : 0u);
    return 0;
}

int net_tap_open(const struct net_config *c, struct net **out)
{
    struct net_tap *t = calloc(1, sizeof *t);
    int err = t == NULL ? -ENOMEM : net_init(&t->net, &tap_ops, c);

    if (t == NULL) {
        return err;
    }
    t->net.queues = c->nfds > 0 ? c->nfds : c->queues > 0 ? c->queues : 1;
    for (unsigned i = 0; err == 0 && i < t->net.queues; i++) {
        err = c->nfds > 0 ? take_fd(t, c, i) : open_named(t, c, i);
    }
    if (err == 0) {
        err = set_headers(t, c);
    }
    if (err != 0) {
        tap_close(&t->net);
        return err;
    }
    *out = &t->net;
    return 0;
}
