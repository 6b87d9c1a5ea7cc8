/* SPDX-License-Identifier: MIT */
/*
 * Code shootdown.  Every CPU owns some pages of code and keeps rewriting and remapping them while
 * all CPUs call into them, singly and from chained loops.  After the maintenance has completed at
 * its DSB the old frame is filled with a poison function: whoever runs it fetched through an old
 * translation or from a stale copy.  State words (shoot.h) tell when a call must return the newest
 * value or must abort; a caller executes an ISB after it has seen the state.  Parameters as in
 * shootdown.c.
 */
#include "shoot.inc.c"

const char payload_name[] = "codeshoot";

#define FN      0x40u /* offset of the function in its page */
#define BAD     0xdeadu
#define MOVW(v) (0xe3000000u | ((v)&0xf000u) << 4 | ((v)&0xfffu))
#define MOVT(v) (0xe3400000u | ((v)&0xf000u) << 4 | ((v)&0xfffu))
#define BXLR    0xe12fff1eu

static struct {
    volatile uint32_t poison, stale, stale_in_place, missing_fault, false_fault, bad_status, torn;
    volatile uint32_t calls, strict, faults, loops, last, want;
} res[MAX_CPUS];

/*
 * A frame holds a branch at FN to one of SLOTS functions behind it, each of which returns its own
 * value.  A branch is what may be changed while others execute it (A3.5.4); everything else in a
 * frame is written while the frame is out of reach.  Written through the flat map.
 */
#define SLOTS 8u
static uint32_t branch_to(unsigned slot)
{
    return 0xea000000u | ((16 + 16 * slot - 8) >> 2);
}

static void write_fn(uint8_t *frame, uint32_t value, unsigned slot)
{
    volatile uint32_t *w = (uint32_t *)(frame + FN);
    w[0] = branch_to(slot);
    for (unsigned i = 0; i < SLOTS; i++) {
        volatile uint32_t *f = w + 4 + 4 * i;
        f[0] = MOVW((value + i) & 0xffff);
        f[1] = MOVT(value >> 16);
        f[2] = BXLR;
    }
    dmb();
    for (uint32_t a = (uint32_t)w; a < (uint32_t)(w + 4 + 4 * SLOTS); a += 32)
        do_dccmvau(a);
}

static void sync_all(uint32_t va, uint32_t way)
{
    do_dccmvau(va);
    dsb();
    if (way & 1)
        for (uint32_t a = va & ~31u; a < va + 16 + 16 * SLOTS; a += 32)
            do_icimvau(a);
    else
        do_icialluis(0);
    do_bpiallis(0);
    dsb();
    isb();
}

/* What a call of the page returns while its state is stable. */
static struct {
    volatile uint32_t value, in_place;
} expect[PAGES];

static void change(unsigned page, uint32_t r)
{
    struct page *p = &pages[page];
    enum kind old = STATE_KIND(p->state), new = (r & 3) == 0 ? UNMAPPED : READ_ONLY;
    uint32_t way = r >> 8;
    shoot_change(p);
    if (old != UNMAPPED && new != UNMAPPED && (r & 16)) {
        /* in place: another slot */
        unsigned slot = (expect[page].value + 1) % SLOTS;
        *(volatile uint32_t *)(p->frame[p->cur] + FN) = branch_to(slot);
        sync_all((uint32_t)p->frame[p->cur] + FN, way);
        expect[page].value = (expect[page].value & ~(SLOTS - 1)) | slot;
        expect[page].in_place = 1;
        shoot_publish(p, new);
        return;
    }
    if (old != UNMAPPED) {
        shoot_set_entry(p, UNMAPPED, 0);
        shoot_invalidate(p, way);
        write_fn(p->frame[p->cur], BAD << 16, 0);
        sync_all((uint32_t)p->frame[p->cur] + FN, way >> 4);
    }
    if (new != UNMAPPED) {
        unsigned f = (p->cur + (r >> 5 & 1)) % FRAMES;
        expect[page].value = page << 16 | (p->gen * SLOTS & 0xffff);
        expect[page].in_place = 0;
        write_fn(p->frame[f], expect[page].value, 0);
        sync_all((uint32_t)p->frame[f] + FN, way >> 5);
        p->cur = f;
        shoot_set_entry(p, READ_ONLY, f);
    }
    shoot_publish(p, new);
}

/* A chained loop at a fixed address: BL to each of four pages, count the poison among the results.
 */
#define CALLER (VA + 0xc0000u)
static void write_caller(uint32_t *w, uint32_t at, unsigned first)
{
    unsigned i = 0;
    w[i++] = 0xe92d40f0; /* push {r4-r7, lr} */
    w[i++] = 0xe1a04000; /* mov r4, r0 */
    w[i++] = 0xe3a05000; /* mov r5, #0 */
    w[i++] = MOVW(BAD) | 6 << 12;
    unsigned loop = i;
    for (unsigned k = 0; k < 4; k++) {
        uint32_t to = pages[(first + k) % PAGES].va + FN;
        w[i] = 0xeb000000u | ((to - (at + 4 * i) - 8) >> 2 & 0xffffff);
        i++;
        w[i++] = 0xe1560820; /* cmp r6, r0, lsr #16 */
        w[i++] = 0x02855001; /* addeq r5, r5, #1 */
    }
    w[i++] = 0xe2544001; /* subs r4, r4, #1 */
    w[i] = 0x1a000000u | ((uint32_t)((int)loop - (int)i - 2) & 0xffffff);
    i++;
    w[i++] = 0xe1a00005; /* mov r0, r5 */
    w[i++] = 0xe8bd80f0; /* pop {r4-r7, pc} */
}

