/* SPDX-License-Identifier: MIT */
/*
 * The machine in a browser: our page (page/) with noVNC's screen and xterm.js's terminal (Debian's
 * packages, as installed) by libmicrohttpd, and WebSockets for libvncserver, all on one port. A new
 * connection's first bytes decide to whom it goes. Who does not know the token gets the files,
 * which are public, and nothing else.
 *
 * Pages are sent by a thread of libmicrohttpd, which reads `token`, `display` and `hooks` only; the
 * rest is the server's.
 */
#include "serve_internal.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGES "/usr/share/novnc"
#define XTERM "/usr/share/nodejs/xterm/lib"
#define SOCKET_PATH "/websockify"

/* ---- the token ---- */
static int make_token(char *token)
{
    static const char digit[] = "0123456789abcdef";
    uint8_t random[WEB_TOKEN / 2];

    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        return -errno;
    }
    for (unsigned i = 0; i < WEB_TOKEN; i++) {
        token[i] = digit[random[i / 2] >> 4 * (i % 2) & 15];
    }
    token[WEB_TOKEN] = '\0';
    return 0;
}

/* In a time that does not tell how much of it is right. */
static bool is_token(const struct web *w, const char *text)
{
    uint8_t wrong = 0;

    if (text == NULL || strlen(text) != WEB_TOKEN) {
        return false;
    }
    for (unsigned i = 0; i < WEB_TOKEN; i++) {
        wrong |= (uint8_t)(text[i] ^ w->token[i]);
    }
    return wrong == 0;
}

bool web_allows(const struct web *w, const char *path)
{
    static const char before[] = SOCKET_PATH "?token=";

    return w->listen >= 0 && path != NULL && strncmp(path, before, sizeof before - 1) == 0 &&
           is_token(w, path + sizeof before - 1);
}

/* ---- pages ---- */
static const char *type_of(const char *path)
{
    static const struct {
        const char *end, *type;
    } known[] = {{".html", "text/html; charset=utf-8"}, {".js", "text/javascript"},
                 {".css", "text/css"}, {".json", "application/json"}, {".svg", "image/svg+xml"},
                 {".png", "image/png"}, {".ico", "image/x-icon"}};
    const char *dot = strrchr(path, '.');

    for (size_t i = 0; i < ARRAY_SIZE(known) && dot != NULL; i++) {
        if (strcmp(dot, known[i].end) == 0) {
            return known[i].type;
        }
    }
    return "application/octet-stream";
}

/* A file of a package, whatever the path says; -1: none. Links of the package lead elsewhere. */
static int open_page(const char *url, struct stat *st)
{
    static const char xterm[] = "/xterm/";
    bool terminal = strncmp(url, xterm, sizeof xterm - 1) == 0;
    char path[PATH_MAX];

    if (url[0] != '/' || strstr(url, "..") != NULL ||
        snprintf(path, sizeof path, "%s%s", terminal ? XTERM : PAGES,
                 terminal ? url + sizeof xterm - 2 : url) >= (int)sizeof path) {
        return -1;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && (fstat(fd, st) != 0 || !S_ISREG(st->st_mode))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

enum MHD_Result web_answer(struct MHD_Connection *c, unsigned status, struct MHD_Response *r,
                           const char *header, const char *value)
{
    if (r == NULL) {
        return MHD_NO;
    }
    MHD_add_response_header(r, header, value);
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(r, "Content-Security-Policy", "frame-ancestors 'none'");
    enum MHD_Result result = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return result;
}

enum MHD_Result web_answer_text(struct MHD_Connection *c, unsigned status, const char *text)
{
    return web_answer(c, status,
                      MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text,
                                                      MHD_RESPMEM_PERSISTENT),
                      "Content-Type", "text/plain");
}

bool web_may(const struct web *w, struct MHD_Connection *c)
{
    return is_token(w, MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "token"));
}

static enum MHD_Result answer_own(struct MHD_Connection *c, const char *name, const uint8_t *data,
                                  const uint8_t *end)
{
    return web_answer(c, MHD_HTTP_OK,
                      MHD_create_response_from_buffer((size_t)(end - data),
                                                      (void *)(uintptr_t)data,
                                                      MHD_RESPMEM_PERSISTENT),
                      "Content-Type", type_of(name));
}

static enum MHD_Result answer_entrance(const struct web *w, struct MHD_Connection *c)
{
    if (!web_may(w, c)) {
        return web_answer_text(c, MHD_HTTP_FORBIDDEN,
                               "The address that the emulator printed ends in a token.\n");
    }
    return answer_own(c, ".html", web_page_html, web_page_html_end);
}

