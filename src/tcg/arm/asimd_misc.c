/* SPDX-License-Identifier: MIT */
/*
 * Advanced SIMD, two registers: what is not a mere permutation (asimd_permute.c). Simple integer
 * operations are inline, the rest are helpers. Arm ARM A7.4.5; VRINT and VCVT with a rounding mode:
 * DDI 0487 F6.1.
 *
 * Threads: the translating vCPU thread.
 */
#include "asimd_misc_helpers.h"
#include "asimd_imm_helpers.h"

#include "asimd_misc_decode.h"

#define ARGS_F const struct args_f_fd_fm_q_size

static bool valid(const struct arm_ctx *s, uint32_t q, uint32_t regs_ored)
{
    return asimd_enabled(s) && asimd_regs_ok(q, regs_ored);
}

static ir_ref vop(struct arm_ctx *s, enum ir_op op, unsigned lane, ir_ref x, ir_ref y)
{
    return ir_vop(s->b, op, lane, x, y, 0);
}

static bool call(struct arm_ctx *s, const struct asimd_fn *f, uint32_t fd, uint32_t fm, uint32_t q)
{
    if (!valid(s, q, fd | fm)) {
        return false;
    }
    asimd_call(s, f, ASIMD_ARG(fd, 0, fm, q, 0));
    return true;
}

/* ---- integer helpers ---- */
#define BY_HELPER(name, table)                                               \
    bool trans_##name##_v(struct arm_ctx *s, const struct arg_##name##_v *a) \
    {                                                                        \
        return call(s, &table[a->u][a->size], a->fd, a->fm, a->q);           \
    }

BY_HELPER(VPADDL, asimd_paddl)
BY_HELPER(VPADAL, asimd_padal)
BY_HELPER(VCLS, asimd_cls)
BY_HELPER(VCLZ, asimd_clz)
BY_HELPER(VCNT, asimd_cnt)
BY_HELPER(VQABS, asimd_qabs)
BY_HELPER(VQNEG, asimd_qneg)

/* ---- narrowing and widening: shifts by 0 and by the width of a lane ---- */
static bool narrow(struct arm_ctx *s, const struct args_fd_fm_size_u *a, asimd_fn_table table)
{
    if (!asimd_enabled(s) || (a->fm & 1)) {
        return false;
    }
    asimd_call(s, &table[a->u][a->size], ASIMD_ARG(a->fd, 0, a->fm, 0, 0));
    return true;
}

bool trans_VMOVN_v(struct arm_ctx *s, const struct arg_VMOVN_v *a)
{
    return narrow(s, a, asimd_shrn);
}

bool trans_VQMOVN_v(struct arm_ctx *s, const struct arg_VQMOVN_v *a)
{
    return narrow(s, a, asimd_qshrn);
}

bool trans_VQMOVUN_v(struct arm_ctx *s, const struct arg_VQMOVUN_v *a)
{
    return narrow(s, a, asimd_qshrun);
}

bool trans_VSHLL_max(struct arm_ctx *s, const struct arg_VSHLL_max *a)
{
    if (!asimd_enabled(s) || (a->fd & 1)) {
        return false;
    }
    asimd_call(s, &asimd_shll[a->u][a->size], ASIMD_ARG(a->fd, 0, a->fm, 0, 8u << a->size));
    return true;
}

/* ---- inline ---- */
bool trans_VMVN_v(struct arm_ctx *s, const struct arg_VMVN_v *a)
{
    ir_ref x;

    if (!valid(s, a->q, a->fd | a->fm)) {
        return false;
    }
    x = asimd_get(s, a->fm, a->q);
    asimd_put(s, a->fd, a->q, vop(s, IR_VXOR, 8, x, vop(s, IR_VCMPEQ, 4, x, x)));
    return true;
}

/* The floating-point forms exist for words only. */
static bool valid_f(const struct arm_ctx *s, ARGS_F *a)
{
    return valid(s, a->q, a->fd | a->fm) && (!a->f || a->size == 2);
}

static ir_ref zeros(struct arm_ctx *s, ir_ref any)
{
    return vop(s, IR_VXOR, 8, any, any);
}

static ir_ref word_mask(struct arm_ctx *s, uint32_t mask)
{
    return ir_vop(s->b, IR_VDUP, 4, arm_imm(s, mask), 0, 0);
}

bool trans_VABS_v(struct arm_ctx *s, const struct arg_VABS_v *a)
{
    unsigned size = 1u << a->size;
    ir_ref x;

    if (!valid_f(s, a)) {
        return false;
    }
    x = asimd_get(s, a->fm, a->q);
    if (a->f) {
        x = vop(s, IR_VAND, 8, x, word_mask(s, 0x7fffffff));
    } else {
        x = vop(s, IR_VMAXS, size, x, vop(s, IR_VSUB, size, zeros(s, x), x));
    }
    asimd_put(s, a->fd, a->q, x);
    return true;
}

