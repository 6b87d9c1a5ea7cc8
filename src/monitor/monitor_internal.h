/* SPDX-License-Identifier: MIT */
/*
 * Private to src/monitor: sessions (one for each client), where they come from, what they speak.
 *
 * Threads: all of it belongs to the monitor thread (monitor.loop) once that runs; other threads
 * only post to it (vm events, keys typed at a shared console). So there are no locks here.
 */
#pragma once

#include "monitor/monitor.h"

#include <jansson.h>
#include <stdio.h>

struct chardev;
struct io_loop;
struct listener;
struct metrics;
struct session;
struct vm_event;

struct monitor {
    struct vm *vm;
    struct io_loop *loop;
    struct listener *listeners;
    struct session *sessions;
    bool started;            /* the loop runs */
    struct metrics *metrics;
};

/* ---- session.c: one client ---- */
/* Bytes that wait for a client: above HIGH we stop listening to it, above MAX it is dropped. */
#define SESSION_OUT_HIGH ((size_t)256 << 10)
#define SESSION_OUT_MAX  ((size_t)8 << 20)

/* How a session's bytes travel. */
struct transport {
    /* How many bytes were taken; less than len: session_writable() follows. -errno: it is gone. */
    ssize_t (*write)(struct session *s, const char *buf, size_t len);
    /* Output was queued or sent, or s->listening changed: wait for the right things. */
    void (*update)(struct session *s);
    bool lasting; /* a terminal: a client that does not read loses output, not the session */
    int (*poll_fd)(const struct session *s);    /* to wait on for room at the end; -1: none */
    void (*close)(struct session *s);
};

#define HUMAN_LINE    1024u
#define HUMAN_HISTORY 32u
struct human {
    unsigned cpu;   /* that `cpu N` chose */
    bool echo;      /* a terminal: we show what is typed */
    bool greeted;
    bool overflow;  /* the line is longer than HUMAN_LINE; it is refused at its end */
    unsigned escape; /* bytes of an escape sequence seen */
    char line[HUMAN_LINE];
    size_t len;
    char *history[HUMAN_HISTORY];
    unsigned nhistory, recalled; /* recalled: how far back the arrow key has gone */
};

/* Cuts a stream of bytes into JSON texts (control_frame.c). */
struct frame {
    char *text;
    size_t len, room;
    unsigned depth;
    bool in_string, escaped;
    bool garbage; /* skipping to the end of the line after something that cannot be JSON */
};

struct control {
    struct frame frame;
    bool negotiated; /* qmp_capabilities was given */
    bool pretty;
};

struct session {
    struct session *next;
    struct monitor *mon;
    enum monitor_mode mode;
    const struct transport *transport;
    int fd;                 /* sockets */
    uint32_t events;        /* what the loop waits for there */
    struct chardev *chr;    /* character back ends */
    char *out;              /* what waits to be sent: out_len bytes from out_at */
    size_t out_at, out_len, out_room;
    bool listening;
    bool ending;            /* the client sends no more: close when all is sent */
    bool dead;              /* see session_settle() */
    struct human human;
    struct control control;
};

/* A new session in m->sessions; NULL without memory. */
struct session *session_create(struct monitor *m, enum monitor_mode mode,
                               const struct transport *t);
void session_greet(struct session *s);
void session_destroy(struct session *s);
/* Ends every call into a session from outside: a dead one is destroyed, or goes on (`lasting`). */
void session_settle(struct session *s);
void session_receive(struct session *s, const char *buf, size_t len);
void session_send(struct session *s, const char *buf, size_t len);
/* Send what waits; after the transport had no room. */
void session_writable(struct session *s);

/* ---- sockets.c, backends.c: where sessions come from ---- */
int sockets_open(struct monitor *m, enum monitor_mode mode, bool pretty, const char *spec)
    MUST_CHECK;
void sockets_close(struct monitor *m);
/* A character back end of our own. */
int backend_open(struct monitor *m, enum monitor_mode mode, bool pretty, const char *spec)
    MUST_CHECK;