static enum MHD_Result answer_file(struct MHD_Connection *c, const char *url)
{
    struct stat st;
    int fd = open_page(url, &st);

    if (fd < 0) {
        return web_answer_text(c, MHD_HTTP_NOT_FOUND, "There is no such page.\n");
    }
    struct MHD_Response *r = MHD_create_response_from_fd((size_t)st.st_size, fd);
    if (r == NULL) {
        close(fd);
    }
    return web_answer(c, MHD_HTTP_OK, r, "Content-Type", type_of(url));
}

static enum MHD_Result on_request(void *opaque, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state)
{
    static const char api[] = "/api/";
    struct web *w = opaque;

    (void)version;
    if (strncmp(url, api, sizeof api - 1) == 0) {
        return web_api(w, c, url + sizeof api - 1, method, data, size, state);
    }
    if (strcmp(method, "GET") != 0) {
        return web_answer_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET.\n");
    }
    if (strcmp(url, "/") == 0) {
        return answer_entrance(w, c);
    }
    if (strcmp(url, "/umbra.js") == 0) {
        return answer_own(c, url, web_page_js, web_page_js_end);
    }
    if (strcmp(url, "/umbra.css") == 0) {
        return answer_own(c, url, web_page_css, web_page_css_end);
    }
    return answer_file(c, url);
}

static void on_end(void *opaque, struct MHD_Connection *c, void **state,
                   enum MHD_RequestTerminationCode how)
{
    (void)opaque;
    (void)c;
    (void)how;
    web_api_done(state);
}

/* ---- connections ---- */
void web_accept(struct web *w, int fd)
{
    if (fd < 0) {
        return;
    }
    if (w->nfresh == SERVE_CLIENTS) { /* the oldest has said nothing for longest */
        close(w->fresh[0]);
        memmove(w->fresh, w->fresh + 1, --w->nfresh * sizeof w->fresh[0]);
    }
    w->fresh[w->nfresh++] = fd;
}

static void give_to_pages(struct web *w, int fd)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;

    if (getpeername(fd, (struct sockaddr *)&a, &len) != 0) {
        close(fd);
        return;
    }
    MHD_add_connection(w->pages, fd, (struct sockaddr *)&a, len); /* closes it when it fails */
}

void web_sort(struct display_server *s, unsigned i)
{
    static const char want[] = "GET " SOCKET_PATH;
    struct web *w = &s->web;
    char first[sizeof want - 1];
    int fd = w->fresh[i];
    ssize_t n = recv(fd, first, sizeof first, MSG_PEEK | MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    memmove(w->fresh + i, w->fresh + i + 1, (--w->nfresh - i) * sizeof w->fresh[0]);
    if (n <= 0) {
        close(fd);
    } else if ((size_t)n == sizeof first && memcmp(first, want, sizeof first) == 0) {
        vnc_add_client(s, fd);
    } else {
        give_to_pages(w, fd);
    }
}

/* ---- life cycle ---- */
static int start_pages(struct web *w)
{
    w->pages = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ITC |
                                    MHD_USE_NO_LISTEN_SOCKET,
                                0, NULL, NULL, on_request, w, MHD_OPTION_CONNECTION_LIMIT, 64u,
                                MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL,
                                MHD_OPTION_CONNECTION_TIMEOUT, 30u, MHD_OPTION_END);
    return w->pages == NULL ? -EIO : 0;
}

int web_start(struct display_server *s, const char *where)
{
    struct web *w = &s->web;
    char host[256];
    int port = serve_port(where, 0, true, host, sizeof host);

    w->display = s->display;
    if (access(PAGES "/vnc.html", R_OK) != 0) {
        log_error("-display web=%s: noVNC is not in %s: install Debian's package novnc", where,
                  PAGES);
        return -ENOENT;
    }
    w->listen = serve_listen(host, port);
    int err = w->listen < 0 ? w->listen : make_token(w->token);
    if (err == 0) {
        err = start_pages(w);
    }
    if (err != 0) {
        log_error("-display web=%s: cannot listen on port %d: %s", where, port, strerror(-err));
        return err;
    }
    fprintf(stderr, "umbra: the screen is at http://%s:%d/?token=%s\n",
            host[0] != '\0' ? host : "127.0.0.1", port, w->token);
    return 0;
}

void web_stop(struct display_server *s)
{
    struct web *w = &s->web;

    for (unsigned i = 0; i < w->nfresh; i++) {
        close(w->fresh[i]);
    }
    if (w->pages != NULL) {
        MHD_stop_daemon(w->pages);
    }
    if (w->listen >= 0) {
        close(w->listen);
    }
}
