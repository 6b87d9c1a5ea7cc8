/* SPDX-License-Identifier: MIT */
/*
 * virtio-console, private to virtio_console*.c. Lock: the device's for all that changes.
 */
#pragma once

#include "virtio_internal.h"

#define CONSOLE_F_MULTIPORT ((uint64_t)1 << 1)
#define CONSOLE_F_EMERG_WRITE ((uint64_t)1 << 2)

#define CONSOLE_PORTS 15u  /* two queues each, and two for control, of VIRTIO_QUEUES */
#define CONSOLE_INPUT 4096u
enum { CONSOLE_CONTROL_IN = 2, CONSOLE_CONTROL_OUT = 3 };

/* What the driver is still to be told of a port, in this order. */
enum { NEWS_ADD = 1, NEWS_CONSOLE = 2, NEWS_NAME = 4, NEWS_OPEN = 8 };

struct console_config {
    uint16_t cols, rows;
    uint32_t max_nr_ports, emerg_wr;
};

struct console_port {
    struct virtio_console *con;
    unsigned nr;
    bool used, console;   /* there is one; it is a console */
    char *name;           /* NULL: none */
    struct chardev *chr;  /* NULL: nothing connected */
    bool guest_open;      /* a program of the guest, or its console driver, has it open */
    uint8_t news;
    uint8_t input[CONSOLE_INPUT];
    size_t input_len;
    uint64_t sent;        /* bytes of the chain in front that are out */
};

struct virtio_console {
    struct virtio_device dev;
    struct console_config config;
    struct console_port port[CONSOLE_PORTS];
};

/* ---- virtio_console.c ---- */
/* May the guest get input of the port? */
bool virtio_console_ready(const struct console_port *p);
/* Main thread. */
void virtio_console_attach(struct console_port *p, struct chardev *chr);
/* With the lock: the guest has opened it. */
void virtio_console_opened(struct console_port *p);

/* ---- virtio_console_control.c; with the lock ---- */
void virtio_console_control(struct virtio_console *con, unsigned q);
