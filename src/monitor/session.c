/* SPDX-License-Identifier: MIT */
/*
 * One client of a monitor: its output, which waits here when the client reads slowly, and the way
 * of its input to what the session speaks. Monitor thread.
 *
 * A client that does not read what it asked for is no longer listened to; one that does not even
 * read events is dropped. Nobody ever waits for it.
 */
#include "monitor_internal.h"

#include <stdlib.h>
#include <string.h>

struct session *session_create(struct monitor *m, enum monitor_mode mode, const struct transport *t)
{
    struct session *s = calloc(1, sizeof *s);

    if (s == NULL) {
        return NULL;
    }
    s->mon = m;
    s->mode = mode;
    s->transport = t;
    s->fd = -1;
    s->listening = true;
    s->next = m->sessions;
    m->sessions = s;
    return s;
}

void session_greet(struct session *s)
{
    if (s->mode == MONITOR_CONTROL) {
        control_greet(s);
    } else {
        human_greet(s);
    }
}

void session_destroy(struct session *s)
{
    struct session **at = &s->mon->sessions;

    while (*at != s) {
        at = &(*at)->next;
    }
    *at = s->next;
    s->transport->close(s);
    human_free(&s->human);
    control_free(&s->control);
    free(s->out);
    free(s);
}

void session_settle(struct session *s)
{
    if (s->dead && s->transport->lasting) {
        s->dead = false;
        s->out_len = s->out_at = 0;
    } else if (s->dead) {
        session_destroy(s);
    }
}

void session_receive(struct session *s, const char *buf, size_t len)
{
    if (s->mode == MONITOR_CONTROL) {
        control_receive(s, buf, len);
    } else {
        human_receive(s, buf, len);
    }
}

/* ---- output ---- */
/* Room for len more bytes behind what waits. */
static bool reserve(struct session *s, size_t len)
{
    if (s->out_at > 0) {
        memmove(s->out, s->out + s->out_at, s->out_len);
        s->out_at = 0;
    }
    if (s->out_room - s->out_len >= len) {
        return true;
    }
    size_t room = s->out_len + len + 4096;
    char *out = realloc(s->out, room);
    if (out == NULL) {
        return false;
    }
    s->out = out;
    s->out_room = room;
    return true;
}

void session_writable(struct session *s)
{
    while (s->out_len > 0 && !s->dead) {
        ssize_t n = s->transport->write(s, s->out + s->out_at, s->out_len);
        if (n < 0) {
            s->dead = true;
        } else if (n == 0) {
            break;
        } else {
            s->out_at += (size_t)n;
            s->out_len -= (size_t)n;
        }
    }
    if (s->out_len == 0) {
        free(s->out);
        s->out = NULL;
        s->out_at = s->out_room = 0;
        s->dead |= s->ending;
    }
    s->listening = s->out_len <= SESSION_OUT_HIGH;
    s->transport->update(s);
}

void session_send(struct session *s, const char *buf, size_t len)
{
    if (s->dead || s->out_len + len > SESSION_OUT_MAX || !reserve(s, len)) {
        s->dead = true;
        return;
    }
    memcpy(s->out + s->out_len, buf, len);
    s->out_len += len;
    session_writable(s);
}
