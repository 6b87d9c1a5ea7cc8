/* SPDX-License-Identifier: MIT */
/*
 * virtio-net, towards the guest: one packet from the network into as many receive buffers as it
 * takes, which the driver sees all at once. With the device's lock, on the back end's thread. A
 * packet that finds no buffers is not taken, and the back end offers it again after the driver has
 * added some. Virtio 1.2, 5.1.6.3 and 5.1.6.4.
 */
#include "virtio_net.h"

#include <string.h>

enum outcome { DELIVERED, NO_BUFFERS, NEVER_FITS };

/* num_buffers in guest memory, known only when the last buffer is. */
static void find_hole(const struct iovec *iov, unsigned n, struct iovec *hole)
{
    for (unsigned i = 0; i < 2; i++) {
        virtio_iov_slice(iov, n, offsetof(struct net_hdr, num_buffers) + i, 1, &hole[i]);
    }
}

static void fill_hole(struct virtio_net *n, const struct iovec *hole, unsigned nbufs)
{
    *(uint8_t *)hole[0].iov_base = (uint8_t)nbufs;
    *(uint8_t *)hole[1].iov_base = (uint8_t)(nbufs >> 8);
    virtio_iov_written(n->dev.vm, hole, 2, 2);
}

static void give_back(struct virtio_queue *q, unsigned n)
{
    for (; n > 0; n--) {
        virtio_queue_unpop(q);
    }
}

/*
 * Fill buffers with the packet, header first. Used entries are written but not published: that is
 * for the caller, for all *nbufs of them.
 */
static enum outcome fill(struct virtio_net *n, struct virtio_queue *q, const struct net_hdr *packet,
                         size_t len, struct iovec *hole, unsigned *nbufs)
{
    struct virtio_device *d = &n->dev;
    bool merge = (d->features & VIRTIO_NET_F_MRG_RXBUF) != 0;
    size_t header = virtio_net_header(n), done = 0, total = header + len - sizeof *packet;

    for (*nbufs = 0; done < total; ++*nbufs) {
        if (!virtio_queue_pop(d, q)) {
            give_back(q, *nbufs);
            return *nbufs < q->num ? NO_BUFFERS : NEVER_FITS;
        }
        const struct virtio_chain *c = &d->chain;
        const struct iovec *in = c->iov + c->nout;
        if (*nbufs == 0 && c->in_len < header) {
            virtio_device_broken(d, "a receive buffer of %llu bytes",
                                 (unsigned long long)c->in_len);
            return NEVER_FITS;
        }
        if (!merge && c->in_len < total) {
            give_back(q, 1);
            return NEVER_FITS;
        }
        size_t at = 0;
        if (*nbufs == 0) {
            if (header == sizeof *packet) {
                find_hole(in, c->nin, hole);
            }
            at = virtio_iov_write(in, c->nin, 0, packet, header);
            done = at;
        }
        size_t m = virtio_iov_write(in, c->nin, at,
                                    (const uint8_t *)(packet + 1) + (done - header),
                                    total - done);
        done += m;
        virtio_iov_written(d->vm, in, c->nin, at + m);
        virtio_queue_fill(d, q, *nbufs, c->head, (uint32_t)(at + m));
    }
    return DELIVERED;
}

static enum outcome receive_locked(struct virtio_net *n, unsigned qi, const struct net_hdr *packet,
                                   size_t len)
{
    struct virtio_queue *q = &n->dev.queue[qi];
    struct iovec hole[2];
    unsigned nbufs;
    enum outcome r = fill(n, q, packet, len, hole, &nbufs);

    if (r != DELIVERED) {
        return r;
    }
    if (virtio_net_header(n) == sizeof *packet) {
        fill_hole(n, hole, nbufs);
    }
    virtio_queue_publish(&n->dev, q, nbufs);
    virtio_queue_signal(&n->dev, q);
    return DELIVERED;
}

/* Leave nothing in the header that the driver did not agree to; false when that cannot be: the
   packet was on its way when the driver changed its mind. */
static bool trim_header(const struct virtio_net *n, struct net_hdr *h)
{
    uint64_t g = n->guest_offloads;
    uint64_t tso = h->gso_type & NET_GSO_TCPV6 ? VIRTIO_NET_F_GUEST_TSO6 : VIRTIO_NET_F_GUEST_TSO4;

    if (((h->flags & NET_HDR_NEEDS_CSUM) && !(g & VIRTIO_NET_F_GUEST_CSUM)) ||
        (h->gso_type != NET_GSO_NONE && !(g & tso)) ||
        ((h->gso_type & NET_GSO_ECN) && !(g & VIRTIO_NET_F_GUEST_ECN))) {
        return false;
    }
    h->flags = g & VIRTIO_NET_F_GUEST_CSUM ? h->flags : 0;
    h->num_buffers = 1;
    return true;
}

bool virtio_net_receive(void *opaque, unsigned queue, struct net_hdr *packet, size_t len)
{
    struct virtio_net *n = opaque;
    struct virtio_device *d = &n->dev;
    bool taken = true;

    pthread_mutex_lock(&d->lock);
    unsigned qi = 2 * (queue % n->pairs);
    struct virtio_queue *q = &d->queue[qi];
    if (len >= sizeof *packet + 14 && virtio_device_running(d) && q->ready &&
        virtio_net_wants(n, (const uint8_t *)(packet + 1)) && trim_header(n, packet)) {
        if (n->rx_listening & 1u << qi) {
            n->rx_listening &= ~(1u << qi);
            virtio_queue_quiet(d, q);
        }
        enum outcome r = receive_locked(n, qi, packet, len);
        if (r == NO_BUFFERS) {
            /* One more look after asking to be told; then the driver's notification leads here. */
            n->rx_listening |= 1u << qi;
            r = virtio_queue_listen(d, q) ? receive_locked(n, qi, packet, len) : r;
        }
        taken = r != NO_BUFFERS;
    }
    pthread_mutex_unlock(&d->lock);
    return taken;
}
