/* SPDX-License-Identifier: MIT */
/*
 * VNC viewers, by libvncserver: it speaks the protocol and encodes, we bring pictures and take keys
 * and pointer. One of its screens serves all clients, those that come as WebSockets too. A client
 * that goes releases the keys it holds. The server's thread.
 */
#include "serve_internal.h"

#include "display/input.h"
#include "io/io.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <poll.h>
#include <rfb/rfb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

#define CLIENT_WAIT_MS 2000 /* for one that does not read */

struct client {
    uint8_t held[(KEY_MAX + 8) / 8]; /* keys, a bit each */
};

static struct display_server *server_of(rfbClientPtr cl)
{
    return cl->screen->screenData;
}

/* ---- clients ---- */
static void client_gone(rfbClientPtr cl)
{
    struct display_server *s = server_of(cl);
    struct client *c = cl->clientData;

    for (unsigned code = 0; code <= KEY_MAX; code++) {
        if (c->held[code / 8] & 1u << code % 8) {
            input_key(s->display, code, false);
        }
    }
    free(c);
    s->clients--;
}

/* A WebSocket comes from some web page: only ours knows the token. */
static enum rfbNewClientAction client_new(rfbClientPtr cl)
{
    struct display_server *s = server_of(cl);

    if (s->clients == SERVE_CLIENTS || (cl->wsctx != NULL && !web_allows(&s->web, cl->wspath))) {
        return RFB_CLIENT_REFUSE;
    }
    cl->clientData = calloc(1, sizeof(struct client));
    if (cl->clientData == NULL) {
        return RFB_CLIENT_REFUSE;
    }
    cl->clientGoneHook = client_gone;
    s->clients++;
    s->busy_until = 0;
    return RFB_CLIENT_ACCEPT;
}

void vnc_add_client(struct display_server *s, int fd)
{
    if (fd >= FD_SETSIZE) { /* libvncserver waits with select() */
        close(fd);
    } else if (fd >= 0) {
        s->next_look = 0;
        rfbNewClient(s->screen, fd);
    }
}

unsigned vnc_poll(const struct display_server *s, struct pollfd *p, unsigned room)
{
    rfbClientIteratorPtr i = rfbGetClientIterator(s->screen);
    unsigned n = 0;

    for (rfbClientPtr cl; n < room && (cl = rfbClientIteratorNext(i)) != NULL;) {
        p[n++] = (struct pollfd){.fd = cl->sock, .events = POLLIN};
    }
    rfbReleaseClientIterator(i);
    return n;
}

/* ---- keys and pointer ---- */
static void somebody_is_there(struct display_server *s)
{
    s->busy_until = io_now_ns() + 1000000000u;
}

static void key_event(rfbBool down, rfbKeySym symbol, rfbClientPtr cl)
{
    struct display_server *s = server_of(cl);
    struct client *c = cl->clientData;
    bool shift = false;
    uint16_t code = input_key_by_symbol(symbol, &shift);
    uint8_t *held = &c->held[code / 8], bit = (uint8_t)(1u << code % 8);
    const uint8_t *lshift = &c->held[KEY_LEFTSHIFT / 8], *rshift = &c->held[KEY_RIGHTSHIFT / 8];
    bool shifted = (*lshift & 1u << KEY_LEFTSHIFT % 8) || (*rshift & 1u << KEY_RIGHTSHIFT % 8);

    somebody_is_there(s);
    if (code == 0) {
        return;
    }
    /* Keyboards on a touch screen send '!' alone. */
    bool add_shift = down && shift && !shifted;
    if (add_shift) {
        input_key(s->display, KEY_LEFTSHIFT, true);
    }
    input_key(s->display, code, down);
    *held = down ? *held | bit : *held & (uint8_t)~bit;
    if (add_shift) {
        input_key(s->display, KEY_LEFTSHIFT, false);
    }
}

static unsigned to_axis(int at, unsigned size)
{
    unsigned p = at < 0 ? 0 : (unsigned)at;

    return size > 1 ? (unsigned)((uint64_t)p * INPUT_AXIS_MAX / (size - 1)) : 0;
}

/* The protocol's buttons are ours, but for its order of the first three. */
static void pointer_event(int mask, int x, int y, rfbClientPtr cl)
{
    struct display_server *s = server_of(cl);

    somebody_is_there(s);
    input_pointer(s->display, to_axis(x, s->viewer.width), to_axis(y, s->viewer.height),
                  (unsigned)mask & 31);
}

/* ---- the picture ---- */
/* libvncserver's own order of colours is another one. */
static void set_format(rfbScreenInfoPtr screen)
{
    screen->serverFormat.redShift = 16;
    screen->serverFormat.greenShift = 8;
    screen->serverFormat.blueShift = 0;
}

