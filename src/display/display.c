/* SPDX-License-Identifier: MIT */
/*
 * The screen: one image that the source of highest rank draws, when a viewer looks. What it changed
 * is noted for every viewer; each has a copy of the picture, so that nobody draws or encodes under
 * another's lock.
 */
#include "display_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLANK_WIDTH 640u
#define BLANK_HEIGHT 480u

int display_create(struct io_loop *io, struct display **out)
{
    struct display *d = calloc(1, sizeof *d);

    if (d == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&d->lock, NULL);
    input_init(d, io);
    *out = d;
    return 0;
}

void display_destroy(struct display *d)
{
    if (d == NULL) {
        return;
    }
    for (struct display_source *s = d->sources, *next; s != NULL; s = next) {
        next = s->next;
        if (s->free != NULL) {
            s->free(s->opaque);
        }
    }
    input_fini(d);
    pthread_mutex_destroy(&d->lock);
    free(d->image.pixels);
    free(d);
}

void display_add_source(struct display *d, struct display_source *s)
{
    struct display_source **at = &d->sources;

    while (*at != NULL && (*at)->rank >= s->rank) {
        at = &(*at)->next;
    }
    s->next = *at;
    *at = s;
}

/* ---- the image ---- */
bool display_image_resize(struct display_image *image, unsigned width, unsigned height)
{
    if (width == 0 || height == 0 || width > DISPLAY_SIZE_MAX || height > DISPLAY_SIZE_MAX) {
        return false;
    }
    uint32_t *pixels = calloc((size_t)width * height, sizeof *pixels);
    if (pixels == NULL) {
        return false;
    }
    free(image->pixels);
    *image = (struct display_image){.width = width, .height = height, .pixels = pixels};
    display_damage_add(&image->damage, (struct display_rect){0, 0, width, height});
    return true;
}

static bool draw(struct display *d)
{
    for (const struct display_source *s = d->sources; s != NULL; s = s->next) {
        if (s->draw(s->opaque, &d->image, s != d->shown)) {
            d->shown = s;
            return true;
        }
    }
    /* Nobody shows anything: a black screen. */
    if (d->shown != NULL || d->image.pixels == NULL) {
        d->shown = NULL;
        return display_image_resize(&d->image, BLANK_WIDTH, BLANK_HEIGHT);
    }
    return true;
}

/* ---- viewers ---- */
void display_viewer_add(struct display *d, struct display_viewer *v)
{
    *v = (struct display_viewer){0};
    pthread_mutex_lock(&d->lock);
    v->next = d->viewers;
    d->viewers = v;
    pthread_mutex_unlock(&d->lock);
}

void display_viewer_remove(struct display *d, struct display_viewer *v)
{
    pthread_mutex_lock(&d->lock);
    struct display_viewer **at = &d->viewers;
    while (*at != v) {
        at = &(*at)->next;
    }
    *at = v->next;
    pthread_mutex_unlock(&d->lock);
    free(v->pixels);
    free(v->before);
    v->pixels = v->before = NULL;
}

static void note_damage(struct display *d)
{
    for (struct display_viewer *v = d->viewers; v != NULL; v = v->next) {
        for (unsigned i = 0; i < d->image.damage.n; i++) {
            display_damage_add(&v->pending, d->image.damage.rect[i]);
        }
    }
    d->image.damage.n = 0;
}

/* Give the viewer's copy the image's size; false: no memory. */
static bool fit(const struct display_image *image, struct display_viewer *v)
{
    uint32_t *pixels = calloc((size_t)image->width * image->height, sizeof *pixels);

    if (pixels == NULL) {
        return false;
    }
    v->before = v->pixels;
    v->pixels = pixels;
    v->width = image->width;
    v->height = image->height;
    v->pending.n = 0;
    display_damage_add(&v->pending, (struct display_rect){0, 0, v->width, v->height});
    return true;
}

/* A rectangle that was noted while the image was larger ends at its edge. */
static struct display_rect clip(const struct display_image *image, struct display_rect r)
{
    unsigned right = image->width - (r.x < image->width ? r.x : image->width);
    unsigned below = image->height - (r.y < image->height ? r.y : image->height);

    return (struct display_rect){r.x, r.y, r.w < right ? r.w : right, r.h < below ? r.h : below};
}

static void copy_rect(const struct display_image *image, struct display_viewer *v,
                      struct display_rect r)
{
    for (unsigned y = r.y; y < r.y + r.h; y++) {
        size_t at = (size_t)y * image->width + r.x;
        memcpy(v->pixels + at, image->pixels + at, r.w * sizeof *v->pixels);
    }
}

static unsigned look_at_cursor(const struct display *d, struct display_viewer *v)
{
    bool visible = v->cursor.visible;
    unsigned serial = v->cursor.serial, news = 0;
    int x = v->cursor.x, y = v->cursor.y;

    if (d->shown != NULL && d->shown->cursor != NULL) {
        d->shown->cursor(d->shown->opaque, &v->cursor);
    } else {
        v->cursor.visible = false;
    }
    if (visible != v->cursor.visible || serial != v->cursor.serial) {
        news |= DISPLAY_CURSOR_SHAPE;
    }
    return x != v->cursor.x || y != v->cursor.y ? news | DISPLAY_CURSOR_MOVED : news;
}

static unsigned look_locked(struct display *d, struct display_viewer *v)
{
    const struct display_image *image = &d->image;
    unsigned news = 0;

    if (!draw(d)) {
        return 0;
    }
    if (v->width != image->width || v->height != image->height) {
        if (!fit(image, v)) {
            return 0;
        }
        news |= DISPLAY_RESIZED;
    }
    note_damage(d);
    for (unsigned i = 0; i < v->pending.n; i++) {
        struct display_rect r = clip(image, v->pending.rect[i]);
        copy_rect(image, v, r);
        display_damage_add(&v->damage, r);
    }
    v->pending.n = 0;
    news |= v->damage.n > 0 ? DISPLAY_CHANGED : 0;
    return news | look_at_cursor(d, v);
}

unsigned display_look(struct display *d, struct display_viewer *v)
{
    free(v->before);
    v->before = NULL;
    v->damage.n = 0;
    pthread_mutex_lock(&d->lock);
    unsigned news = look_locked(d, v);
    pthread_mutex_unlock(&d->lock);
    return news;
}

static bool want_size_locked(struct display *d, unsigned width, unsigned height)
{
    const struct display_source *s = d->shown;
    bool ok = width > 0 && height > 0 && width <= DISPLAY_SIZE_MAX &&
              height <= DISPLAY_SIZE_MAX && s != NULL && s->want_size != NULL;

    if (ok) {
        s->want_size(s->opaque, width, height);
    }
    return ok;
}

bool display_want_size(struct display *d, unsigned width, unsigned height)
{
    pthread_mutex_lock(&d->lock);
    bool ok = want_size_locked(d, width, height);
    pthread_mutex_unlock(&d->lock);
    return ok;
}

bool display_rotate(struct display *d)
{
    pthread_mutex_lock(&d->lock);
    bool ok = want_size_locked(d, d->image.height, d->image.width);
    pthread_mutex_unlock(&d->lock);
    return ok;
}
