/* SPDX-License-Identifier: MIT */
/*
 * The software TLB of a vCPU: 1024 entries for each privilege, direct mapped by page, tagged with
 * the translation context (context.c). Generated code compares a tag inline in -mmu soft; slow
 * paths, helpers and code fetch use it in every mode. Entries of device pages and of watched code
 * pages carry flags that make the inline compare miss.
 *
 * Owning thread only. An entry is made from a walk, so it dies by TLB maintenance alone (I-1): by
 * address here, by ASID or wholly through new context ids.
 */
#include "mmu_internal.h"

#include "base/inject.h"
#include "base/log.h"
#include "base/stats.h"
#include "tcg/tcg.h"

#include <inttypes.h>
#include <string.h>

static unsigned index_of(gva_t gva)
{
    return gva >> GUEST_PAGE_BITS & (SOFTTLB_SIZE - 1);
}

/* The page's place in the current context. */
static struct softtlb_entry *entry_of(struct vcpu *v, gva_t gva, bool privileged)
{
    return &v->softtlb[privileged][index_of(gva) ^ v->soft_bank / sizeof(struct softtlb_entry)];
}

/* All MiBs of a leaf are marked together: one that knows this size speaks for the others. */
static void note_leaf(struct mmu_vcpu *m, gva_t gva, uint64_t size)
{
    uint8_t log2 = (uint8_t)__builtin_ctzll(size);
    gva_t first = gva & ~(size - 1);

    if (size == GUEST_PAGE_SIZE || size > UINT64_C(1) << 30 ||
        m->soft_leaf[gva >> LEAF_REGION_BITS] >= log2)
        return;
    for (gva_t r = first >> LEAF_REGION_BITS; r <= (first + size - 1) >> LEAF_REGION_BITS; r++)
        if (m->soft_leaf[r] < log2)
            m->soft_leaf[r] = log2;
}

/* Flash is written, and while it shows something else than its array also read, through the bus. */
static void route_rom(struct vcpu *v, struct softtlb_entry *e, gpa_t page)
{
    if (e->tag[MMU_WRITE] != SOFT_INVALID)
        e->tag[MMU_WRITE] |= SOFT_MMIO | SOFT_ROM;
    if (e->tag[MMU_READ] != SOFT_INVALID && !rom_shows_array(v->vm, page))
        e->tag[MMU_READ] |= SOFT_MMIO | SOFT_ROM;
}

/*
 * The execute tag of privileged code in a global page: of its class, which remembers where it was
 * fetched from; so only for fetches, and for the sake of an entry that one has made.
 */
static uint64_t class_exec_tag(struct vcpu *v, gva_t gva, enum mmu_access access,
                               const struct mmu_translation *t, uint64_t flags, bool had)
{
    if (v->class_tag == v->ctx_tag)
        return flags | v->ctx_tag;
    if (access == MMU_EXEC)
        class_note_leaf(&v->mmu->class[v->mmu->current->class], gva, t);
    return access == MMU_EXEC || had ? flags | v->class_tag : SOFT_INVALID;
}

static void insert(struct vcpu *v, gva_t gva, enum mmu_access access, bool privileged,
                   const struct mmu_translation *t)
{
    struct softtlb_entry *e = entry_of(v, gva, privileged);
    gva_t page = gva & GUEST_PAGE_MASK;
    gpa_t gpa = t->gpa & GUEST_PAGE_MASK;
    const uint8_t *host = ram_read_ptr(&v->vm->ram, gpa, GUEST_PAGE_SIZE);
    bool rom = gpa < v->vm->ram.rom_size;
    uint64_t addend = (host ? (uint64_t)(uintptr_t)host : gpa) - page;
    uint64_t flags = page | (t->device && t->page_size <= UINT64_C(1) << 30 ? SOFT_DEVICE : 0);
    bool had;

    note_leaf(v->mmu, page, t->page_size);
    if (!host)
        flags |= SOFT_MMIO;
    if (debug_watches_page(&v->vm->debug, page))
        flags |= SOFT_WATCH;
    had = e->tag[MMU_EXEC] == (flags | v->class_tag) && e->addend == addend;
    for (unsigned a = 0; a < 3; a++)
        e->tag[a] = t->prot & 1u << a ? flags | v->ctx_tag : SOFT_INVALID;
    if (privileged && (t->global || INJECT(ALL_GLOBAL)) && (t->prot & 1u << MMU_EXEC))
        e->tag[MMU_EXEC] = class_exec_tag(v, gva, access, t, flags, had);
    if (rom)
        route_rom(v, e, gpa);
    else if (host && (t->prot & 1u << MMU_WRITE) && page_add_writer(v, gpa))
        e->tag[MMU_WRITE] |= SOFT_CODE;
    e->addend = addend;
}