static void new_framebuffer(struct display_server *s)
{
    rfbNewFramebuffer(s->screen, (char *)s->viewer.pixels, (int)s->viewer.width,
                      (int)s->viewer.height, 8, 3, 4);
    set_format(s->screen);
    rfbClientIteratorPtr i = rfbGetClientIterator(s->screen);
    for (rfbClientPtr cl; (cl = rfbClientIteratorNext(i)) != NULL;) {
        rfbSetTranslateFunction(cl);
    }
    rfbReleaseClientIterator(i);
}

/* The guest's pointer as libvncserver wants it; NULL without memory. */
static rfbCursorPtr make_cursor(const struct display_cursor *c)
{
    const size_t n = DISPLAY_CURSOR_SIZE * DISPLAY_CURSOR_SIZE;
    rfbCursorPtr r = calloc(1, sizeof *r);
    uint32_t *rich = malloc(n * sizeof *rich);
    uint8_t *alpha = malloc(n), *mask = calloc(1, n / 8);

    if (r == NULL || rich == NULL || alpha == NULL || mask == NULL) {
        free(r);
        free(rich);
        free(alpha);
        free(mask);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        rich[i] = c->pixels[i] & 0xffffff;
        alpha[i] = (uint8_t)(c->pixels[i] >> 24);
        mask[i / 8] |= (uint8_t)(alpha[i] >= 128 ? 0x80u >> i % 8 : 0);
    }
    r->cleanup = r->cleanupMask = r->cleanupRichSource = TRUE;
    r->width = r->height = DISPLAY_CURSOR_SIZE;
    r->xhot = (unsigned short)c->hot_x;
    r->yhot = (unsigned short)c->hot_y;
    r->mask = mask;
    r->richSource = (unsigned char *)rich;
    r->alphaSource = alpha;
    return r;
}

static void set_cursor(struct display_server *s)
{
    rfbCursorPtr c = s->viewer.cursor.visible ? make_cursor(&s->viewer.cursor) : NULL;

    rfbSetCursor(s->screen, c != NULL ? c : s->arrow);
}

static void move_cursor(struct display_server *s)
{
    rfbClientIteratorPtr i = rfbGetClientIterator(s->screen);

    s->screen->cursorX = s->viewer.cursor.x;
    s->screen->cursorY = s->viewer.cursor.y;
    for (rfbClientPtr cl; (cl = rfbClientIteratorNext(i)) != NULL;) {
        cl->cursorWasMoved = TRUE;
    }
    rfbReleaseClientIterator(i);
}

void vnc_look(struct display_server *s)
{
    unsigned news = display_look(s->display, &s->viewer);

    if (news & DISPLAY_RESIZED) {
        new_framebuffer(s);
    }
    for (unsigned i = 0; i < s->viewer.damage.n; i++) {
        struct display_rect r = s->viewer.damage.rect[i];
        rfbMarkRectAsModified(s->screen, (int)r.x, (int)r.y, (int)(r.x + r.w), (int)(r.y + r.h));
    }
    if (news & DISPLAY_CURSOR_SHAPE) {
        set_cursor(s);
    }
    if ((news & DISPLAY_CURSOR_MOVED) && s->viewer.cursor.visible) {
        move_cursor(s);
    }
}

void vnc_process(struct display_server *s)
{
    rfbProcessEvents(s->screen, 0);
}

static int set_desktop_size(int width, int height, int nscreens, rfbExtDesktopScreen *screens,
                            rfbClientPtr cl)
{
    (void)nscreens;
    (void)screens;
    bool ok = width > 0 && height > 0 &&
              display_want_size(server_of(cl)->display, (unsigned)width, (unsigned)height);

    return ok ? rfbExtDesktopSize_Success : rfbExtDesktopSize_ResizeProhibited;
}

/* ---- life cycle ---- */
int vnc_start(struct display_server *s, const char *name)
{
    if (!(display_look(s->display, &s->viewer) & DISPLAY_RESIZED)) {
        return -ENOMEM;
    }
    rfbLogEnable(FALSE);
    rfbMaxClientWait = CLIENT_WAIT_MS;
    rfbScreenInfoPtr screen = rfbGetScreen(NULL, NULL, (int)s->viewer.width,
                                           (int)s->viewer.height, 8, 3, 4);
    if (screen == NULL) {
        return -ENOMEM;
    }
    s->screen = screen;
    set_format(screen);
    screen->frameBuffer = (char *)s->viewer.pixels;
    screen->screenData = s;
    screen->desktopName = name != NULL ? name : "Umbra";
    screen->port = screen->ipv6port = 0; /* we listen ourselves */
    screen->alwaysShared = TRUE;
    screen->deferUpdateTime = 0;
    screen->newClientHook = client_new;
    screen->kbdAddEvent = key_event;
    screen->ptrAddEvent = pointer_event;
    screen->setDesktopSizeHook = set_desktop_size;
    s->arrow = screen->cursor;
    rfbInitServer(screen);
    return 0;
}

void vnc_stop(struct display_server *s)
{
    rfbShutdownServer(s->screen, TRUE);
    rfbScreenCleanup(s->screen);
}
