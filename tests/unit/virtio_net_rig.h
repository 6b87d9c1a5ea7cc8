/* SPDX-License-Identifier: MIT */
/*
 * For tests of virtio-net: a card on a user network (libslirp, with its real sockets on this
 * host's loopback), a driver with one pair of queues and the control queue, and the few packets it
 * needs: ARP, and UDP between the guest 10.0.2.15 and the host 10.0.2.2.
 */
#pragma once

#include "virtio_rig.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#define NET_F_CSUM ((uint64_t)1 << 0)
#define NET_F_GUEST_CSUM ((uint64_t)1 << 1)
#define NET_F_MRG ((uint64_t)1 << 15)
#define NET_F_CTRL ((uint64_t)1 << 17 | (uint64_t)1 << 18 | (uint64_t)1 << 20 | (uint64_t)1 << 23)
#define NET_HDR 12u
#define TX_DATA (RAM_BASE + 0x100000)
#define RX_DATA (RAM_BASE + 0x200000)
#define CTRL_DATA (RAM_BASE + 0x300000)

static struct gqueue rx, tx, ctrl;
static size_t hdr_size = NET_HDR;
static int host_fd = -1;
static uint16_t host_port;

static const uint8_t guest_mac[6] = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56};

/* Packets at random must not find their way out of this machine. */
static bool net_restricted;

static inline int net_card(const char *options)
{
    opt.net[0] = (struct net_config){.kind = NET_USER, .id = (char *)(uintptr_t)"n",
                                     .network = 0x0a000200, .netmask = 0xffffff00,
                                     .gateway = 0x0a000202, .nameserver = 0x0a000203,
                                     .dhcp_start = 0x0a00020f,
                                     .restricted = net_restricted};
    opt.nnets = 1;
    return rig_device("virtio-net-device", options);
}

/* A UDP socket of the host. */
static inline void host_open(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;

    host_fd = socket(AF_INET, SOCK_DGRAM, 0);
    cr_assert_eq(bind(host_fd, (struct sockaddr *)&a, sizeof a), 0);
    cr_assert_eq(getsockname(host_fd, (struct sockaddr *)&a, &len), 0);
    host_port = ntohs(a.sin_port);
}

static inline void net_restart(uint64_t features)
{
    cr_assert(negotiate(features | F_V1));
    rx = queue_set_up(0, 16, RAM_BASE);
    tx = queue_set_up(1, 16, RAM_BASE + 0x8000);
    ctrl = queue_set_up(2, 16, RAM_BASE + 0x10000);
    driver_ok();
}

/* ---- packets ---- */
static inline void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline unsigned get16(const uint8_t *p)
{
    return p[0] * 256u + p[1];
}

/* One's complement sum, not inverted. */
static inline unsigned sum16(const uint8_t *p, size_t n, unsigned sum)
{
    for (size_t i = 0; i < n; i++) {
        sum += i % 2 == 0 ? p[i] * 256u : p[i];
    }
    while (sum > 0xffff) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/* "Who has 10.0.2.2?" from 10.0.2.15; 42 bytes. */
static inline size_t make_arp(uint8_t *p)
{
    static const uint8_t rest[] = {0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1};

    memset(p, 0xff, 6);
    memcpy(p + 6, guest_mac, 6);
    memcpy(p + 12, rest, sizeof rest);
    memcpy(p + 22, guest_mac, 6);
    memcpy(p + 28, (uint8_t[]){10, 0, 2, 15}, 4);
    memset(p + 32, 0, 6);
    memcpy(p + 38, (uint8_t[]){10, 0, 2, 2}, 4);
    return 42;
}

/* A datagram to the host's socket. `partial`: the checksum is that of the pseudo header only. */
static inline size_t make_udp(uint8_t *p, const void *data, size_t n, bool partial)
{
    uint8_t *ip = p + 14, *udp = ip + 20;

    memset(p, 0, 42);
    memcpy(p, (uint8_t[]){0x52, 0x55, 10, 0, 2, 2}, 6);
    memcpy(p + 6, guest_mac, 6);
    put16(p + 12, 0x0800);
    ip[0] = 0x45;
    put16(ip + 2, (unsigned)(28 + n));
    ip[8] = 64;
    ip[9] = 17;
    memcpy(ip + 12, (uint8_t[]){10, 0, 2, 15, 10, 0, 2, 2}, 8);
    put16(ip + 10, 0xffff & ~sum16(ip, 20, 0));
    put16(udp, 5000);
    put16(udp + 2, host_port);
    put16(udp + 4, (unsigned)(8 + n));
    memcpy(udp + 8, data, n);
    unsigned pseudo = sum16(ip + 12, 8, 17 + 8 + (unsigned)n);
    put16(udp + 6, pseudo);
    if (!partial) {
        put16(udp + 6, 0);
        put16(udp + 6, 0xffff & ~sum16(udp, 8 + n, pseudo));
    }
    return 42 + n;
}

/* ---- the driver ---- */
/* Send the frame at TX_DATA + hdr_size; the header is the caller's. */
static inline void send_frame(size_t len)
{
    round_trip(&tx, (struct gdesc[]){{TX_DATA, (uint32_t)hdr_size, 0, 0},
                                     {TX_DATA + hdr_size, (uint32_t)len, 0, 0}}, 2);
}

static inline uint8_t *tx_frame(void)
{
    memset(ram(TX_DATA), 0, hdr_size);
    return (uint8_t *)ram(TX_DATA) + hdr_size;
}

/* Buffer i of `size` bytes for the device to fill. */
static inline void give_buffer(unsigned i, uint32_t size)
{
    publish(&rx, put_chain(&rx, &(struct gdesc){RX_DATA + i * 0x1000, size, D_WRITE, 0}, 1));
    wr(R_NOTIFY, rx.index);
}

/* One command; the device's answer. */
static inline uint8_t command(uint8_t cls, uint8_t cmd, const void *data, size_t n)
{
    uint8_t *p = ram(CTRL_DATA);

    p[0] = cls;
    p[1] = cmd;
    memcpy(p + 2, data, n);
    p[8192] = 0xee;
    round_trip(&ctrl, (struct gdesc[]){{CTRL_DATA, (uint32_t)(2 + n), 0, 0},
                                       {CTRL_DATA + 8192, 1, D_WRITE, 0}}, 2);
    return p[8192];
}

/* The host answers ARP: the shortest proof that the card works; the guest's address is known then. */
static inline void expect_arp_answer(void)
{
    uint32_t len;

    give_buffer(0, 2048);
    send_frame(make_arp(tx_frame()));
    take_used(&rx, &len);
    const uint8_t *p = ram(RX_DATA);
    cr_expect_geq(len, hdr_size + 42);
    cr_expect_eq(get16(p + hdr_size + 12), 0x0806);
    cr_expect_eq(get16(p + hdr_size + 20), 2, "an answer");
    cr_expect_eq(memcmp(p + hdr_size, guest_mac, 6), 0);
}

/* What came to the host's socket within some seconds; -1: nothing. */
static inline ssize_t host_receive(void *buf, size_t size, struct sockaddr_in *from)
{
    struct pollfd p = {.fd = host_fd, .events = POLLIN};
    socklen_t len = sizeof *from;

    return poll(&p, 1, 5000) == 1 ? recvfrom(host_fd, buf, size, 0, (struct sockaddr *)from, &len)
                                  : -1;
}
