/* SPDX-License-Identifier: MIT */
/*
 * PSCI 1.1 with the 0.2 function numbers (Arm DEN0022), reached by HVC (the conduit the device tree
 * names) and by SMC. Calls run on the calling vCPU's thread. Other immediates and unknown SMC
 * functions are what they are on a CPU without the extension: UNDEFINED for SMC, NOT_SUPPORTED in
 * r0 for HVC.
 */
#include "tcg/tcg.h"
#include "vcpu/arm_sys_internal.h"
#include "vm.h"

#define PSCI_VERSION           0x84000000u
#define PSCI_CPU_SUSPEND       0x84000001u
#define PSCI_CPU_OFF           0x84000002u
#define PSCI_CPU_ON            0x84000003u
#define PSCI_AFFINITY_INFO     0x84000004u
#define PSCI_MIGRATE_INFO_TYPE 0x84000006u
#define PSCI_SYSTEM_OFF        0x84000008u
#define PSCI_SYSTEM_RESET      0x84000009u
#define PSCI_FEATURES          0x8400000au
#define PSCI_SYSTEM_RESET2     0x84000012u
#define SMCCC_VERSION          0x80000000u

#define PSCI_1_1               0x00010001u
#define SMCCC_1_1              0x00010001u
#define MIGRATE_NOT_NEEDED     2u

enum psci_result {
    PSCI_SUCCESS = 0,
    PSCI_NOT_SUPPORTED = -1,
    PSCI_INVALID_PARAMETERS = -2,
    PSCI_DENIED = -3,
    PSCI_ALREADY_ON = -4,
    PSCI_ON_PENDING = -5,
    PSCI_INVALID_ADDRESS = -9,
};

/* The vCPU an MPIDR affinity names, NULL when there is none. */
static struct vcpu *cpu_by_affinity(struct vm *vm, uint32_t mpidr)
{
    return (mpidr & 0xffffff) < vm->ncpus && !(mpidr & 0xff000000u) ? vm->cpu[mpidr] : NULL;
}

static int cpu_on(struct vcpu *v, uint32_t target, uint32_t entry, uint32_t context)
{
    struct vcpu *t = cpu_by_affinity(v->vm, target);

    if (!t)
        return PSCI_INVALID_PARAMETERS;
    if (!ram_read_ptr(&v->vm->ram, entry & ~1u, 2))
        return PSCI_INVALID_ADDRESS;
    if (vcpu_power_on(t, entry, context))
        return PSCI_SUCCESS;
    return atomic_load(&t->powered) == VCPU_ON ? PSCI_ALREADY_ON : PSCI_ON_PENDING;
}

static int affinity_info(struct vcpu *v, uint32_t target, uint32_t level)
{
    struct vcpu *t = cpu_by_affinity(v->vm, target);
    uint32_t p;

    if (!t || level)
        return PSCI_INVALID_PARAMETERS;
    p = atomic_load(&t->powered);
    return p == VCPU_ON ? 0 : p == VCPU_OFF ? 1 : 2;
}

static int features(uint32_t fn)
{
    switch (fn) {
    case PSCI_VERSION:
    case PSCI_CPU_SUSPEND:
    case PSCI_CPU_OFF:
    case PSCI_CPU_ON:
    case PSCI_AFFINITY_INFO:
    case PSCI_MIGRATE_INFO_TYPE:
    case PSCI_SYSTEM_OFF:
    case PSCI_SYSTEM_RESET:
    case PSCI_FEATURES:
    case PSCI_SYSTEM_RESET2:
    case SMCCC_VERSION:
        return PSCI_SUCCESS;
    default:
        return PSCI_NOT_SUPPORTED;
    }
}

/* StateType bit 16 = power-down: come back at the entry point as after CPU_ON; else standby, which
 * is WFI. */
static int cpu_suspend(struct vcpu *v, uint32_t state, uint32_t entry, uint32_t context)
{
    if (state & ~0x0301ffffu)
        return PSCI_INVALID_PARAMETERS;
    if ((state & 1u << 16) && !ram_read_ptr(&v->vm->ram, entry & ~1u, 2))
        return PSCI_INVALID_ADDRESS;
    vcpu_wait_for_interrupt(v);
    if (state & 1u << 16) {
        atomic_store(&v->power_pc, entry);
        atomic_store(&v->power_arg, context);
        atomic_store(&v->powered, VCPU_ON_PENDING);
        tcg_unwind(v, TCG_EXIT_STATE);
    }
    return PSCI_SUCCESS;
}

static bool end_machine(struct vcpu *v, enum vm_stop_reason why)
{
    vm_request_stop(v->vm, why);
    vcpu_power_off_self(v);
    return true;
}

/* Perform a call; false when the function id is unknown. */
static bool psci_call(struct vcpu *v)
{
    uint32_t *r = v->r;

    switch (r[0]) {
    case PSCI_VERSION:
        r[0] = PSCI_1_1;
        return true;
    case SMCCC_VERSION:
        r[0] = SMCCC_1_1;
        return true;
    case PSCI_CPU_SUSPEND:
        r[0] = (uint32_t)cpu_suspend(v, r[1], r[2], r[3]);
        return true;
    case PSCI_CPU_OFF:
        vcpu_power_off_self(v);
        return true;
    case PSCI_CPU_ON:
        r[0] = (uint32_t)cpu_on(v, r[1], r[2], r[3]);
        return true;
    case PSCI_AFFINITY_INFO:
        r[0] = (uint32_t)affinity_info(v, r[1], r[2]);
        return true;
    case PSCI_MIGRATE_INFO_TYPE:
        r[0] = MIGRATE_NOT_NEEDED;
        return true;
    case PSCI_SYSTEM_OFF:
        return end_machine(v, VM_SHUTDOWN);
    case PSCI_SYSTEM_RESET:
    case PSCI_SYSTEM_RESET2:
        return end_machine(v, VM_RESET);
    case PSCI_FEATURES:
        r[0] = (uint32_t)features(r[1]);
        return true;
    default:
        return false;
    }
}

void arm_helper_hvc(struct vcpu *v, uint32_t imm)
{
    if (imm)
        vcpu_raise(v, VCPU_RA(), ARM_EXC_UNDEF, 0, 0);
    if (!psci_call(v))
        v->r[0] = (uint32_t)PSCI_NOT_SUPPORTED;
}

void arm_helper_smc(struct vcpu *v, uint32_t imm)
{
    if (imm || !psci_call(v))
        vcpu_raise(v, VCPU_RA(), ARM_EXC_UNDEF, 0, 0);
}