/* What a call that ended in a prefetch abort looked like. */
static void check_abort(unsigned cpu, enum trap_kind k)
{
    struct trap *t = &this_cpu()->trap;
    uint32_t st = LPAE ? t->ifsr & 0x3f : FSR_FS(t->ifsr);
    res[cpu].faults++;
    if (k != TRAP_PABT || st != 7 || t->ifar != t->regs.pc || (t->ifar & 0xfff) - FN > 16 * SLOTS)
        res[cpu].bad_status++;
}

static void call_page(unsigned cpu, uint32_t r)
{
    unsigned page = r % PAGES;
    struct page *p = &pages[page];
    uint32_t s1 = p->state;
    dmb();
    uint32_t want = expect[page].value, in_place = expect[page].in_place;
    isb();
    const void *fn = (const void *)(p->va + FN);
    enum trap_kind k = r & 0x100 ? catch_user(fn, 0, 0, 0) : catch_call(fn, 0, 0, 0);
    uint32_t got = this_cpu()->result;
    dmb();
    uint32_t s2 = p->state;
    res[cpu].calls++;
    if (k != TRAP_NONE)
        check_abort(cpu, k);
    else if (got >> 16 == BAD)
        res[cpu].poison++;
    else if (got >> 16 != page)
        res[cpu].torn++;
    if (s1 != s2 || (s1 & CHANGING))
        return;
    res[cpu].strict++;
    if (STATE_KIND(s1) == UNMAPPED) {
        res[cpu].missing_fault += k == TRAP_NONE;
    } else if (k != TRAP_NONE) {
        res[cpu].false_fault++;
    } else if (got != want) {
        if (in_place)
            res[cpu].stale_in_place++;
        else
            res[cpu].stale++;
        res[cpu].last = got;
        res[cpu].want = want;
    }
}

static void loop(unsigned cpu, uint32_t r)
{
    const void *fn = (const void *)(CALLER + (r % 4) * 256);
    uint32_t n = 1 + (r >> 8 & 511);
    enum trap_kind k = r & 0x40000000 ? catch_user(fn, n, 0, 0) : catch_call(fn, n, 0, 0);
    res[cpu].loops++;
    if (k != TRAP_NONE)
        check_abort(cpu, k);
    else if (this_cpu()->result)
        res[cpu].poison++;
}

static void worker(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t seed = shoot_seed * 0x85ebca6bu + cpu * 0xc2b2ae35u + 1;
    shoot_enter(cpu);
    while (shoot_time_left()) {
        for (unsigned i = 0; i < 8; i++)
            call_page(cpu, rnd(&seed));
        loop(cpu, rnd(&seed));
        uint32_t r = rnd(&seed);
        unsigned page = (r >> 28) * shoot_cpus + cpu;
        if (page < PAGES)
            change(page, r);
    }
    shoot_leave();
}

static bool enough(void)
{
    uint32_t calls = 0, strict = 0, changes = 0;
    for (unsigned i = 0; i < shoot_cpus; i++) {
        calls += res[i].calls;
        strict += res[i].strict;
        changes += shoot_count[i];
    }
    return calls > 100 && strict > 50 && changes > 10;
}

void payload_main(void)
{
    unsigned n = shoot_begin();
    for (unsigned i = 0; i < PAGES; i++) {
        for (unsigned f = 0; f < FRAMES; f++) {
            write_fn(pages[i].frame[f], BAD << 16, 0);
            code_sync(pages[i].frame[f], 256);
        }
    }
    struct page caller = {.va = CALLER};
    caller.frame[0] = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    for (unsigned i = 0; i < 4; i++)
        write_caller((uint32_t *)(caller.frame[0] + i * 256), CALLER + i * 256, i * 3);
    code_sync(caller.frame[0], PAGE_SIZE);
    shoot_set_entry(&caller, READ_ONLY, 0);
    shoot_enough = enough;
    shoot_run(n, worker);
    for (unsigned i = 0; i < n; i++) {
        tap_diag("CPU %u: %u invalidations, %u calls (%u with one legal outcome), %u faults, %u "
                 "loops, last %x for %x",
                 i, (unsigned)shoot_count[i], (unsigned)res[i].calls, (unsigned)res[i].strict,
                 (unsigned)res[i].faults, (unsigned)res[i].loops, (unsigned)res[i].last,
                 (unsigned)res[i].want);
    }
    tap_ok(enough(), "the test did something");
    shoot_total("no fetch through an old translation", &res[0].poison, sizeof res[0], n);
    shoot_total("calls run the newest code after a remap", &res[0].stale, sizeof res[0], n);
    shoot_total("calls run the newest code after a change in place", &res[0].stale_in_place,
                sizeof res[0], n);
    shoot_total("calls of unmapped pages abort", &res[0].missing_fault, sizeof res[0], n);
    shoot_total("calls of mapped pages do not abort", &res[0].false_fault, sizeof res[0], n);
    shoot_total("no mixture of old and new code", &res[0].torn, sizeof res[0], n);
    shoot_total("fault status and address are right", &res[0].bad_status, sizeof res[0], n);
}
