/* SPDX-License-Identifier: MIT */
/*
 * Control of a running machine by people (the human monitor) and programs (the JSON control socket,
 * metrics). Everything here runs on a thread of its own, "monitor", so that neither the guest nor
 * its devices wait for a client. docs/monitor.md is the user's guide.
 */
#pragma once

#include "base/types.h"

#include <stdio.h>

struct monitor;
struct vm;

enum monitor_mode { MONITOR_HUMAN, MONITOR_CONTROL };

#define MONITOR_MAX 8

struct monitor_options {
    struct {
        enum monitor_mode mode;
        const char *spec; /* where it is: see monitor_spec_valid() */
        bool pretty;      /* control: indented answers */
    } at[MONITOR_MAX];
    unsigned n;
    const char *metrics; /* [HOST:]PORT of the metrics, or NULL */
};

/*
 * "unix:PATH[,server=on|off][,wait=on|off]", "tcp:HOST:PORT[,...]" or a character back end
 * (io/chardev.h). Checks the spelling only; on false *why says what is accepted.
 */
bool monitor_spec_valid(const char *spec, const char **why);
/* "PORT" or "HOST:PORT" of -metrics. */
bool monitor_metrics_valid(const char *where);

/*
 * Open what the options name, and the monitor behind the console of "-serial mon:..."; may wait for
 * clients when asked to. vm is created and does not run yet. Reports its own errors; -errno.
 */
int monitor_create(struct vm *vm, const struct monitor_options *o, struct monitor **out) MUST_CHECK;
/* The counters of -metrics, in the text format of Prometheus. Any thread; vm: a struct vm. */
void monitor_print_metrics(void *vm, FILE *f);
/* vm has ended: clients get what is still to be sent (within a second each), then everything is
   closed. NULL is fine. */
void monitor_destroy(struct monitor *m);
