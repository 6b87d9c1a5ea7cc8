/* SPDX-License-Identifier: MIT */
/*
 * Advanced SIMD, three registers of the same length: logic and integer arithmetic in the IR. Shifts
 * by a register are helpers on hosts that have no such shifts. Arm ARM A7.4.1.
 *
 * Threads: the translating vCPU thread.
 */
#include "asimd_build.h"
#include "asimd_shift_helpers.h"

#include "asimd_three_decode.h"

/* All integer lines of the table have these fields. */
#define ARGS       const struct args_fd_fm_fn_q_size_u
#define ARGS_LOGIC const struct args_fd_fm_fn_q

static bool valid(const struct arm_ctx *s, uint32_t q, uint32_t regs_ored)
{
    return asimd_enabled(s) && asimd_regs_ok(q, regs_ored);
}

/* ---- inline ---- */
typedef ir_ref lane_op(struct arm_ctx *s, ARGS *a, ir_ref n, ir_ref m);

static bool inline_op(struct arm_ctx *s, ARGS *a, lane_op *op)
{
    if (!valid(s, a->q, a->fd | a->fn | a->fm)) {
        return false;
    }
    asimd_put(s, a->fd, a->q, op(s, a, asimd_get(s, a->fn, a->q), asimd_get(s, a->fm, a->q)));
    return true;
}

static ir_ref min(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref y)
{
    return asimd_vop(s, a->u ? IR_VMINU : IR_VMINS, 1u << a->size, x, y);
}

static ir_ref max(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref y)
{
    return asimd_vop(s, a->u ? IR_VMAXU : IR_VMAXS, 1u << a->size, x, y);
}

/* x >= y: the greater one is x. */
static ir_ref greater_equal(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref y)
{
    return asimd_vop(s, IR_VCMPEQ, 1u << a->size, max(s, a, x, y), x);
}

static ir_ref greater(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref y)
{
    return a->u ? asimd_not(s, greater_equal(s, a, y, x))
                : asimd_vop(s, IR_VCMPGTS, 1u << a->size, x, y);
}

static ir_ref test_bits(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref y)
{
    ir_ref bits = asimd_vop(s, IR_VAND, 8, x, y);

    return asimd_not(s, asimd_vop(s, IR_VCMPEQ, 1u << a->size, bits, asimd_zero(s)));
}

static ir_ref difference(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref y)
{
    return asimd_vop(s, IR_VSUB, 1u << a->size, max(s, a, x, y), min(s, a, x, y));
}

static ir_ref add_difference(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref y)
{
    return asimd_vop(s, IR_VADD, 1u << a->size, asimd_get(s, a->fd, a->q), difference(s, a, x, y));
}

#define SIMPLE(name, op)                                               \
    static ir_ref name(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref y) \
    {                                                                  \
        return asimd_vop(s, op, 1u << a->size, x, y);                  \
    }

SIMPLE(add, IR_VADD)
SIMPLE(subtract, IR_VSUB)
SIMPLE(equal, IR_VCMPEQ)

#define INLINE(name, op)                                             \
    bool trans_##name(struct arm_ctx *s, const struct arg_##name *a) \
    {                                                                \
        return inline_op(s, a, op);                                  \
    }

INLINE(VADD_int, add)
INLINE(VSUB_int, subtract)
INLINE(VCEQ_int, equal)
INLINE(VCGT_int, greater)
INLINE(VCGE_int, greater_equal)
INLINE(VTST_int, test_bits)
INLINE(VMAX_int, max)
INLINE(VMIN_int, min)
INLINE(VABD_int, difference)
INLINE(VABA_int, add_difference)

