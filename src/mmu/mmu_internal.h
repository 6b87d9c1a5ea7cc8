/* SPDX-License-Identifier: MIT */
/*
 * Private to src/mmu. Three layers, lower ones know nothing of upper ones:
 *   walk_*.c             guest tables to struct mmu_translation, no state
 *   softtlb.c window.c   caches of translations: per vCPU soft TLB, per vCPU windows
 *   context.c tlbi.c     which cached translations are current, which die
 * Owner = the vCPU's thread. What other threads touch is atomic or says which lock it needs.
 */
#pragma once

#include "base/types.h"
#include "host_cost.h"
#include "mmu/mmu.h"
#include "vcpu/arm.h"
#include "vcpu/vcpu.h"
#include "vm.h"

#include <pthread.h>
#include <stdatomic.h>

#define GUEST_VA_BITS 32 /* width of a window; the unit tests of windows use smaller ones */

/* ---- fault status (walk.c) ---- */
enum walk_fault {
    WALK_TRANSLATION,
    WALK_ACCESS_FLAG,
    WALK_DOMAIN,
    WALK_PERMISSION,
    WALK_EXTERNAL,  /* of the walk itself */
    FAULT_EXTERNAL, /* of the access */
    FAULT_ALIGNMENT,
};
/* DFSR/IFSR value in the current format. `level` 1-3 for WALK_*. */
uint32_t mmu_fault_status(const struct arm_mmu_regs *r, enum walk_fault f, unsigned level,
                          unsigned domain, enum mmu_access access);

/* ---- walks ---- */
struct walk {
    const struct arm_mmu_regs *r;
    const struct ram *ram;
    uint32_t va;
    enum mmu_access access;
    bool privileged;
    struct mmu_translation *out;
};
bool walk_short(struct walk *w);
bool walk_long(struct walk *w);
bool walk_fail(struct walk *w, enum walk_fault f, unsigned level);
/* Descriptor reads; false: not RAM (external abort on the walk). */
bool walk_read32(const struct walk *w, gpa_t gpa, uint32_t *desc);
bool walk_read64(const struct walk *w, gpa_t gpa, uint64_t *desc);
/* Rights of a leaf for the walk's privilege: the common part of both formats. */
uint8_t walk_rights(const struct walk *w, unsigned ap21, bool ap0_restricts, bool xn, bool pxn);

/* ---- soft TLB (softtlb.c) ---- */
/*
 * Flags in the low bits of a tag make the inline compare miss. They lie above the bits that an
 * alignment check keeps (3:0) and below the page number.
 */
#define SOFT_ROM     UINT64_C(0x080) /* with SOFT_MMIO: flash; addend is the host's */
#define SOFT_MMIO    UINT64_C(0x100) /* not RAM: addend is gpa - gva */
#define SOFT_DEVICE  UINT64_C(0x200) /* Device memory: alignment is checked */
#define SOFT_CODE    UINT64_C(0x400) /* write tag: the page holds watched code */
#define SOFT_WATCH   UINT64_C(0x800) /* a debugger watches something in the page */
#define SOFT_FLAGS   (SOFT_ROM | SOFT_MMIO | SOFT_DEVICE | SOFT_CODE | SOFT_WATCH)
#define SOFT_INVALID UINT64_MAX

struct located {
    uint8_t *host; /* NULL: MMIO */
    gpa_t gpa;
    bool device;
    bool local; /* of a code fetch by privileged code: the page is not global */
};
struct guest_fault {
    uint32_t fsr;
    gva_t far;
};
/* Where an access goes, from the soft TLB or by a walk that fills it. A write marks its page dirty.
 */
bool softtlb_locate(struct vcpu *v, gva_t gva, enum mmu_access access, bool privileged,
                    struct located *out, struct guest_fault *f);
/* The page is fetched from: the jump cache may hold its blocks from now on. */
void softtlb_note_fetch(struct vcpu *v, gva_t pc);
/* Entries of a leaf outlive a flush of everything: soft TLB and jump cache may hold any of it. */
void softtlb_note_kept(struct vcpu *v, gva_t gva, uint64_t size);
void softtlb_drop_all(struct vcpu *v); /* by new context ids, O(1) */
void softtlb_drop_va(struct vcpu *v, gva_t va);
/* Write tags of the RAM page at gpa miss from now on. */
void softtlb_watch_page(struct vcpu *v, gpa_t page);

/* Entries that read flash directly die. */
void softtlb_drop_rom(struct vcpu *v);

/* ---- flash (rom.c) ---- */
/* Where a host address of RAM or flash lies. */
static inline gpa_t rom_or_ram_gpa(const struct vm *vm, const uint8_t *host)
{
    uint64_t off = (uint64_t)((uintptr_t)host - (uintptr_t)vm->ram.rom);

    return off < vm->ram.rom_size ? off : (gpa_t)(host - vm->ram.flat) + vm->ram.base;
}
/* Is the page's bank read directly now? */
bool rom_shows_array(const struct vm *vm, gpa_t page);

