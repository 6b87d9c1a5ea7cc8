/* SPDX-License-Identifier: MIT */
/*
 * Command line: -display, -vnc and -device simple-framebuffer.
 */
#include "options_internal.h"

#include "base/log.h"

#include <errno.h>
#include <string.h>

static int bad_display(const char *value, const char *accepted)
{
    log_error("-display %s: not supported; accepted: %s", value, accepted);
    return -EINVAL;
}

static int parse_place(const char *value, const char *where, const char **slot,
                       bool (*valid)(const char *where, const char **why))
{
    const char *why;

    if (!valid(where, &why)) {
        return bad_display(value, why);
    }
    if (*slot != NULL) {
        log_error("-display %s: there is one of this kind already", value);
        return -EINVAL;
    }
    *slot = where;
    return 0;
}

int options_parse_display(struct options *o, const char *value)
{
    struct display_options *d = &o->vm.display;

    if (strcmp(value, "none") == 0) {
        return 0;
    }
    if (strcmp(value, "sdl") == 0) {
        d->window = true;
        return 0;
    }
    if (strncmp(value, "vnc=", 4) == 0) {
        return parse_place(value, value + 4, &d->vnc, display_vnc_valid);
    }
    if (strncmp(value, "web=", 4) == 0) {
        return parse_place(value, value + 4, &d->web, display_web_valid);
    }
    return bad_display(value, "none, sdl, vnc=[ADDR]:N, web=[ADDR:]PORT");
}

/* The older spelling. */
int options_parse_vnc(struct options *o, const char *value)
{
    return strcmp(value, "none") == 0
               ? 0
               : parse_place(value, value, &o->vm.display.vnc, display_vnc_valid);
}

/* ---- simple-framebuffer ---- */
static int bad_framebuffer(const char *key, const char *value, const char *accepted)
{
    log_error("-device simple-framebuffer: %s=%s: accepted: %s", key, value, accepted);
    return -EINVAL;
}

static int parse_side(const char *key, const char *value, unsigned *side)
{
    uint64_t n;

    if (!options_parse_number(value, &n) || n < 16 || n > 4096) {
        return bad_framebuffer(key, value, "16 to 4096 (pixels)");
    }
    *side = (unsigned)n;
    return 0;
}

static int parse_format(const char *value, enum display_format *format)
{
    for (unsigned i = 0; i < DISPLAY_FORMATS; i++) {
        if (strcmp(value, display_format_name[i]) == 0) {
            *format = (enum display_format)i;
            return 0;
        }
    }
    return bad_framebuffer("format", value, "r5g6b5, x8r8g8b8");
}

static int framebuffer_key(struct display_framebuffer *f, const struct options_list *l)
{
    const char *value = l->value != NULL ? l->value : "";

    if (strcmp(l->key, "width") == 0) {
        return parse_side("width", value, &f->width);
    }
    if (strcmp(l->key, "height") == 0) {
        return parse_side("height", value, &f->height);
    }
    if (strcmp(l->key, "format") == 0) {
        return parse_format(value, &f->format);
    }
    if (strcmp(l->key, "id") == 0) {
        return 0;
    }
    log_error("-device simple-framebuffer: unknown option %s; accepted: width=, height=, format=, "
              "id=",
              l->key);
    return -EINVAL;
}

int options_parse_framebuffer(struct options *o, const char *value)
{
    struct display_framebuffer f = {.width = 1024, .height = 768, .format = DISPLAY_X8R8G8B8};
    struct options_list l = {.rest = value};
    int err = 0;

    if (o->vm.framebuffer.width != 0) {
        log_error("-device simple-framebuffer: there can be only one");
        return -EINVAL;
    }
    while (err == 0 && options_list_next(&l)) {
        err = framebuffer_key(&f, &l);
    }
    options_list_end(&l);
    o->vm.framebuffer = f;
    return err;
}
