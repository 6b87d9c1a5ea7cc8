/* SPDX-License-Identifier: MIT */
/*
 * Encodings that ARMv7-A leaves undefined on a Cortex-A15 raise UNDEF with all state intact, in
 * System and User mode; privileged operations raise UNDEF in User mode.  Only encodings the Arm ARM
 * (A5, A6, A7) calls UNDEFINED are listed, none that are UNPREDICTABLE.  One CPU.
 */
#include "lib/mmu.h"
#include "lib/snip.h"

const char payload_name[] = "undef";

static const uint32_t arm_undefined[] = {
    0xe7f000f0, 0xe7ffffff, 0xe7f123f4, /* permanently undefined */
    0xe1000010, 0xe1400010,             /* miscellaneous, op2 = 001 */
    0xe1000020, 0xe1400020, 0xe1600020, /* op2 = 010 */
    0xe1000030, 0xe1400030, 0xe1600030, /* op2 = 011 */
    0xe1000060, 0xe1200060, 0xe1400060, /* op2 = 110: only ERET */
    0xe1000070,                         /* op2 = 111 */
    0xe1010042, 0xe1410042, 0xe1210242, /* op2 = 100: CRC32 of ARMv8 */
    0xe1100090, 0xe1200090, 0xe1300090, /* synchronisation primitives, op = 0xxx but SWP */
    0xe6000010, 0xe6400010,             /* parallel add, op1 = 00 */
    0xe61000b0, 0xe61000d0, 0xe65000b0, /* parallel add, unallocated op2 */
    0xe6900010, 0xe6d00010,             /* packing, op1 = x01 */
    0xe7200010, 0xe7600010, 0xe7700010, /* multiplies, unallocated op1 */
    0xe71000d0,                         /* op1 = 001 with op2 = 110 */
    0xf0000000, 0xf0200000,             /* unconditional space */
    0xee000110, 0xee100110, 0xed900100, 0xec400100, /* coprocessors 1.. that do not exist */
    0xee000710, 0xee100c90, 0xee000d10, 0xee000f00, 0xed900f00, /* CP15 has no CDP, no LDC */
    0xee140f10,                                                 /* CP15: no such register */
    0xeefd0f9f, 0xee110f7a, 0xec510f0a,                         /* MRRC p15, c10 */
    0xfe100110,                                                 /* MRC2 p1 */
};

/* Undefined in ARMv7 even when VFP and Advanced SIMD are on: they came with ARMv8. */
static const uint32_t arm_undefined_simd[] = {
    0xfe000a00, 0xfe100b00,             /* VSEL */
    0xfe800a00, 0xfe800b40,             /* VMAXNM, VMINNM */
    0xfeb80a40, 0xfebc0a40,             /* VRINTA, VCVTA */
    0xeeb60a40, 0xeeb70a40,             /* VRINTR, VRINTX */
    0xf3b00300, 0xf3b00340, 0xf3b00380, /* AESE, AESD, AESMC */
    0xf2000c40, 0xf3000c40,             /* SHA1C, SHA256H */
    0xf3000f10,                         /* VMAXNM.F32 vector */
    0xeeb20b40,                         /* VCVTB f64.f16 */
    0xf3ba0400,                         /* VRINTN vector */
};

static const uint16_t thumb16_undefined[] = {0xde00, 0xdeff, 0xb600, 0xb620,
                                             0xb800, 0xb8ff, 0xba80, 0xbabf};

static const uint32_t thumb32_undefined[] = {
    0xf7f0a000, 0xf7f1a123, /* UDF.W */
    0xec000000, 0xec100100, /* coprocessors that do not exist */
    0xee000110, 0xee100110, 0xed900100, 0xee000f00, 0xed900f00, 0xee140f10,
    0xfe100110, 0xfb80f010, 0xfbc0f020, 0xfb900010, 0xfbb00010, /* long multiply, divide:
                                                                   unallocated op2 */
    0xfac0f080, 0xfad0f090,                                     /* CRC32 of ARMv8 */
    0xe8d00faf, 0xe8c00faf, 0xe8d00fef,                         /* LDA, STL, LDAEX of ARMv8 */
    0xfac0f0c0, 0xfab0f090,                                     /* miscellaneous operations */
    0xf8600000, 0xf8e00000,                                     /* stores, op1 = x11 */
    0xf97f0000, 0xf8700000,                                     /* loads, op2 = 00xx111 */
};

struct place {
    uint32_t *code;
    bool thumb;
};

