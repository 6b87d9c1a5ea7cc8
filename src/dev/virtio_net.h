/* SPDX-License-Identifier: MIT */
/*
 * virtio-net, private to virtio_net*.c: the device, its feature bits and layouts. Virtio 1.2, 5.1.
 *
 * Threads: queues are served on the thread of the network's back end, which also brings what
 * arrives. Registers are the vCPUs'. Lock: the device's, held while packets are copied between
 * rings and private buffers, never while the network does something with them.
 */
#pragma once

#include "io/net.h"
#include "virtio_internal.h"

#define VIRTIO_NET_F_CSUM ((uint64_t)1 << 0)
#define VIRTIO_NET_F_GUEST_CSUM ((uint64_t)1 << 1)
#define VIRTIO_NET_F_CTRL_GUEST_OFFLOADS ((uint64_t)1 << 2)
#define VIRTIO_NET_F_MAC ((uint64_t)1 << 5)
#define VIRTIO_NET_F_GUEST_TSO4 ((uint64_t)1 << 7)
#define VIRTIO_NET_F_GUEST_TSO6 ((uint64_t)1 << 8)
#define VIRTIO_NET_F_GUEST_ECN ((uint64_t)1 << 9)
#define VIRTIO_NET_F_HOST_TSO4 ((uint64_t)1 << 11)
#define VIRTIO_NET_F_HOST_TSO6 ((uint64_t)1 << 12)
#define VIRTIO_NET_F_HOST_ECN ((uint64_t)1 << 13)
#define VIRTIO_NET_F_MRG_RXBUF ((uint64_t)1 << 15)
#define VIRTIO_NET_F_STATUS ((uint64_t)1 << 16)
#define VIRTIO_NET_F_CTRL_VQ ((uint64_t)1 << 17)
#define VIRTIO_NET_F_CTRL_RX ((uint64_t)1 << 18)
#define VIRTIO_NET_F_CTRL_RX_EXTRA ((uint64_t)1 << 20)
#define VIRTIO_NET_F_MQ ((uint64_t)1 << 22)
#define VIRTIO_NET_F_CTRL_MAC_ADDR ((uint64_t)1 << 23)

#define VIRTIO_NET_GUEST_OFFLOADS                                                                  \
    (VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 |                 \
     VIRTIO_NET_F_GUEST_ECN)

#define VIRTIO_NET_QUEUE_MAX 256u
#define VIRTIO_NET_MACS 64u           /* of one table; more make us let everything through */
#define VIRTIO_NET_STAGE 262144u      /* bytes of packets taken from the rings at a time */
_Static_assert(2 * NET_QUEUES + 1 <= VIRTIO_QUEUES, "all queues have a place");

struct virtio_net_config {
    uint8_t mac[6];
    uint16_t status, max_pairs;
} __attribute__((packed));
_Static_assert(sizeof(struct virtio_net_config) == 10, "the guest's layout");

/* Which frames the driver wants (5.1.6.5.1). */
struct virtio_net_filter {
    bool promiscuous, all_multicast, all_unicast, no_multicast, no_unicast, no_broadcast;
    bool too_many[2];
    unsigned nmacs[2];                /* [0] unicast, [1] multicast */
    uint8_t mac[2][VIRTIO_NET_MACS][6];
};

struct virtio_net {
    struct virtio_device dev;
    struct net *net;
    unsigned max_pairs;
    uint8_t mac[6];                   /* after a reset */
    /* ---- the device's lock ---- */
    struct virtio_net_config config;
    struct virtio_net_filter filter;
    unsigned pairs;                   /* in use */
    uint64_t guest_offloads;          /* VIRTIO_NET_F_GUEST_* in force */
    uint32_t rx_listening;            /* receive queues whose next buffer we want to hear of */
    /* ---- the back end's thread ---- */
    uint32_t tx_waiting;              /* send queues not served while the stage was full */
    size_t stage_at, stage_end;
    uint8_t *stage;                   /* packets to send, each after a struct virtio_net_staged */
};

struct virtio_net_staged {
    uint32_t len, queue;              /* queue: number of the pair */
    struct net_hdr packet[];
};

static inline struct virtio_net *to_net(struct virtio_device *d)
{
    return container_of(d, struct virtio_net, dev);
}

/* Bytes of the header in the rings: before virtio 1.0, num_buffers was there only for those who use
   it. */
static inline size_t virtio_net_header(const struct virtio_net *n)
{
    bool old = n->dev.legacy && !(n->dev.features & VIRTIO_NET_F_MRG_RXBUF);

    return old ? offsetof(struct net_hdr, num_buffers) : sizeof(struct net_hdr);
}

/* ---- virtio_net_tx.c ---- */
/* Move packets of a send queue to the stage; with the device's lock. */
void virtio_net_take(struct virtio_net *n, unsigned qi);
/* Send what is staged; without it. */
void virtio_net_send_staged(struct virtio_net *n);

/* ---- virtio_net_rx.c ---- */
/* net_user.receive */
bool virtio_net_receive(void *opaque, unsigned queue, struct net_hdr *packet, size_t len);

/* ---- virtio_net_control.c, with the device's lock ---- */
void virtio_net_control(struct virtio_net *n, struct virtio_queue *q);
/* Tell the back end what the guest takes. */
void virtio_net_accept(struct virtio_net *n);
bool virtio_net_wants(const struct virtio_net *n, const uint8_t *frame);
