/* SPDX-License-Identifier: MIT */
/*
 * Drives that are not files of ours to read: NBD servers, and qcow2 images by way of one
 * (qemu-nbd, started here with a socket of its own and ended with the drive).
 *
 * One connection; `nbd_lock` is held for a piece of a request, so the drive's threads take turns,
 * and other devices wait for nothing. A connection that is lost is not made again: the guest sees
 * I/O errors.
 */
#include "block_internal.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libnbd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE ((size_t)1 << 20)
#define RANGE_MAX ((uint64_t)1 << 30)

bool block_nbd_is_uri(const char *file)
{
    static const char *const scheme[] = {"nbd://", "nbds://", "nbd+unix://", "nbds+unix://"};

    for (size_t i = 0; i < ARRAY_SIZE(scheme); i++) {
        if (strncmp(file, scheme[i], strlen(scheme[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* The error number of the last call on this thread. */
static int last_error(void)
{
    int err = nbd_get_errno();

    return err > 0 ? -err : -EIO;
}

/* What a command ended with, b->nbd_lock held. A server that is gone is told of once: from then on
   every request fails. */
static int failure_locked(struct block *b)
{
    int err = last_error();

    if (!b->nbd_lost && (nbd_aio_is_dead(b->nbd) == 1 || nbd_aio_is_closed(b->nbd) == 1)) {
        b->nbd_lost = true;
        log_error("drive %s: the NBD server of %s is gone; the guest gets I/O errors from this "
                  "drive until it is started again with a server",
                  b->id, b->file);
    }
    return err;
}

/* ---- opening ---- */
static bool in_path(const char *program)
{
    const char *path = getenv("PATH");
    char name[512];

    for (const char *p = path != NULL ? path : "/usr/bin:/bin"; *p != '\0';) {
        size_t n = strcspn(p, ":");
        snprintf(name, sizeof name, "%.*s/%s", (int)n, p, program);
        if (access(name, X_OK) == 0) {
            return true;
        }
        p += n + (p[n] == ':');
    }
    return false;
}

/* In a session of its own, so that Ctrl-C in the terminal does not end it before us. */
static int start_server(struct block *b)
{
    char *argv[] = {
        (char *)(uintptr_t)"setsid",
        (char *)(uintptr_t)"qemu-nbd",
        (char *)(uintptr_t)"--format=qcow2",
        (char *)(uintptr_t)"--discard=unmap",
        (char *)(uintptr_t)(b->readonly || b->snapshot ? "--read-only" : "--cache=writeback"),
        (char *)(uintptr_t)"--",
        b->file,
        NULL,
    };

    b->fd = open(b->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (b->fd < 0) {
        int err = -errno;
        log_error("drive %s: cannot open %s: %s", b->id, b->file, strerror(-err));
        return err;
    }
    int busy = block_lock_file(b, true);
    if (busy != 0) {
        return busy;
    }
    if (!in_path("qemu-nbd")) {
        log_error("drive %s: %s is a qcow2 image, for which qemu-nbd is needed and not installed "
                  "(Debian: qemu-utils)",
                  b->id, b->file);
        return -ENOENT;
    }
    if (nbd_connect_systemd_socket_activation(b->nbd, argv) != 0) {
        int err = last_error();
        log_error("drive %s: qemu-nbd cannot serve %s", b->id, b->file);
        return err;
    }
    return 0;
}

static int connect_uri(struct block *b)
{
    if (nbd_connect_uri(b->nbd, b->file) == 0) {
        return 0;
    }
    int err = last_error();
    log_error("drive %s: cannot connect to %s: %s", b->id, b->file, nbd_get_error());
    return err;
}

int block_nbd_open(struct block *b, bool qcow2)
{
    b->nbd = nbd_create();
    b->nbd_buffer = malloc(PIECE);
    if (b->nbd == NULL || b->nbd_buffer == NULL) {
        return -ENOMEM;
    }
    int err = qcow2 ? start_server(b) : connect_uri(b);
    if (err != 0) {
        return err;
    }
    int64_t size = nbd_get_size(b->nbd);
    if (size <= 0) {
        log_error("drive %s: %s is empty", b->id, b->file);
        return -EINVAL;
    }
    if (!b->readonly && !b->snapshot && nbd_is_read_only(b->nbd) != 0) {
        log_error("drive %s: %s may only be read; readonly=on or snapshot=on would do", b->id,
                  b->file);
        return -EROFS;
    }
    b->bytes = (uint64_t)size;
    b->sectors = b->bytes / BLOCK_SECTOR + (b->bytes % BLOCK_SECTOR != 0);
    return 0;
}

void block_nbd_close(struct block *b)
{
    if (b->nbd != NULL && nbd_aio_is_ready(b->nbd)) {
        nbd_shutdown(b->nbd, 0);
    }
    nbd_close(b->nbd);
    free(b->nbd_buffer);
}

/* ---- requests ---- */
static void advance(struct block_transfer *t, size_t n)
{
    t->offset += n;
    t->left -= n;
    while (t->niov > 0 && n >= t->iov->iov_len) {
        n -= t->iov->iov_len;
        t->iov++;
        t->niov--;
    }
    if (t->niov > 0) {
        t->iov->iov_base = (char *)t->iov->iov_base + n;
        t->iov->iov_len -= n;
    }
}

static void copy(const struct block_transfer *t, uint8_t *buf, size_t len, bool to_iov)
{
    for (unsigned i = 0; i < t->niov && len > 0; i++) {
        size_t n = t->iov[i].iov_len < len ? t->iov[i].iov_len : len;
        memcpy(to_iov ? t->iov[i].iov_base : buf, to_iov ? buf : t->iov[i].iov_base, n);
        buf += n;
        len -= n;
    }
}

/* Through the buffer; what lies behind the end of the image reads as zeroes. */
static int move_piece_locked(struct block *b, enum block_op op, struct block_transfer *t, size_t n)
{
    uint64_t left = t->offset < b->bytes ? b->bytes - t->offset : 0;
    size_t there = left < n ? (size_t)left : n;
    int r = 0;

    if (op == BLOCK_READ) {
        memset(b->nbd_buffer + there, 0, n - there);
        r = there > 0 ? nbd_pread(b->nbd, b->nbd_buffer, there, t->offset, 0) : 0;
        if (r == 0) {
            copy(t, b->nbd_buffer, n, true);
        }
    } else {
        copy(t, b->nbd_buffer, n, false);
        r = there > 0 ? nbd_pwrite(b->nbd, b->nbd_buffer, there, t->offset, 0) : 0;
    }
    return r == 0 ? 0 : failure_locked(b);
}

int block_nbd_move(struct block *b, enum block_op op, struct block_transfer *t, uint64_t bytes,
                   uint32_t epoch)
{
    int err = 0;

    while (err == 0 && bytes > 0) {
        size_t n = bytes < PIECE ? (size_t)bytes : PIECE;
        pthread_mutex_lock(&b->nbd_lock);
        err = move_piece_locked(b, op, t, n);
        pthread_mutex_unlock(&b->nbd_lock);
        advance(t, n);
        bytes -= n;
        if (err == 0 && bytes > 0 && atomic_load(&b->cancels) != epoch) {
            err = -ECANCELED;
        }
    }
    return err;
}

int block_nbd_flush(struct block *b)
{
    int err = 0;

    pthread_mutex_lock(&b->nbd_lock);
    if (nbd_can_flush(b->nbd) == 1 && nbd_flush(b->nbd, 0) != 0) {
        err = failure_locked(b);
    }
    pthread_mutex_unlock(&b->nbd_lock);
    return err;
}

static int zero_piece_locked(struct block *b, uint64_t at, uint64_t n, bool unmap)
{
    if (nbd_can_zero(b->nbd) == 1) {
        uint32_t flags = unmap ? 0 : LIBNBD_CMD_FLAG_NO_HOLE;
        return nbd_zero(b->nbd, n, at, flags) == 0 ? 0 : failure_locked(b);
    }
    memset(b->nbd_buffer, 0, n < PIECE ? (size_t)n : PIECE);
    while (n > 0) {
        size_t part = n < PIECE ? (size_t)n : PIECE;
        if (nbd_pwrite(b->nbd, b->nbd_buffer, part, at, 0) != 0) {
            return failure_locked(b);
        }
        at += part;
        n -= part;
    }
    return 0;
}

int block_nbd_range(struct block *b, enum block_op op, const struct block_range *g, bool unmap)
{
    uint64_t at = g->offset, end = at + g->length < b->bytes ? at + g->length : b->bytes;
    int err = 0;

    while (err == 0 && at < end) {
        uint64_t n = end - at < RANGE_MAX ? end - at : RANGE_MAX;
        pthread_mutex_lock(&b->nbd_lock);
        if (op == BLOCK_ZERO) {
            err = zero_piece_locked(b, at, n, unmap);
        } else if (nbd_can_trim(b->nbd) == 1) {
            err = nbd_trim(b->nbd, n, at, 0) == 0 ? 0 : failure_locked(b);
        }
        pthread_mutex_unlock(&b->nbd_lock);
        at += n;
    }
    return err;
}
