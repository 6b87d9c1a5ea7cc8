/* SPDX-License-Identifier: MIT */
/*
 * Short-descriptor walks: sections, supersections, large and small pages, domains, TEX remap,
 * access flag, XN and PXN, the TTBCR.N split. Arm ARM DDI0406C B3.5, B3.7, B3.8. See walk.c.
 */
#include "mmu_internal.h"

#define TTBCR_N         7u
#define TTBCR_PD0       (1u << 4)
#define TTBCR_PD1       (1u << 5)

#define L1_PXN_TABLE    (1u << 2)
#define L1_PXN_SECTION  (1u << 0)
#define L1_XN           (1u << 4)
#define L1_SUPERSECTION (1u << 18)
#define L1_NG           (1u << 17)
#define L2_LARGE_XN     (1u << 15)
#define L2_SMALL_XN     (1u << 0)
#define L2_NG           (1u << 11)

/* The fields of a leaf, from whichever descriptor holds it. */
struct leaf {
    unsigned level;
    unsigned ap;  /* AP[2:0] */
    unsigned tex; /* TEX[2:0]:C:B */
    bool xn, pxn, shareable;
};

/* Where the walk starts (B3.5.4); false: disabled by PD0/PD1. */
static bool first_level(const struct walk *w, gpa_t *desc)
{
    unsigned n = w->r->ttbcr & TTBCR_N;
    bool use1 = n && w->va >> (32 - n);
    uint32_t base = (uint32_t)(use1 ? w->r->ttbr1 : w->r->ttbr0);

    if (w->r->ttbcr & (use1 ? TTBCR_PD1 : TTBCR_PD0))
        return false;
    if (use1)
        n = 0;
    *desc = (base & ~((1u << (14 - n)) - 1)) | ((w->va & (UINT32_MAX >> n)) >> 20) << 2;
    return true;
}

/* Memory type by TEX[2:0]:C:B, remapped or not: 0 Strongly-ordered, 1 Device, 2 Normal (B3.8.2,
 * B3.8.3). */
static unsigned memory_type(const struct walk *w, unsigned tex)
{
    if (w->r->sctlr & SCTLR_TRE)
        return w->r->prrr >> (2 * (tex & 7)) & 3;
    if (tex == 0)
        return 0;
    if (tex == 1 || tex == 8)
        return 1;
    return 2;
}

/* Cacheability codes 0 NC, 1 WBWA, 2 WT, 3 WB as PAR shows them: inner has its own encoding. */
static unsigned par_inner(unsigned code)
{
    static const uint8_t map[4] = {0, 5, 6, 7};

    return map[code & 3];
}

/* PAR bits 10 (NOS), 7 (SH), 6:4 (inner), 3:2 (outer), B4.1.112. */
static uint64_t par_attributes(const struct walk *w, unsigned tex, bool shareable)
{
    unsigned type = memory_type(w, tex), n = tex & 7, inner, outer;
    bool tre = w->r->sctlr & SCTLR_TRE;

    if (type != 2)
        return (uint64_t)(type ? 3 : 1) << 4 | 1u << 7;
    if (tre) {
        inner = w->r->nmrr >> (2 * n) & 3;
        outer = w->r->nmrr >> (16 + 2 * n) & 3;
        shareable = w->r->prrr >> (shareable ? 19 : 18) & 1;
    } else if (tex & 0x10) {
        inner = tex & 3;
        outer = tex >> 2 & 3;
    } else {
        /* TEX = 000: C:B = WT, WB; TEX = 001: C:B = 00 NC, 11 WBWA */
        inner = outer = tex == 2 ? 2 : tex == 3 ? 3 : tex == 7 ? 1 : 0;
    }
    return par_inner(inner) << 4 | outer << 2 | (unsigned)shareable << 7 |
           (tre && shareable ? (w->r->prrr >> (24 + n) & 1) << 10 : 0);
}

