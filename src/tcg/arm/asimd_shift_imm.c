/* SPDX-License-Identifier: MIT */
/*
 * Advanced SIMD, two registers and a shift amount, in the IR. That has no shifts of bytes (done in
 * halfwords, with a mask) and no arithmetic one of doublewords (done without the sign). Arm ARM
 * A7.4.4.
 *
 * Threads: the translating vCPU thread.
 */
#include "asimd_build.h"
#include "asimd_f32.h"

#include "asimd_imm_decode.h"

#define ARGS        const struct args_fd_fm_imm_q_u
#define ARGS_NARROW const struct args_fd_fm_imm_u

/* What L:imm6 says: lane size (log2 of bytes), and the amount to either side. */
struct amount {
    unsigned size, left, right;
};

static struct amount amount_of(uint32_t imm)
{
    unsigned size = imm >= 64 ? 3 : imm >= 32 ? 2 : imm >= 16 ? 1 : 0;
    unsigned bits = 8u << size;

    return (struct amount){.size = size, .left = imm - bits, .right = 2 * bits - imm};
}

static bool valid(const struct arm_ctx *s, ARGS *a)
{
    return asimd_enabled(s) && asimd_regs_ok(a->q, a->fd | a->fm);
}

/* ---- inline ---- */
static ir_ref shift_left(struct arm_ctx *s, unsigned size, ir_ref x, unsigned n)
{
    if (n == 0) {
        return x;
    }
    if (size == 0) {
        x = asimd_vopi(s, IR_VSHLI, 2, x, n);
        return asimd_vop(s, IR_VAND, 8, x, asimd_lanes(s, 1, 0xffu << n));
    }
    return asimd_vopi(s, IR_VSHLI, 1u << size, x, n);
}

/* n is 1 to the width of a lane; at the width nothing is left. */
static ir_ref shift_right_unsigned(struct arm_ctx *s, unsigned size, ir_ref x, unsigned n)
{
    if (n == 8u << size) {
        return asimd_zero(s);
    }
    if (size == 0) {
        x = asimd_vopi(s, IR_VSHRI, 2, x, n);
        return asimd_vop(s, IR_VAND, 8, x, asimd_lanes(s, 1, 0xffu >> n));
    }
    return asimd_vopi(s, IR_VSHRI, 1u << size, x, n);
}

/* At the width the result is all sign, as one less gives. */
static ir_ref shift_right_signed(struct arm_ctx *s, unsigned size, ir_ref x, unsigned n)
{
    if (n == 8u << size) {
        n--;
    }
    if (size == 0) { /* extend the sign from where it is now */
        ir_ref sign = asimd_lanes(s, 1, 0x80u >> n);

        x = shift_right_unsigned(s, size, x, n);
        return asimd_vop(s, IR_VSUB, 1, asimd_vop(s, IR_VXOR, 8, x, sign), sign);
    }
    if (size == 3) { /* a number without its sign is shifted */
        ir_ref signs = asimd_signs(s, 3, x);

        x = asimd_vopi(s, IR_VSHRI, 8, asimd_vop(s, IR_VXOR, 8, x, signs), n);
        return asimd_vop(s, IR_VXOR, 8, x, signs);
    }
    return asimd_vopi(s, IR_VSARI, 1u << size, x, n);
}

static bool shift_right(struct arm_ctx *s, ARGS *a, bool accumulate)
{
    struct amount n = amount_of(a->imm);
    ir_ref x;

    if (!valid(s, a)) {
        return false;
    }
    x = asimd_get(s, a->fm, a->q);
    x = a->u ? shift_right_unsigned(s, n.size, x, n.right)
             : shift_right_signed(s, n.size, x, n.right);
    if (accumulate) {
        x = asimd_vop(s, IR_VADD, 1u << n.size, asimd_get(s, a->fd, a->q), x);
    }
    asimd_put(s, a->fd, a->q, x);
    return true;
}

bool trans_VSHR_imm(struct arm_ctx *s, const struct arg_VSHR_imm *a)
{
    return shift_right(s, a, false);
}

bool trans_VSRA_imm(struct arm_ctx *s, const struct arg_VSRA_imm *a)
{
    return shift_right(s, a, true);
}

bool trans_VSHL_imm(struct arm_ctx *s, const struct arg_VSHL_imm *a)
{
    struct amount n = amount_of(a->imm);

    if (!valid(s, a)) {
        return false;
    }
    asimd_put(s, a->fd, a->q, shift_left(s, n.size, asimd_get(s, a->fm, a->q), n.left));
    return true;
}

