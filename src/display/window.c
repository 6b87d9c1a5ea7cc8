/* SPDX-License-Identifier: MIT */
/*
 * A window by SDL 2. The guest's picture is scaled to it with its proportions; a guest that can
 * change its resolution is asked for the size that the user gives the window. Keys go by place,
 * not by character; what is held is released when the window loses the keyboard.
 *
 * Everything of SDL, and every field but `thread`, belongs to the window's thread from its start to
 * its end. The opener waits for the first word of it.
 */
#include "display/window.h"

#include "base/log.h"
#include "display/input.h"
#include "io/io.h"
#include "window_sdl.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/input-event-codes.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#define LIBRARY   "libSDL2-2.0.so.0"
#define MS        ((uint64_t)1000000)
#define LOOK_BUSY (16 * MS) /* between two looks at a screen that changes, or that somebody uses */
#define LOOK_IDLE (100 * MS)
#define BUSY_FOR  (1000 * MS)
#define HIDDEN_MS 1000      /* how often to look whether a hidden window is seen again */

struct display_window {
    struct display *display;
    const char *name;
    void (*closed)(void *opaque);
    void *opaque;
    pthread_t thread;
    sem_t started;
    int error;               /* of the start, valid after `started` */
    _Atomic bool stop;

    void *library;
    struct sdl sdl;
    SDL_Window *window;
    SDL_Renderer *renderer;
    SDL_Texture *texture;
    SDL_Cursor *cursor;      /* NULL: the desktop's own */
    struct display_viewer viewer;
    unsigned buttons;        /* INPUT_LEFT ... */
    unsigned x, y;           /* of the pointer, to INPUT_AXIS_MAX */
    uint8_t held[(KEY_MAX + 8) / 8];
    SDL_FingerID finger[INPUT_SLOTS];
    bool touching[INPUT_SLOTS];
    uint64_t busy_until;     /* io_now_ns() */
};

/* ---- the picture ---- */
static bool new_texture(struct display_window *w)
{
    const struct sdl *s = &w->sdl;
    int width = (int)w->viewer.width, height = (int)w->viewer.height;

    if (w->texture != NULL) {
        s->SDL_DestroyTexture(w->texture);
    }
    w->texture = s->SDL_CreateTexture(w->renderer, SDL_PIXELFORMAT_RGB888,
                                      SDL_TEXTUREACCESS_STREAMING, width, height);
    s->SDL_RenderSetLogicalSize(w->renderer, width, height);
    return w->texture != NULL;
}

static void present(struct display_window *w)
{
    const struct sdl *s = &w->sdl;

    s->SDL_RenderClear(w->renderer);
    if (w->texture != NULL) {
        s->SDL_RenderCopy(w->renderer, w->texture, NULL, NULL);
    }
    s->SDL_RenderPresent(w->renderer);
}

static void set_cursor(struct display_window *w)
{
    const struct sdl *s = &w->sdl;
    struct display_cursor *c = &w->viewer.cursor;
    SDL_Cursor *before = w->cursor;
    const int side = DISPLAY_CURSOR_SIZE;

    w->cursor = NULL;
    if (c->visible) {
        SDL_Surface *shape = s->SDL_CreateRGBSurfaceWithFormatFrom(
            c->pixels, side, side, 32, side * 4, SDL_PIXELFORMAT_ARGB8888);
        if (shape != NULL) {
            w->cursor = s->SDL_CreateColorCursor(shape, (int)c->hot_x, (int)c->hot_y);
            s->SDL_FreeSurface(shape);
        }
    }
    s->SDL_SetCursor(w->cursor != NULL ? w->cursor : s->SDL_GetDefaultCursor());
    if (before != NULL) {
        s->SDL_FreeCursor(before);
    }
}

static void update_texture(struct display_window *w)
{
    const struct display_viewer *v = &w->viewer;

    for (unsigned i = 0; i < v->damage.n && w->texture != NULL; i++) {
        struct display_rect r = v->damage.rect[i];
        const SDL_Rect to = {(int)r.x, (int)r.y, (int)r.w, (int)r.h};
        w->sdl.SDL_UpdateTexture(w->texture, &to, v->pixels + (size_t)r.y * v->width + r.x,
                                 (int)v->width * 4);
    }
}

static void look(struct display_window *w)
{
    unsigned news = display_look(w->display, &w->viewer);

    if (news & DISPLAY_RESIZED) {
        new_texture(w);
        w->sdl.SDL_SetWindowSize(w->window, (int)w->viewer.width, (int)w->viewer.height);
    }
    if (news & (DISPLAY_RESIZED | DISPLAY_CHANGED)) {
        w->busy_until = io_now_ns() + BUSY_FOR;
        update_texture(w);
        present(w);
    }
    if (news & DISPLAY_CURSOR_SHAPE) {
        set_cursor(w);
    }
}

/* ---- keys ---- */
static void key(struct display_window *w, unsigned code, bool down)
{
    uint8_t bit = (uint8_t)(1u << code % 8);

    if (code == 0) {
        return;
    }
    w->held[code / 8] = down ? w->held[code / 8] | bit : w->held[code / 8] & (uint8_t)~bit;
    input_key(w->display, code, down);
}

