/* SPDX-License-Identifier: MIT */
/*
 * Tables of the helpers that take an immediate amount (asimd_imm_helpers.c), by [0] signed, [1]
 * unsigned, and log2 of the bytes of a lane; of the narrow one where two sizes are involved. NULL
 * functions: no such size.
 */
#pragma once

#include "asimd.h"

extern const struct asimd_fn asimd_rshr_s64, asimd_rsra_s64; /* right by 1 to 64 */
extern asimd_fn_table asimd_qshl_imm, asimd_qshlu_imm;       /* left; qshlu: signed to unsigned */
/* Doublewords of Q register fm shifted right and narrowed to D register fd; an amount of 0 only
 * narrows. */
extern asimd_fn_table asimd_qshrn, asimd_qrshrn;   /* saturated to the same signedness */
extern asimd_fn_table asimd_qshrun, asimd_qrshrun; /* signed saturated to unsigned */
