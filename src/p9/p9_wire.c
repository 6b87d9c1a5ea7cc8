/* SPDX-License-Identifier: MIT */
/*
 * Bytes of 9P messages: little-endian integers and counted strings, and the vectors they come in.
 * No state.
 */
#include "p9_internal.h"

#include <string.h>

static const uint8_t *take(struct p9_in *m, size_t n)
{
    static const uint8_t nothing[8];

    if (m->bad || n > m->len - m->at) {
        m->bad = true;
        return nothing;
    }
    m->at += n;
    return m->p + m->at - n;
}

uint8_t p9_get8(struct p9_in *m)
{
    return *take(m, 1);
}

uint16_t p9_get16(struct p9_in *m)
{
    uint16_t v;

    memcpy(&v, take(m, sizeof v), sizeof v);
    return v;
}

uint32_t p9_get32(struct p9_in *m)
{
    uint32_t v;

    memcpy(&v, take(m, sizeof v), sizeof v);
    return v;
}

uint64_t p9_get64(struct p9_in *m)
{
    uint64_t v;

    memcpy(&v, take(m, sizeof v), sizeof v);
    return v;
}

void p9_get_string(struct p9_in *m, char *buf, size_t size)
{
    size_t len = p9_get16(m);

    buf[0] = '\0';
    if (m->bad || len >= size || len > m->len - m->at ||
        memchr(m->p + m->at, '\0', len) != NULL) {
        m->bad = true;
        return;
    }
    memcpy(buf, m->p + m->at, len);
    buf[len] = '\0';
    m->at += len;
}

bool p9_get_done(const struct p9_in *m)
{
    return !m->bad && m->at == m->len;
}

static void put(struct p9_out *m, const void *p, size_t n)
{
    if (m->bad || n > m->room - m->at) {
        m->bad = true;
        return;
    }
    memcpy(m->p + m->at, p, n);
    m->at += n;
}

void p9_put8(struct p9_out *m, uint8_t v)
{
    put(m, &v, sizeof v);
}

void p9_put16(struct p9_out *m, uint16_t v)
{
    put(m, &v, sizeof v);
}

void p9_put32(struct p9_out *m, uint32_t v)
{
    put(m, &v, sizeof v);
}

void p9_put64(struct p9_out *m, uint64_t v)
{
    put(m, &v, sizeof v);
}

void p9_put_string(struct p9_out *m, const char *s, size_t len)
{
    p9_put16(m, (uint16_t)len);
    put(m, s, len);
    m->bad |= len > UINT16_MAX;
}

/* ---- vectors ---- */
size_t p9_copy_from(const struct iovec *iov, unsigned n, void *buf, size_t len)
{
    size_t done = 0;

    for (unsigned i = 0; i < n && done < len; i++) {
        size_t part = iov[i].iov_len < len - done ? iov[i].iov_len : len - done;
        memcpy((char *)buf + done, iov[i].iov_base, part);
        done += part;
    }
    return done;
}

size_t p9_copy_to(const struct iovec *iov, unsigned n, uint64_t off, const void *buf, size_t len)
{
    size_t done = 0;

    for (unsigned i = 0; i < n && done < len; i++) {
        if (off >= iov[i].iov_len) {
            off -= iov[i].iov_len;
            continue;
        }
        size_t room = iov[i].iov_len - (size_t)off, part = len - done;
        part = room < part ? room : part;
        memcpy((char *)iov[i].iov_base + off, (const char *)buf + done, part);
        done += part;
        off = 0;
    }
    return done;
}

uint64_t p9_length(const struct iovec *iov, unsigned n)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < n; i++) {
        sum += iov[i].iov_len;
    }
    return sum;
}

unsigned p9_slice(struct p9 *s, const struct iovec *iov, unsigned n, uint64_t off, uint64_t len)
{
    unsigned k = 0;

    for (unsigned i = 0; i < n && len > 0 && k < ARRAY_SIZE(s->slice); i++) {
        if (off >= iov[i].iov_len) {
            off -= iov[i].iov_len;
            continue;
        }
        uint64_t room = iov[i].iov_len - off, part = room < len ? room : len;
        s->slice[k++] = (struct iovec){(char *)iov[i].iov_base + off, (size_t)part};
        len -= part;
        off = 0;
    }
    return k;
}
