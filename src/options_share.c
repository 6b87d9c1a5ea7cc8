/* SPDX-License-Identifier: MIT */
/*
 * Command line: -fsdev, a folder of the host for the guest, and -virtfs, the same with its device.
 */
#include "options_internal.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct share_parse {
    const char *option;
    struct vm_share share;
    char *tag;
    bool has_model;
};

static int refuse(const struct share_parse *p, const char *key, const char *value,
                  const char *accepted)
{
    log_error("-%s %s=%s: accepted: %s", p->option, key, value, accepted);
    return -EINVAL;
}

static int model(struct share_parse *p, const char *value)
{
    static const struct {
        const char *name;
        enum p9_security security;
    } models[] = {{"none", P9_NONE}, {"passthrough", P9_PASSTHROUGH},
                  {"mapped-xattr", P9_MAPPED}, {"mapped", P9_MAPPED}};

    for (size_t i = 0; i < ARRAY_SIZE(models); i++) {
        if (strcmp(models[i].name, value) == 0) {
            p->share.config.security = models[i].security;
            p->has_model = true;
            return 0;
        }
    }
    return refuse(p, "security_model", value, "none, mapped-xattr, passthrough");
}

static int readonly(struct share_parse *p, const char *key, const char *value)
{
    if (value == NULL || strcmp(value, "on") == 0) {
        p->share.config.readonly = true;
    } else if (strcmp(value, "off") != 0) {
        return refuse(p, key, value, "on, off");
    }
    return 0;
}

static int share_key(struct share_parse *p, const struct options_list *l)
{
    const struct {
        const char *key;
        char **slot;
    } text[] = {{"id", &p->share.id}, {"path", &p->share.path}, {"mount_tag", &p->tag}};
    const char *value = l->value != NULL ? l->value : "";

    for (size_t i = 0; i < ARRAY_SIZE(text); i++) {
        if (strcmp(l->key, text[i].key) == 0 && (text[i].slot != &p->tag || p->option[0] == 'v')) {
            free(*text[i].slot);
            *text[i].slot = strdup(value);
            return *text[i].slot != NULL ? 0 : -ENOMEM;
        }
    }
    if (strcmp(l->key, "security_model") == 0) {
        return model(p, value);
    }
    if (strcmp(l->key, "readonly") == 0) {
        return readonly(p, l->key, l->value);
    }
    if (strcmp(l->key, "multidevs") == 0) {
        return strcmp(value, "remap") == 0 ? 0 : refuse(p, l->key, value, "remap");
    }
    log_error("-%s: unknown option %s; accepted: local, path=, security_model=, %s, "
              "readonly=on|off",
              p->option, l->key, p->option[0] == 'v' ? "mount_tag=, id=" : "id=");
    return -EINVAL;
}

static int missing(const struct share_parse *p, const char *what)
{
    log_error("-%s: %s is missing", p->option, what);
    return -EINVAL;
}

/* Takes over what p holds. */
static int add(struct options *o, struct share_parse *p)
{
    struct vm_share *s = &p->share;

    if (s->path == NULL || s->path[0] == '\0') {
        return missing(p, "path=");
    }
    if (!p->has_model) {
        return missing(p, "security_model=none, mapped-xattr or passthrough");
    }
    if (s->id == NULL) {
        return missing(p, "id=");
    }
    for (unsigned i = 0; i < o->vm.nshares; i++) {
        if (strcmp(o->vm.share[i].id, s->id) == 0) {
            log_error("-%s: the id %s is used twice", p->option, s->id);
            return -EINVAL;
        }
    }
    if (o->vm.nshares == ARRAY_SIZE(o->vm.share)) {
        log_error("-%s: more than %zu shared folders", p->option, ARRAY_SIZE(o->vm.share));
        return -EINVAL;
    }
    s->config.path = s->path;
    o->vm.share[o->vm.nshares++] = *s;
    *s = (struct vm_share){0};
    return 0;
}

static int parse(struct share_parse *p, const char *value)
{
    struct options_list l = {.rest = value};
    bool local = options_list_next(&l) && strcmp(l.key, "local") == 0 && l.value == NULL;
    int err = 0;

    if (!local) {
        log_error("-%s %s: not supported; accepted: local,path=PATH,security_model=none|"
                  "mapped-xattr|passthrough,...",
                  p->option, value);
        err = -EINVAL;
    }
    while (err == 0 && options_list_next(&l)) {
        err = share_key(p, &l);
    }
    options_list_end(&l);
    return err;
}

static void drop(struct share_parse *p)
{
    free(p->share.id);
    free(p->share.path);
    free(p->tag);
}

int options_parse_fsdev(struct options *o, const char *value)
{
    struct share_parse p = {.option = "fsdev"};
    int err = parse(&p, value);

    if (err == 0) {
        err = add(o, &p);
    }
    drop(&p);
    return err;
}

int options_parse_virtfs(struct options *o, const char *value)
{
    struct share_parse p = {.option = "virtfs"};
    char *device = NULL;
    int err = parse(&p, value);

    if (err == 0 && p.tag == NULL) {
        err = missing(&p, "mount_tag=");
    }
    if (err == 0 && p.share.id == NULL && asprintf(&p.share.id, "virtfs%u", o->vm.nshares) < 0) {
        p.share.id = NULL;
        err = -ENOMEM;
    }
    if (err == 0) {
        err = asprintf(&device, "fsdev=%s,mount_tag=%s", p.share.id, p.tag) < 0 ? -ENOMEM : 0;
    }
    if (err == 0) {
        err = add(o, &p);
    }
    if (err == 0) {
        err = options_add_device(o, "virtio-9p", device);
    }
    free(device);
    drop(&p);
    return err;
}

void options_free_shares(struct options *o)
{
    for (unsigned i = 0; i < o->vm.nshares; i++) {
        free(o->vm.share[i].id);
        free(o->vm.share[i].path);
    }
}
