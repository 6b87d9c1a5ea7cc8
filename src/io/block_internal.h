/* SPDX-License-Identifier: MIT */
/*
 * A drive's state, shared by block*.c. `lock` guards the queue and the counters; it is a leaf, no
 * callback and no system call runs under it. What block_open() fills in does not change afterwards.
 */
#pragma once

#include "io/block.h"
#include <pthread.h>
#include <stdatomic.h>

#define BLOCK_THREADS 4u

struct block {
    char *id, *file;
    int fd; /* -1: an NBD server; of a qcow2 image it only holds the lock */
    bool readonly, snapshot;
    struct block_sparse *sparse; /* NULL: the file's bytes are the drive's */
    int overlay;      /* what the guest writes, with snapshot=on; else -1 */
    _Atomic uint64_t *overlay_map; /* a bit for each sector: it is in the overlay */
    struct nbd_handle *nbd; /* instead of fd; NULL: a file */
    uint8_t *nbd_buffer;    /* nbd_lock */
    bool nbd_lost;          /* nbd_lock: the server is gone, and that was said */
    pthread_mutex_t nbd_lock;
    uint64_t bytes;   /* size of the file when it was opened, or what a sparse one stands for */
    uint64_t sectors;

    _Atomic uint64_t writes;             /* changes of the file that are done */
    _Atomic uint64_t durable;            /* as many of them a finished flush has covered */
    _Atomic bool no_punch, no_zero;      /* the host file cannot; not tried again */
    _Atomic uint32_t cancels;            /* by block_cancel(): transfers begun before give up */
    _Atomic uint64_t quiet_until;        /* errors before this time are only counted */
    _Atomic unsigned hidden;             /* errors counted */

    pthread_mutex_t lock;
    pthread_cond_t work;                 /* something to do, or `closing` */
    pthread_cond_t settled;              /* `transfers` became 0 */
    struct block_request *head, **tail;
    struct block_job *job_head, **job_tail;
    unsigned idle;                       /* threads that wait for work */
    unsigned running;                    /* threads at work: they may queue more */
    unsigned transfers;                  /* requests that may touch memory now */
    bool closing;
    pthread_t thread[BLOCK_THREADS];
    unsigned nthreads;
};

/* block.c */
int block_start_threads(struct block *b) MUST_CHECK; /* -errno when not even one starts */

/* block_open.c: lock b->fd; `served`: another program uses the file for us. Reports its own
   errors. */
int block_lock_file(const struct block *b, bool served) MUST_CHECK;

/* block_file.c: carry out one request; 0 or -errno. `epoch` is b->cancels when it was taken from
   the queue. */
int block_file_run(struct block *b, struct block_request *r, uint32_t epoch);
int block_file_flush(struct block *b);
/* Part of a request: vectors and the place in the file they belong to. */
struct block_transfer {
    struct iovec *iov;
    unsigned niov;
    uint64_t offset, left;
};
/* The next `bytes` of it, from or to fd. */
int block_file_move(struct block *b, int fd, enum block_op op, struct block_transfer *t,
                    uint64_t bytes, uint32_t epoch);
/* The next `bytes` of it become a repeated little-endian word; its offset is a multiple of 4. */
void block_file_fill(struct block_transfer *t, uint32_t word, uint64_t bytes);
/* The next `bytes` of it from the drive's own file, whatever its format. */
int block_file_base_read(struct block *b, struct block_transfer *t, uint64_t bytes, uint32_t epoch);
/* Say that a request failed, not too often. */
void block_file_report(struct block *b, const struct block_request *r, int err);

/* block_nbd.c: the same for NBD; 0 or -errno. */
bool block_nbd_is_uri(const char *file);
int block_nbd_open(struct block *b, bool qcow2) MUST_CHECK; /* reports its own errors but -ENOMEM */
void block_nbd_close(struct block *b);
int block_nbd_move(struct block *b, enum block_op op, struct block_transfer *t, uint64_t bytes,
                   uint32_t epoch);
int block_nbd_flush(struct block *b);
int block_nbd_range(struct block *b, enum block_op op, const struct block_range *g, bool unmap);

/* block_sparse.c: is it a sparse image; then read its list. Reports its own errors but -ENOMEM. */
int block_sparse_open(struct block *b) MUST_CHECK;
void block_sparse_close(struct block *b);
int block_sparse_read(struct block *b, struct block_transfer *t, uint64_t bytes, uint32_t epoch);

/* block_snapshot.c */
int block_snapshot_open(struct block *b) MUST_CHECK; /* reports its own errors but -ENOMEM */
void block_snapshot_close(struct block *b);
int block_snapshot_read(struct block *b, struct block_transfer *t, uint32_t epoch);
/* These bytes are in the overlay now. */
void block_snapshot_mark(struct block *b, uint64_t offset, uint64_t length);
