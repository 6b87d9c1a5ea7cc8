/* SPDX-License-Identifier: MIT */
/*
 * Load and store multiple, PUSH and POP, the forms that reach the User bank, and the exception
 * return of LDM. Registers are transferred one by one, lowest number at the lowest address, and the
 * base register (in the list or written back) last: an abort in the middle finds it unchanged, so
 * the instruction can be run again. Only the first access checks alignment; the others are as
 * aligned. Arm ARM A8.8.57-A8.8.61 (LDM), A8.8.131, A8.8.133 (POP, PUSH), A8.8.199-A8.8.202 (STM),
 * B9.3.5, B9.3.6, B9.3.17; B1.9.10 (abort behaviour).
 *
 * Threads: the translating vCPU thread; the helpers run on it too.
 */
#include "arm_ldst.h"

#define PC_BIT (1u << 15)

/* A transfer of a register list; p, u and w as in a32_ldst.decode. */
struct block_transfer {
    unsigned rn, p, u, w;
    uint32_t list;
    bool user_bank;
};

/* Lowest address of the transfer, and the base register's value after it. */
struct block_address {
    ir_ref low, moved;
};

static struct block_address block_address(struct arm_ctx *s, const struct block_transfer *t)
{
    uint32_t bytes = 4 * (uint32_t)__builtin_popcount(t->list);
    ir_ref base = arm_read_reg(s, t->rn);
    struct block_address a;

    a.moved = ir_op2i(s->b, t->u ? IR_ADD : IR_SUB, base, bytes);
    a.low = t->u ? base : a.moved;
    if (t->p == t->u) { /* IB, DA */
        a.low = ir_op2i(s->b, IR_ADD, a.low, 4);
    }
    return a;
}

static uint32_t block_memop(const struct arm_ctx *s, bool first)
{
    return (arm_memop(s, MEMOP_32) & ~MEMOP_ALIGN) | (first ? MEMOP_ALIGN4 : 0);
}

/* ---- the User bank, whose place depends on the current mode ---- */
static uint32_t helper_user_reg_read(struct vcpu *v, uint32_t n)
{
    return *arm_banked_reg(v, ARM_USR, n);
}

static void helper_user_reg_write(struct vcpu *v, uint32_t n, uint32_t value)
{
    *arm_banked_reg(v, ARM_USR, n) = value;
}

static ir_ref read_listed(struct arm_ctx *s, const struct block_transfer *t, unsigned n)
{
    if (t->user_bank && n >= 8 && n != 15) {
        return ir_call(s->b, IR_I32, "user_reg_read", (void *)helper_user_reg_read, CALL_READS, 1,
                       (ir_ref[]){arm_imm(s, n)});
    }
    return arm_read_reg(s, n);
}

static void write_listed(struct arm_ctx *s, const struct block_transfer *t, unsigned n, ir_ref v)
{
    if (t->user_bank && n >= 8) {
        arm_call(s, "user_reg_write", (void *)helper_user_reg_write, CALL_STATE, arm_imm(s, n), v,
                 0);
    } else {
        arm_write_reg(s, n, v);
    }
}

static void store_multiple(struct arm_ctx *s, const struct block_transfer *t)
{
    struct block_address a = block_address(s, t);
    uint32_t offset = 0;

    for (unsigned n = 0; n < 16; n++) {
        if (t->list & (1u << n)) {
            ir_store(s->b, ir_op2i(s->b, IR_ADD, a.low, offset), read_listed(s, t, n),
                     block_memop(s, offset == 0));
            offset += 4;
        }
    }
    if (t->w) {
        arm_write_reg(s, t->rn, a.moved);
    }
}

/* Everything but the PC, whose value is returned (0 = not in the list). */
static ir_ref load_multiple(struct arm_ctx *s, const struct block_transfer *t)
{
    struct block_address a = block_address(s, t);
    ir_ref base_value = 0, pc_value = 0;
    uint32_t offset = 0;

    for (unsigned n = 0; n < 16; n++) {
        ir_ref v;

        if (!(t->list & (1u << n))) {
            continue;
        }
        v = ir_load(s->b, IR_I32, ir_op2i(s->b, IR_ADD, a.low, offset),
                    block_memop(s, offset == 0));
        offset += 4;
        if (n == 15) {
            pc_value = v;
        } else if (n == t->rn && !t->user_bank) {
            base_value = v;
        } else {
            write_listed(s, t, n, v);
        }
    }
    if (base_value) {
        arm_write_reg(s, t->rn, base_value);
    } else if (t->w) {
        arm_write_reg(s, t->rn, a.moved);
    }
    return pc_value;
}

