/* SPDX-License-Identifier: MIT */
/*
 * Guest registers as instructions see them: reads of R15, writes that branch, and writes that merge
 * by condition when the block loop chose a select over a branch. Also the memory operation word
 * that follows from CPSR.E and SCTLR.A. Arm ARM A2.3, A2.3.2 (pseudocode for ARM core registers).
 *
 * Threads: the translating vCPU thread.
 */
#include "arm_internal.h"

uint32_t arm_pc_value(const struct arm_ctx *s)
{
    return s->pc + (s->thumb ? 4 : 8);
}

/* State r[15] lies in the page that the block runs at, from its entry to its exit. */
ir_ref arm_pc_ref(struct arm_ctx *s, uint32_t pc)
{
    uint32_t nominal = (uint32_t)(s->b->pc & GUEST_PAGE_MASK);
    ir_ref page;

    if (!s->b->pc_relative) {
        return ir_const32(s->b, pc);
    }
    page =
        ir_op2i(s->b, IR_AND, ir_get(s->b, IR_I32, ARM_OFF_REG(15), 4), (uint32_t)GUEST_PAGE_MASK);
    return ir_op2i(s->b, IR_ADD, page, pc - nominal);
}

ir_ref arm_read_reg(struct arm_ctx *s, unsigned n)
{
    if (n == 15) {
        return arm_pc_ref(s, arm_pc_value(s));
    }
    return ir_get(s->b, IR_I32, ARM_OFF_REG(n), 4);
}

ir_ref arm_read_base(struct arm_ctx *s, unsigned n)
{
    if (n == 15) {
        return arm_pc_ref(s, arm_pc_value(s) & ~3u);
    }
    return arm_read_reg(s, n);
}

static void arm_put_reg(struct arm_ctx *s, unsigned n, ir_ref v)
{
    if (s->select) {
        v = arm_merge(s, v, ir_get(s->b, IR_I32, ARM_OFF_REG(n), 4));
    }
    ir_put(s->b, ARM_OFF_REG(n), 4, v);
}

void arm_write_reg(struct arm_ctx *s, unsigned n, ir_ref v)
{
    if (n != 15) {
        arm_put_reg(s, n, v);
    } else if (s->thumb) {
        arm_branch_plain(s, v);
    } else {
        arm_branch_bx(s, v);
    }
}

void arm_write_reg_load(struct arm_ctx *s, unsigned n, ir_ref v)
{
    if (n != 15) {
        arm_put_reg(s, n, v);
    } else {
        arm_branch_bx(s, v);
    }
}

uint32_t arm_memop(const struct arm_ctx *s, unsigned size)
{
    uint32_t m = size;

    if ((s->exec & EXEC_E) && size != MEMOP_8) {
        m |= MEMOP_BSWAP;
    }
    if (s->exec & EXEC_ALIGN) {
        m |= MEMOP_ALIGN;
    }
    return m;
}
