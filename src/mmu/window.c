/* SPDX-License-Identifier: MIT */
/*
 * Life cycle and records of one SPT window, see window.h; its host mappings: window_host.c.
 *
 * The count of VMAs is exact for what the kernel can merge: a boundary between two pages costs one
 * VMA unless both are unmapped, or both are mapped with equal rights and contiguous in RAM.
 * Mappings carry no madvise flags, since those would keep the kernel from merging a dropped page
 * into the reservation (core dumps are kept small by the coredump filter instead, see fault.c).
 */
#include "window_internal.h"

#include "base/inject.h"
#include "mmu_internal.h"

#include <errno.h>
#include <stdlib.h>

static size_t filter_entries(const struct vm *vm)
{
    return (vm->ram.size >> REGION_BITS) + 1;
}

int window_init(struct window *w, struct vm *vm, hva_t base, unsigned bits,
                _Atomic uint64_t *vma_total)
{
    w->vm = vm;
    w->base = base;
    w->bits = bits;
    w->nregions = 1u << (bits - REGION_BITS);
    w->vma_total = vma_total;
    w->region = mmu_zalloc(w->nregions * sizeof(w->region[0]));
    w->leaf_log2 = mmu_zalloc(w->nregions);
    w->w_pages = mmu_zalloc(filter_entries(vm) * sizeof(w->w_pages[0]));
    w->ng_regions = mmu_zalloc(ng_words(w) * sizeof(uint64_t));
    pthread_mutex_init(&w->lock, NULL);
    if (!w->region || !w->leaf_log2 || !w->w_pages || !w->ng_regions) {
        window_fini(w);
        return -ENOMEM;
    }
    return 0;
}

void window_give_regions_back(struct window *w)
{
    for (uint32_t i = 0; i < w->nregions; i++) {
        struct region *r = atomic_load_explicit(&w->region[i], memory_order_relaxed);

        if (!r || r->mapped)
            continue;
        atomic_store(&w->region[i], NULL);
        w->ng_regions[i / 64] &= ~(UINT64_C(1) << (i % 64));
        region_give_back(r);
    }
}

void window_fini(struct window *w)
{
    if (w->region) {
        window_give_regions_back(w);
        for (uint32_t i = 0; i < w->nregions; i++)
            free(atomic_load(&w->region[i]));
    }
    mmu_zfree(w->region, w->nregions * sizeof(w->region[0]));
    mmu_zfree(w->leaf_log2, w->nregions);
    mmu_zfree(w->w_pages, filter_entries(w->vm) * sizeof(w->w_pages[0]));
    mmu_zfree(w->ng_regions, ng_words(w) * sizeof(uint64_t));
    w->region = NULL;
    pthread_mutex_destroy(&w->lock);
}

uint32_t window_record(const struct window *w, gva_t gva)
{
    struct region *r = region_at(w, gva);

    return r ? atomic_load(&r->rec[index_in_region(gva)]) : 0;
}

bool window_any(const struct window *w, gva_t gva, uint64_t len)
{
    if (!atomic_load(&w->mapped))
        return false;
    for (gva_t end = gva + len; gva < end; gva += GUEST_PAGE_SIZE) {
        if (!region_at(w, gva))
            gva |= (1u << REGION_BITS) - GUEST_PAGE_SIZE; /* to its last page */
        else if (window_record(w, gva))
            return true;
    }
    return false;
}

/* ---- VMA accounting ---- */
static uint32_t record_or_guard(const struct window *w, int64_t page)
{
    if (page < 0 || page >= (int64_t)1 << (w->bits - GUEST_PAGE_BITS))
        return 0;
    return window_record(w, (gva_t)page << GUEST_PAGE_BITS);
}

bool record_boundary(uint32_t a, uint32_t b)
{
    if (!a || !b)
        return a != b;
    return (a & REC_WRITABLE) != (b & REC_WRITABLE) ||
           (a >> REC_GPA_SHIFT) + 1 != b >> REC_GPA_SHIFT;
}

