/* SPDX-License-Identifier: MIT */
/*
 * The A32 instructions compared with an oracle, and what the library must compute for each.
 *
 * FP_OPS_A32(X) gives X(name, env, operand, bits, code, expression):
 *   env         VFP (as FPSCR says) or SIMD (standard FPSCR value)
 *   operand     format of the operands: F16, F32, F64, or integers I16, I32, I64
 *   bits        width of the (lowest lane of the) result that is compared; 4: the NZCV flags
 *   code        instruction(s); c is in d0 (s0), a in d2 and d3 (s4), b in d4 (s8), result in d0.
 *               Operands narrower than 64 bits are repeated, so that all lanes do the same.
 *   expression  the result in terms of a, b, c and env
 */
#pragma once

/* All lanes of a comparison. */
#define FP_MASK(condition) ((condition) ? UINT64_MAX : 0)

/* clang-format off */

/* Three-operand groups by suffix: S single-precision registers, D double, N Advanced SIMD. */
#define FP_OPS_VFP_ARITH(X, N, d, n, m) \
    X(vadd_f##N, VFP, F##N, N, "vadd.f" #N " " d "," n "," m, fp_add_f##N(a, b, env)) \
    X(vsub_f##N, VFP, F##N, N, "vsub.f" #N " " d "," n "," m, fp_sub_f##N(a, b, env)) \
    X(vmul_f##N, VFP, F##N, N, "vmul.f" #N " " d "," n "," m, fp_mul_f##N(a, b, env)) \
    X(vnmul_f##N, VFP, F##N, N, "vnmul.f" #N " " d "," n "," m, \
      fp_neg_f##N(fp_mul_f##N(a, b, env))) \
    X(vdiv_f##N, VFP, F##N, N, "vdiv.f" #N " " d "," n "," m, fp_div_f##N(a, b, env)) \
    X(vsqrt_f##N, VFP, F##N, N, "vsqrt.f" #N " " d "," n, fp_sqrt_f##N(a, env)) \
    X(vmla_f##N, VFP, F##N, N, "vmla.f" #N " " d "," n "," m, \
      fp_add_f##N(c, fp_mul_f##N(a, b, env), env)) \
    X(vmls_f##N, VFP, F##N, N, "vmls.f" #N " " d "," n "," m, \
      fp_add_f##N(c, fp_neg_f##N(fp_mul_f##N(a, b, env)), env)) \
    X(vnmla_f##N, VFP, F##N, N, "vnmla.f" #N " " d "," n "," m, \
      fp_add_f##N(fp_neg_f##N(c), fp_neg_f##N(fp_mul_f##N(a, b, env)), env)) \
    X(vnmls_f##N, VFP, F##N, N, "vnmls.f" #N " " d "," n "," m, \
      fp_add_f##N(fp_neg_f##N(c), fp_mul_f##N(a, b, env), env)) \
    X(vfma_f##N, VFP, F##N, N, "vfma.f" #N " " d "," n "," m, fp_muladd_f##N(c, a, b, env)) \
    X(vfms_f##N, VFP, F##N, N, "vfms.f" #N " " d "," n "," m, \
      fp_muladd_f##N(c, fp_neg_f##N(a), b, env)) \
    X(vfnma_f##N, VFP, F##N, N, "vfnma.f" #N " " d "," n "," m, \
      fp_muladd_f##N(fp_neg_f##N(c), fp_neg_f##N(a), b, env)) \
    X(vfnms_f##N, VFP, F##N, N, "vfnms.f" #N " " d "," n "," m, \
      fp_muladd_f##N(fp_neg_f##N(c), a, b, env)) \
    X(vmaxnm_f##N, VFP, F##N, N, "vmaxnm.f" #N " " d "," n "," m, fp_maxnum_f##N(a, b, env)) \
    X(vminnm_f##N, VFP, F##N, N, "vminnm.f" #N " " d "," n "," m, fp_minnum_f##N(a, b, env)) \
    X(vcmp_f##N, VFP, F##N, 4, "vcmp.f" #N " " n "," m, fp_compare_f##N(a, b, false, env)) \
    X(vcmpe_f##N, VFP, F##N, 4, "vcmpe.f" #N " " n "," m, fp_compare_f##N(a, b, true, env)) \
    X(vcmp0_f##N, VFP, F##N, 4, "vcmp.f" #N " " n ", #0", fp_compare_f##N(a, 0, false, env)) \
    X(vcmpe0_f##N, VFP, F##N, 4, "vcmpe.f" #N " " n ", #0", fp_compare_f##N(a, 0, true, env))

#define FP_OPS_VFP_RINT(X, N, d, n) \
    X(vrintr_f##N, VFP, F##N, N, "vrintr.f" #N " " d "," n, \
      fp_round_int_f##N(a, env->rounding, false, env)) \
    X(vrintx_f##N, VFP, F##N, N, "vrintx.f" #N " " d "," n, \
      fp_round_int_f##N(a, env->rounding, true, env)) \
    X(vrintz_f##N, VFP, F##N, N, "vrintz.f" #N " " d "," n, fp_round_int_f##N(a, FP_RZ, false, env)) \
    X(vrinta_f##N, VFP, F##N, N, "vrinta.f" #N " " d "," n, fp_round_int_f##N(a, FP_RA, false, env)) \
    X(vrintn_f##N, VFP, F##N, N, "vrintn.f" #N " " d "," n, fp_round_int_f##N(a, FP_RN, false, env)) \
    X(vrintp_f##N, VFP, F##N, N, "vrintp.f" #N " " d "," n, fp_round_int_f##N(a, FP_RP, false, env)) \
    X(vrintm_f##N, VFP, F##N, N, "vrintm.f" #N " " d "," n, fp_round_int_f##N(a, FP_RM, false, env))

/* i: name of the integer type; u: whether it is unsigned; n: source register */
#define FP_OPS_VFP_TOINT(X, N, i, u, n) \
    X(vcvt_##i##_f##N, VFP, F##N, 32, "vcvt." #i ".f" #N " s0," n, \
      fp_to_int_f##N(a, 32, u, 0, FP_RZ, env)) \
    X(vcvtr_##i##_f##N, VFP, F##N, 32, "vcvtr." #i ".f" #N " s0," n, \
      fp_to_int_f##N(a, 32, u, 0, env->rounding, env)) \
    X(vcvta_##i##_f##N, VFP, F##N, 32, "vcvta." #i ".f" #N " s0," n, \
      fp_to_int_f##N(a, 32, u, 0, FP_RA, env)) \
    X(vcvtn_##i##_f##N, VFP, F##N, 32, "vcvtn." #i ".f" #N " s0," n, \
      fp_to_int_f##N(a, 32, u, 0, FP_RN, env)) \
    X(vcvtp_##i##_f##N, VFP, F##N, 32, "vcvtp." #i ".f" #N " s0," n, \
      fp_to_int_f##N(a, 32, u, 0, FP_RP, env)) \
    X(vcvtm_##i##_f##N, VFP, F##N, 32, "vcvtm." #i ".f" #N " s0," n, \
      fp_to_int_f##N(a, 32, u, 0, FP_RM, env))

#define FP_OPS_VFP_FROMINT(X, N, d) \
    X(vcvt_f##N##_s32, VFP, I32, N, "vcvt.f" #N ".s32 " d ", s4", \
      fp_from_int_f##N((uint64_t)(int32_t)a, false, 0, env->rounding, env)) \
    X(vcvt_f##N##_u32, VFP, I32, N, "vcvt.f" #N ".u32 " d ", s4", \
      fp_from_int_f##N((uint32_t)a, true, 0, env->rounding, env))

/* Fixed point: source and destination are one register, so a is moved there first. */
#define FP_OPS_VFP_FIXED(X, N, d, move, fbits) \
    X(vcvt_s16_f##N##_##fbits, VFP, F##N, 32, move "vcvt.s16.f" #N " " d "," d ", #" #fbits, \
      fp_to_int_f##N(a, 16, false, fbits, FP_RZ, env)) \
    X(vcvt_u16_f##N##_##fbits, VFP, F##N, 32, move "vcvt.u16.f" #N " " d "," d ", #" #fbits, \
      fp_to_int_f##N(a, 16, true, fbits, FP_RZ, env)) \
    X(vcvt_f##N##_s16_##fbits, VFP, I32, N, move "vcvt.f" #N ".s16 " d "," d ", #" #fbits, \
      fp_from_int_f##N((uint64_t)(int16_t)a, false, fbits, FP_RN, env)) \
    X(vcvt_f##N##_u16_##fbits, VFP, I32, N, move "vcvt.f" #N ".u16 " d "," d ", #" #fbits, \
      fp_from_int_f##N((uint16_t)a, true, fbits, FP_RN, env)) \
    FP_OPS_VFP_FIXED32(X, N, d, move, fbits)

#define FP_OPS_VFP_FIXED32(X, N, d, move, fbits) \
    X(vcvt_s32_f##N##_##fbits, VFP, F##N, 32, move "vcvt.s32.f" #N " " d "," d ", #" #fbits, \
      fp_to_int_f##N(a, 32, false, fbits, FP_RZ, env)) \
    X(vcvt_u32_f##N##_##fbits, VFP, F##N, 32, move "vcvt.u32.f" #N " " d "," d ", #" #fbits, \
      fp_to_int_f##N(a, 32, true, fbits, FP_RZ, env)) \
    X(vcvt_f##N##_s32_##fbits, VFP, I32, N, move "vcvt.f" #N ".s32 " d "," d ", #" #fbits, \
      fp_from_int_f##N((uint64_t)(int32_t)a, false, fbits, FP_RN, env)) \
    X(vcvt_f##N##_u32_##fbits, VFP, I32, N, move "vcvt.f" #N ".u32 " d "," d ", #" #fbits, \
      fp_from_int_f##N((uint32_t)a, true, fbits, FP_RN, env))

#define FP_OPS_VFP_CONVERT(X) \
    X(vcvt_f64_f32, VFP, F32, 64, "vcvt.f64.f32 d0, s4", fp_f32_to_f64(a, env)) \
    X(vcvt_f32_f64, VFP, F64, 32, "vcvt.f32.f64 s0, d2", fp_f64_to_f32(a, env)) \
    X(vcvtb_f32_f16, VFP, F16, 32, "vcvtb.f32.f16 s0, s4", fp_f16_to_f32(a, env)) \
    X(vcvtt_f32_f16, VFP, F16, 32, "vcvtt.f32.f16 s0, s4", fp_f16_to_f32(a, env)) \
    X(vcvtb_f16_f32, VFP, F32, 16, "vcvtb.f16.f32 s0, s4", fp_f32_to_f16(a, env)) \
    X(vcvtb_f64_f16, VFP, F16, 64, "vcvtb.f64.f16 d0, s4", fp_f16_to_f64(a, env)) \
    X(vcvtb_f16_f64, VFP, F64, 16, "vcvtb.f16.f64 s0, d2", fp_f64_to_f16(a, env))

#define FP_OPS_SIMD_ARITH(X, N) \
    X(simd_vadd_f##N, SIMD, F##N, N, "vadd.f" #N " d0, d2, d4", fp_add_f##N(a, b, env)) \
    X(simd_vsub_f##N, SIMD, F##N, N, "vsub.f" #N " d0, d2, d4", fp_sub_f##N(a, b, env)) \
    X(simd_vmul_f##N, SIMD, F##N, N, "vmul.f" #N " d0, d2, d4", fp_mul_f##N(a, b, env)) \
    X(simd_vmla_f##N, SIMD, F##N, N, "vmla.f" #N " d0, d2, d4", \
      fp_add_f##N(c, fp_mul_f##N(a, b, env), env)) \
    X(simd_vmls_f##N, SIMD, F##N, N, "vmls.f" #N " d0, d2, d4", \
      fp_add_f##N(c, fp_neg_f##N(fp_mul_f##N(a, b, env)), env)) \
    X(simd_vfma_f##N, SIMD, F##N, N, "vfma.f" #N " d0, d2, d4", fp_muladd_f##N(c, a, b, env)) \
    X(simd_vfms_f##N, SIMD, F##N, N, "vfms.f" #N " d0, d2, d4", \
      fp_muladd_f##N(c, fp_neg_f##N(a), b, env)) \
    X(simd_vabd_f##N, SIMD, F##N, N, "vabd.f" #N " d0, d2, d4", \
      fp_abs_f##N(fp_sub_f##N(a, b, env))) \
    X(simd_vmax_f##N, SIMD, F##N, N, "vmax.f" #N " d0, d2, d4", fp_max_f##N(a, b, env)) \
    X(simd_vmin_f##N, SIMD, F##N, N, "vmin.f" #N " d0, d2, d4", fp_min_f##N(a, b, env)) \
    X(simd_vmaxnm_f##N, SIMD, F##N, N, "vmaxnm.f" #N " d0, d2, d4", fp_maxnum_f##N(a, b, env)) \
    X(simd_vminnm_f##N, SIMD, F##N, N, "vminnm.f" #N " d0, d2, d4", fp_minnum_f##N(a, b, env)) \
    X(simd_vceq_f##N, SIMD, F##N, N, "vceq.f" #N " d0, d2, d4", \
      FP_MASK(fp_compare_eq_f##N(a, b, env))) \
    X(simd_vcge_f##N, SIMD, F##N, N, "vcge.f" #N " d0, d2, d4", \
      FP_MASK(fp_compare_ge_f##N(a, b, env))) \
    X(simd_vcgt_f##N, SIMD, F##N, N, "vcgt.f" #N " d0, d2, d4", \
      FP_MASK(fp_compare_gt_f##N(a, b, env))) \
    X(simd_vacge_f##N, SIMD, F##N, N, "vacge.f" #N " d0, d2, d4", \
      FP_MASK(fp_compare_ge_f##N(fp_abs_f##N(a), fp_abs_f##N(b), env))) \
    X(simd_vacgt_f##N, SIMD, F##N, N, "vacgt.f" #N " d0, d2, d4", \
      FP_MASK(fp_compare_gt_f##N(fp_abs_f##N(a), fp_abs_f##N(b), env))) \
    X(simd_vceq0_f##N, SIMD, F##N, N, "vceq.f" #N " d0, d2, #0", \
      FP_MASK(fp_compare_eq_f##N(a, 0, env))) \
    X(simd_vcle0_f##N, SIMD, F##N, N, "vcle.f" #N " d0, d2, #0", \
      FP_MASK(fp_compare_ge_f##N(0, a, env))) \
    X(simd_vclt0_f##N, SIMD, F##N, N, "vclt.f" #N " d0, d2, #0", \
      FP_MASK(fp_compare_gt_f##N(0, a, env))) \
    X(simd_vrecpe_f##N, SIMD, F##N, N, "vrecpe.f" #N " d0, d2", fp_recip_estimate_f##N(a, env)) \
    X(simd_vrsqrte_f##N, SIMD, F##N, N, "vrsqrte.f" #N " d0, d2", \
      fp_rsqrt_estimate_f##N(a, env)) \
    X(simd_vrecps_f##N, SIMD, F##N, N, "vrecps.f" #N " d0, d2, d4", \
      fp_recip_step_f##N(a, b, env)) \
    X(simd_vrsqrts_f##N, SIMD, F##N, N, "vrsqrts.f" #N " d0, d2, d4", \
      fp_rsqrt_step_f##N(a, b, env)) \
    X(simd_vrintx_f##N, SIMD, F##N, N, "vrintx.f" #N " d0, d2", \
      fp_round_int_f##N(a, FP_RN, true, env)) \
    X(simd_vrintn_f##N, SIMD, F##N, N, "vrintn.f" #N " d0, d2", \
      fp_round_int_f##N(a, FP_RN, false, env)) \
    X(simd_vrinta_f##N, SIMD, F##N, N, "vrinta.f" #N " d0, d2", \
      fp_round_int_f##N(a, FP_RA, false, env)) \
    X(simd_vrintz_f##N, SIMD, F##N, N, "vrintz.f" #N " d0, d2", \
      fp_round_int_f##N(a, FP_RZ, false, env)) \
    X(simd_vrintp_f##N, SIMD, F##N, N, "vrintp.f" #N " d0, d2", \
      fp_round_int_f##N(a, FP_RP, false, env)) \
    X(simd_vrintm_f##N, SIMD, F##N, N, "vrintm.f" #N " d0, d2", \
      fp_round_int_f##N(a, FP_RM, false, env))

/* Lanes of N bits hold integers of N bits. */
#define FP_OPS_SIMD_INT(X, N) \
    X(simd_vcvt_s_f##N, SIMD, F##N, N, "vcvt.s" #N ".f" #N " d0, d2", \
      fp_to_int_f##N(a, N, false, 0, FP_RZ, env)) \
    X(simd_vcvt_u_f##N, SIMD, F##N, N, "vcvt.u" #N ".f" #N " d0, d2", \
      fp_to_int_f##N(a, N, true, 0, FP_RZ, env)) \
    X(simd_vcvta_s_f##N, SIMD, F##N, N, "vcvta.s" #N ".f" #N " d0, d2", \
      fp_to_int_f##N(a, N, false, 0, FP_RA, env)) \
    X(simd_vcvtm_u_f##N, SIMD, F##N, N, "vcvtm.u" #N ".f" #N " d0, d2", \
      fp_to_int_f##N(a, N, true, 0, FP_RM, env)) \
    X(simd_vcvt_s_f##N##_9, SIMD, F##N, N, "vcvt.s" #N ".f" #N " d0, d2, #9", \
      fp_to_int_f##N(a, N, false, 9, FP_RZ, env)) \
    X(simd_vcvt_u_f##N##_16, SIMD, F##N, N, "vcvt.u" #N ".f" #N " d0, d2, #16", \
      fp_to_int_f##N(a, N, true, 16, FP_RZ, env)) \
    X(simd_vcvt_f##N##_s, SIMD, I##N, N, "vcvt.f" #N ".s" #N " d0, d2", \
      fp_from_int_f##N((uint64_t)(int##N##_t)a, false, 0, FP_RN, env)) \
    X(simd_vcvt_f##N##_u, SIMD, I##N, N, "vcvt.f" #N ".u" #N " d0, d2", \
      fp_from_int_f##N((uint##N##_t)a, true, 0, FP_RN, env)) \
    X(simd_vcvt_f##N##_s_5, SIMD, I##N, N, "vcvt.f" #N ".s" #N " d0, d2, #5", \
      fp_from_int_f##N((uint64_t)(int##N##_t)a, false, 5, FP_RN, env)) \
    X(simd_vcvt_f##N##_u_16, SIMD, I##N, N, "vcvt.f" #N ".u" #N " d0, d2, #16", \
      fp_from_int_f##N((uint##N##_t)a, true, 16, FP_RN, env))

#define FP_OPS_SIMD_OTHER(X) \
    X(simd_vrecpe_u32, SIMD, I32, 32, "vrecpe.u32 d0, d2", fp_recip_estimate_u32(a)) \
    X(simd_vrsqrte_u32, SIMD, I32, 32, "vrsqrte.u32 d0, d2", fp_rsqrt_estimate_u32(a)) \
    X(simd_vcvt_f16_f32, SIMD, F32, 16, "vcvt.f16.f32 d0, q1", fp_f32_to_f16(a, env)) \
    X(simd_vcvt_f32_f16, SIMD, F16, 32, "vcvt.f32.f16 q0, d2", fp_f16_to_f32(a, env))

#define FP_OPS_A32(X) \
    FP_OPS_VFP_ARITH(X, 16, "s0", "s4", "s8") \
    FP_OPS_VFP_ARITH(X, 32, "s0", "s4", "s8") \
    FP_OPS_VFP_ARITH(X, 64, "d0", "d2", "d4") \
    FP_OPS_VFP_RINT(X, 16, "s0", "s4") \
    FP_OPS_VFP_RINT(X, 32, "s0", "s4") \
    FP_OPS_VFP_RINT(X, 64, "d0", "d2") \
    FP_OPS_VFP_TOINT(X, 16, s32, false, "s4") \
    FP_OPS_VFP_TOINT(X, 16, u32, true, "s4") \
    FP_OPS_VFP_TOINT(X, 32, s32, false, "s4") \
    FP_OPS_VFP_TOINT(X, 32, u32, true, "s4") \
    FP_OPS_VFP_TOINT(X, 64, s32, false, "d2") \
    FP_OPS_VFP_TOINT(X, 64, u32, true, "d2") \
    FP_OPS_VFP_FROMINT(X, 16, "s0") \
    FP_OPS_VFP_FROMINT(X, 32, "s0") \
    FP_OPS_VFP_FROMINT(X, 64, "d0") \
    FP_OPS_VFP_FIXED(X, 32, "s0", "vmov.f32 s0, s4\n", 1) \
    FP_OPS_VFP_FIXED(X, 32, "s0", "vmov.f32 s0, s4\n", 16) \
    FP_OPS_VFP_FIXED32(X, 32, "s0", "vmov.f32 s0, s4\n", 32) \
    FP_OPS_VFP_FIXED(X, 64, "d0", "vmov.f64 d0, d2\n", 1) \
    FP_OPS_VFP_FIXED(X, 64, "d0", "vmov.f64 d0, d2\n", 16) \
    FP_OPS_VFP_FIXED32(X, 64, "d0", "vmov.f64 d0, d2\n", 32) \
    FP_OPS_VFP_CONVERT(X) \
    FP_OPS_SIMD_ARITH(X, 16) \
    FP_OPS_SIMD_ARITH(X, 32) \
    FP_OPS_SIMD_INT(X, 16) \
    FP_OPS_SIMD_INT(X, 32) \
    FP_OPS_SIMD_OTHER(X)

/* clang-format on */
