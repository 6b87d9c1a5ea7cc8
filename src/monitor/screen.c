/* SPDX-License-Identifier: MIT */
/*
 * Commands of both monitors that have to do with the screen, keys, pointer and touches. Monitor
 * thread.
 */
#include "monitor_internal.h"

#include "display/input.h"
#include "vm.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <stdlib.h>
#include <string.h>

#define HOLD_MAX_MS 60000u

/* ---- for people ---- */
void human_screendump(struct command_call *c)
{
    if (c->args[0] == '\0') {
        fputs("error: screendump takes the name of a PNG file\n", c->out);
        return;
    }
    int err = display_screendump(c->vm->display, c->args);
    if (err != 0) {
        fprintf(c->out, "error: %s: %s\n", c->args, strerror(-err));
    }
}

static const char *chord_problem(int err)
{
    return err == -ENODEV ? "the machine has no keyboard: start it with -device "
                            "virtio-keyboard-device"
                          : "too many keys wait to be sent";
}

/* "ctrl-alt-f1"; false: *bad is the name that is none (its length in *len), or NULL: too many. */
static bool parse_chord(const char *text, size_t end, uint16_t *code, unsigned *n,
                        const char **bad, size_t *len)
{
    *n = 0;
    *bad = NULL;
    for (size_t at = 0; *n < INPUT_CHORD;) {
        *len = strcspn(text + at, "-");
        *len = *len < end - at ? *len : end - at;
        code[*n] = input_key_by_name(text + at, *len);
        if (code[(*n)++] == 0) {
            *bad = text + at;
            return false;
        }
        at += *len + 1;
        if (at > end) {
            return true;
        }
    }
    return false;
}

void human_sendkey(struct command_call *c)
{
    size_t end = strcspn(c->args, " \t"), len;
    const char *hold = c->args + end + strspn(c->args + end, " \t"), *bad;
    uint16_t code[INPUT_CHORD];
    unsigned n, ms = INPUT_HOLD_MS;
    char *rest = NULL;

    if (*hold != '\0') {
        errno = 0;
        unsigned long value = strtoul(hold, &rest, 10);
        ms = (unsigned)value;
        if (errno != 0 || *rest != '\0' || *hold == '-' || value > HOLD_MAX_MS) {
            fprintf(c->out, "error: keys are held for 0 to %u milliseconds\n", HOLD_MAX_MS);
            return;
        }
    }
    if (!parse_chord(c->args, end, code, &n, &bad, &len)) {
        if (bad != NULL) {
            fprintf(c->out, "error: unknown key \"%.*s\"; keys are named as in ctrl-alt-delete\n",
                    (int)len, bad);
        } else {
            fprintf(c->out, "error: more than %u keys at once\n", INPUT_CHORD);
        }
        return;
    }
    int err = input_chord(c->vm->display, code, n, ms);
    if (err != 0) {
        fprintf(c->out, "error: %s\n", chord_problem(err));
    }
}

/* ---- screendump ---- */
json_t *control_screendump(struct vm *vm, json_t *args, json_t **error)
{
    const char *path = json_string_value(json_object_get(args, "filename"));
    json_t *format = json_object_get(args, "format");

    if (path == NULL) {
        *error = control_error("GenericError", "filename must be a string");
        return NULL;
    }
    if (format != NULL && (!json_is_string(format) ||
                           strcmp(json_string_value(format), "png") != 0)) {
        *error = control_error("GenericError", "format: accepted: png");
        return NULL;
    }
    int err = display_screendump(vm->display, path);
    if (err != 0) {
        *error = control_error("GenericError", "%s: %s", path, strerror(-err));
        return NULL;
    }
    return json_object();
}

/* ---- keys ---- */
/* A KeyValue: {"type": "qcode", "data": NAME}, or "number" with Linux's number; 0: neither. */
static uint16_t key_value(json_t *key)
{
    const char *type = json_string_value(json_object_get(key, "type"));
    json_t *data = json_object_get(key, "data");

    if (type != NULL && strcmp(type, "qcode") == 0 && json_is_string(data)) {
        return input_key_by_name(json_string_value(data), json_string_length(data));
    }
    if (type != NULL && strcmp(type, "number") == 0 && json_integer_value(data) > 0 &&
        json_integer_value(data) < BTN_MISC) {
        return (uint16_t)json_integer_value(data);
    }
    return 0;
}

json_t *control_send_key(struct vm *vm, json_t *args, json_t **error)
{
    json_t *keys = json_object_get(args, "keys"), *hold = json_object_get(args, "hold-time");
    json_int_t ms = hold != NULL ? json_integer_value(hold) : INPUT_HOLD_MS;
    size_t n = json_array_size(keys);
    uint16_t code[INPUT_CHORD];

    if (n == 0 || n > INPUT_CHORD) {
        *error = control_error("GenericError", "keys must be an array of 1 to %u", INPUT_CHORD);
        return NULL;
    }
    if ((hold != NULL && !json_is_integer(hold)) || ms < 0 || ms > HOLD_MAX_MS) {
        *error = control_error("GenericError", "hold-time: accepted: 0 to %u", HOLD_MAX_MS);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        code[i] = key_value(json_array_get(keys, i));
        if (code[i] == 0) {
            *error = control_error("GenericError", "key %zu is none that is known", i);
            return NULL;
        }
    }
    int err = input_chord(vm->display, code, (unsigned)n, (unsigned)ms);
    if (err != 0) {
        *error = control_error("GenericError", "%s", chord_problem(err));
        return NULL;
    }
    return json_object();
}

