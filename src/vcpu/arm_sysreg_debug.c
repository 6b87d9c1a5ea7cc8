/* SPDX-License-Identifier: MIT */
/*
 * CP14: the debug registers that software probes (v7.1 Debug, Arm ARM DDI0406C C11), ThumbEE and
 * trivial Jazelle identification. Breakpoint, watchpoint and control registers hold what is
 * written; known limitation: no debug event is ever generated from them.
 */
#include "vcpu/arm_sys_internal.h"

/* UDCCdis and MDBGen: monitor debug is what software running on the CPU may enable. */
#define DSCR_WRITABLE (1u << 12 | 1u << 15)
#define OSLSR_OSLM1   8u /* OS lock implemented, without save and restore: OSLM = 0b10 */
#define OSLSR_OSLK    2u
#define OSLAR_KEY     0xc5acce55u
#define CLAIM_BITS    0xffu

static uint64_t didr_read(struct vcpu *v, const struct sysreg *r)
{
    (void)r;
    return v->sys->model->dbgdidr;
}

static uint64_t devid_read(struct vcpu *v, const struct sysreg *r)
{
    (void)r;
    return v->sys->model->dbgdevid;
}

static void dscr_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    (void)r;
    v->sys->dbgdscr = (uint32_t)value & DSCR_WRITABLE;
}

static void oslar_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    (void)r;
    v->sys->oslock = (uint32_t)value == OSLAR_KEY ? OSLSR_OSLK : 0;
}

static uint64_t oslsr_read(struct vcpu *v, const struct sysreg *r)
{
    (void)r;
    return OSLSR_OSLM1 | v->sys->oslock;
}

static uint64_t claim_read(struct vcpu *v, const struct sysreg *r)
{
    return (r->key >> 8 & 15) == 8 ? CLAIM_BITS : v->sys->dbgclaim;
}

/* CLAIMSET sets, CLAIMCLR clears: CRm 8 and 9. */
static void claim_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    uint32_t bits = (uint32_t)value & CLAIM_BITS;

    v->sys->dbgclaim = (r->key >> 8 & 15) == 8 ? v->sys->dbgclaim | bits : v->sys->dbgclaim & ~bits;
}

#define BREAKPOINT(n)                                         \
    CP14("DBGBVR" #n, 0, 0, n, 4, PL1_RW, SYS_FIELD(bvr[n])), \
        CP14("DBGBCR" #n, 0, 0, n, 5, PL1_RW, SYS_FIELD(bcr[n]))
#define WATCHPOINT(n)                                         \
    CP14("DBGWVR" #n, 0, 0, n, 6, PL1_RW, SYS_FIELD(wvr[n])), \
        CP14("DBGWCR" #n, 0, 0, n, 7, PL1_RW, SYS_FIELD(wcr[n]))

static const struct sysreg debug_regs[] = {
    CP14("DBGDIDR", 0, 0, 0, 0, PL0_R | PL1_R, .read = didr_read),
    CP14("DBGDSCRint", 0, 0, 1, 0, PL0_R | PL1_R, SYS_FIELD(dbgdscr)),
    CP14("DBGDTRint", 0, 0, 5, 0, PL0_RW_PL1_RW, SYS_FIELD(dbgdtr)),
    CP14("DBGVCR", 0, 0, 7, 0, PL1_RW, SYS_FIELD(dbgvcr)),
    CP14("DBGDSCRext", 0, 0, 2, 2, PL1_RW, SYS_FIELD(dbgdscr), .write = dscr_write),
    BREAKPOINT(0),
    BREAKPOINT(1),
    BREAKPOINT(2),
    BREAKPOINT(3),
    BREAKPOINT(4),
    BREAKPOINT(5),
    WATCHPOINT(0),
    WATCHPOINT(1),
    WATCHPOINT(2),
    WATCHPOINT(3),
    CP14("DBGDRAR", 1, 0, 0, 0, PL0_R | PL1_R),
    {.key = ARM_SYSREG_KEY64(14, 0, 1), .name = "DBGDRAR", .perm = PL0_R | PL1_R},
    CP14("DBGOSLAR", 1, 0, 0, 4, PL1_W, .write = oslar_write),
    CP14("DBGOSLSR", 1, 0, 1, 4, PL1_R, .read = oslsr_read),
    CP14("DBGOSDLR", 1, 0, 3, 4, PL1_RW, .write = sysreg_write_ignored),
    CP14("DBGPRCR", 1, 0, 4, 4, PL1_RW, SYS_FIELD(dbgprcr)),
    CP14("DBGPRSR", 1, 0, 5, 4, PL1_R, .value = 1 /* powered up */),
    CP14("DBGDSAR", 2, 0, 0, 0, PL0_R | PL1_R),
    {.key = ARM_SYSREG_KEY64(14, 0, 2), .name = "DBGDSAR", .perm = PL0_R | PL1_R},
    CP14("DBGDEVID2", 7, 0, 0, 7, PL1_R),
    CP14("DBGDEVID1", 7, 0, 1, 7, PL1_R),
    CP14("DBGDEVID", 7, 0, 2, 7, PL1_R, .read = devid_read),
    CP14("DBGCLAIMSET", 7, 0, 8, 6, PL1_RW, .read = claim_read, .write = claim_write),
    CP14("DBGCLAIMCLR", 7, 0, 9, 6, PL1_RW, .read = claim_read, .write = claim_write),
    CP14("DBGAUTHSTATUS", 7, 0, 14, 6, PL1_R),
    /* ThumbEE: not implemented (ID_PFR0), Jazelle: trivial implementation (A2.10). */
    CP14("JIDR", 0, 7, 0, 0, PL0_R | PL1_R),
    CP14("JOSCR", 1, 7, 0, 0, PL1_RW, .write = sysreg_write_ignored),
    CP14("JMCR", 2, 7, 0, 0, PL1_RW | PL0_W, .write = sysreg_write_ignored),
    CP14("TEECR", 0, 6, 0, 0, PL1_RW, .write = sysreg_write_ignored),
    CP14("TEEHBR", 1, 6, 0, 0, PL1_RW, .write = sysreg_write_ignored),
};
const struct sysreg_table arm_debug_regs = {debug_regs, ARRAY_SIZE(debug_regs)};
