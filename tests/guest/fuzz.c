/* SPDX-License-Identifier: MIT */
/*
 * Random instructions in User mode, ARM and Thumb, alone and in short runs, in an address space
 * where only one code page and two data pages are open.  Whatever they do, the kernel's state stays
 * whole, the CPU stays in User mode, a trap has a sane address, and the same start gives the same
 * end (two runs are compared, and a checksum over all is printed).  A timer ends endless loops.
 * Parameters: SEED, RUNS.
 */
#include "lib/gic.h"
#include "lib/mmu.h"
#include "lib/snip.h"
#include "lib/vfp.h"

const char payload_name[] = "fuzz";

#ifndef SEED
#define SEED 1u
#endif
#ifndef RUNS
#define RUNS 20000u
#endif
#define CODE_VA 0x80000000u
#define DATA_VA 0x80001000u /* two pages, the code page right below */
#define LEN     6u

static uint8_t *code, *data;
static uint32_t canary[64], saved[4];

struct result {
    struct regs regs;
    uint64_t d[32];
    uint32_t fpscr, sum, kind;
    bool timed;
};

/* The kernel is privileged only; the sandbox is open. */
static void sandbox(void)
{
    uint32_t *l1 = mem_alloc(16384, 16384), *l2 = mem_alloc(1024, 1024);
    code = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    data = mem_alloc(2 * PAGE_SIZE, PAGE_SIZE);
    for (unsigned i = 0; i < 4096; i++)
        l1[i] = flat_l1[i] ? (flat_l1[i] & ~S_AP(7)) | S_AP(AP_RW_NA) : 0;
    l1[CODE_VA >> 20] = L1_TABLE(l2, 0);
    l2[0] = L2_SMALL(code) | P_NORMAL | P_AP(AP_RO_RO);
    l2[1] = L2_SMALL(data) | P_NORMAL | P_AP(AP_RW_RW) | P_XN;
    l2[2] = L2_SMALL(data + PAGE_SIZE) | P_NORMAL | P_AP(AP_RW_RW) | P_XN;
    mmu_switch((uint32_t)l1 | TTBR_ATTR, (uint32_t)l1 | TTBR_ATTR, 0);
}

/* The stack pointers of the other modes: nothing in User mode may reach them. */
static void bank_read(uint32_t out[4])
{
#define BANK(n, mode) __asm__ volatile("cps #" #mode "\n mov %0, sp\n cps #0x13" : "=&r"(out[n]))
    BANK(0, 0x11);
    BANK(1, 0x12);
    BANK(2, 0x17);
    BANK(3, 0x1b);
#undef BANK
}

static bool irq_hook(struct cpu *cpu, struct regs *r)
{
    (void)cpu;
    if (r->kind != TRAP_IRQ)
        return false;
    uint32_t iar = gicc_read(GICC_IAR);
    write_cntv_ctl(0);
    if ((iar & 1023) != IRQ_SPURIOUS)
        gicc_write(GICC_EOIR, iar);
    return false; /* ends the run */
}

static void run(const struct regs *start, const uint64_t *d, struct result *out)
{
    for (unsigned i = 0; i < 2 * PAGE_SIZE / 4; i++)
        ((uint32_t *)data)[i] = DATA_VA + ((i * 2654435761u) & 0xffc);
    vfp_load(d);
    vfp_write_fpscr(0);
    write_tpidrurw(0);
    write_cntv_tval(4 * ticks_per_ms());
    write_cntv_ctl(1);
    out->kind = catch_frame(start);
    write_cntv_ctl(0);
    isb();
    if (out->kind != TRAP_IRQ) { /* it may have become pending just now */
        uint32_t iar = gicc_read(GICC_IAR);
        if ((iar & 1023) != IRQ_SPURIOUS)
            gicc_write(GICC_EOIR, iar);
    }
    out->timed = out->kind == TRAP_IRQ;
    out->regs = this_cpu()->trap.regs;
    vfp_store(out->d);
    out->fpscr = vfp_read_fpscr();
    uint32_t s = 0;
    for (unsigned i = 0; i < 2 * PAGE_SIZE / 4; i++)
        s = (s << 7 | s >> 25) ^ ((uint32_t *)data)[i];
    out->sum = s;
}

static void whole(struct matrix *m, const struct result *r, const char *what, uint32_t id)
{
    uint32_t now_banks[4];
    struct cpu *cpu = this_cpu();
    bank_read(now_banks);
    case_eq(m,
            r->kind == TRAP_SVC || r->kind == TRAP_UNDEF || r->kind == TRAP_PABT ||
                r->kind == TRAP_DABT || r->kind == TRAP_IRQ,
            1, "%s %u: kind %u", what, (unsigned)id, (unsigned)r->kind);
    case_eq(m, r->regs.cpsr & (MODE_MASK | PSR_I | PSR_F | PSR_A | PSR_J), MODE_USR | PSR_F | PSR_A,
            "%s %u: CPSR", what, (unsigned)id);
    case_eq(m, cpu->index, 0, "%s %u: CPU data", what, (unsigned)id);
    case_eq(m, memcmp(now_banks, saved, sizeof(saved)) != 0, 0, "%s %u: banked registers", what,
            (unsigned)id);
    for (unsigned i = 0; i < ARRAY_SIZE(canary); i++)
        case_eq(m, canary[i], 0xca9a0000 + i, "%s %u: kernel memory", what, (unsigned)id);
    if (r->kind == TRAP_SVC || r->kind == TRAP_UNDEF || r->kind == TRAP_DABT)
        case_eq(m, r->regs.pc - CODE_VA <= PAGE_SIZE, 1, "%s %u: PC %x", what, (unsigned)id,
                (unsigned)r->regs.pc);
    if (r->kind == TRAP_PABT && (cpu->trap.ifsr & 0x40f) != FS_DEBUG)
        case_eq(m, cpu->trap.ifar - r->regs.pc <= 2, 1, "%s %u: IFAR", what, (unsigned)id);
}

