/* SPDX-License-Identifier: MIT */
/*
 * pvpanic-mmio: a byte by which a guest tells that it has panicked. Specified with the mainstream
 * emulator (docs/specs/pvpanic), device tree binding qemu,pvpanic-mmio.
 */
#pragma once

#include "dev/bus.h"

struct dt;
struct vm;

int pvpanic_create(struct vm *vm, gpa_t base) MUST_CHECK; /* no state; -errno */
void pvpanic_fdt(struct dt *d, gpa_t base);
