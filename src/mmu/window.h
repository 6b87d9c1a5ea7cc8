/* SPDX-License-Identifier: MIT */
/*
 * One SPT window: a reserved host range as wide as the guest address space, pieces of which map
 * guest RAM. window.c keeps host mappings and records equal and counts host VMAs; it knows nothing
 * of vCPUs, contexts or guest tables.
 *
 * A record for every page, in regions of 2 MiB allocated on first use, tells what is mapped.
 * Records change only under the window's lock; anybody may read them without (they are atomic) to
 * learn that nothing is mapped somewhere.
 */
#pragma once

#include "base/types.h"

#include <pthread.h>
#include <stdatomic.h>

struct vm;

#define WINDOW_GUARD \
    ((uint64_t)64 << 10) /* above any displacement plus access width; on both sides */
#define REGION_BITS   21
#define REGION_PAGES  (1u << (REGION_BITS - GUEST_PAGE_BITS))

/* A record: 0 = not mapped. The GPA's page number is relative to RAM. */
#define REC_MAPPED    1u
#define REC_WRITABLE  2u
#define REC_NONGLOBAL 4u
#define REC_GPA_SHIFT 4
#define REC_FLAGS     ((1u << REC_GPA_SHIFT) - 1)

struct region {
    _Atomic uint32_t rec[REGION_PAGES];
    uint32_t mapped; /* pages */
    uint32_t line;   /* record of page 0, write access apart, if it were mapped like the others; */
    bool mixed;      /* unless some page was mapped otherwise since all were unmapped */
    uint32_t w_first,
        w_last; /* every writable page's RAM page number lies between; first > last: none */
    struct region *next; /* of those that no window needs (window_regions.c) */
};
/* One with nothing mapped, or NULL. Any thread. */
struct region *region_get_empty(void);
/* All its records are 0. Any thread; others may still look into it. */
void region_give_back(struct region *r);

struct window {
    /* constant after window_init */
    struct vm *vm;
    hva_t base; /* of GVA 0 */
    unsigned bits;
    uint32_t nregions;
    _Atomic uint64_t *vma_total; /* VMAs of all windows */

    /* owning vCPU; other threads read */
    _Atomic uint32_t
        *tag; /* WINDOW_* | ASID; those of a vCPU lie together, since a TLBI looks at all */
    _Atomic uint32_t current; /* generated code of the owner may use it */
    _Atomic uint64_t last_used;
    uint32_t drops_paid; /* `maintained` when the tier of its context last looked; owner only */
    uint64_t ng_context; /* serial of the context its non-global pages belong to; owner only */
    /* Privileged windows of -mmu auto, owner only: DACR now, and its fields that pages here depend
     * on. */
    uint32_t dacr, dacr_mask;

    struct window *next_retired; /* reclaim.c */

    /* under lock; what is atomic is read without */
    pthread_mutex_t lock;
    _Atomic uint32_t mapped; /* pages */
    _Atomic uint32_t stale;  /* must be revalidated before it is used again; set without the lock */
    _Atomic uint32_t evicting;
    _Atomic uint32_t maintained; /* operations by address that dropped something */
    _Atomic uint32_t evicted;    /* slices taken for the budget since it was allocated */
    bool disabled;     /* inaccessible as a whole, its VMAs still there: rebuild before use */
    _Atomic bool lost; /* its range went to somebody else while idle: never used again */
    _Atomic uint64_t vmas;
    gva_t slice;                      /* where the next window_drop_slice_locked() begins */
    _Atomic uint32_t nonglobal;       /* mapped pages with REC_NONGLOBAL (privileged windows) */
    uint64_t *ng_regions;             /* bitmap: regions that may hold some */
    _Atomic(struct region *) *region; /* [nregions] */
    _Atomic uint8_t *leaf_log2;       /* [nregions] largest leaf mapped from there; 0 = small */
    _Atomic uint32_t *w_pages; /* writable pages by 2 MiB of RAM: a filter for window_protect_gpa */
};

#define WINDOW_USED       0x10000u
#define WINDOW_USER       0x20000u
#define WINDOW_HAS_GLOBAL 0x40000u /* a user window with global pages in it */
#define WINDOW_RETIRED    0x80000u /* out of use, to be cleared by the reclaimer; alone */
#define WINDOW_ASID       0xffffu

int window_init(struct window *w, struct vm *vm, hva_t base, unsigned bits,
                _Atomic uint64_t *vma_total)
    MUST_CHECK; /* -errno; the range with its guards is reserved by the caller */
void window_fini(struct window *w);

/* What is mapped at gva; 0 = nothing. Any thread; exact under the lock. */
uint32_t window_record(const struct window *w, gva_t gva);
/* May pages of [gva, gva + len) be mapped? Any thread. */
bool window_any(const struct window *w, gva_t gva, uint64_t len);

/* A run to map: pages that are contiguous in GVA and RAM, inside one region, with equal rights. */
struct window_run {
    gva_t gva;
    uint32_t ram_page; /* of the first */
    uint32_t npages;
    uint32_t flags; /* REC_* */
    uint8_t leaf_log2;
    bool replaces; /* set by prepare: some page was mapped before */
};
/*
 * Mapping has two steps, so that the caller can check its generation in between: records first
 * (visible to who shoots down), then the host mapping. prepare: a writable run is cut where a page
 * is watched for code; -EAGAIN when its first page is. 0, -EAGAIN, -ENOMEM. commit: 0 or -errno;
 * then nothing is mapped there.
 */
int window_prepare_locked(struct window *w, struct window_run *run) MUST_CHECK;
int window_commit_locked(struct window *w, const struct window_run *run) MUST_CHECK;
void window_cancel_locked(struct window *w, const struct window_run *run);
/* VMAs the run would add at most, with neighbours taken into account. */
unsigned window_run_cost(const struct window *w, const struct window_run *run);

/* Unmap what is mapped of [gva, gva + len); pages dropped. Never fails: at the host's limit the
 * whole window goes. */
unsigned window_drop_locked(struct window *w, gva_t gva, uint64_t len);
unsigned window_drop_nonglobal_locked(struct window *w);
/*
 * Unmap the next few of what is mapped, in order of addresses and round again: so little that the
 * host's mmap lock, one for the whole process, is held for some ten microseconds. Pages dropped; 0:
 * nothing is mapped.
 */
unsigned window_drop_slice_locked(struct window *w);
void window_clear_locked(struct window *w);
/*
 * Make a disabled window usable again; false: the host still has no room. `idle`: no generated code
 * can use its base until the lock is released, so its range may have a hole for a moment.
 */
bool window_rebuild_locked(struct window *w, bool idle);
/* Make mappings of this RAM page read-only, at most `max`; how many were. Takes the lock. */
unsigned window_protect_gpa(struct window *w, uint32_t ram_page, unsigned max);
