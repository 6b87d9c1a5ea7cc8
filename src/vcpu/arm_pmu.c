/* SPDX-License-Identifier: MIT */
/*
 * Performance monitors, PMUv2 (Arm ARM DDI0406C C12): the cycle counter, which counts nanoseconds
 * of guest time (a 1 GHz CPU), with overflow interrupt; and the event counters of a Cortex-A15 for
 * software increments.
 *
 * Threads: the owner's; the overflow callback on the I/O thread only raises the line and a flag
 * bit.
 */
#include "vcpu/arm_sys_internal.h"
#include "vm.h"

#include <string.h>

#define PMCR_E        1u
#define PMCR_P        2u
#define PMCR_C        4u
#define PMCR_D        8u
#define PMCR_N        (PMU_COUNTERS << 11)
#define CYCLE_BIT     (1u << 31)
#define COUNTER_BITS  ((1u << PMU_COUNTERS) - 1)
#define VALID_BITS    (CYCLE_BIT | COUNTER_BITS)
#define SEL_CYCLE     31
#define EVENT_SW_INCR 0x00
#define USEREN_EN     1u

static bool cycles_on(const struct arm_pmu *p)
{
    return (p->pmcr & PMCR_E) && (p->cnten & CYCLE_BIT);
}

static uint64_t cycle_total(const struct arm_pmu *p)
{
    return (p->pmcr & PMCR_D) ? arm_guest_ns() / 64 : arm_guest_ns();
}

static uint32_t cycles_get(const struct arm_pmu *p)
{
    return cycles_on(p) ? (uint32_t)(cycle_total(p) - p->cycle_base) : p->cycle_held;
}

static void update_line(struct vcpu *v)
{
    struct arm_pmu *p = &v->sys->pmu;

    irq_set(&v->vm->ppi_pmu[v->index],
            __atomic_load_n(&p->ovs, __ATOMIC_ACQUIRE) & p->inten && (p->pmcr & PMCR_E));
}

/* The counter wraps after the rest of its 32 bits. */
static void schedule_overflow(struct arm_pmu *p, uint32_t value)
{
    uint64_t left = ((uint64_t)1 << 32) - value;

    if (!cycles_on(p)) {
        atomic_store(&p->wrap_at, UINT64_MAX);
        io_timer_cancel(&p->overflow);
        return;
    }
    atomic_store(&p->wrap_at, arm_guest_ns() + ((p->pmcr & PMCR_D) ? left * 64 : left));
    io_timer_set(&p->overflow, arm_guest_to_host_ns(atomic_load(&p->wrap_at)));
}

/* A callback that is running now finds the counter not wrapped yet, or sets a timer that is moved
   when time goes on. */
void arm_pmu_time_changed(struct vcpu *v)
{
    struct arm_pmu *p = &v->sys->pmu;

    io_timer_set(&p->overflow, arm_guest_to_host_ns(atomic_load(&p->wrap_at)));
}

/*
 * Has the counter wrapped by now? Then say so, once: whoever moves wrap_at on, the timer's callback
 * or the owner reading the flag before that ran, sets the flag.
 */
static void note_overflow(struct vcpu *v)
{
    struct arm_pmu *p = &v->sys->pmu;
    uint64_t at = atomic_load(&p->wrap_at);
    uint64_t period = ((uint64_t)1 << 32) * ((p->pmcr & PMCR_D) ? 64 : 1);

    if (arm_guest_ns() < at || !atomic_compare_exchange_strong(&p->wrap_at, &at, at + period))
        return;
    __atomic_fetch_or(&p->ovs, CYCLE_BIT, __ATOMIC_ACQ_REL);
    io_timer_set(&p->overflow, arm_guest_to_host_ns(at + period));
    update_line(v);
}

static void cycles_set(struct arm_pmu *p, uint32_t value)
{
    p->cycle_held = value;
    p->cycle_base = cycle_total(p) - value;
    schedule_overflow(p, value);
}

