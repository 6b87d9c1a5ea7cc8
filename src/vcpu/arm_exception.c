/* SPDX-License-Identifier: MIT */
/*
 * Exception entry: link register, SPSR, mode, masks and vector. Arm ARM DDI0406C B1.8, tables B1-6
 * (return addresses) and B1-3 (vectors). Owning thread only, from the run loop.
 */
#include "base/log.h"
#include "base/stats.h"
#include "tcg/tcg.h"
#include "vcpu/arm.h"

/* By enum arm_exception; lr_* is what the link register holds beyond the preferred address in
 * r[15]. */
static const struct exception_entry {
    const char *name;
    uint8_t mode, vector, lr_arm, lr_thumb;
    bool mask_a, mask_f;
} entry_table[] = {
    [ARM_EXC_RESET] = {"reset", ARM_SVC, 0x00, 0, 0, true, true},
    [ARM_EXC_UNDEF] = {"undefined instruction", ARM_UND, 0x04, 4, 2, false, false},
    [ARM_EXC_SVC] = {"supervisor call", ARM_SVC, 0x08, 4, 2, false, false},
    [ARM_EXC_PABT] = {"prefetch abort", ARM_ABT, 0x0c, 4, 4, true, false},
    [ARM_EXC_DABT] = {"data abort", ARM_ABT, 0x10, 8, 8, true, false},
    [ARM_EXC_HYP] = {"hypervisor", ARM_SVC, 0x14, 0, 0, false, false},
    [ARM_EXC_IRQ] = {"irq", ARM_IRQ, 0x18, 4, 4, true, false},
    [ARM_EXC_FIQ] = {"fiq", ARM_FIQ, 0x1c, 4, 4, true, true},
};

static uint32_t vector_base(struct vcpu *v)
{
    const struct arm_mmu_regs *m = arm_mmu_regs(v);

    return (m->sctlr & SCTLR_V) ? 0xffff0000u : m->vbar;
}

static void record_fault(struct vcpu *v, enum arm_exception e)
{
    struct arm_mmu_regs *m = arm_mmu_regs(v);

    if (e == ARM_EXC_DABT) {
        m->dfsr = v->exc_fsr;
        m->dfar = v->exc_far;
    } else if (e == ARM_EXC_PABT) {
        m->ifsr = v->exc_fsr;
        m->ifar = v->exc_far;
    }
}

static void log_entry(const struct vcpu *v, enum arm_exception e)
{
    if (!log_on(LOG_INT))
        return;
    log_printf("cpu%u: %s at %08x cpsr %08x fsr %08x far %08x lr %08x\n", v->index,
               entry_table[e].name, v->r[15], arm_cpsr_read(v), v->exc_fsr, v->exc_far, v->r[14]);
}

/* ITAdvance(): SVC completes as an instruction, so its saved state is that of the next one. */
uint32_t arm_it_advance(uint32_t flags)
{
    uint32_t it = (flags & EXEC_IT_MASK) >> EXEC_IT_SHIFT;

    it = (it & 7) ? (it & 0xe0) | (it << 1 & 0x1f) : 0;
    return (flags & ~EXEC_IT_MASK) | it << EXEC_IT_SHIFT;
}

void arm_exception_take(struct vcpu *v, enum arm_exception e)
{
    const struct exception_entry *x = &entry_table[e];
    const struct arm_mmu_regs *m = arm_mmu_regs(v);
    uint32_t lr = v->r[15] + ((v->exec_flags & EXEC_T) ? x->lr_thumb : x->lr_arm);
    uint32_t spsr, mask;

    log_entry(v, e);
    record_fault(v, e);
    if (e == ARM_EXC_SVC)
        v->exec_flags = arm_it_advance(v->exec_flags);
    spsr = arm_cpsr_read(v);
    mask = 1u << 7 | (x->mask_a ? 1u << 8 : 0) | (x->mask_f ? 1u << 6 : 0);
    arm_cpsr_write(v, x->mode | mask, 0x1f | mask);
    arm_spsr_write(v, spsr, ~0u);
    v->r[14] = lr;
    v->exec_flags &= ~(EXEC_IT_MASK | EXEC_T | EXEC_E);
    v->exec_flags |= ((m->sctlr & SCTLR_TE) ? EXEC_T : 0) | ((m->sctlr & SCTLR_EE) ? EXEC_E : 0);
    v->r[15] = vector_base(v) + x->vector;
    v->exc = ARM_EXC_NONE;
    if (e == ARM_EXC_IRQ || e == ARM_EXC_FIQ)
        STAT_INC(&stats_vcpu[v->index], interrupts);
    else
        STAT_INC(&stats_vcpu[v->index], exceptions);
}

enum arm_exception arm_interrupt_pending(const struct vcpu *v)
{
    uint32_t lines = atomic_load_explicit(&v->irq_lines, memory_order_acquire);

    if ((lines & VCPU_FIQ_LINE) && !(v->cpsr_rest & 1u << 6))
        return ARM_EXC_FIQ;
    if ((lines & VCPU_IRQ_LINE) && !(v->cpsr_rest & 1u << 7))
        return ARM_EXC_IRQ;
    return ARM_EXC_NONE;
}
