/* SPDX-License-Identifier: MIT */
/*
 * Virtio inside dev/: a device, its split virtqueues, and what a device class provides. The
 * transports are virtio_mmio.c and virtio_pci.c, the rings virtio_ring.c, life cycle and
 * notifications virtio_device.c.
 *
 * Lock: virtio_device.lock, one for each device (I-9), guards everything in struct virtio_device
 * but the atomics. Inside it the locks of the interrupt controller and of back ends may be taken.
 * It is held for bounded, short work: never during host I/O. Guest RAM is shared with running
 * vCPUs: every value read from it is copied once, then checked. Virtio 1.2; everything is little-
 * endian.
 */
#pragma once

#include "dev/bus.h"
#include "mmu/mmu.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

struct vm;
struct vm_device;
struct virtio_device;

#define VIRTIO_QUEUES 32u     /* as many as any device has: console, 15 ports and control */
#define VIRTIO_CHAIN_MAX 1024u /* segments of one chain, host's IOV_MAX */

/* Reserved feature bits (chapter 6); ANY_LAYOUT is for legacy drivers only. */
#define VIRTIO_F_ANY_LAYOUT ((uint64_t)1 << 27)
#define VIRTIO_F_INDIRECT_DESC ((uint64_t)1 << 28)
#define VIRTIO_F_EVENT_IDX ((uint64_t)1 << 29)
#define VIRTIO_F_VERSION_1 ((uint64_t)1 << 32)

/* Device status (2.1). */
enum {
    VIRTIO_ACKNOWLEDGE = 1, VIRTIO_DRIVER = 2, VIRTIO_DRIVER_OK = 4, VIRTIO_FEATURES_OK = 8,
    VIRTIO_NEEDS_RESET = 64, VIRTIO_FAILED = 128,
};

/* Interrupt status of the transport. */
enum { VIRTIO_INT_USED = 1, VIRTIO_INT_CONFIG = 2 };
#define VIRTIO_SOURCE_CONFIG VIRTIO_QUEUES

struct virtio_queue {
    bool ready;
    uint16_t num;             /* entries; what the driver chose */
    gpa_t desc_gpa, avail_gpa, used_gpa;
    uint16_t last_avail;      /* next entry of the available ring to take */
    uint16_t used_idx;        /* next entry of the used ring to fill */
    uint16_t signalled;       /* used_idx when the driver was last interrupted */
    bool signalled_valid;
    unsigned in_flight;       /* chains taken and not returned */
    /* Host addresses of the three parts, while ready. */
    const uint8_t *desc, *avail;
    uint8_t *used;
};

/* A chain of descriptors: `nout` vectors for the device to read, then `nin` to write. */
struct virtio_chain {
    uint16_t head;
    unsigned nout, nin;
    uint64_t out_len, in_len;
    struct iovec iov[VIRTIO_CHAIN_MAX];
};

/* What a kind of device is. Functions run with the device's lock held unless they say otherwise. */
struct virtio_class {
    const char *driver;       /* name for -device */
    uint32_t id;              /* chapter 5 */
    unsigned nqueues;         /* unless create() sets the device's */
    uint16_t queue_max;
    /* No lock, main thread: parse options, open back ends, set *out. Reports its own errors;
       -errno. */
    int (*create)(struct vm *vm, const struct vm_device *dev, struct virtio_device **out);
    /* No lock, no vCPU and no I/O thread runs: finish work in hand, then free. */
    void (*destroy)(struct virtio_device *d);
    /* Take and serve chains of queue q; on the I/O thread, or where schedule() leads to. */
    void (*serve)(struct virtio_device *d, unsigned q);
    /* Any thread, with or without the lock: have virtio_device_serve() called soon. NULL: on the
       I/O thread. */
    void (*schedule)(struct virtio_device *d);
    /* No lock: nothing taken before touches guest memory after the return. */
    void (*cancel)(struct virtio_device *d);
    /* State of the class back to its start. */
    void (*reset)(struct virtio_device *d);
    /* The driver set `features`, with FEATURES_OK. */
    void (*negotiated)(struct virtio_device *d);
    /* The driver wrote len bytes of the configuration space at off (not applied by the caller). */
    void (*config_write)(struct virtio_device *d, unsigned off, uint64_t value, unsigned len);
};

struct virtio_device {
    const struct virtio_class *cls;
    struct vm *vm;
    const char *name;         /* in messages */
    struct irq_line irq;
    /* The transport's message in place of the line, for a queue or VIRTIO_SOURCE_CONFIG; false: use
       the line. NULL: always. With the lock. */
    bool (*message)(struct virtio_device *d, unsigned source);
    void *transport;
    unsigned nqueues;
    bool legacy;              /* the transport shows the interface of before virtio 1.0 */
    uint64_t offered;         /* feature bits */
    const uint8_t *config;    /* configuration space, owned by the class */
    unsigned config_size;
    _Atomic uint32_t kicked;  /* queues notified and not yet served, a bit each */

    pthread_mutex_t lock;
    uint8_t status;
    uint32_t interrupt_status;
    uint32_t epoch;           /* counts resets: work begun before one is stale */
    uint64_t features;        /* what the driver accepted */
    struct virtio_queue queue[VIRTIO_QUEUES];
    struct virtio_chain chain; /* the one being looked at */
};

/* ---- virtio_device.c ---- */
void virtio_device_init(struct virtio_device *d, const struct virtio_class *cls, struct vm *vm,
                        uint64_t features);
