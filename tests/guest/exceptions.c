/* SPDX-License-Identifier: MIT */
/*
 * Exception entry and return: return addresses in LR for ARM and Thumb, SPSR and new CPSR, banked
 * registers, SRS/RFE/CPS, LDM with user registers, interrupted IT blocks, where the vectors are
 * (VBAR, V bit, SCTLR.TE, SCTLR.EE).  Arm ARM B1.8 and B1.9.  One CPU.
 */
#include "lib/gic.h"
#include "lib/mmu.h"
#include "lib/snip.h"

const char payload_name[] = "exceptions";

SNIP(svc, "svc #1\n");
SNIP(udf16, "udf #1\n");
SNIP_T(udf32, "udf.w #1\n");
SNIP(bkpt, "bkpt #3\n");
SNIP(load, "ldr r0, [r1]\n");
SNIP(store, "str r0, [r1]\n");
SNIP(nops, "nop\n nop\n nop\n");
SNIP(jump, "bx r1\n");

static const uint32_t modes[] = {MODE_USR, MODE_FIQ, MODE_IRQ, MODE_SVC,
                                 MODE_ABT, MODE_UND, MODE_SYS};

struct entry {
    const char *name;
    const char *code;
    enum trap_kind kind;
    uint32_t mode;     /* the exception's mode */
    uint32_t lr;       /* LR - address of the instruction */
    uint32_t cpsr_set; /* masks that entry sets */
    uint32_t kind_fsr; /* expected FSR & 0x40f, or ~0 */
};

/* Which modes the interrupted code may have so that its stack and LR survive to be compared. */
static void check_entry(const struct entry *e, uint32_t from, uint32_t masks, uint32_t flags)
{
    struct regs in;
    struct trap *t = &this_cpu()->trap;
    regs_init(&in, from);
    in.r[1] = 0xe0000000;
    in.cpsr = from | masks | flags;
    if ((uint32_t)e->code & 1)
        in.cpsr |= PSR_T;
    struct matrix m = {.name = e->name};
    enum trap_kind kind = snip_run(&in, e->code);
    uint32_t addr = (uint32_t)e->code & ~1u;
    case_eq(&m, kind, e->kind, "kind");
    case_eq(&m, t->regs.exc_lr - addr, e->lr, "LR offset");
    case_eq(&m, t->regs.cpsr, in.cpsr, "SPSR");
    case_eq(&m, t->regs.exc_cpsr & 0x01f0ffff & ~0xf0000u, e->mode | e->cpsr_set | masks | PSR_I,
            "new CPSR");
    case_eq(&m, regs_diff(&in, &t->regs) & (from == e->mode ? 0x1fffu : 0x7fffu), 0,
            "registers changed");
    if (e->kind == TRAP_DABT) {
        case_eq(&m, t->dfsr & 0x40f, e->kind_fsr, "DFSR");
        case_eq(&m, t->dfar, in.r[1], "DFAR");
    } else if (e->kind == TRAP_PABT) {
        case_eq(&m, t->ifsr & 0x40f, e->kind_fsr, "IFSR");
    }
    tap_ok(m.bad == 0, "%s %s from mode %02x, masks %03x", e->name,
           (uint32_t)e->code & 1 ? "thumb" : "arm", (unsigned)from, (unsigned)masks);
}

static void test_entries(void)
{
    const struct entry list[] = {
        {"svc", svc_arm, TRAP_SVC, MODE_SVC, 4, 0, 0},
        {"svc", svc_thumb, TRAP_SVC, MODE_SVC, 2, 0, 0},
        {"undef", udf16_arm, TRAP_UNDEF, MODE_UND, 4, 0, 0},
        {"undef", udf16_thumb, TRAP_UNDEF, MODE_UND, 2, 0, 0},
        {"undef32", udf32_thumb, TRAP_UNDEF, MODE_UND, 2, 0, 0},
        {"bkpt", bkpt_arm, TRAP_PABT, MODE_ABT, 4, PSR_A, FS_DEBUG},
        {"bkpt", bkpt_thumb, TRAP_PABT, MODE_ABT, 4, PSR_A, FS_DEBUG},
        {"load abort", load_arm, TRAP_DABT, MODE_ABT, 8, PSR_A, FS_TRANS_SECTION},
        {"load abort", load_thumb, TRAP_DABT, MODE_ABT, 8, PSR_A, FS_TRANS_SECTION},
        {"store abort", store_arm, TRAP_DABT, MODE_ABT, 8, PSR_A, FS_TRANS_SECTION},
        {"store abort", store_thumb, TRAP_DABT, MODE_ABT, 8, PSR_A, FS_TRANS_SECTION},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
        for (unsigned k = 0; k < ARRAY_SIZE(modes); k++) {
            /* A trap from its own mode loses the stack pointer it must unwind from. */
            if (modes[k] == list[i].mode && modes[k] != MODE_SVC)
                continue;
            if (modes[k] == MODE_SVC && list[i].mode == MODE_SVC)
                continue;
            check_entry(&list[i], modes[k], PSR_A | PSR_I | PSR_F, 0xf80f0000u);
        }
        check_entry(&list[i], MODE_USR, PSR_I, 0x50050000u);
        check_entry(&list[i], MODE_SYS, PSR_I | PSR_A, 0x28000000u);
        check_entry(&list[i], MODE_SYS, PSR_I | PSR_F, 0);
    }
}

