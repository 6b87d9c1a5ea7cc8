/* SPDX-License-Identifier: MIT */
/*
 * Guest memory: RAM, address translation, soft TLB, embedded shadow page tables, TLB maintenance,
 * tracking of pages that hold translated code. See docs/mmu.md and docs/concurrency.md.
 *
 * Threads: functions that take a `struct vcpu *` run on its owning thread, unless they say "any
 * thread".
 */
#pragma once

#include "base/types.h"

#include <stdio.h>

struct vm;
struct vcpu;

enum mmu_access { MMU_READ, MMU_WRITE, MMU_EXEC };
enum mmu_mode { MMU_SOFT, MMU_SPT };

/* ---- RAM (ram.c) ---- */
struct ram {
    int fd;        /* the RAM memfd */
    uint8_t *flat; /* flat view */
    gpa_t base;
    uint64_t size;
    uint8_t *rom;  /* flash (rom.c), from physical address 0 on; NULL: none */
    uint64_t rom_size;
};
int ram_create(struct ram *ram, gpa_t base, uint64_t size) MUST_CHECK; /* -errno */
void ram_destroy(struct ram *ram);
/* Host address of [gpa, gpa + len) or NULL when it is not wholly RAM. Any thread. len > 0. */
void *ram_ptr(const struct ram *ram, gpa_t gpa, uint64_t len);
/* Reserve host memory for flash of `size` bytes, below RAM; before mmu_create(). -errno. */
int ram_add_rom(struct ram *ram, uint64_t size) MUST_CHECK;
/* The same as ram_ptr() for bytes that are only read or run, of RAM or of flash. */
const void *ram_read_ptr(const struct ram *ram, gpa_t gpa, uint64_t len);

/* ---- life cycle ---- */
struct mmu_options {
    enum mmu_mode mode;
    bool tiered;      /* auto: user code starts on the soft TLB, what runs long moves to windows */
    unsigned windows; /* user windows of each vCPU: 0 = one for each address space (private),
                         1 = shared, N = group */
    unsigned prefill; /* pages replayed when an address space gets a window again */
    uint64_t vma_budget; /* 0 = from vm.max_map_count */
    unsigned cpus;       /* among which the host's address space is divided; 0 = 1 */
};
/* Parse the value of -mmu; on an unknown one -EINVAL and *why names what is accepted. */
int mmu_options_parse(struct mmu_options *o, const char *value, const char **why) MUST_CHECK;
/* -ENOSPC: no address space for windows, which the mode cannot do without. */
int mmu_create(struct vm *vm,
               const struct mmu_options *o) MUST_CHECK; /* process-wide state; -errno */
void mmu_destroy(struct vm *vm);
int mmu_vcpu_create(struct vcpu *v) MUST_CHECK;
void mmu_vcpu_destroy(struct vcpu *v);
void mmu_vcpu_reset(struct vcpu *v);

/* ---- translation (walk.c, walk_short.c, walk_long.c): pure, no caching ---- */
struct mmu_translation {
    gpa_t gpa;
    uint64_t page_size; /* bytes of the leaf: 4K, 64K, 1M, 2M, 16M, 1G (4 GiB with the MMU off) */
    uint8_t prot;       /* bit 1 << enum mmu_access for the asked privilege */
    bool global;
    bool device; /* Device or Strongly-ordered: alignment checked */
    uint8_t domain;
    uint64_t par_attr; /* attribute bits for PAR on ATS1C* */
    uint32_t
        fsr; /* when the call fails: fault status in the current format, WnR included for data */
    uint32_t far;
};
/* Translate with the current registers. Returns true when the access is allowed. */
bool mmu_translate(struct vcpu *v, gva_t gva, enum mmu_access access, bool privileged,
                   struct mmu_translation *out);

/* ---- slow paths, called from generated code. `ra` lies in the code of the access. They raise
 * guest exceptions. ---- */
uint64_t mmu_slow_load(struct vcpu *v, gva_t gva, uint32_t memop,
                       uintptr_t ra); /* raw zero- or sign-extended to 64 bits per memop */
void mmu_slow_store(struct vcpu *v, gva_t gva, uint64_t value, uint32_t memop, uintptr_t ra);
/* Host address (flat view) of a naturally aligned RAM location for helpers such as exclusives;
   raises the guest fault; NULL for MMIO. The result is valid only until the helper returns or
   blocks. */
void *mmu_helper_host(struct vcpu *v, gva_t gva, enum mmu_access access, uint32_t memop,
                      uintptr_t ra, gpa_t *gpa);
/* The same for writing if the software TLB says at once that it is plain RAM; else NULL, and
   nothing has happened. */
void *mmu_helper_peek_write(struct vcpu *v, gva_t gva, bool privileged, gpa_t *gpa);
/*
 * SPT fault, called by the fault stub on the vCPU's own stack. host_pc = the faulting host
 * instruction, addr = host address, is_write. Returns MMU_FAULT_RETRY (mapped: run the instruction
 * again) or MMU_FAULT_SLOW (use the site's slow path, which performs the access or raises the guest
 * fault).
 */
