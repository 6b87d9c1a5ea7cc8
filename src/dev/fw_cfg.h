/* SPDX-License-Identifier: MIT */
/*
 * Firmware configuration device (fw_cfg), memory-mapped form with DMA: items of read-only bytes
 * chosen by a selector, and a directory of named files.
 */
#pragma once

#include "dev/bus.h"

struct dt;
struct fw_cfg;
struct vm;

int fw_cfg_create(struct vm *vm, gpa_t base, struct fw_cfg **out) MUST_CHECK;
void fw_cfg_destroy(struct fw_cfg *f);
void fw_cfg_reset(struct fw_cfg *f);
/* Add a named file; `data` is copied. Before the machine runs. -ENOSPC, -EEXIST,
   -ENAMETOOLONG, -ENOMEM. */
int fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data, size_t size) MUST_CHECK;
void fw_cfg_fdt(struct dt *d, gpa_t base);
