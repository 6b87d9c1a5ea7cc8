/* SPDX-License-Identifier: MIT */
/*
 * Advanced SIMD, two registers: what is not a mere permutation (asimd_permute.c). Estimates, half
 * precision and conversions with a rounding mode of their own are helpers; VCLS and VCLZ are on
 * hosts without byte shuffles. Arm ARM A7.4.5; VRINT and VCVT with a rounding mode: DDI 0487 F6.1.
 *
 * Threads: the translating vCPU thread.
 */
#include "asimd_build.h"
#include "asimd_f32.h"
#include "asimd_misc_helpers.h"

#include "asimd_misc_decode.h"

#define ARGS_F const struct args_f_fd_fm_q_size

static bool valid(const struct arm_ctx *s, uint32_t q, uint32_t regs_ored)
{
    return asimd_enabled(s) && asimd_regs_ok(q, regs_ored);
}

static bool call(struct arm_ctx *s, const struct asimd_fn *f, uint32_t fd, uint32_t fm, uint32_t q)
{
    if (!valid(s, q, fd | fm)) {
        return false;
    }
    asimd_call(s, f, ASIMD_ARG(fd, 0, fm, q, 0));
    return true;
}

/* ---- leading zeros: of nibbles by a table, then of lanes twice as wide again and again ---- */
static ir_ref zeros_of_nibbles(struct arm_ctx *s, ir_ref nibbles)
{
    static const uint8_t zeros[16] = {4, 3, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0};

    return asimd_vop(s, IR_VSHUFB, 1, ir_vconst(s->b, zeros), nibbles);
}

/* The zeros of the upper halves, and those of the lower ones where the upper ones are `bits` zeros.
 */
static ir_ref join_zeros(struct arm_ctx *s, unsigned lane, unsigned bits, ir_ref high, ir_ref low)
{
    ir_ref all = asimd_vop(s, IR_VCMPEQ, lane, high, asimd_lanes(s, lane, bits));

    return asimd_vop(s, IR_VADD, lane, high, asimd_vop(s, IR_VAND, 8, low, all));
}

static ir_ref leading_zeros(struct arm_ctx *s, unsigned size, ir_ref x)
{
    ir_ref high = asimd_vop(s, IR_VAND, 8, asimd_vopi(s, IR_VSHRI, 2, x, 4), asimd_lanes(s, 1, 15));
    ir_ref low = asimd_vop(s, IR_VAND, 8, x, asimd_lanes(s, 1, 15));
    ir_ref r = join_zeros(s, 1, 4, zeros_of_nibbles(s, high), zeros_of_nibbles(s, low));

    for (unsigned lane = 2; lane <= 1u << size; lane *= 2) {
        unsigned bits = 4 * lane;

        low = asimd_vopi(s, IR_VSHRI, lane, asimd_vopi(s, IR_VSHLI, lane, r, bits), bits);
        r = join_zeros(s, lane, bits, asimd_vopi(s, IR_VSHRI, lane, r, bits), low);
    }
    return r;
}

bool trans_VCLZ_v(struct arm_ctx *s, const struct arg_VCLZ_v *a)
{
    if (!ir_has_shuffles()) {
        return call(s, &asimd_clz[a->u][a->size], a->fd, a->fm, a->q);
    }
    if (!valid(s, a->q, a->fd | a->fm)) {
        return false;
    }
    asimd_put(s, a->fd, a->q, leading_zeros(s, a->size, asimd_get(s, a->fm, a->q)));
    return true;
}

/* Bits below the sign that equal it: leading zeros, but one, of the number folded on its sign. */
bool trans_VCLS_v(struct arm_ctx *s, const struct arg_VCLS_v *a)
{
    ir_ref x, r;

    if (!ir_has_shuffles()) {
        return call(s, &asimd_cls[a->u][a->size], a->fd, a->fm, a->q);
    }
    if (!valid(s, a->q, a->fd | a->fm)) {
        return false;
    }
    x = asimd_get(s, a->fm, a->q);
    r = leading_zeros(s, a->size, asimd_vop(s, IR_VXOR, 8, x, asimd_signs(s, a->size, x)));
    asimd_put(s, a->fd, a->q, asimd_vop(s, IR_VADD, 1u << a->size, r, asimd_ones(s)));
    return true;
}

