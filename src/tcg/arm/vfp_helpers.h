/* SPDX-License-Identifier: MIT */
/*
 * Helpers of VFP instructions (vfp_helpers.c): pure functions of their arguments and FPSCR, but
 * that they add cumulative flags. f32 and half-precision values are in 32 bits, f64 in 64.
 */
#pragma once

#include "vcpu/vcpu.h"

#define VFP_TYPE_32 uint32_t
#define VFP_TYPE_64 uint64_t

/* a op b */
#define VFP_BINARY(X, N) \
    X(vadd, N) X(vsub, N) X(vmul, N) X(vnmul, N) X(vdiv, N) X(vmaxnm, N) X(vminnm, N)
/* d is the old destination */
#define VFP_TERNARY(X, N) \
    X(vmla, N) X(vmls, N) X(vnmls, N) X(vnmla, N) X(vfma, N) X(vfms, N) X(vfnma, N) X(vfnms, N)

#define VFP_DECLARE2(name, N) \
    VFP_TYPE_##N vfp_helper_##name##_f##N(struct vcpu *v, VFP_TYPE_##N a, VFP_TYPE_##N b);
#define VFP_DECLARE3(name, N)                                                             \
    VFP_TYPE_##N vfp_helper_##name##_f##N(struct vcpu *v, VFP_TYPE_##N a, VFP_TYPE_##N b, \
                                          VFP_TYPE_##N d);

/*
 * vrint: `how` is an enum fp_rounding, or VFP_AS_FPSCR; VFP_INEXACT: raise IXC.
 * vcmp: NZCV in bits 31:28; how = 1 for the signalling form.
 * from_int: a 32-bit integer; how: VFP_UNSIGNED. to_int: how = VFP_UNSIGNED, and VFP_ROUND() of an
 *   enum fp_rounding or VFP_AS_FPSCR.
 * from_fixed, to_fixed: how = VFP_UNSIGNED, VFP_WIDE (32-bit integers, else 16); `bits` of
 * fraction. from_half: how = 1: the upper half of a. to_half: into the lower or upper half of
 * `old`.
 */
#define VFP_UNSIGNED 1u
#define VFP_WIDE     2u
#define VFP_ROUND(r) ((uint32_t)(r) << 1)
#define VFP_AS_FPSCR 0x40u
#define VFP_INEXACT  0x80u
#define VFP_DECLARE_OTHERS(N)                                                                    \
    VFP_TYPE_##N vfp_helper_vsqrt_f##N(struct vcpu *v, VFP_TYPE_##N a);                          \
    VFP_TYPE_##N vfp_helper_vrint_f##N(struct vcpu *v, VFP_TYPE_##N a, uint32_t how);            \
    uint32_t vfp_helper_vcmp_f##N(struct vcpu *v, VFP_TYPE_##N a, VFP_TYPE_##N b, uint32_t how); \
    VFP_TYPE_##N vfp_helper_from_int_f##N(struct vcpu *v, uint32_t a, uint32_t how);             \
    uint32_t vfp_helper_to_int_f##N(struct vcpu *v, VFP_TYPE_##N a, uint32_t how);               \
    VFP_TYPE_##N vfp_helper_from_fixed_f##N(struct vcpu *v, VFP_TYPE_##N a, uint32_t how,        \
                                            uint32_t bits);                                      \
    VFP_TYPE_##N vfp_helper_to_fixed_f##N(struct vcpu *v, VFP_TYPE_##N a, uint32_t how,          \
                                          uint32_t bits);                                        \
    VFP_TYPE_##N vfp_helper_from_half_f##N(struct vcpu *v, uint32_t a, uint32_t how);            \
    uint32_t vfp_helper_to_half_f##N(struct vcpu *v, VFP_TYPE_##N a, uint32_t old, uint32_t how);

VFP_BINARY(VFP_DECLARE2, 32)
VFP_BINARY(VFP_DECLARE2, 64)
VFP_TERNARY(VFP_DECLARE3, 32)
VFP_TERNARY(VFP_DECLARE3, 64)
VFP_DECLARE_OTHERS(32)
VFP_DECLARE_OTHERS(64)
uint64_t vfp_helper_vcvt_f64_f32(struct vcpu *v, uint32_t a);
uint32_t vfp_helper_vcvt_f32_f64(struct vcpu *v, uint64_t a);
