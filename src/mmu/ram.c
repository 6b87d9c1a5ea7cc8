/* SPDX-License-Identifier: MIT */
/*
 * Guest RAM: one memfd, mapped once, linearly (the flat view). Devices, page walks, code fetch and
 * slow paths use the flat view; SPT windows map pieces of the same file.
 *
 * Nothing is allocated until the guest touches it: the file is sparse and the mapping not reserved,
 * so RAM beyond what the host could back is no error. The flat view has inaccessible guards.
 * ram_ptr() may be called by any thread; the rest by the thread that owns the machine.
 */
#include "mmu/mmu.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define RAM_ALIGN ((uint64_t)2 << 20) /* so that host huge pages and guest blocks line up */
#define RAM_GUARD RAM_ALIGN

/* Reserve size + guards, aligned; the address of the part between the guards. */
static uint8_t *reserve(uint64_t size)
{
    uint64_t len = size + 2 * RAM_GUARD + RAM_ALIGN;
    uint8_t *p = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    uint8_t *aligned;

    if (p == MAP_FAILED)
        return NULL;
    aligned = (uint8_t *)(((uintptr_t)p + RAM_ALIGN - 1) & ~(uintptr_t)(RAM_ALIGN - 1));
    if (aligned != p)
        munmap(p, (size_t)(aligned - p));
    munmap(aligned + size + 2 * RAM_GUARD, len - (size_t)(aligned - p) - size - 2 * RAM_GUARD);
    return aligned + RAM_GUARD;
}

static int map_flat(struct ram *ram)
{
    if (ftruncate(ram->fd, (off_t)ram->size))
        return -errno;
    ram->flat = reserve(ram->size);
    if (!ram->flat)
        return -ENOMEM;
    if (mmap(ram->flat, ram->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE,
             ram->fd, 0) == MAP_FAILED)
        return -errno;
    madvise(ram->flat, ram->size, MADV_DONTDUMP);
    return 0;
}

int ram_create(struct ram *ram, gpa_t base, uint64_t size)
{
    int err;

    *ram = (struct ram){.fd = -1, .base = base, .size = size};
    if (!size || size % GUEST_PAGE_SIZE || size > (uint64_t)1 << 40)
        return -EINVAL;
    ram->fd = memfd_create("umbra-ram", MFD_CLOEXEC);
    if (ram->fd < 0)
        return -errno;
    err = map_flat(ram);
    if (err)
        ram_destroy(ram);
    return err;
}

void ram_destroy(struct ram *ram)
{
    if (ram->flat)
        munmap(ram->flat - RAM_GUARD, ram->size + 2 * RAM_GUARD);
    if (ram->rom)
        munmap(ram->rom, ram->rom_size);
    ram->rom = NULL;
    if (ram->fd >= 0)
        close(ram->fd);
    ram->flat = NULL;
    ram->fd = -1;
}

void *ram_ptr(const struct ram *ram, gpa_t gpa, uint64_t len)
{
    if (gpa < ram->base || gpa - ram->base >= ram->size || len > ram->size - (gpa - ram->base))
        return NULL;
    return ram->flat + (gpa - ram->base);
}

int ram_add_rom(struct ram *ram, uint64_t size)
{
    void *p;

    if (!size || size % GUEST_PAGE_SIZE || size > ram->base || ram->rom)
        return -EINVAL;
    p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
             0);
    if (p == MAP_FAILED)
        return -errno;
    madvise(p, size, MADV_DONTDUMP);
    ram->rom = p;
    ram->rom_size = size;
    return 0;
}

const void *ram_read_ptr(const struct ram *ram, gpa_t gpa, uint64_t len)
{
    if (gpa < ram->rom_size)
        return len <= ram->rom_size - gpa ? ram->rom + gpa : NULL;
    return ram_ptr(ram, gpa, len);
}
