/* SPDX-License-Identifier: MIT */
/*
 * VFP comparison, conversion and rounding: one helper call each. Arm ARM A8.8.303-A8.8.310 (VCMP,
 * VCVT), ARMv8 F6.1 (VRINT). What the middle byte of the packed registers means is said in
 * vfp_helpers.c.
 *
 * Threads: the translating vCPU thread.
 */
#include "fp/fp.h"
#include "vfp.h"
#include "vfp_helpers.h"

#define CALL(s, helper, fd, how, fm) \
    vfp_call(s, #helper, (void *)vfp_helper_##helper, VFP_REGS(fd, how, fm))

bool trans_VCMP_s(struct arm_ctx *s, const struct arg_VCMP_s *a)
{
    return CALL(s, vcmp_f32, a->fd, a->e, a->fm);
}

bool trans_VCMP_d(struct arm_ctx *s, const struct arg_VCMP_d *a)
{
    return CALL(s, vcmp_f64, a->fd, a->e, a->fm);
}

bool trans_VCMP_zero_s(struct arm_ctx *s, const struct arg_VCMP_zero_s *a)
{
    return CALL(s, vcmp_zero_f32, a->fd, a->e, 0);
}

bool trans_VCMP_zero_d(struct arm_ctx *s, const struct arg_VCMP_zero_d *a)
{
    return CALL(s, vcmp_zero_f64, a->fd, a->e, 0);
}

bool trans_VCVT_ds(struct arm_ctx *s, const struct arg_VCVT_ds *a)
{
    return CALL(s, vcvt_f64_f32, a->fd, 0, a->fm);
}

bool trans_VCVT_sd(struct arm_ctx *s, const struct arg_VCVT_sd *a)
{
    return CALL(s, vcvt_f32_f64, a->fd, 0, a->fm);
}

bool trans_VCVT_from_int_s(struct arm_ctx *s, const struct arg_VCVT_from_int_s *a)
{
    return CALL(s, from_int_f32, a->fd, !a->sig, a->fm);
}

bool trans_VCVT_from_int_d(struct arm_ctx *s, const struct arg_VCVT_from_int_d *a)
{
    return CALL(s, from_int_f64, a->fd, !a->sig, a->fm);
}

/* VCVT rounds towards zero, VCVTR (z = 0) as FPSCR says. */
static uint32_t to_int_how(uint32_t sig, uint32_t z)
{
    return (sig ? 0 : 1u) | (z ? (uint32_t)FP_RZ << 1 : 0x80u);
}

bool trans_VCVT_to_int_s(struct arm_ctx *s, const struct arg_VCVT_to_int_s *a)
{
    return CALL(s, to_int_f32, a->fd, to_int_how(a->sig, a->z), a->fm);
}

bool trans_VCVT_to_int_d(struct arm_ctx *s, const struct arg_VCVT_to_int_d *a)
{
    return CALL(s, to_int_f64, a->fd, to_int_how(a->sig, a->z), a->fm);
}

/* Fraction bits are the integer's size less the immediate; more bits than that is UNPREDICTABLE. */
static bool fixed_bits(uint32_t sx, uint32_t imm, uint32_t *bits)
{
    *bits = (sx ? 32 : 16) - imm;
    return imm <= (sx ? 32u : 16u);
}

bool trans_VCVT_fixed_s(struct arm_ctx *s, const struct arg_VCVT_fixed_s *a)
{
    uint32_t how = a->unsig | a->sx << 1, bits;

    if (!fixed_bits(a->sx, a->imm, &bits)) {
        return false;
    }
    return a->op ? CALL(s, to_fixed_f32, a->fd, how, bits)
                 : CALL(s, from_fixed_f32, a->fd, how, bits);
}

bool trans_VCVT_fixed_d(struct arm_ctx *s, const struct arg_VCVT_fixed_d *a)
{
    uint32_t how = a->unsig | a->sx << 1, bits;

    if (!fixed_bits(a->sx, a->imm, &bits)) {
        return false;
    }
    return a->op ? CALL(s, to_fixed_f64, a->fd, how, bits)
                 : CALL(s, from_fixed_f64, a->fd, how, bits);
}

/* Half precision to and from single is VFPv3; to and from double came with ARMv8. */
bool trans_VCVT_from_half_s(struct arm_ctx *s, const struct arg_VCVT_from_half_s *a)
{
    return CALL(s, from_half_f32, a->fd, a->t, a->fm);
}

bool trans_VCVT_to_half_s(struct arm_ctx *s, const struct arg_VCVT_to_half_s *a)
{
    return CALL(s, to_half_f32, a->fd, a->t, a->fm);
}

bool trans_VCVT_from_half_d(struct arm_ctx *s, const struct arg_VCVT_from_half_d *a)
{
    return arm_has(s, ARM_FEAT_V8_AARCH32) && CALL(s, from_half_f64, a->fd, a->t, a->fm);
}

bool trans_VCVT_to_half_d(struct arm_ctx *s, const struct arg_VCVT_to_half_d *a)
{
    return arm_has(s, ARM_FEAT_V8_AARCH32) && CALL(s, to_half_f64, a->fd, a->t, a->fm);
}

/* ---- VRINTR, VRINTZ, VRINTX: ARMv8; R and X round as FPSCR says, which is a part of the block's
   flags only when it is not to nearest, so the mode is read when the block runs ---- */
#define ROUND_FPSCR   0x40u
#define ROUND_INEXACT 0x80u

#define ROUND(NAME, how)                                                                 \
    bool trans_##NAME##_s(struct arm_ctx *s, const struct arg_##NAME##_s *a)             \
    {                                                                                    \
        return arm_has(s, ARM_FEAT_V8_AARCH32) && CALL(s, vrint_f32, a->fd, how, a->fm); \
    }                                                                                    \
    bool trans_##NAME##_d(struct arm_ctx *s, const struct arg_##NAME##_d *a)             \
    {                                                                                    \
        return arm_has(s, ARM_FEAT_V8_AARCH32) && CALL(s, vrint_f64, a->fd, how, a->fm); \
    }
ROUND(VRINTR, ROUND_FPSCR)
ROUND(VRINTZ, FP_RZ)
ROUND(VRINTX, ROUND_FPSCR | ROUND_INEXACT)
