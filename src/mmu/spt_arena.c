/* SPDX-License-Identifier: MIT */
/*
 * The arena of a vCPU: the range of host addresses that its windows stand in, one after the other,
 * reserved once. Made and destroyed on the vCPU's thread or while it does not run.
 */
#include "spt.h"

#include <errno.h>
#include <sys/mman.h>

#define SPARE (UINT64_C(1) << 30) /* for each vCPU: code cache, stack, tables */

static void *reserve(uint64_t bytes)
{
    return mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

unsigned spt_windows_that_fit(unsigned cpus)
{
    for (unsigned n = SPT_WINDOWS; n >= SPT_WINDOWS_MIN; n /= 2) {
        uint64_t bytes = cpus * (n * SPT_WINDOW_STRIDE + SPARE);
        void *p = reserve(bytes);

        if (p == MAP_FAILED)
            continue;
        munmap(p, bytes);
        return n;
    }
    return 0;
}

static int reserve_arena(struct vcpu *v, struct spt_vcpu *s)
{
    unsigned n = v->vm->mmu->spt->windows;
    void *p = reserve(n * SPT_WINDOW_STRIDE);

    if (p == MAP_FAILED)
        return -ENOMEM;
    s->arena = (hva_t)p;
    s->arena_bytes = n * SPT_WINDOW_STRIDE;
    s->nwindows = n;
    return 0;
}

static int create_windows(struct vcpu *v, struct spt_vcpu *s)
{
    if (record_create(v, s))
        return -ENOMEM;
    s->win = mmu_zalloc(s->nwindows * sizeof(s->win[0]));
    s->win_key = mmu_zalloc(s->nwindows * sizeof(s->win_key[0]));
    s->tag = mmu_zalloc(s->nwindows * sizeof(s->tag[0]));
    if (!s->win || !s->win_key || !s->tag)
        return -ENOMEM;
    for (unsigned i = 0; i < s->nwindows; i++) {
        s->win[i].tag = &s->tag[i];
        int err = window_init(&s->win[i], v->vm, s->arena + i * SPT_WINDOW_STRIDE + WINDOW_GUARD,
                              GUEST_VA_BITS, &v->vm->mmu->spt->vmas);

        if (err)
            return err;
    }
    atomic_store(&s->nused, 1);
    return 0;
}

int spt_vcpu_create(struct vcpu *v)
{
    struct spt_vcpu *s;
    int err;

    if (!v->vm->mmu->spt)
        return 0;
    s = mmu_zalloc(sizeof(*s));
    if (!s)
        return -ENOMEM;
    err = reserve_arena(v, s);
    v->mmu->spt = s;
    if (!err)
        err = create_windows(v, s);
    if (err) {
        spt_vcpu_destroy(v);
        return err;
    }
    v->win_base[0] = v->win_base[1] = spt_no_window(s)->base;
    v->exec_mmu[0] = v->vm->mmu->spt->opt.tiered ? 0 : EXEC_WINDOW;
    v->exec_mmu[1] = EXEC_WINDOW;
    return 0;
}

/* The range of a lost window belongs to somebody else by now. */
static void release_arena(struct spt_vcpu *s)
{
    hva_t from = s->arena;

    for (unsigned i = 0; s->win && i < s->nwindows; i++) {
        const struct window *w = &s->win[i];

        if (!w->lost)
            continue;
        munmap((void *)from, w->base - from);
        from = w->base + (UINT64_C(1) << w->bits);
    }
    if (s->arena)
        munmap((void *)from, s->arena + s->arena_bytes - from);
}

void spt_vcpu_destroy(struct vcpu *v)
{
    struct spt_vcpu *s = v->mmu->spt;

    if (!s)
        return;
    v->mmu->spt = NULL;
    if (s->win)
        reclaim_forget(v->vm->mmu->spt->reclaimer, s->win, s->win + s->nwindows);
    for (unsigned i = 0; s->win && i < s->nwindows && s->win[i].region; i++) {
        window_clear_locked(&s->win[i]); /* gives back its counts in the page descriptors */
        window_fini(&s->win[i]);
    }
    release_arena(s);
    record_destroy(v, s);
    mmu_zfree(s->win, s->nwindows * sizeof(s->win[0]));
    mmu_zfree(s->win_key, s->nwindows * sizeof(s->win_key[0]));
    mmu_zfree(s->tag, s->nwindows * sizeof(s->tag[0]));
    mmu_zfree(s, sizeof(*s));
}

bool mmu_window_contains_sig(const struct vcpu *v, hva_t addr)
{
    const struct spt_vcpu *s = v->mmu ? v->mmu->spt : NULL;

    return s && addr - s->arena < s->arena_bytes;
}
