/* SPDX-License-Identifier: MIT */
/*
 * Private to src/tcg: one vCPU's translator. All of it is owned by the vCPU thread; nothing is
 * locked.
 */
#pragma once

#include "tcg/tcg.h"
#include "vcpu/vcpu.h"

#define TB_HASH_BITS   18
#define PAGE_HASH_BITS 12
#define NO_PAGE        UINT64_MAX

struct tb;
struct mmu_fetch;

/* A block remembered over something that may translate, and so evict it. */
struct tb_ref {
    struct tb *tb;
    uint32_t evictions;
};

/*
 * Metadata: blocks and what belongs to them. There are hundreds of thousands of blocks, so it is
 * kept small: it refers to metadata by place (word of the arena + 1; 0: none, meta_at()), and to
 * code by offset.
 */
typedef uint32_t meta_ref;

/* A direct exit of a block. Offsets are in the code cache. */
struct tb_link {
    meta_ref to;   /* linked target, 0 while unlinked */
    meta_ref next; /* in to->incoming */
    meta_ref prev; /* the word that refers to this one there */
    uint32_t patch_off, unlinked_off;
    uint32_t guard_off; /* 0: within one page */
};

/* A memory access that uses a window: what is known of its site (struct tcg_site), and how it
 * fares (fault_resume.c). */
struct tb_access {
    uint32_t pc;
    uint16_t host_off, slow_off; /* from block start */
    uint16_t extra, memop;
    bool store;
    bool patched;                /* goes to its slow path */
    uint8_t level;               /* how often it was patched */
    uint8_t score;               /* samples since */
    uint8_t old[X64_SITE_PATCH]; /* what the patch replaced */
};

/* A site that is a call. */
struct tb_call {
    uint32_t pc;
    uint16_t host_off, extra;
};

/* One translation. Lives until its segment of the cache is evicted, also after invalidation. Behind
 * it are its links, accesses and calls: tb_links() ... */
struct tb {
    gva_t pc;
    uint8_t *code; /* executable address of the straight path */
    uint32_t cold; /* place in the cache of what is out of line; see tb_place() */
    uint32_t exec_flags;
    uint32_t page[TCG_PAGES]; /* physical pages (numbers) its bytes came from; rest is NO_FRAME */
    meta_ref page_next[TCG_PAGES];
    meta_ref hash_next;
    meta_ref incoming; /* links of other blocks that jump here */
    /* Where a block that ends with an indirect branch goes most often, by samples, and by how many
     * of them that leads. Of a region: what was known of the block that it replaced. */
    uint32_t to;
    uint8_t lead;
    uint8_t unpolled_off;                /* of the code behind the poll */
    uint16_t host_bytes, straight_bytes; /* all of it; without what is out of line */
    uint16_t naccesses, ncalls;
    uint16_t guest_bytes;
    uint16_t counter; /* index in vcpu.hot, if it counts */
    uint16_t samples; /* how often it was found running */
    uint8_t nlinks, n_insns;
    bool counts : 1;      /* may become a region */
    bool region : 1;      /* tier 2: several blocks, entered at pc */
    bool loops : 1;       /* region: comes back to its beginning */
    bool guarded : 1;     /* region: pages but the first are entered behind guards in the code */
    bool tried : 1;       /* to make a region of it */
    bool indirect : 1;    /* ends with an indirect branch */
    bool pc_relative : 1; /* runs at any virtual page; pc is where it was translated */
    bool profiled : 1;    /* its runs are counted (-d tb-stats) in front of it: tb_runs() */
    bool dead : 1;
};
#define NO_FRAME      UINT32_MAX
#define TB_HOST_BYTES UINT16_MAX /* at most */
_Static_assert(TCG_MAX_SLOTS <= UINT8_MAX, "tb.nlinks");

struct code_page {
    gpa_t gpa;
    struct code_page *next; /* hash chain, or of unused ones */
    meta_ref tbs;           /* through page_next[which page of the block this is] */
    uint32_t swept;         /* the eviction that looked through the list last */
};

/*
 * A part of the cache: code, and the metadata of exactly the blocks whose code this is. Segments
 * are filled one after the other; the oldest is evicted as a whole when there is no room left.
 */
struct code_segment {
    /* Straight paths, and what is out of line: offsets in the cache. */
    struct code_part {
        size_t begin, end, used;
    } hot, cold;
    uint8_t *arena;
    size_t arena_used;
    struct tb **by_code; /* its blocks in order of their code (both parts), for host addresses */
    uint32_t nblocks;
    uint32_t evictions; /* how often it was emptied: what points into it asks (struct tb_ref) */
};
#define CODE_SEGMENTS 16

