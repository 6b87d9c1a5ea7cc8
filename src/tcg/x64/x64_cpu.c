/* SPDX-License-Identifier: MIT */
/*
 * Host features the back end may use, read once before main(). Everything has an SSE2 fallback,
 * which tests force by clearing the flags.
 */
#include "x64_internal.h"
#include <cpuid.h>

struct x64_cpu x64_cpu;

__attribute__((constructor)) static void detect_at_start(void)
{
    x64_cpu_detect();
}

bool ir_has_shuffles(void)
{
    return x64_cpu.sse41; /* SSSE3 and SSE4.1 came together but for one generation */
}

bool ir_has_lane_shifts(void)
{
    return x64_cpu.avx2;
}

void x64_cpu_detect(void)
{
    unsigned a, b, c, d;
    if (__get_cpuid(1, &a, &b, &c, &d))
        x64_cpu.sse41 = (c >> 19 & 1) && (c >> 9 & 1); /* and SSSE3 */
    x64_cpu.fma = __builtin_cpu_supports("fma");       /* the system saves AVX state, too */
    x64_cpu.avx2 = __builtin_cpu_supports("avx2");
    /* VEX-coded BMI instructions need no OS support: they touch general registers only. */
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        x64_cpu.bmi1 = b >> 3 & 1;
        x64_cpu.bmi2 = b >> 8 & 1;
    }
    if (__get_cpuid(0x80000001u, &a, &b, &c, &d))
        x64_cpu.lzcnt = c >> 5 & 1;
}
