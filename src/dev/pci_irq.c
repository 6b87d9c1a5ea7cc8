/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of PCI devices: the pin, wired to one of four lines by slot, and MSI-X.
 *
 * Any thread. Lock: pci_host.irq_lock. A message is sent only to the interrupt controller's frame:
 * what else the guest writes into the table goes nowhere, so that no device can be made to write
 * another's registers from under its own lock. PCI Local Bus 3.0, 2.2.6 and 6.8.2.
 */
#include "pci_internal.h"

#include "base/log.h"
#include "tcg/tcg.h"

#include <inttypes.h>
#include <string.h>

#define ENTRY 16u
#define ENTRY_MASKED 1u

/* ---- the pin ---- */
static void drive_line(struct pci_device *p)
{
    struct pci_host *h = p->host;
    unsigned n = p->slot % PCI_LINES;
    uint32_t old = h->raised[n], bit = 1u << p->slot;
    bool level = p->line && !p->line_disabled && !p->msix_on;

    h->raised[n] = level ? old | bit : old & ~bit;
    if ((old != 0) != (h->raised[n] != 0)) {
        irq_set(&h->c.line[n], h->raised[n] != 0);
    }
}

void pci_set_line(struct pci_device *p, bool level)
{
    pthread_mutex_lock(&p->host->irq_lock);
    p->line = level;
    drive_line(p);
    pthread_mutex_unlock(&p->host->irq_lock);
}

/* ---- messages ---- */
static void deliver(struct pci_device *p, unsigned n)
{
    const struct pci_vector *e = &p->vector[n];
    const struct pci_host_config *c = &p->host->c;
    uint64_t address = (uint64_t)e->word[1] << 32 | e->word[0];

    if (!c->message(c->opaque, address, e->word[2]) && log_on(LOG_GUEST_ERROR)) {
        log_printf("%s: message 0x%x to 0x%" PRIx64 " goes nowhere\n", p->name, e->word[2],
                   address);
    }
}

static bool held_back(const struct pci_device *p, unsigned n)
{
    return !p->msix_on || p->msix_masked || (p->vector[n].word[3] & ENTRY_MASKED) != 0;
}

static void send_pending(struct pci_device *p)
{
    for (unsigned n = 0; n < p->nvectors; n++) {
        if (p->vector[n].pending && !held_back(p, n)) {
            p->vector[n].pending = false;
            deliver(p, n);
        }
    }
}

bool pci_msix_on(struct pci_device *p)
{
    pthread_mutex_lock(&p->host->irq_lock);
    bool on = p->msix_on;
    pthread_mutex_unlock(&p->host->irq_lock);
    return on;
}

void pci_msix_send(struct pci_device *p, unsigned n)
{
    if (n >= p->nvectors) {
        return;
    }
    pthread_mutex_lock(&p->host->irq_lock);
    if (held_back(p, n)) {
        p->vector[n].pending = p->msix_on;
    } else {
        deliver(p, n);
    }
    pthread_mutex_unlock(&p->host->irq_lock);
}

/* ---- its region ---- */
static uint32_t pending_bits(const struct pci_device *p)
{
    uint32_t bits = 0;

    for (unsigned n = 0; n < p->nvectors; n++) {
        bits |= (uint32_t)p->vector[n].pending << n;
    }
    return bits;
}

uint64_t pci_msix_read(struct pci_device *p, uint32_t off, unsigned size)
{
    uint64_t value = 0;

    if (size != 4 || off % 4 != 0) {
        return 0;
    }
    pthread_mutex_lock(&p->host->irq_lock);
    if (off / ENTRY < p->nvectors) {
        value = p->vector[off / ENTRY].word[off % ENTRY / 4];
    } else if (off == MSIX_PENDING_AT) {
        value = pending_bits(p);
    }
    pthread_mutex_unlock(&p->host->irq_lock);
    return value;
}

void pci_msix_write(struct pci_device *p, uint32_t off, uint64_t value, unsigned size)
{
    if (size != 4 || off % 4 != 0 || off / ENTRY >= p->nvectors) {
        return;
    }
    pthread_mutex_lock(&p->host->irq_lock);
    p->vector[off / ENTRY].word[off % ENTRY / 4] = (uint32_t)value;
    send_pending(p);
    pthread_mutex_unlock(&p->host->irq_lock);
}

void pci_irq_update(struct pci_device *p)
{
    uint16_t command, control = 0;

    memcpy(&command, p->config + PCI_COMMAND, 2);
    if (p->nvectors != 0) {
        memcpy(&control, p->config + p->msix_cap + 2, 2);
    }
    pthread_mutex_lock(&p->host->irq_lock);
    p->line_disabled = (command & PCI_COMMAND_NO_LINE) != 0;
    p->msix_on = (control & MSIX_ENABLE) != 0;
    p->msix_masked = (control & MSIX_MASK_ALL) != 0;
    drive_line(p);
    send_pending(p);
    pthread_mutex_unlock(&p->host->irq_lock);
}

void pci_irq_reset(struct pci_device *p)
{
    pthread_mutex_lock(&p->host->irq_lock);
    p->line = p->line_disabled = p->msix_on = p->msix_masked = false;
    for (unsigned n = 0; n < PCI_VECTORS; n++) {
        p->vector[n] = (struct pci_vector){.word[3] = ENTRY_MASKED};
    }
    drive_line(p);
    pthread_mutex_unlock(&p->host->irq_lock);
}
