/* SPDX-License-Identifier: MIT */
/*
 * Host mappings of one SPT window, see window.h.
 *
 * The count of VMAs is exact for what the kernel can merge: a boundary between two pages costs one
 * VMA unless both are unmapped, or both are mapped with equal rights and contiguous in RAM.
 * Mappings carry no madvise flags, since those would keep the kernel from merging a dropped page
 * into the reservation (core dumps are kept small by the coredump filter instead, see fault.c).
 *
 * At vm.max_map_count even clearing by mmap(MAP_FIXED) fails with ENOMEM; what still works is
 * mprotect and munmap of whole mappings. So the last resort makes the whole window inaccessible at
 * once
 * (`disabled`), and the owner rebuilds it when it next needs it.
 */
#include "window.h"

#include "base/inject.h"
#include "base/log.h"
#include "mmu_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* What one call to the host removes at most: mappings (as many gaps go with them), and pages. It
 * holds the mmap lock for some 3 us for a mapping with its gap and 0.3 us for a page. */
#define SLICE_VMAS    16
#define SLICE_PAGES   128
#define W_PAGES_SHIFT (REGION_BITS - GUEST_PAGE_BITS)

static size_t bitmap_words(const struct window *w)
{
    return (w->nregions + 63) / 64;
}

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
    w->ng_regions = mmu_zalloc(bitmap_words(w) * sizeof(uint64_t));
    pthread_mutex_init(&w->lock, NULL);
    if (!w->region || !w->leaf_log2 || !w->w_pages || !w->ng_regions) {
        window_fini(w);
        return -ENOMEM;
    }
    return 0;
}

/* Of those with nothing mapped. */
static void give_regions_back(struct window *w)
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
        give_regions_back(w);
        for (uint32_t i = 0; i < w->nregions; i++)
            free(atomic_load(&w->region[i]));
    }
    mmu_zfree(w->region, w->nregions * sizeof(w->region[0]));
    mmu_zfree(w->leaf_log2, w->nregions);
    mmu_zfree(w->w_pages, filter_entries(w->vm) * sizeof(w->w_pages[0]));
    mmu_zfree(w->ng_regions, bitmap_words(w) * sizeof(uint64_t));
    w->region = NULL;
    pthread_mutex_destroy(&w->lock);
}

static struct region *region_at(const struct window *w, gva_t gva)
{
    return atomic_load(&w->region[gva >> REGION_BITS]);
}

