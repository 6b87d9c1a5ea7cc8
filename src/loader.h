/* SPDX-License-Identifier: MIT */
/*
 * Guest images: recognising a kernel file, checking it, placing it in RAM. All functions report
 * their own errors in one sentence that names the file and the mend, and return -errno.
 */
#pragma once

#include "mmu/mmu.h"

enum loader_kind { LOADER_ZIMAGE, LOADER_RAW, LOADER_ELF };

/* What an Android boot image holds beside the kernel; malloc'd, NULL when there is none. */
struct loader_boot {
    uint8_t *ramdisk;
    size_t ramdisk_size;
    char *cmdline;
};

struct loader_kernel {
    enum loader_kind kind;
    gpa_t entry;     /* bit 0: start in Thumb state */
    gpa_t low, end;  /* RAM that was written: [low, end) */
    gpa_t work_end;  /* end of what it overwrites before it reads its device tree; at least `end` */
    struct loader_boot boot;
};

int loader_load_kernel(const struct ram *ram, const char *path,
                       struct loader_kernel *out) MUST_CHECK;
/* What the kernel structure owns, after a load that succeeded. */
void loader_free_kernel(struct loader_kernel *k);
/* The RAM disk of the boot image `path` at gpa; *end as below. There is one. */
int loader_load_ramdisk(const struct ram *ram, const char *path, const struct loader_boot *boot,
                        gpa_t gpa, gpa_t *end) MUST_CHECK;
/* A plain file at gpa; *end = first byte after it. `what` names it in messages. */
int loader_load_file(const struct ram *ram, const char *what, const char *path, gpa_t gpa,
                     gpa_t *end) MUST_CHECK;
/* Where the boot protocol wants the initrd and the device tree: clear of the kernel and of
   what it unpacks to. */
gpa_t loader_initrd_base(const struct ram *ram, const struct loader_kernel *k);
/* A device tree file, into malloc'd memory. */
int loader_read_dtb(const char *path, void **out, size_t *size) MUST_CHECK;
