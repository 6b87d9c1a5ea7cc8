/* SPDX-License-Identifier: MIT */
/*
 * Code that changes: rewritten with the maintenance sequence of the Arm ARM (A3.5.4, B2.2.9),
 * patched from within, through an alias, by remapping its page, in the middle of chained loops, and
 * by another CPU.  Without maintenance only "old or new" is checked.  CTR says the instruction
 * cache of a Cortex-A15 is PIPT, so remapping alone needs no cache maintenance.
 */
#include "lib/mmu.h"
#include "lib/probe.h"
#include "lib/snip.h"

const char payload_name[] = "smc";

#define VA 0x80000000u
static uint32_t *l2;
static uint8_t *phys; /* 16 pages */
#define PAGES 16

static uint32_t call0(uint32_t va)
{
    uint32_t (*fn)(void);
    __asm__ volatile("" : "=r"(fn) : "0"(va));
    return fn();
}

/* ARM: movw r0, #id; bx lr.  Thumb: movw r0, #id; bx lr. */
static void write_fn(uint32_t va, bool thumb, uint16_t id)
{
    if (thumb) {
        volatile uint16_t *h = (uint16_t *)va;
        h[0] = (uint16_t)(0xf240u | (id & 0x800u) >> 1 | id >> 12);
        h[1] = (uint16_t)((id & 0x700u) << 4 | (id & 0xffu));
        h[2] = 0x4770;
    } else {
        volatile uint32_t *w = (uint32_t *)va;
        w[0] = 0xe3000000u | (id & 0xf000u) << 4 | (id & 0xfffu);
        w[1] = 0xe12fff1e;
    }
}

static void set_page(unsigned page, unsigned phys_page, unsigned ap)
{
    l2[page] = ap ? L2_SMALL(phys + phys_page * PAGE_SIZE) | P_NORMAL | P_AP(ap) : 0;
    dsb();
    do_tlbimvais(VA + page * PAGE_SIZE);
    do_bpiallis(0);
    dsb();
    isb();
}

static void identity(void)
{
    for (unsigned i = 0; i < PAGES; i++)
        set_page(i, i, AP_RW_RW);
}

enum sync { BY_MVA, ICIALLU_LOCAL, ICIALLU_IS, SYNC_KINDS };
static void sync_code(uint32_t va, unsigned n, enum sync how)
{
    for (uint32_t a = va & ~31u; a < va + n; a += 32)
        do_dccmvau(a);
    dsb();
    if (how == BY_MVA)
        for (uint32_t a = va & ~31u; a < va + n; a += 32)
            do_icimvau(a);
    else if (how == ICIALLU_LOCAL)
        do_iciallu(0);
    else
        do_icialluis(0);
    do_bpiall(0);
    dsb();
    isb();
}

static void test_rewrite(void)
{
    static const char *const names[] = {"rewritten function, ICIMVAU",
                                        "rewritten function, ICIALLU",
                                        "rewritten function, ICIALLUIS"};
    for (enum sync how = BY_MVA; how < SYNC_KINDS; how++) {
        struct matrix m = {.name = names[how]};
        for (unsigned i = 0; i < 3000; i++) {
            uint32_t va = VA + (i % 7) * 0x124 + (i & 8 ? PAGE_SIZE : 0);
            bool thumb = i & 1;
            write_fn(va, thumb, (uint16_t)i);
            sync_code(va, 8, how);
            if (i % 3)
                case_eq(&m, call0(va | thumb), i & 0xffff, "round %u", i);
            else if (case_eq(&m, catch_user((void *)(va | thumb), 0, 0, 0), TRAP_NONE,
                             "user round %u", i))
                case_eq(&m, this_cpu()->result, i & 0xffff, "user round %u", i);
        }
        matrix_end(&m);
    }
}

