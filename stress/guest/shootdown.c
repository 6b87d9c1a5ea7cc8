/* SPDX-License-Identifier: MIT */
/*
 * Data shootdown.  Every CPU owns some pages and keeps changing them (unmap, read-only, read-write,
 * another frame) while all CPUs load and store through all of them.  When the invalidation has
 * completed at its DSB, the old frame is filled with poison: a load that returns poison or a store
 * that damages it went through the old translation.  State words (shoot.h) tell when an access must
 * succeed or must fault.  Parameters: seed, ms; when built PAGES, LPAE.
 */
#include "shoot.inc.c"

const char payload_name[] = "shootdown";

#define WORDS        (PAGE_SIZE / 4)
#define POISON       0xdead0000u
#define IS_POISON(v) ((v) >> 16 == 0xdead)

/* Accesses that may fault: the hook resumes at try_fix, which returns 1. */
extern char try_begin[], try_end[], try_fix[];
uint32_t try_load(uint32_t va, uint32_t *out);
uint32_t try_store(uint32_t va, uint32_t v);
uint32_t try_ldrt(uint32_t va, uint32_t *out);
uint32_t try_strt(uint32_t va, uint32_t v);
/* n rounds over eight words: load, leave with 2 when poison, store increasing values */
uint32_t try_burst(uint32_t va, uint32_t n, uint32_t poison);
uint32_t try_ldm(uint32_t va, uint32_t *out);
__asm__(".pushsection .text.try,\"ax\",%progbits\n .syntax unified\n .arm\n .balign 4\n"
        ".macro FN n\n .global \\n\n .type \\n,%function\n\\n:\n.endm\n"
        ".global try_begin, try_end, try_fix\ntry_begin:\n"
        " FN try_load\n ldr r2, [r0]\n str r2, [r1]\n mov r0, #0\n bx lr\n"
        " FN try_store\n str r1, [r0]\n mov r0, #0\n bx lr\n"
        " FN try_ldrt\n ldrt r2, [r0]\n str r2, [r1]\n mov r0, #0\n bx lr\n"
        " FN try_strt\n strt r1, [r0]\n mov r0, #0\n bx lr\n"
        " FN try_ldm\n mov r12, r0\n ldm r12, {r0, r2, r3}\n stm r1, {r0, r2, r3}\n mov r0, #0\n "
        "bx lr\n"
        " FN try_burst\n"
        "1: ldr r3, [r0, #64]\n cmp r2, r3, lsr #16\n beq 2f\n str r1, [r0, #64]\n"
        " ldr r3, [r0, #256]\n cmp r2, r3, lsr #16\n beq 2f\n str r1, [r0, #256]\n"
        " ldrb r3, [r0, #67]\n strb r1, [r0, #1028]\n ldr r3, [r0, #4092]\n cmp r2, r3, lsr #16\n "
        "beq 2f\n"
        " str r1, [r0, #4092]\n subs r1, r1, #1\n bne 1b\n mov r0, #0\n bx lr\n"
        "2: mov r0, #2\n bx lr\n"
        "try_fix: mov r0, #1\n bx lr\n try_end:\n .popsection\n");

static struct {
    volatile uint32_t stale_load, stale_store, missing_fault, false_fault, wrong_value, ro_changed,
        bad_status;
    volatile uint32_t checks, strict, faults, bursts, last;
} res[MAX_CPUS];

static bool try_hook(struct cpu *cpu, struct regs *r)
{
    uint32_t pc = r->pc;
    if (r->kind != TRAP_DABT || pc < (uint32_t)try_begin || pc >= (uint32_t)try_fix)
        return false;
    uint32_t dfsr = read_dfsr(), st = LPAE ? dfsr & 0x3f : FSR_FS(dfsr);
    bool known = LPAE ? st == 7 || st == 15 : st == FS_TRANS_PAGE || st == FS_PERM_PAGE;
    if (!known || read_dfar() - VA >= PAGES * 3 * PAGE_SIZE)
        res[cpu->index].bad_status++;
    res[cpu->index].faults++;
    r->pc = (uint32_t)try_fix;
    return true;
}

