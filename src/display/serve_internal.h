/* SPDX-License-Identifier: MIT */
/*
 * Private to the display's server: serve.c (the thread), vnc.c (viewers), web.c (pages for
 * browsers), listen.c (addresses).
 */
#pragma once

#include "display/serve.h"

#include <pthread.h>
#include <stdatomic.h>

#include <microhttpd.h>

struct _rfbScreenInfo;
struct rfbCursor;
struct pollfd;

#define SERVE_CLIENTS 16u /* at once, of one kind */
#define WEB_TOKEN 32u     /* characters */

/* Browsers: connections that have not said yet what they want, and pages. */
struct web {
    int listen; /* -1: none */
    int fresh[SERVE_CLIENTS];
    unsigned nfresh;
    struct MHD_Daemon *pages;
    char token[WEB_TOKEN + 1];
    struct display *display;
    const struct display_hooks *_Atomic hooks; /* NULL: none yet */
};

struct display_server {
    struct display *display;
    struct display_viewer viewer; /* the picture that all clients see */
    struct _rfbScreenInfo *screen;
    struct rfbCursor *arrow; /* libvncserver's pointer, while the guest shows none */
    unsigned clients;
    int listen;               /* for VNC viewers; -1: none */
    struct web web;
    int wake;                 /* eventfd: `stop` changed */
    _Atomic bool stop;
    pthread_t thread;
    uint64_t next_look, busy_until; /* io_now_ns() */
};

/* ---- listen.c ---- */
/* "ADDR:N" (first: added to N) or, when the address may be left out, "N"; -1: it is neither. An
   empty address is the loopback. */
int serve_port(const char *where, unsigned first, bool bare, char *host, size_t size);
/* A socket that listens there; -errno. */
int serve_listen(const char *host, int port) MUST_CHECK;

/* ---- vnc.c ---- */
int vnc_start(struct display_server *s, const char *name) MUST_CHECK;
void vnc_stop(struct display_server *s);
/* Takes the socket over. */
void vnc_add_client(struct display_server *s, int fd);
/* Put the sockets of all clients into p; how many. */
unsigned vnc_poll(const struct display_server *s, struct pollfd *p, unsigned room);
/* Look at the screen, tell the clients. */
void vnc_look(struct display_server *s);
/* Serve what arrived, send what changed. Blocks a while on a client that does not read. */
void vnc_process(struct display_server *s);

/* ---- web.c ---- */
/* Reports its own errors. */
int web_start(struct display_server *s, const char *where) MUST_CHECK;
void web_stop(struct display_server *s);
/* A connection to the web's socket; takes it over. */
void web_accept(struct web *w, int fd);
/* The first bytes of fresh connection i can be read (or it is gone). */
void web_sort(struct display_server *s, unsigned i);
/* Is this the path of a WebSocket that may look? */
bool web_allows(const struct web *w, const char *path);
/* Does the request carry the token? */
bool web_may(const struct web *w, struct MHD_Connection *c);
/* Queue an answer; r NULL: no memory, the connection ends. The response is destroyed. */
enum MHD_Result web_answer(struct MHD_Connection *c, unsigned status, struct MHD_Response *r,
                           const char *header, const char *value);
enum MHD_Result web_answer_text(struct MHD_Connection *c, unsigned status, const char *text);

/* ---- web_api.c: what the page's script asks for. The page server's thread ---- */
/* One call for each piece of a request, as libmicrohttpd makes them. */
enum MHD_Result web_api(struct web *w, struct MHD_Connection *c, const char *url,
                        const char *method, const char *data, size_t *size, void **state);
void web_api_done(void **state);

/* ---- page.S: files of the page ---- */
extern const uint8_t web_page_html[], web_page_html_end[], web_page_css[], web_page_css_end[],
    web_page_js[], web_page_js_end[];
