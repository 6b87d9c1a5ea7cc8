/* SPDX-License-Identifier: MIT */
/*
 * virtio-pci, the modern interface only: one memory region with the common configuration, the
 * interrupt status, the device's configuration and the notifications, and one for MSI-X.
 * Capabilities say where each is. Virtio 1.2, 4.1.
 *
 * vCPU threads; the device's lock is taken inside. Notifying a queue takes none. Interrupts are
 * raised with the device's lock held, and take the host's irq_lock inside it.
 */
#include "virtio_pci.h"

#include "dev/virtio.h"

#include "base/log.h"
#include "vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VENDOR 0x1af4u
#define DEVICE_BASE 0x1040u /* and the virtio device ID */
#define SUBSYSTEM 0x1100u
#define REVISION 1u

#define MSIX_BAR 1u
#define MSIX_BAR_SIZE 4096u
#define BAR 4u
enum { AT_COMMON = 0x0000, AT_ISR = 0x1000, AT_CONFIG = 0x2000, AT_NOTIFY = 0x3000 };
#define PART_SIZE 0x1000u
#define BAR_SIZE 0x4000u
#define NOTIFY_STRIDE 4u

/* Vectors for every queue, when they are not too many: messages of all devices share 64 SPIs. */
#define MANY_VECTORS 20u

/* A vendor capability (4.1.4): its type, then where the part is. */
enum { CAP_VENDOR = 0x09 };
enum { PART_COMMON = 1, PART_NOTIFY = 2, PART_ISR = 3, PART_CONFIG = 4, PART_WINDOW = 5 };
enum { CAP_LENGTH = 2, CAP_TYPE = 3, CAP_BAR = 4, CAP_OFFSET = 8, CAP_SIZE = 12, CAP_MORE = 16 };

static struct virtio_pci *owner(struct pci_device *pci)
{
    return container_of(pci, struct virtio_pci, pci);
}

struct virtio_device *virtio_pci_device(const struct vm *vm, unsigned slot)
{
    return vm->virtio_pci[slot] != NULL ? vm->virtio_pci[slot]->dev : NULL;
}

/* ---- interrupts; with the device's lock ---- */
static void set_line(void *opaque, unsigned n, bool level)
{
    struct virtio_pci *p = opaque;

    (void)n;
    pci_set_line(&p->pci, level);
}

static bool send_message(struct virtio_device *d, unsigned source)
{
    struct virtio_pci *p = d->transport;

    if (!pci_msix_on(&p->pci)) {
        return false;
    }
    if (p->vector[source] != VIRTIO_NO_VECTOR) {
        pci_msix_send(&p->pci, p->vector[source]);
    }
    return true;
}

/* Reading tells and acknowledges. */
static uint64_t read_isr(struct virtio_pci *p)
{
    pthread_mutex_lock(&p->dev->lock);
    uint64_t value = p->dev->interrupt_status;
    virtio_device_ack_locked(p->dev, (uint32_t)value);
    pthread_mutex_unlock(&p->dev->lock);
    return value;
}

/* ---- the region ---- */
static uint64_t bar_read(struct pci_device *pci, unsigned bar, uint32_t off, unsigned size)
{
    struct virtio_pci *p = owner(pci);
    uint64_t value = 0;

    (void)bar;
    if (off < AT_ISR) {
        return virtio_pci_common_read(p, off, size);
    }
    if (off < AT_CONFIG) {
        return off == AT_ISR ? read_isr(p) : 0;
    }
    if (off < AT_NOTIFY) {
        pthread_mutex_lock(&p->dev->lock);
        value = virtio_config_read_locked(p->dev, off - AT_CONFIG, size);
        pthread_mutex_unlock(&p->dev->lock);
    }
    return value;
}

