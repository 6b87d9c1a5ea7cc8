/* SPDX-License-Identifier: MIT */
/*
 * Starting other CPUs by PSCI CPU_ON and giving them work.  A secondary waits in WFE for cpu->fn,
 * runs it and counts cpu->done; only CPU 0 calls smp_*().  Locks and barriers are LDREX/STREX loops
 * with DMB as the Arm ARM's examples have it (D7.2 "barrier litmus tests").
 */
#include "guest.h"

void smp_secondary_main(void);
static unsigned running = 1;

unsigned smp_cpus(void)
{
    unsigned n = 1;
    while (n < MAX_CPUS && psci(PSCI_AFFINITY_INFO, n, 0, 0) >= 0)
        n++;
    return n;
}

unsigned smp_start(unsigned want)
{
    unsigned have = smp_cpus();
    if (want > have)
        want = have;
    for (; running < want; running++) {
        int32_t rc = psci(PSCI_CPU_ON, running, (uint32_t)secondary_start, running);
        if (rc)
            bail("CPU_ON %u returned %d", running, (int)rc);
        uint64_t end = now() + 20000ull * ticks_per_ms();
        while (!cpus[running].online)
            if (now() > end)
                bail("CPU %u did not come up", running);
    }
    return running;
}

void smp_secondary_main(void)
{
    struct cpu *cpu = this_cpu();
    cpu->index = (unsigned)(cpu - cpus);
    dmb();
    cpu->online = 1;
    sev();
    smp_idle_loop();
}

void smp_idle_loop(void)
{
    struct cpu *cpu = this_cpu();
    for (;;) {
        while (!cpu->fn)
            wfe();
        dmb();
        cpu_fn *fn = cpu->fn;
        void *arg = cpu->arg;
        cpu->fn = NULL;
        fn(cpu->index, arg);
        dmb();
        cpu->done = 1;
        sev();
    }
}

void smp_call(unsigned cpu, cpu_fn *fn, void *arg)
{
    cpus[cpu].done = 0;
    cpus[cpu].arg = arg;
    dmb();
    cpus[cpu].fn = fn;
    sev();
}

void smp_wait(unsigned cpu)
{
    while (!cpus[cpu].done)
        wfe();
    dmb();
}

void smp_run_all(unsigned n, cpu_fn *fn, void *arg)
{
    for (unsigned i = 1; i < n; i++)
        smp_call(i, fn, arg);
    fn(0, arg);
    for (unsigned i = 1; i < n; i++)
        smp_wait(i);
}

uint32_t atomic_add(volatile uint32_t *p, uint32_t v)
{
    uint32_t val, fail;
    dmb();
    __asm__ volatile("1: ldrex %0, [%2]\n"
                     "   add   %0, %0, %3\n"
                     "   strex %1, %0, [%2]\n"
                     "   teq   %1, #0\n"
                     "   bne   1b"
                     : "=&r"(val), "=&r"(fail)
                     : "r"(p), "r"(v)
                     : "cc", "memory");
    dmb();
    return val;
}

bool atomic_cas(volatile uint32_t *p, uint32_t old, uint32_t new)
{
    uint32_t val, fail;
    dmb();
    __asm__ volatile("1: mov   %1, #0\n"
                     "   ldrex %0, [%2]\n"
                     "   teq   %0, %3\n"
                     "   bne   2f\n"
                     "   strex %1, %4, [%2]\n"
                     "   teq   %1, #0\n"
                     "   bne   1b\n"
                     "2:"
                     : "=&r"(val), "=&r"(fail)
                     : "r"(p), "r"(old), "r"(new)
                     : "cc", "memory");
    dmb();
    return val == old;
}

void spin_lock(struct spinlock *l)
{
    while (!atomic_cas(&l->v, 0, 1))
        wfe();
}

void spin_unlock(struct spinlock *l)
{
    dmb();
    l->v = 0;
    sev();
}

void barrier_init(struct barrier *b, unsigned n)
{
    b->count = 0;
    b->phase = 0;
    b->n = n;
    dmb();
}

void barrier_wait(struct barrier *b)
{
    uint32_t phase = b->phase;
    if (atomic_add(&b->count, 1) == b->n) {
        b->count = 0;
        dmb();
        b->phase = phase + 1;
        sev();
    } else {
        while (b->phase == phase)
            wfe();
    }
    dmb();
}