static void test_prefetch_abort(void)
{
    struct regs in;
    struct trap *t = &this_cpu()->trap;
    for (unsigned thumb = 0; thumb < 2; thumb++) {
        regs_init(&in, MODE_SYS);
        in.r[1] = 0xe0001000u | thumb;
        tap_eq(snip_run(&in, jump_arm), TRAP_PABT, "branch to unmapped %s code",
               thumb ? "thumb" : "arm");
        tap_eq(t->regs.exc_lr, 0xe0001004, "LR");
        tap_eq(t->ifar, 0xe0001000, "IFAR");
        tap_eq(t->ifsr & 0x40f, FS_TRANS_SECTION, "IFSR");
        tap_eq(t->regs.cpsr & PSR_T, thumb ? PSR_T : 0, "SPSR.T");
    }
}

/* A 32-bit Thumb instruction whose second half is on an unmapped page. */
static void test_crossing_fetch(void)
{
    uint32_t *l2 = mem_alloc(1024, 1024);
    uint16_t *page = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    struct regs in;
    struct trap *t = &this_cpu()->trap;
    const uint32_t va = 0x90000000;
    flat_l1[va >> 20] = L1_TABLE(l2, 0);
    l2[0] = L2_SMALL(page) | P_NORMAL | P_AP(AP_RW_RW);
    page[2046] = 0xbf00;
    page[2047] = 0xf04f; /* mov.w r0, #... */
    code_sync(page, PAGE_SIZE);
    tlb_flush_all();
    regs_init(&in, MODE_SYS);
    tap_eq(snip_run(&in, (char *)va + 4092 + 1), TRAP_PABT,
           "32-bit instruction ends on an unmapped page");
    tap_eq(t->regs.exc_lr, va + 4094 + 4, "LR is that of the instruction's start");
    tap_eq(t->ifar, va + 4096, "IFAR is in the second page");
    tap_eq(t->ifsr & 0x40f, FS_TRANS_PAGE, "IFSR");
    tap_eq(regs_diff(&in, &t->regs), 0, "registers intact");
    flat_l1[va >> 20] = 0;
    tlb_flush_all();
}

static void test_irq(void)
{
    struct regs in;
    struct trap *t = &this_cpu()->trap;
    gic_init_dist();
    gic_init_cpu();
    for (unsigned thumb = 0; thumb < 2; thumb++) {
        const char *code = thumb ? nops_thumb : nops_arm;
        uint32_t addr = (uint32_t)code & ~1u;
        const char *state = thumb ? "thumb" : "arm";
        gic_sgi(5, 1);
        regs_init(&in, MODE_USR);
        tap_eq(snip_run(&in, code), TRAP_SVC, "pending IRQ not taken while masked (%s)", state);
        in.cpsr &= ~(PSR_I | PSR_A);
        in.cpsr |= 0xa0000000;
        tap_eq(snip_run(&in, code), TRAP_IRQ, "pending IRQ taken on exception return (%s)", state);
        tap_eq(t->regs.exc_lr, addr + 4, "LR");
        tap_eq(t->regs.cpsr, in.cpsr | (thumb ? PSR_T : 0), "SPSR");
        tap_eq(t->regs.exc_cpsr & 0x3ff, MODE_IRQ | PSR_I | PSR_A | PSR_F, "new CPSR");
        tap_eq(regs_diff(&in, &t->regs), 0, "registers intact");
        uint32_t iar = gicc_read(GICC_IAR);
        tap_eq(iar, 5, "IAR names the SGI");
        gicc_write(GICC_EOIR, iar);
        tap_eq(snip_run(&in, code), TRAP_SVC, "no IRQ after EOI (%s)", state);
    }
}

