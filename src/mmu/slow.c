/* SPDX-License-Identifier: MIT */
/*
 * Slow paths of guest loads and stores, called from generated code on the owning thread: soft-TLB
 * misses, devices, unaligned and page-crossing accesses, alignment faults, watched code pages, and
 * in SPT mode everything a window does not map. They return the value or raise the guest exception.
 *
 * Order of checks as the architecture has it (B3.13.2): alignment that does not depend on the
 * memory type, then the MMU for every page touched, then alignment by memory type; nothing is
 * written before all of them passed. RAM accesses are single-copy atomic when naturally aligned,
 * and so is each element of an access that is made of several (A3.5.3).
 */
#include "mmu_internal.h"

#include "base/inject.h"
#include "base/log.h"
#include "base/stats.h"
#include "dev/bus.h"
#include "tcg/ir/ir.h"
#include "tcg/tcg.h"

#include <inttypes.h>
#include <string.h>

struct access {
    struct vcpu *v;
    uint32_t va;
    unsigned size; /* bytes */
    uint32_t memop;
    enum mmu_access kind;
    uintptr_t ra;
};

static bool is_privileged(uint32_t memop)
{
    return (memop & MEMOP_PRIV) && !(memop & MEMOP_USER);
}

static _Noreturn void raise_abort(const struct access *a, uint32_t fsr, gva_t far)
{
    if (log_on(LOG_MMU))
        log_printf("cpu%u: data abort, fsr %03x far %08" PRIx64 "\n", a->v->index, fsr, far);
    vcpu_raise(a->v, a->ra, ARM_EXC_DABT, fsr, far);
}

static _Noreturn void raise_fault(const struct access *a, enum walk_fault f, gva_t far)
{
    raise_abort(a, mmu_fault_status(arm_mmu_regs(a->v), f, 1, 0, a->kind), far);
}

static void locate(const struct access *a, gva_t va, struct located *at)
{
    struct guest_fault f;

    if (!softtlb_locate(a->v, va, a->kind, is_privileged(a->memop), at, &f))
        raise_abort(a, f.fsr, f.far);
    INJECT_MEET(LOCATED);
    for (unsigned i = INJECT(SERVE_IN_FLIGHT) ? 16 : 0; i; i--) {
        mmu_serve_requests(a->v);
        INJECT_MEET(LOCATED);
    }
}

static bool unaligned(const struct access *a)
{
    return a->va & (a->size - 1);
}

/* Alignment that is required whatever the memory; the translator knows what SCTLR.A asks of it. */
static void check_alignment(const struct access *a)
{
    if ((unaligned(a) && (a->memop & MEMOP_ALIGN)) || ((a->memop & MEMOP_ALIGN4) && (a->va & 3)))
        raise_fault(a, FAULT_ALIGNMENT, a->va);
}

static void check_watched(const struct access *a)
{
    if (a->v->vm->debug.nwatch)
        debug_check_access(a->v, a->va, a->size, a->kind, a->ra);
}

static bool crosses_page(const struct access *a)
{
    return (a->va & ~(uint32_t)GUEST_PAGE_MASK) + a->size > GUEST_PAGE_SIZE;
}

/* ---- RAM ---- */
static uint64_t ram_load(const uint8_t *p, unsigned size)
{
    uint64_t value = 0;

    if ((uintptr_t)p & (size - 1)) {
        memcpy(&value, p, size);
        return value;
    }
    switch (size) {
    case 1:
        return __atomic_load_n(p, __ATOMIC_RELAXED);
    case 2:
        return __atomic_load_n((const uint16_t *)p, __ATOMIC_RELAXED);
    case 4:
        return __atomic_load_n((const uint32_t *)p, __ATOMIC_RELAXED);
    default:
        return __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
    }
}

static void ram_store(uint8_t *p, uint64_t value, unsigned size)
{
    if ((uintptr_t)p & (size - 1)) {
        memcpy(p, &value, size);
        return;
    }
    switch (size) {
    case 1:
        __atomic_store_n(p, (uint8_t)value, __ATOMIC_RELAXED);
        break;
    case 2:
        __atomic_store_n((uint16_t *)p, (uint16_t)value, __ATOMIC_RELAXED);
        break;
    case 4:
        __atomic_store_n((uint32_t *)p, (uint32_t)value, __ATOMIC_RELAXED);
        break;
    default:
        __atomic_store_n((uint64_t *)p, value, __ATOMIC_RELAXED);
    }
}

/* ---- one located piece, in memory order ---- */
static uint64_t piece_load(const struct access *a, const struct located *at, gva_t va,
                           unsigned size)
{
    uint64_t value = 0;

    if (at->host)
        return ram_load(at->host, size);
    STAT_INC(&stats_vcpu[a->v->index], mmio_exits);
    if (!bus_read(a->v->vm->bus, a->v, at->gpa, size, &value))
        raise_fault(a, FAULT_EXTERNAL, va);
    return value;
}

static void piece_store(const struct access *a, const struct located *at, gva_t va, uint64_t value,
                        unsigned size)
{
    if (at->host) {
        ram_store(at->host, value, size);
        return;
    }
    STAT_INC(&stats_vcpu[a->v->index], mmio_exits);
    if (!bus_write(a->v->vm->bus, a->v, at->gpa, size, value))
        raise_fault(a, FAULT_EXTERNAL, va);
}

