/* SPDX-License-Identifier: MIT */
/*
 * Long-descriptor (LPAE) walks: up to three levels, TTBCR.T0SZ/T1SZ and EPD, blocks and pages,
 * hierarchical APTable/XNTable/PXNTable, access flag, 40-bit output. The contiguous hint is
 * ignored, as it may be. Arm ARM DDI0406C B3.6, B3.7. See walk.c.
 */
#include "mmu_internal.h"

#define TTBCR_EPD0 (1u << 7)
#define TTBCR_EPD1 (1u << 23)
#define TTBR_ADDR  UINT64_C(0xffffffffff)
#define DESC_ADDR  UINT64_C(0xfffffff000) /* [39:12] */
#define DESC_VALID 1u
#define DESC_TABLE 2u /* also "page" at level 3 */
#define DESC_AF    (1u << 10)
#define DESC_NG    (1u << 11)
#define DESC_PXN   (UINT64_C(1) << 53)
#define DESC_XN    (UINT64_C(1) << 54)
#define TABLE_PXN  (UINT64_C(1) << 59)
#define TABLE_XN   (UINT64_C(1) << 60)

/* What table descriptors above the leaf take away. */
struct limits {
    bool no_user, read_only, xn, pxn;
};

/*
 * Which table covers the address: TTBR1 has the top 2^(32-T1SZ) bytes or, with T1SZ = 0, all that
 * T0SZ leaves over; TTBR0 the bottom 2^(32-T0SZ) bytes that TTBR1 does not take (B3.6.4, figure
 * B3-15). False: neither.
 */
static bool select_table(const struct walk *w, bool *second)
{
    unsigned t0 = w->r->ttbcr & 7, t1 = w->r->ttbcr >> 16 & 7;
    bool in_bottom = !t0 || !(w->va >> (32 - t0));

    *second = t1 ? !((uint32_t)~w->va >> (32 - t1)) : !in_bottom;
    return *second || in_bottom;
}

/* Start level, table base and size of the region (B3.6.6); false: translation fault. */
static bool first_table(const struct walk *w, unsigned *level, gpa_t *base, unsigned *bits)
{
    bool second;
    unsigned size;
    uint64_t ttbr;

    if (!select_table(w, &second) || (w->r->ttbcr & (second ? TTBCR_EPD1 : TTBCR_EPD0)))
        return false;
    size = second ? w->r->ttbcr >> 16 & 7 : w->r->ttbcr & 7;
    ttbr = second ? w->r->ttbr1 : w->r->ttbr0;
    *bits = 32 - size;
    *level = size > 1 ? 2 : 1;
    *base = ttbr & TTBR_ADDR & ~((UINT64_C(1) << (*level == 1 ? 5 - size : 14 - size)) - 1);
    return true;
}

static unsigned level_shift(unsigned level)
{
    return 12 + 9 * (3 - level);
}

static uint8_t memory_attribute(const struct walk *w, uint64_t d)
{
    unsigned n = d >> 2 & 7;

    return (uint8_t)((n & 4 ? w->r->mair1 : w->r->mair0) >> (8 * (n & 3)));
}

static bool check_leaf(struct walk *w, uint64_t d, unsigned level, const struct limits *lim)
{
    struct mmu_translation *t = w->out;
    unsigned ap21 = d >> 6 & 3;
    uint8_t attr = memory_attribute(w, d);

    if (!(d & DESC_AF))
        return walk_fail(w, WALK_ACCESS_FLAG, level);
    if (lim->no_user)
        ap21 &= ~1u;
    if (lim->read_only)
        ap21 |= 2;
    t->prot = walk_rights(w, ap21, false, (d & DESC_XN) || lim->xn, (d & DESC_PXN) || lim->pxn);
    t->device = !(attr >> 4);
    t->par_attr = (uint64_t)attr << 56 | (t->device ? UINT64_C(2) : d >> 8 & 3) << 7;
    if (!(t->prot & 1u << w->access))
        return walk_fail(w, WALK_PERMISSION, level);
    return true;
}

static bool walk_leaf(struct walk *w, uint64_t d, unsigned level, const struct limits *lim)
{
    struct mmu_translation *t = w->out;

    t->page_size = UINT64_C(1) << level_shift(level);
    t->gpa = (d & DESC_ADDR & ~(t->page_size - 1)) | (w->va & (t->page_size - 1));
    t->global = !(d & DESC_NG);
    return check_leaf(w, d, level, lim);
}

static void add_limits(struct limits *lim, uint64_t d)
{
    lim->no_user |= d >> 61 & 1;
    lim->read_only |= d >> 62 & 1;
    lim->xn |= (d & TABLE_XN) != 0;
    lim->pxn |= (d & TABLE_PXN) != 0;
}

bool walk_long(struct walk *w)
{
    struct limits lim = {0};
    unsigned level, bits;
    gpa_t base;

    if (!first_table(w, &level, &base, &bits))
        return walk_fail(w, WALK_TRANSLATION, 1);
    for (;; level++) {
        unsigned shift = level_shift(level);
        uint64_t index = (w->va & ((UINT64_C(1) << bits) - 1)) >> shift, d;

        if (!walk_read64(w, base + index * 8, &d))
            return walk_fail(w, WALK_EXTERNAL, level);
        if (!(d & DESC_VALID) || (level == 3 && !(d & DESC_TABLE)))
            return walk_fail(w, WALK_TRANSLATION, level);
        if (level == 3 || !(d & DESC_TABLE))
            return walk_leaf(w, d, level, &lim);
        add_limits(&lim, d);
        base = d & DESC_ADDR;
        bits = shift;
    }
}
