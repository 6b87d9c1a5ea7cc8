/* SPDX-License-Identifier: MIT */
/*
 * Pages that hold translated code. One 64-bit descriptor for each RAM page says which vCPUs
 * translated from it, who may be able to write it unseen (soft-TLB write entries by vCPU, writable
 * SPT mappings by count), and whether it was written since ("dirty").
 *
 *   watched = has code, not dirty: no unseen write is possible; every writer goes through a slow
 * path or a host fault and calls page_mark_dirty() before its first write. That queues the page at
 * each vCPU with code from it and ends the watch, so further writes run at full speed. A vCPU drops
 * its translations at the latest at the guest's instruction-cache maintenance, and the watch starts
 * again with its next translation.
 *
 * All transitions are single atomic operations on the descriptor, so "I made it watched" and "I may
 * write" have one order: whoever comes second sees the other. Cost is proportional to pages
 * written, never to translations kept. Any thread for page_mark_dirty(); the rest belongs to the
 * vCPU named.
 */
#include "mmu_internal.h"

#include "base/inject.h"
#include "base/stats.h"
#include "spt.h"
#include "tcg/tcg.h"

#define BITMAP_WORD(i) ((i) / 64)
#define BITMAP_BIT(i)  (UINT64_C(1) << ((i) % 64))

/* Pages of flash follow those of RAM. */
static uint64_t page_index(const struct vm *vm, gpa_t page)
{
    return (page < vm->ram.rom_size ? vm->ram.size + page : page - vm->ram.base) >> GUEST_PAGE_BITS;
}

static gpa_t page_of_index(const struct vm *vm, uint64_t index)
{
    uint64_t off = index << GUEST_PAGE_BITS;

    return off < vm->ram.size ? vm->ram.base + off : off - vm->ram.size;
}

_Atomic uint64_t *page_state(struct vm *vm, gpa_t page)
{
    return &vm->mmu->page[page_index(vm, page)];
}

/* Bit, then its summary, then the flag: the drain takes them in the opposite order. */
static void queue_dirty(struct vcpu *v, uint64_t index)
{
    struct mmu_vcpu *m = v->mmu;

    atomic_fetch_or(&m->dirty[BITMAP_WORD(index)], BITMAP_BIT(index));
    atomic_fetch_or(&m->dirty_sum[BITMAP_WORD(BITMAP_WORD(index))], BITMAP_BIT(BITMAP_WORD(index)));
    atomic_store(&m->dirty_any, 1);
}

void page_mark_dirty(struct vm *vm, gpa_t page, uint64_t writer)
{
    _Atomic uint64_t *state = page_state(vm, page);
    uint64_t old = atomic_load(state), new;

    do {
        new = old | writer | (page_watched(old) ? PAGE_DIRTY : 0);
        if (new == old)
            return;
    } while (!atomic_compare_exchange_weak(state, &old, new));
    if (!page_watched(old))
        return;
    INJECT_MEET(WRITTEN);
    for (uint64_t mask = old & PAGE_CODE_MASK; mask && !INJECT(STALE_CODE); mask &= mask - 1)
        queue_dirty(vm->cpu[__builtin_ctzll(mask)], page_index(vm, page));
}

bool page_add_writer(struct vcpu *v, gpa_t page)
{
    _Atomic uint64_t *state = page_state(v->vm, page);
    uint64_t bit = UINT64_C(1) << (PAGE_WRITER_SHIFT + v->index);
    uint64_t old = atomic_load(state);

    do {
        if (page_watched(old))
            return true; /* the entry will miss: we are no unseen writer */
        if (old & bit)
            return false;
    } while (!atomic_compare_exchange_weak(state, &old, old | bit));
    return false;
}

void page_unwrite(struct vcpu *v, gpa_t page)
{
    /* Cleared first: an entry made after this sets it again. */
    atomic_fetch_and(page_state(v->vm, page), ~(UINT64_C(1) << (PAGE_WRITER_SHIFT + v->index)));
    softtlb_watch_page(v, page);
}

static void invalidate_page(struct vcpu *v, uint64_t index)
{
    atomic_fetch_and(&v->vm->mmu->page[index], ~(UINT64_C(1) << v->index));
    tcg_invalidate_page(v, page_of_index(v->vm, index));
}

static void drain_word(struct vcpu *v, uint64_t word)
{
    uint64_t bits = atomic_exchange(&v->mmu->dirty[word], 0);

    for (; bits; bits &= bits - 1)
        invalidate_page(v, word * 64 + (uint64_t)__builtin_ctzll(bits));
}

