/* SPDX-License-Identifier: MIT */
/*
 * Advanced SIMD, two registers and a shift amount. Plain shifts are inline: the IR has none for
 * bytes (done in halfwords, with a mask) and no arithmetic one for doublewords (done in general
 * registers); those that round, saturate, narrow or widen are helpers. Arm ARM A7.4.4.
 *
 * Threads: the translating vCPU thread; the helpers run on it too.
 */
#include "asimd_imm_helpers.h"
#include "asimd_vec.h"

#include "asimd_imm_decode.h"
#include "fp/fp.h"

#define ARGS        const struct args_fd_fm_imm_q_u
#define ARGS_NARROW const struct args_fd_fm_imm_u

/* What L:imm6 says: lane size (log2 of bytes), and the amount to either side. */
struct amount {
    unsigned size, left, right;
};

static struct amount amount_of(uint32_t imm)
{
    unsigned size = imm >= 64 ? 3 : imm >= 32 ? 2 : imm >= 16 ? 1 : 0;
    unsigned bits = 8u << size;

    return (struct amount){.size = size, .left = imm - bits, .right = 2 * bits - imm};
}

static bool valid(const struct arm_ctx *s, ARGS *a)
{
    return asimd_enabled(s) && asimd_regs_ok(a->q, a->fd | a->fm);
}

static ir_ref vop(struct arm_ctx *s, enum ir_op op, unsigned lane, ir_ref x, ir_ref y)
{
    return ir_vop(s->b, op, lane, x, y, 0);
}

/* ---- inline ---- */
static ir_ref byte_mask(struct arm_ctx *s, uint32_t mask)
{
    return ir_vop(s->b, IR_VDUP, 1, arm_imm(s, mask & 0xff), 0, 0);
}

static ir_ref shift_left(struct arm_ctx *s, unsigned size, ir_ref x, unsigned n)
{
    if (n == 0) {
        return x;
    }
    if (size == 0) {
        x = ir_vop(s->b, IR_VSHLI, 2, x, 0, n);
        return vop(s, IR_VAND, 8, x, byte_mask(s, 0xffu << n));
    }
    return ir_vop(s->b, IR_VSHLI, 1u << size, x, 0, n);
}

/* n is 1 to the width of a lane; at the width nothing is left. */
static ir_ref shift_right_unsigned(struct arm_ctx *s, unsigned size, ir_ref x, unsigned n)
{
    if (n == 8u << size) {
        return vop(s, IR_VXOR, 8, x, x);
    }
    if (size == 0) {
        x = ir_vop(s->b, IR_VSHRI, 2, x, 0, n);
        return vop(s, IR_VAND, 8, x, byte_mask(s, 0xffu >> n));
    }
    return ir_vop(s->b, IR_VSHRI, 1u << size, x, 0, n);
}

/* Not for doublewords. At the width the result is all sign, as one less gives. */
static ir_ref shift_right_signed(struct arm_ctx *s, unsigned size, ir_ref x, unsigned n)
{
    if (n == 8u << size) {
        n--;
    }
    if (size == 0) { /* extend the sign from where it is now */
        ir_ref sign = byte_mask(s, 0x80u >> n);

        x = shift_right_unsigned(s, size, x, n);
        return vop(s, IR_VSUB, 1, vop(s, IR_VXOR, 8, x, sign), sign);
    }
    return ir_vop(s->b, IR_VSARI, 1u << size, x, 0, n);
}

static void shift_right_s64(struct arm_ctx *s, ARGS *a, unsigned n, bool accumulate)
{
    for (unsigned i = 0; i <= a->q; i++) {
        ir_ref x = ir_get(s->b, IR_I64, ASIMD_OFF(a->fm + i), 8);

        x = ir_op2i(s->b, IR_SAR, x, n == 64 ? 63 : n);
        if (accumulate) {
            x = ir_op2(s->b, IR_ADD, ir_get(s->b, IR_I64, ASIMD_OFF(a->fd + i), 8), x);
        }
        ir_put(s->b, ASIMD_OFF(a->fd + i), 8, x);
    }
}

static bool shift_right(struct arm_ctx *s, ARGS *a, bool accumulate)
{
    struct amount n = amount_of(a->imm);
    ir_ref x;

    if (!valid(s, a)) {
        return false;
    }
    if (n.size == 3 && !a->u) {
        shift_right_s64(s, a, n.right, accumulate);
        return true;
    }
    x = asimd_get(s, a->fm, a->q);
    x = a->u ? shift_right_unsigned(s, n.size, x, n.right)
             : shift_right_signed(s, n.size, x, n.right);
    if (accumulate) {
        x = vop(s, IR_VADD, 1u << n.size, asimd_get(s, a->fd, a->q), x);
    }
    asimd_put(s, a->fd, a->q, x);
    return true;
}

bool trans_VSHR_imm(struct arm_ctx *s, const struct arg_VSHR_imm *a)
{
    return shift_right(s, a, false);
}

bool trans_VSRA_imm(struct arm_ctx *s, const struct arg_VSRA_imm *a)
{
    return shift_right(s, a, true);
}

bool trans_VSHL_imm(struct arm_ctx *s, const struct arg_VSHL_imm *a)
{
    struct amount n = amount_of(a->imm);

    if (!valid(s, a)) {
        return false;
    }
    asimd_put(s, a->fd, a->q, shift_left(s, n.size, asimd_get(s, a->fm, a->q), n.left));
    return true;
}

/* Put x into the destination's bits under `mask`. */
static void insert(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref mask)
{
    ir_ref old = vop(s, IR_VANDN, 8, asimd_get(s, a->fd, a->q), mask);

    asimd_put(s, a->fd, a->q, vop(s, IR_VOR, 8, old, x));
}

