/* SPDX-License-Identifier: MIT */
/*
 * The whole machine as subject of the differential instruction test: translator, host code, MMU and
 * fault path of one vCPU, in User mode behind short-descriptor page tables.
 */
#pragma once

#include "insn_record.h"
#include "mmu/mmu.h"

/* Build the machine; once in a process. cpu is a name of arm_cpu_model_find(). */
void machine_subject_create(enum mmu_mode mode, const char *cpu, unsigned tier2_threshold);
void machine_subject_run(const struct insn_test *t, struct insn_result *out);
void machine_subject_destroy(void);
