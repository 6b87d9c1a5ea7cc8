/* SPDX-License-Identifier: MIT */
/*
 * The table of a vCPU's translations: found by physical address, linked to each other, invalidated
 * by physical page. A dead block's code stays in place until its segment of the cache is evicted,
 * since the vCPU may be in the middle of it.
 */
#include "base/inject.h"
#include "base/stats.h"
#include "mmu/mmu.h"
#include "tcg/tcg_internal.h"
#include "vcpu/vcpu.h"

#include <string.h>

static uint32_t tb_hash(gpa_t gpa, uint32_t exec_flags)
{
    uint64_t h = (gpa >> 1) * 0x9e3779b97f4a7c15u ^ (uint64_t)exec_flags * 0x165667b19e3779f9u;

    return (uint32_t)(h >> (64 - TB_HASH_BITS));
}

struct tb *tb_find(struct tcg *t, gva_t pc, gpa_t gpa, uint32_t exec_flags)
{
    struct tb *tb = meta_at(t, t->hash[tb_hash(gpa, exec_flags)]);

    while (tb && (tb_gpa(tb) != gpa || tb->exec_flags != exec_flags ||
                  (tb->pc != pc && !tb->pc_relative)))
        tb = meta_at(t, tb->hash_next);
    return tb;
}

struct tb *tb_find_elsewhere(struct tcg *t, gva_t pc, gpa_t gpa, uint32_t exec_flags)
{
    struct tb *tb = meta_at(t, t->hash[tb_hash(gpa, exec_flags)]);

    while (tb && (tb_gpa(tb) != gpa || tb->exec_flags != exec_flags || tb->pc == pc))
        tb = meta_at(t, tb->hash_next);
    return tb;
}

static struct code_page **page_slot(struct tcg *t, gpa_t page)
{
    uint64_t h = (page >> GUEST_PAGE_BITS) * 0x9e3779b97f4a7c15u;
    struct code_page **p = &t->page_hash[h >> (64 - PAGE_HASH_BITS)];

    while (*p && (*p)->gpa != page)
        p = &(*p)->next;
    return p;
}

/* Its place among the page_next of a block that has code of the page. */
static unsigned which_page(const struct tb *tb, gpa_t page)
{
    unsigned i = 0;

    while (i < TCG_PAGES - 1 && tb->page[i] != page >> GUEST_PAGE_BITS)
        i++;
    return i;
}

static struct code_page *new_page(struct tcg *t)
{
    struct code_page *cp = t->free_page;

    if (cp)
        t->free_page = cp->next;
    else
        cp = &t->pages[t->npages++];
    return cp;
}

static void drop_page(struct tcg *t, struct code_page **slot)
{
    struct code_page *cp = *slot;

    *slot = cp->next;
    cp->next = t->free_page;
    t->free_page = cp;
}

static void page_list_add(struct tcg *t, struct tb *tb, unsigned which)
{
    gpa_t page = (gpa_t)tb->page[which] << GUEST_PAGE_BITS;
    struct code_page **slot = page_slot(t, page);

    if (!*slot) {
        struct code_page *cp = new_page(t);

        *cp = (struct code_page){.gpa = page, .swept = t->evictions};
        *slot = cp;
    }
    tb->page_next[which] = (*slot)->tbs;
    (*slot)->tbs = meta_ref_of(t, tb);
}

bool tb_register(struct tcg *t, struct tb *tb)
{
    uint32_t h = tb_hash(tb_gpa(tb), tb->exec_flags);
    struct code_segment *s = &t->segment[t->current];

    if (s->nblocks == t->segment_blocks)
        return false;
    for (unsigned i = 0; i < TCG_PAGES && tb->page[i] != NO_FRAME; i++)
        page_list_add(t, tb, i);
    tb->hash_next = t->hash[h];
    t->hash[h] = meta_ref_of(t, tb);
    s->by_code[s->nblocks++] = tb;
    return true;
}

