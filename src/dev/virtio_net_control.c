/* SPDX-License-Identifier: MIT */
/*
 * virtio-net, the control queue: which frames the driver wants, its address, how many pairs of
 * queues it uses, which offloads it takes. On the back end's thread, with the device's lock. Virtio
 * 1.2, 5.1.6.5.
 */
#include "virtio_net.h"

#include <string.h>

enum { CLASS_RX = 0, CLASS_MAC = 1, CLASS_MQ = 4, CLASS_OFFLOADS = 5 };
enum { RX_PROMISC, RX_ALLMULTI, RX_ALLUNI, RX_NOMULTI, RX_NOUNI, RX_NOBCAST };
enum { MAC_TABLE_SET, MAC_ADDR_SET };
enum { MQ_PAIRS_SET };
enum { OFFLOADS_SET };
#define HEADER_SIZE 2u

/* ---- which frames ---- */
static bool in_table(const struct virtio_net_filter *f, unsigned which, const uint8_t *mac)
{
    for (unsigned i = 0; i < f->nmacs[which]; i++) {
        if (memcmp(f->mac[which][i], mac, 6) == 0) {
            return true;
        }
    }
    return f->too_many[which];
}

bool virtio_net_wants(const struct virtio_net *n, const uint8_t *frame)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const struct virtio_net_filter *f = &n->filter;

    if (f->promiscuous) {
        return true;
    }
    if (memcmp(frame, broadcast, sizeof broadcast) == 0) {
        return !f->no_broadcast;
    }
    if (frame[0] & 1) {
        return !f->no_multicast && (f->all_multicast || in_table(f, 1, frame));
    }
    return !f->no_unicast &&
           (f->all_unicast || memcmp(frame, n->config.mac, 6) == 0 || in_table(f, 0, frame));
}

/* ---- commands ---- */
/* Exactly `size` bytes of the command's data, which begin `at` bytes into it. */
static bool read_data(const struct virtio_net *n, uint64_t at, void *buf, size_t size)
{
    const struct virtio_chain *c = &n->dev.chain;

    return virtio_iov_read(c->iov, c->nout, HEADER_SIZE + at, buf, size) == size;
}

static bool set_rx_mode(struct virtio_net *n, uint8_t command)
{
    struct virtio_net_filter *f = &n->filter;
    uint8_t on;

    if (!read_data(n, 0, &on, sizeof on)) {
        return false;
    }
    switch (command) {
    case RX_PROMISC: f->promiscuous = on != 0; return true;
    case RX_ALLMULTI: f->all_multicast = on != 0; return true;
    case RX_ALLUNI: f->all_unicast = on != 0; return true;
    case RX_NOMULTI: f->no_multicast = on != 0; return true;
    case RX_NOUNI: f->no_unicast = on != 0; return true;
    case RX_NOBCAST: f->no_broadcast = on != 0; return true;
    default: return false;
    }
}

/* Two tables, unicast and multicast, each a count and as many addresses. */
static bool set_mac_tables(struct virtio_net *n)
{
    const struct virtio_chain *c = &n->dev.chain;
    struct virtio_net_filter f = n->filter;
    uint64_t at = 0;

    for (unsigned which = 0; which < 2; which++) {
        uint32_t count;
        if (!read_data(n, at, &count, sizeof count) ||
            (uint64_t)count * 6 > c->out_len - HEADER_SIZE - at - sizeof count) {
            return false;
        }
        f.too_many[which] = count > VIRTIO_NET_MACS;
        f.nmacs[which] = f.too_many[which] ? 0 : count;
        if (!read_data(n, at + sizeof count, f.mac[which], f.nmacs[which] * (size_t)6)) {
            return false;
        }
        at += sizeof count + (uint64_t)count * 6;
    }
    n->filter = f;
    return true;
}

