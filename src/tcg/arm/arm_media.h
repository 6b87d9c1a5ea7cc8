/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic of the media instructions as pure functions, apart from the front end so that
 * tests can call them. Arguments and results are 32-bit registers in 64-bit words; see
 * arm_media_ops.c.
 */
#pragma once

#include "base/types.h"

struct vcpu;

/* name: bits 31:0 the result, bits 35:32 the GE flags of the S and U kinds. The vCPU is not looked
 * at. */
#define ARM_PARALLEL_OPS(X)       X(ADD16) X(ASX) X(SAX) X(SUB16) X(ADD8) X(SUB8)
#define ARM_PARALLEL_KINDS(X, op) X(S, op) X(Q, op) X(SH, op) X(U, op) X(UQ, op) X(UH, op)

#define ARM_PARALLEL_DECLARE(kind, op) \
    uint64_t arm_media_##kind##op(struct vcpu *v, uint32_t n, uint32_t m);
#define ARM_PARALLEL_DECLARE_ALL(op) ARM_PARALLEL_KINDS(ARM_PARALLEL_DECLARE, op)
ARM_PARALLEL_OPS(ARM_PARALLEL_DECLARE_ALL)

/* Saturate both halves; bit 32 is set when one saturated. */
uint64_t arm_media_ssat16(struct vcpu *v, uint32_t n, uint32_t bits);
uint64_t arm_media_usat16(struct vcpu *v, uint32_t n, uint32_t bits);
/* acc + sum of absolute differences of the four bytes. */
uint32_t arm_media_usada8(struct vcpu *v, uint32_t n, uint32_t m, uint32_t acc);
