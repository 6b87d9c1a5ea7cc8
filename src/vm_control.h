/* SPDX-License-Identifier: MIT */
/*
 * What a user asks of a running machine, and what the machine tells: stop and cont, the power key,
 * why it ended, events for who listens (monitors). Any thread, unless it says otherwise.
 */
#pragma once

#include "vm.h"

#include <time.h>

enum vm_event_kind {
    VM_EVENT_SHUTDOWN, VM_EVENT_RESET, VM_EVENT_STOP, VM_EVENT_RESUME, VM_EVENT_POWERDOWN,
    VM_EVENT_WATCHDOG, VM_EVENT_PANICKED, VM_EVENT_CRASH_LOADED,
};

struct vm_event {
    enum vm_event_kind kind;
    enum vm_stop_reason why; /* SHUTDOWN, RESET */
    const char *action;      /* WATCHDOG, PANICKED, CRASH_LOADED: what is done */
    struct timespec at;      /* CLOCK_REALTIME */
};

/* One listener, called on whatever thread the event happens; must not block. NULL: none. Set while
   the machine does not run. */
void vm_listen(struct vm *vm, void (*fn)(void *opaque, const struct vm_event *e), void *opaque);
void vm_notify(struct vm *vm, enum vm_event_kind kind, enum vm_stop_reason why);

/* Pause for the user; returns when all vCPUs are parked. Not on a vCPU's thread. */
void vm_stop(struct vm *vm);
/* False: the machine is off (-no-shutdown), only a reset starts it again. */
bool vm_cont(struct vm *vm);
void vm_powerdown(struct vm *vm);
/* The guest has let its watchdog run out: do what -action watchdog= says. */
void vm_watchdog(struct vm *vm);
/* The guest says that it has panicked: do what -action panic= says. */
void vm_panic(struct vm *vm);
/* The guest ends the emulator with this status (semihosting, chardev testdev). */
void vm_guest_exit(struct vm *vm, int status);
extern const char *const vm_watchdog_name[]; /* of the actions, ends with NULL */

/* "running", "paused", "guest-panicked", "prelaunch", "debug" (paused by another part, such as a
   debugger) or "shutdown". */
const char *vm_state_name(struct vm *vm);

/* "guest-shutdown", "host-qmp-quit", ... */
const char *vm_reason_name(enum vm_stop_reason why);
bool vm_reason_by_guest(enum vm_stop_reason why);

/* ---- for vm.c ---- */
/* May a request for `why` replace one for `cur` that is being carried out? Async-signal-safe. */
bool vm_reason_outranks(enum vm_stop_reason why, enum vm_stop_reason cur);
/* All vCPUs have ended for `why`: tell the listener what follows, by -action. */
enum vm_next { VM_NEXT_END, VM_NEXT_RESET, VM_NEXT_WAIT };
enum vm_next vm_what_next(struct vm *vm, enum vm_stop_reason why);
void vm_set_started(struct vm *vm);
