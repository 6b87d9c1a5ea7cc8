/* SPDX-License-Identifier: MIT */
/*
 * Command line: numbers, sizes and comma lists. Pure functions.
 */
#include "options_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool options_parse_number(const char *s, uint64_t *out)
{
    char *end;

    if (!isdigit((unsigned char)s[0])) {
        return false;
    }
    errno = 0;
    unsigned long long v = strtoull(s, &end, 10);
    if (errno != 0 || *end != '\0') {
        return false;
    }
    *out = v;
    return true;
}

static uint64_t suffix_unit(const char *s)
{
    static const char letter[] = "BKMGT";

    if (s[0] == '\0' ||
        (s[1] != '\0' && strcasecmp(s + 1, "iB") != 0 && strcasecmp(s + 1, "B") != 0)) {
        return 0;
    }
    const char *p = strchr(letter, toupper((unsigned char)s[0]));
    return p == NULL || (p == letter && s[1] != '\0') ? 0 : (uint64_t)1 << 10 * (p - letter);
}

int options_parse_size(const char *s, uint64_t unit, uint64_t *out)
{
    char *end;

    if (!isdigit((unsigned char)s[0])) {
        return -EINVAL;
    }
    errno = 0;
    unsigned long long v = strtoull(s, &end, 10);
    if (errno != 0) {
        return -ERANGE;
    }
    if (*end != '\0') {
        unit = suffix_unit(end);
        if (unit == 0) {
            return -EINVAL;
        }
    }
    return __builtin_mul_overflow(v, unit, out) ? -ERANGE : 0;
}

void options_list_end(struct options_list *l)
{
    free(l->key);
    free(l->value);
    l->key = l->value = NULL;
}

bool options_list_next(struct options_list *l)
{
    options_list_end(l);
    if (l->rest == NULL || *l->rest == '\0') {
        return false;
    }
    char *item = malloc(strlen(l->rest) + 1), *q = item;
    if (item == NULL) {
        return false;
    }
    const char *p = l->rest;
    for (; *p != '\0'; p++) {
        if (*p == ',') {
            if (p[1] != ',') {
                break;
            }
            p++;
        }
        *q++ = *p;
    }
    *q = '\0';
    l->rest = *p == ',' ? p + 1 : p;
    char *eq = strchr(item, '=');
    l->value = eq != NULL ? strdup(eq + 1) : NULL;
    if (eq != NULL) {
        *eq = '\0';
    }
    l->key = item;
    return true;
}
