/* SPDX-License-Identifier: MIT */
/*
 * Identification registers as a Cortex-A15 r4p0 shows them (its Technical Reference Manual,
 * chapters 4, 10, 11, 14), with the Security and Virtualization Extensions hidden, and that what
 * they announce is there.  Also TPIDRs, CSSELR/CCSIDR, SCTLR bits, CP14.  Runs on every CPU.
 */
#include "lib/snip.h"
#include "lib/vfp.h"

const char payload_name[] = "ids";

struct id {
    const char *name;
    uint32_t (*read)(void);
    uint32_t mask, want;
};
#define ID(reg, mask, want)          \
    {                                \
#reg, read_##reg, mask, want \
    }
static const struct id ids[] = {
    ID(midr, ~0u, 0x414fc0f0),
    ID(ctr, ~0u, 0x8444c004),
    ID(tcmtr, ~0u, 0),
    ID(tlbtr, ~0u, 0),
    ID(id_pfr0, ~0u, 0x00001131),
    ID(id_dfr0, 0x0f000f0f, 0x02000505),
    ID(id_afr0, ~0u, 0),
    ID(id_mmfr0, ~0u, 0x10201105),
    ID(id_mmfr1, 0x0fffffff, 0),
    ID(id_mmfr2, ~0u, 0x01240000),
    ID(id_mmfr3, ~0u, 0x02102211),
    ID(id_isar0, ~0u, 0x02101110),
    ID(id_isar1, ~0u, 0x13112111),
    ID(id_isar2, ~0u, 0x21232041),
    ID(id_isar3, ~0u, 0x11112131),
    ID(id_isar4, 0xffff0fff, 0x10010142),
    ID(id_isar5, ~0u, 0),
    ID(clidr, ~0u, 0x0a200023),
    ID(cntfrq, ~0u, 62500000),
};

static void test_ids(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
        tap_eq(ids[i].read() & ids[i].mask, ids[i].want, "%s", ids[i].name);
    tap_eq(read_id_pfr1(), 0x00010001, "id_pfr1: generic timer, no Security, no Virtualization");
    tap_eq(read_id_isar4() >> 12 & 15, 0, "id_isar4: no SMC");
    vfp_enable(true);
    tap_eq(vfp_read_fpsid(), 0x410430f0, "FPSID");
    tap_eq(vfp_read_mvfr0(), 0x10110222, "MVFR0");
    tap_eq(vfp_read_mvfr1(), 0x11111111, "MVFR1");
    tap_eq(read_dbgdidr() >> 16 & 15, 5, "DBGDIDR: v7.1 debug");
    tap_eq(read_pmcr() >> 16, 0x410f, "PMCR: implementer and IDCODE");
    tap_eq(read_revidr(), read_revidr(), "REVIDR is readable");
}

static void test_caches(void)
{
    struct matrix m = {.name = "CSSELR selects CCSIDR"};
    static const struct {
        uint32_t sel, mask, want;
    } c[] = {{0, ~0u, 0x701fe00a}, {1, ~0u, 0x201fe00a}, {2, 0xf0001fff, 0x7000007a & 0xf0001fff}};
    for (unsigned i = 0; i < ARRAY_SIZE(c); i++) {
        write_csselr(c[i].sel);
        isb();
        case_eq(&m, read_csselr() & 15, c[i].sel, "CSSELR");
        case_eq(&m, read_ccsidr() & c[i].mask, c[i].want & c[i].mask, "CCSIDR %u",
                (unsigned)c[i].sel);
    }
    write_csselr(0);
    matrix_end(&m);
}

