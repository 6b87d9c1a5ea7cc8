/* SPDX-License-Identifier: MIT */
/*
 * What the VFP files share: where extension registers live in the state, and how helpers get their
 * register numbers. Used inside src/tcg/arm only.
 */
#pragma once

#include "arm_internal.h"

#include "vfp_decode.h"

/* Byte offsets of S and D registers (S2n is the low half of Dn on a little-endian host). */
#define VFP_OFF_S(n)         ((uint32_t)(offsetof(struct vcpu, vfp) + 4 * (n)))
#define VFP_OFF_D(n)         ((uint32_t)(offsetof(struct vcpu, vfp) + 8 * (n)))

/* Register numbers of a helper call: destination, first and second operand, one byte each. */
#define VFP_REGS(fd, fn, fm) ((uint32_t)(fd) | (uint32_t)(fn) << 8 | (uint32_t)(fm) << 16)
#define VFP_FD(regs)         ((regs)&0xff)
#define VFP_FN(regs)         ((regs) >> 8 & 0xff)
#define VFP_FM(regs)         ((regs) >> 16 & 0xff)

static inline bool vfp_enabled(const struct arm_ctx *s)
{
    return (s->exec & EXEC_FP) != 0;
}

/* A helper that works on the registers in the state; false (UNDEF) while VFP is disabled. */
static inline bool vfp_call(struct arm_ctx *s, const char *name, void *fn, uint32_t regs)
{
    if (!vfp_enabled(s)) {
        return false;
    }
    arm_call(s, name, fn, CALL_STATE, arm_imm(s, regs), 0, 0);
    return true;
}
