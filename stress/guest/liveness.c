/* SPDX-License-Identifier: MIT */
/*
 * Liveness: all CPUs but one are in loops with interrupts masked that never leave by themselves (a
 * branch to itself, blocks chained over pages, indirect branches, loads and stores, an exclusive
 * spin, aborts that a handler skips), half of them in User mode, while CPU 0 invalidates in every
 * form the architecture has, also more at once than a queue may hold.  Every DSB must complete, the
 * loops must go on, and the end of their page must be the end of them.  A DSB that does not
 * complete shows as the time limit of the test.  Parameters: seed, ms; LPAE.
 */
#include "stage.inc.c"

const char payload_name[] = "liveness";

#define CODE_VA   VA
#define DATA_VA   (VA + 0x200000u) /* a line of progress for each CPU, then the shared word */
#define VICTIM_VA (VA + 0x400000u) /* mapped now and then */
#define SHARED    1024u
#define BURST     40u

/* r0: this CPU's line (counted up by all loops with memory accesses), r1, r2: see start_loop(). */
extern char loops_begin[], loops_end[], loop_self[], loop_chain[], loop_indirect[],
    loop_indirect_to[], loop_memory[], loop_exclusive[], loop_abort[], loop_abort_load[];
__asm__(".pushsection .text.loops,\"ax\",%progbits\n .syntax unified\n .arm\n .balign 4096\n"
        ".global loops_begin, loops_end, loop_self, loop_chain, loop_indirect, loop_indirect_to\n"
        ".global loop_memory, loop_exclusive, loop_abort, loop_abort_load\n"
        "loops_begin:\n"
        "loop_self: b .\n"
        ".balign 4096\n"
        "loop_chain: add r3, r3, #1\n b 2f\n"
        ".balign 4096\n"
        "2: tst r3, #1\n bne 3f\n b 4f\n"
        "3: add r1, r1, #1\n cmp r1, #7\n beq 4f\n b 4f\n"
        ".balign 4096\n"
        "4: eor r2, r2, r1\n b loop_chain\n"
        ".balign 4096\n"
        "loop_indirect: ldr r3, [r0]\n add r3, r3, #1\n str r3, [r0]\n bx r1\n"
        ".balign 4096\n"
        "loop_indirect_to: bx r2\n"
        ".balign 4096\n"
        "loop_memory: ldr r3, [r0]\n add r3, r3, #1\n str r3, [r0]\n b loop_memory\n"
        ".balign 4096\n"
        "loop_exclusive: ldrex r3, [r1]\n add r3, r3, #1\n strex r12, r3, [r1]\n cmp r12, #0\n"
        " bne loop_exclusive\n ldr r3, [r0]\n add r3, r3, #1\n str r3, [r0]\n b loop_exclusive\n"
        ".balign 4096\n"
        "loop_abort: ldr r3, [r0]\n add r3, r3, #1\n str r3, [r0]\n"
        "loop_abort_load: ldr r3, [r1]\n b loop_abort\n"
        ".balign 4096\n"
        "loops_end: .popsection\n");

enum loop { SELF, CHAIN, INDIRECT, MEMORY, EXCLUSIVE, ABORT, LOOPS, MIXED = LOOPS, ROUNDS };
static const char *const loop_names[ROUNDS] = {
    "a branch to itself",   "blocks chained over pages", "indirect branches",
    "loads and stores",     "an exclusive spin",         "aborts",
    "each in another loop",
};

static unsigned now_round;
static uint8_t *code, *data, *victim;
static volatile uint32_t started[MAX_CPUS], ended_by[MAX_CPUS], aborts[MAX_CPUS];

static uint32_t code_va(const char *label)
{
    return CODE_VA + (uint32_t)(label - loops_begin);
}

static enum loop loop_of(unsigned cpu)
{
    return now_round == MIXED ? (enum loop)((cpu + 2) % LOOPS) : (enum loop)now_round;
}

/* The load of loop_abort from the victim page: skip it when the page is not there. */
static bool skip_load(struct cpu *cpu, struct regs *r)
{
    if (r->kind != TRAP_DABT || r->pc != code_va(loop_abort_load) || read_dfar() != VICTIM_VA)
        return false;
    aborts[cpu->index]++;
    r->pc += 4;
    return true;
}

static void start_loop(unsigned cpu)
{
    static const char *const label[LOOPS] = {loop_self,   loop_chain,     loop_indirect,
                                             loop_memory, loop_exclusive, loop_abort};
    enum loop l = loop_of(cpu);
    uint32_t line = DATA_VA + 64 * cpu, r1 = 0;
    if (l == INDIRECT)
        r1 = code_va(loop_indirect_to);
    else if (l == EXCLUSIVE)
        r1 = DATA_VA + SHARED;
    else if (l == ABORT)
        r1 = VICTIM_VA;
    const void *fn = (const void *)code_va(label[l]);
    this_cpu()->hook = skip_load;
    started[cpu] = 1;
    enum trap_kind k = (cpu ^ now_round) & 1 ? catch_user(fn, line, r1, code_va(loop_indirect))
                                             : catch_call(fn, line, r1, code_va(loop_indirect));
    this_cpu()->hook = NULL;
    /* the chained loop keeps its count in r1 */
    bool went_on = l != CHAIN || this_cpu()->trap.regs.r[1];
    ended_by[cpu] = k == TRAP_PABT && stage_why(k) == WHY_TRANS && went_on ? 1 : 2;
}

