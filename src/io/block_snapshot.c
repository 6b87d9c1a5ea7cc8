/* SPDX-License-Identifier: MIT */
/*
 * snapshot=on: what the guest writes goes to an overlay, a sparse file without a name that is gone
 * when the emulator ends; the drive's own file is only read, and any number of emulators may do so.
 *
 * One bit for each sector tells where it is. Sectors are the unit of every request, so no part of
 * one is ever copied, and requests that run at the same time need no lock: a bit is set after the
 * data is there, and read before. On the drive's threads.
 */
#include "block_internal.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BITS 64u

static size_t map_bytes(const struct block *b)
{
    return (size_t)(b->sectors / BITS + 1) * sizeof b->overlay_map[0];
}

int block_snapshot_open(struct block *b)
{
    const char *folder = getenv("TMPDIR");

    folder = folder != NULL && folder[0] != '\0' ? folder : "/var/tmp";
    b->overlay = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (b->overlay < 0 || ftruncate(b->overlay, (off_t)(b->sectors * BLOCK_SECTOR)) != 0) {
        int err = -errno;
        log_error("drive %s: snapshot=on: cannot make a temporary file in %s: %s; TMPDIR names "
                  "another folder",
                  b->id, folder, strerror(-err));
        return err;
    }
    /* Only the part that is written to takes memory. */
    void *map = mmap(NULL, map_bytes(b), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) {
        return -ENOMEM;
    }
    b->overlay_map = map;
    return 0;
}

void block_snapshot_close(struct block *b)
{
    if (b->overlay_map != NULL) {
        munmap(b->overlay_map, map_bytes(b));
    }
    if (b->overlay >= 0) {
        close(b->overlay);
    }
}

/* How many sectors from `first` on are in the same place, at most n; where that is. */
static uint64_t same_place(const struct block *b, uint64_t first, uint64_t n, bool *overlay)
{
    uint64_t at = first;

    *overlay = (atomic_load(&b->overlay_map[first / BITS]) >> first % BITS & 1) != 0;
    while (at < first + n) {
        uint64_t word = atomic_load(&b->overlay_map[at / BITS]);
        uint64_t other = (*overlay ? ~word : word) >> at % BITS;
        if (other != 0) {
            at += (unsigned)__builtin_ctzll(other);
            break;
        }
        at += BITS - at % BITS;
    }
    return at - first < n ? at - first : n;
}

int block_snapshot_read(struct block *b, struct block_transfer *t, uint32_t epoch)
{
    int err = 0;

    while (err == 0 && t->left > 0) {
        bool overlay;
        uint64_t n = same_place(b, t->offset / BLOCK_SECTOR, t->left / BLOCK_SECTOR, &overlay);
        err = overlay ? block_file_move(b, b->overlay, BLOCK_READ, t, n * BLOCK_SECTOR, epoch)
                      : block_file_base_read(b, t, n * BLOCK_SECTOR, epoch);
    }
    return err;
}

void block_snapshot_mark(struct block *b, uint64_t offset, uint64_t length)
{
    uint64_t at = offset / BLOCK_SECTOR, end = at + length / BLOCK_SECTOR;

    while (at < end) {
        uint64_t n = BITS - at % BITS < end - at ? BITS - at % BITS : end - at;
        uint64_t ones = n == BITS ? UINT64_MAX : ((uint64_t)1 << n) - 1;
        atomic_fetch_or(&b->overlay_map[at / BITS], ones << at % BITS);
        at += n;
    }
}
