/* SPDX-License-Identifier: MIT */
/*
 * A test vCPU with a code cache, 64 KiB of guest memory at RIG_BASE, an SPT window with guards and
 * a soft TLB, standing in for mmu/ and tcg/: it implements mmu_slow_load/store and
 * tcg_fault_resume. Single-threaded.
 */
#pragma once

#include "tcg/tcg.h"
#include "tcg/ir/ir_internal.h"
#include "tcg/x64/x64_internal.h"
#include "mmu/mmu.h"
#include "vcpu/vcpu.h"

#define RIG_BASE  0x4000u
#define RIG_SIZE  0x10000u
#define RIG_CODE  (1u << 20)
#define RIG_GUARD 0x10000u
#define RIG_CREDIT 3 /* soft-TLB hits of window code between samples */

/* What the memory behind the vCPU does. */
enum rig_mode {
    RIG_SPT,       /* window, all pages mapped */
    RIG_SPT_FILL,  /* window, pages unmapped at first: faults fill, or take the slow path, by turns
                    */
    RIG_SPT_PATCH, /* window, nothing mapped: every faulting site is patched to go to the soft TLB,
                      which the slow path fills */
    RIG_SOFT,      /* soft TLB, slow path fills it */
    RIG_ALL_SLOW,  /* soft TLB, never filled */
    RIG_MODES,
};

struct rig {
    struct vcpu *v;
    struct ir_block *b;
    uint8_t *rw, *rx;
    struct x64_stubs stubs;
    size_t code_at; /* free space after the stubs */
    enum rig_mode mode;
    struct tcg_site site[TCG_MAX_SITES];
    struct x64_result res;
    uint8_t *flat;   /* guest memory, flat view */
    uint8_t *window; /* base of the window (guest address 0) */
    int mem_fd;
    unsigned faults, slow_calls, unaligned_slow, samples;
    uint8_t old[X64_SITE_PATCH]; /* of the site patched last */
    /* called at each slow access when set: address, value, ra */
    void (*on_slow)(struct rig *r, uint32_t gva, uint64_t value, uint32_t memop, uintptr_t ra);
};
extern struct rig rig;

void rig_init(void); /* once per test process */
void rig_reset_memory(enum rig_mode mode);
int rig_compile(void);       /* rig.b with rig.mode; the x64_compile() result */
enum tcg_exit rig_run(void); /* what rig_compile() made */
const struct tcg_site *rig_site(uintptr_t host_pc);
