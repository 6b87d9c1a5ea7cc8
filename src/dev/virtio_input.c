/* SPDX-License-Identifier: MIT */
/*
 * virtio-input: a keyboard, a tablet (a pointer that knows where it is) and a touch screen for ten
 * fingers. They differ in a table of what they can report. Virtio 1.2, 5.8.
 *
 * Threads: events come from any thread (display/input.h) and wait here until the driver gives us
 * room; what came together goes together or not at all. LED changes are read and dropped.
 */
#include "virtio_internal.h"

#include "display/input.h"
#include "vm.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_QUEUE_MAX 64
#define EVENTS_WAITING 256u /* while the driver has no room */
#define BITMAP_MAX 128u
#define BUS_VIRTUAL 6 /* of linux/input.h */

enum { QUEUE_EVENTS, QUEUE_STATUS };

/* config.select */
enum {
    CFG_UNSET = 0, CFG_ID_NAME = 1, CFG_ID_SERIAL = 2, CFG_ID_DEVIDS = 3, CFG_PROP_BITS = 0x10,
    CFG_EV_BITS = 0x11, CFG_ABS_INFO = 0x12,
};

struct virtio_input_config {
    uint8_t select, subsel, size, reserved[5];
    uint8_t data[BITMAP_MAX];
} __attribute__((packed));
_Static_assert(sizeof(struct virtio_input_config) == 136, "the guest's layout");

struct virtio_input_absinfo {
    uint32_t min, max, fuzz, flat, res;
};

struct virtio_input_devids {
    uint16_t bustype, vendor, product, version;
};

struct virtio_input_event {
    uint16_t type, code;
    uint32_t value;
};
_Static_assert(sizeof(struct virtio_input_event) == sizeof(struct input_event), "copied as it is");

/* What a device can report: codes of a type, from first to last. */
struct capability {
    uint16_t type, first, last;
    uint32_t max; /* of an axis */
};

struct input_model {
    const struct virtio_class *cls;
    const char *name;
    enum input_kind kind;
    uint16_t product;
    int property; /* INPUT_PROP_*, or -1 */
    struct capability can[10];
};

struct virtio_input {
    struct virtio_device dev;
    const struct input_model *model;
    struct input_sink sink;
    /* ---- the device's lock ---- */
    struct virtio_input_config config;
    struct input_event waiting[EVENTS_WAITING];
    unsigned nwaiting;
};

static const struct input_model models[];

static struct virtio_input *to_input(struct virtio_device *d)
{
    return container_of(d, struct virtio_input, dev);
}

/* ---- configuration: the driver selects, we show ---- */
static void set_bit(struct virtio_input_config *c, unsigned bit)
{
    c->data[bit / 8] |= (uint8_t)(1u << bit % 8);
    if (c->size < bit / 8 + 1) {
        c->size = (uint8_t)(bit / 8 + 1);
    }
}

static void show(struct virtio_input_config *c, const void *data, size_t size)
{
    memcpy(c->data, data, size);
    c->size = (uint8_t)size;
}

static void show_event_bits(const struct input_model *m, struct virtio_input_config *c)
{
    for (const struct capability *can = m->can; can->type != 0; can++) {
        for (unsigned code = can->first; can->type == c->subsel && code <= can->last; code++) {
            set_bit(c, code);
        }
    }
}

static void show_axis(const struct input_model *m, struct virtio_input_config *c)
{
    for (const struct capability *can = m->can; can->type != 0; can++) {
        if (can->type == EV_ABS && c->subsel >= can->first && c->subsel <= can->last) {
            show(c, &(struct virtio_input_absinfo){.max = can->max},
                 sizeof(struct virtio_input_absinfo));
        }
    }
}

