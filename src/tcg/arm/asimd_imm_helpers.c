/* SPDX-License-Identifier: MIT */
/*
 * Lane by lane: shifts by an immediate that round, saturate, narrow or widen. Called from generated
 * code on the vCPU's own thread. Arm ARM A8.8: VRSHR, VRSRA, VQSHL, VQSHLU (immediate), VSHRN,
 * VRSHRN, VQSHRN, VQSHRUN, VQRSHRN, VQRSHRUN, VSHLL; with an amount of 0: VMOVN, VQMOVN, VQMOVUN,
 * VMOVL.
 */
#include "asimd_imm_helpers.h"
#include "asimd_shift.h"
#include "asimd_vec.h"

/* result = expr of lanes x of fm and old of fd, and the amount n */
#define UNARY(name, lane, type, expr)                               \
    static void name##_##lane(struct vcpu *v, uint32_t arg)         \
    {                                                               \
        union asimd_vec m = asimd_read(v, ARG_FM(arg), ARG_Q(arg)); \
        union asimd_vec d = asimd_read(v, ARG_FD(arg), ARG_Q(arg)); \
        unsigned n = ARG_IMM(arg);                                  \
        bool qc = false;                                            \
                                                                    \
        for (unsigned i = 0; i < ASIMD_LANES(lane); i++) {          \
            type x = m.lane[i], old = d.lane[i];                    \
                                                                    \
            (void)old;                                              \
            d.lane[i] = (type)(expr);                               \
        }                                                           \
        asimd_saturated(v, qc);                                     \
        asimd_write(v, ARG_FD(arg), ARG_Q(arg), &d);                \
    }

#define ENTRY(name, lane)              \
    {                                  \
#name "_" #lane, name##_##lane \
    }
#define UNARY_ALL(name, expr)                                                    \
    UNARY(name, s8, int8_t, expr(s8, uint8_t))                                   \
    UNARY(name, s16, int16_t, expr(s16, uint16_t))                               \
    UNARY(name, s32, int32_t, expr(s32, uint32_t))                               \
    UNARY(name, s64, int64_t, expr(s64, uint64_t))                               \
    UNARY(name, u8, uint8_t, expr(u8, uint8_t))                                  \
    UNARY(name, u16, uint16_t, expr(u16, uint16_t))                              \
    UNARY(name, u32, uint32_t, expr(u32, uint32_t))                              \
    UNARY(name, u64, uint64_t, expr(u64, uint64_t))                              \
    asimd_fn_table asimd_##name = {                                              \
        {ENTRY(name, s8), ENTRY(name, s16), ENTRY(name, s32), ENTRY(name, s64)}, \
        {ENTRY(name, u8), ENTRY(name, u16), ENTRY(name, u32), ENTRY(name, u64)}};

#define ROUND(lane, utype)     lane_rshr_##lane(x, n)
#define ROUND_ADD(lane, utype) (utype) old + (utype)lane_rshr_##lane(x, n)
#define SATURATE(lane, utype)  lane_qshl_##lane(x, n, &qc)
UNARY_ALL(rshr_imm, ROUND)
UNARY_ALL(rsra_imm, ROUND_ADD)
UNARY_ALL(qshl_imm, SATURATE)