/* `prev` refers to the word that holds `next`; the link there, if any, learns it. */
static void set_next(struct tcg *t, meta_ref prev, meta_ref next)
{
    struct tb_link *l = meta_at(t, next);

    *(meta_ref *)meta_at(t, prev) = next;
    if (l)
        l->prev = prev;
}

static void forget_link(struct tcg *t, struct tb_link *l)
{
    set_next(t, l->prev, l->next);
    l->to = 0;
}

void tb_link_to(struct tcg *t, struct tb *from, struct tb_link *l, struct tb *to)
{
    meta_ref ref = meta_ref_of(t, to);
    uint8_t *patch = t->rx + l->patch_off;

    if (l->to == ref || from->dead || to->dead)
        return;
    if (l->to)
        forget_link(t, l); /* another physical page was there at that time */
    l->to = ref;
    set_next(t, meta_ref_of(t, &l->next), to->incoming);
    set_next(t, meta_ref_of(t, &to->incoming), meta_ref_of(t, l));
    x64_patch_jump(code_rx_to_rw(t, patch), patch, to->code);
    if (l->guard_off)
        x64_patch_guard(t->rw + l->guard_off, to->page[0]);
}

/* The links stay patched: only for fault injection. */
static void forget_incoming(struct tcg *t, struct tb *tb)
{
    for (struct tb_link *l = meta_at(t, tb->incoming); l; l = meta_at(t, l->next))
        l->to = 0;
    tb->incoming = 0;
}

static void unlink_incoming(struct tcg *t, struct tb *tb)
{
    for (struct tb_link *l = meta_at(t, tb->incoming); l; l = meta_at(t, l->next)) {
        uint8_t *patch = t->rx + l->patch_off;

        l->to = 0;
        x64_patch_jump(code_rx_to_rw(t, patch), patch, t->rx + l->unlinked_off);
    }
    tb->incoming = 0;
}

/* A dead block leaves the incoming lists of its targets, so that a list never holds a link twice.
 */
static void unlink_outgoing(struct tcg *t, struct tb *tb)
{
    for (unsigned i = 0; i < tb->nlinks; i++)
        if (tb_links(tb)[i].to)
            forget_link(t, &tb_links(tb)[i]);
}

static void hash_remove(struct tcg *t, struct tb *tb)
{
    meta_ref *p = &t->hash[tb_hash(tb_gpa(tb), tb->exec_flags)], ref = meta_ref_of(t, tb);

    while (*p && *p != ref)
        p = &((struct tb *)meta_at(t, *p))->hash_next;
    if (*p)
        *p = tb->hash_next;
}

void tb_invalidate(struct vcpu *v, struct tb *tb)
{
    struct jump_cache_entry *e = &v->jump_cache[jump_cache_index(tb->pc)];

    if (tb->dead)
        return;
    tb->dead = true;
    /* The jump cache knows PC-relative code at any number of addresses. */
    if (tb->pc_relative)
        tcg_jump_cache_flush(v);
    else if (e->tb == tb)
        memset(e, 0xff, sizeof(*e));
    hash_remove(v->tcg, tb);
    unlink_incoming(v->tcg, tb);
    unlink_outgoing(v->tcg, tb);
    STAT_INC(&stats_vcpu[v->index], blocks_invalidated);
}

/*
 * Not dead: it is right as long as its page is, and what the jump cache knows of it (PC-relative
 * code at any number of addresses) may stay until then. A compiler makes regions of thousands of
 * blocks, and emptying the jump cache for each cost more than they gained.
 */
void tb_supersede(struct vcpu *v, struct tb *tb)
{
    hash_remove(v->tcg, tb);
    unlink_incoming(v->tcg, tb);
}

void tcg_invalidate_page(struct vcpu *v, gpa_t page)
{
    struct code_page **slot = page_slot(v->tcg, page & GUEST_PAGE_MASK);
    struct tb *tb, *next;

    if (!*slot)
        return;
    for (tb = meta_at(v->tcg, (*slot)->tbs); tb; tb = next) {
        next = meta_at(v->tcg, tb->page_next[which_page(tb, (*slot)->gpa)]);
        tb_invalidate(v, tb);
    }
    drop_page(v->tcg, slot);
}

