/* SPDX-License-Identifier: MIT */
/*
 * Networks a card can be plugged into: `user` (libslirp: a NAT in this process, no rights needed)
 * and `tap` (an interface of the host). Each back end has a thread of its own, which also runs the
 * card's serve(): vCPUs and the I/O thread never wait for a network, and a busy network delays
 * nobody else.
 *
 * A packet is a struct net_hdr and the Ethernet frame right after it.
 */
#pragma once

#include "base/types.h"
#include <netinet/in.h>

#define NET_QUEUES 8u            /* pairs of queues, at most */
#define NET_FORWARDS 16u
#define NET_FRAME_MAX 65600u     /* bytes of the longest frame: 64 KiB of IP, Ethernet header */

/* What is left to do with a frame; the layout of virtio's (and Linux's) header. */
struct net_hdr {
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};
_Static_assert(sizeof(struct net_hdr) == 12, "the guest's and the host kernel's layout");
#define NET_PACKET_MAX (sizeof(struct net_hdr) + NET_FRAME_MAX)

enum { NET_HDR_NEEDS_CSUM = 1, NET_HDR_DATA_VALID = 2 };
enum { NET_GSO_NONE = 0, NET_GSO_TCPV4 = 1, NET_GSO_TCPV6 = 4, NET_GSO_ECN = 0x80 };

/* Offloads, in either direction. */
enum {
    NET_CSUM = 1,  /* the checksum of a frame may be missing, the header says where */
    NET_TSO = 2,   /* TCP segments may be larger than the link's frames */
    NET_ECN = 4,   /* also those with CWR set */
};

enum net_kind { NET_USER, NET_TAP };

struct net_forward {
    bool udp;
    struct in_addr host, guest; /* guest 0.0.0.0: the one that asked by DHCP first */
    uint16_t host_port, guest_port;
    char *text;                 /* as it was given */
};

/* -netdev or -nic; strings are malloc'd or NULL. */
struct net_config {
    enum net_kind kind;
    char *id;
    /* user */
    bool restricted;            /* the guest reaches nobody, forwards work */
    char *hostname;             /* the guest's, told by DHCP */
    uint32_t network, netmask, gateway, nameserver, dhcp_start; /* IPv4, in host order */
    bool no_ipv6;
    char *tftp, *bootfile;      /* a folder of the host, served read-only; what DHCP names */
    struct net_forward forward[NET_FORWARDS];
    unsigned nforwards;
    /* tap: an interface's name, or descriptors */
    char *ifname;
    int fd[NET_QUEUES];
    unsigned nfds;
    unsigned queues;            /* pairs; 0: as many as there are descriptors, or 1 */
};

/* The card. Both are called on the back end's thread. */
struct net_user {
    /* A packet for the guest; false: no room now, offer it again after the next serve(). */
    bool (*receive)(void *opaque, unsigned queue, struct net_hdr *packet, size_t len);
    /* After net_kick(), or when net_send() would take packets again. */
    void (*serve)(void *opaque);
    void *opaque;
};

struct net;

/* Open; nothing runs yet. Errors but -ENOMEM are reported here. Main thread. */
int net_open(const struct net_config *config, struct net **out) MUST_CHECK;
/* Start the thread, when `user` is ready for calls. -errno. */
int net_start(struct net *n, const struct net_user *user) MUST_CHECK;
void net_close(struct net *n);

/* Have serve() called soon. Any thread, never blocks. */
void net_kick(struct net *n);
/*
 * A packet from the guest, from within serve(); its contents may be changed. False: the network
 * takes none now, serve() will be called when it does.
 */
bool net_send(struct net *n, unsigned queue, struct net_hdr *packet, size_t len);

unsigned net_queues(const struct net *n);
/* The offloads net_send() can do. */
unsigned net_offloads(const struct net *n);
/* What the card takes: offloads in packets it receives, pairs of queues. Any thread, never blocks;
   packets that were on their way may still come as before. */
void net_accept(struct net *n, unsigned offloads, unsigned queues);
