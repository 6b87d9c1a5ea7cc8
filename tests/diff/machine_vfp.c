/* SPDX-License-Identifier: MIT */
/*
 * VFP and Advanced SIMD arithmetic in generated code against src/fp, which is compared with the
 * oracle elsewhere: operands that cancel, overflow, vanish or meet exceptional values, under all
 * controls of FPSCR. Most of these instructions run on the host's FPU, so results and cumulative
 * flags must be equal for every operand, products that round up to the smallest normal number
 * included.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "diff/machine_subject.h"
#include "fp/fp.h"
#include "insn/fp_oracle/fp_gen.h"
#include "tcg/x64/x64_internal.h"

#define COUNT       400
#define FPSCR_FLAGS 0xf800009fu

/*
 * X(name, bits of the operands, bits of the result, A32 word, what it computes): from D0 (a), D1
 * (b) and D2 (c) to D2, singles in the low halves. 4 bits of result: FPSCR.NZCV.
 */
#define ARITHMETIC(X, N, p)                                                                   \
    X(vadd_f##N, N, N, 0xee302001 | p, fp_add_f##N(a, b, e))                                  \
    X(vsub_f##N, N, N, 0xee302041 | p, fp_sub_f##N(a, b, e))                                  \
    X(vmul_f##N, N, N, 0xee202001 | p, fp_mul_f##N(a, b, e))                                  \
    X(vnmul_f##N, N, N, 0xee202041 | p, fp_neg_f##N(fp_mul_f##N(a, b, e)))                    \
    X(vdiv_f##N, N, N, 0xee802001 | p, fp_div_f##N(a, b, e))                                  \
    X(vsqrt_f##N, N, N, 0xeeb120c1 | p, fp_sqrt_f##N(b, e))                                   \
    X(vmla_f##N, N, N, 0xee002001 | p, fp_add_f##N(c, fp_mul_f##N(a, b, e), e))               \
    X(vmls_f##N, N, N, 0xee002041 | p, fp_add_f##N(c, fp_neg_f##N(fp_mul_f##N(a, b, e)), e))  \
    X(vnmls_f##N, N, N, 0xee102001 | p, fp_add_f##N(fp_neg_f##N(c), fp_mul_f##N(a, b, e), e)) \
    X(vnmla_f##N, N, N, 0xee102041 | p,                                                       \
      fp_add_f##N(fp_neg_f##N(c), fp_neg_f##N(fp_mul_f##N(a, b, e)), e))                      \
    X(vfma_f##N, N, N, 0xeea02001 | p, fp_muladd_f##N(c, a, b, e))                            \
    X(vfms_f##N, N, N, 0xeea02041 | p, fp_muladd_f##N(c, fp_neg_f##N(a), b, e))               \
    X(vfnms_f##N, N, N, 0xee902001 | p, fp_muladd_f##N(fp_neg_f##N(c), a, b, e))              \
    X(vfnma_f##N, N, N, 0xee902041 | p, fp_muladd_f##N(fp_neg_f##N(c), fp_neg_f##N(a), b, e)) \
    X(vcmp_f##N, N, 4, 0xeeb40041 | p, fp_compare_f##N(a, b, false, e))                       \
    X(vcmpe_f##N, N, 4, 0xeeb400c1 | p, fp_compare_f##N(a, b, true, e))                       \
    X(vcmp_zero_f##N, N, 4, 0xeeb50040 | p, fp_compare_f##N(a, 0, false, e))                  \
    X(vcmpe_zero_f##N, N, 4, 0xeeb500c0 | p, fp_compare_f##N(a, 0, true, e))                  \
    X(vcvtr_s32_f##N, N, 32, 0xeebd2041 | p,                                                  \
      fp_to_int_f##N(b, 32, false, 0, (enum fp_rounding)e->rounding, e))                      \
    X(vcvtr_u32_f##N, N, 32, 0xeebc2041 | p,                                                  \
      fp_to_int_f##N(b, 32, true, 0, (enum fp_rounding)e->rounding, e))                       \
    X(vcvt_f##N##_u32, N, N, 0xeeb82041 | p,                                                  \
      fp_from_int_f##N((uint32_t)b, true, 0, (enum fp_rounding)e->rounding, e))               \
    X(vcvt_s32_f##N, N, 32, 0xeebd20c1 | p, fp_to_int_f##N(b, 32, false, 0, FP_RZ, e))        \
    X(vcvt_u32_f##N, N, 32, 0xeebc20c1 | p, fp_to_int_f##N(b, 32, true, 0, FP_RZ, e))         \
    X(vcvt_f##N##_s32, N, N, 0xeeb820c1 | p,                                                  \
      fp_from_int_f##N((uint64_t)(int64_t)(int32_t)b, false, 0, (enum fp_rounding)e->rounding, e))
#define OPS(X)                                                         \
    ARITHMETIC(X, 32, 0x0a00)                                          \
    ARITHMETIC(X, 64, 0x0b00)                                          \
    X(vcvt_f64_f32, 32, 64, 0xeeb72ac1, fp_f32_to_f64((uint32_t)b, e)) \
    X(vcvt_f32_f64, 64, 32, 0xeeb72bc1, fp_f64_to_f32(b, e))

struct vfp_op {
    const char *name;
    unsigned operand_bits, result_bits;
    uint32_t word;
    uint64_t (*eval)(uint64_t a, uint64_t b, uint64_t c, struct fp_env *e);
};

#define DEFINE(name, N, result, word, expr)                                                 \
    static uint64_t eval_##name(uint64_t a64, uint64_t b64, uint64_t c64, struct fp_env *e) \
    {                                                                                       \
        const uint##N##_t a = (uint##N##_t)a64, b = (uint##N##_t)b64, c = (uint##N##_t)c64; \
        (void)a, (void)b, (void)c;                                                          \
        return (expr);                                                                      \
    }
OPS(DEFINE)
#define LIST(name, N, result, word, expr) {#name, N, result, word, eval_##name},
static const struct vfp_op ops[] = {OPS(LIST)};

static bool check(const struct vfp_op *op, const uint64_t v[3], uint32_t fpscr)
{
    struct insn_test t = {.code_len = 4, .flags = INSN_USES_VFP};
    struct insn_result got;
    struct fp_env e = fp_env_from_fpscr(fpscr);
    uint64_t mask = UINT64_MAX >> (64 - op->operand_bits);
    uint64_t want = op->eval(v[0] & mask, v[1] & mask, v[2] & mask, &e), r;
    uint32_t want_fpscr = fpscr | e.flags;

    for (unsigned i = 0; i < 3; i++)
        t.in.d[i] = v[i] & mask;
    for (unsigned i = 0; i < 4; i++)
        t.code[i] = (uint8_t)(op->word >> 8 * i);
    t.in.fpscr = fpscr;
    machine_subject_run(&t, &got);
    r = got.out.d[2];
    if (op->result_bits == 4) {
        r = want; /* the flags are compared with the rest of FPSCR */
        want_fpscr |= (uint32_t)want << 28;
    }
    mask = UINT64_MAX >> (64 - op->result_bits);
    if (((r ^ want) & mask) == 0 && ((got.out.fpscr ^ want_fpscr) & FPSCR_FLAGS) == 0)
        return true;
    fprintf(stderr,
            "%s: %016" PRIx64 " %016" PRIx64 " %016" PRIx64 " fpscr %08x: got %016" PRIx64
            " %08x, expected %016" PRIx64 " %08x\n",
            op->name, v[0], v[1], v[2], fpscr, r, got.out.fpscr, want, want_fpscr);
    return false;
}

#define FZ         (1u << 24)
#define DN         (1u << 25)
#define CUMULATIVE 0x9fu

/* Mostly nothing set; any setting; flush-to-zero, with and without flags raised before. */
static uint32_t some_fpscr(struct fp_gen *g, unsigned i)
{
    switch (i & 3) {
    case 0:
        return fp_gen_fpscr(g) & ~(1u << 19);
    case 1:
        return FZ | (fp_gen_below(g, 2) ? DN : 0) | (uint32_t)(fp_gen_below(g, 256) & CUMULATIVE);
    default:
        return fp_gen_below(g, 4) ? 0 : DN;
    }
}

static unsigned check_op(const struct vfp_op *op, struct fp_gen *g)
{
    unsigned wrong = 0;

    for (unsigned i = 0; i < COUNT && wrong < 4; i++) {
        uint32_t fpscr = some_fpscr(g, i);
        uint64_t v[3];

        fp_gen_operands(g, op->operand_bits == 64 ? FP_OPERAND_F64 : FP_OPERAND_F32, v);
        wrong += !check(op, v, fpscr);
    }
    return wrong;
}

/*
 * (1 + k ulp) * (1 - k ulp) = 1 - (k ulp)^2, scaled to just below the smallest normal number:
 * tiny before rounding, the smallest normal number after it. Also quotients and sums there.
 */
static unsigned check_smallest(const struct vfp_op *op, struct fp_gen *g)
{
    bool dbl = op->operand_bits == 64;
    unsigned wrong = 0, frac = dbl ? 52 : 23, bias = dbl ? 1023 : 127;

    for (unsigned i = 0; i < COUNT / 4 && wrong < 4; i++) {
        uint64_t k = fp_gen_below(g, dbl ? 40000000 : 1400);
        uint64_t split = 1 + fp_gen_below(g, bias - 2), sign = fp_gen_below(g, 2);
        uint64_t one = (uint64_t)bias << frac, v[3];

        /* exponents e1 + e2 = 1 - bias */
        v[0] = (one + k) - (split << frac) + (sign << (frac + (dbl ? 11 : 8)));
        v[1] = (one - 2 * k) - ((bias - 1 - split) << frac);
        v[2] = fp_gen_below(g, 2) ? 0 : fp_gen_below(g, 3);
        wrong += !check(op, v, some_fpscr(g, i));
    }
    return wrong;
}

/* ---- Advanced SIMD: Q0, Q1 and Q2 (c) to Q2, with the standard FPSCR ---- */
#define LANES 4
#define VECTOR_OPS(X)                                                                \
    X(vadd_v, 32, 32, 0xf2004d42, fp_add_f32(a, b, e))                               \
    X(vsub_v, 32, 32, 0xf2204d42, fp_sub_f32(a, b, e))                               \
    X(vmul_v, 32, 32, 0xf3004d52, fp_mul_f32(a, b, e))                               \
    X(vmla_v, 32, 32, 0xf2004d52, fp_add_f32(c, fp_mul_f32(a, b, e), e))             \
    X(vmls_v, 32, 32, 0xf2204d52, fp_add_f32(c, fp_neg_f32(fp_mul_f32(a, b, e)), e)) \
    X(vabd_v, 32, 32, 0xf3204d42, fp_abs_f32(fp_sub_f32(a, b, e)))                   \
    X(vmax_v, 32, 32, 0xf2004f42, fp_max_f32(a, b, e))                               \
    X(vmin_v, 32, 32, 0xf2204f42, fp_min_f32(a, b, e))                               \
    X(vceq_v, 32, 32, 0xf2004e42, fp_compare_eq_f32(a, b, e) ? ~0u : 0)              \
    X(vcge_v, 32, 32, 0xf3004e42, fp_compare_ge_f32(a, b, e) ? ~0u : 0)              \
    X(vcgt_v, 32, 32, 0xf3204e42, fp_compare_gt_f32(a, b, e) ? ~0u : 0)              \
    X(vclt_zero_v, 32, 32, 0xf3b94642, fp_compare_gt_f32(0, b, e) ? ~0u : 0)         \
    X(vcvt_s32_v, 32, 32, 0xf3bb4742, fp_to_int_f32(b, 32, false, 0, FP_RZ, e))      \
    X(vcvt_u32_v, 32, 32, 0xf3bb47c2, fp_to_int_f32(b, 32, true, 0, FP_RZ, e))       \
    X(vcvt_from_s32_v, 32, 32, 0xf3bb4642,                                           \
      fp_from_int_f32((uint64_t)(int64_t)(int32_t)b, false, 0, FP_RN, e))            \
    X(vcvt_from_u32_v, 32, 32, 0xf3bb46c2, fp_from_int_f32(b, true, 0, FP_RN, e))    \
    X(vfma_v, 32, 32, 0xf2004c52, fp_muladd_f32(c, a, b, e))                         \
    X(vfms_v, 32, 32, 0xf2204c52, fp_muladd_f32(c, fp_neg_f32(a), b, e))             \
    X(vrecps_v, 32, 32, 0xf2004f52, fp_recip_step_f32(a, b, e))                      \
    X(vrsqrts_v, 32, 32, 0xf2204f52, fp_rsqrt_step_f32(a, b, e))                     \
    X(vcvt_s32_16_v, 32, 32, 0xf2b04f52, fp_to_int_f32(b, 32, false, 16, FP_RZ, e))  \
    X(vcvt_u32_16_v, 32, 32, 0xf3b04f52, fp_to_int_f32(b, 32, true, 16, FP_RZ, e))   \
    X(vcvt_s32_32_v, 32, 32, 0xf2a04f52, fp_to_int_f32(b, 32, false, 32, FP_RZ, e))  \
    X(vcvt_u32_1_v, 32, 32, 0xf3bf4f52, fp_to_int_f32(b, 32, true, 1, FP_RZ, e))     \
    X(vcvt_from_s32_16_v, 32, 32, 0xf2b04e52,                                        \
      fp_from_int_f32((uint64_t)(int64_t)(int32_t)b, false, 16, FP_RN, e))           \
    X(vcvt_from_u32_32_v, 32, 32, 0xf3a04e52, fp_from_int_f32(b, true, 32, FP_RN, e))
VECTOR_OPS(DEFINE)
static const struct vfp_op vector_ops[] = {VECTOR_OPS(LIST)};

static bool is_normal(uint64_t v)
{
    return (v >> 23 & 0xff) - 1 < 254;
}

/* Operands of one lane; `plain`: no zeros, subnormals, infinities and NaNs; else zeros meet
   infinities now and then. */
static void lane_operands(struct fp_gen *g, bool plain, uint64_t v[3])
{
    static const uint32_t extremes[] = {0, 0x80000000, 0x7f800000, 0xff800000, 1};

    do
        fp_gen_operands(g, FP_OPERAND_F32, v);
    while (plain && !(is_normal(v[0]) && is_normal(v[1]) && is_normal(v[2])));
    for (unsigned k = 0; !plain && fp_gen_below(g, 2) && k < 2; k++)
        v[k] = extremes[fp_gen_below(g, 5)];
}

static bool check_vector(const struct vfp_op *op, struct fp_gen *g, uint32_t fpscr)
{
    struct insn_test t = {.code_len = 4, .flags = INSN_USES_VFP, .in.fpscr = fpscr};
    struct fp_env e = fp_env_standard(fpscr);
    bool plain = fp_gen_below(g, 8) != 0;
    struct insn_result got;
    uint64_t want[2] = {0};

    for (unsigned i = 0; i < 4; i++)
        t.code[i] = (uint8_t)(op->word >> 8 * i);
    for (unsigned i = 0; i < LANES; i++) {
        uint64_t v[3];

        lane_operands(g, plain, v);
        for (unsigned k = 0; k < 3; k++)
            t.in.d[2 * k + i / 2] |= (v[k] & 0xffffffffu) << 32 * (i & 1);
        want[i / 2] |= (op->eval(v[0], v[1], v[2], &e) & 0xffffffffu) << 32 * (i & 1);
    }
    machine_subject_run(&t, &got);
    if (got.out.d[4] == want[0] && got.out.d[5] == want[1] &&
        ((got.out.fpscr ^ (fpscr | e.flags)) & FPSCR_FLAGS) == 0)
        return true;
    fprintf(stderr,
            "%s: got %016" PRIx64 " %016" PRIx64 " %08x, expected %016" PRIx64 " %016" PRIx64
            " %08x\n",
            op->name, got.out.d[4], got.out.d[5], got.out.fpscr, want[0], want[1], fpscr | e.flags);
    return false;
}

static void check_vectors(struct fp_gen *g)
{
    for (unsigned k = 0; k < sizeof(vector_ops) / sizeof(vector_ops[0]); k++) {
        unsigned wrong = 0;

        for (unsigned i = 0; i < 4 * COUNT && wrong < 4; i++)
            wrong += !check_vector(&vector_ops[k], g, some_fpscr(g, i));
        cr_expect_eq(wrong, 0, "%s", vector_ops[k].name);
    }
}

static void check_all(enum mmu_mode mode)
{
    const char *seed = getenv("UMBRA_FP_SEED");
    struct fp_gen g = {.state = seed ? strtoull(seed, NULL, 0) : 1};

    machine_subject_create(mode, "cortex-a15", 0);
    for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        cr_expect_eq(check_op(&ops[i], &g), 0, "%s", ops[i].name);
        cr_expect_eq(check_smallest(&ops[i], &g), 0, "%s near the smallest normal", ops[i].name);
    }
    check_vectors(&g);
    machine_subject_destroy();
}

Test(machine, vfp_agrees_with_the_library, .timeout = 120)
{
    check_all(MMU_SOFT);
}

Test(machine, vfp_on_sse2_alone_agrees_with_the_library, .timeout = 120)
{
    x64_cpu = (struct x64_cpu){0};
    check_all(MMU_SOFT);
}
