/* SPDX-License-Identifier: MIT */
/*
 * VFP arithmetic, comparison and conversion. Arm ARM A7.5.
 *
 * Add, subtract, multiply, divide and square root run as one host instruction while FPSCR is in its
 * usual state (no EXEC_FPSPECIAL): the host's MXCSR collects the cumulative flags. Where host and
 * Arm ARM differ the helper computes again: NaN results (selection and sign of NaNs), and results
 * that are zero, subnormal or the smallest normal number (the host detects tininess after
 * rounding). Everything else calls a helper.
 *
 * Threads: the translating vCPU thread.
 */
#include "vfp.h"
#include "vfp_helpers.h"

/* Registers as operands of host instructions. */
static ir_ref read_scalar(struct arm_ctx *s, unsigned n, unsigned size)
{
    return ir_get(s->b, IR_V128, size == 8 ? VFP_OFF_D(n) : VFP_OFF_S(n), size);
}

/*
 * Jump to `good` when the result needs no second look: its magnitude, shifted left by one to drop
 * the sign, lies above that of the smallest normal number and not above infinity. One unsigned
 * comparison.
 */
static void branch_if_plain(struct arm_ctx *s, ir_ref r, unsigned size, unsigned good)
{
    struct ir_block *b = s->b;
    ir_ref t;

    if (size == 8) {
        t = ir_op2i(b, IR_SHL, ir_vtoi(b, IR_I64, r), 1);
        t = ir_op2(b, IR_SUB, t, ir_const64(b, 0x0020000000000001u));
        ir_brcond(b, IR_LTU, t, ir_const64(b, 0xffe0000000000000u - 0x0020000000000000u), good);
    } else {
        t = ir_op2i(b, IR_SHL, ir_vtoi(b, IR_I32, r), 1);
        t = ir_op2i(b, IR_SUB, t, 0x01000001u);
        ir_brcond(b, IR_LTU, t, ir_const32(b, 0xff000000u - 0x01000000u), good);
    }
}

/* One host instruction, or the helper when the result is special. Unary operations use fm only. */
static bool host_arith(struct arm_ctx *s, enum ir_op op, const char *name, void *helper,
                       uint32_t regs, unsigned size, bool unary)
{
    struct ir_block *b = s->b;
    unsigned good, done;
    ir_ref x, y, r;

    if (!vfp_enabled(s) || (s->exec & EXEC_FPSPECIAL)) {
        return vfp_call(s, name, helper, regs);
    }
    good = ir_label_new(b);
    done = ir_label_new(b);
    x = read_scalar(s, unary ? VFP_FM(regs) : VFP_FN(regs), size);
    y = unary ? 0 : read_scalar(s, VFP_FM(regs), size);
    r = ir_vop(b, op, size, x, y, 0);
    branch_if_plain(s, r, size, good);
    arm_call(s, name, helper, CALL_STATE, arm_imm(s, regs), 0, 0);
    ir_br(b, done);
    ir_label(b, good);
    ir_put(b, size == 8 ? VFP_OFF_D(VFP_FD(regs)) : VFP_OFF_S(VFP_FD(regs)), size, r);
    ir_label(b, done);
    return true;
}

#define HOST3(NAME, name, op)                                                   \
    bool trans_##NAME##_s(struct arm_ctx *s, const struct arg_##NAME##_s *a)    \
    {                                                                           \
        return host_arith(s, op, #name ".f32", (void *)vfp_helper_##name##_f32, \
                          VFP_REGS(a->fd, a->fn, a->fm), 4, false);             \
    }                                                                           \
    bool trans_##NAME##_d(struct arm_ctx *s, const struct arg_##NAME##_d *a)    \
    {                                                                           \
        return host_arith(s, op, #name ".f64", (void *)vfp_helper_##name##_f64, \
                          VFP_REGS(a->fd, a->fn, a->fm), 8, false);             \
    }
HOST3(VADD, vadd, IR_FADD)
HOST3(VSUB, vsub, IR_FSUB)
HOST3(VMUL, vmul, IR_FMUL)
HOST3(VDIV, vdiv, IR_FDIV)

bool trans_VSQRT_s(struct arm_ctx *s, const struct arg_VSQRT_s *a)
{
    return host_arith(s, IR_FSQRT, "vsqrt.f32", (void *)vfp_helper_vsqrt_f32,
                      VFP_REGS(a->fd, 0, a->fm), 4, true);
}

