/* SPDX-License-Identifier: MIT */
/*
 * Structures between memory order and registers, for VLD2-VLD4 and VST2-VST4 (asimd_interleave.c):
 * as many doublewords of memory as a structure has elements (2 to 4, of 2^size bytes, 0 to 2) are
 * as many D registers. All values are V128, of which the low half counts.
 */
#pragma once

#include "asimd.h"

/* Does the host have what it takes for structures of nelem elements? */
bool asimd_can_interleave(unsigned nelem);
/* From the doublewords w to the registers. */
void asimd_split(struct arm_ctx *s, unsigned nelem, unsigned size, const ir_ref *w, ir_ref *out);
/* From the registers r to the doublewords. */
void asimd_join(struct arm_ctx *s, unsigned nelem, unsigned size, const ir_ref *r, ir_ref *w);
