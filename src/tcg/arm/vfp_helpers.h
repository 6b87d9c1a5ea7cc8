/* SPDX-License-Identifier: MIT */
/*
 * Helpers of VFP instructions; see vfp_helpers.c. `regs` packs register numbers (vfp.h); what the
 * byte of the first operand means where an operation has one operand is said there.
 */
#pragma once

#include "vcpu/vcpu.h"

/* By name, for _f32 and _f64 each. */
#define VFP_HELPERS(X)                                                                            \
    X(vadd)                                                                                       \
    X(vsub) X(vmul) X(vnmul) X(vdiv) X(vmla) X(vmls) X(vnmls) X(vnmla) X(vfma) X(vfms) X(vfnma)   \
        X(vfnms) X(vmaxnm) X(vminnm) X(vsqrt) X(vrint) X(vcmp) X(vcmp_zero) X(from_int) X(to_int) \
            X(from_fixed) X(to_fixed) X(from_half) X(to_half)
#define DECLARE(name)                                            \
    void vfp_helper_##name##_f32(struct vcpu *v, uint32_t regs); \
    void vfp_helper_##name##_f64(struct vcpu *v, uint32_t regs);
VFP_HELPERS(DECLARE)
#undef DECLARE
void vfp_helper_vcvt_f64_f32(struct vcpu *v, uint32_t regs);
void vfp_helper_vcvt_f32_f64(struct vcpu *v, uint32_t regs);
