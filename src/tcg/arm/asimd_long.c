/* SPDX-License-Identifier: MIT */
/*
 * Advanced SIMD on three registers of different lengths, and on a vector and a scalar: long
 * (results twice as wide as the operands), wide (the first operand is wide too), narrow (the high
 * half of a wide sum). All but products of equal length by a scalar are helpers. Arm ARM A7.4.2,
 * A7.4.3, A8.8.
 *
 * Threads: the vCPU's own thread.
 */
#include "asimd.h"
#include "asimd_f32.h"
#include "asimd_int_helpers.h"
#include "asimd_vec.h"

#include "asimd_long_decode.h"

__extension__ typedef __int128 wide_sum; /* holds twice a product of words, added to a doubleword */

/* RESULT of lane i from x of lane type X and y of lane type Y, and d.W[i]. Sums wrap in uint64_t.
 */
#define HELPER(name, W, X, Y, nq, RESULT)                                                      \
    static void name(struct vcpu *v, uint32_t arg)                                             \
    {                                                                                          \
        union asimd_vec d = asimd_read(v, ARG_FD(arg), 1), n = asimd_read(v, ARG_FN(arg), nq); \
        union asimd_vec m = asimd_operand_m(v, arg, 0, sizeof(m.Y[0]));                        \
        for (unsigned i = 0; i < ASIMD_LANES(W); i++) {                                        \
            const __typeof__(d.W[0]) x = n.X[i], y = m.Y[i];                                   \
            d.W[i] = (__typeof__(d.W[0]))(RESULT);                                             \
        }                                                                                      \
        asimd_write(v, ARG_FD(arg), 1, &d);                                                    \
    }
#define LONG(name, T, W, RESULT) HELPER(name##_##T, W, T, T, 0, RESULT(W))
#define WIDE(name, T, W, RESULT) HELPER(name##_##T, W, W, T, 1, RESULT(W))
#define ENTRY(name, T)           \
    {                            \
#name "_" #T, name##_##T \
    }
#define TABLE(KIND, name, RESULT)                                                        \
    KIND(name, s8, s16, RESULT)                                                          \
    KIND(name, s16, s32, RESULT)                                                         \
    KIND(name, s32, s64, RESULT)                                                         \
    KIND(name, u8, u16, RESULT)                                                          \
    KIND(name, u16, u32, RESULT)                                                         \
    KIND(name, u32, u64, RESULT)                                                         \
    static asimd_fn_table name = {{ENTRY(name, s8), ENTRY(name, s16), ENTRY(name, s32)}, \
                                  {ENTRY(name, u8), ENTRY(name, u16), ENTRY(name, u32)}};

#define ADD(W) ((uint64_t)x + (uint64_t)y)
#define SUB(W) ((uint64_t)x - (uint64_t)y)
#define ABD(W) (x > y ? (uint64_t)x - (uint64_t)y : (uint64_t)y - (uint64_t)x)
#define ABA(W) ((uint64_t)d.W[i] + ABD(W))
#define MUL(W) ((uint64_t)x * (uint64_t)y)
#define MLA(W) ((uint64_t)d.W[i] + MUL(W))
#define MLS(W) ((uint64_t)d.W[i] - MUL(W))
TABLE(LONG, addl, ADD)
TABLE(LONG, subl, SUB)
TABLE(WIDE, addw, ADD)
TABLE(WIDE, subw, SUB)
TABLE(LONG, abal, ABA)
TABLE(LONG, abdl, ABD)
TABLE(LONG, mull, MUL)
TABLE(LONG, mlal, MLA)
TABLE(LONG, mlsl, MLS)

/* Saturating: the doubled product first, then the sum with it. */
static wide_sum saturate(struct vcpu *v, wide_sum x, unsigned bits)
{
    wide_sum max = ((wide_sum)1 << (bits - 1)) - 1;

    if (x > max || x < -max - 1) {
        v->fpscr_rest |= ASIMD_QC;
        return x > max ? max : -max - 1;
    }
    return x;
}

