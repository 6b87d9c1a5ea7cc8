/* SPDX-License-Identifier: MIT */
/*
 * ARMv7-A system level of a vCPU: PSR and mode changes, exception entry, system registers (CP15,
 * CP14), generic timer, PMU, PSCI. Arm ARM DDI0406C part B. All functions run on the owning thread
 * unless they say otherwise.
 */
#pragma once

#include "vcpu/vcpu.h"

#include <stdio.h>

/* ---- PSR (arm_psr.c) ---- */
uint32_t arm_cpsr_read(const struct vcpu *v);
/* Write the CPSR bits in `mask`; changes of M bank registers; refreshes exec_flags. No privilege
 * checks. */
void arm_cpsr_write(struct vcpu *v, uint32_t value, uint32_t mask);
uint32_t arm_spsr_read(const struct vcpu *v); /* 0 in modes without SPSR */
void arm_spsr_write(struct vcpu *v, uint32_t value, uint32_t mask);
bool arm_mode_valid(uint32_t mode);
enum arm_bank arm_mode_bank(uint32_t mode);
static inline uint32_t arm_mode(const struct vcpu *v)
{
    return v->cpsr_rest & 0x1f;
}
/* Recompute EXEC_PRIV, EXEC_CPACR, EXEC_NEON, EXEC_ALIGN, EXEC_FPSPECIAL after any change of their
 * sources. */
void arm_exec_flags_refresh(struct vcpu *v);
/* A register of another mode's bank (SRS, LDM user, MRS banked). n is 13 or 14 (8..12 for
 * user/FIQ). */
uint32_t *arm_banked_reg(struct vcpu *v, uint32_t mode, unsigned n);

/* Registers as text (arm_dump.c): core, banked, floating point. Any thread, v parked. */
void arm_dump_registers_stopped(struct vcpu *v, FILE *f);
/* "N" ... "svc": flags and mode of a CPSR value. */
void arm_psr_name(uint32_t psr, char out[32]);

/* ---- exceptions (arm_exception.c) ---- */
/* The execution flags of the next instruction: the IT state goes on. */
uint32_t arm_it_advance(uint32_t flags);
/* Take v->exc (set by vcpu_raise) or, with ARM_EXC_IRQ/FIQ, an interrupt: LR, SPSR, mode, vector.
   r[15] is the address of the faulting / next instruction as vcpu_raise leaves it (the address of
   the instruction itself). */
void arm_exception_take(struct vcpu *v, enum arm_exception e);
/* An interrupt that is pending and unmasked now, or ARM_EXC_NONE. */
enum arm_exception arm_interrupt_pending(const struct vcpu *v);

/* ---- system registers (arm_sysreg.c and its tables) ---- */
enum arm_feature { ARM_FEAT_V8_AARCH32 = 1u << 0, ARM_FEAT_LPAE = 1u << 1, ARM_FEAT_PMU = 1u << 2 };
struct arm_cpu_model;
const struct arm_cpu_model *
arm_cpu_model_find(const char *name);  /* "cortex-a15", "cortex-a7", "max"; NULL */
const char *arm_cpu_model_names(void); /* "cortex-a15, cortex-a7, max" */
const char *arm_cpu_model_compatible(const struct arm_cpu_model *m); /* device-tree compatible */
unsigned arm_cpu_features(const struct vcpu *v);
int arm_sys_create(struct vcpu *v, const struct arm_cpu_model *m) MUST_CHECK;
void arm_sys_destroy(struct vcpu *v);
void arm_sys_reset(struct vcpu *v);
/*
 * MRC/MCR/MRRC/MCRR of coprocessors 14 and 15, called from generated code (exec_flags may change:
 * the block ends after writes). Raises UNDEF when the register does not exist or is not accessible
 * at this privilege. key = cp << 16 | crn << 12 | crm << 8 | opc1 << 4 | opc2 (64-bit: crn = 0,
 * opc2 = 0, bit 31 set).
 */
uint64_t arm_helper_sysreg_read(struct vcpu *v, uint32_t key);
void arm_helper_sysreg_write(struct vcpu *v, uint32_t key, uint64_t value);
/* Decode-time question: what a front end must do around an access. */
#define SYSREG_END_BLOCK \
    1u /* the write may change translation or execution state: leave to the run loop */
