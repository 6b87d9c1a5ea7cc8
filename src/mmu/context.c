/* SPDX-License-Identifier: MIT */
/*
 * Translation contexts: everything that decides how this vCPU translates an address (table
 * bases, ASID, DACR, format and control bits, memory attributes) is a key; each key seen has a
 * small id that tags soft-TLB and jump-cache entries. Changing a register picks another context
 * and flushes nothing.
 *
 * An id names one key for as long as it exists: killing a context's entries means giving it a
 * new id, killing all means a new epoch, which makes every id of a context unassigned. When the
 * 16-bit ids run out, both caches are cleared and numbering starts again. All of it belongs to the
 * owning thread.
 *
 * What privileged code is fetched from global pages is tagged with the id of a kernel class
 * (kernel_class.c), which outlives epochs. A context whose privileged code runs from a page that is
 * not global leaves its class. Data keeps to the context: kernels read and write user memory with
 * privileged accesses, too.
 */
#include "mmu_internal.h"

#include "base/inject.h"
#include "base/stats.h"
#include "spt.h"
#include "tcg/tcg.h"

#include <string.h>

#define SCTLR_KEY        (SCTLR_M | SCTLR_WXN | SCTLR_UWXN | SCTLR_EE | SCTLR_TRE | SCTLR_AFE)
#define ASID_SHIFT_LONG  48
#define TTBCR_A1         (1u << 22)
#define TTBCR_EPD0_SHIFT 7

/* With the MMU off all registers but SCTLR.M are irrelevant: one context serves all. */
static void make_key(struct vcpu *v, struct context_key *k)
{
    const struct arm_mmu_regs *r = arm_mmu_regs(v);

    memset(k, 0, sizeof(*k));
    if (!(r->sctlr & SCTLR_M))
        return;
    k->sctlr = r->sctlr & SCTLR_KEY;
    k->ttbcr = r->ttbcr;
    k->ttbr0 = r->ttbr0;
    k->ttbr1 = r->ttbr1;
    if (r->ttbcr & TTBCR_EAE) {
        k->asid = (uint32_t)((r->ttbcr & TTBCR_A1 ? r->ttbr1 : r->ttbr0) >> ASID_SHIFT_LONG) & 0xff;
        k->attr0 = r->mair0;
        k->attr1 = r->mair1;
    } else {
        k->asid = r->contextidr & 0xff;
        k->dacr = r->dacr;
        k->attr0 = r->prrr;
        k->attr1 = r->nmrr;
    }
}

static bool key_equal(const struct context_key *a, const struct context_key *b)
{
    return !memcmp(a, b, sizeof(*a));
}

static unsigned key_hash(const struct context_key *k)
{
    uint64_t h = k->ttbr0 * 0x9e3779b97f4a7c15u ^ k->ttbr1 * 0xc2b2ae3d27d4eb4fu ^
                 ((uint64_t)k->dacr << 32 | k->asid) * 0x165667b19e3779f9u ^
                 ((uint64_t)k->ttbcr << 32 | k->sctlr) * 0xd6e8feb86659fd93u;

    return (unsigned)(h >> 32) % CONTEXT_HASH;
}

static bool better_victim(const struct context *c, const struct context *than)
{
    if (!than)
        return true;
    if (!c->win[0] != !than->win[0])
        return !c->win[0];
    return c->last_used < than->last_used;
}

/*
 * The context used least recently gives way, those without a user window first: a kernel that
 * changes ASID and table base one after the other leaves a transient context for every pair of
 * processes, and those must not push out the processes. The victim's id is never used again this
 * epoch.
 */
static struct context *recycle(struct vcpu *v)
{
    struct mmu_vcpu *m = v->mmu;
    struct context *victim = NULL;
    int16_t *link;

    for (unsigned i = 0; i < CONTEXT_COUNT; i++) {
        struct context *c = &m->ctx[i];

        if (!c->used)
            return c;
        if (c != m->current && !spt_runs_in(v, c) && better_victim(c, victim))
            victim = c;
    }
    link = &m->hash[key_hash(&victim->key)];
    while (&m->ctx[*link - 1] != victim)
        link = &m->ctx[*link - 1].hash_next;
    *link = victim->hash_next;
    return victim;
}

