/* SPDX-License-Identifier: MIT */
/*
 * MRS, MSR, CPS and SETEND. Kernels mask and unmask interrupts with these all the time, so a change
 * of A, I and F alone stays inside the block: it leaves to the run loop only when an interrupt line
 * is up. A change of mode is a helper call and a return to the run loop. Arm ARM A8.8.109,
 * A8.8.111, A8.8.112, B9.3.2, B9.3.8, B9.3.11, B9.3.12; B1.3.3 (CPSRWriteByInstr).
 *
 * Threads: the translating vCPU thread; the helpers run on it too.
 */
#include "arm_internal.h"

#include "a32_sys_decode.h"
#include "t16_sys_decode.h"
#include "t32_sys_decode.h"

#define PSR_N     (1u << 31)
#define PSR_Z     (1u << 30)
#define PSR_C     (1u << 29)
#define PSR_V     (1u << 28)
#define PSR_Q     (1u << 27)
#define PSR_NZCVQ (PSR_N | PSR_Z | PSR_C | PSR_V | PSR_Q)
#define PSR_GE    0x000f0000u
#define PSR_E     (1u << 9)
#define PSR_AIF   0x1c0u
#define PSR_MODE  0x1fu

/* Bits of the PSR that the four bits of MSR's mask name. */
static uint32_t field_mask(unsigned mask)
{
    return ((mask & 1) ? 0x000000ffu : 0) | ((mask & 2) ? 0x0000ff00u : 0) |
           ((mask & 4) ? 0x00ff0000u : 0) | ((mask & 8) ? 0xff000000u : 0);
}

/* ---- MRS ---- */
/* The CPSR as MRS shows it (T, J and IT read as zero), put together inline: kernels save masks with
 * it. */
static ir_ref read_cpsr(struct arm_ctx *s)
{
    struct ir_block *b = s->b;
    const struct {
        uint32_t off;
        unsigned shift;
    } part[] = {{ARM_OFF(cf), 29}, {ARM_OFF(vf), 28}, {ARM_OFF(qf), 27}, {ARM_OFF(ge), 16}};
    ir_ref n = ir_op2i(b, IR_AND, ir_get(b, IR_I32, ARM_OFF(nf), 4), PSR_N);
    ir_ref z = ir_setc(b, IR_EQ, ir_get(b, IR_I32, ARM_OFF(zf), 4), arm_imm(s, 0));
    ir_ref v = ir_op2(b, IR_OR, n, ir_op2i(b, IR_SHL, z, 30));

    for (unsigned i = 0; i < ARRAY_SIZE(part); i++) {
        ir_ref bits = ir_op2i(b, IR_SHL, ir_get(b, IR_I32, part[i].off, 4), part[i].shift);

        v = ir_op2(b, IR_OR, v, bits);
    }
    v = ir_op2(b, IR_OR, v, ir_get(b, IR_I32, ARM_OFF(cpsr_rest), 4));
    return (s->exec & EXEC_E) ? ir_op2i(b, IR_OR, v, PSR_E) : v;
}

static uint32_t helper_mrs_spsr(struct vcpu *v)
{
    if (arm_mode_bank(arm_mode(v)) == BANK_USR) { /* System mode: UNPREDICTABLE */
        vcpu_raise(v, VCPU_RA(), ARM_EXC_UNDEF, 0, 0);
    }
    return arm_spsr_read(v);
}

bool trans_MRS(struct arm_ctx *s, const struct arg_MRS *a)
{
    ir_ref v;

    if (a->r && !s->privileged) {
        return false;
    }
    v = a->r ? ir_call(s->b, IR_I32, "mrs_spsr", (void *)helper_mrs_spsr, CALL_RAISES, 0, NULL)
             : read_cpsr(s);
    arm_write_reg(s, a->rd, v);
    return true;
}

/* ---- changes that need the run loop ---- */
static void helper_cpsr_write(struct vcpu *v, uint32_t value, uint32_t mask)
{
    if ((mask & PSR_MODE) && !arm_mode_valid(value & PSR_MODE)) {
        mask &= ~PSR_MODE; /* UNPREDICTABLE: the mode stays */
    }
    arm_cpsr_write(v, value, mask);
}

static void helper_spsr_write(struct vcpu *v, uint32_t value, uint32_t mask)
{
    if (arm_mode_bank(arm_mode(v)) == BANK_USR) {
        vcpu_raise(v, VCPU_RA(), ARM_EXC_UNDEF, 0, 0);
    }
    arm_spsr_write(v, value, mask);
}

static void write_by_helper(struct arm_ctx *s, ir_ref value, uint32_t mask)
{
    arm_sync_it(s);
    arm_call(s, "cpsr_write", (void *)helper_cpsr_write, CALL_STATE, value, arm_imm(s, mask), 0);
    arm_flags_changed(s);
    arm_exit_changed(s);
}

