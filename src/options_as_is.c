/* SPDX-License-Identifier: MIT */
/*
 * Command line: what command lines written for the mainstream emulator ask for and is so here
 * anyway. Values that would ask for something else are refused with those that are not.
 */
#include "options_internal.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *option, *key, *values; /* values are separated by '|'; NULL: any */
} as_is[] = {
    {"M", "accel", "tcg|kvm:tcg|tcg:kvm"},
    {"M", "acpi", "on|off|auto"},
    {"M", "dump-guest-core", "on|off"},
    {"M", "graphics", "on|off"},
    {"M", "iommu", "none"},
    {"M", "its", "off"},
    {"M", "mem-merge", "on|off"},
    {"M", "mte", "off"},
    {"M", "ras", "off"},
    {"M", "secure", "off"},
    {"M", "usb", "off"},
    {"M", "virtualization", "off"},
    /* Writes go to the host's cache and are durable after a flush, whoever makes them durable. */
    {"drive", "cache", "writeback|none|unsafe"},
    {"drive", "aio", "threads|native|io_uring"},
    {"drive", "discard", "unmap|on"},
    {"drive", "detect-zeroes", "off"},
    {"drive", "werror", "report"},
    {"drive", "rerror", "report"},
    {"rtc", "base", "utc"},
    {"rtc", "clock", "host"},
    {"rtc", "driftfix", "none|slew"},
    {"boot", "menu", "off"},
    {"boot", "order", "c"},
    {"boot", "strict", "on|off"},
    /* The host kernel's random numbers are the source, and drives have threads of their own. */
    {"object rng-random", "filename", "/dev/urandom|/dev/random"},
    {"object rng-random", "id", NULL},
    {"object rng-builtin", "id", NULL},
    {"object iothread", "id", NULL},
};

bool options_one_of(const char *list, const char *word)
{
    size_t len = strlen(word);

    for (const char *p = list; len > 0;) {
        size_t n = strcspn(p, "|");
        if (n == len && strncmp(p, word, n) == 0) {
            return true;
        }
        if (p[n] == '\0') {
            break;
        }
        p += n + 1;
    }
    return false;
}

int options_as_is(const char *option, const char *key, const char *value)
{
    for (size_t i = 0; i < ARRAY_SIZE(as_is); i++) {
        if (strcmp(as_is[i].option, option) != 0 || strcmp(as_is[i].key, key) != 0) {
            continue;
        }
        if (as_is[i].values == NULL || options_one_of(as_is[i].values, value)) {
            return 0;
        }
        log_error("-%s %s=%s: not supported; accepted: %s", option, key, value, as_is[i].values);
        return -EINVAL;
    }
    return 1;
}

static int unknown_key(const char *option, const char *key)
{
    char known[200] = "";
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(as_is) && n < sizeof known; i++) {
        if (strcmp(as_is[i].option, option) == 0) {
            n += (size_t)snprintf(known + n, sizeof known - n, "%s%s=%s", n > 0 ? ", " : "",
                                  as_is[i].key, as_is[i].values != NULL ? as_is[i].values : "");
        }
    }
    log_error("-%s: unknown option %s; accepted: %s", option, key, known);
    return -EINVAL;
}

/* Options of which all is as it is; a word alone is the value of `first`. */
static int parse_all(const char *option, struct options_list *l, const char *first)
{
    int err = 0;

    while (err == 0 && options_list_next(l)) {
        bool alone = l->value == NULL && first != NULL;
        const char *value = alone ? l->key : l->value != NULL ? l->value : "on";
        err = options_as_is(option, alone ? first : l->key, value);
        if (err == 1) {
            err = unknown_key(option, l->key);
        }
    }
    options_list_end(l);
    return err;
}

int options_parse_rtc(struct options *o, const char *value)
{
    (void)o;
    return parse_all("rtc", &(struct options_list){.rest = value}, NULL);
}

int options_parse_boot(struct options *o, const char *value)
{
    (void)o;
    return parse_all("boot", &(struct options_list){.rest = value}, "order");
}

/* What devices name by its id: nothing that they do not have anyway. */
int options_parse_object(struct options *o, const char *value)
{
    struct options_list l = {.rest = value};
    char option[64] = "object ";
    bool any = options_list_next(&l);
    const char *type = !any ? "" : strcmp(l.key, "qom-type") == 0 && l.value != NULL ? l.value
                                                                                    : l.key;

    (void)o;
    if (!options_one_of("rng-random|rng-builtin|iothread", type)) {
        log_error("-object %s: not supported; accepted: rng-random, rng-builtin, iothread", type);
        options_list_end(&l);
        return -EINVAL;
    }
    strcat(option, type);
    return parse_all(option, &l, NULL);
}
