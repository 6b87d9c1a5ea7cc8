/* SPDX-License-Identifier: MIT */
/*
 * A PCI Express host of the generic kind: configuration space as memory (ECAM), one window of
 * 32-bit memory, an empty window of ports, one bus of 31 single-function devices, four interrupt
 * lines, and MSI-X whose messages go to the interrupt controller's frame. PCI Local Bus 3.0, PCI
 * Express Base.
 */
#pragma once

#include "dev/bus.h"

#include <pthread.h>

struct dt;
struct vm;
struct pci_host;

#define PCI_SLOTS 32u   /* slot 0 is the host bridge */
#define PCI_BARS 6u
#define PCI_CONFIG 256u /* bytes; of the extended space nothing is used */
#define PCI_VECTORS 32u /* MSI-X, as many as a device may have */
#define PCI_LINES 4u

/* Registers of the header (6.1). */
enum {
    PCI_VENDOR_ID = 0x00, PCI_DEVICE_ID = 0x02, PCI_COMMAND = 0x04, PCI_STATUS = 0x06,
    PCI_REVISION = 0x08, PCI_CLASS = 0x0a, PCI_CACHE_LINE = 0x0c, PCI_BAR0 = 0x10,
    PCI_SUBSYSTEM_VENDOR = 0x2c, PCI_SUBSYSTEM = 0x2e, PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT_LINE = 0x3c, PCI_INTERRUPT_PIN = 0x3d,
};

struct pci_vector {
    uint32_t word[4]; /* address, its upper half, data, control: bit 0 masks */
    bool pending;
};

struct pci_device {
    /* Set by the owner before pci_host_add(). Functions run on a vCPU's thread without a lock; an
       access lies inside the region and has 1, 2 or 4 bytes. */
    const char *name;
    uint64_t (*read)(struct pci_device *p, unsigned bar, uint32_t off, unsigned size);
    void (*write)(struct pci_device *p, unsigned bar, uint32_t off, uint64_t value, unsigned size);
    /* Configuration space [off, off + size) is about to be read, or was written; may be NULL. */
    void (*config_read)(struct pci_device *p, unsigned off, unsigned size);
    void (*config_written)(struct pci_device *p, unsigned off, unsigned size);
    uint32_t bar_size[PCI_BARS]; /* power of two, 16 at least; 0: none */
    unsigned nvectors;           /* 0: no MSI-X */
    unsigned msix_bar;           /* its table and pending bits, a region of its own */

    struct pci_host *host;
    unsigned slot;
    unsigned msix_cap;           /* where it is */
    /* ---- the host's lock ---- */
    uint8_t config[PCI_CONFIG], writable[PCI_CONFIG];
    unsigned next_cap, last_cap;
    /* ---- the host's irq_lock ---- */
    bool line;                   /* the device asks for an interrupt */
    bool line_disabled;          /* command register */
    bool msix_on, msix_masked;
    struct pci_vector vector[PCI_VECTORS];
};

struct pci_host_config {
    gpa_t ecam, memory, ports;
    uint64_t ecam_size, memory_size, ports_size;
    struct irq_line line[PCI_LINES];
    unsigned spi;         /* of the first line, for the device tree */
    /* A message-signalled interrupt; false: not an address that takes one. */
    bool (*message)(void *opaque, uint64_t address, uint32_t data);
    void *opaque;
};

/* ---- pci_host.c ---- */
int pci_host_create(struct bus *bus, const struct pci_host_config *c,
                    struct pci_host **out) MUST_CHECK;
/* Its devices are their owners' business. */
void pci_host_destroy(struct pci_host *h);
void pci_host_fdt(struct dt *d, const struct pci_host *h);
/* Is the slot free, and one that a device can have? */
bool pci_host_slot_free(const struct pci_host *h, unsigned slot);
/* Plug a device whose configuration space is complete. Before the machine runs. */
void pci_host_add(struct pci_host *h, unsigned slot, struct pci_device *p);
/* Bytes of a device's configuration space; takes the host's lock. */
uint32_t pci_config_get(struct pci_device *p, unsigned off, unsigned size);
void pci_config_set(struct pci_device *p, unsigned off, uint32_t value, unsigned size);
/* Guest reset, no vCPU runs: registers of the header as at power-on. */
void pci_host_reset(struct pci_host *h);

/* ---- pci_config.c ---- */
void pci_put16(struct pci_device *p, unsigned off, uint16_t value);
void pci_put32(struct pci_device *p, unsigned off, uint32_t value);
/* The header of a device that has the regions and vectors set in *p. `class_code` has 16 bits. */
void pci_config_init(struct pci_device *p, uint16_t vendor, uint16_t device, uint16_t class_code);
/* Room for a capability of `size` bytes, linked; where it is. */
unsigned pci_config_add_capability(struct pci_device *p, uint8_t id, unsigned size);
/* Address of a region that is decoded now; false: it is not. With the host's lock. */
bool pci_config_bar(const struct pci_device *p, unsigned bar, gpa_t *base);
uint32_t pci_config_read_locked(const struct pci_device *p, unsigned off, unsigned size);
/* True: the regions, or whether they are decoded, may have changed. */
bool pci_config_write_locked(struct pci_device *p, unsigned off, uint32_t value, unsigned size);
void pci_config_reset_locked(struct pci_device *p);

/* ---- pci_irq.c: any thread, no lock of the host's ---- */
/* Level of the device's interrupt pin, when it does not use messages. */
void pci_set_line(struct pci_device *p, bool level);
/* Are messages used in place of the pin? */
bool pci_msix_on(struct pci_device *p);
/* Send vector n, now or when it is unmasked. */
void pci_msix_send(struct pci_device *p, unsigned n);
uint64_t pci_msix_read(struct pci_device *p, uint32_t off, unsigned size);
void pci_msix_write(struct pci_device *p, uint32_t off, uint64_t value, unsigned size);
/* The command register or the MSI-X capability changed: with the host's lock. */
void pci_irq_update(struct pci_device *p);
void pci_irq_reset(struct pci_device *p);
