/* SPDX-License-Identifier: MIT */
/*
 * virtio-mmio: the registers of a slot, version 2 or, by -global virtio-mmio.force-legacy, 1 (what
 * that does differently is in virtio_mmio_legacy.c). An empty slot shows the magic number, the
 * version and device ID 0, so that drivers pass it by. Virtio 1.2, 4.2.2.
 *
 * Registers are read and written by vCPU threads with the device's lock. Notifying a queue takes
 * no lock: it only marks the queue and wakes whoever serves it. A reset waits for requests whose
 * memory the host is reading or writing, because the guest may use that memory for something else
 * right after.
 */
#include "dev/virtio.h"
#include "virtio_mmio.h"

#include "dev/dt.h"
#include "vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_SIZE 0x200
#define MAGIC_VALUE 0x74726976u  /* "virt" */
#define VENDOR_VALUE 0x52424d55u /* "UMBR" */

struct virtio_device *virtio_mmio_device(const struct vm *vm, unsigned slot)
{
    return vm->virtio[slot] != NULL ? vm->virtio[slot]->dev : NULL;
}

/* ---- reading ---- */
struct virtio_queue *virtio_mmio_selected(struct virtio_mmio *m)
{
    return m->queue_sel < m->dev->nqueues ? &m->dev->queue[m->queue_sel] : NULL;
}

/* Registers of one version only, or with another meaning in each. */
static uint32_t modern_read(struct virtio_mmio *m, uint64_t off)
{
    struct virtio_device *d = m->dev;
    const struct virtio_queue *q = virtio_mmio_selected(m);

    switch (off) {
    case VERSION: return 2;
    case DEVICE_FEATURES:
        return m->device_features_sel < 2 ? (uint32_t)(d->offered >> 32 * m->device_features_sel)
                                          : 0;
    case QUEUE_READY: return q != NULL && q->ready;
    case STATUS: return d->status;
    case SHM_LEN_LOW: case SHM_LEN_HIGH: case SHM_BASE_LOW: case SHM_BASE_HIGH:
        return UINT32_MAX; /* no shared memory region */
    case CONFIG_GENERATION: return 0; /* what changes on its own is one word */
    default: virtio_guest_error(d, "read of register 0x%x", (unsigned)off); return 0;
    }
}

static uint32_t register_read_locked(struct virtio_mmio *m, uint64_t off)
{
    struct virtio_device *d = m->dev;

    switch (off) {
    case MAGIC: return MAGIC_VALUE;
    case DEVICE_ID: return d->cls->id;
    case VENDOR_ID: return VENDOR_VALUE;
    case QUEUE_NUM_MAX: return virtio_mmio_selected(m) != NULL ? d->cls->queue_max : 0;
    case INTERRUPT_STATUS: return d->interrupt_status;
    default: return m->legacy ? virtio_mmio_legacy_read(m, off) : modern_read(m, off);
    }
}

static uint64_t slot_read(void *opaque, struct vcpu *v, uint64_t off, unsigned size)
{
    struct virtio_mmio *m = opaque;
    uint64_t value = 0;

    (void)v;
    if (m->dev == NULL) {
        return off == MAGIC ? MAGIC_VALUE : off == VERSION ? (m->legacy ? 1 : 2) : 0;
    }
    pthread_mutex_lock(&m->dev->lock);
    if (off >= CONFIG) {
        value = virtio_config_read_locked(m->dev, off - CONFIG, size);
    } else if (size == 4 && off % 4 == 0) {
        value = register_read_locked(m, off);
    } else {
        virtio_guest_error(m->dev, "%u-byte read at 0x%x", size, (unsigned)off);
    }
    pthread_mutex_unlock(&m->dev->lock);
    return value;
}

/* ---- writing ---- */
/* What describes a queue; fixed once it is in use. */
static void write_queue(struct virtio_mmio *m, uint64_t off, uint32_t value)
{
    struct virtio_device *d = m->dev;
    struct virtio_queue *q = virtio_mmio_selected(m);

    if (q == NULL || q->ready) {
        virtio_guest_error(d, "queue %u, register 0x%x written: %s", m->queue_sel, (unsigned)off,
                           q == NULL ? "no such queue" : "it is in use");
        return;
    }
    switch (off) {
    case QUEUE_NUM: q->num = value > UINT16_MAX ? 0 : (uint16_t)value; break;
    case QUEUE_DESC_LOW: virtio_set_half(&q->desc_gpa, 0, value); break;
    case QUEUE_DESC_HIGH: virtio_set_half(&q->desc_gpa, 1, value); break;
    case QUEUE_DRIVER_LOW: virtio_set_half(&q->avail_gpa, 0, value); break;
    case QUEUE_DRIVER_HIGH: virtio_set_half(&q->avail_gpa, 1, value); break;
    case QUEUE_DEVICE_LOW: virtio_set_half(&q->used_gpa, 0, value); break;
    case QUEUE_DEVICE_HIGH: virtio_set_half(&q->used_gpa, 1, value); break;
    default: /* QUEUE_READY */
        if ((value & 1) != 0 && !virtio_queue_enable(d, q)) {
            virtio_device_broken(d, "queue %u: size %u or addresses are impossible", m->queue_sel,
                                 q->num);
        }
        break;
    }
}

