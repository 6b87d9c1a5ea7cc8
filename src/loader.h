/* SPDX-License-Identifier: MIT */
/*
 * Guest images: recognising a kernel file, checking it, placing it in RAM. All functions report
 * their own errors in one sentence that names the file and the mend, and return -errno.
 */
#pragma once

#include "mmu/mmu.h"

enum loader_kind { LOADER_ZIMAGE, LOADER_RAW, LOADER_ELF };

struct loader_kernel {
    enum loader_kind kind;
    gpa_t entry;     /* bit 0: start in Thumb state */
    gpa_t low, end;  /* RAM that was written: [low, end) */
    gpa_t work_end;  /* end of what it overwrites before it reads its device tree; at least `end` */
};

int loader_load_kernel(const struct ram *ram, const char *path,
                       struct loader_kernel *out) MUST_CHECK;
/* A plain file at gpa; *end = first byte after it. `what` names it in messages. */
int loader_load_file(const struct ram *ram, const char *what, const char *path, gpa_t gpa,
                     gpa_t *end) MUST_CHECK;
/* Where the boot protocol wants the initrd and the device tree: clear of the kernel and of
   what it unpacks to. */
gpa_t loader_initrd_base(const struct ram *ram, const struct loader_kernel *k);
/* A device tree file, into malloc'd memory. */
int loader_read_dtb(const char *path, void **out, size_t *size) MUST_CHECK;
