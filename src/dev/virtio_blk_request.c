/* SPDX-License-Identifier: MIT */
/*
 * Requests of virtio-blk: from a chain of descriptors to a request for the drive, and back to a
 * status byte and an entry of the used ring. Virtio 1.2, 5.2.6.
 *
 * A chain is a 16-byte header to read, data, and a last byte to write the status to; how these are
 * cut into descriptors is the driver's choice. Parsing runs with the device's lock; blk_done() on
 * the drive's thread (or the one that resets), and takes the lock.
 */
#include "virtio_blk.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };
#define FLAG_UNMAP 1u

struct header {
    uint32_t type, reserved;
    uint64_t sector;
};
struct segment {
    uint64_t sector;
    uint32_t sectors, flags;
};

struct blk_request {
    struct block_request io;
    struct virtio_blk *blk;
    unsigned queue;
    uint32_t epoch;       /* of the device when the chain was taken */
    uint16_t head;
    uint8_t *status;      /* in guest RAM */
    const struct iovec *data; /* as the driver gave it; io.iov is used up */
    unsigned ndata;
    struct block_range range[VIRTIO_BLK_RANGES];
    struct iovec iov[];   /* io's and the data's */
};

/* Status byte and used entry. `written`: bytes of data in front of the status byte. */
static void answer(struct virtio_blk *b, struct virtio_queue *q, uint16_t head, uint8_t *status,
                   uint8_t code, uint64_t written)
{
    struct iovec last = {status, 1};
    uint32_t used = written < UINT32_MAX ? (uint32_t)written + 1 : UINT32_MAX;

    *status = code;
    virtio_iov_written(b->dev.vm, &last, 1, 1);
    virtio_queue_push(&b->dev, q, head, code == S_OK ? used : 0);
}

static void blk_done(struct block_request *io, int err)
{
    struct blk_request *r = container_of(io, struct blk_request, io);
    struct virtio_device *d = &r->blk->dev;
    struct virtio_queue *q = &d->queue[r->queue];
    uint64_t written = io->op == BLOCK_READ ? io->length : 0;

    if (io->op == BLOCK_READ) {
        virtio_iov_written(d->vm, r->data, r->ndata, written);
    }
    pthread_mutex_lock(&d->lock);
    if (r->epoch == d->epoch && q->ready) {
        answer(r->blk, q, r->head, r->status, err == 0 ? S_OK : S_IOERR, written);
        virtio_queue_signal(d, q);
    }
    pthread_mutex_unlock(&d->lock);
    free(r);
}

static struct blk_request *allocate(struct virtio_blk *b, const struct virtio_queue *q,
                                    uint8_t *status, unsigned niov)
{
    struct blk_request *r = calloc(1, sizeof *r + 2 * (size_t)niov * sizeof r->iov[0]);

    if (r != NULL) {
        r->io.done = blk_done;
        r->io.iov = r->iov;
        r->io.durable = !b->config.writeback;
        r->blk = b;
        r->queue = (unsigned)(q - b->dev.queue);
        r->epoch = b->dev.epoch;
        r->head = b->dev.chain.head;
        r->status = status;
    }
    return r;
}

/* ---- reads and writes ---- */
static bool in_drive(const struct virtio_blk *b, uint64_t sector, uint64_t sectors)
{
    uint64_t n = block_sectors(b->drive);

    return sector <= n && sectors <= n - sector;
}

static int transfer(struct virtio_blk *b, const struct virtio_queue *q, const struct header *h,
                    uint8_t *status, struct block_request **out)
{
    const struct virtio_chain *c = &b->dev.chain;
    bool in = h->type == T_IN;
    const struct iovec *iov = in ? c->iov + c->nout : c->iov;
    unsigned n = in ? c->nin : c->nout;
    uint64_t skip = in ? 0 : sizeof *h, len = in ? c->in_len - 1 : c->out_len - sizeof *h;

    if (len % BLOCK_SECTOR != 0 || !in_drive(b, h->sector, len / BLOCK_SECTOR) ||
        (!in && block_readonly(b->drive))) {
        return S_IOERR;
    }
    struct blk_request *r = allocate(b, q, status, n);
    if (r == NULL) {
        return S_IOERR;
    }
    r->io.op = in ? BLOCK_READ : BLOCK_WRITE;
    r->io.offset = h->sector * BLOCK_SECTOR;
    r->io.length = len;
    r->io.niov = r->ndata = virtio_iov_slice(iov, n, skip, len, r->iov);
    r->data = r->iov + n;
    memcpy(r->iov + n, r->iov, r->ndata * sizeof r->iov[0]);
    *out = &r->io;
    return S_OK;
}

