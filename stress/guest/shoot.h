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
#define TIME_MS 2500u
#endif
#ifndef LPAE
#define LPAE 0
#endif
#ifndef PAGES
#define PAGES 8u
#endif
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

void shoot_setup(unsigned n);         /* CPU 0: tables and frames */
void shoot_enter(unsigned cpu);       /* each CPU: tables, ASID, interrupts */
void shoot_leave(void);               /* back to the flat map */
/* Change the entry and make it so on all CPUs, by a way chosen with the random number. */
void shoot_set_entry(struct page *p, enum kind kind, unsigned frame);
void shoot_invalidate(struct page *p, uint32_t choice);
unsigned shoot_ways(void);
extern volatile uint32_t shoot_count[MAX_CPUS];
