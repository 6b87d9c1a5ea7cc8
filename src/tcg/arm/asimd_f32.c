/* SPDX-License-Identifier: MIT */
/*
 * Advanced SIMD, three registers of the same length, or the third a scalar: single-precision
 * floating point. Every operation works lane by lane under the standard FPSCR value (flush to zero,
 * default NaN, round to nearest; A2.6.2) and adds its exception flags to FPSCR. The common ones are
 * packed nodes of the IR, with helpers for what the host does otherwise. Arm ARM A7.4.1, A7.4.3;
 * VMAXNM, VMINNM: DDI 0487 F6.1.
 *
 * Threads: the translating vCPU thread; the helpers run on it too.
 */
#include "asimd_f32.h"
#include "asimd_build.h"
#include "asimd_vec.h"

#include "asimd_three_decode.h"
#include "fp/fp.h"

/* ---- helpers of nodes: expr of lanes x, y and z of the operands ---- */
#define LANES(name, expr)                                                          \
    static void lanes_##name(struct vcpu *v)                                       \
    {                                                                              \
        struct fp_env standard = fp_env_standard(v->fpscr_rest), *env = &standard; \
                                                                                   \
        for (unsigned i = 0; i < 4; i++) {                                         \
            uint32_t x = v->float_arg[0][i], y = v->float_arg[1][i];               \
            uint32_t z = v->float_arg[2][i];                                       \
                                                                                   \
            (void)y, (void)z;                                                      \
            v->float_arg[0][i] = expr;                                             \
        }                                                                          \
        v->fpscr_rest |= env->flags;                                               \
    }

#define MASK(condition) ((condition) ? ~0u : 0)

LANES(add, fp_add_f32(x, y, env))
LANES(sub, fp_sub_f32(x, y, env))
LANES(mul, fp_mul_f32(x, y, env))
LANES(fma, fp_muladd_f32(z, x, y, env))
LANES(max, fp_max_f32(x, y, env))
LANES(min, fp_min_f32(x, y, env))
LANES(ceq, MASK(fp_compare_eq_f32(x, y, env)))
LANES(cge, MASK(fp_compare_ge_f32(x, y, env)))
LANES(cgt, MASK(fp_compare_gt_f32(x, y, env)))

ir_ref asimd_fop(struct arm_ctx *s, enum ir_op op, ir_ref x, ir_ref y, ir_ref z)
{
    static const struct asimd_lanes_fn {
        const char *name;
        void (*fn)(struct vcpu *v);
    } helpers[] = {
        {"add_f32", lanes_add}, {"sub_f32", lanes_sub}, {"mul_f32", lanes_mul},
        {"fma_f32", lanes_fma}, {"max_f32", lanes_max}, {"min_f32", lanes_min},
        {"ceq_f32", lanes_ceq}, {"cge_f32", lanes_cge}, {"cgt_f32", lanes_cgt},
    };
    const struct asimd_lanes_fn *h = &helpers[op - IR_VFADD];
    struct ir_float f = {.name = h->name, .helper = (void *)h->fn, .size = 4, .how = IR_FP_FZ};

    return ir_fop(s->b, op, &f, x, y, z);
}

LANES(to_s32, (uint32_t)fp_to_int_f32(x, 32, false, 0, FP_RZ, env))
LANES(to_u32, (uint32_t)fp_to_int_f32(x, 32, true, 0, FP_RZ, env))

ir_ref asimd_f32_to_int(struct arm_ctx *s, bool is_unsigned, ir_ref x)
{
    struct ir_float f = {
        .name = is_unsigned ? "f32_to_u32" : "f32_to_s32",
        .helper = is_unsigned ? (void *)lanes_to_u32 : (void *)lanes_to_s32,
        .size = 4,
        .how = IR_FP_FZ | (is_unsigned ? IR_FP_UNSIGNED : 0),
    };

    return ir_fop(s->b, IR_VFTOI, &f, x, 0, 0);
}

ir_ref asimd_f32_from_int(struct arm_ctx *s, bool is_unsigned, ir_ref x)
{
    struct ir_float f = {.size = 4, .how = is_unsigned ? IR_FP_UNSIGNED : 0};

    return ir_fop(s->b, IR_VITOF, &f, x, 0, 0);
}

static ir_ref negate(struct arm_ctx *s, ir_ref x)
{
    return asimd_vop(s, IR_VXOR, 8, x, asimd_lanes(s, 4, 0x80000000));
}

