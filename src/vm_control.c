/* SPDX-License-Identifier: MIT */
/*
 * Control of a running machine: the user's stop and cont, the power key, what follows the guest's
 * shutdown or reset (-action, -no-reboot, -no-shutdown), events.
 *
 * Threads: any. The listener changes while the machine does not run; `off` and `started` are atomic
 * words of their own. No locks but that of vm_pause.c.
 */
#include "vm_control.h"

#include "base/log.h"
#include "board.h"

/* What is known of each reason. `rank`: a request of higher rank replaces one under way, so that
   `quit` in the middle of a reset is not lost. */
static const struct {
    const char *name;
    bool by_guest;
    unsigned rank;
} reason[] = {
    [VM_RUNNING] = {"none", false, 0},
    [VM_SHUTDOWN] = {"guest-shutdown", true, 1},
    [VM_RESET] = {"guest-reset", true, 1},
    [VM_RESET_MONITOR] = {"host-qmp-system-reset", false, 1},
    [VM_QUIT_CONSOLE] = {"host-ui", false, 2},
    [VM_QUIT_MONITOR] = {"host-qmp-quit", false, 2},
    [VM_SIGNAL] = {"host-signal", false, 2},
    [VM_FATAL] = {"host-error", false, 2},
    [VM_WATCHDOG_OFF] = {"guest-shutdown", true, 1},
    [VM_GUEST_EXIT] = {"guest-shutdown", true, 2},
    [VM_PANIC_OFF] = {"guest-panic", true, 1},
};

const char *const vm_watchdog_name[] = {
    [VM_WATCHDOG_RESET] = "reset",       [VM_WATCHDOG_SHUTDOWN] = "shutdown",
    [VM_WATCHDOG_POWEROFF] = "poweroff", [VM_WATCHDOG_PAUSE] = "pause",
    [VM_WATCHDOG_DEBUG] = "debug",       [VM_WATCHDOG_NONE] = "none",
    [VM_WATCHDOG_NONE + 1] = NULL,
};

/* What the events of a panic say is done; the protocol's words. */
static const char *const panic_word[] = {
    [VM_PANIC_SHUTDOWN] = "poweroff", [VM_PANIC_PAUSE] = "pause", [VM_PANIC_NONE] = "run",
    [VM_PANIC_EXIT_FAILURE] = "poweroff",
};

const char *vm_reason_name(enum vm_stop_reason why)
{
    return reason[why].name;
}

bool vm_reason_by_guest(enum vm_stop_reason why)
{
    return reason[why].by_guest;
}

bool vm_reason_outranks(enum vm_stop_reason why, enum vm_stop_reason cur)
{
    return reason[why].rank > reason[cur].rank;
}

/* ---- events ---- */
void vm_listen(struct vm *vm, void (*fn)(void *opaque, const struct vm_event *e), void *opaque)
{
    vm->control.listener = fn;
    vm->control.opaque = opaque;
}

void vm_notify(struct vm *vm, enum vm_event_kind kind, enum vm_stop_reason why)
{
    struct vm_event e = {.kind = kind, .why = why};

    e.action = kind == VM_EVENT_CRASH_LOADED ? "run"
               : kind == VM_EVENT_PANICKED   ? panic_word[vm->opt->panic_action]
                                             : vm_watchdog_name[vm->opt->watchdog_action];

    if (vm->control.listener != NULL) {
        clock_gettime(CLOCK_REALTIME, &e.at);
        vm->control.listener(vm->control.opaque, &e);
    }
}

/* ---- requests ---- */
void vm_stop(struct vm *vm)
{
    bool news = vm_user_pause(vm);

    vm_set_started(vm);
    vm_pause_wait(vm);
    if (news) {
        vm_notify(vm, VM_EVENT_STOP, VM_RUNNING);
    }
}

bool vm_cont(struct vm *vm)
{
    if (atomic_load(&vm->control.off)) {
        return false;
    }
    vm_set_started(vm);
    atomic_store(&vm->control.panicked, false);
    if (vm_user_resume(vm)) {
        vm_notify(vm, VM_EVENT_RESUME, VM_RUNNING);
    }
    return true;
}

