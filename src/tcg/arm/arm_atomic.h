/* SPDX-License-Identifier: MIT */
/*
 * Atomic operations in place of loops of exclusives; see arm_atomic.c.
 */
#pragma once

#include "arm_internal.h"

/* At an LDREX of 2^size bytes from [rn]: if a loop begins that is one operation, emit it, to go on
 * after the loop; where it fails, control is at the LDREX, which the caller emits. */
void arm_try_atomic(struct arm_ctx *s, unsigned rn, unsigned rt, unsigned size);
