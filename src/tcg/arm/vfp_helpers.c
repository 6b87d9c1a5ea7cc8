/* SPDX-License-Identifier: MIT */
/*
 * VFP arithmetic as helpers of generated code: each reads its operands from the extension
 * registers, computes with the exact library (src/fp) as FPSCR says, writes the result and adds the
 * cumulative flags. Arm ARM A2.7, A8.8.281ff. Run on the vCPU thread; MXCSR holds the guest's state
 * and stays so.
 */
#include "vfp_helpers.h"

#include "fp/fp.h"
#include "vfp.h"

#define REG32(v, n) ((v)->vfp.s[n])
#define REG64(v, n) ((v)->vfp.d[n])

/* A result from a and b (operands), c (old destination) and env. */
#define BINARY(name, N, expr)                                                 \
    void vfp_helper_##name##_f##N(struct vcpu *v, uint32_t regs)              \
    {                                                                         \
        struct fp_env e = fp_env_from_fpscr(v->fpscr_rest), *env = &e;        \
        uint##N##_t a = REG##N(v, VFP_FN(regs)), b = REG##N(v, VFP_FM(regs)); \
        uint##N##_t c = REG##N(v, VFP_FD(regs));                              \
        (void)c;                                                              \
        REG##N(v, VFP_FD(regs)) = (expr);                                     \
        v->fpscr_rest |= e.flags;                                             \
    }
#define UNARY(name, N, expr)                                           \
    void vfp_helper_##name##_f##N(struct vcpu *v, uint32_t regs)       \
    {                                                                  \
        struct fp_env e = fp_env_from_fpscr(v->fpscr_rest), *env = &e; \
        uint##N##_t b = REG##N(v, VFP_FM(regs));                       \
        REG##N(v, VFP_FD(regs)) = (expr);                              \
        v->fpscr_rest |= e.flags;                                      \
    }

