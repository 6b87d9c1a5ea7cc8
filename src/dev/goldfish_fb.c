/* SPDX-License-Identifier: MIT */
/*
 * Goldfish framebuffer: the guest says where in its RAM the picture begins; the display fetches it
 * when somebody looks. After a new place the guest waits for an interrupt that says it is shown:
 * that comes at the screen's next refresh, 60 times a second, so a program that draws as fast as
 * it can does not draw faster. No refresh is kept going when nobody waits for one.
 *
 * Threads: registers from vCPUs, the refresh from the I/O thread, the picture from whoever looks
 * (the display's lock is held, ours inside it).
 */
#include "dev/goldfish.h"

#include "io/io.h"
#include "vm.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum {
    FB_WIDTH = 0x00, FB_HEIGHT = 0x04, FB_INT_STATUS = 0x08, FB_INT_ENABLE = 0x0c,
    FB_SET_BASE = 0x10, FB_SET_ROTATION = 0x14, FB_SET_BLANK = 0x18, FB_WIDTH_MM = 0x1c,
    FB_HEIGHT_MM = 0x20, FB_FORMAT = 0x24,
};

#define INT_VSYNC     1u
#define INT_BASE_DONE 2u
#define REFRESH_NS    (1000000000u / 60)
#define DPI           160u

/* Android's numbers of pixel formats (system/graphics.h). */
#define FORMAT_RGB_565   4u
#define FORMAT_BGRA_8888 5u

struct goldfish_fb {
    struct vm *vm;
    struct display_source source;
    struct display_framebuffer config;
    struct display_pixels pixels; /* the display's lock */
    pthread_mutex_t lock;         /* all below */
    struct irq_line irq;
    struct io_timer timer;
    uint64_t last_refresh;        /* io_now_ns() */
    gpa_t base;                   /* 0: not set yet */
    uint32_t status, enable;
    unsigned rotation, wanted_rotation; /* quarter turns; one takes effect with the next base */
    bool blank;
    bool moved;                   /* the guest waits to hear that the base is in use */
    bool redraw;                  /* what the image shows is another place's */
};

static void update_irq(struct goldfish_fb *f)
{
    irq_set(&f->irq, (f->status & f->enable) != 0);
}

/* ---- refreshes ---- */
static bool wants_refresh(const struct goldfish_fb *f)
{
    return f->moved || (f->enable & INT_VSYNC);
}

static void set_timer(struct goldfish_fb *f)
{
    uint64_t now = io_now_ns(), next = f->last_refresh + REFRESH_NS;

    if (wants_refresh(f)) {
        io_timer_set(&f->timer, next > now ? next : now);
    }
}

static void on_refresh(void *opaque)
{
    struct goldfish_fb *f = opaque;

    pthread_mutex_lock(&f->lock);
    f->last_refresh = io_now_ns();
    f->status |= (f->moved ? INT_BASE_DONE : 0) | (f->enable & INT_VSYNC);
    f->moved = false;
    update_irq(f);
    set_timer(f);
    pthread_mutex_unlock(&f->lock);
}

/* ---- registers ---- */
static uint32_t to_mm(unsigned pixels)
{
    return (pixels * 254 / DPI + 5) / 10;
}

static uint32_t read_status(struct goldfish_fb *f)
{
    uint32_t r = f->status & f->enable;

    f->status &= ~r;
    update_irq(f);
    return r;
}

static uint64_t fb_read(void *dev, struct vcpu *v, uint64_t off, unsigned size)
{
    struct goldfish_fb *f = dev;
    uint32_t r = 0;

    (void)v;
    (void)size;
    pthread_mutex_lock(&f->lock);
    switch (off) {
    case FB_WIDTH: r = f->config.width; break;
    case FB_HEIGHT: r = f->config.height; break;
    case FB_INT_STATUS: r = read_status(f); break;
    case FB_WIDTH_MM: r = to_mm(f->config.width); break;
    case FB_HEIGHT_MM: r = to_mm(f->config.height); break;
    case FB_FORMAT:
        r = f->config.format == DISPLAY_R5G6B5 ? FORMAT_RGB_565 : FORMAT_BGRA_8888;
        break;
    default: break;
    }
    pthread_mutex_unlock(&f->lock);
    return r;
}