/* --- the owner's side --- */
static uint32_t ro_sum[PAGES];

static void poison_fill(unsigned page, unsigned frame)
{
    volatile uint32_t *w = (uint32_t *)pages[page].frame[frame];
    for (unsigned i = 0; i < WORDS; i++)
        w[i] = POISON | page << 8 | frame;
    dmb();
}

static void poison_check(unsigned page, unsigned frame, unsigned cpu)
{
    volatile uint32_t *w = (uint32_t *)pages[page].frame[frame];
    for (unsigned i = 0; i < WORDS; i++) {
        if (w[i] != (POISON | page << 8 | frame)) {
            res[cpu].stale_store++;
            res[cpu].last = w[i];
            break;
        }
    }
}

static uint32_t checksum(unsigned page)
{
    volatile uint32_t *w = (uint32_t *)pages[page].frame[pages[page].cur];
    uint32_t sum = 0;
    for (unsigned i = 0; i < WORDS; i++)
        sum = (sum << 5 | sum >> 27) ^ w[i];
    return sum;
}

static void set_tag(struct page *p, unsigned frame)
{
    *(volatile uint32_t *)p->frame[frame] = p->gen;
    *(volatile uint32_t *)(p->frame[frame] + 4) = ~p->gen;
    *(volatile uint32_t *)(p->frame[frame] + 8) = p->gen ^ 0x55555555;
}

static void change(unsigned page, unsigned cpu, uint32_t r)
{
    struct page *p = &pages[page];
    enum kind old = STATE_KIND(p->state), new = (enum kind)(r % 3);
    bool move = old == UNMAPPED ? (r >> 4 & 1) : (r >> 4 & 3) == 0;
    uint32_t way = r >> 8;
    if (old == READ_ONLY && checksum(page) != ro_sum[page]) /* nobody could write meanwhile */
        res[cpu].ro_changed++;
    shoot_change(p);
    if (old == UNMAPPED) {
        poison_check(page, p->cur, cpu);
    } else if (move || new == UNMAPPED) {
        /* break: after the DSB the old frame is out of reach */
        shoot_set_entry(p, UNMAPPED, 0);
        shoot_invalidate(p, way);
        poison_fill(page, p->cur);
        old = UNMAPPED;
    }
    if (new != UNMAPPED) {
        if (old == UNMAPPED) {
            unsigned f = move ? (p->cur + 1) % FRAMES : p->cur;
            memset(p->frame[f] + 12, 0, PAGE_SIZE - 12);
            set_tag(p, f);
            p->cur = f;
            dmb();
            shoot_set_entry(p, new, f); /* from invalid: no maintenance */
        } else {
            set_tag(p, p->cur);
            shoot_set_entry(p, new, p->cur);
            shoot_invalidate(p, way);
        }
        if (new == READ_ONLY)
            ro_sum[page] = checksum(page);
    }
    shoot_publish(p, new);
    /* frames that are not mapped hold poison from their last use on */
    for (unsigned f = 0; f < FRAMES; f++)
        if (f != p->cur)
            poison_check(page, f, cpu);
}

