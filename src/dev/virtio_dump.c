/* SPDX-License-Identifier: MIT */
/*
 * Virtio devices as text, for the monitor. Any thread, under the device's lock.
 */
#include "dev/virtio.h"
#include "virtio_internal.h"
#include "vm.h"

#include <inttypes.h>
#include <string.h>

bool virtio_dump(const struct vm *vm, unsigned place, const char *driver, FILE *f)
{
    struct virtio_device *d = virtio_device_at(vm, place);
    bool pci = place >= VM_VIRTIO_SLOTS;
    unsigned slot = pci ? place - VM_VIRTIO_SLOTS : place;

    if (d == NULL || strncmp(d->cls->driver, driver, strlen(driver)) != 0) {
        return false;
    }
    pthread_mutex_lock(&d->lock);
    fprintf(f, "%sslot %u: %s status %02x%s features %" PRIx64 "\n", pci ? "pci " : "", slot,
            d->name, d->status, d->status & VIRTIO_NEEDS_RESET ? " (broken by the driver)" : "",
            d->features);
    for (unsigned i = 0; i < d->nqueues; i++) {
        const struct virtio_queue *q = &d->queue[i];
        if (q->ready) {
            fprintf(f, "  queue %u: %u entries, %u taken, %u returned, %u in flight\n", i, q->num,
                    q->last_avail, q->used_idx, q->in_flight);
        }
    }
    pthread_mutex_unlock(&d->lock);
    return true;
}
