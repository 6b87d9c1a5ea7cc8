/* SPDX-License-Identifier: MIT */
/*
 * One physical page through several virtual ones, and what is built on exclusives: counters of
 * mixed sizes through a different alias on each CPU; stores seen at once through another alias;
 * code written through one alias and executed through another; an exclusive pair while the page
 * under it moves to other memory; ticket and MCS locks; a queue (Michael and Scott's, with LL/SC in
 * place of counted pointers) whose few nodes come back at once, so that a STREX that only compares
 * values corrupts it. Parameters: seed, ms; LPAE.  Arm ARM A3.4.1, B3.11 (caches), A3.8.
 */
#include "lib/excl.h"
#include "stage.inc.c"

const char payload_name[] = "aliases";

#define ALIASES     4u
#define ALIAS_VA(i) (VA + (i)*0x300000u + (i)*PAGE_SIZE) /* far apart, other low bits */
#define EXEC_VA(i)  (VA + 0x100000u + (i)*PAGE_SIZE)
#define MOVING_VA   (VA + 0x200000u)
#define POISON      0xdead0000u
#define WIDE        0x0000000580000003ull /* carries into the upper word */

enum {
    BAD_OWN,
    BAD_OTHER,
    BAD_CODE,
    BAD_CAUSE,
    BAD_FRAME,
    BAD_TICKET,
    BAD_MCS,
    BAD_FIFO,
    BAD_QUEUE,
    VERDICTS,
    ADDS = VERDICTS,
    MESSAGES,
    CALLS,
    MOVED_ADDS,
    MOVES,
    TICKETS,
    MCS_LOCKS,
    ITEMS,
    ALL
};
static const char *const names[ALL] = {
    "a store is read back through every alias",
    "what another CPU stored is read through every alias",
    "code written through an alias runs in another",
    "only the moving page aborts",
    "no store into the memory a page has left",
    "a ticket lock lets in one at a time",
    "an MCS lock lets in one at a time",
    "a queue is first in, first out for each producer",
    "a queue loses nothing and invents nothing",
    "exclusive additions through aliases",
    "messages",
    "calls of new code",
    "exclusive additions to a moving page",
    "moves",
    "passages through the ticket lock",
    "passages through the MCS lock",
    "items through the queue",
};

static struct shared { /* the physical page */
    volatile uint64_t d;
    volatile uint32_t w, mixed;
    volatile uint16_t h[2];
    volatile uint8_t b[4];
    volatile uint32_t line[MAX_CPUS][16] __attribute__((aligned(64)));
} * page;

static struct shared *alias(unsigned cpu)
{
    return (struct shared *)ALIAS_VA(cpu % ALIASES);
}

/* --- counters, one kind of access after the other, each through the CPU's own aliases --- */
static volatile uint32_t rounds[MAX_CPUS];

static bool added_enough(void)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < stage_cpus; i++)
        sum += rounds[i];
    return sum > 2;
}

static void counters_worker(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t i = 0;
    stage_enter(cpu);
    stage_meet();
    for (; stage_time_left(); i++) {
        struct shared *a = alias(cpu + i), *b = alias(cpu + i / 4 + 1);
        for (unsigned k = 0; k < 8; k++) {
            excl_add_w(&a->w, 1);
            excl_add_d(&b->d, WIDE);
            excl_add_b(&b->b[k & 3], 1);
            excl_add_h(&a->h[k & 1], 1);
            /* bits 31:16 as a word, byte 0 as a byte, of one word */
            k & 1 ? excl_add_w(&a->mixed, 0x10000) : excl_add_b((volatile uint8_t *)&b->mixed, 1);
        }
        rounds[cpu] = i + 1;
    }
    counters[cpu].n[ADDS] += i * 40;
    stage_meet();
    stage_leave();
}

