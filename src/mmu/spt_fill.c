/* SPDX-License-Identifier: MIT */
/*
 * Filling: a host fault in a window becomes a walk of the guest's tables and one mmap() of as many
 * pages as are contiguous in GVA and RAM with equal rights.
 *
 * A shootdown may run between the walk and the mapping. The filler reads its generation before the
 * walk, makes the records visible, then reads the generation again (by a read-modify-write, which
 * orders it after the records); whoever shoots down increments the generation, then looks at the
 * records. So either the filler sees the new generation and starts over, or the other sees the
 * records, waits for the window's lock, and drops what was mapped (I-1, I-2; docs/concurrency.md).
 *
 * Runs on the owning vCPU thread, on its normal stack.
 */
#include "spt.h"

#include "base/inject.h"
#include "base/log.h"
#include "base/stats.h"
#include "tcg/ir/ir.h"
#include "tcg/tcg.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define TRIES      4
/* Small pages are looked at in groups: a neighbour beyond that is unlikely to be contiguous. */
#define GROUP_BITS 16

struct fill {
    struct vcpu *v;
    struct window *w;
    gva_t gva; /* of the faulting page */
    bool privileged;
    enum mmu_access access;
    struct mmu_translation t;
    bool writable; /* what the faulting page gets */
    bool refuse_nonglobal;
};

static uint32_t ram_page(const struct vm *vm, gpa_t gpa)
{
    return (uint32_t)((gpa - vm->ram.base) >> GUEST_PAGE_BITS);
}

static bool may_write(struct vm *vm, const struct mmu_translation *t, gpa_t gpa)
{
    return (t->prot & 1u << MMU_WRITE) && !page_watched(atomic_load(page_state(vm, gpa)));
}

/* Does the page at gva continue the run so that its RAM is at gpa? `t` covers the page before;
 * walks past its leaf. */
static bool continues(const struct fill *f, struct mmu_translation *t, gva_t *leaf, gva_t gva,
                      gpa_t gpa)
{
    struct vm *vm = f->v->vm;

    if (gpa < vm->ram.base || !ram_ptr(&vm->ram, gpa, GUEST_PAGE_SIZE) ||
        window_record(f->w, gva) || debug_watches_page(&vm->debug, gva))
        return false;
    if (gva - *leaf >= t->page_size) {
        if (!mmu_translate(f->v, gva, f->access, f->privileged, t) || t->device)
            return false;
        *leaf = gva & ~(t->page_size - 1);
    }
    return t->prot == f->t.prot && t->global == f->t.global && t->domain == f->t.domain &&
           t->page_size == f->t.page_size &&
           (t->gpa & ~(t->page_size - 1)) + (gva - *leaf) == gpa &&
           may_write(vm, t, gpa) == f->writable;
}

/* Extend from the faulting page to both sides, inside the group or region. */
static void find_run(const struct fill *f, struct window_run *run)
{
    unsigned bits = f->t.page_size >> LEAF_REGION_BITS ? REGION_BITS : GROUP_BITS;
    gva_t low = f->gva & ~((UINT64_C(1) << bits) - 1), high = low + (UINT64_C(1) << bits);
    gva_t first = f->gva, end = f->gva + GUEST_PAGE_SIZE;
    gpa_t gpa = f->t.gpa & GUEST_PAGE_MASK;
    struct mmu_translation t = f->t;
    gva_t leaf = f->gva & ~(t.page_size - 1);

    while (end < high && continues(f, &t, &leaf, end, gpa + (end - f->gva)))
        end += GUEST_PAGE_SIZE;
    t = f->t;
    leaf = f->gva & ~(t.page_size - 1);
    while (first > low && continues(f, &t, &leaf, first - GUEST_PAGE_SIZE,
                                    gpa - (f->gva - first) - GUEST_PAGE_SIZE))
        first -= GUEST_PAGE_SIZE;
    *run = (struct window_run){
        .gva = first,
        .ram_page = ram_page(f->v->vm, gpa - (f->gva - first)),
        .npages = (uint32_t)((end - first) >> GUEST_PAGE_BITS),
        .flags = REC_MAPPED | (f->writable ? REC_WRITABLE : 0) |
                 (f->privileged && !f->t.global ? REC_NONGLOBAL : 0),
        /* With the MMU off there is no guest leaf to maintain. */
        .leaf_log2 =
            f->t.page_size > UINT64_C(1) << 30 ? 0 : (uint8_t)__builtin_ctzll(f->t.page_size),
    };
}

