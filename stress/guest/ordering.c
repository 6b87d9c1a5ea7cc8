/* SPDX-License-Identifier: MIT */
/*
 * More litmus tests (the first set is litmus.c): coherence of one location, R, S, LB, ISA2, RWC and
 * IRIW with DMB, DSB, dependencies and without anything, and the ARMv8 load-acquire and
 * store-release forms, which are skipped on a CPU without them (run it with -cpu max).  Outcomes of
 * the tests without barriers are only counted.  Arm ARM A3.5.5 to A3.8; ARMv8 (DDI0487) B2.3.
 */
#include "lib/guest.h"

const char payload_name[] = "ordering";

#ifndef TIME_MS
#define TIME_MS 60u
#endif
#include "litmus.inc.c"

/* --- one location --- */
CODE(coww_0, c->x = 1; c->x = 2;)
CODE(cowr_0, c->x = 1; c->r[0] = c->x;)
CODE(cow_2, c->x = 2;)
CODE(cow_1, c->x = 1;)
CODE(corw_0, c->r[0] = c->x; c->x = 1;)
CODE(corr_2, uint32_t a = c->x; uint32_t b = c->x; c->r[0] = a; c->r[1] = b;)
CODE(corr_3, uint32_t a = c->x; uint32_t b = c->x; c->r[2] = a; c->r[3] = b;)
/* --- two locations --- */
CODE(w_y, c->y = 1;)
CODE(mp_w, c->x = 1; dmb(); c->y = 1;)
CODE(mp_w_dsb, c->x = 1; dsb(); c->y = 1;)
CODE(mp_w_st, c->x = 1; ASM("dmb st", : : "memory"); c->y = 1;)
CODE(mp_w_weak, c->x = 1; c->y = 1;)
CODE(mp_r_dsb, uint32_t a = c->y; dsb(); uint32_t b = c->x; c->r[0] = a; c->r[1] = b;)
CODE(mp_r_weak, uint32_t a = c->y; uint32_t b = c->x; c->r[0] = a; c->r[1] = b;)
/* ordered by a branch on the first value and an ISB */
CODE(mp_r_ctrl, uint32_t a, b;
     ASM("ldr %0, [%2]\n cmp %0, #1\n bne 1f\n1: isb\n ldr %1, [%3]", "=&r"(a), "=&r"(b)
         : "r"(&c->y), "r"(&c->x)
         : "cc", "memory");
     c->r[0] = a; c->r[1] = b;)
/* a store that depends on the load: data, control */
#define LB_DATA(from, to)                                                                   \
    uint32_t a, t;                                                                          \
    ASM("ldr %0, [%2]\n eor %1, %0, %0\n add %1, %1, #1\n str %1, [%3]", "=&r"(a), "=&r"(t) \
        : "r"(from), "r"(to)                                                                \
        : "memory")
#define LB_CTRL(from, to)                                                                      \
    uint32_t a, t;                                                                             \
    ASM("ldr %0, [%2]\n mov %1, #1\n cmp %0, #5\n bne 1f\n1: str %1, [%3]", "=&r"(a), "=&r"(t) \
        : "r"(from), "r"(to)                                                                   \
        : "cc", "memory")
