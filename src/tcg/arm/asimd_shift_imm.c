/* SPDX-License-Identifier: MIT */
/*
 * Advanced SIMD, two registers and a shift amount, in the IR. That has no shifts of bytes (done in
 * halfwords, with a mask) and no arithmetic one of doublewords (done in general registers). Helpers
 * shift left with saturation, and signed doublewords with rounding or saturation. Arm ARM A7.4.4.
 *
 * Threads: the translating vCPU thread; the helpers run on it too.
 */
#include "asimd_build.h"
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

/* ---- inline ---- */
static ir_ref shift_left(struct arm_ctx *s, unsigned size, ir_ref x, unsigned n)
{
    if (n == 0) {
        return x;
    }
    if (size == 0) {
        x = asimd_vopi(s, IR_VSHLI, 2, x, n);
        return asimd_vop(s, IR_VAND, 8, x, asimd_lanes(s, 1, 0xffu << n));
    }
    return asimd_vopi(s, IR_VSHLI, 1u << size, x, n);
}

/* n is 1 to the width of a lane; at the width nothing is left. */
static ir_ref shift_right_unsigned(struct arm_ctx *s, unsigned size, ir_ref x, unsigned n)
{
    if (n == 8u << size) {
        return asimd_zero(s);
    }
    if (size == 0) {
        x = asimd_vopi(s, IR_VSHRI, 2, x, n);
        return asimd_vop(s, IR_VAND, 8, x, asimd_lanes(s, 1, 0xffu >> n));
    }
    return asimd_vopi(s, IR_VSHRI, 1u << size, x, n);
}

/* Not for doublewords. At the width the result is all sign, as one less gives. */
static ir_ref shift_right_signed(struct arm_ctx *s, unsigned size, ir_ref x, unsigned n)
{
    if (n == 8u << size) {
        n--;
    }
    if (size == 0) { /* extend the sign from where it is now */
        ir_ref sign = asimd_lanes(s, 1, 0x80u >> n);

        x = shift_right_unsigned(s, size, x, n);
        return asimd_vop(s, IR_VSUB, 1, asimd_vop(s, IR_VXOR, 8, x, sign), sign);
    }
    return asimd_vopi(s, IR_VSARI, 1u << size, x, n);
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
        x = asimd_vop(s, IR_VADD, 1u << n.size, asimd_get(s, a->fd, a->q), x);
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
    ir_ref old = asimd_vop(s, IR_VANDN, 8, asimd_get(s, a->fd, a->q), mask);

    asimd_put(s, a->fd, a->q, asimd_vop(s, IR_VOR, 8, old, x));
}

bool trans_VSLI_imm(struct arm_ctx *s, const struct arg_VSLI_imm *a)
{
    struct amount n = amount_of(a->imm);
    ir_ref x;

    if (!valid(s, a)) {
        return false;
    }
    x = asimd_get(s, a->fm, a->q);
    insert(s, a, shift_left(s, n.size, x, n.left), shift_left(s, n.size, asimd_ones(s), n.left));
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
           shift_right_unsigned(s, n.size, asimd_ones(s), n.right));
    return true;
}

/* ---- rounding: the last bit shifted out is added after the shift, so that nothing carries out
 * ---- */
/* n is 1 to the width of a lane. Not for signed doublewords. */
static ir_ref shift_right_rounded(struct arm_ctx *s, bool is_unsigned, unsigned size, ir_ref x,
                                  unsigned n)
{
    ir_ref last = n == 1 ? x : shift_right_unsigned(s, size, x, n - 1), r, one;

    if (n == 8u << size && !is_unsigned) {
        return asimd_zero(s); /* -1 or 0, and the sign as the last bit */
    }
    one = size == 3 ? asimd_vopi(s, IR_VSHRI, 8, asimd_ones(s), 63) : asimd_lanes(s, 1u << size, 1);
    r = is_unsigned ? shift_right_unsigned(s, size, x, n) : shift_right_signed(s, size, x, n);
    return asimd_vop(s, IR_VADD, 1u << size, r, asimd_vop(s, IR_VAND, 8, last, one));
}

static bool by_helper(struct arm_ctx *s, ARGS *a, const struct asimd_fn *f, unsigned n)
{
    if (!valid(s, a)) {
        return false;
    }
    asimd_call(s, f, ASIMD_ARG(a->fd, 0, a->fm, a->q, n));
    return true;
}

