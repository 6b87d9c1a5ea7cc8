/* SPDX-License-Identifier: MIT */
/*
 * Store buffering without a rendezvous: two CPUs each store their own counter, execute a barrier
 * and load the other's, as fast as they can. Afterwards, of store i of one and store j of the
 * other, one must have been seen by the other's load. Some hundred thousand tries a second, where
 * litmus.c has some thousand, so that a single missing fence shows. DMB, DSB, the CP15 forms,
 * exclusives. Arm ARM A3.8.3. Parameter: ms.
 */
#include "lib/guest.h"

const char payload_name[] = "inj_order";

#define TRIES 65536u
enum { BY_DMB, BY_DSB, BY_CP15_DMB, BY_CP15_DSB, BY_EXCLUSIVE, WAYS };

static struct {
    volatile uint32_t mine;
} __attribute__((aligned(256))) cell[2];
static uint32_t *seen[2]; /* what load i of each CPU found */
static struct barrier gate;
static volatile uint32_t way;

#define LOOP(barrier_text)                                                \
    __asm__ volatile("1: str %0, [%1]\n" barrier_text "   ldr r3, [%2]\n" \
                     "   str r3, [%3], #4\n"                              \
                     "   add %0, %0, #1\n"                                \
                     "   cmp %0, %4\n"                                    \
                     "   bls 1b\n"                                        \
                     : "+r"(i), "+r"(me), "+r"(other), "+r"(out)          \
                     : "r"(TRIES)                                         \
                     : "r2", "r3", "cc", "memory")

static void hammer(unsigned cpu, void *arg)
{
    (void)arg;
    if (cpu > 1)
        return;
    volatile uint32_t *me = &cell[cpu].mine, *other = &cell[!cpu].mine;
    uint32_t *out = seen[cpu], i = 1;
    barrier_wait(&gate);
    switch (way) {
    case BY_DMB:
        LOOP(" dmb\n");
        break;
    case BY_DSB:
        LOOP(" dsb\n");
        break;
    case BY_CP15_DMB:
        LOOP(" mcr p15, 0, r3, c7, c10, 5\n");
        break;
    case BY_CP15_DSB:
        LOOP(" mcr p15, 0, r3, c7, c10, 4\n");
        break;
    default: /* DMB on both sides of an exclusive pair, as a lock has it */
        LOOP(" dmb\n ldrex r3, [%3]\n strex r2, r3, [%3]\n dmb\n");
    }
    barrier_wait(&gate);
}

/* Load i missed store seen[0][i] + 1 of the other; then that CPU's load must have seen store i. */
static uint32_t violations(void)
{
    uint32_t bad = 0;
    for (uint32_t i = 1; i <= TRIES; i++) {
        uint32_t j = seen[0][i - 1] + 1;
        bad += j <= TRIES && seen[1][j - 1] < i;
    }
    return bad;
}

void payload_main(void)
{
    static const char *const names[WAYS] = {"DMB", "DSB", "CP15 DMB", "CP15 DSB",
                                            "DMB around exclusives"};
    unsigned n = smp_start(2);
    uint32_t ms = param("ms", 1000), bad[WAYS] = {0}, rounds = 0;
    uint64_t end = now() + (uint64_t)ms * ticks_per_ms();
    for (unsigned c = 0; c < 2; c++)
        seen[c] = mem_alloc(TRIES * sizeof(uint32_t), PAGE_SIZE);
    tap_diag("%u ms, %u CPUs", (unsigned)ms, n);
    do {
        for (way = 0; n == 2 && way < WAYS; way++) {
            cell[0].mine = cell[1].mine = 0;
            barrier_init(&gate, 2);
            smp_run_all(2, hammer, NULL);
            bad[way] += violations();
        }
        rounds++;
    } while (now() < end);
    tap_diag("%u rounds of %u tries", (unsigned)rounds, TRIES);
    for (unsigned w = 0; w < WAYS; w++)
        tap_eq(bad[w], 0, "a store before a load is ordered by %s", names[w]);
}