/* ---- shifts by a register, which is fn; fm is shifted ---- */
static bool shift(struct arm_ctx *s, ARGS *a, bool round, bool saturate, asimd_fn_table helpers)
{
    struct asimd_shift how = {.is_unsigned = a->u, .round = round, .saturate = saturate};

    if (!valid(s, a->q, a->fd | a->fn | a->fm)) {
        return false;
    }
    if (ir_has_lane_shifts()) {
        asimd_put(s, a->fd, a->q,
                  asimd_shift_lanes(s, &how, a->size, asimd_get(s, a->fm, a->q),
                                    asimd_get(s, a->fn, a->q)));
    } else {
        asimd_call(s, &helpers[a->u][a->size], ASIMD_ARG(a->fd, a->fn, a->fm, a->q, 0));
    }
    return true;
}

#define SHIFT(name, round, saturate, helpers)                        \
    bool trans_##name(struct arm_ctx *s, const struct arg_##name *a) \
    {                                                                \
        return shift(s, a, round, saturate, helpers);                \
    }

SHIFT(VSHL_int, false, false, asimd_shl)
SHIFT(VQSHL_int, false, true, asimd_qshl)
SHIFT(VRSHL_int, true, false, asimd_rshl)
SHIFT(VQRSHL_int, true, true, asimd_qrshl)

/* ---- halving: no bit is lost in (x & y) + half of (x ^ y) ---- */
/* Signed bytes are made unsigned by flipping their signs, since there are no shifts of bytes. */
static ir_ref flip(struct arm_ctx *s, ARGS *a, ir_ref x)
{
    return a->size == 0 && !a->u ? asimd_vop(s, IR_VXOR, 8, x, asimd_lanes(s, 1, 0x80)) : x;
}

static ir_ref half_of_difference(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref y)
{
    ir_ref bits = asimd_vop(s, IR_VXOR, 8, x, y);

    if (a->size == 0) {
        return asimd_vop(s, IR_VAND, 8, asimd_vopi(s, IR_VSHRI, 2, bits, 1),
                         asimd_lanes(s, 1, 0x7f));
    }
    return asimd_vopi(s, a->u ? IR_VSHRI : IR_VSARI, 1u << a->size, bits, 1);
}

static ir_ref halving_add(struct arm_ctx *s, ARGS *a, ir_ref n, ir_ref m)
{
    ir_ref x = flip(s, a, n), y = flip(s, a, m), both = asimd_vop(s, IR_VAND, 8, x, y);

    return flip(s, a, asimd_vop(s, IR_VADD, 1u << a->size, both, half_of_difference(s, a, x, y)));
}

static ir_ref halving_add_rounded(struct arm_ctx *s, ARGS *a, ir_ref n, ir_ref m)
{
    ir_ref x = flip(s, a, n), y = flip(s, a, m), any;

    if (a->size == 0 || (a->size == 1 && a->u)) {
        return flip(s, a, asimd_vop(s, IR_VAVGU, 1u << a->size, x, y));
    }
    any = asimd_vop(s, IR_VOR, 8, x, y);
    return asimd_vop(s, IR_VSUB, 1u << a->size, any, half_of_difference(s, a, x, y));
}

static ir_ref halving_subtract(struct arm_ctx *s, ARGS *a, ir_ref n, ir_ref m)
{
    ir_ref x = flip(s, a, n), y = flip(s, a, m), borrow = asimd_vop(s, IR_VANDN, 8, y, x);

    return asimd_vop(s, IR_VSUB, 1u << a->size, half_of_difference(s, a, x, y), borrow);
}

INLINE(VHADD_int, halving_add)
INLINE(VRHADD_int, halving_add_rounded)
INLINE(VHSUB_int, halving_subtract)

/* ---- saturating ---- */
static ir_ref saturating_add(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref y)
{
    return asimd_qadd_lanes(s, a->u, a->size, x, y);
}

static ir_ref saturating_subtract(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref y)
{
    return asimd_qsub_lanes(s, a->u, a->size, x, y);
}

/* U selects rounding here, not the type. */
static ir_ref doubling_high(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref y)
{
    return asimd_qdmulh_lanes(s, a->size, x, y, a->u);
}

INLINE(VQADD_int, saturating_add)
INLINE(VQSUB_int, saturating_subtract)

