/* SPDX-License-Identifier: MIT */
/*
 * A vCPU's code cache and the arena of its metadata. The cache is one piece of memory mapped twice,
 * writable and executable, so that no mapping is both (I-8). Space is handed out in order, segment
 * by segment, and reclaimed a segment at a time, the oldest first (blocks.c); only the owning vCPU
 * is affected.
 */
#include "tcg/tcg_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define DEFAULT_CACHE_BYTES ((size_t)128 << 20) /* a compiler alone fills half of it */
#define MIN_CACHE_BYTES     ((size_t)1 << 17)
#define BYTES_PER_BLOCK     128 /* fewest host bytes expected of a block: sizes by_code */
#define MIN_SEGMENT_BYTES   ((size_t)1 << 15) /* parts of half that hold some long regions */
#define PART_GAP            64 /* so that the end of a block is not in the next part */
#define CODE_ALIGN          16
#define HOT_PART(bytes)     ((bytes)*9 / 16 & ~(size_t)63) /* what straight paths take */

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
    /* It is filled in order, so few large pages are in part unused; small ones took a fault for
     * each dozen of blocks. */
    if (t->arena != MAP_FAILED)
        (void)madvise(t->arena, t->arena_bytes, MADV_HUGEPAGE);
    t->by_code = map_anon(t->max_blocks * sizeof(*t->by_code));
    t->pages = map_anon(TCG_PAGES * (size_t)t->max_blocks * sizeof(*t->pages));
    if (t->arena == MAP_FAILED || (void *)t->by_code == MAP_FAILED ||
        (void *)t->pages == MAP_FAILED) {
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
    if ((void *)t->pages != MAP_FAILED)
        munmap(t->pages, TCG_PAGES * (size_t)t->max_blocks * sizeof(*t->pages));
}

static struct code_part part(size_t begin, size_t bytes)
{
    return (struct code_part){.begin = begin, .used = begin, .end = begin + bytes - PART_GAP};
}

void code_cache_lay_out(struct tcg *t)
{
    size_t stubs = (t->stubs.bytes + 63) & ~(size_t)63, bytes;

    t->nsegments = (unsigned)(t->cache_bytes / MIN_SEGMENT_BYTES);
    if (t->nsegments > CODE_SEGMENTS)
        t->nsegments = CODE_SEGMENTS;
    bytes = ((t->cache_bytes - stubs) / t->nsegments) & ~(size_t)63;
    t->segment_arena = (t->arena_bytes / t->nsegments) & ~(size_t)63;
    t->segment_blocks = t->max_blocks / t->nsegments;
    for (unsigned i = 0; i < t->nsegments; i++)
        t->segment[i] = (struct code_segment){
            .hot = part(stubs + i * bytes, HOT_PART(bytes)),
            .cold = part(stubs + i * bytes + HOT_PART(bytes), bytes - HOT_PART(bytes)),
            .arena = t->arena + i * t->segment_arena,
            .by_code = t->by_code + (size_t)i * t->segment_blocks,
        };
}

struct code_buffer code_cache_room(const struct tcg *t)
{
    const struct code_segment *s = &t->segment[t->current];

    return (struct code_buffer){
        .rw = t->rw + s->hot.used,
        .rx = t->rx + s->hot.used,
        .room = s->hot.end - s->hot.used,
        .cold_rw = t->rw + s->cold.used,
        .cold_rx = t->rx + s->cold.used,
        .cold_room = s->cold.end - s->cold.used,
    };
}

static void take(struct code_part *p, size_t bytes)
{
    p->used = (p->used + bytes + CODE_ALIGN - 1) & ~(size_t)(CODE_ALIGN - 1);
    if (p->used > p->end)
        p->used = p->end;
}

void code_cache_take(struct tcg *t, size_t straight, size_t out_of_line)
{
    take(&t->segment[t->current].hot, straight);
    take(&t->segment[t->current].cold, out_of_line);
}

void *code_cache_alloc(struct tcg *t, size_t bytes)
{
    struct code_segment *s = &t->segment[t->current];
    void *p = s->arena + s->arena_used;

    bytes = (bytes + 7) & ~(size_t)7;
    if (t->segment_arena - s->arena_used < bytes)
        return NULL;
    s->arena_used += bytes;
    memset(p, 0, bytes);
    return p;
}

static void empty_segment(struct tcg *t, struct code_segment *s)
{
    profile_keep(t, s);
    s->hot.used = s->hot.begin;
    s->cold.used = s->cold.begin;
    s->arena_used = 0;
    s->nblocks = 0;
    s->evictions++;
}

struct code_segment *code_cache_oldest(struct tcg *t)
{
    return &t->segment[(t->current + 1) % t->nsegments];
}

void code_cache_advance(struct tcg *t)
{
    t->current = (t->current + 1) % t->nsegments;
    empty_segment(t, &t->segment[t->current]);
    if (!t->current)
        memset(&t->settled, 0, sizeof(t->settled));
}

void code_cache_empty(struct tcg *t)
{
    for (unsigned i = 0; i < t->nsegments; i++)
        empty_segment(t, &t->segment[i]);
    t->current = 0;
    t->npages = 0;
    t->free_page = NULL;
    memset(t->hash, 0, sizeof(t->hash));
    memset(t->page_hash, 0, sizeof(t->page_hash));
    memset(&t->settled, 0, sizeof(t->settled));
}

bool code_cache_is_empty(const struct tcg *t)
{
    for (unsigned i = 0; i < t->nsegments; i++)
        if (t->segment[i].arena_used)
            return false;
    return true;
}

struct code_segment *code_segment_of(struct tcg *t, const struct tb *tb)
{
    return &t->segment[(size_t)((const uint8_t *)tb - t->arena) / t->segment_arena];
}

const struct code_segment *code_segment_at(const struct tcg *t, uintptr_t host_pc)
{
    const struct code_segment *first = &t->segment[0];
    size_t off = host_pc - (uintptr_t)t->rx - first->hot.begin;
    size_t i = off / (first->cold.end + PART_GAP - first->hot.begin);

    return i < t->nsegments ? &t->segment[i] : NULL;
}

struct tb_ref tb_ref(struct tcg *t, struct tb *tb)
{
    return (struct tb_ref){.tb = tb, .evictions = code_segment_of(t, tb)->evictions};
}

struct tb *tb_deref(struct tcg *t, struct tb_ref ref)
{
    return code_segment_of(t, ref.tb)->evictions == ref.evictions ? ref.tb : NULL;
}