/* Set/way and MVA cache operations are accepted and do not lose data. */
static void test_cache_ops(void)
{
    static uint32_t line[16] __attribute__((aligned(64)));
    struct matrix m = {.name = "cache operations keep the data"};
    for (unsigned i = 0; i < 16; i++)
        line[i] = i * 0x01010101;
    do_dccmvac((uint32_t)line);
    do_dccmvau((uint32_t)line);
    do_dccimvac((uint32_t)line);
    for (uint32_t set = 0; set < 256; set++)
        for (uint32_t way = 0; way < 2; way++) {
            do_dccsw(way << 31 | set << 6);
            do_dccisw(way << 31 | set << 6);
        }
    do_iciallu(0);
    do_icialluis(0);
    do_bpimva((uint32_t)line);
    dsb();
    isb();
    for (unsigned i = 0; i < 16; i++)
        case_eq(&m, line[i], i * 0x01010101, "word %u", i);
    matrix_end(&m);
}

static void test_thread_ids(unsigned cpu, void *arg)
{
    struct matrix *m = arg;
    uint32_t keep = read_tpidrprw();
    write_tpidrurw(0x11110000 + cpu);
    write_tpidruro(0x22220000 + cpu);
    write_contextidr(0x333300 + cpu);
    isb();
    m[cpu].bad += read_tpidrurw() != 0x11110000 + cpu || read_tpidruro() != 0x22220000 + cpu ||
                  read_contextidr() != 0x333300 + cpu || read_tpidrprw() != keep ||
                  (read_mpidr() & 0xffffff) != cpu || read_midr() != 0x414fc0f0;
    m[cpu].cases++;
    write_contextidr(0);
    isb();
}

static void test_sctlr(void)
{
    uint32_t s = read_sctlr();
    /* reserved bits of ARMv7 that read as one: 23 (XP), 22 (U), 18, 16, 6:3 without CP15BEN */
    tap_eq(s & 0x00c50058, 0x00c50058, "SCTLR: bits that read as one");
    static const uint32_t toggles[] = {SCTLR_A, SCTLR_Z, SCTLR_V, SCTLR_TRE, SCTLR_TE};
    struct matrix m = {.name = "SCTLR bits can be changed"};
    for (unsigned i = 0; i < ARRAY_SIZE(toggles); i++) {
        write_sctlr(s ^ toggles[i]);
        isb();
        uint32_t got = read_sctlr();
        write_sctlr(s);
        isb();
        case_eq(&m, got, s ^ toggles[i], "bit %x", (unsigned)toggles[i]);
    }
    matrix_end(&m);
}

/* CP14 registers that kernels probe. */
SNIP(dbgdscr, "mrc p14, 0, r0, c0, c1, 0\n");
SNIP(dbgdrar, "mrc p14, 0, r0, c1, c0, 0\n");
SNIP(dbgdsar, "mrc p14, 0, r0, c2, c0, 0\n");
SNIP(dbgbvr0, "mrc p14, 0, r0, c0, c0, 4\n");
SNIP(dbgwcr0, "mrc p14, 0, r0, c0, c0, 7\n");
SNIP(oslsr, "mrc p14, 0, r0, c1, c1, 4\n");

static void test_cp14(void)
{
    static const struct snip list[] = {SNIP_BOTH(dbgdscr), SNIP_BOTH(dbgdrar), SNIP_BOTH(dbgdsar),
                                       SNIP_BOTH(dbgbvr0), SNIP_BOTH(dbgwcr0), SNIP_BOTH(oslsr)};
    struct matrix m = {.name = "CP14 registers that kernels probe are there"};
    struct regs in;
    for (unsigned i = 0; i < ARRAY_SIZE(list); i++)
        for (unsigned k = 0; k < 2; k++) {
            regs_init(&in, MODE_SYS);
            case_eq(&m, snip_run(&in, list[i].code[k]), TRAP_SVC, "%s", list[i].name);
        }
    matrix_end(&m);
}

void payload_main(void)
{
    static struct matrix per_cpu[MAX_CPUS];
    test_ids();
    test_caches();
    test_cache_ops();
    test_sctlr();
    test_cp14();
    unsigned n = smp_start(MAX_CPUS), bad = 0, ran = 0;
    smp_run_all(n, test_thread_ids, per_cpu);
    for (unsigned i = 0; i < n; i++) {
        bad += per_cpu[i].bad;
        ran += per_cpu[i].cases;
    }
    tap_ok(ran == n && bad == 0, "identity and thread registers of every CPU");
}