static void set_base(struct goldfish_fb *f, uint32_t base)
{
    f->redraw = f->redraw || f->rotation != f->wanted_rotation;
    f->rotation = f->wanted_rotation;
    f->base = base;
    f->status &= ~INT_BASE_DONE;
    f->moved = true;
}

static void fb_write(void *dev, struct vcpu *v, uint64_t off, uint64_t value, unsigned size)
{
    struct goldfish_fb *f = dev;

    (void)v;
    (void)size;
    pthread_mutex_lock(&f->lock);
    switch (off) {
    case FB_INT_ENABLE: f->enable = value & (INT_VSYNC | INT_BASE_DONE); break;
    case FB_SET_BASE: set_base(f, (uint32_t)value); break;
    case FB_SET_ROTATION: f->wanted_rotation = value & 3; break;
    case FB_SET_BLANK:
        f->redraw = true;
        f->blank = value != 0;
        break;
    default: break;
    }
    update_irq(f);
    set_timer(f);
    pthread_mutex_unlock(&f->lock);
}

static const struct bus_ops fb_ops = {.read = fb_read, .write = fb_write, .max_size = 4};

/* ---- the picture ---- */
/* A quarter turn is a picture that is as wide as the other is high: the guest draws it so. */
static struct display_framebuffer shape(const struct goldfish_fb *f)
{
    struct display_framebuffer c = f->config;

    if (f->rotation & 1) {
        c.width = f->config.height;
        c.height = f->config.width;
    }
    return c;
}

static bool fb_draw(void *opaque, struct display_image *image, bool all)
{
    struct goldfish_fb *f = opaque;

    pthread_mutex_lock(&f->lock);
    struct display_framebuffer c = shape(f);
    gpa_t base = f->base;
    bool blank = f->blank;
    all = all || f->redraw;
    f->redraw = false;
    pthread_mutex_unlock(&f->lock);

    uint64_t bytes = (uint64_t)display_framebuffer_stride(&c) * c.height;
    const uint8_t *ram = base != 0 ? ram_ptr(&f->vm->ram, base, bytes) : NULL;
    if (ram == NULL) {
        return false;
    }
    if (blank) {
        return !all || display_image_resize(image, c.width, c.height);
    }
    return display_pixels_draw(&f->pixels, &c, ram, image, all);
}

/* ---- life cycle ---- */
void goldfish_fb_reset(struct goldfish_fb *f)
{
    pthread_mutex_lock(&f->lock);
    io_timer_cancel(&f->timer);
    f->base = 0;
    f->status = f->enable = 0;
    f->rotation = f->wanted_rotation = 0;
    f->blank = f->moved = false;
    f->redraw = true;
    update_irq(f);
    pthread_mutex_unlock(&f->lock);
}

int goldfish_fb_create(struct vm *vm, gpa_t base, const struct irq_line *irq,
                       const struct display_framebuffer *config, struct goldfish_fb **out)
{
    struct goldfish_fb *f = calloc(1, sizeof *f);

    if (f == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&f->lock, NULL);
    f->vm = vm;
    f->irq = *irq;
    f->config = *config;
    io_timer_init(&f->timer, vm->io, on_refresh, f);
    goldfish_fb_reset(f);
    int err = bus_add(vm->bus, &(struct bus_region){.name = "goldfish-fb", .base = base,
                                                    .size = 0x1000, .ops = &fb_ops, .dev = f});
    if (err != 0) {
        goldfish_fb_destroy(f);
        return err;
    }
    f->source = (struct display_source){.opaque = f, .draw = fb_draw};
    display_add_source(vm->display, &f->source);
    *out = f;
    return 0;
}

void goldfish_fb_destroy(struct goldfish_fb *f)
{
    if (f == NULL) {
        return;
    }
    io_timer_cancel(&f->timer);
    display_pixels_free(&f->pixels);
    pthread_mutex_destroy(&f->lock);
    free(f);
}
