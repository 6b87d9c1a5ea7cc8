/* SPDX-License-Identifier: MIT */
/*
 * Races of fills.  Part one, demand paging: all CPUs fault on the same two pages at once, the
 * handler repairs the entry (maps it, sets the access flag, makes it writable) and the access runs
 * again, while others take the page away.  An entry that was invalid or not yet accessed is in no
 * TLB: after the DSB the repaired access must succeed, unless the page went away again.  A
 * read-only entry may be cached: page 0 is flushed locally after the upgrade, page 1 is not and
 * only counted. Part two: pages that are RAM at one moment and a device's registers (PL031, PL061)
 * at the next. Parameters: seed, ms; LPAE.  Arm ARM B3.10.1, B3.7.2.
 */
#include "stage.inc.c"

const char payload_name[] = "fills";

#define POISON  0xdeadbeefu
#define SLOT(c) (64u * ((c) + 1))

enum {
    BAD_SPURIOUS,
    BAD_OLD,
    BAD_VALUE,
    BAD_STORE,
    BAD_CAUSE,
    BAD_ALLOWED,
    BAD_MIX,
    VERDICTS,
    FAULTS = VERDICTS,
    REPAIRS,
    LOST_RACES,
    LAZY,
    TAKEN,
    MIXED,
    FLIPS,
    ALL
};
static const char *const names[ALL] = {
    "a repaired access does not abort again",
    "no access through an old entry",
    "reads return what the page holds",
    "no store through an old entry",
    "cause and address of aborts",
    "accesses of unmapped pages abort",
    "device or memory, as the entry says",
    "aborts",
    "entries repaired",
    "repairs overtaken by the page's end",
    "aborts for want of a flush (allowed)",
    "pages taken away",
    "accesses to pages that are now RAM, now a device",
    "changes between RAM and device",
};

/* --- part one --- */
static struct hot {
    struct spinlock lock;
    volatile uint32_t taken; /* twice how often it was unmapped, odd meanwhile; under the lock */
    uint32_t how;
    bool valid;
    unsigned cur;
    uint8_t *frame[2];
} __attribute__((aligned(64))) hot[2];
#define HOT_VA(i) (VA + (i)*3 * PAGE_SIZE)

static void fill(uint8_t *frame, uint32_t word)
{
    *(volatile uint32_t *)frame = word;
    for (unsigned c = 0; c < MAX_CPUS; c++)
        *(volatile uint32_t *)(frame + SLOT(c)) = word;
    dmb();
}

static bool holds(const uint8_t *frame, uint32_t word)
{
    bool good = load32((uint32_t)frame) == word;
    for (unsigned c = 0; c < MAX_CPUS; c++)
        good &= load32((uint32_t)frame + SLOT(c)) == word;
    return good;
}

static void take_away(unsigned cpu, unsigned i, uint32_t r)
{
    struct hot *h = &hot[i];
    spin_lock(&h->lock);
    if (h->valid) {
        h->taken++;
        dmb();
        stage_unmap(HOT_VA(i));
        stage_invalidate(HOT_VA(i), false, r);
        h->taken++;
        h->valid = false;
        fill(h->frame[h->cur], POISON);
        if (!holds(h->frame[h->cur ^ 1], POISON))
            count(cpu, BAD_STORE);
        h->cur ^= r >> 8 & 1;
        count(cpu, TAKEN);
    }
    spin_unlock(&h->lock);
}

/* Returns true when the access must now succeed as long as h->taken stays *taken. */
static bool repair(unsigned cpu, unsigned i, bool write, enum why why, uint32_t r, uint32_t *taken)
{
    struct hot *h = &hot[i];
    spin_lock(&h->lock);
    if (!h->valid) {
        fill(h->frame[h->cur], h->taken);
        h->how = (r & 1 ? ST_RO : 0) | (r & 2 ? ST_OLD : 0);
        h->valid = true;
    } else {
        h->how &= ~(unsigned)ST_OLD;
        if (write)
            h->how &= ~(unsigned)ST_RO;
    }
    stage_map(HOT_VA(i), h->frame[h->cur], h->how);
    if (i == 0 && why == WHY_PERM) {
        do_tlbimva(HOT_VA(i) | stage_asid(cpu));
        dsb();
        isb();
    }
    *taken = h->taken;
    bool enough = !(h->how & ST_OLD) && !(write && (h->how & ST_RO));
    spin_unlock(&h->lock);
    count(cpu, REPAIRS);
    return enough;
}

static void demand(unsigned cpu, uint32_t r)
{
    unsigned i = r & 1;
    bool write = r & 2, user = r & 4, must = false;
    uint32_t va = HOT_VA(i) + (write ? SLOT(cpu) : 0), taken = 0;
    for (;; r = r * 1664525u + 1013904223u) {
        uint32_t before = hot[i].taken;
        dmb();
        enum trap_kind t = probe(write ? ACC_WRITE : ACC_READ, user, va, r & 0x7fffffff);
        uint32_t got = this_cpu()->result;
        dmb();
        uint32_t after = hot[i].taken;
        enum why why = stage_why(t);
        if (t == TRAP_NONE) {
            if (!write && got == POISON)
                count(cpu, BAD_OLD);
            else if (!write && before == after && !(before & 1) && got != before)
                count(cpu, BAD_VALUE);
            return;
        }
        count(cpu, FAULTS);
        if ((why != WHY_TRANS && why != WHY_AF && why != WHY_PERM) ||
            stage_fault_address(t) != va || (why == WHY_PERM && !write))
            count(cpu, BAD_CAUSE);
        if (must && after != taken)
            count(cpu, LOST_RACES);
        else if (must)
            count(cpu, i == 1 && why == WHY_PERM ? LAZY : BAD_SPURIOUS);
        must = repair(cpu, i, write, why, r >> 16, &taken);
    }
}

