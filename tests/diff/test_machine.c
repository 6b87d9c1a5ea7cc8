/* SPDX-License-Identifier: MIT */
/*
 * The whole path of an instruction against the oracle, in both MMU modes: decoder, front end, passes, host
 * code, memory and faults. Integer, VFP and Advanced SIMD.
 */
#include <criterion/criterion.h>

#include "diff/machine_subject.h"
#include "insn_compare.h"

static const struct insn_subject machine = { .run = machine_subject_run, .vfp = true };

Test(machine, soft_mmu_agrees_with_the_oracle, .timeout = 600)
{
    machine_subject_create(MMU_SOFT);
    insn_compare(&machine);
}

Test(machine, spt_agrees_with_the_oracle, .timeout = 600)
{
    machine_subject_create(MMU_SPT);
    insn_compare(&machine);
}
