/* SPDX-License-Identifier: MIT */
/*
 * The human monitor's line: what is typed becomes lines, lines become commands. On a terminal
 * (echo) the line can be edited: backspace, Ctrl-U, Ctrl-W, Ctrl-C, and the arrow keys for earlier
 * lines. Clients on sockets send whole lines and get no echo. Monitor thread.
 */
#include "monitor_internal.h"

#include <stdlib.h>
#include <string.h>

#define PROMPT "(umbra) "

static void show(struct session *s, const char *text)
{
    session_send(s, text, strlen(text));
}

static void echo(struct session *s, const char *text, size_t len)
{
    if (s->human.echo) {
        session_send(s, text, len);
    }
}

void human_greet(struct session *s)
{
    if (!s->human.greeted) {
        show(s, "Umbra " UMBRA_VERSION " monitor - \"help\" lists the commands\r\n");
        s->human.greeted = true;
    } else {
        show(s, "\r\n");
    }
    show(s, PROMPT);
    session_send(s, s->human.line, s->human.len);
}

void human_free(struct human *h)
{
    for (unsigned i = 0; i < h->nhistory; i++) {
        free(h->history[i]);
    }
    h->nhistory = 0;
}

/* ---- history: the newest line last ---- */
static void remember(struct human *h)
{
    if (h->len == 0 || (h->nhistory > 0 && strcmp(h->history[h->nhistory - 1], h->line) == 0)) {
        return;
    }
    char *copy = strdup(h->line);
    if (copy == NULL) {
        return;
    }
    if (h->nhistory == HUMAN_HISTORY) {
        free(h->history[0]);
        memmove(h->history, h->history + 1, (HUMAN_HISTORY - 1) * sizeof h->history[0]);
        h->nhistory--;
    }
    h->history[h->nhistory++] = copy;
}

static void erase(struct session *s, size_t n)
{
    while (n-- > 0) {
        s->human.len--;
        echo(s, "\b \b", 3);
    }
}

static void recall(struct session *s, bool older)
{
    struct human *h = &s->human;
    unsigned back = older ? h->recalled + 1 : h->recalled - 1;

    if ((older && back > h->nhistory) || (!older && h->recalled == 0)) {
        return;
    }
    erase(s, h->len);
    h->recalled = back;
    const char *line = back == 0 ? "" : h->history[h->nhistory - back];
    h->len = strlen(line);
    memcpy(h->line, line, h->len);
    echo(s, line, h->len);
}

/* ---- lines ---- */
static void run_line(struct session *s)
{
    struct human *h = &s->human;

    h->line[h->len] = '\0';
    if (h->overflow) {
        show(s, "error: a command has at most 1023 characters\r\n");
    } else {
        remember(h);
        char *out = human_run(s->mon->vm, &h->cpu, h->line);
        show(s, out != NULL ? out : "error: out of memory\r\n");
        free(out);
    }
    h->len = 0;
    h->recalled = 0;
    h->overflow = false;
    show(s, PROMPT);
}

static void erase_word(struct session *s)
{
    const struct human *h = &s->human;
    size_t n = 0;

    while (n < h->len && h->line[h->len - 1 - n] == ' ') {
        n++;
    }
    while (n < h->len && h->line[h->len - 1 - n] != ' ') {
        n++;
    }
    erase(s, n);
}

static void append(struct session *s, char c)
{
    struct human *h = &s->human;

    if (h->len + 1 >= sizeof h->line) {
        h->overflow = true;
        return;
    }
    h->line[h->len++] = c;
    echo(s, &c, 1);
}

enum { CTRL_C = 3, BACKSPACE = 8, CTRL_U = 0x15, CTRL_W = 0x17, ESCAPE = 0x1b, DELETE = 0x7f };

/* An arrow key is ESC [ A or B; other sequences are passed over. */
static void escape_key(struct session *s, char c)
{
    struct human *h = &s->human;

    if (h->escape == 1) {
        h->escape = c == '[' || c == 'O' ? 2 : 0;
    } else if (c >= '@' && c <= '~') {
        h->escape = 0;
        if (c == 'A' || c == 'B') {
            recall(s, c == 'A');
        }
    }
}

static void key(struct session *s, char c)
{
    struct human *h = &s->human;

    if (h->escape != 0) {
        escape_key(s, c);
        return;
    }
    switch (c) {
    case '\r':
    case '\n':
        if (c == '\n' && !h->echo && h->len == 0 && !h->overflow) {
            break; /* the second half of CR LF */
        }
        echo(s, "\r\n", 2);
        run_line(s);
        break;
    case BACKSPACE:
    case DELETE: erase(s, h->len > 0); break;
    case CTRL_U: erase(s, h->len); break;
    case CTRL_W: erase_word(s); break;
    case CTRL_C:
        h->len = 0;
        echo(s, "\r\n" PROMPT, sizeof "\r\n" PROMPT - 1);
        break;
    case ESCAPE: h->escape = 1; break;
    default:
        if ((unsigned char)c >= ' ') {
            append(s, c);
        }
        break;
    }
}

void human_receive(struct session *s, const char *buf, size_t len)
{
    for (size_t i = 0; i < len && !s->dead; i++) {
        key(s, buf[i]);
    }
}