/* ---- input-send-event ---- */
/* The pointer and the fingers as the events of one command leave them. */
struct moment {
    struct display *display;
    unsigned x, y, buttons;
    bool pointer;                       /* something about it is new */
    unsigned touch_x[INPUT_SLOTS], touch_y[INPUT_SLOTS];
};

static bool send_key_event(struct moment *m, json_t *data)
{
    json_t *down = json_object_get(data, "down");
    uint16_t code = key_value(json_object_get(data, "key"));

    return json_is_boolean(down) && code != 0 &&
           input_key(m->display, code, json_is_true(down));
}

/* The axis's value in *value: 'x', 'y', or 0. */
static char axis(json_t *data, unsigned *value)
{
    const char *name = json_string_value(json_object_get(data, "axis"));
    json_t *v = json_object_get(data, "value");

    if (name == NULL || (strcmp(name, "x") != 0 && strcmp(name, "y") != 0) ||
        !json_is_integer(v) || json_integer_value(v) < 0 ||
        json_integer_value(v) > INPUT_AXIS_MAX) {
        return 0;
    }
    *value = (unsigned)json_integer_value(v);
    return name[0];
}

static bool send_abs_event(struct moment *m, json_t *data)
{
    unsigned value = 0;
    char which = axis(data, &value);

    if (which == 'x') {
        m->x = value;
    } else if (which == 'y') {
        m->y = value;
    }
    m->pointer = true;
    return which != 0;
}

static bool send_button_event(struct moment *m, json_t *data)
{
    static const struct {
        const char *name;
        unsigned mask;
    } button[] = {{"left", INPUT_LEFT}, {"middle", INPUT_MIDDLE}, {"right", INPUT_RIGHT},
                  {"wheel-up", INPUT_WHEEL_UP}, {"wheel-down", INPUT_WHEEL_DOWN}};
    const char *name = json_string_value(json_object_get(data, "button"));
    json_t *down = json_object_get(data, "down");

    for (size_t i = 0; i < ARRAY_SIZE(button) && name != NULL && json_is_boolean(down); i++) {
        if (strcmp(name, button[i].name) == 0) {
            m->buttons = json_is_true(down) ? m->buttons | button[i].mask
                                            : m->buttons & ~button[i].mask;
            m->pointer = true;
            return true;
        }
    }
    return false;
}

/* "data" says where the finger will be, the others what it does there. */
static bool send_touch_event(struct moment *m, json_t *data)
{
    static const char *const kinds[] = {[INPUT_TOUCH_BEGIN] = "begin",
                                        [INPUT_TOUCH_MOVE] = "update", [INPUT_TOUCH_END] = "end"};
    const char *type = json_string_value(json_object_get(data, "type"));
    json_t *slot = json_object_get(data, "slot");
    json_int_t i = json_integer_value(slot);

    if (type == NULL || !json_is_integer(slot) || i < 0 || i >= INPUT_SLOTS) {
        return false;
    }
    if (strcmp(type, "data") == 0) {
        unsigned value = 0;
        char which = axis(data, &value);
        if (which != 0) {
            *(which == 'x' ? &m->touch_x[i] : &m->touch_y[i]) = value;
        }
        return which != 0;
    }
    for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
        if (strcmp(type, kinds[k]) == 0) {
            return input_touch(m->display, (enum input_touch_kind)k, (unsigned)i, m->touch_x[i],
                               m->touch_y[i]);
        }
    }
    return false;
}

static const struct {
    const char *type;
    bool (*send)(struct moment *m, json_t *data);
} event_types[] = {{"key", send_key_event}, {"abs", send_abs_event}, {"btn", send_button_event},
                   {"mtt", send_touch_event}};

static bool send_event(struct moment *m, json_t *event)
{
    const char *type = json_string_value(json_object_get(event, "type"));

    for (size_t i = 0; i < ARRAY_SIZE(event_types) && type != NULL; i++) {
        if (strcmp(type, event_types[i].type) == 0) {
            return event_types[i].send(m, json_object_get(event, "data"));
        }
    }
    return false;
}

/* Where fingers are is remembered from command to command; one thread sends. */
static unsigned last_touch_x[INPUT_SLOTS], last_touch_y[INPUT_SLOTS];

json_t *control_send_events(struct vm *vm, json_t *args, json_t **error)
{
    json_t *events = json_object_get(args, "events"), *event;
    struct moment m = {.display = vm->display};
    size_t i, bad = json_array_size(events);

    if (!json_is_array(events)) {
        *error = control_error("GenericError", "events must be an array");
        return NULL;
    }
    input_pointer_state(vm->display, &m.x, &m.y, &m.buttons);
    memcpy(m.touch_x, last_touch_x, sizeof m.touch_x);
    memcpy(m.touch_y, last_touch_y, sizeof m.touch_y);
    json_array_foreach(events, i, event) {
        if (!send_event(&m, event)) {
            bad = i;
            break;
        }
    }
    memcpy(last_touch_x, m.touch_x, sizeof m.touch_x);
    memcpy(last_touch_y, m.touch_y, sizeof m.touch_y);
    if (m.pointer && !input_pointer(vm->display, m.x, m.y, m.buttons)) {
        bad = 0;
    }
    if (bad != json_array_size(events)) {
        *error = control_error("GenericError",
                               "event %zu is none that is known, or the machine has no such device",
                               bad);
        return NULL;
    }
    return json_object();
}