struct tcg {
    /* code cache: one piece of memory, two mappings (W^X) */
    uint8_t *rw, *rx;
    size_t cache_bytes;
    struct x64_stubs stubs;
    /* metadata; each segment has its share of both */
    uint8_t *arena;
    size_t arena_bytes;
    struct tb **by_code;
    uint32_t max_blocks;
    struct code_segment segment[CODE_SEGMENTS];
    unsigned nsegments, current; /* current: the one that is being filled */
    size_t segment_arena;        /* bytes */
    uint32_t segment_blocks;
    uint32_t evictions;
    struct code_page *pages, *free_page; /* all there can be; unused ones that were used */
    uint32_t npages;                     /* used so far */
    meta_ref hash[1u << TB_HASH_BITS];
    struct code_page *page_hash[1u << PAGE_HASH_BITS];
    /* per-translation work space */
    struct ir_block *ir;
    bool jump_cache_used; /* entries were made since the jump cache was last emptied */
    struct tcg_site sites[TCG_MAX_SITES];
    struct settled settled; /* emptied when the cache has been filled once more */
    uint32_t threshold;     /* entries after which a block becomes a region; 0 = never */
    uint32_t next_counter;  /* in vcpu.hot */
    bool declined;          /* the last region had nothing to it */
    uint64_t followed_ns;   /* CPU time when blocks were last followed (region.c) */
    struct tb_ref sampled;  /* the block that was sampled last, and where it ran */
    gva_t sampled_pc;
    bool stepping;        /* blocks of one instruction, breakpoints ignored */
    struct profile *past; /* counts of blocks that are gone (profile.c), or NULL */
    gpa_t next_page_gpa;  /* set by the front end's next_page call */
};

static inline void *meta_at(const struct tcg *t, meta_ref ref)
{
    return ref ? t->arena + (size_t)(ref - 1) * sizeof(uint32_t) : NULL;
}
static inline meta_ref meta_ref_of(const struct tcg *t, const void *p)
{
    return (meta_ref)(((const uint8_t *)p - t->arena) / (ptrdiff_t)sizeof(uint32_t)) + 1;
}

static inline gpa_t tb_gpa(const struct tb *tb)
{
    return (gpa_t)tb->page[0] << GUEST_PAGE_BITS | (tb->pc & ~GUEST_PAGE_MASK);
}
static inline struct tb_link *tb_links(const struct tb *tb)
{
    return (struct tb_link *)(tb + 1);
}
static inline struct tb_access *tb_accesses(const struct tb *tb)
{
    return (struct tb_access *)(tb_links(tb) + tb->nlinks);
}
static inline struct tb_call *tb_calls(const struct tb *tb)
{
    return (struct tb_call *)(tb_accesses(tb) + tb->naccesses);
}
/* Offsets in a block count through both parts of its code. */
static inline uint8_t *tb_place(const struct tcg *t, const struct tb *tb, uint32_t off)
{
    return off < tb->straight_bytes ? tb->code + off
                                    : t->rx + tb->cold + (off - tb->straight_bytes);
}
static inline uint32_t tb_offset(const struct tcg *t, const struct tb *tb, uintptr_t host_pc)
{
    uintptr_t cold = host_pc - (uintptr_t)(t->rx + tb->cold);

    return cold <= (uintptr_t)(tb->host_bytes - tb->straight_bytes)
               ? tb->straight_bytes + (uint32_t)cold
               : (uint32_t)(host_pc - (uintptr_t)tb->code);
}
/* NULL: they are not counted. */
static inline uint64_t *tb_runs(const struct tb *tb)
{
    return tb->profiled ? (uint64_t *)tb - 1 : NULL;
}

/* Of the code that runs now. */
static inline uint64_t tcg_jump_tag(const struct vcpu *v)
{
    return v->jump_tag[(v->exec_flags & EXEC_PRIV) != 0];
}

/* ---- code_cache.c ---- */
int code_cache_create(struct tcg *t, size_t bytes) MUST_CHECK; /* -errno */
void code_cache_destroy(struct tcg *t);
struct code_buffer code_cache_room(const struct tcg *t);
/* So much of it is used. */
void code_cache_take(struct tcg *t, size_t straight, size_t out_of_line);
static inline uint8_t *code_rx_to_rw(const struct tcg *t, const uint8_t *rx)
{
    return t->rw + (rx - t->rx);
}
/* Divide what the stubs leave into segments. */
void code_cache_lay_out(struct tcg *t);
/* Zeroed metadata memory of the current segment; NULL when it is full (evict, then retry). */
void *code_cache_alloc(struct tcg *t, size_t bytes);
/* The segment that is next to be filled, and the step to it: its blocks are gone. */
struct code_segment *code_cache_oldest(struct tcg *t);
void code_cache_advance(struct tcg *t);
/* Forget all of it. */
void code_cache_empty(struct tcg *t);
bool code_cache_is_empty(const struct tcg *t);
struct code_segment *code_segment_of(struct tcg *t, const struct tb *tb);
static inline bool code_segment_has(const struct tcg *t, const struct code_segment *s,
                                    const struct tb *tb)
{
    return (uintptr_t)tb - (uintptr_t)s->arena < t->segment_arena;
}
/* The segment whose code is around host_pc, NULL when none. */
const struct code_segment *code_segment_at(const struct tcg *t, uintptr_t host_pc);

