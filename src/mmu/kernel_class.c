/* SPDX-License-Identifier: MIT */
/*
 * Kernel classes: what privileged code is fetched from global pages is tagged with the id of a
 * class of contexts, those with the same registers but for table bases and ASID, so that the
 * kernel's blocks are found again in the next process, as the architecture's TLB does it (ARM ARM
 * B3.9.1). Maintenance by ASID leaves such entries alone.
 *
 * Kernels flush the whole TLB when a process ends, and almost never does that change what their
 * code is. So maintenance of everything makes a class stale, in O(1), and the class remembers the
 * leaves that its entries came from: before its id is used again they are walked, and only if one
 * of them would be fetched from elsewhere now, all entries die, by a new id. What is kept is noted
 * again in `seen` by the protocol of a soft-TLB miss, since the notes may have been thrown away
 * meanwhile. TLB maintenance by address drops entries whatever their class.
 *
 * Owning thread only.
 */
#include "mmu_internal.h"

#include "base/inject.h"

#include <string.h>

uint8_t class_of(struct mmu_vcpu *m, const struct context_key *k)
{
    struct context_key key = *k;
    unsigned i = 0;

    key.ttbr0 = key.ttbr1 = 0;
    key.asid = 0;
    while (i < m->classes && memcmp(&m->class[i].key, &key, sizeof(key)) != 0)
        i++;
    if (i == m->classes && i < KERNEL_CLASSES) {
        m->class[i].key = key;
        m->class[i].numbering = m->numbering - 1;
        m->classes++;
    }
    return (uint8_t)i;
}

void class_start(struct mmu_vcpu *m, struct kernel_class *k, uint32_t id)
{
    k->id = id;
    k->numbering = m->numbering;
    k->stale = k->unknown = false;
    k->nleaves = 0;
}

void classes_become_stale(struct mmu_vcpu *m)
{
    for (unsigned i = 0; i < m->classes; i++)
        m->class[i].stale = true;
}

/* What the leaf maps, in terms that do not depend on the address in it. */
static struct class_leaf leaf_of(gva_t gva, const struct mmu_translation *t)
{
    uint64_t mask = ~(t->page_size - 1);

    return (struct class_leaf){
        .gva = gva & mask, .gpa = t->gpa & mask, .size = t->page_size};
}

void class_note_leaf(struct kernel_class *k, gva_t gva, const struct mmu_translation *t)
{
    struct class_leaf new = leaf_of(gva, t);

    for (unsigned i = 0; i < k->nleaves; i++) {
        const struct class_leaf *l = &k->leaf[i];

        if (gva - l->gva >= l->size && l->gva - new.gva >= new.size)
            continue;
        /* Two that overlap: the older may be cached until maintenance, as the guest has it. */
        k->unknown |= l->gva != new.gva || l->gpa != new.gpa || l->size != new.size;
        return;
    }
    if (k->nleaves == CLASS_LEAVES)
        k->unknown = true;
    else
        k->leaf[k->nleaves++] = new;
}

static bool leaf_is_same(struct vcpu *v, const struct class_leaf *l)
{
    struct mmu_translation t;
    struct class_leaf now;
    uint64_t gen;

    do {
        gen = atomic_load(&v->mmu->gen);
        if (!mmu_translate(v, l->gva, MMU_EXEC, true, &t) || !t.global)
            return false;
        INJECT_MEET(CLASS_WALKED);
        now = leaf_of(l->gva, &t);
        if (now.gpa != l->gpa || now.size != l->size)
            return false;
    } while (!INJECT(CLASS_UNNOTED) && seen_note(&v->mmu->seen, l->gva, l->size, true) &&
             atomic_fetch_add(&v->mmu->gen, 0) != gen);
    return true;
}

bool class_revalidate(struct vcpu *v, struct kernel_class *k)
{
    if (k->unknown)
        return false;
    for (unsigned i = 0; i < k->nleaves; i++)
        if (!leaf_is_same(v, &k->leaf[i]) && !INJECT(KEEP_CLASS))
            return false;
    /* Maintenance by address has to find the entries in the soft TLB and the jump cache. */
    for (unsigned i = 0; i < k->nleaves; i++)
        softtlb_note_kept(v, k->leaf[i].gva, k->leaf[i].size);
    k->stale = false;
    return true;
}
