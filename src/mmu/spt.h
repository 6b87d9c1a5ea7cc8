/* SPDX-License-Identifier: MIT */
/*
 * Embedded shadow page tables: the windows of each vCPU and what connects them to contexts, guest
 * tables and TLB maintenance. All functions do nothing in soft mode. Private to src/mmu.
 *
 * Organisation "private": a user window for each translation context; privileged windows apart from
 * them, one for each set of control bits (context_key without table bases and ASID), which keep
 * global pages over address-space switches. Other organisations differ in who gets which window
 * (spt_window.c).
 */
#pragma once

#include "mmu_internal.h"
#include "window.h"

/* Windows of one vCPU. Number 0 is never filled: it stands in where there is none yet. */
#ifdef UMBRA_TSAN
#define SPT_WINDOWS 16 /* its shadow memory has no room for more */
#else
#define SPT_WINDOWS 256
#endif
#define SPT_WINDOWS_MIN   4
#define SPT_WINDOW_STRIDE ((UINT64_C(1) << GUEST_VA_BITS) + 2 * WINDOW_GUARD)

struct spt_vm {
    _Atomic uint64_t vmas; /* of all windows, beyond one for each arena */
    uint64_t budget;
    _Atomic uint32_t warned;
};

#define CHURN_ENTRIES 256
struct churn_entry {
    uint32_t page; /* GVA page number */
    uint8_t drops, limit, uses;
};

struct spt_vcpu {
    hva_t arena;
    uint64_t arena_bytes;
    unsigned nwindows;
    _Atomic uint32_t nused;                  /* windows [1, nused) were ever used */
    struct window *win;                      /* [nwindows] */
    _Atomic uint32_t *tag;                   /* [nwindows] */
    struct context_key *win_key;             /* [nwindows] of privileged windows; owner only */
    struct window *cur[2];                   /* user, privileged; owner only */
    struct churn_entry churn[CHURN_ENTRIES]; /* owner only */
};

int spt_create(struct vm *vm, uint64_t vma_budget) MUST_CHECK; /* -errno */
void spt_destroy(struct vm *vm);
int spt_vcpu_create(struct vcpu *v) MUST_CHECK;
void spt_vcpu_destroy(struct vcpu *v);
void spt_reset(struct vcpu *v);

/* The current context changed, or user mode was entered: choose windows, set win_base. */
void spt_select(struct vcpu *v);
/* Before an unprivileged access: true when the context had no user window yet (win_base[0] may have
 * changed). */
bool spt_need_user_window(struct vcpu *v);
/* What whole-window maintenance asked of the current windows is done when this returns. */
void spt_clean_current(struct vcpu *v);
/* Drop what a fresh walk of the owner would not give; pages dropped (spt_revalidate.c). */
unsigned spt_revalidate_locked(struct vcpu *v, struct window *w, bool privileged);
/* A context ends: its user window is free again. */
void spt_context_forget(struct vcpu *v, struct context *c);
/*
 * `v` drops what a by-address TLBI kills from the windows of `target`: itself, or another whose
 * generation it has advanced. For the other kinds it marks windows stale: the target cleans them
 * before it uses them again, current ones when it serves the request that follows (the issuer
 * itself: at once).
 */
void spt_tlbi(struct vcpu *v, struct vcpu *target, enum tlbi_kind kind, gva_t va, uint32_t asid);
/* Every SPT mapping of the page becomes read-only; there are `count` writable ones. Any vCPU
 * thread. */
void spt_protect_page(struct vm *vm, gpa_t page, uint64_t count);

/* ---- pages not worth a window (churn.c); owner ---- */
void churn_note_tlbi(struct vcpu *v, gva_t gva, bool was_mapped);
bool churn_refuses(struct vcpu *v, gva_t gva); /* this access takes the slow path */
bool churn_worth(struct vcpu *v, gva_t gva);   /* dropped often, and used in earnest in between */
/* Fill the page in the current privileged window if the guest's tables map it now (spt_fill.c). */
void spt_prefill(struct vcpu *v, gva_t gva);

/* ---- VMA budget (budget.c, I-4) ---- */
#define BUDGET_MIN 64 /* with less, every access evicts what the one before filled */
uint64_t
budget_read_limit(void); /* from vm.max_map_count and what the process has mapped, less headroom */
/* Room for `cost` more VMAs, evicting idle windows of any vCPU; false: none left to evict. */
bool budget_make_room(struct vcpu *v, unsigned cost);
/* Evict the least recently scheduled idle window; false: there is none. */
bool budget_evict_one(struct vcpu *v);
void budget_warn_once(struct vm *vm);