/* Negative values saturate to 0. */
#define QSHLU(bits)                                                          \
    static uint##bits##_t qshlu##bits(int##bits##_t x, unsigned n, bool *qc) \
    {                                                                        \
        if (x < 0) {                                                         \
            *qc = true;                                                      \
            return 0;                                                        \
        }                                                                    \
        return lane_qshl_u##bits((uint##bits##_t)x, n, qc);                  \
    }                                                                        \
    UNARY(qshlu_imm, s##bits, int##bits##_t, qshlu##bits(x, n, &qc))

QSHLU(8)
QSHLU(16)
QSHLU(32)
QSHLU(64)
asimd_fn_table asimd_qshlu_imm = {
    {ENTRY(qshlu_imm, s8), ENTRY(qshlu_imm, s16), ENTRY(qshlu_imm, s32), ENTRY(qshlu_imm, s64)}};

/* ---- narrowing: named by the wide lane ---- */
#define NARROW(name, wide, wtype, lane, type, round, min, max)              \
    static void name##_##wide(struct vcpu *v, uint32_t arg)                 \
    {                                                                       \
        union asimd_vec m = asimd_read(v, ARG_FM(arg), 1);                  \
        union asimd_vec d = {.u64 = {0, 0}};                                \
        unsigned n = ARG_IMM(arg);                                          \
        bool qc = false;                                                    \
                                                                            \
        for (unsigned i = 0; i < ASIMD_LANES(wide); i++) {                  \
            wtype x = m.wide[i];                                            \
                                                                            \
            if (n) {                                                        \
                x = round ? lane_rshr_##wide(x, n) : lane_shr_##wide(x, n); \
            }                                                               \
            d.lane[i] = (type)saturate_##wide(x, min, max, &qc);            \
        }                                                                   \
        asimd_saturated(v, qc);                                             \
        asimd_write(v, ARG_FD(arg), 0, &d);                                 \
    }

#define SATURATE_TO(lane, type)                                              \
    static inline type saturate_##lane(type x, type min, type max, bool *qc) \
    {                                                                        \
        if (x < min || x > max) {                                            \
            *qc = true;                                                      \
            return x < min ? min : max;                                      \
        }                                                                    \
        return x;                                                            \
    }
SATURATE_TO(s16, int16_t)
SATURATE_TO(s32, int32_t)
SATURATE_TO(s64, int64_t)
SATURATE_TO(u16, uint16_t)
SATURATE_TO(u32, uint32_t)
SATURATE_TO(u64, uint64_t)

/* Unsigned input of any value: only the low half is kept. */
#define TRUNCATE_ALL(name, round)                                    \
    NARROW(name, u16, uint16_t, u8, uint8_t, round, 0, UINT16_MAX)   \
    NARROW(name, u32, uint32_t, u16, uint16_t, round, 0, UINT32_MAX) \
    NARROW(name, u64, uint64_t, u32, uint32_t, round, 0, UINT64_MAX) \
    asimd_fn_table asimd_##name = {{ENTRY(name, u16), ENTRY(name, u32), ENTRY(name, u64)}};

#define SATURATE_ALL(name, round)                                                          \
    NARROW(name, s16, int16_t, s8, int8_t, round, INT8_MIN, INT8_MAX)                      \
    NARROW(name, s32, int32_t, s16, int16_t, round, INT16_MIN, INT16_MAX)                  \
    NARROW(name, s64, int64_t, s32, int32_t, round, INT32_MIN, INT32_MAX)                  \
    NARROW(name, u16, uint16_t, u8, uint8_t, round, 0, UINT8_MAX)                          \
    NARROW(name, u32, uint32_t, u16, uint16_t, round, 0, UINT16_MAX)                       \
    NARROW(name, u64, uint64_t, u32, uint32_t, round, 0, UINT32_MAX)                       \
    asimd_fn_table asimd_##name = {{ENTRY(name, s16), ENTRY(name, s32), ENTRY(name, s64)}, \
                                   {ENTRY(name, u16), ENTRY(name, u32), ENTRY(name, u64)}};

#define UNSIGNED_ALL(name, round)                                   \
    NARROW(name, s16, int16_t, u8, uint8_t, round, 0, UINT8_MAX)    \
    NARROW(name, s32, int32_t, u16, uint16_t, round, 0, UINT16_MAX) \
    NARROW(name, s64, int64_t, u32, uint32_t, round, 0, UINT32_MAX) \
    asimd_fn_table asimd_##name = {{ENTRY(name, s16), ENTRY(name, s32), ENTRY(name, s64)}};

TRUNCATE_ALL(shrn, false)
TRUNCATE_ALL(rshrn, true)
SATURATE_ALL(qshrn, false)
SATURATE_ALL(qrshrn, true)
UNSIGNED_ALL(qshrun, false)
UNSIGNED_ALL(qrshrun, true)

/* ---- widening: named by the narrow lane ---- */
#define WIDEN(lane, wide, wtype, uwtype)                            \
    static void shll_##lane(struct vcpu *v, uint32_t arg)           \
    {                                                               \
        union asimd_vec m = asimd_read(v, ARG_FM(arg), 0);          \
        union asimd_vec d;                                          \
                                                                    \
        for (unsigned i = 0; i < ASIMD_LANES(wide); i++) {          \
            d.wide[i] = (wtype)((uwtype)m.lane[i] << ARG_IMM(arg)); \
        }                                                           \
        asimd_write(v, ARG_FD(arg), 1, &d);                         \
    }

WIDEN(s8, s16, int16_t, uint16_t)
WIDEN(s16, s32, int32_t, uint32_t)
WIDEN(s32, s64, int64_t, uint64_t)
WIDEN(u8, u16, uint16_t, uint16_t)
WIDEN(u16, u32, uint32_t, uint32_t)
WIDEN(u32, u64, uint64_t, uint64_t)
asimd_fn_table asimd_shll = {{ENTRY(shll, s8), ENTRY(shll, s16), ENTRY(shll, s32)},
                             {ENTRY(shll, u8), ENTRY(shll, u16), ENTRY(shll, u32)}};
