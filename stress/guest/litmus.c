/* SPDX-License-Identifier: MIT */
/*
 * Memory-model litmus tests between two (or four) CPUs, batched over many cells: outcomes that the
 * ARMv7 model forbids with DMB or dependencies must not appear; how often the allowed weak outcomes
 * of the variants without barriers appear is only reported.  Also single-copy atomicity of LDRD,
 * STRD (LPAE) and LDREXD.  Arm ARM A3.5.3, A3.8 and appendix on barrier litmus tests.
 */
#include "lib/guest.h"

const char payload_name[] = "litmus";

#ifndef TIME_MS
#define TIME_MS 400u
#endif
#include "litmus.inc.c"

/* message passing */
CODE(mp_w, c->x = 1; dmb(); c->y = 1;)
CODE(mp_r, uint32_t a = c->y; dmb(); uint32_t b = c->x; c->r[0] = a; c->r[1] = b;)
/* the reader ordered by an address dependency instead */
CODE(mp_addr, uint32_t a, b, t;
     ASM("ldr %0, [%3]\n eor %2, %0, %0\n ldr %1, [%4, %2]", "=&r"(a), "=&r"(b), "=&r"(t)
         : "r"(&c->y), "r"(&c->x)
         : "memory");
     c->r[0] = a; c->r[1] = b;)
/* store buffering */
CODE(sb_0, c->x = 1; dmb(); c->r[0] = c->y;)
CODE(sb_1, c->y = 1; dmb(); c->r[1] = c->x;)
CODE(sb_0_dsb, c->x = 1; dsb(); c->r[0] = c->y;)
CODE(sb_1_dsb, c->y = 1; dsb(); c->r[1] = c->x;)
CODE(sb_0_weak, c->x = 1; c->r[0] = c->y;)
CODE(sb_1_weak, c->y = 1; c->r[1] = c->x;)
CODE(sb_0_cp15, c->x = 1; ASM("mcr p15, 0, %0, c7, c10, 5", : "r"(0) : "memory"); c->r[0] = c->y;)
/* load buffering: forbidden with dependencies */
CODE(lb_0, uint32_t a = c->x; dmb(); c->y = 1; c->r[0] = a;)
CODE(lb_1, uint32_t a = c->y; dmb(); c->x = 1; c->r[1] = a;)
/* coherence: two reads of one location never go back */
CODE(co_w, c->x = 1; c->x = 2;)
CODE(co_r, uint32_t a = c->x; uint32_t b = c->x; c->r[0] = a; c->r[1] = b;)
/* 2+2W */
CODE(ww_0, c->x = 1; dmb(); c->y = 2;)
CODE(ww_1, c->y = 1; dmb(); c->x = 2;)
/* S: write after read, with DMB */
CODE(s_0, c->x = 2; dmb(); c->y = 1;)
CODE(s_1, uint32_t a = c->y; dmb(); c->x = 1; c->r[0] = a;)
/* exclusive accesses are not barriers, but DMB around them is: SB through LDREX/STREX */
CODE(sbx_0, atomic_add(&c->x, 1); c->r[0] = c->y;)
CODE(sbx_1, atomic_add(&c->y, 1); c->r[1] = c->x;)
/* IRIW with DMB: four CPUs */
CODE(iriw_w0, c->x = 1;)
CODE(iriw_w1, c->y = 1;)
CODE(iriw_r0, uint32_t a = c->x; dmb(); uint32_t b = c->y; c->r[0] = a; c->r[1] = b;)
CODE(iriw_r1, uint32_t a = c->y; dmb(); uint32_t b = c->x; c->r[2] = a; c->r[3] = b;)
/* WRC: write, read-write, read */
CODE(wrc_0, c->x = 1;)
CODE(wrc_1, uint32_t a = c->x; dmb(); c->y = 1; c->r[0] = a;)
CODE(wrc_2, uint32_t a = c->y; dmb(); uint32_t b = c->x; c->r[1] = a; c->r[2] = b;)

