/* SPDX-License-Identifier: MIT */
/*
 * Helpers that generated code calls for branches, exceptions, hints and barriers. Each runs on the
 * vCPU's own thread, between two guest instructions; those that raise do not return to generated
 * code (vcpu_raise() recovers the PC and IT state from the side table by the return address). Arm
 * ARM B1.8 (exception handling), B1.8.13 (exception return).
 */
#include "arm_internal.h"
#include "mmu/mmu.h"
#include "vm.h"

/* Fault status of a debug event, short- and long-descriptor format. */
#define FSR_DEBUG_SHORT 0x002u
#define FSR_DEBUG_LONG  0x222u

void arm_helper_raise(struct vcpu *v, uint32_t exception, uint32_t fsr)
{
    vcpu_raise(v, VCPU_RA(), (enum arm_exception)exception, fsr, 0);
}

void arm_helper_bkpt(struct vcpu *v, uint32_t pc)
{
    bool is_long = arm_mmu_regs(v)->ttbcr & TTBCR_EAE;

    vcpu_raise(v, VCPU_RA(), ARM_EXC_PABT, is_long ? FSR_DEBUG_LONG : FSR_DEBUG_SHORT, pc);
}

/*
 * System mode has no SPSR and an SPSR with a mode that does not exist is no place to return to:
 * both are UNPREDICTABLE, and UNDEF here.
 */
void arm_helper_exception_return(struct vcpu *v, uint32_t pc)
{
    uint32_t spsr = arm_spsr_read(v);
    uint32_t mode = arm_mode(v);

    if (mode == ARM_USR || mode == ARM_SYS || !arm_mode_valid(spsr & 0x1f)) {
        vcpu_raise(v, VCPU_RA(), ARM_EXC_UNDEF, 0, 0);
    }
    arm_cpsr_write(v, spsr, ~0u);
    v->r[15] = pc & ((v->exec_flags & EXEC_T) ? ~1u : ~3u);
}

/* The second halfword of an instruction could not be fetched; when it can by now, run it again. */
void arm_helper_fetch_fault(struct vcpu *v, uint32_t va)
{
    struct mmu_fetch f;

    if (!mmu_fetch_page(v, va, &f)) {
        vcpu_raise(v, VCPU_RA(), ARM_EXC_PABT, f.fsr, f.far);
    }
}

void arm_helper_sev(struct vcpu *v)
{
    vcpu_send_events(v->vm);
}

void arm_helper_sevl(struct vcpu *v)
{
    atomic_store(&v->event, 1);
}

void arm_helper_dsb(struct vcpu *v)
{
    mmu_dsb(v);
}
