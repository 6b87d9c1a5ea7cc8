/* SPDX-License-Identifier: MIT */
/*
 * The JSON control protocol of a session: greeting, one answer for each request, events once the
 * client has negotiated. Monitor thread.
 */
#include "monitor_internal.h"

#include "vm_control.h"

#include <stdlib.h>
#include <string.h>

static void send_json(struct session *s, json_t *value)
{
    char *text = value == NULL
                     ? NULL
                     : json_dumps(value, s->control.pretty ? JSON_INDENT(4) : JSON_ENSURE_ASCII);

    if (text == NULL) {
        s->dead = true; /* without memory there is no honest answer */
    } else {
        session_send(s, text, strlen(text));
        session_send(s, "\r\n", 2);
    }
    free(text);
    json_decref(value);
}

void control_greet(struct session *s)
{
    send_json(s, json_pack("{s:{s:o,s:[]}}", "QMP", "version", control_version(), "capabilities"));
}

static void refuse(struct session *s, const char *why)
{
    send_json(s, json_pack("{s:o}", "error", control_error("GenericError", "%s", why)));
}

static void answer_text(struct session *s, const char *text, size_t len)
{
    json_error_t e;
    json_t *request = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);

    if (request == NULL) {
        json_t *error = control_error("GenericError", "this is not JSON: %s", e.text);
        send_json(s, json_pack("{s:o}", "error", error));
        return;
    }
    send_json(s, control_answer(s->mon->vm, &s->control.negotiated, request));
    json_decref(request);
}

void control_receive(struct session *s, const char *buf, size_t len)
{
    struct frame *f = &s->control.frame;

    while (!s->dead) {
        switch (frame_take(f, &buf, &len)) {
        case FRAME_TEXT:
            answer_text(s, f->text, f->len);
            break;
        case FRAME_GARBAGE: refuse(s, "this is not JSON: an object is expected"); break;
        case FRAME_TOO_LONG: refuse(s, "the request is too long: at most 1 MiB"); break;
        default: return;
        }
    }
}

void control_event(struct session *s, const struct vm_event *e)
{
    if (s->control.negotiated && !s->dead) {
        send_json(s, control_event_json(e));
    }
}

void control_free(struct control *c)
{
    frame_free(&c->frame);
}

/* ---- events ---- */
static const char *const event_name[] = {
    [VM_EVENT_SHUTDOWN] = "SHUTDOWN", [VM_EVENT_RESET] = "RESET",
    [VM_EVENT_STOP] = "STOP",         [VM_EVENT_RESUME] = "RESUME",
    [VM_EVENT_POWERDOWN] = "POWERDOWN", [VM_EVENT_WATCHDOG] = "WATCHDOG",
    [VM_EVENT_PANICKED] = "GUEST_PANICKED", [VM_EVENT_CRASH_LOADED] = "GUEST_CRASHLOADED",
};

json_t *control_event_json(const struct vm_event *e)
{
    json_t *event = json_pack("{s:{s:I,s:I},s:s}", "timestamp", "seconds", (json_int_t)e->at.tv_sec,
                              "microseconds", (json_int_t)(e->at.tv_nsec / 1000), "event",
                              event_name[e->kind]);

    if (event != NULL && (e->kind == VM_EVENT_SHUTDOWN || e->kind == VM_EVENT_RESET)) {
        json_t *data = json_pack("{s:b,s:s}", "guest", (int)vm_reason_by_guest(e->why), "reason",
                                 vm_reason_name(e->why));
        json_object_set_new(event, "data", data);
    } else if (event != NULL && (e->kind == VM_EVENT_WATCHDOG || e->kind == VM_EVENT_PANICKED ||
                                 e->kind == VM_EVENT_CRASH_LOADED)) {
        json_object_set_new(event, "data", json_pack("{s:s}", "action", e->action));
    }
    return event;
}

/* ---- requests ---- */
json_t *control_error(const char *cls, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    /* NULL when the client's own text is cut inside a character. */
    json_t *desc = json_string(text);
    if (desc == NULL) {
        desc = json_string("the request is refused");
    }
    return json_pack("{s:s,s:o}", "class", cls, "desc", desc);
}

