/* SPDX-License-Identifier: MIT */
/*
 * Fault injection, which proves that the stress tests find what they look for (docs/stress.md): a
 * build with UMBRA_FAULT_INJECTION breaks, now and then, the one rule that -inject names. In other
 * builds INJECT() is false and the rest nothing, so a hook costs a reader one condition and the
 * machine nothing.
 *
 * Any thread; no locks. Dice are per thread. inject_parse() runs before other threads exist; with
 * "from=FILE" a thread of ours arms what FILE lists, whenever that changes, so that a guest may
 * boot in peace.
 */
#pragma once

#include "base/types.h"

#include <stdatomic.h>

/*
 * X(identifier, name, default probability, race, the rule that is broken)
 * The probability is that of each occasion, chosen such that a guest gets far enough to be hurt.
 * race: 1 where a race must be lost first; INJECT_MEET() then sleeps now and then where it is run.
 */
#define INJECT_FAULTS(X)                                                                           \
    /* TLB maintenance of another vCPU: src/mmu/tlbi.c, requests.c */                              \
    X(SKIP_REMOTE_DROP, "skip-remote-drop", 0.05, 0, "pages leave the windows of other vCPUs")     \
    X(SKIP_GENERATION_STEP, "skip-generation-step", 0.5, 1, "maintenance advances the generation") \
    X(SKIP_REQUEST, "skip-request", 0.05, 0, "who may have cached the entry is asked to drop it")  \
    X(LOSE_KICK, "lose-kick", 0.05, 0, "a request sets the poll bit")                              \
    X(NO_DSB_WAIT, "no-dsb-wait", 0.5, 1, "DSB waits for what was asked of others")                \
    X(BUSY_WAIT, "busy-wait", 1, 1, "who waits at its DSB is quiescent")                           \
    X(ACK_BEFORE_DROP, "ack-before-drop", 0.05, 0,                                                 \
      "a request is acknowledged after it was served")                                             \
    X(SKIP_OVERFLOW, "skip-overflow", 1, 0, "a full queue stands for everything")                  \
    X(DROP_WRONG_ASID, "drop-wrong-asid", 0.05, 0, "maintenance by ASID names the right one")      \
    X(SKIP_SERVE, "skip-serve", 0.05, 0, "a quiescent vCPU serves requests before it goes on")     \
    X(SERVE_IN_FLIGHT, "serve-in-flight", 0.05, 1,                                                 \
      "nothing is served between a translation and its use")                                       \
    X(STAY_IN_BLOCKS, "stay-in-blocks", 1, 1, "who served requests in a wait leaves its blocks")   \
    X(FORGET_UNDER_CODE, "forget-under-code", 1, 0, "what running code came from stays noted")     \
    /* entries in the making, and their end: src/mmu/softtlb.c, spt_fill.c, seen.c */              \
    X(SKIP_GENERATION_CHECK, "skip-generation-check", 0.5, 1,                                      \
      "a fill looks at the generation again")                                                      \
    X(SKIP_GENERATION_SOFT, "skip-generation-soft", 0.5, 1,                                        \
      "a soft-TLB miss looks at the generation again")                                             \
    X(SKIP_NOTE, "skip-note", 0.05, 1, "what is cached was noted before")                          \
    X(FORGET_CURRENT_ASID, "forget-current-asid", 1, 1,                                          \
      "the current ASID is noted all the time")                                                    \
    X(MISS_SOFTTLB, "miss-softtlb", 0.05, 0, "maintenance drops soft-TLB entries")                 \
    X(DROP_ONE_BANK, "drop-one-bank", 0.5, 0, "a page leaves both banks of the soft TLB")          \
    X(SKIP_ASID_NOTE, "skip-asid-note", 0.5, 0, "a switch notes its ASID before it walks")         \
    X(MISS_JUMP_CACHE, "miss-jump-cache", 0.2, 0, "maintenance drops jump-cache entries")          \
    X(ALL_GLOBAL, "all-global", 1, 0,                                                              \
      "kernel classes share what is cached of global pages only")                                  \
    X(KEEP_CLASS, "keep-class", 1, 0,                                                              \
      "a kernel class is kept over maintenance of all if a walk gives the same")                   \
    X(CLASS_UNNOTED, "class-unnoted", 1, 0, "what a kept class came from is noted again")          \
    X(ADOPT_ANY_PAGE, "adopt-any-page", 1, 0,                                                      \
      "a jump-cache entry of another context is adopted only for the same page")                   \
    X(KEEP_JUMP_CACHE, "keep-jump-cache", 1, 0, "a flush advances the jump cache's generation")    \
    X(MISS_FETCH_CACHE, "miss-fetch-cache", 1, 0, "maintenance drops fetch-cache entries")         \
    X(MISS_LEAF, "miss-leaf", 0.5, 0, "maintenance by address drops the whole leaf")               \
    /* windows: src/mmu/spt_tlbi.c, spt_allocate.c, spt_select.c */                              \
    X(SKIP_STALE_MARK, "skip-stale-mark", 0.2, 0,                                                  \
      "maintenance by ASID or all marks windows stale")                                            \
    X(SKIP_STALE_LOOK, "skip-stale-look", 1, 0, "a window is looked at when it becomes current")   \
    X(SKIP_REVALIDATE, "skip-revalidate", 0.2, 0, "a stale window is cleaned before it is used")   \
    X(KEEP_WRITABLE, "keep-writable", 0.5, 0,                                                      \
      "maintenance takes write access from what became read-only")                                 \
    X(KEEP_RETIRED, "keep-retired", 1, 0,                                                          \
      "a window is cleared before it is used for another space")                                   \
    X(FREE_UNCLEARED, "free-uncleared", 1, 0, "a retired window is free after it is empty")        \
    X(ADOPT_KEEPS_NONGLOBAL, "adopt-keeps-nonglobal", 0.5, 0,                                      \
      "another address space's pages leave a privileged window")                                   \
    X(KEEP_DOMAIN, "keep-domain", 1, 0,                                                            \
      "a change of DACR splits privileged windows when it concerns them")                          \
    X(SPLIT_LEAF_MARKS, "split-leaf-marks", 1, 0,                                                  \
      "marks of a leaf larger than a region go all together")                                      \
    X(KEEP_MAPPING, "keep-mapping", 0.02, 0, "a page without a record is unmapped on the host")    \
    /* code pages: src/mmu/codepages.c, src/tcg */                                                 \
    X(STALE_CODE, "stale-code", 0.2, 0, "a written code page is queued at who runs it")            \
    X(SKIP_WRITER_BIT, "skip-writer-bit", 0.5, 0, "who may write unseen is known by its page")     \
    X(SKIP_WRITER_STOP, "skip-writer-stop", 0.5, 0, "soft-TLB writers stop before code is read")   \
    X(SKIP_WRITE_PROTECT, "skip-write-protect", 0.5, 0,                                            \
      "writers through windows stop before code is read")                                          \
    X(SKIP_OWN_DRAIN, "skip-own-drain", 0.2, 0, "cache maintenance drops the own stale code")      \
    X(SKIP_CODE_REQUEST, "skip-code-request", 0.5, 0, "cache maintenance asks the other vCPUs")    \
    X(SKIP_EPOCH_CHECK, "skip-epoch-check", 1, 1,                                                  \
      "a translation starts over when its page changed")                                           \
    X(LINK_TO_CROSSING, "link-to-crossing", 1, 0,                                                  \
      "a block that ends in another page is not linked to")                                        \
    X(LINK_ACROSS_PAGES, "link-across-pages", 1, 1, "blocks are linked within one page only")      \
    X(KEEP_INCOMING, "keep-incoming", 0.2, 0,                                                      \
      "jumps into what the code cache evicts are unlinked")                                        \
    X(KEEP_EVICTED, "keep-evicted", 1, 0, "what the code cache evicts leaves the jump cache")      \
    X(SKIP_FP_NEED, "skip-fp-need", 0.5, 0, "blocks with VFP look whether it is enabled")          \
    X(SKIP_DMA_MARK, "skip-dma-mark", 0.2, 0, "what a device writes is known as written")          \
    /* memory order and exclusives: src/tcg/x64, src/vcpu/exclusive.c */                           \
    X(NO_FENCE, "no-fence", 1, 0, "DMB and DSB order a store before a load")                       \
    X(PLAIN_CAS, "plain-cas", 1, 0, "a store-exclusive compares the version")                      \
    X(BLIND_STORE, "blind-store", 1, 0, "a store-exclusive compares the value")                    \
    X(SKIP_VERSION_STEP, "skip-version-step", 1, 0, "an exclusive store advances the version")     \
    X(UNMARKED_ATOMIC, "unmarked-atomic", 1, 0, "an atomic operation advances the version")        \
    /* interrupts and sleep: src/vcpu/vcpu_kick.c, arm_timer.c, src/dev/gic_dist.c */              \
    X(LOSE_IPI, "lose-ipi", 0.002, 0, "a software-generated interrupt arrives")                    \
    X(LOSE_WAKEUP, "lose-wakeup", 0.05, 0, "a line that rises wakes or kicks its vCPU")            \
    X(SLEEP_BLINDLY, "sleep-blindly", 0.2, 1, "a sleeper looks for its reasons once more")         \
    X(LOSE_EVENT, "lose-event", 0.05, 0,                                                           \
      "SEV ends the WFE of others") /* and no clock does, now and then */                          \
    X(LOSE_TIMER, "lose-timer", 0.02, 0, "a timer that expires raises its line")                   \
    X(LOSE_POWER_ON, "lose-power-on", 0.2, 0, "CPU_ON starts the CPU it names")                    \
    /* src/vm_pause.c */                                                                           \
    X(PAUSE_AT_ONCE, "pause-at-once", 0.05, 0, "who pauses waits until all are parked")            \
    /* src/base/rcu.c */                                                                           \
    X(SKIP_GRACE_WAIT, "skip-grace-wait", 0.05, 0, "who waits for readers waits for all of them")  \
    X(FREE_AT_ONCE, "free-at-once", 0.05, 0, "what readers may see is freed after they left")      \
    /* no fault: random yields and short sleeps wherever threads meet */                           \
    X(PERTURB, "perturb", 0.01, 0, NULL)                                                           \
    /* no fault either: the host may refuse a mapping at any time (mmu/window_host.c) */           \
    X(MMAP_ENOMEM, "mmap-enomem", 0.02, 0, NULL)                                                   \
    /* nor this: which passages of INJECT_MEET() followed each other is counted */                 \
    X(COVERAGE, "coverage", 1, 0, NULL)

