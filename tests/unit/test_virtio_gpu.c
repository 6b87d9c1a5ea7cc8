/* SPDX-License-Identifier: MIT */
/*
 * virtio-gpu by a driver of its own: pictures reach the screen in every format, only what was
 * flushed changes, the pointer, another resolution. Then drivers that lie about everything: sizes,
 * places, numbers; the device answers with an error, stays within its memory, and still works.
 */
#include "virtio_rig.h"

#include "display/display.h"

#define COMMAND (RAM_BASE + 0x20000)
#define ANSWER (RAM_BASE + 0x30000)
#define PIXELS (RAM_BASE + 0x100000)
#define RAM_END ((uint64_t)RAM_BASE + RAM_SIZE)

enum {
    INFO = 0x100, CREATE, UNREF, SCANOUT, FLUSH, TRANSFER, ATTACH, DETACH, CURSOR = 0x300, MOVE,
    OK = 0x1100, OK_INFO, ERR = 0x1200, ERR_MEMORY, ERR_SCANOUT, ERR_RESOURCE, ERR_CONTEXT,
    ERR_PARAMETER,
};
enum { BGRA = 1, BGRX = 2, ARGB = 3, XRGB = 4, RGBA = 67, XBGR = 68, ABGR = 121, RGBX = 134 };

static struct gqueue control, cursor;
static struct display_viewer viewer;

static void restart(void)
{
    start_pair(F_INDIRECT | F_EVENT, 16, &control, &cursor);
}

static void setup_with(const char *options)
{
    rig_setup();
    cr_assert_eq(display_create(vm.io, &vm.display), 0);
    cr_assert_eq(rig_device("virtio-gpu-device", options), 0);
    display_viewer_add(vm.display, &viewer);
    restart();
}

static void setup(void)
{
    setup_with("xres=320,yres=200,max_hostmem=4");
}

static void teardown(void)
{
    io_loop_stop(vm.io);
    display_viewer_remove(vm.display, &viewer);
    display_destroy(vm.display);
    rig_end();
}

TestSuite(virtio_gpu, .init = setup, .fini = teardown, .timeout = 60);

/* A command of `n` bytes after the header; its answer's type. */
static uint32_t command_on(struct gqueue *q, uint32_t type, const void *body, size_t n)
{
    const struct gdesc d[] = {{COMMAND, (uint32_t)(24 + n), 0, 0}, {ANSWER, 1024, D_WRITE, 0}};
    uint32_t *h = ram(COMMAND);

    memset(h, 0, 24);
    h[0] = type;
    memcpy(h + 6, body, n);
    memset(ram(ANSWER), 0xee, 1024);
    cr_expect_geq(round_trip(q, d, 2), 24);
    return *(uint32_t *)ram(ANSWER);
}

#define SEND(type, ...)                                                                            \
    command_on(&control, type, (const uint32_t[]){__VA_ARGS__},                                    \
               sizeof((const uint32_t[]){__VA_ARGS__}))

static uint32_t attach(uint32_t id, gpa_t at, uint32_t len)
{
    return SEND(ATTACH, id, 1, (uint32_t)at, (uint32_t)(at >> 32), len, 0);
}

/* Resource 1, w x h, behind it PIXELS; on the screen. */
static void show(uint32_t format, uint32_t w, uint32_t h)
{
    cr_assert_eq(SEND(CREATE, 1, format, w, h), OK);
    cr_assert_eq(attach(1, PIXELS, w * h * 4), OK);
    cr_assert_eq(SEND(SCANOUT, 0, 0, w, h, 0, 1), OK);
}

static uint32_t look_at(unsigned x, unsigned y)
{
    display_look(vm.display, &viewer);
    cr_assert_lt(x, viewer.width);
    cr_assert_lt(y, viewer.height);
    return viewer.pixels[y * viewer.width + x];
}

