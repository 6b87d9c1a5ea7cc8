/* SPDX-License-Identifier: MIT */
/*
 * CPUs that wait for each other: all of them do nothing but load from the pages of all, invalidate
 * their own on all CPUs, and wait for that at their DSB.  Of CPUs that answer each other only when
 * they wait for nobody, two soon wait for ever, and no CPU is left to tell.  So CPU 0 says BEAT
 * from time to time; umbra-stress takes a run that stops doing so for one that hangs (runner.py).
 * Parameters: seed, ms; LPAE.
 */
#define TIME_MS 1000u
#include "stage.inc.c"

const char payload_name[] = "inj_mutual";

#define BEAT    "beat"
#define BEAT_MS 200u

enum { WRONG, VERDICTS, ROUNDS = VERDICTS, ALL };
static const char *const names[ALL] = {"every page holds its number", "rounds"};

static uint32_t page_of(unsigned cpu)
{
    return VA + cpu * PAGE_SIZE;
}

/* Nothing between maintenance and DSB: an emulator that looks up there answers before it waits. */
static void invalidate_and_wait(uint32_t va, uint32_t r)
{
    dsb();
    if (r & 0x100) {
        do_tlbimvaais(va);
        dsb();
    } else {
        do_tlbiallis(0);
        dsb();
    }
    isb();
}

static void go_round(unsigned cpu, uint32_t *seed)
{
    for (unsigned i = 0; i < stage_cpus; i++)
        if (load32(page_of(i)) != i)
            count(cpu, WRONG);
    invalidate_and_wait(page_of(cpu), rnd(seed));
    count(cpu, ROUNDS);
}

static bool enough(void)
{
    for (unsigned i = 0; i < stage_cpus; i++)
        if (counters[i].n[ROUNDS] < 20)
            return false;
    return true;
}

static void worker(unsigned cpu, void *arg)
{
    uint32_t seed = stage_seed * 0x9e3779b9u + cpu * 0x7f4a7c15u + 1;
    uint64_t beat = now();
    (void)arg;
    stage_enter(cpu);
    stage_meet();
    while (stage_time_left()) {
        go_round(cpu, &seed);
        if (!cpu && now() >= beat) {
            tap_diag(BEAT);
            beat = now() + (uint64_t)BEAT_MS * ticks_per_ms();
        }
    }
    if (!cpu)
        tap_diag("the time is over");
    stage_meet();
    stage_leave();
}

void payload_main(void)
{
    stage_setup(smp_start(MAX_CPUS));
    for (unsigned i = 0; i < stage_cpus; i++) {
        uint32_t *frame = mem_alloc(PAGE_SIZE, PAGE_SIZE);
        *frame = i;
        stage_map(page_of(i), frame, 0);
    }
    stage_enough = enough;
    stage_run(worker, NULL, 1, 1);
    tap_ok(enough(), "the test did something");
    stage_report(names, VERDICTS, ALL);
}
