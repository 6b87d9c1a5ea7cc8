/* SPDX-License-Identifier: MIT */
/*
 * Single precision in the lanes of vectors, under the standard FPSCR value (asimd_f32.c).
 */
#pragma once

#include "asimd.h"

/* A packed node IR_VFADD to IR_VFCGT, with its helper. Lanes that do not exist are zero in all
 * operands. */
ir_ref asimd_fop(struct arm_ctx *s, enum ir_op op, ir_ref x, ir_ref y, ir_ref z);
/* To and from 32-bit integers; towards zero. */
ir_ref asimd_f32_to_int(struct arm_ctx *s, bool is_unsigned, ir_ref x);
ir_ref asimd_f32_from_int(struct arm_ctx *s, bool is_unsigned, ir_ref x);
