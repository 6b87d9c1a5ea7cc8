/* SPDX-License-Identifier: MIT */
/*
 * Storm of address spaces: SPACES of them (more than any emulator has tags, contexts or windows),
 * each with its own non-global page at one address and a shared global page at another, below 1 GiB
 * by TTBR0 as kernels have it.  Every CPU jumps from one to the next and reads, writes and executes
 * there, privileged and in User mode, while the owners of the spaces and of the global page edit
 * the tables under them.  Each CPU gives out its own ASIDs: some start over with a flush of all
 * when the 255 are used up, some take one away from another space and flush by ASID.  Parameters:
 * seed, ms; SPACES, LPAE.  Arm ARM B3.9.1 (ASIDs), B3.10.4 (changing ASID and table base).
 */
#include "stage.inc.c"

const char payload_name[] = "spaces";

#ifndef SPACES
#define SPACES 700u
#endif
#define FIRST_VA  0x20000000u /* the private page */
#define GLOBAL_VA 0x20200000u
#define POISON    0xdeadu
#define CODE      0x40u /* offset of a function in the page */
#define SLOT(cpu) (0x80u + 64 * (cpu))

enum { CHANGING = 1, MAPPED = 2, GEN = 4 };
struct space {
    volatile uint32_t state;
    uint32_t *l1, *l2;
    uint64_t *ll2, *ll3;
    uint8_t *frame[2];
    unsigned cur;
};
static struct space spaces[SPACES];
static struct {
    volatile uint32_t state;
    uint32_t *l2;
    uint64_t *ll3;
    uint8_t *frame[2];
    unsigned cur;
} global __attribute__((aligned(64)));
static uint32_t *no_space; /* short: only devices */

enum {
    BAD_SPACE,
    BAD_OLD,
    BAD_VALUE,
    BAD_STORE,
    BAD_ALLOWED,
    BAD_REFUSED,
    BAD_GLOBAL,
    VERDICTS,
    VISITS = VERDICTS,
    STRICT,
    FAULTS,
    CHANGES,
    ROLLOVERS,
    STOLEN,
    ALL
};
static const char *const names[ALL] = {
    "every space has its own page",
    "no access through an old translation",
    "reads and calls give what the page holds",
    "stores reach the page of their space",
    "accesses of unmapped pages abort",
    "accesses of mapped pages do not",
    "the global page is the same everywhere",
    "visits",
    "visits with one legal outcome",
    "aborts",
    "changes of tables",
    "ASID generations",
    "ASIDs taken away",
};

/* --- tables --- */
static void set_private(struct space *s, bool valid)
{
    uint32_t pa = (uint32_t)s->frame[s->cur];
    if (LPAE)
        pte_set64(&s->ll3[0], valid ? pa | LD_PAGE | LD_NORMAL | LD_AP1 | LD_NG : 0);
    else
        pte_set(&s->l2[0], valid ? L2_SMALL(pa) | P_NORMAL | P_AP(AP_RW_RW) | P_NG : 0);
}

static void set_global(bool valid)
{
    uint32_t pa = (uint32_t)global.frame[global.cur];
    if (LPAE)
        pte_set64(&global.ll3[0], valid ? pa | LD_PAGE | LD_NORMAL | LD_AP1 : 0);
    else
        pte_set(&global.l2[0], valid ? L2_SMALL(pa) | P_NORMAL | P_AP(AP_RW_RW) : 0);
}

static void fill(uint8_t *frame, uint32_t word)
{
    *(volatile uint32_t *)frame = word;
    for (unsigned c = 0; c < MAX_CPUS; c++)
        *(volatile uint32_t *)(frame + SLOT(c)) = word;
    dmb();
}

static void space_make(unsigned k)
{
    struct space *s = &spaces[k];
    for (unsigned f = 0; f < 2; f++) {
        s->frame[f] = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        fill(s->frame[f], POISON << 16 | k);
        code_returning(s->frame[f] + CODE, (uint16_t)(k | f << 15));
    }
    if (LPAE) {
        s->ll2 = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        s->ll3 = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        for (unsigned i = 0x080 / 2; i < 0x100 / 2; i++)
            s->ll2[i] = (i << 21) | LD_BLOCK | LD_DEVICE | LD_AP1 | LD_XN;
        s->ll2[FIRST_VA >> 21] = (uint32_t)s->ll3 | LD_TABLE;
        s->ll2[GLOBAL_VA >> 21] = (uint32_t)global.ll3 | LD_TABLE;
    } else {
        s->l1 = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        s->l2 = mem_alloc(1024, 1024);
        memcpy(s->l1 + 0x80, flat_l1 + 0x80, 0x80 * 4);
        s->l1[FIRST_VA >> 20] = L1_TABLE(s->l2, 0);
        s->l1[GLOBAL_VA >> 20] = L1_TABLE(global.l2, 0);
    }
}

