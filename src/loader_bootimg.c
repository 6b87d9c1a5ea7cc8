/* SPDX-License-Identifier: MIT */
/*
 * Guest images: the Android boot image, a header page followed by the kernel and the initial RAM
 * disk, each filled up to whole pages. Header versions 0 to 4 (Android's documentation, "Boot image
 * header"); numbers are little endian:
 *
 *   version                0   1   2    3   4
 *   kernel size            8   8   8    8   8
 *   RAM disk size          16  16  16   12  12
 *   page size              36  36  36   always 4096
 *   header version         40  40  40   40  40
 *   command line           64 (512 bytes), 608 (1024 more)   44 (1536 bytes)
 *   header size            -   1644     20
 *
 * Version 0 images of some vendors have the size of a device tree table where the version is now.
 * Load addresses, the second stage and device trees describe the phone, not our board, so they are
 * not used. Every size in the header is checked against the file.
 */
#include "loader_internal.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define VERSION_AT 40u
#define LAST_VERSION 4u
#define OLD_HEADER 1632u          /* version 0 */
#define OLD_TABLE_MIN 1024u       /* at least this: a vendor's device tree table, not a version */
#define NEW_PAGE 4096u
#define MAX_CMDLINE 1536u

struct header {
    uint32_t version, page;
    uint32_t kernel_size, ramdisk_size;
    char cmdline[MAX_CMDLINE + 1];
};

bool loader_is_bootimg(const struct blob *b)
{
    return b->size >= 8 && memcmp(b->data, "ANDROID!", 8) == 0;
}

/* Append at most n bytes of text that may lack its NUL. */
static void add_text(char *to, const uint8_t *text, size_t n)
{
    size_t used = strlen(to), length = strnlen((const char *)text, n);

    memcpy(to + used, text, length);
    to[used + length] = '\0';
}

static int corrupt(const char *path, const char *what, uint32_t value)
{
    log_error("kernel %s: a damaged Android boot image: %s %" PRIu32, path, what, value);
    return -ENOEXEC;
}

static int read_old(const char *path, const struct blob *b, struct header *h)
{
    static const uint16_t size[] = {OLD_HEADER, 1648, 1660};

    if (b->size < size[h->version]) {
        return corrupt(path, "it ends within its header, at byte", (uint32_t)b->size);
    }
    if (h->version > 0 && loader_le32(b->data + 1644) != size[h->version]) {
        return corrupt(path, "its header size is", loader_le32(b->data + 1644));
    }
    h->ramdisk_size = loader_le32(b->data + 16);
    h->page = loader_le32(b->data + 36);
    if (h->page < 2048 || h->page > 131072 || (h->page & (h->page - 1)) != 0) {
        return corrupt(path, "its page size is", h->page);
    }
    add_text(h->cmdline, b->data + 64, 512);
    add_text(h->cmdline, b->data + 608, 1024);
    return 0;
}

static int read_new(const char *path, const struct blob *b, struct header *h)
{
    uint32_t size = h->version == 3 ? 1580 : 1584;

    if (b->size < size) {
        return corrupt(path, "it ends within its header, at byte", (uint32_t)b->size);
    }
    /* Early tools of version 3 wrote 1596 with the same layout. */
    if (loader_le32(b->data + 20) < size || loader_le32(b->data + 20) > NEW_PAGE) {
        return corrupt(path, "its header size is", loader_le32(b->data + 20));
    }
    h->ramdisk_size = loader_le32(b->data + 12);
    h->page = NEW_PAGE;
    add_text(h->cmdline, b->data + 44, MAX_CMDLINE);
    return 0;
}

static int read_header(const char *path, const struct blob *b, struct header *h)
{
    if (b->size < VERSION_AT + 4) {
        return corrupt(path, "it ends within its header, at byte", (uint32_t)b->size);
    }
    *h = (struct header){.version = loader_le32(b->data + VERSION_AT),
                         .kernel_size = loader_le32(b->data + 8)};
    if (h->version >= OLD_TABLE_MIN) {
        h->version = 0;
    }
    if (h->version > LAST_VERSION) {
        log_error("kernel %s: an Android boot image with header version %" PRIu32
                  "; versions 0 to 4 are known",
                  path, h->version);
        return -ENOEXEC;
    }
    return h->version <= 2 ? read_old(path, b, h) : read_new(path, b, h);
}

/* A copy of `size` bytes at `at` of the file. */
static int take(const char *path, const char *what, const struct blob *b, uint64_t at,
                uint32_t size, struct blob *out)
{
    *out = (struct blob){0};
    if (at > b->size || size > b->size - at) {
        log_error("kernel %s: a truncated Android boot image: its %s of %" PRIu32
                  " bytes begins at byte %" PRIu64 " and the file has %zu",
                  path, what, size, at, b->size);
        return -ENOEXEC;
    }
    if (size > 0) {
        out->data = malloc(size);
        if (out->data == NULL) {
            return -ENOMEM;
        }
        memcpy(out->data, b->data + at, size);
        out->size = size;
    }
    return 0;
}

static uint64_t pages(const struct header *h, uint32_t size)
{
    return ((uint64_t)size + h->page - 1) / h->page * h->page;
}

int loader_open_bootimg(const char *path, struct blob *b, struct loader_boot *out)
{
    struct blob kernel, ramdisk = {0};
    struct header h;
    int err = read_header(path, b, &h);

    if (err != 0) {
        return err;
    }
    if (h.kernel_size == 0) {
        log_error("kernel %s: an Android boot image without a kernel; give one with -kernel and "
                  "the RAM disk with -initrd",
                  path);
        return -ENOEXEC;
    }
    err = take(path, "kernel", b, h.page, h.kernel_size, &kernel);
    if (err == 0) {
        err = take(path, "RAM disk", b, h.page + pages(&h, h.kernel_size), h.ramdisk_size,
                   &ramdisk);
    }
    char *cmdline = err == 0 ? strdup(h.cmdline) : NULL;
    if (err != 0 || cmdline == NULL) {
        free(kernel.data);
        free(ramdisk.data);
        return err != 0 ? err : -ENOMEM;
    }
    free(b->data);
    *b = kernel;
    *out = (struct loader_boot){
        .ramdisk = ramdisk.data, .ramdisk_size = ramdisk.size, .cmdline = cmdline};
    return 0;
}
