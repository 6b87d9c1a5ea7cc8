/* SPDX-License-Identifier: MIT */
/*
 * Large leaves: 64 KiB pages, sections and a supersection, or 2 MiB blocks, that their owners move
 * to other memory, unmap, and replace by tables of small pages over the same addresses and back,
 * break before make.  One by-address operation with any address of a leaf must be the end of all of
 * it, on every CPU.  All CPUs read, write and execute in sixteen pages of every leaf; memory that a
 * leaf has left holds poison.  Parameters: seed, ms; LPAE.  Arm ARM B3.10.5 (scope of TLBI by MVA).
 */
#include "stage.inc.c"

const char payload_name[] = "leaves";

#define PROBES  16u
#define POISON  0xdeadbeefu
#define CODE    0x800u
#define SLOT(c) (64u * ((c) + 1))

enum kind { LARGE, SECTION, SUPER, BLOCK };
static const uint32_t size_of[] = {0x10000, 0x100000, 0x1000000, 0x200000};
enum form { NONE, LEAF, TABLE, HALF }; /* HALF: a table of the lower half */
enum { FORM = 3, CHANGING = 4, GEN = 8 };

#define MAX_LEAVES 16u
static struct leaf {
    volatile uint32_t state; /* gen << 3 | CHANGING | form */
    uint32_t va;
    enum kind kind;
    uint8_t *frame[2];
    unsigned cur, index; /* index: among those of its kind */
    bool global;
    uint32_t *l2; /* tables of small pages over all of it */
    uint32_t probe[PROBES];
} __attribute__((aligned(64))) leaves[MAX_LEAVES];
static unsigned nleaves;

enum {
    BAD_OLD,
    BAD_STORE,
    BAD_VALUE,
    BAD_ALLOWED,
    BAD_REFUSED,
    BAD_CAUSE,
    VERDICTS,
    CHECKS = VERDICTS,
    STRICT,
    FAULTS,
    CHANGES,
    ALL
};
static const char *const names[ALL] = {
    "no access through an old leaf",
    "no store through an old leaf",
    "accesses give what is there",
    "accesses of unmapped leaves abort",
    "accesses of mapped leaves do not",
    "cause and address of aborts",
    "accesses",
    "accesses with one legal outcome",
    "aborts",
    "changes",
};

static void write_none(struct leaf *l)
{
    switch (l->kind) {
    case BLOCK:
        pte_set64(&stage_ll2[l->index], 0);
        break;
    case LARGE:
        for (unsigned i = 0; i < 16; i++)
            l->l2[i] = 0;
        break;
    default:
        for (unsigned i = 0; i < size_of[l->kind] >> 20; i++)
            flat_l1[(l->va >> 20) + i] = 0;
    }
    dsb();
    isb();
}

static void write_leaf(struct leaf *l)
{
    uint32_t pa = (uint32_t)l->frame[l->cur], ng = l->global ? 0 : S_NG;
    switch (l->kind) {
    case BLOCK:
        pte_set64(&stage_ll2[l->index],
                  pa | LD_BLOCK | LD_NORMAL | LD_AP1 | (l->global ? 0 : LD_NG));
        break;
    case LARGE:
        for (unsigned i = 0; i < 16; i++)
            l->l2[i] = L2_LARGE(pa) | LP_NORMAL | P_AP(AP_RW_RW) | (l->global ? 0 : P_NG);
        break;
    case SECTION:
        flat_l1[l->va >> 20] = L1_SECTION(pa) | S_NORMAL | S_AP(AP_RW_RW) | ng;
        break;
    default:
        for (unsigned i = 0; i < 16; i++)
            flat_l1[(l->va >> 20) + i] = L1_SUPER(pa) | S_NORMAL | S_AP(AP_RW_RW) | ng;
    }
    dsb();
    isb();
}

static void write_table(struct leaf *l, enum form form)
{
    uint32_t pa = (uint32_t)l->frame[l->cur], all = size_of[l->kind] / PAGE_SIZE;
    uint32_t pages = form == HALF ? all / 2 : all;
    if (l->kind == BLOCK) {
        for (unsigned i = 0; i < 512; i++)
            stage_ll3[l->index][i] = i >= pages ? 0
                                                : (pa + i * PAGE_SIZE) | LD_PAGE | LD_NORMAL |
                                                      LD_AP1 | (l->global ? 0 : LD_NG);
        dsb();
        pte_set64(&stage_ll2[l->index], (uint32_t)stage_ll3[l->index] | LD_TABLE);
        return;
    }
    for (unsigned i = 0; i < all; i++)
        l->l2[i] = i >= pages ? 0
                              : L2_SMALL(pa + i * PAGE_SIZE) | P_NORMAL | P_AP(AP_RW_RW) |
                                    (l->global ? 0 : P_NG);
    dsb();
    for (unsigned i = 0; l->kind != LARGE && i < (pages + 255) / 256; i++)
        flat_l1[(l->va >> 20) + i] = L1_TABLE(l->l2 + 256 * i, 0);
    dsb();
    isb();
}

