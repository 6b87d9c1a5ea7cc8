/* SPDX-License-Identifier: MIT */
/*
 * PL011 UART: FIFOs, flags, interrupts, loop back. Baud rate and line format are stored and have no
 * effect; a character leaves as soon as the back end takes it, so the transmit FIFO only fills when
 * the back end is full.
 *
 * Threads: registers from vCPUs, receive and sent from the I/O thread, the time-out from its timer.
 * Lock: pl011.lock; inside it the back end's lock and the interrupt controller's may be taken.
 * The UART sends and receives whether or not CR enables it: bare-metal programs for this board
 * commonly skip that step. DDI 0183G chapter 3.
 */
#include "dev/pl011.h"

#include "base/log.h"
#include "dev/dt.h"
#include "dev/primecell.h"
#include "io/chardev.h"
#include "io/io.h"
#include "tcg/tcg.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    UARTDR = 0x00, UARTRSR = 0x04, UARTFR = 0x18, UARTILPR = 0x20, UARTIBRD = 0x24, UARTFBRD = 0x28,
    UARTLCR_H = 0x2c, UARTCR = 0x30, UARTIFLS = 0x34, UARTIMSC = 0x38, UARTRIS = 0x3c,
    UARTMIS = 0x40, UARTICR = 0x44, UARTDMACR = 0x48,
};

#define FR_RXFE (1u << 4)
#define FR_TXFF (1u << 5)
#define FR_RXFF (1u << 6)
#define FR_TXFE (1u << 7)
#define FR_BUSY (1u << 3)
#define FR_MODEM 0x03u /* CTS and DSR asserted */
#define LCR_H_FEN (1u << 4)
#define CR_LBE (1u << 7)
#define INT_RX (1u << 4)
#define INT_TX (1u << 5)
#define INT_RT (1u << 6)
#define INT_FE (1u << 7)
#define INT_BE (1u << 9)
#define INT_OE (1u << 10)
#define INT_ALL 0x7ffu
#define DR_FE (1u << 8)
#define DR_BE (1u << 10)
#define DR_OE (1u << 11)

#define FIFO_SIZE 16u
/* 32 bit periods at 115200 baud; real time, as the host's own receive time-out would be. */
#define RX_TIMEOUT_NS 280000u

struct fifo {
    uint16_t data[FIFO_SIZE];
    unsigned head, used;
};

struct pl011 {
    pthread_mutex_t lock;
    struct irq_line irq;
    struct io_loop *io;
    struct chardev *chr;
    struct io_timer timeout;
    void (*escape)(void *opaque, char key);
    void *escape_opaque;
    void (*quit)(void *opaque, int status);
    void *quit_opaque;
    struct fifo rx, tx;
    bool overrun;         /* the next received character carries OE */
    uint32_t rsr, ilpr, ibrd, fbrd, lcr_h, cr, ifls, imsc, ris, dmacr;
};

static unsigned fifo_room(const struct pl011 *u, const struct fifo *f)
{
    return (u->lcr_h & LCR_H_FEN ? FIFO_SIZE : 1) - f->used;
}

static void fifo_push(struct fifo *f, uint16_t c)
{
    f->data[(f->head + f->used++) % FIFO_SIZE] = c;
}

static uint16_t fifo_pop(struct fifo *f)
{
    uint16_t c = f->data[f->head];

    f->head = (f->head + 1) % FIFO_SIZE;
    f->used--;
    return c;
}

static void update_irq(struct pl011 *u)
{
    irq_set(&u->irq, (u->ris & u->imsc) != 0);
}

/* ---- receive ---- */
static unsigned rx_trigger(const struct pl011 *u)
{
    static const uint8_t level[8] = {2, 4, 8, 12, 14, 14, 14, 14}; /* of 16: 1/8 to 7/8 */

    return u->lcr_h & LCR_H_FEN ? level[u->ifls >> 3 & 7] : 1;
}

/* After the receive FIFO changed: interrupts by level, and the time-out for what stays below it. */
static void rx_changed(struct pl011 *u)
{
    if (u->rx.used >= rx_trigger(u)) {
        u->ris |= INT_RX;
    } else {
        u->ris &= ~INT_RX;
    }
    if (u->rx.used == 0) {
        u->ris &= ~INT_RT;
        if (u->io != NULL) {
            io_timer_cancel(&u->timeout);
        }
    } else if (u->io != NULL) {
        io_timer_set(&u->timeout, io_now_ns() + RX_TIMEOUT_NS);
    } else {
        u->ris |= INT_RT;
    }
}

static void on_timeout(void *opaque)
{
    struct pl011 *u = opaque;

    pthread_mutex_lock(&u->lock);
    if (u->rx.used > 0) {
        u->ris |= INT_RT;
        update_irq(u);
    }
    pthread_mutex_unlock(&u->lock);
}