/* ---- narrowing and widening: shifts by 0 and by the width of a lane ---- */
#define ARGS_NARROW const struct args_fd_fm_size_u

static bool narrow(struct arm_ctx *s, ARGS_NARROW *a, bool to_unsigned)
{
    ir_ref x;

    if (!asimd_enabled(s) || (a->fm & 1)) {
        return false;
    }
    x = asimd_get(s, a->fm, 1);
    asimd_put(s, a->fd, 0, asimd_narrow_lanes(s, a->size, x, a->u, a->u || to_unsigned));
    return true;
}

bool trans_VMOVN_v(struct arm_ctx *s, const struct arg_VMOVN_v *a)
{
    if (!asimd_enabled(s) || (a->fm & 1)) {
        return false;
    }
    asimd_put(s, a->fd, 0, asimd_truncate(s, a->size, asimd_get(s, a->fm, 1)));
    return true;
}

bool trans_VQMOVN_v(struct arm_ctx *s, const struct arg_VQMOVN_v *a)
{
    return narrow(s, a, false);
}

bool trans_VQMOVUN_v(struct arm_ctx *s, const struct arg_VQMOVUN_v *a)
{
    return narrow(s, a, true);
}

bool trans_VSHLL_max(struct arm_ctx *s, const struct arg_VSHLL_max *a)
{
    if (!asimd_enabled(s) || (a->fd & 1)) {
        return false;
    }
    asimd_put(s, a->fd, 1,
              asimd_vop(s, IR_VUNPKL, 1u << a->size, asimd_zero(s), asimd_get(s, a->fm, 0)));
    return true;
}

/* ---- sums of pairs, twice as wide ---- */
/* The even and the odd lanes of 2^size bytes, each in a lane twice as wide. */
static ir_ref even_lanes(struct arm_ctx *s, bool is_unsigned, unsigned size, ir_ref x)
{
    unsigned wide = 2u << size, bits = 8u << size;

    if (is_unsigned || size == 2) { /* signed words: with the sign above them */
        ir_ref up = asimd_vopi(s, IR_VSHLI, wide, x, bits), sign;

        if (is_unsigned) {
            return asimd_vopi(s, IR_VSHRI, wide, up, bits);
        }
        sign = asimd_vopi(s, IR_VSHLI, 8, asimd_vopi(s, IR_VSARI, 4, x, 31), 32);
        return asimd_vop(s, IR_VOR, 8, asimd_vopi(s, IR_VSHRI, 8, up, 32), sign);
    }
    return asimd_vopi(s, IR_VSARI, wide, asimd_vopi(s, IR_VSHLI, wide, x, bits), bits);
}

static ir_ref odd_lanes(struct arm_ctx *s, bool is_unsigned, unsigned size, ir_ref x)
{
    unsigned wide = 2u << size, bits = 8u << size;

    if (is_unsigned || size < 2) {
        return asimd_vopi(s, is_unsigned ? IR_VSHRI : IR_VSARI, wide, x, bits);
    }
    return even_lanes(s, false, size, asimd_vopi(s, IR_VSHRI, 8, x, 32));
}

static bool pair_sums(struct arm_ctx *s, const struct args_fd_fm_q_size_u *a, bool accumulate)
{
    ir_ref x, r;

    if (!valid(s, a->q, a->fd | a->fm)) {
        return false;
    }
    x = asimd_get(s, a->fm, a->q);
    r = asimd_vop(s, IR_VADD, 2u << a->size, even_lanes(s, a->u, a->size, x),
                  odd_lanes(s, a->u, a->size, x));
    if (accumulate) {
        r = asimd_vop(s, IR_VADD, 2u << a->size, asimd_get(s, a->fd, a->q), r);
    }
    asimd_put(s, a->fd, a->q, r);
    return true;
}

bool trans_VPADDL_v(struct arm_ctx *s, const struct arg_VPADDL_v *a)
{
    return pair_sums(s, a, false);
}

bool trans_VPADAL_v(struct arm_ctx *s, const struct arg_VPADAL_v *a)
{
    return pair_sums(s, a, true);
}

/* ---- bits of bytes: pairs, fours and eights are added, whose sums do not reach the next byte ----
 */
