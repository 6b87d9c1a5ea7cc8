/* SPDX-License-Identifier: MIT */
/*
 * Access to CP14 and CP15: one hashed directory made of the tables in the arm_*.c files, looked
 * up by (coprocessor, CRn, opc1, CRm, opc2). What is not in a table does not exist and is
 * UNDEFINED. Arm ARM DDI0406C B3.17, B4.1. The directory is built with the first vCPU and
 * constant afterwards; any thread.
 */
#include "base/log.h"
#include "tcg/tcg.h"
#include "vcpu/arm_sys_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DIRECTORY_BITS 10
#define DIRECTORY_SIZE (1u << DIRECTORY_BITS) /* a few times the registers: probes are short */

static const struct sysreg *directory[DIRECTORY_SIZE]; /* open addressing; NULL: free */
static pthread_once_t directory_once = PTHREAD_ONCE_INIT;

/* Where the register of this key is, or would be. */
static const struct sysreg **place_of(uint32_t key)
{
    uint32_t i = key * 0x9e3779b1u >> (32 - DIRECTORY_BITS);

    while (directory[i] && directory[i]->key != key)
        i = (i + 1) & (DIRECTORY_SIZE - 1);
    return &directory[i];
}

static void add(const struct sysreg *r, unsigned *n)
{
    const struct sysreg **at = place_of(r->key);

    if (*at)
        vm_bug("system registers %s and %s share an encoding", r->name, (*at)->name);
    VM_CHECK(++*n < DIRECTORY_SIZE / 2);
    *at = r;
}

static void build_directory(void)
{
    static const struct sysreg_table *const tables[] = {
        &arm_id_regs,    &arm_mmu_sysregs, &arm_cache_regs, &arm_tlb_regs,
        &arm_timer_regs, &arm_pmu_regs,    &arm_debug_regs, &arm_thread_regs,
    };
    unsigned n = 0;

    for (unsigned t = 0; t < ARRAY_SIZE(tables); t++)
        for (unsigned i = 0; i < tables[t]->n; i++)
            add(&tables[t]->reg[i], &n);
}

static const struct sysreg *find(uint32_t key)
{
    return *place_of(key);
}

static bool allowed(struct vcpu *v, const struct sysreg *r, bool write)
{
    bool priv = v->exec_flags & EXEC_PRIV;
    unsigned need = priv ? (write ? PL1_W : PL1_R) : (write ? PL0_W : PL0_R);

    return (r->perm & need) && (!r->allow || r->allow(v, priv));
}

static const struct sysreg *find_or_undef(struct vcpu *v, uint32_t key, bool write, uintptr_t ra)
{
    const struct sysreg *r = find(key);

    if (r && allowed(v, r, write))
        return r;
    if (log_on(LOG_GUEST_ERROR))
        log_printf("cpu%u: %s of %s system register cp%u c%u,%u,c%u,%u\n", v->index,
                   write ? "write" : "read", r ? "an inaccessible" : "an unknown", key >> 16 & 15,
                   key >> 12 & 15, key >> 4 & 15, key >> 8 & 15, key & 15);
    vcpu_raise(v, ra, ARM_EXC_UNDEF, 0, 0);
}

static uint64_t read_reg(struct vcpu *v, const struct sysreg *r)
{
    if (r->read)
        return r->read(v, r);
    return r->width ? sysreg_field_read(v, r) : r->value;
}

static void write_reg(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    if (r->write)
        r->write(v, r, value);
    else if (r->width)
        sysreg_field_write(v, r, value);
}

bool arm_sysreg_peek_stopped(struct vcpu *v, uint32_t key, uint64_t *value)
{
    const struct sysreg *r = find(key);

    if (!r || !(r->perm & (PL0_R | PL1_R)))
        return false;
    *value = read_reg(v, r);
    return true;
}

bool arm_sysreg_poke_stopped(struct vcpu *v, uint32_t key, uint64_t value)
{
    const struct sysreg *r = find(key);

    if (!r || !(r->perm & (PL0_W | PL1_W)))
        return false;
    write_reg(v, r, value);
    return true;
}

uint64_t arm_helper_sysreg_read(struct vcpu *v, uint32_t key)
{
    return read_reg(v, find_or_undef(v, key, false, VCPU_RA()));
}

void arm_helper_sysreg_write(struct vcpu *v, uint32_t key, uint64_t value)
{
    write_reg(v, find_or_undef(v, key, true, VCPU_RA()), value);
}

unsigned arm_sysreg_access_flags(uint32_t key, bool write)
{
    const struct sysreg *r = find(key);

    return r && write ? r->flags : 0;
}

bool arm_sysreg_state_slot(uint32_t key, bool write, bool privileged, uint32_t *offset)
{
    static const struct {
        uint32_t key, offset;
        uint8_t perm;
    } slots[] = {
        {ARM_SYSREG_KEY(15, 13, 0, 0, 2), offsetof(struct vcpu, tpidrurw), PL0_RW_PL1_RW},
        {ARM_SYSREG_KEY(15, 13, 0, 0, 3), offsetof(struct vcpu, tpidruro), PL0_R | PL1_RW},
        {ARM_SYSREG_KEY(15, 13, 0, 0, 4), offsetof(struct vcpu, tpidrprw), PL1_RW},
    };
    unsigned need = privileged ? (write ? PL1_W : PL1_R) : (write ? PL0_W : PL0_R);

    for (unsigned i = 0; i < ARRAY_SIZE(slots); i++)
        if (slots[i].key == key && (slots[i].perm & need)) {
            *offset = slots[i].offset;
            return true;
        }
    return false;
}