static void count(const struct fill *f, const struct window_run *run)
{
    struct stats *st = &stats_vcpu[f->v->index];

    STAT_INC(st, spt_fills);
    STAT_ADD(st, spt_fill_pages, run->npages);
    if (f->t.global)
        STAT_INC(st, spt_global_fills);
}

/* A run of large leaves may span two of them; small pages count one by one. */
static void note_run(const struct fill *f, const struct window_run *run)
{
    uint64_t step =
        f->t.page_size < UINT64_C(1) << REGION_BITS ? f->t.page_size : UINT64_C(1) << REGION_BITS;
    gva_t end = run->gva + ((gva_t)run->npages << GUEST_PAGE_BITS);

    for (gva_t gva = run->gva & ~(step - 1); gva < end && !INJECT(SKIP_NOTE); gva += step)
        seen_note(&f->v->mmu->mapped, gva, f->t.page_size, f->t.global);
}

/* -EAGAIN: the generation or the page's watch changed, walk again. */
static int map_run_locked(const struct fill *f, struct window_run *run, uint64_t gen)
{
    int err;

    if (!window_rebuild_locked(f->w, false))
        return -ENOMEM;
    err = window_prepare_locked(f->w, run);
    if (err)
        return err;
    note_run(f, run);
    INJECT_MEET(FILL_RECORDED);
    /* Pairs with the increment in broadcast(), tlbi.c. */
    if (atomic_fetch_add(&f->v->mmu->gen, 0) != gen && !INJECT(SKIP_GENERATION_CHECK)) {
        window_cancel_locked(f->w, run);
        return -EAGAIN;
    }
    INJECT_MEET(FILL_CHECKED);
    return window_commit_locked(f->w, run);
}

static int map_run(struct fill *f, struct window_run *run, uint64_t gen)
{
    int err;

    if (!budget_make_room(f->v, window_run_cost(f->w, run)))
        return -ENOMEM;
    pthread_mutex_lock(&f->w->lock);
    err = map_run_locked(f, run, gen);
    pthread_mutex_unlock(&f->w->lock);
    if (err == -ENOMEM) {
        /* The host's limit, whatever the accounting says. */
        budget_warn_once(f->v->vm);
        if (budget_evict(f->v))
            return -EAGAIN;
    }
    return err;
}

/* 0, -EAGAIN (walk again), -ENOMEM, -EFAULT (the guest's tables do not allow it), -ENXIO (allowed,
 * but nothing for a window). */
static int try_fill(struct fill *f)
{
    struct vm *vm = f->v->vm;
    uint64_t gen = atomic_load(&f->v->mmu->gen);
    struct window_run run;
    gpa_t page;
    int err;

    if (debug_watches_page(&vm->debug, f->gva))
        return -ENXIO;
    if (!mmu_translate(f->v, f->gva, f->access, f->privileged, &f->t))
        return -EFAULT;
    INJECT_MEET(FILL_WALKED);
    page = f->t.gpa & GUEST_PAGE_MASK;
    if (f->t.device && f->t.page_size <= UINT64_C(1) << 30)
        return -ENXIO;
    if (page < vm->ram.base || !ram_ptr(&vm->ram, page, GUEST_PAGE_SIZE))
        return -ENXIO;
    if (!(f->t.prot & 1u << MMU_READ))
        return -EFAULT;
    if (f->refuse_nonglobal && !f->t.global)
        return -ENXIO;
    if (f->access == MMU_WRITE)
        page_mark_dirty(vm, page, 0);
    f->writable = may_write(vm, &f->t, page);
    if (f->access == MMU_WRITE && !f->writable)
        return -EAGAIN;
    if (!f->privileged && f->t.global)
        atomic_fetch_or(f->w->tag, WINDOW_HAS_GLOBAL);
    f->w->dacr_mask |= 3u << 2 * f->t.domain;
    find_run(f, &run);
    err = map_run(f, &run, gen);
    if (!err)
        count(f, &run);
    return err;
}