static ir_ref masked_right(struct arm_ctx *s, ir_ref x, unsigned n, uint32_t mask)
{
    x = n ? asimd_vopi(s, IR_VSHRI, 2, x, n) : x;
    return asimd_vop(s, IR_VAND, 8, x, asimd_lanes(s, 1, mask));
}

bool trans_VCNT_v(struct arm_ctx *s, const struct arg_VCNT_v *a)
{
    ir_ref x;

    if (!valid(s, a->q, a->fd | a->fm)) {
        return false;
    }
    x = asimd_get(s, a->fm, a->q);
    x = asimd_vop(s, IR_VSUB, 1, x, masked_right(s, x, 1, 0x55));
    x = asimd_vop(s, IR_VADD, 1, masked_right(s, x, 0, 0x33), masked_right(s, x, 2, 0x33));
    x = asimd_vop(s, IR_VADD, 1, masked_right(s, x, 0, 0x0f), masked_right(s, x, 4, 0x0f));
    asimd_put(s, a->fd, a->q, x);
    return true;
}

/* ---- saturating: only the lowest number has no opposite ---- */
static bool opposite(struct arm_ctx *s, const struct args_fd_fm_q_size_u *a, bool absolute)
{
    unsigned lane = 1u << a->size;
    ir_ref x, r;

    if (!valid(s, a->q, a->fd | a->fm)) {
        return false;
    }
    x = asimd_get(s, a->fm, a->q);
    r = asimd_vop(s, IR_VSUB, lane, asimd_zero(s), x);
    r = absolute ? asimd_vop(s, IR_VMAXS, lane, x, r) : r;
    asimd_put(s, a->fd, a->q, asimd_fix_lowest(s, a->size, r));
    return true;
}

bool trans_VQABS_v(struct arm_ctx *s, const struct arg_VQABS_v *a)
{
    return opposite(s, a, true);
}

bool trans_VQNEG_v(struct arm_ctx *s, const struct arg_VQNEG_v *a)
{
    return opposite(s, a, false);
}

/* ---- inline ---- */
bool trans_VMVN_v(struct arm_ctx *s, const struct arg_VMVN_v *a)
{
    ir_ref x;

    if (!valid(s, a->q, a->fd | a->fm)) {
        return false;
    }
    x = asimd_get(s, a->fm, a->q);
    asimd_put(s, a->fd, a->q, asimd_not(s, x));
    return true;
}

/* The floating-point forms exist for words only. */
static bool valid_f(const struct arm_ctx *s, ARGS_F *a)
{
    return valid(s, a->q, a->fd | a->fm) && (!a->f || a->size == 2);
}

bool trans_VABS_v(struct arm_ctx *s, const struct arg_VABS_v *a)
{
    unsigned size = 1u << a->size;
    ir_ref x;

    if (!valid_f(s, a)) {
        return false;
    }
    x = asimd_get(s, a->fm, a->q);
    if (a->f) {
        x = asimd_vop(s, IR_VAND, 8, x, asimd_lanes(s, 4, 0x7fffffff));
    } else {
        x = asimd_vop(s, IR_VMAXS, size, x, asimd_vop(s, IR_VSUB, size, asimd_zero(s), x));
    }
    asimd_put(s, a->fd, a->q, x);
    return true;
}

bool trans_VNEG_v(struct arm_ctx *s, const struct arg_VNEG_v *a)
{
    ir_ref x;

    if (!valid_f(s, a)) {
        return false;
    }
    x = asimd_get(s, a->fm, a->q);
    x = a->f ? asimd_vop(s, IR_VXOR, 8, x, asimd_lanes(s, 4, 0x80000000))
             : asimd_vop(s, IR_VSUB, 1u << a->size, asimd_zero(s), x);
    asimd_put(s, a->fd, a->q, x);
    return true;
}

/* ---- comparisons with zero ---- */
static ir_ref greater_zero(struct arm_ctx *s, unsigned size, ir_ref x)
{
    return asimd_vop(s, IR_VCMPGTS, size, x, asimd_zero(s));
}

static ir_ref less_zero(struct arm_ctx *s, unsigned size, ir_ref x)
{
    return asimd_vop(s, IR_VCMPGTS, size, asimd_zero(s), x);
}

