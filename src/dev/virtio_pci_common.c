/* SPDX-License-Identifier: MIT */
/*
 * The common configuration of virtio-pci: features, status, queues and their vectors. Read as bytes
 * of an image, so that any size at any offset has its meaning; written field by field. Virtio 1.2,
 * 4.1.4.3. vCPU threads.
 */
#include "virtio_pci.h"

#include <string.h>

enum {
    DEVICE_FEATURE_SEL = 0x00, DEVICE_FEATURE = 0x04, DRIVER_FEATURE_SEL = 0x08,
    DRIVER_FEATURE = 0x0c, CONFIG_VECTOR = 0x10, NUM_QUEUES = 0x12, DEVICE_STATUS = 0x14,
    CONFIG_GENERATION = 0x15, QUEUE_SEL = 0x16, QUEUE_SIZE = 0x18, QUEUE_VECTOR = 0x1a,
    QUEUE_ENABLE = 0x1c, QUEUE_NOTIFY_OFF = 0x1e, QUEUE_DESC = 0x20, QUEUE_DRIVER = 0x28,
    QUEUE_DEVICE = 0x30, COMMON_SIZE = 0x38,
};

static struct virtio_queue *selected(struct virtio_pci *p)
{
    return p->queue_sel < p->dev->nqueues ? &p->dev->queue[p->queue_sel] : NULL;
}

static uint32_t half(uint64_t x, uint32_t n)
{
    return n < 2 ? (uint32_t)(x >> 32 * n) : 0;
}

/* ---- reading ---- */
#define PUT(image, off, value, bytes)                                                              \
    do {                                                                                           \
        uint64_t v_ = (value);                                                                     \
        memcpy((image) + (off), &v_, (bytes));                                                     \
    } while (0)

static void put_queue(struct virtio_pci *p, uint8_t *image)
{
    const struct virtio_queue *q = selected(p);

    if (q == NULL) {
        PUT(image, QUEUE_VECTOR, VIRTIO_NO_VECTOR, 2);
        return; /* size 0: there is no such queue */
    }
    PUT(image, QUEUE_SIZE, q->num != 0 ? q->num : p->dev->cls->queue_max, 2);
    PUT(image, QUEUE_VECTOR, p->vector[p->queue_sel], 2);
    PUT(image, QUEUE_ENABLE, q->ready, 2);
    PUT(image, QUEUE_NOTIFY_OFF, p->queue_sel, 2);
    PUT(image, QUEUE_DESC, q->desc_gpa, 8);
    PUT(image, QUEUE_DRIVER, q->avail_gpa, 8);
    PUT(image, QUEUE_DEVICE, q->used_gpa, 8);
}

uint64_t virtio_pci_common_read(struct virtio_pci *p, uint32_t off, unsigned size)
{
    struct virtio_device *d = p->dev;
    uint8_t image[COMMON_SIZE] = {0};
    uint64_t value = 0;

    if (off >= COMMON_SIZE || size > COMMON_SIZE - off) {
        virtio_guest_error(d, "%u-byte read of common configuration 0x%x", size, off);
        return 0;
    }
    pthread_mutex_lock(&d->lock);
    PUT(image, DEVICE_FEATURE_SEL, p->device_features_sel, 4);
    PUT(image, DEVICE_FEATURE, half(d->offered, p->device_features_sel), 4);
    PUT(image, DRIVER_FEATURE_SEL, p->driver_features_sel, 4);
    PUT(image, DRIVER_FEATURE, half(d->features, p->driver_features_sel), 4);
    PUT(image, CONFIG_VECTOR, p->vector[VIRTIO_SOURCE_CONFIG], 2);
    PUT(image, NUM_QUEUES, d->nqueues, 2);
    PUT(image, DEVICE_STATUS, d->status, 1);
    PUT(image, QUEUE_SEL, p->queue_sel, 2);
    put_queue(p, image);
    pthread_mutex_unlock(&d->lock);
    memcpy(&value, image + off, size);
    return value;
}

