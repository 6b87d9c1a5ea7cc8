/* SPDX-License-Identifier: MIT */
/*
 * Guest images: which format a kernel file has, and where raw binaries, the initial RAM disk and
 * the device tree go. Runs on the main thread while no vCPU runs.
 *
 * RAM layout, from the start of RAM: 64 KiB: raw binaries (as the well-known board loads them);
 * 32 MiB: zImage, so that it need not move before it unpacks itself to the start; min(half of RAM,
 * 128 MiB): initial RAM disk, then the device tree. Linux Documentation/arm/booting.rst.
 */
#include "loader_internal.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RAW_OFFSET 0x10000u
#define MIB ((uint64_t)1 << 20)

static uint64_t to_mib(uint64_t bytes)
{
    return (bytes + MIB - 1) / MIB;
}

int loader_place(const struct ram *ram, const char *what, const char *path, gpa_t gpa,
                 const uint8_t *data, size_t size)
{
    void *p = size > 0 ? ram_ptr(ram, gpa, size) : NULL;

    if (p == NULL) {
        log_error("%s %s: does not fit (%" PRIu64 " MiB at 0x%" PRIx64 ", RAM is %" PRIu64
                  " MiB); give the guest more with -m",
                  what, path, to_mib(size), gpa, to_mib(ram->size));
        return -ENOSPC;
    }
    memcpy(p, data, size);
    return 0;
}

static int load_raw(const struct ram *ram, const char *path, const struct blob *b,
                    struct loader_kernel *out)
{
    gpa_t at = ram->base + RAW_OFFSET;
    int err = loader_place(ram, "kernel", path, at, b->data, b->size);

    *out = (struct loader_kernel){.kind = LOADER_RAW, .entry = at, .low = at, .end = at + b->size};
    out->work_end = out->end;
    return err;
}

static int load_any(const struct ram *ram, const char *path, const struct blob *b,
                    struct loader_kernel *out)
{
    const char *foreign;

    if (loader_is_elf(b)) {
        return loader_load_elf(ram, path, b, out);
    }
    if (loader_is_zimage(b)) {
        return loader_load_zimage(ram, path, b, out);
    }
    foreign = loader_foreign_format(b);
    if (foreign != NULL) {
        log_error("kernel %s: this is %s; a 32-bit ARM zImage, ELF or raw binary is needed", path,
                  foreign);
        return -ENOEXEC;
    }
    return load_raw(ram, path, b, out);
}

int loader_load_kernel(const struct ram *ram, const char *path, struct loader_kernel *out)
{
    struct blob b;
    struct loader_boot boot = {0};
    int err = loader_read_file("kernel", path, ram->size, &b);

    if (err != 0) {
        return err;
    }
    if (loader_is_bootimg(&b)) {
        err = loader_open_bootimg(path, &b, &boot);
    }
    if (err == 0 && loader_is_gzip(&b)) {
        err = loader_gunzip(path, ram->size, &b);
    }
    if (err == 0) {
        err = load_any(ram, path, &b, out);
    }
    free(b.data);
    if (err != 0) {
        free(boot.ramdisk);
        free(boot.cmdline);
        return err;
    }
    out->boot = boot;
    return 0;
}

void loader_free_kernel(struct loader_kernel *k)
{
    free(k->boot.ramdisk);
    free(k->boot.cmdline);
    k->boot = (struct loader_boot){0};
}

int loader_load_ramdisk(const struct ram *ram, const char *path, const struct loader_boot *boot,
                        gpa_t gpa, gpa_t *end)
{
    *end = gpa + boot->ramdisk_size;
    return loader_place(ram, "RAM disk of", path, gpa, boot->ramdisk, boot->ramdisk_size);
}

int loader_load_file(const struct ram *ram, const char *what, const char *path, gpa_t gpa,
                     gpa_t *end)
{
    struct blob b;
    int err = loader_read_file(what, path, ram->size, &b);

    if (err != 0) {
        return err;
    }
    err = loader_place(ram, what, path, gpa, b.data, b.size);
    *end = gpa + b.size;
    free(b.data);
    return err;
}

gpa_t loader_initrd_base(const struct ram *ram, const struct loader_kernel *k)
{
    uint64_t half = ram->size / 2;
    gpa_t base = ram->base + (half < 128 * MIB ? half : 128 * MIB);

    if (k->work_end > base) {
        base = k->work_end;
    }
    return (base + GUEST_PAGE_SIZE - 1) & GUEST_PAGE_MASK;
}

#define MAX_DTB (2 * MIB)

int loader_read_dtb(const char *path, void **out, size_t *size)
{
    struct blob b;
    int err = loader_read_file("device tree", path, MAX_DTB, &b);

    if (err == 0) {
        *out = b.data;
        *size = b.size;
    }
    return err;
}