static bool round_right(struct arm_ctx *s, ARGS *a, bool accumulate)
{
    struct amount n = amount_of(a->imm);
    ir_ref x;

    if (n.size == 3 && !a->u) {
        return by_helper(s, a, accumulate ? &asimd_rsra_s64 : &asimd_rshr_s64, n.right);
    }
    if (!valid(s, a)) {
        return false;
    }
    x = shift_right_rounded(s, a->u, n.size, asimd_get(s, a->fm, a->q), n.right);
    if (accumulate) {
        x = asimd_vop(s, IR_VADD, 1u << n.size, asimd_get(s, a->fd, a->q), x);
    }
    asimd_put(s, a->fd, a->q, x);
    return true;
}

bool trans_VRSHR_imm(struct arm_ctx *s, const struct arg_VRSHR_imm *a)
{
    return round_right(s, a, false);
}

bool trans_VRSRA_imm(struct arm_ctx *s, const struct arg_VRSRA_imm *a)
{
    return round_right(s, a, true);
}

bool trans_VQSHL_imm(struct arm_ctx *s, const struct arg_VQSHL_imm *a)
{
    struct amount n = amount_of(a->imm);

    return by_helper(s, a, &asimd_qshl_imm[a->u][n.size], n.left);
}

bool trans_VQSHLU_imm(struct arm_ctx *s, const struct arg_VQSHLU_imm *a)
{
    struct amount n = amount_of(a->imm);

    return by_helper(s, a, &asimd_qshlu_imm[a->u][n.size], n.left);
}

/* ---- narrowing: amount 1 to the width of the narrow lane ---- */
static bool narrow_valid(const struct arm_ctx *s, ARGS_NARROW *a)
{
    return asimd_enabled(s) && !(a->fm & 1);
}

/* Bits from n up: rounding needs those that survive the wide lane only, and its carry is lost. */
static bool truncate(struct arm_ctx *s, ARGS_NARROW *a, bool round)
{
    struct amount n = amount_of(a->imm);
    ir_ref x;

    if (!narrow_valid(s, a)) {
        return false;
    }
    x = asimd_get(s, a->fm, 1);
    x = round ? shift_right_rounded(s, true, n.size + 1, x, n.right)
              : shift_right_unsigned(s, n.size + 1, x, n.right);
    asimd_put(s, a->fd, 0, asimd_truncate(s, n.size, x));
    return true;
}

/* How numbers saturate: `u` of the instruction, or signed to unsigned. */
static bool saturate(struct arm_ctx *s, ARGS_NARROW *a, bool round, bool to_unsigned,
                     asimd_fn_table doublewords)
{
    struct amount n = amount_of(a->imm);
    unsigned wide = n.size + 1;
    ir_ref x;

    if (!narrow_valid(s, a)) {
        return false;
    }
    if (n.size == 2) {
        asimd_call(s, &doublewords[a->u][2], ASIMD_ARG(a->fd, 0, a->fm, 0, n.right));
        return true;
    }
    x = asimd_get(s, a->fm, 1);
    if (round) {
        x = shift_right_rounded(s, a->u, wide, x, n.right);
    } else {
        x = a->u ? shift_right_unsigned(s, wide, x, n.right)
                 : shift_right_signed(s, wide, x, n.right);
    }
    asimd_put(s, a->fd, 0, asimd_narrow_lanes(s, n.size, x, a->u, a->u || to_unsigned));
    return true;
}

#define NARROW(name, expr)                                                       \
    bool trans_##name##_imm(struct arm_ctx *s, const struct arg_##name##_imm *a) \
    {                                                                            \
        return expr;                                                             \
    }

NARROW(VSHRN, truncate(s, a, false))
NARROW(VRSHRN, truncate(s, a, true))
NARROW(VQSHRN, saturate(s, a, false, false, asimd_qshrn))
NARROW(VQRSHRN, saturate(s, a, true, false, asimd_qrshrn))
NARROW(VQSHRUN, saturate(s, a, false, true, asimd_qshrun))
NARROW(VQRSHRUN, saturate(s, a, true, true, asimd_qrshrun))

bool trans_VSHLL_imm(struct arm_ctx *s, const struct arg_VSHLL_imm *a)
{
    struct amount n = amount_of(a->imm);
    ir_ref x;

    if (!asimd_enabled(s) || (a->fd & 1)) {
        return false;
    }
    x = asimd_widen(s, a->u, n.size, asimd_get(s, a->fm, 0));
    asimd_put(s, a->fd, 1, shift_left(s, n.size + 1, x, n.left));
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
