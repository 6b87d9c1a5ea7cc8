/* SPDX-License-Identifier: MIT */
/*
 * virtio-console with one port. "-device virtio-serial-device" is the device, "-device
 * virtconsole,chardev=BACKEND" gives its port a back end, spelled as for -serial. Without one,
 * output goes nowhere. Virtio 1.2, 5.3.
 *
 * Threads: the queues are served on the I/O thread, where the back end calls us too. Lock: the
 * device's; inside it the back end's, which is a leaf. Input waits in a small buffer until the
 * driver gives us room; while that is full the back end is not read. Output the back end does not
 * take stays in its chain.
 */
#include "virtio_internal.h"

#include "base/log.h"
#include "io/chardev.h"
#include "vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONSOLE_F_EMERG_WRITE ((uint64_t)1 << 2)
#define CONSOLE_QUEUE_MAX 64
#define INPUT_SIZE 4096u
#define SERVE_MAX 65536u /* bytes of output before others get their turn */

enum { QUEUE_INPUT, QUEUE_OUTPUT };

struct console_config {
    uint16_t cols, rows;
    uint32_t max_nr_ports, emerg_wr;
};

struct virtio_console {
    struct virtio_device dev;
    struct console_config config;
    struct chardev *chr; /* NULL: nothing connected */
    /* ---- the device's lock ---- */
    uint8_t input[INPUT_SIZE];
    size_t input_len;
    uint64_t sent;       /* bytes of the chain in front that are out */
};

static struct virtio_console *to_console(struct virtio_device *d)
{
    return container_of(d, struct virtio_console, dev);
}

/* ---- output ---- */
/* Bytes of the chain from con->sent on; false: the back end is full. */
static bool send_chain(struct virtio_console *con, unsigned *budget)
{
    const struct virtio_chain *c = &con->dev.chain;
    uint8_t buf[1024];

    while (con->sent < c->out_len && *budget > 0) {
        size_t n = virtio_iov_read(c->iov, c->nout, con->sent, buf, sizeof buf);
        size_t taken = con->chr != NULL ? chardev_write(con->chr, buf, n) : n;
        con->sent += taken;
        *budget -= n < *budget ? (unsigned)n : *budget;
        if (taken < n) {
            return false;
        }
    }
    return true;
}

static void serve_output(struct virtio_console *con, struct virtio_queue *q)
{
    struct virtio_device *d = &con->dev;
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
        room = send_chain(con, &bytes);
        if (con->sent < d->chain.out_len) {
            virtio_queue_unpop(q);
            continue;
        }
        virtio_queue_push(d, q, d->chain.head, 0);
        con->sent = 0;
        chains--;
        pushed = true;
    }
    if (pushed) {
        virtio_queue_signal(d, q);
    }
    /* A full back end calls console_sent(). */
    if (room && (bytes == 0 || chains == 0)) {
        virtio_device_again(d, QUEUE_OUTPUT);
    }
}

static void console_sent(void *opaque)
{
    virtio_device_kick(opaque, QUEUE_OUTPUT);
}

/* ---- input ---- */
static void serve_input(struct virtio_console *con, struct virtio_queue *q)
{
    struct virtio_device *d = &con->dev;
    const struct virtio_chain *c = &d->chain;
    bool pushed = false;

    /* Notified when it matters: when the driver adds room while there is input. */
    while (con->input_len > 0) {
        if (!virtio_queue_pop(d, q)) {
            if (virtio_queue_listen(d, q) && virtio_device_running(d)) {
                continue;
            }
            break;
        }
        const struct iovec *in = c->iov + c->nout;
        size_t n = virtio_iov_write(in, c->nin, 0, con->input, con->input_len);
        virtio_iov_written(d->vm, in, c->nin, n);
        virtio_queue_push(d, q, c->head, (uint32_t)n);
        con->input_len -= n;
        memmove(con->input, con->input + n, con->input_len);
        pushed = true;
        if (n == 0) {
            virtio_guest_error(d, "no room in a receive buffer");
            break;
        }
    }
    if (pushed) {
        virtio_queue_signal(d, q);
        if (con->chr != NULL) {
            chardev_accept_input(con->chr);
        }
    }
}

static size_t console_room(void *opaque)
{
    struct virtio_device *d = opaque;

    pthread_mutex_lock(&d->lock);
    size_t n = INPUT_SIZE - to_console(d)->input_len;
    pthread_mutex_unlock(&d->lock);
    return n;
}

