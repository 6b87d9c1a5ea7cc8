/* SPDX-License-Identifier: MIT */
/*
 * The whole path of an instruction against the oracle: decoder, front end, passes, host code,
 * memory and faults, in both MMU modes, with all host features and with SSE2 alone; integer, VFP
 * and Advanced SIMD; ARMv7-A and what `-cpu max` adds.
 */
#include <criterion/criterion.h>

#include "diff/machine_subject.h"
#include "insn_compare.h"
#include "tcg/x64/x64_internal.h"

static void compare(enum mmu_mode mode, const char *cpu)
{
    struct insn_subject machine = {.run = machine_subject_run, .cpu = cpu, .vfp = true};

    machine_subject_create(mode, cpu);
    insn_compare(&machine);
    machine_subject_destroy();
}

Test(machine, soft_mmu_agrees_with_the_oracle, .timeout = 600)
{
    compare(MMU_SOFT, "cortex-a15");
}

Test(machine, spt_agrees_with_the_oracle, .timeout = 600)
{
    compare(MMU_SPT, "cortex-a15");
}

/* Code for a host without SSE4.1, FMA and BMI. */
Test(machine, sse2_alone_agrees_with_the_oracle, .timeout = 600)
{
    x64_cpu = (struct x64_cpu){0};
    compare(MMU_SPT, "cortex-a15");
}

Test(machine, armv8_additions_agree_with_the_oracle, .timeout = 600)
{
    compare(MMU_SPT, "max");
}
