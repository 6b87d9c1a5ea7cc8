/* SPDX-License-Identifier: MIT */
/*
 * virtio-rng: the host kernel's random numbers. Served on the I/O thread under the device's lock;
 * a request gets at most RNG_MAX bytes, whatever its size, so the lock is held briefly. Virtio
 * 1.2, 5.4.
 */
#include "virtio_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#define RNG_MAX 1024u
#define RNG_QUEUE_MAX 64

/* Fill buf; how much of it is random now. */
static size_t random_bytes(uint8_t *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = getrandom(buf + done, len - done, 0);
        if (n < 0 && errno != EINTR) {
            break;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return done;
}

static void serve_one(struct virtio_device *d, struct virtio_queue *q)
{
    const struct virtio_chain *c = &d->chain;
    const struct iovec *in = c->iov + c->nout;
    uint8_t buf[RNG_MAX];
    size_t n = random_bytes(buf, c->in_len < RNG_MAX ? (size_t)c->in_len : RNG_MAX);

    virtio_iov_write(in, c->nin, 0, buf, n);
    virtio_iov_written(d->vm, in, c->nin, n);
    virtio_queue_push(d, q, c->head, (uint32_t)n);
}

static void rng_serve(struct virtio_device *d, unsigned qi)
{
    struct virtio_queue *q = &d->queue[qi];
    unsigned budget = q->num;
    bool more;

    virtio_queue_quiet(d, q);
    do {
        for (more = false; budget > 0 && virtio_queue_pop(d, q); budget--) {
            serve_one(d, q);
            more = true;
        }
        if (more) {
            virtio_queue_signal(d, q);
        }
        more = virtio_queue_listen(d, q) && virtio_device_running(d);
    } while (more && budget > 0);
    if (more) {
        virtio_device_again(d, qi);
    }
}

static int rng_create(struct vm *vm, const struct vm_device *dev, struct virtio_device **out)
{
    struct virtio_option none[] = {{0}};
    int err = virtio_options_read(dev, none);
    struct virtio_device *d = err == 0 ? calloc(1, sizeof *d) : NULL;

    if (d == NULL) {
        return err != 0 ? err : -ENOMEM;
    }
    virtio_device_init(d, &virtio_rng_class, vm, 0);
    *out = d;
    return 0;
}

static void rng_destroy(struct virtio_device *d)
{
    virtio_device_fini(d);
    free(d);
}

const struct virtio_class virtio_rng_class = {
    .driver = "virtio-rng-device",
    .id = 4,
    .nqueues = 1,
    .queue_max = RNG_QUEUE_MAX,
    .create = rng_create,
    .destroy = rng_destroy,
    .serve = rng_serve,
};