static void test_counters(void)
{
    struct matrix m = {.name = "counters of all sizes through aliases"};
    uint32_t n = 0;
    memset(page, 0, PAGE_SIZE);
    stage_enough = added_enough;
    stage_run(counters_worker, NULL, 1, 8);
    for (unsigned i = 0; i < stage_cpus; i++)
        n += rounds[i];
    case_eq(&m, page->w, n * 8, "word");
    case_eq(&m, page->d == (uint64_t)n * 8 * WIDE, 1, "doubleword");
    for (unsigned i = 0; i < 4; i++)
        case_eq(&m, page->b[i], n * 2 & 0xff, "byte");
    for (unsigned i = 0; i < 2; i++)
        case_eq(&m, page->h[i], n * 4 & 0xffff, "halfword");
    case_eq(&m, page->mixed, (n * 4) << 16 | (n * 4 & 0xff), "word and byte of one word");
    matrix_end(&m);
}

/* --- data and code: the owner of a line writes, everybody reads --- */
static volatile uint32_t code_seq[MAX_CPUS]; /* even: stable */
static uint8_t *code[MAX_CPUS];              /* written through the flat map, an alias of its own */

static void rewrite_code(unsigned cpu, uint32_t r)
{
    uint32_t seq = code_seq[cpu], value = (seq + 2) & 0xffff;
    volatile uint32_t *w = (volatile uint32_t *)code[cpu];
    code_seq[cpu] = seq + 1;
    dmb();
    /* movw r0, #value; bx lr: nobody runs it now (see call_code()) */
    w[0] = 0xe3000000u | (value & 0xf000u) << 4 | (value & 0xfffu);
    do_dccmvau((uint32_t)w);
    dsb();
    if (r & 1)
        do_icialluis(0);
    else
        do_icimvau(r & 2 ? EXEC_VA(cpu) : (uint32_t)w);
    do_bpiallis(0);
    dsb();
    isb();
    code_seq[cpu] = seq + 2;
}

/*
 * A word that is being changed must not be executed (A3.5.4), so readers and the writer exclude
 * each other by a lock; what is tested is that the maintenance reaches the other alias.
 */
static struct spinlock code_lock[MAX_CPUS];

static void call_code(unsigned me, unsigned cpu)
{
    spin_lock(&code_lock[cpu]);
    isb();
    uint32_t want = code_seq[cpu] & 0xffff;
    enum trap_kind t = me & 1 ? catch_user((const void *)EXEC_VA(cpu), 0, 0, 0)
                              : catch_call((const void *)EXEC_VA(cpu), 0, 0, 0);
    if (t != TRAP_NONE || this_cpu()->result != want)
        count(me, BAD_CODE);
    spin_unlock(&code_lock[cpu]);
    count(me, CALLS);
}

static void coherence_worker(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t seed = stage_seed * 0x9e3779b9u + cpu * 0x7f4a7c15u + 1;
    uint32_t seen[MAX_CPUS] = {0}, mine = 0;
    stage_enter(cpu);
    stage_meet();
    while (stage_time_left()) {
        for (unsigned i = 0; i < 8; i++) {
            uint32_t r = rnd(&seed);
            mine++;
            alias(r)->line[cpu][1] = ~mine;
            dmb();
            alias(r >> 2)->line[cpu][0] = mine;
            if (alias(r >> 4)->line[cpu][0] != mine || alias(r >> 6)->line[cpu][1] != ~mine)
                count(cpu, BAD_OWN);
            /* never older than what was seen, and the second word never older than the first */
            unsigned from = (r >> 8) % stage_cpus;
            uint32_t first = alias(r >> 12)->line[from][0];
            dmb();
            uint32_t second = ~alias(r >> 14)->line[from][1];
            if ((first && (int32_t)(first - seen[from]) < 0) ||
                (first && (int32_t)(second - first) < 0))
                count(cpu, BAD_OTHER);
            seen[from] = first;
            count(cpu, MESSAGES);
        }
        uint32_t r = rnd(&seed);
        spin_lock(&code_lock[cpu]);
        rewrite_code(cpu, r);
        spin_unlock(&code_lock[cpu]);
        for (unsigned i = 0; i < 4; i++)
            call_code(cpu, (r >> (4 + 3 * i)) % stage_cpus);
    }
    stage_meet();
    stage_leave();
}

/* --- exclusives while the page moves --- */
static struct {
    uint8_t *frame[2];
    unsigned cur;
} moving;
static volatile uint32_t added[MAX_CPUS], moves_done;

