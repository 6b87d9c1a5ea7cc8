/* SPDX-License-Identifier: MIT */
/*
 * Host mappings of one SPT window: map, drop in slices, protect; see window.h. Records change first
 * when something is mapped, last when it is dropped (window.c).
 *
 * At vm.max_map_count even clearing by mmap(MAP_FIXED) fails with ENOMEM; what still works is
 * mprotect and munmap of whole mappings. So the last resort makes the whole window inaccessible at
 * once (`disabled`), and the owner rebuilds it when it next needs it.
 *
 * Under the window's lock.
 */
#include "window_internal.h"

#include "base/inject.h"
#include "base/log.h"
#include "mmu_internal.h"

#include <errno.h>
#include <sys/mman.h>

/*
 * What one call to the host removes at most: mappings (as many gaps go with them), and pages. It
 * holds the mmap lock for some 3 us for a mapping with its gap and 0.3 us for a page. Where a
 * hypervisor flushes TLBs, it takes several us for each page of a run that the kernel flushes page
 * by page; longer runs are flushed all at once. Such pages count for more by what was measured.
 */
#define SLICE_VMAS    16
#define SLICE_PAGES   128
#define SLICE_PAGE_NS 500 /* for a page that counts once: 64 us in all */
#define FLUSH_PAGES   33  /* Linux: tlb_single_page_flush_ceiling */
#define WEIGHT_MAX    32

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
    window_forget_range(w, 0, UINT64_C(1) << w->bits);
    window_account(w, (int64_t)(vmas - atomic_load(&w->vmas)));
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
        window_forget_range(w, run->gva, len);
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

/* Mapped pages from `gva` on that are one mapping of the host, `max` at most. */
static uint32_t run_length(const struct window *w, gva_t gva, gva_t limit, uint32_t max)
{
    uint32_t rec = window_record(w, gva), n = 0;

    do {
        uint32_t next = ++n < max && (gva += GUEST_PAGE_SIZE) < limit ? window_record(w, gva) : 0;

        if (record_boundary(rec, next))
            break;
        rec = next;
    } while (true);
    return n;
}

/* How many times a page of a short run counts. */
static uint32_t short_run_weight(const struct window *w)
{
    uint32_t n = 1 + w->vm->mmu->host.flush_ns / SLICE_PAGE_NS;

    return n < WEIGHT_MAX ? n : WEIGHT_MAX;
}

/* The end of a slice of [gva, limit), which begins with a mapped page: behind a mapped page. */
static gva_t slice_end(const struct window *w, gva_t gva, gva_t limit)
{
    uint32_t left = SLICE_PAGES;
    gva_t end = gva;

    for (unsigned vmas = 0; vmas < SLICE_VMAS && gva < limit; vmas++) {
        uint32_t n = run_length(w, gva, limit, left);
        uint32_t weight = n > FLUSH_PAGES ? 1 : short_run_weight(w);

        if (n > left / weight)
            n = left / weight;
        if (!n)
            break;
        left -= n * weight;
        end = gva + (gva_t)n * GUEST_PAGE_SIZE;
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
        dropped += window_forget_range(w, at, stop - at);
        at = stop;
    }
    if (dropped)
        window_forget_leaves(w, gva, len);
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
    window_give_regions_back(w);
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
    window_account(w, -(int64_t)atomic_load(&w->vmas));
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

    for (uint32_t i = 0; i < ng_words(w); i++) {
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
    before = window_boundaries(w, gva, 1);
    window_give_writable(w, rec >> REC_GPA_SHIFT);
    atomic_store(&r->rec[i], rec & ~REC_WRITABLE);
    window_account(w, window_boundaries(w, gva, 1) - before);
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
