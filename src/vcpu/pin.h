/* SPDX-License-Identifier: MIT */
/*
 * Placement of vCPU threads on host processors (-pin).
 */
#pragma once

#include "vcpu/vcpu.h"

struct vcpu_placement {
    int pu[VCPU_MAX]; /* operating-system number of the processor, -1 = anywhere */
};

/*
 * policy: "none" (or NULL), "spread" (as far apart as the topology allows), "compact" (neighbours),
 * or host processor numbers "0,2,4-6", given out in turn. -EINVAL with *why (static text) when it
 * is none of these or names a processor this process may not use; -errno when the topology cannot
 * be read.
 */
int vcpu_placement_make(struct vcpu_placement *p, const char *policy, unsigned ncpus,
                        const char **why) MUST_CHECK;
/* Bind the thread of vCPU `index`; -errno. */
int vcpu_placement_apply(const struct vcpu_placement *p, pthread_t thread,
                         unsigned index) MUST_CHECK;
