/* SPDX-License-Identifier: MIT */
/*
 * virtio-mmio slots and virtio-pci devices as the board sees them. The transports keep their state
 * in vm->virtio[slot] and vm->virtio_pci[slot].
 */
#pragma once

#include "dev/bus.h"

#include <stdio.h>

struct dt;
struct vm;
struct block;
struct pci_host;
struct vm_device;
struct vm_options;

/* A slot at base; dev NULL: empty. Reports its own errors (unknown driver, missing drive, ...);
   -errno. */
int virtio_mmio_create(struct vm *vm, unsigned slot, gpa_t base, const struct irq_line *irq,
                       const struct vm_device *dev) MUST_CHECK;
/* The I/O loop is stopped, no vCPU runs: finish requests, flush disks, free. An unused slot is
   fine. */
void virtio_mmio_destroy(struct vm *vm, unsigned slot);
/* Guest reset, no vCPU runs, the I/O loop does: drop requests in flight before returning. */
void virtio_mmio_reset(struct vm *vm, unsigned slot);
/* One line about the device at a place (slots of virtio-mmio, then of PCI) and one for each queue,
   if its driver's name begins with `driver` ("" = any); false: there is none. Any thread. */
#define VIRTIO_PLACES (VM_VIRTIO_SLOTS + VM_PCI_SLOTS)
bool virtio_dump(const struct vm *vm, unsigned place, const char *driver, FILE *f);
/* The open drive of that id, or NULL: no device has it. Any thread, until the devices are
   destroyed. */
const struct block *virtio_blk_drive(const struct vm *vm, const char *id);
void virtio_mmio_fdt(struct dt *d, gpa_t base, unsigned spi);

/* Their names for -device, a line each. */
void virtio_list_drivers(FILE *f);
/* Does this -device name a virtio device on PCI? */
bool virtio_is_pci(const struct vm_options *o, const char *driver);
/* Plug one in, at the slot it asks for or the first free one. Reports its own errors; -errno. */
int virtio_pci_create(struct vm *vm, struct pci_host *host, const struct vm_device *dev) MUST_CHECK;
/* As for virtio-mmio; destroy before the host. */
void virtio_pci_destroy(struct vm *vm, unsigned slot);
void virtio_pci_reset(struct vm *vm, unsigned slot);
