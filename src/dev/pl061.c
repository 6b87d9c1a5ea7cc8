/* SPDX-License-Identifier: MIT */
/*
 * PL061 general-purpose I/O: eight pins, each input or output, with edge and level interrupts. On
 * this board pin 3 is the power key.
 *
 * Threads: registers from vCPUs, inputs from any thread. Lock: pl061.lock, inside it the interrupt
 * controller's. DDI 0190B chapter 3.
 */
#include "dev/pl061.h"

#include "dev/dt.h"
#include "dev/primecell.h"
#include "io/io.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum {
    GPIODATA_END = 0x400, GPIODIR = 0x400, GPIOIS = 0x404, GPIOIBE = 0x408, GPIOIEV = 0x40c,
    GPIOIE = 0x410, GPIORIS = 0x414, GPIOMIS = 0x418, GPIOIC = 0x41c, GPIOAFSEL = 0x420,
};

#define PULSE_NS 100000000u
#define KEY_POWER 116 /* Linux input event code */

struct pl061 {
    pthread_mutex_t lock;
    struct irq_line irq;
    struct io_loop *io;
    struct io_timer release;
    uint8_t pulsing;  /* pins to let go when the timer fires */
    uint8_t input;    /* levels from outside */
    uint8_t output;   /* data register of output pins */
    uint8_t dir, is, ibe, iev, ie, afsel;
    uint8_t edges;    /* latched edge interrupts */
    uint8_t level;    /* pin levels when last looked at */
};

static uint8_t pins(const struct pl061 *g)
{
    return (uint8_t)((g->output & g->dir) | (g->input & ~g->dir));
}

static uint8_t raw_status(const struct pl061 *g)
{
    uint8_t level = (uint8_t)~(g->level ^ g->iev); /* at the level that IEV names */

    return (uint8_t)((g->edges & ~g->is) | (level & g->is));
}

static void update(struct pl061 *g)
{
    uint8_t now = pins(g), changed = now ^ g->level;

    g->level = now;
    /* An edge counts when both do, or when the new level is the one IEV names. */
    g->edges |= (uint8_t)(changed & ~g->is & (g->ibe | (uint8_t)~(now ^ g->iev)));
    irq_set(&g->irq, (raw_status(g) & g->ie) != 0);
}

void pl061_set_input(struct pl061 *g, unsigned pin, bool level)
{
    uint8_t bit = (uint8_t)(1u << (pin & 7));

    pthread_mutex_lock(&g->lock);
    g->input = (uint8_t)(level ? g->input | bit : g->input & ~bit);
    update(g);
    pthread_mutex_unlock(&g->lock);
}

static void on_release(void *opaque)
{
    struct pl061 *g = opaque;

    pthread_mutex_lock(&g->lock);
    g->input &= (uint8_t)~g->pulsing;
    g->pulsing = 0;
    update(g);
    pthread_mutex_unlock(&g->lock);
}

void pl061_pulse(struct pl061 *g, unsigned pin)
{
    pthread_mutex_lock(&g->lock);
    g->pulsing |= (uint8_t)(1u << (pin & 7));
    g->input |= g->pulsing;
    update(g);
    pthread_mutex_unlock(&g->lock);
    if (g->io != NULL) {
        io_timer_set(&g->release, io_now_ns() + PULSE_NS);
    } else {
        on_release(g);
    }
}

static uint64_t pl061_read(void *dev, struct vcpu *v, uint64_t off, unsigned size)
{
    struct pl061 *g = dev;
    uint32_t value;

    (void)v;
    (void)size;
    pthread_mutex_lock(&g->lock);
    if (off < GPIODATA_END) {
        value = pins(g) & (uint32_t)(off >> 2); /* address bits 9:2 select pins */
    } else {
        switch (off) {
        case GPIODIR: value = g->dir; break;
        case GPIOIS: value = g->is; break;
        case GPIOIBE: value = g->ibe; break;
        case GPIOIEV: value = g->iev; break;
        case GPIOIE: value = g->ie; break;
        case GPIORIS: value = raw_status(g); break;
        case GPIOMIS: value = raw_status(g) & g->ie; break;
        case GPIOAFSEL: value = g->afsel; break;
        default: value = primecell_id(off, 0x061, 0); break;
        }
    }
    pthread_mutex_unlock(&g->lock);
    return value;
}

