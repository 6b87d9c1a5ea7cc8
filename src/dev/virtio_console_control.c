/* SPDX-License-Identifier: MIT */
/*
 * The control queues of virtio-console: which ports there are, their names, who has them open. What
 * the driver is to be told is kept as a bit for each message of each port, so that it needs no
 * memory however long the driver gives us no buffers. Virtio 1.2, 5.3.6.2.
 */
#include "virtio_console.h"

#include <string.h>

enum {
    DEVICE_READY = 0, PORT_ADD = 1, PORT_READY = 3, CONSOLE_PORT = 4, PORT_OPEN = 6, PORT_NAME = 7,
};
#define NAME_MAX_LEN 255u

struct control {
    uint32_t id;
    uint16_t event, value;
};

/* ---- to the driver ---- */
static struct console_port *next_news(struct virtio_console *con)
{
    for (unsigned i = 0; i < CONSOLE_PORTS; i++) {
        if (con->port[i].news != 0) {
            return &con->port[i];
        }
    }
    return NULL;
}

/* The first message about the port, which is no news then; its length. */
static size_t take_message(struct console_port *p, uint8_t *buf)
{
    uint8_t bit = p->news & (uint8_t)-p->news;
    struct control c = {.id = p->nr, .value = 1};
    size_t len = sizeof c;

    p->news &= (uint8_t)~bit;
    c.event = bit == NEWS_ADD       ? PORT_ADD
              : bit == NEWS_CONSOLE ? CONSOLE_PORT
              : bit == NEWS_NAME    ? PORT_NAME
                                    : PORT_OPEN;
    if (bit == NEWS_NAME) {
        size_t n = strnlen(p->name, NAME_MAX_LEN);
        memcpy(buf + len, p->name, n);
        len += n;
    }
    memcpy(buf, &c, sizeof c);
    return len;
}

static void tell(struct virtio_console *con)
{
    struct virtio_device *d = &con->dev;
    struct virtio_queue *q = &d->queue[CONSOLE_CONTROL_IN];
    const struct virtio_chain *c = &d->chain;
    uint8_t buf[sizeof(struct control) + NAME_MAX_LEN];
    struct console_port *p;
    bool pushed = false;

    while ((p = next_news(con)) != NULL) {
        if (!virtio_queue_pop(d, q)) {
            if (virtio_queue_listen(d, q) && virtio_device_running(d)) {
                continue;
            }
            break;
        }
        size_t len = take_message(p, buf);
        const struct iovec *in = c->iov + c->nout;
        size_t n = virtio_iov_write(in, c->nin, 0, buf, len);
        virtio_iov_written(d->vm, in, c->nin, n);
        virtio_queue_push(d, q, c->head, (uint32_t)n);
        pushed = true;
        if (n < len) {
            virtio_guest_error(d, "a control buffer of %zu bytes", n);
        }
    }
    if (pushed) {
        virtio_queue_signal(d, q);
    }
}

/* ---- from the driver ---- */
static void port_message(struct console_port *p, const struct control *c)
{
    if (c->event == PORT_READY && c->value == 1) {
        p->news |= (p->console ? NEWS_CONSOLE : 0) | (p->name != NULL ? NEWS_NAME : 0) | NEWS_OPEN;
    } else if (c->event == PORT_OPEN) {
        p->guest_open = c->value == 1;
        if (p->guest_open) {
            virtio_console_opened(p);
        }
    }
}

static void message(struct virtio_console *con, const struct control *c)
{
    if (c->event == DEVICE_READY) {
        for (unsigned i = 0; c->value == 1 && i < CONSOLE_PORTS; i++) {
            con->port[i].news |= con->port[i].used ? NEWS_ADD : 0;
        }
    } else if (c->id < CONSOLE_PORTS && con->port[c->id].used) {
        port_message(&con->port[c->id], c);
    } else {
        virtio_guest_error(&con->dev, "control message %u for port %u, which is not there",
                           c->event, c->id);
    }
}

static void hear(struct virtio_console *con)
{
    struct virtio_device *d = &con->dev;
    struct virtio_queue *q = &d->queue[CONSOLE_CONTROL_OUT];
    unsigned budget = q->num;
    bool more = true, pushed = false;

    virtio_queue_quiet(d, q);
    while (more && budget-- > 0) {
        if (!virtio_queue_pop(d, q)) {
            more = virtio_queue_listen(d, q) && virtio_device_running(d);
            continue;
        }
        struct control c;
        if (virtio_iov_read(d->chain.iov, d->chain.nout, 0, &c, sizeof c) == sizeof c) {
            message(con, &c);
        }
        virtio_queue_push(d, q, d->chain.head, 0);
        pushed = true;
    }
    if (pushed) {
        virtio_queue_signal(d, q);
    }
    if (more) {
        virtio_device_again(d, CONSOLE_CONTROL_OUT);
    }
}

void virtio_console_control(struct virtio_console *con, unsigned q)
{
    if (q == CONSOLE_CONTROL_OUT) {
        hear(con);
    }
    if (con->dev.queue[CONSOLE_CONTROL_IN].ready) {
        tell(con);
    }
}