static void release_keys(struct display_window *w)
{
    for (unsigned code = 0; code <= KEY_MAX; code++) {
        if (w->held[code / 8] & 1u << code % 8) {
            key(w, code, false);
        }
    }
}

/* ---- pointer and fingers ---- */
/* SDL counts in the picture's pixels, and beyond its edges. */
static unsigned to_axis(int at, unsigned size)
{
    unsigned p = at < 0 ? 0 : (unsigned)at;

    return size > 1 ? (unsigned)((uint64_t)p * INPUT_AXIS_MAX / (size - 1)) : 0;
}

static void pointer_at(struct display_window *w, int x, int y)
{
    w->x = to_axis(x, w->viewer.width);
    w->y = to_axis(y, w->viewer.height);
    input_pointer(w->display, w->x, w->y, w->buttons);
}

static void button(struct display_window *w, const SDL_MouseButtonEvent *e)
{
    unsigned which = e->button == SDL_BUTTON_LEFT     ? INPUT_LEFT
                     : e->button == SDL_BUTTON_MIDDLE ? INPUT_MIDDLE
                     : e->button == SDL_BUTTON_RIGHT  ? INPUT_RIGHT
                                                      : 0;

    w->buttons = e->state == SDL_PRESSED ? w->buttons | which : w->buttons & ~which;
    pointer_at(w, e->x, e->y);
}

static void wheel(struct display_window *w, int steps)
{
    unsigned which = steps > 0 ? INPUT_WHEEL_UP : INPUT_WHEEL_DOWN;

    for (int i = abs(steps) < 16 ? abs(steps) : 16; i > 0; i--) {
        input_pointer(w->display, w->x, w->y, w->buttons | which);
        input_pointer(w->display, w->x, w->y, w->buttons);
    }
}

/* The slot of a finger, or a free one; INPUT_SLOTS: there is none. */
static unsigned slot_of(const struct display_window *w, SDL_FingerID id)
{
    unsigned unused = INPUT_SLOTS;

    for (unsigned i = INPUT_SLOTS; i-- > 0;) {
        if (w->touching[i] && w->finger[i] == id) {
            return i;
        }
        unused = w->touching[i] ? unused : i;
    }
    return unused;
}

static unsigned finger_axis(float f)
{
    float inside = f < 0 ? 0 : f > 1 ? 1 : f;

    return (unsigned)(inside * INPUT_AXIS_MAX);
}

static void touch(struct display_window *w, const SDL_TouchFingerEvent *e)
{
    unsigned slot = slot_of(w, e->fingerId);
    enum input_touch_kind kind = e->type == SDL_FINGERUP     ? INPUT_TOUCH_END
                                 : e->type == SDL_FINGERDOWN ? INPUT_TOUCH_BEGIN
                                                             : INPUT_TOUCH_MOVE;

    if (slot < INPUT_SLOTS) {
        w->finger[slot] = e->fingerId;
        w->touching[slot] = kind != INPUT_TOUCH_END;
        input_touch(w->display, kind, slot, finger_axis(e->x), finger_axis(e->y));
    }
}

/* ---- events ---- */
static void window_event(struct display_window *w, const SDL_WindowEvent *e)
{
    switch (e->event) {
    case SDL_WINDOWEVENT_RESIZED: /* by the user */
        if (e->data1 > 0 && e->data2 > 0) {
            display_want_size(w->display, (unsigned)e->data1, (unsigned)e->data2);
        }
        present(w);
        break;
    case SDL_WINDOWEVENT_EXPOSED: present(w); break;
    case SDL_WINDOWEVENT_FOCUS_LOST: release_keys(w); break;
    case SDL_WINDOWEVENT_CLOSE: w->closed(w->opaque); break;
    default: break;
    }
}

static void event(struct display_window *w, const SDL_Event *e)
{
    switch (e->type) {
    case SDL_WINDOWEVENT: window_event(w, &e->window); return;
    case SDL_KEYDOWN:
        if (e->key.repeat == 0) { /* the guest repeats by itself */
            key(w, window_key(e->key.keysym.scancode), true);
        }
        break;
    case SDL_KEYUP: key(w, window_key(e->key.keysym.scancode), false); break;
    case SDL_MOUSEMOTION: pointer_at(w, e->motion.x, e->motion.y); break;
    case SDL_MOUSEBUTTONDOWN:
    case SDL_MOUSEBUTTONUP: button(w, &e->button); break;
    case SDL_MOUSEWHEEL: wheel(w, e->wheel.y); break;
    case SDL_FINGERDOWN:
    case SDL_FINGERMOTION:
    case SDL_FINGERUP: touch(w, &e->tfinger); break;
    default: return;
    }
    w->busy_until = io_now_ns() + BUSY_FOR;
}

/* ---- the thread ---- */
static bool seen(const struct display_window *w)
{
    return !(w->sdl.SDL_GetWindowFlags(w->window) & (SDL_WINDOW_HIDDEN | SDL_WINDOW_MINIMIZED));
}

