/* SPDX-License-Identifier: MIT */
/*
 * A program that runs for long, with a timer that interrupts it a thousand times a second: what an
 * emulator finds out about hot code by sampling it must leave results as they are. Loops inside
 * loops, calls with their returns, recursion and tables of functions; User and privileged mode. The
 * first results are those of code that nobody has sampled yet: interrupts are masked.
 */
#include "lib/gic.h"
#include "lib/snip.h"

const char payload_name[] = "hot";

#define TICK     62500u /* of the counter: one millisecond */
#define TICKS    400u
#define ROUNDS   20000u /* at least: on a busy host the time may be over sooner */
#define WORDS    96u
#define NOINLINE __attribute__((noinline))

static volatile unsigned ticks;

static void tick(struct cpu *cpu, struct regs *regs)
{
    (void)cpu;
    (void)regs;
    uint32_t iar = gicc_read(GICC_IAR);
    if ((iar & 1023) == IRQ_VTIMER) {
        ticks++;
        write_cntv_tval(TICK);
    }
    if ((iar & 1023) != IRQ_SPURIOUS)
        gicc_write(GICC_EOIR, iar);
}

static NOINLINE uint32_t random_next(uint32_t *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16;
}

static NOINLINE uint32_t sorting(uint32_t seed)
{
    uint32_t word[WORDS], sum = 0;
    for (unsigned i = 0; i < WORDS; i++)
        word[i] = random_next(&seed);
    for (unsigned i = 1; i < WORDS; i++) {
        uint32_t w = word[i];
        unsigned k = i;
        for (; k && word[k - 1] > w; k--)
            word[k] = word[k - 1];
        word[k] = w;
    }
    for (unsigned i = 0; i < WORDS; i++)
        sum = sum * 31 + word[i];
    return sum;
}

static NOINLINE uint32_t recursion(uint32_t n)
{
    return n < 2 ? n : recursion(n - 1) + recursion(n - 2);
}

static uint32_t op_add(uint32_t x, uint32_t y)
{
    return x + y;
}
static uint32_t op_shift(uint32_t x, uint32_t y)
{
    return x << (y & 7) | x >> 24;
}
static uint32_t op_signed(uint32_t x, uint32_t y)
{
    return (int32_t)x < (int32_t)y ? y - x : x ^ y;
}
static uint32_t op_wide(uint32_t x, uint32_t y)
{
    return (uint32_t)((uint64_t)x * (y | 1) >> 16);
}

static NOINLINE uint32_t interpreter(uint32_t seed)
{
    static uint32_t (*const op[])(uint32_t, uint32_t) = {op_add, op_shift, op_signed, op_wide};
    uint32_t x = 1;
    for (unsigned i = 0; i < 300; i++)
        x = op[random_next(&seed) & 3](x, seed);
    return x;
}

static uint32_t all_of_it(uint32_t seed)
{
    return sorting(seed) ^ recursion(11) ^ interpreter(seed);
}

static void test_rounds(const char *name,
                        enum trap_kind (*call)(const void *, uint32_t, uint32_t, uint32_t))
{
    struct matrix m = {.name = name};
    uint32_t want[4];
    for (unsigned k = 0; k < ARRAY_SIZE(want); k++)
        want[k] = all_of_it(k);
    ticks = 0;
    write_cntv_tval(TICK);
    write_cntv_ctl(1);
    for (unsigned i = 0; ticks < TICKS || i < ROUNDS; i++) {
        irq_enable();
        call((const void *)all_of_it, i % ARRAY_SIZE(want), 0, 0);
        irq_disable();
        case_eq(&m, this_cpu()->result, want[i % ARRAY_SIZE(want)], "round %u", i);
    }
    write_cntv_ctl(0);
    matrix_end(&m);
}

void payload_main(void)
{
    gic_init_dist();
    gic_init_cpu();
    this_cpu()->irq = tick;
    gic_enable(IRQ_VTIMER);
    test_rounds("privileged: results do not change while the program runs", catch_call);
    test_rounds("User mode: results do not change while the program runs", catch_user);
}
