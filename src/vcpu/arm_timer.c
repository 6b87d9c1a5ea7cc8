/* SPDX-License-Identifier: MIT */
/*
 * Generic timer: CNTFRQ, CNTPCT/CNTVCT, and the physical and virtual EL1 timers with their
 * interrupt lines. Arm ARM DDI0406C B8. The counter is guest time at 62.5 MHz: the host's monotonic
 * clock less the time the machine was paused. The virtual offset is 0.
 *
 * Threads: registers are the owner's; the expiry callback runs on the I/O thread. Both evaluate the
 * timer under its lock, so the line always shows the last evaluation: whoever comes later sees the
 * newer registers. Guest time is one atomic word that changes while all vCPUs are parked.
 */
#include "vcpu/arm_sys_internal.h"

#include "base/inject.h"
#include "vm.h"

#include <string.h>

#define CTL_ENABLE  1u
#define CTL_IMASK   2u
#define CTL_ISTATUS 4u
#define NS_PER_TICK (1000000000u / ARM_CNTFRQ)

/* Guest time: host time of its zero; or, with the top bit, the guest time at which it stands. */
#define CLOCK_STANDS (UINT64_C(1) << 63)
static _Atomic uint64_t guest_clock;

static void clock_start(void)
{
    uint64_t unset = 0;

    atomic_compare_exchange_strong(&guest_clock, &unset, io_now_ns());
}

uint64_t arm_guest_ns(void)
{
    uint64_t c, now;

    /* The I/O thread may be between the two reads while the machine is paused and resumed. */
    do {
        c = atomic_load(&guest_clock);
        now = io_now_ns();
    } while (atomic_load(&guest_clock) != c);
    return c & CLOCK_STANDS ? c & ~CLOCK_STANDS : now - c;
}

uint64_t arm_guest_to_host_ns(uint64_t guest_ns)
{
    uint64_t c = atomic_load(&guest_clock);

    return c & CLOCK_STANDS || guest_ns >= UINT64_MAX - c ? UINT64_MAX : c + guest_ns;
}

uint64_t arm_counter_now(void)
{
    return arm_guest_ns() / NS_PER_TICK;
}

static bool condition_met(const struct arm_gtimer *t)
{
    return arm_counter_now() >= t->cval;
}

/* Deadline on the host clock; a far compare value saturates. */
static uint64_t deadline_ns(const struct arm_gtimer *t)
{
    if (t->cval >= UINT64_MAX / NS_PER_TICK)
        return UINT64_MAX;
    return arm_guest_to_host_ns(t->cval * NS_PER_TICK);
}

/* While time stands still no deadline comes: the timer is evaluated again when it goes on. */
static void evaluate_locked(struct arm_gtimer *t)
{
    bool enabled = t->ctl & CTL_ENABLE;
    bool met = enabled && condition_met(t);

    irq_set(t->irq, met && !(t->ctl & CTL_IMASK));
    if (enabled && !met && !(t->ctl & CTL_IMASK))
        io_timer_set(&t->timer, deadline_ns(t));
    else
        io_timer_cancel(&t->timer);
}

static void evaluate(struct arm_gtimer *t)
{
    pthread_mutex_lock(&t->lock);
    evaluate_locked(t);
    pthread_mutex_unlock(&t->lock);
}

static void expired(void *opaque)
{
    if (!INJECT(LOSE_TIMER))
        evaluate(opaque);
}

static struct arm_gtimer *timer_of(struct vcpu *v, const struct sysreg *r)
{
    bool wide = r->key & 0x80000000u;
    bool is_virtual = wide ? (r->key >> 4 & 15) == 3 : (r->key >> 8 & 15) == 3;

    return is_virtual ? &v->sys->vtimer : &v->sys->ptimer;
}

static uint64_t ctl_read(struct vcpu *v, const struct sysreg *r)
{
    struct arm_gtimer *t = timer_of(v, r);

    return t->ctl | ((t->ctl & CTL_ENABLE) && condition_met(t) ? CTL_ISTATUS : 0);
}

static void ctl_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    struct arm_gtimer *t = timer_of(v, r);

    pthread_mutex_lock(&t->lock);
    t->ctl = (uint32_t)value & (CTL_ENABLE | CTL_IMASK);
    evaluate_locked(t);
    pthread_mutex_unlock(&t->lock);
}

static void set_cval(struct arm_gtimer *t, uint64_t cval)
{
    pthread_mutex_lock(&t->lock);
    t->cval = cval;
    evaluate_locked(t);
    pthread_mutex_unlock(&t->lock);
}

static uint64_t cval_read(struct vcpu *v, const struct sysreg *r)
{
    return timer_of(v, r)->cval;
}

static void cval_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    set_cval(timer_of(v, r), value);
}

/* TimerValue is a signed 32-bit view of the distance to the compare value (B8.1.5). */
static uint64_t tval_read(struct vcpu *v, const struct sysreg *r)
{
    return (uint32_t)(timer_of(v, r)->cval - arm_counter_now());
}

static void tval_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    set_cval(timer_of(v, r), arm_counter_now() + (uint64_t)(int64_t)(int32_t)value);
}

static uint64_t count_read(struct vcpu *v, const struct sysreg *r)
{
    (void)v;
    (void)r;
    return arm_counter_now();
}

