/* SPDX-License-Identifier: MIT */
/*
 * LDRD and STRD: one 64-bit access, which makes them single-copy atomic at 8-byte alignment (Large
 * Physical Address Extension); two words at other multiples of 4, the only alignment checked. The
 * word at the lower address belongs to rt in both byte orders, so big-endian data is reversed word
 * by word. Arm ARM A8.8.72-A8.8.74, A8.8.210, A8.8.211, A3.5.3.
 *
 * Threads: the translating vCPU thread.
 */
#include "arm_ldst.h"

#define DUAL_MEMOP (MEMOP_64 | MEMOP_ALIGN4 | MEMOP_OF(MEMOP_32))

static void load_dual(struct arm_ctx *s, const struct arm_address *addr, unsigned rt, unsigned rt2)
{
    ir_ref v = ir_load(s->b, IR_I64, addr->access, DUAL_MEMOP);
    ir_ref lo = arm_word_to_memory(s, ir_op1(s->b, IR_TRUNC, v));
    ir_ref hi = arm_word_to_memory(s, ir_op1(s->b, IR_HI32, v));

    arm_address_writeback(s, addr);
    arm_write_reg(s, rt, lo);
    arm_write_reg(s, rt2, hi);
}

static void store_dual(struct arm_ctx *s, const struct arm_address *addr, unsigned rt, unsigned rt2)
{
    ir_ref lo = arm_word_to_memory(s, arm_read_reg(s, rt));
    ir_ref hi = arm_word_to_memory(s, arm_read_reg(s, rt2));

    ir_store(s->b, addr->access, ir_op2(s->b, IR_PAIR, lo, hi), DUAL_MEMOP);
    arm_address_writeback(s, addr);
}

bool trans_LDRD_ri(struct arm_ctx *s, const struct arg_LDRD_ri *a)
{
    struct arm_address addr = arm_address_offset(s, a->rn, arm_imm(s, a->imm), a->p, a->u, a->w);

    load_dual(s, &addr, a->rt, a->rt2);
    return true;
}

bool trans_LDRD_rr(struct arm_ctx *s, const struct arg_LDRD_rr *a)
{
    struct arm_address addr =
        arm_address_offset(s, a->rn, arm_read_reg(s, a->rm), a->p, a->u, a->w);

    load_dual(s, &addr, a->rt, a->rt2);
    return true;
}

bool trans_STRD_ri(struct arm_ctx *s, const struct arg_STRD_ri *a)
{
    struct arm_address addr = arm_address_offset(s, a->rn, arm_imm(s, a->imm), a->p, a->u, a->w);

    store_dual(s, &addr, a->rt, a->rt2);
    return true;
}

bool trans_STRD_rr(struct arm_ctx *s, const struct arg_STRD_rr *a)
{
    struct arm_address addr =
        arm_address_offset(s, a->rn, arm_read_reg(s, a->rm), a->p, a->u, a->w);

    store_dual(s, &addr, a->rt, a->rt2);
    return true;
}
