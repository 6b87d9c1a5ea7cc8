/* SPDX-License-Identifier: MIT */
/*
 * Lane by lane: the integer operations on three registers that have no IR op. Called from generated
 * code on the vCPU's own thread. Arm ARM A8.8: VHADD, VRHADD, VHSUB, VQADD, VQSUB, VMUL, VMLA,
 * VMLS, VPMAX, VPMIN, VPADD, VQDMULH, VQRDMULH; A2.5 (saturation, FPSCR.QC).
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
#define TABLE_8_32(table, name)                                                    \
    asimd_fn_table table = {{ENTRY(name, s8), ENTRY(name, s16), ENTRY(name, s32)}, \
                            {ENTRY(name, u8), ENTRY(name, u16), ENTRY(name, u32)}};
#define TABLE_8_64(table, name)                                                  \
    asimd_fn_table table = {                                                     \
        {ENTRY(name, s8), ENTRY(name, s16), ENTRY(name, s32), ENTRY(name, s64)}, \
        {ENTRY(name, u8), ENTRY(name, u16), ENTRY(name, u32), ENTRY(name, u64)}};

#define BINARY_8_32(name, expr)       \
    BINARY(name, s8, int8_t, expr)    \
    BINARY(name, s16, int16_t, expr)  \
    BINARY(name, s32, int32_t, expr)  \
    BINARY(name, u8, uint8_t, expr)   \
    BINARY(name, u16, uint16_t, expr) \
    BINARY(name, u32, uint32_t, expr) \
    TABLE_8_32(asimd_##name, name)

BINARY_8_32(hadd, ((int64_t)x + y) >> 1)
BINARY_8_32(rhadd, ((int64_t)x + y + 1) >> 1)
BINARY_8_32(hsub, ((int64_t)x - y) >> 1)

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

SATURATE_SIGNED(int8_t, 8)
SATURATE_SIGNED(int16_t, 16)
SATURATE_SIGNED(int32_t, 32)
SATURATE_SIGNED(int64_t, 64)
SATURATE_UNSIGNED(uint8_t, 8)
SATURATE_UNSIGNED(uint16_t, 16)
SATURATE_UNSIGNED(uint32_t, 32)
SATURATE_UNSIGNED(uint64_t, 64)
TABLE_8_64(asimd_qadd, qadd)
TABLE_8_64(asimd_qsub, qsub)

/* ---- multiplication of bytes; the other sizes are IR ops ---- */
static uint8_t polynomial(uint8_t x, uint8_t y)
{
    uint8_t r = 0;

    for (unsigned i = 0; i < 8; i++) {
        r ^= (uint8_t)((y >> i & 1) * (x << i));
    }
    return r;
}

/* result = old +- product */
#define ACCUMULATE8(name, op)                                       \
    static void name##_u8(struct vcpu *v, uint32_t arg)             \
    {                                                               \
        union asimd_vec d = asimd_read(v, ARG_FD(arg), ARG_Q(arg)); \
        union asimd_vec n = asimd_read(v, ARG_FN(arg), ARG_Q(arg)); \
        union asimd_vec m = asimd_read(v, ARG_FM(arg), ARG_Q(arg)); \
                                                                    \
        for (unsigned i = 0; i < 16; i++) {                         \
            d.u8[i] = (uint8_t)(d.u8[i] op n.u8[i] * m.u8[i]);      \
        }                                                           \
        asimd_write(v, ARG_FD(arg), ARG_Q(arg), &d);                \
    }                                                               \
    asimd_fn_table asimd_##name##8 = {{ENTRY(name, u8)}, {ENTRY(name, u8)}};

BINARY(mul, u8, uint8_t, x *y)
BINARY(pmul, u8, uint8_t, polynomial(x, y))
ACCUMULATE8(mla, +)
ACCUMULATE8(mls, -)
asimd_fn_table asimd_mul8 = {{ENTRY(mul, u8)}, {ENTRY(pmul, u8)}};

/* ---- pairwise: the low half of the result from n, the high half from m ---- */
#define PAIRWISE(name, lane, type, expr)                                             \
    static void name##_##lane(struct vcpu *v, uint32_t arg)                          \
    {                                                                                \
        union asimd_vec s = {.u64 = {v->vfp.d[ARG_FN(arg)], v->vfp.d[ARG_FM(arg)]}}; \
        union asimd_vec r = s;                                                       \
                                                                                     \
        for (unsigned i = 0; i < ASIMD_LANES(lane) / 2; i++) {                       \
            type x = s.lane[2 * i], y = s.lane[2 * i + 1];                           \
                                                                                     \
            r.lane[i] = (type)(expr);                                                \
        }                                                                            \
        asimd_write(v, ARG_FD(arg), 0, &r);                                          \
    }
#define PAIRWISE_8_32(name, expr)       \
    PAIRWISE(name, s8, int8_t, expr)    \
    PAIRWISE(name, s16, int16_t, expr)  \
    PAIRWISE(name, s32, int32_t, expr)  \
    PAIRWISE(name, u8, uint8_t, expr)   \
    PAIRWISE(name, u16, uint16_t, expr) \
    PAIRWISE(name, u32, uint32_t, expr) \
    TABLE_8_32(asimd_##name, name)

PAIRWISE_8_32(pmax, x > y ? x : y)
PAIRWISE_8_32(pmin, x < y ? x : y)
PAIRWISE_8_32(padd, (uint32_t)x + (uint32_t)y)

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

BINARY(qdmulh, s16, int16_t, doubling_high(x, y, 16, 0, &qc))
BINARY(qdmulh, s32, int32_t, doubling_high(x, y, 32, 0, &qc))
BINARY(qrdmulh, s16, int16_t, doubling_high(x, y, 16, 1 << 15, &qc))
BINARY(qrdmulh, s32, int32_t, doubling_high(x, y, 32, (int64_t)1 << 31, &qc))
asimd_fn_table asimd_qdmulh = {{{NULL, NULL}, ENTRY(qdmulh, s16), ENTRY(qdmulh, s32)}};
asimd_fn_table asimd_qrdmulh = {{{NULL, NULL}, ENTRY(qrdmulh, s16), ENTRY(qrdmulh, s32)}};
