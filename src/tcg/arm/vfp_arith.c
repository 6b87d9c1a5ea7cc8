/* SPDX-License-Identifier: MIT */
/*
 * VFP arithmetic. Arm ARM A7.5.
 *
 * Add, subtract, multiply, divide, square root and multiply-accumulate run as host instructions
 * while FPSCR is in its usual state (no EXEC_FPSPECIAL): the host's MXCSR collects the cumulative
 * flags. The helper computes again where host and Arm ARM differ:
 *  - NaN results: selection and sign.
 *  - Products that are exactly the smallest normal number. The host detects tininess after
 *    rounding, the Arm ARM before it, so the underflow flag of a product that was rounded up to
 *    that number differs. No sum (it is exact when it is that small), no square root and no
 *    quotient can be rounded up to it: x / y is either 1 or differs from it by at least 1 / y,
 *    which is more than half a unit in the last place.
 * Everything else calls a helper.
 *
 * Threads: the translating vCPU thread.
 */
#include "vfp.h"
#include "vfp_helpers.h"

#define FPSCR_LEN_STRIDE 0x00370000u

static void helper_short_vectors(struct vcpu *v)
{
    if (v->fpscr_rest & FPSCR_LEN_STRIDE) {
        vcpu_raise(v, VCPU_RA(), ARM_EXC_UNDEF, 0, 0);
    }
}

bool vfp_vector_op(struct arm_ctx *s)
{
    if (!vfp_enabled(s)) {
        return false;
    }
    if (s->exec & EXEC_FPSPECIAL) {
        ir_call(s->b, IR_VOID, "short_vectors", (void *)helper_short_vectors, CALL_RAISES, 0, NULL);
    }
    return true;
}

/* Registers as operands of host instructions. */
static ir_ref read_scalar(struct arm_ctx *s, unsigned n, unsigned size)
{
    return ir_get(s->b, IR_V128, vfp_off(n, size), size);
}

static void write_scalar(struct arm_ctx *s, unsigned n, unsigned size, ir_ref v)
{
    ir_put(s->b, vfp_off(n, size), size, v);
}

/* What a helper takes for a vector value of size bytes; 0 stays 0. */
static ir_ref bits_of(struct arm_ctx *s, ir_ref v, unsigned size)
{
    return v ? ir_vtoi(s->b, size == 8 ? IR_I64 : IR_I32, v) : 0;
}

/* Branch when the product's magnitude is the smallest normal number; shifted to drop the sign. */
static void branch_if_smallest(struct arm_ctx *s, ir_ref product, unsigned size, unsigned label)
{
    ir_ref t = ir_op2i(s->b, IR_SHL, bits_of(s, product, size), 1);

    if (size == 8) {
        ir_brcond(s->b, IR_EQ, t, ir_const64(s->b, UINT64_C(1) << 53), label);
    } else {
        ir_brcond(s->b, IR_EQ, t, arm_imm(s, 1u << 24), label);
    }
}

/*
 * An operation on scalars: operand registers by number, and how the helper is called. Unary
 * operations use fm only; accumulating ones read fd as well.
 */
struct scalar_op {
    const char *name;
    void *helper;
    unsigned fd, fn, fm, size;
};

/* r is the result, unless it is a NaN or control comes here by `exact`: the helper's result then.
 */
static void finish(struct arm_ctx *s, const struct scalar_op *o, ir_ref r, unsigned exact,
                   const ir_ref operands[3])
{
    unsigned good = ir_label_new(s->b);
    ir_ref args[3];

    write_scalar(s, o->fd, o->size, r);
    ir_brcond(s->b, IR_EQ, ir_vop(s->b, IR_FISNAN, o->size, r, 0, 0), arm_imm(s, 0), good);
    ir_label(s->b, exact);
    for (unsigned i = 0; i < 3; i++) {
        args[i] = bits_of(s, operands[i], o->size);
    }
    vfp_put_call(s, o->fd, o->size, o->name, o->helper, args[0], args[1], args[2]);
    ir_label(s->b, good);
}

static bool host_possible(const struct arm_ctx *s)
{
    return !(s->exec & EXEC_FPSPECIAL);
}

static bool by_helper(struct arm_ctx *s, const struct scalar_op *o, bool unary, bool accumulate)
{
    ir_ref m, args[3] = {0};
    unsigned n = 0;

    if (!vfp_vector_op(s)) {
        return false;
    }
    m = vfp_get(s, o->fm, o->size);
    if (!unary) {
        args[n++] = vfp_get(s, o->fn, o->size);
    }
    args[n++] = m;
    if (accumulate) {
        args[n++] = vfp_get(s, o->fd, o->size);
    }
    vfp_put_call(s, o->fd, o->size, o->name, o->helper, args[0], args[1], args[2]);
    return true;
}

