/* SPDX-License-Identifier: MIT */
/*
 * What a debugger asks of the vCPUs: break at an address, watch a range, execute one instruction.
 * Costs nothing while nothing is asked: breakpoints are a matter of translation, watched pages are
 * kept out of what generated code reaches by itself.
 *
 * Threads: struct vm_debug changes only while all vCPUs are parked (functions _stopped); vCPUs read
 * it while they run. What a change means for a vCPU's private caches is noted in its struct
 * vcpu_debug, and its own thread acts on it before it runs again (debug_apply).
 */
#pragma once

#include "base/types.h"
#include "mmu/mmu.h"

struct vcpu;
struct vm;

#define DEBUG_BREAKPOINTS 256
#define DEBUG_WATCHPOINTS 16
#define DEBUG_STALE_MAX   32

enum debug_stop { DEBUG_NONE, DEBUG_BREAK, DEBUG_WATCH, DEBUG_STEPPED };

struct debug_watch {
    gva_t first, last;
    uint8_t accesses; /* bits 1 << enum mmu_access */
};

/* One in the machine. */
struct vm_debug {
    unsigned nbreak, nwatch;
    gva_t breakpoint[DEBUG_BREAKPOINTS]; /* virtual, in any address space */
    struct debug_watch watch[DEBUG_WATCHPOINTS];
    /* A vCPU has stopped (its vcpu_debug says why) and is about to park; on its thread. Set before
       the vCPUs start. */
    void (*hit)(void *opaque, struct vcpu *v);
    void *opaque;
};

/* One in each vCPU: the owner's, and while it is parked the debugger's. */
struct vcpu_debug {
    bool step;            /* execute one instruction, then stop; no interrupt is taken before it */
    enum debug_stop stop; /* why it stopped */
    uint8_t watch_accesses; /* DEBUG_WATCH: the watch's, and where it was met */
    gva_t addr;
    /* for debug_apply() */
    bool changed, watch_changed, code_written;
    unsigned nstale;              /* more than DEBUG_STALE_MAX: all code */
    gva_t stale[DEBUG_STALE_MAX]; /* addresses whose translations are out of date */
};

/* Add or remove; -EEXIST / -ENOENT when it is there or not, -ENOSPC when there are too many. */
int debug_break_stopped(struct vm *vm, gva_t va, bool add) MUST_CHECK;
int debug_watch_stopped(struct vm *vm, const struct debug_watch *w, bool add) MUST_CHECK;
void debug_clear_stopped(struct vm *vm);
/* The debugger wrote RAM: translations of it are dropped before any vCPU runs. */
void debug_written_stopped(struct vm *vm, gpa_t gpa, uint64_t len);

/* Is there a breakpoint at pc? `any_page`: at this offset of any page (PC-relative code). */
static inline bool debug_breaks(const struct vm_debug *d, gva_t pc, bool any_page)
{
    gva_t mask = any_page ? ~GUEST_PAGE_MASK : ~(gva_t)0;

    for (unsigned i = 0; i < d->nbreak; i++)
        if (!((d->breakpoint[i] ^ pc) & mask))
            return true;
    return false;
}

/* Does a watched range lie in the page? */
static inline bool debug_watches_page(const struct vm_debug *d, gva_t page)
{
    for (unsigned i = 0; i < d->nwatch; i++)
        if ((d->watch[i].first & GUEST_PAGE_MASK) <= page && page <= d->watch[i].last)
            return true;
    return false;
}

/* ---- owning thread ---- */
/* Act on what changed while it was parked. */
void debug_apply(struct vcpu *v);
/* Stop here: hold this vCPU, tell the debugger. The run loop parks next. */
void debug_stop(struct vcpu *v, enum debug_stop why);
/* An access of a slow path: when it is watched the vCPU stops before it, and this does not return.
   `ra` lies in generated code. */
void debug_check_access(struct vcpu *v, gva_t va, unsigned size, enum mmu_access access,
                        uintptr_t ra);
