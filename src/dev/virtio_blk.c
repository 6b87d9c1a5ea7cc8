/* SPDX-License-Identifier: MIT */
/*
 * virtio-blk: a disk whose contents are a drive (io/block.h). This file is the device: features,
 * configuration space, life cycle. What a request means is virtio_blk_request.c.
 *
 * The queue is served on the drive's own threads, not on the I/O thread: the thread that takes a
 * chain from the ring usually carries it out too, with one wake-up for each notification. Virtio
 * 1.2, 5.2.
 */
#include "virtio_blk.h"

#include "base/log.h"
#include "dev/virtio.h"
#include "vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PHYSICAL_EXP 3 /* 4 KiB: what the host's page cache works in */

static struct virtio_blk *to_blk(struct virtio_device *d)
{
    return container_of(d, struct virtio_blk, dev);
}

const struct block *virtio_blk_drive(const struct vm *vm, const char *id)
{
    for (unsigned i = 0; i < VIRTIO_PLACES; i++) {
        struct virtio_device *d = virtio_device_at(vm, i);
        if (d != NULL && d->cls == &virtio_blk_class &&
            strcmp(block_id(to_blk(d)->drive), id) == 0) {
            return to_blk(d)->drive;
        }
    }
    return NULL;
}

static void run_job(struct block_job *job)
{
    virtio_device_serve(&container_of(job, struct virtio_blk, job)->dev);
}

static void blk_schedule(struct virtio_device *d)
{
    block_post(to_blk(d)->drive, &to_blk(d)->job);
}

static void blk_serve(struct virtio_device *d, unsigned qi)
{
    struct virtio_queue *q = &d->queue[qi];
    struct block_request *list = NULL, **tail = &list;
    unsigned budget = q->num;
    bool more, answered = false;

    virtio_queue_quiet(d, q);
    do {
        for (; budget > 0 && virtio_queue_pop(d, q); budget--) {
            *tail = virtio_blk_request(to_blk(d), q, &answered);
            tail = *tail != NULL ? &(*tail)->next : tail;
        }
        more = virtio_queue_listen(d, q) && virtio_device_running(d);
    } while (more && budget > 0);
    if (answered) {
        virtio_queue_signal(d, q);
    }
    /* Under the lock: a reset cannot come between taking a chain and its place in the drive's
       queue. */
    block_submit(to_blk(d)->drive, list);
    if (more) {
        virtio_device_again(d, qi);
    }
}

static void blk_cancel(struct virtio_device *d)
{
    block_cancel(to_blk(d)->drive);
}

/* ---- features and configuration ---- */
static void blk_negotiated(struct virtio_device *d)
{
    /* A driver that cannot flush expects each write to be durable when it is done. */
    to_blk(d)->config.writeback =
        (d->features & (VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_CONFIG_WCE)) != 0;
}

static void blk_reset(struct virtio_device *d)
{
    to_blk(d)->config.writeback = 1;
}

static void blk_config_write(struct virtio_device *d, unsigned off, uint64_t value, unsigned len)
{
    if (off == offsetof(struct virtio_blk_config, writeback) && len == 1 &&
        (d->features & VIRTIO_BLK_F_CONFIG_WCE)) {
        to_blk(d)->config.writeback = (uint8_t)(value & 1);
    } else {
        virtio_guest_error(d, "write to configuration offset 0x%x", off);
    }
}

static uint64_t blk_features(const struct virtio_blk *b)
{
    uint64_t f = VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH |
                 VIRTIO_BLK_F_TOPOLOGY | VIRTIO_BLK_F_CONFIG_WCE;

    f |= b->config.num_queues > 1 ? VIRTIO_BLK_F_MQ : 0;
    return f | (block_readonly(b->drive) ? VIRTIO_BLK_F_RO
                                         : VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES);
}

