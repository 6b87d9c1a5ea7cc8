/* SPDX-License-Identifier: MIT */
/*
 * virtio-9p: a folder of the host, served by src/p9. Virtio 1.2, 5.9 names the device only: feature
 * bit 0 and a configuration space with the tag that the guest mounts.
 *
 * A share has a thread of its own, since a file system may make us wait: neither vCPUs nor the I/O
 * thread do. The device's lock is not held while a message is carried out; a reset waits for the
 * message at hand, whose memory the host reads or writes. Locks: `lock` (leaf) for the thread.
 */
#include "virtio_internal.h"

#include "base/log.h"
#include "base/rcu.h"
#include "p9/p9.h"
#include "vm.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define F_MOUNT_TAG ((uint64_t)1 << 0)
#define QUEUE_MAX 128u
#define TAG_MAX 64u

struct virtio_9p {
    struct virtio_device dev;
    struct {
        uint16_t len;
        char tag[TAG_MAX];
    } config;
    struct p9 *server;       /* the thread's, or the one that resets while `busy` is false */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool wanted, closing;    /* for the thread */
    bool busy;               /* a message is being carried out */
};

static struct virtio_9p *to_9p(struct virtio_device *d)
{
    return container_of(d, struct virtio_9p, dev);
}

static void set_busy(struct virtio_9p *p, bool busy)
{
    pthread_mutex_lock(&p->lock);
    p->busy = busy;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

/* The chain in dev.chain, without the device's lock meanwhile; false: a reset came. */
static bool serve_one(struct virtio_9p *p, struct virtio_queue *q)
{
    struct virtio_device *d = &p->dev;
    const struct virtio_chain *c = &d->chain;
    const struct iovec *in = c->iov + c->nout;
    uint32_t epoch = d->epoch;

    set_busy(p, true);
    pthread_mutex_unlock(&d->lock);
    uint32_t len = p9_serve(p->server, c->iov, c->nout, in, c->nin);
    virtio_iov_written(d->vm, in, c->nin, len);
    set_busy(p, false);
    pthread_mutex_lock(&d->lock);
    if (epoch != d->epoch || !q->ready) {
        return false;
    }
    if (len == 0) {
        virtio_device_broken(d, "no 9P message, or no room for an answer");
        return false;
    }
    virtio_queue_push(d, q, c->head, len);
    virtio_queue_signal(d, q);
    return true;
}

static void p9_dev_serve(struct virtio_device *d, unsigned qi)
{
    struct virtio_queue *q = &d->queue[qi];
    bool go = true;

    virtio_queue_quiet(d, q);
    while (go) {
        if (virtio_queue_pop(d, q)) {
            go = serve_one(to_9p(d), q);
        } else {
            go = virtio_queue_listen(d, q) && virtio_device_running(d);
        }
    }
}

/* ---- thread ---- */
static void p9_dev_schedule(struct virtio_device *d)
{
    struct virtio_9p *p = to_9p(d);

    pthread_mutex_lock(&p->lock);
    p->wanted = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

static void *share_thread(void *opaque)
{
    struct virtio_9p *p = opaque;

    rcu_thread_register();
    pthread_mutex_lock(&p->lock);
    while (!p->closing) {
        if (!p->wanted) {
            pthread_cond_wait(&p->changed, &p->lock);
            continue;
        }
        p->wanted = false;
        pthread_mutex_unlock(&p->lock);
        virtio_device_serve(&p->dev);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    rcu_thread_unregister();
    return NULL;
}

static int start_thread(struct virtio_9p *p, const struct vm_device *dev)
{
    sigset_t all, old;

    /* Signals are for the main thread. */
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int err = pthread_create(&p->thread, NULL, share_thread, p);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (err == 0) {
        pthread_setname_np(p->thread, "9p");
    } else {
        log_error("-device %s: cannot start a thread: %s", dev->driver, strerror(err));
    }
    return -err;
}

static void p9_dev_cancel(struct virtio_device *d)
{
    struct virtio_9p *p = to_9p(d);

    pthread_mutex_lock(&p->lock);
    while (p->busy) {
        pthread_cond_wait(&p->changed, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
}

/* While we hold the device's lock nothing is taken from the ring; another vCPU may have set it up
   again since cancel(), so that waits once more. */
static void p9_dev_reset(struct virtio_device *d)
{
    p9_dev_cancel(d);
    p9_reset(to_9p(d)->server);
}

/* ---- life cycle ---- */
static int open_share(struct virtio_9p *p, struct vm *vm, const struct vm_device *dev,
                      const char *fsdev)
{
    const struct vm_options *opt = vm->opt;

    for (unsigned i = 0; i < opt->nshares; i++) {
        if (strcmp(opt->share[i].id, fsdev) == 0) {
            return p9_create(fsdev, &opt->share[i].config, &p->server);
        }
    }
    log_error("-device %s: there is no -fsdev with id=%s", dev->driver, fsdev);
    return -ENOENT;
}

static int set_up(struct virtio_9p *p, struct vm *vm, const struct vm_device *dev,
                  const char *fsdev, const char *tag)
{
    if (fsdev == NULL || tag == NULL) {
        log_error("-device %s: %s is missing", dev->driver,
                  fsdev == NULL ? "fsdev=" : "mount_tag=");
        return -EINVAL;
    }
    size_t len = strlen(tag);
    if (len == 0 || len > TAG_MAX) {
        log_error("-device %s: mount_tag=%s: accepted: 1 to %u characters", dev->driver, tag,
                  TAG_MAX);
        return -EINVAL;
    }
    p->config.len = (uint16_t)len;
    memcpy(p->config.tag, tag, len);
    p->dev.config = (const uint8_t *)&p->config;
    p->dev.config_size = (unsigned)(sizeof p->config.len + len);
    return open_share(p, vm, dev, fsdev);
}

static int p9_dev_create(struct vm *vm, const struct vm_device *dev, struct virtio_device **out)
{
    struct virtio_option option[] = {{"fsdev", NULL}, {"mount_tag", NULL}, {NULL, NULL}};
    struct virtio_9p *p = calloc(1, sizeof *p);
    int err = p == NULL ? -ENOMEM : virtio_options_read(dev, option);

    if (err == 0) {
        err = set_up(p, vm, dev, option[0].value, option[1].value);
        virtio_options_free(option);
    }
    if (err != 0) {
        free(p);
        return err;
    }
    virtio_device_init(&p->dev, &virtio_9p_class, vm, F_MOUNT_TAG);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    err = start_thread(p, dev);
    if (err != 0) {
        p->closing = true;
        p9_destroy(p->server);
        virtio_device_fini(&p->dev);
        free(p);
        return err;
    }
    *out = &p->dev;
    return 0;
}

static void p9_dev_destroy(struct virtio_device *d)
{
    struct virtio_9p *p = to_9p(d);

    pthread_mutex_lock(&p->lock);
    p->closing = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    p9_destroy(p->server);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    virtio_device_fini(d);
    free(p);
}

const struct virtio_class virtio_9p_class = {
    .driver = "virtio-9p-device",
    .id = 9,
    .nqueues = 1,
    .queue_max = QUEUE_MAX,
    .create = p9_dev_create,
    .destroy = p9_dev_destroy,
    .serve = p9_dev_serve,
    .schedule = p9_dev_schedule,
    .cancel = p9_dev_cancel,
    .reset = p9_dev_reset,
};
