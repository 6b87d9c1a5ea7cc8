/* SPDX-License-Identifier: MIT */
/*
 * CPSR and SPSR: assembling, distributing, register banks, and the execution flags that follow from
 * them. Arm ARM DDI0406C B1.3. Owning thread only.
 *
 * CPSR.T, E and IT live in exec_flags, NZCV, Q and GE in their own words, M, A, I and F in
 * cpsr_rest; r13, r14 and (for FIQ) r8-r12 of modes that are not current live in the bank arrays.
 */
#include "vcpu/arm.h"

#include "mmu/mmu.h"
#include "vcpu/vcpu_internal.h"

#define CPSR_T    (1u << 5)
#define CPSR_AIF  0x1c0u
#define CPSR_E    (1u << 9)
#define CPSR_REST (CPSR_AIF | 0x1fu)

bool arm_mode_valid(uint32_t mode)
{
    switch (mode) {
    case ARM_USR:
    case ARM_FIQ:
    case ARM_IRQ:
    case ARM_SVC:
    case ARM_ABT:
    case ARM_UND:
    case ARM_SYS:
        return true;
    default: /* Monitor and Hyp belong to extensions this CPU does not have */
        return false;
    }
}

enum arm_bank arm_mode_bank(uint32_t mode)
{
    switch (mode) {
    case ARM_FIQ:
        return BANK_FIQ;
    case ARM_IRQ:
        return BANK_IRQ;
    case ARM_SVC:
        return BANK_SVC;
    case ARM_ABT:
        return BANK_ABT;
    case ARM_UND:
        return BANK_UND;
    default:
        return BANK_USR;
    }
}

uint32_t arm_cpsr_read(const struct vcpu *v)
{
    uint32_t it = (v->exec_flags & EXEC_IT_MASK) >> EXEC_IT_SHIFT;

    return (v->nf & 0x80000000u) | (v->zf == 0) << 30 | (v->cf & 1) << 29 | (v->vf & 1) << 28 |
           (v->qf & 1) << 27 | (it & 3) << 25 | (v->ge & 15) << 16 | (it & 0xfc) << 8 |
           ((v->exec_flags & EXEC_E) ? CPSR_E : 0) | ((v->exec_flags & EXEC_T) ? CPSR_T : 0) |
           v->cpsr_rest;
}

static void swap_banks(struct vcpu *v, uint32_t from, uint32_t to)
{
    enum arm_bank a = arm_mode_bank(from), b = arm_mode_bank(to);

    if (a == b)
        return;
    v->bank_r13[a] = v->r[13];
    v->bank_r14[a] = v->r[14];
    if (a == BANK_FIQ || b == BANK_FIQ)
        for (unsigned i = 0; i < 5; i++) {
            v->bank_r8_12[a == BANK_FIQ][i] = v->r[8 + i];
            v->r[8 + i] = v->bank_r8_12[b == BANK_FIQ][i];
        }
    v->r[13] = v->bank_r13[b];
    v->r[14] = v->bank_r14[b];
}

static void set_mode(struct vcpu *v, uint32_t mode)
{
    uint32_t old = arm_mode(v);

    if (mode == old || !arm_mode_valid(mode))
        return;
    swap_banks(v, old, mode);
    v->cpsr_rest = (v->cpsr_rest & ~0x1fu) | mode;
    arm_exec_flags_refresh(v);
    if ((old == ARM_USR) != (mode == ARM_USR))
        mmu_mode_changed(v);
}

void arm_cpsr_write(struct vcpu *v, uint32_t value, uint32_t mask)
{
    uint32_t it = (v->exec_flags & EXEC_IT_MASK) >> EXEC_IT_SHIFT;

    if (mask & 0xf0000000u) {
        uint32_t nzcv = (value & mask) | (arm_cpsr_read(v) & ~mask);

        v->nf = nzcv & 0x80000000u;
        v->zf = !(nzcv & 1u << 30);
        v->cf = nzcv >> 29 & 1;
        v->vf = nzcv >> 28 & 1;
    }
    if (mask & 1u << 27)
        v->qf = value >> 27 & 1;
    if (mask & 0xf0000u)
        v->ge = value >> 16 & 15;
    if (mask & 3u << 25)
        it = (it & ~3u) | (value >> 25 & 3);
    if (mask & 0xfc00u)
        it = (it & 3) | (value >> 8 & 0xfc);
    v->exec_flags = (v->exec_flags & ~EXEC_IT_MASK) | it << EXEC_IT_SHIFT;
    if (mask & CPSR_T)
        v->exec_flags = (v->exec_flags & ~EXEC_T) | ((value & CPSR_T) ? EXEC_T : 0);
    if (mask & CPSR_E)
        v->exec_flags = (v->exec_flags & ~EXEC_E) | ((value & CPSR_E) ? EXEC_E : 0);
    v->cpsr_rest = (v->cpsr_rest & ~(mask & CPSR_AIF)) | (value & mask & CPSR_AIF);
    if (mask & 0x1f)
        set_mode(v, value & 0x1f);
}

static bool has_spsr(const struct vcpu *v)
{
    return arm_mode_bank(arm_mode(v)) != BANK_USR;
}

uint32_t arm_spsr_read(const struct vcpu *v)
{
    return has_spsr(v) ? v->bank_spsr[arm_mode_bank(arm_mode(v))] : 0;
}

void arm_spsr_write(struct vcpu *v, uint32_t value, uint32_t mask)
{
    uint32_t *spsr = &v->bank_spsr[arm_mode_bank(arm_mode(v))];

    if (has_spsr(v))
        *spsr = (*spsr & ~mask) | (value & mask);
}

uint32_t *arm_banked_reg(struct vcpu *v, uint32_t mode, unsigned n)
{
    enum arm_bank cur = arm_mode_bank(arm_mode(v)), bank = arm_mode_bank(mode);

    if (n >= 8 && n <= 12 && (cur == BANK_FIQ) != (bank == BANK_FIQ))
        return &v->bank_r8_12[bank == BANK_FIQ][n - 8];
    if ((n == 13 || n == 14) && cur != bank)
        return n == 13 ? &v->bank_r13[bank] : &v->bank_r14[bank];
    return &v->r[n];
}