static ir_ref all_ones(struct arm_ctx *s, ir_ref any)
{
    return vop(s, IR_VCMPEQ, 4, any, any);
}

bool trans_VSLI_imm(struct arm_ctx *s, const struct arg_VSLI_imm *a)
{
    struct amount n = amount_of(a->imm);
    ir_ref x;

    if (!valid(s, a)) {
        return false;
    }
    x = asimd_get(s, a->fm, a->q);
    insert(s, a, shift_left(s, n.size, x, n.left), shift_left(s, n.size, all_ones(s, x), n.left));
    return true;
}

bool trans_VSRI_imm(struct arm_ctx *s, const struct arg_VSRI_imm *a)
{
    struct amount n = amount_of(a->imm);
    ir_ref x;

    if (!valid(s, a)) {
        return false;
    }
    x = asimd_get(s, a->fm, a->q);
    insert(s, a, shift_right_unsigned(s, n.size, x, n.right),
           shift_right_unsigned(s, n.size, all_ones(s, x), n.right));
    return true;
}

/* ---- helpers ---- */
static bool by_helper(struct arm_ctx *s, ARGS *a, asimd_fn_table table, bool left)
{
    struct amount n = amount_of(a->imm);

    if (!valid(s, a)) {
        return false;
    }
    asimd_call(s, &table[a->u][n.size], ASIMD_ARG(a->fd, 0, a->fm, a->q, left ? n.left : n.right));
    return true;
}

#define BY_HELPER(name, table, left)                                             \
    bool trans_##name##_imm(struct arm_ctx *s, const struct arg_##name##_imm *a) \
    {                                                                            \
        return by_helper(s, a, table, left);                                     \
    }

BY_HELPER(VRSHR, asimd_rshr_imm, false)
BY_HELPER(VRSRA, asimd_rsra_imm, false)
BY_HELPER(VQSHL, asimd_qshl_imm, true)
BY_HELPER(VQSHLU, asimd_qshlu_imm, true)

static bool narrow(struct arm_ctx *s, ARGS_NARROW *a, asimd_fn_table table)
{
    struct amount n = amount_of(a->imm);

    if (!asimd_enabled(s) || (a->fm & 1)) {
        return false;
    }
    asimd_call(s, &table[a->u][n.size], ASIMD_ARG(a->fd, 0, a->fm, 0, n.right));
    return true;
}

#define NARROW(name, table)                                                      \
    bool trans_##name##_imm(struct arm_ctx *s, const struct arg_##name##_imm *a) \
    {                                                                            \
        return narrow(s, a, table);                                              \
    }

NARROW(VSHRN, asimd_shrn)
NARROW(VRSHRN, asimd_rshrn)
NARROW(VQSHRN, asimd_qshrn)
NARROW(VQRSHRN, asimd_qrshrn)
NARROW(VQSHRUN, asimd_qshrun)
NARROW(VQRSHRUN, asimd_qrshrun)

bool trans_VSHLL_imm(struct arm_ctx *s, const struct arg_VSHLL_imm *a)
{
    struct amount n = amount_of(a->imm);

    if (!asimd_enabled(s) || (a->fd & 1)) {
        return false;
    }
    asimd_call(s, &asimd_shll[a->u][n.size], ASIMD_ARG(a->fd, 0, a->fm, 0, n.left));
    return true;
}

/* ---- conversions between single precision and fixed point; the amount is the fraction's bits ----
 */
#define CONVERT(name, expr)                                         \
    static void helper_##name(struct vcpu *v, uint32_t arg)         \
    {                                                               \
        struct fp_env env = fp_env_standard(v->fpscr_rest);         \
        union asimd_vec m = asimd_read(v, ARG_FM(arg), ARG_Q(arg)); \
        unsigned fbits = ARG_IMM(arg);                              \
                                                                    \
        for (unsigned i = 0; i < (ARG_Q(arg) ? 4 : 2); i++) {       \
            m.u32[i] = (uint32_t)(expr);                            \
        }                                                           \
        v->fpscr_rest |= env.flags;                                 \
        asimd_write(v, ARG_FD(arg), ARG_Q(arg), &m);                \
    }

CONVERT(f32_to_s32, fp_to_int_f32(m.u32[i], 32, false, fbits, FP_RZ, &env))
CONVERT(f32_to_u32, fp_to_int_f32(m.u32[i], 32, true, fbits, FP_RZ, &env))
CONVERT(s32_to_f32, fp_from_int_f32((uint64_t)(int64_t)m.s32[i], false, fbits, FP_RN, &env))
CONVERT(u32_to_f32, fp_from_int_f32(m.u32[i], true, fbits, FP_RN, &env))

static const struct asimd_fn from_f32[2] = {{"f32_to_s32", helper_f32_to_s32},
                                            {"f32_to_u32", helper_f32_to_u32}};
static const struct asimd_fn to_f32[2] = {{"s32_to_f32", helper_s32_to_f32},
                                          {"u32_to_f32", helper_u32_to_f32}};

static bool convert(struct arm_ctx *s, ARGS *a, const struct asimd_fn *f)
{
    if (!valid(s, a)) {
        return false;
    }
    asimd_call(s, f, ASIMD_ARG(a->fd, 0, a->fm, a->q, 32 - a->imm));
    return true;
}

bool trans_VCVT_fixed_to_f32(struct arm_ctx *s, const struct arg_VCVT_fixed_to_f32 *a)
{
    return convert(s, a, &to_f32[a->u]);
}

bool trans_VCVT_fixed_from_f32(struct arm_ctx *s, const struct arg_VCVT_fixed_from_f32 *a)
{
    return convert(s, a, &from_f32[a->u]);
}