/*
 * X(identifier, name, argument): where threads meet. Each is a step of an argument in
 * docs/concurrency.md, and named for what has just happened; what another thread does before the
 * next step is what the argument is about.
 */
#define INJECT_POINTS(X)                      \
    X(STEPPED, "stepped", "tlb")              \
    X(DROPPED, "dropped", "tlb")              \
    X(MARKED, "marked-stale", "tlb")          \
    X(POSTED, "posted", "tlb")                \
    X(WAITING, "waiting-at-dsb", "tlb")       \
    X(ENTERED, "entered", "tlb")              \
    X(SERVING, "serving", "tlb")              \
    X(SERVED, "served", "tlb")                \
    X(FORGOT, "forgot-notes", "tlb")          \
    X(SOFT_WALKED, "soft-walked", "tlb")      \
    X(SOFT_CHECKED, "soft-checked", "tlb")    \
    X(LOCATED, "located", "tlb")              \
    X(CLASS_WALKED, "class-walked", "tlb")    \
    X(FILL_WALKED, "fill-walked", "tlb")      \
    X(FILL_RECORDED, "fill-recorded", "tlb")  \
    X(FILL_CHECKED, "fill-checked", "tlb")    \
    X(CURRENT, "made-current", "tlb")         \
    X(UNMARKED, "took-stale-mark", "tlb")     \
    X(REWALKED, "revalidation-walked", "tlb") \
    X(RETIRED, "retired", "tlb")              \
    X(EVICTING, "evicting", "tlb")            \
    X(LINKING, "looked-up-for-link", "code")  \
    X(WRITTEN, "page-dirtied", "code")        \
    X(WATCHED, "page-watched", "code")        \
    X(UNWRITABLE, "writers-stopped", "code")  \
    X(DRAINING, "draining", "code")           \
    X(TRANSLATED, "translated", "code")       \
    X(EXCL_READ, "read-version", "exclusive") \
    X(EXCL_LOCKED, "locked", "exclusive")     \
    X(DOZING, "about-to-halt", "sleep")       \
    X(HALTED, "halted", "sleep")              \
    X(RAISED, "line-raised", "sleep")         \
    X(SENT, "event-sent", "sleep")