static void map_code(bool on)
{
    for (uint32_t off = 0; off < (uint32_t)(loops_end - loops_begin); off += PAGE_SIZE) {
        if (on)
            stage_map(CODE_VA + off, code + off, ST_RO);
        else
            stage_unmap(CODE_VA + off);
    }
}

/* One invalidation of every kind in turn; the last ones change the victim's entry. */
static void shoot(uint32_t n, uint32_t r)
{
    uint32_t va[3] = {CODE_VA + (r & 0x7000), DATA_VA, VICTIM_VA};
    dsb();
    switch (n % 12) {
    case 0:
        do_tlbiallis(0);
        break;
    case 1:
        do_tlbiasidis(stage_asid(r));
        break;
    case 2:
        do_tlbimvais(va[r % 3] | stage_asid(r >> 2));
        break;
    case 3:
        do_tlbimvaais(va[r % 3]);
        break;
    case 4:
        do_icialluis(0);
        break;
    case 5:
        do_bpiallis(0);
        break;
    case 6:
        do_icimvau(va[0]);
        break;
    case 7: /* local, which concerns nobody else */
        do_tlbimvaa(va[r % 3]);
        do_tlbiasid(stage_asid(r));
        break;
    case 8:
        do_tlbimvaais(0xb0000000u); /* never mapped */
        break;
    case 9:
        for (unsigned i = 0; i < BURST; i++)
            do_tlbimvaais(i & 1 ? DATA_VA : CODE_VA + ((r + i * PAGE_SIZE) & 0x7000));
        break;
    case 10:
        stage_map(VICTIM_VA, victim, 0);
        break;
    default:
        stage_unmap(VICTIM_VA);
        stage_tlbi(VICTIM_VA, false, r);
    }
    dsb();
    isb();
}

static uint32_t progress(unsigned cpu)
{
    return load32((uint32_t)data + 64 * cpu);
}

/* Waits until every loop that counts has counted on. */
static void wait_for_progress(void)
{
    uint32_t before[MAX_CPUS];
    for (unsigned i = 1; i < stage_cpus; i++)
        before[i] = progress(i);
    for (unsigned i = 1; i < stage_cpus; i++) {
        struct patience p = {0, 0};
        while (loop_of(i) != SELF && loop_of(i) != CHAIN && progress(i) == before[i])
            stage_wait(&p, loop_names[loop_of(i)], i);
    }
}

static void run_round(uint32_t *seed)
{
    uint32_t n = 0, total_aborts = 0;
    while (n < 24 || stage_time_left()) {
        for (unsigned i = 0; i < 12; i++)
            shoot(n++, rnd(seed));
        wait_for_progress();
    }
    map_code(false);
    for (uint32_t va = CODE_VA; va < CODE_VA + (uint32_t)(loops_end - loops_begin); va += PAGE_SIZE)
        do_tlbimvaais(va);
    do_bpiallis(0);
    dsb();
    for (unsigned i = 1; i < stage_cpus; i++) {
        struct patience p = {0, 0};
        while (!ended_by[i])
            stage_wait(&p, "the page of a loop has gone, the loop has not", i);
    }
    for (unsigned i = 1; i < stage_cpus; i++)
        total_aborts += aborts[i];
    tap_diag("%s: %u invalidations, %u aborts", loop_names[now_round], (unsigned)n,
             (unsigned)total_aborts);
}

static void worker(unsigned cpu, void *arg)
{
    uint32_t *seed = arg;
    stage_enter(cpu);
    stage_meet();
    if (cpu) {
        start_loop(cpu);
    } else {
        for (unsigned i = 1; i < stage_cpus; i++)
            while (!started[i])
                cpu_yield();
        run_round(seed);
    }
    stage_meet();
    stage_leave();
}

void payload_main(void)
{
    uint32_t seed, size = (uint32_t)(loops_end - loops_begin);
    stage_setup(smp_start(MAX_CPUS));
    seed = stage_seed * 0x9e3779b9u + 1;
    code = mem_alloc(size, PAGE_SIZE);
    data = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    victim = mem_alloc(PAGE_SIZE, PAGE_SIZE);
    memcpy(code, loops_begin, size);
    code_sync(code, size);
    stage_map(DATA_VA, data, 0);
    for (now_round = 0; now_round < ROUNDS; now_round++) {
        unsigned bad = 0;
        map_code(true);
        memset((void *)started, 0, sizeof(started));
        memset((void *)ended_by, 0, sizeof(ended_by));
        memset((void *)aborts, 0, sizeof(aborts));
        for (unsigned i = 0; i < ARRAY_SIZE(aborts); i++)
            store32((uint32_t)data + 64 * i, 0);
        stage_run(worker, &seed, 1, ROUNDS);
        for (unsigned i = 1; i < stage_cpus; i++)
            bad += ended_by[i] != 1;
        tap_eq(bad, 0, "every DSB completes, every loop goes on to its end: %s",
               loop_names[now_round]);
    }
}