Test(virtio_gpu, what_it_is)
{
    cr_expect_eq(rd(R_DEVICE_ID), 16);
    cr_expect_eq(rd(R_CONFIG + 8), 1, "screens");
    cr_expect_eq(command_on(&control, INFO, "", 0), OK_INFO);
    const uint32_t *a = ram(ANSWER);
    cr_expect_eq(a[6 + 2], 320);
    cr_expect_eq(a[6 + 3], 200);
    cr_expect_eq(a[6 + 4], 1, "enabled");
    cr_expect_eq(a[6 + 6 + 4], 0, "there is no second one");
    display_look(vm.display, &viewer);
    cr_expect_eq(viewer.width, 640, "nothing is shown yet");
}

Test(virtio_gpu, fences)
{
    uint32_t h[6] = {INFO, 1, 0x55667788, 0x11223344, 7, 0};
    const struct gdesc d[] = {{COMMAND, 24, 0, 0}, {ANSWER, 1024, D_WRITE, 0}};

    memcpy(ram(COMMAND), h, sizeof h);
    round_trip(&control, d, 2);
    const uint32_t *a = ram(ANSWER);
    cr_expect_eq(a[1], 1);
    cr_expect_eq(a[2], 0x55667788);
    cr_expect_eq(a[3], 0x11223344);
}

Test(virtio_gpu, formats)
{
    static const struct {
        uint32_t format;
        uint8_t byte[4]; /* of a pixel that is red 11, green 22, blue 33 */
    } f[] = {
        {BGRA, {33, 22, 11, 0}}, {BGRX, {33, 22, 11, 9}}, {ARGB, {0, 11, 22, 33}},
        {XRGB, {9, 11, 22, 33}}, {RGBA, {11, 22, 33, 0}}, {XBGR, {9, 33, 22, 11}},
        {ABGR, {0, 33, 22, 11}}, {RGBX, {11, 22, 33, 9}},
    };

    for (unsigned i = 0; i < sizeof f / sizeof f[0]; i++) {
        memcpy(ram(PIXELS), f[i].byte, 4);
        show(f[i].format, 16, 16);
        cr_expect_eq(SEND(TRANSFER, 0, 0, 16, 16, 0, 0, 1, 0), OK);
        cr_expect_eq(look_at(0, 0), 11 << 16 | 22 << 8 | 33, "format %u", f[i].format);
        cr_expect_eq(SEND(UNREF, 1, 0), OK);
    }
}

Test(virtio_gpu, only_what_was_flushed)
{
    uint32_t *p = ram(PIXELS);

    show(BGRX, 64, 32);
    for (unsigned i = 0; i < 64 * 32; i++) {
        p[i] = i;
    }
    cr_expect_eq(look_at(0, 0), 0);
    cr_expect_eq(viewer.width, 64);
    /* The rectangle (8, 4) 16 x 2, from where it is in the whole. */
    cr_expect_eq(SEND(TRANSFER, 8, 4, 16, 2, (4 * 64 + 8) * 4, 0, 1, 0), OK);
    cr_expect_eq(look_at(8, 4), 0, "not flushed");
    cr_expect_eq(SEND(FLUSH, 8, 4, 16, 2, 1, 0), OK);
    cr_expect_eq(display_look(vm.display, &viewer), DISPLAY_CHANGED);
    cr_expect_eq(viewer.damage.n, 1);
    cr_expect_eq(viewer.damage.rect[0].x, 8);
    cr_expect_eq(viewer.damage.rect[0].y, 4);
    cr_expect_eq(viewer.damage.rect[0].w, 16);
    cr_expect_eq(viewer.damage.rect[0].h, 2);
    cr_expect_eq(look_at(8, 4), 4 * 64 + 8);
    cr_expect_eq(look_at(23, 5), 5 * 64 + 23);
    cr_expect_eq(look_at(24, 5), 0);
    cr_expect_eq(look_at(8, 6), 0);
    cr_expect_eq(display_look(vm.display, &viewer), 0, "nothing new");
}

