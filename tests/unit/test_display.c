/* SPDX-License-Identifier: MIT */
/*
 * The display without a guest: what a look at a simple-framebuffer finds, which source is seen,
 * rectangles of damage, the PNG file, where it listens.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "display/display.h"
#include "display/serve.h"
#include "io/io.h"

#define WIDTH 50u
#define HEIGHT 20u

static struct io_loop *loop;
static struct display *display;
static struct display_viewer viewer;
static uint8_t *memory;

static void setup(void)
{
    cr_assert_eq(io_loop_create(&loop), 0);
    cr_assert_eq(display_create(loop, &display), 0);
    display_viewer_add(display, &viewer);
    memory = calloc(WIDTH * HEIGHT, 4);
}

static void teardown(void)
{
    display_viewer_remove(display, &viewer);
    display_destroy(display);
    io_loop_destroy(loop);
    free(memory);
}

TestSuite(display, .init = setup, .fini = teardown, .timeout = 20);

static void add_framebuffer(enum display_format format)
{
    const struct display_framebuffer f = {WIDTH, HEIGHT, format};

    cr_assert_eq(display_add_framebuffer(display, &f, memory), 0);
}

static unsigned look(void)
{
    return display_look(display, &viewer);
}

static uint32_t pixel(unsigned x, unsigned y)
{
    return viewer.pixels[y * viewer.width + x];
}

static void expect_damage(unsigned x, unsigned y, unsigned w, unsigned h)
{
    const struct display_rect *r = viewer.damage.rect;

    cr_assert_eq(viewer.damage.n, 1);
    cr_expect(r->x == x && r->y == y && r->w == w && r->h == h, "%u,%u %u x %u", r->x, r->y, r->w,
              r->h);
}

Test(display, without_a_source)
{
    cr_expect_eq(look(), DISPLAY_RESIZED | DISPLAY_CHANGED);
    cr_expect_eq(viewer.width, 640);
    cr_expect_eq(viewer.height, 480);
    cr_expect_eq(look(), 0);
    cr_expect_not(display_want_size(display, 100, 100));
}

Test(display, what_changed)
{
    uint32_t *p = (uint32_t *)memory;

    add_framebuffer(DISPLAY_X8R8G8B8);
    p[3] = 0xff123456;
    cr_expect_eq(look(), DISPLAY_RESIZED | DISPLAY_CHANGED);
    cr_expect_eq(viewer.width, WIDTH);
    cr_expect_eq(viewer.height, HEIGHT);
    cr_expect_eq(pixel(3, 0), 0x123456);
    cr_expect_eq(look(), 0);
    p[WIDTH * 7 + 10] = 1;
    p[WIDTH * 8 + 11] = 0x100;
    cr_expect_eq(look(), DISPLAY_CHANGED);
    expect_damage(10, 7, 2, 2);
    cr_expect_eq(pixel(10, 7), 1);
    cr_expect_eq(pixel(11, 8), 0x100);
    p[WIDTH * HEIGHT - 1] = 0xffffff;
    look();
    expect_damage(WIDTH - 1, HEIGHT - 1, 1, 1);
    cr_expect_eq(pixel(WIDTH - 1, HEIGHT - 1), 0xffffff);
}

Test(display, sixteen_bits)
{
    uint16_t *p = (uint16_t *)memory;

    add_framebuffer(DISPLAY_R5G6B5);
    p[0] = 0xffff;
    p[1] = 0xf800;
    p[2] = 0x07e0;
    p[3] = 0x001f;
    p[4] = 0x8410;
    look();
    cr_expect_eq(pixel(0, 0), 0xffffff);
    cr_expect_eq(pixel(1, 0), 0xff0000);
    cr_expect_eq(pixel(2, 0), 0x00ff00);
    cr_expect_eq(pixel(3, 0), 0x0000ff);
    cr_expect_eq(pixel(4, 0), 0x848284);
    p[WIDTH * 3 + 49] = 0x0020;
    look();
    expect_damage(49, 3, 1, 1);
    cr_expect_eq(pixel(49, 3), 0x000400);
}

/* Each sees what is new since its own last look. */
Test(display, two_viewers)
{
    struct display_viewer other;
    uint32_t *p = (uint32_t *)memory;

    add_framebuffer(DISPLAY_X8R8G8B8);
    display_viewer_add(display, &other);
    look();
    display_look(display, &other);
    p[5] = 5;
    cr_expect_eq(look(), DISPLAY_CHANGED);
    p[6] = 6;
    cr_expect_eq(display_look(display, &other), DISPLAY_CHANGED);
    cr_expect_eq(other.pixels[5], 5);
    cr_expect_eq(other.pixels[6], 6);
    cr_expect_eq(pixel(6, 0), 0);
    look();
    expect_damage(6, 0, 1, 1);
    display_viewer_remove(display, &other);
}

/* ---- sources take turns ---- */
static bool on;

static bool draw_four(void *opaque, struct display_image *image, bool all)
{
    (void)opaque;
    if (on && all && display_image_resize(image, 4, 4)) {
        image->pixels[0] = 44;
    }
    return on;
}