static bool miss(struct vcpu *v, gva_t gva, enum mmu_access access, bool privileged,
                 struct guest_fault *f)
{
    struct mmu_translation t;
    uint64_t gen;

    STAT_INC(&stats_vcpu[v->index], soft_misses);
    do {
        gen = atomic_load(&v->mmu->gen);
        if (!mmu_translate(v, gva, access, privileged, &t)) {
            *f = (struct guest_fault){.fsr = t.fsr, .far = t.far};
            return false;
        }
        INJECT_MEET(SOFT_WALKED);
        /* Maintenance that did not see the note may have passed: pairs with broadcast() in tlbi.c.
         */
    } while (!INJECT(SKIP_NOTE) && seen_note(&v->mmu->seen, gva, t.page_size, t.global) &&
             atomic_fetch_add(&v->mmu->gen, 0) != gen && !INJECT(SKIP_GENERATION_SOFT));
    INJECT_MEET(SOFT_CHECKED);
    insert(v, gva, access, privileged, &t);
    return true;
}

/* The page is written through this entry: from now on it is dirty, and writes need not be seen
 * again. */
static void first_write(struct vcpu *v, struct softtlb_entry *e, gpa_t page)
{
    uint64_t writer = UINT64_C(1) << (PAGE_WRITER_SHIFT + v->index);

    page_mark_dirty(v->vm, page, INJECT(SKIP_WRITER_BIT) ? 0 : writer);
    e->tag[MMU_WRITE] &= ~SOFT_CODE;
}

bool softtlb_locate(struct vcpu *v, gva_t gva, enum mmu_access access, bool privileged,
                    struct located *out, struct guest_fault *f)
{
    struct softtlb_entry *e = entry_of(v, gva, privileged);
    uint64_t page = gva & GUEST_PAGE_MASK, local = page | v->ctx_tag, at;
    uint64_t want = privileged && access == MMU_EXEC ? page | v->class_tag : local;

    if ((e->tag[access] & ~SOFT_FLAGS) != want && (e->tag[access] & ~SOFT_FLAGS) != local &&
        !miss(v, gva, access, privileged, f))
        return false;
    out->local = (e->tag[access] & ~SOFT_FLAGS) != want;
    at = e->addend + gva;
    out->device = e->tag[access] & SOFT_DEVICE;
    if (e->tag[access] & SOFT_MMIO) {
        out->host = NULL;
        out->gpa = e->tag[access] & SOFT_ROM ? rom_or_ram_gpa(v->vm, (uint8_t *)(uintptr_t)at) : at;
        return true;
    }
    out->host = (uint8_t *)(uintptr_t)at;
    out->gpa = rom_or_ram_gpa(v->vm, out->host);
    if (access == MMU_WRITE && (e->tag[MMU_WRITE] & SOFT_CODE))
        first_write(v, e, out->gpa & GUEST_PAGE_MASK);
    return true;
}

void *mmu_helper_peek_write(struct vcpu *v, gva_t gva, bool privileged, gpa_t *gpa)
{
    const struct softtlb_entry *e = entry_of(v, gva, privileged);
    uint8_t *host;

    if (e->tag[MMU_WRITE] != ((gva & GUEST_PAGE_MASK) | v->ctx_tag))
        return NULL;
    host = (uint8_t *)(uintptr_t)(e->addend + gva);
    *gpa = (gpa_t)(host - v->vm->ram.flat) + v->vm->ram.base;
    return host;
}

void softtlb_drop_all(struct vcpu *v)
{
    context_renew_all(v);
}

void softtlb_note_fetch(struct vcpu *v, gva_t pc)
{
    gva_t page = (uint32_t)pc >> GUEST_PAGE_BITS;

    v->mmu->fetched[page / 64] |= UINT64_C(1) << (page % 64);
}

void softtlb_note_kept(struct vcpu *v, gva_t gva, uint64_t size)
{
    uint64_t *word = &v->mmu->fetched[gva >> GUEST_PAGE_BITS >> 6];

    note_leaf(v->mmu, gva, size);
    if (size >= 64 * GUEST_PAGE_SIZE)
        memset(word, 0xff, size >> GUEST_PAGE_BITS >> 3);
    for (gva_t page = gva; size < 64 * GUEST_PAGE_SIZE && page < gva + size;
         page += GUEST_PAGE_SIZE)
        softtlb_note_fetch(v, page);
}

