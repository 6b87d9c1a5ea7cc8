/* SPDX-License-Identifier: MIT */
/*
 * NOR flash: a bank of 64 MiB of two x16 chips side by side (32 bits), Intel command set, blocks of
 * 256 KiB. The array is a host file, mapped, so what the guest programs survives the emulator.
 */
#pragma once

#include "dev/bus.h"

struct cfi_flash;
struct dt;
struct vm;

#define CFI_FLASH_SIZE ((uint64_t)64 << 20)

/* What fills a bank. */
struct cfi_flash_image {
    const char *option; /* for messages: "-bios" or "-drive if=pflash" */
    const char *file;   /* NULL: zeroes, forgotten in the end */
    bool readonly;      /* the guest cannot program it */
    bool forget;        /* the guest can, the file stays as it is */
    bool shorter;       /* the file may be smaller than the bank */
};

/* A bank at base, over vm->ram.rom. Reports its own errors; -errno. */
int cfi_flash_create(struct vm *vm, gpa_t base, const struct cfi_flash_image *image,
                     struct cfi_flash **out) MUST_CHECK;
void cfi_flash_destroy(struct cfi_flash *f);
/* No vCPU runs. */
void cfi_flash_reset(struct cfi_flash *f);
/* One node for two banks. */
void cfi_flash_fdt(struct dt *d, gpa_t bank0, gpa_t bank1);
