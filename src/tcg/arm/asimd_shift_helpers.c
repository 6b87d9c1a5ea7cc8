/* SPDX-License-Identifier: MIT */
/*
 * Lane by lane: shifts by the signed amounts of a register. Called from generated code on the
 * vCPU's own thread. Here fm holds the values and fn the amounts, as in the encoding. Arm ARM A8.8:
 * VSHL, VQSHL, VRSHL, VQRSHL (register).
 */
#include "asimd_shift_helpers.h"
#include "asimd_shift.h"
#include "asimd_vec.h"

#define BY_REGISTER(name, lane, type, round, saturate)                                  \
    static void name##_##lane(struct vcpu *v, uint32_t arg)                             \
    {                                                                                   \
        union asimd_vec m = asimd_read(v, ARG_FM(arg), ARG_Q(arg));                     \
        union asimd_vec n = asimd_read(v, ARG_FN(arg), ARG_Q(arg));                     \
        bool qc = false;                                                                \
                                                                                        \
        for (unsigned i = 0; i < ASIMD_LANES(lane); i++) {                              \
            m.lane[i] = lane_by_reg_##lane(m.lane[i], n.lane[i], round, saturate, &qc); \
        }                                                                               \
        asimd_saturated(v, qc);                                                         \
        asimd_write(v, ARG_FD(arg), ARG_Q(arg), &m);                                    \
    }

#define ENTRY(name, lane)              \
    {                                  \
#name "_" #lane, name##_##lane \
    }
#define BY_REGISTER_ALL(name, round, saturate)                                   \
    BY_REGISTER(name, s8, int8_t, round, saturate)                               \
    BY_REGISTER(name, s16, int16_t, round, saturate)                             \
    BY_REGISTER(name, s32, int32_t, round, saturate)                             \
    BY_REGISTER(name, s64, int64_t, round, saturate)                             \
    BY_REGISTER(name, u8, uint8_t, round, saturate)                              \
    BY_REGISTER(name, u16, uint16_t, round, saturate)                            \
    BY_REGISTER(name, u32, uint32_t, round, saturate)                            \
    BY_REGISTER(name, u64, uint64_t, round, saturate)                            \
    asimd_fn_table asimd_##name = {                                              \
        {ENTRY(name, s8), ENTRY(name, s16), ENTRY(name, s32), ENTRY(name, s64)}, \
        {ENTRY(name, u8), ENTRY(name, u16), ENTRY(name, u32), ENTRY(name, u64)}};

BY_REGISTER_ALL(shl, false, false)
BY_REGISTER_ALL(qshl, false, true)
BY_REGISTER_ALL(rshl, true, false)
BY_REGISTER_ALL(qrshl, true, true)
