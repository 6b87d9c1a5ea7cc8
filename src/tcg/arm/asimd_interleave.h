/* SPDX-License-Identifier: MIT */
/*
 * Structures of bytes and halfwords between memory order and registers, for VLD2-VLD4 and VST2-VST4
 * (asimd_interleave.c). A group is the doublewords that hold 8 bytes of each element, one register
 * each.
 */
#pragma once

#include "asimd.h"

/* The argument: first register, elements of a structure, distance of their registers, groups. */
#define INTERLEAVE_ARG(fd, nelem, inc, groups) \
    ((uint32_t)(fd) | (uint32_t)(nelem) << 5 | (uint32_t)(inc) << 8 | (uint32_t)(groups) << 10)

/* By log2 of the element's bytes. The registers hold the doublewords in memory order: sort the
 * elements. */
extern const struct asimd_fn asimd_deinterleave[2];
/* Doubleword `index` in memory order of the first group (groups in the argument is ignored). */
uint64_t asimd_interleave_8(struct vcpu *v, uint32_t arg, uint32_t index);
uint64_t asimd_interleave_16(struct vcpu *v, uint32_t arg, uint32_t index);