/* Old or new without maintenance, new afterwards. */
static void test_no_maintenance(void)
{
    struct matrix m = {.name = "without maintenance: old or new"};
    write_fn(VA, false, 1);
    sync_code(VA, 8, BY_MVA);
    case_eq(&m, call0(VA), 1, "start");
    for (unsigned i = 2; i < 300; i++) {
        /* only the MOVW changes: one aligned word */
        *(volatile uint32_t *)VA = 0xe3000000u | (i & 0xf000u) << 4 | (i & 0xfffu);
        uint32_t got = call0(VA);
        case_eq(&m, got == i || got == i - 1, 1, "round %u got %u", i, (unsigned)got);
        sync_code(VA, 8, BY_MVA);
        case_eq(&m, call0(VA), i, "after maintenance");
    }
    matrix_end(&m);
}

/* Code and data in one page: stores near code must not disturb it, and the stores must arrive. */
static void test_mixed_page(void)
{
    struct matrix m = {.name = "code and data in one page"};
    volatile uint32_t *data = (uint32_t *)(VA + 0x400);
    for (unsigned i = 0; i < 8; i++)
        write_fn(VA + 0x40 * i, i & 1, (uint16_t)(0x700 + i));
    sync_code(VA, 0x200, BY_MVA);
    for (unsigned r = 0; r < 5000; r++) {
        data[r % 700] = r;
        unsigned i = r % 8;
        case_eq(&m, call0((VA + 0x40 * i) | (i & 1)), 0x700 + i, "code");
        case_eq(&m, data[r % 700], r, "data");
    }
    matrix_end(&m);
}

/* Patch the instruction that follows in the same straight line. r0 va of it, r1 the new word. */
SNIP_A(patch_next, "adr r2, 1f\n"
                   "str r1, [r2]\n"
                   "mcr p15, 0, r2, c7, c11, 1\n"
                   "dsb\n"
                   "mcr p15, 0, r2, c7, c5, 1\n"
                   "mcr p15, 0, r2, c7, c5, 6\n"
                   "dsb\n"
                   "isb\n"
                   "1: mov r0, #0\n"
                   "mov r3, #7\n");
/* A loop that changes its own body when r1 iterations are left. */
SNIP_A(patch_loop, "mov r0, #0\n"
                   "1: add r0, r0, #1\n"
                   "cmp r1, r2\n"
                   "bne 2f\n"
                   "adr r4, 1b\n"
                   "str r3, [r4]\n"
                   "mcr p15, 0, r4, c7, c11, 1\n"
                   "dsb\n"
                   "mcr p15, 0, r4, c7, c5, 1\n"
                   "mcr p15, 0, r4, c7, c5, 6\n"
                   "dsb\n"
                   "isb\n"
                   "2: subs r1, r1, #1\n"
                   "bne 1b\n");

static void test_self_patch(void)
{
    struct matrix m = {.name = "code patches itself"};
    struct regs in;
    for (unsigned i = 1; i < 200; i++) {
        regs_init(&in, MODE_SYS);
        in.r[1] = 0xe3a00000u | i; /* mov r0, #i */
        case_eq(&m, snip_run(&in, patch_next_arm), TRAP_SVC, "next");
        case_eq(&m, this_cpu()->trap.regs.r[0], i, "next instruction");
        case_eq(&m, this_cpu()->trap.regs.r[3], 7, "the one after");
    }
    for (unsigned i = 0; i < 50; i++) {
        uint32_t *body = (uint32_t *)((uint32_t)patch_loop_arm + 4);
        *body = 0xe2800001; /* add r0, r0, #1 */
        code_sync(body, 4);
        regs_init(&in, MODE_SYS);
        in.r[1] = 1000;
        in.r[2] = 1000 - i * 19; /* patched after this many are done */
        in.r[3] = 0xe2800003;    /* add r0, r0, #3 */
        case_eq(&m, snip_run(&in, patch_loop_arm), TRAP_SVC, "loop");
        uint32_t first = 1000 - in.r[2] + 1;
        case_eq(&m, this_cpu()->trap.regs.r[0], first + 3 * (1000 - first), "loop %u", i);
    }
    matrix_end(&m);
}

