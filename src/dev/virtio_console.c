/* SPDX-License-Identifier: MIT */
/*
 * virtio-console: up to 15 ports, each with a back end. This file moves the bytes of the ports and
 * is the device ("-device virtio-serial-device"); the control queues are virtio_console_control.c,
 * the ports' own options virtio_console_port.c. Virtio 1.2, 5.3.
 *
 * Threads: the queues are served on the I/O thread, where the back ends call us too. Lock: the
 * device's; inside it a back end's, which is a leaf. Input waits in a small buffer until the
 * driver gives us room; while that is full the back end is not read. Output a back end does not
 * take stays in its chain.
 */
#include "virtio_console.h"

#include "io/chardev.h"
#include "vm.h"
#include "vm_control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONSOLE_QUEUE_MAX 64
#define SERVE_MAX 65536u /* bytes of output before others get their turn */

static struct virtio_console *to_console(struct virtio_device *d)
{
    return container_of(d, struct virtio_console, dev);
}

/* ---- which queues are whose ---- */
static unsigned input_queue(const struct console_port *p)
{
    return p->nr == 0 ? 0 : 2 * p->nr + 2;
}

/* The port of a queue that is not a control queue. */
static struct console_port *port_of(struct virtio_console *con, unsigned q)
{
    return &con->port[q < 2 ? 0 : (q - 2) / 2];
}

bool virtio_console_ready(const struct console_port *p)
{
    return !(p->con->dev.features & CONSOLE_F_MULTIPORT) || p->guest_open;
}

/* ---- output ---- */
/* Bytes of the chain from p->sent on; false: the back end is full. */
static bool send_chain(struct console_port *p, unsigned *budget)
{
    const struct virtio_chain *c = &p->con->dev.chain;
    uint8_t buf[1024];

    while (p->sent < c->out_len && *budget > 0) {
        size_t n = virtio_iov_read(c->iov, c->nout, p->sent, buf, sizeof buf);
        size_t taken = p->chr != NULL ? chardev_write(p->chr, buf, n) : n;
        p->sent += taken;
        *budget -= n < *budget ? (unsigned)n : *budget;
        if (taken < n) {
            return false;
        }
    }
    return true;
}

static void serve_output(struct console_port *p, unsigned qi)
{
    struct virtio_device *d = &p->con->dev;
    struct virtio_queue *q = &d->queue[qi];
    unsigned bytes = SERVE_MAX, chains = q->num;
    bool pushed = false, room = true;

    virtio_queue_quiet(d, q);
    while (room && bytes > 0 && chains > 0) {
        if (!virtio_queue_pop(d, q)) {
            if (!virtio_queue_listen(d, q) || !virtio_device_running(d)) {
                break;
            }
            chains--;
            continue;
        }
        room = send_chain(p, &bytes);
        if (p->sent < d->chain.out_len) {
            virtio_queue_unpop(q);
            continue;
        }
        virtio_queue_push(d, q, d->chain.head, 0);
        p->sent = 0;
        chains--;
        pushed = true;
    }
    if (pushed) {
        virtio_queue_signal(d, q);
    }
    /* A full back end calls port_sent(). */
    if (room && (bytes == 0 || chains == 0)) {
        virtio_device_again(d, qi);
    }
}

static void port_sent(void *opaque)
{
    struct console_port *p = opaque;

    virtio_device_kick(&p->con->dev, input_queue(p) + 1);
}

/* ---- input ---- */
static void serve_input(struct console_port *p)
{
    struct virtio_device *d = &p->con->dev;
    struct virtio_queue *q = &d->queue[input_queue(p)];
    const struct virtio_chain *c = &d->chain;
    bool pushed = false;

    /* Notified when it matters: when the driver adds room while there is input. */
    while (p->input_len > 0 && virtio_console_ready(p)) {
        if (!virtio_queue_pop(d, q)) {
            if (virtio_queue_listen(d, q) && virtio_device_running(d)) {
                continue;
            }
            break;
        }
        const struct iovec *in = c->iov + c->nout;
        size_t n = virtio_iov_write(in, c->nin, 0, p->input, p->input_len);
        virtio_iov_written(d->vm, in, c->nin, n);
        virtio_queue_push(d, q, c->head, (uint32_t)n);
        p->input_len -= n;
        memmove(p->input, p->input + n, p->input_len);
        pushed = true;
        if (n == 0) {
            virtio_guest_error(d, "no room in a receive buffer");
            break;
        }
    }
    if (pushed) {
        virtio_queue_signal(d, q);
        if (p->chr != NULL) {
            chardev_accept_input(p->chr);
        }
    }
}

