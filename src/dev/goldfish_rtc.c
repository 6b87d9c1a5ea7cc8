/* SPDX-License-Identifier: MIT */
/*
 * Goldfish clock: 64-bit nanoseconds, read and set in two halves, and one alarm. Reading the low
 * half of the time keeps the high half for the read that follows; writing the low half sets time or
 * alarm with the high half that was written before.
 *
 * Threads: registers from vCPUs, the alarm from the I/O thread.
 */
#include "dev/goldfish.h"

#include "io/io.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum {
    TIME_LOW = 0x00, TIME_HIGH = 0x04, ALARM_LOW = 0x08, ALARM_HIGH = 0x0c, IRQ_ENABLED = 0x10,
    CLEAR_ALARM = 0x14, ALARM_STATUS = 0x18, CLEAR_INTERRUPT = 0x1c,
};

#define LOOK_AGAIN_NS 3600000000000u /* the wall clock may be set: look at least so often */

struct goldfish_rtc {
    pthread_mutex_t lock;
    struct irq_line irq;
    struct io_timer timer;
    uint64_t offset;     /* the guest's time - the host's, modulo 2^64 */
    uint64_t alarm;
    uint32_t time_high;  /* of the last read of the low half, or written for the next */
    uint32_t alarm_high;
    bool armed, pending, enabled;
};

static uint64_t host_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t now(const struct goldfish_rtc *r)
{
    return host_ns() + r->offset;
}

/* Raise the alarm when it is due, else have the timer look again then. */
static void check_alarm(struct goldfish_rtc *r)
{
    uint64_t t = now(r);

    if (r->armed && t >= r->alarm) {
        r->armed = false;
        r->pending = true;
    }
    if (r->armed) {
        uint64_t wait = r->alarm - t;
        io_timer_set(&r->timer, io_now_ns() + (wait < LOOK_AGAIN_NS ? wait : LOOK_AGAIN_NS));
    }
    irq_set(&r->irq, r->pending && r->enabled);
}

static void on_timer(void *opaque)
{
    struct goldfish_rtc *r = opaque;

    pthread_mutex_lock(&r->lock);
    check_alarm(r);
    pthread_mutex_unlock(&r->lock);
}

static uint32_t read_time(struct goldfish_rtc *r)
{
    uint64_t t = now(r);

    r->time_high = (uint32_t)(t >> 32);
    return (uint32_t)t;
}

static uint64_t rtc_read(void *dev, struct vcpu *v, uint64_t off, unsigned size)
{
    struct goldfish_rtc *r = dev;
    uint32_t value = 0;

    (void)v;
    (void)size;
    pthread_mutex_lock(&r->lock);
    switch (off) {
    case TIME_LOW: value = read_time(r); break;
    case TIME_HIGH: value = r->time_high; break;
    case ALARM_LOW: value = (uint32_t)r->alarm; break;
    case ALARM_HIGH: value = (uint32_t)(r->alarm >> 32); break;
    case IRQ_ENABLED: value = r->enabled; break;
    case ALARM_STATUS: value = r->armed; break;
    default: break;
    }
    pthread_mutex_unlock(&r->lock);
    return value;
}

static void rtc_write(void *dev, struct vcpu *v, uint64_t off, uint64_t value, unsigned size)
{
    struct goldfish_rtc *r = dev;
    uint32_t w = (uint32_t)value;

    (void)v;
    (void)size;
    pthread_mutex_lock(&r->lock);
    switch (off) {
    case TIME_LOW: r->offset = ((uint64_t)r->time_high << 32 | w) - host_ns(); break;
    case TIME_HIGH: r->time_high = w; break;
    case ALARM_LOW:
        r->alarm = (uint64_t)r->alarm_high << 32 | w;
        r->armed = true;
        break;
    case ALARM_HIGH: r->alarm_high = w; break;
    case IRQ_ENABLED: r->enabled = w & 1; break;
    case CLEAR_ALARM: r->armed = false; break;
    case CLEAR_INTERRUPT: r->pending = false; break;
    default: break;
    }
    check_alarm(r);
    pthread_mutex_unlock(&r->lock);
}

static const struct bus_ops rtc_ops = {.read = rtc_read, .write = rtc_write, .max_size = 4};

void goldfish_rtc_reset(struct goldfish_rtc *r)
{
    pthread_mutex_lock(&r->lock);
    io_timer_cancel(&r->timer);
    r->alarm = 0;
    r->time_high = r->alarm_high = 0;
    r->armed = r->pending = r->enabled = false;
    irq_set(&r->irq, false);
    pthread_mutex_unlock(&r->lock);
}

int goldfish_rtc_create(struct bus *bus, gpa_t base, const struct irq_line *irq,
                        struct io_loop *io, struct goldfish_rtc **out)
{
    struct goldfish_rtc *r = calloc(1, sizeof *r);

    if (r == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&r->lock, NULL);
    r->irq = *irq;
    io_timer_init(&r->timer, io, on_timer, r);
    goldfish_rtc_reset(r);
    int err = bus_add(bus, &(struct bus_region){.name = "goldfish-rtc", .base = base,
                                                .size = 0x1000, .ops = &rtc_ops, .dev = r});
    if (err != 0) {
        goldfish_rtc_destroy(r);
        return err;
    }
    *out = r;
    return 0;
}

void goldfish_rtc_destroy(struct goldfish_rtc *r)
{
    if (r == NULL) {
        return;
    }
    io_timer_cancel(&r->timer);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