#define TESTS(X) /* name, CPUs, threads 0-3, outcome that counts, whether it is forbidden */     \
    X(MP_dmb, 2, mp_w, mp_r, mp_w, mp_w, c->r[0] == 1 && c->r[1] == 0, true)                     \
    X(MP_dmb_addr, 2, mp_w, mp_addr, mp_w, mp_w, c->r[0] == 1 && c->r[1] == 0, true)             \
    X(SB_dmb, 2, sb_0, sb_1, mp_w, mp_w, c->r[0] == 0 && c->r[1] == 0, true)                     \
    X(SB_dsb, 2, sb_0_dsb, sb_1_dsb, mp_w, mp_w, c->r[0] == 0 && c->r[1] == 0, true)             \
    X(SB_cp15_dmb, 2, sb_0_cp15, sb_1, mp_w, mp_w, c->r[0] == 0 && c->r[1] == 0, true)           \
    X(SB_exclusive, 2, sbx_0, sbx_1, mp_w, mp_w, c->r[0] == 0 && c->r[1] == 0, true)             \
    X(SB_no_barrier, 2, sb_0_weak, sb_1_weak, mp_w, mp_w, c->r[0] == 0 && c->r[1] == 0, false)   \
    X(LB_dmb, 2, lb_0, lb_1, mp_w, mp_w, c->r[0] == 1 && c->r[1] == 1, true)                     \
    X(CoRR, 2, co_w, co_r, mp_w, mp_w, c->r[0] > c->r[1], true)                                  \
    X(W2plus2_dmb, 2, ww_0, ww_1, mp_w, mp_w, c->x == 1 && c->y == 1, true)                      \
    X(S_dmb, 2, s_0, s_1, mp_w, mp_w, c->r[0] == 1 && c->x == 2, true)                           \
    X(WRC_dmb, 3, wrc_0, wrc_1, wrc_2, mp_w, c->r[0] == 1 && c->r[1] == 1 && c->r[2] == 0, true) \
    X(IRIW_dmb, 4, iriw_w0, iriw_w1, iriw_r0, iriw_r1,                                           \
      c->r[0] == 1 && c->r[1] == 0 && c->r[2] == 1 && c->r[3] == 0, true)

TESTS(RUN)

static const struct test tests[] = {TESTS(ROW)};

/* --- single-copy atomicity of doublewords --- */
static volatile uint64_t wide __attribute__((aligned(64)));
#define PATTERN(i) ((uint64_t)(i) << 32 | (uint32_t) ~(i))

static void wide_store(uint64_t v, bool exclusive)
{
    if (exclusive) {
        uint64_t old;
        uint32_t fail;
        __asm__ volatile(
            "1: ldrexd %Q0, %R0, [%2]\n strexd %1, %Q3, %R3, [%2]\n cmp %1, #0\n bne 1b"
            : "=&r"(old), "=&r"(fail)
            : "r"(&wide), "r"(v)
            : "cc", "memory");
    } else {
        __asm__ volatile("strd %Q0, %R0, [%1]" : : "r"(v), "r"(&wide) : "memory");
    }
}

static uint64_t wide_load(bool exclusive)
{
    uint64_t v;
    if (exclusive)
        __asm__ volatile("ldrexd %Q0, %R0, [%1]\n clrex" : "=&r"(v) : "r"(&wide) : "memory");
    else
        __asm__ volatile("ldrd %Q0, %R0, [%1]" : "=&r"(v) : "r"(&wide) : "memory");
    return v;
}

static volatile uint32_t torn[MAX_CPUS];
static void wide_worker(unsigned cpu, void *arg)
{
    uint32_t mode = (uint32_t)arg;
    barrier_wait(&gate);
    for (uint32_t i = 1; i < 60000; i++) {
        if (cpu == 0) {
            wide_store(PATTERN(i), mode & 1);
        } else {
            uint64_t v = wide_load(mode >> 1);
            torn[cpu] += (uint32_t)(v >> 32) != ~(uint32_t)v;
        }
    }
    barrier_wait(&gate);
}

static void run_wide(unsigned have)
{
    static const char *const names[] = {
        "STRD and LDRD are single-copy atomic", "STREXD and LDRD are single-copy atomic",
        "STRD and LDREXD are single-copy atomic", "STREXD and LDREXD are single-copy atomic"};
    for (uint32_t mode = 0; mode < 4; mode++) {
        uint32_t sum = 0;
        if (have < 2) {
            tap_skip(names[mode], "one CPU");
            continue;
        }
        wide = PATTERN(0u);
        memset((void *)torn, 0, sizeof(torn));
        barrier_init(&gate, have);
        smp_run_all(have, wide_worker, (void *)mode);
        for (unsigned i = 0; i < have; i++)
            sum += torn[i];
        tap_eq(sum, 0, "%s", names[mode]);
    }
}

void payload_main(void)
{
    unsigned n = smp_start(MAX_CPUS);
    cells = mem_alloc(CELLS * sizeof(*cells), 64);
    litmus_time((unsigned)ARRAY_SIZE(tests));
    tap_diag("%u ms and at most %u rounds of %u cells for each test, %u CPUs", (unsigned)test_ms,
             (unsigned)max_rounds, CELLS, n);
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++)
        run_test(&tests[i], n);
    run_wide(n);
}