void vm_powerdown(struct vm *vm)
{
    board_power_key(vm);
    vm_notify(vm, VM_EVENT_POWERDOWN, VM_RUNNING);
}

/* I/O thread: nothing here waits for vCPUs. */
void vm_watchdog(struct vm *vm)
{
    vm_notify(vm, VM_EVENT_WATCHDOG, VM_RUNNING);
    switch (vm->opt->watchdog_action) {
    case VM_WATCHDOG_RESET: vm_request_stop(vm, VM_RESET); break;
    case VM_WATCHDOG_SHUTDOWN: vm_powerdown(vm); break;
    case VM_WATCHDOG_POWEROFF: vm_request_stop(vm, VM_WATCHDOG_OFF); break;
    case VM_WATCHDOG_PAUSE:
        if (vm_user_pause(vm)) {
            vm_notify(vm, VM_EVENT_STOP, VM_RUNNING);
        }
        break;
    case VM_WATCHDOG_DEBUG: log_warn("the guest's watchdog has run out"); break;
    case VM_WATCHDOG_NONE: break;
    }
}

/* A vCPU's thread, which parks or ends when it is back in its run loop. */
void vm_panic(struct vm *vm)
{
    enum vm_panic_action action = vm->opt->panic_action;

    log_warn("the guest has panicked");
    vm_notify(vm, VM_EVENT_PANICKED, VM_RUNNING);
    if (action == VM_PANIC_PAUSE) {
        atomic_store(&vm->control.panicked, true);
        if (vm_user_pause(vm)) {
            vm_notify(vm, VM_EVENT_STOP, VM_RUNNING);
        }
    } else if (action != VM_PANIC_NONE) {
        atomic_store(&vm->exit_status, action == VM_PANIC_EXIT_FAILURE ? 1 : 0);
        vm_request_stop(vm, VM_PANIC_OFF);
    }
}

void vm_guest_exit(struct vm *vm, int status)
{
    atomic_store(&vm->exit_status, status);
    vm_request_stop(vm, VM_GUEST_EXIT);
}

const char *vm_state_name(struct vm *vm)
{
    if (atomic_load(&vm->control.off)) {
        return "shutdown";
    }
    pthread_mutex_lock(&vm->pause.lock);
    bool by_user = vm->pause.by_user, paused = vm_paused(vm);
    pthread_mutex_unlock(&vm->pause.lock);
    if (by_user && atomic_load(&vm->control.panicked)) {
        return "guest-panicked";
    }
    if (by_user) {
        return atomic_load(&vm->control.started) ? "paused" : "prelaunch";
    }
    return paused ? "debug" : "running";
}

/* ---- the end of a run ---- */
void vm_set_started(struct vm *vm)
{
    atomic_store(&vm->control.started, true);
}

static bool is_reset(enum vm_stop_reason why)
{
    return why == VM_RESET || why == VM_RESET_MONITOR;
}

enum vm_next vm_what_next(struct vm *vm, enum vm_stop_reason why)
{
    bool off = atomic_load(&vm->control.off);

    if (is_reset(why) && (off || !vm->opt->no_reboot)) {
        if (off) { /* it waits for `cont`, as at the start with -S */
            vm_user_pause(vm);
            atomic_store(&vm->control.started, false);
            atomic_store(&vm->control.off, false);
        }
        atomic_store(&vm->control.panicked, false);
        vm_notify(vm, VM_EVENT_RESET, why);
        return VM_NEXT_RESET;
    }
    bool panic = why == VM_PANIC_OFF && vm->opt->panic_action != VM_PANIC_EXIT_FAILURE;
    bool wait = vm->opt->no_shutdown && (is_reset(why) || why == VM_SHUTDOWN || panic);
    atomic_store(&vm->control.off, wait);
    vm_notify(vm, VM_EVENT_SHUTDOWN, why);
    if (wait) {
        vm_notify(vm, VM_EVENT_STOP, why);
        return VM_NEXT_WAIT;
    }
    return VM_NEXT_END;
}
