/* SPDX-License-Identifier: MIT */
/*
 * Goldfish pipe: byte streams between programs of the guest and services of the host. The guest's
 * handle of a stream is a number of its own choice (a pointer of its kernel). The first bytes that
 * it sends say which service it wants: "pipe:NAME\0".
 *
 * This is version 1 of the device, which the drivers of 3.4 to 4.4 kernels speak. A transfer is
 * one register write, its parameters are in RAM (ACCESS) or in registers; what cannot be done now
 * is answered with "again", and the guest asks to be woken, by an interrupt.
 *
 * Threads: registers from vCPUs; services also from the I/O thread, with this device's lock.
 */
#include "goldfish_service.h"

#include "dev/dma.h"
#include "vm.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIPE_COMMAND = 0x00, PIPE_STATUS = 0x04, PIPE_CHANNEL = 0x08, PIPE_SIZE = 0x0c,
    PIPE_ADDRESS = 0x10, PIPE_WAKES = 0x14, PIPE_PARAMS_LOW = 0x18, PIPE_PARAMS_HIGH = 0x1c,
    PIPE_ACCESS = 0x20, PIPE_VERSION = 0x24,
};
enum {
    CMD_OPEN = 1, CMD_CLOSE, CMD_POLL, CMD_WRITE, CMD_WAKE_ON_WRITE, CMD_READ, CMD_WAKE_ON_READ,
};
enum { ERR_INVAL = -1, ERR_AGAIN = -2, ERR_NOMEM = -3, ERR_IO = -4 };
enum { POLL_IN = 1, POLL_OUT = 2, POLL_HUP = 4 };
enum { WAKE_CLOSED = 1, WAKE_READ = 2, WAKE_WRITE = 4 };

#define STREAMS_MAX 256u
#define NAME_BYTES  128u /* of "pipe:NAME", with the end */

struct fifo {
    uint8_t data[STREAM_BYTES];
    unsigned first, len;
};

struct goldfish_stream {
    struct goldfish_pipe *pipe;
    uint32_t channel;       /* the guest's handle */
    const struct goldfish_service *service; /* NULL: not connected yet */
    void *state;            /* the service's */
    unsigned wanted, wakes; /* WAKE_*: the guest waits for; it is to be told */
    bool hung_up;           /* by the host */
    bool told_closed;       /* and the guest knows */
    struct fifo in, out;    /* from and to the guest; before it is connected, `in` is the name */
};

struct params {
    uint32_t channel, size, address, cmd, result, flags;
};

struct goldfish_pipe {
    struct vm *vm;
    struct goldfish_services services;
    struct goldfish_adb *adb; /* NULL: none */
    pthread_mutex_t lock;     /* all below */
    struct irq_line irq;
    struct goldfish_stream *stream[STREAMS_MAX];
    unsigned told;            /* whose wake was read last */
    uint32_t channel, size, address, status, wakes;
    uint64_t params;
};

static const struct goldfish_service *const service[] = {
    &goldfish_boot_properties, &goldfish_hw_control, &goldfish_sensors, &goldfish_gps,
    &goldfish_adb_service,
};

/* ---- buffers ---- */
static void fifo_put(struct fifo *f, const uint8_t *buf, unsigned n)
{
    unsigned at = (f->first + f->len) % STREAM_BYTES;
    unsigned part = n < STREAM_BYTES - at ? n : STREAM_BYTES - at;

    memcpy(f->data + at, buf, part);
    memcpy(f->data, buf + part, n - part);
    f->len += n;
}

static void fifo_peek(const struct fifo *f, uint8_t *buf, unsigned n)
{
    unsigned part = n < STREAM_BYTES - f->first ? n : STREAM_BYTES - f->first;

    memcpy(buf, f->data + f->first, part);
    memcpy(buf + part, f->data, n - part);
}

static void fifo_skip(struct fifo *f, unsigned n)
{
    f->first = (f->first + n) % STREAM_BYTES;
    f->len -= n;
}

/* ---- wakes ---- */
static unsigned poll_flags(const struct goldfish_stream *s)
{
    return (s->out.len > 0 ? POLL_IN : 0) |
           (s->in.len < STREAM_BYTES && !s->hung_up ? POLL_OUT : 0) |
           (s->hung_up && s->out.len == 0 ? POLL_HUP : 0);
}

