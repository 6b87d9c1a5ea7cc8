/* SPDX-License-Identifier: MIT */
/*
 * Performance monitors: the cycle counter counts when enabled, stops, resets, divides by 64,
 * overflows with a flag, can be written; event counters exist as PMCR.N says and software increment
 * counts if it is announced.  Arm ARM C12.  User access is in the undef payload.
 */
#include "lib/guest.h"

const char payload_name[] = "pmu";

#define PMCR_E 1u
#define PMCR_P 2u
#define PMCR_C 4u
#define PMCR_D 8u
#define CYCLES (1u << 31)

static uint32_t count_for_1ms(void)
{
    uint32_t a = read_pmccntr();
    delay_ms(1);
    return read_pmccntr() - a;
}

/*
 * Cycles and the generic timer's ticks that go with them, of about a millisecond or of however long
 * the host kept us away meanwhile.  Away between a read of one and of the other: once more.
 */
struct pace {
    uint32_t cycles, ticks;
};
static struct pace measure(void)
{
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t t0 = now();
        uint32_t c0 = read_pmccntr();
        uint64_t t1 = now();
        delay_ms(1);
        uint64_t t2 = now();
        uint32_t cycles = read_pmccntr() - c0;
        uint32_t all = now() - t0, inner = t2 - t1;
        if (all - inner < inner / 16 && all < 100 * ticks_per_ms())
            return (struct pace){cycles, inner};
    }
    bail("never 1 ms without a long pause around reads of the counters");
}

void payload_main(void)
{
    uint32_t pmcr = read_pmcr(), n = pmcr >> 11 & 31;
    bool ceid = catch_call((const void *)read_pmceid0, 0, 0, 0) == TRAP_NONE;
    uint32_t events = ceid ? this_cpu()->result : 1;
    tap_ok(ceid, "PMCEID0 is there");
    tap_diag("PMCR %08x: %u event counters, PMCEID0 %08x", (unsigned)pmcr, (unsigned)n,
             (unsigned)events);
    write_pmcr(PMCR_C | PMCR_P);
    write_pmcntenclr(~0u);
    isb();
    tap_eq(read_pmcntenset(), 0, "PMCNTENCLR disables all");
    tap_eq(count_for_1ms(), 0, "no counting when off");
    write_pmcntenset(CYCLES);
    isb();
    tap_eq(count_for_1ms(), 0, "no counting without PMCR.E");
    write_pmcr(PMCR_E);
    isb();
    tap_eq(read_pmcr() & 1, 1, "PMCR.E reads back");
    tap_eq(read_pmcntenset() & CYCLES, CYCLES, "PMCNTENSET reads back");
    struct pace fast = measure();
    tap_ok(fast.cycles > 1000, "the cycle counter counts");
    write_pmcr(PMCR_E | PMCR_D);
    isb();
    struct pace slow = measure();
    /* within a factor of two, for clocks that change */
    uint64_t a64 = (uint64_t)fast.cycles * slow.ticks, b64 = (uint64_t)slow.cycles * fast.ticks;
    tap_ok(a64 >= 32 * b64 && a64 <= 128 * b64, "PMCR.D divides by 64");
    tap_diag("%u cycles in %u ticks, %u in %u with the divider", (unsigned)fast.cycles,
             (unsigned)fast.ticks, (unsigned)slow.cycles, (unsigned)slow.ticks);
    write_pmcr(0);
    write_pmccntr(0x12345678);
    isb();
    tap_eq(read_pmccntr(), 0x12345678, "PMCCNTR can be written");
    write_pmcr(PMCR_C);
    isb();
    tap_eq(read_pmccntr(), 0, "PMCR.C resets it");
    tap_eq(read_pmcr() & (PMCR_C | PMCR_P), 0, "the reset bits read as zero");
    write_pmovsr(~0u);
    write_pmccntr(0xffffff00);
    write_pmcr(PMCR_E);
    isb();
    delay_ms(1);
    tap_ok(read_pmccntr() < 0xffffff00, "wraps around");
    tap_eq(read_pmovsr() & CYCLES, CYCLES, "and sets its overflow flag");
    write_pmovsr(CYCLES);
    isb();
    tap_eq(read_pmovsr() & CYCLES, 0, "which is cleared by writing one");
    write_pmcntenclr(CYCLES);
    isb();
    uint32_t a = read_pmccntr();
    delay_ms(1);
    tap_eq(read_pmccntr(), a, "stops when disabled");
    tap_ok(n == 6, "six event counters, as in a Cortex-A15");
    struct matrix m = {.name = "event counters can be selected and written"};
    for (uint32_t i = 0; i < n; i++) {
        write_pmselr(i);
        isb();
        write_pmxevtyper(0);
        write_pmxevcntr(100 + i);
    }
    for (uint32_t i = 0; i < n; i++) {
        write_pmselr(i);
        isb();
        case_eq(&m, read_pmselr() & 31, i, "PMSELR");
        case_eq(&m, read_pmxevcntr(), 100 + i, "counter %u", (unsigned)i);
    }
    matrix_end(&m);
    if (events & 1) {
        write_pmcntenset(1);
        write_pmcr(PMCR_E);
        isb();
        write_pmselr(0);
        isb();
        for (unsigned i = 0; i < 7; i++)
            do_pmswinc(1);
        isb();
        tap_eq(read_pmxevcntr(), 107, "software increment");
    } else {
        tap_skip("software increment", "not announced");
    }
    write_pmcr(PMCR_P);
    write_pmcntenclr(~0u);
}
