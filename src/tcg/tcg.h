/* SPDX-License-Identifier: MIT */
/*
 * The translator as the run loop sees it, and the contracts between its parts: front end (guest
 * code to IR), back end (IR to host code), code cache, block linking. Everything belongs to one
 * vCPU thread.
 */
#pragma once

#include "base/types.h"
#include "tcg/ir/ir.h"

#include <stdio.h>

struct vcpu;
struct tcg;
struct vm;
struct x64_stubs;

/* Why generated code came back to the run loop. */
enum tcg_exit {
    TCG_EXIT_LOOKUP,    /* state pc / exec_flags not in the jump cache */
    TCG_EXIT_LINK,      /* direct exit not linked yet: exit_tb, exit_arg = slot; state pc is set */
    TCG_EXIT_POLL,      /* poll word is set; state pc is set */
    TCG_EXIT_NEED,      /* the block needs what is not so (struct ir_block); state pc is set */
    TCG_EXIT_STATE,     /* system state changed: re-evaluate interrupts, modes, windows */
    TCG_EXIT_EXCEPTION, /* v->exc is pending (vcpu_raise) */
    TCG_EXIT_WFI,       /* state pc is the next instruction */
    TCG_EXIT_WFE,
    TCG_EXIT_YIELD,
    TCG_EXIT_BREAK, /* a breakpoint may be at the state pc, which is not executed yet */
    TCG_EXIT_WATCH, /* v->debug: stopped before a watched access */
    TCG_EXIT_HOT,   /* the block at the state pc was entered often (region.c) */
};

/* ---- front end ---- */
/* Where translation goes on behind a direct branch. */
enum tcg_follow { FOLLOW_NONE, FOLLOW_TAKEN, FOLLOW_NEXT };
#define TCG_PAGES 2 /* that a region may have code of */

struct tcg_source {
    gva_t pc;
    uint32_t exec_flags;
    const uint8_t *page; /* host address of the page that holds pc */
    unsigned max_insns;
    bool pc_relative;  /* make code that runs at any virtual page; see struct ir_block */
    unsigned features; /* enum arm_feature bits */
    /* Host address of the next page, for an instruction that crosses; NULL when its fetch faults.
     */
    const uint8_t *(*next_page)(struct vcpu *v);
    /* Is a breakpoint at pc? NULL: there are none. */
    bool (*breakpoint)(const struct tcg_source *src, gva_t pc);
    /*
     * Regions (region.c): where to go on behind a branch, to `taken` or else to `next`, which is
     * `taken` when there is no choice. The other way becomes a side exit. NULL: a block ends at a
     * branch.
     */
    enum tcg_follow (*follow)(const struct tcg_source *src, gva_t taken, gva_t next);
    /* The same behind an indirect branch: where it most likely goes, UINT64_MAX: not known, or not
     * worth it. Leaving for another address is a side exit. */
    gva_t (*follow_indirect)(const struct tcg_source *src);
    /* Host address of the page that holds pc and its physical page number, when the region may have
     * code of it: of the first page and of those that were chosen so. NULL: it may not. */
    const uint8_t *(*region_page)(const struct tcg_source *src, gva_t pc, uint32_t *gpa_page);
    void *profile; /* of these functions */
    struct vcpu *vcpu;
    /* results */
    unsigned guest_bytes;
    unsigned n_insns;
    bool crosses_page;
    bool loops;                   /* a region that comes back to its beginning */
    bool indirect;                /* a block that ends with an indirect branch */
    gpa_t guarded[TCG_PAGES - 1]; /* physical pages that a region enters behind a guard */
    unsigned nguarded;
    unsigned n_followed; /* branches that translation went on behind; guest_bytes is up to the first
                            that was taken */
};
/* Translate guest code into `b` (already reset). Always produces at least one instruction's worth.
 */
void arm_translate_block(struct tcg_source *src, struct ir_block *b);
/* Disassemble guest code for -d in_asm is in tcg_log.c (Capstone). */

