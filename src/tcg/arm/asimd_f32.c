/* SPDX-License-Identifier: MIT */
/*
 * Advanced SIMD, three registers of the same length: single-precision floating point. Every
 * operation works lane by lane under the standard FPSCR value (flush to zero, default NaN, round to
 * nearest; A2.6.2) and adds its exception flags to FPSCR. Arm ARM A7.4.1; VMAXNM, VMINNM: DDI 0487
 * F6.1.
 *
 * Threads: the translating vCPU thread; the helpers run on it too.
 */
#include "asimd_f32.h"
#include "asimd_f32_host.h"
#include "asimd_vec.h"

#include "asimd_three_decode.h"
#include "fp/fp.h"

/* result = expr of lanes x of fn, y of fm and old of fd. Lanes that do not exist must raise no
 * flags. */
#define LANEWISE(name, expr)                                                       \
    static void helper_##name(struct vcpu *v, uint32_t arg)                        \
    {                                                                              \
        struct fp_env standard = fp_env_standard(v->fpscr_rest), *env = &standard; \
        union asimd_vec n = asimd_read(v, ARG_FN(arg), ARG_Q(arg));                \
        union asimd_vec m = asimd_operand_m(v, arg, ARG_Q(arg), 4);                \
        union asimd_vec d = asimd_read(v, ARG_FD(arg), ARG_Q(arg));                \
                                                                                   \
        for (unsigned i = 0; i < (ARG_Q(arg) ? 4 : 2); i++) {                      \
            uint32_t x = n.u32[i], y = m.u32[i], old = d.u32[i];                   \
                                                                                   \
            (void)old;                                                             \
            d.u32[i] = expr;                                                       \
        }                                                                          \
        v->fpscr_rest |= env->flags;                                               \
        asimd_write(v, ARG_FD(arg), ARG_Q(arg), &d);                               \
    }

/* The low lane from the pair in fn, the high one from the pair in fm. */
#define PAIRWISE(name, function)                                                              \
    static void helper_##name(struct vcpu *v, uint32_t arg)                                   \
    {                                                                                         \
        struct fp_env env = fp_env_standard(v->fpscr_rest);                                   \
        union asimd_vec n = asimd_read(v, ARG_FN(arg), 0), m = asimd_read(v, ARG_FM(arg), 0); \
        union asimd_vec d = {                                                                 \
            .u32 = {function(n.u32[0], n.u32[1], &env), function(m.u32[0], m.u32[1], &env)}}; \
                                                                                              \
        v->fpscr_rest |= env.flags;                                                           \
        asimd_write(v, ARG_FD(arg), 0, &d);                                                   \
    }

#define MASK(condition) ((condition) ? ~0u : 0)

LANEWISE(add, fp_add_f32(x, y, env))
LANEWISE(sub, fp_sub_f32(x, y, env))
LANEWISE(mul, fp_mul_f32(x, y, env))
LANEWISE(mla, fp_add_f32(old, fp_mul_f32(x, y, env), env))
LANEWISE(mls, fp_add_f32(old, fp_neg_f32(fp_mul_f32(x, y, env)), env))
LANEWISE(fma, fp_muladd_f32(old, x, y, env))
LANEWISE(fms, fp_muladd_f32(old, fp_neg_f32(x), y, env))
LANEWISE(abd, fp_abs_f32(fp_sub_f32(x, y, env)))
LANEWISE(max, fp_max_f32(x, y, env))
LANEWISE(min, fp_min_f32(x, y, env))
LANEWISE(maxnm, fp_maxnum_f32(x, y, env))
LANEWISE(minnm, fp_minnum_f32(x, y, env))
LANEWISE(ceq, MASK(fp_compare_eq_f32(x, y, env)))
LANEWISE(cge, MASK(fp_compare_ge_f32(x, y, env)))
LANEWISE(cgt, MASK(fp_compare_gt_f32(x, y, env)))
LANEWISE(acge, MASK(fp_compare_ge_f32(fp_abs_f32(x), fp_abs_f32(y), env)))
LANEWISE(acgt, MASK(fp_compare_gt_f32(fp_abs_f32(x), fp_abs_f32(y), env)))
LANEWISE(recps, fp_recip_step_f32(x, y, env))
LANEWISE(rsqrts, fp_rsqrt_step_f32(x, y, env))
PAIRWISE(padd, fp_add_f32)
PAIRWISE(pmax, fp_max_f32)
PAIRWISE(pmin, fp_min_f32)