#define BITS(W) (8 * (unsigned)sizeof(d.W[0]))
#define QMUL(W) saturate(v, 2 * (wide_sum)x * y, BITS(W))
#define QMLA(W) saturate(v, d.W[i] + QMUL(W), BITS(W))
#define QMLS(W) saturate(v, d.W[i] - QMUL(W), BITS(W))
#define DOUBLING(name, RESULT)   \
    LONG(name, s16, s32, RESULT) \
    LONG(name, s32, s64, RESULT) \
    static asimd_fn_table name = {{{NULL, NULL}, ENTRY(name, s16), ENTRY(name, s32)}};
DOUBLING(qdmull, QMUL)
DOUBLING(qdmlal, QMLA)
DOUBLING(qdmlsl, QMLS)

/* Only the registers in `even` are Q registers. */
static bool call(struct arm_ctx *s, const struct asimd_fn *f, uint32_t even, uint32_t arg)
{
    if (!asimd_enabled(s) || (even & 1) || !f->fn) {
        return false;
    }
    asimd_call(s, f, arg);
    return true;
}

#define TRANS(NAME, table, even)                                                           \
    bool trans_##NAME(struct arm_ctx *s, const struct arg_##NAME *a)                       \
    {                                                                                      \
        return call(s, &table[a->u][a->size], even, ASIMD_ARG(a->fd, a->fn, a->fm, 0, 0)); \
    }
TRANS(VADDL, addl, a->fd)
TRANS(VSUBL, subl, a->fd)
TRANS(VADDW, addw, a->fd | a->fn)
TRANS(VSUBW, subw, a->fd | a->fn)
TRANS(VABAL, abal, a->fd)
TRANS(VABDL, abdl, a->fd)
TRANS(VMULL, mull, a->fd)
TRANS(VMLAL, mlal, a->fd)
TRANS(VMLSL, mlsl, a->fd)
TRANS(VQDMULL, qdmull, a->fd)
TRANS(VQDMLAL, qdmlal, a->fd)
TRANS(VQDMLSL, qdmlsl, a->fd)

/* ---- narrowing: the high half of each sum ---- */
#define HIGH(name, T, W, RESULT)                                                                 \
    static void name##_##T(struct vcpu *v, uint32_t arg)                                         \
    {                                                                                            \
        union asimd_vec n = asimd_read(v, ARG_FN(arg), 1), m = asimd_read(v, ARG_FM(arg), 1), d; \
        const uint64_t half = UINT64_C(1) << (8 * sizeof(d.T[0]) - 1);                           \
        (void)half;                                                                              \
        d.u64[1] = 0;                                                                            \
        for (unsigned i = 0; i < ASIMD_LANES(W); i++) {                                          \
            const uint64_t x = n.W[i], y = m.W[i];                                               \
            d.T[i] = (__typeof__(d.T[0]))((RESULT) >> 8 * sizeof(d.T[0]));                       \
        }                                                                                        \
        asimd_write(v, ARG_FD(arg), 0, &d);                                                      \
    }
#define HIGH_TABLE(name, RESULT) \
    HIGH(name, u8, u16, RESULT)  \
    HIGH(name, u16, u32, RESULT) \
    HIGH(name, u32, u64, RESULT) \
    static const struct asimd_fn name[4] = {ENTRY(name, u8), ENTRY(name, u16), ENTRY(name, u32)};
HIGH_TABLE(addhn, x + y)
HIGH_TABLE(subhn, x - y)
HIGH_TABLE(raddhn, x + y + half)
HIGH_TABLE(rsubhn, x - y + half)

#define TRANS_HIGH(NAME, table)                                                               \
    bool trans_##NAME(struct arm_ctx *s, const struct arg_##NAME *a)                          \
    {                                                                                         \
        return call(s, &table[a->size], a->fn | a->fm, ASIMD_ARG(a->fd, a->fn, a->fm, 0, 0)); \
    }
TRANS_HIGH(VADDHN, addhn)
TRANS_HIGH(VSUBHN, subhn)
TRANS_HIGH(VRADDHN, raddhn)
TRANS_HIGH(VRSUBHN, rsubhn)

/* ---- products of polynomials over {0, 1} ---- */
static uint32_t pmul(uint32_t x, uint32_t y)
{
    uint32_t r = 0;

    for (unsigned i = 0; i < 8; i++) {
        r ^= (y >> i & 1) ? x << i : 0;
    }
    return r;
}