/* ---- discard, write zeroes ---- */
static int read_ranges(const struct virtio_blk *b, const struct header *h, struct blk_request *r)
{
    const struct virtio_chain *c = &b->dev.chain;
    struct segment seg[VIRTIO_BLK_RANGES];
    uint64_t len = c->out_len - sizeof *h;
    size_t n = len / sizeof seg[0];

    if (len % sizeof seg[0] != 0 || n == 0 || n > VIRTIO_BLK_RANGES || block_readonly(b->drive)) {
        return S_IOERR;
    }
    virtio_iov_read(c->iov, c->nout, sizeof *h, seg, len);
    for (size_t i = 0; i < n; i++) {
        if ((seg[i].flags & ~(h->type == T_WRITE_ZEROES ? FLAG_UNMAP : 0)) != 0) {
            return S_UNSUPP;
        }
        if (seg[i].sectors > VIRTIO_BLK_RANGE_MAX ||
            !in_drive(b, seg[i].sector, seg[i].sectors)) {
            return S_IOERR;
        }
        r->range[i] = (struct block_range){seg[i].sector * BLOCK_SECTOR,
                                           (uint64_t)seg[i].sectors * BLOCK_SECTOR};
        /* One that must keep its space decides for all: allowed, and drivers send them alike. */
        r->io.unmap = (i == 0 || r->io.unmap) && (seg[i].flags & FLAG_UNMAP) != 0;
    }
    r->io.op = h->type == T_DISCARD ? BLOCK_DISCARD : BLOCK_ZERO;
    r->io.range = r->range;
    r->io.nranges = (unsigned)n;
    r->io.offset = r->range[0].offset;
    return S_OK;
}

static int change_ranges(struct virtio_blk *b, const struct virtio_queue *q, const struct header *h,
                         uint8_t *status, struct block_request **out)
{
    struct blk_request *r = allocate(b, q, status, 0);
    int code = r != NULL ? read_ranges(b, h, r) : S_IOERR;

    if (code != S_OK) {
        free(r);
        return code;
    }
    *out = &r->io;
    return S_OK;
}

/* ---- the rest ---- */
static int flush(struct virtio_blk *b, const struct virtio_queue *q, uint8_t *status,
                 struct block_request **out)
{
    struct blk_request *r = allocate(b, q, status, 0);

    if (r == NULL) {
        return S_IOERR;
    }
    r->io.op = BLOCK_FLUSH;
    *out = &r->io;
    return S_OK;
}

static uint64_t get_id(struct virtio_blk *b)
{
    const struct virtio_chain *c = &b->dev.chain;
    const struct iovec *in = c->iov + c->nout;
    uint64_t room = c->in_len - 1;
    size_t n = room < sizeof b->serial ? (size_t)room : sizeof b->serial;

    virtio_iov_write(in, c->nin, 0, b->serial, n);
    virtio_iov_written(b->dev.vm, in, c->nin, n);
    return n;
}

struct block_request *virtio_blk_request(struct virtio_blk *b, struct virtio_queue *q,
                                         bool *answered)
{
    const struct virtio_chain *c = &b->dev.chain;
    struct block_request *io = NULL;
    struct header h;
    uint64_t written = 0;
    int code;

    if (c->in_len == 0 ||
        virtio_iov_read(c->iov, c->nout, 0, &h, sizeof h) != sizeof h) {
        virtio_device_broken(&b->dev, "a request without header or status byte");
        return NULL;
    }
    const struct iovec *last = &c->iov[c->nout + c->nin - 1];
    uint8_t *status = (uint8_t *)last->iov_base + last->iov_len - 1;
    switch (h.type) {
    case T_IN: case T_OUT: code = transfer(b, q, &h, status, &io); break;
    case T_DISCARD: case T_WRITE_ZEROES: code = change_ranges(b, q, &h, status, &io); break;
    case T_FLUSH: code = flush(b, q, status, &io); break;
    case T_GET_ID: code = S_OK; written = get_id(b); break;
    default: code = S_UNSUPP; break;
    }
    if (io == NULL) {
        answer(b, q, c->head, status, (uint8_t)code, written);
        *answered = true;
    }
    return io;
}