static ir_ref equal_zero(struct arm_ctx *s, unsigned size, ir_ref x)
{
    return asimd_vop(s, IR_VCMPEQ, size, x, asimd_zero(s));
}

/* x is the greater, or the lesser, of itself and zero. */
static ir_ref greater_equal_zero(struct arm_ctx *s, unsigned size, ir_ref x)
{
    return asimd_vop(s, IR_VCMPEQ, size, asimd_vop(s, IR_VMAXS, size, x, asimd_zero(s)), x);
}

static ir_ref less_equal_zero(struct arm_ctx *s, unsigned size, ir_ref x)
{
    return asimd_vop(s, IR_VCMPEQ, size, asimd_vop(s, IR_VMINS, size, x, asimd_zero(s)), x);
}

static ir_ref compare_zero_f32(struct arm_ctx *s, enum ir_op op, bool zero_first, ir_ref x)
{
    ir_ref zero = asimd_zero(s);

    return zero_first ? asimd_fop(s, op, zero, x, 0) : asimd_fop(s, op, x, zero, 0);
}

#define COMPARE_ZERO(name, f32_op, zero_first, op)                                              \
    bool trans_##name##_zero(struct arm_ctx *s, const struct arg_##name##_zero *a)              \
    {                                                                                           \
        ir_ref x;                                                                               \
                                                                                                \
        if (!valid_f(s, a)) {                                                                   \
            return false;                                                                       \
        }                                                                                       \
        x = asimd_get(s, a->fm, a->q);                                                          \
        asimd_put(s, a->fd, a->q,                                                               \
                  a->f ? compare_zero_f32(s, f32_op, zero_first, x) : op(s, 1u << a->size, x)); \
        return true;                                                                            \
    }

COMPARE_ZERO(VCGT, IR_VFCGT, false, greater_zero)
COMPARE_ZERO(VCGE, IR_VFCGE, false, greater_equal_zero)
COMPARE_ZERO(VCEQ, IR_VFCEQ, false, equal_zero)
COMPARE_ZERO(VCLE, IR_VFCGE, true, less_equal_zero)
COMPARE_ZERO(VCLT, IR_VFCGT, true, less_zero)

/* ---- estimates and conversions ---- */
bool trans_VRECPE_v(struct arm_ctx *s, const struct arg_VRECPE_v *a)
{
    return call(s, &asimd_recpe[a->f], a->fd, a->fm, a->q);
}

bool trans_VRSQRTE_v(struct arm_ctx *s, const struct arg_VRSQRTE_v *a)
{
    return call(s, &asimd_rsqrte[a->f], a->fd, a->fm, a->q);
}

bool trans_VCVT_int_v(struct arm_ctx *s, const struct arg_VCVT_int_v *a)
{
    bool is_unsigned = a->op & 1;
    ir_ref x;

    if (!valid(s, a->q, a->fd | a->fm)) {
        return false;
    }
    x = asimd_get(s, a->fm, a->q);
    asimd_put(s, a->fd, a->q,
              a->op & 2 ? asimd_f32_to_int(s, is_unsigned, x)
                        : asimd_f32_from_int(s, is_unsigned, x));
    return true;
}

bool trans_VCVT_f16_f32_v(struct arm_ctx *s, const struct arg_VCVT_f16_f32_v *a)
{
    return !(a->fm & 1) && call(s, &asimd_f32_to_f16, a->fd, a->fm, 0);
}

bool trans_VCVT_f32_f16_v(struct arm_ctx *s, const struct arg_VCVT_f32_f16_v *a)
{
    return !(a->fd & 1) && call(s, &asimd_f16_to_f32, a->fd, a->fm, 0);
}

bool trans_VRINT_v(struct arm_ctx *s, const struct arg_VRINT_v *a)
{
    return arm_has(s, ARM_FEAT_V8_AARCH32) && call(s, &asimd_rint[a->op], a->fd, a->fm, a->q);
}

bool trans_VCVT_round_v(struct arm_ctx *s, const struct arg_VCVT_round_v *a)
{
    return arm_has(s, ARM_FEAT_V8_AARCH32) &&
           call(s, &asimd_convert_round[a->u][a->op], a->fd, a->fm, a->q);
}