INLINE(VQDMULH_int, doubling_high)
INLINE(VQRDMULH_int, doubling_high)

/* ---- pairwise: the even lanes of n followed by m, with the odd ones moved to their places ---- */
static bool pairwise(struct arm_ctx *s, ARGS *a, lane_op *op)
{
    unsigned lane = 1u << a->size;
    ir_ref pairs, odd;

    if (!valid(s, a->q, a->fd | a->fn | a->fm)) {
        return false;
    }
    pairs = asimd_vop(s, IR_VUNPKL, 8, asimd_get(s, a->fn, 0), asimd_get(s, a->fm, 0));
    odd = asimd_vopi(s, IR_VSHRI, 2 * lane, pairs, 8 * lane);
    asimd_put(s, a->fd, 0, asimd_truncate(s, a->size, op(s, a, pairs, odd)));
    return true;
}

#define PAIRWISE(name, op)                                           \
    bool trans_##name(struct arm_ctx *s, const struct arg_##name *a) \
    {                                                                \
        return pairwise(s, a, op);                                   \
    }

PAIRWISE(VPMAX_int, max)
PAIRWISE(VPMIN_int, min)
PAIRWISE(VPADD_int, add)

/* ---- multiplication ---- */
static ir_ref multiply(struct arm_ctx *s, ARGS *a, ir_ref n, ir_ref m)
{
    return a->size == 0 ? asimd_mul_bytes(s, n, m) : asimd_vop(s, IR_VMUL, 1u << a->size, n, m);
}

static ir_ref multiply_add(struct arm_ctx *s, ARGS *a, ir_ref n, ir_ref m)
{
    ir_ref d = asimd_get(s, a->fd, a->q);

    return asimd_vop(s, IR_VADD, 1u << a->size, d, multiply(s, a, n, m));
}

static ir_ref multiply_subtract(struct arm_ctx *s, ARGS *a, ir_ref n, ir_ref m)
{
    ir_ref d = asimd_get(s, a->fd, a->q);

    return asimd_vop(s, IR_VSUB, 1u << a->size, d, multiply(s, a, n, m));
}

static ir_ref multiply_polynomials(struct arm_ctx *s, ARGS *a, ir_ref n, ir_ref m)
{
    (void)a;
    return asimd_pmul_bytes(s, n, m);
}

INLINE(VMUL_p8, multiply_polynomials)
INLINE(VMUL_int, multiply)
INLINE(VMLA_int, multiply_add)
INLINE(VMLS_int, multiply_subtract)

/* ---- logic ---- */
#define LOGIC(name, expr)                                            \
    bool trans_##name(struct arm_ctx *s, const struct arg_##name *a) \
    {                                                                \
        ir_ref n, m;                                                 \
                                                                     \
        if (!valid(s, a->q, a->fd | a->fn | a->fm)) {                \
            return false;                                            \
        }                                                            \
        n = asimd_get(s, a->fn, a->q);                               \
        m = asimd_get(s, a->fm, a->q);                               \
        asimd_put(s, a->fd, a->q, expr);                             \
        return true;                                                 \
    }

LOGIC(VAND_v, asimd_vop(s, IR_VAND, 8, n, m))
LOGIC(VBIC_v, asimd_vop(s, IR_VANDN, 8, n, m))
LOGIC(VORR_v, n == m ? n : asimd_vop(s, IR_VOR, 8, n, m)) /* VMOV (register) */
LOGIC(VORN_v, asimd_vop(s, IR_VOR, 8, n, asimd_not(s, m)))
LOGIC(VEOR_v, asimd_vop(s, IR_VXOR, 8, n, m))
LOGIC(VBSL_v, asimd_select(s, asimd_get(s, a->fd, a->q), n, m))
LOGIC(VBIT_v, asimd_select(s, m, n, asimd_get(s, a->fd, a->q)))
LOGIC(VBIF_v, asimd_select(s, m, asimd_get(s, a->fd, a->q), n))
