/* SPDX-License-Identifier: MIT */
/*
 * Breakpoints, watchpoints and what follows from a change of them for each vCPU. See debug.h for
 * who may touch what when; vCPUs and the debugger's thread are ordered by vm_pause.lock.
 */
#include "vcpu/debug.h"

#include "tcg/tcg.h"
#include "vcpu/vcpu.h"
#include "vm.h"

#include <errno.h>

static void note_stale(struct vm *vm, gva_t va)
{
    for (unsigned i = 0; i < vm->ncpus; i++) {
        struct vcpu_debug *d = &vm->cpu[i]->debug;

        if (d->nstale < DEBUG_STALE_MAX)
            d->stale[d->nstale] = va;
        if (d->nstale <= DEBUG_STALE_MAX)
            d->nstale++;
        d->changed = true;
    }
}

static void note_watch(struct vm *vm)
{
    for (unsigned i = 0; i < vm->ncpus; i++)
        vm->cpu[i]->debug.watch_changed = vm->cpu[i]->debug.changed = true;
}

int debug_break_stopped(struct vm *vm, gva_t va, bool add)
{
    struct vm_debug *d = &vm->debug;
    unsigned i = 0;

    while (i < d->nbreak && d->breakpoint[i] != va)
        i++;
    if (add == (i < d->nbreak))
        return add ? -EEXIST : -ENOENT;
    if (add && d->nbreak == DEBUG_BREAKPOINTS)
        return -ENOSPC;
    if (add)
        d->breakpoint[d->nbreak++] = va;
    else
        d->breakpoint[i] = d->breakpoint[--d->nbreak];
    note_stale(vm, va);
    return 0;
}

static bool same_watch(const struct debug_watch *a, const struct debug_watch *b)
{
    return a->first == b->first && a->last == b->last && a->accesses == b->accesses;
}

int debug_watch_stopped(struct vm *vm, const struct debug_watch *w, bool add)
{
    struct vm_debug *d = &vm->debug;
    unsigned i = 0;

    while (i < d->nwatch && !same_watch(&d->watch[i], w))
        i++;
    if (add == (i < d->nwatch))
        return add ? -EEXIST : -ENOENT;
    if (add && d->nwatch == DEBUG_WATCHPOINTS)
        return -ENOSPC;
    if (add)
        d->watch[d->nwatch++] = *w;
    else
        d->watch[i] = d->watch[--d->nwatch];
    note_watch(vm);
    return 0;
}

void debug_clear_stopped(struct vm *vm)
{
    while (vm->debug.nbreak)
        note_stale(vm, vm->debug.breakpoint[--vm->debug.nbreak]);
    if (vm->debug.nwatch)
        note_watch(vm);
    vm->debug.nwatch = 0;
    for (unsigned i = 0; i < vm->ncpus; i++) {
        vm->cpu[i]->debug.step = false;
        vm->cpu[i]->debug.stop = DEBUG_NONE;
    }
}

void debug_written_stopped(struct vm *vm, gpa_t gpa, uint64_t len)
{
    mmu_dma_written(vm, gpa, len);
    for (unsigned i = 0; i < vm->ncpus; i++)
        vm->cpu[i]->debug.code_written = vm->cpu[i]->debug.changed = true;
}

void debug_apply(struct vcpu *v)
{
    struct vcpu_debug *d = &v->debug;

    if (!d->changed)
        return;
    if (d->nstale > DEBUG_STALE_MAX)
        tcg_invalidate_all(v);
    else
        for (unsigned i = 0; i < d->nstale; i++)
            tcg_invalidate_address(v, d->stale[i]);
    if (d->watch_changed)
        mmu_watch_changed(v);
    if (d->code_written)
        mmu_icache_invalidate(v, false);
    d->nstale = 0;
    d->changed = d->watch_changed = d->code_written = false;
}

void debug_stop(struct vcpu *v, enum debug_stop why)
{
    v->debug.step = false;
    v->debug.stop = why;
    vm_pause_hold(v);
    v->vm->debug.hit(v->vm->debug.opaque, v);
}

void debug_check_access(struct vcpu *v, gva_t va, unsigned size, enum mmu_access access,
                        uintptr_t ra)
{
    for (unsigned i = 0; i < v->vm->debug.nwatch; i++) {
        const struct debug_watch *w = &v->vm->debug.watch[i];

        if (va > w->last || va + size <= w->first || !(w->accesses & 1u << access))
            continue;
        v->debug.watch_accesses = w->accesses;
        v->debug.addr = va > w->first ? va : w->first;
        vcpu_restore_state(v, ra);
        tcg_unwind(v, TCG_EXIT_WATCH);
    }
}