#define SYSREG_NOP     2u /* access has no effect at all (writes) */
#define SYSREG_CONTEXT 4u /* the write may choose another translation context, nothing else */
unsigned arm_sysreg_access_flags(uint32_t key, bool write);
/* A register that is nothing but a word of struct vcpu: its offset, for a plain GET or PUT at this
 * privilege. */
bool arm_sysreg_state_slot(uint32_t key, bool write, bool privileged, uint32_t *offset);
#define ARM_SYSREG_KEY(cp, crn, opc1, crm, opc2)                                                   \
    ((uint32_t)(cp) << 16 | (uint32_t)(crn) << 12 | (uint32_t)(crm) << 8 | (uint32_t)(opc1) << 4 | \
     (uint32_t)(opc2))
#define ARM_SYSREG_KEY64(cp, opc1, crm) (0x80000000u | ARM_SYSREG_KEY(cp, 0, opc1, crm, 0))

/* MMU-relevant registers, read by mmu/. Writers call mmu_* hooks (mmu/mmu.h). */
struct arm_mmu_regs {
    uint32_t sctlr, dacr, ttbcr, contextidr, prrr, nmrr, mair0, mair1;
    uint64_t ttbr0, ttbr1;
    uint32_t dfsr, ifsr, dfar, ifar, adfsr, aifsr;
    uint64_t par;
    uint32_t vbar, fcseidr;
};
struct arm_mmu_regs *arm_mmu_regs(struct vcpu *v);
#define SCTLR_M    (1u << 0)
#define SCTLR_A    (1u << 1)
#define SCTLR_C    (1u << 2)
#define SCTLR_V    (1u << 13)
#define SCTLR_WXN  (1u << 19)
#define SCTLR_UWXN (1u << 20)
#define SCTLR_EE   (1u << 25)
#define SCTLR_TRE  (1u << 28)
#define SCTLR_AFE  (1u << 29)
#define SCTLR_TE   (1u << 30)
#define TTBCR_EAE  (1u << 31)

/* ---- generic timer (arm_timer.c): callable from the I/O thread's timer callback where noted ----
 */
int arm_timer_create(struct vcpu *v) MUST_CHECK;
void arm_timer_destroy(struct vcpu *v);
/* Period of the event stream (CNTKCTL), which ends WFE; 0: off. */
uint64_t arm_event_stream_ns(const struct vcpu *v);
uint64_t arm_counter_now(void); /* CNTPCT, guest time scaled to ARM_CNTFRQ; any thread */
/* Guest time: nanoseconds of the host's monotonic clock, less the pauses of the machine; any
   thread. */
uint64_t arm_guest_ns(void);
uint64_t arm_guest_to_host_ns(uint64_t guest_ns); /* deadline; UINT64_MAX while time stands still */
/* Time stands still, timers do not expire; all vCPUs are parked (vm_pause.c). */
void arm_time_stop(struct vm *vm);
void arm_time_go(struct vm *vm);
#define ARM_CNTFRQ 62500000u

/* ---- PSCI (arm_psci.c): r0..r3 as SMCCC; result in r0. May power off/on vCPUs or end the VM. ----
 */
void arm_helper_hvc(struct vcpu *v, uint32_t imm);
void arm_helper_smc(struct vcpu *v, uint32_t imm);

/* ---- VFP control (arm_vfp_ctl.c, front end's VMRS/VMSR) ---- */
uint32_t arm_helper_fpscr_read(struct vcpu *v);
#define FPEXC_EN (1u << 30)
void arm_fpexc_write(struct vcpu *v, uint32_t value);
uint32_t arm_vfp_id(struct vcpu *v, unsigned reg);    /* FPSID, MVFR0-2 by VMRS number */
void arm_helper_fpscr_write(struct vcpu *v,
                            uint32_t value); /* updates exec_flags (EXEC_FPSPECIAL) and mxcsr */

/* ---- a debugger's view, whatever the privilege; false: no such register, or not that way ---- */
bool arm_sysreg_peek_stopped(struct vcpu *v, uint32_t key, uint64_t *value);
bool arm_sysreg_poke_stopped(struct vcpu *v, uint32_t key, uint64_t value);
uint32_t arm_fpscr_peek_stopped(const struct vcpu *v);
void arm_fpscr_poke_stopped(struct vcpu *v, uint32_t value);
