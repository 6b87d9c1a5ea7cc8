/* SPDX-License-Identifier: MIT */
/*
 * What the multiply files of the ARM front end (arm_mul*.c) share: 64-bit products and register
 * pairs.
 */
#pragma once

#include "arm_internal.h"

#include "a32_mul_decode.h"
#include "t16_mul_decode.h"
#include "t32_mul_decode.h"

/* 32 x 32 -> 64 bits. */
ir_ref arm_mul_signed(struct arm_ctx *s, ir_ref x, ir_ref y);
/* Two registers as one 64-bit value. */
ir_ref arm_mul_read_pair(struct arm_ctx *s, unsigned lo, unsigned hi);
void arm_mul_write_pair(struct arm_ctx *s, unsigned lo, unsigned hi, ir_ref v);