static void overflowed(void *opaque)
{
    note_overflow(opaque);
}

/* ---- registers ---- */
static bool allow_user(struct vcpu *v, bool priv)
{
    return priv || (v->sys->pmu.useren & USEREN_EN);
}

static uint64_t pmcr_read(struct vcpu *v, const struct sysreg *r)
{
    (void)r;
    return v->sys->model->pmcr_id | PMCR_N | (v->sys->pmu.pmcr & 0x39);
}

static void pmcr_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    struct arm_pmu *p = &v->sys->pmu;
    uint32_t cycles = cycles_get(p);

    (void)r;
    p->pmcr = (uint32_t)value & 0x39;
    if (value & PMCR_P)
        memset(p->count, 0, sizeof(p->count));
    cycles_set(p, (value & PMCR_C) ? 0 : cycles);
    update_line(v);
}

/* CNTENSET and CNTENCLR: opc2 1 and 2. */
static void cnten_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    struct arm_pmu *p = &v->sys->pmu;
    uint32_t cycles = cycles_get(p), bits = (uint32_t)value & VALID_BITS;

    p->cnten = (r->key & 15) == 1 ? p->cnten | bits : p->cnten & ~bits;
    cycles_set(p, cycles);
}

static uint64_t ovs_read(struct vcpu *v, const struct sysreg *r)
{
    (void)r;
    note_overflow(v);
    return __atomic_load_n(&v->sys->pmu.ovs, __ATOMIC_ACQUIRE);
}

static void ovs_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    uint32_t bits = (uint32_t)value & VALID_BITS;

    if ((r->key >> 8 & 15) == 12)
        __atomic_fetch_and(&v->sys->pmu.ovs, ~bits, __ATOMIC_ACQ_REL);
    else
        __atomic_fetch_or(&v->sys->pmu.ovs, bits, __ATOMIC_ACQ_REL);
    update_line(v);
}

static void inten_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    struct arm_pmu *p = &v->sys->pmu;
    uint32_t bits = (uint32_t)value & VALID_BITS;

    p->inten = (r->key & 15) == 1 ? p->inten | bits : p->inten & ~bits;
    update_line(v);
}

static void swinc_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    struct arm_pmu *p = &v->sys->pmu;

    (void)r;
    for (unsigned i = 0; i < PMU_COUNTERS; i++) {
        bool counts =
            (p->pmcr & PMCR_E) && (p->cnten >> i & 1) && (p->type[i] & 0xff) == EVENT_SW_INCR;

        if (counts && (value >> i & 1) && ++p->count[i] == 0)
            __atomic_fetch_or(&p->ovs, 1u << i, __ATOMIC_ACQ_REL);
    }
    update_line(v);
}

static void sel_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    (void)r;
    v->sys->pmu.sel = (uint32_t)value & 31;
}

static uint64_t ccntr_read(struct vcpu *v, const struct sysreg *r)
{
    (void)r;
    return cycles_get(&v->sys->pmu);
}

static void ccntr_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    (void)r;
    cycles_set(&v->sys->pmu, (uint32_t)value);
}

/* The type register PMSELR names; 31 is the cycle counter's filter. NULL: no such counter. */
static uint32_t *selected_type(struct arm_pmu *p)
{
    return p->sel < PMU_COUNTERS ? &p->type[p->sel]
           : p->sel == SEL_CYCLE ? &p->type[PMU_COUNTERS]
                                 : NULL;
}

static uint64_t type_read(struct vcpu *v, const struct sysreg *r)
{
    uint32_t *t = selected_type(&v->sys->pmu);

    (void)r;
    return t ? *t : 0;
}

static void type_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    uint32_t *t = selected_type(&v->sys->pmu);

    (void)r;
    if (t)
        *t = (uint32_t)value & 0xf80000ffu;
}

