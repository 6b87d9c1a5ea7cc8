/* SPDX-License-Identifier: MIT */
/*
 * Reads every encoding of MRC and MRRC for CP14 and CP15, and writes back what was read where that
 * cannot harm us: each either works or is UNDEF, with nothing else changed, and is UNDEF in User
 * mode unless it is one of the few that are open there.  Coprocessors that do not exist are UNDEF.
 * LIST prints the registers that are there.  Arm ARM B3.17, C6.  One CPU.
 */
#include "lib/snip.h"

const char payload_name[] = "sweep";

#ifndef LIST
#define LIST 0
#endif

static uint32_t *code;

static enum trap_kind run_insn(uint32_t insn, uint32_t mode, struct regs *in)
{
    code[0] = insn;
    do_dccmvau((uint32_t)code);
    dsb();
    do_icimvau((uint32_t)code);
    do_bpiall(0);
    dsb();
    isb();
    regs_init(in, mode);
    return snip_run(in, (char *)code);
}

static uint32_t mrc(unsigned cp, unsigned op1, unsigned crn, unsigned crm, unsigned op2)
{
    return 0xee100010u | op1 << 21 | crn << 16 | cp << 8 | op2 << 5 | crm;
}

/* Open to User mode with CNTKCTL and PMUSERENR clear: the thread registers and the CP14 basics. */
static bool user_readable(unsigned cp, unsigned op1, unsigned crn, unsigned crm, unsigned op2)
{
    if (cp == 15)
        return (op1 == 0 && crn == 13 && crm == 0 && (op2 == 2 || op2 == 3)) ||
               (op1 == 0 && crn == 9 && crm == 14 && op2 == 0); /* PMUSERENR */
    return true; /* CP14: DBGDSCR.UDCCdis and the trace registers decide */
}

static void sweep(unsigned cp)
{
    struct matrix m = {.name = cp == 15 ? "CP15: each MRC works or is UNDEF"
                                        : "CP14: each MRC works or is UNDEF"};
    unsigned there = 0;
    struct regs in;
    struct regs *t = &this_cpu()->trap.regs;
    for (unsigned op1 = 0; op1 < 8; op1++)
        for (unsigned crn = 0; crn < 16; crn++)
            for (unsigned crm = 0; crm < 16; crm++)
                for (unsigned op2 = 0; op2 < 8; op2++) {
                    uint32_t insn = mrc(cp, op1, crn, crm, op2);
                    enum trap_kind k = run_insn(insn, MODE_SYS, &in);
                    if (k == TRAP_SVC) {
                        there++;
                        if (LIST)
                            tap_diag("p%u, %u, c%u, c%u, %u = %08x", cp, op1, crn, crm, op2,
                                     (unsigned)t->r[0]);
                        in.r[0] = t->r[0];
                    } else {
                        case_eq(&m, k, TRAP_UNDEF, "%08x kind", (unsigned)insn);
                    }
                    case_eq(&m, regs_diff(&in, t), 0, "%08x registers", (unsigned)insn);
                    case_eq(&m, t->cpsr, in.cpsr, "%08x CPSR", (unsigned)insn);
                    enum trap_kind u = run_insn(insn, MODE_USR, &in);
                    if (k == TRAP_UNDEF || !user_readable(cp, op1, crn, crm, op2))
                        case_eq(&m, u, TRAP_UNDEF, "%08x in User mode", (unsigned)insn);
                    else
                        case_eq(&m, u == TRAP_UNDEF || u == TRAP_SVC, 1, "%08x in User mode",
                                (unsigned)insn);
                }
    matrix_end(&m);
    tap_diag("CP%u: %u registers can be read", cp, there);
}

static void sweep_wide(void)
{
    struct matrix m = {.name = "each MRRC works or is UNDEF"};
    struct regs in;
    for (unsigned cp = 14; cp < 16; cp++)
        for (unsigned op1 = 0; op1 < 16; op1++)
            for (unsigned crm = 0; crm < 16; crm++) {
                uint32_t insn = 0xec500000u | 1u << 16 | cp << 8 | op1 << 4 | crm;
                enum trap_kind k = run_insn(insn, MODE_SYS, &in);
                case_eq(&m, k == TRAP_SVC || k == TRAP_UNDEF, 1, "%08x kind", (unsigned)insn);
                case_eq(&m, regs_diff(&in, &this_cpu()->trap.regs) & ~3u, 0, "%08x registers",
                        (unsigned)insn);
                k = run_insn(insn, MODE_USR, &in);
                bool pct = cp == 15 && crm == 14 && op1 < 2; /* CNTKCTL is clear */
                case_eq(&m, k == TRAP_UNDEF || (!pct && cp == 14), 1, "%08x in User mode",
                        (unsigned)insn);
            }
    matrix_end(&m);
}

/* Writing back what a register shows changes nothing: not for operations, timers, counters. */
static bool safe_to_write(unsigned op1, unsigned crn)
{
    return op1 == 0
               ? crn == 0 || crn == 1 || crn == 3 || crn == 5 || crn == 6 || crn == 10 || crn == 13
               : op1 < 3 && crn == 0;
}

static void sweep_writes(void)
{
    struct matrix m = {.name = "CP15: each MCR works or is UNDEF"};
    struct regs in;
    struct regs *t = &this_cpu()->trap.regs;
    for (unsigned op1 = 0; op1 < 8; op1++)
        for (unsigned crn = 0; crn < 16; crn++)
            for (unsigned crm = 0; crm < 16; crm++)
                for (unsigned op2 = 0; op2 < 8; op2++) {
                    uint32_t insn = mrc(15, op1, crn, crm, op2);
                    enum trap_kind k = run_insn(insn, MODE_SYS, &in);
                    if (k != TRAP_SVC || !safe_to_write(op1, crn))
                        continue;
                    uint32_t value = t->r[0];
                    code[0] = insn & ~(1u << 20);
                    code_sync(code, 4);
                    in.r[0] = value;
                    k = snip_run(&in, (char *)code);
                    case_eq(&m, k == TRAP_SVC || k == TRAP_UNDEF, 1, "%08x kind",
                            (unsigned)code[0]);
                    run_insn(insn, MODE_SYS, &in);
                    case_eq(&m, t->r[0], value, "%08x value", (unsigned)insn);
                }
    matrix_end(&m);
}

/* All coprocessors but 10, 11 (VFP, off here), 14 and 15: nothing is there. */
static void sweep_absent(void)
{
    struct matrix m = {.name = "coprocessors that do not exist are UNDEF"};
    struct regs in;
    for (unsigned cp = 0; cp < 14; cp++) {
        static const uint32_t forms[] = {0xee000000, 0xee000010, 0xee100010, 0xec400000,
                                         0xec500000, 0xed800000, 0xed900000, 0xeda00000,
                                         0xecb00000, 0xee710030};
        for (unsigned i = 0; i < ARRAY_SIZE(forms); i++) {
            for (unsigned user = 0; user < 2; user++) {
                case_eq(&m, run_insn(forms[i] | cp << 8, user ? MODE_USR : MODE_SYS, &in),
                        TRAP_UNDEF, "%08x", (unsigned)(forms[i] | cp << 8));
                case_eq(&m, regs_diff(&in, &this_cpu()->trap.regs), 0, "registers");
            }
        }
    }
    matrix_end(&m);
}

void payload_main(void)
{
    code = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    code[1] = 0xef000052;
    code_sync(code, 8);
    write_cntkctl(0);
    write_pmuserenr(0);
    isb();
    sweep(15);
    sweep(14);
    sweep_wide();
    sweep_writes();
    sweep_absent();
}