#define ALL(N)                                                                              \
    BINARY(vadd, N, fp_add_f##N(a, b, env))                                                 \
    BINARY(vsub, N, fp_sub_f##N(a, b, env))                                                 \
    BINARY(vmul, N, fp_mul_f##N(a, b, env))                                                 \
    BINARY(vnmul, N, fp_neg_f##N(fp_mul_f##N(a, b, env)))                                   \
    BINARY(vdiv, N, fp_div_f##N(a, b, env))                                                 \
    BINARY(vmla, N, fp_add_f##N(c, fp_mul_f##N(a, b, env), env))                            \
    BINARY(vmls, N, fp_add_f##N(c, fp_neg_f##N(fp_mul_f##N(a, b, env)), env))               \
    BINARY(vnmls, N, fp_add_f##N(fp_neg_f##N(c), fp_mul_f##N(a, b, env), env))              \
    BINARY(vnmla, N, fp_add_f##N(fp_neg_f##N(c), fp_neg_f##N(fp_mul_f##N(a, b, env)), env)) \
    BINARY(vfma, N, fp_muladd_f##N(c, a, b, env))                                           \
    BINARY(vfms, N, fp_muladd_f##N(c, fp_neg_f##N(a), b, env))                              \
    BINARY(vfnma, N, fp_muladd_f##N(fp_neg_f##N(c), fp_neg_f##N(a), b, env))                \
    BINARY(vfnms, N, fp_muladd_f##N(fp_neg_f##N(c), a, b, env))                             \
    BINARY(vmaxnm, N, fp_maxnum_f##N(a, b, env))                                            \
    BINARY(vminnm, N, fp_minnum_f##N(a, b, env))                                            \
    UNARY(vsqrt, N, fp_sqrt_f##N(b, env))

ALL(32)
ALL(64)

/* Round to integral: the first operand's byte is an enum fp_rounding, or bit 6 = as FPSCR says; bit
 * 7 = raise inexact. */
#define ROUND(N)                                                                              \
    void vfp_helper_vrint_f##N(struct vcpu *v, uint32_t regs)                                 \
    {                                                                                         \
        struct fp_env e = fp_env_from_fpscr(v->fpscr_rest);                                   \
        unsigned how = VFP_FN(regs);                                                          \
        REG##N(v, VFP_FD(regs)) = fp_round_int_f##N(                                          \
            REG##N(v, VFP_FM(regs)), (enum fp_rounding)((how & 0x40) ? e.rounding : how & 7), \
            how >> 7, &e);                                                                    \
        v->fpscr_rest |= e.flags;                                                             \
    }
ROUND(32)
ROUND(64)

/* ---- comparison: FPSCR.NZCV; the first operand's byte is 1 for the signalling form ---- */
#define COMPARE(N)                                                                         \
    static void compare_##N(struct vcpu *v, uint##N##_t a, uint##N##_t b, bool signalling) \
    {                                                                                      \
        struct fp_env e = fp_env_from_fpscr(v->fpscr_rest);                                \
        v->fpscr_nzcv = fp_compare_f##N(a, b, signalling, &e) << 28;                       \
        v->fpscr_rest |= e.flags;                                                          \
    }                                                                                      \
    void vfp_helper_vcmp_f##N(struct vcpu *v, uint32_t regs)                               \
    {                                                                                      \
        compare_##N(v, REG##N(v, VFP_FD(regs)), REG##N(v, VFP_FM(regs)), VFP_FN(regs));    \
    }                                                                                      \
    void vfp_helper_vcmp_zero_f##N(struct vcpu *v, uint32_t regs)                          \
    {                                                                                      \
        compare_##N(v, REG##N(v, VFP_FD(regs)), 0, VFP_FN(regs));                          \
    }
COMPARE(32)
COMPARE(64)

/* ---- conversions ---- */
void vfp_helper_vcvt_f64_f32(struct vcpu *v, uint32_t regs)
{
    struct fp_env e = fp_env_from_fpscr(v->fpscr_rest);

    v->vfp.d[VFP_FD(regs)] = fp_f32_to_f64(v->vfp.s[VFP_FM(regs)], &e);
    v->fpscr_rest |= e.flags;
}

void vfp_helper_vcvt_f32_f64(struct vcpu *v, uint32_t regs)
{
    struct fp_env e = fp_env_from_fpscr(v->fpscr_rest);

    v->vfp.s[VFP_FD(regs)] = fp_f64_to_f32(v->vfp.d[VFP_FM(regs)], &e);
    v->fpscr_rest |= e.flags;
}

/* The first operand's byte: bit 0 = unsigned, bits 3:1 = rounding mode, bit 7 = the mode of FPSCR.
 */
static enum fp_rounding rounding_of(uint32_t how, const struct fp_env *e)
{
    return (enum fp_rounding)((how & 0x80) ? e->rounding : how >> 1 & 7);
}

#define INTEGERS(N)                                                                                \
    void vfp_helper_from_int_f##N(struct vcpu *v, uint32_t regs)                                   \
    {                                                                                              \
        struct fp_env e = fp_env_from_fpscr(v->fpscr_rest);                                        \
        bool is_unsigned = VFP_FN(regs) & 1;                                                       \
        uint32_t w = v->vfp.s[VFP_FM(regs)];                                                       \
        uint64_t x = is_unsigned ? w : (uint64_t)(int64_t)(int32_t)w;                              \
        REG##N(v, VFP_FD(regs)) =                                                                  \
            fp_from_int_f##N(x, is_unsigned, 0, (enum fp_rounding)e.rounding, &e);                 \
        v->fpscr_rest |= e.flags;                                                                  \
    }                                                                                              \
    void vfp_helper_to_int_f##N(struct vcpu *v, uint32_t regs)                                     \
    {                                                                                              \
        struct fp_env e = fp_env_from_fpscr(v->fpscr_rest);                                        \
        uint32_t how = VFP_FN(regs);                                                               \
        v->vfp.s[VFP_FD(regs)] = (uint32_t)fp_to_int_f##N(REG##N(v, VFP_FM(regs)), 32, how & 1, 0, \
                                                          rounding_of(how, &e), &e);               \
        v->fpscr_rest |= e.flags;                                                                  \
    }
INTEGERS(32)
INTEGERS(64)

/*
 * Fixed point, in place (A8.8.308): second operand's byte = fraction bits; first operand's: bit 0
 * unsigned, bit 1 = 32-bit integers (else 16). From fixed rounds to nearest, to fixed towards zero.
 */
#define FIXED(N)                                                                            \
    void vfp_helper_from_fixed_f##N(struct vcpu *v, uint32_t regs)                          \
    {                                                                                       \
        struct fp_env e = fp_env_from_fpscr(v->fpscr_rest);                                 \
        bool is_unsigned = VFP_FN(regs) & 1, wide = VFP_FN(regs) & 2;                       \
        uint32_t w = (uint32_t)REG##N(v, VFP_FD(regs));                                     \
        int64_t x = wide ? (is_unsigned ? (int64_t)w : (int32_t)w)                          \
                         : (is_unsigned ? (uint16_t)w : (int16_t)w);                        \
        REG##N(v, VFP_FD(regs)) =                                                           \
            fp_from_int_f##N((uint64_t)x, is_unsigned, VFP_FM(regs), FP_RN, &e);            \
        v->fpscr_rest |= e.flags;                                                           \
    }                                                                                       \
    void vfp_helper_to_fixed_f##N(struct vcpu *v, uint32_t regs)                            \
    {                                                                                       \
        struct fp_env e = fp_env_from_fpscr(v->fpscr_rest);                                 \
        bool is_unsigned = VFP_FN(regs) & 1, wide = VFP_FN(regs) & 2;                       \
        REG##N(v, VFP_FD(regs)) = (uint##N##_t)fp_to_int_f##N(                              \
            REG##N(v, VFP_FD(regs)), wide ? 32 : 16, is_unsigned, VFP_FM(regs), FP_RZ, &e); \
        v->fpscr_rest |= e.flags;                                                           \
    }
FIXED(32)
FIXED(64)

/* ---- half precision: the first operand's byte is 1 for the top half of the S register ---- */
static uint16_t half_read(const struct vcpu *v, uint32_t reg, bool top)
{
    return (uint16_t)(v->vfp.s[reg] >> (top ? 16 : 0));
}

static void half_write(struct vcpu *v, uint32_t reg, bool top, uint16_t h)
{
    uint32_t w = v->vfp.s[reg];

    v->vfp.s[reg] = top ? (w & 0xffff) | (uint32_t)h << 16 : (w & 0xffff0000u) | h;
}

#define HALF(N)                                                                                   \
    void vfp_helper_from_half_f##N(struct vcpu *v, uint32_t regs)                                 \
    {                                                                                             \
        struct fp_env e = fp_env_from_fpscr(v->fpscr_rest);                                       \
        REG##N(v, VFP_FD(regs)) = fp_f16_to_f##N(half_read(v, VFP_FM(regs), VFP_FN(regs)), &e);   \
        v->fpscr_rest |= e.flags;                                                                 \
    }                                                                                             \
    void vfp_helper_to_half_f##N(struct vcpu *v, uint32_t regs)                                   \
    {                                                                                             \
        struct fp_env e = fp_env_from_fpscr(v->fpscr_rest);                                       \
        half_write(v, VFP_FD(regs), VFP_FN(regs), fp_f##N##_to_f16(REG##N(v, VFP_FM(regs)), &e)); \
        v->fpscr_rest |= e.flags;                                                                 \
    }
HALF(32)
HALF(64)
