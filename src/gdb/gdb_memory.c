/* SPDX-License-Identifier: MIT */
/*
 * Guest memory for the debugger: by virtual address as the selected vCPU translates it now (rights
 * do not matter, the MMU may be off), or by physical address. RAM goes through the flat view;
 * devices are accessed in naturally aligned pieces of at most 4 bytes, with all their side effects.
 *
 * The stub's thread, while all vCPUs are parked.
 */
#include "gdb/gdb_internal.h"

#include "dev/bus.h"
#include "mmu/mmu.h"
#include "vcpu/arm.h"

#include <string.h>

/* Physical address of a byte; false: not mapped. */
static bool to_gpa(struct gdb *g, uint64_t addr, gpa_t *gpa)
{
    struct mmu_translation t;
    struct vcpu *v = g->vm->cpu[g->cpu];

    if (g->physical) {
        *gpa = addr;
        return true;
    }
    /* An execute-only or user-only page is readable for one of the others. */
    if (addr >> 32 || (!mmu_translate(v, addr, MMU_READ, true, &t) &&
                       !mmu_translate(v, addr, MMU_READ, false, &t) &&
                       !mmu_translate(v, addr, MMU_EXEC, true, &t)))
        return false;
    *gpa = t.gpa;
    return true;
}

/* Bytes up to the end of the page. */
static size_t page_piece(uint64_t addr, size_t len)
{
    uint64_t left = GUEST_PAGE_SIZE - (addr & ~GUEST_PAGE_MASK);

    return len < left ? len : (size_t)left;
}

static unsigned device_piece(gpa_t gpa, size_t len)
{
    unsigned size = 4;

    while (size > len || (gpa & (size - 1)))
        size /= 2;
    return size;
}

static size_t device_read(struct gdb *g, gpa_t gpa, uint8_t *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        unsigned size = device_piece(gpa + done, len - done);
        uint64_t value;

        if (!bus_read(g->vm->bus, g->vm->cpu[g->cpu], gpa + done, size, &value))
            break;
        memcpy(buf + done, &value, size);
        done += size;
    }
    return done;
}

static size_t device_write(struct gdb *g, gpa_t gpa, const uint8_t *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        unsigned size = device_piece(gpa + done, len - done);
        uint64_t value = 0;

        memcpy(&value, buf + done, size);
        if (!bus_write(g->vm->bus, g->vm->cpu[g->cpu], gpa + done, size, value))
            break;
        done += size;
    }
    return done;
}

size_t gdb_memory_read_stopped(struct gdb *g, uint64_t addr, void *buf, size_t len)
{
    uint8_t *out = buf;
    size_t done = 0;

    while (done < len) {
        size_t n = page_piece(addr + done, len - done), got = n;
        gpa_t gpa;
        const void *ram;

        if (!to_gpa(g, addr + done, &gpa))
            break;
        ram = ram_ptr(&g->vm->ram, gpa, n);
        if (ram)
            memcpy(out + done, ram, n);
        else
            got = device_read(g, gpa, out + done, n);
        done += got;
        if (got < n)
            break;
    }
    return done;
}

size_t gdb_memory_write_stopped(struct gdb *g, uint64_t addr, const void *buf, size_t len)
{
    const uint8_t *in = buf;
    size_t done = 0;

    while (done < len) {
        size_t n = page_piece(addr + done, len - done), got = n;
        gpa_t gpa;
        void *ram;

        if (!to_gpa(g, addr + done, &gpa))
            break;
        ram = ram_ptr(&g->vm->ram, gpa, n);
        if (ram) {
            memcpy(ram, in + done, n);
            debug_written_stopped(g->vm, gpa, n);
        } else {
            got = device_write(g, gpa, in + done, n);
        }
        done += got;
        if (got < n)
            break;
    }
    return done;
}
