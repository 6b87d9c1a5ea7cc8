/* SPDX-License-Identifier: MIT */
/*
 * Advanced SIMD on three registers of different lengths, and on a vector and a scalar: long
 * (results twice as wide as the operands), wide (the first operand is wide too), narrow (the high
 * half of a wide sum). Polynomials of doublewords are helpers. Arm ARM A7.4.2, A7.4.3, A8.8.
 *
 * Threads: the vCPU's own thread.
 */
#include "asimd_build.h"
#include "asimd_f32.h"
#include "asimd_vec.h"

#include "asimd_long_decode.h"

#define ARGS const struct args_fd_fm_fn_size_u

/* Only the registers in `even` are Q registers. */
static bool call(struct arm_ctx *s, const struct asimd_fn *f, uint32_t even, uint32_t arg)
{
    if (!asimd_enabled(s) || (even & 1) || !f->fn) {
        return false;
    }
    asimd_call(s, f, arg);
    return true;
}

/* ---- inline: operands of 2^size bytes, results twice as wide ---- */
static bool valid(const struct arm_ctx *s, uint32_t even)
{
    return asimd_enabled(s) && !(even & 1);
}

static ir_ref wide_op(struct arm_ctx *s, enum ir_op op, unsigned size, ir_ref x, ir_ref y)
{
    return asimd_vop(s, op, 2u << size, x, y);
}

/* VADDL, VSUBL; with the first operand wide: VADDW, VSUBW. */
static bool sum(struct arm_ctx *s, ARGS *a, enum ir_op op, bool wide)
{
    ir_ref x, y;

    if (!valid(s, a->fd | (wide ? a->fn : 0))) {
        return false;
    }
    x = wide ? asimd_get(s, a->fn, 1) : asimd_widen(s, a->u, a->size, asimd_get(s, a->fn, 0));
    y = asimd_widen(s, a->u, a->size, asimd_get(s, a->fm, 0));
    asimd_put(s, a->fd, 1, wide_op(s, op, a->size, x, y));
    return true;
}

/* A difference fits the lane as an unsigned number. */
static bool difference(struct arm_ctx *s, ARGS *a, bool accumulate)
{
    unsigned lane = 1u << a->size;
    ir_ref x, y, r;

    if (!valid(s, a->fd)) {
        return false;
    }
    x = asimd_get(s, a->fn, 0);
    y = asimd_get(s, a->fm, 0);
    r = asimd_vop(s, IR_VSUB, lane, asimd_vop(s, a->u ? IR_VMAXU : IR_VMAXS, lane, x, y),
                  asimd_vop(s, a->u ? IR_VMINU : IR_VMINS, lane, x, y));
    r = asimd_widen(s, true, a->size, r);
    if (accumulate) {
        r = wide_op(s, IR_VADD, a->size, asimd_get(s, a->fd, 1), r);
    }
    asimd_put(s, a->fd, 1, r);
    return true;
}

/* Of halfwords in D0-D7, of words in D0-D15, the index above. */
static uint32_t scalar_reg(uint32_t size, uint32_t fm)
{
    return size == 1 ? fm & 7 : fm & 15;
}

static uint32_t scalar_index(uint32_t size, uint32_t fm)
{
    return size == 1 ? fm >> 3 : fm >> 4;
}

static ir_ref scalar(struct arm_ctx *s, uint32_t size, uint32_t fm)
{
    uint32_t at = scalar_index(size, fm) << size;
    ir_ref x = ir_get(s->b, IR_I32, ASIMD_OFF(scalar_reg(size, fm)) + at, 1u << size);

    return ir_vop(s->b, IR_VDUP, 1u << size, x, 0, 0);
}

/* op: IR_NOP for the product alone, or how fd and it are added. */
static bool product(struct arm_ctx *s, ARGS *a, enum ir_op op, bool by_scalar)
{
    ir_ref x, y, r;

    if (!valid(s, a->fd)) {
        return false;
    }
    x = asimd_get(s, a->fn, 0);
    y = by_scalar ? scalar(s, a->size, a->fm) : asimd_get(s, a->fm, 0);
    r = asimd_mull_lanes(s, a->u, a->size, x, y);
    if (op != IR_NOP) {
        r = wide_op(s, op, a->size, asimd_get(s, a->fd, 1), r);
    }
    asimd_put(s, a->fd, 1, r);
    return true;
}

