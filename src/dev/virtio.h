/* SPDX-License-Identifier: MIT */
/*
 * virtio-mmio slots as the board sees them. The transport keeps its state in vm->virtio[slot].
 */
#pragma once

#include "dev/bus.h"

#include <stdio.h>

struct dt;
struct vm;
struct vm_device;

/* A slot at base; dev NULL: empty. Reports its own errors (unknown driver, missing drive, ...);
   -errno. */
int virtio_mmio_create(struct vm *vm, unsigned slot, gpa_t base, const struct irq_line *irq,
                       const struct vm_device *dev) MUST_CHECK;
/* The I/O loop is stopped, no vCPU runs: finish requests, flush disks, free. An unused slot is
   fine. */
void virtio_mmio_destroy(struct vm *vm, unsigned slot);
/* Guest reset, no vCPU runs, the I/O loop does: drop requests in flight before returning. */
void virtio_mmio_reset(struct vm *vm, unsigned slot);
/* One line about the device of a slot and one for each queue, if its driver's name begins with
   `driver` ("" = any); false: there is none. Any thread. */
bool virtio_mmio_dump(const struct vm *vm, unsigned slot, const char *driver, FILE *f);
void virtio_mmio_fdt(struct dt *d, gpa_t base, unsigned spi);
