/* SPDX-License-Identifier: MIT */
/*
 * The umbra command. Reads the command line, builds the machine, runs it; only this file decides
 * the exit status: 0 the guest powered off or the user quit, 128 + n a signal, 1 an error.
 */
#include "base/log.h"
#include "board.h"
#include "display/window.h"
#include "io/chardev.h"
#include "options.h"
#include "tcg/perf_map.h"

#include <stdlib.h>
#include <string.h>

static void window_closed(void *vm)
{
    vm_request_stop(vm, VM_QUIT_MONITOR);
}

static int open_window(const struct options *o, struct vm *vm, struct display_window **out)
{
    *out = NULL;
    return o->vm.display.window
               ? display_window_open(vm->display, o->vm.name, window_closed, vm, out)
               : 0;
}

/* The page for browsers also has the serial port and the counters. */
static int connect_page(const struct options *o, struct vm *vm, struct display_server *s,
                        struct display_hooks *hooks)
{
    *hooks = (struct display_hooks){board_serial(vm), monitor_print_metrics, vm};
    int err = o->vm.display.web != NULL ? chardev_record(hooks->serial) : 0;
    if (err != 0) {
        log_error("-display web: %s", strerror(-err));
        return err;
    }
    display_serve_connect(s, hooks);
    return 0;
}

static int run(const struct options *o)
{
    struct display_hooks hooks;
    struct display_server *display;
    struct display_window *window;
    struct monitor *monitor;
    struct vm *vm;
    int status = EXIT_FAILURE;

    if (vm_create(&o->vm, &vm) != 0) {
        return EXIT_FAILURE;
    }
    if (o->vm.dumpdtb != NULL) {
        status = vm_dump_dtb(vm, o->vm.dumpdtb) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    } else if (display_serve(vm->display, &o->vm.display, o->vm.name, &display) == 0) {
        if (open_window(o, vm, &window) == 0 && connect_page(o, vm, display, &hooks) == 0 &&
            monitor_create(vm, &o->monitor, &monitor) == 0) {
            status = vm_run(vm);
            monitor_destroy(monitor);
        }
        display_window_close(window);
        display_serve_end(display);
    }
    vm_destroy(vm);
    return status;
}

int main(int argc, char **argv)
{
    struct options o;
    int status = EXIT_SUCCESS;

    if (options_parse(argc, argv, &o) != 0) {
        status = EXIT_FAILURE;
    } else if (o.action == OPTIONS_HELP) {
        options_print_help(stdout);
    } else if (o.action == OPTIONS_VERSION) {
        puts("umbra " UMBRA_VERSION);
    } else if (o.action == OPTIONS_RUN) {
        int err = log_open(o.log_path);
        if (err != 0) {
            log_error("-D %s: %s", o.log_path, strerror(-err));
            status = EXIT_FAILURE;
        } else {
            log_mask = o.log_mask;
            err = o.perf_map ? perf_map_open() : 0;
            if (err != 0)
                log_warn("no perf map: %s", strerror(-err));
            status = run(&o);
            perf_map_close();
            log_close();
        }
    }
    options_free(&o);
    return status;
}