/* Doubled products: one that does not fit turns from the lowest to the highest number. */
static bool doubled(struct arm_ctx *s, ARGS *a, enum ir_op op, bool by_scalar)
{
    unsigned wide = a->size + 1;
    ir_ref x, y, r, d;

    if (!valid(s, a->fd)) {
        return false;
    }
    x = asimd_get(s, a->fn, 0);
    y = by_scalar ? scalar(s, a->size, a->fm) : asimd_get(s, a->fm, 0);
    r = asimd_vopi(s, IR_VSHLI, 1u << wide, asimd_mull_lanes(s, false, a->size, x, y), 1);
    r = asimd_fix_lowest(s, wide, r);
    if (op != IR_NOP) {
        d = asimd_get(s, a->fd, 1);
        r = op == IR_VADD ? asimd_qadd_lanes(s, false, wide, d, r)
                          : asimd_qsub_lanes(s, false, wide, d, r);
    }
    asimd_put(s, a->fd, 1, r);
    return true;
}

#define TRANS(NAME, expr)                                            \
    bool trans_##NAME(struct arm_ctx *s, const struct arg_##NAME *a) \
    {                                                                \
        return expr;                                                 \
    }
TRANS(VADDL, sum(s, a, IR_VADD, false))
TRANS(VSUBL, sum(s, a, IR_VSUB, false))
TRANS(VADDW, sum(s, a, IR_VADD, true))
TRANS(VSUBW, sum(s, a, IR_VSUB, true))
TRANS(VABAL, difference(s, a, true))
TRANS(VABDL, difference(s, a, false))
TRANS(VMULL, product(s, a, IR_NOP, false))
TRANS(VMLAL, product(s, a, IR_VADD, false))
TRANS(VMLSL, product(s, a, IR_VSUB, false))
TRANS(VQDMULL, doubled(s, a, IR_NOP, false))
TRANS(VQDMLAL, doubled(s, a, IR_VADD, false))
TRANS(VQDMLSL, doubled(s, a, IR_VSUB, false))
TRANS(VMULL_sc, product(s, a, IR_NOP, true))
TRANS(VMLAL_sc, product(s, a, IR_VADD, true))
TRANS(VMLSL_sc, product(s, a, IR_VSUB, true))
TRANS(VQDMULL_sc, doubled(s, a, IR_NOP, true))
TRANS(VQDMLAL_sc, doubled(s, a, IR_VADD, true))
TRANS(VQDMLSL_sc, doubled(s, a, IR_VSUB, true))

/* ---- narrowing: the high half of each sum, rounded by adding half its unit ---- */
static ir_ref half_unit(struct arm_ctx *s, unsigned size)
{
    if (size < 2) {
        return asimd_lanes(s, 2u << size, 1u << ((8u << size) - 1));
    }
    return asimd_vopi(s, IR_VSHLI, 8, asimd_vopi(s, IR_VSHRI, 8, asimd_ones(s), 63), 31);
}

static bool high_half(struct arm_ctx *s, ARGS *a, enum ir_op op, bool round)
{
    ir_ref r;

    if (!valid(s, a->fn | a->fm)) {
        return false;
    }
    r = wide_op(s, op, a->size, asimd_get(s, a->fn, 1), asimd_get(s, a->fm, 1));
    if (round) {
        r = wide_op(s, IR_VADD, a->size, r, half_unit(s, a->size));
    }
    asimd_put(s, a->fd, 0, asimd_high_halves(s, a->size, r));
    return true;
}

TRANS(VADDHN, high_half(s, a, IR_VADD, false))
TRANS(VSUBHN, high_half(s, a, IR_VSUB, false))
TRANS(VRADDHN, high_half(s, a, IR_VADD, true))
TRANS(VRSUBHN, high_half(s, a, IR_VSUB, true))

