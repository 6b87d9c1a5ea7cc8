/* SPDX-License-Identifier: MIT */
/*
 * Services of the goldfish pipe whose messages, both ways, begin with their length in four
 * hexadecimal digits: the properties that the guest sets while it boots, and some that are only
 * taken note of, so that the guest's programs find somebody and wait no longer: lights and vibrator
 * (hw-control), sensors (there are none), a place on earth (never known).
 *
 * Called with the pipe's lock held. A message that cannot be right ends the connection.
 */
#include "goldfish_service.h"

#include <stdio.h>
#include <string.h>

#define LENGTH_DIGITS 4u
#define MESSAGE_MAX   4096u

static bool send_message(struct goldfish_stream *s, const char *text, size_t len)
{
    char head[LENGTH_DIGITS + 1];

    snprintf(head, sizeof head, "%04x", (unsigned)len & 0xffff);
    return len <= MESSAGE_MAX && goldfish_stream_room(s) >= LENGTH_DIGITS + len &&
           goldfish_stream_put(s, head, LENGTH_DIGITS) && goldfish_stream_put(s, text, len);
}

/* -1: these are no digits. */
static int parse_length(const char digit[LENGTH_DIGITS])
{
    int value = 0;

    for (unsigned i = 0; i < LENGTH_DIGITS; i++) {
        const char *digits = "0123456789abcdef", *at;
        char c = digit[i] >= 'A' && digit[i] <= 'F' ? (char)(digit[i] + 'a' - 'A') : digit[i];
        at = c != '\0' ? strchr(digits, c) : NULL;
        if (at == NULL) {
            return -1;
        }
        value = value * 16 + (int)(at - digits);
    }
    return value;
}

/* One whole message, if there is: its length, -1 when there is none (yet). */
static int take_message(struct goldfish_stream *s, char text[MESSAGE_MAX + LENGTH_DIGITS])
{
    char head[LENGTH_DIGITS];

    if (goldfish_stream_peek(s, head, sizeof head) < sizeof head) {
        return -1;
    }
    int len = parse_length(head);
    if (len < 0 || len > (int)MESSAGE_MAX) {
        goldfish_stream_hang_up(s);
        return -1;
    }
    size_t whole = LENGTH_DIGITS + (size_t)len;
    if (goldfish_stream_peek(s, text, whole) < whole) {
        return -1;
    }
    memmove(text, text + LENGTH_DIGITS, (size_t)len);
    goldfish_stream_skip(s, whole);
    return len;
}

static bool is(const char *text, int len, const char *word)
{
    return (size_t)len == strlen(word) && memcmp(text, word, (size_t)len) == 0;
}

static bool open_any(struct goldfish_stream *s, const char *arguments)
{
    (void)s;
    (void)arguments;
    return true;
}

/* ---- boot-properties: "list" is answered with one message each, and an empty string ---- */
static void list_properties(struct goldfish_stream *s)
{
    const struct goldfish_services *services = goldfish_stream_services(s);
    bool ok = true;

    for (unsigned i = 0; ok && i < services->nprops; i++) {
        ok = send_message(s, services->prop[i], strlen(services->prop[i]));
    }
    if (!ok || !send_message(s, "", 1)) {
        goldfish_stream_hang_up(s); /* it does not read what it asks for */
    }
}

static void properties_received(struct goldfish_stream *s)
{
    char text[MESSAGE_MAX + LENGTH_DIGITS];

    for (int len; (len = take_message(s, text)) >= 0;) {
        if (is(text, len, "list")) {
            list_properties(s);
        }
    }
}

/* ---- sensors ---- */
static void sensors_received(struct goldfish_stream *s)
{
    char text[MESSAGE_MAX + LENGTH_DIGITS];

    for (int len; (len = take_message(s, text)) >= 0;) {
        bool ok = true;
        if (is(text, len, "list-sensors")) {
            ok = send_message(s, "0", 1); /* a mask */
        } else if (is(text, len, "wake")) {
            ok = send_message(s, "wake", 4); /* ends a read that waits for values */
        }
        if (!ok) {
            goldfish_stream_hang_up(s);
        }
    }
}

/* ---- what needs no answer ---- */
static void ignore_received(struct goldfish_stream *s)
{
    char text[MESSAGE_MAX + LENGTH_DIGITS];

    while (take_message(s, text) >= 0) {
    }
}

const struct goldfish_service goldfish_boot_properties = {
    .name = "qemud:boot-properties", .open = open_any, .received = properties_received};
const struct goldfish_service goldfish_sensors = {
    .name = "qemud:sensors", .open = open_any, .received = sensors_received};
const struct goldfish_service goldfish_hw_control = {
    .name = "qemud:hw-control", .open = open_any, .received = ignore_received};
const struct goldfish_service goldfish_gps = {
    .name = "qemud:gps", .open = open_any, .received = ignore_received};
