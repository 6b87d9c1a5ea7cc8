/* SPDX-License-Identifier: MIT */
/*
 * The commands of the control socket, from one table. Results have the members that clients of the
 * mainstream emulator's protocol look for. Monitor thread.
 */
#include "monitor_internal.h"

#include "dev/virtio.h"
#include "io/block.h"
#include "vm_control.h"

#include <stdlib.h>
#include <string.h>

static json_t *nothing(void)
{
    return json_object();
}

/* No optional capability is offered, so none can be enabled. */
static json_t *negotiate(struct vm *vm, json_t *args, json_t **error)
{
    json_t *enable = json_object_get(args, "enable");

    (void)vm;
    if (enable != NULL && (!json_is_array(enable) || json_array_size(enable) != 0)) {
        *error = control_error("GenericError", "no capability can be enabled");
        return NULL;
    }
    return nothing();
}

static json_t *query_version(struct vm *vm, json_t *args, json_t **error)
{
    (void)vm;
    (void)args;
    (void)error;
    return control_version();
}

static json_t *query_commands(struct vm *vm, json_t *args, json_t **error)
{
    json_t *list = json_array();

    (void)vm;
    (void)args;
    (void)error;
    for (size_t i = 0; i < control_ncommands; i++) {
        json_array_append_new(list, json_pack("{s:s}", "name", control_commands[i].name));
    }
    return list;
}

static json_t *query_status(struct vm *vm, json_t *args, json_t **error)
{
    const char *state = vm_state_name(vm);

    (void)args;
    (void)error;
    return json_pack("{s:s,s:b,s:b}", "status", state, "running",
                     (int)(strcmp(state, "running") == 0), "singlestep", 0);
}

static json_t *query_name(struct vm *vm, json_t *args, json_t **error)
{
    (void)args;
    (void)error;
    return vm->opt->name != NULL ? json_pack("{s:s}", "name", vm->opt->name) : nothing();
}

static json_t *query_kvm(struct vm *vm, json_t *args, json_t **error)
{
    (void)vm;
    (void)args;
    (void)error;
    return json_pack("{s:b,s:b}", "enabled", 0, "present", 0);
}

static json_t *query_target(struct vm *vm, json_t *args, json_t **error)
{
    (void)vm;
    (void)args;
    (void)error;
    return json_pack("{s:s}", "arch", "arm");
}

static json_t *query_cpus(struct vm *vm, json_t *args, json_t **error)
{
    json_t *list = json_array();

    (void)args;
    (void)error;
    for (unsigned i = 0; i < vm->ncpus; i++) {
        char path[64];
        snprintf(path, sizeof path, "/machine/unattached/device[%u]", i);
        json_array_append_new(
            list, json_pack("{s:i,s:s,s:i,s:{s:i},s:s}", "cpu-index", (int)i, "qom-path", path,
                            "thread-id", (int)atomic_load(&vm->cpu[i]->host_tid), "props",
                            "core-id", (int)i, "target", "arm"));
    }
    return list;
}

static json_t *query_chardev(struct vm *vm, json_t *args, json_t **error)
{
    (void)args;
    (void)error;
    json_t *list = json_pack("[{s:s,s:s,s:b}]", "label", "serial0", "filename", vm->opt->serial,
                             "frontend-open", 1);

    for (unsigned i = 0; i < vm->opt->nchardevs; i++) {
        const struct vm_chardev *c = &vm->opt->chardev[i];
        json_array_append_new(list, json_pack("{s:s,s:s,s:b}", "label", c->id, "filename", c->spec,
                                              "frontend-open", 1));
    }
    return list;
}

