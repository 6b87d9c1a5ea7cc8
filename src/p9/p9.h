/* SPDX-License-Identifier: MIT */
/*
 * A 9P2000.L file server for one folder of the host, without a transport: messages come and go as
 * vectors of memory that the peer may change at any time.
 *
 * The peer is not trusted. It sees what lies below the folder and nothing else: paths are walked a
 * name at a time from directories that are held open, no symbolic link is ever followed on this
 * side, ".." is what the walk came from, and only regular files and folders are opened.
 */
#pragma once

#include "base/types.h"
#include <sys/uio.h>

struct p9;

/* Whose owners and modes the peer sees (security_model=). */
enum p9_security {
    P9_NONE,        /* the host's; a change of owner that we may not make is left out */
    P9_PASSTHROUGH, /* the host's; such a change is an error */
    P9_MAPPED,      /* its own, kept in extended attributes user.virtfs.* */
};

struct p9_config {
    const char *path;
    enum p9_security security;
    bool readonly;
};

#define P9_MSIZE_MAX (512u << 10)

/* Errors are reported here; -errno. `id` is the share's name in messages. */
int p9_create(const char *id, const struct p9_config *config, struct p9 **out) MUST_CHECK;
void p9_destroy(struct p9 *s);
/* A new session: every file is closed. */
void p9_reset(struct p9 *s);
/*
 * Carry out the message in `out` and put the reply into `in`; how long that is, 0: the message or
 * the room for its answer is too short for anything. One thread at a time; may wait for the host's
 * file system.
 */
uint32_t p9_serve(struct p9 *s, const struct iovec *out, unsigned nout, const struct iovec *in,
                  unsigned nin);
