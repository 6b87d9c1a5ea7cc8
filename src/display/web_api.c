/* SPDX-License-Identifier: MIT */
/*
 * What the script of the page for browsers asks for, each with the token:
 *
 *   GET  /api/serial?from=N  output of the serial console from byte N on; X-Next: the N to ask next
 *   POST /api/serial         typed there; X-Taken: how many bytes had room
 *   GET  /api/stats          counters, in the text format of Prometheus
 *   POST /api/rotate         asks the guest to exchange width and height of its screen
 *
 * The thread of the page server; see docs/display.md.
 */
#include "serve_internal.h"

#include "io/chardev.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TYPED_MAX 4096u
#define OUTPUT_MAX 65536u

/* A request whose body is being received. */
struct request {
    size_t len;
    bool too_long;
    uint8_t body[TYPED_MAX];
};

void web_api_done(void **state)
{
    free(*state);
    *state = NULL;
}

static enum MHD_Result answer_number(struct MHD_Connection *c, struct MHD_Response *r,
                                     const char *header, uint64_t number)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, number);
    if (r != NULL) {
        MHD_add_response_header(r, "Content-Type", "application/octet-stream");
        MHD_add_response_header(r, "Cache-Control", "no-store");
    }
    return web_answer(c, MHD_HTTP_OK, r, header, text);
}

/* ---- serial console ---- */
static enum MHD_Result serial_output(const struct display_hooks *h, struct MHD_Connection *c)
{
    const char *text = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "from");
    uint64_t from = text != NULL ? strtoull(text, NULL, 10) : 0;
    uint8_t *buf = malloc(OUTPUT_MAX);

    if (buf == NULL) {
        return MHD_NO;
    }
    size_t n = chardev_recorded(h->serial, &from, buf, OUTPUT_MAX);
    struct MHD_Response *r = MHD_create_response_from_buffer(n, buf, MHD_RESPMEM_MUST_FREE);
    if (r == NULL) {
        free(buf);
    }
    return answer_number(c, r, "X-Next", from);
}

static enum MHD_Result serial_input(const struct display_hooks *h, struct MHD_Connection *c,
                                    const struct request *q)
{
    if (q->too_long) {
        return web_answer_text(c, MHD_HTTP_CONTENT_TOO_LARGE, "At most 4096 bytes.\n");
    }
    return answer_number(c, MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT),
                         "X-Taken", chardev_type(h->serial, q->body, q->len));
}

/* ---- counters ---- */
static enum MHD_Result stats(const struct display_hooks *h, struct MHD_Connection *c)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    if (f == NULL) {
        return MHD_NO;
    }
    h->stats(h->opaque, f);
    if (fclose(f) != 0) {
        free(text);
        return MHD_NO;
    }
    struct MHD_Response *r = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
    if (r == NULL) {
        free(text);
    }
    return web_answer(c, MHD_HTTP_OK, r, "Content-Type", "text/plain");
}

/* ---- screen ---- */
static enum MHD_Result rotate(const struct web *w, struct MHD_Connection *c)
{
    if (!display_rotate(w->display)) {
        return web_answer_text(c, MHD_HTTP_CONFLICT, "this screen cannot be turned\n");
    }
    return web_answer_text(c, MHD_HTTP_OK, "\n");
}

/* ---- requests ---- */
static enum MHD_Result get(const struct display_hooks *h, struct MHD_Connection *c,
                           const char *what)
{
    if (strcmp(what, "serial") == 0) {
        return serial_output(h, c);
    }
    if (strcmp(what, "stats") == 0) {
        return stats(h, c);
    }
    return web_answer_text(c, MHD_HTTP_NOT_FOUND, "There is no such thing.\n");
}

static enum MHD_Result post(const struct web *w, const struct display_hooks *h,
                            struct MHD_Connection *c, const char *what, const struct request *q)
{
    if (strcmp(what, "serial") == 0) {
        return serial_input(h, c, q);
    }
    if (strcmp(what, "rotate") == 0) {
        return rotate(w, c);
    }
    return web_answer_text(c, MHD_HTTP_NOT_FOUND, "There is no such thing.\n");
}

static void receive(struct request *q, const char *data, size_t size)
{
    if (size > sizeof q->body - q->len) {
        q->too_long = true;
        return;
    }
    memcpy(q->body + q->len, data, size);
    q->len += size;
}

enum MHD_Result web_api(struct web *w, struct MHD_Connection *c, const char *url,
                        const char *method, const char *data, size_t *size, void **state)
{
    const struct display_hooks *h = atomic_load(&w->hooks);
    bool posted = strcmp(method, "POST") == 0;

    if (*state == NULL) { /* the headers; the body is still to come */
        *state = calloc(1, sizeof(struct request));
        return *state != NULL ? MHD_YES : MHD_NO;
    }
    if (*size != 0) {
        receive(*state, data, *size);
        *size = 0;
        return MHD_YES;
    }
    if (!web_may(w, c)) {
        return web_answer_text(c, MHD_HTTP_FORBIDDEN, "The token is wrong.\n");
    }
    if (h == NULL) {
        return web_answer_text(c, MHD_HTTP_SERVICE_UNAVAILABLE, "The machine is not there yet.\n");
    }
    if (!posted && strcmp(method, "GET") != 0) {
        return web_answer_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET or POST.\n");
    }
    return posted ? post(w, h, c, url, *state) : get(h, c, url);
}