static void console_receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct virtio_device *d = opaque;
    struct virtio_console *con = to_console(d);

    pthread_mutex_lock(&d->lock);
    size_t room = INPUT_SIZE - con->input_len;
    size_t n = len < room ? len : room;
    memcpy(con->input + con->input_len, buf, n);
    con->input_len += n;
    pthread_mutex_unlock(&d->lock);
    virtio_device_kick(d, QUEUE_INPUT);
}

/* ---- device ---- */
static void console_serve(struct virtio_device *d, unsigned q)
{
    if (q == QUEUE_INPUT) {
        serve_input(to_console(d), &d->queue[q]);
    } else {
        serve_output(to_console(d), &d->queue[q]);
    }
}

static void console_reset(struct virtio_device *d)
{
    struct virtio_console *con = to_console(d);

    con->sent = 0;
    con->input_len = 0;
    if (con->chr != NULL) {
        chardev_accept_input(con->chr);
    }
}

static void console_config_write(struct virtio_device *d, unsigned off, uint64_t value,
                                 unsigned len)
{
    struct virtio_console *con = to_console(d);
    uint8_t c = (uint8_t)value;

    if (off != offsetof(struct console_config, emerg_wr)) {
        virtio_guest_error(d, "%u-byte write to configuration offset 0x%x", len, off);
    } else if (con->chr != NULL && chardev_write(con->chr, &c, 1) == 0) {
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
    virtio_device_init(&con->dev, &virtio_console_class, vm, CONSOLE_F_EMERG_WRITE);
    con->config.max_nr_ports = 1;
    con->dev.config = (const uint8_t *)&con->config;
    con->dev.config_size = sizeof con->config;
    *out = &con->dev;
    return 0;
}

static void console_destroy(struct virtio_device *d)
{
    struct virtio_console *con = to_console(d);

    chardev_close(con->chr);
    virtio_device_fini(d);
    free(con);
}

/* ---- virtconsole ---- */
static bool is_terminal(const char *spec)
{
    return spec != NULL && (strcmp(spec, "stdio") == 0 || strcmp(spec, "mon:stdio") == 0);
}

static int connect_port(struct virtio_console *con, const char *spec)
{
    const struct chardev_user user = {.room = console_room,
                                      .receive = console_receive,
                                      .sent = console_sent,
                                      .opaque = &con->dev};
    const char *why;

    if (!chardev_spec_valid(spec, &why)) {
        log_error("-device virtconsole: chardev=%s: not supported; accepted: %s", spec, why);
        return -EINVAL;
    }
    if (is_terminal(spec) && is_terminal(con->dev.vm->opt->serial)) {
        log_error("-device virtconsole: chardev=%s: the terminal is the serial port's; give that "
                  "another one with -serial",
                  spec);
        return -EBUSY;
    }
    int err = chardev_open(con->dev.vm->io, spec, &con->chr);
    if (err == 0) {
        chardev_attach(con->chr, &user);
    }
    return err;
}

/* The device created last: slots are filled from the highest down. */
static struct virtio_console *find_console(const struct vm *vm)
{
    for (unsigned i = 0; i < VM_VIRTIO_SLOTS; i++) {
        struct virtio_device *d = virtio_mmio_device(vm, i);
        if (d != NULL && d->cls == &virtio_console_class) {
            return to_console(d);
        }
    }
    return NULL;
}

int virtio_console_connect(struct vm *vm, const struct vm_device *dev)
{
    struct virtio_option option[] = {{"chardev", NULL}, {NULL, NULL}};
    struct virtio_console *con = find_console(vm);
    int err = virtio_options_read(dev, option);

    if (err != 0) {
        return err;
    }
    if (con == NULL || con->chr != NULL) {
        log_error("-device virtconsole: %s",
                  con == NULL ? "needs -device virtio-serial-device before it"
                              : "the port of virtio-serial-device is taken");
        err = -EINVAL;
    } else if (option[0].value == NULL) {
        log_error("-device virtconsole: chardev= is missing");
        err = -EINVAL;
    } else {
        err = connect_port(con, option[0].value);
    }
    virtio_options_free(option);
    return err;
}

const struct virtio_class virtio_console_class = {
    .driver = "virtio-serial-device",
    .id = 3,
    .nqueues = 2,
    .queue_max = CONSOLE_QUEUE_MAX,
    .create = console_create,
    .destroy = console_destroy,
    .serve = console_serve,
    .reset = console_reset,
    .config_write = console_config_write,
};
