/* SPDX-License-Identifier: MIT */
/*
 * The first thing to run: banner, processor mode and identity at start, counter frequency, and that
 * the runtime itself works (MMU, traps caught, User mode entered and left).
 */
#include "lib/guest.h"

const char payload_name[] = "hello";

static uint32_t add3(uint32_t a, uint32_t b, uint32_t c)
{
    return a + b * 10 + c * 100;
}

static uint32_t user_mode(void)
{
    return read_cpsr();
}

void payload_main(void)
{
    struct cpu *cpu = this_cpu();
    uint32_t midr = read_midr(), cpsr = read_cpsr();
    print("Hello from a bare-metal ARMv7-A guest\n");
    tap_diag("MIDR %08x MPIDR %08x CNTFRQ %u CPSR %08x SCTLR %08x", (unsigned)midr,
             (unsigned)read_mpidr(), (unsigned)read_cntfrq(), (unsigned)cpsr,
             (unsigned)read_sctlr());
    tap_eq(cpsr & MODE_MASK, MODE_SVC, "runs in Supervisor mode");
    tap_eq(midr >> 24, 0x41, "implementer is Arm");
    tap_eq(midr >> 16 & 15, 15, "architecture by CPUID scheme");
    tap_eq(read_mpidr() & 0x80ffffff, 0x80000000, "MPIDR names CPU 0 with the MP extensions");
    tap_eq(read_cntfrq(), 62500000, "CNTFRQ is 62.5 MHz");
    tap_eq(read_sctlr() & (SCTLR_M | SCTLR_C | SCTLR_I), SCTLR_M | SCTLR_C | SCTLR_I,
           "MMU and caches on");
    uint64_t t0 = now(), t1 = now();
    tap_ok(t1 >= t0, "virtual counter does not go back");
    delay_ms(2);
    tap_ok(now() > t1, "virtual counter advances");

    tap_eq(catch_call((const void *)add3, 1, 2, 3), TRAP_NONE, "catch_call without a trap");
    tap_eq(cpu->result, 321, "result of the called function");
    tap_eq(catch_user((const void *)add3, 4, 5, 6), TRAP_NONE, "catch_user without a trap");
    tap_eq(cpu->result, 654, "result of the function in User mode");
    tap_eq(catch_user((const void *)user_mode, 0, 0, 0), TRAP_NONE, "read CPSR in User mode");
    tap_eq(cpu->result & MODE_MASK, MODE_USR, "mode is User");
    tap_eq(catch_call((const void *)load32, 0xf0000000, 0, 0), TRAP_DABT, "unmapped load aborts");
    tap_eq(cpu->trap.dfar, 0xf0000000, "DFAR of the unmapped load");
}
