/* SPDX-License-Identifier: MIT */
/*
 * Goldfish events: a keyboard and a touch screen in one input device. The driver selects a page
 * (name, what events there can be, ranges of axes) and reads it; then it reads events, a word each
 * for type, code and value, as long as the line is up.
 *
 * The driver asks for the line only at the end of its set-up, but an event that waits already then
 * would be lost to it: so the line stays down until it has read the ranges, the last of its pages.
 *
 * Threads: registers from vCPUs, events from any (display/input.h; that lock is held, ours inside
 * it). What came together is queued together or not at all.
 */
#include "dev/goldfish.h"

#include "display/input.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { REG_READ = 0x00, REG_SET_PAGE = 0x00, REG_LEN = 0x04, REG_DATA = 0x08 };
enum { PAGE_NAME = 0x00000, PAGE_EVBITS = 0x10000, PAGE_ABSDATA = 0x20000 | EV_ABS };

/* Android's key map and touch configuration of the emulator go by this name. */
#define DEVICE_NAME "qwerty2"

#define EVENTS_WAITING 256u
#define WORDS          3u /* of an event */
#define BITMAP_BYTES   (KEY_CNT / 8)
#define AXES           (ABS_MT_TRACKING_ID + 1)

/* What can happen: codes of a type, from first to last; of an axis its largest value. */
static const struct {
    uint16_t type, first, last;
    uint32_t max;
} can[] = {
    {EV_SYN, EV_SYN, EV_SYN, 0},
    {EV_SYN, EV_KEY, EV_KEY, 0},
    {EV_SYN, EV_ABS, EV_ABS, 0},
    {EV_KEY, KEY_ESC, KEY_MICMUTE, 0},
    {EV_KEY, BTN_TOUCH, BTN_TOUCH, 0},
    {EV_ABS, ABS_X, ABS_Y, INPUT_AXIS_MAX},
    {EV_ABS, ABS_MT_SLOT, ABS_MT_SLOT, INPUT_SLOTS - 1},
    {EV_ABS, ABS_MT_POSITION_X, ABS_MT_POSITION_Y, INPUT_AXIS_MAX},
    {EV_ABS, ABS_MT_TRACKING_ID, ABS_MT_TRACKING_ID, UINT16_MAX},
};

struct goldfish_events {
    struct input_sink keyboard, touch;
    pthread_mutex_t lock; /* all below */
    struct irq_line irq;
    uint32_t page;
    bool live;            /* the driver has read all pages */
    struct input_event event[EVENTS_WAITING]; /* a ring */
    unsigned first, waiting;
    unsigned word;        /* of the first, that is read next */
};

static void update_irq(struct goldfish_events *e)
{
    irq_set(&e->irq, e->live && e->waiting > 0);
}

/* ---- pages ---- */
/* Codes of a type as a bitmap; how many of its bytes are worth reading. */
static size_t event_bits(unsigned type, uint8_t bits[BITMAP_BYTES])
{
    size_t len = 0;

    memset(bits, 0, BITMAP_BYTES);
    for (size_t i = 0; i < ARRAY_SIZE(can); i++) {
        for (unsigned code = can[i].first; can[i].type == type && code <= can[i].last; code++) {
            bits[code / 8] |= (uint8_t)(1u << code % 8);
            len = code / 8 + 1 > len ? code / 8 + 1 : len;
        }
    }
    return len;
}

/* Word i of the ranges: least, greatest, fuzz, flat of each axis. */
static uint32_t range_word(unsigned i)
{
    unsigned code = i / 4;

    for (size_t k = 0; k < ARRAY_SIZE(can) && i % 4 == 1; k++) {
        if (can[k].type == EV_ABS && code >= can[k].first && code <= can[k].last) {
            return can[k].max;
        }
    }
    return 0;
}

static uint32_t page_len(const struct goldfish_events *e)
{
    uint8_t bits[BITMAP_BYTES];

    if (e->page == PAGE_NAME) {
        return sizeof DEVICE_NAME - 1;
    }
    if (e->page == PAGE_ABSDATA) {
        return AXES * 4 * sizeof(uint32_t);
    }
    return e->page - PAGE_EVBITS <= EV_MAX ? (uint32_t)event_bits(e->page - PAGE_EVBITS, bits) : 0;
}

