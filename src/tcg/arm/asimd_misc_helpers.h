/* SPDX-License-Identifier: MIT */
/*
 * Helpers of one source register (asimd_misc_helpers.c): fm to fd. Those of single precision use
 * the standard FPSCR value and add their flags to FPSCR.
 */
#pragma once

#include "asimd.h"

extern asimd_fn_table asimd_cls, asimd_clz;

/* [0] of 32-bit integers, [1] of single precision */
extern const struct asimd_fn asimd_recpe[2], asimd_rsqrte[2];
extern const struct asimd_fn asimd_f32_to_f16, asimd_f16_to_f32; /* between D and Q registers */
extern const struct asimd_fn asimd_rint[8];                      /* by the op field of VRINT */
extern const struct asimd_fn asimd_convert_round[2][4]; /* signed, unsigned; modes A, N, P, M */
