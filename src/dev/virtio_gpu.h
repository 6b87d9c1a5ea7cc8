/* SPDX-License-Identifier: MIT */
/*
 * virtio-gpu, private to virtio_gpu*.c: the device, its resources, the layouts of its commands.
 * Pictures only (2D), one screen. Virtio 1.2, 5.7.
 */
#pragma once

#include "display/display.h"
#include "virtio_internal.h"

#define GPU_RESOURCES 1024u        /* at once */
#define GPU_BACKING_MAX 16384u     /* pieces of guest memory behind one */
#define GPU_MEMORY ((uint64_t)256 << 20) /* of all of them here, unless max_hostmem= says more */
#define GPU_SCANOUTS_LAYOUT 16u    /* in an answer; we have one */
#define GPU_PIXEL 4u               /* bytes, in every format of 2D */

/* Commands and answers (5.7.6.7). */
enum {
    GPU_GET_DISPLAY_INFO = 0x0100, GPU_RESOURCE_CREATE_2D, GPU_RESOURCE_UNREF, GPU_SET_SCANOUT,
    GPU_RESOURCE_FLUSH, GPU_TRANSFER_TO_HOST_2D, GPU_ATTACH_BACKING, GPU_DETACH_BACKING,
    GPU_UPDATE_CURSOR = 0x0300, GPU_MOVE_CURSOR,
    GPU_OK = 0x1100, GPU_OK_DISPLAY_INFO,
    GPU_ERR_UNSPEC = 0x1200, GPU_ERR_OUT_OF_MEMORY, GPU_ERR_INVALID_SCANOUT_ID,
    GPU_ERR_INVALID_RESOURCE_ID, GPU_ERR_INVALID_CONTEXT_ID, GPU_ERR_INVALID_PARAMETER,
};

#define GPU_FLAG_FENCE 1u
#define GPU_EVENT_DISPLAY 1u

struct gpu_header {
    uint32_t type, flags;
    uint64_t fence;
    uint32_t context;
    uint8_t ring, padding[3];
};
_Static_assert(sizeof(struct gpu_header) == 24, "the guest's layout");

struct gpu_rect {
    uint32_t x, y, width, height;
};

struct gpu_create {
    uint32_t resource, format, width, height;
};
struct gpu_unref {
    uint32_t resource, padding;
};
struct gpu_set_scanout {
    struct gpu_rect r;
    uint32_t scanout, resource;
};
struct gpu_flush {
    struct gpu_rect r;
    uint32_t resource, padding;
};
struct gpu_transfer {
    struct gpu_rect r;
    uint64_t offset;
    uint32_t resource, padding;
};
struct gpu_attach {
    uint32_t resource, entries;
};
struct gpu_entry {
    uint64_t addr;
    uint32_t length, padding;
};
struct gpu_cursor {
    uint32_t scanout, x, y, padding;
    uint32_t resource, hot_x, hot_y, padding2;
};
union gpu_body {
    struct gpu_create create;
    struct gpu_unref unref; /* and of detach */
    struct gpu_set_scanout scanout;
    struct gpu_flush flush;
    struct gpu_transfer transfer;
    struct gpu_attach attach;
    struct gpu_cursor cursor;
};

struct gpu_display_info {
    struct {
        struct gpu_rect r;
        uint32_t enabled, flags;
    } mode[GPU_SCANOUTS_LAYOUT];
};

struct virtio_gpu_config {
    uint32_t events_read, events_clear, num_scanouts, num_capsets;
};

/* A picture of the guest: its pixels here, and where it draws them. */
struct gpu_resource {
    struct gpu_resource *next;
    uint32_t id, format, width, height;
    uint8_t *pixels;         /* in the guest's format, rows follow each other */
    struct iovec *backing;   /* NULL: none is attached */
    unsigned nbacking;
    uint64_t backing_size;
};

struct virtio_gpu {
    struct virtio_device dev;
    struct display_source source;
    uint64_t memory_max;
    /* ---- the device's lock ---- */
    struct virtio_gpu_config config;
    unsigned width, height;  /* that the screen would like */
    struct gpu_resource *resources;
    unsigned nresources;
    uint64_t memory;         /* of all resources */
    struct gpu_resource *shown; /* NULL: the screen is off */
    struct gpu_rect window;  /* the part of it that is the screen */
    bool redraw;             /* all of it */
    struct display_damage damage; /* what was flushed since the last look, in the window */
    struct display_cursor cursor;
};

/* ---- virtio_gpu_resource.c; answers are of enum GPU_*; with the device's lock ---- */
struct gpu_resource *gpu_find(const struct virtio_gpu *g, uint32_t id);
uint32_t gpu_create(struct virtio_gpu *g, const struct gpu_create *c);
uint32_t gpu_unref(struct virtio_gpu *g, uint32_t id);
/* The entries stand in the chain at `off`. */
uint32_t gpu_attach(struct virtio_gpu *g, const struct gpu_attach *a, unsigned off);
uint32_t gpu_detach(struct virtio_gpu *g, uint32_t id);
/* Copies from the guest's memory; *bytes: how much. */
uint32_t gpu_transfer(struct virtio_gpu *g, const struct gpu_transfer *t, uint64_t *bytes);
void gpu_free_all(struct virtio_gpu *g);
bool gpu_rect_inside(const struct gpu_rect *r, uint32_t width, uint32_t height);
/* n pixels from (x, y) on as 0xAARRGGBB; they are inside. */
void gpu_convert(const struct gpu_resource *r, unsigned x, unsigned y, unsigned n, uint32_t *out);

/* ---- virtio_gpu_scanout.c; with the device's lock ---- */
uint32_t gpu_set_scanout(struct virtio_gpu *g, const struct gpu_set_scanout *s);
uint32_t gpu_flush(struct virtio_gpu *g, const struct gpu_flush *f);
void gpu_move_cursor(struct virtio_gpu *g, const struct gpu_cursor *c);
void gpu_update_cursor(struct virtio_gpu *g, const struct gpu_cursor *c);
/* Nothing shows this resource any longer. */
void gpu_hide(struct virtio_gpu *g, const struct gpu_resource *r);
/* The display's functions for our source; they take the lock. */
bool gpu_draw(void *opaque, struct display_image *image, bool all);
void gpu_show_cursor(void *opaque, struct display_cursor *c);
void gpu_want_size(void *opaque, unsigned width, unsigned height);
