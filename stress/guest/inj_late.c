/* SPDX-License-Identifier: MIT */
/*
 * Accesses that are under way when another CPU's maintenance completes.  CPU 0 moves one page from
 * frame to frame, and poisons the old frame as soon as its DSB has completed.  The others do
 * nothing but load from that page: in straight lines of loads, between which an emulator may not
 * look up; by a load right after they dropped the entry themselves, which has to walk the tables;
 * or on both sides of a TLBIALL, over which an emulator may keep what the tables still give.  Each
 * of these styles has its turns and its own page, since what emulators learn of a page is not
 * forgotten.  No load may return poison, and no DSB may wait for a CPU that goes on loading: a
 * reader that has read WATCH times without a change says so.  That is a count of its own work, so
 * that a busy host keeps the alarm back with the reader.  Parameters: seed, ms; LPAE.
 */
#define TIME_MS 1000u
#include "stage.inc.c"

const char payload_name[] = "inj_late";

#define FRAMES  8u
#define POISON  0xdeadu    /* what is mapped is 0 */
#define LINES   64u        /* of loads, or so many that walk, take about as long as a fault: */
#define WALKS   2u         /* some microseconds */
#define WATCH   (1u << 21) /* of these without a change: a second and more of a host's CPU */
#define TURN    32u        /* changes */
/* Of the ways of stage_tlbi() the one that names an address space. */
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
    return (enum style)(changes / TURN % STYLES);
}

static uint32_t va_of(enum style s)
{
    return VA + s * 2 * PAGE_SIZE;
}

/* All words that were loaded, or'd; those up to the fault if there is one. */
extern char late_begin[], late_fault[];
uint32_t late_lines(uint32_t va, uint32_t n);
uint32_t late_walks(uint32_t va, uint32_t n);
uint32_t late_all(uint32_t va, uint32_t n);
__asm__(".pushsection .text.late,\"ax\",%progbits\n .syntax unified\n .arm\n .balign 4\n"
        ".global late_begin, late_fault, late_lines, late_walks, late_all\n"
        ".type late_lines,%function\n .type late_walks,%function\n .type late_all,%function\n"
        "late_begin:\n"
        "late_lines: mov r12, #0\n"
        "1: .rept 28\n ldr r2, [r0]\n orr r12, r12, r2\n .endr\n"
        " subs r1, r1, #1\n bne 1b\n b late_fault\n"
        "late_walks: mov r12, #0\n"
        "2: mcr p15, 0, r0, c8, c7, 3\n dsb\n isb\n" /* TLBIMVAA */
        " ldr r2, [r0]\n orr r12, r12, r2\n"
        " subs r1, r1, #1\n bne 2b\n b late_fault\n"
        "late_all: mov r12, #0\n"
        "3: ldr r2, [r0]\n orr r12, r12, r2\n"
        " mcr p15, 0, r0, c8, c7, 0\n dsb\n isb\n" /* TLBIALL */
        " ldr r2, [r0]\n orr r12, r12, r2\n"
        " subs r1, r1, #1\n bne 3b\n"
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

/* The page stays for a time of any order up to a millisecond, as readers take longer or shorter to
 * come to it. */
static void change(uint32_t *seed)
{
    enum style s = style_now();
    struct page *p = &page[s];
    uint32_t r = rnd(seed), old = p->cur;
    p->cur = (old + 1) % FRAMES;
    stage_unmap(va_of(s));
    stage_invalidate(va_of(s), false, r & 1u << 31 ? BY_ASID : r);
    *p->frame[old] = POISON;
    *p->frame[p->cur] = 0;
    dmb();
    stage_map(va_of(s), (const void *)p->frame[p->cur], 0);
    changes++;
    uint64_t until = now() + (rnd(seed) & ((1u << (r & 256 ? 16 : r >> 9 & 15)) - 1));
    while (now() < until)
        ;
}

static void read(unsigned cpu)
{
    static uint32_t (*const way[])(uint32_t va, uint32_t n) = {late_lines, late_walks, late_all};
    enum style s = style_now();
    if (way[s](va_of(s), s == IN_LINES ? LINES : WALKS))
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
    return changes > STYLES * TURN;
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