static void rx_push(struct pl011 *u, uint16_t c)
{
    if (fifo_room(u, &u->rx) == 0) {
        u->ris |= INT_OE;
        u->rsr |= 8;
        u->overrun = true;
        return;
    }
    fifo_push(&u->rx, (uint16_t)(c | (u->overrun ? DR_OE : 0)));
    u->overrun = false;
}

size_t pl011_room(void *opaque)
{
    struct pl011 *u = opaque;

    pthread_mutex_lock(&u->lock);
    size_t n = u->cr & CR_LBE ? 0 : fifo_room(u, &u->rx);
    pthread_mutex_unlock(&u->lock);
    return n;
}

void pl011_receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct pl011 *u = opaque;

    pthread_mutex_lock(&u->lock);
    for (size_t i = 0; i < len; i++) {
        rx_push(u, buf[i]);
    }
    rx_changed(u);
    update_irq(u);
    pthread_mutex_unlock(&u->lock);
}

/* A null character that carries the break and framing errors (3.4.4). */
void pl011_receive_break(struct pl011 *u)
{
    pthread_mutex_lock(&u->lock);
    rx_push(u, DR_BE | DR_FE);
    u->ris |= INT_BE | INT_FE;
    rx_changed(u);
    update_irq(u);
    pthread_mutex_unlock(&u->lock);
}

static uint32_t read_dr(struct pl011 *u)
{
    uint32_t c = 0;

    if (u->rx.used > 0) {
        c = fifo_pop(&u->rx);
        u->rsr = c >> 8 & 0xf;
        rx_changed(u);
        update_irq(u);
    }
    return c;
}

/* ---- transmit ---- */
static unsigned tx_trigger(const struct pl011 *u)
{
    static const uint8_t level[8] = {2, 4, 8, 12, 14, 14, 14, 14};

    return u->lcr_h & LCR_H_FEN ? level[u->ifls & 7] : 0;
}

/* Hand the FIFO to the back end as far as it takes it. */
static void tx_drain(struct pl011 *u)
{
    unsigned before = u->tx.used;

    while (u->tx.used > 0) {
        uint8_t c = (uint8_t)u->tx.data[u->tx.head];
        if (u->cr & CR_LBE) {
            rx_push(u, c);
            rx_changed(u);
        } else if (u->chr != NULL && chardev_write(u->chr, &c, 1) == 0) {
            break;
        }
        fifo_pop(&u->tx);
    }
    /* The interrupt marks the way down through the trigger level, not the level itself. */
    if (before > 0 && u->tx.used <= tx_trigger(u)) {
        u->ris |= INT_TX;
    }
}

static void write_dr(struct pl011 *u, uint8_t c)
{
    if (fifo_room(u, &u->tx) == 0) {
        return; /* written although FR said full: the character is lost, as on the real one */
    }
    fifo_push(&u->tx, c);
    tx_drain(u);
    update_irq(u);
}

void pl011_sent(void *opaque)
{
    struct pl011 *u = opaque;

    pthread_mutex_lock(&u->lock);
    tx_drain(u);
    update_irq(u);
    pthread_mutex_unlock(&u->lock);
}

/* ---- registers ---- */
static uint32_t flags(const struct pl011 *u)
{
    return FR_MODEM | (u->rx.used == 0 ? FR_RXFE : 0) | (fifo_room(u, &u->rx) == 0 ? FR_RXFF : 0) |
           (u->tx.used == 0 ? FR_TXFE : FR_BUSY) | (fifo_room(u, &u->tx) == 0 ? FR_TXFF : 0);
}

static uint64_t pl011_read(void *dev, struct vcpu *v, uint64_t off, unsigned size)
{
    struct pl011 *u = dev;
    uint32_t r = 0;
    bool popped = false;

    (void)v;
    (void)size;
    pthread_mutex_lock(&u->lock);
    switch (off) {
    case UARTDR: popped = u->rx.used > 0; r = read_dr(u); break;
    case UARTRSR: r = u->rsr; break;
    case UARTFR: r = flags(u); break;
    case UARTILPR: r = u->ilpr; break;
    case UARTIBRD: r = u->ibrd; break;
    case UARTFBRD: r = u->fbrd; break;
    case UARTLCR_H: r = u->lcr_h; break;
    case UARTCR: r = u->cr; break;
    case UARTIFLS: r = u->ifls; break;
    case UARTIMSC: r = u->imsc; break;
    case UARTRIS: r = u->ris; break;
    case UARTMIS: r = u->ris & u->imsc; break;
    case UARTDMACR: r = u->dmacr; break;
    default: r = primecell_id(off, 0x011, 1); break;
    }
    pthread_mutex_unlock(&u->lock);
    if (popped && u->chr != NULL) {
        chardev_accept_input(u->chr);
    }
    return r;
}

static void write_lcr_h(struct pl011 *u, uint32_t value)
{
    if ((value ^ u->lcr_h) & LCR_H_FEN) { /* switching the FIFOs on or off empties them */
        u->rx.used = u->tx.used = 0;
        rx_changed(u);
    }
    u->lcr_h = value & 0xff;
}