/* The monitor behind the serial port's console. */
int backend_share_console(struct monitor *m) MUST_CHECK;

/* ---- human*.c ---- */
void human_greet(struct session *s);
void human_receive(struct session *s, const char *buf, size_t len);
void human_free(struct human *h);

/* What a command works with. */
struct command_call {
    struct vm *vm;
    unsigned *cpu;     /* the selected CPU; below vm->ncpus */
    const char *args;  /* without blanks around them */
    FILE *out;
};
/* Run one command line; its output, lines ending in CR LF, is malloc'd. NULL without memory. */
char *human_run(struct vm *vm, unsigned *cpu, const char *line);

typedef void command_fn(struct command_call *c);
struct command {
    const char *name; /* alternatives separated by '|' */
    const char *args, *help;
    command_fn *run;
    bool paused; /* run while the machine is paused */
};
const struct command *command_find(const struct command *table, size_t n, const char *name);
void command_list(FILE *f, const struct command *table, size_t n, const char *prefix);
void command_run(const struct command *cmd, struct command_call *c);

command_fn human_ringbuf_read, human_ringbuf_write; /* ringbuf.c */
command_fn human_screendump, human_sendkey; /* screen.c */
command_fn human_info, human_examine_virtual, human_examine_physical; /* human_info.c, _memory.c */

/* ---- human_expression.c ---- */
/*
 * Numbers (0x, decimal), registers of the CPU ($r0 ... $pc, $cpsr), + - * and parentheses. 0, or
 * -EINVAL and *why.
 */
struct vcpu;
int expression_value(const char *text, struct vcpu *v, uint64_t *out, const char **why) MUST_CHECK;

/* "/20xw": how many, how shown, how wide. */
struct examine_format {
    unsigned count;
    char show;     /* x d u o c i */
    unsigned size; /* 1 2 4 8 */
};
/* Reads the format at *text, if there is one, and moves past it; false: it is none. */
bool examine_format_parse(const char **text, struct examine_format *f);

/* ---- control*.c: JSON ---- */
#define FRAME_MAX ((size_t)1 << 20)
enum frame_result { FRAME_MORE, FRAME_TEXT, FRAME_GARBAGE, FRAME_TOO_LONG };
/* Take bytes from *buf until a text is complete (in f->text, f->len) or something is wrong. */
enum frame_result frame_take(struct frame *f, const char **buf, size_t *len);
void frame_free(struct frame *f);

void control_greet(struct session *s);
void control_receive(struct session *s, const char *buf, size_t len);
void control_event(struct session *s, const struct vm_event *e);
void control_free(struct control *c);

/*
 * The answer to one request (any JSON value), a new reference; never NULL but without memory.
 * *negotiated is the session's state.
 */
json_t *control_answer(struct vm *vm, bool *negotiated, json_t *request);
/* The event as it is sent; a new reference. */
json_t *control_event_json(const struct vm_event *e);
json_t *control_version(void);

struct control_command {
    const char *name;
    json_t *(*run)(struct vm *vm, json_t *args, json_t **error); /* NULL with *error set */
    const char *args; /* accepted, separated by blanks; '!' before one that must be there */
};
extern const struct control_command control_commands[];
extern const size_t control_ncommands;
/* screen.c */
json_t *control_screendump(struct vm *vm, json_t *args, json_t **error);
json_t *control_send_key(struct vm *vm, json_t *args, json_t **error);
json_t *control_send_events(struct vm *vm, json_t *args, json_t **error);
/* ringbuf.c */
json_t *control_ringbuf_read(struct vm *vm, json_t *args, json_t **error);
json_t *control_ringbuf_write(struct vm *vm, json_t *args, json_t **error);
json_t *control_error(const char *cls, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ---- metrics.c ---- */
int metrics_start(struct vm *vm, const char *where, struct metrics **out) MUST_CHECK;
void metrics_stop(struct metrics *m);
