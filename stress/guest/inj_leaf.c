/* SPDX-License-Identifier: MIT */
/*
 * Shootdown of large leaves: a section, and a large page, are unmapped and mapped to other RAM
 * while the other CPUs read all over them; the maintenance names one address of the leaf, not the
 * one that was read. After the DSB no part of the leaf may be reached through the old entry. The
 * owner's protocol is that of shoot.h. Arm ARM B3.10.5. Parameters: seed, ms.
 */
#include "lib/mmu.h"

const char payload_name[] = "inj_leaf";

#define VA_SECTION 0x80000000u
#define VA_LARGE   0x80100000u
#define SECTION    0x100000u
#define LARGE      0x10000u
#define CHANGING   1u

static struct leaf {
    const char *name;
    uint32_t va, size;
    uint8_t *frame[2];
    volatile uint32_t state; /* gen << 1 | CHANGING; the frame is that of gen & 1 */
    volatile uint32_t stale[MAX_CPUS], false_fault[MAX_CPUS], reads[MAX_CPUS];
} leaves[2] = {{.name = "section", .va = VA_SECTION, .size = SECTION},
               {.name = "large page", .va = VA_LARGE, .size = LARGE}};
static uint32_t large_l2[256] __attribute__((aligned(1024)));
static struct barrier gate;
static uint64_t deadline;
static uint32_t seed0;

static void set_leaf(struct leaf *l, bool valid, unsigned f)
{
    uint32_t pa = (uint32_t)l->frame[f];
    if (l->size == SECTION) {
        pte_set(&flat_l1[l->va >> 20], valid ? L1_SECTION(pa) | S_NORMAL | S_AP(AP_RW_RW) : 0);
        return;
    }
    for (unsigned i = 0; i < 16; i++) /* a large page is sixteen equal entries */
        large_l2[i] = valid ? L2_LARGE(pa) | LP_NORMAL | P_AP(AP_RW_RW) : 0;
    dsb();
    isb();
}

static void invalidate(const struct leaf *l, uint32_t r)
{
    uint32_t va = l->va + (r % l->size & ~(PAGE_SIZE - 1));
    dsb();
    if (r >> 31)
        do_tlbimvais(va);
    else
        do_tlbimvaais(va);
    do_bpiallis(0);
    dsb();
    isb();
}

static void change(struct leaf *l, uint32_t r)
{
    uint32_t gen = (l->state >> 1) + 1;
    l->state |= CHANGING;
    dmb();
    set_leaf(l, false, 0);
    invalidate(l, r);
    set_leaf(l, true, gen & 1);
    dmb();
    l->state = gen << 1;
}

static uint32_t read_at(uint32_t va)
{
    return load32(va);
}

/* Every word of a frame holds the frame's number. */
static void look(struct leaf *l, unsigned cpu, uint32_t r)
{
    uint32_t s1 = l->state;
    dmb();
    enum trap_kind k = catch_call((const void *)read_at, l->va + (r % l->size & ~3u), 0, 0);
    uint32_t got = this_cpu()->result;
    dmb();
    if (l->state != s1 || (s1 & CHANGING))
        return;
    l->reads[cpu]++;
    if (k != TRAP_NONE)
        l->false_fault[cpu]++;
    else if (got != (s1 >> 1 & 1))
        l->stale[cpu]++;
}

static void worker(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t seed = seed0 * 0x9e3779b9u + cpu * 0x7f4a7c15u + 1;
    tlb_flush_all();
    barrier_wait(&gate);
    while (now() < deadline) {
        for (unsigned i = 0; i < 64; i++) {
            uint32_t r = rnd(&seed);
            look(&leaves[r >> 31], cpu, r);
        }
        if (cpu < ARRAY_SIZE(leaves))
            change(&leaves[cpu], rnd(&seed));
    }
    barrier_wait(&gate);
}

void payload_main(void)
{
    unsigned n = smp_start(MAX_CPUS);
    uint32_t ms = param("ms", 2000);
    seed0 = param("seed", 1);
    tap_diag("seed %u, %u ms, %u CPUs", (unsigned)seed0, (unsigned)ms, n);
    flat_l1[VA_LARGE >> 20] = L1_TABLE(large_l2, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(leaves); i++) {
        struct leaf *l = &leaves[i];
        for (unsigned f = 0; f < 2; f++) {
            l->frame[f] = mem_alloc(l->size, l->size);
            for (uint32_t w = 0; w < l->size / 4; w++)
                ((uint32_t *)l->frame[f])[w] = f;
        }
        set_leaf(l, true, 0);
    }
    barrier_init(&gate, n);
    deadline = now() + (uint64_t)ms * ticks_per_ms();
    smp_run_all(n, worker, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(leaves); i++) {
        uint32_t stale = 0, faults = 0, reads = 0;
        for (unsigned c = 0; c < n; c++) {
            stale += leaves[i].stale[c];
            faults += leaves[i].false_fault[c];
            reads += leaves[i].reads[c];
        }
        tap_diag("%u reads with one legal outcome, %u changes", (unsigned)reads,
                 (unsigned)(leaves[i].state >> 1));
        tap_ok(reads > 50, "%s: the test did something", leaves[i].name);
        tap_eq(stale, 0, "%s: no read through the old leaf", leaves[i].name);
        tap_eq(faults, 0, "%s: a mapped leaf does not fault", leaves[i].name);
    }
}
