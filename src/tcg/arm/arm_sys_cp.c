/* SPDX-License-Identifier: MIT */
/*
 * Coprocessors 14 and 15, and the calls to firmware. What a register is and who may access it is
 * the business of vcpu/arm_sysreg*.c: each access is one helper call, which raises UNDEF itself. A
 * write that can change translation or execution state ends the block, and one that can only choose
 * another translation context goes on by way of the jump cache. Arm ARM A8.8.98, A8.8.99,
 * A8.8.107, A8.8.108 (MCR, MCRR, MRC, MRRC), B9.3.4 (HVC), B9.3.14 (SMC).
 *
 * Threads: the translating vCPU thread.
 */
#include "arm_internal.h"

#include "a32_sys_decode.h"
#include "t32_sys_decode.h"

static ir_ref read_register(struct arm_ctx *s, uint32_t key)
{
    return ir_call(s->b, IR_I64, "sysreg_read", (void *)arm_helper_sysreg_read, CALL_RAISES, 1,
                   (ir_ref[]){arm_imm(s, key)});
}

/* A register that is nothing but a word of the state (thread pointers): no call. */
static bool plain_slot(struct arm_ctx *s, uint32_t key, bool write, uint32_t *offset)
{
    return arm_sysreg_state_slot(key, write, s->privileged, offset);
}

static void after_access(struct arm_ctx *s, unsigned flags)
{
    if ((flags & SYSREG_END_BLOCK) && !s->done) {
        arm_exit_changed(s);
    }
    if ((flags & SYSREG_CONTEXT) && !s->done) {
        arm_exit_context(s);
    }
}

/* A write without any effect is nothing when privileged code does it; User mode may get UNDEF. */
static void write_register(struct arm_ctx *s, uint32_t key, ir_ref value)
{
    unsigned flags = arm_sysreg_access_flags(key, true);
    ir_ref args[2] = {arm_imm(s, key), value};

    if ((flags & SYSREG_NOP) && s->privileged) {
        return;
    }
    if (flags & (SYSREG_END_BLOCK | SYSREG_CONTEXT)) {
        arm_sync_it(s);
    }
    ir_call(s->b, IR_VOID, "sysreg_write", (void *)arm_helper_sysreg_write, CALL_RAISES, 2, args);
    after_access(s, flags);
}

bool trans_MCR(struct arm_ctx *s, const struct arg_MCR *a)
{
    uint32_t key = ARM_SYSREG_KEY(a->cp, a->crn, a->opc1, a->crm, a->opc2);
    uint32_t offset;

    if (plain_slot(s, key, true, &offset)) {
        ir_put(s->b, offset, 4, arm_read_reg(s, a->rt));
        return true;
    }
    write_register(s, key, ir_op1(s->b, IR_ZEXT32, arm_read_reg(s, a->rt)));
    return true;
}

/* To R15: bits 31:28 become the condition flags. */
static void put_nzcv(struct arm_ctx *s, ir_ref v)
{
    struct ir_block *b = s->b;
    ir_ref z = ir_op2i(b, IR_AND, v, 1u << 30);

    ir_put(b, ARM_OFF(nf), 4, v);
    ir_put(b, ARM_OFF(zf), 4, ir_op2i(b, IR_XOR, z, 1u << 30));
    ir_put(b, ARM_OFF(cf), 4, ir_extract(b, v, 29, 1));
    ir_put(b, ARM_OFF(vf), 4, ir_extract(b, v, 28, 1));
    arm_flags_changed(s);
}

bool trans_MRC(struct arm_ctx *s, const struct arg_MRC *a)
{
    uint32_t key = ARM_SYSREG_KEY(a->cp, a->crn, a->opc1, a->crm, a->opc2);
    unsigned flags = arm_sysreg_access_flags(key, false);
    uint32_t offset;
    ir_ref v;

    if (flags & (SYSREG_END_BLOCK | SYSREG_CONTEXT)) {
        arm_sync_it(s);
    }
    if (plain_slot(s, key, false, &offset)) {
        v = ir_get(s->b, IR_I32, offset, 4);
    } else {
        v = ir_op1(s->b, IR_TRUNC, read_register(s, key));
    }
    if (a->rt == 15) {
        put_nzcv(s, v);
    } else {
        arm_write_reg(s, a->rt, v);
    }
    after_access(s, flags);
    return true;
}

bool trans_MCRR(struct arm_ctx *s, const struct arg_MCRR *a)
{
    ir_ref v = ir_op2(s->b, IR_PAIR, arm_read_reg(s, a->rt), arm_read_reg(s, a->rt2));

    write_register(s, ARM_SYSREG_KEY64(a->cp, a->opc1, a->crm), v);
    return true;
}

bool trans_MRRC(struct arm_ctx *s, const struct arg_MRRC *a)
{
    uint32_t key = ARM_SYSREG_KEY64(a->cp, a->opc1, a->crm);
    unsigned flags = arm_sysreg_access_flags(key, false);
    ir_ref v;

    if (a->rt == a->rt2) {
        return false;
    }
    if (flags & (SYSREG_END_BLOCK | SYSREG_CONTEXT)) {
        arm_sync_it(s);
    }
    v = read_register(s, key);
    arm_write_reg(s, a->rt, ir_op1(s->b, IR_TRUNC, v));
    arm_write_reg(s, a->rt2, ir_op1(s->b, IR_HI32, v));
    after_access(s, flags);
    return true;
}

/* ---- firmware calls: they may power the vCPU off, so its PC is the next one before the run loop
 * looks ---- */
static bool firmware_call(struct arm_ctx *s, const char *name, void *fn, uint32_t imm)
{
    if (!s->privileged) {
        return false;
    }
    arm_sync_it(s);
    arm_call(s, name, fn, CALL_RAISES, arm_imm(s, imm), 0, 0);
    arm_exit_changed(s);
    return true;
}

bool trans_HVC(struct arm_ctx *s, const struct arg_HVC *a)
{
    return firmware_call(s, "hvc", (void *)arm_helper_hvc, a->imm);
}

bool trans_SMC(struct arm_ctx *s, const struct arg_SMC *a)
{
    return firmware_call(s, "smc", (void *)arm_helper_smc, a->imm);
}