static struct goldfish_stream *next_told(struct goldfish_pipe *p)
{
    for (unsigned i = 1; i <= STREAMS_MAX; i++) {
        unsigned at = (p->told + i) % STREAMS_MAX;
        if (p->stream[at] != NULL && p->stream[at]->wakes != 0) {
            p->told = at;
            return p->stream[at];
        }
    }
    return NULL;
}

static void update_irq(struct goldfish_pipe *p)
{
    unsigned told = p->told;

    irq_set(&p->irq, next_told(p) != NULL);
    p->told = told;
}

/* Something has changed: is it what the guest waits for? */
static void wake(struct goldfish_stream *s)
{
    unsigned flags = poll_flags(s), ready = 0;

    ready |= flags & POLL_IN ? WAKE_READ : 0;
    ready |= flags & POLL_OUT ? WAKE_WRITE : 0;
    ready &= s->wanted;
    if ((flags & POLL_HUP) && !s->told_closed) {
        s->told_closed = true;
        ready |= WAKE_CLOSED;
    }
    s->wanted &= ~ready;
    s->wakes |= ready;
    update_irq(s->pipe);
}

/* ---- for services ---- */
const struct goldfish_services *goldfish_stream_services(const struct goldfish_stream *s)
{
    return &s->pipe->services;
}

struct goldfish_adb *goldfish_stream_adb(const struct goldfish_stream *s)
{
    return s->pipe->adb;
}

void **goldfish_stream_state(struct goldfish_stream *s)
{
    return &s->state;
}

size_t goldfish_stream_pending(const struct goldfish_stream *s)
{
    return s->in.len;
}

size_t goldfish_stream_peek(const struct goldfish_stream *s, void *buf, size_t n)
{
    n = n < s->in.len ? n : s->in.len;
    fifo_peek(&s->in, buf, (unsigned)n);
    return n;
}

void goldfish_stream_skip(struct goldfish_stream *s, size_t n)
{
    fifo_skip(&s->in, (unsigned)(n < s->in.len ? n : s->in.len));
    wake(s);
}

size_t goldfish_stream_room(const struct goldfish_stream *s)
{
    return s->hung_up ? 0 : STREAM_BYTES - s->out.len;
}

bool goldfish_stream_put(struct goldfish_stream *s, const void *buf, size_t n)
{
    if (n > goldfish_stream_room(s)) {
        return false;
    }
    fifo_put(&s->out, buf, (unsigned)n);
    wake(s);
    return true;
}

void goldfish_stream_hang_up(struct goldfish_stream *s)
{
    s->hung_up = true;
    wake(s);
}

void goldfish_pipe_lock(struct goldfish_pipe *p)
{
    pthread_mutex_lock(&p->lock);
}

void goldfish_pipe_unlock(struct goldfish_pipe *p)
{
    pthread_mutex_unlock(&p->lock);
}

/* ---- streams ---- */
static struct goldfish_stream **slot_of(struct goldfish_pipe *p, uint32_t channel)
{
    for (unsigned i = 0; i < STREAMS_MAX; i++) {
        if (p->stream[i] != NULL && p->stream[i]->channel == channel) {
            return &p->stream[i];
        }
    }
    return NULL;
}

static int open_stream(struct goldfish_pipe *p)
{
    if (p->channel == 0 || slot_of(p, p->channel) != NULL) {
        return ERR_INVAL;
    }
    for (unsigned i = 0; i < STREAMS_MAX; i++) {
        if (p->stream[i] == NULL) {
            p->stream[i] = calloc(1, sizeof **p->stream);
            if (p->stream[i] == NULL) {
                break;
            }
            p->stream[i]->pipe = p;
            p->stream[i]->channel = p->channel;
            return 0;
        }
    }
    return ERR_NOMEM;
}

static void close_stream(struct goldfish_stream **slot)
{
    struct goldfish_stream *s = *slot;

    if (s->service != NULL && s->service->close != NULL) {
        s->service->close(s);
    }
    *slot = NULL;
    free(s);
}

