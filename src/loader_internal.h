/* SPDX-License-Identifier: MIT */
/*
 * Private to loader*.c.
 */
#pragma once

#include "loader.h"

/* A file's bytes in memory. */
struct blob {
    uint8_t *data;
    size_t size;
};

/* Read a whole file of at most `max` bytes; reports its own errors. */
int loader_read_file(const char *what, const char *path, uint64_t max, struct blob *out) MUST_CHECK;
bool loader_is_gzip(const struct blob *b);
/* Replace a gzip'd blob by what it holds, at most `max` bytes; reports its own errors. */
int loader_gunzip(const char *path, uint64_t max, struct blob *b) MUST_CHECK;

/* loader_elf.c, loader_zimage.c: is it one; then load it. */
bool loader_is_elf(const struct blob *b);
int loader_load_elf(const struct ram *ram, const char *path, const struct blob *b,
                    struct loader_kernel *out) MUST_CHECK;
bool loader_is_zimage(const struct blob *b);
int loader_load_zimage(const struct ram *ram, const char *path, const struct blob *b,
                       struct loader_kernel *out) MUST_CHECK;
/* loader_goldfish.c: is it for the Android emulator's older board, by what it unpacks to? */
bool loader_is_old_goldfish(const struct blob *zimage);
/* loader_bootimg.c: replace an Android boot image by the kernel in it. */
bool loader_is_bootimg(const struct blob *b);
int loader_open_bootimg(const char *path, struct blob *b, struct loader_boot *out) MUST_CHECK;
/* Known formats of other machines, told apart so that the user learns what is wrong; NULL when
   none. */
const char *loader_foreign_format(const struct blob *b);

/* Copy to RAM; reports when it does not fit. */
int loader_place(const struct ram *ram, const char *what, const char *path, gpa_t gpa,
                 const uint8_t *data, size_t size) MUST_CHECK;

static inline uint32_t loader_le32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint32_t loader_le16(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}