/* ---- writing ---- */
void virtio_pci_reset_device(struct virtio_pci *p)
{
    virtio_device_reset(p->dev);
    pthread_mutex_lock(&p->dev->lock);
    p->device_features_sel = p->driver_features_sel = p->queue_sel = 0;
    memset(p->vector, 0xff, sizeof p->vector); /* VIRTIO_NO_VECTOR */
    pthread_mutex_unlock(&p->dev->lock);
}

static void set_vector(struct virtio_pci *p, unsigned source, uint32_t value)
{
    p->vector[source] = (uint16_t)(value < p->pci.nvectors ? value : VIRTIO_NO_VECTOR);
}

static void enable(struct virtio_pci *p, struct virtio_queue *q, uint32_t value)
{
    struct virtio_device *d = p->dev;

    if (value != 1) {
        virtio_guest_error(d, "queue %u: 0x%x written to enable it", p->queue_sel, value);
        return;
    }
    if (q->num == 0) {
        q->num = d->cls->queue_max; /* the size that was shown */
    }
    if (!virtio_queue_enable(d, q)) {
        virtio_device_broken(d, "queue %u: size %u or addresses are impossible", p->queue_sel,
                             q->num);
    }
}

/* What describes a queue; fixed once it is in use. */
static void write_queue(struct virtio_pci *p, uint32_t off, uint32_t value)
{
    struct virtio_device *d = p->dev;
    struct virtio_queue *q = selected(p);

    if (q == NULL || q->ready) {
        virtio_guest_error(d, "queue %u, register 0x%x written: %s", p->queue_sel, off,
                           q == NULL ? "no such queue" : "it is in use");
        return;
    }
    switch (off) {
    case QUEUE_SIZE: q->num = (uint16_t)value; break;
    case QUEUE_VECTOR: set_vector(p, p->queue_sel, value); break;
    case QUEUE_ENABLE: enable(p, q, value); break;
    case QUEUE_DESC: case QUEUE_DESC + 4: virtio_set_half(&q->desc_gpa, off / 4 % 2, value); break;
    case QUEUE_DRIVER: case QUEUE_DRIVER + 4:
        virtio_set_half(&q->avail_gpa, off / 4 % 2, value);
        break;
    default: virtio_set_half(&q->used_gpa, off / 4 % 2, value); break;
    }
}

static unsigned field_size(uint32_t off)
{
    switch (off) {
    case DEVICE_FEATURE_SEL: case DRIVER_FEATURE_SEL: case DRIVER_FEATURE: case QUEUE_DESC:
    case QUEUE_DESC + 4: case QUEUE_DRIVER: case QUEUE_DRIVER + 4: case QUEUE_DEVICE:
    case QUEUE_DEVICE + 4:
        return 4;
    case CONFIG_VECTOR: case QUEUE_SEL: case QUEUE_SIZE: case QUEUE_VECTOR: case QUEUE_ENABLE:
        return 2;
    case DEVICE_STATUS: return 1;
    default: return 0; /* nothing that can be written */
    }
}

void virtio_pci_common_write(struct virtio_pci *p, uint32_t off, uint32_t value, unsigned size)
{
    struct virtio_device *d = p->dev;

    if (field_size(off) != size) {
        virtio_guest_error(d, "%u-byte write of 0x%x to common configuration 0x%x", size, value,
                           off);
        return;
    }
    if (off == DEVICE_STATUS) {
        if (value == 0) {
            virtio_pci_reset_device(p);
        } else {
            virtio_write_status(d, (uint8_t)value);
        }
        return;
    }
    pthread_mutex_lock(&d->lock);
    switch (off) {
    case DEVICE_FEATURE_SEL: p->device_features_sel = value; break;
    case DRIVER_FEATURE_SEL: p->driver_features_sel = value; break;
    case DRIVER_FEATURE: virtio_write_features_locked(d, p->driver_features_sel, value); break;
    case CONFIG_VECTOR: set_vector(p, VIRTIO_SOURCE_CONFIG, value); break;
    case QUEUE_SEL: p->queue_sel = (uint16_t)value; break;
    default: write_queue(p, off, value); break;
    }
    pthread_mutex_unlock(&d->lock);
}
