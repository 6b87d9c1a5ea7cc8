/* SPDX-License-Identifier: MIT */
/*
 * virtio-gpu: the device, its queues and commands. Resources are in virtio_gpu_resource.c, the
 * screen in virtio_gpu_scanout.c. Virtio 1.2, 5.7.
 *
 * Both queues are served on the I/O thread with the device's lock held; a call copies a bounded
 * amount and lets others have their turn.
 */
#include "virtio_gpu.h"

#include "base/log.h"
#include "vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GPU_QUEUE_MAX 64
#define SERVE_BYTES ((uint64_t)16 << 20) /* of one call */
#define RANK_GPU 1                       /* before a framebuffer from the start of the boot */

enum { QUEUE_CONTROL, QUEUE_CURSOR };

static struct virtio_gpu *to_gpu(struct virtio_device *d)
{
    return container_of(d, struct virtio_gpu, dev);
}

/* ---- commands ---- */
struct answer {
    struct gpu_header h;
    struct gpu_display_info info;
};

static size_t body_size(uint32_t type)
{
    switch (type) {
    case GPU_RESOURCE_CREATE_2D: return sizeof(struct gpu_create);
    case GPU_RESOURCE_UNREF: case GPU_DETACH_BACKING: return sizeof(struct gpu_unref);
    case GPU_SET_SCANOUT: return sizeof(struct gpu_set_scanout);
    case GPU_RESOURCE_FLUSH: return sizeof(struct gpu_flush);
    case GPU_TRANSFER_TO_HOST_2D: return sizeof(struct gpu_transfer);
    case GPU_ATTACH_BACKING: return sizeof(struct gpu_attach);
    case GPU_UPDATE_CURSOR: case GPU_MOVE_CURSOR: return sizeof(struct gpu_cursor);
    default: return 0;
    }
}

static uint32_t display_info(const struct virtio_gpu *g, struct gpu_display_info *info)
{
    info->mode[0].r = (struct gpu_rect){0, 0, g->width, g->height};
    info->mode[0].enabled = 1;
    return GPU_OK_DISPLAY_INFO;
}

static uint32_t run(struct virtio_gpu *g, uint32_t type, const union gpu_body *b,
                    struct gpu_display_info *info, uint64_t *bytes)
{
    switch (type) {
    case GPU_GET_DISPLAY_INFO: return display_info(g, info);
    case GPU_RESOURCE_CREATE_2D: return gpu_create(g, &b->create);
    case GPU_RESOURCE_UNREF: return gpu_unref(g, b->unref.resource);
    case GPU_SET_SCANOUT: return gpu_set_scanout(g, &b->scanout);
    case GPU_RESOURCE_FLUSH: return gpu_flush(g, &b->flush);
    case GPU_TRANSFER_TO_HOST_2D: return gpu_transfer(g, &b->transfer, bytes);
    case GPU_ATTACH_BACKING:
        *bytes = (uint64_t)b->attach.entries * sizeof(struct gpu_entry);
        return gpu_attach(g, &b->attach, sizeof(struct gpu_header) + sizeof b->attach);
    case GPU_DETACH_BACKING: return gpu_detach(g, b->unref.resource);
    case GPU_MOVE_CURSOR: gpu_move_cursor(g, &b->cursor); return GPU_OK;
    case GPU_UPDATE_CURSOR: gpu_update_cursor(g, &b->cursor); return GPU_OK;
    default: return GPU_ERR_UNSPEC;
    }
}

/* The command in dev.chain; how much of its answer was written, or -1: it broke the device. */
static int serve_one(struct virtio_gpu *g, uint64_t *bytes)
{
    struct virtio_device *d = &g->dev;
    const struct virtio_chain *c = &d->chain;
    struct gpu_header h;
    union gpu_body b = {.create = {0}};
    struct answer a = {.h = {0}};

    if (virtio_iov_read(c->iov, c->nout, 0, &h, sizeof h) != sizeof h) {
        virtio_device_broken(d, "a command of %llu bytes", (unsigned long long)c->out_len);
        return -1;
    }
    size_t want = body_size(h.type);
    a.h.type = virtio_iov_read(c->iov, c->nout, sizeof h, &b, want) != want
                   ? (uint32_t)GPU_ERR_INVALID_PARAMETER
                   : run(g, h.type, &b, &a.info, bytes);
    if (a.h.type >= GPU_ERR_UNSPEC) {
        virtio_guest_error(d, "command 0x%x gets answer 0x%x", h.type, a.h.type);
    }
    if (h.flags & GPU_FLAG_FENCE) {
        a.h.flags = GPU_FLAG_FENCE;
        a.h.fence = h.fence;
        a.h.context = h.context;
    }
    size_t len = a.h.type == GPU_OK_DISPLAY_INFO ? sizeof a : sizeof a.h;
    size_t n = virtio_iov_write(c->iov + c->nout, c->nin, 0, &a, len);
    virtio_iov_written(d->vm, c->iov + c->nout, c->nin, n);
    return (int)n;
}