/* Written and maintained through another virtual address of the same page. */
static void test_alias(void)
{
    struct matrix m = {.name = "written through an alias"};
    identity();
    set_page(8, 0, AP_RW_RW);
    set_page(9, 0, AP_RO_RO);
    for (unsigned i = 0; i < 500; i++) {
        uint32_t w = i & 1 ? VA + 8 * PAGE_SIZE : (uint32_t)phys;
        uint32_t x = i & 2 ? VA : VA + 9 * PAGE_SIZE;
        write_fn(w + 0x80, false, (uint16_t)i);
        sync_code(w + 0x80, 8, BY_MVA);
        case_eq(&m, call0(x + 0x80), i, "round %u", i);
        case_eq(&m, call0(VA + 0x80), i, "round %u other alias", i);
    }
    identity();
    matrix_end(&m);
}

/* An address that shows different physical code in turn; only TLB and branch predictor maintenance.
 */
static void test_remap(void)
{
    struct matrix m = {.name = "code page remapped"};
    identity();
    for (unsigned i = 0; i < PAGES; i++)
        write_fn((uint32_t)phys + i * PAGE_SIZE + 0x20, false, (uint16_t)(0x500 + i));
    sync_code((uint32_t)phys, PAGES * PAGE_SIZE, BY_MVA);
    for (unsigned r = 0; r < 1500; r++) {
        unsigned p = r * 5 % PAGES;
        set_page(3, p, AP_RW_RW);
        case_eq(&m, call0(VA + 3 * PAGE_SIZE + 0x20), 0x500 + p, "round %u", r);
        if (r % 10 == 0) {
            set_page(3, 0, 0);
            case_eq(&m, probe(ACC_EXEC, r & 1, VA + 3 * PAGE_SIZE + 0x20, 0), TRAP_PABT,
                    "unmapped");
        }
    }
    identity();
    matrix_end(&m);
}

/*
 * F in page 0 loops n times over a direct BL to G in page 1 and adds what it returns; G is
 * rewritten or its page remapped between runs, so links from F's blocks to G's must not survive.
 */
static uint32_t arm_bl(uint32_t from, uint32_t to)
{
    return 0xeb000000u | ((to - from - 8) >> 2 & 0xffffff);
}

static void write_caller(uint32_t f, uint32_t g)
{
    uint32_t *w = (uint32_t *)f;
    w[0] = 0xe92d4070;        /* push {r4-r6, lr} */
    w[1] = 0xe1a04000;        /* mov r4, r0 */
    w[2] = 0xe3a05000;        /* mov r5, #0 */
    w[3] = arm_bl(f + 12, g); /* 1: bl g */
    w[4] = 0xe0855000;        /* add r5, r5, r0 */
    w[5] = 0xe2544001;        /* subs r4, r4, #1 */
    w[6] = 0x1afffffb;        /* bne 1b */
    w[7] = 0xe1a00005;        /* mov r0, r5 */
    w[8] = 0xe8bd8070;        /* pop {r4-r6, pc} */
    sync_code(f, 36, BY_MVA);
}