int64_t window_boundaries(const struct window *w, gva_t gva, uint32_t npages)
{
    int64_t first = (int64_t)(gva >> GUEST_PAGE_BITS), n = 0;
    uint32_t left = record_or_guard(w, first - 1);

    for (int64_t p = first; p <= first + npages; p++) {
        uint32_t here = record_or_guard(w, p);

        n += record_boundary(left, here);
        left = here;
    }
    return n;
}

void window_account(struct window *w, int64_t delta)
{
    atomic_store_explicit(&w->vmas, atomic_load(&w->vmas) + (uint64_t)delta, memory_order_relaxed);
    atomic_fetch_add_explicit(w->vma_total, (uint64_t)delta, memory_order_relaxed);
}

unsigned window_run_cost(const struct window *w, const struct window_run *run)
{
    uint32_t first = run->ram_page << REC_GPA_SHIFT | run->flags;
    uint32_t last = (run->ram_page + run->npages - 1) << REC_GPA_SHIFT | run->flags;
    int64_t page = (int64_t)(run->gva >> GUEST_PAGE_BITS);

    return record_boundary(record_or_guard(w, page - 1), first) +
           record_boundary(last, record_or_guard(w, page + run->npages));
}

/* ---- records ---- */
static struct region *region_get(struct window *w, gva_t gva)
{
    struct region *r = region_at(w, gva);

    if (r)
        return r;
    r = region_get_empty();
    if (r)
        atomic_store(&w->region[gva >> REGION_BITS], r);
    return r;
}

static _Atomic uint64_t *state_of(const struct window *w, uint32_t ram_page)
{
    return &w->vm->mmu->page[ram_page];
}