/* Memory in pieces of odd sizes; rows cross from one to the next. */
Test(virtio_gpu, scattered_backing)
{
    uint32_t body[2 + 4 * 20] = {1, 0};
    unsigned n = 0;
    uint32_t total = 0;

    cr_assert_eq(SEND(CREATE, 1, BGRX, 33, 17), OK);
    while (total < 33 * 17 * 4) {
        gpa_t at = PIXELS + 0x10000 * (19 - n);
        uint32_t len = 100 + n;
        for (uint32_t i = 0; i < len; i++) {
            *(uint8_t *)ram(at + i) = (uint8_t)(total + i);
        }
        memcpy(body + 2 + 4 * n, (uint32_t[]){(uint32_t)at, 0, len, 0}, 16);
        total += len;
        n++;
        cr_assert_leq(n, 20);
        if (n == 20) {
            break;
        }
    }
    body[1] = n;
    cr_assert_eq(command_on(&control, ATTACH, body, 8 + 16 * n), OK);
    uint32_t rows = total / (33 * 4);
    cr_expect_eq(SEND(TRANSFER, 0, 0, 33, rows, 0, 0, 1, 0), OK);
    cr_expect_eq(SEND(TRANSFER, 0, 0, 33, rows + 1, 0, 0, 1, 0), ERR_PARAMETER);
    cr_expect_eq(SEND(SCANOUT, 0, 0, 33, 17, 0, 1), OK);
    for (uint32_t i = 0; i < 33 * rows; i++) {
        uint32_t b = 4 * i;
        uint32_t want = (b & 255) | ((b + 1) & 255) << 8 | ((b + 2) & 255) << 16;
        cr_assert_eq(look_at(i % 33, i / 33), want, "pixel %u", i);
    }
}

Test(virtio_gpu, a_window_of_a_resource)
{
    uint32_t *p = ram(PIXELS);

    cr_assert_eq(SEND(CREATE, 1, BGRX, 64, 64), OK);
    cr_assert_eq(attach(1, PIXELS, 64 * 64 * 4), OK);
    for (unsigned i = 0; i < 64 * 64; i++) {
        p[i] = i;
    }
    cr_expect_eq(SEND(TRANSFER, 0, 0, 64, 64, 0, 0, 1, 0), OK);
    cr_expect_eq(SEND(SCANOUT, 10, 20, 30, 40, 0, 1), OK);
    cr_expect_eq(look_at(0, 0), 20 * 64 + 10);
    cr_expect_eq(viewer.width, 30);
    cr_expect_eq(viewer.height, 40);
    p[19 * 64] = p[21 * 64 + 11] = 0x123456;
    cr_expect_eq(SEND(TRANSFER, 0, 0, 64, 64, 0, 0, 1, 0), OK);
    cr_expect_eq(SEND(FLUSH, 0, 19, 64, 1, 1, 0), OK);
    cr_expect_eq(display_look(vm.display, &viewer), 0, "above the window");
    cr_expect_eq(SEND(FLUSH, 0, 19, 64, 3, 1, 0), OK);
    cr_expect_eq(look_at(1, 1), 0x123456);
    cr_expect_eq(SEND(SCANOUT, 0, 0, 0, 0, 0, 0), OK, "off");
    display_look(vm.display, &viewer);
    cr_expect_eq(viewer.width, 640);
}

