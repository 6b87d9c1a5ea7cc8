/* SPDX-License-Identifier: MIT */
/*
 * Interrupts between CPUs.  Storm: every CPU sends software interrupts to random sets of CPUs, the
 * next of one kind to one target only when the last has been taken; each must arrive once, with its
 * source.  Collected: all send the same one to a CPU that masks interrupts; it must get one from
 * each of them.  Sleep: WFI with interrupts masked against a timer that is about to be due or
 * already is, and against software interrupts that race with it (a token that goes round).  Event:
 * a token handed over by SEV to CPUs in WFE.  CPU 0 looks whether the others go on; one that does
 * not for long ends the test, for there is no other way to see a lost wake-up.
 * Parameters: seed, ms.
 * GICv2 3.2.3, 4.3.15; Arm ARM B1.8.13, B1.8.14.
 */
#include "stage.inc.c"

const char payload_name[] = "irqs";

#define KINDS     4u /* SGIs 0-3 in the storm */
#define SGI_ALL   5u
#define SGI_TOKEN 6u

enum {
    BAD_IRQ,
    BAD_COUNT,
    BAD_MISSING,
    BAD_EARLY,
    BAD_TOKEN,
    VERDICTS,
    SENT = VERDICTS,
    TAKEN,
    COLLECTED,
    TIMER_SLEEPS,
    TOKENS,
    EVENTS,
    ALL
};
static const char *const names[ALL] = {
    "only interrupts that were sent arrive",
    "every software interrupt arrives once",
    "one from each source when they were collected",
    "WFI with a timer ends with the timer due",
    "a token has one owner",
    "software interrupts sent",
    "software interrupts taken",
    "rounds of collected interrupts",
    "sleeps until a timer",
    "tokens by interrupt",
    "tokens by event",
};

#define GONE 0xffffffffu
static volatile uint32_t alive[MAX_CPUS], stop;

/* CPU 0, while the others work until `stop` and then are GONE: none may be silent for long. */
static void watch(void)
{
    uint32_t last[MAX_CPUS] = {0};
    struct patience patience[MAX_CPUS] = {{0, 0}};
    unsigned gone = 0;
    while (gone != stage_cpus - 1) {
        if (!stop && !stage_time_left()) {
            stop = 1;
            sev();
        }
        gone = 0;
        for (unsigned i = 1; i < stage_cpus; i++) {
            if (alive[i] != last[i])
                patience[i].waited = 0;
            last[i] = alive[i];
            if (last[i] == GONE)
                gone++;
            else
                stage_wait(&patience[i], "a sleeper that goes on", i);
        }
    }
}

/* --- storm --- */
static struct {
    volatile uint32_t sent[MAX_CPUS][KINDS], taken[MAX_CPUS][KINDS]; /* at one target, by source */
    volatile uint32_t all[MAX_CPUS], token;
} __attribute__((aligned(64))) box[MAX_CPUS];

static void on_irq(struct cpu *cpu, struct regs *regs)
{
    (void)regs;
    uint32_t iar = gicc_read(GICC_IAR), id = iar & 1023, from = iar >> 10 & 7;
    unsigned me = cpu->index;
    if (id == IRQ_SPURIOUS)
        return;
    gicc_write(GICC_EOIR, iar);
    dmb();
    if (id < KINDS) {
        count(me, TAKEN);
        if (box[me].taken[from][id] + 1 != box[me].sent[from][id])
            count(me, BAD_IRQ);
        dmb();
        box[me].taken[from][id]++;
    } else if (id == SGI_ALL) {
        box[me].all[from]++;
    } else {
        count(me, BAD_IRQ);
    }
}

static void enter(void)
{
    gic_init_cpu();
    this_cpu()->irq = on_irq;
    irq_enable();
}

static void storm(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t seed = stage_seed * 0x9e3779b9u + cpu * 0x7f4a7c15u + 1;
    enter();
    stage_meet();
    while (stage_time_left()) {
        uint32_t r = rnd(&seed), id = r % KINDS, mask = 0;
        for (unsigned t = 0; t < stage_cpus; t++) {
            if (!(r >> (8 + t) & 1) || box[t].sent[cpu][id] != box[t].taken[cpu][id])
                continue;
            box[t].sent[cpu][id]++;
            mask |= 1u << t;
            count(cpu, SENT);
        }
        dmb();
        if (mask)
            gic_sgi(id, mask);
        if (r & 1u << 20) { /* a stretch with interrupts masked */
            irq_disable();
            for (volatile unsigned i = 0; i < (r >> 24); i++)
                ;
            irq_enable();
        }
    }
    for (unsigned t = 0; t < stage_cpus; t++) {
        for (unsigned id = 0; id < KINDS; id++) {
            struct patience p = {0, 0};
            while (box[t].sent[cpu][id] != box[t].taken[cpu][id])
                stage_wait(&p, "a software interrupt is taken", t);
        }
    }
    stage_meet();
    for (unsigned s = 0; s < stage_cpus; s++)
        for (unsigned id = 0; id < KINDS; id++)
            if (box[cpu].sent[s][id] != box[cpu].taken[s][id])
                count(cpu, BAD_COUNT);
    irq_disable();
}

