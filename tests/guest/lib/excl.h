/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Additions by loops of LDREX and STREX of every size, without barriers, as compilers and kernels
 * write them: loops that a translator may make one atomic operation. Arm ARM A3.4.
 */
#include <stdint.h>

#define EXCL_ADD(name, type, suffix)                                      \
    static inline void name(volatile type *p, uint32_t add)               \
    {                                                                     \
        uint32_t v, fail;                                                 \
        __asm__ volatile("1: ldrex" suffix " %0, [%2]\n add %0, %0, %3\n" \
                         " strex" suffix " %1, %0, [%2]\n"                \
                         " cmp %1, #0\n bne 1b"                           \
                         : "=&r"(v), "=&r"(fail)                          \
                         : "r"(p), "r"(add)                               \
                         : "cc", "memory");                               \
    }
EXCL_ADD(excl_add_b, uint8_t, "b")
EXCL_ADD(excl_add_h, uint16_t, "h")
EXCL_ADD(excl_add_w, uint32_t, "")
#undef EXCL_ADD

static inline void excl_add_d(volatile uint64_t *p, uint64_t add)
{
    uint64_t v;
    uint32_t fail;
    __asm__ volatile("1: ldrexd %Q0, %R0, [%2]\n adds %Q0, %Q0, %Q3\n adc %R0, %R0, %R3\n"
                     " strexd %1, %Q0, %R0, [%2]\n cmp %1, #0\n bne 1b"
                     : "=&r"(v), "=&r"(fail)
                     : "r"(p), "r"(add)
                     : "cc", "memory");
}
