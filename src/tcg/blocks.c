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
    struct tb *tb = t->hash[tb_hash(gpa, exec_flags)];

    while (tb &&
           (tb->gpa != gpa || tb->exec_flags != exec_flags || (tb->pc != pc && !tb->pc_relative)))
        tb = tb->hash_next;
    return tb;
}

struct tb *tb_find_elsewhere(struct tcg *t, gva_t pc, gpa_t gpa, uint32_t exec_flags)
{
    struct tb *tb = t->hash[tb_hash(gpa, exec_flags)];

    while (tb && (tb->gpa != gpa || tb->exec_flags != exec_flags || tb->pc == pc))
        tb = tb->hash_next;
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

    while (i < TCG_PAGES - 1 && tb->page[i] != page)
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
    struct code_page **slot = page_slot(t, tb->page[which]);

    if (!*slot) {
        struct code_page *cp = new_page(t);

        *cp = (struct code_page){.gpa = tb->page[which], .swept = t->evictions};
        *slot = cp;
    }
    tb->page_next[which] = (*slot)->tbs;
    (*slot)->tbs = tb;
}

bool tb_register(struct tcg *t, struct tb *tb)
{
    uint32_t h = tb_hash(tb->gpa, tb->exec_flags);
    struct code_segment *s = &t->segment[t->current];

    if (s->nblocks == t->segment_blocks)
        return false;
    for (unsigned i = 0; i < TCG_PAGES && tb->page[i] != NO_PAGE; i++)
        page_list_add(t, tb, i);
    tb->hash_next = t->hash[h];
    t->hash[h] = tb;
    s->by_code[s->nblocks++] = tb;
    return true;
}

static void forget_link(struct tb_link *l)
{
    *l->prev = l->next;
    if (l->next)
        l->next->prev = l->prev;
    l->to = NULL;
}

void tb_link_to(struct tcg *t, struct tb_link *l, struct tb *to)
{
    uint8_t *patch = l->from->code + l->patch_off;

    if (l->to == to || l->from->dead || to->dead)
        return;
    if (l->to)
        forget_link(l); /* another physical page was there at that time */
    l->to = to;
    l->next = to->incoming;
    l->prev = &to->incoming;
    if (l->next)
        l->next->prev = &l->next;
    to->incoming = l;
    x64_patch_jump(code_rx_to_rw(t, patch), patch, to->code);
    if (l->guard_off)
        x64_patch_guard(code_rx_to_rw(t, l->from->code + l->guard_off),
                        (uint32_t)(to->page[0] >> GUEST_PAGE_BITS));
}

/* The links stay patched: only for fault injection. */
static void forget_incoming(struct tb *tb)
{
    for (struct tb_link *l = tb->incoming; l; l = l->next)
        l->to = NULL;
    tb->incoming = NULL;
}

static void unlink_incoming(struct tcg *t, struct tb *tb)
{
    for (struct tb_link *l = tb->incoming; l; l = l->next) {
        uint8_t *patch = l->from->code + l->patch_off;

        l->to = NULL;
        x64_patch_jump(code_rx_to_rw(t, patch), patch, l->from->code + l->unlinked_off);
    }
    tb->incoming = NULL;
}

/* A dead block leaves the incoming lists of its targets, so that a list never holds a link twice.
 */
static void unlink_outgoing(struct tb *tb)
{
    for (unsigned i = 0; i < tb->nlinks; i++)
        if (tb->link[i].to)
            forget_link(&tb->link[i]);
}

static void hash_remove(struct tcg *t, struct tb *tb)
{
    struct tb **p = &t->hash[tb_hash(tb->gpa, tb->exec_flags)];

    while (*p && *p != tb)
        p = &(*p)->hash_next;
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
    unlink_outgoing(tb);
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
    for (tb = (*slot)->tbs; tb; tb = next) {
        next = tb->page_next[which_page(tb, (*slot)->gpa)];
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
    struct tb **p;

    if (!*slot || (*slot)->swept == t->evictions)
        return;
    (*slot)->swept = t->evictions;
    for (p = &(*slot)->tbs; *p;) {
        struct tb **next = &(*p)->page_next[which_page(*p, page)];

        if (code_segment_has(t, s, *p))
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
            forget_incoming(tb);
        else
            unlink_incoming(v->tcg, tb);
        unlink_outgoing(tb);
    }
    for (unsigned i = 0; i < TCG_PAGES && tb->page[i] != NO_PAGE; i++)
        leave_page(v, s, tb->page[i]);
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
        .gpa_page = tb->page[1] == NO_PAGE || tb->guarded
                        ? (uint32_t)(tb->gpa >> GUEST_PAGE_BITS)
                        : UINT32_MAX,
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
        .key = (pc & GUEST_PAGE_MASK) | (v->exec_flags & EXEC_PRIV ? FETCH_PRIV : 0) |
               tcg_jump_tag(v),
        .gpa_page = (uint32_t)(tb->page[0] >> GUEST_PAGE_BITS),
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

struct tb *tb_by_host_pc(const struct tcg *t, uintptr_t host_pc)
{
    const struct code_segment *s = code_segment_at(t, host_pc);
    uint32_t lo = 0, hi = s ? s->nblocks : 0;

    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;

        if ((uintptr_t)s->by_code[mid]->code <= host_pc)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (!lo)
        return NULL;
    return host_pc <= (uintptr_t)s->by_code[lo - 1]->code + s->by_code[lo - 1]->host_bytes
               ? s->by_code[lo - 1]
               : NULL;
}
