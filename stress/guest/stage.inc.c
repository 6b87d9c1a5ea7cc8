/* SPDX-License-Identifier: MIT */
/*
 * Included by the payloads that use stage.h.  Entries of a page are written by one CPU at a time,
 * which the payload sees to; invalidation works from any CPU at any time, several at once.
 * Counters are written by their CPU and read by CPU 0 at the end.
 */
#include "stage.h"

unsigned stage_cpus;
uint32_t *stage_l2[STAGE_MIB];
uint64_t *stage_ll2, *stage_ll3[STAGE_MIB / 2];
struct counters counters[MAX_CPUS];
static uint64_t *stage_ll1;
static struct barrier stage_gate;
static uint64_t stage_deadline;
bool (*stage_enough)(void);
uint32_t stage_seed, stage_ms;

uint32_t stage_asid(unsigned cpu)
{
    return 40 + cpu % ASIDS;
}

void stage_setup(unsigned n)
{
    stage_cpus = n;
    stage_seed = param("seed", SEED);
    stage_ms = param("ms", TIME_MS);
    tap_diag("seed %u, %u ms, %s descriptors, %u CPUs", (unsigned)stage_seed, (unsigned)stage_ms,
             LPAE ? "long" : "short", n);
    if (LPAE) {
        stage_ll1 = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        stage_ll2 = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        stage_ll1[0] = LD_BLOCK | LD_DEVICE | LD_AP1 | LD_XN;
        stage_ll1[1] = RAM_BASE | LD_BLOCK | LD_NORMAL | LD_AP1;
        stage_ll1[2] = (uint32_t)stage_ll2 | LD_TABLE;
        for (unsigned i = 0; i < STAGE_MIB / 2; i++) {
            stage_ll3[i] = mem_alloc(PAGE_SIZE, PAGE_SIZE);
            stage_ll2[i] = (uint32_t)stage_ll3[i] | LD_TABLE;
        }
    } else {
        for (unsigned i = 0; i < STAGE_MIB; i++) {
            stage_l2[i] = mem_alloc(1024, 1024);
            flat_l1[(VA >> 20) + i] = L1_TABLE(stage_l2[i], 0);
        }
    }
    tlb_flush_all();
    gic_init_dist();
}

void stage_enter(unsigned cpu)
{
    if (LPAE) {
        mmu_switch((uint64_t)(uint32_t)stage_ll1 | (uint64_t)stage_asid(cpu) << 48, 0, TTBCR_LONG);
    } else {
        write_contextidr(stage_asid(cpu));
        isb();
    }
    tlb_flush_all();
}

void stage_leave(void)
{
    if (LPAE)
        mmu_flat_restore();
    write_contextidr(0);
    isb();
}

static void write_entry(uint32_t va, uint64_t e)
{
    uint32_t off = va - VA;
    if (LPAE)
        pte_set64(&stage_ll3[off >> 21][off >> 12 & 511], e);
    else
        pte_set(&stage_l2[off >> 20][off >> 12 & 255], (uint32_t)e);
}

void stage_map(uint32_t va, const void *frame, unsigned how)
{
    uint32_t pa = (uint32_t)frame;
    if (LPAE)
        write_entry(va, pa | LD_PAGE | (how & ST_DEVICE ? LD_ATTR(1) : LD_ATTR(0) | LD_SH_IS) |
                            (how & ST_OLD ? 0 : LD_AF) | (how & ST_PRIV ? 0 : LD_AP1) |
                            (how & ST_RO ? LD_AP2 : 0) | (how & ST_GLOBAL ? 0 : LD_NG) |
                            (how & ST_XN ? LD_XN : 0));
    else
        write_entry(
            va, L2_SMALL(pa) | (how & ST_DEVICE ? P_DEVICE : P_NORMAL) |
                    P_AP((how & ST_OLD ? 0 : 1) | (how & ST_PRIV ? 0 : 2) | (how & ST_RO ? 4 : 0)) |
                    (how & ST_GLOBAL ? 0 : P_NG) | (how & ST_XN ? P_XN : 0));
}