json_t *control_version(void)
{
    int major = 0, minor = 0, micro = 0;

    (void)sscanf(UMBRA_VERSION, "%d.%d.%d", &major, &minor, &micro);
    return json_pack("{s:{s:i,s:i,s:i},s:s}", "qemu", "major", major, "minor", minor, "micro",
                     micro, "package", "umbra " UMBRA_VERSION);
}

/* Is `name` a word of the list, with or without '!' before it? */
static bool listed(const char *list, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = list; *p != '\0';) {
        size_t n = strcspn(p, " ");
        size_t skip = *p == '!';
        if (n - skip == len && strncmp(p + skip, name, len) == 0) {
            return true;
        }
        p += n + (p[n] == ' ');
    }
    return false;
}

static json_t *check_arguments(const struct control_command *cmd, json_t *args)
{
    const char *key;
    json_t *value;

    json_object_foreach(args, key, value) {
        if (!listed(cmd->args, key)) {
            return control_error("GenericError", "%s has no argument \"%s\"", cmd->name, key);
        }
    }
    for (const char *p = strchr(cmd->args, '!'); p != NULL; p = strchr(p, '!')) {
        char name[32];
        p++;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(p, " "), p);
        if (json_object_get(args, name) == NULL) {
            return control_error("GenericError", "%s needs the argument \"%s\"", cmd->name, name);
        }
    }
    return NULL;
}

static const struct control_command *find(const char *name)
{
    for (size_t i = 0; i < control_ncommands; i++) {
        if (strcmp(control_commands[i].name, name) == 0) {
            return &control_commands[i];
        }
    }
    return NULL;
}

/* Before and after the negotiation the other commands exist. */
static json_t *check_negotiated(bool negotiated, const char *name)
{
    bool is_negotiation = strcmp(name, "qmp_capabilities") == 0;

    if (!negotiated && !is_negotiation) {
        return control_error("CommandNotFound", "qmp_capabilities has to come first");
    }
    if (negotiated && is_negotiation) {
        return control_error("CommandNotFound", "qmp_capabilities was already given");
    }
    return NULL;
}

static json_t *check_members(json_t *request)
{
    const char *key;
    json_t *value;

    if (!json_is_object(request)) {
        return control_error("GenericError", "a request is a JSON object");
    }
    json_object_foreach(request, key, value) {
        if (!listed("execute arguments id", key)) {
            return control_error("GenericError", "a request has no member \"%s\"", key);
        }
    }
    if (!json_is_string(json_object_get(request, "execute"))) {
        return control_error("GenericError", "the member \"execute\" must be a string");
    }
    value = json_object_get(request, "arguments");
    if (value != NULL && !json_is_object(value)) {
        return control_error("GenericError", "the member \"arguments\" must be an object");
    }
    return NULL;
}

static json_t *execute(struct vm *vm, bool *negotiated, json_t *request, json_t **error)
{
    *error = check_members(request);
    if (*error != NULL) {
        return NULL;
    }
    const char *name = json_string_value(json_object_get(request, "execute"));
    const struct control_command *cmd = find(name);
    json_t *args = json_object_get(request, "arguments");

    *error = check_negotiated(*negotiated, name);
    if (*error == NULL && cmd == NULL) {
        *error = control_error("CommandNotFound", "there is no command %s", name);
    }
    if (*error == NULL) {
        *error = check_arguments(cmd, args);
    }
    if (*error != NULL) {
        return NULL;
    }
    json_t *result = cmd->run(vm, args, error);
    if (result != NULL && strcmp(name, "qmp_capabilities") == 0) {
        *negotiated = true;
    }
    return result;
}

json_t *control_answer(struct vm *vm, bool *negotiated, json_t *request)
{
    json_t *error, *result = execute(vm, negotiated, request, &error);
    json_t *id = json_object_get(request, "id");
    json_t *answer = result != NULL ? json_pack("{s:o}", "return", result)
                                    : json_pack("{s:o}", "error", error);

    if (answer != NULL && id != NULL) {
        json_object_set(answer, "id", id);
    }
    return answer;
}
