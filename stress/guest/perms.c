/* SPDX-License-Identifier: MIT */
/*
 * Permission flips.  Every CPU owns some pages and keeps changing what may be done with them:
 * valid, user access, read-only, execute-never, access flag, and with short descriptors the domain
 * (in the first-level entry), with long ones the limits of the table above (APTable, XNTable).  All
 * CPUs read, write and execute all pages from privileged and from User mode and by LDRT/STRT, while
 * each changes its own DACR, which needs no maintenance.  When the state word says that nothing
 * moves, the outcome, its cause and its address are known.  Arm ARM B3.7, B3.12, B3.13.2.
 */
#include "stage.inc.c"

const char payload_name[] = "perms";

#define NPAGES (STAGE_MIB / 2)

enum {
    CHANGING = 1,
    VALID = 2,
    USER = 4,
    READ_ONLY = 8,
    NO_EXEC = 16,
    ACCESSED = 32,
    TOP = 64, /* 2 bits; short: domain - 1, long: APTable[0] | XNTable << 1 */
    ATTRS = 0xfe,
    GEN = 256,
};
#define TOP_OF(a) ((a) / TOP & 3)

static struct page {
    volatile uint32_t state;
    uint32_t va;
    uint8_t *frame;
    bool global;
} __attribute__((aligned(64))) pages[NPAGES];

enum {
    BAD_ALLOWED,
    BAD_REFUSED,
    BAD_CAUSE,
    BAD_VALUE,
    BAD_STORE,
    VERDICTS,
    CHECKS = VERDICTS,
    STRICT,
    FAULTS,
    CHANGES,
    ALL
};
static const char *const names[ALL] = {
    "what is forbidden is refused",
    "what is allowed is not refused",
    "cause and address of aborts",
    "reads and calls give what is there",
    "refused stores leave memory alone",
    "accesses",
    "accesses with one legal outcome",
    "aborts",
    "changes",
};

static void write_entries(struct page *p, uint32_t a, uint32_t top_before)
{
    if (TOP_OF(a) != top_before) {
        unsigned i = (p->va - VA) >> 20;
        if (LPAE)
            pte_set64(&stage_ll2[i / 2], (uint32_t)stage_ll3[i / 2] | LD_TABLE |
                                             LD_APTABLE(TOP_OF(a) & 1) |
                                             (TOP_OF(a) & 2 ? LD_XNTABLE : 0));
        else
            pte_set(&flat_l1[p->va >> 20], L1_TABLE(stage_l2[i], 1 + TOP_OF(a)));
    }
    if (a & VALID)
        stage_map(p->va, p->frame,
                  (a & USER ? 0 : ST_PRIV) | (a & READ_ONLY ? ST_RO : 0) |
                      (a & NO_EXEC ? ST_XN : 0) | (a & ACCESSED ? 0 : ST_OLD) |
                      (p->global ? ST_GLOBAL : 0));
    else
        stage_unmap(p->va);
}

static void change(unsigned cpu, struct page *p, uint32_t r)
{
    uint32_t old = p->state, a = r & ATTRS;
    /* mostly valid and accessed, or there would be little to see */
    if (r >> 8 & 3)
        a |= VALID | ACCESSED;
    p->state = old | CHANGING;
    dmb();
    write_entries(p, a, TOP_OF(old));
    stage_invalidate(p->va, p->global, r >> 16);
    p->state = ((old & ~(GEN - 1u)) + GEN) | a;
    dmb();
    count(cpu, CHANGES);
}

/* The verdict of the architecture; WHY_OTHER: more than one is legal. */
static enum why expected(enum access acc, bool user, uint32_t a, uint32_t dacr)
{
    uint32_t dom = LPAE ? 1 : dacr >> 2 * (1 + TOP_OF(a)) & 3;
    bool as_user = access_is_user(acc, user), no_exec = a & NO_EXEC, open = a & USER;
    if (!(a & VALID))
        return WHY_TRANS;
    if (!(a & ACCESSED))
        return dom == 1 ? WHY_AF : WHY_OTHER;
    if (dom != 1)
        return dom == 3 ? WHY_NONE : WHY_DOMAIN;
    if (LPAE && (TOP_OF(a) & 1))
        open = false;
    if (LPAE && (TOP_OF(a) & 2))
        no_exec = true;
    if ((as_user && !open) || (access_is_write(acc) && (a & READ_ONLY)) ||
        (acc == ACC_EXEC && no_exec))
        return WHY_PERM;
    return WHY_NONE;
}