HELPER(pmull_8, u16, u8, u8, 0, pmul(x, y))

bool trans_VMULL_p8(struct arm_ctx *s, const struct arg_VMULL_p8 *a)
{
    static const struct asimd_fn f = {"pmull_8", pmull_8};

    return call(s, &f, a->fd, ASIMD_ARG(a->fd, a->fn, a->fm, 0, 0));
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

/* ---- scalars: of halfwords in D0-D7, of words in D0-D15, the index above ---- */
static uint32_t scalar_reg(uint32_t size, uint32_t fm)
{
    return size == 1 ? fm & 7 : fm & 15;
}

static uint32_t scalar_index(uint32_t size, uint32_t fm)
{
    return size == 1 ? fm >> 3 : fm >> 4;
}

static uint32_t scalar_arg(uint32_t size, uint32_t fd, uint32_t fn, uint32_t fm, uint32_t q)
{
    return ASIMD_ARG(fd, fn, scalar_reg(size, fm), q, 1 + scalar_index(size, fm));
}

#define TRANS_LONG_SCALAR(NAME, table)                                                             \
    bool trans_##NAME(struct arm_ctx *s, const struct arg_##NAME *a)                               \
    {                                                                                              \
        return call(s, &table[a->u][a->size], a->fd, scalar_arg(a->size, a->fd, a->fn, a->fm, 0)); \
    }
TRANS_LONG_SCALAR(VMULL_sc, mull)
TRANS_LONG_SCALAR(VMLAL_sc, mlal)
TRANS_LONG_SCALAR(VMLSL_sc, mlsl)
TRANS_LONG_SCALAR(VQDMULL_sc, qdmull)
TRANS_LONG_SCALAR(VQDMLAL_sc, qdmlal)
TRANS_LONG_SCALAR(VQDMLSL_sc, qdmlsl)

#define TRANS_SCALAR(NAME, entry)                                    \
    bool trans_##NAME(struct arm_ctx *s, const struct arg_##NAME *a) \
    {                                                                \
        return call(s, &entry, a->q ? a->fd | a->fn : 0,             \
                    scalar_arg(a->size, a->fd, a->fn, a->fm, a->q)); \
    }
TRANS_SCALAR(VQDMULH_sc, asimd_qdmulh[0][a->size])
TRANS_SCALAR(VQRDMULH_sc, asimd_qrdmulh[0][a->size])
TRANS_SCALAR(VMUL_fsc, asimd_mul_f32)
TRANS_SCALAR(VMLA_fsc, asimd_mla_f32)
TRANS_SCALAR(VMLS_fsc, asimd_mls_f32)

/* The scalar in all lanes is a product of vectors, which the host has. */
static bool multiply(struct arm_ctx *s, const struct args_fd_fm_fn_q_size *a, bool accumulate,
                     enum ir_op op)
{
    unsigned lane = 1u << a->size;
    uint32_t at = scalar_index(a->size, a->fm) << a->size;
    ir_ref scalar, r;

    if (!asimd_enabled(s) || !asimd_regs_ok(a->q, a->fd | a->fn)) {
        return false;
    }
    scalar = ir_get(s->b, IR_I32, ASIMD_OFF(scalar_reg(a->size, a->fm)) + at, lane);
    scalar = ir_vop(s->b, IR_VDUP, lane, scalar, 0, 0);
    r = ir_vop(s->b, IR_VMUL, lane, asimd_get(s, a->fn, a->q), scalar, 0);
    if (accumulate) {
        r = ir_vop(s->b, op, lane, asimd_get(s, a->fd, a->q), r, 0);
    }
    asimd_put(s, a->fd, a->q, r);
    return true;
}

bool trans_VMUL_sc(struct arm_ctx *s, const struct arg_VMUL_sc *a)
{
    return multiply(s, a, false, IR_VADD);
}

bool trans_VMLA_sc(struct arm_ctx *s, const struct arg_VMLA_sc *a)
{
    return multiply(s, a, true, IR_VADD);
}

bool trans_VMLS_sc(struct arm_ctx *s, const struct arg_VMLS_sc *a)
{
    return multiply(s, a, true, IR_VSUB);
}
