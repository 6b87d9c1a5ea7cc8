/* SPDX-License-Identifier: MIT */
/*
 * Addresses and formats as people type them in the monitor: sums of numbers and registers, and the
 * "/20xw" of x and xp. Pure functions of the text and a parked vCPU.
 */
#include "monitor_internal.h"

#include "vcpu/arm.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 32u /* of parentheses */

struct parse {
    const char *p;
    struct vcpu *v;
    const char *why;
    unsigned depth;
};

static uint64_t sum(struct parse *e);

static void blanks(struct parse *e)
{
    while (isspace((unsigned char)*e->p)) {
        e->p++;
    }
}

static uint64_t refuse(struct parse *e, const char *why)
{
    if (e->why == NULL) {
        e->why = why;
    }
    return 0;
}

static uint64_t number(struct parse *e)
{
    char *end;

    errno = 0;
    unsigned long long value = strtoull(e->p, &end, 0);
    if (errno != 0) {
        return refuse(e, "the number is too large");
    }
    if (isalnum((unsigned char)*end)) {
        return refuse(e, "not a number (hexadecimal ones begin with 0x)");
    }
    e->p = end;
    return value;
}

static uint64_t register_value(struct parse *e)
{
    static const struct {
        const char *name;
        unsigned n;
    } alias[] = {{"sp", 13}, {"lr", 14}, {"pc", 15}, {"fp", 11}, {"ip", 12}};
    const char *name = ++e->p;
    size_t len = 0;

    while (isalnum((unsigned char)name[len])) {
        len++;
    }
    e->p += len;
    if (len == 4 && strncmp(name, "cpsr", 4) == 0) {
        return arm_cpsr_read(e->v);
    }
    for (size_t i = 0; len == 2 && i < ARRAY_SIZE(alias); i++) {
        if (strncmp(name, alias[i].name, 2) == 0) {
            return e->v->r[alias[i].n];
        }
    }
    if ((len == 2 || len == 3) && name[0] == 'r' && isdigit((unsigned char)name[1])) {
        unsigned long n = strtoul(name + 1, NULL, 10);
        if (n < 16 && (len == 2) == (n < 10)) {
            return e->v->r[n];
        }
    }
    return refuse(e, "unknown register; there are $r0 to $r15, $sp, $lr, $pc, $fp, $ip, $cpsr");
}

static uint64_t term(struct parse *e)
{
    uint64_t value;

    blanks(e);
    if (*e->p == '(') {
        if (++e->depth > DEPTH_MAX) {
            return refuse(e, "too many parentheses");
        }
        e->p++;
        value = sum(e);
        e->depth--;
        if (*e->p != ')') {
            return refuse(e, "a closing parenthesis is missing");
        }
        e->p++;
    } else if (*e->p == '$') {
        value = register_value(e);
    } else if (isdigit((unsigned char)*e->p)) {
        value = number(e);
    } else {
        return refuse(e, "an address is a number, a register ($pc) or a sum of them");
    }
    blanks(e);
    return value;
}

static uint64_t product(struct parse *e)
{
    uint64_t value = term(e);

    while (e->why == NULL && *e->p == '*') {
        e->p++;
        value *= term(e);
    }
    return value;
}

static uint64_t sum(struct parse *e)
{
    uint64_t value = product(e);

    while (e->why == NULL && (*e->p == '+' || *e->p == '-')) {
        bool minus = *e->p++ == '-';
        uint64_t next = product(e);
        value = minus ? value - next : value + next;
    }
    return value;
}

int expression_value(const char *text, struct vcpu *v, uint64_t *out, const char **why)
{
    struct parse e = {.p = text, .v = v};

    *out = sum(&e);
    if (e.why == NULL && *e.p != '\0') {
        refuse(&e, "an address is a number, a register ($pc) or a sum of them");
    }
    *why = e.why;
    return e.why == NULL ? 0 : -EINVAL;
}

/* ---- formats ---- */
static bool format_letter(struct examine_format *f, char c)
{
    static const char sizes[] = "b1h2w4g8";
    const char *size = strchr(sizes, c);

    if (c != '\0' && strchr("xduoci", c) != NULL) {
        f->show = c;
        return true;
    }
    if (c != '\0' && size != NULL && isalpha((unsigned char)c)) {
        f->size = (unsigned)(size[1] - '0');
        return true;
    }
    return false;
}

bool examine_format_parse(const char **text, struct examine_format *f)
{
    const char *p = *text;

    *f = (struct examine_format){.count = 1, .show = 'x', .size = 4};
    if (*p != '/') {
        return true;
    }
    p++;
    if (isdigit((unsigned char)*p)) {
        char *end;
        errno = 0;
        unsigned long n = strtoul(p, &end, 10);
        if (errno != 0 || n == 0 || n > 65536) {
            return false;
        }
        f->count = (unsigned)n;
        p = end;
    }
    while (*p != '\0' && !isspace((unsigned char)*p)) {
        if (!format_letter(f, *p++)) {
            return false;
        }
    }
    while (isspace((unsigned char)*p)) {
        p++;
    }
    *text = p;
    return true;
}
