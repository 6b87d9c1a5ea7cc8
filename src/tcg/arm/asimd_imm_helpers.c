/* SPDX-License-Identifier: MIT */
/*
 * Lane by lane: shifts by an immediate that are not built of IR ops. Called from generated code on
 * the vCPU's own thread. Arm ARM A8.8: VQSHL, VQSHLU (immediate); of doublewords VRSHR, VRSRA,
 * VQSHRN, VQSHRUN, VQRSHRN, VQRSHRUN; with an amount of 0: VQMOVN, VQMOVUN.
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
UNARY(rshr_imm, s64, int64_t, ROUND(s64, uint64_t))
UNARY(rsra_imm, s64, int64_t, ROUND_ADD(s64, uint64_t))
const struct asimd_fn asimd_rshr_s64 = ENTRY(rshr_imm, s64);
const struct asimd_fn asimd_rsra_s64 = ENTRY(rsra_imm, s64);
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
SATURATE_TO(s64, int64_t)
SATURATE_TO(u64, uint64_t)

#define NARROW_ALL(name, round)                                           \
    NARROW(name, s64, int64_t, s32, int32_t, round, INT32_MIN, INT32_MAX) \
    NARROW(name, u64, uint64_t, u32, uint32_t, round, 0, UINT32_MAX)      \
    asimd_fn_table asimd_##name = {{[2] = ENTRY(name, s64)}, {[2] = ENTRY(name, u64)}};

#define NARROW_UNSIGNED(name, round)                                \
    NARROW(name, s64, int64_t, u32, uint32_t, round, 0, UINT32_MAX) \
    asimd_fn_table asimd_##name = {{[2] = ENTRY(name, s64)}};

NARROW_ALL(qshrn, false)
NARROW_ALL(qrshrn, true)
NARROW_UNSIGNED(qshrun, false)
NARROW_UNSIGNED(qrshrun, true)