static bool set_mac(struct virtio_net *n, uint8_t command)
{
    uint8_t mac[sizeof n->config.mac];

    if (command == MAC_TABLE_SET) {
        return set_mac_tables(n);
    }
    if (command != MAC_ADDR_SET || !read_data(n, 0, mac, sizeof mac)) {
        return false;
    }
    memcpy(n->config.mac, mac, sizeof mac);
    return true;
}

static bool set_pairs(struct virtio_net *n, uint8_t command)
{
    uint16_t pairs;

    if (command != MQ_PAIRS_SET || !read_data(n, 0, &pairs, sizeof pairs) || pairs == 0 ||
        pairs > n->max_pairs) {
        return false;
    }
    n->pairs = pairs;
    virtio_net_accept(n);
    return true;
}

static bool set_offloads(struct virtio_net *n, uint8_t command)
{
    uint64_t wanted;

    if (command != OFFLOADS_SET || !read_data(n, 0, &wanted, sizeof wanted) ||
        (wanted & ~(n->dev.features & VIRTIO_NET_GUEST_OFFLOADS)) != 0) {
        return false;
    }
    n->guest_offloads = wanted;
    virtio_net_accept(n);
    return true;
}

void virtio_net_accept(struct virtio_net *n)
{
    uint64_t g = n->guest_offloads;
    const uint64_t tso = VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6;

    /* The host turns on both kinds of TCP or none. */
    net_accept(n->net,
               (g & VIRTIO_NET_F_GUEST_CSUM ? NET_CSUM : 0u) | ((g & tso) == tso ? NET_TSO : 0u) |
                   (g & VIRTIO_NET_F_GUEST_ECN ? NET_ECN : 0u),
               n->pairs);
}

/* The feature a command belongs to; 0: there is no such command. */
static uint64_t feature_of(uint8_t cls, uint8_t command)
{
    switch (cls) {
    case CLASS_RX:
        return command <= RX_ALLMULTI ? VIRTIO_NET_F_CTRL_RX : VIRTIO_NET_F_CTRL_RX_EXTRA;
    case CLASS_MAC:
        return command == MAC_TABLE_SET ? VIRTIO_NET_F_CTRL_RX : VIRTIO_NET_F_CTRL_MAC_ADDR;
    case CLASS_MQ: return VIRTIO_NET_F_MQ;
    case CLASS_OFFLOADS: return VIRTIO_NET_F_CTRL_GUEST_OFFLOADS;
    default: return 0;
    }
}

static bool run_command(struct virtio_net *n)
{
    const struct virtio_chain *c = &n->dev.chain;
    uint8_t head[HEADER_SIZE];

    if (virtio_iov_read(c->iov, c->nout, 0, head, sizeof head) != sizeof head ||
        !(n->dev.features & feature_of(head[0], head[1]))) {
        return false;
    }
    switch (head[0]) {
    case CLASS_RX: return set_rx_mode(n, head[1]);
    case CLASS_MAC: return set_mac(n, head[1]);
    case CLASS_MQ: return set_pairs(n, head[1]);
    default: return set_offloads(n, head[1]);
    }
}

void virtio_net_control(struct virtio_net *n, struct virtio_queue *q)
{
    struct virtio_device *d = &n->dev;
    bool pushed = false;

    virtio_queue_quiet(d, q);
    for (unsigned budget = q->num; budget > 0; budget--) {
        if (!virtio_queue_pop(d, q)) {
            if (virtio_queue_listen(d, q) && virtio_device_running(d)) {
                continue;
            }
            break;
        }
        const struct virtio_chain *c = &d->chain;
        const struct iovec *in = c->iov + c->nout;
        if (c->in_len == 0) {
            virtio_device_broken(d, "a command without room for its answer");
            break;
        }
        uint8_t failed = run_command(n) ? 0 : 1;
        virtio_iov_write(in, c->nin, 0, &failed, sizeof failed);
        virtio_iov_written(d->vm, in, c->nin, sizeof failed);
        virtio_queue_push(d, q, c->head, sizeof failed);
        pushed = true;
    }
    if (pushed) {
        virtio_queue_signal(d, q);
    }
}