static ir_ref absolute(struct arm_ctx *s, ir_ref x)
{
    return asimd_vop(s, IR_VAND, 8, x, asimd_lanes(s, 4, 0x7fffffff));
}

/* ---- steps of Newton's method: 2 - x * y, (3 - x * y) / 2 (A8.8: VRECPS, VRSQRTS) ----
 * Infinity times zero is zero there, and raises nothing. */
#define INFINITY_F32 0x7f800000u

static uint32_t step_product(uint32_t x, uint32_t y, struct fp_env *env)
{
    bool x_infinite = (x & ~0x80000000u) == INFINITY_F32, x_zero = !(x & INFINITY_F32);
    bool y_infinite = (y & ~0x80000000u) == INFINITY_F32, y_zero = !(y & INFINITY_F32);

    if ((x_infinite && y_zero) || (x_zero && y_infinite)) {
        env->flags |= (x_zero ? x : y) << 1 ? FP_IDC : 0; /* a subnormal number counts as zero */
        return 0;
    }
    return fp_mul_f32(x, y, env);
}

LANES(step_product, step_product(x, y, env))

static ir_ref zero_lanes(struct arm_ctx *s, ir_ref x)
{
    return asimd_vop(s, IR_VCMPEQ, 4, asimd_vop(s, IR_VADD, 4, x, x), asimd_zero(s));
}

static ir_ref infinite_lanes(struct arm_ctx *s, ir_ref x)
{
    return asimd_vop(s, IR_VCMPEQ, 4, absolute(s, x), asimd_lanes(s, 4, INFINITY_F32));
}

/* The node never sees infinity and zero together, but for subnormal numbers, which its helper
 * takes. */
static ir_ref step(struct arm_ctx *s, ir_ref x, ir_ref y)
{
    struct ir_float f = {
        .name = "step_f32", .helper = (void *)lanes_step_product, .size = 4, .how = IR_FP_FZ};
    ir_ref special =
        asimd_vop(s, IR_VOR, 8, asimd_vop(s, IR_VAND, 8, infinite_lanes(s, x), zero_lanes(s, y)),
                  asimd_vop(s, IR_VAND, 8, zero_lanes(s, x), infinite_lanes(s, y)));

    return ir_fop(s->b, IR_VFMUL, &f, asimd_vop(s, IR_VANDN, 8, x, special),
                  asimd_vop(s, IR_VANDN, 8, y, special), 0);
}

#define TWO_F32   0x40000000u
#define THREE_F32 0x40400000u
#define HALF_F32  0x3f000000u

/* ---- helpers on registers ---- */
/* result = expr of lanes x of fn and y of fm. Lanes that do not exist must raise no flags. */
#define LANEWISE(name, expr)                                                       \
    static void helper_##name(struct vcpu *v, uint32_t arg)                        \
    {                                                                              \
        struct fp_env standard = fp_env_standard(v->fpscr_rest), *env = &standard; \
        union asimd_vec n = asimd_read(v, ARG_FN(arg), ARG_Q(arg));                \
        union asimd_vec m = asimd_read(v, ARG_FM(arg), ARG_Q(arg));                \
                                                                                   \
        for (unsigned i = 0; i < (ARG_Q(arg) ? 4 : 2); i++) {                      \
            uint32_t x = n.u32[i], y = m.u32[i];                                   \
                                                                                   \
            n.u32[i] = expr;                                                       \
        }                                                                          \
        v->fpscr_rest |= env->flags;                                               \
        asimd_write(v, ARG_FD(arg), ARG_Q(arg), &n);                               \
    }

LANEWISE(maxnm, fp_maxnum_f32(x, y, env))
LANEWISE(minnm, fp_minnum_f32(x, y, env))

#define ARGS const struct args_fd_fm_fn_q

static bool valid(const struct arm_ctx *s, ARGS *a)
{
    return asimd_enabled(s) && asimd_regs_ok(a->q, a->fd | a->fn | a->fm);
}

static bool call(struct arm_ctx *s, ARGS *a, const struct asimd_fn *f)
{
    if (!valid(s, a)) {
        return false;
    }
    asimd_call(s, f, ASIMD_ARG(a->fd, a->fn, a->fm, a->q, 0));
    return true;
}