enum inject_point {
#define X(id, name, argument) INJECT_AT_##id,
    INJECT_POINTS(X)
#undef X
        INJECT_POINT_COUNT
};

enum inject_fault {
#define X(id, name, probability, race, rule) INJECT_##id,
    INJECT_FAULTS(X)
#undef X
        INJECT_FAULT_COUNT
};

#if UMBRA_FAULT_INJECTION
extern _Atomic bool inject_any; /* one of them is armed */
extern _Atomic bool inject_armed[INJECT_FAULT_COUNT];
bool inject_strikes(enum inject_fault f);
void inject_meet(enum inject_point at);
/* "NAME[:PROBABILITY][,...][,seed=N]", or "from=FILE"; reports its own errors. */
int inject_parse(const char *list) MUST_CHECK;

#define INJECT_ANY() __builtin_expect(atomic_load_explicit(&inject_any, memory_order_relaxed), 0)
/* Is the rule to be broken this time? */
#define INJECT(id)                                                                              \
    (INJECT_ANY() &&                                                                            \
     atomic_load_explicit(&inject_armed[INJECT_##id], memory_order_relaxed) &&                  \
     inject_strikes(INJECT_##id))
/* Threads meet here: what happens in between is part of an argument in docs/concurrency.md. */
#define INJECT_MEET(id)                  \
    do {                                 \
        if (INJECT_ANY())                \
            inject_meet(INJECT_AT_##id); \
    } while (0)
#else
#define INJECT(id)      false
#define INJECT_MEET(id) ((void)0)
#endif
