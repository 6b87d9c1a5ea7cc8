/* SPDX-License-Identifier: MIT */
/*
 * A machine reduced to what src/mmu needs, for its unit tests and stress programs: RAM, vCPUs
 * without a translator, system registers in a plain struct, a bus with one device, guest exceptions
 * by longjmp.
 *
 * The functions that other modules provide in the emulator are defined here, so a program includes
 * this header in exactly one file. mmu_rig_* is the only state; nothing is thread-safe but what it
 * imitates.
 */
#pragma once

#include "base/log.h"
#include "base/stats.h"
#include "dev/bus.h"
#include "mmu/mmu.h"
#include "mmu/mmu_internal.h"
#include "tcg/tcg.h"
#include "vcpu/arm.h"
#include "vcpu/vcpu.h"
#include "vm.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define RIG_RAM_BASE UINT64_C(0x40000000)
#define RIG_DEVICE   UINT64_C(0x09000000) /* 64 KiB: reads give the offset */
#define RIG_NOTHING  UINT64_C(0x10000000)

struct rig_exception {
    enum arm_exception e;
    uint32_t fsr;
    gva_t far;
};

static struct vm rig_vm;
static struct arm_mmu_regs rig_regs[VCPU_MAX];
static _Thread_local struct vcpu *rig_current;
static _Thread_local jmp_buf *rig_catch;
static _Thread_local struct rig_exception rig_exc;
static _Thread_local unsigned rig_watch_checks;
static _Thread_local unsigned rig_jump_flushes, rig_jump_page_flushes;
static void (*rig_on_invalidate)(struct vcpu *v, gpa_t page);
static void (*rig_on_walk)(void); /* called where a walk begins: a place to lose the CPU */
static gpa_t rig_device_last_write;
static uint64_t rig_device_last_value;
static unsigned rig_device_last_size, rig_device_writes;

/* ---- what other modules define ---- */
struct arm_mmu_regs *arm_mmu_regs(struct vcpu *v)
{
    if (rig_on_walk)
        rig_on_walk();
    return &rig_regs[v->index];
}

struct vcpu *vcpu_current(void)
{
    return rig_current;
}

void vcpu_kick(struct vcpu *v, uint32_t poll_bits)
{
    atomic_fetch_or(&v->poll, poll_bits);
}

void vcpu_quiescent_begin(struct vcpu *v)
{
    atomic_store(&v->in_guest, 0);
}

void vcpu_quiescent_end(struct vcpu *v)
{
    atomic_store(&v->in_guest, 1);
    if (atomic_exchange(&v->poll, 0))
        mmu_serve_requests(v);
}

_Noreturn void vcpu_raise(struct vcpu *v, uintptr_t ra, enum arm_exception e, uint32_t fsr,
                          gva_t far)
{
    (void)v;
    (void)ra;
    rig_exc = (struct rig_exception){.e = e, .fsr = fsr, .far = far};
    if (!rig_catch)
        vm_bug("unexpected guest exception %d fsr %x far %lx", e, fsr, (unsigned long)far);
    longjmp(*rig_catch, 1);
}

void debug_check_access(struct vcpu *v, gva_t va, unsigned size, enum mmu_access access,
                        uintptr_t ra)
{
    (void)v;
    (void)size;
    (void)access;
    (void)ra;
    (void)va;
    rig_watch_checks++;
}

void tcg_jump_cache_flush(struct vcpu *v)
{
    (void)v;
    rig_jump_flushes++;
}

void tcg_jump_cache_flush_page(struct vcpu *v, gva_t va)
{
    (void)v;
    (void)va;
    rig_jump_page_flushes++;
}

void tcg_invalidate_page(struct vcpu *v, gpa_t page)
{
    if (rig_on_invalidate)
        rig_on_invalidate(v, page);
}

/*
 * "Generated code": one load and one store. A fault in them reaches the emulator's own SIGSEGV
 * handler, which resumes at the stub. Result: bit 32 = done, low half = value.
 */
uint64_t rig_asm_load(hva_t at);
uint64_t rig_asm_store(hva_t at, uint32_t value);
extern char rig_asm_fault[];
__asm__(".text\n"
        "rig_asm_load:\n\tmovl (%rdi), %eax\n\tbts $32, %rax\n\tret\n"
        "rig_asm_store:\n\tmovl %esi, (%rdi)\n\tmovl $1, %eax\n\tshlq $32, %rax\n\tret\n"
        "rig_asm_fault:\n\txorl %eax, %eax\n\tret\n");

bool tcg_contains_sig(const struct vcpu *v, uintptr_t host_pc)
{
    (void)v;
    return host_pc == (uintptr_t)rig_asm_load || host_pc == (uintptr_t)rig_asm_store;
}

uintptr_t tcg_fault_stub_sig(const struct vcpu *v)
{
    (void)v;
    return (uintptr_t)rig_asm_fault;
}

bool bus_read(struct bus *bus, struct vcpu *cpu, gpa_t gpa, unsigned size, uint64_t *value)
{
    (void)bus;
    (void)cpu;
    (void)size;
    if (gpa - RIG_DEVICE >= 0x10000)
        return false;
    *value = gpa - RIG_DEVICE;
    return true;
}