static void write_code(uint32_t *seed, bool thumb, unsigned n)
{
    if (thumb) {
        uint16_t *h = (uint16_t *)code;
        for (unsigned i = 0; i < n; i++)
            h[i] = (uint16_t)(rnd(seed) >> 8);
        for (unsigned i = n; i < PAGE_SIZE / 2; i++)
            h[i] = 0xdf52;
    } else {
        uint32_t *w = (uint32_t *)code;
        for (unsigned i = 0; i < n; i++) {
            w[i] = rnd(seed);
            if (rnd(seed) & 3) /* mostly unconditional */
                w[i] = (w[i] & 0x0fffffff) | 0xe0000000;
        }
        for (unsigned i = n; i < PAGE_SIZE / 4; i++)
            w[i] = 0xef000052;
    }
    code_sync(code, PAGE_SIZE);
}

static void random_start(uint32_t *seed, struct regs *r, uint64_t *d, bool thumb)
{
    regs_init(r, MODE_USR);
    r->cpsr = MODE_USR | PSR_F | PSR_A | (rnd(seed) & 0xf80f0000) | (thumb ? PSR_T : 0);
    for (unsigned i = 0; i < 13; i++)
        r->r[i] = rnd(seed) & 1 ? DATA_VA + (rnd(seed) & 0x1ffc) : rnd(seed);
    r->sp = DATA_VA + PAGE_SIZE;
    r->lr = CODE_VA + 64 + thumb;
    r->pc = CODE_VA;
    for (unsigned i = 0; i < 32; i++)
        d[i] = (uint64_t)rnd(seed) << 32 | rnd(seed);
}

void payload_main(void)
{
    static struct result a, b;
    struct matrix m = {.name = "the kernel survives"},
                  same = {.name = "the same start gives the same end"};
    uint32_t seed = SEED * 2654435761u + 1, kinds[9] = {0}, sum = 0;
    gic_init_dist();
    gic_init_cpu();
    gic_enable(IRQ_VTIMER);
    write_cntkctl(0);
    write_pmuserenr(0);
    vfp_enable(true);
    for (unsigned i = 0; i < ARRAY_SIZE(canary); i++)
        canary[i] = 0xca9a0000 + i;
    sandbox();
    bank_read(saved);
    this_cpu()->hook = irq_hook;
    tap_diag("seed %u, %u runs", SEED, RUNS);
    for (uint32_t i = 0; i < RUNS; i++) {
        bool thumb = i & 1;
        struct regs start;
        uint64_t d[32];
        write_code(&seed, thumb, i & 2 ? LEN : thumb ? 2 : 1);
        random_start(&seed, &start, d, thumb);
        run(&start, d, &a);
        whole(&m, &a, thumb ? "thumb" : "arm", i);
        run(&start, d, &b);
        kinds[a.kind]++;
        if (a.timed || b.timed)
            continue;
        case_eq(&same, b.kind, a.kind, "%u kind (%08x)", (unsigned)i, (unsigned)*(uint32_t *)code);
        case_eq(&same, regs_diff(&a.regs, &b.regs), 0, "%u registers (%08x)", (unsigned)i,
                (unsigned)*(uint32_t *)code);
        case_eq(&same, b.regs.pc, a.regs.pc, "%u PC (%08x)", (unsigned)i,
                (unsigned)*(uint32_t *)code);
        case_eq(&same, b.regs.cpsr, a.regs.cpsr, "%u CPSR (%08x)", (unsigned)i,
                (unsigned)*(uint32_t *)code);
        case_eq(&same, memcmp(a.d, b.d, sizeof(a.d)) != 0, 0, "%u VFP registers (%08x)",
                (unsigned)i, (unsigned)*(uint32_t *)code);
        case_eq(&same, b.fpscr, a.fpscr, "%u FPSCR (%08x)", (unsigned)i,
                (unsigned)*(uint32_t *)code);
        case_eq(&same, b.sum, a.sum, "%u memory (%08x)", (unsigned)i, (unsigned)*(uint32_t *)code);
        for (unsigned k = 0; k < 15; k++)
            sum = (sum << 3 | sum >> 29) ^ ((uint32_t *)&a.regs)[k];
        sum ^= a.regs.cpsr ^ a.regs.pc ^ a.sum ^ a.fpscr ^ a.kind;
        for (unsigned k = 0; k < 32; k++)
            sum = (sum << 5 | sum >> 27) ^ (uint32_t)a.d[k] ^ (uint32_t)(a.d[k] >> 32);
    }
    this_cpu()->hook = NULL;
    mmu_flat_restore();
    tap_diag("%u SVC, %u UNDEF, %u prefetch aborts, %u data aborts, %u timed out",
             (unsigned)kinds[TRAP_SVC], (unsigned)kinds[TRAP_UNDEF], (unsigned)kinds[TRAP_PABT],
             (unsigned)kinds[TRAP_DABT], (unsigned)kinds[TRAP_IRQ]);
    tap_diag("checksum %08x", (unsigned)sum);
    matrix_end(&m);
    matrix_end(&same);
}
