/* SPDX-License-Identifier: MIT */
/*
 * Board "ranchu", the Android emulator's for ARM: the goldfish devices, at its addresses and with
 * its interrupts, in the place of the small devices of "virt". It has no clock; we add two, at
 * addresses that are free there: the goldfish one, and the PL031, for which the kernels of that
 * board have a driver. The power key is a key of the events device.
 *
 * Main thread, while no vCPU runs; board_ranchu_power_key(): any.
 */
#include "board_internal.h"

#include "base/log.h"
#include "dev/dt.h"
#include "dev/goldfish.h"
#include "dev/pl031.h"
#include "display/input.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <stdlib.h>
#include <string.h>

enum {
    RANCHU_FB = 0x09010000,
    RANCHU_BATTERY = 0x09020000,
    RANCHU_AUDIO = 0x09030000,
    RANCHU_EVENTS = 0x09040000,
    RANCHU_RTC = 0x09050000,
    RANCHU_PL031 = 0x09060000,
    RANCHU_PIPE = 0x0a010000,
};
enum {
    SPI_FB = 2, SPI_BATTERY = 3, SPI_AUDIO = 4, SPI_EVENTS = 5, SPI_PIPE = 6, SPI_GOLDFISH_RTC = 7,
    SPI_PL031 = 8,
};

#define POWER_KEY_MS 100u

struct board_ranchu {
    struct goldfish_fb *fb;
    struct goldfish_events *events;
    struct goldfish_battery *battery;
    struct goldfish_rtc *rtc;
    struct goldfish_audio *audio;
    struct goldfish_pipe *pipe;
};

static int create_screen(struct vm *vm, struct board_ranchu *r)
{
    struct gic *gic = vm->board->gic;
    struct irq_line fb = gic_spi(gic, SPI_FB), events = gic_spi(gic, SPI_EVENTS);
    int err = goldfish_fb_create(vm, RANCHU_FB, &fb, &vm->opt->ranchu.screen, &r->fb);

    return err != 0 ? err
                    : goldfish_events_create(vm->bus, RANCHU_EVENTS, &events, vm->display,
                                             &r->events);
}

static int create_clocks(struct vm *vm, struct board_ranchu *r)
{
    struct gic *gic = vm->board->gic;
    struct irq_line battery = gic_spi(gic, SPI_BATTERY), rtc = gic_spi(gic, SPI_GOLDFISH_RTC),
                    pl031 = gic_spi(gic, SPI_PL031);
    int err = goldfish_battery_create(vm->bus, RANCHU_BATTERY, &battery, &r->battery);

    if (err == 0) {
        err = goldfish_rtc_create(vm->bus, RANCHU_RTC, &rtc, vm->io, &r->rtc);
    }
    return err != 0 ? err : pl031_create(vm->bus, RANCHU_PL031, &pl031, vm->io, &vm->board->rtc);
}

static int create_audio(struct vm *vm, struct board_ranchu *r)
{
    struct irq_line irq = gic_spi(vm->board->gic, SPI_AUDIO);
    const char *wav = vm->opt->ranchu.wav;
    int err = goldfish_audio_create(vm, RANCHU_AUDIO, &irq, wav, &r->audio);

    if (err != 0 && wav != NULL) {
        log_error("-M ranchu,wav=%s: cannot write it: %s", wav, strerror(-err));
    }
    return err;
}

static int create_pipe(struct vm *vm, struct board_ranchu *r)
{
    const struct vm_ranchu *o = &vm->opt->ranchu;
    struct irq_line irq = gic_spi(vm->board->gic, SPI_PIPE);
    const struct goldfish_services services = {
        .prop = o->prop, .nprops = o->nprops, .adb = vm->opt->dumpdtb == NULL ? o->adb : NULL};
    int err = goldfish_pipe_create(vm, RANCHU_PIPE, &irq, &services, &r->pipe);

    if (err != 0 && o->adb != NULL) {
        log_error("-M ranchu,adb=%s: cannot listen there: %s", o->adb, strerror(-err));
    }
    return err;
}

int board_ranchu_create(struct vm *vm)
{
    struct board_ranchu *r = calloc(1, sizeof *r);

    if (r == NULL) {
        return -ENOMEM;
    }
    vm->board->ranchu = r;
    int err = create_screen(vm, r);
    if (err == 0) {
        err = create_clocks(vm, r);
    }
    if (err == 0) {
        err = create_audio(vm, r);
    }
    return err == 0 ? create_pipe(vm, r) : err;
}

void board_ranchu_destroy(struct vm *vm)
{
    struct board_ranchu *r = vm->board->ranchu;

    if (r == NULL) {
        return;
    }
    goldfish_pipe_destroy(r->pipe);
    goldfish_audio_destroy(r->audio);
    goldfish_rtc_destroy(r->rtc);
    goldfish_battery_destroy(r->battery);
    goldfish_events_destroy(r->events);
    goldfish_fb_destroy(r->fb);
    free(r);
    vm->board->ranchu = NULL;
}

void board_ranchu_reset(struct vm *vm)
{
    struct board_ranchu *r = vm->board->ranchu;

    goldfish_fb_reset(r->fb);
    goldfish_events_reset(r->events);
    goldfish_battery_reset(r->battery);
    goldfish_rtc_reset(r->rtc);
    goldfish_audio_reset(r->audio);
    goldfish_pipe_reset(r->pipe);
}

void board_ranchu_power_key(struct vm *vm)
{
    const uint16_t key = KEY_POWER;

    if (input_chord(vm->display, &key, 1, POWER_KEY_MS) != 0) {
        log_warn("the power key is held by too many that wait");
    }
}

#define NODE(d, name, compatible, base, size, spi)                                                 \
    goldfish_fdt((d), (name), (compatible), sizeof(compatible), (base), (size), (spi))

void board_ranchu_fdt(struct dt *d)
{
    NODE(d, "goldfish_fb", "google,goldfish-fb\0generic,goldfish-fb", RANCHU_FB, 0x100, SPI_FB);
    NODE(d, "goldfish_battery", "google,goldfish-battery\0generic,goldfish-battery",
         RANCHU_BATTERY, 0x1000, SPI_BATTERY);
    NODE(d, "goldfish_audio", "google,goldfish-audio\0generic,goldfish-audio", RANCHU_AUDIO, 0x100,
         SPI_AUDIO);
    NODE(d, "goldfish_events", "google,goldfish-events-keypad\0generic,goldfish-events-keypad",
         RANCHU_EVENTS, 0x1000, SPI_EVENTS);
    NODE(d, "goldfish_rtc", "google,goldfish-rtc", RANCHU_RTC, 0x1000, SPI_GOLDFISH_RTC);
    pl031_fdt(d, RANCHU_PL031, SPI_PL031);
    NODE(d, "android_pipe", "google,android-pipe\0generic,android-pipe", RANCHU_PIPE, 0x2000,
         SPI_PIPE);
    dt_begin(d, "firmware");
    dt_begin(d, "android");
    dt_string(d, "compatible", "android,firmware");
    dt_string(d, "hardware", "ranchu");
    dt_end(d);
    dt_end(d);
}
