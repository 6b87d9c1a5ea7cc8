/* SPDX-License-Identifier: MIT */
/*
 * virtio-net: a network card plugged into a back end (io/net.h). This file is the device: options,
 * features, configuration space, life cycle. Packets are virtio_net_tx.c and virtio_net_rx.c, the
 * control queue virtio_net_control.c. Virtio 1.2, 5.1.
 */
#include "virtio_net.h"

#include "base/log.h"
#include "vm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_LINK_UP 1u

/* ---- queues ---- */
/* The control queue comes after all pairs, but a driver without VIRTIO_NET_F_MQ knows of one. */
static unsigned control_queue(const struct virtio_net *n)
{
    return n->dev.features & VIRTIO_NET_F_MQ ? 2 * n->max_pairs : 2;
}

static void net_serve_queue(struct virtio_device *d, unsigned qi)
{
    struct virtio_net *n = to_net(d);
    unsigned control = control_queue(n);

    if (qi == control && (d->features & VIRTIO_NET_F_CTRL_VQ)) {
        virtio_net_control(n, &d->queue[qi]);
    } else if (qi < control && qi % 2 == 1) {
        virtio_net_take(n, qi);
    }
    /* New receive buffers: the back end offers again what waits, after this. */
}

static void net_schedule(struct virtio_device *d)
{
    net_kick(to_net(d)->net);
}

/* On the back end's thread. */
static void serve(void *opaque)
{
    struct virtio_net *n = opaque;

    virtio_net_send_staged(n);
    virtio_device_serve(&n->dev);
    virtio_net_send_staged(n);
}

/* ---- features and configuration ---- */
static void net_negotiated(struct virtio_device *d)
{
    struct virtio_net *n = to_net(d);

    n->guest_offloads = d->features & VIRTIO_NET_GUEST_OFFLOADS;
    n->filter.promiscuous = !(d->features & VIRTIO_NET_F_CTRL_RX);
    virtio_net_accept(n);
}

static void net_reset(struct virtio_device *d)
{
    struct virtio_net *n = to_net(d);

    memcpy(n->config.mac, n->mac, sizeof n->mac);
    n->filter = (struct virtio_net_filter){.promiscuous = true};
    n->pairs = 1;
    n->guest_offloads = 0;
    n->rx_listening = 0;
    virtio_net_accept(n);
}

/* Only legacy drivers set their address this way. */
static void net_config_write(struct virtio_device *d, unsigned off, uint64_t value, unsigned len)
{
    struct virtio_net *n = to_net(d);

    if (d->legacy && off + len <= sizeof n->config.mac) {
        memcpy(n->config.mac + off, &value, len);
    } else {
        virtio_guest_error(d, "write to configuration offset 0x%x", off);
    }
}

static uint64_t net_features(const struct virtio_net *n)
{
    unsigned can = net_offloads(n->net);
    uint64_t f = VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_MRG_RXBUF |
                 VIRTIO_NET_F_CTRL_VQ | VIRTIO_NET_F_CTRL_RX | VIRTIO_NET_F_CTRL_RX_EXTRA |
                 VIRTIO_NET_F_CTRL_MAC_ADDR | VIRTIO_NET_F_GUEST_CSUM |
                 VIRTIO_NET_F_CTRL_GUEST_OFFLOADS;

    f |= can & NET_CSUM ? VIRTIO_NET_F_CSUM : 0;
    f |= can & NET_TSO ? VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 |
                             VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6
                       : 0;
    f |= can & NET_ECN ? VIRTIO_NET_F_HOST_ECN | VIRTIO_NET_F_GUEST_ECN : 0;
    return f | (n->max_pairs > 1 ? VIRTIO_NET_F_MQ : 0);
}