static void modern_write(struct virtio_mmio *m, uint64_t off, uint32_t value)
{
    switch (off) {
    case DRIVER_FEATURES:
        virtio_write_features_locked(m->dev, m->driver_features_sel, value);
        break;
    case QUEUE_NUM: case QUEUE_READY: case QUEUE_DESC_LOW: case QUEUE_DESC_HIGH:
    case QUEUE_DRIVER_LOW: case QUEUE_DRIVER_HIGH: case QUEUE_DEVICE_LOW: case QUEUE_DEVICE_HIGH:
        write_queue(m, off, value);
        break;
    case 0xac: break; /* selects a shared memory region; there is none */
    default:
        virtio_guest_error(m->dev, "write of 0x%x to register 0x%x", value, (unsigned)off);
        break;
    }
}

static void register_write_locked(struct virtio_mmio *m, uint64_t off, uint32_t value)
{
    switch (off) {
    case DEVICE_FEATURES_SEL: m->device_features_sel = value; break;
    case DRIVER_FEATURES_SEL: m->driver_features_sel = value; break;
    case QUEUE_SEL: m->queue_sel = value; break;
    case INTERRUPT_ACK: virtio_device_ack_locked(m->dev, value); break;
    default: (m->legacy ? virtio_mmio_legacy_write : modern_write)(m, off, value); break;
    }
}

static void reset(struct virtio_mmio *m)
{
    virtio_device_reset(m->dev);
    pthread_mutex_lock(&m->dev->lock);
    m->device_features_sel = m->driver_features_sel = m->queue_sel = 0;
    pthread_mutex_unlock(&m->dev->lock);
}

static void write_status(struct virtio_mmio *m, uint8_t value)
{
    struct virtio_device *d = m->dev;

    if (value == 0) {
        reset(m);
        return;
    }
    virtio_write_status(d, value);
}

/* QueueReady or QueuePFN = 0 of a queue in use: like a reset, for this queue. */
static void disable_queue(struct virtio_mmio *m)
{
    struct virtio_device *d = m->dev;

    pthread_mutex_lock(&d->lock);
    struct virtio_queue *q = virtio_mmio_selected(m);
    bool stop = q != NULL && q->ready;
    if (stop) {
        q->ready = false;
        d->epoch++;
    }
    pthread_mutex_unlock(&d->lock);
    if (stop && d->cls->cancel != NULL) {
        d->cls->cancel(d);
    }
}

static void slot_write(void *opaque, struct vcpu *v, uint64_t off, uint64_t value, unsigned size)
{
    struct virtio_mmio *m = opaque;
    struct virtio_device *d = m->dev;

    (void)v;
    if (d == NULL) {
        return;
    }
    if (off >= CONFIG) {
        virtio_config_write(d, off - CONFIG, value, size);
    } else if (size != 4 || off % 4 != 0) {
        virtio_guest_error(d, "%u-byte write at 0x%x", size, (unsigned)off);
    } else if (off == QUEUE_NOTIFY) {
        virtio_notify(d, (uint32_t)value);
    } else if (off == STATUS) {
        write_status(m, (uint8_t)value);
    } else if (m->legacy ? off == QUEUE_PFN_V1 && (uint32_t)value == 0
                         : off == QUEUE_READY && (value & 1) == 0) {
        disable_queue(m);
    } else {
        pthread_mutex_lock(&d->lock);
        register_write_locked(m, off, (uint32_t)value);
        pthread_mutex_unlock(&d->lock);
    }
}

/* ---- the board's side ---- */
static const struct bus_ops slot_ops = {.read = slot_read, .write = slot_write, .max_size = 4};

int virtio_mmio_create(struct vm *vm, unsigned slot, gpa_t base, const struct irq_line *irq,
                       const struct vm_device *dev)
{
    struct virtio_mmio *m = calloc(1, sizeof *m);
    int err = m == NULL ? -ENOMEM : 0;

    if (err == 0 && dev != NULL) {
        err = virtio_create(vm, dev, &m->dev);
    }
    if (err != 0) {
        virtio_report_memory(dev, err);
        free(m);
        return err;
    }
    m->legacy = vm->opt->virtio_legacy;
    if (m->dev != NULL) {
        /* A network may have packets for it already. */
        pthread_mutex_lock(&m->dev->lock);
        m->dev->irq = *irq;
        m->dev->legacy = m->legacy;
        pthread_mutex_unlock(&m->dev->lock);
    }
    vm->virtio[slot] = m;
    return bus_add(vm->bus, &(struct bus_region){.name = "virtio-mmio", .base = base,
                                                 .size = SLOT_SIZE, .ops = &slot_ops, .dev = m});
}

void virtio_mmio_destroy(struct vm *vm, unsigned slot)
{
    struct virtio_mmio *m = vm->virtio[slot];

    if (m != NULL && m->dev != NULL) {
        m->dev->cls->destroy(m->dev);
    }
    free(m);
    vm->virtio[slot] = NULL;
}

void virtio_mmio_reset(struct vm *vm, unsigned slot)
{
    if (virtio_mmio_device(vm, slot) != NULL) {
        reset(vm->virtio[slot]);
        vm->virtio[slot]->page_size = 0;
    }
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