/* ---- CNTKCTL: what user mode may touch (B4.1.26), the event stream ---- */
#define KCTL_PL0PCTEN    1u
#define KCTL_PL0VCTEN    2u
#define KCTL_EVNTEN      4u
#define KCTL_EVNTI_SHIFT 4
#define KCTL_PL0VTEN     (1u << 8)
#define KCTL_PL0PTEN     (1u << 9)

/* B8.1.5: an event whenever the bit of the counter that EVNTI names goes to 1, or to 0. */
uint64_t arm_event_stream_ns(const struct vcpu *v)
{
    uint32_t kctl = v->sys->cntkctl;

    return kctl & KCTL_EVNTEN ? (uint64_t)NS_PER_TICK << ((kctl >> KCTL_EVNTI_SHIFT & 15) + 1) : 0;
}

static bool allow_pct(struct vcpu *v, bool priv)
{
    return priv || (v->sys->cntkctl & KCTL_PL0PCTEN);
}
static bool allow_vct(struct vcpu *v, bool priv)
{
    return priv || (v->sys->cntkctl & KCTL_PL0VCTEN);
}
static bool allow_vt(struct vcpu *v, bool priv)
{
    return priv || (v->sys->cntkctl & KCTL_PL0VTEN);
}
static bool allow_pt(struct vcpu *v, bool priv)
{
    return priv || (v->sys->cntkctl & KCTL_PL0PTEN);
}
static bool allow_frq(struct vcpu *v, bool priv)
{
    return priv || (v->sys->cntkctl & (KCTL_PL0PCTEN | KCTL_PL0VCTEN));
}

static const struct sysreg timer_regs[] = {
    CP15("CNTFRQ", 14, 0, 0, 0, PL0_R | PL1_R, .value = ARM_CNTFRQ, .allow = allow_frq),
    CP15("CNTKCTL", 14, 0, 1, 0, PL1_RW, SYS_FIELD(cntkctl)),
    CP15("CNTP_TVAL", 14, 0, 2, 0, PL0_RW_PL1_RW, .read = tval_read, .write = tval_write,
         .allow = allow_pt),
    CP15("CNTP_CTL", 14, 0, 2, 1, PL0_RW_PL1_RW, .read = ctl_read, .write = ctl_write,
         .allow = allow_pt),
    CP15("CNTV_TVAL", 14, 0, 3, 0, PL0_RW_PL1_RW, .read = tval_read, .write = tval_write,
         .allow = allow_vt),
    CP15("CNTV_CTL", 14, 0, 3, 1, PL0_RW_PL1_RW, .read = ctl_read, .write = ctl_write,
         .allow = allow_vt),
    CP15_64("CNTPCT", 0, 14, PL0_R | PL1_R, .read = count_read, .allow = allow_pct),
    CP15_64("CNTVCT", 1, 14, PL0_R | PL1_R, .read = count_read, .allow = allow_vct),
    CP15_64("CNTP_CVAL", 2, 14, PL0_RW_PL1_RW, .read = cval_read, .write = cval_write,
            .allow = allow_pt),
    CP15_64("CNTV_CVAL", 3, 14, PL0_RW_PL1_RW, .read = cval_read, .write = cval_write,
            .allow = allow_vt),
};
const struct sysreg_table arm_timer_regs = {timer_regs, ARRAY_SIZE(timer_regs)};

static int create_one(struct arm_gtimer *t, struct vm *vm, const struct irq_line *irq)
{
    t->irq = irq;
    io_timer_init(&t->timer, vm->io, expired, t);
    return -pthread_mutex_init(&t->lock, NULL);
}

int arm_timer_create(struct vcpu *v)
{
    int err = create_one(&v->sys->vtimer, v->vm, &v->vm->ppi_vtimer[v->index]);

    clock_start();
    return err ? err : create_one(&v->sys->ptimer, v->vm, &v->vm->ppi_ptimer[v->index]);
}

void arm_timer_destroy(struct vcpu *v)
{
    io_timer_cancel(&v->sys->vtimer.timer);
    io_timer_cancel(&v->sys->ptimer.timer);
}

static void reset_one(struct arm_gtimer *t)
{
    pthread_mutex_lock(&t->lock);
    t->ctl = 0;
    t->cval = 0;
    evaluate_locked(t);
    pthread_mutex_unlock(&t->lock);
}

void arm_timer_reset(struct vcpu *v)
{
    reset_one(&v->sys->vtimer);
    reset_one(&v->sys->ptimer);
}

/* ---- pauses ---- */
static void evaluate_all(struct vm *vm)
{
    for (unsigned i = 0; i < vm->ncpus; i++) {
        evaluate(&vm->cpu[i]->sys->vtimer);
        evaluate(&vm->cpu[i]->sys->ptimer);
        arm_pmu_time_changed(vm->cpu[i]);
    }
}

void arm_time_stop(struct vm *vm)
{
    atomic_store(&guest_clock, arm_guest_ns() | CLOCK_STANDS);
    evaluate_all(vm);
}

void arm_time_go(struct vm *vm)
{
    atomic_store(&guest_clock, io_now_ns() - arm_guest_ns());
    evaluate_all(vm);
}
