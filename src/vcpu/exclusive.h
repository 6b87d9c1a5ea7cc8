/* SPDX-License-Identifier: MIT */
/*
 * The exclusive monitor: LDREX, STREX and the atomic swaps, as one call each. See exclusive.c (the
 * monitor) and exclusive_access.c (guest addresses).
 *
 * Addresses are guest virtual; `memop` is MEMOP_ALIGN, the size and MEMOP_PRIV (tcg/ir/ir.h).
 * Values are raw memory contents: byte order is the front end's business. All functions run on the
 * vCPU's thread and raise guest aborts; those named helper_ are called by generated code directly.
 */
#pragma once

#include "vcpu/vcpu.h"

/* Load and arm the local monitor. */
uint64_t exclusive_helper_load(struct vcpu *v, uint32_t gva, uint32_t memop);
/* 0: stored; 1: the monitor was not armed for this, or somebody else stored. The monitor is
 * disarmed. */
uint32_t exclusive_helper_store(struct vcpu *v, uint32_t gva, uint64_t value, uint32_t memop);
/* Atomic exchange of a word or byte; returns the old value. `ra` as for vcpu_raise(). */
uint32_t exclusive_swap(struct vcpu *v, uint32_t gva, uint32_t value, uint32_t memop, uintptr_t ra);

/*
 * -exclusive strict: plain stores take part in the monitor, so that one that puts the old value
 * back makes a STREX fail too. Set before the first translation. The helper is what every store of
 * the guest then calls (vCPU, GVA, value, memop), NULL when they stay plain.
 */
void exclusive_set_strict(bool strict);
void *exclusive_store_helper(void);

/*
 * Below: the monitor without address translation, on the host address of a naturally aligned
 * location of 1 << size bytes at physical address gpa.
 */
uint64_t exclusive_load_at(struct vcpu *v, const void *host, gpa_t gpa, unsigned size);
bool exclusive_store_at(struct vcpu *v, void *host, gpa_t gpa, unsigned size, uint64_t value);
uint64_t exclusive_swap_at(void *host, gpa_t gpa, unsigned size, uint64_t value);
/* Make every pending exclusive of the granule fail, without an access. */
void exclusive_touch(gpa_t gpa);
static inline void exclusive_clear(struct vcpu *v)
{
    v->excl.armed = false;
}
