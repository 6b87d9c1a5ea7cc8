/* SPDX-License-Identifier: MIT */
/*
 * virtio-gpu: resources. The guest names them by numbers of its choice, says where in its memory
 * it draws, and has rectangles copied from there. All numbers are its own: sizes, offsets and
 * addresses are checked before use, and all resources together stay below a limit.
 *
 * Everything here runs with the device's lock held.
 */
#include "virtio_gpu.h"

#include "vm.h"

#include <stdlib.h>
#include <string.h>

/* Where red, green, blue and alpha are in the four bytes of a pixel; alpha 4: there is none. */
static const struct format {
    uint32_t number;
    uint8_t r, g, b, a;
} formats[] = {
    {1, 2, 1, 0, 3},   /* B8G8R8A8 */
    {2, 2, 1, 0, 4},   /* B8G8R8X8 */
    {3, 1, 2, 3, 0},   /* A8R8G8B8 */
    {4, 1, 2, 3, 4},   /* X8R8G8B8 */
    {67, 0, 1, 2, 3},  /* R8G8B8A8 */
    {68, 3, 2, 1, 4},  /* X8B8G8R8 */
    {121, 3, 2, 1, 0}, /* A8B8G8R8 */
    {134, 0, 1, 2, 4}, /* R8G8B8X8 */
};

static const struct format *find_format(uint32_t number)
{
    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        if (formats[i].number == number) {
            return &formats[i];
        }
    }
    return NULL;
}

bool gpu_rect_inside(const struct gpu_rect *r, uint32_t width, uint32_t height)
{
    return r->x <= width && r->width <= width - r->x && r->y <= height &&
           r->height <= height - r->y;
}

struct gpu_resource *gpu_find(const struct virtio_gpu *g, uint32_t id)
{
    struct gpu_resource *r = g->resources;

    while (r != NULL && r->id != id) {
        r = r->next;
    }
    return r;
}

static uint64_t pixel_bytes(const struct gpu_resource *r)
{
    return (uint64_t)r->width * r->height * GPU_PIXEL;
}

/* ---- create and unref ---- */
static uint32_t check_create(const struct virtio_gpu *g, const struct gpu_create *c)
{
    if (c->resource == 0 || gpu_find(g, c->resource) != NULL) {
        return GPU_ERR_INVALID_RESOURCE_ID;
    }
    if (find_format(c->format) == NULL || c->width == 0 || c->height == 0 ||
        c->width > DISPLAY_SIZE_MAX || c->height > DISPLAY_SIZE_MAX) {
        return GPU_ERR_INVALID_PARAMETER;
    }
    uint64_t bytes = (uint64_t)c->width * c->height * GPU_PIXEL;
    return g->nresources == GPU_RESOURCES || bytes > g->memory_max - g->memory
               ? GPU_ERR_OUT_OF_MEMORY
               : GPU_OK;
}

uint32_t gpu_create(struct virtio_gpu *g, const struct gpu_create *c)
{
    uint32_t answer = check_create(g, c);

    if (answer != GPU_OK) {
        return answer;
    }
    struct gpu_resource *r = calloc(1, sizeof *r);
    uint8_t *pixels = calloc((size_t)c->width * c->height, GPU_PIXEL);
    if (r == NULL || pixels == NULL) {
        free(r);
        free(pixels);
        return GPU_ERR_OUT_OF_MEMORY;
    }
    *r = (struct gpu_resource){.next = g->resources, .id = c->resource, .format = c->format,
                               .width = c->width, .height = c->height, .pixels = pixels};
    g->resources = r;
    g->nresources++;
    g->memory += pixel_bytes(r);
    return GPU_OK;
}

static void drop_backing(struct virtio_gpu *g, struct gpu_resource *r)
{
    g->memory -= r->nbacking * sizeof r->backing[0];
    free(r->backing);
    r->backing = NULL;
    r->nbacking = 0;
    r->backing_size = 0;
}

static void free_resource(struct virtio_gpu *g, struct gpu_resource *r)
{
    gpu_hide(g, r);
    drop_backing(g, r);
    g->memory -= pixel_bytes(r);
    g->nresources--;
    free(r->pixels);
    free(r);
}

uint32_t gpu_unref(struct virtio_gpu *g, uint32_t id)
{
    for (struct gpu_resource **at = &g->resources, *r; (r = *at) != NULL; at = &r->next) {
        if (r->id == id) {
            *at = r->next;
            free_resource(g, r);
            return GPU_OK;
        }
    }
    return GPU_ERR_INVALID_RESOURCE_ID;
}

void gpu_free_all(struct virtio_gpu *g)
{
    for (struct gpu_resource *r; (r = g->resources) != NULL;) {
        g->resources = r->next;
        free_resource(g, r);
    }
}

/* ---- backing ---- */
/* Host addresses of guest memory; false: some of it is none. */
static bool translate(const struct virtio_gpu *g, const struct gpu_entry *e, unsigned n,
                      struct gpu_resource *r)
{
    for (unsigned i = 0; i < n; i++) {
        void *p = e[i].length != 0 ? ram_ptr(&g->dev.vm->ram, e[i].addr, e[i].length) : NULL;
        if (p == NULL) {
            return false;
        }
        r->backing[i] = (struct iovec){p, e[i].length};
        r->backing_size += e[i].length;
    }
    return true;
}

