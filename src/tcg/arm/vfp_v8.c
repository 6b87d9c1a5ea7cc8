/* SPDX-License-Identifier: MIT */
/*
 * VFP instructions that ARMv8 added to AArch32: selection by condition, minimum and maximum that
 * prefer numbers to NaNs, rounding and conversion with a rounding mode of their own. UNDEF on older
 * processors. Arm ARM DDI0487 F6.1: VSEL, VMAXNM, VMINNM, VRINTA..M, VCVTA..M.
 *
 * Threads: the translating vCPU thread.
 */
#include "fp/fp.h"
#include "vfp.h"
#include "vfp_helpers.h"

#include "vfp_v8_decode.h"

static bool v8_enabled(const struct arm_ctx *s)
{
    return vfp_enabled(s) && arm_has(s, ARM_FEAT_V8_AARCH32);
}

static bool binary(struct arm_ctx *s, const struct args_fd_fm_fn *a, const char *name, void *helper,
                   unsigned size)
{
    if (!v8_enabled(s) || !vfp_vector_op(s)) {
        return false;
    }
    vfp_put_call(s, a->fd, size, name, helper, vfp_get(s, a->fn, size), vfp_get(s, a->fm, size), 0);
    return true;
}

#define MAXMIN(NAME, name)                                                     \
    bool trans_##NAME##_s(struct arm_ctx *s, const struct arg_##NAME##_s *a)   \
    {                                                                          \
        return binary(s, a, #name ".f32", (void *)vfp_helper_##name##_f32, 4); \
    }                                                                          \
    bool trans_##NAME##_d(struct arm_ctx *s, const struct arg_##NAME##_d *a)   \
    {                                                                          \
        return binary(s, a, #name ".f64", (void *)vfp_helper_##name##_f64, 8); \
    }
MAXMIN(VMAXNM, vmaxnm)
MAXMIN(VMINNM, vminnm)

/* The core's flags choose, not FPSCR's: EQ, VS, GE, GT. */
static bool select_by(struct arm_ctx *s, const struct args_cc_fd_fm_fn *a, unsigned size)
{
    static const uint8_t conds[4] = {ARM_COND_EQ, ARM_COND_VS, ARM_COND_GE, ARM_COND_GT};
    struct arm_test t;
    ir_ref n, m;

    if (!v8_enabled(s)) {
        return false;
    }
    t = arm_cond_test(s, conds[a->cc]);
    n = vfp_get(s, a->fn, size);
    m = vfp_get(s, a->fm, size);
    ir_put(s->b, vfp_off(a->fd, size), size, ir_select(s->b, t.rel, t.x, t.y, n, m));
    return true;
}

bool trans_VSEL_s(struct arm_ctx *s, const struct arg_VSEL_s *a)
{
    return select_by(s, a, 4);
}

bool trans_VSEL_d(struct arm_ctx *s, const struct arg_VSEL_d *a)
{
    return select_by(s, a, 8);
}

/* ---- rounding modes in the instruction ---- */
static const uint8_t roundings[4] = {FP_RA, FP_RN, FP_RP, FP_RM};

static bool convert(struct arm_ctx *s, const char *name, void *helper, unsigned to_size,
                    unsigned fd, unsigned from_size, unsigned fm, uint32_t how)
{
    if (!v8_enabled(s)) {
        return false;
    }
    vfp_put_call(s, fd, to_size, name, helper, vfp_get(s, fm, from_size), arm_imm(s, how), 0);
    return true;
}

bool trans_VRINT_rm_s(struct arm_ctx *s, const struct arg_VRINT_rm_s *a)
{
    return convert(s, "vrint.f32", (void *)vfp_helper_vrint_f32, 4, a->fd, 4, a->fm,
                   roundings[a->rm]);
}

bool trans_VRINT_rm_d(struct arm_ctx *s, const struct arg_VRINT_rm_d *a)
{
    return convert(s, "vrint.f64", (void *)vfp_helper_vrint_f64, 8, a->fd, 8, a->fm,
                   roundings[a->rm]);
}

static uint32_t to_int_how(uint32_t sig, uint32_t rm)
{
    return (sig ? 0 : VFP_UNSIGNED) | VFP_ROUND(roundings[rm]);
}

bool trans_VCVT_rm_s(struct arm_ctx *s, const struct arg_VCVT_rm_s *a)
{
    return convert(s, "to_int.f32", (void *)vfp_helper_to_int_f32, 4, a->fd, 4, a->fm,
                   to_int_how(a->sig, a->rm));
}

bool trans_VCVT_rm_d(struct arm_ctx *s, const struct arg_VCVT_rm_d *a)
{
    return convert(s, "to_int.f64", (void *)vfp_helper_to_int_f64, 4, a->fd, 8, a->fm,
                   to_int_how(a->sig, a->rm));
}
