/* SPDX-License-Identifier: MIT */
/*
 * Packets of the remote serial protocol, "$data#xx": taking them out of a hostile byte stream, and
 * building replies. No I/O. See "Remote Protocol" in the manual of GDB.
 */
#pragma once

#include "base/types.h"

#define GDB_PACKET_MAX 16384 /* bytes of data, as announced (PacketSize) */

enum gdb_event {
    GDB_MORE,      /* nothing complete yet */
    GDB_PACKET,    /* data, len: acknowledge and execute */
    GDB_BAD,       /* checksum or length wrong: ask for it again */
    GDB_NAK,       /* the peer wants our last packet again */
    GDB_INTERRUPT, /* the byte 0x03 outside of packets */
    GDB_GARBAGE,   /* no debugger talks like that */
};

struct gdb_parser {
    enum { PARSE_IDLE, PARSE_DATA, PARSE_ESCAPE, PARSE_CHECK1, PARSE_CHECK2 } state;
    char data[GDB_PACKET_MAX + 1]; /* unescaped, a NUL behind it */
    size_t len;
    uint64_t junk; /* bytes that belonged to no good packet, since the last one */
    uint8_t sum, check;
    bool bad; /* too long, or not hexadecimal where it must be */
};
enum gdb_event gdb_parser_byte(struct gdb_parser *p, uint8_t byte);

/* A packet in the making. What does not fit is cut off: callers bound what they add. */
struct gdb_reply {
    char data[2 * GDB_PACKET_MAX + 8];
    size_t len;
};
void gdb_reply_start(struct gdb_reply *r); /* "$" */
void gdb_reply_text(struct gdb_reply *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
void gdb_reply_hex(struct gdb_reply *r, const void *bytes, size_t n);
void gdb_reply_binary(struct gdb_reply *r, const void *bytes, size_t n); /* escaped */
void gdb_reply_end(struct gdb_reply *r);                                 /* "#xx" */

/* The value of a hexadecimal number at *s, which moves behind it; false when there is none or it
   has more than 64 bits. */
bool gdb_number(const char **s, uint64_t *value);
/* 2 * n hexadecimal digits; false when there are fewer. */
bool gdb_bytes(const char *s, void *out, size_t n);
