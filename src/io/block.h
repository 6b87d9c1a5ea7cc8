/* SPDX-License-Identifier: MIT */
/*
 * Drives: host files or block devices with raw contents, NBD servers and qcow2 images; read and
 * written asynchronously by a small pool of threads for each drive. Requests carry host
 * addresses (the flat view of guest RAM), which the kernel reads and writes directly. Requests
 * that are in the queue together run in any order; a flush makes durable every write that was
 * done (its callback called) before the flush was submitted.
 */
#pragma once

#include "base/types.h"
#include <sys/uio.h>

#define BLOCK_SECTOR 512u

struct block;

enum block_op {
    BLOCK_READ,
    BLOCK_WRITE,
    BLOCK_FLUSH,
    BLOCK_DISCARD, /* the ranges may lose their contents; a host that cannot is no error */
    BLOCK_ZERO,    /* the ranges read as zeroes afterwards */
};

struct block_range {
    uint64_t offset, length; /* bytes, inside the drive */
};

/* Filled in and owned by the caller until done() is called. */
struct block_request {
    struct block_request *next;
    enum block_op op;
    bool durable;                     /* writes: on stable storage before done() */
    bool unmap;                       /* BLOCK_ZERO: the space may be given back */
    uint64_t offset, length;          /* BLOCK_READ, BLOCK_WRITE: bytes, inside the drive */
    struct iovec *iov;                /* at least `length` bytes; changed while the request runs */
    unsigned niov;
    const struct block_range *range;  /* BLOCK_DISCARD, BLOCK_ZERO */
    unsigned nranges;
    /* On a thread of the drive, or of block_cancel(); no lock held. err: 0 or -errno. */
    void (*done)(struct block_request *r, int err);
};

/* Work that is not a request, to run on a thread of the drive; queued at most once at a time. */
struct block_job {
    struct block_job *next;
    void (*fn)(struct block_job *job);
};

enum {
    BLOCK_READONLY = 1, /* the guest may only read */
    BLOCK_QCOW2 = 4,    /* served by qemu-nbd */
    BLOCK_SNAPSHOT = 2, /* the file is only read, what the guest writes is forgotten in the end */
};

/*
 * Open and lock `file`, or connect to an NBD server when it is a URI (block_nbd.c): for us
 * alone, or among readers when it is only read; `id` is its name in messages. Errors but -ENOMEM
 * are reported here.
 */
int block_open(const char *id, const char *file, unsigned flags, struct block **out) MUST_CHECK;
/* Finish what is queued, make it durable, close. */
void block_close(struct block *b);

uint64_t block_sectors(const struct block *b); /* a last partial sector counts */
bool block_readonly(const struct block *b);
const char *block_id(const struct block *b);
const char *block_format(const struct block *b); /* "raw", "qcow2", "sparse", "nbd" */

/* Queue a list of requests (linked by `next`). Any thread, does not block. */
void block_submit(struct block *b, struct block_request *list);
/* Run job->fn(job) soon. Any thread, does not block. The caller posts a job again only once fn
   has begun. */
void block_post(struct block *b, struct block_job *job);
/*
 * Requests that have not begun end with -ECANCELED; returns when no request that was queued before
 * touches memory any more. Any thread but the drive's own, with no lock that done() takes.
 */
void block_cancel(struct block *b);