static void bar_write(struct pci_device *pci, unsigned bar, uint32_t off, uint64_t value,
                      unsigned size)
{
    struct virtio_pci *p = owner(pci);

    (void)bar;
    if (off >= AT_NOTIFY) {
        virtio_notify(p->dev, (off - AT_NOTIFY) / NOTIFY_STRIDE);
    } else if (off >= AT_CONFIG) {
        virtio_config_write(p->dev, off - AT_CONFIG, value, size);
    } else if (off < AT_ISR) {
        virtio_pci_common_write(p, off, (uint32_t)value, size);
    }
}

/* ---- the window: access to the region through configuration space (4.1.4.9) ---- */
struct window {
    uint32_t off;
    unsigned size;
};

/* Does an access to configuration space mean the window, and did the guest set it sensibly? */
static bool find_window(struct virtio_pci *p, unsigned off, unsigned size, struct window *w)
{
    unsigned at = p->window_cap;

    if (off < at + CAP_MORE || off + size > at + CAP_MORE + 4) {
        return false;
    }
    w->off = pci_config_get(&p->pci, at + CAP_OFFSET, 4);
    w->size = pci_config_get(&p->pci, at + CAP_SIZE, 4);
    return pci_config_get(&p->pci, at + CAP_BAR, 1) == BAR &&
           (w->size == 1 || w->size == 2 || w->size == 4) && w->off % w->size == 0 &&
           w->off < BAR_SIZE;
}

static void config_read(struct pci_device *pci, unsigned off, unsigned size)
{
    struct virtio_pci *p = owner(pci);
    struct window w;

    if (find_window(p, off, size, &w)) {
        uint32_t value = (uint32_t)bar_read(pci, BAR, w.off, w.size);
        pci_config_set(pci, p->window_cap + CAP_MORE, value, 4);
    }
}

static void config_written(struct pci_device *pci, unsigned off, unsigned size)
{
    struct virtio_pci *p = owner(pci);
    struct window w;

    if (find_window(p, off, size, &w)) {
        bar_write(pci, BAR, w.off, pci_config_get(pci, p->window_cap + CAP_MORE, w.size), w.size);
    }
}

/* ---- configuration space ---- */
static unsigned add_part(struct pci_device *pci, unsigned type, uint32_t off, unsigned more)
{
    unsigned at = pci_config_add_capability(pci, CAP_VENDOR, CAP_MORE + more);

    pci->config[at + CAP_LENGTH] = (uint8_t)(CAP_MORE + more);
    pci->config[at + CAP_TYPE] = (uint8_t)type;
    pci->config[at + CAP_BAR] = BAR;
    pci_put32(pci, at + CAP_OFFSET, off);
    pci_put32(pci, at + CAP_SIZE, PART_SIZE);
    return at;
}

static void add_window(struct virtio_pci *p)
{
    unsigned at = add_part(&p->pci, PART_WINDOW, 0, 4);

    p->window_cap = at;
    pci_put32(&p->pci, at + CAP_SIZE, 0);
    p->pci.config[at + CAP_BAR] = 0;
    p->pci.writable[at + CAP_BAR] = 0xff;
    memset(p->pci.writable + at + CAP_OFFSET, 0xff, CAP_MORE + 4 - CAP_OFFSET);
}

/* Base class and subclass, by virtio device ID. */
static uint16_t class_code(uint32_t id)
{
    switch (id) {
    case 1: return 0x0200;  /* network, Ethernet */
    case 2: return 0x0100;  /* storage, SCSI */
    case 3: return 0x0780;  /* communication, other */
    case 16: return 0x0380; /* display, other */
    case 18: return 0x0980; /* input, other */
    default: return 0x00ff; /* anything */
    }
}