bool trans_VNEG_v(struct arm_ctx *s, const struct arg_VNEG_v *a)
{
    ir_ref x;

    if (!valid_f(s, a)) {
        return false;
    }
    x = asimd_get(s, a->fm, a->q);
    x = a->f ? vop(s, IR_VXOR, 8, x, word_mask(s, 0x80000000))
             : vop(s, IR_VSUB, 1u << a->size, zeros(s, x), x);
    asimd_put(s, a->fd, a->q, x);
    return true;
}

/* ---- comparisons with zero ---- */
static ir_ref greater_zero(struct arm_ctx *s, unsigned size, ir_ref x)
{
    return vop(s, IR_VCMPGTS, size, x, zeros(s, x));
}

static ir_ref less_zero(struct arm_ctx *s, unsigned size, ir_ref x)
{
    return vop(s, IR_VCMPGTS, size, zeros(s, x), x);
}

static ir_ref equal_zero(struct arm_ctx *s, unsigned size, ir_ref x)
{
    return vop(s, IR_VCMPEQ, size, x, zeros(s, x));
}

/* x is the greater, or the lesser, of itself and zero. */
static ir_ref greater_equal_zero(struct arm_ctx *s, unsigned size, ir_ref x)
{
    return vop(s, IR_VCMPEQ, size, vop(s, IR_VMAXS, size, x, zeros(s, x)), x);
}

static ir_ref less_equal_zero(struct arm_ctx *s, unsigned size, ir_ref x)
{
    return vop(s, IR_VCMPEQ, size, vop(s, IR_VMINS, size, x, zeros(s, x)), x);
}

static bool compare_zero(struct arm_ctx *s, ARGS_F *a, const struct asimd_fn *f32,
                         ir_ref (*op)(struct arm_ctx *s, unsigned size, ir_ref x))
{
    if (!valid_f(s, a)) {
        return false;
    }
    if (a->f) {
        return call(s, f32, a->fd, a->fm, a->q);
    }
    asimd_put(s, a->fd, a->q, op(s, 1u << a->size, asimd_get(s, a->fm, a->q)));
    return true;
}

#define COMPARE_ZERO(name, f32, op)                                                \
    bool trans_##name##_zero(struct arm_ctx *s, const struct arg_##name##_zero *a) \
    {                                                                              \
        return compare_zero(s, a, &f32, op);                                       \
    }

COMPARE_ZERO(VCGT, asimd_f32_gt0, greater_zero)
COMPARE_ZERO(VCGE, asimd_f32_ge0, greater_equal_zero)
COMPARE_ZERO(VCEQ, asimd_f32_eq0, equal_zero)
COMPARE_ZERO(VCLE, asimd_f32_le0, less_equal_zero)
COMPARE_ZERO(VCLT, asimd_f32_lt0, less_zero)

/* ---- estimates and conversions ---- */
bool trans_VRECPE_v(struct arm_ctx *s, const struct arg_VRECPE_v *a)
{
    return call(s, &asimd_recpe[a->f], a->fd, a->fm, a->q);
}

bool trans_VRSQRTE_v(struct arm_ctx *s, const struct arg_VRSQRTE_v *a)
{
    return call(s, &asimd_rsqrte[a->f], a->fd, a->fm, a->q);
}

bool trans_VCVT_int_v(struct arm_ctx *s, const struct arg_VCVT_int_v *a)
{
    return call(s, &asimd_convert[a->op], a->fd, a->fm, a->q);
}

bool trans_VCVT_f16_f32_v(struct arm_ctx *s, const struct arg_VCVT_f16_f32_v *a)
{
    return !(a->fm & 1) && call(s, &asimd_f32_to_f16, a->fd, a->fm, 0);
}

bool trans_VCVT_f32_f16_v(struct arm_ctx *s, const struct arg_VCVT_f32_f16_v *a)
{
    return !(a->fd & 1) && call(s, &asimd_f16_to_f32, a->fd, a->fm, 0);
}

bool trans_VRINT_v(struct arm_ctx *s, const struct arg_VRINT_v *a)
{
    return arm_has(s, ARM_FEAT_V8_AARCH32) && call(s, &asimd_rint[a->op], a->fd, a->fm, a->q);
}

bool trans_VCVT_round_v(struct arm_ctx *s, const struct arg_VCVT_round_v *a)
{
    return arm_has(s, ARM_FEAT_V8_AARCH32) &&
           call(s, &asimd_convert_round[a->u][a->op], a->fd, a->fm, a->q);
}