void tb_flush_all(struct vcpu *v)
{
    struct tcg *t = v->tcg;

    for (unsigned i = 0; i < 1u << PAGE_HASH_BITS; i++)
        for (struct code_page *p = t->page_hash[i]; p; p = p->next)
            mmu_code_page_release(v, p->gpa);
    code_cache_empty(t);
    tcg_jump_cache_flush(v);
    STAT_INC(&stats_vcpu[v->index], cache_flushes);
}

/* ---- eviction ---- */
/* The segment's blocks leave the page's list; dead ones may be there, too. */
static void leave_page(struct vcpu *v, const struct code_segment *s, gpa_t page)
{
    struct tcg *t = v->tcg;
    struct code_page **slot = page_slot(t, page);
    meta_ref *p;

    if (!*slot || (*slot)->swept == t->evictions)
        return;
    (*slot)->swept = t->evictions;
    for (p = &(*slot)->tbs; *p;) {
        struct tb *tb = meta_at(t, *p);
        meta_ref *next = &tb->page_next[which_page(tb, page)];

        if (code_segment_has(t, s, tb))
            *p = *next;
        else
            p = next;
    }
    if ((*slot)->tbs)
        return;
    mmu_code_page_release(v, page);
    drop_page(t, slot);
}

static void evict_block(struct vcpu *v, const struct code_segment *s, struct tb *tb)
{
    if (!tb->dead) {
        tb->dead = true;
        hash_remove(v->tcg, tb);
        if (INJECT(KEEP_INCOMING))
            forget_incoming(v->tcg, tb);
        else
            unlink_incoming(v->tcg, tb);
        unlink_outgoing(v->tcg, tb);
    }
    for (unsigned i = 0; i < TCG_PAGES && tb->page[i] != NO_FRAME; i++)
        leave_page(v, s, (gpa_t)tb->page[i] << GUEST_PAGE_BITS);
}

static void leave_jump_cache(struct vcpu *v, const struct code_segment *s)
{
    if (!v->tcg->jump_cache_used || INJECT(KEEP_EVICTED))
        return; /* older entries match no more */
    for (unsigned i = 0; i < JUMP_CACHE_SIZE; i++)
        if (code_segment_has(v->tcg, s, v->jump_cache[i].tb))
            memset(&v->jump_cache[i], 0xff, sizeof(v->jump_cache[i]));
}

void tb_evict_oldest(struct vcpu *v)
{
    const struct code_segment *s = code_cache_oldest(v->tcg);

    v->tcg->evictions++;
    leave_jump_cache(v, s);
    for (uint32_t i = 0; i < s->nblocks; i++)
        evict_block(v, s, s->by_code[i]);
    STAT_ADD(&stats_vcpu[v->index], blocks_evicted, s->nblocks);
    STAT_ADD(&stats_vcpu[v->index], segments_evicted, s->nblocks != 0);
    code_cache_advance(v->tcg);
}

void tcg_invalidate_all(struct vcpu *v)
{
    tb_flush_all(v);
}

static bool may_hold(const struct tb *tb, gva_t va)
{
    gva_t off = va - tb->pc;

    /* A region may have code from all over its page, and from others. */
    if (tb->region)
        return tb->pc_relative || tb->guarded || ((va ^ tb->pc) & GUEST_PAGE_MASK) == 0;

    /* PC-relative code does not leave its page. */
    if (tb->pc_relative)
        off &= ~GUEST_PAGE_MASK;
    return off < tb->guest_bytes;
}

void tcg_invalidate_address(struct vcpu *v, gva_t va)
{
    struct tcg *t = v->tcg;

    for (unsigned k = 0; k < t->nsegments; k++)
        for (uint32_t i = 0; i < t->segment[k].nblocks; i++)
            if (!t->segment[k].by_code[i]->dead && may_hold(t->segment[k].by_code[i], va))
                tb_invalidate(v, t->segment[k].by_code[i]);
}