/* Smaller, larger, smaller again between two looks: what was noted does not fit. */
Test(virtio_gpu, sizes_between_two_looks)
{
    show(BGRX, 40, 40);
    look_at(0, 0);
    cr_expect_eq(SEND(CREATE, 2, BGRX, 200, 200), OK);
    cr_expect_eq(SEND(SCANOUT, 0, 0, 200, 200, 0, 2), OK);
    cr_expect_eq(SEND(FLUSH, 150, 150, 50, 50, 2, 0), OK);
    struct display_viewer other;
    display_viewer_add(vm.display, &other);
    display_look(vm.display, &other);
    cr_expect_eq(other.width, 200);
    cr_expect_eq(SEND(SCANOUT, 0, 0, 40, 40, 0, 1), OK);
    display_look(vm.display, &other);
    cr_expect_eq(other.width, 40);
    display_viewer_remove(vm.display, &other);
    display_look(vm.display, &viewer);
    cr_expect_eq(viewer.width, 40);
    for (unsigned i = 0; i < viewer.damage.n; i++) {
        cr_expect_leq(viewer.damage.rect[i].x + viewer.damage.rect[i].w, 40);
        cr_expect_leq(viewer.damage.rect[i].y + viewer.damage.rect[i].h, 40);
    }
}

Test(virtio_gpu, pointer)
{
    uint32_t *p = ram(PIXELS);

    show(BGRX, 100, 100);
    cr_assert_eq(SEND(CREATE, 2, BGRA, 64, 64), OK);
    cr_assert_eq(attach(2, PIXELS, 64 * 64 * 4), OK);
    p[3] = 0x80112233;
    cr_expect_eq(SEND(TRANSFER, 0, 0, 64, 64, 0, 0, 2, 0), OK);
    const uint32_t update[] = {0, 50, 60, 0, 2, 5, 6, 0};
    cr_expect_eq(command_on(&cursor, CURSOR, update, sizeof update), OK);
    cr_expect_neq(display_look(vm.display, &viewer) & DISPLAY_CURSOR_SHAPE, 0);
    cr_expect(viewer.cursor.visible);
    cr_expect_eq(viewer.cursor.x, 50);
    cr_expect_eq(viewer.cursor.hot_y, 6);
    cr_expect_eq(viewer.cursor.pixels[3], 0x80112233);
    const uint32_t move[] = {0, 70, 80, 0, 0, 0, 0, 0};
    cr_expect_eq(command_on(&cursor, MOVE, move, sizeof move), OK);
    cr_expect_eq(display_look(vm.display, &viewer), DISPLAY_CURSOR_MOVED);
    cr_expect_eq(viewer.cursor.y, 80);
    const uint32_t hide[] = {0, 70, 80, 0, 0, 0, 0, 0};
    cr_expect_eq(command_on(&cursor, CURSOR, hide, sizeof hide), OK);
    cr_expect_eq(display_look(vm.display, &viewer), DISPLAY_CURSOR_SHAPE);
    cr_expect_not(viewer.cursor.visible);
}

Test(virtio_gpu, another_resolution)
{
    cr_expect_not(display_want_size(vm.display, 800, 600), "nobody shows anything");
    show(BGRX, 320, 200);
    look_at(0, 0);
    take_interrupt();
    cr_expect(display_want_size(vm.display, 800, 600));
    cr_expect(WAIT_FOR(rd(R_INT) & 2));
    cr_expect_eq(rd(R_CONFIG), 1, "events_read");
    cr_expect_eq(command_on(&control, INFO, "", 0), OK_INFO);
    cr_expect_eq(((uint32_t *)ram(ANSWER))[6 + 2], 800);
    cr_expect_eq(((uint32_t *)ram(ANSWER))[6 + 3], 600);
    wr(R_CONFIG + 4, 1);
    cr_expect_eq(rd(R_CONFIG), 0);
    cr_expect_not(display_want_size(vm.display, 0, 600));
    cr_expect_not(display_want_size(vm.display, 100000, 600));
}