/* ---- back end (x64/) ---- */
struct code_buffer {
    uint8_t *rw; /* writable mapping of the free space */
    uint8_t *rx; /* executable address of the same bytes */
    size_t room;
    /* The same for what is out of line; not given: it stands behind the rest. */
    uint8_t *cold_rw, *cold_rx;
    size_t cold_room;
};

#define X64_SITE_PATCH 5 /* a jump with a 32-bit displacement */
/* One host address that may fault or call: recovers the guest state (I-7). */
struct tcg_site {
    uint32_t
        host_off; /* access instruction (memory site) or return address (call), from block start */
    uint32_t slow_off; /* memory site: its slow path; 0 for calls */
    uint32_t pc;       /* guest pc (low 32 bits; high bits are the block's) */
    uint16_t extra;    /* front end's word from IR_INSN (IT state) */
    uint8_t kind;      /* enum tcg_site_kind */
    uint8_t host_len;  /* memory site: patchable bytes, >= X64_SITE_PATCH */
    uint16_t memop;
};
enum tcg_site_kind { SITE_CALL, SITE_LOAD, SITE_STORE };

struct tcg_jump_slot {
    uint32_t patch_off;    /* offset of the rel32 of a jmp, 4-byte aligned in memory */
    uint32_t unlinked_off; /* target while not linked */
    uint32_t guard_off;    /* offset of the physical page number the jump depends on; 0 = none */
    gva_t target_pc;
};

#define TCG_MAX_SITES 2048
#define TCG_MAX_SLOTS 48
/*
 * Instructions whose accesses have settled in the soft TLB (fault_resume.c): a bit for each, by a
 * hash of the physical address. One that shares another's bit loses a little speed.
 */
#define SETTLED_BITS  18
struct settled {
    uint64_t bits[(1u << SETTLED_BITS) / 64];
};
static inline uint32_t settled_index(gpa_t insn)
{
    return (uint32_t)((insn >> 1) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - SETTLED_BITS));
}

struct x64_options {
    const struct x64_stubs *stubs; /* of the cache the code is for; NULL: slow paths call C code */
    bool soft_mmu;  /* memory accesses through the soft TLB; else through SPT windows */
    bool soft_ldrt; /* unprivileged accesses of privileged code through the soft TLB */
    const struct settled *settled; /* as well as these; NULL: none */
    gpa_t gpa;                     /* of the block, for them */
    uint64_t *runs;                /* counts how often the block is entered; NULL: nobody does */
    uint32_t counter_off;    /* state offset of a word to count down at each entry; 0 = none */
    void *tb;                /* stored to v->exit_tb by unlinked exits */
    unsigned link_page_bits; /* 12: direct links inside the page; those into others have a guard */
};
/* Offsets in a block count through both of its parts, the straight path and what is out of line. */
struct x64_result {
    size_t host_bytes;
    size_t unpolled_off;   /* where the block goes on behind its poll */
    size_t straight_bytes; /* of them, the path without what is out of line */
    struct tcg_site *site; /* [TCG_MAX_SITES], caller's array */
    unsigned nsites;
    struct tcg_jump_slot slot[TCG_MAX_SLOTS];
    unsigned nslots;
};
/* Compile to buf; -ENOSPC: not enough room in buf (nothing consumed); -E2BIG: tables overflow,
 * retry with a shorter block. */
int x64_compile(const struct ir_block *b, const struct x64_options *o,
                const struct code_buffer *buf, struct x64_result *out) MUST_CHECK;