/*
 * Software PAN closes user memory at each entry of the kernel and opens it for a moment again, by
 * one domain's field in DACR, or by TTBCR.EPD0: the two contexts have different banks.
 */
static uint32_t soft_bank(const struct context_key *k)
{
    unsigned bank = (unsigned)__builtin_parity(k->dacr) ^ (k->ttbcr >> TTBCR_EPD0_SHIFT & 1);

    return bank ? SOFTTLB_BANK * (uint32_t)sizeof(struct softtlb_entry) : 0;
}

static struct context *find_or_add(struct vcpu *v, const struct context_key *k)
{
    struct mmu_vcpu *m = v->mmu;
    int16_t *head = &m->hash[key_hash(k)];
    struct context *c;

    for (int16_t i = *head; i; i = m->ctx[i - 1].hash_next)
        if (key_equal(&m->ctx[i - 1].key, k))
            return &m->ctx[i - 1];
    c = recycle(v);
    if (c->used)
        spt_context_forget(v, c);
    head = &m->hash[key_hash(k)];
    *c = (struct context){.key = *k,
                          .used = true,
                          .serial = ++m->last_serial,
                          .soft_bank = soft_bank(k),
                          .class = class_of(m, k),
                          .hash_next = *head};
    *head = (int16_t)(c - m->ctx + 1);
    return c;
}

static bool same_space(const struct context_key *a, const struct context_key *b)
{
    return a->ttbr0 == b->ttbr0 && a->ttbr1 == b->ttbr1 && a->asid == b->asid;
}

/* The context of the key, which is not the current one's. */
static struct context *next_context(struct vcpu *v, const struct context_key *k)
{
    struct context *from = v->mmu->current, *to = from ? from->pair : NULL;

    if (to && to->serial == from->pair_serial && key_equal(&to->key, k))
        return to;
    to = find_or_add(v, k);
    if (from && same_space(&from->key, k)) {
        struct context_key other = from->key;

        from->pair = to;
        from->pair_serial = to->serial;
        to->pair = from;
        to->pair_serial = from->serial;
        other.dacr = k->dacr;
        from->pair_by_dacr = to->pair_by_dacr = key_equal(&other, k);
    }
    return to;
}

/* When the numbers run out, all caches are emptied and they begin again. */
static uint32_t new_id(struct vcpu *v)
{
    struct mmu_vcpu *m = v->mmu;

    if (m->last_id == CONTEXT_ID_MAX) {
        memset(v->softtlb, 0xff, sizeof(v->softtlb));
        tcg_jump_cache_flush(v);
        m->seen_stale = true;
        m->last_id = 0;
        m->numbering++;
        m->epoch++;
    }
    return ++m->last_id;
}

static bool in_class(const struct context *c)
{
    return c->class < KERNEL_CLASSES;
}

static bool class_has_id(const struct mmu_vcpu *m, const struct kernel_class *k)
{
    return k->numbering == m->numbering && !k->stale;
}

/* Have the context and its class ids that may be used now? */
static bool has_ids(const struct mmu_vcpu *m, const struct context *c)
{
    return c->epoch == m->epoch && (!in_class(c) || class_has_id(m, &m->class[c->class]));
}

static void give_context_id(struct vcpu *v, struct context *c)
{
    c->id = new_id(v);
    c->epoch = v->mmu->epoch;
}

static void give_class_id(struct vcpu *v, struct kernel_class *k)
{
    uint32_t id;

    if (k->numbering == v->mmu->numbering && class_revalidate(v, k))
        return;
    id = new_id(v);
    class_start(v->mmu, k, id);
}

static void set_tags(struct vcpu *v, const struct context *c)
{
    uint32_t kernel = in_class(c) ? v->mmu->class[c->class].id : c->id;

    v->ctx_id = c->id;
    v->ctx_tag = (uint64_t)c->id << 32;
    v->class_tag = (uint64_t)kernel << 32;
    v->soft_bank = c->soft_bank;
    v->jump_tag[0] = (v->jump_tag[0] & JUMP_GENERATION) | v->ctx_tag;
    v->jump_tag[1] = (v->jump_tag[1] & JUMP_GENERATION) | v->class_tag;
}