bool bus_write(struct bus *bus, struct vcpu *cpu, gpa_t gpa, unsigned size, uint64_t value)
{
    (void)bus;
    (void)cpu;
    if (gpa - RIG_DEVICE >= 0x10000)
        return false;
    rig_device_last_write = gpa;
    rig_device_last_value = value;
    rig_device_last_size = size;
    rig_device_writes++;
    return true;
}

/* ---- the rig ---- */
static void rig_check(bool ok, const char *what)
{
    if (!ok)
        vm_bug("rig: %s failed", what);
}

static struct vcpu *rig_add_vcpu(void)
{
    struct vcpu *v =
        mmap(NULL, sizeof(*v), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    rig_check(v != MAP_FAILED, "mmap");
    v->vm = &rig_vm;
    v->index = rig_vm.ncpus;
    v->exec_flags = EXEC_PRIV;
    memset(v->softtlb, 0xff, sizeof(v->softtlb));
    memset(v->jump_cache, 0xff, sizeof(v->jump_cache));
    memset(&rig_regs[v->index], 0, sizeof(rig_regs[0]));
    rig_check(!mmu_vcpu_create(v), "mmu_vcpu_create");
    atomic_store(&v->in_guest, 0);
    rig_vm.cpu[rig_vm.ncpus++] = v;
    return v;
}

/* What rig_start() gives mmu_create() beside its arguments. */
static struct mmu_options rig_options;
static uint64_t rig_rom_size; /* flash of the machine */

static void rig_start(enum mmu_mode mode, uint64_t ram_size, unsigned ncpus, uint64_t vma_budget)
{
    struct mmu_options o = rig_options;

    o.mode = mode;
    o.vma_budget = vma_budget;
    memset(&rig_vm, 0, sizeof(rig_vm));
    rig_check(!ram_create(&rig_vm.ram, RIG_RAM_BASE, ram_size), "ram_create");
    rig_check(!rig_rom_size || !ram_add_rom(&rig_vm.ram, rig_rom_size), "ram_add_rom");
    rig_check(!mmu_create(&rig_vm, &o), "mmu_create");
    for (unsigned i = 0; i < ncpus; i++)
        rig_add_vcpu();
}

static void rig_stop(void)
{
    for (unsigned i = 0; i < rig_vm.ncpus; i++) {
        mmu_vcpu_destroy(rig_vm.cpu[i]);
        munmap(rig_vm.cpu[i], sizeof(struct vcpu));
    }
    for (uint64_t i = 0; i < rig_vm.mmu->npages; i++)
        rig_check(!(rig_vm.mmu->page[i] >> PAGE_MAPPED_SHIFT), "count of writable mappings");
    mmu_destroy(&rig_vm);
    ram_destroy(&rig_vm.ram);
}

static void *rig_ram(gpa_t gpa)
{
    void *p = ram_ptr(&rig_vm.ram, gpa, 8);

    rig_check(p != NULL, "ram_ptr");
    return p;
}

static inline void rig_put32(gpa_t gpa, uint32_t value)
{
    __atomic_store_n((uint32_t *)rig_ram(gpa), value, __ATOMIC_RELAXED);
}

static inline void rig_put64(gpa_t gpa, uint64_t value)
{
    __atomic_store_n((uint64_t *)rig_ram(gpa), value, __ATOMIC_RELAXED);
}

static inline uint32_t rig_get32(gpa_t gpa)
{
    return *(uint32_t *)rig_ram(gpa);
}

/* Run a call that may raise a guest exception; false when it did (rig_exc has it). */
#define RIG_TRY(call)                   \
    ({                                  \
        jmp_buf env_;                   \
        bool ok_ = !setjmp(env_);       \
        rig_catch = ok_ ? &env_ : NULL; \
        if (ok_) {                      \
            call;                       \
        }                               \
        rig_catch = NULL;               \
        ok_;                            \
    })

/*
 * A guest access of 32 bits as SPT code makes it: the window first, a fill and a retry, else the
 * slow path. Needs rig_current = v. *how: 0 hit at once, n fills, -1 slow path.
 */
static inline uint32_t rig_spt_load(struct vcpu *v, uint32_t va, uint32_t memop, int *how)
{
    bool priv = (memop & MEMOP_PRIV) && !(memop & MEMOP_USER);

    for (*how = 0;; ++*how) {
        uint64_t r = rig_asm_load(v->win_base[priv] + va);

        if (r >> 32)
            return (uint32_t)r;
        if (mmu_spt_fault(v, v->fault_addr, v->fault_error & 2, memop) != MMU_FAULT_RETRY) {
            *how = -1;
            return (uint32_t)mmu_slow_load(v, va, memop, 1);
        }
    }
}

static inline void rig_spt_store(struct vcpu *v, uint32_t va, uint32_t value, uint32_t memop,
                                 int *how)
{
    bool priv = (memop & MEMOP_PRIV) && !(memop & MEMOP_USER);

    for (*how = 0; !(rig_asm_store(v->win_base[priv] + va, value) >> 32); ++*how)
        if (mmu_spt_fault(v, v->fault_addr, v->fault_error & 2, memop) != MMU_FAULT_RETRY) {
            *how = -1;
            mmu_slow_store(v, va, value, memop, 1);
            return;
        }
}