/*
 * On the host's vectors if all lanes allow it. The lanes above a D register are zero, and raise
 * nothing.
 */
#define HOSTED(name)                                                                          \
    static void helper_host_##name(struct vcpu *v, uint32_t arg)                              \
    {                                                                                         \
        union asimd_vec n = asimd_read(v, ARG_FN(arg), ARG_Q(arg));                           \
        union asimd_vec m = asimd_operand_m(v, arg, ARG_Q(arg), 4);                           \
        union asimd_vec d = asimd_read(v, ARG_FD(arg), ARG_Q(arg));                           \
        unsigned csr = _mm_getcsr();                                                          \
        __m128 x = asimd_host_pin(n.f32), y = asimd_host_pin(m.f32), r;                       \
                                                                                              \
        if (asimd_host_fits(x) && asimd_host_fits(y) && asimd_host_##name(x, y, d.f32, &r)) { \
            d.f32 = r;                                                                        \
            asimd_write(v, ARG_FD(arg), ARG_Q(arg), &d);                                      \
            return;                                                                           \
        }                                                                                     \
        _mm_setcsr(csr);                                                                      \
        helper_##name(v, arg);                                                                \
    }
HOSTED(add)
HOSTED(sub)
HOSTED(mul)
HOSTED(mla)
HOSTED(mls)
HOSTED(fma)
HOSTED(fms)

const struct asimd_fn asimd_mul_f32 = {"mul_f32", helper_host_mul};
const struct asimd_fn asimd_mla_f32 = {"mla_f32", helper_host_mla};
const struct asimd_fn asimd_mls_f32 = {"mls_f32", helper_host_mls};

static bool call(struct arm_ctx *s, const struct args_fd_fm_fn_q *a, const struct asimd_fn *f)
{
    if (!asimd_enabled(s) || !asimd_regs_ok(a->q, a->fd | a->fn | a->fm)) {
        return false;
    }
    asimd_call(s, f, ASIMD_ARG(a->fd, a->fn, a->fm, a->q, 0));
    return true;
}

#define THREE(name, helper)                                                           \
    bool trans_##name##_f32(struct arm_ctx *s, const struct arg_##name##_f32 *a)      \
    {                                                                                 \
        return call(s, a, &(const struct asimd_fn){#helper "_f32", helper_##helper}); \
    }

THREE(VADD, host_add)
THREE(VSUB, host_sub)
THREE(VMUL, host_mul)
THREE(VMLA, host_mla)
THREE(VMLS, host_mls)
THREE(VFMA, host_fma)
THREE(VFMS, host_fms)
THREE(VABD, abd)
THREE(VMAX, max)
THREE(VMIN, min)
THREE(VCEQ, ceq)
THREE(VCGE, cge)
THREE(VCGT, cgt)
THREE(VACGE, acge)
THREE(VACGT, acgt)
THREE(VRECPS, recps)
THREE(VRSQRTS, rsqrts)
THREE(VPADD, padd)
THREE(VPMAX, pmax)
THREE(VPMIN, pmin)

#define THREE_V8(name, helper)                                                        \
    bool trans_##name##_f32(struct arm_ctx *s, const struct arg_##name##_f32 *a)      \
    {                                                                                 \
        return arm_has(s, ARM_FEAT_V8_AARCH32) &&                                     \
               call(s, a, &(const struct asimd_fn){#helper "_f32", helper_##helper}); \
    }

THREE_V8(VMAXNM, maxnm)
THREE_V8(VMINNM, minnm)