/* ---- translation contexts (context.c) ---- */
struct context_key {
    uint64_t ttbr0, ttbr1;
    uint32_t ttbcr, dacr, sctlr, asid;
    uint32_t attr0, attr1; /* PRRR/NMRR or MAIR0/1 */
};

struct window;

/* Where the user code of a context runs in -mmu auto (tier.c). */
struct tier {
    uint64_t user_ticks; /* host ticks in user mode */
    uint64_t cost_us;    /* of fills, and of drops by maintenance */
    uint64_t recent_ticks, recent_drops; /* the same time and drops, halved again and again */
    uint8_t demotions;
    bool windowed;
};

struct context {
    struct context_key key;
    uint32_t id; /* valid when epoch is the vCPU's */
    uint32_t epoch;
    uint64_t last_used;
    uint64_t serial;       /* unique for the life of the vCPU */
    struct window *win[2]; /* user, privileged; NULL: not allocated */
    struct tier tier;
    /* Another of the same address space, which this one gave way to last (software PAN goes to and
     * fro), while its serial is still this. */
    struct context *pair;
    uint64_t pair_serial;
    bool pair_by_dacr;  /* nothing but DACR is different */
    uint8_t class;      /* index of its kernel class; KERNEL_CLASSES: none */
    uint32_t soft_bank; /* as vcpu.soft_bank */
    uint32_t record_len; /* pages ever recorded for the replay (spt_record.c) */
    int16_t hash_next;   /* index + 1 */
    bool used;
};

/* ---- kernel classes (kernel_class.c) ---- */
#define KERNEL_CLASSES 16
#define CLASS_LEAVES   256
struct class_leaf {
    gva_t gva;
    gpa_t gpa;
    uint64_t size;
};
struct kernel_class {
    struct context_key key; /* without table bases and ASID */
    uint32_t id;            /* valid when numbering is the vCPU's */
    uint32_t numbering;
    bool stale;   /* everything was maintained since: not to be used before class_revalidate() */
    bool unknown; /* there are entries of other leaves than those below */
    unsigned nleaves;
    struct class_leaf leaf[CLASS_LEAVES]; /* where entries with the id came from */
};
/* Index of the key's class; KERNEL_CLASSES: there are too many. */
uint8_t class_of(struct mmu_vcpu *m, const struct context_key *k);
/* A new id: nothing is cached under it. */
void class_start(struct mmu_vcpu *m, struct kernel_class *k, uint32_t id);
void classes_become_stale(struct mmu_vcpu *m);
/* An entry with the class's id is about to be made from this walk. */
void class_note_leaf(struct kernel_class *k, gva_t gva, const struct mmu_translation *t);
/* Of the current context: would walks give what the entries say? Then it is stale no more. */
bool class_revalidate(struct vcpu *v, struct kernel_class *k);

#define CONTEXT_COUNT  512
#define CONTEXT_HASH   256
#define CONTEXT_ID_MAX 0xffffu

/* The current context's privileged code runs from a page that is not global: it has no class. */
void context_leave_class(struct vcpu *v);
/* Kill soft-TLB and jump-cache entries of every context with this ASID, or of all contexts. */
void context_renew_asid(struct vcpu *v, uint32_t asid);
void context_renew_all(struct vcpu *v);
/* At a point without generated code up the stack: nothing is cached, and `seen` (below) is empty.
 */
void context_start_afresh(struct vcpu *v);
void context_reset(struct vcpu *v);

/* ---- what a vCPU may have cached (seen.c) ---- */
#define LEAF_REGION_BITS 20 /* unit in which leaf sizes are remembered */
#define LEAF_REGIONS     (1u << (GUEST_VA_BITS - LEAF_REGION_BITS))
#define SEEN_WORDS       512 /* bits by the low bits of the page number */
struct seen {
    _Atomic uint64_t page[2][SEEN_WORDS];    /* [global]: small pages that may be cached */
    _Atomic uint64_t asid[4];                /* ASIDs whose contexts were used */
    _Atomic uint8_t leaf_log2[LEAF_REGIONS]; /* by MiB: the largest leaf; 0 = small pages only */
};
/* The owner is about to cache a page of this leaf: true when that was news to other threads. */
bool seen_note(struct seen *s, gva_t gva, uint64_t leaf_size, bool global);
void seen_note_asid(struct seen *s, uint32_t asid);
void seen_forget_asid(struct seen *s, uint32_t asid);
/* But for the ASID of the current context, which stays noted all the time. */
void seen_forget_all(struct seen *s, uint32_t current_asid);
/* May something the operation kills be cached? Any vCPU, after it advanced the target's generation.
 */
bool seen_concerns(const struct seen *s, enum tlbi_kind kind, gva_t va, uint32_t asid);

/* ---- requests between vCPUs (requests.c) ---- */
enum request_kind { REQ_TLBI, REQ_WATCH, REQ_CODE, REQ_ROM };
struct request {
    enum request_kind kind;
    enum tlbi_kind tlbi;
    uint32_t asid;
    uint64_t addr; /* gva of a TLBI, gpa of REQ_WATCH */
};
#define REQUEST_MAX 32