static void describe(struct virtio_pci *p)
{
    struct virtio_device *d = p->dev;
    struct pci_device *pci = &p->pci;

    pci->bar_size[MSIX_BAR] = MSIX_BAR_SIZE;
    pci->bar_size[BAR] = BAR_SIZE;
    pci->msix_bar = MSIX_BAR;
    pci->nvectors = d->nqueues + 1 <= MANY_VECTORS ? d->nqueues + 1 : 2;
    pci_config_init(pci, VENDOR, (uint16_t)(DEVICE_BASE + d->cls->id), class_code(d->cls->id));
    pci->config[PCI_REVISION] = REVISION;
    pci_put16(pci, PCI_SUBSYSTEM_VENDOR, VENDOR);
    pci_put16(pci, PCI_SUBSYSTEM, SUBSYSTEM);
    add_part(pci, PART_COMMON, AT_COMMON, 0);
    add_part(pci, PART_ISR, AT_ISR, 0);
    add_part(pci, PART_CONFIG, AT_CONFIG, 0);
    pci_put32(pci, add_part(pci, PART_NOTIFY, AT_NOTIFY, 4) + CAP_MORE, NOTIFY_STRIDE);
    add_window(p);
}

/* ---- the board's side ---- */
static int choose_slot(const struct pci_host *host, const struct vm_device *dev, const char *addr,
                       unsigned *slot)
{
    char *end;

    if (addr != NULL) {
        unsigned long n = strtoul(addr, &end, 16);
        if (end != addr && (*end == '\0' || strcmp(end, ".0") == 0) && n < PCI_SLOTS &&
            pci_host_slot_free(host, (unsigned)n)) {
            *slot = (unsigned)n;
            return 0;
        }
        log_error("-device %s: addr=%s: accepted: a free slot of the bus, 1 to %x (hexadecimal), "
                  "function 0",
                  dev->driver, addr, PCI_SLOTS - 1);
        return -EINVAL;
    }
    for (*slot = 1; *slot < PCI_SLOTS; ++*slot) {
        if (pci_host_slot_free(host, *slot)) {
            return 0;
        }
    }
    log_error("-device %s: all %u slots of the PCI bus are taken", dev->driver, PCI_SLOTS - 1);
    return -ENOSPC;
}

static void plug(struct vm *vm, struct pci_host *host, unsigned slot, struct virtio_pci *p,
                 const char *name)
{
    struct virtio_device *d = p->dev;

    p->pci.name = name;
    p->pci.read = bar_read;
    p->pci.write = bar_write;
    p->pci.config_read = config_read;
    p->pci.config_written = config_written;
    memset(p->vector, 0xff, sizeof p->vector);
    describe(p);
    pci_host_add(host, slot, &p->pci);
    vm->virtio_pci[slot] = p;
    /* A network may have packets for it already. */
    pthread_mutex_lock(&d->lock);
    d->name = name;
    d->irq = (struct irq_line){.set = set_line, .ctrl = p};
    d->transport = p;
    d->message = send_message;
    pthread_mutex_unlock(&d->lock);
}

int virtio_pci_create(struct vm *vm, struct pci_host *host, const struct vm_device *dev)
{
    struct virtio_pci_options o;
    struct virtio_pci *p = calloc(1, sizeof *p);
    unsigned slot;
    int err = p == NULL ? -ENOMEM : virtio_pci_options_read(dev, &o);

    if (err != 0) {
        free(p);
        virtio_report_memory(dev, err);
        return err;
    }
    err = choose_slot(host, dev, o.addr, &slot);
    if (err == 0) {
        err = virtio_create(vm, &o.rest, &p->dev);
        virtio_report_memory(dev, err);
    }
    virtio_pci_options_free(&o);
    if (err != 0) {
        free(p);
        return err;
    }
    plug(vm, host, slot, p, dev->driver);
    return 0;
}

void virtio_pci_destroy(struct vm *vm, unsigned slot)
{
    struct virtio_pci *p = vm->virtio_pci[slot];

    if (p != NULL) {
        p->dev->cls->destroy(p->dev);
    }
    free(p);
    vm->virtio_pci[slot] = NULL;
}

void virtio_pci_reset(struct vm *vm, unsigned slot)
{
    if (vm->virtio_pci[slot] != NULL) {
        virtio_pci_reset_device(vm->virtio_pci[slot]);
    }
}