static unsigned index_in_region(gva_t gva)
{
    return gva >> GUEST_PAGE_BITS & (REGION_PAGES - 1);
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

/* Does the kernel need two VMAs for these neighbours? */
static bool boundary(uint32_t a, uint32_t b)
{
    if (!a || !b)
        return a != b;
    return (a & REC_WRITABLE) != (b & REC_WRITABLE) ||
           (a >> REC_GPA_SHIFT) + 1 != b >> REC_GPA_SHIFT;
}

/* Boundaries at the left edge of every page of the range, and at its right end. */
static int64_t boundaries(const struct window *w, gva_t gva, uint32_t npages)
{
    int64_t first = (int64_t)(gva >> GUEST_PAGE_BITS), n = 0;
    uint32_t left = record_or_guard(w, first - 1);

    for (int64_t p = first; p <= first + npages; p++) {
        uint32_t here = record_or_guard(w, p);

        n += boundary(left, here);
        left = here;
    }
    return n;
}

static void account(struct window *w, int64_t delta)
{
    atomic_store_explicit(&w->vmas, atomic_load(&w->vmas) + (uint64_t)delta, memory_order_relaxed);
    atomic_fetch_add_explicit(w->vma_total, (uint64_t)delta, memory_order_relaxed);
}

unsigned window_run_cost(const struct window *w, const struct window_run *run)
{
    uint32_t first = run->ram_page << REC_GPA_SHIFT | run->flags;
    uint32_t last = (run->ram_page + run->npages - 1) << REC_GPA_SHIFT | run->flags;
    int64_t page = (int64_t)(run->gva >> GUEST_PAGE_BITS);

    return boundary(record_or_guard(w, page - 1), first) +
           boundary(last, record_or_guard(w, page + run->npages));
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

static void give_writable(struct window *w, uint32_t ram_page)
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
        give_writable(w, rec >> REC_GPA_SHIFT);
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
    before = boundaries(w, run->gva, run->npages);
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
    account(w, boundaries(w, run->gva, run->npages) - before);
    return 0;
}

/* Without records the window looks emptier than the host has it; right only where nothing is
 * mapped, or will be. */
static unsigned forget_range(struct window *w, gva_t gva, uint64_t len)
{
    unsigned dropped = 0;

    for (gva_t end = gva + len; gva < end;) {
        gva_t next = (gva | ((1u << REGION_BITS) - 1)) + 1;
        struct region *r = region_at(w, gva);

        if (next > end)
            next = end;
        if (r && r->mapped) {
            uint32_t n = (uint32_t)((next - gva) >> GUEST_PAGE_BITS), had = r->mapped;
            int64_t before = boundaries(w, gva, n);

            for (uint32_t i = 0; i < n; i++)
                forget_record(w, r, index_in_region(gva) + i);
            account(w, boundaries(w, gva, n) - before);
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

/* ---- host mappings ---- */
static bool host_unmap(struct window *w, gva_t gva, uint64_t len)
{
    if (INJECT(KEEP_MAPPING))
        return true;
    return !INJECT(MMAP_ENOMEM) &&
           mmap((void *)(w->base + gva), len, PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED;
}

/* Inaccessible at once without a new VMA: every mapping is covered whole. The VMAs stay until the
 * rebuild. */
static void disable(struct window *w)
{
    uint64_t vmas = atomic_load(&w->vmas);

    if (mprotect((void *)w->base, UINT64_C(1) << w->bits, PROT_NONE))
        vm_bug("cannot take a window out of use: %s", "mprotect failed");
    forget_range(w, 0, UINT64_C(1) << w->bits);
    account(w, (int64_t)(vmas - atomic_load(&w->vmas)));
    w->disabled = true;
}

int window_commit_locked(struct window *w, const struct window_run *run)
{
    int prot = PROT_READ | (run->flags & REC_WRITABLE ? PROT_WRITE : 0);
    int err;

    if (INJECT(MMAP_ENOMEM))
        err = -ENOMEM;
    else if (mmap((void *)(w->base + run->gva), (uint64_t)run->npages << GUEST_PAGE_BITS, prot,
                  MAP_SHARED | MAP_FIXED | MAP_NORESERVE, w->vm->ram.fd,
                  (off_t)run->ram_page << GUEST_PAGE_BITS) != MAP_FAILED)
        return 0;
    else
        err = -errno;
    window_cancel_locked(w, run);
    return err;
}

void window_cancel_locked(struct window *w, const struct window_run *run)
{
    uint64_t len = (uint64_t)run->npages << GUEST_PAGE_BITS;

    if (run->replaces)
        window_drop_locked(w, run->gva, len); /* what the run was to replace is still mapped */
    else
        forget_range(w, run->gva, len);
}

/* Does [gva, gva + len) hold the whole leaf that is marked at `at`? */
static bool holds_leaf(gva_t gva, uint64_t len, gva_t at, unsigned log2)
{
    gva_t first = at & ~((UINT64_C(1) << log2) - 1);

    if (INJECT(SPLIT_LEAF_MARKS))
        return UINT64_C(1) << log2 <= len;
    return first >= gva && first + (UINT64_C(1) << log2) <= gva + len;
}

/*
 * Empty regions know no leaf any more, so that the next page of a flush loop is cheap. The marks of
 * a leaf larger than a region go all together or stay: note_leaf() takes one of them for all.
 */
static void forget_leaves(struct window *w, gva_t gva, uint64_t len)
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

/* The first mapped page of [gva, end); `end` or above: none. */
static gva_t next_mapped(const struct window *w, gva_t gva, gva_t end)
{
    while (gva < end) {
        const struct region *r = region_at(w, gva);

        if (!r || !r->mapped)
            gva = (gva | ((1u << REGION_BITS) - 1)) + 1;
        else if (atomic_load_explicit(&r->rec[index_in_region(gva)], memory_order_relaxed))
            break;
        else
            gva += GUEST_PAGE_SIZE;
    }
    return gva;
}

/* The end of a slice of [gva, limit), which begins with a mapped page: behind a mapped page. */
static gva_t slice_end(const struct window *w, gva_t gva, gva_t limit)
{
    uint32_t left = 0;
    unsigned vmas = 0;
    gva_t end = gva;

    for (unsigned pages = 0; pages < SLICE_PAGES && gva < limit; pages++) {
        uint32_t rec = window_record(w, gva);

        if (gva != end)
            left = 0;
        vmas += boundary(left, rec);
        if (vmas > SLICE_VMAS)
            break;
        left = rec;
        end = gva + GUEST_PAGE_SIZE;
        gva = next_mapped(w, end, limit);
    }
    return end;
}

unsigned window_drop_locked(struct window *w, gva_t gva, uint64_t len)
{
    gva_t end = gva + len, at = gva, stop;
    unsigned dropped = 0;

    while ((at = next_mapped(w, at, end)) < end) {
        stop = slice_end(w, at, end);
        if (!host_unmap(w, at, stop - at)) {
            dropped += atomic_load(&w->mapped);
            disable(w);
            return dropped;
        }
        dropped += forget_range(w, at, stop - at);
        at = stop;
    }
    if (dropped)
        forget_leaves(w, gva, len);
    return dropped;
}

unsigned window_drop_slice_locked(struct window *w)
{
    gva_t size = UINT64_C(1) << w->bits, first = next_mapped(w, w->slice, size);

    if (first >= size)
        first = next_mapped(w, 0, size);
    if (first >= size)
        return 0;
    w->slice = slice_end(w, first, size);
    return window_drop_locked(w, first, w->slice - first);
}

void window_clear_locked(struct window *w)
{
    window_drop_locked(w, 0, UINT64_C(1) << w->bits);
    for (uint32_t i = 0; i < w->nregions; i++)
        if (atomic_load_explicit(&w->leaf_log2[i], memory_order_relaxed))
            atomic_store_explicit(&w->leaf_log2[i], 0, memory_order_relaxed);
    give_regions_back(w);
}

bool window_rebuild_locked(struct window *w, bool idle)
{
    void *base = (void *)w->base;
    uint64_t size = UINT64_C(1) << w->bits;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;

    if (!w->disabled || w->lost)
        return !w->lost;
    if (!host_unmap(w, 0, size)) {
        /* Only removing whole mappings works now; what lands in the hole meanwhile keeps it. */
        if (!idle || INJECT(MMAP_ENOMEM) || munmap(base, size))
            return false;
        w->lost = mmap(base, size, PROT_NONE, flags, -1, 0) != base;
    }
    account(w, -(int64_t)atomic_load(&w->vmas));
    w->disabled = false;
    return !w->lost;
}

/* Runs of non-global pages of one region, each in one call. */
static unsigned drop_nonglobal_in(struct window *w, gva_t gva)
{
    struct region *r = region_at(w, gva);
    gva_t start = 0;
    unsigned dropped = 0;
    uint32_t run = 0;

    for (unsigned p = 0; p <= REGION_PAGES; p++, gva += GUEST_PAGE_SIZE) {
        if (p < REGION_PAGES &&
            (atomic_load_explicit(&r->rec[p], memory_order_relaxed) & REC_NONGLOBAL)) {
            if (!run++)
                start = gva;
            continue;
        }
        if (run)
            dropped += window_drop_locked(w, start, (uint64_t)run << GUEST_PAGE_BITS);
        run = 0;
    }
    return dropped;
}

unsigned window_drop_nonglobal_locked(struct window *w)
{
    unsigned dropped = 0;

    for (uint32_t i = 0; i < bitmap_words(w); i++) {
        uint64_t bits = w->ng_regions[i];

        w->ng_regions[i] = 0;
        for (; bits; bits &= bits - 1)
            dropped += drop_nonglobal_in(w, (gva_t)(i * 64 + (unsigned)__builtin_ctzll(bits))
                                                << REGION_BITS);
    }
    return dropped;
}

static void protect_page(struct window *w, struct region *r, gva_t gva)
{
    unsigned i = index_in_region(gva);
    uint32_t rec = atomic_load(&r->rec[i]);
    int64_t before;

    if (INJECT(MMAP_ENOMEM) || mprotect((void *)(w->base + gva), GUEST_PAGE_SIZE, PROT_READ)) {
        window_drop_locked(w, gva,
                           GUEST_PAGE_SIZE); /* no room to split a VMA: the host says ENOMEM */
        return;
    }
    before = boundaries(w, gva, 1);
    give_writable(w, rec >> REC_GPA_SHIFT);
    atomic_store(&r->rec[i], rec & ~REC_WRITABLE);
    account(w, boundaries(w, gva, 1) - before);
}

static bool may_hold_writable(const struct region *r, uint32_t ram_page)
{
    return r && r->mapped && ram_page >= r->w_first && ram_page <= r->w_last;
}

static unsigned protect_in_region(struct window *w, gva_t gva, uint32_t want, unsigned max)
{
    struct region *r = region_at(w, gva);
    unsigned found = 0;

    for (unsigned p = 0; p < REGION_PAGES && found < max; p++)
        if ((atomic_load_explicit(&r->rec[p], memory_order_relaxed) & ~REC_NONGLOBAL) == want) {
            protect_page(w, r, gva | (gva_t)p << GUEST_PAGE_BITS);
            found++;
        }
    return found;
}

unsigned window_protect_gpa(struct window *w, uint32_t ram_page, unsigned max)
{
    uint32_t want = ram_page << REC_GPA_SHIFT | REC_MAPPED | REC_WRITABLE;
    unsigned found = 0;

    if (!atomic_load(&w->w_pages[ram_page >> W_PAGES_SHIFT]))
        return 0;
    pthread_mutex_lock(&w->lock);
    for (uint32_t i = 0; i < w->nregions && found < max; i++) {
        gva_t gva = (gva_t)i << REGION_BITS;

        if (may_hold_writable(region_at(w, gva), ram_page))
            found += protect_in_region(w, gva, want, max - found);
    }
    pthread_mutex_unlock(&w->lock);
    return found;
}
