/* SPDX-License-Identifier: MIT */
/*
 * simple-framebuffer: a piece of guest RAM that is the screen. Nothing says when the guest draws,
 * so each look compares it with what was seen before, row by row; a row that is the same costs one
 * comparison. The guest may draw meanwhile: what is shown is what was copied, and the next look
 * finds the rest.
 *
 * Everything here runs with the display's lock held.
 */
#include "display/display.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const display_format_name[DISPLAY_FORMATS + 1] = {
    [DISPLAY_R5G6B5] = "r5g6b5", [DISPLAY_X8R8G8B8] = "x8r8g8b8"};

struct framebuffer {
    struct display_source source;
    struct display_framebuffer config;
    const uint8_t *ram;
    struct display_pixels pixels;
};

/* One look: what is drawn from where, and what was seen there before. */
struct look {
    const struct display_framebuffer *config;
    unsigned stride;
    const uint8_t *ram;
    uint8_t *seen;
};

static unsigned pixel_size(enum display_format f)
{
    return f == DISPLAY_R5G6B5 ? 2 : 4;
}

unsigned display_framebuffer_stride(const struct display_framebuffer *f)
{
    return f->width * pixel_size(f->format);
}

static uint32_t from_r5g6b5(uint16_t p)
{
    uint32_t r = p >> 11, g = p >> 5 & 63, b = p & 31;

    /* The highest bits once more below, so that white is white. */
    return (r << 3 | r >> 2) << 16 | (g << 2 | g >> 4) << 8 | (b << 3 | b >> 2);
}

static void convert(const struct look *f, const uint8_t *from, uint32_t *to, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (f->config->format == DISPLAY_R5G6B5) {
            uint16_t p;
            memcpy(&p, from + (size_t)2 * i, sizeof p);
            to[i] = from_r5g6b5(p);
        } else {
            uint32_t p;
            memcpy(&p, from + (size_t)4 * i, sizeof p);
            to[i] = p & 0xffffff;
        }
    }
}

/* The pixels of a row that differ: from *first, how many. */
static unsigned difference(const struct look *f, const uint8_t *a, const uint8_t *b,
                           unsigned *first)
{
    unsigned from = 0, to = f->stride, bytes = pixel_size(f->config->format);

    while (from < to && a[from] == b[from]) {
        from++;
    }
    while (to > from && a[to - 1] == b[to - 1]) {
        to--;
    }
    *first = from / bytes;
    return from == to ? 0 : (to - 1) / bytes + 1 - *first;
}

static void draw_row(const struct look *f, struct display_image *image, unsigned y, bool all)
{
    uint8_t *seen = f->seen + (size_t)y * f->stride;
    const uint8_t *now = f->ram + (size_t)y * f->stride;
    unsigned n = f->config->width, first = 0, bytes = pixel_size(f->config->format);

    if (!all) {
        if (memcmp(seen, now, f->stride) == 0) {
            return;
        }
        n = difference(f, seen, now, &first);
    }
    size_t at = (size_t)first * bytes;
    memcpy(seen + at, now + at, (size_t)n * bytes);
    convert(f, seen + at, image->pixels + (size_t)y * image->width + first, n);
    display_damage_add(&image->damage, (struct display_rect){first, y, n, 1});
}

bool display_pixels_draw(struct display_pixels *p, const struct display_framebuffer *c,
                         const uint8_t *ram, struct display_image *image, bool all)
{
    struct look f = {.config = c, .stride = display_framebuffer_stride(c), .ram = ram};
    size_t size = (size_t)f.stride * c->height;

    if (p->size != size) {
        display_pixels_free(p);
        p->seen = malloc(size);
        p->size = p->seen != NULL ? size : 0;
        all = true;
    }
    if (p->seen == NULL || (all && !display_image_resize(image, c->width, c->height))) {
        return false;
    }
    f.seen = p->seen;
    for (unsigned y = 0; y < c->height; y++) {
        draw_row(&f, image, y, all);
    }
    return true;
}

void display_pixels_free(struct display_pixels *p)
{
    free(p->seen);
    *p = (struct display_pixels){0};
}

static bool framebuffer_draw(void *opaque, struct display_image *image, bool all)
{
    struct framebuffer *f = opaque;

    return display_pixels_draw(&f->pixels, &f->config, f->ram, image, all);
}

static void framebuffer_free(void *opaque)
{
    struct framebuffer *f = opaque;

    display_pixels_free(&f->pixels);
    free(f);
}

int display_add_framebuffer(struct display *d, const struct display_framebuffer *c,
                            const uint8_t *ram)
{
    struct framebuffer *f = calloc(1, sizeof *f);

    if (f == NULL) {
        return -ENOMEM;
    }
    *f = (struct framebuffer){
        .source = {.opaque = f, .draw = framebuffer_draw, .free = framebuffer_free},
        .config = *c,
        .ram = ram,
    };
    display_add_source(d, &f->source);
    return 0;
}
