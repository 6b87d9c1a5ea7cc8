/* SPDX-License-Identifier: MIT */
/*
 * Command line: monitors, control sockets, metrics, what follows a reset or shutdown; and who gets
 * the terminal when nothing is said. -chardev and -mon are other spellings of -monitor and -qmp.
 */
#include "options_internal.h"
#include "base/log.h"
#include "vm_control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add_monitor(struct options *o, const char *option, const char *spec,
                       enum monitor_mode mode, bool pretty)
{
    const char *why;

    if (!monitor_spec_valid(spec, &why)) {
        log_error("-%s %s: not supported; accepted: %s", option, spec, why);
        return -EINVAL;
    }
    if (o->monitor.n == MONITOR_MAX) {
        log_error("-%s %s: more than %d monitors", option, spec, MONITOR_MAX);
        return -EINVAL;
    }
    unsigned n = o->monitor.n++;
    o->monitor.at[n].mode = mode;
    o->monitor.at[n].spec = spec;
    o->monitor.at[n].pretty = pretty;
    return 0;
}

int options_parse_monitor(struct options *o, const char *value)
{
    return add_monitor(o, "monitor", value, MONITOR_HUMAN, false);
}

int options_parse_qmp(struct options *o, const char *value)
{
    return add_monitor(o, "qmp", value, MONITOR_CONTROL, false);
}

int options_parse_qmp_pretty(struct options *o, const char *value)
{
    return add_monitor(o, "qmp-pretty", value, MONITOR_CONTROL, true);
}

int options_parse_metrics(struct options *o, const char *value)
{
    if (!monitor_metrics_valid(value)) {
        log_error("-metrics %s: not supported; accepted: [HOST:]PORT with a port from 1 to 65535",
                  value);
        return -EINVAL;
    }
    o->monitor.metrics = value;
    return 0;
}

/* ---- -chardev and -mon ---- */
struct chardev_parse {
    const char *backend;
    char *id, *path, *host, *port, *size;
    bool server, wait, mux;
};

static const char chardev_forms[] =
    "socket,id=ID,path=PATH or host=HOST,port=PORT[,server=on|off][,wait=on|off]; "
    "stdio|pty|null|testdev,id=ID; file,id=ID,path=PATH; ringbuf,id=ID[,size=N, a power of two up "
    "to 1G]; [,mux=on|off]";

static bool is_on(const char *value, bool *out)
{
    *out = value == NULL || strcmp(value, "on") == 0;
    return *out || strcmp(value, "off") == 0;
}

static bool chardev_key(struct chardev_parse *c, const struct options_list *l)
{
    const struct {
        const char *key;
        char **slot;
    } text[] = {{"id", &c->id},     {"path", &c->path}, {"host", &c->host},
                {"port", &c->port}, {"size", &c->size}};
    bool ignored;

    for (size_t i = 0; i < ARRAY_SIZE(text); i++) {
        if (strcmp(l->key, text[i].key) == 0 && l->value != NULL) {
            free(*text[i].slot);
            *text[i].slot = strdup(l->value);
            return *text[i].slot != NULL;
        }
    }
    if (strcmp(l->key, "server") == 0) {
        return is_on(l->value, &c->server);
    }
    if (strcmp(l->key, "wait") == 0) {
        return is_on(l->value, &c->wait);
    }
    if (strcmp(l->key, "nowait") == 0 && l->value == NULL) { /* of older scripts */
        c->wait = false;
        return true;
    }
    if (strcmp(l->key, "mux") == 0) {
        return is_on(l->value, &c->mux);
    }
    if (strcmp(l->key, "signal") == 0) { /* keys are the guest's, as always */
        return is_on(l->value, &ignored);
    }
    return strcmp(l->key, "nodelay") == 0 && is_on(l->value, &ignored);
}

static char *ringbuf_spec(const struct chardev_parse *c)
{
    uint64_t size = 65536;
    char *spec;

    if (c->id == NULL || (c->size != NULL && options_parse_size(c->size, 1, &size) != 0) ||
        size == 0 || size > 1u << 30 || (size & (size - 1)) != 0) {
        return NULL;
    }
    return asprintf(&spec, "ringbuf:%llu:%s", (unsigned long long)size, c->id) >= 0 ? spec : NULL;
}

/* The same back end as -monitor spells it; NULL: it lacks something. */
static char *chardev_spec(const struct chardev_parse *c)
{
    const char *server = c->server ? ",server=on" : "", *wait = c->wait ? "" : ",wait=off";
    char *spec = NULL;
    int n = -1;

    if (strcmp(c->backend, "socket") == 0 && c->path != NULL) {
        n = asprintf(&spec, "unix:%s%s%s", c->path, server, wait);
    } else if (strcmp(c->backend, "socket") == 0 && c->port != NULL) {
        n = asprintf(&spec, "tcp:%s:%s%s%s", c->host != NULL ? c->host : "", c->port, server, wait);
    } else if (strcmp(c->backend, "file") == 0 && c->path != NULL) {
        n = asprintf(&spec, "file:%s", c->path);
    } else if (strcmp(c->backend, "ringbuf") == 0 || strcmp(c->backend, "memory") == 0) {
        return ringbuf_spec(c);
    } else if (strcmp(c->backend, "stdio") == 0 || strcmp(c->backend, "pty") == 0 ||
               strcmp(c->backend, "null") == 0 || strcmp(c->backend, "testdev") == 0) {
        n = asprintf(&spec, "%s", c->backend);
    }
    return n >= 0 ? spec : NULL;
}