/* Names and bitmaps are read by bytes, ranges by words. */
static uint32_t page_data(const struct goldfish_events *e, uint64_t at)
{
    uint8_t bits[BITMAP_BYTES];

    if (at >= page_len(e)) {
        return 0;
    }
    if (e->page == PAGE_NAME) {
        return (uint8_t)DEVICE_NAME[at];
    }
    if (e->page == PAGE_ABSDATA) {
        return range_word((unsigned)at / 4);
    }
    event_bits(e->page - PAGE_EVBITS, bits);
    return bits[at];
}

/* ---- registers ---- */
static uint32_t take_word(struct goldfish_events *e)
{
    const struct input_event *first = &e->event[e->first];

    if (e->waiting == 0) {
        return 0;
    }
    const uint32_t word[WORDS] = {first->type, first->code, first->value};
    uint32_t r = word[e->word++];
    if (e->word == WORDS) {
        e->word = 0;
        e->first = (e->first + 1) % EVENTS_WAITING;
        e->waiting--;
    }
    return r;
}

static uint64_t events_read(void *dev, struct vcpu *v, uint64_t off, unsigned size)
{
    struct goldfish_events *e = dev;
    uint32_t r = 0;

    (void)v;
    (void)size;
    pthread_mutex_lock(&e->lock);
    if (off == REG_READ) {
        r = take_word(e);
    } else if (off == REG_LEN) {
        r = page_len(e);
        e->live = e->live || e->page == PAGE_ABSDATA;
    } else if (off >= REG_DATA) {
        r = page_data(e, off - REG_DATA);
    }
    update_irq(e);
    pthread_mutex_unlock(&e->lock);
    return r;
}

static void events_write(void *dev, struct vcpu *v, uint64_t off, uint64_t value, unsigned size)
{
    struct goldfish_events *e = dev;

    (void)v;
    (void)size;
    pthread_mutex_lock(&e->lock);
    if (off == REG_SET_PAGE) {
        e->page = (uint32_t)value;
    }
    pthread_mutex_unlock(&e->lock);
}

static const struct bus_ops events_ops = {.read = events_read, .write = events_write,
                                          .max_size = 4};

/* ---- events ---- */
static void push(struct goldfish_events *e, struct input_event ev)
{
    e->event[(e->first + e->waiting++) % EVENTS_WAITING] = ev;
}

/* input_sink.report */
static void report(void *opaque, const struct input_event *ev, unsigned n)
{
    struct goldfish_events *e = opaque;

    pthread_mutex_lock(&e->lock);
    if (e->live && e->waiting + n + 1 <= EVENTS_WAITING) {
        for (unsigned i = 0; i < n; i++) {
            push(e, ev[i]);
        }
        push(e, (struct input_event){EV_SYN, SYN_REPORT, 0});
        update_irq(e);
    }
    pthread_mutex_unlock(&e->lock);
}

/* ---- life cycle ---- */
void goldfish_events_reset(struct goldfish_events *e)
{
    pthread_mutex_lock(&e->lock);
    e->page = 0;
    e->live = false;
    e->first = e->waiting = e->word = 0;
    update_irq(e);
    pthread_mutex_unlock(&e->lock);
}

int goldfish_events_create(struct bus *bus, gpa_t base, const struct irq_line *irq,
                           struct display *display, struct goldfish_events **out)
{
    struct goldfish_events *e = calloc(1, sizeof *e);

    if (e == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&e->lock, NULL);
    e->irq = *irq;
    int err = bus_add(bus, &(struct bus_region){.name = "goldfish-events", .base = base,
                                                .size = 0x1000, .ops = &events_ops, .dev = e});
    if (err != 0) {
        goldfish_events_destroy(e);
        return err;
    }
    e->keyboard = (struct input_sink){.kind = INPUT_KEYBOARD, .opaque = e, .report = report};
    e->touch = (struct input_sink){.kind = INPUT_TOUCH, .opaque = e, .report = report};
    input_add_sink(display, &e->keyboard);
    input_add_sink(display, &e->touch);
    *out = e;
    return 0;
}

void goldfish_events_destroy(struct goldfish_events *e)
{
    if (e == NULL) {
        return;
    }
    pthread_mutex_destroy(&e->lock);
    free(e);
}
