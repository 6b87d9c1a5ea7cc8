/* SPDX-License-Identifier: MIT */
/*
 * Semihosting (-semihosting, -semihosting-config): calls by which a bare-metal program uses the
 * host's files, console, clock and exit status. It may do with files what the emulator's user may.
 * "Semihosting for AArch32 and AArch64", version 2.
 */
#pragma once

#include "base/types.h"

struct vcpu;
struct vm;
struct semihosting;

/* A supervisor call whose number is the one of semihosting has its bit in v->exc_fsr. */
#define SEMIHOSTING_SVC 1u

/* Reads vm->opt->semihosting. */
int semihosting_create(struct vm *vm, struct semihosting **out) MUST_CHECK;
void semihosting_destroy(struct semihosting *s);
/*
 * v has an exception pending (v->exc): if the instruction is a call of ours, carry it out, step
 * over it and return true. On the vCPU's own thread, which waits for the host's files.
 */
bool semihosting_call(struct vcpu *v);
