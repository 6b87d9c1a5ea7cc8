/* SPDX-License-Identifier: MIT */
/*
 * Lane by lane: the integer operations on three registers that are not built of IR ops. Called from
 * generated code on the vCPU's own thread. Arm ARM A8.8: VQADD, VQSUB of doublewords, VMUL of
 * polynomials, VQDMULH, VQRDMULH of words; A2.5 (saturation, FPSCR.QC).
 */
#include "asimd_int_helpers.h"
#include "asimd_vec.h"

#define MIN_S(bits) ((int64_t)(~(uint64_t)0 << ((bits)-1)))

/* result = expr of lanes x and y; `qc` collects saturation. */
#define BINARY(name, lane, type, expr)                                         \
    static void name##_##lane(struct vcpu *v, uint32_t arg)                    \
    {                                                                          \
        union asimd_vec n = asimd_read(v, ARG_FN(arg), ARG_Q(arg));            \
        union asimd_vec m = asimd_operand_m(v, arg, ARG_Q(arg), sizeof(type)); \
        bool qc = false;                                                       \
                                                                               \
        for (unsigned i = 0; i < ASIMD_LANES(lane); i++) {                     \
            type x = n.lane[i], y = m.lane[i];                                 \
                                                                               \
            n.lane[i] = (type)(expr);                                          \
        }                                                                      \
        asimd_saturated(v, qc);                                                \
        asimd_write(v, ARG_FD(arg), ARG_Q(arg), &n);                           \
    }

#define ENTRY(name, lane)              \
    {                                  \
#name "_" #lane, name##_##lane \
    }
/* ---- saturating addition and subtraction ---- */
#define SATURATE_SIGNED(type, bits)                                \
    static type qadd##bits(type x, type y, bool *qc)               \
    {                                                              \
        type r;                                                    \
                                                                   \
        if (__builtin_add_overflow(x, y, &r)) {                    \
            *qc = true;                                            \
            r = (type)(y < 0 ? MIN_S(bits) : -(MIN_S(bits) + 1));  \
        }                                                          \
        return r;                                                  \
    }                                                              \
    static type qsub##bits(type x, type y, bool *qc)               \
    {                                                              \
        type r;                                                    \
                                                                   \
        if (__builtin_sub_overflow(x, y, &r)) {                    \
            *qc = true;                                            \
            r = (type)(y >= 0 ? MIN_S(bits) : -(MIN_S(bits) + 1)); \
        }                                                          \
        return r;                                                  \
    }                                                              \
    BINARY(qadd, s##bits, type, qadd##bits(x, y, &qc))             \
    BINARY(qsub, s##bits, type, qsub##bits(x, y, &qc))

#define SATURATE_UNSIGNED(type, bits)                   \
    static type uqadd##bits(type x, type y, bool *qc)   \
    {                                                   \
        type r = (type)(x + y);                         \
                                                        \
        *qc |= r < x;                                   \
        return r < x ? (type) ~(type)0 : r;             \
    }                                                   \
    static type uqsub##bits(type x, type y, bool *qc)   \
    {                                                   \
        *qc |= x < y;                                   \
        return x < y ? 0 : (type)(x - y);               \
    }                                                   \
    BINARY(qadd, u##bits, type, uqadd##bits(x, y, &qc)) \
    BINARY(qsub, u##bits, type, uqsub##bits(x, y, &qc))

SATURATE_SIGNED(int64_t, 64)
SATURATE_UNSIGNED(uint64_t, 64)
asimd_fn_table asimd_qadd = {{[3] = ENTRY(qadd, s64)}, {[3] = ENTRY(qadd, u64)}};
asimd_fn_table asimd_qsub = {{[3] = ENTRY(qsub, s64)}, {[3] = ENTRY(qsub, u64)}};

/* ---- products of polynomials over {0, 1} ---- */
static uint8_t polynomial(uint8_t x, uint8_t y)
{
    uint8_t r = 0;

    for (unsigned i = 0; i < 8; i++) {
        r ^= (uint8_t)((y >> i & 1) * (x << i));
    }
    return r;
}

BINARY(pmul, u8, uint8_t, polynomial(x, y))
asimd_fn_table asimd_pmul = {[1] = {ENTRY(pmul, u8)}};

/* ---- doubling multiplication, high half ---- */
/* Only the square of the lowest value saturates; round is added below the part that is kept. */
static int64_t doubling_high(int64_t x, int64_t y, unsigned bits, int64_t round, bool *qc)
{
    if (x == MIN_S(bits) && y == MIN_S(bits)) {
        *qc = true;
        return -(MIN_S(bits) + 1);
    }
    return (2 * x * y + round) >> bits;
}

BINARY(qdmulh, s32, int32_t, doubling_high(x, y, 32, 0, &qc))
BINARY(qrdmulh, s32, int32_t, doubling_high(x, y, 32, (int64_t)1 << 31, &qc))
asimd_fn_table asimd_qdmulh = {{[2] = ENTRY(qdmulh, s32)}};
asimd_fn_table asimd_qrdmulh = {{[2] = ENTRY(qrdmulh, s32)}};
