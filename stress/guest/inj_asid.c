/* SPDX-License-Identifier: MIT */
/*
 * A kernel that looks at user pages: every CPU switches between address spaces that map the same
 * addresses, non-global, to different RAM, as a kernel does (reserved ASID, table base, ASID), and
 * after each switch reads and writes there in Supervisor mode, and with LDRT, without any TLB
 * maintenance. What it finds must belong to the address space it is in. Arm ARM B3.10.4.
 * Parameters: seed, ms.
 */
#include "lib/mmu.h"

const char payload_name[] = "inj_asid";

#define SPACES 5u /* more than a vCPU switches between without a look at what it keeps */
#define PAGES  6u
#define VA     0x80000000u
#define ASID0  0x50u

static struct space {
    uint32_t *l1, *l2;
    volatile uint32_t *page[PAGES];
} spaces[SPACES];
static struct {
    volatile uint32_t wrong_load, wrong_ldrt, wrong_store, switches;
} res[MAX_CPUS];
static struct barrier gate;
static uint64_t deadline;
static uint32_t seed0;

static uint32_t mark(unsigned space, unsigned page)
{
    return 0x5a000000u | space << 8 | page;
}

static void make_space(unsigned s)
{
    struct space *sp = &spaces[s];
    sp->l1 = mem_alloc(16384, 16384);
    sp->l2 = mem_alloc(1024, 1024);
    memcpy(sp->l1, flat_l1, sizeof(flat_l1));
    sp->l1[VA >> 20] = L1_TABLE(sp->l2, 0);
    for (unsigned p = 0; p < PAGES; p++) {
        sp->page[p] = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        sp->page[p][0] = mark(s, p);
        sp->l2[p] = L2_SMALL((uint32_t)sp->page[p]) | P_NORMAL | P_NG | P_AP(AP_RW_RW);
    }
}

static void switch_to(unsigned s)
{
    write_contextidr(0);
    isb();
    write_ttbr0((uint32_t)spaces[s].l1 | TTBR_ATTR);
    isb();
    write_contextidr(ASID0 + s);
    isb();
}

static uint32_t ldrt(uint32_t va)
{
    uint32_t v;
    __asm__ volatile("ldrt %0, [%1]" : "=r"(v) : "r"(va) : "memory");
    return v;
}

/* Each CPU has its own word of a page to write. */
static void visit(unsigned cpu, unsigned s, uint32_t r)
{
    unsigned p = r % PAGES;
    uint32_t va = VA + p * PAGE_SIZE, mine = va + 64 + 64 * cpu;
    if (r & 0x100)
        res[cpu].wrong_load += load32(va) != mark(s, p);
    else
        res[cpu].wrong_ldrt += ldrt(va) != mark(s, p);
    if (r & 0x200) {
        store32(mine, r);
        res[cpu].wrong_store += spaces[s].page[p][16 + 16 * cpu] != r; /* by the flat map */
    }
}

static void worker(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t seed = seed0 * 0x85ebca6bu + cpu * 0xc2b2ae35u + 1;
    tlb_flush_all();
    barrier_wait(&gate);
    while (time_left(deadline, res[cpu].switches > 100)) {
        unsigned s = rnd(&seed) % SPACES;
        switch_to(s);
        res[cpu].switches++;
        for (unsigned i = 0; i < 8; i++)
            visit(cpu, s, rnd(&seed));
    }
    mmu_flat_restore();
    barrier_wait(&gate);
}

void payload_main(void)
{
    unsigned n = smp_start(MAX_CPUS);
    uint32_t ms = param("ms", 1000), load = 0, user = 0, store = 0, switches = 0;
    seed0 = param("seed", 1);
    tap_diag("seed %u, %u ms, %u CPUs", (unsigned)seed0, (unsigned)ms, n);
    for (unsigned s = 0; s < SPACES; s++)
        make_space(s);
    dsb();
    barrier_init(&gate, n);
    deadline = now() + (uint64_t)ms * ticks_per_ms();
    smp_run_all(n, worker, NULL);
    for (unsigned c = 0; c < n; c++) {
        load += res[c].wrong_load;
        user += res[c].wrong_ldrt;
        store += res[c].wrong_store;
        switches += res[c].switches;
    }
    tap_diag("%u switches", (unsigned)switches);
    tap_ok(switches > 100, "the test did something");
    tap_eq(load, 0, "privileged loads see the current address space");
    tap_eq(user, 0, "unprivileged loads see the current address space");
    tap_eq(store, 0, "stores go to the current address space");
}