/* In an IT block: SPSR.IT at the trap, and execution after the return continues the block. */
SNIP_T(it_svc, "cmp r0, r0\n itte eq\n moveq r1, #1\n svceq #7\n movne r2, #2\n mov r3, #3\n");
SNIP_T(it_abort,
       "cmp r0, r0\n ittet eq\n moveq r1, #1\n ldreq r4, [r5]\n movne r2, #2\n moveq r6, #6\n");

static bool resume_after_svc7(struct cpu *cpu, struct regs *r)
{
    uint32_t *saved = cpu->hook_arg;
    if (r->kind == TRAP_SVC && !saved[1]) {
        saved[0] = r->cpsr;
        saved[1] = 1;
        return true;
    }
    if (r->kind == TRAP_DABT) {
        saved[0] = r->cpsr;
        saved[1]++;
        r->r[5] = (uint32_t)&saved[2];
        return true;
    }
    return false;
}

static uint32_t it_bits(uint32_t psr)
{
    return (psr >> 25 & 3) | (psr >> 8 & 0xfc);
}

static void test_it(void)
{
    struct regs in;
    struct trap *t = &this_cpu()->trap;
    uint32_t saved[3] = {0, 0, 0x1234abcd};
    this_cpu()->hook = resume_after_svc7;
    this_cpu()->hook_arg = saved;
    regs_init(&in, MODE_USR);
    tap_eq(snip_run(&in, it_svc_thumb), TRAP_SVC, "SVC in an IT block");
    /* ITTE EQ: state after the second instruction is 0001 1000. */
    tap_eq(it_bits(saved[0]), 0x18, "SPSR.IT names the rest of the block");
    tap_eq(t->regs.r[1], 1, "before the SVC");
    tap_eq(t->regs.r[2], in.r[2], "skipped after the return");
    tap_eq(t->regs.r[3], 3, "after the block");
    tap_eq(it_bits(t->regs.cpsr), 0, "IT state ends with the block");

    saved[1] = 0;
    regs_init(&in, MODE_USR);
    in.r[5] = 0xe0000000;
    tap_eq(snip_run(&in, it_abort_thumb), TRAP_SVC, "abort in an IT block, restarted");
    tap_eq(saved[1], 1, "one abort");
    tap_eq(it_bits(saved[0]), 0x0a, "SPSR.IT includes the aborted instruction");
    tap_eq(t->regs.r[4], 0x1234abcd, "restarted load");
    tap_eq(t->regs.r[2], in.r[2], "else part skipped");
    tap_eq(t->regs.r[6], 6, "last part done");
    this_cpu()->hook = NULL;
}

/* BKPT is unconditional even in an IT block whose condition fails (A8.8.24). */
SNIP_T(it_bkpt, "cmp r0, r0\n it ne\n .inst.n 0xbe07\n mov r1, #1\n");

static void test_it_bkpt(void)
{
    struct regs in;
    regs_init(&in, MODE_USR);
    tap_eq(snip_run(&in, it_bkpt_thumb), TRAP_PABT, "BKPT in an IT block ignores the condition");
    tap_eq(this_cpu()->trap.regs.pc - ((uint32_t)it_bkpt_thumb & ~1u), 4, "its address");
    tap_eq(it_bits(this_cpu()->trap.regs.cpsr), 0x18, "SPSR.IT is that of the BKPT");
}

/* --- banked registers --- */
struct banked {
    uint32_t usr[2], svc[3], abt[3], und[3], irq[3], fiq[8];
};
void banked_swap(struct banked *b);
uint32_t srs_test(uint32_t which, uint32_t *area);
uint32_t rfe_test(uint32_t which, uint32_t *area);

__asm__(
    ".pushsection .text.banked,\"ax\",%progbits\n .syntax unified\n .arm\n .balign 4\n"
    ".global banked_swap\n .type banked_swap,%function\n"
    /* exchange memory with SP, LR, SPSR of each mode */
    ".macro XCH2 mode\n cps #\\mode\n ldr r1,[r0]\n ldr r2,[r0,#4]\n str sp,[r0]\n str lr,[r0,#4]\n"
    " mov sp,r1\n mov lr,r2\n add r0,r0,#8\n .endm\n"
    ".macro XCHS\n ldr r1,[r0]\n mrs r2,spsr\n msr spsr_cxsf,r1\n str r2,[r0],#4\n .endm\n"
    "banked_swap:\n push {r4-r11,lr}\n mrs r3,cpsr\n cpsid aif\n"
    " XCH2 0x1f\n"
    /* SVC: SP stays, since this function needs it; LR and SPSR */
    " cps #0x13\n ldr r1,[r0,#4]\n str lr,[r0,#4]\n mov lr,r1\n add r0,r0,#8\n XCHS\n"
    " XCH2 0x17\n XCHS\n XCH2 0x1b\n XCHS\n XCH2 0x12\n XCHS\n"
    " cps #0x11\n ldm r0,{r1,r2,r4,r5,r6}\n stm r0,{r8-r12}\n mov r8,r1\n mov r9,r2\n mov r10,r4\n"
    " mov r11,r5\n mov r12,r6\n add r0,r0,#20\n XCH2 0x11\n XCHS\n"
    " msr cpsr_c,r3\n pop {r4-r11,pc}\n"
    ".popsection\n");

