/* SPDX-License-Identifier: MIT */
/*
 * virtio-pci, private to virtio_pci*.c: virtio_pci.c is the device on the bus, virtio_pci_common.c
 * the registers of the common configuration, virtio_pci_options.c what -device says about PCI.
 * Virtio 1.2, 4.1.
 */
#pragma once

#include "dev/pci.h"
#include "virtio_internal.h"
#include "vm.h"

#define VIRTIO_NO_VECTOR 0xffffu

struct virtio_pci {
    struct pci_device pci;
    struct virtio_device *dev; /* never changes */
    unsigned window_cap;       /* the capability by which configuration space reaches the regions */
    /* ---- the device's lock ---- */
    uint32_t device_features_sel, driver_features_sel;
    uint16_t queue_sel;
    uint16_t vector[VIRTIO_QUEUES + 1]; /* of the queues, and of VIRTIO_SOURCE_CONFIG */
};

/* ---- virtio_pci_common.c; no lock ---- */
uint64_t virtio_pci_common_read(struct virtio_pci *p, uint32_t off, unsigned size);
void virtio_pci_common_write(struct virtio_pci *p, uint32_t off, uint32_t value, unsigned size);
/* Also what the driver set here goes back to its start. */
void virtio_pci_reset_device(struct virtio_pci *p);

/* ---- virtio_pci_options.c ---- */
struct virtio_pci_options {
    char *addr;            /* of the slot, or NULL */
    struct vm_device rest; /* the device without the options of PCI */
};
/* -ENOMEM is not reported, the rest is. */
int virtio_pci_options_read(const struct vm_device *dev, struct virtio_pci_options *o) MUST_CHECK;
void virtio_pci_options_free(struct virtio_pci_options *o);
