/* SPDX-License-Identifier: MIT */
/*
 * Included by payloads whose functions count, in a loop, how often a page gave another constant
 * than the one it should hold: the call, what the state word leaves of its outcome, the report.
 */
#include "shoot.inc.c"

static struct {
    volatile uint32_t stale, false_fault, missing_fault, calls, strict;
} res[MAX_CPUS];

/* Of the payload: the constant that the page gives in this frame. */
static uint32_t value_of(unsigned page, unsigned frame);

/* fn(n, want) returns how often another constant came. */
static void call_counting(unsigned cpu, unsigned page, const void *fn, uint32_t n, bool user)
{
    struct page *p = &pages[page];
    uint32_t s1 = p->state;
    dmb();
    uint32_t want = value_of(page, p->cur);
    isb();
    enum trap_kind k = user ? catch_user(fn, n, want, 0) : catch_call(fn, n, want, 0);
    uint32_t wrong = this_cpu()->result;
    dmb();
    res[cpu].calls++;
    if (p->state != s1 || (s1 & CHANGING))
        return;
    res[cpu].strict++;
    if (STATE_KIND(s1) == UNMAPPED)
        res[cpu].missing_fault += k == TRAP_NONE;
    else if (k != TRAP_NONE)
        res[cpu].false_fault++;
    else
        res[cpu].stale += wrong != 0;
}

/* Unmapped first, then nothing or another frame; true: mapped is due, in p->cur. */
static bool unmap_and_choose(struct page *p, uint32_t r)
{
    shoot_change(p);
    if (STATE_KIND(p->state) != UNMAPPED) {
        shoot_set_entry(p, UNMAPPED, 0);
        shoot_invalidate(p, r >> 8);
    }
    if ((r & 7) == 0) {
        shoot_publish(p, UNMAPPED);
        return false;
    }
    p->cur = (p->cur + 1 + (r >> 4 & 1)) % FRAMES;
    return true;
}

static void count_calls(uint32_t *calls, uint32_t *strict, uint32_t *changes)
{
    *calls = *strict = *changes = 0;
    for (unsigned i = 0; i < shoot_cpus; i++) {
        *calls += res[i].calls;
        *strict += res[i].strict;
        *changes += shoot_count[i];
    }
}

static bool calls_enough(void)
{
    uint32_t calls, strict, changes;
    count_calls(&calls, &strict, &changes);
    return calls > 100 && strict > 50 && changes > 10;
}

static void calls_report(unsigned n, const char *stale)
{
    uint32_t calls, strict, changes;
    count_calls(&calls, &strict, &changes);
    tap_diag("%u calls (%u with one legal outcome), %u invalidations", (unsigned)calls,
             (unsigned)strict, (unsigned)changes);
    tap_ok(calls_enough(), "the test did something");
    shoot_total(stale, &res[0].stale, sizeof(res[0]), n);
    shoot_total("calls of unmapped pages abort", &res[0].missing_fault, sizeof(res[0]), n);
    shoot_total("calls of mapped pages do not abort", &res[0].false_fault, sizeof(res[0]), n);
}
