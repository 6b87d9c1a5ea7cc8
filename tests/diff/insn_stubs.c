/* SPDX-License-Identifier: MIT */
/*
 * What the front end's helpers refer to and the differential instruction test does not execute: MMU
 * hooks, system registers, PSCI, events. They keep the run loop and the devices out of the test
 * program; those that would matter end it.
 */
#include <stdlib.h>

#include "mmu/mmu.h"
#include "vcpu/arm.h"

static struct arm_mmu_regs regs;

struct arm_mmu_regs *arm_mmu_regs(struct vcpu *v)
{
    (void)v;
    return &regs;
}

/* User mode, little-endian, no alignment checks: nothing follows from the registers. */
void arm_exec_flags_refresh(struct vcpu *v)
{
    (void)v;
}

void mmu_mode_changed(struct vcpu *v)
{
    (void)v;
}

void mmu_dsb(struct vcpu *v)
{
    (void)v;
}

void vcpu_send_events(struct vm *vm)
{
    (void)vm;
}

bool mmu_fetch_page(struct vcpu *v, gva_t pc, struct mmu_fetch *out)
{
    (void)v;
    (void)pc;
    (void)out;
    abort();
}

void arm_helper_hvc(struct vcpu *v, uint32_t imm)
{
    (void)v;
    (void)imm;
    abort();
}

void arm_helper_smc(struct vcpu *v, uint32_t imm)
{
    (void)v;
    (void)imm;
    abort();
}

uint64_t arm_helper_sysreg_read(struct vcpu *v, uint32_t key)
{
    (void)v;
    (void)key;
    abort();
}

void arm_helper_sysreg_write(struct vcpu *v, uint32_t key, uint64_t value)
{
    (void)v;
    (void)key;
    (void)value;
    abort();
}

unsigned arm_sysreg_access_flags(uint32_t key, bool write)
{
    (void)key;
    (void)write;
    return 0;
}

bool arm_sysreg_state_slot(uint32_t key, bool write, bool privileged, uint32_t *offset)
{
    (void)key;
    (void)write;
    (void)privileged;
    (void)offset;
    return false;
}
