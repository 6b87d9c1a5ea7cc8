/* SPDX-License-Identifier: MIT */
/*
 * The Android emulator's own devices, as the board "ranchu" has them: framebuffer, keys and
 * touches, battery, clock, audio, pipe. Registers are those of the Linux drivers goldfishfb,
 * goldfish_events, goldfish_battery, rtc-goldfish, goldfish_audio and goldfish_pipe. One file for
 * each device; each has a lock of its own, inside it only the interrupt controller's.
 *
 * create: reports nothing; -errno. destroy: the I/O loop is stopped; NULL is fine.
 */
#pragma once

#include "dev/bus.h"
#include "display/display.h"

struct dt;
struct io_loop;
struct vm;

/* A node with one range and one level interrupt; `compatible` ends where its literal does. */
void goldfish_fdt(struct dt *d, const char *name, const char *compatible, size_t len, gpa_t base,
                  uint64_t size, unsigned spi);

/* ---- framebuffer: width, height and format are fixed ---- */
struct goldfish_fb;
int goldfish_fb_create(struct vm *vm, gpa_t base, const struct irq_line *irq,
                       const struct display_framebuffer *config,
                       struct goldfish_fb **out) MUST_CHECK;
void goldfish_fb_destroy(struct goldfish_fb *f);
void goldfish_fb_reset(struct goldfish_fb *f);

/* ---- events: a keyboard and a touch screen in one ---- */
struct goldfish_events;
int goldfish_events_create(struct bus *bus, gpa_t base, const struct irq_line *irq,
                           struct display *display, struct goldfish_events **out) MUST_CHECK;
void goldfish_events_destroy(struct goldfish_events *e);
void goldfish_events_reset(struct goldfish_events *e);

/* ---- battery: full, on mains ---- */
struct goldfish_battery;
int goldfish_battery_create(struct bus *bus, gpa_t base, const struct irq_line *irq,
                            struct goldfish_battery **out) MUST_CHECK;
void goldfish_battery_destroy(struct goldfish_battery *b);
void goldfish_battery_reset(struct goldfish_battery *b);
/* What the guest sees: percent (to 100), whether on mains. Any thread. */
void goldfish_battery_set(struct goldfish_battery *b, unsigned percent, bool mains);

/* ---- clock: nanoseconds of the wall clock, and one alarm ---- */
struct goldfish_rtc;
int goldfish_rtc_create(struct bus *bus, gpa_t base, const struct irq_line *irq,
                        struct io_loop *io, struct goldfish_rtc **out) MUST_CHECK;
void goldfish_rtc_destroy(struct goldfish_rtc *r);
void goldfish_rtc_reset(struct goldfish_rtc *r); /* the clock keeps its time */

/* ---- audio: `wav` names the file that gets what is played, NULL: nobody hears it ---- */
struct goldfish_audio;
int goldfish_audio_create(struct vm *vm, gpa_t base, const struct irq_line *irq, const char *wav,
                          struct goldfish_audio **out) MUST_CHECK;
void goldfish_audio_destroy(struct goldfish_audio *a);
void goldfish_audio_reset(struct goldfish_audio *a);

/* ---- pipe: byte streams to services of the host (goldfish_service.h) ---- */
/* What the command line says of them. */
struct goldfish_services {
    char *const *prop; /* "NAME=VALUE" of boot-properties */
    unsigned nprops;
    const char *adb;   /* where debuggers may connect; NULL: nowhere */
};
struct goldfish_pipe;
/* "[ADDR:]PORT"; ADDR is the loopback when it is left out. */
bool goldfish_adb_valid(const char *where);
int goldfish_pipe_create(struct vm *vm, gpa_t base, const struct irq_line *irq,
                         const struct goldfish_services *services,
                         struct goldfish_pipe **out) MUST_CHECK;
void goldfish_pipe_destroy(struct goldfish_pipe *p);
void goldfish_pipe_reset(struct goldfish_pipe *p);
