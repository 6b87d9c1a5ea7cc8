/* SPDX-License-Identifier: MIT */
/*
 * The registers of a virtio-mmio slot, private to virtio_mmio*.c. Virtio 1.2, 4.2.2 and, for
 * version 1, 4.2.4. Lock: the device's.
 */
#pragma once

#include "virtio_internal.h"

enum {
    MAGIC = 0x00, VERSION = 0x04, DEVICE_ID = 0x08, VENDOR_ID = 0x0c, DEVICE_FEATURES = 0x10,
    DEVICE_FEATURES_SEL = 0x14, DRIVER_FEATURES = 0x20, DRIVER_FEATURES_SEL = 0x24,
    GUEST_PAGE_SIZE_V1 = 0x28, QUEUE_SEL = 0x30, QUEUE_NUM_MAX = 0x34, QUEUE_NUM = 0x38,
    QUEUE_ALIGN_V1 = 0x3c, QUEUE_PFN_V1 = 0x40, QUEUE_READY = 0x44, QUEUE_NOTIFY = 0x50,
    INTERRUPT_STATUS = 0x60, INTERRUPT_ACK = 0x64, STATUS = 0x70, QUEUE_DESC_LOW = 0x80,
    QUEUE_DESC_HIGH = 0x84, QUEUE_DRIVER_LOW = 0x90, QUEUE_DRIVER_HIGH = 0x94,
    QUEUE_DEVICE_LOW = 0xa0, QUEUE_DEVICE_HIGH = 0xa4, SHM_LEN_LOW = 0xb0, SHM_LEN_HIGH = 0xb4,
    SHM_BASE_LOW = 0xb8, SHM_BASE_HIGH = 0xbc, CONFIG_GENERATION = 0xfc, CONFIG = 0x100,
};

struct virtio_mmio {
    struct virtio_device *dev; /* NULL: empty; never changes */
    bool legacy;               /* version 1; never changes */
    /* ---- the device's lock ---- */
    uint32_t device_features_sel, driver_features_sel, queue_sel;
    uint32_t page_size;        /* version 1: unit of QueuePFN; outlives a reset by the driver */
    uint32_t align[VIRTIO_QUEUES], pfn[VIRTIO_QUEUES]; /* version 1 */
};

/* The queue QueueSel names, or NULL. */
struct virtio_queue *virtio_mmio_selected(struct virtio_mmio *m);

/* ---- virtio_mmio_legacy.c: what version 1 does differently; with the device's lock ---- */
uint32_t virtio_mmio_legacy_read(struct virtio_mmio *m, uint64_t off);
void virtio_mmio_legacy_write(struct virtio_mmio *m, uint64_t off, uint32_t value);