static void pl061_write(void *dev, struct vcpu *v, uint64_t off, uint64_t value, unsigned size)
{
    struct pl061 *g = dev;
    uint8_t w = (uint8_t)value;

    (void)v;
    (void)size;
    pthread_mutex_lock(&g->lock);
    if (off < GPIODATA_END) {
        uint8_t mask = (uint8_t)(off >> 2) & g->dir;
        g->output = (uint8_t)((g->output & ~mask) | (w & mask));
    } else {
        switch (off) {
        case GPIODIR: g->dir = w; break;
        case GPIOIS: g->is = w; break;
        case GPIOIBE: g->ibe = w; break;
        case GPIOIEV: g->iev = w; break;
        case GPIOIE: g->ie = w; break;
        case GPIOIC: g->edges &= (uint8_t)~w; break;
        case GPIOAFSEL: g->afsel = w; break;
        default: break; /* read-only or reserved */
        }
    }
    update(g);
    pthread_mutex_unlock(&g->lock);
}

static const struct bus_ops pl061_ops = {.read = pl061_read, .write = pl061_write, .max_size = 4};

void pl061_reset(struct pl061 *g)
{
    pthread_mutex_lock(&g->lock);
    g->output = g->dir = g->is = g->ibe = g->iev = g->ie = g->afsel = g->edges = 0;
    g->level = pins(g);
    update(g);
    pthread_mutex_unlock(&g->lock);
}

int pl061_create(struct bus *bus, gpa_t base, const struct irq_line *irq, struct io_loop *io,
                 struct pl061 **out)
{
    struct pl061 *g = calloc(1, sizeof *g);

    if (g == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&g->lock, NULL);
    g->irq = *irq;
    g->io = io;
    if (io != NULL) {
        io_timer_init(&g->release, io, on_release, g);
    }
    pl061_reset(g);
    int err = bus_add(bus, &(struct bus_region){.name = "pl061", .base = base, .size = 0x1000,
                                                .ops = &pl061_ops, .dev = g});
    if (err != 0) {
        pl061_destroy(g);
        return err;
    }
    *out = g;
    return 0;
}

void pl061_destroy(struct pl061 *g)
{
    if (g == NULL) {
        return;
    }
    if (g->io != NULL) {
        io_timer_cancel(&g->release);
    }
    pthread_mutex_destroy(&g->lock);
    free(g);
}

void pl061_fdt(struct dt *d, gpa_t base, unsigned spi, unsigned pin)
{
    dt_begin(d, "pl061@%llx", (unsigned long long)base);
    DT_STRINGS(d, "compatible", "arm,pl061\0arm,primecell");
    dt_reg(d, base, 0x1000);
    DT_CELLS(d, "interrupts", DT_SPI, spi, DT_LEVEL_HIGH);
    DT_CELLS(d, "clocks", DT_CLOCK);
    dt_string(d, "clock-names", "apb_pclk");
    dt_flag(d, "gpio-controller");
    DT_CELLS(d, "#gpio-cells", 2);
    DT_CELLS(d, "phandle", DT_GPIO);
    dt_end(d);

    dt_begin(d, "gpio-keys");
    dt_string(d, "compatible", "gpio-keys");
    dt_begin(d, "poweroff");
    dt_string(d, "label", "GPIO Key Poweroff");
    DT_CELLS(d, "linux,code", KEY_POWER);
    DT_CELLS(d, "gpios", DT_GPIO, pin, 0);
    dt_end(d);
    dt_end(d);
}
