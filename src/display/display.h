/* SPDX-License-Identifier: MIT */
/*
 * The screen and what people do in front of it: where the guest's picture comes from (sources),
 * who looks at it (viewers: VNC, screendump). Keys, pointer and touches are in input.h.
 * docs/display.md is the user's guide.
 *
 * A picture is pulled: without a viewer nothing is copied or compared. Sources are added by the
 * main thread before the machine runs and stay to its end. Everything else: any thread.
 *
 * Locks: the display's, inside it those of devices, which never call here with their own held.
 */
#pragma once

#include "base/types.h"

struct display;
struct io_loop;

#define DISPLAY_SIZE_MAX 8192u /* of each side, in pixels */

int display_create(struct io_loop *io, struct display **out) MUST_CHECK; /* -errno */
/* The I/O loop is stopped, viewers are gone. NULL is fine. */
void display_destroy(struct display *d);

/* ---- the picture ---- */
struct display_rect {
    unsigned x, y, w, h;
};

#define DISPLAY_RECTS 32u
/* Where a picture changed; rectangles may overlap. */
struct display_damage {
    unsigned n;
    struct display_rect rect[DISPLAY_RECTS];
};
void display_damage_add(struct display_damage *d, struct display_rect r);

struct display_image {
    unsigned width, height;
    uint32_t *pixels; /* 0x00RRGGBB, rows follow each other without gaps */
    struct display_damage damage;
};
/* For sources: give the image this size, black. False: too large, or no memory. */
bool display_image_resize(struct display_image *image, unsigned width, unsigned height) MUST_CHECK;

#define DISPLAY_CURSOR_SIZE 64u
struct display_cursor {
    bool visible;
    unsigned serial; /* another picture or hot spot: another number */
    int x, y;        /* where its hot spot is on the screen */
    unsigned hot_x, hot_y;
    uint32_t pixels[DISPLAY_CURSOR_SIZE * DISPLAY_CURSOR_SIZE]; /* 0xAARRGGBB */
};

/* Functions run with the display's lock held. */
struct display_source {
    unsigned rank; /* of the sources that show something, the one of highest rank is seen */
    void *opaque;
    /* Bring the image up to date and note in image->damage what changed; false: nothing to show.
       `all`: what the image holds is not this source's. */
    bool (*draw)(void *opaque, struct display_image *image, bool all);
    /* The pointer that the guest shows apart from the picture; NULL: it has none. */
    void (*cursor)(void *opaque, struct display_cursor *c);
    /* A viewer would like another size; NULL: it is fixed. */
    void (*want_size)(void *opaque, unsigned width, unsigned height);
    /* At the end of the display; NULL: the source has another owner. */
    void (*free)(void *opaque);
    struct display_source *next; /* the display's */
};
void display_add_source(struct display *d, struct display_source *s);

/* ---- viewers ---- */
struct display_viewer {
    /* What display_look() keeps up to date for its caller, who reads it without a lock. */
    unsigned width, height;
    uint32_t *pixels;
    struct display_damage damage; /* what the last look changed */
    struct display_cursor cursor;
    /* The display's. */
    struct display_damage pending;
    uint32_t *before;
    struct display_viewer *next;
};
void display_viewer_add(struct display *d, struct display_viewer *v);
void display_viewer_remove(struct display *d, struct display_viewer *v);

enum {
    DISPLAY_RESIZED = 1, DISPLAY_CHANGED = 2, DISPLAY_CURSOR_SHAPE = 4, DISPLAY_CURSOR_MOVED = 8,
};
/*
 * Look at the screen; what is new, a bit each. After DISPLAY_RESIZED the pixels of before stay
 * allocated until the next look.
 */
unsigned display_look(struct display *d, struct display_viewer *v);
/* Ask the source that is seen for another size. False: it cannot. */
bool display_want_size(struct display *d, unsigned width, unsigned height);
/* Ask for the size that is shown, width and height exchanged. False: it cannot. */
bool display_rotate(struct display *d);

/* What the screen shows now, pointer included, as a PNG file. -errno. */
int display_screendump(struct display *d, const char *path) MUST_CHECK;

/* ---- simple-framebuffer (simplefb.c) ---- */
enum display_format { DISPLAY_R5G6B5, DISPLAY_X8R8G8B8, DISPLAY_FORMATS };
extern const char *const display_format_name[DISPLAY_FORMATS + 1]; /* ends with NULL */

struct display_framebuffer {
    unsigned width, height;
    enum display_format format;
};
unsigned display_framebuffer_stride(const struct display_framebuffer *f);
/*
 * What was seen of a picture in guest RAM; zeros at first. For sources: bring the image up to date
 * with the RAM at `ram`, which is as large as f says. False: nothing to show.
 */
struct display_pixels {
    uint8_t *seen;
    size_t size;
};
bool display_pixels_draw(struct display_pixels *p, const struct display_framebuffer *f,
                         const uint8_t *ram, struct display_image *image, bool all);
void display_pixels_free(struct display_pixels *p);
/* A source that shows guest RAM, which stays mapped as long as the display lives. -errno. */
int display_add_framebuffer(struct display *d, const struct display_framebuffer *f,
                            const uint8_t *ram) MUST_CHECK;
