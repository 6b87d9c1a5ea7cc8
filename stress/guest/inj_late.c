/* SPDX-License-Identifier: MIT */
/*
 * Accesses that are under way when another CPU's maintenance completes.  CPU 0 moves one page from
 * frame to frame, and poisons the old frame as soon as its DSB has completed.  The others do
 * nothing but load from that page: in straight lines of loads, between which an emulator may not
 * look up; by a load right after they dropped the entry themselves, which has to walk the tables;
 * or in User mode on both sides of a TLBIALL, over which an emulator may keep what the tables still
 * give.  Each of these styles has its turns and its own page, since what emulators learn of a page
 * is not forgotten.  No load may return poison, and no DSB may wait for a CPU that goes on loading:
 * a reader that has read WATCH times without a change says so.  That is a count of its own work, so
 * that a busy host keeps the alarm back with the reader.  Parameters: seed, ms; LPAE.
 */
#define TIME_MS 1000u
#include "stage.inc.c"

const char payload_name[] = "inj_late";

#define FRAMES  8u
#define POISON  0xdeadu    /* what is mapped is 0 */
#define WATCH   (1u << 21) /* reads without a change: a second and more of a host's CPU */
#define TURN    16u        /* changes */
#define MOST_MS 5u
/* Of the ways of stage_tlbi() the one that names an address space: after TLBIALL an emulator may
 * ask nobody who had no page since, but for the current address space. */
#define BY_ASID 2u

enum style { IN_LINES, WALKING, AROUND_ALL, STYLES };
enum { STALE, VERDICTS, READS = VERDICTS, FAULTS = READS + STYLES, ALL };
static const char *const names[ALL] = {"no load through an old translation", "reads in lines",
                                       "reads that walk", "reads around TLBIALL", "faults"};

static struct page {
    volatile uint32_t *frame[FRAMES];
    unsigned cur;
} page[STYLES];
static volatile uint32_t changes, over;

static enum style style_now(void)
{
    static const enum style turn[] = {IN_LINES, WALKING, AROUND_ALL, AROUND_ALL};
    return turn[changes / TURN % ARRAY_SIZE(turn)];
}

static uint32_t va_of(enum style s)
{
    return VA + s * 2 * PAGE_SIZE;
}

/* All words that were loaded, or'd; those up to the fault if there is one. */
extern char late_begin[], late_fault[];
uint32_t late_lines(uint32_t va, uint32_t n);
uint32_t late_walks(uint32_t va, uint32_t n);
__asm__(".pushsection .text.late,\"ax\",%progbits\n .syntax unified\n .arm\n .balign 4\n"
        ".global late_begin, late_fault, late_lines, late_walks\n"
        ".type late_lines,%function\n .type late_walks,%function\n"
        "late_begin:\n"
        "late_lines: mov r12, #0\n"
        "1: .rept 28\n ldr r2, [r0]\n orr r12, r12, r2\n .endr\n"
        " subs r1, r1, #1\n bne 1b\n b late_fault\n"
        "late_walks: mov r12, #0\n"
        "2: mcr p15, 0, r0, c8, c7, 3\n dsb\n isb\n" /* TLBIMVAA */
        " ldr r2, [r0]\n orr r12, r12, r2\n"
        " subs r1, r1, #1\n bne 2b\n"
        "late_fault: mov r0, r12\n bx lr\n"
        ".popsection\n");

static bool end_at_fault(struct cpu *cpu, struct regs *r)
{
    if (r->kind != TRAP_DABT || r->pc < (uint32_t)late_begin || r->pc >= (uint32_t)late_fault)
        return false;
    count(cpu->index, FAULTS);
    r->pc = (uint32_t)late_fault;
    return true;
}

/* How long a page stays: until somebody has read it, or not, and then for a time of any order up to
 * a millisecond, as readers take longer or shorter for what they do with it. */
static void let_read(enum style s, uint32_t r)
{
    uint32_t before = stage_total(READS + s);
    uint64_t until = now() + MOST_MS * (uint64_t)ticks_per_ms();
    while (r & 1 && stage_total(READS + s) == before && now() < until)
        ;
    until = now() + (r >> 8 & ((1u << (r & 2 ? 16 : r >> 2 & 15)) - 1));
    while (now() < until)
        ;
}

static void change(uint32_t *seed)
{
    enum style s = style_now();
    struct page *p = &page[s];
    uint32_t r = rnd(seed), old = p->cur;
    p->cur = (old + 1) % FRAMES;
    stage_unmap(va_of(s));
    stage_invalidate(va_of(s), false, s == AROUND_ALL ? BY_ASID : r);
    *p->frame[old] = POISON;
    *p->frame[p->cur] = 0;
    dmb();
    stage_map(va_of(s), (const void *)p->frame[p->cur], 0);
    changes++;
    let_read(s, rnd(seed));
}

/* In User mode, since an emulator may treat pages of a kernel that come and go in another way. */
static uint32_t late_around_all(uint32_t va, uint32_t n)
{
    uint32_t got = 0;
    while (n--) {
        do_tlbiall(0);
        dsb();
        isb();
        if (catch_user((const void *)late_lines, va, 1, 0) == TRAP_NONE)
            got |= this_cpu()->result;
    }
    return got;
}

static void read(unsigned cpu)
{
    static uint32_t (*const way[])(uint32_t va, uint32_t n) = {late_lines, late_walks,
                                                               late_around_all};
    /* so often that each style takes about as long as a fault: some microseconds */
    static const uint32_t times[] = {64, 2, 1};
    enum style s = style_now();
    if (way[s](va_of(s), times[s]))
        count(cpu, STALE);
    count(cpu, READS + s);
}

static void read_until_change(unsigned cpu)
{
    uint32_t before = changes;
    for (uint32_t n = 0; changes == before && !over; n++) {
        read(cpu);
        if (n > WATCH)
            bail("CPU 0 waits for CPU %u, which goes on loading", cpu);
    }
}

static bool enough(void)
{
    for (unsigned s = 0; s < STYLES; s++)
        if (stage_total(READS + s) < 20)
            return false;
    return changes > 3 * TURN;
}

static void worker(unsigned cpu, void *arg)
{
    uint32_t seed = stage_seed * 0x9e3779b9u + 1;
    (void)arg;
    stage_enter(cpu);
    this_cpu()->hook = end_at_fault;
    stage_meet();
    if (cpu) {
        while (!over)
            read_until_change(cpu);
    } else {
        while (stage_time_left())
            change(&seed);
        over = 1;
    }
    stage_meet();
    this_cpu()->hook = NULL;
    stage_leave();
}

static void make_page(enum style s)
{
    for (unsigned i = 0; i < FRAMES; i++) {
        page[s].frame[i] = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        *page[s].frame[i] = i ? POISON : 0;
    }
    stage_map(va_of(s), (const void *)page[s].frame[0], 0);
}

void payload_main(void)
{
    stage_setup(smp_start(MAX_CPUS));
    for (unsigned s = 0; s < STYLES; s++)
        make_page((enum style)s);
    stage_enough = enough;
    stage_run(worker, NULL, 1, 1);
    tap_diag("%u changes", (unsigned)changes);
    tap_ok(enough(), "the test did something");
    stage_report(names, VERDICTS, ALL);
}
