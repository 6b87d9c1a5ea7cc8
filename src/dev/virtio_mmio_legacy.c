/* SPDX-License-Identifier: MIT */
/*
 * virtio-mmio, version 1: the registers that differ, for kernels from before virtio 1.0. A queue
 * is one piece of memory whose address is given in pages, features have 32 bits and are not
 * confirmed, and there is no way to say that the device needs a reset: a device whose driver broke
 * the rules just stops. Virtio 1.2, 4.2.4 and 2.7.2.
 *
 * vCPU threads, with the device's lock.
 */
#include "virtio_mmio.h"

#define DESC_SIZE 16u

static bool power_of_two(uint64_t x)
{
    return x != 0 && (x & (x - 1)) == 0;
}

uint32_t virtio_mmio_legacy_read(struct virtio_mmio *m, uint64_t off)
{
    struct virtio_device *d = m->dev;
    const struct virtio_queue *q = virtio_mmio_selected(m);

    switch (off) {
    case VERSION: return 1;
    case DEVICE_FEATURES:
        return m->device_features_sel == 0 ? (uint32_t)(d->offered | VIRTIO_F_ANY_LAYOUT) : 0;
    case QUEUE_PFN_V1: return q != NULL && q->ready ? m->pfn[m->queue_sel] : 0;
    case STATUS: return d->status & (uint8_t)~VIRTIO_NEEDS_RESET;
    default: virtio_guest_error(d, "read of register 0x%x", (unsigned)off); return 0;
    }
}

static void write_features(struct virtio_mmio *m, uint32_t value)
{
    struct virtio_device *d = m->dev;
    uint32_t known = (uint32_t)(d->offered | VIRTIO_F_ANY_LAYOUT);

    if (d->status & VIRTIO_DRIVER_OK) {
        virtio_guest_error(d, "features written after DRIVER_OK");
        return;
    }
    if (m->driver_features_sel != 0 || (value & ~known) != 0) {
        virtio_guest_error(d, "features 0x%x of word %u: some were not offered", value,
                           m->driver_features_sel);
    }
    if (m->driver_features_sel == 0) {
        d->features = value & known;
        if (d->cls->negotiated != NULL) {
            d->cls->negotiated(d);
        }
    }
}

/* Descriptors, available ring, and, from the next multiple of the alignment on, used ring. */
static void place_queue(struct virtio_mmio *m, struct virtio_queue *q, uint32_t pfn)
{
    struct virtio_device *d = m->dev;
    uint64_t page = m->page_size, align = m->align[m->queue_sel];

    q->desc_gpa = (gpa_t)pfn * page;
    q->avail_gpa = q->desc_gpa + (uint64_t)DESC_SIZE * q->num;
    q->used_gpa = q->avail_gpa + 6 + 2u * (uint64_t)q->num;
    if (power_of_two(align)) {
        q->used_gpa = (q->used_gpa + align - 1) & ~(align - 1);
    }
    if (!power_of_two(page) || !power_of_two(align) || !virtio_queue_enable(d, q)) {
        virtio_device_broken(d, "queue %u: size %u, page 0x%x of 0x%x bytes, alignment 0x%x are "
                                "impossible",
                             m->queue_sel, q->num, pfn, m->page_size, m->align[m->queue_sel]);
        return;
    }
    m->pfn[m->queue_sel] = pfn;
}

void virtio_mmio_legacy_write(struct virtio_mmio *m, uint64_t off, uint32_t value)
{
    struct virtio_device *d = m->dev;
    struct virtio_queue *q = virtio_mmio_selected(m);

    switch (off) {
    case DRIVER_FEATURES: write_features(m, value); return;
    case GUEST_PAGE_SIZE_V1: m->page_size = value; return;
    case QUEUE_ALIGN_V1: case QUEUE_NUM: case QUEUE_PFN_V1: break;
    default:
        virtio_guest_error(d, "write of 0x%x to register 0x%x", value, (unsigned)off);
        return;
    }
    if (q == NULL || q->ready) {
        virtio_guest_error(d, "queue %u, register 0x%x written: %s", m->queue_sel, (unsigned)off,
                           q == NULL ? "no such queue" : "it is in use");
    } else if (off == QUEUE_ALIGN_V1) {
        m->align[m->queue_sel] = value;
    } else if (off == QUEUE_NUM) {
        q->num = value > UINT16_MAX ? 0 : (uint16_t)value;
    } else {
        place_queue(m, q, value);
    }
}