/* ---- hostile drivers ---- */
Test(virtio_gpu, numbers_that_are_none)
{
    cr_expect_eq(SEND(CREATE, 0, BGRX, 16, 16), ERR_RESOURCE);
    cr_expect_eq(SEND(CREATE, 1, 5, 16, 16), ERR_PARAMETER, "format");
    cr_expect_eq(SEND(CREATE, 1, BGRX, 0, 16), ERR_PARAMETER);
    cr_expect_eq(SEND(CREATE, 1, BGRX, 16, 0), ERR_PARAMETER);
    cr_expect_eq(SEND(CREATE, 1, BGRX, 8193, 1), ERR_PARAMETER);
    cr_expect_eq(SEND(CREATE, 1, BGRX, UINT32_MAX, UINT32_MAX), ERR_PARAMETER);
    cr_expect_eq(SEND(CREATE, 1, BGRX, 16, 16), OK);
    cr_expect_eq(SEND(CREATE, 1, BGRX, 16, 16), ERR_RESOURCE, "twice");
    cr_expect_eq(SEND(UNREF, 2, 0), ERR_RESOURCE);
    cr_expect_eq(SEND(SCANOUT, 0, 0, 16, 16, 1, 1), ERR_SCANOUT);
    cr_expect_eq(SEND(SCANOUT, 0, 0, 16, 16, 0, 9), ERR_RESOURCE);
    cr_expect_eq(SEND(SCANOUT, 0, 0, 17, 16, 0, 1), ERR_PARAMETER);
    cr_expect_eq(SEND(SCANOUT, UINT32_MAX, 0, 16, 16, 0, 1), ERR_PARAMETER);
    cr_expect_eq(SEND(SCANOUT, 8, 0, UINT32_MAX - 4, 16, 0, 1), ERR_PARAMETER);
    cr_expect_eq(SEND(FLUSH, 0, 0, 16, 17, 1, 0), ERR_PARAMETER);
    cr_expect_eq(SEND(FLUSH, 0, 0, 16, 16, 2, 0), ERR_RESOURCE);
    cr_expect_eq(SEND(DETACH, 1, 0), ERR_PARAMETER);
    cr_expect_eq(SEND(DETACH, 2, 0), ERR_RESOURCE);
    cr_expect_eq(SEND(0x1ff, 1, 2, 3, 4), ERR);
    cr_expect_eq(SEND(0x108, 0, 0), ERR, "there is no 3D");
    cr_expect_eq(SEND(CREATE, 1, 1), ERR_PARAMETER, "half a command");
}

Test(virtio_gpu, memory_that_is_none)
{
    cr_assert_eq(SEND(CREATE, 1, BGRX, 16, 16), OK);
    cr_expect_eq(attach(1, RAM_END, 1024), ERR_PARAMETER);
    cr_expect_eq(attach(1, RAM_END - 1023, 1024), ERR_PARAMETER);
    cr_expect_eq(attach(1, RAM_BASE - 1, 1024), ERR_PARAMETER);
    cr_expect_eq(attach(1, UINT64_MAX - 10, 1024), ERR_PARAMETER);
    cr_expect_eq(attach(1, PIXELS, 0), ERR_PARAMETER);
    cr_expect_eq(attach(1, PIXELS, UINT32_MAX), ERR_PARAMETER);
    cr_expect_eq(attach(7, PIXELS, 1024), ERR_RESOURCE);
    cr_expect_eq(SEND(ATTACH, 1, 0), ERR_PARAMETER, "no entry");
    cr_expect_eq(SEND(ATTACH, 1, 2, PIXELS, 0, 1024, 0), ERR_PARAMETER, "fewer than it says");
    cr_expect_eq(SEND(ATTACH, 1, 16385, PIXELS, 0, 1024, 0), ERR_PARAMETER);
    cr_expect_eq(SEND(ATTACH, 1, UINT32_MAX, PIXELS, 0, 1024, 0), ERR_PARAMETER);
    cr_expect_eq(SEND(TRANSFER, 0, 0, 16, 16, 0, 0, 1, 0), ERR_PARAMETER, "no backing");
    cr_expect_eq(attach(1, PIXELS, 16 * 16 * 4 - 1), OK);
    cr_expect_eq(attach(1, PIXELS, 1024), ERR_PARAMETER, "twice");
    cr_expect_eq(SEND(TRANSFER, 0, 0, 16, 16, 0, 0, 1, 0), ERR_PARAMETER, "a byte is missing");
    cr_expect_eq(SEND(TRANSFER, 0, 0, 16, 15, 0, 0, 1, 0), OK);
    cr_expect_eq(SEND(TRANSFER, 0, 0, 16, 15, 64, 0, 1, 0), ERR_PARAMETER);
    cr_expect_eq(SEND(TRANSFER, 0, 0, 16, 15, 0, 1, 1, 0), ERR_PARAMETER, "far away");
    cr_expect_eq(SEND(TRANSFER, 0, 0, 1, 1, UINT32_MAX, UINT32_MAX, 1, 0), ERR_PARAMETER);
    cr_expect_eq(SEND(TRANSFER, 1, 0, 16, 1, 0, 0, 1, 0), ERR_PARAMETER);
    cr_expect_eq(SEND(TRANSFER, 1, 0, UINT32_MAX, 1, 0, 0, 1, 0), ERR_PARAMETER);
    cr_expect_eq(SEND(TRANSFER, 0, 16, 16, UINT32_MAX - 8, 0, 0, 1, 0), ERR_PARAMETER);
    cr_expect_eq(SEND(TRANSFER, 0, 16, 16, 0, 0, 0, 1, 0), OK, "nothing");
}

