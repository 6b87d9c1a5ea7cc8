/* SPDX-License-Identifier: MIT */
/*
 * The screen as a PNG file, with the pointer drawn over it. The caller's thread.
 */
#include "display/display.h"

#include <errno.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static uint32_t blend(uint32_t under, uint32_t over)
{
    uint32_t alpha = over >> 24, out = 0;

    for (unsigned shift = 0; shift < 24; shift += 8) {
        uint32_t a = over >> shift & 255, b = under >> shift & 255;
        out |= (a * alpha + b * (255 - alpha)) / 255 << shift;
    }
    return out;
}

static void draw_cursor(const struct display_viewer *v)
{
    const struct display_cursor *c = &v->cursor;

    for (unsigned i = 0; i < DISPLAY_CURSOR_SIZE * DISPLAY_CURSOR_SIZE && c->visible; i++) {
        int64_t x = (int64_t)c->x - c->hot_x + i % DISPLAY_CURSOR_SIZE;
        int64_t y = (int64_t)c->y - c->hot_y + i / DISPLAY_CURSOR_SIZE;
        if (x >= 0 && y >= 0 && x < v->width && y < v->height) {
            uint32_t *p = &v->pixels[(size_t)y * v->width + (size_t)x];
            *p = blend(*p, c->pixels[i]);
        }
    }
}

/* PNG's bytes are R, G, B. */
static uint8_t *to_rgb(const struct display_viewer *v)
{
    size_t n = (size_t)v->width * v->height;
    uint8_t *rgb = malloc(3 * n);

    for (size_t i = 0; rgb != NULL && i < n; i++) {
        rgb[3 * i] = (uint8_t)(v->pixels[i] >> 16);
        rgb[3 * i + 1] = (uint8_t)(v->pixels[i] >> 8);
        rgb[3 * i + 2] = (uint8_t)v->pixels[i];
    }
    return rgb;
}

static int write_png(const struct display_viewer *v, FILE *f)
{
    png_image png = {.version = PNG_IMAGE_VERSION, .width = v->width, .height = v->height,
                     .format = PNG_FORMAT_RGB, .flags = PNG_IMAGE_FLAG_FAST};
    uint8_t *rgb = to_rgb(v);
    int err = rgb == NULL ? -ENOMEM : 0;

    errno = 0;
    if (err == 0 && !png_image_write_to_stdio(&png, f, 0, rgb, 0, NULL)) {
        err = errno != 0 ? -errno : -EIO;
    }
    free(rgb);
    return err;
}

static int write_file(const struct display_viewer *v, const char *path)
{
    FILE *f = fopen(path, "wbe");

    if (f == NULL) {
        return -errno;
    }
    int err = write_png(v, f);
    if (fclose(f) != 0 && err == 0) {
        err = -errno;
    }
    return err;
}

int display_screendump(struct display *d, const char *path)
{
    struct display_viewer *v = malloc(sizeof *v);
    int err = -ENOMEM;

    if (v == NULL) {
        return err;
    }
    display_viewer_add(d, v);
    if (display_look(d, v) & DISPLAY_RESIZED) {
        draw_cursor(v);
        err = write_file(v, path);
    }
    display_viewer_remove(d, v);
    free(v);
    return err;
}
