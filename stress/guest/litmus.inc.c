/* SPDX-License-Identifier: MIT */
/*
 * The engine of the litmus payloads: a test is up to four threads of straight code and a condition
 * on what they read and left, run over many cells at a time by as many CPUs, which keep within a
 * cell of each other.  Every outcome is counted; one that the architecture forbids fails the test.
 * ROUNDS and TIME_MS (for each test, after two rounds) bound it.  TESTS rows are
 * X(name, CPUs, thread 0, 1, 2, 3, condition on the cell c, whether it is forbidden).
 */
#include "lib/guest.h"

#ifndef ROUNDS
#define ROUNDS 300u
#endif
#define CELLS 512u

struct cell {
    volatile uint32_t x;
    uint32_t pad0[15];
    volatile uint32_t y;
    uint32_t pad1[15];
    volatile uint32_t r[8];
    uint32_t pad2[8];
} __attribute__((aligned(64)));
static struct cell *cells;
static struct barrier gate;

#define CODE(name, ...)                                                    \
    static inline __attribute__((always_inline)) void name(struct cell *c) \
    {                                                                      \
        __VA_ARGS__                                                        \
    }
#define ASM(text, ...) __asm__ volatile(text : __VA_ARGS__)

/*
 * Keep the threads within one cell of each other, or they hardly ever meet: each announces its
 * number by a plain store and waits for the others', but not for one that does not run just now. No
 * barrier in here.
 */
static struct {
    volatile uint32_t at;
} __attribute__((aligned(64))) progress[MAX_CPUS];

static inline __attribute__((always_inline)) void lockstep(unsigned cpu, unsigned n, uint32_t i)
{
    progress[cpu].at = i;
    for (unsigned k = 0; k < n; k++)
        for (unsigned spins = 0; (int32_t)(progress[k].at - i) < 0 && spins < 3000;)
            spins++;
    /* and then a few cycles later or earlier, other ones in each cell */
    for (unsigned d = (i * 2654435761u) >> (8 + 4 * cpu) & 15; d; d--)
        __asm__ volatile("" : "+r"(d));
}

#define RUN(n, need, t0, t1, t2, t3, cond, bad)     \
    static void run_##n(unsigned cpu, void *arg)    \
    {                                               \
        struct cell *c = arg;                       \
        uint32_t first = progress[cpu].at + 1;      \
        barrier_wait(&gate);                        \
        for (uint32_t i = 0; i < CELLS; i++, c++) { \
            lockstep(cpu, need, first + i);         \
            switch (cpu) {                          \
            case 0:                                 \
                t0(c);                              \
                break;                              \
            case 1:                                 \
                t1(c);                              \
                break;                              \
            case 2:                                 \
                t2(c);                              \
                break;                              \
            default:                                \
                t3(c);                              \
            }                                       \
        }                                           \
        barrier_wait(&gate);                        \
    }                                               \
    static bool seen_##n(const struct cell *c)      \
    {                                               \
        return cond;                                \
    }

struct test {
    const char *name;
    unsigned need;
    cpu_fn *run;
    bool (*seen)(const struct cell *c);
    bool forbidden;
};
#define ROW(n, need, t0, t1, t2, t3, cond, bad) {#n, need, run_##n, seen_##n, bad},

/* Outcomes of one test: registers 0 to 3, x and y, four bits each. */
#define OUTCOMES                                32u
static struct {
    uint32_t key[OUTCOMES], times[OUTCOMES], others;
    unsigned n;
} histogram;

static void histogram_add(const struct cell *c)
{
    uint32_t key = (c->x & 15) << 4 | (c->y & 15);
    for (unsigned i = 0; i < 4; i++)
        key |= (c->r[i] & 15) << (8 + 4 * i);
    for (unsigned i = 0; i < histogram.n; i++) {
        if (histogram.key[i] == key) {
            histogram.times[i]++;
            return;
        }
    }
    if (histogram.n == OUTCOMES) {
        histogram.others++;
        return;
    }
    histogram.key[histogram.n] = key;
    histogram.times[histogram.n++] = 1;
}

static void histogram_print(void)
{
    for (unsigned i = 0; i < histogram.n; i++) {
        uint32_t k = histogram.key[i];
        tap_diag("  r0 %u r1 %u r2 %u r3 %u x %u y %u: %u", (unsigned)(k >> 8 & 15),
                 (unsigned)(k >> 12 & 15), (unsigned)(k >> 16 & 15), (unsigned)(k >> 20 & 15),
                 (unsigned)(k >> 4 & 15), (unsigned)(k & 15), (unsigned)histogram.times[i]);
    }
    if (histogram.others)
        tap_diag("  others: %u", (unsigned)histogram.others);
}

/* Each test's share of the parameter "ms", if there is one: then that alone bounds it. */
static uint32_t test_ms = TIME_MS, max_rounds = ROUNDS;
static void litmus_time(unsigned tests)
{
    uint32_t ms = param("ms", 0);
    if (ms) {
        test_ms = ms / tests;
        max_rounds = UINT32_MAX;
    }
}

static void run_test(const struct test *t, unsigned have)
{
    if (t->need > have) {
        tap_skip(t->name, "not enough CPUs");
        return;
    }
    unsigned hits = 0, round = 0;
    uint64_t end = now() + (uint64_t)test_ms * ticks_per_ms();
    memset(progress, 0, sizeof(progress));
    memset(&histogram, 0, sizeof(histogram));
    for (; round < max_rounds && (round < 2 || now() < end); round++) {
        memset(cells, 0, CELLS * sizeof(*cells));
        barrier_init(&gate, t->need);
        smp_run_all(t->need, t->run, cells);
        for (unsigned k = 0; k < CELLS; k++) {
            hits += t->seen(&cells[k]);
            histogram_add(&cells[k]);
        }
    }
    tap_ok(!t->forbidden || hits == 0, "%s", t->name);
    tap_diag("%u of %u cells%s", hits, round * CELLS, t->forbidden ? "" : " (allowed)");
    histogram_print();
}
