/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Accessors for the system registers the payloads use, made from one table: read_NAME() and
 * write_NAME().  Operands are op1, CRn, CRm, op2 as in the register summaries of the Arm ARM
 * (ARMv7-A, B3.17).  Registers of CP14 and the 64-bit ones follow the table.  No state, no locks.
 */
#include <stdint.h>

#define CP15_REGS(X)                                                                               \
    X(midr, 0, c0, c0, 0)                                                                          \
    X(ctr, 0, c0, c0, 1) X(tcmtr, 0, c0, c0, 2) X(tlbtr, 0, c0, c0, 3) X(mpidr, 0, c0, c0, 5) X(   \
        revidr, 0, c0, c0, 6) X(id_pfr0, 0, c0, c1, 0) X(id_pfr1, 0, c0, c1, 1)                    \
        X(id_dfr0, 0, c0, c1, 2) X(id_afr0, 0, c0, c1, 3) X(id_mmfr0, 0, c0, c1, 4) X(             \
            id_mmfr1, 0, c0, c1, 5) X(id_mmfr2, 0, c0, c1, 6) X(id_mmfr3, 0, c0, c1, 7)            \
            X(id_isar0, 0, c0, c2, 0) X(id_isar1, 0, c0, c2, 1) X(id_isar2, 0, c0, c2, 2)          \
                X(id_isar3, 0, c0, c2, 3) X(id_isar4, 0, c0, c2, 4) X(id_isar5, 0, c0, c2,         \
                                                                      5) X(ccsidr, 1, c0, c0, 0)   \
                    X(clidr, 1, c0, c0, 1) X(csselr, 2, c0, c0, 0) X(sctlr, 0, c1, c0, 0)          \
                        X(actlr, 0, c1, c0, 1) X(cpacr, 0, c1, c0, 2) X(ttbr0, 0, c2, c0, 0)       \
                            X(ttbr1, 0, c2, c0, 1) X(ttbcr, 0, c2, c0, 2) X(dacr, 0, c3, c0, 0)    \
                                X(dfsr, 0, c5, c0, 0) X(ifsr, 0, c5, c0, 1) X(adfsr, 0, c5, c1, 0) \
                                    X(aifsr, 0, c5, c1, 1) X(dfar, 0, c6, c0, 0) X(                \
                                        ifar, 0, c6, c0, 2) X(par, 0, c7, c4, 0)                   \
                                        X(prrr, 0, c10, c2, 0) X(nmrr, 0, c10, c2, 1)              \
                                            X(mair0, 0, c10, c2,                                   \
                                              0) X(mair1, 0, c10, c2,                              \
                                                   1) X(vbar, 0, c12, c0, 0)                       \
                                                X(isr, 0, c12, c1, 0) X(contextidr, 0, c13, c0, 1) \
                                                    X(tpidrurw, 0, c13, c0,                        \
                                                      2) X(tpidruro, 0, c13, c0,                   \
                                                           3) X(tpidrprw, 0, c13, c0,              \
                                                                4) X(cntfrq, 0, c14, c0,           \
                                                                     0) X(cntkctl, 0, c14, c1, 0)  \
                                                        X(cntp_tval, 0, c14, c2,                   \
                                                          0) X(cntp_ctl, 0, c14, c2,               \
                                                               1) X(cntv_tval, 0, c14, c3,         \
                                                                    0) X(cntv_ctl, 0, c14, c3,     \
                                                                         1) X(pmcr, 0, c9, c12, 0) \
                                                            X(pmcntenset, 0, c9, c12,              \
                                                              1) X(pmcntenclr, 0, c9, c12,         \
                                                                   2) X(pmovsr, 0, c9, c12, 3)     \
                                                                X(pmselr, 0, c9, c12,              \
                                                                  5) X(pmceid0, 0, c9, c12, 6)     \
                                                                    X(pmceid1, 0, c9, c12,         \
                                                                      7) X(pmccntr, 0, c9, c13, 0) \
                                                                        X(pmxevtyper, 0, c9, c13,  \
                                                                          1) X(pmxevcntr, 0, c9,   \
                                                                               c13,                \
                                                                               2) X(pmuserenr, 0,  \
                                                                                    c9, c14, 0)    \
                                                                            X(pmintenset, 0, c9,   \
                                                                              c14, 1)              \
                                                                                X(pmintenclr, 0,   \
                                                                                  c9, c14, 2)      \
                                                                                    X(pmovsset, 0, \
                                                                                      c9, c14, 3)