/* Blocks of the page and of the one before, whose last instruction may end in this one. */
static void drop_blocks(struct vcpu *v, gva_t gva)
{
    gva_t page = gva >> GUEST_PAGE_BITS;

    if (!(v->mmu->fetched[page / 64] >> (page % 64) & 1) || INJECT(MISS_JUMP_CACHE))
        return;
    v->mmu->fetched[page / 64] &= ~(UINT64_C(1) << (page % 64));
    tcg_jump_cache_flush_page(v, gva);
    tcg_jump_cache_flush_page(v, (uint32_t)(gva - GUEST_PAGE_SIZE));
}

static void drop_entry(struct softtlb_entry *e, gva_t page)
{
    for (unsigned a = 0; a < 3; a++)
        if ((e->tag[a] & (UINT32_MAX & GUEST_PAGE_MASK)) == page &&
            !(a == MMU_WRITE && INJECT(KEEP_WRITABLE)))
            e->tag[a] = SOFT_INVALID;
}

/* Drop the entries of this page whatever their contexts, at both places of either privilege. */
static void drop_page(struct vcpu *v, gva_t page)
{
    drop_blocks(v, page);
    for (unsigned priv = 0; priv < 2; priv++) {
        drop_entry(&v->softtlb[priv][index_of(page)], page);
        if (!INJECT(DROP_ONE_BANK))
            drop_entry(&v->softtlb[priv][index_of(page) ^ SOFTTLB_BANK], page);
    }
}

static void drop_scan(struct vcpu *v, gva_t first, uint64_t size)
{
    for (unsigned priv = 0; priv < 2; priv++)
        for (unsigned i = 0; i < SOFTTLB_SIZE; i++)
            for (unsigned a = 0; a < 3; a++) {
                uint64_t *tag = &v->softtlb[priv][i].tag[a];

                if (((uint32_t)*tag & (uint32_t)GUEST_PAGE_MASK) - first < size)
                    *tag = SOFT_INVALID;
            }
    tcg_jump_cache_flush(v);
    memset(v->mmu->fetched, 0, sizeof(v->mmu->fetched));
    /* Nothing of these leaves is left, so that the next page of a kernel's flush loop is cheap. */
    for (gva_t r = first >> LEAF_REGION_BITS; r <= (first + size - 1) >> LEAF_REGION_BITS; r++)
        v->mmu->soft_leaf[r] = 0;
}

#define SCAN_ABOVE \
    (UINT64_C(32) * GUEST_PAGE_SIZE) /* one look at every entry is cheaper than page by page */

void softtlb_drop_va(struct vcpu *v, gva_t va)
{
    unsigned log2 = INJECT(MISS_LEAF) ? 0 : v->mmu->soft_leaf[va >> LEAF_REGION_BITS];
    uint64_t size = UINT64_C(1) << (log2 > GUEST_PAGE_BITS ? log2 : GUEST_PAGE_BITS);
    gva_t first = va & ~(size - 1);

    if (size > SCAN_ABOVE) {
        drop_scan(v, first, size);
        return;
    }
    for (gva_t page = first; page < first + size; page += GUEST_PAGE_SIZE)
        drop_page(v, page);
}

void softtlb_drop_rom(struct vcpu *v)
{
    const struct ram *ram = &v->vm->ram;

    for (unsigned priv = 0; priv < 2; priv++)
        for (unsigned i = 0; i < SOFTTLB_SIZE; i++) {
            struct softtlb_entry *e = &v->softtlb[priv][i];
            uint64_t tag = e->tag[MMU_READ];

            if (tag != SOFT_INVALID && !(tag & SOFT_MMIO) &&
                e->addend + (tag & (UINT32_MAX & GUEST_PAGE_MASK)) - (uintptr_t)ram->rom <
                    ram->rom_size)
                e->tag[MMU_READ] = SOFT_INVALID;
        }
}

void softtlb_watch_page(struct vcpu *v, gpa_t page)
{
    uint64_t host = (uint64_t)(uintptr_t)ram_ptr(&v->vm->ram, page, GUEST_PAGE_SIZE);

    for (unsigned priv = 0; priv < 2; priv++)
        for (unsigned i = 0; i < SOFTTLB_SIZE; i++) {
            struct softtlb_entry *e = &v->softtlb[priv][i];
            uint64_t tag = e->tag[MMU_WRITE];

            if (tag != SOFT_INVALID && !(tag & SOFT_MMIO) &&
                e->addend + (tag & (UINT32_MAX & GUEST_PAGE_MASK)) == host)
                e->tag[MMU_WRITE] |= SOFT_CODE;
        }
}
