/* SPDX-License-Identifier: MIT */
/*
 * A program that runs for long, with a timer that interrupts it a thousand times a second: what an
 * emulator finds out about hot code by sampling it must leave results as they are. Loops inside
 * loops, calls with their returns, recursion and tables of functions; User and privileged mode. The
 * first results are those of code that nobody has sampled yet: interrupts are masked. And hot loops
 * over several pages, which are rewritten and mapped elsewhere: one calls a function, one goes from
 * page to page by pointers, which change, too.
 */
#include "lib/gic.h"
#include "lib/mmu.h"
#include "lib/snip.h"

const char payload_name[] = "hot";

#define TICK     62500u /* of the counter: one millisecond */
#define TICKS    400u
#define ROUNDS   5000u /* at least: on a busy host the time may be over sooner */
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

static void start_ticks(void)
{
    ticks = 0;
    write_cntv_tval(TICK);
    write_cntv_ctl(1);
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
    start_ticks();
    for (unsigned i = 0; ticks < TICKS || i < ROUNDS; i++) {
        irq_enable();
        call((const void *)all_of_it, i % ARRAY_SIZE(want), 0, 0);
        irq_disable();
        case_eq(&m, this_cpu()->result, want[i % ARRAY_SIZE(want)], "round %u", i);
    }
    write_cntv_ctl(0);
    matrix_end(&m);
}

#define VA    0x80000000u
#define CALLS 100000u

/* Two pages at VA: a loop that calls `callee`, at the end of the one; the callee in the other. */
static void write_loop(uint32_t *p)
{
    const uint32_t code[] = {
        0xe52de004,                              /* push {lr} */
        0xeb000000 | ((PAGE_SIZE - 4 - 8) >> 2), /* bl callee */
        0xe2511001,                              /* subs r1, r1, #1 */
        0x1afffffc,                              /* bne the bl */
        0xe49df004,                              /* pop {pc} */
    };
    for (unsigned i = 0; i < ARRAY_SIZE(code); i++)
        p[i] = code[i];
}

static void write_callee(uint32_t *p, uint32_t add)
{
    p[0] = 0xe52de004;       /* push {lr} */
    p[1] = 0xe2800000 | add; /* add r0, r0, #add */
    p[2] = 0xe49df004;       /* pop {pc} */
    code_sync(p, PAGE_SIZE);
}

static void map_page(uint32_t *l2, unsigned at, const uint32_t *p)
{
    l2[at] = L2_SMALL(p) | P_NORMAL | P_AP(AP_RW_RW);
    dsb();
    tlb_flush_all();
}

static void run_loop(struct matrix *m, uint32_t add, const char *what)
{
    start_ticks();
    while (ticks < 60) {
        irq_enable();
        catch_call((const void *)VA, 0, CALLS, 0);
        irq_disable();
        case_eq(m, this_cpu()->result, add * CALLS, "%s", what);
    }
    write_cntv_ctl(0);
}

static void test_two_pages(void)
{
    struct matrix m = {.name = "a hot loop over two pages runs what is there now"};
    uint32_t *l2 = mem_alloc(1024, 1024);
    uint32_t *p = mem_alloc(3 * PAGE_SIZE, PAGE_SIZE), *callee = p + 1024, *other = p + 2048;
    flat_l1[VA >> 20] = L1_TABLE(l2, 0);
    write_loop(p);
    code_sync(p, PAGE_SIZE);
    map_page(l2, 0, p);
    map_page(l2, 1, callee);
    for (uint32_t k = 1; k < 4; k++) {
        write_callee(callee, k);
        run_loop(&m, k, "rewritten");
    }
    write_callee(other, 9);
    map_page(l2, 1, other);
    run_loop(&m, 9, "mapped elsewhere");
    map_page(l2, 1, callee);
    run_loop(&m, 3, "mapped back");
    flat_l1[VA >> 20] = 0;
    tlb_flush_all();
    matrix_end(&m);
}

#define PAGES 6u

/* r0 += add; to the address at r2 + 4 * next */
static void write_step(uint32_t *p, uint32_t add, uint32_t next)
{
    p[0] = 0xe2800000 | add;      /* add r0, r0, #add */
    p[1] = 0xe592f000 | next * 4; /* ldr pc, [r2, #4 * next] */
    code_sync(p, PAGE_SIZE);
}

static void write_return(uint32_t *p, uint32_t add)
{
    p[0] = 0xe2800000 | add;     /* add r0, r0, #add */
    p[1] = 0xe12fff1e;           /* bx lr */
    p[2] = 0x47703000 | 2 * add; /* Thumb: adds r0, #2 * add; bx lr */
    code_sync(p, PAGE_SIZE);
}

static void write_pointer_loop(uint32_t *p)
{
    const uint32_t code[] = {
        0xe92d4010, /* push {r4, lr} */
        0xe5923000, /* ldr r3, [r2] */
        0xe12fff33, /* blx r3 */
        0xe2511001, /* subs r1, r1, #1 */
        0x1afffffb, /* bne the ldr */
        0xe8bd8010, /* pop {r4, pc} */
    };
    for (unsigned i = 0; i < ARRAY_SIZE(code); i++)
        p[i] = code[i];
    code_sync(p, PAGE_SIZE);
}

typedef enum trap_kind (*caller)(const void *, uint32_t, uint32_t, uint32_t);

static void run_pointers(struct matrix *m, caller call, volatile uint32_t *to, uint32_t each,
                         const char *what)
{
    start_ticks();
    while (ticks < 60) {
        irq_enable();
        call((const void *)VA, 0, CALLS, (uint32_t)to);
        irq_disable();
        case_eq(m, this_cpu()->result, each * CALLS, "%s", what);
    }
    write_cntv_ctl(0);
}

static void test_pointers(const char *name, caller call)
{
    struct matrix m = {.name = name};
    uint32_t *l2 = mem_alloc(1024, 1024), *page[PAGES];
    volatile uint32_t *to = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    flat_l1[VA >> 20] = L1_TABLE(l2, 0);
    for (unsigned i = 0; i < PAGES; i++) {
        page[i] = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        map_page(l2, i, page[i]);
        to[i] = VA + (i + 1) * PAGE_SIZE;
    }
    write_pointer_loop(page[0]);
    write_step(page[1], 1, 1);
    write_step(page[2], 2, 2);
    write_return(page[3], 4);
    write_return(page[4], 8);
    write_return(page[5], 16);
    run_pointers(&m, call, to, 7, "as it was");
    write_step(page[1], 32, 1);
    run_pointers(&m, call, to, 38, "second page rewritten");
    write_return(page[3], 64);
    run_pointers(&m, call, to, 98, "fourth page rewritten");
    map_page(l2, 3, page[4]);
    run_pointers(&m, call, to, 42, "fourth page mapped elsewhere");
    to[2] = VA + 5 * PAGE_SIZE;
    run_pointers(&m, call, to, 50, "a fifth page");
    to[2] = VA + 5 * PAGE_SIZE + 9;
    run_pointers(&m, call, to, 66, "Thumb code");
    to[0] = VA + 4 * PAGE_SIZE;
    run_pointers(&m, call, to, 8, "a return at once");
    flat_l1[VA >> 20] = 0;
    tlb_flush_all();
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
    test_two_pages();
    test_pointers("privileged: a hot loop goes where pointers lead now", catch_call);
    test_pointers("User mode: a hot loop goes where pointers lead now", catch_user);
}
