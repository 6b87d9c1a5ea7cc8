/* SPDX-License-Identifier: MIT */
/*
 * The CPUs a guest can see, and their identification registers. Values as in the Cortex-A15 (r4p0)
 * and Cortex-A7 (r0p5) Technical Reference Manuals, but that the fields for the Security and
 * Virtualization extensions read as "not implemented" (ID_PFR1, ID_DFR0, ID_ISAR4.SMC): this
 * machine starts its guests at EL1.
 */
#include "vcpu/arm_sys_internal.h"
#include "vm.h"

#include <string.h>

#define A15_ACTLR_SMP (1u << 6)
#define A15_ACTLR_IBE (1u << 0) /* firmware enables invalidation of the BTB by ICIALLU */

#define A15_COMMON                                                                          \
    .compatible = "arm,cortex-a15", .ctr = 0x8444c004, .id_pfr0 = 0x00001131,               \
    .id_pfr1 = 0x00010001, .id_dfr0 = 0x02010505,                                           \
    .id_mmfr = {0x10201105, 0x20000000, 0x01240000, 0x02102211}, .clidr = 0x0a200023,       \
    .ccsidr_l1d = 0x701fe00a, .ccsidr_l1i = 0x201fe00a, .ccsidr_l2 = 0x711fe07a,            \
    .actlr = A15_ACTLR_SMP | A15_ACTLR_IBE, .sctlr_reset = 0x00c50078, .fpsid = 0x410430f0, \
    .mvfr0 = 0x10110222, .dbgdidr = 0x3515f021, .dbgdevid = 0x01110f13, .pmcr_id = 0x410f3000

static const struct arm_cpu_model models[] = {
    {
        .name = "cortex-a15",
        .features = ARM_FEAT_LPAE | ARM_FEAT_PMU,
        .midr = 0x414fc0f0,
        A15_COMMON,
        .id_isar = {0x02101110, 0x13112111, 0x21232041, 0x11112131, 0x10010142, 0},
        .mvfr1 = 0x11111111,
    },
    {
        .name = "cortex-a7",
        .compatible = "arm,cortex-a7",
        .features = ARM_FEAT_LPAE | ARM_FEAT_PMU,
        .midr = 0x410fc075,
        .ctr = 0x84448003,
        .id_pfr0 = 0x00001131,
        .id_pfr1 = 0x00010001,
        .id_dfr0 = 0x02010505,
        .id_mmfr = {0x10101105, 0x40000000, 0x01240000, 0x02102211},
        .id_isar = {0x02101110, 0x13112111, 0x21232041, 0x11112131, 0x10010142, 0},
        .clidr = 0x0a200023,
        .ccsidr_l1d = 0x701fe00a,
        .ccsidr_l1i = 0x201fe00a,
        .ccsidr_l2 = 0x711fe07a,
        .actlr = A15_ACTLR_SMP,
        .sctlr_reset = 0x00c50078,
        .fpsid = 0x41023075,
        .mvfr0 = 0x10110222,
        .mvfr1 = 0x11111111,
        .dbgdidr = 0x3515f005,
        .dbgdevid = 0x01110f13,
        .pmcr_id = 0x41073000,
    },
    {
        /* Cortex-A15 plus the ARMv8 AArch32 instructions that user code finds by ID_ISAR5 and
           MVFR2. */
        .name = "max",
        .features = ARM_FEAT_LPAE | ARM_FEAT_PMU | ARM_FEAT_V8_AARCH32,
        .midr = 0x414fc0f0,
        A15_COMMON,
        .id_isar = {0x02101110, 0x13112111, 0x21232042, 0x11112131, 0x10010142, 0x00011121},
        .mvfr1 = 0x12111111,
        .mvfr2 = 0x00000043,
    },
};

const struct arm_cpu_model *arm_cpu_model_find(const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(models); i++)
        if (!strcmp(models[i].name, name))
            return &models[i];
    return NULL;
}

const char *arm_cpu_model_names(void)
{
    return "cortex-a15, cortex-a7, max";
}

const char *arm_cpu_model_compatible(const struct arm_cpu_model *m)
{
    return m->compatible;
}

/* ---- registers ---- */
#define MODEL_READ(fn, expr)                                   \
    static uint64_t fn(struct vcpu *v, const struct sysreg *r) \
    {                                                          \
        const struct arm_cpu_model *m = v->sys->model;         \
        unsigned opc2 = r->key & 15;                           \
        (void)m;                                               \
        (void)opc2;                                            \
        return (expr);                                         \
    }

#define MPIDR_MP (1u << 31)

MODEL_READ(midr_read, m->midr)
MODEL_READ(ctr_read, m->ctr)
MODEL_READ(mpidr_read, MPIDR_MP | v->index)
MODEL_READ(revidr_read, m->revidr)
MODEL_READ(aidr_read, m->aidr)
MODEL_READ(isar_read, m->id_isar[opc2])
MODEL_READ(mmfr_read, m->id_mmfr[opc2 - 4])
MODEL_READ(feature_read, opc2 == 0   ? m->id_pfr0
                         : opc2 == 1 ? m->id_pfr1
                         : opc2 == 2 ? m->id_dfr0
                                     : m->id_afr0)