enum mmu_fault_action {
    MMU_FAULT_RETRY,
    MMU_FAULT_SLOW, /* this access takes the slow path */
    MMU_FAULT_SOFT, /* and this site, until it proves hot: the page has no place in the window */
};
enum mmu_fault_action mmu_spt_fault(struct vcpu *v, hva_t addr, bool is_write, uint32_t memop);
/* -mmu auto: what belongs to user space has no place in privileged windows. */
bool mmu_is_tiered(const struct vcpu *v);
/* So much of the time until now went into translation, which windows do not make faster. */
void mmu_not_run(struct vcpu *v, uint64_t ns);
/* A hot site of MMU_FAULT_SOFT touches gva: true when the page is now in the current window. */
bool mmu_spt_promote(struct vcpu *v, gva_t gva, bool is_write, uint32_t memop);
/* Is addr in one of this vCPU's windows (guards included)? Async-signal-safe. */
bool mmu_window_contains_sig(const struct vcpu *v, hva_t addr);

/* ---- code fetch ---- */
struct mmu_fetch {
    const uint8_t *page; /* host address (flat view) of the page of pc */
    gpa_t gpa;           /* physical address of pc */
    uint32_t fsr, far;   /* when it fails */
};
/* Fetch permission and location of the page that holds pc; false: prefetch abort with fsr/far. Uses
 * the soft TLB's exec tags. */
bool mmu_fetch_page(struct vcpu *v, gva_t pc, struct mmu_fetch *out);

/* ---- hooks of system registers: the owner changed one; effect as the architecture gives it, no
 * more ---- */
void mmu_context_changed(
    struct vcpu *v); /* TTBR0/1, TTBCR, CONTEXTIDR, DACR, SCTLR, PRRR/NMRR/MAIR: pick the context */
void mmu_write_dacr(struct vcpu *v, uint32_t dacr); /* that, and the write of DACR itself */
void mmu_mode_changed(struct vcpu *v);              /* user <-> privileged */

/* TLB maintenance by the guest. `scope` says which vCPUs. Completion: at the issuer's DSB
 * (mmu_dsb). */
enum tlbi_kind { TLBI_ALL, TLBI_ASID, TLBI_VA, TLBI_VA_ALL_ASID };
void mmu_tlbi(struct vcpu *v, enum tlbi_kind kind, gva_t va, uint32_t asid, bool inner_shareable);
/* DSB: wait until everything this vCPU asked of others is done. Cheap when nothing is outstanding.
 */
void mmu_dsb(struct vcpu *v);
/* Poll bit POLL_MMU / POLL_CODE, and before (re)entering the guest: serve what other vCPUs asked.
 */
void mmu_serve_requests(struct vcpu *v);
/*
 * A number that changes whenever requests of others were served or dirty code was dropped. Code
 * that looked something up (a fetch page, the bytes of a page to translate) and then called
 * anything that may wait (mmu_code_page_translate) compares it, and starts over when it changed:
 * what it found may be stale.
 */
uint32_t mmu_epoch(const struct vcpu *v);

/* ---- code pages (codepages.c) ---- */
/*
 * Before the owner translates code from the page at gpa: after the call every write to the page by
 * any vCPU or device marks it dirty. May wait for other vCPUs (quiescent meanwhile).
 */
void mmu_code_page_translate(struct vcpu *v, gpa_t gpa);
/* The owner dropped its last translation of the page. */
void mmu_code_page_release(struct vcpu *v, gpa_t gpa);
/* A device wrote guest RAM. Any thread. */
void mmu_dma_written(struct vm *vm, gpa_t gpa, uint64_t len);

/* ---- flash (rom.c) ---- */
/*
 * Code in flash runs like code in RAM. Data is read directly as well, from soft-TLB entries, but
 * for banks of MMU_ROM_BANK bytes that show something else than their array; writes go to the bus.
 */
#define MMU_ROM_BANK ((uint64_t)64 << 20)
/*
 * The device says how the bank at gpa is read. When not directly: at once by v, by other vCPUs at
 * the latest after v's next DSB. v: the accessing vCPU, or NULL while none runs.
 */
void mmu_rom_read_directly(struct vm *vm, struct vcpu *v, gpa_t gpa, bool direct);
/* The device changed bytes of the array. Any thread. */
void mmu_rom_written(struct vm *vm, gpa_t gpa, uint64_t len);

/* Guest instruction-cache maintenance: invalidate translations of dirtied pages here, and on other
 * vCPUs when IS. */
void mmu_icache_invalidate(struct vcpu *v, bool inner_shareable);

/* The debugger watches other pages (vcpu/debug.h): nothing cached may bypass the slow paths of a
 * watched one. With no generated code up the stack. */
void mmu_watch_changed(struct vcpu *v);

/* ---- observation ---- */
uint64_t mmu_vma_count(struct vm *vm);
/* Host mappings of the whole process, an upper bound; 0 in soft mode, and before the first fill. */
uint64_t mmu_vma_process(struct vm *vm);
/* Text for the monitor (mmu_dump.c): the soft TLB's entries, the windows. Any thread, v parked. */
void mmu_dump_tlb_stopped(struct vcpu *v, FILE *f);
void mmu_dump_spt_stopped(struct vcpu *v, FILE *f);
