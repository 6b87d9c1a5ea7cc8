/* SPDX-License-Identifier: MIT */
/*
 * Counts of block runs (-d tb-stats) as lists; see profile.c. All vCPUs parked or ended.
 */
#pragma once

#include "base/types.h"

#include <stdio.h>

struct vm;
struct vcpu;

#define PROFILE_TOP 40

/* One vCPU's `top` hottest blocks. */
void tcg_profile_dump_stopped(struct vcpu *v, unsigned top, FILE *f);
/* The lists of all vCPUs together, to the -d log; as a member of the JSON object of -stats.
   Nothing when blocks are not counted. */
void tcg_profile_log(const struct vm *vm);
void tcg_profile_json(const struct vm *vm, FILE *f);
