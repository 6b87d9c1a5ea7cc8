/* SPDX-License-Identifier: MIT */
/*
 * "-device virtconsole" and "-device virtserialport": a port of the virtio-serial-device before
 * them, with a back end: chardev= names a -chardev, or spells one as -serial does. Port 0 is for a
 * console, since drivers without multiple ports know only that. Main thread.
 */
#include "dev/virtio.h"
#include "virtio_console.h"

#include "base/log.h"
#include "io/chardev.h"
#include "vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_terminal(const char *spec)
{
    return spec != NULL && (strcmp(spec, "stdio") == 0 || strcmp(spec, "mon:stdio") == 0);
}

static const char *resolve(const struct vm_options *opt, const char *chardev)
{
    for (unsigned i = 0; i < opt->nchardevs; i++) {
        if (strcmp(opt->chardev[i].id, chardev) == 0) {
            return opt->chardev[i].spec;
        }
    }
    return chardev;
}

static int connect_port(struct console_port *p, const char *driver, const char *chardev)
{
    struct vm *vm = p->con->dev.vm;
    const char *spec = resolve(vm->opt, chardev), *why;
    struct chardev *chr;

    if (!chardev_spec_valid(spec, &why)) {
        log_error("-device %s: chardev=%s: there is no -chardev of that id, nor is it one of: %s",
                  driver, chardev, why);
        return -EINVAL;
    }
    if (is_terminal(spec) && is_terminal(vm->opt->serial)) {
        log_error("-device %s: chardev=%s: the terminal is the serial port's; give that another "
                  "one with -serial",
                  driver, chardev);
        return -EBUSY;
    }
    int err = chardev_open(vm->io, spec, &chr);
    if (err == 0) {
        virtio_console_attach(p, chr);
    }
    return err;
}

/* The device created last: slots of virtio-mmio are filled from the highest down, those of PCI from
   the lowest up. */
static struct virtio_console *find_console(const struct vm *vm)
{
    for (unsigned i = 0; i < VIRTIO_PLACES; i++) {
        bool pci = i >= VM_VIRTIO_SLOTS;
        struct virtio_device *d =
            virtio_device_at(vm, pci ? VIRTIO_PLACES - 1 - (i - VM_VIRTIO_SLOTS) : i);
        if (d != NULL && d->cls == &virtio_console_class) {
            return container_of(d, struct virtio_console, dev);
        }
    }
    return NULL;
}

/* nr= or the first free one. */
static struct console_port *choose(struct virtio_console *con, const char *driver, bool console,
                                   const char *nr)
{
    unsigned i = console ? 0 : 1;
    char *end = NULL;

    if (nr != NULL) {
        unsigned long n = strtoul(nr, &end, 10);
        if (*nr == '\0' || *end != '\0' || n >= CONSOLE_PORTS || (n == 0 && !console) ||
            con->port[n].used) {
            log_error("-device %s: nr=%s: accepted: a free port from %u to %u", driver, nr, i,
                      CONSOLE_PORTS - 1);
            return NULL;
        }
        return &con->port[n];
    }
    while (i < CONSOLE_PORTS && con->port[i].used) {
        i++;
    }
    if (i == CONSOLE_PORTS) {
        log_error("-device %s: all %u ports of virtio-serial are taken", driver, CONSOLE_PORTS);
        return NULL;
    }
    return &con->port[i];
}

enum { OPT_CHARDEV, OPT_NAME, OPT_NR };

static int add_port(struct virtio_console *con, const char *driver, struct virtio_option *option)
{
    bool console = strcmp(driver, "virtconsole") == 0;

    if (option[OPT_CHARDEV].value == NULL) {
        log_error("-device %s: chardev= is missing", driver);
        return -EINVAL;
    }
    struct console_port *p = choose(con, driver, console, option[OPT_NR].value);
    if (p == NULL) {
        return -EINVAL;
    }
    int err = connect_port(p, driver, option[OPT_CHARDEV].value);
    if (err == 0) {
        pthread_mutex_lock(&con->dev.lock);
        p->used = true;
        p->console = console;
        p->name = option[OPT_NAME].value;
        option[OPT_NAME].value = NULL;
        pthread_mutex_unlock(&con->dev.lock);
    }
    return err;
}

int virtio_console_connect(struct vm *vm, const struct vm_device *dev)
{
    struct virtio_option option[] = {{"chardev", NULL}, {"name", NULL}, {"nr", NULL}, {NULL, NULL}};
    struct virtio_console *con = find_console(vm);
    int err = virtio_options_read(dev, option);

    if (err != 0) {
        return err;
    }
    if (con == NULL) {
        log_error("-device %s: needs -device virtio-serial-device or virtio-serial-pci before it",
                  dev->driver);
        err = -EINVAL;
    } else {
        err = add_port(con, dev->driver, option);
    }
    virtio_options_free(option);
    return err;
}