static void select_config(struct virtio_input *in)
{
    struct virtio_input_config *c = &in->config;
    const struct input_model *m = in->model;

    c->size = 0;
    memset(c->data, 0, sizeof c->data);
    if (c->select == CFG_EV_BITS) {
        show_event_bits(m, c);
    } else if (c->select == CFG_ABS_INFO) {
        show_axis(m, c);
    } else if (c->subsel != 0) {
        return; /* the others have no parts */
    } else if (c->select == CFG_ID_NAME) {
        show(c, m->name, strlen(m->name));
    } else if (c->select == CFG_ID_DEVIDS) {
        const struct virtio_input_devids ids = {BUS_VIRTUAL, 0, m->product, 1};
        show(c, &ids, sizeof ids);
    } else if (c->select == CFG_PROP_BITS && m->property >= 0) {
        set_bit(c, (unsigned)m->property);
    }
}

static void input_config_write(struct virtio_device *d, unsigned off, uint64_t value, unsigned len)
{
    struct virtio_input *in = to_input(d);

    if (off > offsetof(struct virtio_input_config, subsel) ||
        off + len > offsetof(struct virtio_input_config, size)) {
        virtio_guest_error(d, "%u-byte write to configuration offset 0x%x", len, off);
        return;
    }
    memcpy((uint8_t *)&in->config + off, &value, len);
    select_config(in);
}

/* ---- events ---- */
/* One in each chain. False: the driver has no room now. */
static bool send_one(struct virtio_input *in, struct virtio_queue *q, const struct input_event *e)
{
    struct virtio_device *d = &in->dev;
    const struct virtio_chain *c = &d->chain;

    while (!virtio_queue_pop(d, q)) {
        if (!virtio_queue_listen(d, q) || !virtio_device_running(d)) {
            return false;
        }
    }
    const struct iovec *iov = c->iov + c->nout;
    size_t n = virtio_iov_write(iov, c->nin, 0, e, sizeof *e);
    virtio_iov_written(d->vm, iov, c->nin, n);
    virtio_queue_push(d, q, c->head, (uint32_t)n);
    if (n < sizeof *e) {
        virtio_guest_error(d, "an event buffer of %zu bytes", n);
    }
    return true;
}

static void serve_events(struct virtio_input *in, struct virtio_queue *q)
{
    unsigned sent = 0;

    while (sent < in->nwaiting && send_one(in, q, &in->waiting[sent])) {
        sent++;
    }
    in->nwaiting -= sent;
    memmove(in->waiting, in->waiting + sent, in->nwaiting * sizeof in->waiting[0]);
    if (sent > 0) {
        virtio_queue_signal(&in->dev, q);
    }
}

/* LEDs and the like: nobody shows them. */
static void serve_status(struct virtio_input *in, struct virtio_queue *q)
{
    struct virtio_device *d = &in->dev;
    unsigned n = 0;

    while (n < q->num && virtio_queue_pop(d, q)) {
        virtio_queue_push(d, q, d->chain.head, 0);
        n++;
    }
    if (n > 0) {
        virtio_queue_signal(d, q);
    }
    if (n == q->num) {
        virtio_device_again(d, QUEUE_STATUS);
    }
}

static void input_serve(struct virtio_device *d, unsigned q)
{
    if (q == QUEUE_EVENTS) {
        serve_events(to_input(d), &d->queue[q]);
    } else {
        serve_status(to_input(d), &d->queue[q]);
    }
}

static bool queue_moment(struct virtio_input *in, const struct input_event *e, unsigned n)
{
    if (!virtio_device_running(&in->dev) || in->nwaiting + n + 1 > EVENTS_WAITING) {
        return false;
    }
    memcpy(in->waiting + in->nwaiting, e, n * sizeof *e);
    in->nwaiting += n;
    in->waiting[in->nwaiting++] = (struct input_event){EV_SYN, SYN_REPORT, 0};
    return true;
}

/* input_sink.report */
static void input_report(void *opaque, const struct input_event *e, unsigned n)
{
    struct virtio_input *in = opaque;

    pthread_mutex_lock(&in->dev.lock);
    bool queued = queue_moment(in, e, n);
    pthread_mutex_unlock(&in->dev.lock);
    if (queued) {
        virtio_device_kick(&in->dev, QUEUE_EVENTS);
    }
}

/* ---- device ---- */
static void input_reset(struct virtio_device *d)
{
    struct virtio_input *in = to_input(d);

    in->nwaiting = 0;
    in->config.select = in->config.subsel = 0;
    select_config(in);
}

