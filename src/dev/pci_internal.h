/* SPDX-License-Identifier: MIT */
/*
 * The PCI host, private to pci*.c.
 */
#pragma once

#include "dev/pci.h"

#define PCI_COMMAND_MEMORY 0x0002u
#define PCI_COMMAND_NO_LINE 0x0400u
#define PCI_STATUS_CAPABILITIES 0x0010u
#define PCI_CAP_MSIX 0x11u
#define MSIX_ENABLE 0x8000u
#define MSIX_MASK_ALL 0x4000u
#define MSIX_PENDING_AT 0x800u /* in its region; the table is at 0 */

/* What the memory window decodes: immutable once published. */
struct pci_map {
    unsigned n;
    struct pci_map_range {
        gpa_t base;
        uint32_t size;
        unsigned bar;
        struct pci_device *dev;
    } range[];
};

struct pci_host {
    struct pci_host_config c;
    struct pci_device *slot[PCI_SLOTS]; /* fixed once the machine runs */
    struct pci_device bridge;
    /* Configuration spaces. Inside it: irq_lock. */
    pthread_mutex_t lock;
    struct pci_map *map; /* published by RCU, changed under lock */
    /* Interrupts; devices hold their own lock. Inside it: the interrupt controller's. */
    pthread_mutex_t irq_lock;
    uint32_t raised[PCI_LINES]; /* slots that raise a line, a bit each */
};