static int fill(struct fill *f)
{
    uint64_t start = stats_now_ns();
    int err = -EAGAIN;

    for (unsigned i = 0; i < TRIES && err == -EAGAIN; i++)
        err = try_fill(f);
    if (!err)
        STAT_MAX(&stats_vcpu[f->v->index], fill_stall_max_ns, stats_now_ns() - start);
    return err;
}

static bool is_privileged(uint32_t memop)
{
    return (memop & MEMOP_PRIV) && !(memop & MEMOP_USER);
}

static void log_fault(const struct fill *f, uint64_t offset, int err)
{
    log_printf("cpu%u: spt fault %08" PRIx64 " %s%s: %s\n", f->v->index, offset,
               f->privileged ? "priv " : "user ", f->access == MMU_WRITE ? "write" : "read",
               err ? strerror(-err) : "filled");
}

enum mmu_fault_action mmu_spt_fault(struct vcpu *v, hva_t addr, bool is_write, uint32_t memop)
{
    bool privileged = is_privileged(memop), tiered = v->vm->mmu->spt->opt.tiered;
    struct fill f = {.v = v,
                     .privileged = privileged,
                     .refuse_nonglobal = privileged && tiered,
                     .access = is_write ? MMU_WRITE : MMU_READ};
    uint64_t offset = addr - v->win_base[privileged];
    int err;

    /* A guard: the address wrapped or the access straddles the end, and the next one may, too. */
    if (offset >> GUEST_VA_BITS)
        return MMU_FAULT_SOFT;
    f.gva = offset & GUEST_PAGE_MASK;
    f.w = v->mmu->spt->cur[privileged];
    if (!f.w) {
        /* An unprivileged access of a kernel in a context without a user window; RETRY would keep
         * the old base. User code that was just demoted leaves this block soon. */
        bool has = !privileged && spt_has_user_window(v);

        return tiered && !has && (memop & MEMOP_PRIV) ? MMU_FAULT_SOFT : MMU_FAULT_SLOW;
    }
    if (privileged && churn_refuses(v, f.gva))
        return MMU_FAULT_SOFT;
    err = fill(&f);
    if (log_on(LOG_MMU))
        log_fault(&f, offset, err);
    if (!privileged && !err)
        record_note(v, f.gva);
    if (!privileged && tiered && !(memop & MEMOP_PRIV))
        tier_note_fault(v, !err);
    if (!err)
        return MMU_FAULT_RETRY;
    return err == -EFAULT || err == -EAGAIN ? MMU_FAULT_SLOW : MMU_FAULT_SOFT;
}

bool mmu_is_tiered(const struct vcpu *v)
{
    return spt_tiered(v);
}

bool mmu_spt_promote(struct vcpu *v, gva_t gva, bool is_write, uint32_t memop)
{
    bool privileged = is_privileged(memop);
    struct fill f = {.v = v,
                     .privileged = privileged,
                     .refuse_nonglobal = privileged && spt_tiered(v),
                     .access = is_write ? MMU_WRITE : MMU_READ,
                     .w = v->mmu->spt->cur[privileged],
                     .gva = gva & GUEST_PAGE_MASK};

    if (!f.w || (privileged && !churn_forgives(v, f.gva)))
        return false;
    return window_record(f.w, f.gva) || !fill(&f);
}

bool spt_fill_page(struct vcpu *v, gva_t gva, bool privileged)
{
    struct fill f = {.v = v,
                     .privileged = privileged,
                     .access = MMU_READ,
                     .w = v->mmu->spt->cur[privileged],
                     .gva = gva & GUEST_PAGE_MASK};

    return f.w && !window_record(f.w, f.gva) && !fill(&f);
}
