/* SPDX-License-Identifier: MIT */
/*
 * Command line: what -M ranchu takes: its screen, where its sound goes, adb through its pipe, and
 * properties that the guest sets while it boots.
 */
#include "options_internal.h"

#include "base/log.h"
#include "dev/goldfish.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SIDE_MIN  16u
#define SIDE_MAX  4096u
#define PROP_NAME_MAX 31u /* of a property, as Android has it until API 25 */
#define PROP_VALUE_MAX 91u

static const char *const known[] = {"xres", "yres", "format", "wav", "adb", "prop"};

bool options_ranchu_knows(const char *key)
{
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (strcmp(key, known[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int bad(const char *key, const char *value, const char *accepted)
{
    log_error("-M ranchu,%s=%s: accepted: %s", key, value, accepted);
    return -EINVAL;
}

static int parse_side(const char *key, const char *value, unsigned *side)
{
    uint64_t n;

    if (!options_parse_number(value, &n) || n < SIDE_MIN || n > SIDE_MAX) {
        return bad(key, value, "16 to 4096 (pixels)");
    }
    *side = (unsigned)n;
    return 0;
}

static int parse_format(const char *value, struct display_framebuffer *screen)
{
    for (unsigned i = 0; i < DISPLAY_FORMATS; i++) {
        if (strcmp(value, display_format_name[i]) == 0) {
            screen->format = (enum display_format)i;
            return 0;
        }
    }
    return bad("format", value, "r5g6b5, x8r8g8b8");
}

static int set_text(char **slot, const char *value)
{
    free(*slot);
    *slot = strdup(value);
    return *slot != NULL ? 0 : -ENOMEM;
}

static int add_property(struct vm_ranchu *r, const char *value)
{
    size_t name = strcspn(value, "= *?$'\"");

    if (name == 0 || name > PROP_NAME_MAX || value[name] != '=' ||
        strlen(value + name + 1) > PROP_VALUE_MAX) {
        return bad("prop", value, "NAME=VALUE, at most 31 and 91 characters");
    }
    if (r->nprops == ARRAY_SIZE(r->prop)) {
        return bad("prop", value, "at most 32 of them");
    }
    return set_text(&r->prop[r->nprops++], value);
}

int options_parse_ranchu(struct options *o, const char *key, const char *value)
{
    struct vm_ranchu *r = &o->vm.ranchu;

    if (strcmp(key, "xres") == 0) {
        return parse_side(key, value, &r->screen.width);
    }
    if (strcmp(key, "yres") == 0) {
        return parse_side(key, value, &r->screen.height);
    }
    if (strcmp(key, "format") == 0) {
        return parse_format(value, &r->screen);
    }
    if (strcmp(key, "wav") == 0) {
        return *value != '\0' ? set_text(&r->wav, value) : bad(key, value, "a file");
    }
    if (strcmp(key, "adb") == 0) {
        return goldfish_adb_valid(value)
                   ? set_text(&r->adb, value)
                   : bad(key, value, "[ADDR:]PORT (no ADDR: this host only)");
    }
    return add_property(r, value);
}

void options_free_ranchu(struct options *o)
{
    struct vm_ranchu *r = &o->vm.ranchu;

    free(r->wav);
    free(r->adb);
    for (unsigned i = 0; i < r->nprops; i++) {
        free(r->prop[i]);
    }
}
