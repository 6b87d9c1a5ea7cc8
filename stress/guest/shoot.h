/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the shootdown payloads share (shootdown.c, codeshoot.c): the page table entries of the test
 * pages in both formats, every way to invalidate them on all CPUs, and a state word per page that
 * tells readers when the architecture leaves only one outcome:
 *
 *   owner: state = CHANGING; change the entry; invalidate; DSB; state = stable
 *   user:  s1 = state; DMB; access; DMB; s2 = state; s1 == s2 and stable: the outcome is known
 */
#include "lib/gic.h"
#include "lib/mmu.h"

#ifndef SEED
#define SEED 1u
#endif
#ifndef TIME_MS
#define TIME_MS 1500u
#endif
#ifndef LPAE
#define LPAE 0
#endif
#ifndef PAGES
#define PAGES 8u
#endif
/* Parameters at run time: seed, ms; the macros are their defaults. */
extern uint32_t shoot_seed, shoot_ms;

#define VA 0x80000000u
#define FRAMES 3u /* physical frames per page */
#define ASIDS 2u

enum kind { UNMAPPED, READ_ONLY, READ_WRITE };
#define CHANGING 4u
#define STATE_KIND(s) ((enum kind)((s)&3u))
#define STATE_GEN(s) ((s) >> 3)

struct page {
    volatile uint32_t state; /* gen << 3 | CHANGING | kind */
    uint32_t va;
    uint8_t *frame[FRAMES];
    unsigned cur;
    bool global;
    uint32_t gen;
} __attribute__((aligned(64)));

extern struct page pages[PAGES];
extern unsigned shoot_cpus;

/* CPU 0: start all CPUs, say the parameters, make tables and frames; how many CPUs there are. */
unsigned shoot_begin(void);
/* CPU 0, when the frames are filled: run worker on n CPUs, which begin and end together. */
void shoot_run(unsigned n, void (*worker)(unsigned cpu, void *arg));
bool shoot_time_left(void);
/* Of the payload, or NULL: has it done what its report asks for? On a host that is busy with other
 * work there is time left until then, within bounds. */
extern bool (*shoot_enough)(void);
/* Each CPU: tables, ASID, interrupts, then wait for all; wait for all, then the flat map again. */
void shoot_enter(unsigned cpu);
void shoot_leave(void);
/* The owner's state word: changes begin, and the outcome is known again. */
void shoot_change(struct page *p);
void shoot_publish(struct page *p, enum kind kind);
/* Change the entry and make it so on all CPUs, by a way chosen with the random number. */
void shoot_set_entry(struct page *p, enum kind kind, unsigned frame);
void shoot_invalidate(struct page *p, uint32_t choice);
unsigned shoot_ways(void);
/* Check that a counter, *first of CPU 0 and `stride` bytes on of the next, is 0 on n CPUs. */
void shoot_total(const char *name, const volatile uint32_t *first, size_t stride, unsigned n);
extern volatile uint32_t shoot_count[MAX_CPUS];