static void test_chained(void)
{
    struct matrix m = {.name = "callee of a chained loop replaced"};
    struct cpu *cpu = this_cpu();
    identity();
    uint32_t f = VA + 0x100, g = VA + PAGE_SIZE + 0x200;
    write_caller(f, g);
    for (unsigned p = 0; p < PAGES; p++)
        if (p)
            write_fn((uint32_t)phys + p * PAGE_SIZE + 0x200, false, (uint16_t)(p + 1));
    sync_code((uint32_t)phys, PAGES * PAGE_SIZE, BY_MVA);
    for (unsigned r = 0; r < 600; r++) {
        uint32_t want;
        if (r % 3 == 0) { /* rewrite G in place */
            write_fn(g, false, (uint16_t)(r + 1));
            sync_code(g, 8, BY_MVA);
            want = r + 1;
        } else { /* other physical page, also for the data path */
            unsigned p = 1 + r % (PAGES - 1);
            set_page(1, p, AP_RW_RW);
            want = load32(g) & 0xfff;
        }
        bool user = r & 1;
        enum trap_kind k =
            user ? catch_user((void *)f, 100, 0, 0) : catch_call((void *)f, 100, 0, 0);
        case_eq(&m, k, TRAP_NONE, "round %u", r);
        case_eq(&m, cpu->result, 100 * want, "round %u sum", r);
        if (r % 16 == 5) {
            set_page(1, 0, 0);
            k = catch_user((void *)f, 100, 0, 0);
            case_eq(&m, k, TRAP_PABT, "callee unmapped");
            case_eq(&m, cpu->trap.ifar, g, "IFAR");
            case_eq(&m, cpu->trap.regs.lr, f + 16, "LR of the call");
            set_page(1, 1, AP_RW_RW);
        }
    }
    identity();
    matrix_end(&m);
}

/* Straight-line code over a page edge; the second page is rewritten or replaced. */
static void test_crossing(void)
{
    struct matrix m = {.name = "straight line over a page edge"};
    identity();
    uint32_t *tail = (uint32_t *)((uint32_t)phys + 4 * PAGE_SIZE);
    uint32_t *head = tail - 4;
    for (unsigned i = 0; i < 4; i++)
        head[i] = 0xe2800001; /* add r0, r0, #1 */
    for (unsigned p = 4; p < 8; p++) {
        uint32_t *t = (uint32_t *)((uint32_t)phys + p * PAGE_SIZE);
        t[0] = 0xe2800000 | (p << 4); /* add r0, r0, #16p */
        t[1] = 0xe12fff1e;
    }
    sync_code((uint32_t)phys + 3 * PAGE_SIZE, 5 * PAGE_SIZE, BY_MVA);
    for (unsigned r = 0; r < 400; r++) {
        unsigned p = 4 + r % 4;
        set_page(4, p, AP_RW_RW);
        uint32_t add = p << 4;
        if (r % 5 == 0) {
            add = r & 0xff;
            *(volatile uint32_t *)(VA + 4 * PAGE_SIZE) = 0xe2800000 | add;
            sync_code(VA + 4 * PAGE_SIZE, 4, BY_MVA);
        }
        case_eq(&m, catch_call((void *)(VA + 4 * PAGE_SIZE - 16), 0, 0, 0), TRAP_NONE, "call");
        case_eq(&m, this_cpu()->result, 4 + add, "round %u", r);
        if (r % 5 == 0) {
            *(volatile uint32_t *)(VA + 4 * PAGE_SIZE) = 0xe2800000 | (p << 4);
            sync_code(VA + 4 * PAGE_SIZE, 4, BY_MVA);
        }
    }
    identity();
    matrix_end(&m);
}

#define ROUNDS 1000 /* or what 1.5 s are enough for */
/* --- other CPUs run what this one writes --- */
static struct {
    volatile uint32_t go, stop, expect, busy;
    volatile uint32_t seen[MAX_CPUS], wrong[MAX_CPUS], value[MAX_CPUS], torn[MAX_CPUS];
} x;

/*
 * The function is a branch to one of 64 functions that return their number: a branch may be changed
 * while other CPUs execute it (A3.5.4).
 */
#define XFN 0x40u
static uint32_t xbranch(uint32_t slot)
{
    return 0xea000000u | ((64 + 16 * slot - 8) >> 2);
}

static void write_slots(uint8_t *page)
{
    *(volatile uint32_t *)(page + XFN) = xbranch(0);
    for (unsigned i = 0; i < 64; i++)
        write_fn((uint32_t)page + XFN + 64 + 16 * i, false, (uint16_t)i);
    sync_code((uint32_t)page, 2048, BY_MVA);
}