/* ldrex/strex on [r0] r1 times; an abort starts the pair again (the vectors execute CLREX). */
extern char moving_add[], moving_pair[], moving_end[];
__asm__(".pushsection .text.try,\"ax\",%progbits\n .syntax unified\n .arm\n .balign 4\n"
        ".global moving_add, moving_pair, moving_end\n"
        "moving_add:\n"
        "moving_pair: ldrex r2, [r0]\n add r2, r2, #1\n strex r3, r2, [r0]\n"
        "moving_end: cmp r3, #0\n bne moving_pair\n subs r1, r1, #1\n bne moving_pair\n bx lr\n"
        " .popsection\n");

static bool again(struct cpu *cpu, struct regs *r)
{
    if (r->kind != TRAP_DABT || r->pc < (uint32_t)moving_pair || r->pc >= (uint32_t)moving_end)
        return false;
    if (read_dfar() != MOVING_VA)
        count(cpu->index, BAD_CAUSE);
    r->pc = (uint32_t)moving_pair;
    return true;
}

static void move(unsigned cpu, uint32_t r)
{
    volatile uint32_t *old = (uint32_t *)moving.frame[moving.cur];
    volatile uint32_t *new = (uint32_t *)moving.frame[moving.cur ^ 1];
    stage_unmap(MOVING_VA);
    stage_invalidate(MOVING_VA, false, r);
    uint32_t v = *old;
    if (*new != POISON)
        count(cpu, BAD_FRAME);
    *new = v;
    *old = POISON;
    moving.cur ^= 1;
    dmb();
    stage_map(MOVING_VA, moving.frame[moving.cur], 0);
    count(cpu, MOVES);
}

static void moving_worker(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t seed = stage_seed * 0x2545f491u + cpu * 0x9e3779b9u + 1;
    stage_enter(cpu);
    this_cpu()->hook = again;
    added[cpu] = 0;
    stage_meet();
    while (stage_time_left()) {
        if (cpu == 0 && stage_cpus > 1) {
            move(cpu, rnd(&seed));
            for (volatile uint32_t i = rnd(&seed) & 0x3fff; i; i--)
                ;
            continue;
        }
        uint32_t n = 1 + (rnd(&seed) & 63);
        if (n & 1)
            catch_user(moving_add, MOVING_VA, n, 0);
        else
            catch_call(moving_add, MOVING_VA, n, 0);
        added[cpu] += n;
    }
    counters[cpu].n[MOVED_ADDS] += added[cpu];
    stage_meet();
    this_cpu()->hook = NULL;
    stage_leave();
}

static bool moved_enough(void)
{
    return stage_total(MOVES) > 0;
}

static void test_moving(void)
{
    uint32_t sum = 0;
    for (unsigned f = 0; f < 2; f++) {
        moving.frame[f] = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        store32((uint32_t)moving.frame[f], f ? POISON : 0);
    }
    stage_map(MOVING_VA, moving.frame[0], 0);
    stage_enough = stage_cpus > 1 ? moved_enough : NULL;
    stage_run(moving_worker, NULL, 2, 8);
    for (unsigned i = 0; i < stage_cpus; i++)
        sum += added[i];
    tap_eq(load32((uint32_t)moving.frame[moving.cur]), sum,
           "no exclusive addition is lost while the page moves");
    if (load32((uint32_t)moving.frame[moving.cur ^ 1]) != POISON)
        count(0, BAD_FRAME);
}

#include "locks.inc.c"

void payload_main(void)
{
    stage_setup(smp_start(MAX_CPUS));
    page = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    for (unsigned i = 0; i < ALIASES; i++)
        stage_map(ALIAS_VA(i), page, i & 1 ? ST_GLOBAL | ST_XN : ST_XN);
    for (unsigned i = 0; i < stage_cpus; i++) {
        code[i] = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        code_returning(code[i], 0);
        stage_map(EXEC_VA(i), code[i], ST_RO | (i & 1 ? ST_GLOBAL : 0));
    }
    test_counters();
    memset(page, 0, PAGE_SIZE);
    stage_enough = NULL;
    stage_run(coherence_worker, NULL, 2, 8);
    test_moving();
    test_locks();
    tap_ok(added_enough() && moved_enough() && locked_enough(), "the test did something");
    stage_report(names, VERDICTS, ALL);
}