/* Counters that change under the lock only: readers without it need no read-modify-write. */
static void add_locked(_Atomic uint32_t *counter, uint32_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* A writable mapping of the page is about to exist; false: it is watched, so it must not. */
static bool take_writable(struct window *w, uint32_t ram_page)
{
    /* The filter first: who sees the count in the descriptor must find this window by it. */
    add_locked(&w->w_pages[ram_page >> W_PAGES_SHIFT], 1);
    if (!page_watched(atomic_fetch_add(state_of(w, ram_page), PAGE_MAPPED_ONE)))
        return true;
    atomic_fetch_sub(state_of(w, ram_page), PAGE_MAPPED_ONE);
    add_locked(&w->w_pages[ram_page >> W_PAGES_SHIFT], -1u);
    return false;
}

void window_give_writable(struct window *w, uint32_t ram_page)
{
    atomic_fetch_sub(state_of(w, ram_page), PAGE_MAPPED_ONE);
    add_locked(&w->w_pages[ram_page >> W_PAGES_SHIFT], -1u);
}

static void forget_record(struct window *w, struct region *r, unsigned i)
{
    uint32_t rec = atomic_load(&r->rec[i]);

    if (!rec)
        return;
    if (rec & REC_WRITABLE)
        window_give_writable(w, rec >> REC_GPA_SHIFT);
    if (rec & REC_NONGLOBAL)
        add_locked(&w->nonglobal, -1u);
    atomic_store_explicit(&r->rec[i], 0, memory_order_relaxed);
    r->mapped--;
    add_locked(&w->mapped, -1u);
}

static uint32_t line_of(unsigned i, uint32_t rec)
{
    return (rec & ~REC_WRITABLE) - ((uint32_t)i << REC_GPA_SHIFT);
}

static void set_record(struct window *w, struct region *r, unsigned i, uint32_t rec)
{
    uint32_t page = rec >> REC_GPA_SHIFT;

    r->mixed = r->mapped && (r->mixed || r->line != line_of(i, rec));
    r->line = line_of(i, rec);
    if (rec & REC_WRITABLE) {
        r->w_first = page < r->w_first ? page : r->w_first;
        r->w_last = page > r->w_last ? page : r->w_last;
    }
    if (rec & REC_NONGLOBAL)
        add_locked(&w->nonglobal, 1);
    atomic_store_explicit(&r->rec[i], rec, memory_order_relaxed);
    r->mapped++;
    add_locked(&w->mapped, 1);
}

/* A leaf larger than a region marks all regions it covers, also those with nothing mapped. */
static void note_leaf(struct window *w, gva_t gva, uint8_t log2)
{
    gva_t first = gva & ~((UINT64_C(1) << log2) - 1);

    if (log2 <= GUEST_PAGE_BITS || atomic_load(&w->leaf_log2[gva >> REGION_BITS]) >= log2)
        return;
    for (gva_t r = first >> REGION_BITS; r <= (first + (UINT64_C(1) << log2) - 1) >> REGION_BITS;
         r++)
        if (r < w->nregions && atomic_load(&w->leaf_log2[r]) < log2)
            atomic_store(&w->leaf_log2[r], log2);
}

int window_prepare_locked(struct window *w, struct window_run *run)
{
    struct region *r = region_get(w, run->gva);
    unsigned first = index_in_region(run->gva), n;
    int64_t before;

    if (!r)
        return -ENOMEM;
    if (run->flags & REC_WRITABLE) {
        for (n = 0; n < run->npages && take_writable(w, run->ram_page + n); n++)
            ;
        if (!n)
            return -EAGAIN;
        run->npages = n;
    }
    before = window_boundaries(w, run->gva, run->npages);
    run->replaces = false;
    for (n = 0; n < run->npages; n++) {
        run->replaces |= atomic_load_explicit(&r->rec[first + n], memory_order_relaxed) != 0;
        forget_record(w, r, first + n);
        set_record(w, r, first + n, (run->ram_page + n) << REC_GPA_SHIFT | run->flags);
    }
    if (run->flags & REC_NONGLOBAL)
        w->ng_regions[run->gva >> REGION_BITS >> 6] |= UINT64_C(1)
                                                       << (run->gva >> REGION_BITS & 63);
    note_leaf(w, run->gva, run->leaf_log2);
    window_account(w, window_boundaries(w, run->gva, run->npages) - before);
    return 0;
}

unsigned window_forget_range(struct window *w, gva_t gva, uint64_t len)
{
    unsigned dropped = 0;

    for (gva_t end = gva + len; gva < end;) {
        gva_t next = (gva | ((1u << REGION_BITS) - 1)) + 1;
        struct region *r = region_at(w, gva);

        if (next > end)
            next = end;
        if (r && r->mapped) {
            uint32_t n = (uint32_t)((next - gva) >> GUEST_PAGE_BITS), had = r->mapped;
            int64_t before = window_boundaries(w, gva, n);

            for (uint32_t i = 0; i < n; i++)
                forget_record(w, r, index_in_region(gva) + i);
            window_account(w, window_boundaries(w, gva, n) - before);
            dropped += had - r->mapped;
            if (!r->mapped) {
                r->w_first = UINT32_MAX;
                r->w_last = 0;
            }
        }
        gva = next;
    }
    return dropped;
}

/* Does [gva, gva + len) hold the whole leaf that is marked at `at`? */
static bool holds_leaf(gva_t gva, uint64_t len, gva_t at, unsigned log2)
{
    gva_t first = at & ~((UINT64_C(1) << log2) - 1);

    if (INJECT(SPLIT_LEAF_MARKS))
        return UINT64_C(1) << log2 <= len;
    return first >= gva && first + (UINT64_C(1) << log2) <= gva + len;
}

/* Marks of one leaf go together: note_leaf() takes one of them for all. */
void window_forget_leaves(struct window *w, gva_t gva, uint64_t len)
{
    gva_t first = gva >> REGION_BITS, last = (gva + len - 1) >> REGION_BITS;

    for (gva_t i = first; i <= last; i++) {
        struct region *r = atomic_load(&w->region[i]);
        unsigned log2 = atomic_load_explicit(&w->leaf_log2[i], memory_order_relaxed);

        if ((!r || !r->mapped) &&
            (log2 <= REGION_BITS || holds_leaf(gva, len, i << REGION_BITS, log2)))
            atomic_store_explicit(&w->leaf_log2[i], 0, memory_order_relaxed);
    }
}