/* --- ASIDs of this CPU --- */
static struct asids {
    uint32_t next, generation;
    uint32_t of[SPACES]; /* generation << 8 | ASID */
    uint16_t owner[256];
} asids[MAX_CPUS];

static void flush_all(unsigned cpu, uint32_t r)
{
    dsb();
    if (r & 7)
        do_tlbiall(0);
    else
        do_tlbiallis(0);
    dsb();
    isb();
    count(cpu, ROLLOVERS);
}

static uint32_t asid_for(unsigned cpu, unsigned k, uint32_t r)
{
    struct asids *a = &asids[cpu];
    if (a->of[k] && a->of[k] >> 8 == a->generation)
        return a->of[k] & 255;
    if (++a->next > 255) {
        a->next = 1;
        if (!(cpu & 1)) {
            a->generation++;
            flush_all(cpu, r);
        }
    }
    if (cpu & 1) {
        a->of[a->owner[a->next]] = 0;
        a->owner[a->next] = (uint16_t)k;
        dsb();
        if (r & 7)
            do_tlbiasid(a->next);
        else
            do_tlbiasidis(a->next);
        dsb();
        isb();
        count(cpu, STOLEN);
    }
    a->of[k] = a->generation << 8 | a->next;
    return a->next;
}

static void switch_to(unsigned cpu, unsigned k, uint32_t r)
{
    uint32_t asid = asid_for(cpu, k, r);
    if (LPAE) {
        write_ttbr0_64((uint32_t)spaces[k].ll2 | (uint64_t)asid << 48);
    } else {
        write_ttbr0((uint32_t)no_space | TTBR_ATTR);
        isb();
        write_contextidr(asid);
        isb();
        write_ttbr0((uint32_t)spaces[k].l1 | TTBR_ATTR);
    }
    isb();
    do_bpiall(0);
    isb();
}

/* --- owners --- */
/* A frame that is not mapped holds poison since its last use. */
static bool poisoned(unsigned k, const uint8_t *frame)
{
    bool good = load32((uint32_t)frame) == (POISON << 16 | k);
    for (unsigned c = 0; c < MAX_CPUS; c++)
        good &= load32((uint32_t)frame + SLOT(c)) == (POISON << 16 | k);
    return good;
}

/* ASIDs differ from CPU to CPU: by address for all of them, or all. */
static void invalidate(uint32_t va, uint32_t way)
{
    dsb();
    if (way & 3)
        do_tlbimvaais(va);
    else
        do_tlbiallis(0);
    do_bpiallis(0);
    dsb();
    isb();
}

static void change_space(unsigned cpu, unsigned k, uint32_t r)
{
    struct space *s = &spaces[k];
    uint32_t old = s->state, gen = (old & ~3u) + GEN;
    s->state = old | CHANGING;
    dmb();
    if (old & MAPPED) {
        set_private(s, false);
        invalidate(FIRST_VA, r);
        fill(s->frame[s->cur], POISON << 16 | k);
    }
    if (r & 0x700) { /* mapped again, mostly */
        s->cur ^= r >> 11 & 1;
        if (!poisoned(k, s->frame[s->cur]))
            count(cpu, BAD_OLD);
        fill(s->frame[s->cur], k << 16 | (gen >> 2 & 0xffff));
        set_private(s, true);
        gen |= MAPPED;
    }
    dmb();
    s->state = gen;
    count(cpu, CHANGES);
}

static void change_global(unsigned cpu, uint32_t r)
{
    uint32_t old = global.state;
    global.state = old | CHANGING;
    dmb();
    set_global(false);
    dsb();
    if (r & 1)
        do_tlbimvais(GLOBAL_VA | (r >> 8 & 255)); /* a global entry goes with any ASID */
    else
        do_tlbimvaais(GLOBAL_VA);
    dsb();
    isb();
    fill(global.frame[global.cur], POISON << 16);
    global.cur ^= 1;
    fill(global.frame[global.cur], 0x600d0000 | (((old >> 2) + 1) & 0xffff));
    set_global(true);
    dmb();
    global.state = (old & ~3u) + GEN;
    count(cpu, CHANGES);
}

/* --- visitors --- */
static void check_word(unsigned cpu, unsigned k, uint32_t got, uint32_t gen, bool stable)
{
    if (got >> 16 == POISON)
        count(cpu, BAD_OLD);
    else if (got >> 16 != k)
        count(cpu, BAD_SPACE);
    else if (stable && (got & 0xffff) != (gen >> 2 & 0xffff))
        count(cpu, BAD_VALUE);
}

