/* SPDX-License-Identifier: MIT */
/*
 * Embedded shadow page tables: the windows of each vCPU and what connects them to contexts, guest
 * tables and TLB maintenance. All functions do nothing in soft mode. Private to src/mmu.
 *
 * A user window belongs to one translation context. How many there may be is the organisation: one
 * (shared), N (group), or one for each context (private). Privileged windows are apart from them:
 * one for each set of control bits (context_key without table bases and ASID), which keep global
 * pages over address-space switches. -mmu auto is private with the choice, for each context,
 * whether its user code uses windows at all (tier.c).
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

struct reclaimer;

/* What auto reckons with, in microseconds. */
struct tier_prices {
    uint32_t promote; /* that a context runs before its first promotion */
    uint32_t fault;   /* a host fault with its fill */
    uint32_t abort;   /* a host fault that ends in an abort of the guest */
    uint32_t fill;    /* a fill without a fault */
    uint32_t drop;    /* maintenance that drops a page: the call, and whom it holds up */
};

struct spt_vm {
    struct mmu_options opt;
    unsigned windows; /* that each vCPU has */
    struct tier_prices price;
    struct reclaimer *reclaimer;
    _Atomic uint64_t vmas; /* of all windows, beyond one for each arena */
    uint64_t budget;
    _Atomic uint64_t others; /* of the rest of the process, an upper bound; 0: not counted yet */
    _Atomic uint32_t warned;
};

#define CHURN_ENTRIES 256
struct churn_entry {
    uint32_t page; /* GVA page number */
    uint32_t drops;
    uint64_t last_drop; /* host ticks */
};

struct spt_vcpu {
    hva_t arena;
    uint64_t arena_bytes;
    unsigned nwindows;
    _Atomic uint32_t nused;      /* windows [1, nused) were ever used */
    struct window *win;          /* [nwindows] */
    _Atomic uint32_t *tag;       /* [nwindows] */
    struct context_key *win_key; /* [nwindows] of privileged windows; owner only */
    struct window *cur[2];       /* user, privileged; owner only */
    unsigned nuser;              /* user windows in use; owner only */
    bool split_by_dacr;          /* auto: a privileged window for each DACR value; owner only */
    uint32_t *record;            /* [CONTEXT_COUNT][prefill]; owner only */
    uint64_t last_ration;        /* host ticks, budget.c; owner only */
    struct churn_entry churn[CHURN_ENTRIES]; /* owner only */
};

/* -mmu auto? */
static inline bool spt_tiered(const struct vcpu *v)
{
    return v->mmu->spt && v->vm->mmu->spt->opt.tiered;
}

/* What stands in where there is no window. */
static inline struct window *spt_no_window(struct spt_vcpu *s)
{
    return &s->win[0];
}

int spt_create(struct vm *vm, const struct mmu_options *o) MUST_CHECK; /* as mmu_create() */
void spt_destroy(struct vm *vm);
int spt_vcpu_create(struct vcpu *v) MUST_CHECK;
/* Windows that each of so many vCPUs can have in the address space of this process; 0: too few. */
unsigned spt_windows_that_fit(unsigned cpus);
void spt_vcpu_destroy(struct vcpu *v);
void spt_reset(struct vcpu *v);

/* ---- windows in and out of use (spt_allocate.c); owner ---- */
/* The window that the context shares, or one of its own, out of those that are free or had to go;
 * NULL: all are in use right now, or lost. */
struct window *spt_privileged_window(struct vcpu *v, const struct context *c);
struct window *spt_user_window(struct vcpu *v, const struct context *c);
/* Out of use: no context refers to it, nothing runs in it. It can be allocated again when its tag
 * is 0, which may be later. */
void spt_retire(struct vcpu *v, struct window *w);
/* Does DACR give the pages in the window other rights in this context than in the one before? */
bool spt_rights_differ(const struct window *w, const struct context *c);
/* From now on each DACR value has a privileged window of its own. */
void spt_split_by_dacr(struct vcpu *v);

/* ---- choice (spt_select.c); owner but for spt_tlbi() and spt_protect_page() ---- */
/* The current context changed, or user mode was entered: choose windows, set win_base. */
void spt_select(struct vcpu *v);
/* Can the context become current without another choice of windows? If so, it has been made. */
bool spt_stays(struct vcpu *v, const struct context *to);
/* Is the context's user window the one that user code would run in now? */
bool spt_runs_in(const struct vcpu *v, const struct context *c);
/* Has the current context a user window? One that is due is given to it now. */
bool spt_has_user_window(struct vcpu *v);
/* exec_flags follow what the tiers chose; where no generated code is up the stack. */
void spt_apply_tier(struct vcpu *v);
/* What whole-window maintenance asked of the current windows is done when this returns. */
void spt_clean_current(struct vcpu *v);
/* Drop what a fresh walk of the owner would not give; pages dropped (spt_revalidate.c). */
unsigned spt_revalidate_locked(struct vcpu *v, struct window *w, bool privileged);
/* The context does without its user window, also when that is current. */
void spt_give_up_window(struct vcpu *v, struct context *c);
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

/*
 * Fill the page in the current window of this privilege, as for a read, if the guest's tables map
 * it and nothing is there yet; true when it did.
 */
bool spt_fill_page(struct vcpu *v, gva_t gva, bool privileged);

/* ---- pages not worth a window (churn.c); owner ---- */
void churn_note_drop(struct vcpu *v, gva_t gva);
bool churn_refuses(struct vcpu *v, gva_t gva);  /* accesses take the soft TLB */
bool churn_forgives(struct vcpu *v, gva_t gva); /* an access proved hot: may it have its page? */

/* ---- -mmu auto (tier.c); owner ---- */
struct tier_prices tier_prices(const struct host_cost *host);
void tier_enter_user(struct vcpu *v);
void tier_leave_user(struct vcpu *v);
void tier_note_fault(struct vcpu *v, bool filled); /* user code took a host fault */

/* ---- prefill (spt_record.c); owner ---- */
int record_create(struct vcpu *v, struct spt_vcpu *s) MUST_CHECK;
void record_destroy(struct vcpu *v, struct spt_vcpu *s);
void record_note(struct vcpu *v, gva_t gva); /* the current context faulted this page in */
void record_replay(struct vcpu *v);          /* the current context has just got a user window */

/* ---- windows out of use (reclaim.c) ---- */
struct reclaimer *reclaim_create(void); /* NULL: no memory */
void reclaim_destroy(struct reclaimer *r);
/* Any vCPU, of its own window that is not current; false: no thread to be had, clear it yourself.
 */
bool reclaim_post(struct reclaimer *r, struct window *w);
/* Windows [first, end) go away: when this returns the reclaimer does not touch them. */
void reclaim_forget(struct reclaimer *r, const struct window *first, const struct window *end);

/* ---- VMA budget (budget.c, I-4) ---- */
#define BUDGET_MIN 64 /* with less, every access evicts what the one before filled */
uint64_t
budget_read_limit(void); /* from vm.max_map_count and what the process has mapped, less headroom */
/* Room for `cost` more VMAs; false: there is none now. */
bool budget_make_room(struct vcpu *v, unsigned cost);
/* Unmap a slice: of the least recently scheduled idle window, else, when it is time for that again,
 * of the largest one; false: neither. */
bool budget_evict(struct vcpu *v);
void budget_warn_once(struct vm *vm);