void stage_unmap(uint32_t va)
{
    write_entry(va, 0);
}

void stage_tlbi(uint32_t va, bool global, uint32_t way)
{
    switch (way % 5) {
    case 0:
        do_tlbimvaais(va);
        break;
    case 1: /* every ASID in use; a global entry goes with any */
        for (unsigned a = 0; a < (global ? 1 : ASIDS); a++)
            do_tlbimvais((va & ~0xfffu) | stage_asid(a));
        break;
    case 2: /* by ASID covers non-global entries only */
        for (unsigned a = 0; !global && a < ASIDS; a++)
            do_tlbiasidis(stage_asid(a));
        if (global)
            do_tlbimvais(va & ~0xfffu);
        break;
    case 3:
        do_tlbiallis(0);
        break;
    default:
        do_tlbimvaais(va | 0xaa); /* the low bits are ignored */
    }
    do_bpiallis(0);
}

void stage_invalidate(uint32_t va, bool global, uint32_t way)
{
    dsb();
    stage_tlbi(va, global, way);
    dsb();
    isb();
}

uint32_t stage_fault_address(enum trap_kind k)
{
    return k == TRAP_PABT ? this_cpu()->trap.ifar : this_cpu()->trap.dfar;
}

enum why stage_why(enum trap_kind k)
{
    if (k == TRAP_NONE)
        return WHY_NONE;
    if (k != TRAP_DABT && k != TRAP_PABT)
        return WHY_OTHER;
    uint32_t fsr = k == TRAP_PABT ? this_cpu()->trap.ifsr : this_cpu()->trap.dfsr;
    if (LPAE) {
        if ((fsr & 0x3f) == 0x21)
            return WHY_ALIGN;
        static const enum why by_type[] = {WHY_OTHER, WHY_TRANS, WHY_AF, WHY_PERM};
        return (fsr & 0x3f) < 16 && (fsr & 3) ? by_type[fsr >> 2 & 3] : WHY_OTHER;
    }
    switch (FSR_FS(fsr)) {
    case FS_TRANS_SECTION:
    case FS_TRANS_PAGE:
        return WHY_TRANS;
    case FS_AF_SECTION:
    case FS_AF_PAGE:
        return WHY_AF;
    case FS_DOMAIN_SECTION:
    case FS_DOMAIN_PAGE:
        return WHY_DOMAIN;
    case FS_PERM_SECTION:
    case FS_PERM_PAGE:
        return WHY_PERM;
    case FS_ALIGN:
        return WHY_ALIGN;
    default:
        return WHY_OTHER;
    }
}

uint32_t stage_total(unsigned what)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < MAX_CPUS; i++)
        sum += counters[i].n[what];
    return sum;
}

void stage_report(const char *const *names, unsigned verdicts, unsigned all)
{
    for (unsigned i = verdicts; i < all; i++)
        tap_diag("%s: %u", names[i], (unsigned)stage_total(i));
    for (unsigned i = 0; i < verdicts; i++)
        tap_eq(stage_total(i), 0, "%s", names[i]);
}

bool stage_time_left(void)
{
    return now() < stage_deadline || time_left(stage_deadline, !stage_enough || stage_enough());
}

void stage_meet(void)
{
    barrier_wait(&stage_gate);
}

void stage_run(cpu_fn *fn, void *arg, unsigned part, unsigned parts)
{
    barrier_init(&stage_gate, stage_cpus);
    stage_deadline = now() + (uint64_t)(stage_ms * part / parts) * ticks_per_ms();
    smp_run_all(stage_cpus, fn, arg);
}

void stage_wait(struct patience *p, const char *what, unsigned cpu)
{
    uint64_t t = now(), most = 100 * (uint64_t)ticks_per_ms();
    if (p->last)
        p->waited += t - p->last < most ? t - p->last : most;
    p->last = t;
    if (p->waited > (uint64_t)PATIENCE_MS * ticks_per_ms())
        bail("nothing for %u ms: %s, CPU %u", PATIENCE_MS, what, cpu);
    cpu_yield();
}
