/* SPDX-License-Identifier: MIT */
/*
 * CP15 c1-c3, c5, c6, c10, c12, c13 and the VA-to-PA operations of c7: control and translation
 * registers. Arm ARM DDI0406C B3.17, B4.1. Each write has the effect on translation the
 * architecture gives it, through the mmu_* hooks.
 */
#include "mmu/mmu.h"
#include "vcpu/arm_sys_internal.h"

/* SCTLR bits that software may change on a Cortex-A15 (TRM 4.3.27); the rest keep their reset
 * value. */
#define SCTLR_WRITABLE                                                                       \
    (SCTLR_M | SCTLR_A | SCTLR_C | 1u << 10 /* SW */ | 1u << 11 /* Z */ | 1u << 12 /* I */ | \
     SCTLR_V | SCTLR_WXN | SCTLR_UWXN | SCTLR_EE | SCTLR_TRE | SCTLR_AFE | SCTLR_TE)

static void sctlr_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    struct arm_mmu_regs *m = &v->sys->mmu;

    (void)r;
    m->sctlr = (m->sctlr & ~SCTLR_WRITABLE) | ((uint32_t)value & SCTLR_WRITABLE);
    arm_exec_flags_refresh(v);
    mmu_context_changed(v);
}

#define CPACR_WRITABLE (0xfu << 20 | 1u << 30 | 1u << 31) /* cp10, cp11, D32DIS, ASEDIS */

static void cpacr_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    uint32_t w = (uint32_t)value & CPACR_WRITABLE & ~(1u << 30);

    (void)r;
    /* cp10 and cp11 must agree; when they do not the effect is that of cp10 (B4.1.40:
     * UNPREDICTABLE). */
    v->sys->cpacr = w;
    arm_exec_flags_refresh(v);
}

/* A register that takes part in translation: store, then choose the context anew. */
static void context_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    sysreg_field_write(v, r, value);
    mmu_context_changed(v);
}

/* PRRR and NMRR are MAIR0 and MAIR1 under another name (B4.1.104): which one they are depends on
 * TTBCR.EAE. */
static void dacr_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    (void)r;
    mmu_write_dacr(v, (uint32_t)value);
}

static void remap_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    sysreg_field_write(v, r, value);
    v->sys->mmu.prrr = v->sys->mmu.mair0;
    v->sys->mmu.nmrr = v->sys->mmu.mair1;
    mmu_context_changed(v);
}

static void ttbcr_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    uint32_t w = (uint32_t)value;

    (void)r;
    v->sys->mmu.ttbcr = (w & TTBCR_EAE) ? w & 0xbfff3f87u : w & 0x37u;
    mmu_context_changed(v);
}

/* 32-bit access to TTBR0/1 leaves the upper half alone. */
static void ttbr32_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    uint64_t *t = (r->key & 15) ? &v->sys->mmu.ttbr1 : &v->sys->mmu.ttbr0;

    *t = (*t & ~0xffffffffull) | (uint32_t)value;
    mmu_context_changed(v);
}

static void vbar_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    (void)r;
    v->sys->mmu.vbar = (uint32_t)value & ~0x1fu;
}

static uint64_t isr_read(struct vcpu *v, const struct sysreg *r)
{
    uint32_t lines = atomic_load_explicit(&v->irq_lines, memory_order_relaxed);

    (void)r;
    return ((lines & VCPU_IRQ_LINE) ? 1u << 7 : 0) | ((lines & VCPU_FIQ_LINE) ? 1u << 6 : 0);
}

/* ---- ATS1C*: PAR in the format of the translation regime (B4.1.112) ---- */
#define PAR_F    1u
#define PAR_LPAE (1u << 11)
#define PAR_SS   (1u << 1)

static uint64_t par_success(const struct arm_mmu_regs *m, const struct mmu_translation *t)
{
    if (m->ttbcr & TTBCR_EAE)
        return (t->gpa & 0xfffffff000ull) | t->par_attr | PAR_LPAE;
    if (t->page_size == 1u << 24)
        return (uint32_t)((t->gpa & 0xff000000u) | (t->gpa >> 32 & 0xff) << 16 | t->par_attr |
                          PAR_SS);
    return (uint32_t)((t->gpa & 0xfffff000u) | t->par_attr);
}

static uint64_t par_fault(const struct arm_mmu_regs *m, uint32_t fsr)
{
    if (m->ttbcr & TTBCR_EAE)
        return PAR_F | PAR_LPAE | (uint64_t)(fsr & 0x3f) << 1;
    return PAR_F | ((fsr & 0xf) | (fsr >> 10 & 1) << 4 | (fsr >> 12 & 1) << 5) << 1;
}

