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

struct tb_link {
    struct tb *from;       /* the block whose jump slot this is */
    struct tb *to;         /* linked target, NULL while unlinked */
    struct tb_link *next;  /* in to->incoming */
    struct tb_link **prev; /* what points to this one there */
    uint32_t patch_off, unlinked_off;
    uint32_t guard_off; /* 0: within one page */
};

/* One translation. Lives until its segment of the cache is evicted, also after invalidation. */
struct tb {
    gva_t pc;
    gpa_t gpa;         /* of pc */
    gpa_t page[TCG_PAGES]; /* physical pages its bytes came from; the rest is NO_PAGE */
    uint8_t *code;     /* executable address */
    uint8_t *unpolled; /* the same, behind the poll */
    struct tb *hash_next;
    struct tb *page_next[TCG_PAGES];
    struct tb_link *link;
    struct tb_link *incoming; /* links of other blocks that jump here */
    struct tcg_site *site;
    uint64_t runs; /* counted with -d tb-stats only */
    uint32_t exec_flags;
    uint32_t host_bytes, straight_bytes; /* all of it; without what is out of line */
    uint16_t nsites, nlinks;
    uint16_t guest_bytes, n_insns;
    uint16_t counter; /* index in vcpu.hot, if it counts */
    bool counts;      /* may become a region */
    bool region;      /* tier 2: several blocks, entered at pc */
    bool loops;       /* region: comes back to its beginning */
    bool guarded;     /* region: pages but the first are entered behind guards in the code */
    bool tried;       /* to make a region of it */
    uint16_t samples; /* how often it was found running */
    bool pc_relative; /* runs at any virtual page; pc is where it was translated */
    bool dead;
    bool indirect; /* ends with an indirect branch */
    /* Where that goes most often, by samples, and by how many of them it leads. Of a region: what
     * was known of the block that it replaced. */
    uint8_t lead;
    uint32_t to;
};

struct code_page {
    gpa_t gpa;
    struct code_page *next; /* hash chain, or of unused ones */
    struct tb *tbs;         /* through page_next[which page of the block this is] */
    uint32_t swept;         /* the eviction that looked through the list last */
};

/*
 * A part of the cache: code, and the metadata of exactly the blocks whose code this is. Segments
 * are filled one after the other; the oldest is evicted as a whole when there is no room left.
 */
struct code_segment {
    size_t begin, end, used; /* code: offsets in the cache */
    uint8_t *arena;
    size_t arena_used;
    struct tb **by_code; /* its blocks in order of their code, for host-address lookups */
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
    struct tb *hash[1u << TB_HASH_BITS];
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
    bool stepping;          /* blocks of one instruction, breakpoints ignored */
    struct profile *past;   /* counts of blocks that are gone (profile.c), or NULL */
    gpa_t next_page_gpa;    /* set by the front end's next_page call */
};

/* Of the code that runs now. */
static inline uint64_t tcg_jump_tag(const struct vcpu *v)
{
    return v->jump_tag[(v->exec_flags & EXEC_PRIV) != 0];
}

/* ---- code_cache.c ---- */
int code_cache_create(struct tcg *t, size_t bytes) MUST_CHECK; /* -errno */
void code_cache_destroy(struct tcg *t);
struct code_buffer code_cache_room(const struct tcg *t);
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
void tb_link_to(struct tcg *t, struct tb_link *l, struct tb *to);
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
struct tcg_site *tb_site_at(struct tb *tb, uintptr_t host_pc); /* NULL: none there */

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
void tcg_log_host(const struct tb *tb);
/* Host instructions on the block's straight path. */
unsigned tcg_host_insns(const struct tb *tb);
void perf_map_add(const struct vcpu *v, const struct tb *tb);