static const struct goldfish_service *find_service(const char *name, const char **arguments)
{
    for (size_t i = 0; i < ARRAY_SIZE(service); i++) {
        size_t len = strlen(service[i]->name);
        if (strncmp(name, service[i]->name, len) == 0 &&
            (name[len] == '\0' || name[len] == ':')) {
            *arguments = name + len + (name[len] == ':');
            return service[i];
        }
    }
    return NULL;
}

/* `in` holds the whole name. */
static bool connect_stream(struct goldfish_stream *s)
{
    static const char prefix[] = "pipe:";
    char name[NAME_BYTES];
    const char *arguments;

    fifo_peek(&s->in, (uint8_t *)name, s->in.len);
    fifo_skip(&s->in, s->in.len);
    if (strncmp(name, prefix, sizeof prefix - 1) != 0) {
        return false;
    }
    const struct goldfish_service *found = find_service(name + sizeof prefix - 1, &arguments);
    if (found == NULL || !found->open(s, arguments)) {
        return false;
    }
    s->service = found;
    return true;
}

/* ---- transfers ---- */
/* The name, up to its end; how many bytes were taken. */
static int write_name(struct goldfish_stream *s, const uint8_t *buf, unsigned n)
{
    const uint8_t *end = memchr(buf, '\0', n);
    unsigned part = end != NULL ? (unsigned)(end - buf) + 1 : n;

    if (s->in.len + part > NAME_BYTES) {
        return ERR_INVAL;
    }
    fifo_put(&s->in, buf, part);
    return end == NULL || connect_stream(s) ? (int)part : ERR_INVAL;
}

static int write_stream(struct goldfish_pipe *p, struct goldfish_stream *s)
{
    uint8_t buf[STREAM_BYTES];
    unsigned room = s->service != NULL ? STREAM_BYTES - s->in.len : NAME_BYTES;
    unsigned n = p->size < room ? p->size : room;

    if (s->hung_up) {
        return ERR_IO;
    }
    if (n == 0) {
        return p->size == 0 ? 0 : ERR_AGAIN;
    }
    if (!dma_read(p->vm, p->address, buf, n)) {
        return ERR_INVAL;
    }
    if (s->service == NULL) {
        return write_name(s, buf, n);
    }
    fifo_put(&s->in, buf, n);
    s->service->received(s);
    return (int)n;
}

static int read_stream(struct goldfish_pipe *p, struct goldfish_stream *s)
{
    uint8_t buf[STREAM_BYTES];
    unsigned n = p->size < s->out.len ? p->size : s->out.len;

    if (n == 0) {
        return p->size == 0 || s->hung_up ? 0 : ERR_AGAIN;
    }
    fifo_peek(&s->out, buf, n);
    if (!dma_write(p->vm, p->address, buf, n)) {
        return ERR_INVAL;
    }
    fifo_skip(&s->out, n);
    if (s->service != NULL && s->service->room != NULL) {
        s->service->room(s);
    }
    wake(s);
    return (int)n;
}

static int wait_for(struct goldfish_stream *s, unsigned what)
{
    s->wanted |= what;
    wake(s);
    return 0;
}

/* ---- commands ---- */
static int command(struct goldfish_pipe *p, uint32_t cmd)
{
    struct goldfish_stream **slot = slot_of(p, p->channel);

    if (cmd == CMD_OPEN) {
        return open_stream(p);
    }
    if (slot == NULL) {
        return ERR_INVAL;
    }
    switch (cmd) {
    case CMD_CLOSE:
        close_stream(slot);
        update_irq(p);
        return 0;
    case CMD_POLL: return (int)poll_flags(*slot);
    case CMD_WRITE: return write_stream(p, *slot);
    case CMD_READ: return read_stream(p, *slot);
    case CMD_WAKE_ON_WRITE: return wait_for(*slot, WAKE_WRITE);
    case CMD_WAKE_ON_READ: return wait_for(*slot, WAKE_READ);
    default: return ERR_INVAL;
    }
}

