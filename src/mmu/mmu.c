/* SPDX-License-Identifier: MIT */
/*
 * Life cycle of the MMU: what there is one of in the machine (page descriptors, SPT accounting),
 * what there is one of in each vCPU, and the -mmu option. Machine thread; reset runs on the vCPU's
 * own.
 */
#include "mmu_internal.h"

#include "base/log.h"
#include "fault.h"
#include "spt.h"
#include "tcg/tcg.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

void *mmu_zalloc(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

void mmu_zfree(void *p, size_t bytes)
{
    if (p)
        munmap(p, bytes);
}

/* Words of the dirty bitmap and of its summary. */
static size_t dirty_words(const struct mmu_vm *m)
{
    return (m->npages + 63) / 64;
}

int mmu_create(struct vm *vm, const struct mmu_options *o)
{
    struct mmu_vm *m = mmu_zalloc(sizeof(*m));
    int err = -ENOMEM;

    if (!m)
        return err;
    vm->mmu = m;
    m->mode = o->mode;
    m->npages = (vm->ram.size + vm->ram.rom_size) >> GUEST_PAGE_BITS;
    m->page = mmu_zalloc(m->npages * sizeof(m->page[0]));
    if (m->page)
        err = o->mode == MMU_SPT ? spt_create(vm, o) : 0;
    if (!err)
        err = fault_install(vm);
    if (err)
        mmu_destroy(vm);
    return err;
}

void mmu_destroy(struct vm *vm)
{
    struct mmu_vm *m = vm->mmu;

    if (!m)
        return;
    fault_uninstall();
    spt_destroy(vm);
    mmu_zfree(m->page, m->npages * sizeof(m->page[0]));
    mmu_zfree(m, sizeof(*m));
    vm->mmu = NULL;
}

int mmu_vcpu_create(struct vcpu *v)
{
    struct mmu_vm *mv = v->vm->mmu;
    struct mmu_vcpu *m = mmu_zalloc(sizeof(*m));
    int err;

    if (!m)
        return -ENOMEM;
    pthread_mutex_init(&m->rq.lock, NULL);
    v->mmu = m;
    m->dirty = mmu_zalloc(dirty_words(mv) * sizeof(m->dirty[0]));
    m->dirty_sum = mmu_zalloc((dirty_words(mv) + 63) / 64 * sizeof(m->dirty_sum[0]));
    err = m->dirty && m->dirty_sum ? spt_vcpu_create(v) : -ENOMEM;
    if (err) {
        mmu_vcpu_destroy(v);
        return err;
    }
    m->epoch = 1;
    mmu_context_changed(v);
    return 0;
}

void mmu_vcpu_destroy(struct vcpu *v)
{
    struct mmu_vcpu *m = v->mmu;
    struct mmu_vm *mv = v->vm->mmu;

    if (!m)
        return;
    spt_vcpu_destroy(v);
    mmu_zfree(m->dirty, dirty_words(mv) * sizeof(m->dirty[0]));
    mmu_zfree(m->dirty_sum, (dirty_words(mv) + 63) / 64 * sizeof(m->dirty_sum[0]));
    pthread_mutex_destroy(&m->rq.lock);
    mmu_zfree(m, sizeof(*m));
    v->mmu = NULL;
}

void mmu_vcpu_reset(struct vcpu *v)
{
    mmu_serve_requests(v);
    v->mmu->wait_mask = 0;
    spt_reset(v);
    context_reset(v);
    tcg_jump_cache_flush(v);
    v->mmu->user_since = 0;
}

void mmu_watch_changed(struct vcpu *v)
{
    mmu_serve_requests(v);
    spt_reset(v);
    context_reset(v);
    tcg_jump_cache_flush(v);
}

int spt_create(struct vm *vm, const struct mmu_options *o)
{
    unsigned windows = spt_windows_that_fit(o->cpus ? o->cpus : 1);
    struct spt_vm *s;

    if (!windows && o->tiered) {
        log_warn("too little address space for windows (ulimit -v): the guest runs slower");
        return 0;
    }
    if (!windows)
        return -ENOSPC;
    s = mmu_zalloc(sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->windows = windows;
    s->opt = *o;
    s->reclaimer = reclaim_create();
    if (!s->reclaimer) {
        mmu_zfree(s, sizeof(*s));
        return -ENOMEM;
    }
    host_cost_measure(&vm->mmu->host);
    s->price = tier_prices(&vm->mmu->host);
    s->budget = o->vma_budget ? o->vma_budget : budget_read_limit();
    if (s->budget < BUDGET_MIN)
        s->budget = BUDGET_MIN;
    vm->mmu->spt = s;
    return 0;
}

void spt_destroy(struct vm *vm)
{
    if (vm->mmu->spt)
        reclaim_destroy(vm->mmu->spt->reclaimer);
    mmu_zfree(vm->mmu->spt, sizeof(*vm->mmu->spt));
    vm->mmu->spt = NULL;
}

uint64_t mmu_vma_count(struct vm *vm)
{
    return vm->mmu->spt ? atomic_load(&vm->mmu->spt->vmas) + VCPU_MAX : 0;
}
