/* SPDX-License-Identifier: MIT */
/*
 * Tables of the integer helpers (asimd_int_helpers.c, asimd_shift_helpers.c) by signedness and lane
 * size: [0] signed, [1] unsigned; log2 of the bytes. A NULL function: no such size.
 */
#pragma once

#include "asimd.h"

/* asimd_int_helpers.c; fn, fm or its scalar to fd */
extern asimd_fn_table asimd_hadd, asimd_rhadd, asimd_hsub, asimd_qadd, asimd_qsub;
extern asimd_fn_table asimd_mul8, asimd_mla8,
    asimd_mls8; /* bytes only; [1] of mul8 is polynomial */
extern asimd_fn_table asimd_pmax, asimd_pmin, asimd_padd;
extern asimd_fn_table asimd_qdmulh, asimd_qrdmulh; /* signed only */

/* asimd_shift_helpers.c; the amount is the low byte of each lane of fm, signed */
extern asimd_fn_table asimd_shl, asimd_qshl, asimd_rshl, asimd_qrshl;
