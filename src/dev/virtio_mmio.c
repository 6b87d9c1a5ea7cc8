/* SPDX-License-Identifier: MIT */
/*
 * virtio-mmio slots. An empty slot shows the magic number, the version and device ID 0, so that drivers
 * pass it by. Virtio 1.2, 4.2.2.
 */
#include "dev/virtio.h"

#include "base/log.h"
#include "dev/dt.h"
#include "vm.h"

#include <errno.h>

enum { VIRTIO_MAGIC = 0x00, VIRTIO_VERSION = 0x04, VIRTIO_DEVICE_ID = 0x08, VIRTIO_VENDOR_ID = 0x0c };

#define SLOT_SIZE 0x200
#define MAGIC_VALUE 0x74726976u /* "virt" */

static uint64_t empty_read(void *dev, struct vcpu *v, uint64_t off, unsigned size)
{
    (void)dev;
    (void)v;
    (void)size;
    switch (off) {
    case VIRTIO_MAGIC: return MAGIC_VALUE;
    case VIRTIO_VERSION: return 2;
    default: return 0; /* device ID 0: nothing here */
    }
}

static void empty_write(void *dev, struct vcpu *v, uint64_t off, uint64_t value, unsigned size)
{
    (void)dev;
    (void)v;
    (void)off;
    (void)value;
    (void)size;
}

static const struct bus_ops empty_ops = {.read = empty_read, .write = empty_write, .max_size = 4};

int virtio_mmio_create(struct vm *vm, unsigned slot, gpa_t base, const struct irq_line *irq,
                       const struct vm_device *dev)
{
    (void)slot;
    (void)irq;
    if (dev != NULL) {
        log_error("-device %s: unknown driver", dev->driver);
        return -EINVAL;
    }
    return bus_add(vm->bus, &(struct bus_region){.name = "virtio-mmio", .base = base,
                                                 .size = SLOT_SIZE, .ops = &empty_ops});
}

void virtio_mmio_destroy(struct vm *vm, unsigned slot)
{
    vm->virtio[slot] = NULL;
}

void virtio_mmio_reset(struct vm *vm, unsigned slot)
{
    (void)vm;
    (void)slot;
}

void virtio_mmio_fdt(struct dt *d, gpa_t base, unsigned spi)
{
    dt_begin(d, "virtio_mmio@%llx", (unsigned long long)base);
    dt_string(d, "compatible", "virtio,mmio");
    dt_reg(d, base, SLOT_SIZE);
    DT_CELLS(d, "interrupts", DT_SPI, spi, DT_EDGE_RISING);
    dt_flag(d, "dma-coherent");
    dt_end(d);
}