/* Write-only operations: the value is an address, an ASID or ignored. */
#define CP15_OPS(X)                                                                                \
    X(iciallu, 0, c7, c5, 0)                                                                       \
    X(icimvau, 0, c7, c5, 1) X(bpiall, 0, c7, c5, 6) X(bpimva, 0, c7, c5, 7)                       \
        X(icialluis, 0, c7, c1, 0) X(bpiallis, 0, c7, c1, 6) X(dcimvac, 0, c7, c6, 1)              \
            X(dccmvac, 0, c7, c10, 1) X(dccmvau, 0, c7, c11, 1) X(dccimvac, 0, c7, c14, 1)         \
                X(dcisw, 0, c7, c6, 2) X(dccsw, 0, c7, c10, 2) X(dccisw, 0, c7, c14, 2)            \
                    X(ats1cpr, 0, c7, c8, 0) X(ats1cpw, 0, c7, c8, 1) X(ats1cur, 0, c7, c8, 2)     \
                        X(ats1cuw, 0, c7, c8, 3) X(tlbiallis, 0, c8, c3, 0)                        \
                            X(tlbimvais, 0, c8, c3, 1) X(tlbiasidis, 0, c8, c3, 2)                 \
                                X(tlbimvaais, 0, c8, c3, 3) X(itlbiall, 0, c8, c5, 0)              \
                                    X(itlbimva, 0, c8, c5, 1) X(itlbiasid, 0, c8, c5, 2)           \
                                        X(dtlbiall, 0, c8, c6, 0) X(dtlbimva, 0, c8, c6, 1)        \
                                            X(dtlbiasid, 0, c8, c6, 2) X(tlbiall, 0, c8, c7, 0)    \
                                                X(tlbimva, 0, c8, c7, 1) X(tlbiasid, 0, c8, c7, 2) \
                                                    X(tlbimvaa, 0, c8, c7, 3)                      \
                                                        X(pmswinc, 0, c9, c12, 4)

#define CP15_READ(name, op1, crn, crm, op2)                                 \
    static inline uint32_t read_##name(void)                                \
    {                                                                       \
        uint32_t v;                                                         \
        __asm__ volatile("mrc p15, " #op1 ", %0, " #crn ", " #crm ", " #op2 \
                         : "=r"(v)                                          \
                         :                                                  \
                         : "memory");                                       \
        return v;                                                           \
    }
#define CP15_WRITE(name, op1, crn, crm, op2)                                \
    static inline void write_##name(uint32_t v)                             \
    {                                                                       \
        __asm__ volatile("mcr p15, " #op1 ", %0, " #crn ", " #crm ", " #op2 \
                         :                                                  \
                         : "r"(v)                                           \
                         : "memory");                                       \
    }
#define CP15_OP(name, op1, crn, crm, op2)                                   \
    static inline void do_##name(uint32_t v)                                \
    {                                                                       \
        __asm__ volatile("mcr p15, " #op1 ", %0, " #crn ", " #crm ", " #op2 \
                         :                                                  \
                         : "r"(v)                                           \
                         : "memory");                                       \
    }
CP15_REGS(CP15_READ)
CP15_REGS(CP15_WRITE)
CP15_OPS(CP15_OP)
#undef CP15_READ
#undef CP15_WRITE
#undef CP15_OP

#define CP15_64(name, op1, crm)                                                         \
    static inline uint64_t read_##name(void)                                            \
    {                                                                                   \
        uint64_t v;                                                                     \
        __asm__ volatile("mrrc p15, " #op1 ", %Q0, %R0, " #crm : "=r"(v) : : "memory"); \
        return v;                                                                       \
    }                                                                                   \
    static inline void write_##name(uint64_t v)                                         \
    {                                                                                   \
        __asm__ volatile("mcrr p15, " #op1 ", %Q0, %R0, " #crm : : "r"(v) : "memory");  \
    }
CP15_64(ttbr0_64, 0, c2)
CP15_64(ttbr1_64, 1, c2)
CP15_64(par_64, 0, c7)
CP15_64(cntpct, 0, c14)
CP15_64(cntvct, 1, c14)
CP15_64(cntp_cval, 2, c14)
CP15_64(cntv_cval, 3, c14)
#undef CP15_64

static inline uint32_t read_dbgdidr(void)
{
    uint32_t v;
    __asm__ volatile("mrc p14, 0, %0, c0, c0, 0" : "=r"(v));
    return v;
}

static inline void dsb(void)
{
    __asm__ volatile("dsb sy" : : : "memory");
}
static inline void dmb(void)
{
    __asm__ volatile("dmb sy" : : : "memory");
}
static inline void isb(void)
{
    __asm__ volatile("isb" : : : "memory");
}
static inline void wfi(void)
{
    __asm__ volatile("dsb sy\n\twfi" : : : "memory");
}
static inline void wfe(void)
{
    __asm__ volatile("wfe" : : : "memory");
}
/* In every loop that waits for another CPU: an emulator with fewer threads than CPUs needs the
 * hint. */
static inline void cpu_yield(void)
{
    __asm__ volatile("yield" : : : "memory");
}
static inline void sev(void)
{
    __asm__ volatile("dsb sy\n\tsev" : : : "memory");
}
static inline uint32_t read_cpsr(void)
{
    uint32_t v;
    __asm__ volatile("mrs %0, cpsr" : "=r"(v) : : "memory");
    return v;
}
static inline void irq_enable(void)
{
    __asm__ volatile("cpsie i" : : : "memory");
}
static inline void irq_disable(void)
{
    __asm__ volatile("cpsid i" : : : "memory");
}

enum {
    SCTLR_M = 1u << 0,
    SCTLR_A = 1u << 1,
    SCTLR_C = 1u << 2,
    SCTLR_SW = 1u << 10,
    SCTLR_Z = 1u << 11,
    SCTLR_I = 1u << 12,
    SCTLR_V = 1u << 13,
    SCTLR_WXN = 1u << 19,
    SCTLR_UWXN = 1u << 20,
    SCTLR_EE = 1u << 25,
    SCTLR_TRE = 1u << 28,
    SCTLR_AFE = 1u << 29,
    SCTLR_TE = 1u << 30,
};
