/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The stage of the stress payloads that make their own page tables (perms.c, leaves.c ...): 16 MiB
 * of test addresses in both formats, small pages of any kind in them, every way to invalidate on
 * all CPUs, the cause of an abort, and counters that become verdicts.  The rule for an oracle is
 * that of shoot.h: a state word says when the architecture leaves one outcome only.
 *
 *   owner: state = CHANGING; change the entry; invalidate; DSB; state = stable
 *   user:  s1 = state; DMB; access; DMB; s2 = state; s1 == s2 and stable: the outcome is known
 *
 * Parameters: seed, ms (of a run); LPAE.
 */
#include "lib/gic.h"
#include "lib/mmu.h"
#include "lib/probe.h"

#ifndef SEED
#define SEED 1u
#endif
#ifndef TIME_MS
#define TIME_MS 1500u
#endif
#ifndef LPAE
#define LPAE 0
#endif

#define VA        0x80000000u
#define STAGE_MIB 16u
#define ASIDS     2u

/* What a small page is, besides valid, normal memory, readable and writable for everybody. */
enum {
    ST_RO = 1,
    ST_PRIV = 2,
    ST_XN = 4,
    ST_GLOBAL = 8,
    ST_OLD = 16, /* access flag clear; short descriptors: with SCTLR.AFE */
    ST_DEVICE = 32,
};

extern unsigned stage_cpus;
extern uint32_t *stage_l2[STAGE_MIB];                  /* short: the table of each MiB */
extern uint64_t *stage_ll2, *stage_ll3[STAGE_MIB / 2]; /* long: level 2 from VA on, level 3 */

void stage_setup(unsigned n);   /* CPU 0: tables, distributor */
void stage_enter(unsigned cpu); /* each CPU: tables, ASID; interrupts stay masked */
void stage_leave(void);         /* back to the flat map */
uint32_t stage_asid(unsigned cpu);
void stage_map(uint32_t va, const void *frame, unsigned how); /* entry, DSB, ISB */
void stage_unmap(uint32_t va);
/* The page on all CPUs, by one of the ways the architecture has; waits (DSB, ISB). */
void stage_invalidate(uint32_t va, bool global, uint32_t way);
void stage_tlbi(uint32_t va, bool global, uint32_t way); /* the same without DSB and ISB */

/* Why an access of this CPU was refused, from this_cpu()->trap. */
enum why { WHY_NONE, WHY_TRANS, WHY_AF, WHY_DOMAIN, WHY_PERM, WHY_ALIGN, WHY_OTHER };
enum why stage_why(enum trap_kind k);
uint32_t stage_fault_address(enum trap_kind k);

/* Counters: those below the number of verdicts must stay 0, the others are told. */
#define STAGE_COUNTERS 24u
struct counters {
    volatile uint32_t n[STAGE_COUNTERS];
} __attribute__((aligned(64)));
extern struct counters counters[MAX_CPUS];
static inline void count(unsigned cpu, unsigned what)
{
    counters[cpu].n[what]++;
}
uint32_t stage_total(unsigned what);
void stage_report(const char *const *names, unsigned verdicts, unsigned all);
extern uint32_t stage_seed, stage_ms; /* parameters; known after stage_setup() */
/* Run fn(cpu, arg) on all CPUs for part/parts of stage_ms: stage_time_left() is what it loops on. */
void stage_run(cpu_fn *fn, void *arg, unsigned part, unsigned parts);
bool stage_time_left(void);
/* Of the payload, or NULL: has it done what its report asks for? On a host that is busy with other
 * work there is time left until then, within bounds. */
extern bool (*stage_enough)(void);
/* All CPUs of stage_run() meet. */
void stage_meet(void);

/*
 * In a loop that waits for what must come: gives way, and after PATIENCE_MS without it ends the
 * test. Long gaps between two looks count little, so that a stopped or starved host is no verdict.
 */
#define PATIENCE_MS 30000u
struct patience {
    uint64_t last, waited;
};
void stage_wait(struct patience *p, const char *what, unsigned cpu);
