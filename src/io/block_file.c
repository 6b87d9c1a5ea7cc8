/* SPDX-License-Identifier: MIT */
/*
 * What a request does to the host file: positioned vectored reads and writes in slices, fdatasync,
 * fallocate. On the drive's threads, without locks.
 *
 * A file that became shorter than it was when opened gives I/O errors beyond its end; a write there
 * extends it again. Bytes between a partial last sector's end and the sector's end read as zeroes.
 */
#include "block_internal.h"

#include "base/log.h"
#include "io/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define SLICE ((uint64_t)4 << 20)    /* between two looks at whether the request was cancelled */
#define SLICE_IOV 256u               /* at most IOV_MAX */
#define REPORT_INTERVAL_NS 5000000000u

/* ---- transfers ---- */
/* The next piece: at most `bytes` and SLICE. Returns how many vectors; *cut is what was taken off
   the last one. */
static unsigned slice(const struct block_transfer *t, uint64_t bytes, size_t *cut)
{
    uint64_t room = bytes < SLICE ? bytes : SLICE;
    unsigned n = 0;

    *cut = 0;
    while (n < t->niov && n < SLICE_IOV && room > 0) {
        struct iovec *v = &t->iov[n++];
        if (v->iov_len > room) {
            *cut = v->iov_len - room;
            v->iov_len = room;
        }
        room -= v->iov_len;
    }
    return n;
}

static void advance(struct block_transfer *t, uint64_t done)
{
    t->offset += done;
    t->left -= done;
    while (t->niov > 0 && done >= t->iov->iov_len) {
        done -= t->iov->iov_len;
        t->iov++;
        t->niov--;
    }
    if (t->niov > 0) {
        t->iov->iov_base = (char *)t->iov->iov_base + done;
        t->iov->iov_len -= done;
    }
}

void block_file_fill(struct block_transfer *t, uint32_t word, uint64_t bytes)
{
    while (bytes > 0) {
        uint64_t n = t->iov->iov_len < bytes ? t->iov->iov_len : bytes;
        uint8_t *p = t->iov->iov_base;
        if (word == (word & 0xff) * 0x01010101u) {
            memset(p, (int)(word & 0xff), n);
        } else {
            for (uint64_t i = 0; i < n; i++) {
                p[i] = (uint8_t)(word >> (t->offset + i) % 4 * 8);
            }
        }
        advance(t, n);
        bytes -= n;
    }
}

/* The file ended: what is left reads as zeroes if it lies in the filled-up last sector. */
static int read_beyond_end(const struct block *b, struct block_transfer *t, uint64_t bytes)
{
    if (b->sparse != NULL || t->offset < b->bytes) {
        return -ENODATA;
    }
    block_file_fill(t, 0, bytes);
    return 0;
}

int block_file_move(struct block *b, int fd, enum block_op op, struct block_transfer *t,
                    uint64_t bytes, uint32_t epoch)
{
    if (b->nbd != NULL && fd == b->fd) {
        return block_nbd_move(b, op, t, bytes, epoch);
    }
    while (bytes > 0) {
        size_t cut;
        unsigned n = slice(t, bytes, &cut);
        if (n == 0) {
            return -EINVAL;
        }
        ssize_t done = op == BLOCK_READ ? preadv(fd, t->iov, (int)n, (off_t)t->offset)
                                        : pwritev(fd, t->iov, (int)n, (off_t)t->offset);
        t->iov[n - 1].iov_len += cut;
        if (done < 0 && errno != EINTR) {
            return -errno;
        }
        if (done == 0) {
            return op == BLOCK_READ ? read_beyond_end(b, t, bytes) : -EIO;
        }
        if (done > 0) {
            advance(t, (uint64_t)done);
            bytes -= (uint64_t)done;
        }
        if (bytes > 0 && atomic_load(&b->cancels) != epoch) {
            return -ECANCELED;
        }
    }
    return 0;
}

int block_file_base_read(struct block *b, struct block_transfer *t, uint64_t bytes, uint32_t epoch)
{
    return b->sparse != NULL ? block_sparse_read(b, t, bytes, epoch)
                             : block_file_move(b, b->fd, BLOCK_READ, t, bytes, epoch);
}

static bool has_overlay(const struct block *b)
{
    return b->overlay_map != NULL;
}

static int target(const struct block *b)
{
    return has_overlay(b) ? b->overlay : b->fd;
}

static int transfer(struct block *b, struct block_request *r, uint32_t epoch)
{
    struct block_transfer t = {r->iov, r->niov, r->offset, r->length};

    if (r->op == BLOCK_READ && has_overlay(b)) {
        return block_snapshot_read(b, &t, epoch);
    }
    if (r->op == BLOCK_READ) {
        return block_file_base_read(b, &t, t.left, epoch);
    }
    int err = block_file_move(b, target(b), BLOCK_WRITE, &t, t.left, epoch);
    if (err == 0 && has_overlay(b)) {
        block_snapshot_mark(b, r->offset, r->length);
    }
    return err;
}