static void runner(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t last = 0;
    while (!x.stop) {
        uint32_t go = x.go;
        if (go == last) {
            /* meanwhile keep executing: anything old or new is fine, torn is not */
            uint32_t v = x.busy ? call0(VA + XFN) : x.expect;
            if (x.busy && ((v - x.expect + 1) & 63) > 2)
                x.torn[cpu]++;
            cpu_yield();
            continue;
        }
        dmb();
        isb();
        uint32_t got = call0(VA + XFN);
        if (got != (x.expect & 63)) {
            x.wrong[cpu]++;
            x.value[cpu] = got;
        }
        last = go;
        dmb();
        x.seen[cpu] = go;
    }
}

static const char *const cross_names[] = {"other CPUs see rewritten code",
                                          "other CPUs see a remapped code page",
                                          "other CPUs see code rewritten while they run it",
                                          "other CPUs see a code page remapped while they run it"};

static void cross(unsigned n, unsigned test)
{
    struct matrix m = {.name = cross_names[test]};
    bool remap = test & 1;
    uint64_t t0 = now();
    memset(&x, 0, sizeof(x));
    x.busy = test >> 1;
    identity();
    for (unsigned p = 0; p < 2; p++)
        write_slots(phys + p * PAGE_SIZE);
    for (unsigned i = 1; i < n; i++)
        smp_call(i, runner, NULL);
    unsigned r;
    for (r = 1; r < ROUNDS && (r < 50 || now() - t0 < 1500ull * ticks_per_ms()); r++) {
        uint32_t word = xbranch(r & 63);
        x.expect = r;
        dmb();
        if (remap) {
            unsigned p = r & 1;
            *(volatile uint32_t *)((uint32_t)phys + p * PAGE_SIZE + XFN) = word;
            sync_code((uint32_t)phys + p * PAGE_SIZE + XFN, 4, BY_MVA);
            set_page(0, p, AP_RW_RW);
        } else {
            *(volatile uint32_t *)(VA + XFN) = word;
            do_dccmvau(VA + XFN);
            dsb();
            if (r & 1)
                do_icimvau(VA + XFN);
            else
                do_icialluis(0);
            do_bpiallis(0);
            dsb();
            isb();
        }
        x.go = r;
        for (unsigned i = 1; i < n; i++)
            while (x.seen[i] != r)
                cpu_yield();
        dmb();
    }
    x.stop = 1;
    tap_diag("%u rounds took %u ms", r - 1, (unsigned)((uint32_t)(now() - t0) / ticks_per_ms()));
    for (unsigned i = 1; i < n; i++) {
        smp_wait(i);
        case_eq(&m, x.wrong[i], 0, "CPU %u ran old code after the hand-shake (last %u)", i,
                (unsigned)x.value[i]);
        case_eq(&m, x.torn[i], 0, "CPU %u ran neither old nor new", i);
    }
    identity();
    matrix_end(&m);
}

void payload_main(void)
{
    tap_eq(read_ctr() >> 14 & 3, 3, "CTR: physically indexed and tagged instruction cache");
    l2 = mem_alloc(1024, 1024);
    phys = mem_alloc(PAGES * PAGE_SIZE, PAGE_SIZE);
    flat_l1[VA >> 20] = L1_TABLE(l2, 0);
    tlb_flush_all();
    identity();
    test_rewrite();
    test_no_maintenance();
    test_mixed_page();
    test_self_patch();
    test_alias();
    test_remap();
    test_chained();
    test_crossing();
    unsigned n = smp_start(MAX_CPUS);
    for (unsigned test = 0; test < 4; test++) {
        if (n > 1)
            cross(n, test);
        else
            tap_skip(cross_names[test], "one CPU");
    }
}