static uint64_t count_read(struct vcpu *v, const struct sysreg *r)
{
    const struct arm_pmu *p = &v->sys->pmu;

    (void)r;
    return p->sel < PMU_COUNTERS ? p->count[p->sel] : 0;
}

static void count_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    struct arm_pmu *p = &v->sys->pmu;

    (void)r;
    if (p->sel < PMU_COUNTERS)
        p->count[p->sel] = (uint32_t)value;
}

static void useren_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    (void)r;
    v->sys->pmu.useren = (uint32_t)value & USEREN_EN;
}

#define EVENTS_SUPPORTED (1u << EVENT_SW_INCR)
#define PM_USER          PL0_RW_PL1_RW, .allow = allow_user

static const struct sysreg pmu_regs[] = {
    CP15("PMCR", 9, 0, 12, 0, PM_USER, .read = pmcr_read, .write = pmcr_write),
    CP15("PMCNTENSET", 9, 0, 12, 1, PM_USER, SYS_FIELD(pmu.cnten), .write = cnten_write),
    CP15("PMCNTENCLR", 9, 0, 12, 2, PM_USER, SYS_FIELD(pmu.cnten), .write = cnten_write),
    CP15("PMOVSR", 9, 0, 12, 3, PM_USER, .read = ovs_read, .write = ovs_write),
    CP15("PMSWINC", 9, 0, 12, 4, PL0_W | PL1_W, .allow = allow_user, .write = swinc_write),
    CP15("PMSELR", 9, 0, 12, 5, PM_USER, SYS_FIELD(pmu.sel), .write = sel_write),
    CP15("PMCEID0", 9, 0, 12, 6, PL0_R | PL1_R, .allow = allow_user, .value = EVENTS_SUPPORTED),
    CP15("PMCEID1", 9, 0, 12, 7, PL0_R | PL1_R, .allow = allow_user),
    CP15("PMCCNTR", 9, 0, 13, 0, PM_USER, .read = ccntr_read, .write = ccntr_write),
    CP15("PMXEVTYPER", 9, 0, 13, 1, PM_USER, .read = type_read, .write = type_write),
    CP15("PMXEVCNTR", 9, 0, 13, 2, PM_USER, .read = count_read, .write = count_write),
    CP15("PMUSERENR", 9, 0, 14, 0, PL0_R | PL1_RW, SYS_FIELD(pmu.useren), .write = useren_write),
    CP15("PMINTENSET", 9, 0, 14, 1, PL1_RW, SYS_FIELD(pmu.inten), .write = inten_write),
    CP15("PMINTENCLR", 9, 0, 14, 2, PL1_RW, SYS_FIELD(pmu.inten), .write = inten_write),
    CP15("PMOVSSET", 9, 0, 14, 3, PL1_RW, .read = ovs_read, .write = ovs_write),
};
const struct sysreg_table arm_pmu_regs = {pmu_regs, ARRAY_SIZE(pmu_regs)};

int arm_pmu_create(struct vcpu *v)
{
    io_timer_init(&v->sys->pmu.overflow, v->vm->io, overflowed, v);
    atomic_store(&v->sys->pmu.wrap_at, UINT64_MAX);
    return 0;
}

void arm_pmu_destroy(struct vcpu *v)
{
    io_timer_cancel(&v->sys->pmu.overflow);
}

void arm_pmu_reset(struct vcpu *v)
{
    struct arm_pmu *p = &v->sys->pmu;

    io_timer_cancel(&p->overflow);
    atomic_store(&p->wrap_at, UINT64_MAX);
    p->pmcr = p->cnten = p->sel = p->useren = p->inten = 0;
    __atomic_store_n(&p->ovs, 0, __ATOMIC_RELEASE);
    p->cycle_held = 0;
    memset(p->type, 0, sizeof(p->type));
    memset(p->count, 0, sizeof(p->count));
    update_line(v);
}