void page_drain_dirty(struct vcpu *v)
{
    struct mmu_vcpu *m = v->mmu;
    uint64_t words = BITMAP_WORD(v->vm->mmu->npages - 1) + 1;

    if (!atomic_load(&m->dirty_any) || !atomic_exchange(&m->dirty_any, 0))
        return;
    m->served_epoch++;
    INJECT_MEET(DRAINING);
    for (uint64_t s = 0; s <= BITMAP_WORD(words - 1); s++) {
        uint64_t bits = atomic_load(&m->dirty_sum[s]);

        if (!bits)
            continue;
        bits = atomic_exchange(&m->dirty_sum[s], 0);
        for (; bits; bits &= bits - 1)
            drain_word(v, s * 64 + (uint64_t)__builtin_ctzll(bits));
    }
}

/*
 * Everybody who may write the page unseen, as of `state`, stops being able to. Afterwards a write
 * is either in memory already or will mark the page.
 */
static void stop_writers(struct vcpu *v, gpa_t page, uint64_t state)
{
    struct request rq = {.kind = REQ_WATCH, .addr = page};
    uint64_t writers = (state & PAGE_WRITER_MASK) >> PAGE_WRITER_SHIFT;
    uint32_t seq[16], others = (uint32_t)(writers & ~(UINT64_C(1) << v->index));

    if (INJECT(SKIP_WRITER_STOP))
        writers = others = 0;
    for (uint32_t m = others; m; m &= m - 1) {
        unsigned i = (unsigned)__builtin_ctz(m);

        seq[i] = request_post(v, v->vm->cpu[i], &rq);
    }
    if (writers & UINT64_C(1) << v->index)
        page_unwrite(v, page);
    if (state >> PAGE_MAPPED_SHIFT && !INJECT(SKIP_WRITE_PROTECT))
        spt_protect_page(v->vm, page, state >> PAGE_MAPPED_SHIFT);
    for (uint32_t m = others; m; m &= m - 1) {
        unsigned i = (unsigned)__builtin_ctz(m);

        request_wait(v, v->vm->cpu[i], seq[i]);
    }
}

void mmu_code_page_translate(struct vcpu *v, gpa_t gpa)
{
    gpa_t page = gpa & GUEST_PAGE_MASK;
    _Atomic uint64_t *state = page_state(v->vm, page);
    uint64_t mine = UINT64_C(1) << v->index;

    for (;;) {
        uint64_t old = atomic_load(state), new;

        do {
            if ((old & mine) && !(old & PAGE_DIRTY))
                return;
            new = (old | mine) & ~PAGE_DIRTY;
        } while (!atomic_compare_exchange_weak(state, &old, new));
        /*
         * Pages dirtied before stay queued at whoever had code from them, this vCPU included. A
         * write from here on marks the page and queues it again, so one pass is enough, unless a
         * request served while waiting dropped our own translations and with them our bit.
         */
        INJECT_MEET(WATCHED);
        stop_writers(v, page, new);
        INJECT_MEET(UNWRITABLE);
        if (atomic_load(state) & mine)
            return;
    }
}

void mmu_code_page_release(struct vcpu *v, gpa_t gpa)
{
    atomic_fetch_and(page_state(v->vm, gpa & GUEST_PAGE_MASK), ~(UINT64_C(1) << v->index));
}

void mmu_dma_written(struct vm *vm, gpa_t gpa, uint64_t len)
{
    gpa_t end;

    if (!len || !ram_ptr(&vm->ram, gpa, len) || INJECT(SKIP_DMA_MARK))
        return;
    end = gpa + len;
    for (gpa &= GUEST_PAGE_MASK; gpa < end; gpa += GUEST_PAGE_SIZE)
        page_mark_dirty(vm, gpa, 0);
}

void mmu_icache_invalidate(struct vcpu *v, bool inner_shareable)
{
    struct request rq = {.kind = REQ_CODE};
    struct mmu_vcpu *m = v->mmu;

    STAT_INC(&stats_vcpu[v->index], icache_ops);
    if (!INJECT(SKIP_OWN_DRAIN))
        page_drain_dirty(v);
    if (!inner_shareable || INJECT(SKIP_CODE_REQUEST))
        return;
    for (unsigned i = 0; i < VCPU_MAX; i++) {
        struct vcpu *u = v->vm->cpu[i];

        if (!u || u == v || !u->mmu || !atomic_load(&u->mmu->dirty_any))
            continue;
        m->wait_seq[i] = request_post(v, u, &rq);
        m->wait_mask |= 1u << i;
    }
}
