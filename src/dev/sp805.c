/* SPDX-License-Identifier: MIT */
/*
 * SP805 watchdog: a counter at the board's 24 MHz that interrupts at its end, starts again, and
 * resets the machine at the next end unless the guest has cleared the interrupt.
 *
 * It counts guest time: a machine that a user has stopped is not bitten. Threads: registers from
 * vCPUs, the end of a period from the I/O thread. Lock: sp805.lock, inside it the interrupt
 * controller's. DDI 0270B chapter 3.
 */
#include "dev/sp805.h"

#include "dev/dt.h"
#include "dev/primecell.h"
#include "io/io.h"
#include "vcpu/arm.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum {
    WDOGLOAD = 0x000, WDOGVALUE = 0x004, WDOGCONTROL = 0x008, WDOGINTCLR = 0x00c, WDOGRIS = 0x010,
    WDOGMIS = 0x014, WDOGLOCK = 0xc00,
};

#define CONTROL_INTEN 1u
#define CONTROL_RESEN 2u
#define UNLOCK        0x1acce551u
#define CLOCK_MHZ     24u
#define PAUSED_NS     100000000u /* how often to look whether a stopped machine goes on */

struct sp805 {
    pthread_mutex_t lock;
    struct irq_line irq;
    struct io_timer timer;
    void (*bite)(void *opaque);
    void *opaque;
    uint32_t load, control;
    uint32_t held;  /* value while it does not count */
    uint64_t end;   /* of the period, guest time */
    bool pending;   /* the interrupt: one period has ended */
    bool locked;
};

static uint64_t period_ns(uint32_t ticks)
{
    return (uint64_t)ticks * 1000 / CLOCK_MHZ;
}

static void set_timer(struct sp805 *w)
{
    uint64_t at = arm_guest_to_host_ns(w->end);

    io_timer_set(&w->timer, at != UINT64_MAX ? at : io_now_ns() + PAUSED_NS);
}

static void begin_period(struct sp805 *w, uint32_t ticks)
{
    w->end = arm_guest_ns() + period_ns(ticks);
    set_timer(w);
}

static bool counts(const struct sp805 *w)
{
    return (w->control & CONTROL_INTEN) != 0;
}

static uint32_t value(const struct sp805 *w)
{
    uint64_t now = arm_guest_ns();

    if (!counts(w)) {
        return w->held;
    }
    return w->end > now ? (uint32_t)((w->end - now) * CLOCK_MHZ / 1000) : 0;
}

static void update_irq(struct sp805 *w)
{
    irq_set(&w->irq, w->pending && counts(w));
}

static void on_timer(void *opaque)
{
    struct sp805 *w = opaque;
    bool bites = false;

    pthread_mutex_lock(&w->lock);
    if (counts(w) && arm_guest_ns() < w->end) {
        set_timer(w); /* the machine was stopped meanwhile */
    } else if (counts(w)) {
        bites = w->pending && (w->control & CONTROL_RESEN);
        w->pending = true;
        begin_period(w, w->load);
        update_irq(w);
    }
    pthread_mutex_unlock(&w->lock);
    if (bites) {
        w->bite(w->opaque);
    }
}

static uint64_t sp805_read(void *dev, struct vcpu *v, uint64_t off, unsigned size)
{
    struct sp805 *w = dev;
    uint32_t r;

    (void)v;
    (void)size;
    pthread_mutex_lock(&w->lock);
    switch (off) {
    case WDOGLOAD: r = w->load; break;
    case WDOGVALUE: r = value(w); break;
    case WDOGCONTROL: r = w->control; break;
    case WDOGRIS: r = w->pending; break;
    case WDOGMIS: r = w->pending && counts(w); break;
    case WDOGLOCK: r = w->locked; break;
    default: r = primecell_id(off, 0x805, 1); break;
    }
    pthread_mutex_unlock(&w->lock);
    return r;
}

static void write_control(struct sp805 *w, uint32_t control)
{
    bool counted = counts(w);

    w->held = value(w);
    w->control = control & (CONTROL_INTEN | CONTROL_RESEN);
    if (!counted && counts(w)) { /* enabling reloads */
        begin_period(w, w->load);
    } else if (!counts(w)) {
        io_timer_cancel(&w->timer);
    }
}

static void write_unlocked(struct sp805 *w, uint64_t off, uint32_t value_written)
{
    switch (off) {
    case WDOGLOAD:
        w->load = w->held = value_written != 0 ? value_written : 1;
        if (counts(w)) {
            begin_period(w, w->load);
        }
        break;
    case WDOGCONTROL: write_control(w, value_written); break;
    case WDOGINTCLR:
        w->pending = false;
        w->held = w->load;
        if (counts(w)) {
            begin_period(w, w->load);
        }
        break;
    default: break; /* read-only or reserved */
    }
    update_irq(w);
}

static void sp805_write(void *dev, struct vcpu *v, uint64_t off, uint64_t written, unsigned size)
{
    struct sp805 *w = dev;

    (void)v;
    (void)size;
    pthread_mutex_lock(&w->lock);
    if (off == WDOGLOCK) {
        w->locked = (uint32_t)written != UNLOCK;
    } else if (!w->locked) {
        write_unlocked(w, off, (uint32_t)written);
    }
    pthread_mutex_unlock(&w->lock);
}

static const struct bus_ops sp805_ops = {.read = sp805_read, .write = sp805_write, .max_size = 4};

void sp805_reset(struct sp805 *w)
{
    pthread_mutex_lock(&w->lock);
    io_timer_cancel(&w->timer);
    w->load = w->held = UINT32_MAX;
    w->control = 0;
    w->pending = w->locked = false;
    update_irq(w);
    pthread_mutex_unlock(&w->lock);
}

int sp805_create(struct bus *bus, gpa_t base, const struct irq_line *irq, struct io_loop *io,
                 void (*bite)(void *opaque), void *opaque, struct sp805 **out)
{
    struct sp805 *w = calloc(1, sizeof *w);

    if (w == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&w->lock, NULL);
    w->irq = *irq;
    w->bite = bite;
    w->opaque = opaque;
    io_timer_init(&w->timer, io, on_timer, w);
    sp805_reset(w);
    int err = bus_add(bus, &(struct bus_region){.name = "sp805", .base = base, .size = 0x1000,
                                                .ops = &sp805_ops, .dev = w});
    if (err != 0) {
        sp805_destroy(w);
        return err;
    }
    *out = w;
    return 0;
}

void sp805_destroy(struct sp805 *w)
{
    if (w == NULL) {
        return;
    }
    io_timer_cancel(&w->timer);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

void sp805_fdt(struct dt *d, gpa_t base, unsigned spi)
{
    dt_begin(d, "watchdog@%llx", (unsigned long long)base);
    DT_STRINGS(d, "compatible", "arm,sp805\0arm,primecell");
    dt_reg(d, base, 0x1000);
    DT_CELLS(d, "interrupts", DT_SPI, spi, DT_LEVEL_HIGH);
    DT_CELLS(d, "clocks", DT_CLOCK, DT_CLOCK);
    DT_STRINGS(d, "clock-names", "wdog_clk\0apb_pclk");
    dt_end(d);
}
