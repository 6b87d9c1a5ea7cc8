/* SPDX-License-Identifier: MIT */
/*
 * Opening a drive: the file, its size, its lock. Everything that can be wrong with the file at
 * start ends here in one sentence. Main thread.
 *
 * The file is locked (image_lock.h) for us alone when the guest may write to it, among readers for
 * a read-only drive or one with an overlay. That also stops the same file from being given twice.
 */
#include "block_internal.h"

#include "base/log.h"
#include "io/image_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool only_read(const struct block *b)
{
    return b->readonly || b->snapshot;
}

static int open_file(struct block *b)
{
    b->fd = open(b->file, (only_read(b) ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
    if (b->fd >= 0) {
        return 0;
    }
    int err = -errno;
    bool may_read = (err == -EACCES || err == -EPERM || err == -EROFS) && !only_read(b) &&
                    access(b->file, R_OK) == 0;
    log_error("drive %s: cannot open %s: %s%s", b->id, b->file, strerror(-err),
              may_read ? "; readonly=on or snapshot=on would do" : "");
    return err;
}

static int check_kind(const struct block *b)
{
    struct stat st;

    if (fstat(b->fd, &st) != 0) {
        int err = -errno;
        log_error("drive %s: %s: %s", b->id, b->file, strerror(-err));
        return err;
    }
    if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) {
        return 0;
    }
    log_error("drive %s: %s is %s, not a regular file or a block device", b->id, b->file,
              S_ISDIR(st.st_mode) ? "a directory" : "something else");
    return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
}

/* What is read and written by qemu-nbd is locked by it, against its own kind: flock(2) is ours. */
int block_lock_file(const struct block *b, bool served)
{
    int err = served ? image_lock_flock(b->fd, only_read(b)) : image_lock(b->fd, only_read(b));

    if (err == -EBUSY) {
        log_error("drive %s: %s is %s", b->id, b->file, image_lock_busy);
        return err;
    }
    if (err != 0) {
        log_warn("drive %s: cannot lock %s (%s): make sure that nobody else writes it", b->id,
                 b->file, strerror(-err));
    }
    return 0;
}

static int measure(struct block *b)
{
    off_t end = lseek(b->fd, 0, SEEK_END);

    if (end < 0) {
        int err = -errno;
        log_error("drive %s: %s: %s", b->id, b->file, strerror(-err));
        return err;
    }
    if (end == 0) {
        log_error("drive %s: %s is empty", b->id, b->file);
        return -EINVAL;
    }
    b->bytes = (uint64_t)end;
    b->sectors = b->bytes / BLOCK_SECTOR + (b->bytes % BLOCK_SECTOR != 0);
    return 0;
}

/* Not for a sparse image, which is of whole blocks whatever size its file has. */
static void warn_of_partial_sector(const struct block *b)
{
    if (b->bytes % BLOCK_SECTOR != 0) {
        log_warn("drive %s: the size of %s, %" PRIu64 " bytes, is no multiple of 512; the guest "
                 "sees the last sector filled up with zeroes",
                 b->id, b->file, b->bytes);
    }
}

static struct block *allocate(const char *id, const char *file, unsigned flags)
{
    struct block *b = calloc(1, sizeof *b);

    if (b == NULL) {
        return NULL;
    }
    b->fd = -1;
    b->overlay = -1;
    b->readonly = (flags & BLOCK_READONLY) != 0;
    b->snapshot = (flags & BLOCK_SNAPSHOT) != 0 && !b->readonly;
    b->tail = &b->head;
    b->job_tail = &b->job_head;
    pthread_mutex_init(&b->lock, NULL);
    pthread_mutex_init(&b->nbd_lock, NULL);
    pthread_cond_init(&b->work, NULL);
    pthread_cond_init(&b->settled, NULL);
    b->id = strdup(id);
    b->file = strdup(file);
    if (b->id == NULL || b->file == NULL) {
        block_close(b);
        return NULL;
    }
    return b;
}

static int open_raw(struct block *b)
{
    int err = open_file(b);

    if (err == 0) {
        err = check_kind(b);
    }
    if (err == 0) {
        err = block_lock_file(b, false);
    }
    if (err == 0) {
        err = measure(b);
    }
    return err == 0 ? block_sparse_open(b) : err;
}

int block_open(const char *id, const char *file, unsigned flags, struct block **out)
{
    struct block *b = allocate(id, file, flags);

    if (b == NULL) {
        return -ENOMEM;
    }
    bool nbd = (flags & BLOCK_QCOW2) != 0 || block_nbd_is_uri(file);
    int err = nbd ? block_nbd_open(b, (flags & BLOCK_QCOW2) != 0) : open_raw(b);
    if (err == 0 && b->snapshot) {
        err = block_snapshot_open(b);
    }
    if (err == 0) {
        warn_of_partial_sector(b);
        err = block_start_threads(b);
        if (err != 0) {
            log_error("drive %s: cannot start a thread: %s", id, strerror(-err));
        }
    }
    if (err != 0) {
        block_close(b);
        return err;
    }
    *out = b;
    return 0;
}