/* Access flag, domain, permission: the order of B3.13.2. */
static bool check_leaf(struct walk *w, const struct leaf *l)
{
    bool afe = w->r->sctlr & SCTLR_AFE;
    unsigned dacr = w->r->dacr >> (2 * w->out->domain) & 3;

    if (afe && !(l->ap & 1))
        return walk_fail(w, WALK_ACCESS_FLAG, l->level);
    if (!(dacr & 1)) /* 00 no access; 10 is reserved */
        return walk_fail(w, WALK_DOMAIN, l->level);
    if (dacr == 3)
        w->out->prot = 1u << MMU_READ | 1u << MMU_WRITE | 1u << MMU_EXEC;
    else
        w->out->prot = walk_rights(w, l->ap >> 1, !afe && !(l->ap & 1), l->xn, l->pxn);
    w->out->device = memory_type(w, l->tex) != 2;
    w->out->par_attr = par_attributes(w, l->tex, l->shareable);
    if (!(w->out->prot & 1u << w->access))
        return walk_fail(w, WALK_PERMISSION, l->level);
    return true;
}

static bool walk_section(struct walk *w, uint32_t d)
{
    struct leaf l = {.level = 1,
                     .ap = (d >> 10 & 3) | (d >> 15 & 1) << 2,
                     .tex = (d >> 12 & 7) << 2 | (d >> 2 & 3),
                     .xn = d & L1_XN,
                     .pxn = d & L1_PXN_SECTION,
                     .shareable = d >> 16 & 1};
    struct mmu_translation *t = w->out;

    t->global = !(d & L1_NG);
    if (d & L1_SUPERSECTION) {
        t->page_size = 1u << 24;
        t->gpa = (d & 0xff000000u) | (gpa_t)(d >> 20 & 0xf) << 32 | (gpa_t)(d >> 5 & 0xf) << 36;
    } else {
        t->page_size = 1u << 20;
        t->gpa = d & 0xfff00000u;
        t->domain = d >> 5 & 0xf;
    }
    t->gpa |= w->va & (t->page_size - 1);
    return check_leaf(w, &l);
}

static bool walk_page(struct walk *w, uint32_t l1)
{
    struct leaf l = {.level = 2, .pxn = l1 & L1_PXN_TABLE};
    struct mmu_translation *t = w->out;
    uint32_t d;

    t->domain = l1 >> 5 & 0xf;
    if (!walk_read32(w, (l1 & 0xfffffc00u) | (w->va >> 12 & 0xff) << 2, &d))
        return walk_fail(w, WALK_EXTERNAL, 2);
    if (!(d & 3))
        return walk_fail(w, WALK_TRANSLATION, 2);
    l.ap = (d >> 4 & 3) | (d >> 9 & 1) << 2;
    l.shareable = d >> 10 & 1;
    t->global = !(d & L2_NG);
    if (d & 2) {
        t->page_size = 1u << 12;
        l.tex = (d >> 6 & 7) << 2 | (d >> 2 & 3);
        l.xn = d & L2_SMALL_XN;
    } else {
        t->page_size = 1u << 16;
        l.tex = (d >> 12 & 7) << 2 | (d >> 2 & 3);
        l.xn = d & L2_LARGE_XN;
    }
    t->gpa = (d & ~(uint32_t)(t->page_size - 1)) | (w->va & (t->page_size - 1));
    return check_leaf(w, &l);
}

bool walk_short(struct walk *w)
{
    gpa_t at;
    uint32_t d;

    if (!first_level(w, &at))
        return walk_fail(w, WALK_TRANSLATION, 1);
    if (!walk_read32(w, at, &d))
        return walk_fail(w, WALK_EXTERNAL, 1);
    switch (d & 3) {
    case 0:
        return walk_fail(w, WALK_TRANSLATION, 1);
    case 1:
        return walk_page(w, d);
    default:
        return walk_section(w, d);
    }
}
