/* SPDX-License-Identifier: MIT */
/*
 * Included by payloads that remap pages of code without code maintenance: every frame holds one
 * function for good, and the owners only remap pages from frame to frame, so nothing but the TLB
 * maintenance tells the other CPUs that what they call has changed. They call through loops that
 * branch into the page, where a translator chains its blocks. Parameters as in shootdown.c.
 */
#include "calls.inc.c"

#define FN       0x40u           /* offset of the function in its page */
#define DATA     0xf00u          /* and of the data word */
#define CALLER   (VA + 0xc0000u) /* a page of loops, one for each page */
#define MOVW0(v) (0xe3000000u | ((v)&0xf000u) << 4 | ((v)&0xfffu))
#define BXLR     0xe12fff1eu

static volatile uint32_t hot; /* the page that changed last: half of the calls go there */

static uint32_t value_of(unsigned page, unsigned frame)
{
    return 0x100 + page * 16 + frame;
}

static void write_fn(unsigned page, unsigned frame)
{
    uint32_t *w = (uint32_t *)(pages[page].frame[frame] + FN);
    w[0] = MOVW0(value_of(page, frame));
    w[1] = BXLR;
    code_sync(w, 8);
}

/* r0 = rounds, r1 = the value wanted: how often another one came. */
static void write_caller(uint32_t *w, uint32_t at, uint32_t to)
{
    unsigned i = 0;
    w[i++] = 0xe92d40f0; /* push {r4-r7, lr} */
    w[i++] = 0xe1a04000; /* mov r4, r0 */
    w[i++] = 0xe1a06001; /* mov r6, r1 */
    w[i++] = 0xe3a05000; /* mov r5, #0 */
    unsigned loop = i;
    w[i] = 0xeb000000u | ((to - (at + 4 * i) - 8) >> 2 & 0xffffff); /* bl to */
    i++;
    w[i++] = 0xe1560000; /* cmp r6, r0 */
    w[i++] = 0x12855001; /* addne r5, r5, #1 */
    w[i++] = 0xe2544001; /* subs r4, r4, #1 */
    w[i] = 0x1a000000u | ((uint32_t)((int)loop - (int)i - 2) & 0xffffff);
    i++;
    w[i++] = 0xe1a00005; /* mov r0, r5 */
    w[i++] = 0xe8bd80f0; /* pop {r4-r7, pc} */
}

/* Of the payload: what an owner does with its page. */
static void change(struct page *p, uint32_t r);

static void call_page(unsigned cpu, uint32_t r)
{
    unsigned page = r & 0x40000000 ? hot : r % PAGES;
    call_counting(cpu, page, (const void *)(CALLER + page * 64), 1 + (r >> 8 & 31), r & 0x80);
}

static void worker(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t seed = shoot_seed * 0x85ebca6bu + cpu * 0xc2b2ae35u + 1;
    shoot_enter(cpu);
    while (shoot_time_left()) {
        uint32_t r = rnd(&seed);
        unsigned page = cpu + (r >> 24) % PAGES / shoot_cpus * shoot_cpus;
        for (unsigned i = r & 15; i; i--)
            call_page(cpu, rnd(&seed));
        for (unsigned i = r >> 4 & 3; page < PAGES && i; i--) {
            hot = page;
            change(&pages[page], rnd(&seed));
        }
    }
    shoot_leave();
}

/* all_global: so that privileged code runs from nothing but global pages. */
static void remap_main(bool all_global)
{
    unsigned n = shoot_begin();
    struct page caller = {.va = CALLER, .global = all_global};
    caller.frame[0] = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    for (unsigned i = 0; i < PAGES; i++) {
        pages[i].global |= all_global;
        for (unsigned f = 0; f < FRAMES; f++)
            write_fn(i, f);
        write_caller((uint32_t *)(caller.frame[0] + i * 64), CALLER + i * 64, pages[i].va + FN);
    }
    code_sync(caller.frame[0], PAGE_SIZE);
    shoot_set_entry(&caller, READ_ONLY, 0);
    shoot_enough = calls_enough;
    shoot_run(n, worker);
    calls_report(n, "calls run what the page now maps");
}
