/* SPDX-License-Identifier: MIT */
/*
 * What the VFP files share: where extension registers live in the state, and how helpers are
 * called. Used inside src/tcg/arm only.
 *
 * Helpers take and return values. The only state they touch is fpscr_rest, which generated code
 * never reads but through helpers that say so; so their calls have no flags, and what the builder
 * knows about registers survives them.
 */
#pragma once

#include "arm_internal.h"

#include "vfp_decode.h"

/* Byte offsets of S and D registers (S2n is the low half of Dn on a little-endian host). */
#define VFP_OFF_S(n) ((uint32_t)(offsetof(struct vcpu, vfp) + 4 * (n)))
#define VFP_OFF_D(n) ((uint32_t)(offsetof(struct vcpu, vfp) + 8 * (n)))

static inline uint32_t vfp_off(unsigned n, unsigned size)
{
    return size == 8 ? VFP_OFF_D(n) : VFP_OFF_S(n);
}

/*
 * For the instructions that short vectors apply to (A2.6.1): false (UNDEF) while VFP is disabled,
 * and UNDEF when the block runs with FPSCR.LEN or STRIDE set, since these CPUs have no short
 * vectors. (vfp_arith.c)
 */
bool vfp_vector_op(struct arm_ctx *s);

/* Are floating-point nodes good for the block's FPSCR? Flush-to-zero and default NaNs they know. */
static inline bool vfp_on_host(const struct arm_ctx *s)
{
    return !(s->exec & EXEC_FPSPECIAL);
}

/* The IR_FP_ bits that the block's FPSCR asks for. */
static inline uint8_t vfp_how(const struct arm_ctx *s)
{
    return s->exec & EXEC_FZ ? IR_FP_FZ : 0;
}

/* The bits of an S (size 4) or D (size 8) register. */
static inline ir_ref vfp_get(struct arm_ctx *s, unsigned n, unsigned size)
{
    return ir_get(s->b, size == 8 ? IR_I64 : IR_I32, vfp_off(n, size), size);
}

/* Register fd = helper of the arguments up to the first 0. */
static inline void vfp_put_call(struct arm_ctx *s, unsigned fd, unsigned size, const char *name,
                                void *helper, ir_ref a0, ir_ref a1, ir_ref a2)
{
    ir_ref args[3] = {a0, a1, a2};
    unsigned n = a2 ? 3 : a1 ? 2 : 1;

    ir_put(s->b, vfp_off(fd, size), size,
           ir_call(s->b, size == 8 ? IR_I64 : IR_I32, name, helper, 0, n, args));
}
