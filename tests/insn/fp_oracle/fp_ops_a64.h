/* SPDX-License-Identifier: MIT */
/*
 * The A64 instructions compared with an oracle: what A32 lacks, or has under the standard FPSCR
 * value only. FP_OPS_A64(X) gives X(name, env, operand, bits, code, expression) as in fp_ops_a32.h,
 * but c is in v0, a in v1, b in v2 and the result in v0; NZCV comes from the flags; env is VFP.
 */
#pragma once

/* clang-format off */

/* r: name of the scalar registers' bank for N bits */
#define FP_OPS_A64_ARITH(X, N, r) \
    X(fadd_f##N, VFP, F##N, N, "fadd " r "0, " r "1, " r "2", fp_add_f##N(a, b, env)) \
    X(fmul_f##N, VFP, F##N, N, "fmul " r "0, " r "1, " r "2", fp_mul_f##N(a, b, env)) \
    X(fdiv_f##N, VFP, F##N, N, "fdiv " r "0, " r "1, " r "2", fp_div_f##N(a, b, env)) \
    X(fsqrt_f##N, VFP, F##N, N, "fsqrt " r "0, " r "1", fp_sqrt_f##N(a, env)) \
    X(fmadd_f##N, VFP, F##N, N, "fmadd " r "0, " r "1, " r "2, " r "0", \
      fp_muladd_f##N(c, a, b, env)) \
    X(fmulx_f##N, VFP, F##N, N, "fmulx " r "0, " r "1, " r "2", fp_mulx_f##N(a, b, env)) \
    X(fmax_f##N, VFP, F##N, N, "fmax " r "0, " r "1, " r "2", fp_max_f##N(a, b, env)) \
    X(fmin_f##N, VFP, F##N, N, "fmin " r "0, " r "1, " r "2", fp_min_f##N(a, b, env)) \
    X(fmaxnm_f##N, VFP, F##N, N, "fmaxnm " r "0, " r "1, " r "2", fp_maxnum_f##N(a, b, env)) \
    X(fminnm_f##N, VFP, F##N, N, "fminnm " r "0, " r "1, " r "2", fp_minnum_f##N(a, b, env)) \
    X(fcmp_f##N, VFP, F##N, 4, "fcmp " r "1, " r "2", fp_compare_f##N(a, b, false, env)) \
    X(fcmpe_f##N, VFP, F##N, 4, "fcmpe " r "1, " r "2", fp_compare_f##N(a, b, true, env)) \
    X(fcmeq_f##N, VFP, F##N, N, "fcmeq " r "0, " r "1, " r "2", \
      fp_compare_eq_f##N(a, b, env) ? UINT64_MAX : 0) \
    X(fcmge_f##N, VFP, F##N, N, "fcmge " r "0, " r "1, " r "2", \
      fp_compare_ge_f##N(a, b, env) ? UINT64_MAX : 0) \
    X(fcmgt_f##N, VFP, F##N, N, "fcmgt " r "0, " r "1, " r "2", \
      fp_compare_gt_f##N(a, b, env) ? UINT64_MAX : 0) \
    X(frecpe_f##N, VFP, F##N, N, "frecpe " r "0, " r "1", fp_recip_estimate_f##N(a, env)) \
    X(frsqrte_f##N, VFP, F##N, N, "frsqrte " r "0, " r "1", fp_rsqrt_estimate_f##N(a, env)) \
    X(frecpx_f##N, VFP, F##N, N, "frecpx " r "0, " r "1", fp_recpx_f##N(a, env)) \
    X(frecps_f##N, VFP, F##N, N, "frecps " r "0, " r "1, " r "2", \
      fp_recip_step_fused_f##N(a, b, env)) \
    X(frsqrts_f##N, VFP, F##N, N, "frsqrts " r "0, " r "1, " r "2", \
      fp_rsqrt_step_fused_f##N(a, b, env)) \
    X(frinti_f##N, VFP, F##N, N, "frinti " r "0, " r "1", \
      fp_round_int_f##N(a, env->rounding, false, env)) \
    X(frintx_f##N, VFP, F##N, N, "frintx " r "0, " r "1", \
      fp_round_int_f##N(a, env->rounding, true, env)) \
    X(frinta_f##N, VFP, F##N, N, "frinta " r "0, " r "1", fp_round_int_f##N(a, FP_RA, false, env))

/* i: width of the integer; x: its general registers' bank */
#define FP_OPS_A64_INT(X, N, r, i, x) \
    X(fcvtzs_##i##_f##N, VFP, F##N, i, "fcvtzs " x "9, " r "1\nfmov d0, x9", \
      fp_to_int_f##N(a, i, false, 0, FP_RZ, env)) \
    X(fcvtzu_##i##_f##N, VFP, F##N, i, "fcvtzu " x "9, " r "1\nfmov d0, x9", \
      fp_to_int_f##N(a, i, true, 0, FP_RZ, env)) \
    X(fcvtas_##i##_f##N, VFP, F##N, i, "fcvtas " x "9, " r "1\nfmov d0, x9", \
      fp_to_int_f##N(a, i, false, 0, FP_RA, env)) \
    X(fcvtpu_##i##_f##N, VFP, F##N, i, "fcvtpu " x "9, " r "1\nfmov d0, x9", \
      fp_to_int_f##N(a, i, true, 0, FP_RP, env)) \
    X(fcvtzs_##i##_f##N##_13, VFP, F##N, i, "fcvtzs " x "9, " r "1, #13\nfmov d0, x9", \
      fp_to_int_f##N(a, i, false, 13, FP_RZ, env)) \
    X(fcvtzu_##i##_f##N##_32, VFP, F##N, i, "fcvtzu " x "9, " r "1, #32\nfmov d0, x9", \
      fp_to_int_f##N(a, i, true, 32, FP_RZ, env)) \
    X(scvtf_f##N##_##i, VFP, I##i, N, "fmov x9, d1\nscvtf " r "0, " x "9", \
      fp_from_int_f##N((uint64_t)(int##i##_t)a, false, 0, env->rounding, env)) \
    X(ucvtf_f##N##_##i, VFP, I##i, N, "fmov x9, d1\nucvtf " r "0, " x "9", \
      fp_from_int_f##N((uint##i##_t)a, true, 0, env->rounding, env)) \
    X(scvtf_f##N##_##i##_32, VFP, I##i, N, "fmov x9, d1\nscvtf " r "0, " x "9, #32", \
      fp_from_int_f##N((uint64_t)(int##i##_t)a, false, 32, env->rounding, env)) \
    X(ucvtf_f##N##_##i##_7, VFP, I##i, N, "fmov x9, d1\nucvtf " r "0, " x "9, #7", \
      fp_from_int_f##N((uint##i##_t)a, true, 7, env->rounding, env))

/* FCVTXN rounds to odd whatever FPCR says. */
#define FP_OPS_A64_CONVERT(X) \
    X(fcvtxn, VFP, F64, 32, "fcvtxn s0, d1", \
      (env->rounding = FP_RO, fp_f64_to_f32(a, env))) \
    X(fcvt_f16_f64, VFP, F64, 16, "fcvt h0, d1", fp_f64_to_f16(a, env)) \
    X(fcvt_f64_f16, VFP, F16, 64, "fcvt d0, h1", fp_f16_to_f64(a, env))

#define FP_OPS_A64(X) \
    FP_OPS_A64_ARITH(X, 16, "h") \
    FP_OPS_A64_ARITH(X, 32, "s") \
    FP_OPS_A64_ARITH(X, 64, "d") \
    FP_OPS_A64_INT(X, 16, "h", 32, "w") \
    FP_OPS_A64_INT(X, 16, "h", 64, "x") \
    FP_OPS_A64_INT(X, 32, "s", 32, "w") \
    FP_OPS_A64_INT(X, 32, "s", 64, "x") \
    FP_OPS_A64_INT(X, 64, "d", 32, "w") \
    FP_OPS_A64_INT(X, 64, "d", 64, "x") \
    FP_OPS_A64_CONVERT(X)

/* clang-format on */
