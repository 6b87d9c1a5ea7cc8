/* SPDX-License-Identifier: MIT */
/*
 * Framing of the debugger's protocol: what is a packet, what is not, and that no stream of bytes,
 * however hostile, gets the parser out of its buffer.
 */
#include "gdb/gdb_packet.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gdb_parser parser;
static struct gdb_reply reply;

static void reset(void)
{
    memset(&parser, 0, sizeof(parser));
}

/* The last event of a stream that is not GDB_MORE. */
static enum gdb_event feed(const void *bytes, size_t n)
{
    enum gdb_event last = GDB_MORE;

    for (size_t i = 0; i < n; i++) {
        enum gdb_event e = gdb_parser_byte(&parser, ((const uint8_t *)bytes)[i]);

        if (e != GDB_MORE)
            last = e;
    }
    return last;
}

static enum gdb_event feed_text(const char *text)
{
    return feed(text, strlen(text));
}

TestSuite(gdb_packet, .init = reset);

Test(gdb_packet, good)
{
    cr_expect_eq(feed_text("+$g#67"), GDB_PACKET);
    cr_expect_str_eq(parser.data, "g");
    cr_expect_eq(feed_text("$#00"), GDB_PACKET, "an empty packet is one");
    cr_expect_eq(parser.len, 0);
    cr_expect_eq(feed_text("$j#6A"), GDB_PACKET, "capital checksum");
}

Test(gdb_packet, checksum)
{
    cr_expect_eq(feed_text("$g#68"), GDB_BAD);
    cr_expect_eq(feed_text("$g#6g"), GDB_BAD);
    cr_expect_eq(feed_text("$g#g7"), GDB_BAD);
    cr_expect_eq(feed_text("$g#67"), GDB_PACKET, "the next one is good again");
}

Test(gdb_packet, escapes)
{
    /* "}" escapes the byte after it, xor 0x20; the checksum is of what was sent. */
    cr_expect_eq(feed_text("$X}\x03}\x04}]#33"), GDB_PACKET);
    cr_expect_eq(parser.len, 4);
    cr_expect_arr_eq(parser.data, "X#$}", 4);
    cr_expect_eq(feed_text("$}#7d"), GDB_BAD, "nothing to escape");
}

Test(gdb_packet, nul_inside)
{
    static const uint8_t sent[] = {'$', 'X', 0, 'a', '#', 'b', '9'};

    cr_expect_eq(feed(sent, sizeof(sent)), GDB_PACKET);
    cr_expect_eq(parser.len, 3);
}

Test(gdb_packet, restart)
{
    cr_expect_eq(feed_text("$gibberi$g#67"), GDB_PACKET, "a $ begins a packet anew");
    cr_expect_str_eq(parser.data, "g");
}

Test(gdb_packet, out_of_band)
{
    cr_expect_eq(feed_text("\x03"), GDB_INTERRUPT);
    cr_expect_eq(feed_text("-"), GDB_NAK);
    cr_expect_eq(feed_text("+"), GDB_MORE);
    cr_expect_eq(feed_text("$a\x03#64"), GDB_PACKET, "inside a packet it is data");
}

Test(gdb_packet, too_long)
{
    static char big[GDB_PACKET_MAX + 8];
    uint8_t sum = 0;

    big[0] = '$';
    memset(big + 1, 'a', GDB_PACKET_MAX + 1);
    for (size_t i = 0; i < GDB_PACKET_MAX; i++)
        sum = (uint8_t)(sum + 'a');
    snprintf(big + 1 + GDB_PACKET_MAX, 4, "#%02x", sum);
    cr_expect_eq(feed(big, GDB_PACKET_MAX + 4), GDB_PACKET, "just fits");
    cr_expect_eq(parser.len, GDB_PACKET_MAX);
    cr_expect_eq(parser.data[GDB_PACKET_MAX], '\0');
    memset(big + 1, 'a', GDB_PACKET_MAX + 1);
    snprintf(big + 2 + GDB_PACKET_MAX, 4, "#%02x", (sum + 'a') & 0xff);
    cr_expect_eq(feed(big, GDB_PACKET_MAX + 5), GDB_BAD, "one byte too many");
}

/* Whatever speaks something else is told apart after a bounded number of bytes. */
Test(gdb_packet, garbage)
{
    static const char *const junk[] = {"GET / HTTP/1.1\r\n", "\x03", "-", "$$", "$x#00",
                                       "$aaaaaaaa"};

    for (size_t j = 0; j < ARRAY_SIZE(junk); j++) {
        unsigned rounds = 0;

        reset();
        while (feed_text(junk[j]) != GDB_GARBAGE)
            cr_assert_lt(++rounds, 200000, "%s goes on for ever", junk[j]);
    }
}

Test(gdb_packet, random_bytes)
{
    static const char alphabet[] = "$$##}}+-\x03m0aZ,:;f9\xff";
    unsigned seed = 1, packets = 0;

    for (unsigned i = 0; i < 2000000; i++) {
        uint8_t byte = (uint8_t)alphabet[(unsigned)rand_r(&seed) % (sizeof(alphabet) - 1)];
        enum gdb_event e = gdb_parser_byte(&parser, byte);

        cr_assert_leq(parser.len, GDB_PACKET_MAX);
        if (e == GDB_PACKET) {
            packets++;
            cr_assert_eq(parser.data[parser.len], '\0');
        }
    }
    cr_expect_gt(packets, 0);
}

Test(gdb_packet, replies)
{
    gdb_reply_start(&reply);
    gdb_reply_text(&reply, "OK%u", 1);
    gdb_reply_hex(&reply, "\x01\xfe", 2);
    gdb_reply_binary(&reply, "a#}$*\0", 6);
    gdb_reply_end(&reply);
    cr_expect_eq(feed(reply.data, reply.len), GDB_PACKET, "our own parser takes it");
    cr_expect_eq(parser.len, 13);
    cr_expect_arr_eq(parser.data, "OK101fea#}$*", 13);
}

Test(gdb_packet, reply_too_long)
{
    static uint8_t bytes[4 * GDB_PACKET_MAX];

    gdb_reply_start(&reply);
    gdb_reply_hex(&reply, bytes, sizeof(bytes));
    gdb_reply_binary(&reply, bytes, sizeof(bytes));
    gdb_reply_end(&reply);
    cr_expect_leq(reply.len, sizeof(reply.data));
    cr_expect_eq(reply.data[reply.len - 3], '#');
}

Test(gdb_packet, numbers)
{
    const char *s = "ffffffffffffffff,";
    uint64_t v;

    cr_expect(gdb_number(&s, &v));
    cr_expect_eq(v, UINT64_MAX);
    cr_expect_eq(*s, ',');
    cr_expect_not(gdb_number(&s, &v), "no digit");
    s = "10000000000000000";
    cr_expect_not(gdb_number(&s, &v), "65 bits");
}

Test(gdb_packet, bytes)
{
    uint8_t out[2];

    cr_expect(gdb_bytes("0aFf", out, 2));
    cr_expect_arr_eq(out, "\x0a\xff", 2);
    cr_expect_not(gdb_bytes("0aF", out, 2), "half a byte");
    cr_expect_not(gdb_bytes("0a", out, 2), "too short");
    cr_expect_not(gdb_bytes("0aXX", out, 2));
}