/* Put x into the destination's bits under `mask`. */
static void insert(struct arm_ctx *s, ARGS *a, ir_ref x, ir_ref mask)
{
    ir_ref old = asimd_vop(s, IR_VANDN, 8, asimd_get(s, a->fd, a->q), mask);

    asimd_put(s, a->fd, a->q, asimd_vop(s, IR_VOR, 8, old, x));
}

bool trans_VSLI_imm(struct arm_ctx *s, const struct arg_VSLI_imm *a)
{
    struct amount n = amount_of(a->imm);
    ir_ref x;

    if (!valid(s, a)) {
        return false;
    }
    x = asimd_get(s, a->fm, a->q);
    insert(s, a, shift_left(s, n.size, x, n.left), shift_left(s, n.size, asimd_ones(s), n.left));
    return true;
}

bool trans_VSRI_imm(struct arm_ctx *s, const struct arg_VSRI_imm *a)
{
    struct amount n = amount_of(a->imm);
    ir_ref x;

    if (!valid(s, a)) {
        return false;
    }
    x = asimd_get(s, a->fm, a->q);
    insert(s, a, shift_right_unsigned(s, n.size, x, n.right),
           shift_right_unsigned(s, n.size, asimd_ones(s), n.right));
    return true;
}

/* ---- rounding: the last bit shifted out is added after the shift, so that nothing carries out
 * ---- */
/* n is 1 to the width of a lane. */
static ir_ref shift_right_rounded(struct arm_ctx *s, bool is_unsigned, unsigned size, ir_ref x,
                                  unsigned n)
{
    ir_ref last = n == 1 ? x : shift_right_unsigned(s, size, x, n - 1), r, one;

    if (n == 8u << size && !is_unsigned) {
        return asimd_zero(s); /* -1 or 0, and the sign as the last bit */
    }
    one = size == 3 ? asimd_vopi(s, IR_VSHRI, 8, asimd_ones(s), 63) : asimd_lanes(s, 1u << size, 1);
    r = is_unsigned ? shift_right_unsigned(s, size, x, n) : shift_right_signed(s, size, x, n);
    return asimd_vop(s, IR_VADD, 1u << size, r, asimd_vop(s, IR_VAND, 8, last, one));
}

static bool round_right(struct arm_ctx *s, ARGS *a, bool accumulate)
{
    struct amount n = amount_of(a->imm);
    ir_ref x;

    if (!valid(s, a)) {
        return false;
    }
    x = shift_right_rounded(s, a->u, n.size, asimd_get(s, a->fm, a->q), n.right);
    if (accumulate) {
        x = asimd_vop(s, IR_VADD, 1u << n.size, asimd_get(s, a->fd, a->q), x);
    }
    asimd_put(s, a->fd, a->q, x);
    return true;
}

bool trans_VRSHR_imm(struct arm_ctx *s, const struct arg_VRSHR_imm *a)
{
    return round_right(s, a, false);
}

bool trans_VRSRA_imm(struct arm_ctx *s, const struct arg_VRSRA_imm *a)
{
    return round_right(s, a, true);
}

/* ---- saturating: what comes back from where it was shifted to fits ---- */
static ir_ref shift_left_saturating(struct arm_ctx *s, bool is_unsigned, unsigned size, ir_ref x,
                                    unsigned n)
{
    ir_ref left, back;

    if (n == 0) {
        return x;
    }
    left = shift_left(s, size, x, n);
    back =
        is_unsigned ? shift_right_unsigned(s, size, left, n) : shift_right_signed(s, size, left, n);
    return asimd_limit_lanes(s, is_unsigned, size, asimd_vop(s, IR_VCMPEQ, 1u << size, back, x),
                             left, x);
}

bool trans_VQSHL_imm(struct arm_ctx *s, const struct arg_VQSHL_imm *a)
{
    struct amount n = amount_of(a->imm);

    if (!valid(s, a)) {
        return false;
    }
    asimd_put(s, a->fd, a->q,
              shift_left_saturating(s, a->u, n.size, asimd_get(s, a->fm, a->q), n.left));
    return true;
}

/* Negative numbers saturate to 0. */
bool trans_VQSHLU_imm(struct arm_ctx *s, const struct arg_VQSHLU_imm *a)
{
    struct amount n = amount_of(a->imm);
    ir_ref x, negative;

    if (!valid(s, a)) {
        return false;
    }
    x = asimd_get(s, a->fm, a->q);
    negative = asimd_signs(s, n.size, x);
    asimd_gather_qc(s, negative);
    x = asimd_vop(s, IR_VANDN, 8, x, negative);
    asimd_put(s, a->fd, a->q, shift_left_saturating(s, true, n.size, x, n.left));
    return true;
}