static void test_banked(void)
{
    struct banked a, b;
    uint32_t *w = (uint32_t *)&a;
    struct matrix m = {.name = "banked SP, LR, SPSR, FIQ r8-r12 are separate"};
    /* SPSR values keep valid modes; they are only stored and read back here. */
    for (unsigned i = 0; i < sizeof(a) / 4; i++)
        w[i] = 0x60000010u + (i << 16 & 0xf0000) + (i << 28);
    a.svc[2] = 0x600f01d0, a.abt[2] = 0x900101d3, a.und[2] = 0x300201df, a.irq[2] = 0x50030010;
    a.fiq[7] = 0xf8040030;
    b = a;
    banked_swap(&a);
    banked_swap(&a);
    uint32_t *g = (uint32_t *)&a;
    w = (uint32_t *)&b;
    for (unsigned i = 0; i < sizeof(a) / 4; i++)
        if (&g[i] != &a.svc[0] && &g[i] != &a.svc[1]) /* in use by the call itself */
            case_eq(&m, g[i], w[i], "word %u", i);
    matrix_end(&m);
}

/* --- SRS and RFE: four addressing forms each, with and without writeback --- */
#define SRS_FORM(n, insn) SNIP_A(srs##n, insn)
SRS_FORM(0, "srsia sp!, #0x1f\n");
SRS_FORM(1, "srsib sp!, #0x1f\n");
SRS_FORM(2, "srsda sp!, #0x1f\n");
SRS_FORM(3, "srsdb sp!, #0x1f\n");
SRS_FORM(4, "srsia sp, #0x1f\n");
SRS_FORM(5, "srsdb sp, #0x1f\n");
SNIP_T(srs0, "srsia sp!, #0x1f\n");
SNIP_T(srs3, "srsdb sp!, #0x1f\n");
SNIP_T(srs4, "srsia sp, #0x1f\n");
SNIP_T(srs5, "srsdb sp, #0x1f\n");

static void test_srs(void)
{
    static const struct {
        const char *code;
        int where, wb; /* bytes from the base */
    } forms[] = {
        {srs0_arm, 0, 8},   {srs1_arm, 4, 8},    {srs2_arm, -4, -8}, {srs3_arm, -8, -8},
        {srs4_arm, 0, 0},   {srs5_arm, -8, 0},   {srs0_thumb, 0, 8}, {srs3_thumb, -8, -8},
        {srs4_thumb, 0, 0}, {srs5_thumb, -8, 0},
    };
    static uint32_t area[16];
    struct regs in;
    struct trap *t = &this_cpu()->trap;
    struct matrix m = {.name = "SRS stores LR and SPSR in all addressing forms"};
    for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
        memset(area, 0, sizeof(area));
        /* Run in IRQ mode; the target stack is that of System mode. */
        regs_init(&in, MODE_IRQ);
        in.lr = 0x13572468;
        uint32_t keep_sp;
        __asm__ volatile(
            "cps #0x1f\n mov %0, sp\n mov sp, %1\n cps #0x12\n msr spsr_cxsf, %2\n cps #0x13"
            : "=&r"(keep_sp)
            : "r"(&area[8]), "r"(0x600001d3)
            : "memory");
        uint32_t irq_sp;
        __asm__ volatile("cps #0x12\n mov %0, sp\n cps #0x13" : "=r"(irq_sp));
        in.sp = irq_sp;
        enum trap_kind kind = snip_run(&in, forms[i].code);
        uint32_t got_sp;
        __asm__ volatile("cps #0x1f\n mov %0, sp\n mov sp, %1\n cps #0x13"
                         : "=&r"(got_sp)
                         : "r"(keep_sp)
                         : "memory");
        case_eq(&m, kind, TRAP_SVC, "form %u kind", i);
        case_eq(&m, got_sp - (uint32_t)&area[8], (uint32_t)forms[i].wb, "form %u base", i);
        case_eq(&m, area[8 + forms[i].where / 4], 0x13572468, "form %u LR", i);
        case_eq(&m, area[9 + forms[i].where / 4], 0x600001d3, "form %u SPSR", i);
        case_eq(&m, t->regs.sp, irq_sp, "form %u own SP", i);
    }
    matrix_end(&m);
}