CODE(lb_data_0, LB_DATA(&c->x, &c->y); c->r[0] = a;)
CODE(lb_data_1, LB_DATA(&c->y, &c->x); c->r[1] = a;)
CODE(lb_ctrl_0, LB_CTRL(&c->x, &c->y); c->r[0] = a;)
CODE(lb_ctrl_1, LB_CTRL(&c->y, &c->x); c->r[1] = a;)
CODE(lb_weak_0, uint32_t a = c->x; c->y = 1; c->r[0] = a;)
CODE(lb_weak_1, uint32_t a = c->y; c->x = 1; c->r[1] = a;)
CODE(r_1, c->y = 2; dmb(); c->r[0] = c->x;)
CODE(r_1_weak, c->y = 2; c->r[0] = c->x;)
CODE(s_0, c->x = 2; dmb(); c->y = 1;)
CODE(s_data, LB_DATA(&c->y, &c->x); c->r[0] = a;)
CODE(ww_0, c->x = 1; dsb(); c->y = 2;)
CODE(ww_1, c->y = 1; dsb(); c->x = 2;)
CODE(ww_0_weak, c->x = 1; c->y = 2;)
CODE(ww_1_weak, c->y = 1; c->x = 2;)
/* --- three and four CPUs; r[7] is a third location --- */
CODE(wrc_1_data, LB_DATA(&c->x, &c->y); c->r[0] = a;)
CODE(wrc_2_addr, uint32_t a, b, t;
     ASM("ldr %0, [%3]\n eor %2, %0, %0\n ldr %1, [%4, %2]", "=&r"(a), "=&r"(b), "=&r"(t)
         : "r"(&c->y), "r"(&c->x)
         : "memory");
     c->r[1] = a; c->r[2] = b;)
CODE(isa2_1, uint32_t a = c->y; dmb(); c->r[7] = 1; c->r[0] = a;)
CODE(isa2_2, uint32_t a = c->r[7]; dmb(); uint32_t b = c->x; c->r[1] = a; c->r[2] = b;)
CODE(rwc_1, uint32_t a = c->x; dmb(); uint32_t b = c->y; c->r[0] = a; c->r[1] = b;)
CODE(rwc_2, c->y = 1; dmb(); c->r[2] = c->x;)
CODE(iriw_2, uint32_t a = c->x; dsb(); uint32_t b = c->y; c->r[0] = a; c->r[1] = b;)
CODE(iriw_3, uint32_t a = c->y; dsb(); uint32_t b = c->x; c->r[2] = a; c->r[3] = b;)
CODE(iriw_2_weak, uint32_t a = c->x; uint32_t b = c->y; c->r[0] = a; c->r[1] = b;)
CODE(iriw_3_weak, uint32_t a = c->y; uint32_t b = c->x; c->r[2] = a; c->r[3] = b;)