/* ---- narrowing: amount 1 to the width of the narrow lane ---- */
static bool narrow_valid(const struct arm_ctx *s, ARGS_NARROW *a)
{
    return asimd_enabled(s) && !(a->fm & 1);
}

/* Bits from n up: rounding needs those that survive the wide lane only, and its carry is lost. */
static bool truncate(struct arm_ctx *s, ARGS_NARROW *a, bool round)
{
    struct amount n = amount_of(a->imm);
    ir_ref x;

    if (!narrow_valid(s, a)) {
        return false;
    }
    x = asimd_get(s, a->fm, 1);
    x = round ? shift_right_rounded(s, true, n.size + 1, x, n.right)
              : shift_right_unsigned(s, n.size + 1, x, n.right);
    asimd_put(s, a->fd, 0, asimd_truncate(s, n.size, x));
    return true;
}

/* How numbers saturate: `u` of the instruction, or signed to unsigned. */
static bool saturate(struct arm_ctx *s, ARGS_NARROW *a, bool round, bool to_unsigned)
{
    struct amount n = amount_of(a->imm);
    unsigned wide = n.size + 1;
    ir_ref x;

    if (!narrow_valid(s, a)) {
        return false;
    }
    x = asimd_get(s, a->fm, 1);
    if (round) {
        x = shift_right_rounded(s, a->u, wide, x, n.right);
    } else {
        x = a->u ? shift_right_unsigned(s, wide, x, n.right)
                 : shift_right_signed(s, wide, x, n.right);
    }
    asimd_put(s, a->fd, 0, asimd_narrow_lanes(s, n.size, x, a->u, a->u || to_unsigned));
    return true;
}

#define NARROW(name, expr)                                                       \
    bool trans_##name##_imm(struct arm_ctx *s, const struct arg_##name##_imm *a) \
    {                                                                            \
        return expr;                                                             \
    }

NARROW(VSHRN, truncate(s, a, false))
NARROW(VRSHRN, truncate(s, a, true))
NARROW(VQSHRN, saturate(s, a, false, false))
NARROW(VQRSHRN, saturate(s, a, true, false))
NARROW(VQSHRUN, saturate(s, a, false, true))
NARROW(VQRSHRUN, saturate(s, a, true, true))

bool trans_VSHLL_imm(struct arm_ctx *s, const struct arg_VSHLL_imm *a)
{
    struct amount n = amount_of(a->imm);
    ir_ref x;

    if (!asimd_enabled(s) || (a->fd & 1)) {
        return false;
    }
    x = asimd_widen(s, a->u, n.size, asimd_get(s, a->fm, 0));
    asimd_put(s, a->fd, 1, shift_left(s, n.size + 1, x, n.left));
    return true;
}

/* ---- conversions between single precision and fixed point; the amount is the fraction's bits ----
 */
/* 2^n in all lanes. */
static ir_ref power_of_two(struct arm_ctx *s, int n)
{
    return asimd_lanes(s, 4, (uint32_t)(127 + n) << 23);
}

bool trans_VCVT_fixed_to_f32(struct arm_ctx *s, const struct arg_VCVT_fixed_to_f32 *a)
{
    ir_ref x;

    if (!valid(s, a)) {
        return false;
    }
    x = asimd_f32_from_int(s, a->u, asimd_get(s, a->fm, a->q)); /* rounds; the rest is exact */
    x = asimd_fop(s, IR_VFMUL, x, power_of_two(s, (int)a->imm - 32), 0);
    asimd_put(s, a->fd, a->q, x);
    return true;
}

/* Numbers whose product might overflow, which raises another flag, are too large even so. */
bool trans_VCVT_fixed_from_f32(struct arm_ctx *s, const struct arg_VCVT_fixed_from_f32 *a)
{
    ir_ref x, large = power_of_two(s, 64), minus_large;

    if (!valid(s, a)) {
        return false;
    }
    minus_large = asimd_vop(s, IR_VOR, 8, large, asimd_lowest(s, 2));
    x = asimd_fop(s, IR_VFMIN, asimd_get(s, a->fm, a->q), large, 0);
    x = asimd_fop(s, IR_VFMAX, x, minus_large, 0);
    x = asimd_fop(s, IR_VFMUL, x, power_of_two(s, 32 - (int)a->imm), 0);
    asimd_put(s, a->fd, a->q, asimd_f32_to_int(s, a->u, x));
    return true;
}
