/* SPDX-License-Identifier: MIT */
/*
 * Guest images: the self-extracting ARM zImage, and the formats of other machines that are
 * mistaken for it. Linux Documentation/arm/booting.rst, arch/arm/boot/compressed/head.S (header).
 */
#include "loader_internal.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define HEADER_MAGIC 0x24u
#define HEADER_START 0x28u
#define HEADER_END 0x2cu
#define HEADER_ENDIAN 0x30u
#define HEADER_TABLE 0x38u
#define HEADER_SIZE 0x3cu
#define TABLE_MARK 0x45454545u
#define TABLE_TAG 0x5a534c4bu
#define MAGIC 0x016f2818u
#define LITTLE_ENDIAN_MARK 0x04030201u
#define BIG_ENDIAN_MARK 0x01020304u

#define MIB ((uint64_t)1 << 20)
#define HIGH_OFFSET (32 * MIB) /* where it need not move itself out of the way */
#define LOW_OFFSET 0x10000u
#define PAGE_TABLES (64u << 10) /* the decompressor's page tables and stack, generously */

bool loader_is_zimage(const struct blob *b)
{
    return b->size >= HEADER_MAGIC + 4 && loader_le32(b->data + HEADER_MAGIC) == MAGIC;
}

/*
 * How far the kernel reaches when unpacked, from the table that newer images carry: words size,
 * tag, place of the unpacked size, .bss, offset from the start of RAM, heap. 0 when there is no
 * table.
 */
static uint64_t unpacked_end(const struct blob *b, uint64_t *heap)
{
    uint32_t table = loader_le32(b->data + HEADER_TABLE);

    if (loader_le32(b->data + HEADER_TABLE - 4) != TABLE_MARK || table > b->size - 24 ||
        loader_le32(b->data + table) < 6 || loader_le32(b->data + table + 4) != TABLE_TAG) {
        return 0;
    }
    uint32_t place = loader_le32(b->data + table + 8);
    if (place > b->size - 4) {
        return 0;
    }
    *heap = loader_le32(b->data + table + 20);
    return (uint64_t)loader_le32(b->data + place) + loader_le32(b->data + table + 12) +
           loader_le32(b->data + table + 16);
}

/*
 * RAM, from its start, that the image needs until the kernel runs. One that lies in the way of
 * what it unpacks first moves itself behind that.
 */
static uint64_t needed(const struct blob *b, uint64_t offset)
{
    uint64_t heap = 0, end = unpacked_end(b, &heap), moved = end;

    if (end > offset) {
        moved = end + b->size + heap + PAGE_TABLES;
    }
    return moved > offset + b->size ? moved : offset + b->size;
}

int loader_load_zimage(const struct ram *ram, const char *path, const struct blob *b,
                       struct loader_kernel *out)
{
    uint64_t offset = ram->size >= 128 * MIB ? HIGH_OFFSET : LOW_OFFSET;

    if (b->size < HEADER_SIZE) {
        log_error("kernel %s: truncated zImage, %zu bytes are not even its header; fetch it again",
                  path, b->size);
        return -ENOEXEC;
    }
    uint32_t size = loader_le32(b->data + HEADER_END) - loader_le32(b->data + HEADER_START);
    if (loader_le32(b->data + HEADER_ENDIAN) == BIG_ENDIAN_MARK) {
        log_error("kernel %s: a big-endian zImage; a little-endian one is needed", path);
        return -ENOEXEC;
    }
    if (size < HEADER_SIZE || size > b->size) {
        log_error("kernel %s: truncated zImage, the header says %" PRIu32
                  " bytes and the file has %zu; fetch it again",
                  path, size, b->size);
        return -ENOEXEC;
    }
    uint64_t heap;
    /* Kernels with a table are younger than the last one of that board, by years. */
    if (unpacked_end(b, &heap) == 0 && loader_is_old_goldfish(b)) {
        log_error("kernel %s: made for the Android emulator's older board goldfish (one CPU, no "
                  "device tree), which does not exist here; a ranchu kernel (kernel-ranchu or "
                  "kernel-qemu2, Linux 3.10 or later) is needed",
                  path);
        return -ENOEXEC;
    }
    /* All of the file, not only what the header says: a device tree may be appended. */
    gpa_t at = ram->base + offset;
    *out = (struct loader_kernel){
        .kind = LOADER_ZIMAGE, .entry = at, .low = at, .end = at + b->size};
    uint64_t need = needed(b, offset);
    out->work_end = ram->base + need;
    if (need > ram->size) {
        log_error("kernel %s: needs %" PRIu64 " MiB of RAM to unpack itself and there are %" PRIu64
                  "; give the guest more with -m",
                  path, (need + MIB - 1) / MIB, ram->size / MIB);
        return -ENOSPC;
    }
    return loader_place(ram, "kernel", path, at, b->data, b->size);
}

static bool has(const struct blob *b, size_t at, const char *bytes, size_t n)
{
    return b->size >= at + n && memcmp(b->data + at, bytes, n) == 0;
}

const char *loader_foreign_format(const struct blob *b)
{
    if (has(b, 0x38, "ARM\x64", 4)) {
        return "an arm64 (64-bit ARM) kernel image";
    }
    if (has(b, 0x202, "HdrS", 4)) {
        return "an x86 kernel (bzImage)";
    }
    if (has(b, 0x30, "RISCV\0\0\0", 8)) {
        return "a RISC-V kernel image";
    }
    if (has(b, 0, "\x27\x05\x19\x56", 4)) {
        return "a U-Boot image (uImage)";
    }
    if (has(b, 0, "\xd0\x0d\xfe\xed", 4)) {
        return "a device tree or FIT image";
    }
    if (has(b, 0, "\xfd" "7zXZ\0", 6)) {
        return "an xz-compressed file (unpack it first)";
    }
    if (has(b, 0, "\x28\xb5\x2f\xfd", 4)) {
        return "a zstd-compressed file (unpack it first)";
    }
    if (has(b, 0, "\x02\x21\x4c\x18", 4) || has(b, 0, "\x04\x22\x4d\x18", 4)) {
        return "an LZ4-compressed file (unpack it first)";
    }
    if (has(b, 0, "VNDRBOOT", 8)) {
        return "an Android vendor_boot image, which has no kernel";
    }
    if (has(b, 0, "\x3a\xff\x26\xed", 4)) {
        return "an Android sparse image of a disk";
    }
    if (has(b, 0, "MZ", 2) && has(b, 4, "zimg", 4)) {
        return "an EFI zboot kernel of another architecture";
    }
    return NULL;
}
