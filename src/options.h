/* SPDX-License-Identifier: MIT */
/*
 * The command line. Single-dash options, spelled as users of the mainstream system emulator know
 * them; a second dash is tolerated.
 */
#pragma once

#include "monitor/monitor.h"
#include "vm.h"

#include <stdio.h>

enum options_action { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_VERSION, OPTIONS_LISTED };

#define OPTIONS_CHARDEVS 16
struct options {
    struct vm_options vm;
    struct monitor_options monitor;
    struct vm_chardev chardev[OPTIONS_CHARDEVS];
    unsigned nchardevs; /* vm.chardev points to them */
    char *name; /* what vm.name points to */
    enum options_action action;
    unsigned log_mask;
    const char *net_card, *net_backend; /* -net nic, -net user|tap */
    bool snapshot; /* -snapshot: of every drive */
    bool perf_map; /* -perf-map */
    const char *log_path;
};

/*
 * Fill in *o from the arguments, defaults included. 0, or -EINVAL after one line on stderr that
 * names what is wrong and what is accepted. Strings of argv are referred to, not copied.
 */
int options_parse(int argc, char *const *argv, struct options *o) MUST_CHECK;
void options_free(struct options *o);
void options_print_help(FILE *f);
