/* SPDX-License-Identifier: MIT */
/*
 * Which jump-cache entries privileged code may use. User code is looked up under the id of its
 * translation context. A kernel is the same in every address space: its entries are tagged by an
 * execution context, one for each set of control bits (context_key without table bases and ASID),
 * so that a new process does not look the whole kernel up again.
 *
 * What an entry relies on is remembered: the page's physical address, found by a global
 * translation. A TLBI by address drops the entries of its pages, as ever; after a TLBI of
 * everything the pages are walked again, and only those that changed lose their entries. Pages
 * fetched through non-global translations are not remembered; they make the context give up its id
 * at the next address-space switch.
 *
 * Owner only.
 */
#include "mmu_internal.h"

#include "tcg/tcg.h"

#include <string.h>

#define NO_GPA UINT64_MAX

static unsigned page_hash(gva_t page)
{
    return (unsigned)((page >> GUEST_PAGE_BITS) * 0x9e3779b1u >> 16) % EXEC_HASH;
}

static struct exec_context *find(struct mmu_vcpu *m, const struct context_key *key)
{
    struct exec_context *victim = NULL;

    for (unsigned i = 0; i < EXEC_CONTEXTS; i++) {
        struct exec_context *e = &m->exec[i];

        if (e->used && !memcmp(&e->key, key, sizeof(*key)))
            return e;
        if (!victim || !e->used || (victim->used && e->last_used < victim->last_used))
            victim = e;
    }
    memset(victim, 0, sizeof(*victim));
    victim->used = true;
    victim->key = *key;
    victim->epoch = m->epoch - 1;
    return victim;
}

void exec_select(struct mmu_vcpu *m, const struct context *c)
{
    struct context_key key = c->key;
    struct exec_context *e = m->exec_current;

    key.ttbr0 = key.ttbr1 = 0;
    key.asid = 0;
    if (!e || memcmp(&e->key, &key, sizeof(key)))
        e = m->exec_current = find(m, &key);
    e->last_used = m->clock;
    if (e->nonglobal && e->serial != c->serial)
        e->epoch = m->epoch - 1;
    e->serial = c->serial;
}

void exec_start(struct exec_context *e)
{
    memset(e->hash, 0, sizeof(e->hash));
    e->npages = 0;
    e->nonglobal = false;
}

void exec_renew_nonglobal(struct mmu_vcpu *m)
{
    for (unsigned i = 0; i < EXEC_CONTEXTS; i++)
        if (m->exec[i].nonglobal)
            m->exec[i].epoch = m->epoch - 1;
}

void exec_note_fetch(struct vcpu *v, gva_t pc, gpa_t gpa, bool global)
{
    struct exec_context *e = v->mmu->exec_current;
    gva_t page = pc & GUEST_PAGE_MASK;
    unsigned i = page_hash(page);

    /* Not remembered, or no room to: good for this address space only. */
    if (!global || e->npages == EXEC_PAGES) {
        e->nonglobal = true;
        return;
    }
    while (e->hash[i] && e->page[e->hash[i] - 1].va != page)
        i = (i + 1) % EXEC_HASH;
    if (!e->hash[i])
        e->hash[i] = (uint16_t)++e->npages;
    e->page[e->hash[i] - 1] = (struct exec_page){.va = page, .gpa = gpa & GUEST_PAGE_MASK};
}

/* Would a fetch find the same page again? Then it is noted afresh where maintenance will look. */
static bool check_page(struct vcpu *v, const struct exec_page *p)
{
    struct mmu_translation t;

    if (!mmu_translate(v, p->va, MMU_EXEC, true, &t) || !t.global ||
        (t.gpa & GUEST_PAGE_MASK) != p->gpa)
        return false;
    seen_note(&v->mmu->seen, p->va, t.page_size, true);
    softtlb_note_leaf(v->mmu, p->va, t.page_size);
    softtlb_note_fetch(v, p->va);
    return true;
}

bool exec_revalidate(struct vcpu *v)
{
    struct exec_context *e = v->mmu->exec_current;
    uint64_t gen = atomic_load(&v->mmu->gen);

    if (e->nonglobal)
        return false;
    for (unsigned i = 0; i < e->npages; i++) {
        struct exec_page *p = &e->page[i];

        if (p->gpa == NO_GPA || check_page(v, p))
            continue;
        tcg_jump_cache_flush_page(v, p->va);
        tcg_jump_cache_flush_page(v, (uint32_t)(p->va - GUEST_PAGE_SIZE));
        p->gpa = NO_GPA;
    }
    /* Maintenance by others that read `seen` before the notes: pairs with broadcast() in tlbi.c. */
    return atomic_fetch_add(&v->mmu->gen, 0) == gen;
}