bool trans_VSQRT_d(struct arm_ctx *s, const struct arg_VSQRT_d *a)
{
    return host_arith(s, IR_FSQRT, "vsqrt.f64", (void *)vfp_helper_vsqrt_f64,
                      VFP_REGS(a->fd, 0, a->fm), 8, true);
}

/* Three registers, helper only. */
#define HELPER3(NAME, name)                                                  \
    bool trans_##NAME##_s(struct arm_ctx *s, const struct arg_##NAME##_s *a) \
    {                                                                        \
        return vfp_call(s, #name ".f32", (void *)vfp_helper_##name##_f32,    \
                        VFP_REGS(a->fd, a->fn, a->fm));                      \
    }                                                                        \
    bool trans_##NAME##_d(struct arm_ctx *s, const struct arg_##NAME##_d *a) \
    {                                                                        \
        return vfp_call(s, #name ".f64", (void *)vfp_helper_##name##_f64,    \
                        VFP_REGS(a->fd, a->fn, a->fm));                      \
    }
HELPER3(VMLA, vmla)
HELPER3(VMLS, vmls)
HELPER3(VNMLS, vnmls)
HELPER3(VNMLA, vnmla)
HELPER3(VNMUL, vnmul)
HELPER3(VFMA, vfma)
HELPER3(VFMS, vfms)
HELPER3(VFNMA, vfnma)
HELPER3(VFNMS, vfnms)

/* ---- moves, sign operations: bits only ---- */
static bool sign_op(struct arm_ctx *s, unsigned fd, unsigned fm, bool dbl, enum ir_op op,
                    bool operate)
{
    ir_ref v;

    if (!vfp_enabled(s)) {
        return false;
    }
    if (dbl) {
        uint64_t sign = (uint64_t)1 << 63;

        v = ir_get(s->b, IR_I64, VFP_OFF_D(fm), 8);
        if (operate) {
            v = ir_op2(s->b, op, v, ir_const64(s->b, op == IR_AND ? ~sign : sign));
        }
        ir_put(s->b, VFP_OFF_D(fd), 8, v);
    } else {
        uint32_t sign = 1u << 31;

        v = ir_get(s->b, IR_I32, VFP_OFF_S(fm), 4);
        if (operate) {
            v = ir_op2i(s->b, op, v, op == IR_AND ? ~sign : sign);
        }
        ir_put(s->b, VFP_OFF_S(fd), 4, v);
    }
    return true;
}

#define SIGN_OP(NAME, op, operate)                                           \
    bool trans_##NAME##_s(struct arm_ctx *s, const struct arg_##NAME##_s *a) \
    {                                                                        \
        return sign_op(s, a->fd, a->fm, false, op, operate);                 \
    }                                                                        \
    bool trans_##NAME##_d(struct arm_ctx *s, const struct arg_##NAME##_d *a) \
    {                                                                        \
        return sign_op(s, a->fd, a->fm, true, op, operate);                  \
    }
SIGN_OP(VMOV, IR_NOP, false)
SIGN_OP(VABS, IR_AND, true)
SIGN_OP(VNEG, IR_XOR, true)

/* VFPExpandImm(): sign, exponent of three bits, fraction of four (A7.5.1). */
bool trans_VMOV_imm_s(struct arm_ctx *s, const struct arg_VMOV_imm_s *a)
{
    uint32_t w =
        (a->imm >> 7) << 31 | ((a->imm & 0x40) ? 0x3e000000u : 0x40000000u) | (a->imm & 0x3f) << 19;

    if (!vfp_enabled(s)) {
        return false;
    }
    ir_put(s->b, VFP_OFF_S(a->fd), 4, arm_imm(s, w));
    return true;
}

bool trans_VMOV_imm_d(struct arm_ctx *s, const struct arg_VMOV_imm_d *a)
{
    uint64_t d = (uint64_t)(a->imm >> 7) << 63 |
                 ((a->imm & 0x40) ? UINT64_C(0x3fc0) << 48 : UINT64_C(0x4000) << 48) |
                 (uint64_t)(a->imm & 0x3f) << 48;

    if (!vfp_enabled(s)) {
        return false;
    }
    ir_put(s->b, VFP_OFF_D(a->fd), 8, ir_const64(s->b, d));
    return true;
}
