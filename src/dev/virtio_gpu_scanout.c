/* SPDX-License-Identifier: MIT */
/*
 * virtio-gpu: what is on the screen. The guest says which part of which resource, and when it has
 * changed; the display fetches that when somebody looks. Until then a flush only notes a rectangle.
 *
 * The first half runs with the device's lock held; the display's functions take it.
 */
#include "virtio_gpu.h"

#include <string.h>

void gpu_hide(struct virtio_gpu *g, const struct gpu_resource *r)
{
    if (g->shown == r) {
        g->shown = NULL;
        g->damage.n = 0;
    }
}

uint32_t gpu_set_scanout(struct virtio_gpu *g, const struct gpu_set_scanout *s)
{
    struct gpu_resource *r = gpu_find(g, s->resource);

    if (s->scanout != 0) {
        return GPU_ERR_INVALID_SCANOUT_ID;
    }
    if (s->resource == 0) {
        gpu_hide(g, g->shown);
        return GPU_OK;
    }
    if (r == NULL) {
        return GPU_ERR_INVALID_RESOURCE_ID;
    }
    if (s->r.width == 0 || s->r.height == 0 || !gpu_rect_inside(&s->r, r->width, r->height)) {
        return GPU_ERR_INVALID_PARAMETER;
    }
    g->shown = r;
    g->window = s->r;
    g->redraw = true;
    return GPU_OK;
}

static uint32_t later(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t earlier(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

uint32_t gpu_flush(struct virtio_gpu *g, const struct gpu_flush *f)
{
    const struct gpu_resource *r = gpu_find(g, f->resource);
    const struct gpu_rect *w = &g->window;

    if (r == NULL) {
        return GPU_ERR_INVALID_RESOURCE_ID;
    }
    if (!gpu_rect_inside(&f->r, r->width, r->height)) {
        return GPU_ERR_INVALID_PARAMETER;
    }
    /* Sums stay in range: both rectangles are inside of resources. */
    uint32_t x = later(f->r.x, w->x), y = later(f->r.y, w->y);
    uint32_t right = earlier(f->r.x + f->r.width, w->x + w->width);
    uint32_t below = earlier(f->r.y + f->r.height, w->y + w->height);
    if (r == g->shown && x < right && y < below) {
        display_damage_add(&g->damage,
                           (struct display_rect){x - w->x, y - w->y, right - x, below - y});
    }
    return GPU_OK;
}

/* ---- the pointer ---- */
void gpu_move_cursor(struct virtio_gpu *g, const struct gpu_cursor *c)
{
    if (c->scanout == 0) {
        g->cursor.x = (int)earlier(c->x, DISPLAY_SIZE_MAX);
        g->cursor.y = (int)earlier(c->y, DISPLAY_SIZE_MAX);
    }
}

void gpu_update_cursor(struct virtio_gpu *g, const struct gpu_cursor *c)
{
    const struct gpu_resource *r = gpu_find(g, c->resource);
    struct display_cursor *shape = &g->cursor;

    gpu_move_cursor(g, c);
    if (c->scanout != 0) {
        return;
    }
    shape->serial++;
    shape->visible = r != NULL && r->width == DISPLAY_CURSOR_SIZE &&
                     r->height == DISPLAY_CURSOR_SIZE;
    shape->hot_x = earlier(c->hot_x, DISPLAY_CURSOR_SIZE - 1);
    shape->hot_y = earlier(c->hot_y, DISPLAY_CURSOR_SIZE - 1);
    for (unsigned y = 0; y < DISPLAY_CURSOR_SIZE && shape->visible; y++) {
        gpu_convert(r, 0, y, DISPLAY_CURSOR_SIZE, shape->pixels + (size_t)y * DISPLAY_CURSOR_SIZE);
    }
}

/* ---- for the display ---- */
static void copy_window(const struct virtio_gpu *g, struct display_image *image,
                        struct display_rect r)
{
    for (unsigned y = r.y; y < r.y + r.h; y++) {
        uint32_t *to = image->pixels + (size_t)y * image->width + r.x;
        gpu_convert(g->shown, g->window.x + r.x, g->window.y + y, r.w, to);
        for (unsigned x = 0; x < r.w; x++) {
            to[x] &= 0xffffff;
        }
    }
    display_damage_add(&image->damage, r);
}

static bool draw_locked(struct virtio_gpu *g, struct display_image *image, bool all)
{
    unsigned width = g->window.width, height = g->window.height;

    if (g->shown == NULL) {
        return false;
    }
    bool resize = image->width != width || image->height != height;
    if (resize && !display_image_resize(image, width, height)) {
        return false;
    }
    if (all || resize || g->redraw) {
        g->damage.n = 1;
        g->damage.rect[0] = (struct display_rect){0, 0, width, height};
    }
    for (unsigned i = 0; i < g->damage.n; i++) {
        copy_window(g, image, g->damage.rect[i]);
    }
    g->damage.n = 0;
    g->redraw = false;
    return true;
}

bool gpu_draw(void *opaque, struct display_image *image, bool all)
{
    struct virtio_gpu *g = opaque;

    pthread_mutex_lock(&g->dev.lock);
    bool ok = draw_locked(g, image, all);
    pthread_mutex_unlock(&g->dev.lock);
    return ok;
}

void gpu_show_cursor(void *opaque, struct display_cursor *c)
{
    struct virtio_gpu *g = opaque;

    pthread_mutex_lock(&g->dev.lock);
    if (c->serial != g->cursor.serial) {
        *c = g->cursor;
    }
    c->visible = g->cursor.visible;
    c->x = g->cursor.x;
    c->y = g->cursor.y;
    pthread_mutex_unlock(&g->dev.lock);
}

void gpu_want_size(void *opaque, unsigned width, unsigned height)
{
    struct virtio_gpu *g = opaque;

    pthread_mutex_lock(&g->dev.lock);
    g->width = width;
    g->height = height;
    g->config.events_read |= GPU_EVENT_DISPLAY;
    if (virtio_device_running(&g->dev)) {
        virtio_device_interrupt_config_locked(&g->dev);
    }
    pthread_mutex_unlock(&g->dev.lock);
}