#define TESTS(X)                                                                                  \
    X(CoWW, 2, coww_0, corr_2, w_y, w_y, c->x == 1, true)                                         \
    X(CoWR, 2, cowr_0, cow_2, w_y, w_y, c->r[0] == 2 && c->x == 1, true)                          \
    X(CoRW1, 1, corw_0, w_y, w_y, w_y, c->r[0] == 1, true)                                        \
    X(CoRW2, 2, corw_0, cow_2, w_y, w_y, c->r[0] == 2 && c->x == 2, true)                         \
    X(CoRR_two_readers, 4, cow_1, cow_2, corr_2, corr_3,                                          \
      c->r[0] && c->r[1] && c->r[0] != c->r[1] && c->r[0] == c->r[3] && c->r[1] == c->r[2], true) \
    X(MP_dsb, 2, mp_w_dsb, mp_r_dsb, w_y, w_y, c->r[0] == 1 && c->r[1] == 0, true)                \
    X(MP_dmb_st_ctrl_isb, 2, mp_w_st, mp_r_ctrl, w_y, w_y, c->r[0] == 1 && c->r[1] == 0, true)    \
    X(MP_no_barrier, 2, mp_w_weak, mp_r_weak, w_y, w_y, c->r[0] == 1 && c->r[1] == 0, false)      \
    X(LB_data, 2, lb_data_0, lb_data_1, w_y, w_y, c->r[0] == 1 && c->r[1] == 1, true)             \
    X(LB_ctrl, 2, lb_ctrl_0, lb_ctrl_1, w_y, w_y, c->r[0] == 1 && c->r[1] == 1, true)             \
    X(LB_no_barrier, 2, lb_weak_0, lb_weak_1, w_y, w_y, c->r[0] == 1 && c->r[1] == 1, false)      \
    X(R_dmb, 2, mp_w, r_1, w_y, w_y, c->y == 2 && c->r[0] == 0, true)                             \
    X(R_no_barrier, 2, mp_w_weak, r_1_weak, w_y, w_y, c->y == 2 && c->r[0] == 0, false)           \
    X(S_dmb_data, 2, s_0, s_data, w_y, w_y, c->r[0] == 1 && c->x == 2, true)                      \
    X(W2plus2_dsb, 2, ww_0, ww_1, w_y, w_y, c->x == 1 && c->y == 1, true)                         \
    X(W2plus2_no_barrier, 2, ww_0_weak, ww_1_weak, w_y, w_y, c->x == 1 && c->y == 1, false)       \
    X(ISA2_dmb, 3, mp_w, isa2_1, isa2_2, w_y, c->r[0] == 1 && c->r[1] == 1 && c->r[2] == 0, true) \
    X(RWC_dmb, 3, cow_1, rwc_1, rwc_2, w_y, c->r[0] == 1 && c->r[1] == 0 && c->r[2] == 0, true)   \
    X(WRC_dependencies, 3, cow_1, wrc_1_data, wrc_2_addr, w_y,                                    \
      c->r[0] == 1 && c->r[1] == 1 && c->r[2] == 0, false)                                        \
    X(IRIW_dsb, 4, cow_1, w_y, iriw_2, iriw_3,                                                    \
      c->r[0] == 1 && c->r[1] == 0 && c->r[2] == 1 && c->r[3] == 0, true)                         \
    X(IRIW_no_barrier, 4, cow_1, w_y, iriw_2_weak, iriw_3_weak,                                   \
      c->r[0] == 1 && c->r[1] == 0 && c->r[2] == 1 && c->r[3] == 0, false)
TESTS(RUN)
static const struct test tests[] = {TESTS(ROW)};

/* --- load-acquire, store-release --- */
static inline __attribute__((always_inline)) uint32_t lda(volatile uint32_t *p)
{
    uint32_t v;
    ASM(".arch armv8-a\n lda %0, [%1]\n .arch armv7ve", "=r"(v) : "r"(p) : "memory");
    return v;
}
static inline __attribute__((always_inline)) void stl(volatile uint32_t *p, uint32_t v)
{
    ASM(".arch armv8-a\n stl %0, [%1]\n .arch armv7ve", : "r"(v), "r"(p) : "memory");
}
static inline __attribute__((always_inline)) void swap_stl(volatile uint32_t *p, uint32_t v)
{
    uint32_t old, fail;
    ASM(".arch armv8-a\n1: ldaex %0, [%2]\n stlex %1, %3, [%2]\n cmp %1, #0\n bne 1b\n"
        " .arch armv7ve",
        "=&r"(old), "=&r"(fail)
        : "r"(p), "r"(v)
        : "cc", "memory");
}
CODE(amp_0, c->x = 1; stl(&c->y, 1);)
CODE(amp_1, uint32_t a = lda(&c->y); uint32_t b = c->x; c->r[0] = a; c->r[1] = b;)
CODE(asb_0, stl(&c->x, 1); c->r[0] = lda(&c->y);)
CODE(asb_1, stl(&c->y, 1); c->r[1] = lda(&c->x);)
CODE(asbx_0, swap_stl(&c->x, 1); c->r[0] = lda(&c->y);)
CODE(asbx_1, swap_stl(&c->y, 1); c->r[1] = lda(&c->x);)
CODE(alb_0, uint32_t a = lda(&c->x); c->y = 1; c->r[0] = a;)
CODE(alb_1, uint32_t a = lda(&c->y); c->x = 1; c->r[1] = a;)
CODE(ar_0, c->x = 1; stl(&c->y, 1);)
CODE(ar_1, stl(&c->y, 2); c->r[0] = lda(&c->x);)
CODE(as_0, c->x = 2; stl(&c->y, 1);)
CODE(as_1, uint32_t a = lda(&c->y); c->x = 1; c->r[0] = a;)
CODE(aww_0, stl(&c->x, 1); stl(&c->y, 2);)
CODE(aww_1, stl(&c->y, 1); stl(&c->x, 2);)
CODE(awrc_0, stl(&c->x, 1);)
CODE(awrc_1, uint32_t a = lda(&c->x); stl(&c->y, 1); c->r[0] = a;)
CODE(awrc_2, uint32_t a = lda(&c->y); uint32_t b = lda(&c->x); c->r[1] = a; c->r[2] = b;)
CODE(airiw_1, stl(&c->y, 1);)
CODE(airiw_2, uint32_t a = lda(&c->x); uint32_t b = lda(&c->y); c->r[0] = a; c->r[1] = b;)
CODE(airiw_3, uint32_t a = lda(&c->y); uint32_t b = lda(&c->x); c->r[2] = a; c->r[3] = b;)
/* a release followed by a plain load is not ordered */
CODE(asb_0_weak, stl(&c->x, 1); c->r[0] = c->y;)
CODE(asb_1_weak, stl(&c->y, 1); c->r[1] = c->x;)