static void visit(unsigned cpu, unsigned k, uint32_t r)
{
    struct space *s = &spaces[k];
    static const enum access kinds[8] = {ACC_READ, ACC_READ,  ACC_READ, ACC_WRITE,
                                         ACC_EXEC, ACC_WRITE, ACC_READ, ACC_LDRT};
    enum access acc = kinds[r & 7];
    bool user = r & 8, write = acc == ACC_WRITE;
    uint32_t va = FIRST_VA + (write ? SLOT(cpu) : acc == ACC_EXEC ? CODE : 0), value = k << 16 | 1;
    uint32_t s1 = s->state;
    dmb();
    isb();
    enum trap_kind t = probe(acc, user, va, value);
    uint32_t got = this_cpu()->result;
    unsigned cur = s->cur;
    if (write && t == TRAP_NONE)
        got = *(volatile uint32_t *)(s->frame[cur] + SLOT(cpu));
    dmb();
    bool stable = s1 == s->state && !(s1 & CHANGING);
    count(cpu, VISITS);
    if (t != TRAP_NONE) {
        count(cpu, FAULTS);
        if ((stable && (s1 & MAPPED)) || stage_why(t) != WHY_TRANS)
            count(cpu, BAD_REFUSED);
        return;
    }
    if (stable) {
        count(cpu, STRICT);
        if (!(s1 & MAPPED))
            count(cpu, BAD_ALLOWED);
    }
    if (write) {
        if (stable && got != value)
            count(cpu, BAD_STORE);
    } else if (acc == ACC_EXEC) {
        if ((got & 0x7fff) != k)
            count(cpu, BAD_SPACE);
        else if (stable && got >> 15 != cur)
            count(cpu, BAD_OLD);
    } else {
        check_word(cpu, k, got, s1, stable);
    }
}

static void visit_global(unsigned cpu, bool user)
{
    uint32_t s1 = global.state;
    dmb();
    enum trap_kind t = probe(ACC_READ, user, GLOBAL_VA, 0);
    uint32_t got = this_cpu()->result;
    dmb();
    bool stable = s1 == global.state && !(s1 & CHANGING);
    bool current = (got & 0xffff) == (s1 >> 2 & 0xffff);
    if (t != TRAP_NONE ? stable : got >> 16 != 0x600d || (stable && !current))
        count(cpu, BAD_GLOBAL);
}

static void worker(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t seed = stage_seed * 0x85ebca6bu + cpu * 0xc2b2ae35u + 1;
    asids[cpu].generation = 1;
    if (LPAE)
        mmu_switch((uint32_t)spaces[0].ll2, (uint32_t)stage_ll1, TTBCR_LONG | 2);
    else
        mmu_switch((uint32_t)no_space | TTBR_ATTR, (uint32_t)flat_l1 | TTBR_ATTR, 2);
    stage_meet();
    while (stage_time_left()) {
        uint32_t r = rnd(&seed);
        /* a few that come again and again, and all the others */
        unsigned k = r & 0x300 ? (r >> 12) % SPACES : (r >> 12) % 16;
        switch_to(cpu, k, r >> 4);
        for (unsigned i = 0; i < 3; i++)
            visit(cpu, k, rnd(&seed));
        visit_global(cpu, r & 1);
        r = rnd(&seed);
        if (!(r & 3)) {
            k = (r & 0x300 ? (r >> 12) % SPACES : (r >> 12) % 16);
            k -= k % stage_cpus;
            if (k + cpu < SPACES)
                change_space(cpu, k + cpu, rnd(&seed));
        }
        if (cpu == 0 && !(r & 0x70))
            change_global(cpu, r >> 8);
    }
    stage_meet();
    mmu_flat_restore();
}

static bool enough(void)
{
    return stage_total(STRICT) > 100 && stage_total(CHANGES) > 10;
}

void payload_main(void)
{
    stage_setup(smp_start(MAX_CPUS));
    tap_diag("%u address spaces", SPACES);
    no_space = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    memcpy(no_space + 0x80, flat_l1 + 0x80, 0x80 * 4);
    global.l2 = mem_alloc(1024, 1024);
    global.ll3 = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    for (unsigned f = 0; f < 2; f++)
        global.frame[f] = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    fill(global.frame[0], 0x600d0000);
    for (unsigned k = 0; k < SPACES; k++) {
        space_make(k);
        fill(spaces[k].frame[0], k << 16);
        set_private(&spaces[k], true);
        spaces[k].state = MAPPED;
    }
    set_global(true);
    stage_enough = enough;
    stage_run(worker, NULL, 1, 1);
    tap_ok(enough(), "the test did something");
    stage_report(names, VERDICTS, ALL);
}