static size_t port_room(void *opaque)
{
    struct console_port *p = opaque;

    pthread_mutex_lock(&p->con->dev.lock);
    size_t n = CONSOLE_INPUT - p->input_len;
    pthread_mutex_unlock(&p->con->dev.lock);
    return n;
}

static void port_receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct console_port *p = opaque;
    struct virtio_device *d = &p->con->dev;

    pthread_mutex_lock(&d->lock);
    size_t room = CONSOLE_INPUT - p->input_len;
    size_t n = len < room ? len : room;
    memcpy(p->input + p->input_len, buf, n);
    p->input_len += n;
    pthread_mutex_unlock(&d->lock);
    virtio_device_kick(d, input_queue(p));
}

static void port_quit(void *opaque, int status)
{
    vm_guest_exit(((struct console_port *)opaque)->con->dev.vm, status);
}

void virtio_console_attach(struct console_port *p, struct chardev *chr)
{
    const struct chardev_user user = {.room = port_room,
                                      .receive = port_receive,
                                      .sent = port_sent,
                                      .quit = port_quit,
                                      .opaque = p};

    p->chr = chr;
    chardev_attach(chr, &user);
}

void virtio_console_opened(struct console_port *p)
{
    virtio_device_again(&p->con->dev, input_queue(p));
}

/* ---- device ---- */
static void console_serve(struct virtio_device *d, unsigned q)
{
    struct virtio_console *con = to_console(d);

    if (q == CONSOLE_CONTROL_IN || q == CONSOLE_CONTROL_OUT) {
        if (d->features & CONSOLE_F_MULTIPORT) {
            virtio_console_control(con, q);
        }
        return;
    }
    struct console_port *p = port_of(con, q);
    if (q == input_queue(p)) {
        serve_input(p);
    } else {
        serve_output(p, q);
    }
}

static void console_reset(struct virtio_device *d)
{
    struct virtio_console *con = to_console(d);

    for (unsigned i = 0; i < CONSOLE_PORTS; i++) {
        struct console_port *p = &con->port[i];
        p->sent = 0;
        p->input_len = 0;
        p->guest_open = false;
        p->news = 0;
        if (p->chr != NULL) {
            chardev_accept_input(p->chr);
        }
    }
}

static void console_config_write(struct virtio_device *d, unsigned off, uint64_t value,
                                 unsigned len)
{
    struct chardev *chr = to_console(d)->port[0].chr;
    uint8_t c = (uint8_t)value;

    if (off != offsetof(struct console_config, emerg_wr)) {
        virtio_guest_error(d, "%u-byte write to configuration offset 0x%x", len, off);
    } else if (chr != NULL && chardev_write(chr, &c, 1) == 0) {
        virtio_guest_error(d, "emergency character 0x%x lost", c);
    }
}

static int console_create(struct vm *vm, const struct vm_device *dev, struct virtio_device **out)
{
    struct virtio_option none[] = {{0}};
    int err = virtio_options_read(dev, none);
    struct virtio_console *con = err == 0 ? calloc(1, sizeof *con) : NULL;

    if (con == NULL) {
        return err != 0 ? err : -ENOMEM;
    }
    virtio_device_init(&con->dev, &virtio_console_class, vm,
                       CONSOLE_F_EMERG_WRITE | CONSOLE_F_MULTIPORT);
    for (unsigned i = 0; i < CONSOLE_PORTS; i++) {
        con->port[i].con = con;
        con->port[i].nr = i;
    }
    con->config.max_nr_ports = CONSOLE_PORTS;
    con->dev.config = (const uint8_t *)&con->config;
    con->dev.config_size = sizeof con->config;
    *out = &con->dev;
    return 0;
}

static void console_destroy(struct virtio_device *d)
{
    struct virtio_console *con = to_console(d);

    for (unsigned i = 0; i < CONSOLE_PORTS; i++) {
        chardev_close(con->port[i].chr);
        free(con->port[i].name);
    }
    virtio_device_fini(d);
    free(con);
}

const struct virtio_class virtio_console_class = {
    .driver = "virtio-serial-device",
    .id = 3,
    .nqueues = 2 * CONSOLE_PORTS + 2,
    .queue_max = CONSOLE_QUEUE_MAX,
    .create = console_create,
    .destroy = console_destroy,
    .serve = console_serve,
    .reset = console_reset,
    .config_write = console_config_write,
};