/* ---- where it is and in which pieces ---- */
/*
 * Both pages of a crossing access, checked before anything happens. The second lookup may evict
 * nothing of the first: a `struct located` is a copy, valid until this vCPU serves requests.
 */
static void locate_all(const struct access *a, struct located at[2])
{
    locate(a, a->va, &at[0]);
    if (crosses_page(a))
        locate(a, (a->va + a->size - 1) & (uint32_t)GUEST_PAGE_MASK, &at[1]);
    else
        at[1] = at[0];
}

/*
 * Bytes to move at once. An unaligned access is its elements to devices, Device memory and two
 * pages. Elements that are unaligned themselves go byte by byte to what the guest calls Normal but
 * is a device, and fault in Device memory.
 */
static unsigned piece_size(const struct access *a, const struct located at[2])
{
    unsigned element = 1u << MEMOP_ELEMENT(a->memop);
    bool device = at[0].device || at[1].device;

    if (!unaligned(a) || (at[0].host && !device && !crosses_page(a)))
        return a->size;
    if (!(a->va & (element - 1)))
        return element;
    if (device)
        raise_fault(a, FAULT_ALIGNMENT, a->va);
    return 1;
}

/* The piece at byte `off` of the access. */
static struct located piece_at(const struct access *a, const struct located at[2], unsigned off)
{
    uint32_t va = a->va + off;
    bool second = (va ^ a->va) & (uint32_t)GUEST_PAGE_MASK;
    uint64_t skip = second ? va & ~(uint32_t)GUEST_PAGE_MASK : off;

    return (struct located){.host = at[second].host ? at[second].host + skip : NULL,
                            .gpa = at[second].gpa + skip};
}

static uint64_t swap_bytes(uint64_t value, unsigned size)
{
    return size == 1 ? value : __builtin_bswap64(value) >> (64 - 8 * size);
}

static uint64_t extend(uint64_t value, uint32_t memop, unsigned size)
{
    unsigned spare = 64 - 8 * size;

    if (!(memop & MEMOP_SIGN) || !spare)
        return value;
    return (uint64_t)((int64_t)(value << spare) >> spare);
}

uint64_t mmu_slow_load(struct vcpu *v, gva_t gva, uint32_t memop, uintptr_t ra)
{
    struct access a = {v, (uint32_t)gva, 1u << MEMOP_SIZE(memop), memop, MMU_READ, ra};
    struct located at[2];
    uint64_t value = 0;
    unsigned step;

    check_alignment(&a);
    check_watched(&a);
    locate_all(&a, at);
    step = piece_size(&a, at);
    for (unsigned off = 0; off < a.size; off += step) {
        struct located piece = piece_at(&a, at, off);

        value |= piece_load(&a, &piece, a.va + off, step) << 8 * off;
    }
    if (memop & MEMOP_BSWAP)
        value = swap_bytes(value, a.size);
    return extend(value, memop, a.size);
}

void mmu_slow_store(struct vcpu *v, gva_t gva, uint64_t value, uint32_t memop, uintptr_t ra)
{
    struct access a = {v, (uint32_t)gva, 1u << MEMOP_SIZE(memop), memop, MMU_WRITE, ra};
    struct located at[2];
    unsigned step;

    check_alignment(&a);
    check_watched(&a);
    value &= UINT64_MAX >> (64 - 8 * a.size);
    if (memop & MEMOP_BSWAP)
        value = swap_bytes(value, a.size);
    locate_all(&a, at);
    step = piece_size(&a, at);
    for (unsigned off = 0; off < a.size; off += step) {
        struct located piece = piece_at(&a, at, off);
        uint64_t part = value >> 8 * off & UINT64_MAX >> (64 - 8 * step);

        piece_store(&a, &piece, a.va + off, part, step);
    }
}

void *mmu_helper_host(struct vcpu *v, gva_t gva, enum mmu_access access, uint32_t memop,
                      uintptr_t ra, gpa_t *gpa)
{
    struct access a = {v, (uint32_t)gva, 1u << MEMOP_SIZE(memop), memop, access, ra};
    struct located at;

    if (unaligned(&a))
        raise_fault(&a, FAULT_ALIGNMENT, a.va);
    check_watched(&a);
    locate(&a, a.va, &at);
    if (gpa)
        *gpa = at.gpa;
    return at.host;
}

bool mmu_fetch_page(struct vcpu *v, gva_t pc, struct mmu_fetch *out)
{
    struct located at;
    struct guest_fault f;

    *out = (struct mmu_fetch){0};
    if (!softtlb_locate(v, (uint32_t)pc, MMU_EXEC, v->exec_flags & EXEC_PRIV, &at, &f)) {
        out->fsr = f.fsr;
        out->far = (uint32_t)f.far;
        return false;
    }
    if (!at.host) {
        out->fsr = mmu_fault_status(arm_mmu_regs(v), FAULT_EXTERNAL, 1, 0, MMU_EXEC);
        out->far = (uint32_t)pc;
        return false;
    }
    if (at.local)
        context_leave_class(v);
    softtlb_note_fetch(v, pc);
    out->page = at.host - (pc & ~GUEST_PAGE_MASK);
    out->gpa = at.gpa;
    return true;
}
