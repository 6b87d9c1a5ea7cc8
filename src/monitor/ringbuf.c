/* SPDX-License-Identifier: MIT */
/*
 * Commands of both monitors for -chardev ringbuf: read and write its contents, as text or, for
 * programs, in base64 (RFC 4648). Monitor thread.
 */
#include "monitor_internal.h"

#include "io/chardev.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NO_UTF8  "\xef\xbf\xbd" /* U+FFFD stands for what is none */
#define READ_MAX ((size_t)1 << 20)

/* ---- text ---- */
/* Bytes of the UTF-8 character at p; 0: it is none. */
static size_t utf8_length(const uint8_t *p, size_t left)
{
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3
               : p[0] < 0xf5 ? 4 : 0;

    for (size_t i = 1; i < n; i++) {
        if (i >= left || (p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool wrong = n > 1 && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
                           (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f));

    return wrong ? 0 : n;
}

/* What is no UTF-8 becomes U+FFFD. */
static json_t *text_json(const uint8_t *buf, size_t len)
{
    char *text = malloc(3 * len + 1);
    size_t n = 0;

    if (text == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < len;) {
        size_t part = utf8_length(buf + i, len - i);
        memcpy(text + n, part != 0 ? (const char *)buf + i : NO_UTF8, part != 0 ? part : 3);
        n += part != 0 ? part : 3;
        i += part != 0 ? part : 1;
    }
    json_t *string = json_stringn(text, n);
    free(text);
    return string;
}

/* ---- base64 ---- */
static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static json_t *base64_json(const uint8_t *buf, size_t len)
{
    char *text = malloc((len + 2) / 3 * 4 + 1), *p = text;

    if (text == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < len; i += 3) {
        uint32_t w = (uint32_t)buf[i] << 16 | (i + 1 < len ? (uint32_t)buf[i + 1] << 8 : 0) |
                     (i + 2 < len ? buf[i + 2] : 0);
        *p++ = digits[w >> 18];
        *p++ = digits[w >> 12 & 63];
        *p++ = i + 1 < len ? digits[w >> 6 & 63] : '=';
        *p++ = i + 2 < len ? digits[w & 63] : '=';
    }
    json_t *string = json_stringn(text, (size_t)(p - text));
    free(text);
    return string;
}

/* In place; how many bytes, or -1: it is not base64. */
static ssize_t base64_decode(uint8_t *p, size_t len)
{
    size_t n = 0, pad = len > 0 && p[len - 1] == '=' ? 1u + (len > 1 && p[len - 2] == '=') : 0;

    if (len % 4 != 0) {
        return -1;
    }
    for (size_t i = 0; i < len; i += 4) {
        uint32_t w = 0;
        for (size_t k = i; k < i + 4; k++) {
            const char *at = k < len - pad && p[k] != '\0' ? strchr(digits, p[k]) : digits;
            if (at == NULL || (k < len - pad && p[k] == '\0')) {
                return -1;
            }
            w = w << 6 | (uint32_t)(at - digits);
        }
        p[n++] = (uint8_t)(w >> 16);
        p[n++] = (uint8_t)(w >> 8);
        p[n++] = (uint8_t)w;
    }
    return (ssize_t)(n - pad);
}

/* ---- the control socket ---- */
/* "utf8" (also when it is missing) or "base64". */
static bool parse_format(json_t *args, bool *base64, json_t **error)
{
    json_t *f = json_object_get(args, "format");
    const char *name = f != NULL ? json_string_value(f) : "utf8";

    *base64 = name != NULL && strcmp(name, "base64") == 0;
    if (*base64 || (name != NULL && strcmp(name, "utf8") == 0)) {
        return true;
    }
    *error = control_error("GenericError", "format must be \"utf8\" or \"base64\"");
    return false;
}

static json_t *no_buffer(json_t **error, const char *id)
{
    *error = control_error("GenericError", "no port has a ring buffer with the id '%s'", id);
    return NULL;
}

json_t *control_ringbuf_read(struct vm *vm, json_t *args, json_t **error)
{
    const char *id = json_string_value(json_object_get(args, "device"));
    json_t *number = json_object_get(args, "size");
    json_int_t size = json_integer_value(number);
    bool base64;

    (void)vm;
    if (id == NULL || !json_is_integer(number) || size <= 0) {
        *error = control_error("GenericError", "device must be a string and size a number above 0");
        return NULL;
    }
    if (!parse_format(args, &base64, error)) {
        return NULL;
    }
    size_t len = (uint64_t)size < READ_MAX ? (size_t)size : READ_MAX;
    uint8_t *buf = malloc(len);
    if (buf == NULL || chardev_ringbuf_read(id, buf, &len) != 0) {
        free(buf);
        return no_buffer(error, id);
    }
    json_t *string = base64 ? base64_json(buf, len) : text_json(buf, len);
    free(buf);
    return string;
}

json_t *control_ringbuf_write(struct vm *vm, json_t *args, json_t **error)
{
    const char *id = json_string_value(json_object_get(args, "device"));
    json_t *data = json_object_get(args, "data");
    size_t len = json_string_length(data);
    bool base64;

    (void)vm;
    if (id == NULL || !json_is_string(data)) {
        *error = control_error("GenericError", "device and data must be strings");
        return NULL;
    }
    if (!parse_format(args, &base64, error)) {
        return NULL;
    }
    uint8_t *buf = malloc(len + 1);
    if (buf == NULL) {
        return no_buffer(error, id);
    }
    memcpy(buf, json_string_value(data), len);
    ssize_t n = base64 ? base64_decode(buf, len) : (ssize_t)len;
    int err = n >= 0 ? chardev_ringbuf_add(id, buf, (size_t)n) : 0;
    free(buf);
    if (n < 0) {
        *error = control_error("GenericError", "data is not base64");
        return NULL;
    }
    return err != 0 ? no_buffer(error, id) : json_object();
}

/* ---- for people ---- */
/* The first word of the arguments; what follows it in *rest. */
static char *take_word(const char *args, const char **rest)
{
    size_t n = strcspn(args, " \t");

    *rest = args + n + strspn(args + n, " \t");
    return strndup(args, n);
}

static void tell(struct command_call *c, const char *id, int err)
{
    if (err != 0) {
        fprintf(c->out, "error: no port has a ring buffer with the id %s\n", id);
    }
}

void human_ringbuf_write(struct command_call *c)
{
    const char *data;
    char *id = take_word(c->args, &data);

    if (id == NULL || *id == '\0' || *data == '\0') {
        fputs("error: ringbuf_write takes an id and a text\n", c->out);
    } else {
        tell(c, id, chardev_ringbuf_add(id, (const uint8_t *)data, strlen(data)));
    }
    free(id);
}

static void show(FILE *f, const uint8_t *buf, size_t len)
{
    for (size_t i = 0, n; i < len; i += n != 0 ? n : 1) {
        n = utf8_length(buf + i, len - i);
        if (n == 0) {
            fputs(NO_UTF8, f);
        } else if (buf[i] == '\\') {
            fputs("\\\\", f);
        } else if ((buf[i] < 0x20 && buf[i] != '\n') || buf[i] == 0x7f) {
            fprintf(f, "\\u%04X", buf[i]);
        } else {
            fwrite(buf + i, 1, n, f);
        }
    }
    fputc('\n', f);
}

void human_ringbuf_read(struct command_call *c)
{
    const char *number;
    char *id = take_word(c->args, &number), *end;
    unsigned long size = strtoul(number, &end, 10);
    size_t len = size < READ_MAX ? size : READ_MAX;
    uint8_t *buf = malloc(len + 1);

    if (id == NULL || buf == NULL || *number < '1' || *number > '9' || *end != '\0') {
        fputs("error: ringbuf_read takes an id and a number of bytes\n", c->out);
    } else {
        int err = chardev_ringbuf_read(id, buf, &len);
        tell(c, id, err);
        if (err == 0) {
            show(c->out, buf, len);
        }
    }
    free(buf);
    free(id);
}