static void invalidate(struct leaf *l, enum form old, uint32_t r)
{
    uint32_t size = size_of[l->kind], any = l->va + ((r * 2654435761u) & (size - 1) & ~0xfffu);
    if (old == LEAF) {
        stage_invalidate(any, l->global, r >> 8 & 1 ? 0 : r >> 11);
        return;
    }
    dsb();
    if (l->kind != SUPER && (r & 0x300)) {
        for (uint32_t va = l->va; va < l->va + size; va += PAGE_SIZE)
            do_tlbimvaais(va);
    } else if (!l->global && (r & 0x400)) {
        for (unsigned a = 0; a < ASIDS; a++)
            do_tlbiasidis(stage_asid(a));
    } else {
        do_tlbiallis(0);
    }
    do_bpiallis(0);
    dsb();
    isb();
}

/* Only while the frame is out of reach. */
static void fill(struct leaf *l, unsigned f, uint32_t word)
{
    for (unsigned i = 0; i < PROBES; i++) {
        uint8_t *p = l->frame[f] + l->probe[i];
        *(volatile uint32_t *)p = word;
        for (unsigned c = 0; c < stage_cpus; c++)
            *(volatile uint32_t *)(p + SLOT(c)) = word;
    }
    dmb();
}

static bool poisoned(const struct leaf *l, unsigned f)
{
    bool good = true;
    for (unsigned i = 0; i < PROBES; i++) {
        uint32_t p = (uint32_t)l->frame[f] + l->probe[i];
        good &= load32(p) == POISON;
        for (unsigned c = 0; c < stage_cpus; c++)
            good &= load32(p + SLOT(c)) == POISON;
    }
    return good;
}

static void change(unsigned cpu, struct leaf *l, uint32_t r)
{
    uint32_t old = l->state, gen = (old & ~7u) + GEN;
    enum form form = (enum form)(r % 8 == 0 ? NONE : r & 0x10 ? LEAF : r & 0x40 ? TABLE : HALF);
    l->state = old | CHANGING;
    dmb();
    if ((old & FORM) != NONE) {
        write_none(l);
        invalidate(l, (enum form)(old & FORM), r >> 8);
        fill(l, l->cur, POISON);
    }
    if (!poisoned(l, 0) || !poisoned(l, 1))
        count(cpu, BAD_STORE);
    if (form != NONE) {
        l->cur ^= r >> 5 & 1;
        fill(l, l->cur, gen);
        for (unsigned i = 0; i < PROBES; i += 4)
            code_returning(l->frame[l->cur] + l->probe[i] + CODE, (uint16_t)(gen >> 3));
        if (form == LEAF)
            write_leaf(l);
        else
            write_table(l, form);
    }
    dmb();
    l->state = gen | form;
    count(cpu, CHANGES);
}

static void access_leaf(unsigned cpu, uint32_t r)
{
    struct leaf *l = &leaves[r % nleaves];
    static const enum access kinds[8] = {ACC_READ,  ACC_READ,  ACC_READ, ACC_LDRT,
                                         ACC_WRITE, ACC_WRITE, ACC_STRT, ACC_EXEC};
    enum access acc = kinds[r >> 8 & 7];
    uint32_t probe_at = l->probe[(r >> 12) % PROBES & (acc == ACC_EXEC ? ~3u : ~0u)];
    uint32_t va = l->va + probe_at +
                  (acc == ACC_EXEC        ? CODE
                   : access_is_write(acc) ? SLOT(cpu)
                                          : 0);
    uint32_t s1 = l->state;
    dmb();
    isb();
    enum trap_kind t = probe(acc, r & 0x100000, va, r | 1);
    uint32_t got = this_cpu()->result;
    if (access_is_write(acc) && t == TRAP_NONE)
        got = load32((uint32_t)l->frame[l->cur] + probe_at + SLOT(cpu));
    dmb();
    bool stable = s1 == l->state && !(s1 & CHANGING);
    count(cpu, CHECKS);
    if (!access_is_write(acc) && t == TRAP_NONE && got == POISON)
        count(cpu, BAD_OLD);
    if (t != TRAP_NONE) {
        count(cpu, FAULTS);
        if (stage_why(t) != WHY_TRANS || stage_fault_address(t) != va)
            count(cpu, BAD_CAUSE);
    }
    if (!stable)
        return;
    count(cpu, STRICT);
    uint32_t want = access_is_write(acc) ? r | 1 : acc == ACC_EXEC ? s1 >> 3 & 0xffff : s1 & ~7u;
    if ((s1 & FORM) == NONE || ((s1 & FORM) == HALF && probe_at >= size_of[l->kind] / 2)) {
        if (t == TRAP_NONE)
            count(cpu, BAD_ALLOWED);
    } else if (t != TRAP_NONE) {
        count(cpu, BAD_REFUSED);
    } else if (got != want) {
        count(cpu, BAD_VALUE);
    }
}