static void publish_id(struct vcpu *v)
{
    struct mmu_vcpu *m = v->mmu;
    struct context *c = m->current;

    while (!has_ids(m, c)) { /* the numbers may run out on the way */
        if (c->epoch != m->epoch)
            give_context_id(v, c);
        else
            give_class_id(v, &m->class[c->class]);
    }
    set_tags(v, c);
}

void context_leave_class(struct vcpu *v)
{
    v->mmu->current->class = KERNEL_CLASSES;
    publish_id(v);
}

void mmu_context_changed(struct vcpu *v)
{
    struct mmu_vcpu *m = v->mmu;
    struct context_key k;

    make_key(v, &k);
    if (m->current && key_equal(&m->current->key, &k))
        return;
    m->current = next_context(v, &k);
    m->current->last_used = ++m->clock;
    if (!INJECT(SKIP_ASID_NOTE)) {
        seen_note_asid(&m->seen, k.asid);
        seen_note_asid(&m->mapped, k.asid);
    }
    publish_id(v);
    spt_select(v);
    STAT_INC(&stats_vcpu[v->index], context_switches);
}

/*
 * Software PAN writes DACR twice in each system call, so what is needed then is done here alone:
 * the context is the other one of the pair, and the windows stay (spt_select()). The rest of the
 * key is what it was, since every write of another register chose a context.
 */
void mmu_write_dacr(struct vcpu *v, uint32_t dacr)
{
    struct mmu_vcpu *m = v->mmu;
    struct context *from = m->current, *to = from->pair;

    arm_mmu_regs(v)->dacr = dacr;
    if (!to || to->serial != from->pair_serial || to->key.dacr != dacr || !from->pair_by_dacr ||
        !has_ids(m, to) || !spt_stays(v, to)) {
        mmu_context_changed(v);
        return;
    }
    m->current = to;
    to->last_used = ++m->clock;
    set_tags(v, to);
    STAT_INC(&stats_vcpu[v->index], context_switches);
}

void context_renew_asid(struct vcpu *v, uint32_t asid)
{
    struct mmu_vcpu *m = v->mmu;

    for (unsigned i = 0; i < CONTEXT_COUNT; i++)
        if (m->ctx[i].used && m->ctx[i].key.asid == asid)
            m->ctx[i].epoch = m->epoch - 1;
    if (m->current->key.asid != asid)
        seen_forget_asid(&m->seen, asid);
    publish_id(v);
}

void context_renew_all(struct vcpu *v)
{
    v->mmu->epoch++;
    classes_become_stale(v->mmu);
    v->mmu->seen_stale = true;
    atomic_fetch_or(&v->poll, POLL_MMU); /* mmu_serve_requests() renews `seen` */
    publish_id(v);
}

static void forget_notes(struct mmu_vcpu *m, uint32_t asid)
{
    seen_forget_all(&m->seen, asid);
    memset(m->soft_leaf, 0, sizeof(m->soft_leaf));
    memset(m->fetched, 0, sizeof(m->fetched));
    m->seen_stale = false;
}

/* Once more new ids for all: entries made since the flush that asked for this must not outlive
 * their notes. Classes are walked, and noted, again. */
void context_start_afresh(struct vcpu *v)
{
    struct mmu_vcpu *m = v->mmu;

    m->epoch++;
    classes_become_stale(m);
    forget_notes(m, m->current->key.asid);
    publish_id(v);
}

void context_reset(struct vcpu *v)
{
    struct mmu_vcpu *m = v->mmu;

    for (unsigned i = 0; i < CONTEXT_COUNT; i++)
        if (m->ctx[i].used)
            spt_context_forget(v, &m->ctx[i]);
    memset(m->ctx, 0, sizeof(m->ctx));
    memset(m->hash, 0, sizeof(m->hash));
    m->classes = 0;
    m->current = NULL;
    m->epoch++;
    m->numbering++;
    forget_notes(m, 0);
    seen_forget_all(&m->mapped, 0);
    mmu_context_changed(v);
}