/* --- everybody's side --- */
static void access_page(unsigned cpu, uint32_t r)
{
    struct page *p = &pages[r % PAGES];
    uint32_t out[3] = {0, 0, 0};
    unsigned op = r >> 8 & 7;
    bool store = op >= 5;
    uint32_t s1 = p->state;
    dmb();
    uint32_t fault;
    switch (op) {
    case 0:
    case 1:
        fault = try_load(p->va, out);
        break;
    case 2:
        fault = try_ldrt(p->va, out);
        break;
    case 3:
    case 4:
        fault = try_ldm(p->va, out);
        break;
    case 5:
    case 6:
        fault = try_store(p->va + 16 + (r >> 16 & 0xfe0), r & 0x7fffffff);
        break;
    default:
        fault = try_strt(p->va + 16 + (r >> 16 & 0xfe0), r & 0x7fffffff);
    }
    dmb();
    uint32_t s2 = p->state;
    res[cpu].checks++;
    if (!fault && !store && IS_POISON(out[0]))
        res[cpu].stale_load++;
    if (s1 != s2 || (s1 & CHANGING))
        return;
    res[cpu].strict++;
    enum kind k = STATE_KIND(s1);
    bool must_fault = k == UNMAPPED || (k == READ_ONLY && store);
    if (must_fault && !fault)
        res[cpu].missing_fault++;
    else if (!must_fault && fault)
        res[cpu].false_fault++;
    else if (!fault && !store) {
        uint32_t g = STATE_GEN(s1);
        bool good = out[0] == g && (op < 3 || (out[1] == ~g && out[2] == (g ^ 0x55555555)));
        if (!good) {
            res[cpu].wrong_value++;
            res[cpu].last = out[0];
        }
    }
}

static void burst(unsigned cpu, uint32_t r)
{
    struct page *p = &pages[r % PAGES];
    uint32_t n = 1 + (r >> 8 & 1023), got;
    if (r & 1u << 30) {
        enum trap_kind k = catch_user((const void *)try_burst, p->va, n, POISON >> 16);
        got = k == TRAP_NONE ? this_cpu()->result : 3;
    } else {
        got = try_burst(p->va, n, POISON >> 16);
    }
    res[cpu].bursts++;
    if (got == 2)
        res[cpu].stale_load++;
    else if (got == 3)
        res[cpu].bad_status++;
}

static void worker(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t seed = shoot_seed * 0x9e3779b9u + cpu * 0x7f4a7c15u + 1;
    this_cpu()->hook = try_hook;
    shoot_enter(cpu);
    while (shoot_time_left()) {
        for (unsigned i = 0; i < 16; i++)
            access_page(cpu, rnd(&seed));
        burst(cpu, rnd(&seed));
        uint32_t r = rnd(&seed);
        unsigned page = (r >> 28) * shoot_cpus + cpu; /* an own page */
        if (page < PAGES)
            change(page, cpu, r);
    }
    shoot_leave();
    this_cpu()->hook = NULL;
}

static bool enough(void)
{
    uint32_t checks = 0, strict = 0, changes = 0;
    for (unsigned i = 0; i < shoot_cpus; i++) {
        checks += res[i].checks;
        strict += res[i].strict;
        changes += shoot_count[i];
    }
    return checks > 100 && strict > 50 && changes > 10;
}

void payload_main(void)
{
    unsigned n = shoot_begin();
    for (unsigned i = 0; i < PAGES; i++)
        for (unsigned f = 0; f < FRAMES; f++)
            poison_fill(i, f);
    shoot_enough = enough;
    shoot_run(n, worker);
    for (unsigned i = 0; i < n; i++) {
        tap_diag("CPU %u: %u invalidations, %u accesses (%u with one legal outcome), %u faults, %u "
                 "bursts, last %x",
                 i, (unsigned)shoot_count[i], (unsigned)res[i].checks, (unsigned)res[i].strict,
                 (unsigned)res[i].faults, (unsigned)res[i].bursts, (unsigned)res[i].last);
    }
    tap_ok(enough(), "the test did something");
    shoot_total("no load through an old translation", &res[0].stale_load, sizeof res[0], n);
    shoot_total("no store through an old translation", &res[0].stale_store, sizeof res[0], n);
    shoot_total("no store into a page made read-only", &res[0].ro_changed, sizeof res[0], n);
    shoot_total("accesses that must fault do", &res[0].missing_fault, sizeof res[0], n);
    shoot_total("accesses that must not fault do not", &res[0].false_fault, sizeof res[0], n);
    shoot_total("loads return what the page holds", &res[0].wrong_value, sizeof res[0], n);
    shoot_total("fault status and address are right", &res[0].bad_status, sizeof res[0], n);
}
