/* SPDX-License-Identifier: MIT */
/*
 * Configuration space of a PCI device: bytes, and for each byte the bits that the guest may write.
 * So whatever is written, sizes of regions, identities and capabilities stay what they are.
 *
 * Under the host's lock, or before the machine runs. PCI Local Bus 3.0, chapter 6.
 */
#include "pci_internal.h"

#include <string.h>

#define FIRST_CAPABILITY 0x40u
#define COMMAND_WRITABLE 0x0507u /* ports, memory, bus master, SERR, no interrupt line */

static uint32_t get(const uint8_t *p, unsigned size)
{
    uint32_t value = 0;

    memcpy(&value, p, size);
    return value; /* both little-endian */
}

void pci_put16(struct pci_device *p, unsigned off, uint16_t value)
{
    memcpy(p->config + off, &value, 2);
}

void pci_put32(struct pci_device *p, unsigned off, uint32_t value)
{
    memcpy(p->config + off, &value, 4);
}

static void allow(struct pci_device *p, unsigned off, uint32_t bits, unsigned size)
{
    memcpy(p->writable + off, &bits, size);
}

unsigned pci_config_add_capability(struct pci_device *p, uint8_t id, unsigned size)
{
    unsigned at = p->next_cap;

    p->config[p->last_cap] = (uint8_t)at;
    p->config[at] = id;
    p->config[at + 1] = 0;
    p->last_cap = at + 1;
    p->next_cap = (at + size + 3) & ~3u;
    pci_put16(p, PCI_STATUS, PCI_STATUS_CAPABILITIES);
    return at;
}

static void add_msix(struct pci_device *p)
{
    unsigned at = pci_config_add_capability(p, PCI_CAP_MSIX, 12);

    p->msix_cap = at;
    pci_put16(p, at + 2, (uint16_t)(p->nvectors - 1));
    pci_put32(p, at + 4, p->msix_bar);
    pci_put32(p, at + 8, MSIX_PENDING_AT | p->msix_bar);
    allow(p, at + 2, MSIX_ENABLE | MSIX_MASK_ALL, 2);
}

void pci_config_init(struct pci_device *p, uint16_t vendor, uint16_t device, uint16_t class_code)
{
    pci_put16(p, PCI_VENDOR_ID, vendor);
    pci_put16(p, PCI_DEVICE_ID, device);
    pci_put16(p, PCI_CLASS, class_code);
    p->last_cap = PCI_CAPABILITIES;
    p->next_cap = FIRST_CAPABILITY;
    allow(p, PCI_COMMAND, COMMAND_WRITABLE, 2);
    allow(p, PCI_CACHE_LINE, 0xff, 1);
    allow(p, PCI_INTERRUPT_LINE, 0xff, 1);
    for (unsigned i = 0; i < PCI_BARS; i++) {
        if (p->bar_size[i] != 0) {
            allow(p, PCI_BAR0 + 4 * i, ~(p->bar_size[i] - 1), 4);
        }
    }
    if (p->nvectors != 0) {
        add_msix(p);
    }
}

bool pci_config_bar(const struct pci_device *p, unsigned bar, gpa_t *base)
{
    *base = get(p->config + PCI_BAR0 + 4 * bar, 4) & ~0xfu;
    return p->bar_size[bar] != 0 && (get(p->config + PCI_COMMAND, 2) & PCI_COMMAND_MEMORY) != 0;
}

uint32_t pci_config_read_locked(const struct pci_device *p, unsigned off, unsigned size)
{
    return off < PCI_CONFIG && size <= PCI_CONFIG - off ? get(p->config + off, size) : 0;
}

/* Do [off, off + size) and [at, at + len) meet? */
static bool meets(unsigned off, unsigned size, unsigned at, unsigned len)
{
    return off < at + len && at < off + size;
}

bool pci_config_write_locked(struct pci_device *p, unsigned off, uint32_t value, unsigned size)
{
    if (off >= PCI_CONFIG || size > PCI_CONFIG - off) {
        return false;
    }
    for (unsigned i = 0; i < size; i++) {
        uint8_t may = p->writable[off + i];
        p->config[off + i] =
            (uint8_t)((p->config[off + i] & ~may) | ((value >> 8 * i) & 0xff & may));
    }
    if (meets(off, size, PCI_COMMAND, 2) ||
        (p->nvectors != 0 && meets(off, size, p->msix_cap + 2, 2))) {
        pci_irq_update(p);
    }
    return meets(off, size, PCI_COMMAND, 2) || meets(off, size, PCI_BAR0, 4 * PCI_BARS);
}

void pci_config_reset_locked(struct pci_device *p)
{
    for (unsigned i = 0; i < PCI_CONFIG; i++) {
        p->config[i] &= (uint8_t)~p->writable[i];
    }
}