/* 4 MiB and 1024 resources are the limit; what is given back can be had again. */
Test(virtio_gpu, limits)
{
    cr_expect_eq(SEND(CREATE, 1, BGRX, 1024, 1025), ERR_MEMORY);
    cr_expect_eq(SEND(CREATE, 1, BGRX, 8192, 8192), ERR_MEMORY);
    for (unsigned round = 0; round < 100; round++) {
        cr_assert_eq(SEND(CREATE, 1, BGRX, 1024, 512), OK);
        cr_assert_eq(SEND(CREATE, 2, BGRX, 1024, 511), OK);
        cr_assert_eq(SEND(CREATE, 3, BGRX, 1024, 512), ERR_MEMORY);
        cr_assert_eq(attach(1, PIXELS, 4096), OK);
        cr_assert_eq(SEND(UNREF, 1, 0), OK);
        cr_assert_eq(SEND(UNREF, 2, 0), OK);
    }
    for (unsigned i = 1; i <= 1024; i++) {
        cr_assert_eq(SEND(CREATE, i, BGRX, 1, 1), OK);
    }
    cr_expect_eq(SEND(CREATE, 2000, BGRX, 1, 1), ERR_MEMORY);
    restart();
    cr_expect_eq(SEND(CREATE, 2000, BGRX, 1024, 1024), OK, "a reset frees all");
}

/* Entries count as memory too: a piece of guest memory may be named as often as one likes. */
Test(virtio_gpu, entries_count)
{
    static uint32_t body[2 + 4 * 16000];
    uint32_t *h = ram(PIXELS);
    const struct gdesc d[] = {{PIXELS, 24 + sizeof body, 0, 0}, {ANSWER, 1024, D_WRITE, 0}};
    unsigned taken = 0;

    body[1] = 16000;
    for (unsigned i = 0; i < 16000; i++) {
        memcpy(body + 2 + 4 * i, (uint32_t[]){RAM_BASE, 0, RAM_SIZE, 0}, 16);
    }
    for (unsigned id = 1; id <= 40; id++) {
        cr_assert_eq(SEND(CREATE, id, BGRX, 1, 1), OK);
        body[0] = id;
        memset(h, 0, 24);
        h[0] = ATTACH;
        memcpy(h + 6, body, sizeof body);
        round_trip(&control, d, 2);
        taken += *(uint32_t *)ram(ANSWER) == OK;
    }
    cr_expect_gt(taken, 10);
    cr_expect_lt(taken, 17, "4 MiB of entries of 16 bytes");
}