/* opc2: 0 privileged read, 1 privileged write, 2 user read, 3 user write. */
static void ats1c_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    struct arm_mmu_regs *m = &v->sys->mmu;
    unsigned opc2 = r->key & 3;
    struct mmu_translation t;

    if (mmu_translate(v, (uint32_t)value, (opc2 & 1) ? MMU_WRITE : MMU_READ, opc2 < 2, &t))
        m->par = par_success(m, &t);
    else
        m->par = par_fault(m, t.fsr);
}

static const struct sysreg mmu_regs[] = {
    CP15("SCTLR", 1, 0, 0, 0, PL1_RW, SYS_FIELD(mmu.sctlr), .write = sctlr_write,
         .flags = SYSREG_END_BLOCK),
    CP15("ACTLR", 1, 0, 0, 1, PL1_RW, SYS_FIELD(actlr)),
    CP15("CPACR", 1, 0, 0, 2, PL1_RW, SYS_FIELD(cpacr), .write = cpacr_write,
         .flags = SYSREG_END_BLOCK),
    CP15("TTBR0", 2, 0, 0, 0, PL1_RW, SYS_FIELD(mmu.ttbr0), .write = ttbr32_write,
         .flags = SYSREG_CONTEXT),
    CP15("TTBR1", 2, 0, 0, 1, PL1_RW, SYS_FIELD(mmu.ttbr1), .write = ttbr32_write,
         .flags = SYSREG_CONTEXT),
    CP15("TTBCR", 2, 0, 0, 2, PL1_RW, SYS_FIELD(mmu.ttbcr), .write = ttbcr_write,
         .flags = SYSREG_CONTEXT),
    CP15_64("TTBR0", 0, 2, PL1_RW, SYS_FIELD(mmu.ttbr0), .write = context_write,
            .flags = SYSREG_CONTEXT),
    CP15_64("TTBR1", 1, 2, PL1_RW, SYS_FIELD(mmu.ttbr1), .write = context_write,
            .flags = SYSREG_CONTEXT),
    CP15("DACR", 3, 0, 0, 0, PL1_RW, SYS_FIELD(mmu.dacr), .write = dacr_write,
         .flags = SYSREG_CONTEXT),
    CP15("DFSR", 5, 0, 0, 0, PL1_RW, SYS_FIELD(mmu.dfsr)),
    CP15("IFSR", 5, 0, 0, 1, PL1_RW, SYS_FIELD(mmu.ifsr)),
    CP15("ADFSR", 5, 0, 1, 0, PL1_RW, SYS_FIELD(mmu.adfsr)),
    CP15("AIFSR", 5, 0, 1, 1, PL1_RW, SYS_FIELD(mmu.aifsr)),
    CP15("DFAR", 6, 0, 0, 0, PL1_RW, SYS_FIELD(mmu.dfar)),
    CP15("IFAR", 6, 0, 0, 2, PL1_RW, SYS_FIELD(mmu.ifar)),
    CP15("PAR", 7, 0, 4, 0, PL1_RW, SYS_FIELD(mmu.par)),
    CP15_64("PAR", 0, 7, PL1_RW, SYS_FIELD(mmu.par)),
    CP15("ATS1CPR", 7, 0, 8, 0, PL1_W, .write = ats1c_write),
    CP15("ATS1CPW", 7, 0, 8, 1, PL1_W, .write = ats1c_write),
    CP15("ATS1CUR", 7, 0, 8, 2, PL1_W, .write = ats1c_write),
    CP15("ATS1CUW", 7, 0, 8, 3, PL1_W, .write = ats1c_write),
    CP15("PRRR/MAIR0", 10, 0, 2, 0, PL1_RW, SYS_FIELD(mmu.mair0), .write = remap_write,
         .flags = SYSREG_CONTEXT),
    CP15("NMRR/MAIR1", 10, 0, 2, 1, PL1_RW, SYS_FIELD(mmu.mair1), .write = remap_write,
         .flags = SYSREG_CONTEXT),
    CP15("AMAIR0", 10, 0, 3, 0, PL1_RW, SYS_FIELD(amair0)),
    CP15("AMAIR1", 10, 0, 3, 1, PL1_RW, SYS_FIELD(amair1)),
    CP15("VBAR", 12, 0, 0, 0, PL1_RW, SYS_FIELD(mmu.vbar), .write = vbar_write),
    CP15("ISR", 12, 0, 1, 0, PL1_R, .read = isr_read),
    CP15("FCSEIDR", 13, 0, 0, 0, PL1_RW, .write = sysreg_write_ignored),
    CP15("CONTEXTIDR", 13, 0, 0, 1, PL1_RW, SYS_FIELD(mmu.contextidr), .write = context_write,
         .flags = SYSREG_CONTEXT),
};
const struct sysreg_table arm_mmu_sysregs = {mmu_regs, ARRAY_SIZE(mmu_regs)};