uint64_t sysreg_field_read(struct vcpu *v, const struct sysreg *r)
{
    const char *p = (const char *)v->sys + r->offset;
    uint32_t w;
    uint64_t d;

    if (r->width == 8) {
        memcpy(&d, p, sizeof(d));
        /* A 32-bit access to a 64-bit register sees its low half (TTBR0, PAR). */
        return (r->key & 0x80000000u) ? d : (uint32_t)d;
    }
    memcpy(&w, p, sizeof(w));
    return w;
}

void sysreg_field_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    char *p = (char *)v->sys + r->offset;
    uint32_t w = (uint32_t)value;

    if (r->width == 8 && (r->key & 0x80000000u))
        memcpy(p, &value, sizeof(value));
    else
        memcpy(p, &w, sizeof(w));
}

void sysreg_write_ignored(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    (void)v;
    (void)r;
    (void)value;
}

/* ---- thread registers (B4.1.149..151): words of struct vcpu, so that generated code reads them
 * itself ---- */
static uint32_t *thread_reg(struct vcpu *v, const struct sysreg *r)
{
    uint32_t opc2 = r->key & 15;

    return opc2 == 2 ? &v->tpidrurw : opc2 == 3 ? &v->tpidruro : &v->tpidrprw;
}

static uint64_t thread_read(struct vcpu *v, const struct sysreg *r)
{
    return *thread_reg(v, r);
}

static void thread_write(struct vcpu *v, const struct sysreg *r, uint64_t value)
{
    *thread_reg(v, r) = (uint32_t)value;
}

static const struct sysreg thread_regs[] = {
    CP15("TPIDRURW", 13, 0, 0, 2, PL0_RW_PL1_RW, .read = thread_read, .write = thread_write),
    CP15("TPIDRURO", 13, 0, 0, 3, PL0_R | PL1_RW, .read = thread_read, .write = thread_write),
    CP15("TPIDRPRW", 13, 0, 0, 4, PL1_RW, .read = thread_read, .write = thread_write),
};
const struct sysreg_table arm_thread_regs = {thread_regs, ARRAY_SIZE(thread_regs)};

/* ---- life cycle ---- */
struct arm_mmu_regs *arm_mmu_regs(struct vcpu *v)
{
    return &v->sys->mmu;
}

unsigned arm_cpu_features(const struct vcpu *v)
{
    return v->sys->model->features;
}

int arm_sys_create(struct vcpu *v, const struct arm_cpu_model *m)
{
    int err;

    pthread_once(&directory_once, build_directory);
    v->sys = calloc(1, sizeof(*v->sys));
    if (!v->sys)
        return -ENOMEM;
    v->sys->model = m;
    err = arm_timer_create(v);
    if (!err)
        err = arm_pmu_create(v);
    if (err)
        arm_sys_destroy(v);
    return err;
}

void arm_sys_destroy(struct vcpu *v)
{
    if (!v->sys)
        return;
    arm_timer_destroy(v);
    arm_pmu_destroy(v);
    free(v->sys);
    v->sys = NULL;
}

void arm_sys_reset(struct vcpu *v)
{
    struct arm_sys *s = v->sys;

    memset(&s->mmu, 0, sizeof(s->mmu));
    s->mmu.sctlr = s->model->sctlr_reset;
    s->cpacr = 0;
    s->actlr = s->model->actlr;
    s->csselr = s->amair0 = s->amair1 = s->l2ectlr = s->cntkctl = 0;
    s->teecr = s->teehbr = s->joscr = s->jmcr = 0;
    memset(s->bcr, 0, sizeof(s->bcr));
    memset(s->wcr, 0, sizeof(s->wcr));
    s->dbgvcr = s->dbgdscr = s->dbgprcr = s->dbgclaim = s->dbgdtr = 0;
    s->oslock = 0;
    v->tpidrurw = v->tpidruro = v->tpidrprw = 0;
    arm_timer_reset(v);
    arm_pmu_reset(v);
}

#define CPACR_CP10_SHIFT 20
#define CPACR_ASEDIS     (1u << 31)
#define FPSCR_SPECIAL    0x00f70000u /* RMode, Stride, Len */
#define FPSCR_FZ         (1u << 24)

void arm_exec_flags_refresh(struct vcpu *v)
{
    uint32_t f = v->exec_flags & (EXEC_T | EXEC_E | EXEC_IT_MASK);
    bool priv = arm_mode(v) != ARM_USR;
    unsigned cp10 = v->sys->cpacr >> CPACR_CP10_SHIFT & 3;

    f |= (priv ? EXEC_PRIV : 0) | v->exec_mmu[priv];
    if (cp10 == 3 || (cp10 == 1 && priv)) {
        f |= EXEC_CPACR | ((v->sys->cpacr & CPACR_ASEDIS) ? 0 : EXEC_NEON);
    }
    /* With the MMU off data memory is Strongly-ordered, where nothing unaligned works (B3.2.1,
     * A3.2.1). */
    if ((v->sys->mmu.sctlr & SCTLR_A) || !(v->sys->mmu.sctlr & SCTLR_M))
        f |= EXEC_ALIGN;
    if (v->fpscr_rest & FPSCR_SPECIAL)
        f |= EXEC_FPSPECIAL;
    if (v->fpscr_rest & FPSCR_FZ)
        f |= EXEC_FZ;
    v->exec_flags = f;
}