/* A transfer whose parameters are in RAM. What is wrong with them leaves the result as it was. */
static void access_params(struct goldfish_pipe *p)
{
    struct params a;

    if (p->params == 0 || !dma_read(p->vm, p->params, &a, sizeof a)) {
        return;
    }
    uint32_t cmd = le32toh(a.cmd);
    if (cmd != CMD_READ && cmd != CMD_WRITE) {
        return;
    }
    p->channel = le32toh(a.channel);
    p->size = le32toh(a.size);
    p->address = le32toh(a.address);
    p->status = (uint32_t)command(p, cmd);
    uint32_t result = htole32(p->status);
    /* The parameters were RAM, so this is. */
    (void)dma_write(p->vm, p->params + offsetof(struct params, result), &result, sizeof result);
}

static uint32_t take_wake(struct goldfish_pipe *p)
{
    struct goldfish_stream *s = next_told(p);

    p->wakes = s != NULL ? s->wakes : 0;
    if (s != NULL) {
        s->wakes = 0;
    }
    update_irq(p);
    return s != NULL ? s->channel : 0;
}

static uint64_t pipe_read(void *dev, struct vcpu *v, uint64_t off, unsigned size)
{
    struct goldfish_pipe *p = dev;
    uint32_t r = 0;

    (void)v;
    (void)size;
    pthread_mutex_lock(&p->lock);
    switch (off) {
    case PIPE_STATUS: r = p->status; break;
    case PIPE_CHANNEL: r = take_wake(p); break;
    case PIPE_WAKES: r = p->wakes; break;
    case PIPE_PARAMS_LOW: r = (uint32_t)p->params; break;
    case PIPE_PARAMS_HIGH: r = (uint32_t)(p->params >> 32); break;
    case PIPE_VERSION: r = 1; break;
    default: break;
    }
    pthread_mutex_unlock(&p->lock);
    return r;
}

static void pipe_write(void *dev, struct vcpu *v, uint64_t off, uint64_t value, unsigned size)
{
    struct goldfish_pipe *p = dev;
    uint32_t w = (uint32_t)value;

    (void)v;
    (void)size;
    pthread_mutex_lock(&p->lock);
    switch (off) {
    case PIPE_COMMAND: p->status = (uint32_t)command(p, w); break;
    case PIPE_CHANNEL: p->channel = w; break;
    case PIPE_SIZE: p->size = w; break;
    case PIPE_ADDRESS: p->address = w; break;
    case PIPE_PARAMS_LOW: p->params = (p->params & ~(uint64_t)UINT32_MAX) | w; break;
    case PIPE_PARAMS_HIGH: p->params = (uint64_t)w << 32 | (uint32_t)p->params; break;
    case PIPE_ACCESS: access_params(p); break;
    default: break; /* also the driver's version: we have one */
    }
    pthread_mutex_unlock(&p->lock);
}

static const struct bus_ops pipe_ops = {.read = pipe_read, .write = pipe_write, .max_size = 4};

/* ---- life cycle ---- */
void goldfish_pipe_reset(struct goldfish_pipe *p)
{
    pthread_mutex_lock(&p->lock);
    for (unsigned i = 0; i < STREAMS_MAX; i++) {
        if (p->stream[i] != NULL) {
            close_stream(&p->stream[i]);
        }
    }
    p->channel = p->size = p->address = p->status = p->wakes = 0;
    p->params = 0;
    update_irq(p);
    pthread_mutex_unlock(&p->lock);
}

int goldfish_pipe_create(struct vm *vm, gpa_t base, const struct irq_line *irq,
                         const struct goldfish_services *services, struct goldfish_pipe **out)
{
    struct goldfish_pipe *p = calloc(1, sizeof *p);
    int err = 0;

    if (p == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&p->lock, NULL);
    p->vm = vm;
    p->services = *services;
    p->irq = *irq;
    if (services->adb != NULL) {
        err = goldfish_adb_create(vm->io, p, services->adb, &p->adb);
    }
    if (err == 0) {
        err = bus_add(vm->bus, &(struct bus_region){.name = "goldfish-pipe", .base = base,
                                                    .size = 0x2000, .ops = &pipe_ops, .dev = p});
    }
    if (err != 0) {
        goldfish_pipe_destroy(p);
        return err;
    }
    *out = p;
    return 0;
}

void goldfish_pipe_destroy(struct goldfish_pipe *p)
{
    if (p == NULL) {
        return;
    }
    goldfish_pipe_reset(p);
    goldfish_adb_destroy(p->adb);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