/* ---- products of polynomials over {0, 1} ---- */
bool trans_VMULL_p8(struct arm_ctx *s, const struct arg_VMULL_p8 *a)
{
    if (!valid(s, a->fd)) {
        return false;
    }
    asimd_put(s, a->fd, 1, asimd_pmull_bytes(s, asimd_get(s, a->fn, 0), asimd_get(s, a->fm, 0)));
    return true;
}

static void pmull_64(struct vcpu *v, uint32_t arg)
{
    uint64_t x = v->vfp.d[ARG_FN(arg)], y = v->vfp.d[ARG_FM(arg)];
    union asimd_vec d = {.u64 = {0, 0}};

    for (unsigned i = 0; i < 64; i++) {
        if (y >> i & 1) {
            d.u64[0] ^= x << i;
            d.u64[1] ^= i ? x >> (64 - i) : 0;
        }
    }
    asimd_write(v, ARG_FD(arg), 1, &d);
}

bool trans_VMULL_p64(struct arm_ctx *s, const struct arg_VMULL_p64 *a)
{
    static const struct asimd_fn f = {"pmull_64", pmull_64};

    return arm_has(s, ARM_FEAT_V8_AARCH32) &&
           call(s, &f, a->fd, ASIMD_ARG(a->fd, a->fn, a->fm, 0, 0));
}

/* ---- products of equal length by a scalar ---- */
/* Single precision: no scalar in lanes that do not exist. */
static bool multiply_f32(struct arm_ctx *s, const struct args_fd_fm_fn_q_size *a, enum ir_op op)
{
    ir_ref x, r;

    if (!asimd_enabled(s) || !asimd_regs_ok(a->q, a->fd | a->fn)) {
        return false;
    }
    if (a->q) {
        x = scalar(s, 2, a->fm);
    } else {
        uint32_t at = ASIMD_OFF(scalar_reg(2, a->fm)) + 4 * scalar_index(2, a->fm);

        x = ir_op1(s->b, IR_ITOV, ir_get(s->b, IR_I32, at, 4));
        x = asimd_vop(s, IR_VUNPKL, 4, x, x);
    }
    r = asimd_fop(s, IR_VFMUL, asimd_get(s, a->fn, a->q), x, 0);
    if (op != IR_NOP) {
        r = asimd_fop(s, op, asimd_get(s, a->fd, a->q), r, 0);
    }
    asimd_put(s, a->fd, a->q, r);
    return true;
}

TRANS(VMUL_fsc, multiply_f32(s, a, IR_NOP))
TRANS(VMLA_fsc, multiply_f32(s, a, IR_VFADD))
TRANS(VMLS_fsc, multiply_f32(s, a, IR_VFSUB))

#define ARGS_SAME const struct args_fd_fm_fn_q_size

/* op: IR_NOP for the product alone, or how fd and it are added. */
static bool multiply(struct arm_ctx *s, ARGS_SAME *a, enum ir_op op)
{
    unsigned lane = 1u << a->size;
    ir_ref r;

    if (!asimd_enabled(s) || !asimd_regs_ok(a->q, a->fd | a->fn)) {
        return false;
    }
    r = asimd_vop(s, IR_VMUL, lane, asimd_get(s, a->fn, a->q), scalar(s, a->size, a->fm));
    if (op != IR_NOP) {
        r = asimd_vop(s, op, lane, asimd_get(s, a->fd, a->q), r);
    }
    asimd_put(s, a->fd, a->q, r);
    return true;
}

TRANS(VMUL_sc, multiply(s, a, IR_NOP))
TRANS(VMLA_sc, multiply(s, a, IR_VADD))
TRANS(VMLS_sc, multiply(s, a, IR_VSUB))

static bool doubled_high(struct arm_ctx *s, ARGS_SAME *a, bool round)
{
    ir_ref r;

    if (!asimd_enabled(s) || !asimd_regs_ok(a->q, a->fd | a->fn)) {
        return false;
    }
    r = asimd_qdmulh_lanes(s, a->size, asimd_get(s, a->fn, a->q), scalar(s, a->size, a->fm), round);
    asimd_put(s, a->fd, a->q, r);
    return true;
}

TRANS(VQDMULH_sc, doubled_high(s, a, false))
TRANS(VQRDMULH_sc, doubled_high(s, a, true))