SNIP_A(rfe0, "rfeia r0!\n");
SNIP_A(rfe1, "rfeib r0!\n");
SNIP_A(rfe2, "rfeda r0!\n");
SNIP_A(rfe3, "rfedb r0!\n");
SNIP_A(rfe4, "rfeia r0\n");
SNIP_A(rfe5, "rfedb r0\n");
SNIP_T(rfe0, "rfeia r0!\n");
SNIP_T(rfe3, "rfedb r0!\n");
SNIP_T(rfe4, "rfeia r0\n");
SNIP_T(rfe5, "rfedb r0\n");

static void test_rfe(void)
{
    static const struct {
        const char *code;
        int where, wb;
    } forms[] = {
        {rfe0_arm, 0, 8},   {rfe1_arm, 4, 8},    {rfe2_arm, -4, -8}, {rfe3_arm, -8, -8},
        {rfe4_arm, 0, 0},   {rfe5_arm, -8, 0},   {rfe0_thumb, 0, 8}, {rfe3_thumb, -8, -8},
        {rfe4_thumb, 0, 0}, {rfe5_thumb, -8, 0},
    };
    static uint32_t area[16];
    struct regs in;
    struct trap *t = &this_cpu()->trap;
    struct matrix m = {.name = "RFE loads PC and CPSR in all addressing forms"};
    for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
        for (unsigned thumb = 0; thumb < 2; thumb++) {
            uint32_t target = (uint32_t)(thumb ? svc_thumb : svc_arm) & ~1u;
            uint32_t psr = 0xa00501d0 | (thumb ? PSR_T : 0) | PSR_E;
            memset(area, 0, sizeof(area));
            area[8 + forms[i].where / 4] = target;
            area[9 + forms[i].where / 4] = psr;
            regs_init(&in, MODE_SYS);
            in.r[0] = (uint32_t)&area[8];
            case_eq(&m, snip_run(&in, forms[i].code), TRAP_SVC, "form %u kind", i);
            case_eq(&m, t->regs.pc, target + (thumb ? 2 : 4), "form %u target", i);
            case_eq(&m, t->regs.cpsr, psr, "form %u CPSR", i);
            case_eq(&m, t->regs.r[0] - in.r[0], (uint32_t)forms[i].wb, "form %u base", i);
            in.r[0] = t->regs.r[0];
            case_eq(&m, regs_diff(&in, &t->regs), 0, "form %u registers", i);
        }
    }
    matrix_end(&m);
}

/* Other exception returns: from IRQ mode to System mode with LR and SPSR set up in the snippet. */
SNIP_A(ret_movs, "msr spsr_cxsf, r2\n mov lr, r1\n movs pc, lr\n");
SNIP_A(ret_subs, "msr spsr_cxsf, r2\n add lr, r1, #4\n subs pc, lr, #4\n");
SNIP_A(ret_ldm, "msr spsr_cxsf, r2\n push {r1}\n ldm sp!, {pc}^\n");
SNIP_T(ret_subs, "msr spsr_cxsf, r2\n add lr, r1, #4\n subs pc, lr, #4\n");
SNIP_T(ret_subs8, "msr spsr_cxsf, r2\n add lr, r1, #8\n subs pc, lr, #8\n");

static void test_returns(void)
{
    static const char *const codes[] = {ret_movs_arm, ret_subs_arm, ret_ldm_arm, ret_subs_thumb,
                                        ret_subs8_thumb};
    struct regs in;
    struct trap *t = &this_cpu()->trap;
    struct matrix m = {.name = "exception returns restore CPSR and the state bits"};
    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
        for (unsigned thumb = 0; thumb < 2; thumb++) {
            uint32_t irq_sp;
            __asm__ volatile("cps #0x12\n mov %0, sp\n cps #0x13" : "=r"(irq_sp));
            regs_init(&in, MODE_IRQ);
            in.sp = irq_sp;
            in.r[1] = (uint32_t)(thumb ? svc_thumb : svc_arm) & ~1u;
            in.r[2] = 0x300a01d0 | (thumb ? PSR_T : 0);
            case_eq(&m, snip_run(&in, codes[i]), TRAP_SVC, "%u kind", i);
            case_eq(&m, t->regs.pc, in.r[1] + (thumb ? 2 : 4), "%u target", i);
            case_eq(&m, t->regs.cpsr, in.r[2], "%u CPSR", i);
        }
    }
    matrix_end(&m);
}