static uint32_t read_entries(struct virtio_gpu *g, struct gpu_resource *r, unsigned n,
                             unsigned off)
{
    const struct virtio_chain *c = &g->dev.chain;
    size_t size = n * sizeof(struct gpu_entry);
    struct gpu_entry *e = malloc(size);
    uint32_t answer = GPU_OK;

    r->backing = malloc(n * sizeof r->backing[0]);
    if (e == NULL || r->backing == NULL) {
        answer = GPU_ERR_OUT_OF_MEMORY;
    } else if (virtio_iov_read(c->iov, c->nout, off, e, size) != size ||
               !translate(g, e, n, r)) {
        answer = GPU_ERR_INVALID_PARAMETER;
    }
    free(e);
    if (answer != GPU_OK) {
        drop_backing(g, r); /* nbacking is 0: nothing was counted yet */
    } else {
        r->nbacking = n;
        g->memory += n * sizeof r->backing[0];
    }
    return answer;
}

uint32_t gpu_attach(struct virtio_gpu *g, const struct gpu_attach *a, unsigned off)
{
    struct gpu_resource *r = gpu_find(g, a->resource);

    if (r == NULL) {
        return GPU_ERR_INVALID_RESOURCE_ID;
    }
    if (r->backing != NULL || a->entries == 0 || a->entries > GPU_BACKING_MAX) {
        return GPU_ERR_INVALID_PARAMETER;
    }
    if (a->entries * sizeof r->backing[0] > g->memory_max - g->memory) {
        return GPU_ERR_OUT_OF_MEMORY;
    }
    return read_entries(g, r, a->entries, off);
}

uint32_t gpu_detach(struct virtio_gpu *g, uint32_t id)
{
    struct gpu_resource *r = gpu_find(g, id);

    if (r == NULL) {
        return GPU_ERR_INVALID_RESOURCE_ID;
    }
    if (r->backing == NULL) {
        return GPU_ERR_INVALID_PARAMETER;
    }
    drop_backing(g, r);
    return GPU_OK;
}

/* ---- transfers ---- */
/* A place in the backing that only moves on, so that many rows cost one walk. */
struct place {
    const struct iovec *iov;
    uint64_t start; /* of *iov in the backing */
};

/* There are as many bytes. */
static void copy_from(struct place *p, uint64_t off, uint8_t *to, size_t len)
{
    while (len > 0) {
        while (off - p->start >= p->iov->iov_len) {
            p->start += p->iov->iov_len;
            p->iov++;
        }
        size_t at = (size_t)(off - p->start), room = p->iov->iov_len - at;
        size_t n = len < room ? len : room;
        memcpy(to, (const uint8_t *)p->iov->iov_base + at, n);
        to += n;
        off += n;
        len -= n;
    }
}

/* Does the backing hold `rows` rows of `row` bytes, `stride` apart, from offset on? */
static bool in_backing(const struct gpu_resource *r, uint64_t offset, uint64_t rows, uint64_t row,
                       uint64_t stride)
{
    uint64_t need = (rows - 1) * stride + row; /* below 2^29 */

    return need <= r->backing_size && offset <= r->backing_size - need;
}

uint32_t gpu_transfer(struct virtio_gpu *g, const struct gpu_transfer *t, uint64_t *bytes)
{
    struct gpu_resource *r = gpu_find(g, t->resource);

    if (r == NULL) {
        return GPU_ERR_INVALID_RESOURCE_ID;
    }
    if (r->backing == NULL || !gpu_rect_inside(&t->r, r->width, r->height)) {
        return GPU_ERR_INVALID_PARAMETER;
    }
    if (t->r.width == 0 || t->r.height == 0) {
        return GPU_OK;
    }
    uint64_t stride = (uint64_t)r->width * GPU_PIXEL, row = (uint64_t)t->r.width * GPU_PIXEL;
    if (!in_backing(r, t->offset, t->r.height, row, stride)) {
        return GPU_ERR_INVALID_PARAMETER;
    }
    struct place p = {r->backing, 0};
    uint8_t *to = r->pixels + t->r.y * stride + (uint64_t)t->r.x * GPU_PIXEL;
    for (uint32_t y = 0; y < t->r.height; y++) {
        copy_from(&p, t->offset + y * stride, to + y * stride, row);
    }
    *bytes = row * t->r.height;
    return GPU_OK;
}

void gpu_convert(const struct gpu_resource *r, unsigned x, unsigned y, unsigned n, uint32_t *out)
{
    const struct format *f = find_format(r->format);
    const uint8_t *p = r->pixels + ((size_t)y * r->width + x) * GPU_PIXEL;

    if (f->r == 2 && f->g == 1 && f->b == 0) { /* the host's own order, which Linux prefers */
        memcpy(out, p, (size_t)n * GPU_PIXEL);
        for (unsigned i = 0; i < n && f->a == GPU_PIXEL; i++) {
            out[i] |= 0xff000000;
        }
        return;
    }
    for (unsigned i = 0; i < n; i++, p += GPU_PIXEL) {
        uint32_t alpha = f->a < GPU_PIXEL ? p[f->a] : 255;
        out[i] = alpha << 24 | (uint32_t)p[f->r] << 16 | (uint32_t)p[f->g] << 8 | p[f->b];
    }
}