static void load_multiple_and_branch(struct arm_ctx *s, const struct block_transfer *t)
{
    ir_ref pc_value = load_multiple(s, t);

    if (pc_value && t->rn == 13) {
        arm_branch_return(s, pc_value);
    } else if (pc_value) {
        arm_branch_bx(s, pc_value);
    }
}

/* A base that is loaded and written back is UNPREDICTABLE. */
bool trans_LDM(struct arm_ctx *s, const struct arg_LDM *a)
{
    if (a->w && (a->list & (1u << a->rn))) {
        return false;
    }
    load_multiple_and_branch(s, &(struct block_transfer){a->rn, a->p, a->u, a->w, a->list, false});
    return true;
}

bool trans_STM(struct arm_ctx *s, const struct arg_STM *a)
{
    store_multiple(s, &(struct block_transfer){a->rn, a->p, a->u, a->w, a->list, false});
    return true;
}

/* Writes back unless the base is loaded. */
bool trans_LDM_t16(struct arm_ctx *s, const struct arg_LDM_t16 *a)
{
    unsigned w = !(a->list & (1u << a->rn));

    load_multiple_and_branch(s, &(struct block_transfer){a->rn, 0, 1, w, a->list, false});
    return true;
}

/* Fewer than two registers, or a base in the list that is written back: UNPREDICTABLE. */
static bool t32_list_valid(uint32_t list, unsigned rn, unsigned w)
{
    return __builtin_popcount(list) >= 2 && !(w && (list & (1u << rn)));
}

bool trans_LDM_t32(struct arm_ctx *s, const struct arg_LDM_t32 *a)
{
    uint32_t list = a->pc << 15 | a->m << 14 | a->list;

    if (!t32_list_valid(list, a->rn, a->w)) {
        return false;
    }
    load_multiple_and_branch(s, &(struct block_transfer){a->rn, a->p, a->u, a->w, list, false});
    return true;
}

bool trans_STM_t32(struct arm_ctx *s, const struct arg_STM_t32 *a)
{
    uint32_t list = a->m << 14 | a->list;

    if (!t32_list_valid(list, a->rn, a->w)) {
        return false;
    }
    store_multiple(s, &(struct block_transfer){a->rn, a->p, a->u, a->w, list, false});
    return true;
}

bool trans_PUSH(struct arm_ctx *s, const struct arg_PUSH *a)
{
    store_multiple(s, &(struct block_transfer){13, 1, 0, 1, a->m << 14 | a->list, false});
    return true;
}

bool trans_POP(struct arm_ctx *s, const struct arg_POP *a)
{
    load_multiple_and_branch(s, &(struct block_transfer){13, 0, 1, 1, a->m << 15 | a->list, false});
    return true;
}

/* UNPREDICTABLE in User mode; in System mode the User bank is the current one. */
bool trans_LDM_user(struct arm_ctx *s, const struct arg_LDM_user *a)
{
    if (!s->privileged) {
        return false;
    }
    load_multiple(s, &(struct block_transfer){a->rn, a->p, a->u, 0, a->list, true});
    return true;
}

bool trans_STM_user(struct arm_ctx *s, const struct arg_STM_user *a)
{
    if (!s->privileged) {
        return false;
    }
    store_multiple(s, &(struct block_transfer){a->rn, a->p, a->u, 0, a->list, true});
    return true;
}

bool trans_LDM_eret(struct arm_ctx *s, const struct arg_LDM_eret *a)
{
    if (!s->privileged || (a->w && (a->list & (1u << a->rn)))) {
        return false;
    }
    arm_exception_return(s, load_multiple(s, &(struct block_transfer){a->rn, a->p, a->u, a->w,
                                                                      a->list | PC_BIT, false}));
    return true;
}
