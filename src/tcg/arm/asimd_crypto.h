/* SPDX-License-Identifier: MIT */
/*
 * Helpers of the cryptography extension: AES of fm into fd (asimd_aes.c), all Q registers.
 */
#pragma once

#include "asimd.h"

extern const struct asimd_fn asimd_aese, asimd_aesd, asimd_aesmc, asimd_aesimc;
