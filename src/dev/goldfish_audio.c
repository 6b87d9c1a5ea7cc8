/* SPDX-License-Identifier: MIT */
/*
 * Goldfish audio: two buffers that the guest fills in turn and that are played at 44.1 kHz, two
 * channels of 16 bits, and one that is filled with what the microphone hears, 8 kHz, one channel.
 * There is no sound card: what is played goes to a WAV file or nowhere, but takes its time; the
 * microphone hears silence.
 *
 * A buffer's bytes are read from guest RAM when they have been played, which is when the guest may
 * fill it again. Threads: registers from vCPUs, the end of a buffer from the I/O thread, where the
 * file is written. A file that cannot be written to is given up, with one warning.
 */
#include "dev/goldfish.h"

#include "base/log.h"
#include "dev/dma.h"
#include "io/io.h"
#include "vm.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    AUDIO_INT_STATUS = 0x00, AUDIO_INT_ENABLE = 0x04, AUDIO_SET_OUT_1 = 0x08,
    AUDIO_SET_OUT_2 = 0x0c, AUDIO_PLAY_1 = 0x10, AUDIO_PLAY_2 = 0x14, AUDIO_HAS_INPUT = 0x18,
    AUDIO_SET_IN = 0x1c, AUDIO_RECORD = 0x20, AUDIO_RECORDED = 0x24,
};

#define INT_OUT_EMPTY(i) (1u << (i))
#define INT_OUTS_EMPTY   3u
#define INT_IN_FULL      4u
#define INT_ALL          7u

#define OUT_RATE    44100u
#define OUT_FRAME   4u /* bytes of both channels */
#define IN_BYTES_S  (8000u * 2)
#define BUFFER_MAX  65536u /* the driver's are 16 KiB */
#define WAV_HEADER  44u

struct buffer {
    uint32_t base, len; /* len 0: nothing to do */
};

struct goldfish_audio {
    struct vm *vm;
    FILE *wav;              /* NULL: none; the I/O thread's while the machine runs */
    uint64_t wav_bytes;
    pthread_mutex_t lock;   /* all below */
    struct irq_line irq;
    struct io_timer out_timer, in_timer;
    uint32_t status, enable;
    bool line;              /* up until the status is read */
    struct buffer out[2], in;
    uint64_t end;           /* of the buffer that plays, io_now_ns() */
    unsigned playing;       /* the buffer that ends next, while one of them has a length */
    uint32_t recorded;
};

static void raise_status(struct goldfish_audio *a, uint32_t bits)
{
    a->status |= bits;
    a->line = (a->status & a->enable) != 0;
    irq_set(&a->irq, a->line);
}

/* ---- the file ---- */
static void put32(uint8_t *p, uint64_t v)
{
    uint32_t le = htole32((uint32_t)(v < UINT32_MAX ? v : UINT32_MAX));

    memcpy(p, &le, sizeof le);
}

/* RIFF, one chunk of format and one of data. */
static bool write_header(struct goldfish_audio *a)
{
    uint8_t h[WAV_HEADER] = "RIFF....WAVEfmt \x10\0\0\0\1\0\2\0";

    put32(h + 4, WAV_HEADER - 8 + a->wav_bytes);
    put32(h + 24, OUT_RATE);
    put32(h + 28, OUT_RATE * OUT_FRAME);
    h[32] = OUT_FRAME;
    h[34] = 16; /* bits */
    memcpy(h + 36, "data", 4);
    put32(h + 40, a->wav_bytes);
    return fseek(a->wav, 0, SEEK_SET) == 0 && fwrite(h, sizeof h, 1, a->wav) == 1 &&
           fseek(a->wav, 0, SEEK_END) == 0;
}

static void write_wav(struct goldfish_audio *a, const struct buffer *b)
{
    uint8_t data[BUFFER_MAX];

    if (!dma_read(a->vm, b->base, data, b->len)) {
        return; /* not RAM: nothing to hear */
    }
    if (fwrite(data, b->len, 1, a->wav) != 1) {
        log_warn("audio: the WAV file cannot be written to (%s); it ends here", strerror(errno));
        fclose(a->wav);
        a->wav = NULL;
        return;
    }
    a->wav_bytes += b->len;
}

static void close_wav(struct goldfish_audio *a)
{
    if (a->wav == NULL) {
        return;
    }
    bool ok = write_header(a);
    if (fclose(a->wav) != 0 || !ok) {
        log_warn("audio: the WAV file could not be finished: %s", strerror(errno));
    }
}

/* ---- playing ---- */
/* From `start` on, io_now_ns(): where the buffer before it ended, so that no time is lost. */
static void play_next(struct goldfish_audio *a, uint64_t start)
{
    const struct buffer *b = &a->out[a->playing];

    if (b->len != 0) {
        a->end = start + (uint64_t)b->len * 1000000000u / (OUT_RATE * OUT_FRAME);
        io_timer_set(&a->out_timer, a->end);
    }
}

static void on_played(void *opaque)
{
    struct goldfish_audio *a = opaque;

    pthread_mutex_lock(&a->lock);
    unsigned i = a->playing;
    struct buffer done = a->out[i];
    a->out[i].len = 0;
    if (done.len != 0) { /* not stopped meanwhile */
        if (a->wav != NULL) {
            write_wav(a, &done);
        }
        a->playing = 1 - i;
        play_next(a, a->end);
        raise_status(a, INT_OUT_EMPTY(i));
    }
    pthread_mutex_unlock(&a->lock);
}