MODEL_READ(clidr_read, m->clidr)
/* CSSELR: bit 0 = instruction, bits 3:1 = level - 1. What is not there reads as zero. */
MODEL_READ(ccsidr_read, v->sys->csselr == 0   ? m->ccsidr_l1d
                        : v->sys->csselr == 1 ? m->ccsidr_l1i
                        : v->sys->csselr == 2 ? m->ccsidr_l2
                                              : 0)
MODEL_READ(l2ctlr_read, m->l2ctlr | ((v->vm->ncpus - 1) & 3) << 24)

static void csselr_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    (void)r;
    v->sys->csselr = (uint32_t)value & 0xf;
}

#define PERIPHBASE 0x08000000u /* where the board has the interrupt controller */

#define ID_RESERVED(crm)                                                                    \
    CP15("ID_RES" #crm, 0, 0, crm, 0, PL1_R), CP15("ID_RES" #crm, 0, 0, crm, 1, PL1_R),     \
        CP15("ID_RES" #crm, 0, 0, crm, 2, PL1_R), CP15("ID_RES" #crm, 0, 0, crm, 3, PL1_R), \
        CP15("ID_RES" #crm, 0, 0, crm, 4, PL1_R), CP15("ID_RES" #crm, 0, 0, crm, 5, PL1_R), \
        CP15("ID_RES" #crm, 0, 0, crm, 6, PL1_R), CP15("ID_RES" #crm, 0, 0, crm, 7, PL1_R)

static const struct sysreg id_regs[] = {
    CP15("MIDR", 0, 0, 0, 0, PL1_R, .read = midr_read),
    CP15("CTR", 0, 0, 0, 1, PL1_R, .read = ctr_read),
    CP15("TCMTR", 0, 0, 0, 2, PL1_R),
    CP15("TLBTR", 0, 0, 0, 3, PL1_R),
    CP15("MIDR.4", 0, 0, 0, 4, PL1_R, .read = midr_read),
    CP15("MPIDR", 0, 0, 0, 5, PL1_R, .read = mpidr_read),
    CP15("REVIDR", 0, 0, 0, 6, PL1_R, .read = revidr_read),
    CP15("MIDR.7", 0, 0, 0, 7, PL1_R, .read = midr_read),
    CP15("ID_PFR0", 0, 0, 1, 0, PL1_R, .read = feature_read),
    CP15("ID_PFR1", 0, 0, 1, 1, PL1_R, .read = feature_read),
    CP15("ID_DFR0", 0, 0, 1, 2, PL1_R, .read = feature_read),
    CP15("ID_AFR0", 0, 0, 1, 3, PL1_R, .read = feature_read),
    CP15("ID_MMFR0", 0, 0, 1, 4, PL1_R, .read = mmfr_read),
    CP15("ID_MMFR1", 0, 0, 1, 5, PL1_R, .read = mmfr_read),
    CP15("ID_MMFR2", 0, 0, 1, 6, PL1_R, .read = mmfr_read),
    CP15("ID_MMFR3", 0, 0, 1, 7, PL1_R, .read = mmfr_read),
    CP15("ID_ISAR0", 0, 0, 2, 0, PL1_R, .read = isar_read),
    CP15("ID_ISAR1", 0, 0, 2, 1, PL1_R, .read = isar_read),
    CP15("ID_ISAR2", 0, 0, 2, 2, PL1_R, .read = isar_read),
    CP15("ID_ISAR3", 0, 0, 2, 3, PL1_R, .read = isar_read),
    CP15("ID_ISAR4", 0, 0, 2, 4, PL1_R, .read = isar_read),
    CP15("ID_ISAR5", 0, 0, 2, 5, PL1_R, .read = isar_read),
    /* The rest of the identification scheme is reserved and reads as zero (B4.1.1). */
    CP15("ID_RES26", 0, 0, 2, 6, PL1_R),
    CP15("ID_RES27", 0, 0, 2, 7, PL1_R),
    CP15("ID_RES30", 0, 0, 3, 0, PL1_R),
    CP15("ID_RES31", 0, 0, 3, 1, PL1_R),
    CP15("ID_RES32", 0, 0, 3, 2, PL1_R),
    CP15("ID_RES33", 0, 0, 3, 3, PL1_R),
    CP15("ID_RES34", 0, 0, 3, 4, PL1_R),
    CP15("ID_RES35", 0, 0, 3, 5, PL1_R),
    CP15("ID_RES36", 0, 0, 3, 6, PL1_R),
    CP15("ID_RES37", 0, 0, 3, 7, PL1_R),
    ID_RESERVED(4),
    ID_RESERVED(5),
    ID_RESERVED(6),
    ID_RESERVED(7),
    CP15("CCSIDR", 0, 1, 0, 0, PL1_R, .read = ccsidr_read),
    CP15("CLIDR", 0, 1, 0, 1, PL1_R, .read = clidr_read),
    CP15("AIDR", 0, 1, 0, 7, PL1_R, .read = aidr_read),
    CP15("CSSELR", 0, 2, 0, 0, PL1_RW, SYS_FIELD(csselr), .write = csselr_write),
    CP15("L2CTLR", 9, 1, 0, 2, PL1_RW, .read = l2ctlr_read, .write = sysreg_write_ignored),
    CP15("L2ECTLR", 9, 1, 0, 3, PL1_RW, SYS_FIELD(l2ectlr)),
    CP15("CBAR", 15, 4, 0, 0, PL1_R, .value = PERIPHBASE),
};
const struct sysreg_table arm_id_regs = {id_regs, ARRAY_SIZE(id_regs)};
