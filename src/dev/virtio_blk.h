/* SPDX-License-Identifier: MIT */
/*
 * virtio-blk, private to virtio_blk*.c: the device, its feature bits and layouts. Virtio 1.2, 5.2.
 */
#pragma once

#include "io/block.h"
#include "virtio_internal.h"

#define VIRTIO_BLK_F_SEG_MAX ((uint64_t)1 << 2)
#define VIRTIO_BLK_F_RO ((uint64_t)1 << 5)
#define VIRTIO_BLK_F_BLK_SIZE ((uint64_t)1 << 6)
#define VIRTIO_BLK_F_FLUSH ((uint64_t)1 << 9)
#define VIRTIO_BLK_F_TOPOLOGY ((uint64_t)1 << 10)
#define VIRTIO_BLK_F_CONFIG_WCE ((uint64_t)1 << 11)
#define VIRTIO_BLK_F_MQ ((uint64_t)1 << 12)
#define VIRTIO_BLK_F_DISCARD ((uint64_t)1 << 13)
#define VIRTIO_BLK_F_WRITE_ZEROES ((uint64_t)1 << 14)

#define VIRTIO_BLK_QUEUE_MAX 256u
#define VIRTIO_BLK_QUEUES 8u             /* at most */
#define VIRTIO_BLK_RANGES 16u            /* of one discard or write zeroes request */
#define VIRTIO_BLK_RANGE_MAX (1u << 22)  /* sectors of one range */

struct virtio_blk_config {
    uint64_t capacity;
    uint32_t size_max, seg_max;
    uint16_t cylinders;
    uint8_t heads, sectors;
    uint32_t blk_size;
    uint8_t physical_block_exp, alignment_offset;
    uint16_t min_io_size;
    uint32_t opt_io_size;
    uint8_t writeback, unused0;
    uint16_t num_queues;
    uint32_t max_discard_sectors, max_discard_seg, discard_sector_alignment;
    uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
    uint8_t write_zeroes_may_unmap, unused1[3];
} __attribute__((packed));
_Static_assert(sizeof(struct virtio_blk_config) == 60, "the guest's layout");

struct virtio_blk {
    struct virtio_device dev;
    struct virtio_blk_config config; /* dev.lock */
    char serial[20];                 /* padded with NUL, not terminated */
    struct block *drive;
    struct block_job job;            /* serves the queue */
};

/*
 * The chain in dev.chain, which came from q: a request for the drive, or NULL when it is answered
 * already (*answered) or broke the device. With the device's lock.
 */
struct block_request *virtio_blk_request(struct virtio_blk *b, struct virtio_queue *q,
                                         bool *answered);
