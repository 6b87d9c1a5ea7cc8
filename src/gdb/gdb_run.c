/* SPDX-License-Identifier: MIT */
/*
 * Halting and resuming for the debugger. One pause of the machine belongs to the stub while
 * `halted`; whoever changes it from false to true, the stub's thread on Ctrl-C or a vCPU that
 * stops, begins the pause, and the stub's thread waits until all are parked before it looks. So a
 * stop is reported once, however many vCPUs stop together; the others stop again when they are
 * resumed.
 */
#include "gdb/gdb_internal.h"

#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* GDB's numbers of signals. */
#define GDB_SIGINT  2
#define GDB_SIGTRAP 5

static void begin_halt(struct gdb *g)
{
    if (!atomic_exchange(&g->halted, true))
        vm_pause_begin(g->vm);
}

void gdb_halt(struct gdb *g)
{
    begin_halt(g);
    vm_pause_wait(g->vm);
}

void gdb_hit(void *opaque, struct vcpu *v)
{
    struct gdb *g = opaque;
    uint64_t one = 1;

    (void)v;
    begin_halt(g);
    while (write(g->event_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

static void release(struct gdb *g)
{
    atomic_store(&g->halted, false);
    vm_resume(g->vm);
}

void gdb_resume(struct gdb *g, const enum gdb_action action[VCPU_MAX])
{
    uint32_t held = 0;

    vm_stopped_begin(g->vm);
    for (unsigned i = 0; i < g->vm->ncpus; i++) {
        g->vm->cpu[i]->debug.step = action[i] == GDB_STEP;
        g->vm->cpu[i]->debug.stop = DEBUG_NONE;
        if (action[i] == GDB_STAY)
            held |= 1u << i;
    }
    vm_hold_stopped(g->vm, held);
    vm_stopped_end(g->vm);
    g->running = true;
    /* Whoever debugs decides: a machine that -S or a monitor stopped goes on too. */
    vm_user_resume(g->vm);
    release(g);
}

void gdb_let_go(struct gdb *g)
{
    gdb_halt(g);
    vm_stopped_begin(g->vm);
    debug_clear_stopped(g->vm);
    vm_hold_stopped(g->vm, 0);
    vm_stopped_end(g->vm);
    release(g);
}

/* ---- stop replies ---- */
static struct vcpu *stopped_cpu(struct gdb *g)
{
    struct vm *vm = g->vm;

    if (vm->cpu[g->run_cpu]->debug.stop != DEBUG_NONE)
        return vm->cpu[g->run_cpu];
    for (unsigned i = 0; i < vm->ncpus; i++)
        if (vm->cpu[i]->debug.stop != DEBUG_NONE)
            return vm->cpu[i];
    return NULL;
}

static void add_reason(struct gdb *g, const struct vcpu *v)
{
    static const char *const watch[] = {
        [1u << MMU_READ] = "rwatch",
        [1u << MMU_WRITE] = "watch",
        [1u << MMU_READ | 1u << MMU_WRITE] = "awatch",
    };

    if (v->debug.stop == DEBUG_WATCH)
        gdb_reply_text(&g->out, "%s:%08" PRIx64 ";", watch[v->debug.watch_accesses], v->debug.addr);
    else if (v->debug.stop == DEBUG_BREAK && g->swbreak)
        gdb_reply_text(&g->out, "swbreak:;");
}

void gdb_reply_stop(struct gdb *g)
{
    const struct vcpu *v;

    vm_stopped_begin(g->vm);
    v = stopped_cpu(g);
    if (v)
        g->cpu = g->run_cpu = v->index;
    gdb_reply_text(&g->out, "T%02xthread:%x;", v ? GDB_SIGTRAP : GDB_SIGINT, g->cpu + 1);
    if (v)
        add_reason(g, v);
    vm_stopped_end(g->vm);
}

/* ---- vCont ---- */
/* One action and its thread, "s:2", "C05"; the first that fits a vCPU counts. */
static bool take_action(struct gdb *g, const char **s, enum gdb_action action[VCPU_MAX],
                        uint32_t *decided)
{
    enum gdb_action a = **s == 's' || **s == 'S' ? GDB_STEP : GDB_CONTINUE;
    uint32_t which = ~0u;
    uint64_t signal;
    unsigned cpu;

    if (!**s || !strchr("cCsS", **s))
        return false;
    if (*(*s)++ < 'a' && !gdb_number(s, &signal))
        return false;
    if (**s == ':') {
        bool all = (*s)[1] == '-';

        ++*s;
        if (!gdb_thread(g, s, g->run_cpu, &cpu))
            return false;
        which = all ? ~0u : 1u << cpu;
    }
    for (unsigned i = 0; i < g->vm->ncpus; i++)
        if (which & ~*decided & 1u << i)
            action[i] = a;
    *decided |= which;
    return true;
}

void gdb_vcont(struct gdb *g, const char *arg)
{
    enum gdb_action action[VCPU_MAX] = {GDB_STAY};
    uint32_t decided = 0;

    while (*arg == ';') {
        arg++;
        if (!take_action(g, &arg, action, &decided))
            break;
    }
    if (*arg || !(decided & ((1u << g->vm->ncpus) - 1)))
        gdb_reply_error(g, -EINVAL);
    else
        gdb_resume(g, action);
}