/* ---- life cycle ---- */
static int parse_mac(const struct vm_device *dev, const char *s, uint8_t *mac)
{
    unsigned b[6];
    int end = 0;

    if (s == NULL) {
        return 0;
    }
    if (sscanf(s, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
               &end) != 6 ||
        s[end] != '\0' || (b[0] & 1) != 0) {
        log_error("-device %s: mac=%s: accepted: six hexadecimal bytes such as "
                  "52:54:00:12:34:56, the first one even",
                  dev->driver, s);
        return -EINVAL;
    }
    for (unsigned i = 0; i < 6; i++) {
        mac[i] = (uint8_t)b[i];
    }
    return 0;
}

/* The network of that name, which no card uses yet. */
static int find_network(struct vm *vm, const struct vm_device *dev, const char *id, unsigned *which)
{
    if (id == NULL) {
        log_error("-device %s: netdev= is missing", dev->driver);
        return -EINVAL;
    }
    for (unsigned i = 0; i < vm->opt->nnets; i++) {
        if (strcmp(vm->opt->net[i].id, id) != 0) {
            continue;
        }
        if (vm->nets_used & 1u << i) {
            log_error("-device %s: netdev=%s is taken by another card", dev->driver, id);
            return -EBUSY;
        }
        vm->nets_used |= 1u << i;
        *which = i;
        return 0;
    }
    log_error("-device %s: there is no -netdev with id=%s", dev->driver, id);
    return -ENOENT;
}

static void fill_in(struct virtio_net *n, struct vm *vm)
{
    n->max_pairs = net_queues(n->net);
    virtio_device_init(&n->dev, &virtio_net_class, vm, net_features(n));
    n->dev.nqueues = 2 * n->max_pairs + 1;
    n->config.status = STATUS_LINK_UP;
    n->config.max_pairs = (uint16_t)n->max_pairs;
    n->dev.config = (const uint8_t *)&n->config;
    n->dev.config_size = sizeof n->config;
    net_reset(&n->dev);
}

static int set_up(struct virtio_net *n, struct vm *vm, const struct vm_device *dev,
                  const char *netdev, const char *mac)
{
    unsigned which = 0;
    int err = find_network(vm, dev, netdev, &which);

    memcpy(n->mac, (uint8_t[]){0x52, 0x54, 0x00, 0x12, 0x34, (uint8_t)(0x56 + which)}, 6);
    if (err == 0) {
        err = parse_mac(dev, mac, n->mac);
    }
    if (err == 0) {
        err = net_open(&vm->opt->net[which], &n->net);
    }
    if (err != 0) {
        return err;
    }
    fill_in(n, vm);
    err = net_start(n->net, &(struct net_user){virtio_net_receive, serve, n});
    if (err != 0) {
        log_error("network %s: cannot start a thread: %s", netdev, strerror(-err));
        net_close(n->net);
        virtio_device_fini(&n->dev);
    }
    return err;
}

static int net_create(struct vm *vm, const struct vm_device *dev, struct virtio_device **out)
{
    struct virtio_option option[] = {{"netdev", NULL}, {"mac", NULL}, {NULL, NULL}};
    struct virtio_net *n = calloc(1, sizeof *n);
    int err = n == NULL ? -ENOMEM : 0;

    if (err == 0) {
        n->stage = malloc(VIRTIO_NET_STAGE);
        err = n->stage == NULL ? -ENOMEM : virtio_options_read(dev, option);
    }
    if (err == 0) {
        err = set_up(n, vm, dev, option[0].value, option[1].value);
        virtio_options_free(option);
    }
    if (err != 0) {
        if (n != NULL) {
            free(n->stage);
        }
        free(n);
        return err;
    }
    *out = &n->dev;
    return 0;
}

static void net_destroy(struct virtio_device *d)
{
    struct virtio_net *n = to_net(d);

    net_close(n->net);
    virtio_device_fini(d);
    free(n->stage);
    free(n);
}

const struct virtio_class virtio_net_class = {
    .driver = "virtio-net-device",
    .id = 1,
    .nqueues = 3,
    .queue_max = VIRTIO_NET_QUEUE_MAX,
    .create = net_create,
    .destroy = net_destroy,
    .serve = net_serve_queue,
    .schedule = net_schedule,
    .reset = net_reset,
    .negotiated = net_negotiated,
    .config_write = net_config_write,
};
