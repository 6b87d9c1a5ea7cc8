/* SPDX-License-Identifier: MIT */
/*
 * PL031 real-time clock: host wall-clock seconds plus what the guest set, and one alarm.
 *
 * Threads: registers from vCPUs, the alarm from the I/O thread. Lock: pl031.lock, inside it the
 * interrupt controller's. DDI 0224B chapter 3.
 */
#include "dev/pl031.h"

#include "dev/dt.h"
#include "dev/primecell.h"
#include "io/io.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum {
    RTCDR = 0x00, RTCMR = 0x04, RTCLR = 0x08, RTCCR = 0x0c, RTCIMSC = 0x10, RTCRIS = 0x14,
    RTCMIS = 0x18, RTCICR = 0x1c,
};

#define NS 1000000000u

struct pl031 {
    pthread_mutex_t lock;
    struct irq_line irq;
    struct io_loop *io;
    struct io_timer timer;
    uint32_t offset; /* counter - host seconds, modulo 2^32 */
    uint32_t match, load;
    bool armed;      /* the match has not been reached since it was set */
    bool ris, imsc;
};

static uint32_t host_seconds(uint32_t *to_next_ns)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    *to_next_ns = NS - (uint32_t)ts.tv_nsec;
    return (uint32_t)ts.tv_sec;
}

static uint32_t counter(const struct pl031 *r)
{
    uint32_t rest;

    return host_seconds(&rest) + r->offset;
}

/* Raise the alarm when it is due, else have the timer look again then. */
static void check_alarm(struct pl031 *r)
{
    uint32_t rest, wait = r->match - (host_seconds(&rest) + r->offset);

    if (r->armed && wait == 0) {
        r->armed = false;
        r->ris = true;
    }
    if (r->armed && r->io != NULL) {
        io_timer_set(&r->timer, io_now_ns() + rest + (uint64_t)(wait - 1) * NS);
    }
    irq_set(&r->irq, r->ris && r->imsc);
}

static void on_timer(void *opaque)
{
    struct pl031 *r = opaque;

    pthread_mutex_lock(&r->lock);
    check_alarm(r);
    pthread_mutex_unlock(&r->lock);
}

static uint64_t pl031_read(void *dev, struct vcpu *v, uint64_t off, unsigned size)
{
    struct pl031 *r = dev;
    uint32_t value;

    (void)v;
    (void)size;
    pthread_mutex_lock(&r->lock);
    switch (off) {
    case RTCDR: value = counter(r); break;
    case RTCMR: value = r->match; break;
    case RTCLR: value = r->load; break;
    case RTCCR: value = 1; break; /* always running */
    case RTCIMSC: value = r->imsc; break;
    case RTCRIS: value = r->ris; break;
    case RTCMIS: value = r->ris && r->imsc; break;
    default: value = primecell_id(off, 0x031, 0); break;
    }
    pthread_mutex_unlock(&r->lock);
    return value;
}

static void pl031_write(void *dev, struct vcpu *v, uint64_t off, uint64_t value, unsigned size)
{
    struct pl031 *r = dev;
    uint32_t w = (uint32_t)value;

    (void)v;
    (void)size;
    pthread_mutex_lock(&r->lock);
    switch (off) {
    case RTCMR:
        r->match = w;
        r->armed = true;
        break;
    case RTCLR:
        r->load = w;
        r->offset += w - counter(r);
        r->armed = true;
        break;
    case RTCIMSC: r->imsc = w & 1; break;
    case RTCICR: r->ris = r->ris && !(w & 1); break;
    default: break; /* read-only, reserved; RTCCR cannot stop it */
    }
    check_alarm(r);
    pthread_mutex_unlock(&r->lock);
}

static const struct bus_ops pl031_ops = {.read = pl031_read, .write = pl031_write, .max_size = 4};

void pl031_reset(struct pl031 *r)
{
    pthread_mutex_lock(&r->lock);
    if (r->io != NULL) {
        io_timer_cancel(&r->timer);
    }
    r->match = r->load = 0;
    r->armed = r->ris = r->imsc = false;
    irq_set(&r->irq, false);
    pthread_mutex_unlock(&r->lock);
}

int pl031_create(struct bus *bus, gpa_t base, const struct irq_line *irq, struct io_loop *io,
                 struct pl031 **out)
{
    struct pl031 *r = calloc(1, sizeof *r);

    if (r == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&r->lock, NULL);
    r->irq = *irq;
    r->io = io;
    if (io != NULL) {
        io_timer_init(&r->timer, io, on_timer, r);
    }
    pl031_reset(r);
    int err = bus_add(bus, &(struct bus_region){.name = "pl031", .base = base, .size = 0x1000,
                                                .ops = &pl031_ops, .dev = r});
    if (err != 0) {
        pl031_destroy(r);
        return err;
    }
    *out = r;
    return 0;
}

void pl031_destroy(struct pl031 *r)
{
    if (r == NULL) {
        return;
    }
    if (r->io != NULL) {
        io_timer_cancel(&r->timer);
    }
    pthread_mutex_destroy(&r->lock);
    free(r);
}

void pl031_fdt(struct dt *d, gpa_t base, unsigned spi)
{
    dt_begin(d, "pl031@%llx", (unsigned long long)base);
    DT_STRINGS(d, "compatible", "arm,pl031\0arm,primecell");
    dt_reg(d, base, 0x1000);
    DT_CELLS(d, "interrupts", DT_SPI, spi, DT_LEVEL_HIGH);
    DT_CELLS(d, "clocks", DT_CLOCK);
    dt_string(d, "clock-names", "apb_pclk");
    dt_end(d);
}