static void write_icr(struct pl011 *u, uint32_t value)
{
    u->ris &= ~(value & INT_ALL);
    if (u->rx.used > 0 && (value & INT_RT) && u->io != NULL) {
        io_timer_set(&u->timeout, io_now_ns() + RX_TIMEOUT_NS); /* still unread: say so again */
    }
}

static void pl011_write(void *dev, struct vcpu *v, uint64_t off, uint64_t value, unsigned size)
{
    struct pl011 *u = dev;
    uint32_t w = (uint32_t)value;
    bool input_changed = off == UARTLCR_H || off == UARTCR;

    (void)v;
    (void)size;
    pthread_mutex_lock(&u->lock);
    switch (off) {
    case UARTDR: write_dr(u, (uint8_t)w); break;
    case UARTRSR: u->rsr = 0; break;
    case UARTILPR: u->ilpr = w & 0xff; break;
    case UARTIBRD: u->ibrd = w & 0xffff; break;
    case UARTFBRD: u->fbrd = w & 0x3f; break;
    case UARTLCR_H: write_lcr_h(u, w); break;
    case UARTCR: u->cr = w & 0xff87; break;
    case UARTIFLS: u->ifls = w & 0x3f; rx_changed(u); break;
    case UARTIMSC: u->imsc = w & INT_ALL; break;
    case UARTICR: write_icr(u, w); break;
    case UARTDMACR: u->dmacr = w & 7; break;
    default:
        if (log_on(LOG_GUEST_ERROR)) {
            log_printf("pl011: write of 0x%x to reserved register 0x%x\n", w, (unsigned)off);
        }
        break;
    }
    update_irq(u);
    pthread_mutex_unlock(&u->lock);
    if (input_changed && u->chr != NULL) {
        chardev_accept_input(u->chr);
    }
}

static const struct bus_ops pl011_ops = {.read = pl011_read, .write = pl011_write, .max_size = 4};

/* ---- life cycle ---- */
static void escape(void *opaque, char key)
{
    struct pl011 *u = opaque;

    if (u->escape != NULL) {
        u->escape(u->escape_opaque, key);
    }
}

static void quit(void *opaque, int status)
{
    const struct pl011 *u = opaque;

    if (u->quit != NULL) {
        u->quit(u->quit_opaque, status);
    }
}

void pl011_set_quit(struct pl011 *u, void (*fn)(void *opaque, int status), void *opaque)
{
    u->quit = fn;
    u->quit_opaque = opaque;
}

void pl011_set_escape(struct pl011 *u, void (*fn)(void *opaque, char key), void *opaque)
{
    u->escape = fn;
    u->escape_opaque = opaque;
}

void pl011_reset(struct pl011 *u)
{
    pthread_mutex_lock(&u->lock);
    u->rx.used = u->tx.used = 0;
    u->overrun = false;
    u->rsr = u->ilpr = u->ibrd = u->fbrd = u->lcr_h = u->imsc = u->ris = u->dmacr = 0;
    u->cr = 0x300;
    u->ifls = 0x12;
    rx_changed(u);
    update_irq(u);
    pthread_mutex_unlock(&u->lock);
}

int pl011_create(struct bus *bus, gpa_t base, const struct irq_line *irq, struct io_loop *io,
                 struct chardev *chr, struct pl011 **out)
{
    struct pl011 *u = calloc(1, sizeof *u);

    if (u == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&u->lock, NULL);
    u->irq = *irq;
    u->io = io;
    u->chr = chr;
    if (io != NULL) {
        io_timer_init(&u->timeout, io, on_timeout, u);
    }
    pl011_reset(u);
    int err = bus_add(bus, &(struct bus_region){.name = "pl011", .base = base, .size = 0x1000,
                                                .ops = &pl011_ops, .dev = u});
    if (err != 0) {
        pl011_destroy(u);
        return err;
    }
    if (chr != NULL) {
        chardev_attach(chr, &(struct chardev_user){.room = pl011_room, .receive = pl011_receive,
                                                   .sent = pl011_sent, .escape = escape,
                                                   .quit = quit,
                                                   .opaque = u});
    }
    *out = u;
    return 0;
}

void pl011_destroy(struct pl011 *u)
{
    if (u == NULL) {
        return;
    }
    if (u->io != NULL) {
        io_timer_cancel(&u->timeout);
    }
    pthread_mutex_destroy(&u->lock);
    free(u);
}

void pl011_fdt(struct dt *d, gpa_t base, unsigned spi)
{
    dt_begin(d, "pl011@%llx", (unsigned long long)base);
    DT_STRINGS(d, "compatible", "arm,pl011\0arm,primecell");
    dt_reg(d, base, 0x1000);
    DT_CELLS(d, "interrupts", DT_SPI, spi, DT_LEVEL_HIGH);
    DT_CELLS(d, "clocks", DT_CLOCK, DT_CLOCK);
    DT_STRINGS(d, "clock-names", "uartclk\0apb_pclk");
    dt_end(d);
}