static json_t *one_block(const struct vm *vm, const struct vm_drive *d)
{
    const struct block *b = virtio_blk_drive(vm, d->id);
    const char *format = b != NULL ? block_format(b) : d->qcow2 ? "qcow2" : "raw";
    json_int_t size = b != NULL ? (json_int_t)(block_sectors(b) * BLOCK_SECTOR) : 0;
    json_t *image = json_pack("{s:s,s:s,s:I}", "filename", d->file, "format", format,
                              "virtual-size", size);

    return json_pack("{s:s,s:b,s:b,s:s,s:{s:s,s:b,s:s,s:b,s:o}}", "device", d->id, "locked", 0,
                     "removable", 0, "type", "unknown", "inserted", "file", d->file, "ro",
                     (int)d->readonly, "drv", format, "encrypted", 0, "image", image);
}

static json_t *query_block(struct vm *vm, json_t *args, json_t **error)
{
    json_t *list = json_array();

    (void)args;
    (void)error;
    for (unsigned i = 0; i < vm->opt->ndrives; i++) {
        json_array_append_new(list, one_block(vm, &vm->opt->drive[i]));
    }
    return list;
}

static json_t *run_stop(struct vm *vm, json_t *args, json_t **error)
{
    (void)args;
    (void)error;
    vm_stop(vm);
    return nothing();
}

static json_t *run_cont(struct vm *vm, json_t *args, json_t **error)
{
    (void)args;
    if (!vm_cont(vm)) {
        *error = control_error("GenericError", "the machine is off: system_reset starts it again");
        return NULL;
    }
    return nothing();
}

static json_t *run_quit(struct vm *vm, json_t *args, json_t **error)
{
    (void)args;
    (void)error;
    vm_request_stop(vm, VM_QUIT_MONITOR);
    return nothing();
}

static json_t *run_reset(struct vm *vm, json_t *args, json_t **error)
{
    (void)args;
    (void)error;
    vm_request_stop(vm, VM_RESET_MONITOR);
    return nothing();
}

static json_t *run_powerdown(struct vm *vm, json_t *args, json_t **error)
{
    (void)args;
    (void)error;
    vm_powerdown(vm);
    return nothing();
}

static json_t *run_human(struct vm *vm, json_t *args, json_t **error)
{
    const char *line = json_string_value(json_object_get(args, "command-line"));
    json_t *index = json_object_get(args, "cpu-index");
    json_int_t cpu = json_integer_value(index);

    if (line == NULL || (index != NULL && !json_is_integer(index))) {
        *error = control_error("GenericError",
                               "command-line must be a string and cpu-index a number");
        return NULL;
    }
    if (cpu < 0 || cpu >= (json_int_t)vm->ncpus) {
        *error = control_error("GenericError", "cpu-index must be from 0 to %u", vm->ncpus - 1);
        return NULL;
    }
    unsigned selected = (unsigned)cpu;
    char *out = human_run(vm, &selected, line);
    json_t *text = out != NULL ? json_string(out) : NULL;
    free(out);
    if (text == NULL) {
        *error = control_error("GenericError", "the output cannot be sent");
    }
    return text;
}

const struct control_command control_commands[] = {
    {"qmp_capabilities", negotiate, "enable"},
    {"query-status", query_status, ""},
    {"query-version", query_version, ""},
    {"query-commands", query_commands, ""},
    {"query-cpus-fast", query_cpus, ""},
    {"query-block", query_block, ""},
    {"query-chardev", query_chardev, ""},
    {"query-name", query_name, ""},
    {"query-kvm", query_kvm, ""},
    {"query-target", query_target, ""},
    {"stop", run_stop, ""},
    {"cont", run_cont, ""},
    {"quit", run_quit, ""},
    {"system_reset", run_reset, ""},
    {"system_powerdown", run_powerdown, ""},
    {"screendump", control_screendump, "!filename format device head"},
    {"send-key", control_send_key, "!keys hold-time"},
    {"input-send-event", control_send_events, "!events device head"},
    {"ringbuf-read", control_ringbuf_read, "!device !size format"},
    {"ringbuf-write", control_ringbuf_write, "!device !data format"},
    {"human-monitor-command", run_human, "!command-line cpu-index"},
};
const size_t control_ncommands = ARRAY_SIZE(control_commands);
