/* SPDX-License-Identifier: MIT */
/*
 * Lane by lane: operations of one source register. Called from generated code on the vCPU's own
 * thread. Arm ARM A8.8: VCLS, VCLZ, VRECPE, VRSQRTE, VCVT (half precision); DDI 0487 F6.1: VRINT,
 * VCVTA, VCVTN, VCVTP, VCVTM.
 */
#include "asimd_misc_helpers.h"
#include "asimd_vec.h"

#include "fp/fp.h"

#define UNARY(name, lane, type, expr)                               \
    static void name##_##lane(struct vcpu *v, uint32_t arg)         \
    {                                                               \
        union asimd_vec m = asimd_read(v, ARG_FM(arg), ARG_Q(arg)); \
                                                                    \
        for (unsigned i = 0; i < ASIMD_LANES(lane); i++) {          \
            type x = m.lane[i];                                     \
                                                                    \
            m.lane[i] = (type)(expr);                               \
        }                                                           \
        asimd_write(v, ARG_FD(arg), ARG_Q(arg), &m);                \
    }
#define ENTRY(name, lane)              \
    {                                  \
#name "_" #lane, name##_##lane \
    }

/* ---- counting bits ---- */
static unsigned leading_zeros(uint32_t x, unsigned bits)
{
    return x ? (unsigned)__builtin_clz(x) - (32 - bits) : bits;
}

/* Bits below the sign that equal it: leading zeros after they have been folded on the sign. */
static unsigned leading_signs(int32_t x, unsigned bits)
{
    return leading_zeros((uint32_t)(x < 0 ? ~x : x), bits) - 1;
}

UNARY(clz, u8, uint8_t, leading_zeros(x, 8))
UNARY(clz, u16, uint16_t, leading_zeros(x, 16))
UNARY(clz, u32, uint32_t, leading_zeros(x, 32))
UNARY(cls, s8, int8_t, leading_signs(x, 8))
UNARY(cls, s16, int16_t, leading_signs(x, 16))
UNARY(cls, s32, int32_t, leading_signs(x, 32))
asimd_fn_table asimd_clz = {[1] = {ENTRY(clz, u8), ENTRY(clz, u16), ENTRY(clz, u32)}};
asimd_fn_table asimd_cls = {[0] = {ENTRY(cls, s8), ENTRY(cls, s16), ENTRY(cls, s32)}};

/* ---- 32-bit lanes of single precision or its integers; lanes that do not exist raise no flags
 * ---- */
#define LANEWISE32(name, expr)                                                     \
    static void helper_##name(struct vcpu *v, uint32_t arg)                        \
    {                                                                              \
        struct fp_env standard = fp_env_standard(v->fpscr_rest), *env = &standard; \
        union asimd_vec m = asimd_read(v, ARG_FM(arg), ARG_Q(arg));                \
                                                                                   \
        for (unsigned i = 0; i < (ARG_Q(arg) ? 4 : 2); i++) {                      \
            uint32_t x = m.u32[i];                                                 \
                                                                                   \
            m.u32[i] = (uint32_t)(expr);                                           \
        }                                                                          \
        v->fpscr_rest |= env->flags;                                               \
        asimd_write(v, ARG_FD(arg), ARG_Q(arg), &m);                               \
    }
#define NAMED(name)          \
    {                        \
#name, helper_##name \
    }

LANEWISE32(recpe_u32, fp_recip_estimate_u32(x))
LANEWISE32(recpe_f32, fp_recip_estimate_f32(x, env))
LANEWISE32(rsqrte_u32, fp_rsqrt_estimate_u32(x))
LANEWISE32(rsqrte_f32, fp_rsqrt_estimate_f32(x, env))
const struct asimd_fn asimd_recpe[2] = {NAMED(recpe_u32), NAMED(recpe_f32)};
const struct asimd_fn asimd_rsqrte[2] = {NAMED(rsqrte_u32), NAMED(rsqrte_f32)};

LANEWISE32(rintn, fp_round_int_f32(x, FP_RN, false, env))
LANEWISE32(rintx, fp_round_int_f32(x, FP_RN, true, env))
LANEWISE32(rinta, fp_round_int_f32(x, FP_RA, false, env))
LANEWISE32(rintz, fp_round_int_f32(x, FP_RZ, false, env))
LANEWISE32(rintm, fp_round_int_f32(x, FP_RM, false, env))
LANEWISE32(rintp, fp_round_int_f32(x, FP_RP, false, env))
const struct asimd_fn asimd_rint[8] = {
    [0] = NAMED(rintn), [1] = NAMED(rintx), [2] = NAMED(rinta),
    [3] = NAMED(rintz), [5] = NAMED(rintm), [7] = NAMED(rintp),
};

LANEWISE32(cvta_s32, fp_to_int_f32(x, 32, false, 0, FP_RA, env))
LANEWISE32(cvtn_s32, fp_to_int_f32(x, 32, false, 0, FP_RN, env))
LANEWISE32(cvtp_s32, fp_to_int_f32(x, 32, false, 0, FP_RP, env))
LANEWISE32(cvtm_s32, fp_to_int_f32(x, 32, false, 0, FP_RM, env))
LANEWISE32(cvta_u32, fp_to_int_f32(x, 32, true, 0, FP_RA, env))
LANEWISE32(cvtn_u32, fp_to_int_f32(x, 32, true, 0, FP_RN, env))
LANEWISE32(cvtp_u32, fp_to_int_f32(x, 32, true, 0, FP_RP, env))
LANEWISE32(cvtm_u32, fp_to_int_f32(x, 32, true, 0, FP_RM, env))
const struct asimd_fn asimd_convert_round[2][4] = {
    {NAMED(cvta_s32), NAMED(cvtn_s32), NAMED(cvtp_s32), NAMED(cvtm_s32)},
    {NAMED(cvta_u32), NAMED(cvtn_u32), NAMED(cvtp_u32), NAMED(cvtm_u32)},
};

/* ---- half precision ---- */
static void helper_f32_to_f16(struct vcpu *v, uint32_t arg)
{
    struct fp_env env = fp_env_standard(v->fpscr_rest);
    union asimd_vec m = asimd_read(v, ARG_FM(arg), 1), d = {.u64 = {0, 0}};

    for (unsigned i = 0; i < 4; i++) {
        d.u16[i] = fp_f32_to_f16(m.u32[i], &env);
    }
    v->fpscr_rest |= env.flags;
    asimd_write(v, ARG_FD(arg), 0, &d);
}

static void helper_f16_to_f32(struct vcpu *v, uint32_t arg)
{
    struct fp_env env = fp_env_standard(v->fpscr_rest);
    union asimd_vec m = asimd_read(v, ARG_FM(arg), 0), d;

    for (unsigned i = 0; i < 4; i++) {
        d.u32[i] = fp_f16_to_f32(m.u16[i], &env);
    }
    v->fpscr_rest |= env.flags;
    asimd_write(v, ARG_FD(arg), 1, &d);
}

const struct asimd_fn asimd_f32_to_f16 = NAMED(f32_to_f16);
const struct asimd_fn asimd_f16_to_f32 = NAMED(f16_to_f32);
