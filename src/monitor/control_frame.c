/* SPDX-License-Identifier: MIT */
/*
 * Cuts what a client of the control socket sends into JSON texts: an object or array from its first
 * bracket to the one that closes it. What cannot begin a text, a control character inside a string
 * and a text that is too long are reported once, and skipped to the end of their line; so a client
 * that sends garbage is told, and one that sends a newline starts afresh. Pure but for its buffer.
 */
#include "monitor_internal.h"

#include <stdlib.h>
#include <string.h>

#define FORGET 0xffu /* some clients send it to make the other side forget half a text */

static void start_over(struct frame *f)
{
    f->len = 0;
    f->depth = 0;
    f->in_string = f->escaped = false;
}

void frame_free(struct frame *f)
{
    free(f->text);
    *f = (struct frame){0};
}

static bool keep(struct frame *f, char c)
{
    if (f->len == f->room) {
        size_t room = f->room != 0 ? 2 * f->room : 512;
        char *text = room <= FRAME_MAX ? realloc(f->text, room) : NULL;
        if (text == NULL) {
            return false;
        }
        f->text = text;
        f->room = room;
    }
    f->text[f->len++] = c;
    return true;
}

/* A byte inside a text; false: no JSON text has it there. */
static bool inside(struct frame *f, unsigned char c)
{
    if (f->in_string) {
        if (c < ' ') {
            return false;
        }
        f->in_string = f->escaped || c != '"';
        f->escaped = !f->escaped && c == '\\';
        return true;
    }
    if (c == '{' || c == '[') {
        f->depth++;
    } else if (c == '}' || c == ']') {
        f->depth--;
    }
    f->in_string = c == '"';
    return true;
}

/* A byte between texts: a blank, or the beginning of one. */
static bool outside(struct frame *f, char c)
{
    if (c == '{' || c == '[') {
        f->len = 0;
        f->depth = 1;
        return true;
    }
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static enum frame_result skip(struct frame *f, char c, enum frame_result why)
{
    start_over(f);
    f->garbage = c != '\n';
    return why;
}

enum frame_result frame_take(struct frame *f, const char **buf, size_t *len)
{
    while (*len > 0) {
        char c = *(*buf)++;
        bool was_inside = f->depth > 0;
        (*len)--;
        if (f->garbage) {
            f->garbage = c != '\n';
            continue;
        }
        if ((unsigned char)c == FORGET) {
            start_over(f);
            continue;
        }
        if (!(was_inside ? inside(f, (unsigned char)c) : outside(f, c))) {
            return skip(f, c, FRAME_GARBAGE);
        }
        if (!was_inside && f->depth == 0) {
            continue; /* a blank */
        }
        if (!keep(f, c)) {
            return skip(f, c, FRAME_TOO_LONG);
        }
        if (f->depth == 0) {
            return FRAME_TEXT;
        }
    }
    return FRAME_MORE;
}