const struct vm_chardev *options_find_chardev(const struct options *o, const char *id)
{
    for (unsigned i = 0; i < o->nchardevs; i++) {
        if (strcmp(o->chardev[i].id, id) == 0) {
            return &o->chardev[i];
        }
    }
    return NULL;
}

static int add_chardev(struct options *o, struct chardev_parse *c, const char *value)
{
    if (c->id == NULL) {
        log_error("-chardev %s: id= is missing", value);
    } else if (options_find_chardev(o, c->id) != NULL) {
        log_error("-chardev %s: the id %s is used twice", value, c->id);
    } else if (o->nchardevs == OPTIONS_CHARDEVS) {
        log_error("-chardev %s: more than %d of them", value, OPTIONS_CHARDEVS);
    } else {
        char *spec = chardev_spec(c);
        if (spec == NULL) {
            log_error("-chardev %s: not supported; accepted: %s", value, chardev_forms);
            return -EINVAL;
        }
        o->chardev[o->nchardevs++] = (struct vm_chardev){.id = c->id, .spec = spec,
                                                             .mux = c->mux};
        c->id = NULL;
        return 0;
    }
    return -EINVAL;
}

int options_parse_chardev(struct options *o, const char *value)
{
    struct options_list l = {.rest = value};
    struct chardev_parse c = {.wait = true};
    char backend[16] = "";
    int err = 0;

    while (err == 0 && options_list_next(&l)) {
        if (c.backend == NULL && l.value == NULL) {
            snprintf(backend, sizeof backend, "%s", l.key);
            c.backend = backend;
        } else if (c.backend == NULL || !chardev_key(&c, &l)) {
            log_error("-chardev %s: not supported: %s; accepted: %s", value, l.key, chardev_forms);
            err = -EINVAL;
        }
    }
    options_list_end(&l);
    if (err == 0) {
        c.backend = backend;
        err = add_chardev(o, &c, value);
    }
    free(c.id);
    free(c.path);
    free(c.host);
    free(c.port);
    free(c.size);
    return err;
}

void options_free_chardevs(struct options *o)
{
    for (unsigned i = 0; i < o->nchardevs; i++) {
        free(o->chardev[i].id);
        free(o->chardev[i].spec);
    }
    free(o->name);
}

int options_parse_mon(struct options *o, const char *value)
{
    struct options_list l = {.rest = value};
    const struct vm_chardev *c = NULL;
    enum monitor_mode mode = MONITOR_HUMAN;
    bool pretty = false, ok = true;

    while (ok && options_list_next(&l)) {
        const char *v = l.value != NULL ? l.value : "";
        if (strcmp(l.key, "chardev") == 0 || l.value == NULL) {
            const char *id = l.value != NULL ? v : l.key;
            c = options_find_chardev(o, id);
            ok = c != NULL;
        } else if (strcmp(l.key, "mode") == 0) {
            mode = strcmp(v, "control") == 0 ? MONITOR_CONTROL : MONITOR_HUMAN;
            ok = mode == MONITOR_CONTROL || strcmp(v, "readline") == 0;
        } else if (strcmp(l.key, "pretty") == 0) {
            ok = is_on(l.value, &pretty);
        } else {
            ok = strcmp(l.key, "id") == 0;
        }
    }
    options_list_end(&l);
    if (!ok || c == NULL) {
        log_error("-mon %s: not supported; accepted: chardev=ID of a -chardev before it"
                  "[,mode=readline|control][,pretty=on|off]",
                  value);
        return -EINVAL;
    }
    if (c->mux && mode == MONITOR_HUMAN) { /* perhaps the serial port's: options_settle_console() */
        o->chardev[c - o->chardev].monitor = true;
        return 0;
    }
    return add_monitor(o, "mon", c->spec, mode, pretty);
}

/* ---- what follows ---- */
static const struct {
    const char *key, *accepted; /* separated by '|' */
} actions[] = {
    {"reboot", "reset|shutdown"},
    {"shutdown", "poweroff|pause"},
    {"panic", "none|pause|shutdown|exit-failure"},
    {"watchdog", "reset|shutdown|poweroff|pause|debug|none"},
};

