/* SPDX-License-Identifier: MIT */
/*
 * Loads and stores of one register: word, halfword and byte, signed and unsigned, unprivileged,
 * with immediate, register and PC-relative addresses, and the memory hints. The base register is
 * written after the access, so an abort finds it unchanged; a loaded value wins over the
 * written-back base. Arm ARM A8.8.62-A8.8.93 (LDR...), A8.8.203-A8.8.219 (STR...), A4.6.
 *
 * Threads: the translating vCPU thread.
 */
#include "arm_ldst.h"

struct arm_address arm_address_offset(struct arm_ctx *s, unsigned rn, ir_ref offset, unsigned p,
                                      unsigned u, unsigned w)
{
    ir_ref base = arm_read_base(s, rn);
    struct arm_address addr;

    addr.moved = ir_op2(s->b, u ? IR_ADD : IR_SUB, base, offset);
    addr.access = p ? addr.moved : base;
    addr.rn = rn;
    addr.writeback = !p || w;
    return addr;
}

void arm_address_writeback(struct arm_ctx *s, const struct arm_address *addr)
{
    if (addr->writeback) {
        arm_write_reg(s, addr->rn, addr->moved);
    }
}

ir_ref arm_word_to_memory(struct arm_ctx *s, ir_ref v)
{
    return (s->exec & EXEC_E) ? ir_op1(s->b, IR_BSWAP, v) : v;
}

static uint32_t single_memop(const struct arm_ctx *s, uint32_t op)
{
    uint32_t memop = arm_memop(s, MEMOP_SIZE(op)) | (op & MEMOP_SIGN);

    /* From User mode an unprivileged access is an access like any other. */
    return (op & MEMOP_USER) && s->privileged ? memop | MEMOP_USER : memop;
}

static void load_at(struct arm_ctx *s, const struct arm_address *addr, unsigned rt, uint32_t op)
{
    ir_ref v = ir_load(s->b, IR_I32, addr->access, single_memop(s, op));

    arm_address_writeback(s, addr);
    if (rt == 15 && addr->rn == 13) {
        arm_branch_return(s, v);
    } else {
        arm_write_reg_load(s, rt, v);
    }
}

static void store_at(struct arm_ctx *s, const struct arm_address *addr, unsigned rt, uint32_t op)
{
    ir_store(s->b, addr->access, arm_read_reg(s, rt), single_memop(s, op));
    arm_address_writeback(s, addr);
}

static struct arm_address address_ri(struct arm_ctx *s, const struct arg_LDR_ri *a)
{
    return arm_address_offset(s, a->rn, arm_imm(s, a->imm), a->p, a->u, a->w);
}

static struct arm_address address_rr(struct arm_ctx *s, const struct arg_LDR_rr *a)
{
    ir_ref offset = arm_shift_imm(s, arm_read_reg(s, a->rm), a->shty, a->shim, false).v;

    return arm_address_offset(s, a->rn, offset, a->p, a->u, a->w);
}

/* The trans functions of one access: immediate or register offset, load or store, and memory
 * operation. */
#define SINGLE(name, form, access, op)                                                 \
    bool trans_##name##_##form(struct arm_ctx *s, const struct arg_##name##_##form *a) \
    {                                                                                  \
        struct arm_address addr = address_##form(s, a);                                \
                                                                                       \
        access##_at(s, &addr, a->rt, op);                                              \
        return true;                                                                   \
    }

SINGLE(LDR, ri, load, MEMOP_32)
SINGLE(LDR, rr, load, MEMOP_32)
SINGLE(LDRB, ri, load, MEMOP_8)
SINGLE(LDRB, rr, load, MEMOP_8)
SINGLE(LDRH, ri, load, MEMOP_16)
SINGLE(LDRH, rr, load, MEMOP_16)
SINGLE(LDRSB, ri, load, MEMOP_8 | MEMOP_SIGN)
SINGLE(LDRSB, rr, load, MEMOP_8 | MEMOP_SIGN)
SINGLE(LDRSH, ri, load, MEMOP_16 | MEMOP_SIGN)
SINGLE(LDRSH, rr, load, MEMOP_16 | MEMOP_SIGN)
SINGLE(STR, ri, store, MEMOP_32)
SINGLE(STR, rr, store, MEMOP_32)
SINGLE(STRB, ri, store, MEMOP_8)
SINGLE(STRB, rr, store, MEMOP_8)
SINGLE(STRH, ri, store, MEMOP_16)
SINGLE(STRH, rr, store, MEMOP_16)

SINGLE(LDRT, ri, load, MEMOP_32 | MEMOP_USER)
SINGLE(LDRT, rr, load, MEMOP_32 | MEMOP_USER)
SINGLE(LDRBT, ri, load, MEMOP_8 | MEMOP_USER)
SINGLE(LDRBT, rr, load, MEMOP_8 | MEMOP_USER)
SINGLE(LDRHT, ri, load, MEMOP_16 | MEMOP_USER)
SINGLE(LDRHT, rr, load, MEMOP_16 | MEMOP_USER)
SINGLE(LDRSBT, ri, load, MEMOP_8 | MEMOP_SIGN | MEMOP_USER)
SINGLE(LDRSBT, rr, load, MEMOP_8 | MEMOP_SIGN | MEMOP_USER)
SINGLE(LDRSHT, ri, load, MEMOP_16 | MEMOP_SIGN | MEMOP_USER)
SINGLE(LDRSHT, rr, load, MEMOP_16 | MEMOP_SIGN | MEMOP_USER)
SINGLE(STRT, ri, store, MEMOP_32 | MEMOP_USER)
SINGLE(STRT, rr, store, MEMOP_32 | MEMOP_USER)
SINGLE(STRBT, ri, store, MEMOP_8 | MEMOP_USER)
SINGLE(STRBT, rr, store, MEMOP_8 | MEMOP_USER)
SINGLE(STRHT, ri, store, MEMOP_16 | MEMOP_USER)
SINGLE(STRHT, rr, store, MEMOP_16 | MEMOP_USER)

/* ---- memory hints: nothing to do, and they never fault ---- */
bool trans_PLD(struct arm_ctx *s, const struct arg_PLD *a)
{
    (void)s;
    (void)a;
    return true;
}

bool trans_PLD_rn(struct arm_ctx *s, const struct arg_PLD_rn *a)
{
    (void)s;
    (void)a;
    return true;
}
