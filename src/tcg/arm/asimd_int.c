/* SPDX-License-Identifier: MIT */
/*
 * Advanced SIMD, three registers of the same length: logic and integer arithmetic. What the IR has
 * an operation for is inline, the rest are helpers lane by lane. Arm ARM A7.4.1.
 *
 * Threads: the translating vCPU thread.
 */
#include "asimd.h"
#include "asimd_int_helpers.h"

#include "asimd_three_decode.h"

/* All integer lines of the table have these fields. */
#define ARGS       const struct args_fd_fm_fn_q_size_u
#define ARGS_LOGIC const struct args_fd_fm_fn_q

static bool valid(const struct arm_ctx *s, uint32_t q, uint32_t regs_ored)
{
    return asimd_enabled(s) && asimd_regs_ok(q, regs_ored);
}

static ir_ref vop(struct arm_ctx *s, enum ir_op op, unsigned lane, ir_ref x, ir_ref y)
{
    return ir_vop(s->b, op, lane, x, y, 0);
}

/* ---- helpers ---- */
static bool by_helper(struct arm_ctx *s, ARGS *a, asimd_fn_table table)
{
    const struct asimd_fn *f = &table[a->u][a->size];

    if (!valid(s, a->q, a->fd | a->fn | a->fm) || !f->fn) {
        return false;
    }
    asimd_call(s, f, ASIMD_ARG(a->fd, a->fn, a->fm, a->q, 0));
    return true;
}

#define BY_HELPER(name, table)                                       \
    bool trans_##name(struct arm_ctx *s, const struct arg_##name *a) \
    {                                                                \
        return by_helper(s, a, table);                               \
    }

BY_HELPER(VHADD_int, asimd_hadd)
BY_HELPER(VRHADD_int, asimd_rhadd)
BY_HELPER(VHSUB_int, asimd_hsub)
BY_HELPER(VQADD_int, asimd_qadd)
BY_HELPER(VQSUB_int, asimd_qsub)
BY_HELPER(VSHL_int, asimd_shl)
BY_HELPER(VQSHL_int, asimd_qshl)
BY_HELPER(VRSHL_int, asimd_rshl)
BY_HELPER(VQRSHL_int, asimd_qrshl)
BY_HELPER(VPMAX_int, asimd_pmax)
BY_HELPER(VPMIN_int, asimd_pmin)
BY_HELPER(VPADD_int, asimd_padd)
BY_HELPER(VMUL_p8, asimd_mul8)

/* U selects rounding here, not the type. */
bool trans_VQDMULH_int(struct arm_ctx *s, const struct arg_VQDMULH_int *a)
{
    return by_helper(s, a, asimd_qdmulh);
}

bool trans_VQRDMULH_int(struct arm_ctx *s, const struct arg_VQRDMULH_int *a)
{
    struct args_fd_fm_fn_q_size_u is_signed = *a;

    is_signed.u = 0;
    return by_helper(s, &is_signed, asimd_qrdmulh);
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

static ir_ref not(struct arm_ctx * s, ir_ref x)
{
    return vop(s, IR_VXOR, 8, x, vop(s, IR_VCMPEQ, 4, x, x));
}

static ir_ref min(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref y)
{
    return vop(s, a->u ? IR_VMINU : IR_VMINS, 1u << a->size, x, y);
}

static ir_ref max(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref y)
{
    return vop(s, a->u ? IR_VMAXU : IR_VMAXS, 1u << a->size, x, y);
}

/* x >= y: the greater one is x. */
static ir_ref greater_equal(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref y)
{
    return vop(s, IR_VCMPEQ, 1u << a->size, max(s, a, x, y), x);
}

static ir_ref greater(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref y)
{
    return a->u ? not(s, greater_equal(s, a, y, x)) : vop(s, IR_VCMPGTS, 1u << a->size, x, y);
}

static ir_ref test_bits(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref y)
{
    ir_ref zero = vop(s, IR_VXOR, 8, x, x);

    return not(s, vop(s, IR_VCMPEQ, 1u << a->size, vop(s, IR_VAND, 8, x, y), zero));
}

static ir_ref difference(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref y)
{
    return vop(s, IR_VSUB, 1u << a->size, max(s, a, x, y), min(s, a, x, y));
}

static ir_ref add_difference(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref y)
{
    return vop(s, IR_VADD, 1u << a->size, asimd_get(s, a->fd, a->q), difference(s, a, x, y));
}

#define SIMPLE(name, op)                                               \
    static ir_ref name(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref y) \
    {                                                                  \
        return vop(s, op, 1u << a->size, x, y);                        \
    }

SIMPLE(add, IR_VADD)
SIMPLE(subtract, IR_VSUB)
SIMPLE(equal, IR_VCMPEQ)
SIMPLE(multiply, IR_VMUL)

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

/* ---- multiplication: bytes by helpers ---- */
static ir_ref multiply_add(struct arm_ctx *s, ARGS *a, ir_ref n, ir_ref m)
{
    return vop(s, IR_VADD, 1u << a->size, asimd_get(s, a->fd, a->q), multiply(s, a, n, m));
}

static ir_ref multiply_subtract(struct arm_ctx *s, ARGS *a, ir_ref n, ir_ref m)
{
    return vop(s, IR_VSUB, 1u << a->size, asimd_get(s, a->fd, a->q), multiply(s, a, n, m));
}

bool trans_VMUL_int(struct arm_ctx *s, const struct arg_VMUL_int *a)
{
    return a->size == 0 ? by_helper(s, a, asimd_mul8) : inline_op(s, a, multiply);
}

bool trans_VMLA_int(struct arm_ctx *s, const struct arg_VMLA_int *a)
{
    return a->size == 0 ? by_helper(s, a, asimd_mla8) : inline_op(s, a, multiply_add);
}

bool trans_VMLS_int(struct arm_ctx *s, const struct arg_VMLS_int *a)
{
    return a->size == 0 ? by_helper(s, a, asimd_mls8) : inline_op(s, a, multiply_subtract);
}

/* ---- logic ---- */
static ir_ref select_bits(struct arm_ctx *s, ir_ref mask, ir_ref ones, ir_ref zeros)
{
    return vop(s, IR_VOR, 8, vop(s, IR_VAND, 8, ones, mask), vop(s, IR_VANDN, 8, zeros, mask));
}

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

LOGIC(VAND_v, vop(s, IR_VAND, 8, n, m))
LOGIC(VBIC_v, vop(s, IR_VANDN, 8, n, m))
LOGIC(VORR_v, n == m ? n : vop(s, IR_VOR, 8, n, m)) /* VMOV (register) */
LOGIC(VORN_v, vop(s, IR_VOR, 8, n, not(s, m)))
LOGIC(VEOR_v, vop(s, IR_VXOR, 8, n, m))
LOGIC(VBSL_v, select_bits(s, asimd_get(s, a->fd, a->q), n, m))
LOGIC(VBIT_v, select_bits(s, m, n, asimd_get(s, a->fd, a->q)))
LOGIC(VBIF_v, select_bits(s, m, asimd_get(s, a->fd, a->q), n))