/* ---- ranges ---- */
static bool unsupported(int err)
{
    return err == EOPNOTSUPP || err == ENOSYS || err == ENODEV || err == EINVAL;
}

/* fallocate; true when it did the job or failed for good (*err), false when the file cannot do
   that. */
static bool allocate(struct block *b, int mode, _Atomic bool *cannot, const struct block_range *g,
                     int *err)
{
    if (atomic_load(cannot)) {
        return false;
    }
    while (fallocate(target(b), mode | FALLOC_FL_KEEP_SIZE, (off_t)g->offset,
                     (off_t)g->length) != 0) {
        if (errno != EINTR) {
            if (unsupported(errno)) {
                atomic_store(cannot, true);
                return false;
            }
            *err = -errno;
            return true;
        }
    }
    *err = 0;
    return true;
}

static int write_zeroes(struct block *b, const struct block_range *g, uint32_t epoch)
{
    static const char zeroes[65536];
    uint64_t at = g->offset, left = g->length;

    while (left > 0) {
        size_t most = left < sizeof zeroes ? (size_t)left : sizeof zeroes;
        ssize_t n = pwrite(target(b), zeroes, most, (off_t)at);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        if (n == 0) {
            return -EIO;
        }
        if (n > 0) {
            at += (uint64_t)n;
            left -= (uint64_t)n;
        }
        if (left > 0 && atomic_load(&b->cancels) != epoch) {
            return -ECANCELED;
        }
    }
    return 0;
}

static int zero_range(struct block *b, const struct block_range *g, bool unmap, uint32_t epoch)
{
    int err;

    if (unmap && allocate(b, FALLOC_FL_PUNCH_HOLE, &b->no_punch, g, &err)) {
        return err;
    }
    if (allocate(b, FALLOC_FL_ZERO_RANGE, &b->no_zero, g, &err)) {
        return err;
    }
    return write_zeroes(b, g, epoch);
}

static int run_ranges(struct block *b, const struct block_request *r, uint32_t epoch)
{
    int err = 0;

    for (unsigned i = 0; err == 0 && i < r->nranges; i++) {
        const struct block_range *g = &r->range[i];
        if (g->length == 0) {
            continue;
        }
        if (b->nbd != NULL && !has_overlay(b)) {
            err = block_nbd_range(b, r->op, g, r->unmap);
        } else if (r->op == BLOCK_ZERO) {
            err = zero_range(b, g, r->unmap, epoch);
            if (err == 0 && has_overlay(b)) {
                block_snapshot_mark(b, g->offset, g->length);
            }
        } else if (!allocate(b, FALLOC_FL_PUNCH_HOLE, &b->no_punch, g, &err)) {
            err = 0; /* a discard is a hint */
        }
    }
    return err;
}

/* ---- all ---- */
int block_file_flush(struct block *b)
{
    uint64_t writes = atomic_load(&b->writes), durable = atomic_load(&b->durable);

    if (durable >= writes || has_overlay(b)) {
        return 0;
    }
    if (b->nbd != NULL) {
        int err = block_nbd_flush(b);
        if (err != 0) {
            return err;
        }
    }
    while (b->nbd == NULL && fdatasync(b->fd) != 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    while (durable < writes && !atomic_compare_exchange_weak(&b->durable, &durable, writes)) {
    }
    return 0;
}

int block_file_run(struct block *b, struct block_request *r, uint32_t epoch)
{
    int err;

    if (r->op == BLOCK_READ) {
        return transfer(b, r, epoch);
    }
    if (r->op == BLOCK_FLUSH) {
        return block_file_flush(b);
    }
    if (b->readonly) {
        return -EROFS;
    }
    err = r->op == BLOCK_WRITE ? transfer(b, r, epoch) : run_ranges(b, r, epoch);
    /* After the write, whatever became of it: a flush that looked before need not cover it. */
    atomic_fetch_add(&b->writes, 1);
    return err;
}

void block_file_report(struct block *b, const struct block_request *r, int err)
{
    static const char *const verb[] = {"read", "write", "flush", "discard", "write zeroes"};
    uint64_t now = io_now_ns(), quiet = atomic_load(&b->quiet_until);

    if (now < quiet ||
        !atomic_compare_exchange_strong(&b->quiet_until, &quiet, now + REPORT_INTERVAL_NS)) {
        atomic_fetch_add(&b->hidden, 1);
        return;
    }
    unsigned hidden = atomic_exchange(&b->hidden, 0);
    const char *why = err == -ENODATA ? "the file is shorter than it was" : strerror(-err);
    if (hidden > 0) {
        log_warn("drive %s: cannot %s at byte %" PRIu64 " of %s: %s (and %u errors before)", b->id,
                 verb[r->op], r->offset, b->file, why, hidden);
    } else {
        log_warn("drive %s: cannot %s at byte %" PRIu64 " of %s: %s", b->id, verb[r->op], r->offset,
                 b->file, why);
    }
}