/* LDM/STM of User registers from another mode. */
SNIP_A(stm_usr, "stm r0, {r8-r14}^\n nop\n");
SNIP_A(ldm_usr, "ldm r0, {r8-r14}^\n nop\n");

static void test_user_bank(void)
{
    static uint32_t area[8];
    struct regs in;
    struct trap *t = &this_cpu()->trap;
    uint32_t usp, ulr, fsp;
    struct matrix m = {.name = "LDM/STM (user registers) in FIQ mode"};
    __asm__ volatile("cps #0x1f\n mov %0, sp\n mov %1, lr\n cps #0x11\n mov %2, sp\n cps #0x13"
                     : "=&r"(usp), "=&r"(ulr), "=&r"(fsp));
    __asm__ volatile("cps #0x1f\n mov lr, %0\n cps #0x13" : : "r"(0x55667788));
    regs_init(&in, MODE_FIQ);
    in.sp = fsp;
    in.r[0] = (uint32_t)area;
    case_eq(&m, snip_run(&in, stm_usr_arm), TRAP_SVC, "store");
    case_eq(&m, area[5], usp, "SP_usr stored");
    case_eq(&m, area[6], 0x55667788, "LR_usr stored");
    for (unsigned i = 0; i < 5; i++) {
        /* r8_fiq..r12_fiq were loaded by the return; the user bank must not show them. */
        case_eq(&m, area[i] == in.r[8 + i], 0, "r%u_usr is not r%u_fiq", 8 + i, 8 + i);
    }
    for (unsigned i = 0; i < 7; i++)
        area[i] = 0x11110000 + i;
    area[5] = usp;
    case_eq(&m, snip_run(&in, ldm_usr_arm), TRAP_SVC, "load");
    for (unsigned i = 8; i < 13; i++)
        case_eq(&m, t->regs.r[i], in.r[i], "r%u_fiq untouched", i);
    uint32_t got;
    __asm__ volatile("cps #0x1f\n mov %0, lr\n mov sp, %1\n cps #0x13" : "=&r"(got) : "r"(usp));
    case_eq(&m, got, 0x11110006, "LR_usr loaded");
    matrix_end(&m);
}

/* --- CPS, MSR and what User mode may change --- */
SNIP(cpsid, "cpsid aif\n mrs r0, cpsr\n");
SNIP(cpsie, "cpsie af\n mrs r0, cpsr\n");
SNIP(cps_mode, "cpsid i, #0x1f\n mrs r0, cpsr\n");
SNIP(msr_all, "msr cpsr_cxsf, r1\n mrs r0, cpsr\n");
SNIP(msr_f, "msr cpsr_f, r1\n mrs r0, cpsr\n");
SNIP(msr_s, "msr cpsr_s, r1\n mrs r0, cpsr\n");
SNIP(setend_be, "setend be\n mrs r0, cpsr\n");

static void psr_case(struct matrix *m, const struct snip *s, uint32_t mode, uint32_t start,
                     uint32_t r1, uint32_t want)
{
    struct regs in;
    for (unsigned thumb = 0; thumb < 2; thumb++) {
        regs_init(&in, mode);
        in.cpsr = start | mode;
        in.r[1] = r1;
        case_eq(m, snip_run(&in, s->code[thumb]), TRAP_SVC, "%s kind", s->name);
        /* MRS CPSR reads T, IT as zero. */
        case_eq(m, this_cpu()->trap.regs.r[0], want, "%s mode %x %s: MRS", s->name, (unsigned)mode,
                thumb ? "thumb" : "arm");
        case_eq(m, this_cpu()->trap.regs.cpsr & ~PSR_T, want, "%s mode %x %s: SPSR", s->name,
                (unsigned)mode, thumb ? "thumb" : "arm");
    }
}