#define THREE_V8(name, helper)                                                        \
    bool trans_##name##_f32(struct arm_ctx *s, const struct arg_##name##_f32 *a)      \
    {                                                                                 \
        return arm_has(s, ARM_FEAT_V8_AARCH32) &&                                     \
               call(s, a, &(const struct asimd_fn){#helper "_f32", helper_##helper}); \
    }

THREE_V8(VMAXNM, maxnm)
THREE_V8(VMINNM, minnm)

/* ---- nodes: expr of the operands n and m and the destination's old value d ---- */
#define NODES(name, expr)                                                        \
    bool trans_##name##_f32(struct arm_ctx *s, const struct arg_##name##_f32 *a) \
    {                                                                            \
        ir_ref n, m, d;                                                          \
                                                                                 \
        if (!valid(s, a)) {                                                      \
            return false;                                                        \
        }                                                                        \
        n = asimd_get(s, a->fn, a->q);                                           \
        m = asimd_get(s, a->fm, a->q);                                           \
        d = asimd_get(s, a->fd, a->q);                                           \
        (void)d;                                                                 \
        asimd_put(s, a->fd, a->q, expr);                                         \
        return true;                                                             \
    }

NODES(VADD, asimd_fop(s, IR_VFADD, n, m, 0))
NODES(VSUB, asimd_fop(s, IR_VFSUB, n, m, 0))
NODES(VMUL, asimd_fop(s, IR_VFMUL, n, m, 0))
NODES(VMLA, asimd_fop(s, IR_VFADD, d, asimd_fop(s, IR_VFMUL, n, m, 0), 0))
NODES(VMLS, asimd_fop(s, IR_VFSUB, d, asimd_fop(s, IR_VFMUL, n, m, 0), 0))
NODES(VFMA, asimd_fop(s, IR_VFMA, n, m, d))
NODES(VFMS, asimd_fop(s, IR_VFMA, negate(s, n), m, d))
NODES(VABD, absolute(s, asimd_fop(s, IR_VFSUB, n, m, 0)))
NODES(VMAX, asimd_fop(s, IR_VFMAX, n, m, 0))
NODES(VMIN, asimd_fop(s, IR_VFMIN, n, m, 0))
NODES(VCEQ, asimd_fop(s, IR_VFCEQ, n, m, 0))
NODES(VCGE, asimd_fop(s, IR_VFCGE, n, m, 0))
NODES(VCGT, asimd_fop(s, IR_VFCGT, n, m, 0))
NODES(VACGE, asimd_fop(s, IR_VFCGE, absolute(s, n), absolute(s, m), 0))
NODES(VACGT, asimd_fop(s, IR_VFCGT, absolute(s, n), absolute(s, m), 0))
NODES(VRECPS, asimd_fop(s, IR_VFSUB, asimd_lanes(s, 4, TWO_F32), step(s, n, m), 0))
NODES(VRSQRTS,
      asimd_fop(s, IR_VFMUL, asimd_fop(s, IR_VFSUB, asimd_lanes(s, 4, THREE_F32), step(s, n, m), 0),
                asimd_lanes(s, 4, HALF_F32), 0))

/* Pairs: even and odd lanes of n followed by m, in the low halves, and nothing above. */
static bool pairwise(struct arm_ctx *s, ARGS *a, enum ir_op op)
{
    ir_ref pairs, even, odd;

    if (!valid(s, a)) {
        return false;
    }
    pairs = asimd_vop(s, IR_VUNPKL, 8, asimd_get(s, a->fn, 0), asimd_get(s, a->fm, 0));
    pairs = asimd_vopi(s, IR_VSHUFD, 4, pairs, 0xd8);
    even = asimd_vop(s, IR_VUNPKL, 8, pairs, asimd_zero(s));
    odd = asimd_vop(s, IR_VUNPKH, 8, pairs, asimd_zero(s));
    asimd_put(s, a->fd, 0, asimd_fop(s, op, even, odd, 0));
    return true;
}

#define PAIRWISE(name, op)                                                       \
    bool trans_##name##_f32(struct arm_ctx *s, const struct arg_##name##_f32 *a) \
    {                                                                            \
        return pairwise(s, a, op);                                               \
    }

PAIRWISE(VPADD, IR_VFADD)
PAIRWISE(VPMAX, IR_VFMAX)
PAIRWISE(VPMIN, IR_VFMIN)
