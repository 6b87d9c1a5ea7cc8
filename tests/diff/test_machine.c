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

static void compare_with(enum mmu_mode mode, const char *cpu, unsigned tier2_threshold,
                         bool programs)
{
    struct insn_subject machine = {
        .run = machine_subject_run, .cpu = cpu, .vfp = true, .programs = programs};

    machine_subject_create(mode, cpu, tier2_threshold);
    insn_compare(&machine);
    machine_subject_destroy();
}

static void compare(enum mmu_mode mode, const char *cpu)
{
    compare_with(mode, cpu, 0, false);
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

/* Programs of several blocks: without tier 2, in it from the first round, promoted on the way. */
Test(machine, programs_agree_in_tier_1, .timeout = 600)
{
    compare_with(MMU_SPT, "cortex-a15", 0, true);
}

Test(machine, programs_agree_in_tier_2, .timeout = 600)
{
    compare_with(MMU_SPT, "cortex-a15", 1, true);
}

Test(machine, programs_agree_when_they_become_hot, .timeout = 600)
{
    compare_with(MMU_SPT, "cortex-a15", 6, true);
}

Test(machine, programs_agree_with_the_soft_mmu, .timeout = 600)
{
    compare_with(MMU_SOFT, "cortex-a15", 3, true);
}