static void gpu_serve(struct virtio_device *d, unsigned qi)
{
    struct virtio_queue *q = &d->queue[qi];
    unsigned budget = q->num;
    uint64_t total = 0;
    bool more;

    virtio_queue_quiet(d, q);
    do {
        more = false;
        for (; budget > 0 && total < SERVE_BYTES && virtio_queue_pop(d, q); budget--) {
            uint64_t bytes = 0;
            int n = serve_one(to_gpu(d), &bytes);
            if (n < 0) {
                return;
            }
            virtio_queue_push(d, q, d->chain.head, (uint32_t)n);
            total += bytes;
            more = true;
        }
        if (more) {
            virtio_queue_signal(d, q);
        }
        more = virtio_queue_listen(d, q) && virtio_device_running(d);
    } while (more && budget > 0 && total < SERVE_BYTES);
    if (more) {
        virtio_device_again(d, qi);
    }
}

/* ---- device ---- */
static void gpu_reset(struct virtio_device *d)
{
    struct virtio_gpu *g = to_gpu(d);

    gpu_free_all(g);
    g->cursor.visible = false;
    g->cursor.serial++;
    g->config.events_read = 0;
}

static void gpu_config_write(struct virtio_device *d, unsigned off, uint64_t value, unsigned len)
{
    if (off == offsetof(struct virtio_gpu_config, events_clear) && len == 4) {
        to_gpu(d)->config.events_read &= ~(uint32_t)value;
    } else {
        virtio_guest_error(d, "%u-byte write to configuration offset 0x%x", len, off);
    }
}

/* A number from `low` to `high`; what is not given keeps its value. */
static int read_number(const struct vm_device *dev, const struct virtio_option *o,
                       unsigned long low, unsigned long high, unsigned long *out)
{
    char *end;

    if (o->value == NULL) {
        return 0;
    }
    errno = 0;
    unsigned long n = strtoul(o->value, &end, 10);
    if (errno != 0 || end == o->value || *end != '\0' || o->value[0] == '-' || n < low ||
        n > high) {
        log_error("-device %s: %s=%s: accepted: %lu to %lu", dev->driver, o->key, o->value, low,
                  high);
        return -EINVAL;
    }
    *out = n;
    return 0;
}

static int read_options(struct virtio_gpu *g, const struct vm_device *dev)
{
    struct virtio_option option[] = {{"xres", NULL}, {"yres", NULL}, {"max_hostmem", NULL},
                                     {NULL, NULL}};
    unsigned long width = 1280, height = 800, memory = GPU_MEMORY >> 20;
    int err = virtio_options_read(dev, option);

    if (err != 0) {
        return err;
    }
    err = read_number(dev, &option[0], 64, DISPLAY_SIZE_MAX, &width);
    if (err == 0) {
        err = read_number(dev, &option[1], 64, DISPLAY_SIZE_MAX, &height);
    }
    if (err == 0) {
        err = read_number(dev, &option[2], 1, 4096, &memory);
    }
    virtio_options_free(option);
    g->width = (unsigned)width;
    g->height = (unsigned)height;
    g->memory_max = (uint64_t)memory << 20;
    return err;
}

static int gpu_create_device(struct vm *vm, const struct vm_device *dev,
                             struct virtio_device **out)
{
    struct virtio_gpu *g = calloc(1, sizeof *g);
    int err = g == NULL ? -ENOMEM : read_options(g, dev);

    if (err != 0) {
        free(g);
        return err;
    }
    virtio_device_init(&g->dev, &virtio_gpu_class, vm, 0);
    g->config.num_scanouts = 1;
    g->dev.config = (const uint8_t *)&g->config;
    g->dev.config_size = sizeof g->config;
    g->source = (struct display_source){.rank = RANK_GPU, .opaque = g, .draw = gpu_draw,
                                        .cursor = gpu_show_cursor, .want_size = gpu_want_size};
    display_add_source(vm->display, &g->source);
    *out = &g->dev;
    return 0;
}

static void gpu_destroy(struct virtio_device *d)
{
    gpu_free_all(to_gpu(d));
    virtio_device_fini(d);
    free(to_gpu(d));
}

const struct virtio_class virtio_gpu_class = {
    .driver = "virtio-gpu-device",
    .id = 16,
    .nqueues = 2,
    .queue_max = GPU_QUEUE_MAX,
    .create = gpu_create_device,
    .destroy = gpu_destroy,
    .serve = gpu_serve,
    .reset = gpu_reset,
    .config_write = gpu_config_write,
};