static void fill_config(struct virtio_blk *b, unsigned queues)
{
    b->config = (struct virtio_blk_config){
        .capacity = block_sectors(b->drive),
        .seg_max = VIRTIO_BLK_QUEUE_MAX - 2,
        .blk_size = BLOCK_SECTOR,
        .physical_block_exp = PHYSICAL_EXP,
        .min_io_size = 1u << PHYSICAL_EXP,
        .writeback = 1,
        .num_queues = (uint16_t)queues,
        .max_discard_sectors = VIRTIO_BLK_RANGE_MAX,
        .max_discard_seg = VIRTIO_BLK_RANGES,
        .discard_sector_alignment = 1u << PHYSICAL_EXP,
        .max_write_zeroes_sectors = VIRTIO_BLK_RANGE_MAX,
        .max_write_zeroes_seg = VIRTIO_BLK_RANGES,
        .write_zeroes_may_unmap = 1,
    };
    b->dev.config = (const uint8_t *)&b->config;
    b->dev.config_size = sizeof b->config;
}

/* ---- life cycle ---- */
static int open_drive(struct vm *vm, const struct vm_device *dev, const char *id,
                      struct block **out)
{
    const struct vm_options *opt = vm->opt;

    for (unsigned i = 0; i < opt->ndrives; i++) {
        if (strcmp(opt->drive[i].id, id) == 0) {
            return block_open(id, opt->drive[i].file,
                              (opt->drive[i].readonly ? BLOCK_READONLY : 0u) |
                                  (opt->drive[i].snapshot ? BLOCK_SNAPSHOT : 0u) |
                                  (opt->drive[i].qcow2 ? BLOCK_QCOW2 : 0u),
                              out);
        }
    }
    log_error("-device %s: there is no -drive with id=%s", dev->driver, id);
    return -ENOENT;
}

static int set_up(struct virtio_blk *b, struct vm *vm, const struct vm_device *dev,
                  const char *drive, const char *serial)
{
    size_t len = serial != NULL ? strlen(serial) : 0;

    if (drive == NULL) {
        log_error("-device %s: drive= is missing", dev->driver);
        return -EINVAL;
    }
    if (len > sizeof b->serial) {
        log_error("-device %s: serial=%s is longer than %zu characters", dev->driver, serial,
                  sizeof b->serial);
        return -EINVAL;
    }
    if (len > 0) {
        memcpy(b->serial, serial, len);
    }
    return open_drive(vm, dev, drive, &b->drive);
}

/* num-queues= */
static int parse_queues(const struct vm_device *dev, const char *s, unsigned *queues)
{
    char *end = NULL;
    unsigned long n = s != NULL ? strtoul(s, &end, 10) : 1;

    if (s != NULL && (*s < '1' || *s > '9' || *end != '\0' || n > VIRTIO_BLK_QUEUES)) {
        log_error("-device %s: num-queues=%s: accepted: 1 to %u", dev->driver, s,
                  VIRTIO_BLK_QUEUES);
        return -EINVAL;
    }
    *queues = (unsigned)n;
    return 0;
}

static int blk_create(struct vm *vm, const struct vm_device *dev, struct virtio_device **out)
{
    struct virtio_option option[] = {{"drive", NULL}, {"serial", NULL}, {"num-queues", NULL},
                                     {NULL, NULL}};
    unsigned queues = 1;
    struct virtio_blk *b = calloc(1, sizeof *b);
    int err = b == NULL ? -ENOMEM : virtio_options_read(dev, option);

    if (err == 0) {
        err = parse_queues(dev, option[2].value, &queues);
        if (err == 0) {
            err = set_up(b, vm, dev, option[0].value, option[1].value);
        }
        virtio_options_free(option);
    }
    if (err != 0) {
        free(b);
        return err;
    }
    fill_config(b, queues);
    virtio_device_init(&b->dev, &virtio_blk_class, vm, blk_features(b));
    b->dev.nqueues = queues;
    b->job.fn = run_job;
    *out = &b->dev;
    return 0;
}

static void blk_destroy(struct virtio_device *d)
{
    struct virtio_blk *b = to_blk(d);

    block_close(b->drive);
    virtio_device_fini(d);
    free(b);
}

const struct virtio_class virtio_blk_class = {
    .driver = "virtio-blk-device",
    .id = 2,
    .nqueues = 1,
    .queue_max = VIRTIO_BLK_QUEUE_MAX,
    .create = blk_create,
    .destroy = blk_destroy,
    .serve = blk_serve,
    .schedule = blk_schedule,
    .cancel = blk_cancel,
    .reset = blk_reset,
    .negotiated = blk_negotiated,
    .config_write = blk_config_write,
};