void virtio_device_fini(struct virtio_device *d);
/* Any thread, no lock: to the state after power-on; no access to guest memory after the return. */
void virtio_device_reset(struct virtio_device *d);
/* Serve all queues that were notified. */
void virtio_device_serve(struct virtio_device *d);
/* A queue was notified. No lock, does not block. */
void virtio_device_kick(struct virtio_device *d, unsigned q);
/* The same from serve(), which has the lock: more chains than one call should take. */
void virtio_device_again(struct virtio_device *d, unsigned q);
void virtio_device_set_status_locked(struct virtio_device *d, uint8_t value);
/* Does the driver let the device work? */
bool virtio_device_running(const struct virtio_device *d);
/* The configuration changed; chains were returned to a queue. */
void virtio_device_interrupt_config_locked(struct virtio_device *d);
void virtio_device_interrupt_queue_locked(struct virtio_device *d, unsigned q);
void virtio_device_ack_locked(struct virtio_device *d, uint32_t bits);
/* The driver broke the rules: say so in the log, ask for a reset, do nothing more until then. */
void virtio_device_broken(struct virtio_device *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Log a mistake of the guest that has no such consequence. */
void virtio_guest_error(const struct virtio_device *d, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ---- virtio_ring.c; with the device's lock ---- */
/* Check and take into use the addresses the driver set; false: nonsense. */
bool virtio_queue_enable(struct virtio_device *d, struct virtio_queue *q);
/* Take the next chain into d->chain. False: none, or the device is broken now. */
bool virtio_queue_pop(struct virtio_device *d, struct virtio_queue *q);
/* Forget that the last chain was taken. */
void virtio_queue_unpop(struct virtio_queue *q);
/* Return a chain: `written` bytes at the start of its writable part are new. */
void virtio_queue_push(struct virtio_device *d, struct virtio_queue *q, uint16_t head,
                       uint32_t written);
/* The same in two steps, for several chains at once: fill in entry `i` from 0 on, then publish the
   first n. */
void virtio_queue_fill(struct virtio_device *d, struct virtio_queue *q, unsigned i, uint16_t head,
                       uint32_t written);
void virtio_queue_publish(struct virtio_device *d, struct virtio_queue *q, unsigned n);
/* After one or more pushes: interrupt the driver if it wants to know. */
void virtio_queue_signal(struct virtio_device *d, struct virtio_queue *q);
/* Ask the driver (not) to notify. Enabling returns true when chains arrived meanwhile. */
void virtio_queue_quiet(struct virtio_device *d, struct virtio_queue *q);
bool virtio_queue_listen(struct virtio_device *d, struct virtio_queue *q);

/* ---- virtio_iov.c ---- */
/* Copy from or to vectors, starting `off` bytes into them; how many bytes were copied. */
size_t virtio_iov_read(const struct iovec *iov, unsigned n, uint64_t off, void *buf, size_t len);
size_t virtio_iov_write(const struct iovec *iov, unsigned n, uint64_t off, const void *buf,
                        size_t len);
/* The vectors for bytes [off, off + len) of others; out has room for n. How many were filled. */
unsigned virtio_iov_slice(const struct iovec *iov, unsigned n, uint64_t off, uint64_t len,
                          struct iovec *out);
/* Bytes of guest RAM at these vectors are new: tell the translator. */
void virtio_iov_written(struct vm *vm, const struct iovec *iov, unsigned n, uint64_t len);

/* ---- virtio_options.c ---- */
struct virtio_option {
    const char *key;
    char *value; /* malloc'd; NULL: not given */
};
/*
 * Reads "key=value,..." of a device into a table that ends with a NULL key; an unknown key or one
 * without a value is an error that names it and lists the known ones. "id" is always known and
 * ignored.
 */
int virtio_options_read(const struct vm_device *dev, struct virtio_option *table) MUST_CHECK;
void virtio_options_free(struct virtio_option *table);

/* ---- the devices ---- */
extern const struct virtio_class virtio_blk_class, virtio_net_class, virtio_rng_class,
    virtio_console_class, virtio_9p_class, virtio_gpu_class, virtio_keyboard_class,
    virtio_tablet_class, virtio_touch_class;
/* "-device virtconsole" and virtserialport: a port of the virtio-serial-device that was created
   before. Reports its own errors. */
int virtio_console_connect(struct vm *vm, const struct vm_device *dev) MUST_CHECK;

/* ---- virtio_mmio.c, virtio_pci.c ---- */
/* The device of a slot or NULL. */
struct virtio_device *virtio_mmio_device(const struct vm *vm, unsigned slot);
struct virtio_device *virtio_pci_device(const struct vm *vm, unsigned slot);

/* ---- virtio_transport.c: what both share ---- */
/* The device a -device means, whatever its transport; NULL in *out for a console's port. */
int virtio_create(struct vm *vm, const struct vm_device *dev,
                  struct virtio_device **out) MUST_CHECK;
/* The sentence for -ENOMEM, which the classes do not report. */
void virtio_report_memory(const struct vm_device *dev, int err);
/* Places 0 to VIRTIO_PLACES - 1: the slots of virtio-mmio, then those of PCI. NULL: none. */
struct virtio_device *virtio_device_at(const struct vm *vm, unsigned place);
void virtio_set_half(uint64_t *x, unsigned half, uint32_t value);
uint64_t virtio_config_read_locked(const struct virtio_device *d, uint64_t off, unsigned size);
void virtio_config_write(struct virtio_device *d, uint64_t off, uint64_t value, unsigned size);
void virtio_write_features_locked(struct virtio_device *d, uint32_t word, uint32_t value);
/* A status other than 0. No lock. */
void virtio_write_status(struct virtio_device *d, uint8_t value);
void virtio_notify(struct virtio_device *d, uint32_t q);