static void test_psr(void)
{
    static const struct snip s_cpsid = SNIP_BOTH(cpsid), s_cpsie = SNIP_BOTH(cpsie),
                             s_mode = SNIP_BOTH(cps_mode), s_all = SNIP_BOTH(msr_all),
                             s_f = SNIP_BOTH(msr_f), s_s = SNIP_BOTH(msr_s),
                             s_be = SNIP_BOTH(setend_be);
    struct matrix m = {.name = "CPS, MSR and SETEND change what they may"};
    psr_case(&m, &s_cpsid, MODE_SYS, 0x60000080, 0, 0x600001df);
    psr_case(&m, &s_cpsid, MODE_USR, 0x60000080, 0, 0x60000090);
    /* F cannot be cleared when FIQs are non-maskable only; here it can. */
    psr_case(&m, &s_cpsie, MODE_SYS, 0x600001c0, 0, 0x6000009f);
    psr_case(&m, &s_cpsie, MODE_USR, 0x600001c0, 0, 0x600001d0);
    psr_case(&m, &s_mode, MODE_USR, 0x60000180, 0, 0x60000190);
    psr_case(&m, &s_mode, MODE_SYS, 0x60000100, 0, 0x6000019f);
    psr_case(&m, &s_all, MODE_SYS, 0x600001c0, 0xf80f01df, 0xf80f01df);
    psr_case(&m, &s_all, MODE_USR, 0x600001c0, 0xf80f0013, 0xf80f01d0);
    psr_case(&m, &s_all, MODE_SYS, 0x600001c0, 0x000001df, 0x000001df);
    psr_case(&m, &s_f, MODE_SYS, 0x600001c0, 0x90000000, 0x900001df);
    psr_case(&m, &s_f, MODE_USR, 0x600a01c0, 0x98000000, 0x980a01d0);
    psr_case(&m, &s_s, MODE_SYS, 0x600001c0, 0x90090000, 0x600901df);
    psr_case(&m, &s_s, MODE_USR, 0x600001c0, 0x90060000, 0x600601d0);
    psr_case(&m, &s_be, MODE_SYS, 0x600001c0, 0, 0x600003df);
    psr_case(&m, &s_be, MODE_USR, 0x600001c0, 0, 0x600003d0);
    matrix_end(&m);
}

/* --- where the vectors are --- */
extern char vec_absolute[], vec_thumb[], vec_ee[];
__asm__(
    ".pushsection .text.vectors2,\"ax\",%progbits\n .syntax unified\n"
    /* position-independent: each slot loads its target from the table behind */
    " .balign 4096\n .arm\n .global vec_absolute\nvec_absolute:\n"
    " .rept 8\n ldr pc, [pc, #24]\n .endr\n"
    " .word mark_reset, mark_undef, mark_svc, mark_pabt, mark_dabt, mark_reset, mark_irq, "
    "mark_fiq\n"
    " .balign 4096\n .thumb\n .global vec_thumb\nvec_thumb:\n"
    " .rept 8\n ldr.w pc, [pc, #28]\n .endr\n"
    " .word mark_reset, mark_undef, mark_svc, mark_pabt, mark_dabt, mark_reset, mark_irq, "
    "mark_fiq\n"
    /* keep a mark: TPIDRURW counts entries through these tables */
    " .arm\n .macro MARK n, slot\nmark_\\n:\n"
    " mcr p15,0,lr,c13,c0,3\n mrc p15,0,lr,c13,c0,2\n add lr,lr,#1\n mcr p15,0,lr,c13,c0,2\n"
    " mrc p15,0,lr,c13,c0,3\n ldr pc,=vectors+4*\\slot\n .endm\n"
    " MARK reset,0\n MARK undef,1\n MARK svc,2\n MARK pabt,3\n MARK dabt,4\n MARK irq,6\n MARK "
    "fiq,7\n"
    " .ltorg\n"
    /* SCTLR.EE: entered big-endian; note the CPSR in TPIDRURW, go back to little-endian */
    " .balign 4096\n .global vec_ee\nvec_ee:\n"
    " b ee_0\n b ee_1\n b ee_2\n b ee_3\n b ee_4\n b ee_0\n b ee_6\n b ee_7\n"
    " .macro EE slot\nee_\\slot:\n mcr p15,0,lr,c13,c0,3\n mrs lr,cpsr\n mcr p15,0,lr,c13,c0,2\n"
    " mrc p15,0,lr,c13,c0,3\n setend le\n ldr pc,=vectors+4*\\slot\n .endm\n"
    " EE 0\n EE 1\n EE 2\n EE 3\n EE 4\n EE 6\n EE 7\n .ltorg\n"
    " .popsection\n");

