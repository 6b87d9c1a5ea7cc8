/* SPDX-License-Identifier: MIT */
/*
 * What all virtio devices share: life cycle and status, notifications in both directions, reset.
 *
 * A notification is a bit in `kicked`; whoever sets the first one schedules virtio_device_serve(),
 * which takes all bits before it looks at the rings, so none is lost and at most one call is on
 * its way. Work that leaves the lock (a disk request) carries the device's `epoch`; a reset counts
 * it up, so what comes back late is dropped. Virtio 1.2, chapters 2 and 3.
 */
#include "virtio_internal.h"

#include "base/log.h"
#include "io/io.h"
#include "tcg/tcg.h"
#include "vm.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void virtio_device_init(struct virtio_device *d, const struct virtio_class *cls, struct vm *vm,
                        uint64_t features)
{
    d->cls = cls;
    d->vm = vm;
    d->name = cls->driver;
    d->nqueues = cls->nqueues;
    d->offered = features | VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX;
    pthread_mutex_init(&d->lock, NULL);
}

void virtio_device_fini(struct virtio_device *d)
{
    pthread_mutex_destroy(&d->lock);
}

/* ---- the guest's mistakes ---- */
__attribute__((format(printf, 2, 0))) static void
log_mistake(const struct virtio_device *d, const char *fmt, va_list ap)
{
    char text[160];

    if (log_on(LOG_GUEST_ERROR)) {
        vsnprintf(text, sizeof text, fmt, ap);
        log_printf("%s: %s\n", d->name, text);
    }
}

void virtio_guest_error(const struct virtio_device *d, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_mistake(d, fmt, ap);
    va_end(ap);
}

void virtio_device_broken(struct virtio_device *d, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_mistake(d, fmt, ap);
    va_end(ap);
    if (!(d->status & VIRTIO_NEEDS_RESET)) {
        d->status |= VIRTIO_NEEDS_RESET;
        if ((d->status & VIRTIO_DRIVER_OK) && !d->legacy) {
            virtio_device_interrupt_config_locked(d);
        }
    }
}

/* ---- interrupts ---- */
static void interrupt_locked(struct virtio_device *d, uint32_t why, unsigned source)
{
    if (d->message != NULL && d->message(d, source)) {
        return;
    }
    d->interrupt_status |= why;
    irq_set(&d->irq, true);
}

void virtio_device_interrupt_config_locked(struct virtio_device *d)
{
    interrupt_locked(d, VIRTIO_INT_CONFIG, VIRTIO_SOURCE_CONFIG);
}

void virtio_device_interrupt_queue_locked(struct virtio_device *d, unsigned q)
{
    interrupt_locked(d, VIRTIO_INT_USED, q);
}

void virtio_device_ack_locked(struct virtio_device *d, uint32_t bits)
{
    d->interrupt_status &= ~bits;
    irq_set(&d->irq, false);
    /* The device tree calls the line edge-triggered: a cause that remains needs an edge of its
       own. */
    if (d->interrupt_status != 0) {
        irq_set(&d->irq, true);
    }
}

/* ---- notifications ---- */
bool virtio_device_running(const struct virtio_device *d)
{
    /* Legacy drivers use their queues before they say DRIVER_OK (3.1.2). */
    uint8_t go = d->legacy ? VIRTIO_DRIVER : VIRTIO_DRIVER_OK;

    return (d->status & (go | VIRTIO_NEEDS_RESET)) == go;
}

void virtio_device_serve(struct virtio_device *d)
{
    pthread_mutex_lock(&d->lock);
    uint32_t kicked = atomic_exchange(&d->kicked, 0);
    for (unsigned q = 0; q < d->nqueues; q++) {
        if ((kicked >> q & 1) != 0 && d->queue[q].ready && virtio_device_running(d)) {
            d->cls->serve(d, q);
        }
    }
    pthread_mutex_unlock(&d->lock);
}

static void serve_posted(void *opaque)
{
    virtio_device_serve(opaque);
}

/* False: it could not be scheduled; the mark stays. */
static bool mark_and_schedule(struct virtio_device *d, unsigned q)
{
    if (atomic_fetch_or(&d->kicked, 1u << q) != 0) {
        return true;
    }
    if (d->cls->schedule != NULL) {
        d->cls->schedule(d);
    } else if (io_post(d->vm->io, serve_posted, d) != 0) {
        return false;
    }
    return true;
}

void virtio_device_kick(struct virtio_device *d, unsigned q)
{
    if (!mark_and_schedule(d, q)) {
        virtio_device_serve(d); /* no memory to post it: better here than never */
    }
}

void virtio_device_again(struct virtio_device *d, unsigned q)
{
    if (!mark_and_schedule(d, q)) {
        atomic_store(&d->kicked, 0); /* the driver's next notification tries again */
    }
}

/* ---- status and reset ---- */
static void check_features_locked(struct virtio_device *d)
{
    uint64_t extra = d->features & ~d->offered;

    if (extra != 0 || !(d->features & VIRTIO_F_VERSION_1)) {
        virtio_guest_error(d, "features 0x%llx refused: %s", (unsigned long long)d->features,
                           extra != 0 ? "some were not offered" : "version 1 is needed");
        return;
    }
    d->status |= VIRTIO_FEATURES_OK;
    if (d->cls->negotiated != NULL) {
        d->cls->negotiated(d);
    }
}

void virtio_device_set_status_locked(struct virtio_device *d, uint8_t value)
{
    uint8_t set = value & (uint8_t)~d->status;

    if ((d->status & ~value & (uint8_t)~VIRTIO_NEEDS_RESET) != 0) {
        virtio_guest_error(d, "status bits 0x%x cleared without a reset", d->status & ~value);
    }
    d->status |= set & (VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FAILED);
    if (d->legacy) {
        d->status |= set & VIRTIO_DRIVER_OK;
        return;
    }
    if (set & VIRTIO_FEATURES_OK) {
        check_features_locked(d);
    }
    if (!(set & VIRTIO_DRIVER_OK)) {
        return;
    }
    if (!(d->status & VIRTIO_FEATURES_OK)) {
        virtio_guest_error(d, "DRIVER_OK without FEATURES_OK");
        return;
    }
    d->status |= VIRTIO_DRIVER_OK;
    if (d->status & VIRTIO_NEEDS_RESET) {
        virtio_device_interrupt_config_locked(d);
    }
}

void virtio_device_reset(struct virtio_device *d)
{
    /* Nothing new begins after this, and what comes back is stale. */
    pthread_mutex_lock(&d->lock);
    d->epoch++;
    d->status = 0;
    memset(d->queue, 0, sizeof d->queue);
    pthread_mutex_unlock(&d->lock);
    if (d->cls->cancel != NULL) {
        d->cls->cancel(d);
    }
    pthread_mutex_lock(&d->lock);
    d->features = 0;
    d->interrupt_status = 0;
    irq_set(&d->irq, false);
    if (d->cls->reset != NULL) {
        d->cls->reset(d);
    }
    pthread_mutex_unlock(&d->lock);
}