#define X64_SOFT_STUBS 128
/* Common stubs, emitted once at the start of each vCPU's cache. */
struct x64_stubs {
    /* enum tcg_exit enter(struct vcpu *v, void *code): saves host registers, sets RBP/R15/MXCSR,
     * jumps */
    unsigned (*enter)(struct vcpu *v, void *code);
    void *exit_stub;               /* generated code jumps here with EAX = reason */
    void *fault_stub;              /* the SIGSEGV handler redirects RIP here */
    void *unwind;                  /* reached by tcg_unwind(): EAX = reason, RSP already restored */
    uint32_t soft[X64_SOFT_STUBS]; /* soft-TLB lookups (x64_soft.c): offsets from `enter` */
    size_t bytes;
};
int x64_emit_stubs(struct x64_stubs *s, const struct code_buffer *buf) MUST_CHECK;
/* Leave generated code from inside a helper; never returns. */
_Noreturn void tcg_unwind(struct vcpu *v, enum tcg_exit reason);
/* Patch a jump slot / memory site. Owner thread only. rw = writable alias of host code. */
void x64_patch_jump(uint8_t *rw_patch, const uint8_t *rx_patch, const uint8_t *target);
/* The physical page that a guarded jump depends on. */
void x64_patch_guard(uint8_t *rw_guard, uint32_t gpa_page);
void x64_patch_site_to_slow(uint8_t *rw_site, const uint8_t *rx_site, const uint8_t *slow,
                            uint8_t old[X64_SITE_PATCH]);
/* Before code runs that was written where other code was. */
void x64_serialise(void);
void x64_unpatch_site(uint8_t *rw_site, const uint8_t old[X64_SITE_PATCH]);
/* Called by fault_stub (registers saved in the vCPU's fault frame): decides where to resume.
 * Implemented in tcg/fault_resume.c. */
uintptr_t tcg_fault_resume(struct vcpu *v, uintptr_t host_pc, hva_t addr, uint32_t error_code);
/* A slow path found the credit of soft-TLB hits used up: see where they come from. */
void tcg_soft_sampled(struct vcpu *v, gva_t gva, uintptr_t ra);

/* ---- translator (translate.c, blocks.c) ---- */
int tcg_create(struct vcpu *v, size_t cache_bytes) MUST_CHECK;
void tcg_destroy(struct vcpu *v);
/* Reset of the machine: forget all translations, so that resets do not pile them up. The vCPU's
   thread does not run. */
void tcg_reset(struct vcpu *v);
/* Run generated code until it leaves; state pc is where to start. */
enum tcg_exit tcg_run(struct vcpu *v);
/*
 * Execute one instruction at the state pc, whatever breakpoints there are. TCG_EXIT_POLL with pc
 * unchanged: it was not executed yet.
 */
enum tcg_exit tcg_step(struct vcpu *v);
/* Is host_pc inside this vCPU's code cache? Async-signal-safe. */
bool tcg_contains_sig(const struct vcpu *v, uintptr_t host_pc);
/* Redirect a fault: returns the fault stub's address. Async-signal-safe. */
uintptr_t tcg_fault_stub_sig(const struct vcpu *v);
/* Guest pc and the front end's word (struct tcg_site) of a site; false: host_pc is none. */
bool tcg_find_site(struct vcpu *v, uintptr_t host_pc, uint32_t *pc, uint16_t *extra);
/* Invalidate translations: a physical page (dirtied), or only what virtual lookups cached. */
void tcg_invalidate_page(struct vcpu *v, gpa_t page);
/* Invalidate translations that hold this virtual address or that may run there; all. */
void tcg_invalidate_address(struct vcpu *v, gva_t va);
void tcg_invalidate_all(struct vcpu *v);
/* Text for the monitor (tcg_dump.c): the code cache. Any thread, v parked. */
void tcg_dump_stopped(struct vcpu *v, FILE *f);
/* Forget virtual lookups: all, in O(1); those of one page. */
void tcg_jump_cache_flush(struct vcpu *v);
void tcg_jump_cache_flush_page(struct vcpu *v, gva_t va);
/* Process-wide fault handler (mmu/fault.c calls these back). */

/* -d masks */
#define LOG_IN_ASM      (1u << 0)
#define LOG_OP          (1u << 1)
#define LOG_OUT_ASM     (1u << 2)
#define LOG_INT         (1u << 3)
#define LOG_MMU         (1u << 4)
#define LOG_GUEST_ERROR (1u << 5)
#define LOG_EXEC        (1u << 6)
#define LOG_TB_STATS    (1u << 7) /* count block runs (profile.c) */
