/* SPDX-License-Identifier: MIT */
/*
 * What the Advanced SIMD files (asimd_*.c) share: where registers live in the state, the checks
 * that every encoding needs, and the calling convention of the helpers. fd, fn and fm are D
 * register numbers (D:Vd, N:Vn, M:Vm); a Q register is named by its even D register. Used inside
 * src/tcg/arm only.
 */
#pragma once

#include "arm_internal.h"

#define ASIMD_OFF(d) ((uint32_t)(offsetof(struct vcpu, vfp) + 8 * (d)))
#define ASIMD_QC     (1u << 27) /* FPSCR: saturation occurred */

/*
 * The one argument of a helper: register numbers (0-31), whether Q registers are meant, and a small
 * immediate (a shift amount, lane index, ...).
 */
#define ASIMD_ARG(fd, fn, fm, q, imm)                                                    \
    ((uint32_t)(fd) | (uint32_t)(fn) << 5 | (uint32_t)(fm) << 10 | (uint32_t)(q) << 15 | \
     (uint32_t)(imm) << 16)
#define ARG_FD(arg)  ((arg)&31)
#define ARG_FN(arg)  ((arg) >> 5 & 31)
#define ARG_FM(arg)  ((arg) >> 10 & 31)
#define ARG_Q(arg)   ((arg) >> 15 & 1)
#define ARG_IMM(arg) ((arg) >> 16)

typedef void asimd_helper(struct vcpu *v, uint32_t arg);

/* A helper with its name for dumps; fn = NULL: this size does not exist (UNDEF). */
struct asimd_fn {
    const char *name;
    asimd_helper *fn;
};

/* Helpers of one operation: [0] signed, [1] unsigned; log2 of the bytes of a lane. */
typedef const struct asimd_fn asimd_fn_table[2][4];

static inline bool asimd_enabled(const struct arm_ctx *s)
{
    return (s->exec & EXEC_NEON) && vfp_enabled(s);
}

/* Q forms take even registers only; odd ones are UNDEF. */
static inline bool asimd_regs_ok(uint32_t q, uint32_t regs_ored)
{
    return !(q && (regs_ored & 1));
}

/* A helper reads and writes registers and FPSCR, and nothing else that is in the builder's slots.
 */
static inline void asimd_call(struct arm_ctx *s, const struct asimd_fn *f, uint32_t arg)
{
    arm_call(s, f->name, (void *)f->fn, CALL_STATE, arm_imm(s, arg), 0, 0);
}

static inline ir_ref asimd_get(struct arm_ctx *s, uint32_t d, uint32_t q)
{
    return ir_get(s->b, IR_V128, ASIMD_OFF(d), q ? 16 : 8);
}

static inline void asimd_put(struct arm_ctx *s, uint32_t d, uint32_t q, ir_ref v)
{
    ir_put(s->b, ASIMD_OFF(d), q ? 16 : 8, v);
}