/* ---- changes inside the block ---- */
static void put_flags(struct arm_ctx *s, ir_ref value, uint32_t mask)
{
    struct ir_block *b = s->b;

    if (mask & PSR_NZCVQ) {
        ir_put(b, ARM_OFF(nf), 4, value);
        ir_put(b, ARM_OFF(zf), 4, ir_op2i(b, IR_XOR, ir_op2i(b, IR_AND, value, PSR_Z), PSR_Z));
        ir_put(b, ARM_OFF(cf), 4, ir_extract(b, value, 29, 1));
        ir_put(b, ARM_OFF(vf), 4, ir_extract(b, value, 28, 1));
        ir_put(b, ARM_OFF(qf), 4, ir_extract(b, value, 27, 1));
        arm_flags_changed(s);
    }
    if (mask & PSR_GE) {
        ir_put(b, ARM_OFF(ge), 4, ir_extract(b, value, 16, 4));
    }
}

/* Replace the A, I, F bits in `mask`; leave to the run loop when that may have unmasked an
 * interrupt. */
static void put_interrupt_masks(struct arm_ctx *s, ir_ref value, uint32_t mask)
{
    struct ir_block *b = s->b;
    ir_ref rest = ir_op2i(b, IR_AND, ir_get(b, IR_I32, ARM_OFF(cpsr_rest), 4), ~mask);

    ir_put(b, ARM_OFF(cpsr_rest), 4, ir_op2(b, IR_OR, rest, ir_op2i(b, IR_AND, value, mask)));
}

/*
 * An interrupt line that goes up after this look sets the poll word, which every way out of the
 * block tests. All masks set in `known` (a constant value) need no look.
 */
static void leave_if_interrupted(struct arm_ctx *s)
{
    unsigned quiet = ir_label_new(s->b);
    ir_ref lines = ir_get(s->b, IR_I32, ARM_OFF(irq_lines), 4);

    ir_brcond(s->b, IR_EQ, lines, arm_imm(s, 0), quiet);
    arm_exit_next(s, TCG_EXIT_STATE);
    ir_label(s->b, quiet);
    s->done = false;
}

/* The usual MSR CPSR_c: the mode stays, only masks change. The rare one goes by the helper. */
static void write_control(struct arm_ctx *s, ir_ref value, uint32_t mask)
{
    struct ir_block *b = s->b;
    unsigned slow = ir_label_new(b);
    unsigned quiet = ir_label_new(b);
    ir_ref rest = ir_get(b, IR_I32, ARM_OFF(cpsr_rest), 4);

    ir_brcond(b, IR_TSTNE, ir_op2(b, IR_XOR, rest, value), arm_imm(s, PSR_MODE), slow);
    put_interrupt_masks(s, value, mask & PSR_AIF);
    put_flags(s, value, mask);
    ir_brcond(b, IR_EQ, ir_get(b, IR_I32, ARM_OFF(irq_lines), 4), arm_imm(s, 0), quiet);
    arm_exit_next(s, TCG_EXIT_STATE);
    ir_label(b, slow);
    write_by_helper(s, value, mask);
    ir_label(b, quiet);
    s->done = false;
}

static void write_cpsr(struct arm_ctx *s, ir_ref value, uint32_t mask)
{
    mask &= s->privileged ? PSR_NZCVQ | PSR_GE | PSR_E | PSR_AIF | PSR_MODE
                          : PSR_NZCVQ | PSR_GE | PSR_E;
    if (mask & PSR_E) {
        write_by_helper(s, value, mask);
    } else if (mask & PSR_MODE) {
        write_control(s, value, mask);
    } else {
        put_flags(s, value, mask);
    }
}

static bool write_status(struct arm_ctx *s, unsigned r, ir_ref value, unsigned mask)
{
    if (!r) {
        write_cpsr(s, value, field_mask(mask));
        return true;
    }
    arm_call(s, "spsr_write", (void *)helper_spsr_write, CALL_RAISES, value,
             arm_imm(s, field_mask(mask)), 0);
    return true;
}

bool trans_MSR(struct arm_ctx *s, const struct arg_MSR *a)
{
    if (a->r && !s->privileged) {
        return false;
    }
    return write_status(s, a->r, arm_read_reg(s, a->rn), a->mask);
}

bool trans_MSR_i(struct arm_ctx *s, const struct arg_MSR_i *a)
{
    int carry;

    if (a->r && !s->privileged) {
        return false;
    }
    return write_status(s, a->r, arm_imm(s, arm_expand_imm(s, a->imm, &carry)), a->mask);
}

/* ---- CPS: a NOP in User mode; imod 2 enables (clears the masks), 3 disables ---- */
bool trans_CPS(struct arm_ctx *s, const struct arg_CPS *a)
{
    uint32_t masks = a->imod ? a->a << 8 | a->i << 7 | a->f << 6 : 0;
    uint32_t value = a->imod == 3 ? masks : 0;

    if (!s->privileged) {
        return true;
    }
    if (a->m) {
        if (!arm_mode_valid(a->mode)) {
            return false;
        }
        write_by_helper(s, arm_imm(s, value | a->mode), masks | PSR_MODE);
        return true;
    }
    put_interrupt_masks(s, arm_imm(s, value), masks);
    if (a->imod == 2) {
        leave_if_interrupted(s);
    }
    return true;
}

bool trans_SETEND(struct arm_ctx *s, const struct arg_SETEND *a)
{
    bool big = s->exec & EXEC_E;

    if ((bool)a->e != big) {
        arm_exit_exec_flags(s, EXEC_E, a->e ? EXEC_E : 0);
    }
    return true;
}
