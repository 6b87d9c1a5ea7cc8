/* SPDX-License-Identifier: MIT */
/*
 * More code than a small code cache of an emulator holds (-accel tcg,tb-size=128K), run round and
 * round: thousands of pieces of code in a random graph, connected by direct branches within their
 * page and into others, and by computed ones. Each walk through it ends with a value that a model
 * knows. So every branch has to lead to the piece it names, whatever became of it meanwhile, and
 * every load of a piece to its word. A timer interrupts, so that pieces become hot. Parameters:
 * seed, ms.
 */
#include "lib/gic.h"

const char payload_name[] = "evict";

#define PIECES    2048u
#define PER_PAGE  (PAGE_SIZE / sizeof(struct piece))
#define WORDS     256u
#define MAX_STEPS 1024u

/* Registers: r0 value, r1 the table of words, r2 steps left. */
struct piece {
    uint32_t add, turn, load, mix, count, leave, branch, address;
};
/* The same, for the model. */
struct meaning {
    uint16_t next;
    uint8_t add, turn, word;
};

static struct piece *code;
static struct meaning meaning[PIECES];
static uint32_t *words;
static uint32_t seed0;
static uint64_t deadline;
static struct {
    volatile uint32_t walks, wrong, ticks;
} __attribute__((aligned(64))) told[MAX_CPUS];

static void write_piece(unsigned i, uint32_t r, uint32_t next)
{
    struct piece *p = &code[i];
    struct meaning m = {.next = (uint16_t)next,
                        .add = (uint8_t)r,
                        .turn = (uint8_t)(1 + (r >> 8) % 31),
                        .word = (uint8_t)(r >> 16)};
    int32_t distance = (int32_t)(&code[next] - p) * (int32_t)sizeof(*p);
    meaning[i] = m;
    p->add = 0xe2800000u | m.add;                  /* add r0, r0, #add */
    p->turn = 0xe1a00060u | (uint32_t)m.turn << 7; /* ror r0, r0, #turn */
    p->load = 0xe5913000u | (uint32_t)m.word << 2; /* ldr r3, [r1, #word * 4] */
    p->mix = 0xe0200003u;                          /* eor r0, r0, r3 */
    p->count = 0xe2522001u;                        /* subs r2, r2, #1 */
    p->leave = 0x012fff1eu;                        /* bxeq lr */
    p->address = (uint32_t)&code[next];
    if ((r >> 24 & 7) == 0)
        p->branch = 0xe51ff004u; /* ldr pc, [pc, #-4] */
    else
        p->branch = 0xea000000u | (((uint32_t)(distance - 8 - 24) >> 2) & 0xffffffu);
}

/* Half of them go on within their page. */
static void write_code(void)
{
    uint32_t s = seed0;
    code = mem_alloc(PIECES * sizeof(*code), PAGE_SIZE);
    words = mem_alloc(WORDS * sizeof(*words), PAGE_SIZE);
    for (unsigned i = 0; i < WORDS; i++)
        words[i] = rnd(&s) << 16 ^ rnd(&s);
    for (unsigned i = 0; i < PIECES; i++) {
        uint32_t r = rnd(&s) << 16 ^ rnd(&s), to = (rnd(&s) >> 4) % PIECES;
        if (rnd(&s) & 16)
            to = i / PER_PAGE * PER_PAGE + to % PER_PAGE;
        write_piece(i, r, to);
    }
    code_sync(code, PIECES * sizeof(*code));
}

static uint32_t model(unsigned i, uint32_t value, uint32_t steps)
{
    for (;;) {
        const struct meaning *m = &meaning[i];
        value += m->add;
        value = value >> m->turn | value << (32 - m->turn);
        value ^= words[m->word];
        if (--steps == 0)
            return value;
        i = m->next;
    }
}

static void on_irq(struct cpu *cpu, struct regs *regs)
{
    (void)regs;
    uint32_t iar = gicc_read(GICC_IAR);
    if ((iar & 1023) == IRQ_SPURIOUS)
        return;
    told[cpu->index].ticks++;
    write_cntv_tval(ticks_per_ms() / 4);
    gicc_write(GICC_EOIR, iar);
}

/* Mostly from a few places, so that there are hot ones; now and then from anywhere. */
static unsigned beginning(uint32_t r)
{
    return (r & 3 ? r >> 8 & 15 : r >> 8) % PIECES;
}

static void worker(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t s = seed0 * 0x9e3779b9u + cpu * 0x7f4a7c15u + 1;
    gic_init_cpu();
    this_cpu()->irq = on_irq;
    gic_enable(IRQ_VTIMER);
    write_cntv_tval(ticks_per_ms() / 4);
    write_cntv_ctl(1);
    irq_enable();
    while (time_left(deadline, told[cpu].walks > 100)) {
        unsigned i = beginning(rnd(&s));
        uint32_t value = rnd(&s), steps = 1 + (rnd(&s) >> 4) % MAX_STEPS;
        uint32_t (*walk)(uint32_t, const uint32_t *, uint32_t) =
            (uint32_t(*)(uint32_t, const uint32_t *, uint32_t)) & code[i];
        told[cpu].wrong += walk(value, words, steps) != model(i, value, steps);
        told[cpu].walks++;
    }
    irq_disable();
    write_cntv_ctl(0);
}

void payload_main(void)
{
    unsigned n = smp_start(MAX_CPUS);
    uint32_t ms = param("ms", 1000), walks = 0, wrong = 0, ticks = 0;
    seed0 = param("seed", 1) + 1;
    tap_diag("seed %u, %u ms, %u CPUs", (unsigned)(seed0 - 1), (unsigned)ms, n);
    gic_init_dist();
    write_code();
    deadline = now() + (uint64_t)ms * ticks_per_ms();
    smp_run_all(n, worker, NULL);
    for (unsigned c = 0; c < n; c++) {
        walks += told[c].walks;
        wrong += told[c].wrong;
        ticks += told[c].ticks;
    }
    tap_diag("%u walks, %u wrong, %u interrupts", (unsigned)walks, (unsigned)wrong,
             (unsigned)ticks);
    tap_ok(walks > 100, "there were walks");
    tap_ok(wrong == 0, "every walk ends with the right value");
    tap_finish();
}
