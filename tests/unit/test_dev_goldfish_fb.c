/* SPDX-License-Identifier: MIT */
/*
 * Goldfish framebuffer: what the driver reads, the picture where it says, the interrupt after it
 * moved, turned and blank screens, places that are no RAM.
 */
#include "goldfish_rig.h"

#include <time.h>

enum { WIDTH = 0, HEIGHT = 4, STATUS = 8, ENABLE = 0xc, BASE = 0x10, ROTATION = 0x14, BLANK = 0x18,
       WIDTH_MM = 0x1c, FORMAT = 0x24 };

static struct goldfish_fb *fb;
static struct display_viewer viewer;

static void setup(void)
{
    struct irq_line irq = rig_irq();
    const struct display_framebuffer config = {32, 16, DISPLAY_R5G6B5};

    rig_setup();
    cr_assert_eq(goldfish_fb_create(&vm, RIG_DEVICE, &irq, &config, &fb), 0);
    display_viewer_add(vm.display, &viewer);
}

static void teardown(void)
{
    display_viewer_remove(vm.display, &viewer);
    rig_stop();
    goldfish_fb_destroy(fb);
    rig_end();
}

TestSuite(goldfish_fb, .init = setup, .fini = teardown, .timeout = 60);

static uint16_t *pixel(gpa_t base, unsigned x, unsigned y, unsigned width)
{
    return (uint16_t *)rig_ram(base) + y * width + x;
}

Test(goldfish_fb, says_what_it_is)
{
    cr_expect_eq(rd(WIDTH), 32);
    cr_expect_eq(rd(HEIGHT), 16);
    cr_expect_eq(rd(WIDTH_MM), 5, "160 dots per inch");
    cr_expect_eq(rd(FORMAT), 4, "RGB_565");
    cr_expect_eq(rd(STATUS), 0);
}

Test(goldfish_fb, shows_what_is_at_the_base)
{
    display_look(vm.display, &viewer);
    cr_expect_eq(viewer.width, 640, "nothing yet");
    *pixel(RIG_RAM + 4096, 3, 2, 32) = 0xf800;
    wr(BASE, RIG_RAM + 4096);
    display_look(vm.display, &viewer);
    cr_assert_eq(viewer.width, 32);
    cr_assert_eq(viewer.height, 16);
    cr_expect_eq(viewer.pixels[2 * 32 + 3], 0xff0000);
    cr_expect_eq(viewer.pixels[0], 0);
    *pixel(RIG_RAM + 8192, 31, 15, 32) = 0x001f;
    wr(BASE, RIG_RAM + 8192);
    display_look(vm.display, &viewer);
    cr_expect_eq(viewer.pixels[2 * 32 + 3], 0);
    cr_expect_eq(viewer.pixels[15 * 32 + 31], 0x0000ff);
}

Test(goldfish_fb, tells_when_a_base_is_in_use)
{
    struct timespec from, to;

    wr(ENABLE, 2);
    cr_expect_not(rig_level());
    wr(BASE, RIG_RAM);
    cr_assert(rig_wait_line());
    cr_expect_eq(rd(STATUS), 2);
    cr_expect_not(rig_level(), "reading clears it");
    cr_expect_eq(rd(STATUS), 0);
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (unsigned i = 0; i < 6; i++) {
        wr(BASE, RIG_RAM + 4096 * i);
        cr_assert(rig_wait_line());
        rd(STATUS);
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    long ms = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
    cr_expect_geq(ms, 80, "60 times a second: %ld ms for 6", ms);
}

Test(goldfish_fb, refreshes_only_for_those_who_wait)
{
    wr(BASE, RIG_RAM);
    usleep(40000);
    cr_expect_eq(atomic_load(&rig_line.raised), 0, "not enabled");
    wr(ENABLE, 1);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert(rig_wait_line());
        cr_expect_eq(rd(STATUS), 1, "vertical sync");
    }
    wr(ENABLE, 0);
    usleep(40000);
    unsigned raised = atomic_load(&rig_line.raised);
    usleep(60000);
    cr_expect_eq(atomic_load(&rig_line.raised), raised);
}

Test(goldfish_fb, turned_and_blank)
{
    wr(BASE, RIG_RAM);
    display_look(vm.display, &viewer);
    wr(ROTATION, 1);
    display_look(vm.display, &viewer);
    cr_expect_eq(viewer.width, 32, "with the next base only");
    *pixel(RIG_RAM, 15, 31, 16) = 0xffff;
    wr(BASE, RIG_RAM);
    display_look(vm.display, &viewer);
    cr_assert_eq(viewer.width, 16);
    cr_assert_eq(viewer.height, 32);
    cr_expect_eq(viewer.pixels[31 * 16 + 15], 0xffffff);
    wr(BLANK, 1);
    display_look(vm.display, &viewer);
    cr_expect_eq(viewer.pixels[31 * 16 + 15], 0);
    *pixel(RIG_RAM, 0, 0, 16) = 0xffff;
    display_look(vm.display, &viewer);
    cr_expect_eq(viewer.pixels[0], 0);
    wr(BLANK, 0);
    display_look(vm.display, &viewer);
    cr_expect_eq(viewer.pixels[31 * 16 + 15], 0xffffff);
    cr_expect_eq(viewer.pixels[0], 0xffffff);
    goldfish_fb_reset(fb);
    display_look(vm.display, &viewer);
    cr_expect_eq(viewer.width, 640);
}

Test(goldfish_fb, what_is_not_ram_is_not_shown)
{
    static const uint32_t base[] = {0x1000, RIG_RAM - 2, RIG_RAM + RIG_BYTES - 32 * 16 * 2 + 2,
                                    0xfffffffe};

    for (unsigned i = 0; i < ARRAY_SIZE(base); i++) {
        wr(BASE, base[i]);
        display_look(vm.display, &viewer);
        cr_expect_eq(viewer.width, 640, "base 0x%x", base[i]);
    }
    wr(BASE, RIG_RAM + RIG_BYTES - 32 * 16 * 2);
    display_look(vm.display, &viewer);
    cr_expect_eq(viewer.width, 32, "the last place");
    rig_abuse(0x1000);
    display_look(vm.display, &viewer);
}