static void worker(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t seed = stage_seed * 0x9e3779b9u + cpu * 0x7f4a7c15u + 1;
    stage_enter(cpu);
    stage_meet();
    while (stage_time_left()) {
        for (unsigned i = 0; i < 16; i++)
            access_leaf(cpu, rnd(&seed));
        uint32_t r = rnd(&seed);
        unsigned i = (r >> 28) * stage_cpus + cpu;
        if (i < nleaves)
            change(cpu, &leaves[i], rnd(&seed));
    }
    stage_meet();
    stage_leave();
}

static void in_space(unsigned asid)
{
    write_contextidr(stage_asid(asid));
    isb();
}

static void user_reads(unsigned first, unsigned end, const struct leaf *l, bool may)
{
    for (unsigned i = first; i < end; i++) {
        bool fault = probe(ACC_READ, true, l->va + l->probe[i], 0) != TRAP_NONE;
        count(0, CHECKS);
        if (fault && may)
            count(0, BAD_REFUSED);
        if (!fault && !may)
            count(0, BAD_ALLOWED);
    }
}

static void gone(struct leaf *l)
{
    write_none(l);
    dsb();
    do_tlbiallis(0);
    dsb();
    isb();
}

/*
 * One CPU, two ASIDs, a supersection and a section. While the second ASID is current the
 * supersection is replaced by a table of its lower half and made whole again, which the first one
 * sees each time with the lower half only. Maintenance by an address of the upper half is still for
 * all of it.
 */
static void halves(struct leaf *super, struct leaf *section)
{
    for (unsigned round = 0; round < PROBES / 2; round++) {
        gone(super);
        gone(section);
        write_leaf(super);
        write_leaf(section);
        in_space(0);
        user_reads(0, PROBES, super, true);
        user_reads(0, PROBES, section, true);
        in_space(1);
        gone(super);
        gone(section);
        write_table(super, HALF);
        in_space(0);
        user_reads(0, PROBES / 2, super, true);
        in_space(1);
        gone(super);
        write_leaf(super);
        in_space(0);
        user_reads(0, PROBES / 2, super, true);
        in_space(1);
        write_none(super);
        stage_invalidate(super->va + super->probe[PROBES - 1 - round], false, 0);
        in_space(0);
        user_reads(0, PROBES, super, false);
        count(0, CHANGES);
    }
    in_space(0);
    gone(section);
    write_contextidr(0);
    isb();
}

static void add(enum kind kind, unsigned index, uint32_t va, uint32_t *l2, uint32_t *seed)
{
    struct leaf *l = &leaves[nleaves++];
    uint32_t size = size_of[kind], part = size / PROBES;
    l->kind = kind;
    l->index = index;
    l->va = va;
    l->l2 = l2;
    l->global = index & 1;
    for (unsigned f = 0; f < 2; f++)
        l->frame[f] = mem_alloc(size, size);
    for (unsigned i = 0; i < PROBES; i++)
        l->probe[i] = i * part + (rnd(seed) & (part - 1) & ~0xfffu);
    fill(l, 0, POISON);
    fill(l, 1, POISON);
    write_none(l);
}

static bool enough(void)
{
    return stage_total(STRICT) > 100 && stage_total(CHANGES) > 10;
}

void payload_main(void)
{
    uint32_t seed;
    stage_setup(smp_start(MAX_CPUS));
    seed = stage_seed * 0x2545f491u + 1;
    if (LPAE) {
        for (unsigned i = 0; i < STAGE_MIB / 2; i++)
            add(BLOCK, i, VA + (i << 21), NULL, &seed);
    } else {
        for (unsigned i = 0; i < 5; i++)
            add(LARGE, i, VA + (i << 20) + (i << 16), stage_l2[i] + i * 16, &seed);
        for (unsigned i = 0; i < 5; i++)
            add(SECTION, i, 0xa0000000u + (i << 21), mem_alloc(1024, 1024), &seed);
        add(SUPER, 0, 0x90000000u, mem_alloc(16384, 1024), &seed);
    }
    tlb_flush_all();
    stage_enough = enough;
    stage_run(worker, NULL, 1, 1);
    if (!LPAE)
        halves(&leaves[nleaves - 1], &leaves[5]);
    tap_ok(enough(), "the test did something");
    stage_report(names, VERDICTS, ALL);
}