Test(display, the_higher_rank_is_seen)
{
    static struct display_source four = {.rank = 1, .draw = draw_four};

    add_framebuffer(DISPLAY_X8R8G8B8);
    memory[0] = 7;
    display_add_source(display, &four);
    look();
    cr_expect_eq(pixel(0, 0), 7);
    on = true;
    cr_expect_eq(look(), DISPLAY_RESIZED | DISPLAY_CHANGED);
    cr_expect_eq(viewer.width, 4);
    cr_expect_eq(pixel(0, 0), 44);
    memory[0] = 9;
    on = false;
    cr_expect_eq(look(), DISPLAY_RESIZED | DISPLAY_CHANGED);
    cr_expect_eq(viewer.width, WIDTH);
    cr_expect_eq(pixel(0, 0), 9);
}

Test(display, damage)
{
    struct display_damage d = {0};

    display_damage_add(&d, (struct display_rect){5, 5, 0, 3});
    cr_expect_eq(d.n, 0, "nothing");
    display_damage_add(&d, (struct display_rect){0, 0, 10, 1});
    display_damage_add(&d, (struct display_rect){2, 1, 10, 1});
    cr_expect_eq(d.n, 1, "the next row");
    cr_expect_eq(d.rect[0].w, 12);
    cr_expect_eq(d.rect[0].h, 2);
    for (unsigned i = 1; i < DISPLAY_RECTS; i++) {
        display_damage_add(&d, (struct display_rect){100 * i, 100 * i, 1, 1});
    }
    cr_expect_eq(d.n, DISPLAY_RECTS);
    display_damage_add(&d, (struct display_rect){9000, 50, 1, 1});
    cr_expect_eq(d.n, 1, "too many: one that holds all");
    cr_expect_eq(d.rect[0].x, 0);
    cr_expect_eq(d.rect[0].w, 9001);
    cr_expect_eq(d.rect[0].h, 3101);
}

/* ---- PNG ---- */
static uint8_t *read_png(const char *path, unsigned *width, unsigned *height)
{
    png_image png = {.version = PNG_IMAGE_VERSION};

    cr_assert(png_image_begin_read_from_file(&png, path));
    png.format = PNG_FORMAT_RGB;
    uint8_t *rgb = malloc(PNG_IMAGE_SIZE(png));
    cr_assert(png_image_finish_read(&png, NULL, rgb, 0, NULL));
    *width = png.width;
    *height = png.height;
    return rgb;
}

/* A cursor whose hot spot is at its second pixel, half transparent there. */
static void show_cursor(void *opaque, struct display_cursor *c)
{
    (void)opaque;
    *c = (struct display_cursor){.visible = true, .serial = 1, .x = 1, .y = 0, .hot_x = 1};
    c->pixels[0] = 0xff0a0b0c;
    c->pixels[1] = 0x80ffffff;
    c->pixels[DISPLAY_CURSOR_SIZE * DISPLAY_CURSOR_SIZE - 1] = 0xffffffff; /* off the screen */
}

Test(display, screendump)
{
    static struct display_source four = {.rank = 1, .draw = draw_four, .cursor = show_cursor};
    char path[] = "/tmp/umbra-display-XXXXXX";
    unsigned width, height;
    uint32_t *p = (uint32_t *)memory;

    close(mkstemp(path));
    add_framebuffer(DISPLAY_X8R8G8B8);
    p[WIDTH + 2] = 0x123456;
    cr_expect_eq(display_screendump(display, path), 0);
    uint8_t *rgb = read_png(path, &width, &height);
    cr_expect_eq(width, WIDTH);
    cr_expect_eq(height, HEIGHT);
    cr_expect_eq(rgb[3 * (WIDTH + 2)], 0x12);
    cr_expect_eq(rgb[3 * (WIDTH + 2) + 2], 0x56);
    free(rgb);
    display_add_source(display, &four);
    on = true;
    cr_expect_eq(display_screendump(display, path), 0);
    rgb = read_png(path, &width, &height);
    cr_expect_eq(width, 4);
    cr_expect_eq(rgb[0], 0x0a);
    cr_expect_eq(rgb[2], 0x0c);
    cr_expect_eq(rgb[3], 0x80);
    cr_expect_eq(rgb[6], 0);
    free(rgb);
    unlink(path);
    cr_expect_eq(display_screendump(display, "/nonexistent/x.png"), -ENOENT);
    cr_expect_lt(display_screendump(display, "/dev/full"), 0);
    cr_expect_eq(look() & DISPLAY_CURSOR_SHAPE, DISPLAY_CURSOR_SHAPE);
}

/* ---- where it listens ---- */
Test(display, places)
{
    const char *why;

    cr_expect(display_vnc_valid(":0", &why));
    cr_expect(display_vnc_valid("127.0.0.1:59635", &why));
    cr_expect(display_vnc_valid("[::1]:1", &why));
    cr_expect(display_web_valid("8080", &why));
    cr_expect(display_web_valid("localhost:8080", &why));
    static const char *const bad_vnc[] = {"", "1", ":", ":x", ":59636", ":-1", ":1x", ": 1",
                                          ":99999999999999999999", ":18446744073709545717"};
    for (unsigned i = 0; i < sizeof bad_vnc / sizeof bad_vnc[0]; i++) {
        cr_expect_not(display_vnc_valid(bad_vnc[i], &why), "vnc=%s", bad_vnc[i]);
    }
    static const char *const bad_web[] = {"", "0", ":", "65536", "x", ":0", "1:x"};
    for (unsigned i = 0; i < sizeof bad_web / sizeof bad_web[0]; i++) {
        cr_expect_not(display_web_valid(bad_web[i], &why), "web=%s", bad_web[i]);
    }
}