static void check(struct matrix *m, const struct place *p, uint32_t insn, uint32_t mode)
{
    struct regs in;
    regs_init(&in, mode);
    in.cpsr |= 0x50000000;
    enum trap_kind kind = snip_run(&in, (char *)p->code + p->thumb);
    struct regs *t = &this_cpu()->trap.regs;
    case_eq(m, kind, TRAP_UNDEF, "%08x mode %x kind", (unsigned)insn, (unsigned)mode);
    case_eq(m, t->pc, (uint32_t)p->code, "%08x mode %x address", (unsigned)insn, (unsigned)mode);
    case_eq(m, t->exc_lr - t->pc, p->thumb ? 2 : 4, "%08x mode %x LR", (unsigned)insn,
            (unsigned)mode);
    case_eq(m, regs_diff(&in, t), 0, "%08x mode %x registers", (unsigned)insn, (unsigned)mode);
    case_eq(m, t->cpsr, in.cpsr | (p->thumb ? PSR_T : 0), "%08x mode %x CPSR", (unsigned)insn,
            (unsigned)mode);
}

static void run_list(const char *name, uint32_t *code, const uint32_t *list, unsigned n,
                     unsigned state)
{
    struct matrix m = {.name = name};
    struct place p = {code, state != 0};
    uint16_t *h = (uint16_t *)code;
    for (unsigned i = 0; i < n; i++) {
        if (state == 0) {
            code[0] = list[i];
            code[1] = 0xef000052;
        } else {
            h[0] = (uint16_t)(list[i] >> 16);
            h[1] = (uint16_t)list[i];
            h[2] = 0xdf52;
        }
        code_sync(code, 16);
        check(&m, &p, list[i], MODE_SYS);
        check(&m, &p, list[i], MODE_USR);
    }
    matrix_end(&m);
}

static void run_thumb16(uint32_t *code)
{
    struct matrix m = {.name = "undefined 16-bit Thumb encodings"};
    struct place p = {code, true};
    uint16_t *h = (uint16_t *)code;
    for (unsigned i = 0; i < ARRAY_SIZE(thumb16_undefined); i++) {
        h[0] = thumb16_undefined[i];
        h[1] = h[2] = 0xdf52;
        code_sync(code, 16);
        check(&m, &p, h[0], MODE_SYS);
        check(&m, &p, h[0], MODE_USR);
    }
    matrix_end(&m);
}

/* --- privilege --- */
SNIP(hvc_user, ".arch_extension virt\n hvc #0\n");
SNIP(smc_user, ".arch_extension sec\n smc #0\n");
SNIP(sctlr_user, "mrc p15,0,r0,c1,c0,0\n");
SNIP(ttbr_user, "mcr p15,0,r0,c2,c0,0\n");
SNIP(tlbi_user, "mcr p15,0,r0,c8,c7,0\n");
SNIP(midr_user, "mrc p15,0,r0,c0,c0,0\n");
SNIP(dccmvac_user, "mcr p15,0,r0,c7,c10,1\n");
SNIP(iciallu_user, "mcr p15,0,r0,c7,c5,0\n");
SNIP(tpidrprw_user, "mrc p15,0,r0,c13,c0,4\n");
SNIP(tpidruro_w_user, "mcr p15,0,r0,c13,c0,3\n");
SNIP(ttbr64_user, "mrrc p15,0,r0,r1,c2\n");
SNIP(vbar_user, "mrc p15,0,r0,c12,c0,0\n");
SNIP(cntfrq_user, "mrc p15,0,r0,c14,c0,0\n");
SNIP(cntvct_user, "mrrc p15,1,r0,r1,c14\n");
SNIP(cntv_user, "mrc p15,0,r0,c14,c3,1\n");
SNIP(pmccntr_user, "mrc p15,0,r0,c9,c13,0\n");
SNIP(ats_user, "mcr p15,0,r0,c7,c8,0\n");

static void test_privileged(void)
{
    static const struct snip list[] = {
        SNIP_BOTH(hvc_user),        SNIP_BOTH(smc_user),     SNIP_BOTH(sctlr_user),
        SNIP_BOTH(ttbr_user),       SNIP_BOTH(tlbi_user),    SNIP_BOTH(midr_user),
        SNIP_BOTH(dccmvac_user),    SNIP_BOTH(iciallu_user), SNIP_BOTH(tpidrprw_user),
        SNIP_BOTH(tpidruro_w_user), SNIP_BOTH(ttbr64_user),  SNIP_BOTH(vbar_user),
        SNIP_BOTH(cntfrq_user),     SNIP_BOTH(cntvct_user),  SNIP_BOTH(cntv_user),
        SNIP_BOTH(pmccntr_user),    SNIP_BOTH(ats_user),
    };
    struct matrix m = {.name = "privileged operations are UNDEF in User mode"};
    struct regs in;
    write_cntkctl(0);
    write_pmuserenr(0);
    isb();
    for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
        for (unsigned thumb = 0; thumb < 2; thumb++) {
            regs_init(&in, MODE_USR);
            case_eq(&m, snip_run(&in, list[i].code[thumb]), TRAP_UNDEF, "%s %s", list[i].name,
                    thumb ? "thumb" : "arm");
            case_eq(&m, this_cpu()->trap.regs.pc, (uint32_t)list[i].code[thumb] & ~1u, "%s address",
                    list[i].name);
        }
    }
    matrix_end(&m);
}

