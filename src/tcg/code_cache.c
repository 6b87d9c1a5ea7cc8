/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's code cache and the arena of its metadata. The cache is one piece of memory mapped twice,
 * writable and executable, so that no mapping is both (I-8). Space is handed out in order and
 * reclaimed all at once; only the owning vCPU is affected when it is emptied.
 */
#include "tcg/tcg_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define DEFAULT_CACHE_BYTES ((size_t)128 << 20) /* a compiler alone fills half of it */
#define MIN_CACHE_BYTES     ((size_t)1 << 20)
#define BYTES_PER_BLOCK     128 /* fewest host bytes expected of a block: sizes by_code */

/* Shared anonymous memory, not a memfd: profilers look into a perf map for anonymous code only. */
static int map_code(struct tcg *t, size_t bytes)
{
    t->rw = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (t->rw == MAP_FAILED)
        return -errno;
    /* An old size of 0 leaves the old mapping and makes another one of the same pages. */
    t->rx = mremap(t->rw, 0, bytes, MREMAP_MAYMOVE);
    if (t->rx == MAP_FAILED || mprotect(t->rx, bytes, PROT_READ | PROT_EXEC))
        return -errno;
    return 0;
}

static void *map_anon(size_t bytes)
{
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1, 0);
}

int code_cache_create(struct tcg *t, size_t bytes)
{
    int err;

    if (!bytes)
        bytes = DEFAULT_CACHE_BYTES;
    if (bytes < MIN_CACHE_BYTES)
        bytes = MIN_CACHE_BYTES;
    bytes = (bytes + 0xfff) & ~(size_t)0xfff;
    t->cache_bytes = bytes;
    t->arena_bytes = bytes * 2;
    t->max_blocks = (uint32_t)(bytes / BYTES_PER_BLOCK);
    t->rw = t->rx = MAP_FAILED;
    t->arena = map_anon(t->arena_bytes);
    t->by_code = map_anon(t->max_blocks * sizeof(*t->by_code));
    if (t->arena == MAP_FAILED || (void *)t->by_code == MAP_FAILED) {
        code_cache_destroy(t);
        return -ENOMEM;
    }
    err = map_code(t, bytes);
    if (err)
        code_cache_destroy(t);
    return err;
}

void code_cache_destroy(struct tcg *t)
{
    profile_free(t);
    if (t->rw != MAP_FAILED)
        munmap(t->rw, t->cache_bytes);
    if (t->rx != MAP_FAILED)
        munmap(t->rx, t->cache_bytes);
    if (t->arena != MAP_FAILED)
        munmap(t->arena, t->arena_bytes);
    if ((void *)t->by_code != MAP_FAILED)
        munmap(t->by_code, t->max_blocks * sizeof(*t->by_code));
}

struct code_buffer code_cache_room(const struct tcg *t)
{
    return (struct code_buffer){
        .rw = t->rw + t->used, .rx = t->rx + t->used, .room = t->cache_bytes - t->used};
}

void *code_cache_alloc(struct tcg *t, size_t bytes)
{
    void *p = t->arena + t->arena_used;

    bytes = (bytes + 15) & ~(size_t)15;
    if (t->arena_bytes - t->arena_used < bytes)
        return NULL;
    t->arena_used += bytes;
    memset(p, 0, bytes);
    return p;
}

void code_cache_empty(struct tcg *t)
{
    profile_keep(t);
    t->used = t->stub_bytes;
    t->arena_used = 0;
    t->nblocks = 0;
    memset(t->hash, 0, sizeof(t->hash));
    memset(t->page_hash, 0, sizeof(t->page_hash));
    memset(&t->settled, 0, sizeof(t->settled));
}