static int create(struct vm *vm, const struct vm_device *dev, const struct input_model *m,
                  struct virtio_device **out)
{
    struct virtio_option none[] = {{0}};
    int err = virtio_options_read(dev, none);
    struct virtio_input *in = err == 0 ? calloc(1, sizeof *in) : NULL;

    if (in == NULL) {
        return err != 0 ? err : -ENOMEM;
    }
    virtio_device_init(&in->dev, m->cls, vm, 0);
    in->model = m;
    in->dev.config = (const uint8_t *)&in->config;
    in->dev.config_size = sizeof in->config;
    in->sink = (struct input_sink){.kind = m->kind, .opaque = in, .report = input_report};
    input_add_sink(vm->display, &in->sink);
    *out = &in->dev;
    return 0;
}

static void input_destroy(struct virtio_device *d)
{
    virtio_device_fini(d);
    free(to_input(d));
}

enum { MODEL_KEYBOARD, MODEL_TABLET, MODEL_TOUCH };

static int create_keyboard(struct vm *vm, const struct vm_device *dev, struct virtio_device **out)
{
    return create(vm, dev, &models[MODEL_KEYBOARD], out);
}

static int create_tablet(struct vm *vm, const struct vm_device *dev, struct virtio_device **out)
{
    return create(vm, dev, &models[MODEL_TABLET], out);
}

static int create_touch(struct vm *vm, const struct vm_device *dev, struct virtio_device **out)
{
    return create(vm, dev, &models[MODEL_TOUCH], out);
}

#define INPUT_CLASS(kind, spelled)                                                                 \
    const struct virtio_class virtio_##kind##_class = {                                            \
        .driver = spelled,                                                                         \
        .id = 18,                                                                                  \
        .nqueues = 2,                                                                              \
        .queue_max = INPUT_QUEUE_MAX,                                                              \
        .create = create_##kind,                                                                   \
        .destroy = input_destroy,                                                                  \
        .serve = input_serve,                                                                      \
        .reset = input_reset,                                                                      \
        .config_write = input_config_write,                                                        \
    }
INPUT_CLASS(keyboard, "virtio-keyboard-device");
INPUT_CLASS(tablet, "virtio-tablet-device");
INPUT_CLASS(touch, "virtio-multitouch-device");

static const struct input_model models[] = {
    [MODEL_KEYBOARD] = {&virtio_keyboard_class, "Umbra virtio keyboard", INPUT_KEYBOARD, 1, -1,
                        {{EV_KEY, KEY_ESC, KEY_MICMUTE, 0},
                         {EV_KEY, KEY_APPSELECT, KEY_APPSELECT, 0},
                         {EV_REP, REP_DELAY, REP_PERIOD, 0},
                         {EV_LED, LED_NUML, LED_SCROLLL, 0}}},
    [MODEL_TABLET] = {&virtio_tablet_class, "Umbra virtio tablet", INPUT_TABLET, 2, -1,
                      {{EV_KEY, BTN_LEFT, BTN_MIDDLE, 0},
                       {EV_REL, REL_WHEEL, REL_WHEEL, 0},
                       {EV_ABS, ABS_X, ABS_Y, INPUT_AXIS_MAX}}},
    [MODEL_TOUCH] = {&virtio_touch_class, "Umbra virtio touch screen", INPUT_TOUCH, 3,
                     INPUT_PROP_DIRECT,
                     {{EV_KEY, BTN_TOUCH, BTN_TOUCH, 0},
                      {EV_ABS, ABS_X, ABS_Y, INPUT_AXIS_MAX},
                      {EV_ABS, ABS_MT_SLOT, ABS_MT_SLOT, INPUT_SLOTS - 1},
                      {EV_ABS, ABS_MT_POSITION_X, ABS_MT_POSITION_Y, INPUT_AXIS_MAX},
                      {EV_ABS, ABS_MT_TRACKING_ID, ABS_MT_TRACKING_ID, UINT16_MAX}}},
};