struct request_queue {
    pthread_mutex_t lock;
    struct request item[REQUEST_MAX]; /* under lock, as are n and overflow */
    unsigned n;
    bool overflow;          /* some were lost: everything they could ask for is done */
    _Atomic uint32_t seq;   /* requests ever posted; written under lock */
    _Atomic uint32_t acked; /* futex word: requests served */
    _Atomic uint32_t waiters;
};
/* Ask `target` (another vCPU); the number to wait for. */
uint32_t request_post(struct vcpu *from, struct vcpu *target, const struct request *rq);
/* Wait, quiescent, until `target` has served number seq or is quiescent itself. */
void request_wait(struct vcpu *v, struct vcpu *target, uint32_t seq);

/* Effects of one TLBI on the owner's soft TLB and jump cache. */
void tlbi_apply_soft(struct vcpu *v, enum tlbi_kind kind, gva_t va, uint32_t asid);

/* ---- page descriptors (codepages.c) ---- */
/*
 * One word per RAM page; every transition is one atomic operation on it, so that "is it watched"
 * and "may somebody write" are always decided in one order.
 */
#define PAGE_CODE_MASK    UINT64_C(0xffff) /* vCPUs with translations from the page */
#define PAGE_WRITER_SHIFT 16               /* vCPUs that may hold a plain soft-TLB write entry */
#define PAGE_WRITER_MASK  (UINT64_C(0xffff) << PAGE_WRITER_SHIFT)
#define PAGE_DIRTY        (UINT64_C(1) << 32) /* written since; the code vCPUs have it queued */
#define PAGE_MAPPED_SHIFT 33                  /* writable SPT mappings, a count */
#define PAGE_MAPPED_ONE   (UINT64_C(1) << PAGE_MAPPED_SHIFT)
static inline bool page_watched(uint64_t state)
{
    return (state & PAGE_CODE_MASK) && !(state & PAGE_DIRTY);
}
_Atomic uint64_t *page_state(struct vm *vm, gpa_t page); /* page must be RAM or flash */
/* Before a write through any path: marks a watched page dirty and tells the vCPUs that run code
   from it. `writer` bits are set in the same step. */
void page_mark_dirty(struct vm *vm, gpa_t page, uint64_t writer);
/* The owner means to cache a write entry: true when writes must keep missing (watched). */
bool page_add_writer(struct vcpu *v, gpa_t page);
/* The owner stops being an unseen writer of the page. */
void page_unwrite(struct vcpu *v, gpa_t page);
void page_drain_dirty(struct vcpu *v);

/* ---- per-vCPU and per-machine state ---- */
#define FETCHED_WORDS (1u << (GUEST_VA_BITS - GUEST_PAGE_BITS - 6))

struct mmu_vcpu {
    /* owner */
    struct context *current;
    uint32_t epoch, last_id;
    uint32_t numbering;  /* grows when ids begin again, and at reset */
    uint64_t clock;      /* context switches, for LRU */
    uint64_t user_since; /* host ticks when user mode was entered, or time was last accounted; 0 =
                            not in user mode */
    uint64_t last_serial;
    struct kernel_class class[KERNEL_CLASSES];
    unsigned classes;
    struct context ctx[CONTEXT_COUNT];
    int16_t hash[CONTEXT_HASH];      /* index + 1 */
    uint32_t served_epoch;           /* mmu_epoch() */
    uint8_t soft_leaf[LEAF_REGIONS]; /* largest leaf the soft TLB and jump cache may hold there, 0 =
                                        small */
    uint64_t fetched[FETCHED_WORDS]; /* a bit for each page that the jump cache may hold */
    bool seen_stale; /* everything cached has died: `seen` starts afresh at the next safe point */
    bool waiting;    /* inside request_wait(): generated code may be up the stack */
    uint32_t wait_seq[VCPU_MAX]; /* requests of ours not yet waited for */
    uint32_t wait_mask;
    struct spt_vcpu *spt; /* NULL in soft mode */

    /* other threads */
    /* Grows with every TLB maintenance of others that covers this vCPU. Fills and walks whose
       result is news to `seen` or the windows check it afterwards (I-2). */
    _Alignas(CACHE_LINE) _Atomic uint64_t gen;
    struct seen seen;   /* soft TLB, jump cache and running code; owner writes */
    struct seen mapped; /* windows; owner writes */
    _Alignas(CACHE_LINE) struct request_queue rq;
    _Atomic uint64_t *dirty;     /* bitmap of RAM pages written since translated here */
    _Atomic uint64_t *dirty_sum; /* one bit per word of it */
    _Atomic uint32_t dirty_any;
};

struct mmu_vm {
    enum mmu_mode mode;
    uint64_t npages;
    _Atomic uint64_t *page; /* [npages] descriptors: of RAM, then of flash */
    _Atomic uint32_t rom_shows_other; /* banks of flash that are not read directly, a bit each */
    struct host_cost host;  /* measured unless in soft mode */
    struct spt_vm *spt;     /* NULL in soft mode */
};

/* Zeroed, unbacked until touched; NULL when the host refuses. */
void *mmu_zalloc(size_t bytes);
void mmu_zfree(void *p, size_t bytes);