#define TESTS_V8(X)                                                                              \
    X(MP_stl_lda, 2, amp_0, amp_1, w_y, w_y, c->r[0] == 1 && c->r[1] == 0, true)                 \
    X(SB_stl_lda, 2, asb_0, asb_1, w_y, w_y, c->r[0] == 0 && c->r[1] == 0, true)                 \
    X(SB_stlex_lda, 2, asbx_0, asbx_1, w_y, w_y, c->r[0] == 0 && c->r[1] == 0, true)             \
    X(SB_stl_plain, 2, asb_0_weak, asb_1_weak, w_y, w_y, c->r[0] == 0 && c->r[1] == 0, false)    \
    X(LB_lda, 2, alb_0, alb_1, w_y, w_y, c->r[0] == 1 && c->r[1] == 1, true)                     \
    X(R_stl_lda, 2, ar_0, ar_1, w_y, w_y, c->y == 2 && c->r[0] == 0, true)                       \
    X(S_stl_lda, 2, as_0, as_1, w_y, w_y, c->r[0] == 1 && c->x == 2, true)                       \
    X(W2plus2_stl, 2, aww_0, aww_1, w_y, w_y, c->x == 1 && c->y == 1, true)                      \
    X(WRC_stl_lda, 3, awrc_0, awrc_1, awrc_2, w_y, c->r[0] == 1 && c->r[1] == 1 && c->r[2] == 0, \
      true)                                                                                      \
    X(IRIW_stl_lda, 4, awrc_0, airiw_1, airiw_2, airiw_3,                                        \
      c->r[0] == 1 && c->r[1] == 0 && c->r[2] == 1 && c->r[3] == 0, true)
TESTS_V8(RUN)
static const struct test tests_v8[] = {TESTS_V8(ROW)};

void payload_main(void)
{
    unsigned n = smp_start(MAX_CPUS);
    bool v8 = read_id_isar5() & 15; /* SEVL, which came with load-acquire */
    cells = mem_alloc(CELLS * sizeof(*cells), 64);
    litmus_time((unsigned)(ARRAY_SIZE(tests) + ARRAY_SIZE(tests_v8)));
    tap_diag("%u ms and at most %u rounds of %u cells for each test, %u CPUs", (unsigned)test_ms,
             (unsigned)max_rounds, CELLS, n);
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++)
        run_test(&tests[i], n);
    for (unsigned i = 0; i < ARRAY_SIZE(tests_v8); i++) {
        if (v8)
            run_test(&tests_v8[i], n);
        else
            tap_skip(tests_v8[i].name, "no load-acquire");
    }
}
