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
 * A whole loop of LDREX and STREX as one operation (exclusive_atomic.c). `how` is size, MEMOP_PRIV
 * and for the first an enum atomic_op above ATOMIC_OP_SHIFT. The old value with bit 32 set; 0: the
 * loop has to be run. The second stores when memory holds `expected`.
 */
enum atomic_op { ATOMIC_ADD, ATOMIC_AND, ATOMIC_OR, ATOMIC_XOR, ATOMIC_SWAP };
#define ATOMIC_OP_SHIFT 16
uint64_t exclusive_helper_atomic(struct vcpu *v, uint32_t gva, uint32_t operand, uint32_t how);
uint64_t exclusive_helper_compare(struct vcpu *v, uint32_t gva, uint32_t expected, uint32_t value,
                                  uint32_t how);

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
/* The bare compare-and-swap of such a location. */
bool exclusive_compare_swap(void *host, unsigned size, uint64_t expected, uint64_t value);
/* Marks of a granule around an atomic access: begin holds it, end lets go and, if something was
   stored, makes pending exclusives of others fail. */
struct exclusive_mark {
    _Atomic uint64_t *entry;
    uint64_t version;
};
struct exclusive_mark exclusive_mark_begin(gpa_t gpa);
void exclusive_mark_end(const struct exclusive_mark *m, bool stored);
/* Make every pending exclusive of the granule fail, without an access. */
void exclusive_touch(gpa_t gpa);
static inline void exclusive_clear(struct vcpu *v)
{
    v->excl.armed = false;
}
