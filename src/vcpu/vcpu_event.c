/* SPDX-License-Identifier: MIT */
/*
 * Guests that wait for each other: the event register (WFE, SEV) and YIELD. A vCPU in WFE sleeps
 * until an event, an interrupt or the timer's event stream; where there are more vCPUs than
 * processors of the host, one whose stream keeps waking it for nothing looks less and less often,
 * and one that only yields sleeps in between, so that the others get the processors. Owning vCPU
 * thread but for vcpu_send_events(), which wakes others. Arm ARM B1.8.13.
 */
#include "vcpu/vcpu.h"

#include "base/inject.h"
#include "base/stats.h"
#include "vcpu/arm.h"
#include "vcpu/vcpu_internal.h"
#include "vm.h"

#include <sched.h>
#include <time.h>

/* Without an event stream: for guests that rely on it all the same. */
#define NET_NS         10000000u
/* ARMv8 with a monitor armed: its end by a plain store goes unnoticed. */
#define MONITOR_NS     100000u
#define SHORTEST_NS    20000u   /* of a sleep */
#define LONGEST_NS     2000000u /* to which one in vain grows */
#define YIELD_APART_NS 50000u   /* yields that come no faster are no waiting loop */
#define YIELDS_AWAKE   16u      /* before the first sleep */
#define YIELD_SLEEP_NS 50000u

static unsigned host_cpus; /* processors that this process may use */

void vcpu_event_init(void)
{
    cpu_set_t allowed;

    CPU_ZERO(&allowed);
    host_cpus = sched_getaffinity(0, sizeof(allowed), &allowed) ? 1 : (unsigned)CPU_COUNT(&allowed);
}

static bool crowded(const struct vcpu *v)
{
    return v->vm->ncpus > host_cpus;
}

/*
 * Who reads 1 need not store it: the sleeper has not consumed that event yet, and when it does, by
 * a locked store, it will see all that came before this read. The fence is that of the guest's DSB,
 * should it have forgotten it.
 */
void vcpu_send_events(struct vm *vm)
{
    atomic_thread_fence(memory_order_seq_cst);
    for (unsigned i = 0; i < vm->ncpus; i++) {
        struct vcpu *v = vm->cpu[i];

        if (atomic_load(&v->event) || INJECT(LOSE_EVENT))
            continue;
        atomic_store(&v->event, 1);
        INJECT_MEET(SENT);
        vcpu_wake_from_event(v);
    }
}

static bool has_event(const struct vcpu *v)
{
    return vcpu_must_leave(v) || atomic_load(&v->event);
}

static bool monitor_may_end(const struct vcpu *v)
{
    return v->excl.armed && (arm_cpu_features(v) & ARM_FEAT_V8_AARCH32);
}

/* After how long a WFE ends by itself. */
static uint64_t doze_ns(const struct vcpu *v)
{
    uint64_t ns = arm_event_stream_ns(v);

    if (!ns)
        ns = NET_NS;
    if (ns > MONITOR_NS && monitor_may_end(v))
        ns = MONITOR_NS;
    if (ns < SHORTEST_NS)
        ns = SHORTEST_NS;
    if (crowded(v) && ns < LONGEST_NS) {
        ns <<= v->in_vain;
        if (ns > LONGEST_NS)
            ns = LONGEST_NS;
    }
    return ns;
}

static void doze(struct vcpu *v, uint64_t ns, enum vcpu_halted how,
                 bool (*awake)(const struct vcpu *))
{
    struct timespec t = {.tv_nsec = (long)ns};

    STAT_INC(&stats_vcpu[v->index], wfi_sleeps);
    vcpu_quiescent_begin(v);
    vcpu_sleep_unless(v, how, awake, INJECT(LOSE_EVENT) ? NULL : &t);
    vcpu_quiescent_end(v);
}

static void count_vain(struct vcpu *v, bool in_vain)
{
    if (!in_vain)
        v->in_vain = 0;
    else if (v->in_vain < 8)
        v->in_vain++;
}

void vcpu_wait_for_event(struct vcpu *v)
{
    if (!has_event(v)) {
        doze(v, doze_ns(v), HALTED_WFE, has_event);
        count_vain(v, !has_event(v));
    }
    atomic_store(&v->event, 0);
}

void vcpu_yield(struct vcpu *v)
{
    uint64_t now;

    if (!crowded(v))
        return;
    now = stats_now_ns();
    if (now - v->yielded_ns > YIELD_APART_NS)
        v->yields = 0;
    if (++v->yields < YIELDS_AWAKE) {
        sched_yield();
    } else if (!vcpu_must_leave(v)) {
        uint64_t ns = (uint64_t)YIELD_SLEEP_NS << (v->yields / YIELDS_AWAKE - 1);

        if (ns > LONGEST_NS) {
            ns = LONGEST_NS;
            v->yields--;
        }
        doze(v, ns, HALTED_WFI, vcpu_must_leave);
    }
    v->yielded_ns = stats_now_ns();
}
