/* SPDX-License-Identifier: MIT */
/*
 * virtio-net, from the guest: packets are copied from the rings to a private buffer, the stage,
 * and given back to the driver at once; then the stage goes to the network without the device's
 * lock. While the network does not take packets the stage stays as it is and the rings fill up.
 * Virtio 1.2, 5.1.6.2.
 */
#include "virtio_net.h"

#include <string.h>

#define RECORD_MAX (sizeof(struct virtio_net_staged) + NET_PACKET_MAX)
#define RECORD_ALIGN 8u
_Static_assert(VIRTIO_NET_STAGE >= 2 * RECORD_MAX, "room for the longest packet");

/* The chain in dev.chain to the end of the stage. A frame without a chance is dropped here. */
static void stage_chain(struct virtio_net *n, unsigned pair)
{
    const struct virtio_chain *c = &n->dev.chain;
    struct virtio_net_staged *r = (void *)(n->stage + n->stage_end);
    size_t header = virtio_net_header(n);
    uint64_t frame = c->out_len - header;

    if (frame == 0 || frame > NET_FRAME_MAX) {
        virtio_guest_error(&n->dev, "a frame of %llu bytes", (unsigned long long)frame);
        return;
    }
    r->packet[0] = (struct net_hdr){0};
    virtio_iov_read(c->iov, c->nout, 0, r->packet, header);
    virtio_iov_read(c->iov, c->nout, header, r->packet + 1, (size_t)frame);
    r->len = (uint32_t)(sizeof r->packet[0] + frame);
    r->queue = pair;
    n->stage_end += (sizeof *r + r->len + RECORD_ALIGN - 1) & ~(size_t)(RECORD_ALIGN - 1);
}

static bool stage_has_room(const struct virtio_net *n)
{
    return VIRTIO_NET_STAGE - n->stage_end >= RECORD_MAX + RECORD_ALIGN;
}

void virtio_net_take(struct virtio_net *n, unsigned qi)
{
    struct virtio_device *d = &n->dev;
    struct virtio_queue *q = &d->queue[qi];
    unsigned budget = q->num;
    bool pushed = false;

    if (n->stage_at != n->stage_end) {
        n->tx_waiting |= 1u << qi;
        return;
    }
    n->stage_at = n->stage_end = 0;
    virtio_queue_quiet(d, q);
    for (; budget > 0 && stage_has_room(n); budget--) {
        if (!virtio_queue_pop(d, q)) {
            if (virtio_queue_listen(d, q) && virtio_device_running(d)) {
                continue;
            }
            break;
        }
        if (d->chain.out_len < virtio_net_header(n)) {
            virtio_device_broken(d, "a packet without its header");
            break;
        }
        stage_chain(n, qi / 2);
        virtio_queue_push(d, q, d->chain.head, 0);
        pushed = true;
    }
    if (pushed) {
        virtio_queue_signal(d, q);
    }
    if (budget == 0 || !stage_has_room(n)) {
        n->tx_waiting |= 1u << qi;
    }
}

void virtio_net_send_staged(struct virtio_net *n)
{
    while (n->stage_at < n->stage_end) {
        struct virtio_net_staged *r = (void *)(n->stage + n->stage_at);
        if (!net_send(n->net, r->queue, r->packet, r->len)) {
            return;
        }
        n->stage_at += (sizeof *r + r->len + RECORD_ALIGN - 1) & ~(size_t)(RECORD_ALIGN - 1);
    }
    n->stage_at = n->stage_end = 0;
    uint32_t waiting = n->tx_waiting;
    n->tx_waiting = 0;
    for (unsigned q = 0; waiting != 0; q++, waiting >>= 1) {
        if (waiting & 1) {
            virtio_device_kick(&n->dev, q);
        }
    }
}
