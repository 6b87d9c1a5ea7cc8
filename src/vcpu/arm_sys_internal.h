/* SPDX-License-Identifier: MIT */
/*
 * Private to the ARM system level (src/vcpu/arm_*.c): the register file of one vCPU and the form of
 * the system register tables. Owner thread, but for the timers, which carry their own lock.
 */
#pragma once

#include "io/io.h"
#include "vcpu/arm.h"

#include <pthread.h>

#define PMU_COUNTERS    6
#define DBG_BREAKPOINTS 6
#define DBG_WATCHPOINTS 4

/* What a CPU model shows in its identification registers (Cortex-A15 and A7 TRMs, chapter 4). */
struct arm_cpu_model {
    const char *name, *compatible;
    unsigned features;
    uint32_t midr, revidr, ctr, aidr;
    uint32_t id_pfr0, id_pfr1, id_dfr0, id_afr0, id_mmfr[4], id_isar[6];
    uint32_t clidr, ccsidr_l1d, ccsidr_l1i, ccsidr_l2;
    uint32_t actlr, l2ctlr, sctlr_reset;
    uint32_t fpsid, mvfr0, mvfr1, mvfr2;
    uint32_t dbgdidr, dbgdevid, pmcr_id;
};

/* One generic timer: virtual or physical. ctl and cval change under the lock; the I/O thread reads
 * them. */
struct arm_gtimer {
    pthread_mutex_t lock;
    uint32_t ctl; /* ENABLE, IMASK; ISTATUS is computed */
    uint64_t cval;
    struct io_timer timer;
    const struct irq_line *irq;
};

struct arm_pmu {
    uint32_t pmcr, cnten, ovs, sel, useren, inten;
    uint64_t
        cycle_base; /* cycle counter = running total - base while enabled, else the held value */
    uint32_t cycle_held;
    uint32_t type[PMU_COUNTERS + 1], count[PMU_COUNTERS];
    _Atomic uint64_t wrap_at; /* arm_guest_ns() of the next overflow; UINT64_MAX = stopped */
    struct io_timer overflow;
};

struct arm_sys {
    struct arm_mmu_regs mmu;
    const struct arm_cpu_model *model;
    uint32_t cpacr, actlr, csselr, amair0, amair1, l2ectlr;
    uint32_t cntkctl;
    uint32_t teecr, teehbr, joscr, jmcr;
    uint32_t bvr[DBG_BREAKPOINTS], bcr[DBG_BREAKPOINTS], wvr[DBG_WATCHPOINTS], wcr[DBG_WATCHPOINTS];
    uint32_t dbgvcr, dbgdscr, dbgprcr, dbgclaim, oslock, dbgdtr;
    struct arm_gtimer vtimer, ptimer;
    struct arm_pmu pmu;
};

/* Access permissions of a register. */
#define PL0_R         1u
#define PL0_W         2u
#define PL1_R         4u
#define PL1_W         8u
#define PL1_RW        (PL1_R | PL1_W)
#define PL0_RW_PL1_RW (PL0_R | PL0_W | PL1_RW)

/* Result of an access function. */
struct sysreg;
typedef uint64_t sysreg_read_fn(struct vcpu *v, const struct sysreg *r);
typedef void sysreg_write_fn(struct vcpu *v, const struct sysreg *r, uint64_t value);
/* Finer permission than the level, e.g. a user enable bit: false = UNDEF. */
typedef bool sysreg_allow_fn(struct vcpu *v, bool privileged);

struct sysreg {
    uint32_t key;
    const char *name;
    uint8_t perm;
    uint8_t flags; /* SYSREG_* for writes */
    uint8_t width; /* of the field at `offset` in struct arm_sys; 0 = none */
    uint16_t offset;
    uint64_t value; /* constant registers */
    sysreg_read_fn *read;
    sysreg_write_fn *write;
    sysreg_allow_fn *allow;
};
struct sysreg_table {
    const struct sysreg *reg;
    unsigned n;
};

/* One register each; `...` are further designated members. */
#define SYS_FIELD(f) \
    .offset = offsetof(struct arm_sys, f), .width = sizeof(((struct arm_sys *)0)->f)
#define CP15(nm, crn, op1, crm, op2, pm, ...)                                              \
    {                                                                                      \
        .key = ARM_SYSREG_KEY(15, crn, op1, crm, op2), .name = nm, .perm = pm, __VA_ARGS__ \
    }
#define CP15_64(nm, op1, crm, pm, ...)                                             \
    {                                                                              \
        .key = ARM_SYSREG_KEY64(15, op1, crm), .name = nm, .perm = pm, __VA_ARGS__ \
    }
#define CP14(nm, crn, op1, crm, op2, pm, ...)                                              \
    {                                                                                      \
        .key = ARM_SYSREG_KEY(14, crn, op1, crm, op2), .name = nm, .perm = pm, __VA_ARGS__ \
    }

extern const struct sysreg_table arm_id_regs, arm_mmu_sysregs, arm_cache_regs, arm_tlb_regs,
    arm_timer_regs, arm_pmu_regs, arm_debug_regs, arm_thread_regs;

/* Field access for registers that are words of struct arm_sys. */
uint64_t sysreg_field_read(struct vcpu *v, const struct sysreg *r);
void sysreg_field_write(struct vcpu *v, const struct sysreg *r, uint64_t value);
/* Ignored writes (hints, cache operations on memory that is always coherent). */
void sysreg_write_ignored(struct vcpu *v, const struct sysreg *r, uint64_t value);

void arm_timer_reset(struct vcpu *v);
int arm_pmu_create(struct vcpu *v) MUST_CHECK;
void arm_pmu_destroy(struct vcpu *v);
void arm_pmu_reset(struct vcpu *v);
void arm_pmu_time_changed(struct vcpu *v); /* guest time stops or goes on; v is parked */
