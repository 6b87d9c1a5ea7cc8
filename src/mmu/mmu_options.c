/* SPDX-License-Identifier: MIT */
/*
 * The value of -mmu: soft, auto, spt[=ORGANISATION[,windows=N][,prefill=W]]. Main thread, at start.
 */
#include "mmu_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WINDOWS_MAX 200 /* leaves room for privileged windows and those being cleared */
#define PREFILL_MAX 4096

static const char accepted[] = "soft, auto, spt[=private], spt=shared[,prefill=W], "
                               "spt=group,windows=N[,prefill=W] with N from "
                               "1 to 200 and W from 1 to 4096";

static bool parse_number(const char *text, size_t len, unsigned max, unsigned *out)
{
    char digits[8];
    char *end;
    unsigned long n;

    if (len == 0 || len >= sizeof(digits))
        return false;
    memcpy(digits, text, len);
    digits[len] = '\0';
    n = strtoul(digits, &end, 10);
    *out = (unsigned)n;
    return digits[0] >= '0' && digits[0] <= '9' && !*end && n >= 1 && n <= max;
}

static bool word_is(const char *word, size_t len, const char *name)
{
    return len == strlen(name) && !memcmp(word, name, len);
}

static bool parse_parameter(struct mmu_options *o, const char *word, size_t len, bool group)
{
    if (group && len > 8 && !memcmp(word, "windows=", 8))
        return parse_number(word + 8, len - 8, WINDOWS_MAX, &o->windows);
    if (len > 8 && !memcmp(word, "prefill=", 8))
        return parse_number(word + 8, len - 8, PREFILL_MAX, &o->prefill);
    return false;
}

static bool parse_organisation(struct mmu_options *o, const char *value)
{
    size_t len = strcspn(value, ",");
    bool group = word_is(value, len, "group");

    if (word_is(value, len, "private"))
        return !value[len];
    if (!group && !word_is(value, len, "shared"))
        return false;
    o->windows = group ? 0 : 1;
    for (value += len; *value == ','; value += len) {
        len = strcspn(++value, ",");
        if (!parse_parameter(o, value, len, group))
            return false;
    }
    return o->windows != 0;
}

int mmu_options_parse(struct mmu_options *o, const char *value, const char **why)
{
    struct mmu_options parsed = {.mode = MMU_SPT, .vma_budget = o->vma_budget};
    bool ok = true;

    if (!strcmp(value, "soft"))
        parsed.mode = MMU_SOFT;
    else if (!strcmp(value, "auto"))
        parsed.tiered = true;
    else if (!strncmp(value, "spt=", 4))
        ok = parse_organisation(&parsed, value + 4);
    else
        ok = !strcmp(value, "spt");
    *why = accepted;
    if (ok)
        *o = parsed;
    return ok ? 0 : -EINVAL;
}