static bool host_op(struct arm_ctx *s, const struct scalar_op *o, enum ir_op op)
{
    bool unary = op == IR_FSQRT;
    unsigned exact;
    ir_ref x, y, r;

    if (!vfp_enabled(s) || !host_possible(s)) {
        return by_helper(s, o, unary, false);
    }
    exact = ir_label_new(s->b);
    x = read_scalar(s, unary ? o->fm : o->fn, o->size);
    y = unary ? 0 : read_scalar(s, o->fm, o->size);
    r = ir_vop(s->b, op, o->size, x, y, 0);
    if (op == IR_FMUL) {
        branch_if_smallest(s, r, o->size, exact);
    }
    finish(s, o, r, exact, (const ir_ref[3]){x, y});
    return true;
}

/* The sign bit of lane 0. */
static ir_ref sign_mask(struct arm_ctx *s, unsigned size)
{
    if (size == 8) {
        return ir_op1(s->b, IR_ITOV, ir_const64(s->b, UINT64_C(1) << 63));
    }
    return ir_op1(s->b, IR_ITOV, arm_imm(s, 1u << 31));
}

static ir_ref negate_if(struct arm_ctx *s, bool negate, ir_ref v, unsigned size)
{
    return negate ? ir_vop(s->b, IR_VXOR, 8, v, sign_mask(s, size), 0) : v;
}

/* (+-)fd + (+-)(fn * fm), rounded twice; without `accumulate` the negated product alone (VNMUL). */
static bool host_multiply(struct arm_ctx *s, const struct scalar_op *o, bool accumulate,
                          bool negate_d, bool negate_product)
{
    unsigned exact;
    ir_ref x, y, d = 0, r;

    if (!vfp_enabled(s) || !host_possible(s)) {
        return by_helper(s, o, false, accumulate);
    }
    exact = ir_label_new(s->b);
    x = read_scalar(s, o->fn, o->size);
    y = read_scalar(s, o->fm, o->size);
    if (accumulate) {
        d = read_scalar(s, o->fd, o->size);
    }
    r = ir_vop(s->b, IR_FMUL, o->size, x, y, 0);
    branch_if_smallest(s, r, o->size, exact);
    r = negate_if(s, negate_product, r, o->size);
    if (accumulate) {
        r = ir_vop(s->b, IR_FADD, o->size, negate_if(s, negate_d, d, o->size), r, 0);
    }
    finish(s, o, r, exact, (const ir_ref[3]){x, y, d});
    return true;
}

#define SCALAR_OP(name, N, a_fn)                                                   \
    &(struct scalar_op)                                                            \
    {                                                                              \
#name ".f" #N, (void *)vfp_helper_##name##_f##N, a->fd, a_fn, a->fm, N / 8 \
    }

/* Trans functions for S and D registers; `call` sees o. */
#define BOTH(NAME, name, a_fn, call)                                         \
    bool trans_##NAME##_s(struct arm_ctx *s, const struct arg_##NAME##_s *a) \
    {                                                                        \
        const struct scalar_op *o = SCALAR_OP(name, 32, a_fn);               \
                                                                             \
        return call;                                                         \
    }                                                                        \
    bool trans_##NAME##_d(struct arm_ctx *s, const struct arg_##NAME##_d *a) \
    {                                                                        \
        const struct scalar_op *o = SCALAR_OP(name, 64, a_fn);               \
                                                                             \
        return call;                                                         \
    }
BOTH(VADD, vadd, a->fn, host_op(s, o, IR_FADD))
BOTH(VSUB, vsub, a->fn, host_op(s, o, IR_FSUB))
BOTH(VMUL, vmul, a->fn, host_op(s, o, IR_FMUL))
BOTH(VDIV, vdiv, a->fn, host_op(s, o, IR_FDIV))
BOTH(VSQRT, vsqrt, 0, host_op(s, o, IR_FSQRT))
BOTH(VNMUL, vnmul, a->fn, host_multiply(s, o, false, false, true))
BOTH(VMLA, vmla, a->fn, host_multiply(s, o, true, false, false))
BOTH(VMLS, vmls, a->fn, host_multiply(s, o, true, false, true))
BOTH(VNMLS, vnmls, a->fn, host_multiply(s, o, true, true, false))
BOTH(VNMLA, vnmla, a->fn, host_multiply(s, o, true, true, true))
BOTH(VFMA, vfma, a->fn, by_helper(s, o, false, true))
BOTH(VFMS, vfms, a->fn, by_helper(s, o, false, true))
BOTH(VFNMA, vfnma, a->fn, by_helper(s, o, false, true))
BOTH(VFNMS, vfnms, a->fn, by_helper(s, o, false, true))

/* ---- moves, sign operations: bits only ---- */
static bool sign_op(struct arm_ctx *s, unsigned fd, unsigned fm, bool dbl, enum ir_op op,
                    bool operate)
{
    ir_ref v;

    if (!vfp_vector_op(s)) {
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

    if (!vfp_vector_op(s)) {
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

    if (!vfp_vector_op(s)) {
        return false;
    }
    ir_put(s->b, VFP_OFF_D(a->fd), 8, ir_const64(s->b, d));
    return true;
}
