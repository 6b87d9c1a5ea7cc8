/* SPDX-License-Identifier: MIT */
/*
 * Included by the shootdown payloads: see shoot.h.  Entries are written by the owner of a page
 * only; invalidation works from any CPU at any time, several at once.
 */
#include "shoot.h"

struct page pages[PAGES];
uint32_t shoot_seed, shoot_ms;
unsigned shoot_cpus;
volatile uint32_t shoot_count[MAX_CPUS];
static uint32_t *s_l2;
static uint64_t *s_l1_long, *s_l2_long, *s_l3_long;
static struct barrier s_gate;
static uint64_t s_deadline;
bool (*shoot_enough)(void);

/* One mailbox per issuing CPU: what the others shall invalidate locally when its SGI arrives. */
static struct {
    volatile uint32_t va, how, acks;
} __attribute__((aligned(64))) mail[MAX_CPUS];

static uint32_t asid_of(unsigned cpu)
{
    return 40 + cpu % ASIDS;
}

static void make_tables(void)
{
    if (LPAE) {
        s_l1_long = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        s_l2_long = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        s_l3_long = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        s_l1_long[0] = LD_BLOCK | LD_DEVICE | LD_AP1 | LD_XN;
        s_l1_long[1] = RAM_BASE | LD_BLOCK | LD_NORMAL | LD_AP1;
        s_l1_long[2] = (uint32_t)s_l2_long | LD_TABLE;
        s_l2_long[0] = (uint32_t)s_l3_long | LD_TABLE;
    } else {
        s_l2 = mem_alloc(1024, 1024);
        flat_l1[VA >> 20] = L1_TABLE(s_l2, 0);
    }
    for (unsigned i = 0; i < PAGES; i++) {
        pages[i].va = VA + i * 3 * PAGE_SIZE;
        pages[i].global = i & 1;
        for (unsigned f = 0; f < FRAMES; f++)
            pages[i].frame[f] = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    }
    tlb_flush_all();
    gic_init_dist();
}

unsigned shoot_begin(void)
{
    shoot_cpus = smp_start(MAX_CPUS);
    shoot_seed = param("seed", SEED);
    shoot_ms = param("ms", TIME_MS);
    tap_diag("seed %u, %u ms, %u pages, %s descriptors, %u CPUs", (unsigned)shoot_seed,
             (unsigned)shoot_ms, PAGES, LPAE ? "long" : "short", shoot_cpus);
    make_tables();
    return shoot_cpus;
}

void shoot_run(unsigned n, void (*worker)(unsigned cpu, void *arg))
{
    barrier_init(&s_gate, n);
    s_deadline = now() + (uint64_t)shoot_ms * ticks_per_ms();
    smp_run_all(n, worker, NULL);
}

bool shoot_time_left(void)
{
    return now() < s_deadline || time_left(s_deadline, !shoot_enough || shoot_enough());
}

void shoot_set_entry(struct page *p, enum kind kind, unsigned frame)
{
    uint32_t i = (p->va - VA) / PAGE_SIZE, pa = (uint32_t)p->frame[frame];
    bool ng = !p->global;
    if (LPAE) {
        uint64_t e =
            pa | LD_PAGE | LD_NORMAL | LD_AP1 | (ng ? LD_NG : 0) | (kind == READ_ONLY ? LD_AP2 : 0);
        pte_set64(&s_l3_long[i], kind == UNMAPPED ? 0 : e);
    } else {
        uint32_t e = L2_SMALL(pa) | P_NORMAL | (ng ? P_NG : 0) |
                     P_AP(kind == READ_ONLY ? AP_RO_RO : AP_RW_RW);
        pte_set(&s_l2[i], kind == UNMAPPED ? 0 : e);
    }
}

void shoot_change(struct page *p)
{
    p->gen = (p->gen + 1) & 0x0fffffff;
    p->state = p->gen << 3 | CHANGING | STATE_KIND(p->state);
    dmb();
}

void shoot_publish(struct page *p, enum kind kind)
{
    dmb();
    p->state = p->gen << 3 | kind;
    dmb();
}

static void local_invalidate(uint32_t va, uint32_t how)
{
    dsb();
    switch (how % 4) {
    case 0:
        do_tlbimvaa(va);
        break;
    case 1:
        for (unsigned a = 0; a < ASIDS; a++)
            do_tlbimva(va | asid_of(a));
        break;
    default:
        do_tlbiall(0);
    }
    do_bpiall(0);
    dsb();
    isb();
}

static void shoot_irq(struct cpu *cpu, struct regs *regs)
{
    (void)regs;
    (void)cpu;
    uint32_t iar = gic_take();
    if ((iar & 1023) == IRQ_SPURIOUS)
        return;
    unsigned from = iar >> 10 & 7;
    dmb();
    local_invalidate(mail[from].va, mail[from].how);
    atomic_add(&mail[from].acks, 1);
}

void shoot_enter(unsigned cpu)
{
    if (LPAE) {
        mmu_switch((uint64_t)(uint32_t)s_l1_long | (uint64_t)asid_of(cpu) << 48, 0, TTBCR_LONG);
    } else {
        write_contextidr(asid_of(cpu));
        isb();
    }
    tlb_flush_all();
    gic_init_cpu();
    this_cpu()->irq = shoot_irq;
    irq_enable();
    barrier_wait(&s_gate);
}

void shoot_leave(void)
{
    barrier_wait(&s_gate); /* others may still wait for our answer to their SGI */
    irq_disable();
    if (LPAE)
        mmu_flat_restore();
    write_contextidr(0);
    isb();
}

#define WAYS 6u
unsigned shoot_ways(void)
{
    return WAYS;
}

static void by_ipi(struct page *p, uint32_t how)
{
    unsigned me = this_cpu()->index;
    mail[me].va = p->va;
    mail[me].how = how;
    mail[me].acks = 0;
    dmb();
    gic_sgi(2, ((1u << shoot_cpus) - 1) & ~(1u << me));
    local_invalidate(p->va, how);
    while (mail[me].acks != shoot_cpus - 1)
        cpu_yield();
    dmb();
}

void shoot_invalidate(struct page *p, uint32_t choice)
{
    bool ng = !p->global;
    dsb();
    switch (choice % WAYS) {
    case 0:
        do_tlbimvaais(p->va);
        break;
    case 1: /* every ASID in use; for a global entry any one is enough */
        for (unsigned a = 0; a < (ng ? ASIDS : 1); a++)
            do_tlbimvais(p->va | asid_of(a));
        break;
    case 2: /* by ASID covers non-global entries only */
        for (unsigned a = 0; ng && a < ASIDS; a++)
            do_tlbiasidis(asid_of(a));
        if (!ng)
            do_tlbimvais(p->va);
        break;
    case 3:
        do_tlbiallis(0);
        break;
    case 4:
        by_ipi(p, choice / WAYS);
        break;
    default:
        do_tlbimvaais(p->va | 0x55); /* the low bits are ignored */
    }
    do_bpiallis(0);
    dsb();
    isb();
    shoot_count[this_cpu()->index]++;
}

void shoot_total(const char *name, const volatile uint32_t *first, size_t stride, unsigned n)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < n; i++)
        sum += *(const volatile uint32_t *)((const volatile char *)first + i * stride);
    tap_eq(sum, 0, "%s", name);
}
