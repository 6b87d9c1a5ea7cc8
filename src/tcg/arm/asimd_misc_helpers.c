/* SPDX-License-Identifier: MIT */
/*
 * Lane by lane: operations of one source register. Called from generated code on the vCPU's own
 * thread. Arm ARM A8.8: VPADDL, VPADAL, VCLS, VCLZ, VCNT, VQABS, VQNEG, comparisons with zero,
 * VRECPE, VRSQRTE, VCVT; DDI 0487 F6.1: VRINT, VCVTA, VCVTN, VCVTP, VCVTM.
 */
#include "asimd_misc_helpers.h"
#include "asimd_vec.h"

#include "fp/fp.h"

#define UNARY(name, lane, type, expr)                               \
    static void name##_##lane(struct vcpu *v, uint32_t arg)         \
    {                                                               \
        union asimd_vec m = asimd_read(v, ARG_FM(arg), ARG_Q(arg)); \
        bool qc = false;                                            \
                                                                    \
        for (unsigned i = 0; i < ASIMD_LANES(lane); i++) {          \
            type x = m.lane[i];                                     \
                                                                    \
            m.lane[i] = (type)(expr);                               \
        }                                                           \
        asimd_saturated(v, qc);                                     \
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
UNARY(cnt, u8, uint8_t, __builtin_popcount(x))
asimd_fn_table asimd_clz = {[1] = {ENTRY(clz, u8), ENTRY(clz, u16), ENTRY(clz, u32)}};
asimd_fn_table asimd_cls = {[0] = {ENTRY(cls, s8), ENTRY(cls, s16), ENTRY(cls, s32)}};
asimd_fn_table asimd_cnt = {[1] = {ENTRY(cnt, u8)}};

/* ---- saturating absolute value and negation: only the lowest value saturates ---- */
#define SATURATING_NEGATE(lane, type, min, max)    \
    static type negate_##lane(type x, bool *qc)    \
    {                                              \
        if (x == min) {                            \
            *qc = true;                            \
            return max;                            \
        }                                          \
        return (type)-x;                           \
    }                                              \
    UNARY(qneg, lane, type, negate_##lane(x, &qc)) \
    UNARY(qabs, lane, type, x < 0 ? negate_##lane(x, &qc) : x)

SATURATING_NEGATE(s8, int8_t, INT8_MIN, INT8_MAX)
SATURATING_NEGATE(s16, int16_t, INT16_MIN, INT16_MAX)
SATURATING_NEGATE(s32, int32_t, INT32_MIN, INT32_MAX)
asimd_fn_table asimd_qabs = {{ENTRY(qabs, s8), ENTRY(qabs, s16), ENTRY(qabs, s32)}};
asimd_fn_table asimd_qneg = {{ENTRY(qneg, s8), ENTRY(qneg, s16), ENTRY(qneg, s32)}};

/* ---- sums of pairs, twice as wide; `wide` is unsigned, so accumulation wraps ---- */
#define PAIR_SUM(lane, wide, wtype)                                                           \
    static void paddl_##lane(struct vcpu *v, uint32_t arg)                                    \
    {                                                                                         \
        union asimd_vec m = asimd_read(v, ARG_FM(arg), ARG_Q(arg)), d;                        \
                                                                                              \
        for (unsigned i = 0; i < ASIMD_LANES(wide); i++) {                                    \
            d.wide[i] = (wtype)((wtype)m.lane[2 * i] + (wtype)m.lane[2 * i + 1]);             \
        }                                                                                     \
        asimd_write(v, ARG_FD(arg), ARG_Q(arg), &d);                                          \
    }                                                                                         \
    static void padal_##lane(struct vcpu *v, uint32_t arg)                                    \
    {                                                                                         \
        union asimd_vec m = asimd_read(v, ARG_FM(arg), ARG_Q(arg));                           \
        union asimd_vec d = asimd_read(v, ARG_FD(arg), ARG_Q(arg));                           \
                                                                                              \
        for (unsigned i = 0; i < ASIMD_LANES(wide); i++) {                                    \
            d.wide[i] = (wtype)(d.wide[i] + (wtype)m.lane[2 * i] + (wtype)m.lane[2 * i + 1]); \
        }                                                                                     \
        asimd_write(v, ARG_FD(arg), ARG_Q(arg), &d);                                          \
    }

PAIR_SUM(s8, u16, uint16_t)
PAIR_SUM(s16, u32, uint32_t)
PAIR_SUM(s32, u64, uint64_t)
PAIR_SUM(u8, u16, uint16_t)
PAIR_SUM(u16, u32, uint32_t)
PAIR_SUM(u32, u64, uint64_t)
asimd_fn_table asimd_paddl = {{ENTRY(paddl, s8), ENTRY(paddl, s16), ENTRY(paddl, s32)},
                              {ENTRY(paddl, u8), ENTRY(paddl, u16), ENTRY(paddl, u32)}};
asimd_fn_table asimd_padal = {{ENTRY(padal, s8), ENTRY(padal, s16), ENTRY(padal, s32)},
                              {ENTRY(padal, u8), ENTRY(padal, u16), ENTRY(padal, u32)}};

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
#define MASK(condition) ((condition) ? ~0u : 0)

LANEWISE32(f32_gt0, MASK(fp_compare_gt_f32(x, 0, env)))
LANEWISE32(f32_ge0, MASK(fp_compare_ge_f32(x, 0, env)))
LANEWISE32(f32_eq0, MASK(fp_compare_eq_f32(x, 0, env)))
LANEWISE32(f32_le0, MASK(fp_compare_ge_f32(0, x, env)))
LANEWISE32(f32_lt0, MASK(fp_compare_gt_f32(0, x, env)))
const struct asimd_fn asimd_f32_gt0 = NAMED(f32_gt0);
const struct asimd_fn asimd_f32_ge0 = NAMED(f32_ge0);
const struct asimd_fn asimd_f32_eq0 = NAMED(f32_eq0);
const struct asimd_fn asimd_f32_le0 = NAMED(f32_le0);
const struct asimd_fn asimd_f32_lt0 = NAMED(f32_lt0);

LANEWISE32(recpe_u32, fp_recip_estimate_u32(x))
LANEWISE32(recpe_f32, fp_recip_estimate_f32(x, env))
LANEWISE32(rsqrte_u32, fp_rsqrt_estimate_u32(x))
LANEWISE32(rsqrte_f32, fp_rsqrt_estimate_f32(x, env))
const struct asimd_fn asimd_recpe[2] = {NAMED(recpe_u32), NAMED(recpe_f32)};
const struct asimd_fn asimd_rsqrte[2] = {NAMED(rsqrte_u32), NAMED(rsqrte_f32)};

LANEWISE32(s32_to_f32, fp_from_int_f32((uint64_t)(int32_t)x, false, 0, FP_RN, env))
LANEWISE32(u32_to_f32, fp_from_int_f32(x, true, 0, FP_RN, env))
LANEWISE32(f32_to_s32, fp_to_int_f32(x, 32, false, 0, FP_RZ, env))
LANEWISE32(f32_to_u32, fp_to_int_f32(x, 32, true, 0, FP_RZ, env))
const struct asimd_fn asimd_convert[4] = {NAMED(s32_to_f32), NAMED(u32_to_f32), NAMED(f32_to_s32),
                                          NAMED(f32_to_u32)};

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