static void set_watchdog(struct options *o, const char *value)
{
    for (unsigned i = 0; vm_watchdog_name[i] != NULL; i++) {
        if (strcmp(vm_watchdog_name[i], value) == 0) {
            o->vm.watchdog_action = (enum vm_watchdog_action)i;
        }
    }
}

static void set_panic(struct options *o, const char *value)
{
    o->vm.panic_action = value[0] == 's'   ? VM_PANIC_SHUTDOWN
                         : value[0] == 'p' ? VM_PANIC_PAUSE
                         : value[0] == 'n' ? VM_PANIC_NONE
                                           : VM_PANIC_EXIT_FAILURE;
}

static int action_key(struct options *o, const char *key, const char *value)
{
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        if (strcmp(key, actions[i].key) != 0) {
            continue;
        }
        if (!options_one_of(actions[i].accepted, value)) {
            log_error("-action %s=%s: accepted: %s", key, value, actions[i].accepted);
            return -EINVAL;
        }
        if (key[0] == 'r') {
            o->vm.no_reboot = strcmp(value, "shutdown") == 0;
        } else if (key[0] == 's') {
            o->vm.no_shutdown = strcmp(value, "pause") == 0;
        } else if (key[0] == 'w') {
            set_watchdog(o, value);
        } else {
            set_panic(o, value);
        }
        return 0;
    }
    log_error("-action: unknown event %s; accepted: reboot=, shutdown=, panic=, watchdog=", key);
    return -EINVAL;
}

int options_parse_action(struct options *o, const char *value)
{
    struct options_list l = {.rest = value};
    int err = 0;

    while (err == 0 && options_list_next(&l)) {
        err = action_key(o, l.key, l.value != NULL ? l.value : "");
    }
    options_list_end(&l);
    return err;
}

int options_parse_name(struct options *o, const char *value)
{
    struct options_list l = {.rest = value};

    while (options_list_next(&l)) {
        bool is_guest = strcmp(l.key, "guest") == 0 && l.value != NULL;
        if (is_guest || l.value == NULL) {
            free(o->name);
            o->name = strdup(is_guest ? l.value : l.key);
            o->vm.name = o->name;
        } else if (strcmp(l.key, "debug-threads") != 0 && strcmp(l.key, "process") != 0) {
            log_error("-name: unknown option %s; accepted: [guest=]NAME, debug-threads=, process=",
                      l.key);
            options_list_end(&l);
            return -EINVAL;
        }
    }
    options_list_end(&l);
    return 0;
}

/* ---- the terminal ---- */
static bool is_stdio(const char *spec)
{
    return strcmp(spec, "stdio") == 0 || strcmp(spec, "mon:stdio") == 0;
}

/* -serial chardev:ID: that back end, with the monitor that shares it. */
static int settle_serial_chardev(struct options *o)
{
    const char *id = o->vm.serial;

    o->vm.chardev = o->chardev;
    o->vm.nchardevs = o->nchardevs;
    if (id == NULL || strncmp(id, "chardev:", 8) != 0) {
        return 0;
    }
    const struct vm_chardev *c = options_find_chardev(o, id + 8);
    if (c == NULL) {
        log_error("-serial %s: there is no -chardev with that id", id);
        return -EINVAL;
    }
    struct vm_chardev *mine = &o->chardev[c - o->chardev];
    if (mine->monitor) {
        char *shared;
        if (asprintf(&shared, "mon:%s", mine->spec) < 0) {
            return -ENOMEM;
        }
        free(mine->spec);
        mine->spec = shared;
        mine->monitor = false;
    }
    o->vm.serial = mine->spec;
    return 0;
}

/* mux=on without a serial port there: the monitor has it alone. */
static int settle_muxed_monitors(struct options *o)
{
    int err = 0;

    for (unsigned i = 0; err == 0 && i < o->nchardevs; i++) {
        if (o->chardev[i].monitor) {
            err = add_monitor(o, "mon", o->chardev[i].spec, MONITOR_HUMAN, false);
        }
    }
    return err;
}

/*
 * Without -serial the console has the terminal, with a monitor behind Ctrl-A c unless -monitor says
 * where that is; a monitor on stdio leaves the serial port unconnected.
 */
int options_settle_console(struct options *o)
{
    unsigned users = 0;
    bool human = false;
    int err = settle_serial_chardev(o);

    if (err == 0) {
        err = settle_muxed_monitors(o);
    }
    if (err != 0) {
        return err;
    }

    for (unsigned i = 0; i < o->monitor.n; i++) {
        users += is_stdio(o->monitor.at[i].spec);
        human |= o->monitor.at[i].mode == MONITOR_HUMAN;
    }
    if (o->vm.serial == NULL) {
        o->vm.serial = users > 0 ? "null" : human ? "stdio" : "mon:stdio";
    }
    users += is_stdio(o->vm.serial);
    if (users > 1) {
        log_error("stdio is used twice: give the serial port and each monitor a place of their own "
                  "(-serial mon:stdio shares it)");
        return -EINVAL;
    }
    return 0;
}
