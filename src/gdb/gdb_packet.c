/* SPDX-License-Identifier: MIT */
/*
 * The parser takes one byte at a time and never reads beyond its buffer: a packet that is too long
 * is swallowed up to its checksum and reported as bad. A stream without good packets is garbage
 * after JUNK_MAX bytes, so that a peer that speaks something else is cut off.
 */
#include "gdb/gdb_packet.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define JUNK_MAX (4u * GDB_PACKET_MAX)

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static void start_packet(struct gdb_parser *p)
{
    p->state = PARSE_DATA;
    p->len = 0;
    p->sum = 0;
    p->bad = false;
}

static void store(struct gdb_parser *p, uint8_t byte)
{
    if (p->len < GDB_PACKET_MAX)
        p->data[p->len++] = (char)byte;
    else
        p->bad = true;
}

static enum gdb_event junk(struct gdb_parser *p, enum gdb_event otherwise)
{
    return ++p->junk > JUNK_MAX ? GDB_GARBAGE : otherwise;
}

static enum gdb_event idle_byte(struct gdb_parser *p, uint8_t byte)
{
    switch (byte) {
    case '$':
        start_packet(p);
        return GDB_MORE;
    case '+':
        return GDB_MORE;
    case '-':
        return junk(p, GDB_NAK);
    case 3:
        return junk(p, GDB_INTERRUPT);
    default:
        return junk(p, GDB_MORE);
    }
}

/* The checksum is of the bytes as sent. A "$" in the middle is a new packet: the peer gave up. */
static enum gdb_event data_byte(struct gdb_parser *p, uint8_t byte)
{
    if (byte == '$') {
        start_packet(p);
        return junk(p, GDB_MORE);
    }
    if (byte == '#') {
        p->bad |= p->state == PARSE_ESCAPE;
        p->state = PARSE_CHECK1;
        return GDB_MORE;
    }
    p->sum = (uint8_t)(p->sum + byte);
    if (p->state == PARSE_ESCAPE) {
        store(p, byte ^ 0x20);
        p->state = PARSE_DATA;
    } else if (byte == '}') {
        p->state = PARSE_ESCAPE;
    } else {
        store(p, byte);
    }
    return p->bad ? junk(p, GDB_MORE) : GDB_MORE;
}

static enum gdb_event check_byte(struct gdb_parser *p, uint8_t byte)
{
    int digit = hex_digit(byte);

    p->bad |= digit < 0;
    p->check = (uint8_t)(p->check << 4 | (digit & 15));
    if (p->state == PARSE_CHECK1) {
        p->state = PARSE_CHECK2;
        return GDB_MORE;
    }
    p->state = PARSE_IDLE;
    if (p->bad || p->check != p->sum)
        return junk(p, GDB_BAD);
    p->data[p->len] = '\0';
    p->junk = 0;
    return GDB_PACKET;
}

enum gdb_event gdb_parser_byte(struct gdb_parser *p, uint8_t byte)
{
    switch (p->state) {
    case PARSE_IDLE:
        return idle_byte(p, byte);
    case PARSE_DATA:
    case PARSE_ESCAPE:
        return data_byte(p, byte);
    default:
        return check_byte(p, byte);
    }
}

/* ---- replies ---- */
static void put(struct gdb_reply *r, char c)
{
    if (r->len < sizeof(r->data) - 4) /* room for the checksum */
        r->data[r->len++] = c;
}

void gdb_reply_start(struct gdb_reply *r)
{
    r->len = 0;
    put(r, '$');
}

void gdb_reply_text(struct gdb_reply *r, const char *fmt, ...)
{
    char text[256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    for (const char *c = text; *c; c++)
        put(r, *c);
}

void gdb_reply_hex(struct gdb_reply *r, const void *bytes, size_t n)
{
    static const char digit[] = "0123456789abcdef";
    const uint8_t *b = bytes;

    for (size_t i = 0; i < n; i++) {
        put(r, digit[b[i] >> 4]);
        put(r, digit[b[i] & 15]);
    }
}

void gdb_reply_binary(struct gdb_reply *r, const void *bytes, size_t n)
{
    const char *b = bytes;

    for (size_t i = 0; i < n; i++) {
        if (strchr("#$}*", b[i]) && b[i]) {
            put(r, '}');
            put(r, b[i] ^ 0x20);
        } else {
            put(r, b[i]);
        }
    }
}

void gdb_reply_end(struct gdb_reply *r)
{
    uint8_t sum = 0;

    for (size_t i = 1; i < r->len; i++)
        sum = (uint8_t)(sum + (uint8_t)r->data[i]);
    snprintf(r->data + r->len, 4, "#%02x", sum);
    r->len += 3;
}

/* ---- numbers ---- */
bool gdb_number(const char **s, uint64_t *value)
{
    const char *p = *s;
    uint64_t v = 0;
    int d;

    while ((d = hex_digit((uint8_t)*p)) >= 0) {
        if (v >> 60)
            return false;
        v = v << 4 | (unsigned)d;
        p++;
    }
    if (p == *s)
        return false;
    *s = p;
    *value = v;
    return true;
}

bool gdb_bytes(const char *s, void *out, size_t n)
{
    uint8_t *b = out;

    for (size_t i = 0; i < n; i++) {
        int high = hex_digit((uint8_t)s[2 * i]);
        int low = high < 0 ? -1 : hex_digit((uint8_t)s[2 * i + 1]);

        if (low < 0)
            return false;
        b[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
