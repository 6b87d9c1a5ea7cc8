/* SPDX-License-Identifier: MIT */
/*
 * A whole-window TLBI without emptying the window. After it every mapping must be as if filled
 * anew, and most would be filled the same: kernels flush everything when one process ends. So the
 * owner walks the guest's tables for what is mapped and drops only what a fresh walk would not
 * give. A walk costs some tens of nanoseconds, a drop and a fill some ten microseconds.
 *
 * Runs on the owning vCPU under the window's lock, with the registers of the context the window is
 * (about to be) current in. The walks come after `stale` was taken, so after the table updates of
 * whoever set it.
 */
#include "spt.h"

#include "base/inject.h"

struct check {
    struct vcpu *v;
    struct window *w;
    bool privileged;
    struct mmu_translation t;
    gva_t leaf, leaf_end; /* what t covers; empty: nothing yet */
    bool ok;              /* the walk of that leaf allows the access */
    gva_t drop, drop_end; /* pending range to drop; empty: none */
    unsigned dropped;
};

static void walk_leaf(struct check *c, gva_t gva)
{
    c->ok = mmu_translate(c->v, gva, MMU_READ, c->privileged, &c->t);
    INJECT_MEET(REWALKED);
    if (c->ok) {
        c->leaf = gva & ~(c->t.page_size - 1);
        c->leaf_end = c->leaf + c->t.page_size;
    } else {
        c->leaf = gva;
        c->leaf_end = gva + GUEST_PAGE_SIZE;
    }
}

/* Would a fill now give this record, and would later maintenance find it? */
static bool still_valid(struct check *c, gva_t gva, uint32_t rec)
{
    const struct mmu_translation *t = &c->t;
    uint32_t tag = atomic_load(c->w->tag);
    unsigned mark;
    gpa_t gpa;

    if (gva < c->leaf || gva >= c->leaf_end)
        walk_leaf(c, gva);
    if (!c->ok || ((rec & REC_WRITABLE) && !(t->prot & 1u << MMU_WRITE) && !INJECT(KEEP_WRITABLE)))
        return false;
    if (c->privileged ? !(rec & REC_NONGLOBAL) != t->global
                      : t->global && !(tag & WINDOW_HAS_GLOBAL))
        return false;
    if (!(c->w->dacr_mask >> 2 * t->domain & 1))
        return false;
    gpa = (t->gpa & ~(t->page_size - 1)) + (gva - c->leaf);
    if (gpa != c->v->vm->ram.base + ((gpa_t)(rec >> REC_GPA_SHIFT) << GUEST_PAGE_BITS))
        return false;
    if (t->page_size > UINT64_C(1) << 30) /* MMU off */
        return true;
    mark = atomic_load_explicit(&c->w->leaf_log2[gva >> REGION_BITS], memory_order_relaxed);
    if (t->device || (t->page_size > GUEST_PAGE_SIZE && t->page_size > UINT64_C(1) << mark))
        return false;
    /* News came too late for whoever maintained between the walk and now: a fill looks again. */
    return !seen_note(&c->v->mmu->mapped, gva, t->page_size, t->global);
}

static void drop_pending(struct check *c)
{
    if (c->drop_end)
        c->dropped += window_drop_locked(c->w, c->drop, c->drop_end - c->drop);
    c->drop_end = 0;
}

/*
 * How many pages from gva on are as valid as it is. A large leaf whose pages were all mapped alike
 * is looked at once: a kernel's linear map has thousands of pages, and is walked at the end of each
 * process. Some of them may have lost their write access (watched code), which is no less valid.
 */
static unsigned pages_alike(const struct check *c, const struct region *r, gva_t gva)
{
    bool none_writable = r->w_first > r->w_last;

    if (r->mixed || !(c->t.prot & 1u << MMU_WRITE || none_writable))
        return 1;
    return (unsigned)((c->leaf_end - gva) >> GUEST_PAGE_BITS);
}

static void check_region(struct check *c, uint32_t index)
{
    struct region *r = atomic_load(&c->w->region[index]);

    if (!r || !r->mapped)
        return;
    for (unsigned p = 0, n; p < REGION_PAGES; p += n) {
        uint32_t rec = atomic_load_explicit(&r->rec[p], memory_order_relaxed);
        gva_t gva = (gva_t)index << REGION_BITS | (gva_t)p << GUEST_PAGE_BITS;

        n = 1;
        if (!rec)
            continue;
        if (still_valid(c, gva, rec)) {
            drop_pending(c); /* unmapped gaps inside the range cost nothing, valid pages end it */
            n = pages_alike(c, r, gva);
            continue;
        }
        if (c->privileged)
            churn_note_drop(c->v, gva);
        if (!c->drop_end)
            c->drop = gva;
        c->drop_end = gva + GUEST_PAGE_SIZE;
    }
}

unsigned spt_revalidate_locked(struct vcpu *v, struct window *w, bool privileged)
{
    struct check c = {.v = v, .w = w, .privileged = privileged};

    for (uint32_t i = 0; i < w->nregions && atomic_load(&w->mapped); i++)
        check_region(&c, i);
    drop_pending(&c);
    return c.dropped;
}
