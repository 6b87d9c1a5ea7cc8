/* SPDX-License-Identifier: MIT */
/*
 * What the debugger sees of a vCPU's system level: CP15 registers by their encoding, banked core
 * registers by mode. Arm ARM DDI0406C B3.17, B1.3. The order is the order of register numbers.
 */
#include "gdb/gdb_internal.h"

#include "vcpu/arm.h"

#define CP15(name, crn, opc1, crm, opc2, writable)                                     \
    {                                                                                  \
        name, 32, writable, ARM_SYSREG_KEY(15, crn, opc1, crm, opc2), NULL, NULL, 0, 0 \
    }
#define CP15_64(name, opc1, crm, writable)                                    \
    {                                                                         \
        name, 64, writable, ARM_SYSREG_KEY64(15, opc1, crm), NULL, NULL, 0, 0 \
    }
#define BANKED(name, mode, n)                                 \
    {                                                         \
        name, 32, true, 0, banked_read, banked_write, mode, n \
    }
#define SPSR(name, mode)                                  \
    {                                                     \
        name, 32, true, 0, spsr_read, spsr_write, mode, 0 \
    }

static bool banked_read(struct vcpu *v, const struct gdb_sysreg *r, uint64_t *value)
{
    *value = *arm_banked_reg(v, r->mode, r->n);
    return true;
}

static bool banked_write(struct vcpu *v, const struct gdb_sysreg *r, uint64_t value)
{
    *arm_banked_reg(v, r->mode, r->n) = (uint32_t)value;
    return true;
}

static bool spsr_read(struct vcpu *v, const struct gdb_sysreg *r, uint64_t *value)
{
    *value = v->bank_spsr[arm_mode_bank(r->mode)];
    return true;
}

static bool spsr_write(struct vcpu *v, const struct gdb_sysreg *r, uint64_t value)
{
    v->bank_spsr[arm_mode_bank(r->mode)] = (uint32_t)value;
    return true;
}

static bool fpexc_read(struct vcpu *v, const struct gdb_sysreg *r, uint64_t *value)
{
    (void)r;
    *value = v->fpexc;
    return true;
}

static bool fpexc_write(struct vcpu *v, const struct gdb_sysreg *r, uint64_t value)
{
    (void)r;
    arm_fpexc_write(v, (uint32_t)value);
    return true;
}

const struct gdb_sysreg gdb_sysregs[] = {
    /* clang-format off */
    CP15("midr", 0, 0, 0, 0, false),
    CP15("mpidr", 0, 0, 0, 5, false),
    CP15("sctlr", 1, 0, 0, 0, true),
    CP15("actlr", 1, 0, 0, 1, false),
    CP15("cpacr", 1, 0, 0, 2, true),
    CP15_64("ttbr0", 0, 2, true),
    CP15_64("ttbr1", 1, 2, true),
    CP15("ttbcr", 2, 0, 0, 2, true),
    CP15("dacr", 3, 0, 0, 0, true),
    CP15("dfsr", 5, 0, 0, 0, true),
    CP15("ifsr", 5, 0, 0, 1, true),
    CP15("dfar", 6, 0, 0, 0, true),
    CP15("ifar", 6, 0, 0, 2, true),
    CP15_64("par", 0, 7, true),
    CP15("prrr_mair0", 10, 0, 2, 0, true),
    CP15("nmrr_mair1", 10, 0, 2, 1, true),
    CP15("vbar", 12, 0, 0, 0, true),
    CP15("isr", 12, 0, 1, 0, false),
    CP15("contextidr", 13, 0, 0, 1, true),
    CP15("tpidrurw", 13, 0, 0, 2, true),
    CP15("tpidruro", 13, 0, 0, 3, true),
    CP15("tpidrprw", 13, 0, 0, 4, true),
    CP15("cntfrq", 14, 0, 0, 0, false),
    CP15("cntkctl", 14, 0, 1, 0, true),
    CP15("cntp_ctl", 14, 0, 2, 1, true),
    CP15_64("cntp_cval", 2, 14, true),
    CP15("cntv_ctl", 14, 0, 3, 1, true),
    CP15_64("cntv_cval", 3, 14, true),
    CP15_64("cntvct", 1, 14, false),
    {"fpexc", 32, true, 0, fpexc_read, fpexc_write, 0, 0},
    BANKED("sp_usr", ARM_USR, 13), BANKED("lr_usr", ARM_USR, 14),
    BANKED("sp_svc", ARM_SVC, 13), BANKED("lr_svc", ARM_SVC, 14), SPSR("spsr_svc", ARM_SVC),
    BANKED("sp_abt", ARM_ABT, 13), BANKED("lr_abt", ARM_ABT, 14), SPSR("spsr_abt", ARM_ABT),
    BANKED("sp_und", ARM_UND, 13), BANKED("lr_und", ARM_UND, 14), SPSR("spsr_und", ARM_UND),
    BANKED("sp_irq", ARM_IRQ, 13), BANKED("lr_irq", ARM_IRQ, 14), SPSR("spsr_irq", ARM_IRQ),
    BANKED("r8_fiq", ARM_FIQ, 8), BANKED("r9_fiq", ARM_FIQ, 9), BANKED("r10_fiq", ARM_FIQ, 10),
    BANKED("r11_fiq", ARM_FIQ, 11), BANKED("r12_fiq", ARM_FIQ, 12),
    BANKED("sp_fiq", ARM_FIQ, 13), BANKED("lr_fiq", ARM_FIQ, 14), SPSR("spsr_fiq", ARM_FIQ),
    /* clang-format on */
};
const unsigned gdb_sysregs_count = ARRAY_SIZE(gdb_sysregs);

bool gdb_sysreg_read_stopped(struct vcpu *v, const struct gdb_sysreg *r, uint64_t *value)
{
    return r->read ? r->read(v, r, value) : arm_sysreg_peek_stopped(v, r->key, value);
}

bool gdb_sysreg_write_stopped(struct vcpu *v, const struct gdb_sysreg *r, uint64_t value)
{
    if (!r->writable)
        return false;
    return r->write ? r->write(v, r, value) : arm_sysreg_poke_stopped(v, r->key, value);
}