/* --- part two --- */
enum state { UNMAPPED, RAM, DEVICE };
#define PL031       0x09010000u
#define PL061       0x09030000u
#define ID          0xfe0u /* PrimeCell identification: 0x31, 0x61 */
#define TAG         0x5a000000u
#define MIXED_PAGES 8u
static struct mixed {
    volatile uint32_t state; /* gen << 3 | CHANGING | what */
    uint8_t *frame;
} __attribute__((aligned(64))) mixed[MIXED_PAGES];
enum { CHANGING = 4, GEN = 8 };
#define MIXED_VA(i)  (VA + 0x100000u + (i)*2 * PAGE_SIZE)
#define HAS_PL031(i) (!((i)&1))

static void flip(unsigned cpu, unsigned i, uint32_t r)
{
    struct mixed *m = &mixed[i];
    uint32_t old = m->state, gen = (old & ~7u) + GEN,
             what = r % 8 == 0 ? UNMAPPED : 1 + (r >> 3 & 1);
    m->state = old | CHANGING;
    dmb();
    stage_unmap(MIXED_VA(i));
    stage_invalidate(MIXED_VA(i), i & 2, r >> 8);
    if ((old & 3) == RAM) {
        fill(m->frame, POISON);
        *(volatile uint32_t *)(m->frame + ID) = POISON;
    }
    dmb();
    if (!holds(m->frame, POISON))
        count(cpu, BAD_STORE);
    if (what == RAM) {
        fill(m->frame, TAG | gen);
        *(volatile uint32_t *)(m->frame + ID) = TAG | gen;
        stage_map(MIXED_VA(i), m->frame, i & 2 ? ST_GLOBAL : 0);
    } else if (what == DEVICE) {
        stage_map(MIXED_VA(i), (void *)(HAS_PL031(i) ? PL031 : PL061),
                  ST_DEVICE | ST_XN | (i & 2 ? ST_GLOBAL : 0));
    }
    m->state = (gen & 0x00ffffff) | what;
    dmb();
    count(cpu, FLIPS);
}

static void access_mixed(unsigned cpu, uint32_t r)
{
    unsigned i = (r >> 4) % MIXED_PAGES;
    struct mixed *m = &mixed[i];
    bool write = HAS_PL031(i) && (r & 3) == 0, user = r & 0x8;
    uint32_t id = HAS_PL031(i) ? 0x31 : 0x61, value = r | 1;
    uint32_t va = MIXED_VA(i) + (write ? SLOT(cpu) : ID);
    uint32_t s1 = m->state;
    dmb();
    enum trap_kind t = probe(write ? ACC_WRITE : ACC_READ, user, va, value);
    uint32_t got = write ? load32((uint32_t)m->frame + SLOT(cpu)) : this_cpu()->result;
    dmb();
    bool stable = m->state == s1 && !(s1 & CHANGING);
    uint32_t what = s1 & 3;
    count(cpu, MIXED);
    if (t != TRAP_NONE) {
        count(cpu, FAULTS);
        if (stage_why(t) != WHY_TRANS || stage_fault_address(t) != va)
            count(cpu, BAD_CAUSE);
        if (stable && what != UNMAPPED)
            count(cpu, BAD_SPURIOUS);
    } else if (stable && what == UNMAPPED) {
        count(cpu, BAD_ALLOWED);
    } else if (write) {
        if (stable && what == RAM ? got != value : stable && got != POISON)
            count(cpu, BAD_MIX);
    } else if (got == POISON) {
        count(cpu, BAD_OLD);
    } else if (stable ? got != (what == RAM ? TAG | (s1 & ~7u) : id)
                      : got != id && got >> 24 != TAG >> 24) {
        count(cpu, BAD_MIX);
    }
}

static void worker(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t seed = stage_seed * 0x9e3779b9u + cpu * 0x7f4a7c15u + 1;
    stage_enter(cpu);
    write_sctlr(read_sctlr() | SCTLR_AFE);
    tlb_flush_all();
    stage_meet();
    while (stage_time_left()) {
        uint32_t r = rnd(&seed);
        for (unsigned i = 0; i < 8; i++) {
            demand(cpu, rnd(&seed));
            access_mixed(cpu, rnd(&seed));
        }
        if (r & 1)
            take_away(cpu, r >> 1 & 1, rnd(&seed));
        unsigned i = (r >> 28) * stage_cpus + cpu;
        if (i < MIXED_PAGES)
            flip(cpu, i, rnd(&seed));
    }
    stage_meet();
    write_sctlr(read_sctlr() & ~SCTLR_AFE);
    isb();
    tlb_flush_all();
    stage_leave();
}

static bool enough(void)
{
    return stage_total(REPAIRS) > 20 && stage_total(FLIPS) > 10 && stage_total(TAKEN) > 10;
}

void payload_main(void)
{
    stage_setup(smp_start(MAX_CPUS));
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned f = 0; f < 2; f++) {
            hot[i].frame[f] = mem_alloc(PAGE_SIZE, PAGE_SIZE);
            fill(hot[i].frame[f], POISON);
        }
    }
    for (unsigned i = 0; i < MIXED_PAGES; i++) {
        mixed[i].frame = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        fill(mixed[i].frame, POISON);
    }
    stage_enough = enough;
    stage_run(worker, NULL, 1, 1);
    tap_ok(enough(), "the test did something");
    stage_report(names, VERDICTS, ALL);
}