Test(virtio_gpu, the_screen_goes)
{
    show(BGRX, 64, 64);
    look_at(0, 0);
    cr_expect_eq(SEND(FLUSH, 0, 0, 64, 64, 1, 0), OK);
    cr_expect_eq(SEND(UNREF, 1, 0), OK);
    display_look(vm.display, &viewer);
    cr_expect_eq(viewer.width, 640, "nothing is shown");
    show(BGRX, 64, 64);
    look_at(0, 0);
    wr(R_STATUS, 0);
    display_look(vm.display, &viewer);
    cr_expect_eq(viewer.width, 640, "nothing after a reset");
}

Test(virtio_gpu, pointers_that_cannot_be)
{
    const uint32_t far[] = {0, UINT32_MAX, UINT32_MAX, 0, 77, UINT32_MAX, UINT32_MAX, 0};
    const uint32_t screen[] = {3, 1, 1, 0, 1, 0, 0, 0};

    show(BGRX, 32, 32); /* not 64 x 64 */
    cr_expect_eq(command_on(&cursor, CURSOR, far, sizeof far), OK);
    cr_expect_eq(command_on(&cursor, CURSOR, screen, sizeof screen), OK);
    cr_expect_eq(command_on(&cursor, CURSOR, (const uint32_t[8]){[4] = 1}, 32), OK);
    display_look(vm.display, &viewer);
    cr_expect_not(viewer.cursor.visible);
    cr_expect_lt(viewer.cursor.hot_x, 64);
}

Test(virtio_gpu, a_chain_without_a_command)
{
    const struct gdesc d[] = {{COMMAND, 23, 0, 0}, {ANSWER, 1024, D_WRITE, 0}};

    publish(&control, put_chain(&control, d, 2));
    wr(R_NOTIFY, 0);
    cr_expect(WAIT_FOR(rd(R_STATUS) & ST_NEEDS_RESET));
    restart();
    /* No room for the answer: it is cut off. */
    const struct gdesc e[] = {{COMMAND, 24, 0, 0}, {ANSWER, 8, D_WRITE, 0}};
    uint32_t h[6] = {INFO};
    memcpy(ram(COMMAND), h, sizeof h);
    memset(ram(ANSWER), 0xee, 16);
    cr_expect_eq(round_trip(&control, e, 2), 8);
    cr_expect_eq(((uint8_t *)ram(ANSWER))[8], 0xee);
    cr_expect_eq(command_on(&control, INFO, "", 0), OK_INFO);
}

/* Commands of random words, while somebody looks. */
Test(virtio_gpu, nonsense)
{
    const char *seed = getenv("VIRTIO_SEED"), *rounds = getenv("VIRTIO_ROUNDS");
    uint64_t x = seed != NULL ? strtoull(seed, NULL, 0) : 1;
    unsigned n = rounds != NULL ? (unsigned)strtoul(rounds, NULL, 0) : 20000;

    for (unsigned i = 0; i < n; i++) {
        uint32_t body[12];
        for (unsigned k = 0; k < 12; k++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            uint32_t r = (uint32_t)(x >> 33);
            body[k] = r % 4 == 0 ? r : r % 4 == 1 ? r % 5 : r % 80;
            body[k] = r % 16 == 3 ? PIXELS : body[k];
        }
        uint32_t type = body[11] % 10 < 8 ? CREATE + body[10] % 7 : CURSOR + body[10] % 2;
        uint32_t a = command_on(type >= CURSOR ? &cursor : &control, type, body, 40);
        cr_assert(a == OK || (a >= ERR && a <= ERR_PARAMETER), "answer 0x%x", a);
        if (i % 16 == 0) {
            display_look(vm.display, &viewer);
        }
    }
    restart();
    show(BGRX, 16, 16);
}