static void access_page(unsigned cpu, uint32_t r, uint32_t dacr)
{
    unsigned i = r % NPAGES;
    struct page *p = &pages[i];
    enum access acc = (enum access)((r >> 4) % ACC_KINDS);
    bool user = r & 0x1000, write = access_is_write(acc);
    volatile uint32_t *slot = (uint32_t *)(p->frame + 64 * (cpu + 1));
    uint32_t va = p->va + (acc == ACC_EXEC ? 0 : 64 * (cpu + 1)), before = *slot, value = r | 1;
    uint32_t s1 = p->state;
    dmb();
    isb();
    enum trap_kind k = probe(acc, user, va, value);
    uint32_t got = this_cpu()->result;
    dmb();
    uint32_t s2 = p->state, after = *slot;
    enum why why = stage_why(k), want = expected(acc, user, s1, dacr);
    count(cpu, CHECKS);
    if (k != TRAP_NONE) {
        count(cpu, FAULTS);
        if (stage_fault_address(k) != va || why == WHY_OTHER || why == WHY_ALIGN)
            count(cpu, BAD_CAUSE);
        if (write && after != before)
            count(cpu, BAD_STORE);
    } else if (write ? after != value : got != (acc == ACC_EXEC ? 0x100 + i : before)) {
        count(cpu, BAD_VALUE);
    }
    if (s1 != s2 || (s1 & CHANGING) || want == WHY_OTHER)
        return;
    count(cpu, STRICT);
    if (want == WHY_NONE && k != TRAP_NONE)
        count(cpu, BAD_REFUSED);
    else if (want != WHY_NONE && k == TRAP_NONE)
        count(cpu, BAD_ALLOWED);
    else if (why != want)
        count(cpu, BAD_CAUSE);
}

static uint32_t new_dacr(uint32_t r)
{
    static const uint32_t field[4] = {0, 1, 1, 3};
    uint32_t dacr = 1;
    for (unsigned d = 1; d <= 4; d++, r >>= 2)
        dacr |= field[r & 3] << 2 * d;
    write_dacr(dacr);
    isb();
    return dacr;
}

static void worker(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t seed = stage_seed * 0x9e3779b9u + cpu * 0x7f4a7c15u + 1;
    stage_enter(cpu);
    write_sctlr(read_sctlr() | SCTLR_AFE);
    uint32_t dacr = new_dacr(0x55);
    tlb_flush_all();
    stage_meet();
    while (stage_time_left()) {
        for (unsigned i = 0; i < 12; i++)
            access_page(cpu, rnd(&seed), dacr);
        uint32_t r = rnd(&seed);
        unsigned i = (r >> 29) * stage_cpus + cpu;
        if (i < NPAGES)
            change(cpu, &pages[i], rnd(&seed));
        if (!(r & 3))
            dacr = new_dacr(r >> 8);
    }
    stage_meet();
    write_dacr(1);
    write_sctlr(read_sctlr() & ~SCTLR_AFE);
    isb();
    tlb_flush_all();
    stage_leave();
}

static bool enough(void)
{
    return stage_total(STRICT) > 100 && stage_total(CHANGES) > 10;
}

void payload_main(void)
{
    stage_setup(smp_start(MAX_CPUS));
    for (unsigned i = 0; i < NPAGES; i++) {
        pages[i].va = VA + (i << 21);
        pages[i].global = i & 1;
        pages[i].frame = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        code_returning(pages[i].frame, (uint16_t)(0x100 + i));
        if (!LPAE)
            flat_l1[pages[i].va >> 20] = L1_TABLE(stage_l2[i * 2], 1);
    }
    stage_enough = enough;
    stage_run(worker, NULL, 1, 1);
    tap_ok(enough(), "the test did something");
    stage_report(names, VERDICTS, ALL);
}