static uint32_t bounded(uint64_t len)
{
    return (uint32_t)(len < BUFFER_MAX ? len : BUFFER_MAX);
}

static void play(struct goldfish_audio *a, unsigned i, uint32_t len)
{
    bool idle = a->out[0].len == 0 && a->out[1].len == 0;

    if (a->out[i].len != 0) {
        return; /* it is being played: not the guest's to give again */
    }
    if (len == 0) {
        raise_status(a, INT_OUT_EMPTY(i));
        return;
    }
    a->out[i].len = bounded(len);
    a->status &= ~INT_OUT_EMPTY(i);
    if (idle) {
        a->playing = i;
        play_next(a, io_now_ns());
    }
}

/* ---- recording ---- */
static void on_recorded(void *opaque)
{
    static const uint8_t silence[BUFFER_MAX];
    struct goldfish_audio *a = opaque;

    pthread_mutex_lock(&a->lock);
    if (a->in.len != 0) {
        a->recorded = dma_write(a->vm, a->in.base, silence, a->in.len) ? a->in.len : 0;
        a->in.len = 0;
        raise_status(a, INT_IN_FULL);
    }
    pthread_mutex_unlock(&a->lock);
}

static void record(struct goldfish_audio *a, uint32_t len)
{
    if (a->in.len != 0) {
        return;
    }
    a->in.len = bounded(len);
    a->recorded = 0;
    a->status &= ~INT_IN_FULL;
    io_timer_set(&a->in_timer, io_now_ns() + (uint64_t)a->in.len * 1000000000u / IN_BYTES_S);
}

/* ---- registers ---- */
static void stop(struct goldfish_audio *a)
{
    io_timer_cancel(&a->out_timer);
    io_timer_cancel(&a->in_timer);
    a->out[0].len = a->out[1].len = a->in.len = 0;
    a->playing = 0;
    a->recorded = 0;
    a->status = INT_OUTS_EMPTY;
}

/* Opening and closing the guest's audio: both begin anew. */
static void enable(struct goldfish_audio *a, uint32_t bits)
{
    stop(a);
    a->enable = bits & INT_ALL;
    raise_status(a, 0);
}

/* The line falls, the status stays: it says which buffers are empty. */
static uint32_t read_status(struct goldfish_audio *a)
{
    a->line = false;
    irq_set(&a->irq, false);
    return a->status & a->enable;
}

static uint64_t audio_read(void *dev, struct vcpu *v, uint64_t off, unsigned size)
{
    struct goldfish_audio *a = dev;
    uint32_t r = 0;

    (void)v;
    (void)size;
    pthread_mutex_lock(&a->lock);
    switch (off) {
    case AUDIO_INT_STATUS: r = read_status(a); break;
    case AUDIO_HAS_INPUT: r = 1; break;
    case AUDIO_RECORDED: r = a->recorded; break;
    default: break;
    }
    pthread_mutex_unlock(&a->lock);
    return r;
}

static void audio_write(void *dev, struct vcpu *v, uint64_t off, uint64_t value, unsigned size)
{
    struct goldfish_audio *a = dev;
    uint32_t w = (uint32_t)value;

    (void)v;
    (void)size;
    pthread_mutex_lock(&a->lock);
    switch (off) {
    case AUDIO_INT_ENABLE: enable(a, w); break;
    case AUDIO_SET_OUT_1: a->out[0].base = w; break;
    case AUDIO_SET_OUT_2: a->out[1].base = w; break;
    case AUDIO_PLAY_1: play(a, 0, w); break;
    case AUDIO_PLAY_2: play(a, 1, w); break;
    case AUDIO_SET_IN: a->in.base = w; break;
    case AUDIO_RECORD: record(a, w); break;
    default: break; /* high halves of addresses are 0 on 32 bits */
    }
    pthread_mutex_unlock(&a->lock);
}

static const struct bus_ops audio_ops = {.read = audio_read, .write = audio_write, .max_size = 4};

/* ---- life cycle ---- */
void goldfish_audio_reset(struct goldfish_audio *a)
{
    pthread_mutex_lock(&a->lock);
    stop(a);
    a->enable = 0;
    raise_status(a, 0);
    pthread_mutex_unlock(&a->lock);
}

static int open_wav(struct goldfish_audio *a, const char *wav)
{
    a->wav = fopen(wav, "wbe");
    return a->wav != NULL && write_header(a) ? 0 : -errno;
}

int goldfish_audio_create(struct vm *vm, gpa_t base, const struct irq_line *irq, const char *wav,
                          struct goldfish_audio **out)
{
    struct goldfish_audio *a = calloc(1, sizeof *a);

    if (a == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&a->lock, NULL);
    a->vm = vm;
    a->irq = *irq;
    io_timer_init(&a->out_timer, vm->io, on_played, a);
    io_timer_init(&a->in_timer, vm->io, on_recorded, a);
    goldfish_audio_reset(a);
    int err = wav != NULL ? open_wav(a, wav) : 0;
    if (err == 0) {
        err = bus_add(vm->bus, &(struct bus_region){.name = "goldfish-audio", .base = base,
                                                    .size = 0x1000, .ops = &audio_ops, .dev = a});
    }
    if (err != 0) {
        goldfish_audio_destroy(a);
        return err;
    }
    *out = a;
    return 0;
}

void goldfish_audio_destroy(struct goldfish_audio *a)
{
    if (a == NULL) {
        return;
    }
    io_timer_cancel(&a->out_timer);
    io_timer_cancel(&a->in_timer);
    close_wav(a);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
