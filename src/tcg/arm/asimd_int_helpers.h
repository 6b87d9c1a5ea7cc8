/* SPDX-License-Identifier: MIT */
/*
 * Tables of the integer helpers (asimd_int_helpers.c, asimd_shift_helpers.c) by signedness and lane
 * size: [0] signed, [1] unsigned; log2 of the bytes. A NULL function: no such size.
 */
#pragma once

#include "asimd.h"

/* asimd_int_helpers.c; fn, fm or its scalar to fd */
extern asimd_fn_table asimd_qadd, asimd_qsub;      /* doublewords */
extern asimd_fn_table asimd_pmul;                  /* bytes; [1] only */
extern asimd_fn_table asimd_qdmulh, asimd_qrdmulh; /* words; [0] only */

/* asimd_shift_helpers.c; the amount is the low byte of each lane of fm, signed */
extern asimd_fn_table asimd_shl, asimd_qshl, asimd_rshl, asimd_qrshl;