struct tb_ref tb_ref(struct tcg *t, struct tb *tb);
struct tb *tb_deref(struct tcg *t, struct tb_ref ref); /* NULL: it was evicted */

/* ---- blocks.c ---- */
struct tb *tb_find(struct tcg *t, gva_t pc, gpa_t gpa, uint32_t exec_flags);
/* A block of the same code that does not fit pc: it was translated for another address. */
struct tb *tb_find_elsewhere(struct tcg *t, gva_t pc, gpa_t gpa, uint32_t exec_flags);
/* Enter a finished block into hash and page lists; false when its segment has all it can have. */
bool tb_register(struct tcg *t, struct tb *tb);
void tb_link_to(struct tcg *t, struct tb *from, struct tb_link *l, struct tb *to);
void tb_invalidate(struct vcpu *v, struct tb *tb);
/* A better block for the same place is there: `tb` is neither found nor linked to any more. */
void tb_supersede(struct vcpu *v, struct tb *tb);
/* Find `tb` through the jump cache from now on, at the state PC in the current context. */
void jump_cache_insert(struct vcpu *v, struct tb *tb);
/* The page of the state PC is fetched from the block's first physical page. */
void fetch_cache_insert(struct vcpu *v, const struct tb *tb);
/* Drop every block; page owners are released. */
void tb_flush_all(struct vcpu *v);
/* Drop the oldest segment's blocks and go on in it. No generated code is up the stack. */
void tb_evict_oldest(struct vcpu *v);
/* The block whose code holds host_pc, NULL when none. */
struct tb *tb_by_host_pc(const struct tcg *t, uintptr_t host_pc);

/* ---- tcg_run.c ---- */
/* The block for the state PC; NULL: prefetch abort pending. */
struct tb *tcg_lookup(struct vcpu *v);
/* Make it known in the jump cache. */
struct tb *tcg_remember(struct vcpu *v, struct tb *tb);
/* False: prefetch abort pending. */
bool tcg_fetch_here(struct vcpu *v, struct mmu_fetch *f);
/* NULL: none there. */
struct tb_access *tb_access_at(const struct tb *tb, uint32_t host_off);

/* ---- translate.c ---- */
/*
 * Translate at v's state, whose page was fetched at mmu_epoch() `epoch`, for its address or for
 * any. NULL with v->exc set: the fetch of a second page faults. NULL without: requests of others
 * were served meanwhile and the fetch is stale; fetch again.
 */
struct tb *tcg_translate(struct vcpu *v, gpa_t gpa, const uint8_t *page, uint32_t epoch,
                         bool pc_relative);
/* The same as a region that begins there. */
struct tb *tcg_translate_region(struct vcpu *v, gpa_t gpa, const uint8_t *page, uint32_t epoch,
                                bool pc_relative);

/* ---- region.c ---- */
#define REGION_INSNS 128 /* no longer than this */
_Static_assert(REGION_INSNS <= UINT8_MAX, "tb.n_insns");
/* Should code at the state PC count its entries, or be a region at once? */
bool region_may_begin(const struct vcpu *v);
/* Give a new block a counter. */
void region_count(struct vcpu *v, struct tb *tb);
/* Prepare translation of a region at `gpa`. */
struct region_path;
void region_begin(struct vcpu *v, struct tcg_source *src, gpa_t gpa, struct region_path *path);
struct region_path {
    struct vcpu *v;
    gva_t at; /* what it entered last */
    bool loops;
    /* Pages that it has entered, beginning with the region's own. */
    unsigned npages;
    struct region_page {
        gva_t va;
        gpa_t gpa;
        const uint8_t *code;
        uint64_t seen[(1u << GUEST_PAGE_BITS) / 2 / 64]; /* branch targets: a bit for a halfword */
    } page[TCG_PAGES];
};
/* The block at the state PC has become hot: what to run there now, NULL: exception pending. */
struct tb *region_promote(struct vcpu *v);
/*
 * The block at the state PC has left at its poll: a sample. What to run there past the poll, so
 * that the next block is a sample, too; `left` counts those, and is 0 before the first. NULL: leave
 * for the run loop, with an exception if one is pending.
 */
struct tb *region_sample(struct vcpu *v, unsigned *left);

/* ---- profile.c ---- */
/* The segment's blocks are about to be thrown away: keep their counts. */
void profile_keep(struct tcg *t, const struct code_segment *s);
void profile_free(struct tcg *t);

/* ---- tcg_log.c, perf_map.c ---- */
void tcg_log_guest(const struct tb *tb, const uint8_t *page, unsigned len);
void tcg_log_ir(const struct tb *tb, const struct ir_block *b, const char *title);
void tcg_log_host(const struct tcg *t, const struct tb *tb);
/* Host instructions on the block's straight path. */
unsigned tcg_host_insns(const struct tb *tb);
void perf_map_add(const struct vcpu *v, const struct tb *tb);
