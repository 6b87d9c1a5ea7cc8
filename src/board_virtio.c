/* SPDX-License-Identifier: MIT */
/*
 * Board "virt": its virtio devices. The slots of virtio-mmio are always there; PCI is when the
 * command line has a device for it. Main thread, while no vCPU runs.
 */
#include "board_internal.h"

#include "base/log.h"
#include "dev/pci.h"
#include "dev/virtio.h"

#include <errno.h>
#include <string.h>

static bool message(void *opaque, uint64_t address, uint32_t data)
{
    return gic_v2m_message(opaque, address, data);
}

static int create_pci(struct vm *vm)
{
    struct gic *gic = vm->board->gic;
    struct pci_host_config c = {.ecam = VIRT_PCI_CONFIG,
                                .ecam_size = VIRT_PCI_CONFIG_SIZE,
                                .memory = VIRT_PCI_MEMORY,
                                .memory_size = VIRT_PCI_MEMORY_SIZE,
                                .ports = VIRT_PCI_PORTS,
                                .ports_size = VIRT_PCI_PORTS_SIZE,
                                .spi = SPI_PCI,
                                .message = message,
                                .opaque = gic};

    for (unsigned i = 0; i < PCI_LINES; i++) {
        c.line[i] = gic_spi(gic, SPI_PCI + i);
    }
    int err = pci_host_create(vm->bus, &c, &vm->board->pci);
    if (err != 0) {
        log_error("cannot create the PCI host: %s", strerror(-err));
    }
    return err;
}

static int create_slot(struct vm *vm, unsigned slot, const struct vm_device *dev)
{
    struct irq_line irq = gic_spi(vm->board->gic, SPI_VIRTIO + slot);

    return virtio_mmio_create(vm, slot, VIRT_VIRTIO + slot * VIRT_VIRTIO_STRIDE, &irq, dev);
}

/* In the order of the command line; slots of virtio-mmio are filled from the highest down. */
int board_virtio_create(struct vm *vm)
{
    const struct vm_options *o = vm->opt;
    unsigned slot = VM_VIRTIO_SLOTS;
    int err = 0;

    for (unsigned i = 0; i < o->ndevices && err == 0; i++) {
        const struct vm_device *dev = &o->device[i];
        if (!virtio_is_pci(o, dev->driver)) {
            err = create_slot(vm, --slot, dev);
            continue;
        }
        if (o->ranchu.on) {
            log_error("-device %s: -M ranchu has no PCI; leave -pci out of the name", dev->driver);
            return -EINVAL;
        }
        if (vm->board->pci == NULL) {
            err = create_pci(vm);
        }
        if (err == 0) {
            err = virtio_pci_create(vm, vm->board->pci, dev);
        }
    }
    while (slot > 0 && err == 0) {
        err = create_slot(vm, --slot, NULL);
    }
    return err;
}

void board_virtio_destroy(struct vm *vm)
{
    for (unsigned i = 0; i < VM_VIRTIO_SLOTS; i++) {
        virtio_mmio_destroy(vm, i);
    }
    for (unsigned i = 0; i < VM_PCI_SLOTS; i++) {
        virtio_pci_destroy(vm, i);
    }
    pci_host_destroy(vm->board->pci);
}

void board_virtio_reset(struct vm *vm)
{
    for (unsigned i = 0; i < VM_VIRTIO_SLOTS; i++) {
        virtio_mmio_reset(vm, i);
    }
    for (unsigned i = 0; i < VM_PCI_SLOTS; i++) {
        virtio_pci_reset(vm, i);
    }
    if (vm->board->pci != NULL) {
        pci_host_reset(vm->board->pci);
    }
}

void board_virtio_fdt(struct dt *d, const struct vm *vm)
{
    for (unsigned i = 0; i < VM_VIRTIO_SLOTS; i++) {
        virtio_mmio_fdt(d, VIRT_VIRTIO + i * VIRT_VIRTIO_STRIDE, SPI_VIRTIO + i);
    }
    if (vm->board->pci != NULL) {
        pci_host_fdt(d, vm->board->pci);
    }
}
