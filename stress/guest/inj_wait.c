/* SPDX-License-Identifier: MIT */
/*
 * Code that waits for its own TLB maintenance, from a page that others remap: its loop invalidates
 * everything on all CPUs, waits at its DSB, and goes on by direct branches within the page. What an
 * emulator forgets while a CPU waits must not be that this page is being run, or nobody tells it
 * when the page changes. Parameters as in shootdown.c.
 */
#define TIME_MS 1000u
#include "shoot.inc.c"

const char payload_name[] = "inj_wait";

#define FN       0x40u /* offset of the function in its page */
#define VALUE(f) (0x100u + (f))

/* What a page gives: now is 0 while it changes, else a sequence number << 12 and its constant.
 * wrong: rounds in which that stood still and the page gave another constant. */
static struct told {
    volatile uint32_t now, wrong, rounds, seq;
} __attribute__((aligned(64))) told[PAGES];
static volatile uint32_t calls[MAX_CPUS];

/* r0 = rounds, r1 = the page's struct told. Its MOVW gets the constant of the frame. */
extern const uint32_t wait_fn[], wait_fn_value[], wait_fn_end[];
__asm__(".pushsection .rodata\n"
        ".arm\n"
        ".balign 4\n"
        "wait_fn: push {r4-r7, lr}\n"
        "1: mcr p15, 0, r0, c8, c3, 0\n" /* TLBIALLIS */
        "dsb\n"
        "ldr r4, [r1]\n"
        "dmb\n"
        "isb\n"
        "wait_fn_value: movw r5, #0\n"
        "dmb\n"
        "ldr r6, [r1]\n"
        "ubfx r7, r4, #0, #12\n"
        "cmp r7, #0\n"
        "cmpne r7, r5\n"
        "beq 2f\n" /* it changes, or gave what it should */
        "cmp r4, r6\n"
        "ldreq r7, [r1, #4]\n"
        "addeq r7, r7, #1\n"
        "streq r7, [r1, #4]\n"
        "2: ldr r7, [r1, #8]\n"
        "add r7, r7, #1\n"
        "str r7, [r1, #8]\n"
        "subs r0, r0, #1\n"
        "bne 1b\n"
        "pop {r4-r7, pc}\n"
        "wait_fn_end:\n"
        ".popsection\n");

static void write_fn(uint8_t *frame, uint32_t value)
{
    uint32_t *w = (uint32_t *)(frame + FN);
    for (unsigned i = 0; i < (unsigned)(wait_fn_end - wait_fn); i++)
        w[i] = wait_fn[i];
    w[wait_fn_value - wait_fn] |= (value & 0xf000) << 4 | (value & 0xfff);
    code_sync(w, 4 * (size_t)(wait_fn_end - wait_fn));
}

/* By address only: after all else the emulator has to ask whoever runs there. */
static void change(unsigned page, uint32_t r)
{
    static const uint8_t by_address[] = {0, 1, 5};
    struct page *p = &pages[page];
    struct told *t = &told[page];
    t->now = 0;
    dmb();
    shoot_set_entry(p, UNMAPPED, 0);
    shoot_invalidate(p, by_address[r % 3]);
    p->cur = (p->cur + 1 + (r >> 4 & 1)) % FRAMES;
    shoot_set_entry(p, READ_ONLY, p->cur);
    dsb();
    t->seq = (t->seq + 1) & 0xfffff;
    t->now = t->seq << 12 | VALUE(p->cur);
}

static void worker(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t seed = shoot_seed * 0x85ebca6bu + cpu * 0xc2b2ae35u + 1;
    shoot_enter(cpu);
    while (shoot_time_left()) {
        uint32_t r = rnd(&seed);
        unsigned page = r % PAGES;
        /* Its owner may have it unmapped: that ends a call, and is no news. */
        catch_call((const void *)(pages[page].va + FN), 1 + (r >> 8 & 63), (uint32_t)&told[page],
                   0);
        calls[cpu]++;
        for (unsigned i = r >> 16 & 7; i; i--) {
            page = (rnd(&seed) >> 8) % PAGES / shoot_cpus * shoot_cpus + cpu;
            if (page < PAGES)
                change(page, rnd(&seed));
        }
    }
    shoot_leave();
}

static uint32_t total_rounds(void)
{
    uint32_t rounds = 0;
    for (unsigned i = 0; i < PAGES; i++)
        rounds += told[i].rounds;
    return rounds;
}

static uint32_t total_changes(void)
{
    uint32_t changes = 0;
    for (unsigned i = 0; i < shoot_cpus; i++)
        changes += shoot_count[i];
    return changes;
}

static bool enough(void)
{
    return total_rounds() > 100 && total_changes() > 10;
}

void payload_main(void)
{
    unsigned n = shoot_begin();
    uint32_t wrong = 0;
    for (unsigned i = 0; i < PAGES; i++) {
        for (unsigned f = 0; f < FRAMES; f++)
            write_fn(pages[i].frame[f], VALUE(f));
        shoot_set_entry(&pages[i], READ_ONLY, 0);
        told[i].now = VALUE(0);
    }
    shoot_enough = enough;
    shoot_run(n, worker);
    for (unsigned i = 0; i < PAGES; i++)
        wrong += told[i].wrong;
    tap_diag("%u rounds, %u invalidations", (unsigned)total_rounds(), (unsigned)total_changes());
    tap_ok(enough(), "the test did something");
    tap_eq(wrong, 0, "code that waits runs what its page now maps");
}
