/* SPDX-License-Identifier: MIT */
/*
 * An instruction that crosses into the next page: the first half of a Thumb MOVW lies at the end of
 * a page that stays, the second half, with the constant, at the start of one that the owners remap.
 * A loop in the first page branches to it, so a translator that links blocks of one page must not
 * link to this one. Only TLB maintenance tells of the change. Parameters as in shootdown.c.
 */
#include "calls.inc.c"

const char payload_name[] = "inj_cross";

#define FIRST(p) ((p)->va - PAGE_SIZE) /* the page before; page 0 is not used */
#define ENTRY    0xfe0u                /* of the function, in the first page */
#define MOVW_AT  0xffeu

static uint32_t value_of(unsigned page, unsigned frame)
{
    return 0x10 + page * FRAMES + frame;
}

/* r0 = rounds, r1 = the value wanted: how often another one came. */
static void write_first(uint8_t *frame)
{
    uint16_t *w = (uint16_t *)(frame + ENTRY);
    *w++ = 0xb5f0; /* push {r4-r7, lr} */
    *w++ = 0x0004; /* movs r4, r0 */
    *w++ = 0x000e; /* movs r6, r1 */
    *w++ = 0x2500; /* movs r5, #0 */
    /* loop, at ENTRY + 8: b to MOVW_AT */
    *w = 0xe000 | ((MOVW_AT - (ENTRY + 8) - 4) >> 1);
    *(uint16_t *)(frame + MOVW_AT) = 0xf240; /* movw r0, #..., first half */
    code_sync(frame + ENTRY, PAGE_SIZE - ENTRY);
}

static void write_second(uint8_t *frame, uint32_t value)
{
    uint16_t *w = (uint16_t *)frame;
    w[0] = (uint16_t)value;                                            /* r0, imm8 */
    w[1] = 0x42b0;                                                     /* cmp r0, r6 */
    w[2] = 0xd000;                                                     /* beq over the next */
    w[3] = 0x3501;                                                     /* adds r5, #1 */
    w[4] = 0x3c01;                                                     /* subs r4, #1 */
    w[5] = 0xd000;                                                     /* beq over the next */
    w[6] = 0xe000 | (((ENTRY + 8 - PAGE_SIZE - 12 - 4) >> 1) & 0x7ff); /* b to the loop */
    w[7] = 0x0028;                                                     /* movs r0, r5 */
    w[8] = 0xbdf0;                                                     /* pop {r4-r7, pc} */
    code_sync(frame, 18);
}

static void change(struct page *p, uint32_t r)
{
    if (!unmap_and_choose(p, r))
        return;
    shoot_set_entry(p, READ_ONLY, p->cur);
    shoot_publish(p, READ_ONLY);
}

static void call_page(unsigned cpu, uint32_t r)
{
    unsigned page = 1 + r % (PAGES - 1);
    call_counting(cpu, page, (const void *)(FIRST(&pages[page]) + ENTRY + 1), 1 + (r >> 8 & 63),
                  r & 0x80);
}

static void worker(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t seed = shoot_seed * 0x85ebca6bu + cpu * 0xc2b2ae35u + 1;
    shoot_enter(cpu);
    while (shoot_time_left()) {
        for (unsigned i = 0; i < 16; i++)
            call_page(cpu, rnd(&seed));
        uint32_t r = rnd(&seed);
        unsigned page = (r >> 28) * shoot_cpus + cpu;
        if (page && page < PAGES)
            change(&pages[page], r);
    }
    shoot_leave();
}

void payload_main(void)
{
    unsigned n = shoot_begin();
    for (unsigned i = 1; i < PAGES; i++) {
        struct page first = {.va = FIRST(&pages[i])};
        first.frame[0] = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        write_first(first.frame[0]);
        shoot_set_entry(&first, READ_ONLY, 0);
        for (unsigned f = 0; f < FRAMES; f++)
            write_second(pages[i].frame[f], value_of(i, f));
    }
    shoot_enough = calls_enough;
    shoot_run(n, worker);
    calls_report(n, "the constant is the mapped one");
}