static unsigned marks_of_all(void)
{
    struct regs in;
    static const char *const codes[] = {svc_arm,  svc_thumb,  udf16_arm, udf16_thumb,
                                        bkpt_arm, bkpt_thumb, load_arm,  store_thumb};
    static const enum trap_kind kinds[] = {TRAP_SVC,  TRAP_SVC,  TRAP_UNDEF, TRAP_UNDEF,
                                           TRAP_PABT, TRAP_PABT, TRAP_DABT,  TRAP_DABT};
    unsigned good = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
        write_tpidrurw(0);
        regs_init(&in, MODE_USR);
        in.r[1] = 0xe0000000;
        enum trap_kind kind = snip_run(&in, codes[i]);
        if (kind == kinds[i] && read_tpidrurw() == 1)
            good++;
        else
            tap_diag("vector %u: trap %d, mark %u", i, kind, (unsigned)read_tpidrurw());
    }
    return good;
}

static void map_page(uint32_t va, const void *pa)
{
    uint32_t *l2 = mem_alloc(1024, 1024);
    l2[va >> 12 & 255] = L2_SMALL(pa) | P_NORMAL | P_AP(AP_RW_RO);
    flat_l1[va >> 20] = L1_TABLE(l2, 0);
    dsb();
}

static void test_vectors(void)
{
    uint32_t sctlr = read_sctlr(), vbar = read_vbar();
    struct regs in;
    tap_eq(vbar, (uint32_t)vectors, "VBAR reads back");
    write_vbar((uint32_t)vec_absolute);
    isb();
    tap_eq(marks_of_all(), 8, "vectors at another VBAR");
    map_page(0, vec_absolute);
    map_page(0xffff0000, vec_absolute);
    write_vbar(0);
    isb();
    tap_eq(marks_of_all(), 8, "vectors at address 0");
    write_vbar(vbar);
    write_sctlr(sctlr | SCTLR_V);
    isb();
    tap_eq(marks_of_all(), 8, "high vectors (SCTLR.V)");
    write_vbar((uint32_t)vec_thumb);
    write_sctlr(sctlr | SCTLR_TE);
    isb();
    tap_eq(marks_of_all(), 8, "exceptions taken in Thumb state (SCTLR.TE)");
    write_vbar(vbar);
    write_sctlr(sctlr);
    isb();
    flat_l1[0] = flat_l1[0xfff] = 0;
    tlb_flush_all();

    regs_init(&in, MODE_USR);
    in.cpsr |= PSR_E;
    tap_eq(snip_run(&in, svc_arm), TRAP_SVC, "trap from big-endian code");
    tap_eq(this_cpu()->trap.regs.exc_cpsr & PSR_E, 0, "entry clears CPSR.E");
    tap_eq(this_cpu()->trap.regs.cpsr & PSR_E, PSR_E, "SPSR keeps E");
}

/* SCTLR.EE also makes the page-table walks big-endian: run on a byte-reversed copy of the flat map.
 */
static void ee_switch(uint32_t sctlr, const uint32_t *l1, const char *vec)
{
    dsb();
    write_sctlr(read_sctlr() & ~SCTLR_M);
    isb();
    write_ttbr0((uint32_t)l1 | TTBR_ATTR);
    write_vbar((uint32_t)vec);
    write_sctlr(sctlr & ~SCTLR_M);
    isb();
    tlb_flush_all();
    write_sctlr(sctlr);
    isb();
}

static void test_big_endian_vectors(void)
{
    static const char *const codes[] = {svc_arm, svc_thumb, udf16_arm, bkpt_thumb, load_arm};
    uint32_t sctlr = read_sctlr(), *be = mem_alloc(16384, 16384);
    struct regs in;
    struct matrix m = {.name = "exceptions taken big-endian (SCTLR.EE), walks too"};
    for (unsigned i = 0; i < 4096; i++)
        be[i] = __builtin_bswap32(flat_l1[i]);
    ee_switch(sctlr | SCTLR_EE, be, vec_ee);
    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
        regs_init(&in, MODE_USR);
        in.r[1] = 0xe0000000;
        write_tpidrurw(0);
        snip_run(&in, codes[i]);
        case_eq(&m, read_tpidrurw() & PSR_E, PSR_E, "CPSR.E at entry %u", i);
        case_eq(&m, this_cpu()->trap.regs.cpsr & PSR_E, 0, "SPSR.E %u", i);
    }
    ee_switch(sctlr, flat_l1, vectors);
    matrix_end(&m);
}

void payload_main(void)
{
    test_entries();
    test_prefetch_abort();
    test_crossing_fetch();
    test_irq();
    test_it();
    test_it_bkpt();
    test_banked();
    test_srs();
    test_rfe();
    test_returns();
    test_user_bank();
    test_psr();
    test_vectors();
    test_big_endian_vectors();
}
