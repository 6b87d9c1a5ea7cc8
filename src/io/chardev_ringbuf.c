/* SPDX-License-Identifier: MIT */
/*
 * "ringbuf": a character back end that keeps the last bytes written to it for a monitor to read.
 *
 * Owns: the list of all ring buffers, by which a monitor finds one. Lock: `lock`, a leaf, around
 * the list and the contents.
 */
#include "chardev_internal.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MAX_LOG2 30

struct ringbuf {
    struct ringbuf *next;
    char *id;
    size_t size;           /* a power of two */
    uint64_t added, taken; /* bytes so far; what is between them is in the buffer */
    uint8_t data[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ringbuf *list;

/* "SIZE:ID"; 0: it is none. */
static size_t parse(const char *spec, const char **id)
{
    char *end;
    unsigned long long size = strtoull(spec, &end, 10);
    bool ok = *spec >= '1' && *spec <= '9' && *end == ':' && end[1] != '\0' &&
              size <= 1ull << SIZE_MAX_LOG2 && (size & (size - 1)) == 0;

    *id = end + 1;
    return ok ? (size_t)size : 0;
}

bool chardev_ringbuf_valid(const char *spec)
{
    const char *id;

    return parse(spec, &id) != 0;
}

static struct ringbuf *find_locked(const char *id)
{
    struct ringbuf *r = list;

    while (r != NULL && strcmp(r->id, id) != 0) {
        r = r->next;
    }
    return r;
}

static bool enlist(struct ringbuf *r)
{
    pthread_mutex_lock(&lock);
    bool is_new = find_locked(r->id) == NULL;
    if (is_new) {
        r->next = list;
        list = r;
    }
    pthread_mutex_unlock(&lock);
    return is_new;
}

int chardev_open_ringbuf(struct chardev *c, const char *spec)
{
    const char *id;
    size_t size = parse(spec, &id);
    struct ringbuf *r = calloc(1, sizeof *r + size);
    char *name = strdup(id);

    if (r == NULL || name == NULL) {
        free(r);
        free(name);
        return -ENOMEM;
    }
    r->id = name;
    r->size = size;
    if (!enlist(r)) {
        log_error("character device ringbuf: %s is used by another port", id);
        free(r);
        free(name);
        return -EBUSY;
    }
    c->ringbuf = r;
    return 0;
}

void chardev_ringbuf_close(struct chardev *c)
{
    struct ringbuf *r = c->ringbuf;

    if (r == NULL) {
        return;
    }
    pthread_mutex_lock(&lock);
    for (struct ringbuf **p = &list; *p != NULL; p = &(*p)->next) {
        if (*p == r) {
            *p = r->next;
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    free(r->id);
    free(r);
    c->ringbuf = NULL;
}

static void add_locked(struct ringbuf *r, const uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        r->data[r->added++ & (r->size - 1)] = buf[i];
    }
    if (r->added - r->taken > r->size) {
        r->taken = r->added - r->size;
    }
}

void chardev_ringbuf_write(struct ringbuf *r, const uint8_t *buf, size_t len)
{
    pthread_mutex_lock(&lock);
    add_locked(r, buf, len);
    pthread_mutex_unlock(&lock);
}

int chardev_ringbuf_add(const char *id, const uint8_t *buf, size_t len)
{
    pthread_mutex_lock(&lock);
    struct ringbuf *r = find_locked(id);
    if (r != NULL) {
        add_locked(r, buf, len);
    }
    pthread_mutex_unlock(&lock);
    return r != NULL ? 0 : -ENOENT;
}

int chardev_ringbuf_read(const char *id, uint8_t *buf, size_t *len)
{
    size_t n = 0;

    pthread_mutex_lock(&lock);
    struct ringbuf *r = find_locked(id);
    for (; r != NULL && n < *len && r->taken < r->added; n++) {
        buf[n] = r->data[r->taken++ & (r->size - 1)];
    }
    pthread_mutex_unlock(&lock);
    *len = n;
    return r != NULL ? 0 : -ENOENT;
}