SNIP(cp15_barriers, "mcr p15,0,r0,c7,c5,4\n mcr p15,0,r0,c7,c10,4\n mcr p15,0,r0,c7,c10,5\n");
SNIP(tpidr_user, "mcr p15,0,r0,c13,c0,2\n mrc p15,0,r1,c13,c0,2\n mrc p15,0,r2,c13,c0,3\n");
SNIP(hints, "nop\n yield\n sev\n dmb\n dsb\n isb\n pld [r0]\n pldw [r0]\n pli [r0]\n dbg #1\n");

static void test_allowed(void)
{
    static const struct snip list[] = {SNIP_BOTH(cp15_barriers), SNIP_BOTH(tpidr_user),
                                       SNIP_BOTH(hints)};
    struct matrix m = {.name = "what User mode may do"};
    struct regs in;
    write_tpidruro(0x600df00d);
    for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
        for (unsigned thumb = 0; thumb < 2; thumb++) {
            regs_init(&in, MODE_USR);
            in.r[0] = 0xe0000000; /* nothing there: hints do not fault */
            case_eq(&m, snip_run(&in, list[i].code[thumb]), TRAP_SVC, "%s %s", list[i].name,
                    thumb ? "thumb" : "arm");
            if (i == 1) {
                case_eq(&m, this_cpu()->trap.regs.r[1], 0xe0000000, "TPIDRURW");
                case_eq(&m, this_cpu()->trap.regs.r[2], 0x600df00d, "TPIDRURO");
            }
        }
    }
    matrix_end(&m);
}

/* CNTKCTL and PMUSERENR open registers to User mode. */
static void test_enables(void)
{
    struct regs in;
    struct matrix m = {.name = "CNTKCTL and PMUSERENR let User mode in"};
    for (unsigned thumb = 0; thumb < 2; thumb++) {
        const char *vct = thumb ? cntvct_user_thumb : cntvct_user_arm;
        const char *frq = thumb ? cntfrq_user_thumb : cntfrq_user_arm;
        const char *tim = thumb ? cntv_user_thumb : cntv_user_arm;
        const char *pmc = thumb ? pmccntr_user_thumb : pmccntr_user_arm;
        regs_init(&in, MODE_USR);
        write_cntkctl(2); /* PL0VCTEN */
        isb();
        case_eq(&m, snip_run(&in, vct), TRAP_SVC, "CNTVCT");
        case_eq(&m, snip_run(&in, frq), TRAP_SVC, "CNTFRQ");
        case_eq(&m, snip_run(&in, tim), TRAP_UNDEF, "CNTV_CTL still closed");
        write_cntkctl(1u << 8); /* PL0VTEN */
        isb();
        case_eq(&m, snip_run(&in, tim), TRAP_SVC, "CNTV_CTL");
        case_eq(&m, snip_run(&in, vct), TRAP_UNDEF, "CNTVCT closed");
        write_cntkctl(0);
        write_pmuserenr(1);
        isb();
        case_eq(&m, snip_run(&in, pmc), TRAP_SVC, "PMCCNTR");
        write_pmuserenr(0);
        isb();
        case_eq(&m, snip_run(&in, pmc), TRAP_UNDEF, "PMCCNTR closed");
    }
    matrix_end(&m);
}

/* SWP is off at reset (SCTLR.SW) and works when turned on. */
SNIP_A(swp, ".inst 0xe1020091\n" /* swp r0, r1, [r2] */);

static void test_swp(void)
{
    struct regs in;
    static uint32_t word = 0x11;
    regs_init(&in, MODE_SYS);
    in.r[2] = (uint32_t)&word;
    tap_eq(snip_run(&in, swp_arm), TRAP_UNDEF, "SWP is UNDEF with SCTLR.SW clear");
    word = 0x11;
    write_sctlr(read_sctlr() | SCTLR_SW);
    isb();
    tap_ok(snip_run(&in, swp_arm) == TRAP_SVC && this_cpu()->trap.regs.r[0] == 0x11 &&
               word == in.r[1],
           "SWP works with SCTLR.SW set");
    write_sctlr(read_sctlr() & ~SCTLR_SW);
    isb();
}

void payload_main(void)
{
    uint32_t *code = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    run_list("undefined ARM encodings", code, arm_undefined, ARRAY_SIZE(arm_undefined), 0);
    run_list("undefined ARM encodings, again at other addresses", code + 100, arm_undefined,
             ARRAY_SIZE(arm_undefined), 0);
    run_list("undefined 32-bit Thumb encodings", code, thumb32_undefined,
             ARRAY_SIZE(thumb32_undefined), 1);
    run_thumb16(code);
    write_cpacr(0xf << 20);
    isb();
    __asm__ volatile(".fpu neon-vfpv4\n vmsr fpexc, %0" : : "r"(1u << 30));
    run_list("ARMv8 floating point and SIMD encodings are undefined", code, arm_undefined_simd,
             ARRAY_SIZE(arm_undefined_simd), 0);
    test_privileged();
    test_allowed();
    test_enables();
    test_swp();
}
