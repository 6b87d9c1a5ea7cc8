/* SPDX-License-Identifier: MIT */
/*
 * What virtio-mmio and virtio-pci share: which device a -device means, and the registers that are
 * the same but for their place. vCPU threads; who takes the device's lock is in the names.
 */
#include "dev/virtio.h"
#include "virtio_internal.h"

#include "base/log.h"
#include "vm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct virtio_class *const classes[] = {&virtio_blk_class, &virtio_net_class,
                                                     &virtio_rng_class, &virtio_console_class,
                                                     &virtio_9p_class, &virtio_gpu_class,
                                                     &virtio_keyboard_class, &virtio_tablet_class,
                                                     &virtio_touch_class};

/* ---- names: STEM-device, STEM-pci, STEM-pci-non-transitional, STEM ---- */
#define MMIO_SUFFIX "-device"

static size_t stem_length(const struct virtio_class *c)
{
    return strlen(c->driver) - strlen(MMIO_SUFFIX);
}

static bool is_pci_suffix(const char *s)
{
    return strcmp(s, "-pci") == 0 || strcmp(s, "-pci-non-transitional") == 0;
}

/* The class, and what follows the stem. */
static const struct virtio_class *find_class(const char *driver, const char **suffix)
{
    for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
        size_t n = stem_length(classes[i]);
        const char *rest = driver + n;
        if (strncmp(driver, classes[i]->driver, n) == 0 &&
            (*rest == '\0' || strcmp(rest, MMIO_SUFFIX) == 0 || is_pci_suffix(rest))) {
            *suffix = rest;
            return classes[i];
        }
    }
    return NULL;
}

bool virtio_is_pci(const struct vm_options *o, const char *driver)
{
    const char *suffix;

    return find_class(driver, &suffix) != NULL &&
           (*suffix == '\0' ? o->virtio_pci : is_pci_suffix(suffix));
}

void virtio_list_drivers(FILE *f)
{
    for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
        const char *stem = classes[i]->driver;
        int n = (int)stem_length(classes[i]);
        fprintf(f,
                "name \"%s\", bus virtio-bus\n"
                "name \"%.*s-pci\", bus PCI\n"
                "name \"%.*s-pci-non-transitional\", bus PCI\n"
                "name \"%.*s\"\n",
                stem, n, stem, n, stem, n, stem);
    }
}

static int unknown_driver(const char *driver)
{
    char known[256];
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(classes) && n < sizeof known; i++) {
        n += (size_t)snprintf(known + n, sizeof known - n, "%.*s, ", (int)stem_length(classes[i]),
                              classes[i]->driver);
    }
    log_error("-device %s: unknown driver; accepted: %seach also with -device (virtio-mmio) or "
              "-pci, virtconsole, virtserialport, simple-framebuffer, pvpanic-mmio",
              driver, known);
    return -EINVAL;
}

int virtio_create(struct vm *vm, const struct vm_device *dev, struct virtio_device **out)
{
    const char *suffix;
    const struct virtio_class *c = find_class(dev->driver, &suffix);

    if (c != NULL) {
        int err = c->create(vm, dev, out);
        if (err == 0) {
            (*out)->name = dev->driver; /* as the user calls it, -pci and all */
        }
        return err;
    }
    if (strcmp(dev->driver, "virtconsole") == 0 || strcmp(dev->driver, "virtserialport") == 0) {
        return virtio_console_connect(vm, dev);
    }
    return unknown_driver(dev->driver);
}

void virtio_report_memory(const struct vm_device *dev, int err)
{
    if (err == -ENOMEM) {
        log_error("-device %s: out of memory", dev != NULL ? dev->driver : "(none)");
    }
}

struct virtio_device *virtio_device_at(const struct vm *vm, unsigned place)
{
    return place < VM_VIRTIO_SLOTS ? virtio_mmio_device(vm, place)
                                   : virtio_pci_device(vm, place - VM_VIRTIO_SLOTS);
}

/* ---- registers ---- */
void virtio_set_half(uint64_t *x, unsigned half, uint32_t value)
{
    *x = (*x & ~(UINT64_C(0xffffffff) << 32 * half)) | (uint64_t)value << 32 * half;
}

uint64_t virtio_config_read_locked(const struct virtio_device *d, uint64_t off, unsigned size)
{
    uint64_t v = 0;

    if (off < d->config_size && size <= d->config_size - off) {
        memcpy(&v, d->config + off, size);
    }
    return v;
}

void virtio_config_write(struct virtio_device *d, uint64_t off, uint64_t value, unsigned size)
{
    pthread_mutex_lock(&d->lock);
    if (d->cls->config_write != NULL && off < d->config_size && size <= d->config_size - off) {
        d->cls->config_write(d, (unsigned)off, value, size);
    } else {
        virtio_guest_error(d, "%u-byte write to configuration offset 0x%x", size, (unsigned)off);
    }
    pthread_mutex_unlock(&d->lock);
}

void virtio_write_features_locked(struct virtio_device *d, uint32_t word, uint32_t value)
{
    if (d->status & VIRTIO_FEATURES_OK) {
        virtio_guest_error(d, "features written after FEATURES_OK");
    } else if (word < 2) {
        virtio_set_half(&d->features, word, value);
    } else if (value != 0) {
        virtio_guest_error(d, "features beyond bit 63");
    }
}

void virtio_write_status(struct virtio_device *d, uint8_t value)
{
    pthread_mutex_lock(&d->lock);
    bool was_running = virtio_device_running(d);
    virtio_device_set_status_locked(d, value);
    bool begins = !was_running && virtio_device_running(d);
    pthread_mutex_unlock(&d->lock);
    /* What the driver queued, and perhaps notified, before it said DRIVER_OK. */
    for (unsigned q = 0; begins && q < d->nqueues; q++) {
        virtio_device_kick(d, q);
    }
}

void virtio_notify(struct virtio_device *d, uint32_t q)
{
    if (q < d->nqueues) {
        virtio_device_kick(d, q);
    } else {
        virtio_guest_error(d, "queue %u notified", q);
    }
}
