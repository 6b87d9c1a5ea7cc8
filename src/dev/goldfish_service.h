/* SPDX-License-Identifier: MIT */
/*
 * Private to goldfish_pipe.c and the services behind it: a stream is one open pipe of the guest,
 * bytes both ways through two bounded buffers.
 *
 * Everything here but goldfish_pipe_lock() is called with the pipe device's lock held, by vCPUs or
 * by the I/O thread. No function blocks.
 */
#pragma once

#include "dev/goldfish.h"

#include <netinet/in.h>

#define STREAM_BYTES 16384u /* each way */

struct goldfish_stream;

struct goldfish_service {
    /* What the guest asks for after "pipe:"; ":ARGUMENTS" may follow. */
    const char *name;
    /* False: no more of it. `services` are the device's. */
    bool (*open)(struct goldfish_stream *s, const char *arguments);
    /* The guest has sent something. */
    void (*received)(struct goldfish_stream *s);
    /* The guest has read something: there is more room. NULL: not wanted. */
    void (*room)(struct goldfish_stream *s);
    /* The guest has closed it, or the machine is reset. NULL: not wanted. */
    void (*close)(struct goldfish_stream *s);
};

/* ---- goldfish_pipe.c ---- */
const struct goldfish_services *goldfish_stream_services(const struct goldfish_stream *s);
struct goldfish_adb *goldfish_stream_adb(const struct goldfish_stream *s);
/* The service's own; NULL at first. */
void **goldfish_stream_state(struct goldfish_stream *s);
/* Bytes that the guest has sent: how many; look at the first n; take them away. */
size_t goldfish_stream_pending(const struct goldfish_stream *s);
size_t goldfish_stream_peek(const struct goldfish_stream *s, void *buf, size_t n);
void goldfish_stream_skip(struct goldfish_stream *s, size_t n);
/* Bytes for the guest: how many there is room for; all of them or none. */
size_t goldfish_stream_room(const struct goldfish_stream *s);
bool goldfish_stream_put(struct goldfish_stream *s, const void *buf, size_t n);
/* The host closes: the guest reads what is there, then hears of it. */
void goldfish_stream_hang_up(struct goldfish_stream *s);

void goldfish_pipe_lock(struct goldfish_pipe *p);
void goldfish_pipe_unlock(struct goldfish_pipe *p);

/* ---- goldfish_qemud.c: services whose messages have their length in front ---- */
extern const struct goldfish_service goldfish_boot_properties, goldfish_hw_control,
    goldfish_sensors, goldfish_gps;

/* ---- goldfish_address.c ---- */
/* False: it is spelled wrong. */
bool goldfish_adb_address(const char *where, struct sockaddr_in *out);

/* ---- goldfish_adb.c ---- */
extern const struct goldfish_service goldfish_adb_service;
struct goldfish_adb;
/* Listens; -errno. */
int goldfish_adb_create(struct io_loop *io, struct goldfish_pipe *pipe, const char *where,
                        struct goldfish_adb **out) MUST_CHECK;
void goldfish_adb_destroy(struct goldfish_adb *a); /* the I/O loop is stopped; NULL is fine */
