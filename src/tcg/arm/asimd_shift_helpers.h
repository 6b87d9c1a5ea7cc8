/* SPDX-License-Identifier: MIT */
/*
 * Tables of the helpers that shift by a register (asimd_shift_helpers.c), by signedness and lane
 * size: [0] signed, [1] unsigned; log2 of the bytes. The amount is the low byte of each lane of fn,
 * signed.
 */
#pragma once

#include "asimd.h"

extern asimd_fn_table asimd_shl, asimd_qshl, asimd_rshl, asimd_qrshl;