void tcg_reset(struct vcpu *v)
{
    if (!code_cache_is_empty(v->tcg))
        tb_flush_all(v);
}

#define GENERATION_ONE (UINT64_C(1) << 48)

/* Entries of an older generation match no more; after 65,536 of them the numbers come again. */
void tcg_jump_cache_flush(struct vcpu *v)
{
    if (!v->tcg->jump_cache_used || INJECT(KEEP_JUMP_CACHE))
        return;
    v->tcg->jump_cache_used = false;
    v->jump_tag[0] += GENERATION_ONE;
    v->jump_tag[1] += GENERATION_ONE;
    if (v->jump_tag[0] < GENERATION_ONE) {
        memset(v->jump_cache, 0xff, sizeof(v->jump_cache));
        memset(v->fetch_cache, 0xff, sizeof(v->fetch_cache));
    }
}

void jump_cache_insert(struct vcpu *v, struct tb *tb)
{
    gva_t pc = v->r[15];

    v->tcg->jump_cache_used = true;
    v->jump_cache[jump_cache_index(pc)] = (struct jump_cache_entry){
        .pc = (uint32_t)pc,
        .gpa_page = tb->page[1] == NO_FRAME || tb->guarded ? tb->page[0] : UINT32_MAX,
        .key = tb->exec_flags | tcg_jump_tag(v),
        .code = tb->code,
        .tb = tb,
    };
}

void fetch_cache_insert(struct vcpu *v, const struct tb *tb)
{
    gva_t pc = v->r[15];

    v->tcg->jump_cache_used = true;
    v->fetch_cache[fetch_cache_index(pc)] = (struct fetch_cache_entry){
        .key =
            (pc & GUEST_PAGE_MASK) | (v->exec_flags & EXEC_PRIV ? FETCH_PRIV : 0) | tcg_jump_tag(v),
        .gpa_page = tb->page[0],
    };
}

static void fetch_cache_drop(struct vcpu *v, gva_t page)
{
    struct fetch_cache_entry *e = &v->fetch_cache[fetch_cache_index(page)];

    if ((e->key & UINT32_MAX & GUEST_PAGE_MASK) == page && !INJECT(MISS_FETCH_CACHE))
        e->key = UINT64_MAX;
}

/* The entries that blocks of the page can have; two Thumb instructions of a word share one. */
void tcg_jump_cache_flush_page(struct vcpu *v, gva_t va)
{
    gva_t first = va & GUEST_PAGE_MASK;

    fetch_cache_drop(v, first);
    for (gva_t pc = first; pc < first + GUEST_PAGE_SIZE; pc += 4) {
        struct jump_cache_entry *e = &v->jump_cache[jump_cache_index(pc)];

        if ((e->pc & GUEST_PAGE_MASK) == first)
            memset(e, 0xff, sizeof(*e));
    }
}

/* Where a part of the block begins and ends. */
static uintptr_t part_begin(const struct tcg *t, const struct tb *tb, bool cold)
{
    return cold ? (uintptr_t)(t->rx + tb->cold) : (uintptr_t)tb->code;
}

static uintptr_t part_end(const struct tcg *t, const struct tb *tb, bool cold)
{
    return part_begin(t, tb, cold) +
           (cold ? tb->host_bytes - tb->straight_bytes : tb->straight_bytes);
}

struct tb *tb_by_host_pc(const struct tcg *t, uintptr_t host_pc)
{
    const struct code_segment *s = code_segment_at(t, host_pc);
    bool cold = s && host_pc >= (uintptr_t)t->rx + s->cold.begin;
    uint32_t lo = 0, hi = s ? s->nblocks : 0;

    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;

        if (part_begin(t, s->by_code[mid], cold) <= host_pc)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo && host_pc <= part_end(t, s->by_code[lo - 1], cold) ? s->by_code[lo - 1] : NULL;
}
