/* SPDX-License-Identifier: MIT */
/*
 * What a kind of network provides to net.c, and what they share. Functions run on the back end's
 * thread unless they say otherwise.
 */
#pragma once

#include "io/net.h"
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

struct net_ops {
    /* Main thread, the back end's has ended or never ran. Frees n. */
    void (*close)(struct net *n);
    /* Before the wait: add descriptors with net_poll_add(). At most how many ms to wait; -1: no
       limit. */
    int (*prepare)(struct net *n);
    /* After the wait and after serve(): what came from the network goes to user.receive(). */
    void (*work)(struct net *n);
    bool (*send)(struct net *n, unsigned queue, struct net_hdr *packet, size_t len);
    /* NULL: nothing to do. */
    void (*accept)(struct net *n, unsigned offloads, unsigned queues);
};

struct net {
    const struct net_ops *ops;
    const char *id;           /* in messages */
    unsigned queues, offloads;
    struct net_user user;
    pthread_t thread;
    bool running;
    _Atomic bool stop;
    _Atomic uint32_t accept;  /* what net_accept() said last: queues << 8 | offloads; 0: done */
    int evfd;
    struct pollfd *poll;      /* [0] is evfd */
    unsigned npoll, poll_room;
};

/* Set up *n, which the back end allocated; -errno. */
int net_init(struct net *n, const struct net_ops *ops, const struct net_config *c) MUST_CHECK;
void net_fini(struct net *n);
/* Its index in n->poll; -1 without memory. */
int net_poll_add(struct net *n, int fd, short events);

int net_slirp_open(const struct net_config *c, struct net **out) MUST_CHECK;
int net_tap_open(const struct net_config *c, struct net **out) MUST_CHECK;

/* net_checksum.c: fill in the checksum a header asks for; false: it points outside the frame. */
bool net_checksum_finish(struct net_hdr *packet, size_t len);
