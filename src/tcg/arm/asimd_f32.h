/* SPDX-License-Identifier: MIT */
/*
 * The single-precision helpers on three registers that the by-scalar forms use too: fn, fm or its
 * scalar to fd (asimd_vec.h), under the standard FPSCR value.
 */
#pragma once

#include "asimd.h"

extern const struct asimd_fn asimd_mul_f32, asimd_mla_f32, asimd_mls_f32;
