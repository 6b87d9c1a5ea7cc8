/* SPDX-License-Identifier: MIT */
/* What the records of a window (window.c) have for those who change its host mappings
 * (window_host.c). Under the window's lock. */
#pragma once

#include "window.h"

#define W_PAGES_SHIFT (REGION_BITS - GUEST_PAGE_BITS)

static inline struct region *region_at(const struct window *w, gva_t gva)
{
    return atomic_load(&w->region[gva >> REGION_BITS]);
}

static inline unsigned index_in_region(gva_t gva)
{
    return gva >> GUEST_PAGE_BITS & (REGION_PAGES - 1);
}

/* Words of the bitmap ng_regions. */
static inline uint32_t ng_words(const struct window *w)
{
    return (w->nregions + 63) / 64;
}

/* Does the kernel need two VMAs for neighbours with these records? */
bool record_boundary(uint32_t a, uint32_t b);
/* Boundaries at the left edge of every page of the range, and at its right end. */
int64_t window_boundaries(const struct window *w, gva_t gva, uint32_t npages);
/* VMAs that came or went. */
void window_account(struct window *w, int64_t delta);
/* A writable mapping of the page is gone. */
void window_give_writable(struct window *w, uint32_t ram_page);
/* Records of [gva, gva + len) become 0; pages that had one. Without records the window looks
 * emptier than the host has it: right only where nothing is mapped, or will be. */
unsigned window_forget_range(struct window *w, gva_t gva, uint64_t len);
/*
 * Empty regions know no leaf any more, so that the next page of a flush loop is cheap. The marks of
 * a leaf larger than a region go all together or stay.
 */
void window_forget_leaves(struct window *w, gva_t gva, uint64_t len);
/* Regions with nothing mapped, to whom needs some. */
void window_give_regions_back(struct window *w);