static void serve(struct display_window *w)
{
    uint64_t next_look = 0;

    while (!atomic_load(&w->stop)) {
        uint64_t now = io_now_ns();
        SDL_Event e;
        bool visible = seen(w);
        if (visible && now >= next_look) {
            look(w);
            next_look = now + (now < w->busy_until ? LOOK_BUSY : LOOK_IDLE);
        }
        int wait = !visible         ? HIDDEN_MS
                   : next_look > now ? (int)((next_look - now + MS - 1) / MS)
                                     : 0;
        while (!atomic_load(&w->stop) && w->sdl.SDL_WaitEventTimeout(&e, wait)) {
            event(w, &e);
            wait = 0;
        }
    }
}

static int open_window(struct display_window *w)
{
    const struct sdl *s = &w->sdl;

    s->SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
    s->SDL_SetHint(SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "1");
    s->SDL_SetHint(SDL_HINT_TOUCH_MOUSE_EVENTS, "0");
    s->SDL_SetHint(SDL_HINT_MOUSE_TOUCH_EVENTS, "0");
    s->SDL_SetHint(SDL_HINT_MOUSE_FOCUS_CLICKTHROUGH, "1");
    if (s->SDL_Init(SDL_INIT_VIDEO) != 0) {
        return -ENODEV;
    }
    if (!(display_look(w->display, &w->viewer) & DISPLAY_RESIZED)) {
        return -ENOMEM;
    }
    w->window = s->SDL_CreateWindow(w->name != NULL ? w->name : "Umbra", SDL_WINDOWPOS_UNDEFINED,
                                    SDL_WINDOWPOS_UNDEFINED, (int)w->viewer.width,
                                    (int)w->viewer.height, SDL_WINDOW_RESIZABLE);
    if (w->window != NULL) {
        w->renderer = s->SDL_CreateRenderer(w->window, -1, 0);
    }
    if (w->renderer == NULL || !new_texture(w)) {
        return -ENODEV;
    }
    update_texture(w);
    present(w);
    return 0;
}

static void close_window(struct display_window *w)
{
    const struct sdl *s = &w->sdl;

    release_keys(w);
    if (w->texture != NULL) {
        s->SDL_DestroyTexture(w->texture);
    }
    if (w->renderer != NULL) {
        s->SDL_DestroyRenderer(w->renderer);
    }
    if (w->window != NULL) {
        s->SDL_DestroyWindow(w->window);
    }
    if (w->cursor != NULL) {
        s->SDL_FreeCursor(w->cursor);
    }
    s->SDL_Quit();
}

static void *thread_main(void *opaque)
{
    struct display_window *w = opaque;

    pthread_setname_np(pthread_self(), "window");
    w->error = open_window(w);
    bool open = w->error == 0;
    if (!open) {
        log_error("-display sdl: no window: %s", w->sdl.SDL_GetError());
    }
    sem_post(&w->started);
    if (open) {
        serve(w);
    }
    close_window(w);
    return NULL;
}

/* ---- life cycle ---- */
static int load_library(struct display_window *w)
{
    w->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (w->library == NULL) {
        log_error("-display sdl: %s; install libsdl2-2.0-0", dlerror());
        return -ENOENT;
    }
#define X(f)                                                                                       \
    *(void **)&w->sdl.f = dlsym(w->library, #f);                                                   \
    if (w->sdl.f == NULL) {                                                                        \
        log_error("-display sdl: " LIBRARY " has no " #f "; a newer one is needed");               \
        return -ENOENT;                                                                            \
    }
    SDL_FUNCTIONS(X)
#undef X
    return 0;
}

static void release(struct display_window *w)
{
    display_viewer_remove(w->display, &w->viewer);
    sem_destroy(&w->started);
    /* The library stays loaded: what it loads in turn does not like to be unloaded. */
    free(w);
}

/* Signals are the main thread's. */
static int start_thread(struct display_window *w)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&w->thread, NULL, thread_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err != 0) {
        return -err;
    }
    while (sem_wait(&w->started) != 0) {
    }
    if (w->error != 0) {
        pthread_join(w->thread, NULL);
    }
    return w->error;
}

int display_window_open(struct display *d, const char *name, void (*closed)(void *opaque),
                        void *opaque, struct display_window **out)
{
    struct display_window *w = calloc(1, sizeof *w);

    *out = NULL;
    if (w == NULL) {
        return -ENOMEM;
    }
    w->display = d;
    w->name = name;
    w->closed = closed;
    w->opaque = opaque;
    sem_init(&w->started, 0, 0);
    display_viewer_add(d, &w->viewer);
    int err = load_library(w);
    if (err == 0) {
        err = start_thread(w);
    }
    if (err != 0) {
        release(w);
        return err;
    }
    *out = w;
    return 0;
}

void display_window_close(struct display_window *w)
{
    SDL_Event wake = {.type = SDL_USEREVENT};

    if (w == NULL) {
        return;
    }
    atomic_store(&w->stop, true);
    w->sdl.SDL_PushEvent(&wake);
    pthread_join(w->thread, NULL);
    release(w);
}
