/* SPDX-License-Identifier: MIT */
/*
 * Command line: -semihosting and -semihosting-config.
 */
#include "options_internal.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int options_parse_semihosting_on(struct options *o, const char *value)
{
    (void)value;
    o->vm.semihosting.on = true;
    return 0;
}

static int add_word(struct options *o, const char *word)
{
    char *line, *old = o->vm.semihosting.args;
    int n = old != NULL ? asprintf(&line, "%s %s", old, word) : asprintf(&line, "%s", word);

    if (n < 0) {
        return -ENOMEM;
    }
    free(old);
    o->vm.semihosting.args = line;
    return 0;
}

static int console(struct options *o, const char *id)
{
    const struct vm_chardev *c = options_find_chardev(o, id);

    if (c == NULL || strcmp(c->spec, "stdio") != 0) {
        log_error("-semihosting-config chardev=%s: %s; accepted: a -chardev stdio (output goes to "
                  "standard output then, else to standard error)",
                  id, c == NULL ? "there is no -chardev of that id before it" : "not supported");
        return -EINVAL;
    }
    o->vm.semihosting.to_stdout = true;
    return 0;
}

static bool is_switch(const char *value, bool *out)
{
    *out = strcmp(value, "on") == 0;
    return *out || strcmp(value, "off") == 0;
}

static int config_key(struct options *o, const struct options_list *l)
{
    const char *v = l->value != NULL ? l->value : "on";

    if (strcmp(l->key, "arg") == 0) {
        return add_word(o, l->value != NULL ? v : "");
    }
    if (strcmp(l->key, "chardev") == 0) {
        return console(o, v);
    }
    if ((strcmp(l->key, "enable") == 0 && is_switch(v, &o->vm.semihosting.on)) ||
        (strcmp(l->key, "userspace") == 0 && is_switch(v, &o->vm.semihosting.user)) ||
        (strcmp(l->key, "target") == 0 && (strcmp(v, "native") == 0 || strcmp(v, "auto") == 0))) {
        return 0;
    }
    log_error("-semihosting-config: %s=%s is not supported; accepted: enable=on|off, "
              "target=native|auto, userspace=on|off, chardev=ID, arg=WORD",
              l->key, v);
    return -EINVAL;
}

int options_parse_semihosting(struct options *o, const char *value)
{
    struct options_list l = {.rest = value};
    int err = 0;

    o->vm.semihosting.on = true;
    while (err == 0 && options_list_next(&l)) {
        err = config_key(o, &l);
    }
    options_list_end(&l);
    return err;
}