/* --- collected --- */
static void collect(unsigned cpu, void *arg)
{
    (void)arg;
    enter();
    for (unsigned round = 0; round < 40; round++) {
        unsigned target = round % stage_cpus;
        if (cpu == target) {
            irq_disable();
            memset((void *)box[cpu].all, 0, sizeof(box[cpu].all));
        }
        stage_meet(); /* the target masks */
        if (cpu != target) {
            gic_sgi(SGI_ALL, 1u << target);
            if (round & 1) /* once more from here while it is pending: stays one */
                gic_sgi(SGI_ALL, 1u << target);
            dsb();
        }
        stage_meet(); /* all were sent */
        if (cpu == target) {
            irq_enable();
            for (unsigned s = 0; s < stage_cpus; s++) {
                struct patience p = {0, 0};
                while (s != cpu && !box[cpu].all[s])
                    stage_wait(&p, "a collected interrupt is taken, source", s);
            }
            for (unsigned s = 0; s < stage_cpus; s++)
                if (box[cpu].all[s] != (s != cpu))
                    count(cpu, BAD_MISSING);
            count(cpu, COLLECTED);
        }
        stage_meet();
    }
    irq_disable();
}

/* --- WFI and the timer: masked, as an idle loop does it --- */
static void timer_sleep(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t seed = stage_seed * 0x85ebca6bu + cpu * 0xc2b2ae35u + 1;
    gic_init_cpu();
    gic_enable(IRQ_VTIMER);
    this_cpu()->irq = NULL;
    stage_meet();
    if (cpu == 0 && stage_cpus > 1) {
        watch();
    } else {
        while (stage_cpus > 1 ? !stop : stage_time_left()) {
            uint32_t r = rnd(&seed);
            uint64_t due = now() + (r & 3 ? r >> 8 & 0xfff : r >> 8 & 0x1f);
            write_cntv_cval(due);
            write_cntv_ctl(1);
            isb();
            do {
                wfi(); /* may end early, never late */
            } while (!(read_cntv_ctl() & 4));
            if (now() < due)
                count(cpu, BAD_EARLY);
            uint32_t iar = gicc_read(GICC_IAR);
            if ((iar & 1023) == IRQ_VTIMER) {
                write_cntv_ctl(0);
                gicc_write(GICC_EOIR, iar);
            } else {
                write_cntv_ctl(0);
                if ((iar & 1023) != IRQ_SPURIOUS)
                    count(cpu, BAD_IRQ);
            }
            alive[cpu]++;
            count(cpu, TIMER_SLEEPS);
        }
        alive[cpu] = GONE;
    }
    write_cntv_ctl(0);
    stage_meet();
}

/* --- tokens --- */
/* The next CPU of the ring; CPU 0 watches when there are others. */
static unsigned next_of(unsigned cpu)
{
    return cpu + 1 < stage_cpus ? cpu + 1 : 1;
}
static volatile uint32_t owner, holder, leaving; /* of the CPU that has the token */

static void hold(unsigned cpu)
{
    if (holder)
        count(cpu, BAD_TOKEN);
    holder = cpu + 1;
    dmb();
    if (holder != cpu + 1)
        count(cpu, BAD_TOKEN);
    holder = 0;
    dmb();
}

/* Interrupts stay masked: WFI wakes by what is pending, then it is acknowledged by hand. */
static void token_by_irq(unsigned cpu, void *arg)
{
    (void)arg;
    uint32_t seed = stage_seed * 0x2545f491u + cpu * 0x9e3779b9u + 1;
    gic_init_cpu();
    this_cpu()->irq = NULL;
    stage_meet();
    if (cpu == 0) {
        gic_sgi(SGI_TOKEN, 2);
        watch();
    }
    while (cpu) {
        uint32_t iar = gicc_read(GICC_IAR);
        if ((iar & 1023) == IRQ_SPURIOUS) {
            wfi();
            continue;
        }
        gicc_write(GICC_EOIR, iar);
        hold(cpu);
        alive[cpu]++;
        count(cpu, TOKENS);
        bool last = stop; /* once round, then everybody has left */
        for (volatile uint32_t i = rnd(&seed) & 63; i; i--)
            ;
        if (!last || ++leaving != stage_cpus - 1)
            gic_sgi(SGI_TOKEN, 1u << next_of(cpu));
        if (last)
            break;
    }
    if (cpu)
        alive[cpu] = GONE;
    stage_meet();
}

static void token_by_event(unsigned cpu, void *arg)
{
    (void)arg;
    owner = 1;
    stage_meet();
    if (cpu == 0) {
        watch();
    }
    while (cpu) {
        while (owner != cpu && !stop)
            wfe();
        if (stop)
            break;
        dmb();
        hold(cpu);
        alive[cpu]++;
        count(cpu, EVENTS);
        dmb();
        owner = next_of(cpu);
        sev();
    }
    if (cpu)
        alive[cpu] = GONE;
    stage_meet();
}

static bool sent_enough(void)
{
    return stage_total(SENT) > 20;
}

static bool slept_enough(void)
{
    return stage_total(TIMER_SLEEPS) > 20;
}

void payload_main(void)
{
    stage_setup(smp_start(MAX_CPUS));
    stage_enough = sent_enough;
    stage_run(storm, NULL, 2, 8);
    stage_enough = NULL;
    stage_run(collect, NULL, 1, 8);
    cpu_fn *const sleepers[] = {timer_sleep, token_by_irq, token_by_event};
    for (unsigned i = 0; i < (stage_cpus > 1 ? ARRAY_SIZE(sleepers) : 1); i++) {
        stop = 0;
        memset((void *)alive, 0, sizeof(alive));
        stage_enough = i ? NULL : slept_enough;
        stage_run(sleepers[i], NULL, i == 2 ? 1 : 2, 8);
    }
    tap_ok(sent_enough() && slept_enough(), "the test did something");
    stage_report(names, VERDICTS, ALL);
}
