/* SPDX-License-Identifier: MIT */
/*
 * General queries and sets (q, Q), and the few commands behind GDB's `monitor`. On the stub's
 * thread, machine halted.
 */
#include "gdb/gdb_internal.h"

#include "vcpu/arm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RESET_WAIT_MS 5000

static const char *skip(const char *s, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(s, prefix, n) ? NULL : s + n;
}

static void supported(struct gdb *g, const char *arg)
{
    g->swbreak = strstr(arg, "swbreak+");
    gdb_reply_text(&g->out,
                   "PacketSize=%x;QStartNoAckMode+;qXfer:features:read+;vContSupported+;"
                   "swbreak+",
                   GDB_PACKET_MAX);
}

static void no_ack(struct gdb *g, const char *arg)
{
    (void)arg;
    g->no_ack = true;
    gdb_reply_ok(g);
}

/* "OFFSET,LEN" of target.xml. */
static void features(struct gdb *g, const char *arg)
{
    const char *xml = gdb_regs_xml();
    uint64_t offset, len, total = strlen(xml);

    if (!gdb_number(&arg, &offset) || *arg++ != ',' || !gdb_number(&arg, &len)) {
        gdb_reply_error(g, -EINVAL);
        return;
    }
    if (offset > total)
        offset = total;
    if (len > GDB_PACKET_MAX / 2)
        len = GDB_PACKET_MAX / 2;
    if (len > total - offset)
        len = total - offset;
    gdb_reply_text(&g->out, "%c", offset + len < total ? 'm' : 'l');
    gdb_reply_binary(&g->out, xml + offset, len);
}

static void next_threads(struct gdb *g, const char *arg)
{
    (void)arg;
    if (g->listed == g->vm->ncpus) {
        gdb_reply_text(&g->out, "l");
        return;
    }
    for (char sep = 'm'; g->listed < g->vm->ncpus; sep = ',')
        gdb_reply_text(&g->out, "%c%x", sep, ++g->listed);
}

static void first_threads(struct gdb *g, const char *arg)
{
    g->listed = 0;
    next_threads(g, arg);
}

static const char *power_state(const struct vcpu *v)
{
    return atomic_load(&v->powered) == VCPU_OFF ? "off" : "on";
}

static void thread_info(struct gdb *g, const char *arg)
{
    char text[64];
    unsigned cpu;

    if (!gdb_thread(g, &arg, 0, &cpu)) {
        gdb_reply_error(g, -ESRCH);
        return;
    }
    snprintf(text, sizeof(text), "CPU %u (%s)", cpu, power_state(g->vm->cpu[cpu]));
    gdb_reply_hex(&g->out, text, strlen(text));
}

static void current_thread(struct gdb *g, const char *arg)
{
    (void)arg;
    gdb_reply_text(&g->out, "QC%x", g->cpu + 1);
}

static void attached(struct gdb *g, const char *arg)
{
    (void)arg;
    gdb_reply_text(&g->out, "1");
}

static void symbols(struct gdb *g, const char *arg)
{
    (void)arg;
    gdb_reply_ok(g);
}

static void get_physical(struct gdb *g, const char *arg)
{
    (void)arg;
    gdb_reply_text(&g->out, "%d", g->physical);
}

static void set_physical(struct gdb *g, const char *arg)
{
    g->physical = *arg == '1';
    gdb_reply_ok(g);
}

/* ---- monitor commands ---- */
static void say(struct gdb *g, const char *text)
{
    gdb_reply_hex(&g->out, text, strlen(text));
}

static bool resetting(struct gdb *g)
{
    return atomic_load(&g->vm->stop) != VM_RUNNING && !atomic_load(&g->stop);
}

/* Until the machine is back at its first instruction, still paused; or it ended. */
static void monitor_reset(struct gdb *g)
{
    vm_request_stop(g->vm, VM_RESET);
    for (unsigned i = 0; i < RESET_WAIT_MS && resetting(g); i++)
        usleep(1000);
    vm_pause_wait(g->vm);
    say(g, "reset; `maintenance flush register-cache` shows the new registers\n");
}

static void monitor_info(struct gdb *g)
{
    char line[128];

    vm_stopped_begin(g->vm);
    for (unsigned i = 0; i < g->vm->ncpus; i++) {
        struct vcpu *v = g->vm->cpu[i];

        snprintf(line, sizeof(line), "CPU %u: power %s, pc %08x, cpsr %08x, sctlr %08x\n", i,
                 power_state(v), v->r[15], arm_cpsr_read(v), arm_mmu_regs(v)->sctlr);
        say(g, line);
    }
    vm_stopped_end(g->vm);
}

static void monitor_phys(struct gdb *g, const char *arg)
{
    if (!strcmp(arg, " on") || !strcmp(arg, " off"))
        g->physical = arg[2] == 'n';
    say(g, g->physical ? "memory is read and written by physical address\n"
                       : "memory is read and written by virtual address\n");
}

static void monitor(struct gdb *g, const char *hex)
{
    char text[64] = "";
    size_t n = strlen(hex) / 2;

    if (n >= sizeof(text) || !gdb_bytes(hex, text, n)) {
        gdb_reply_error(g, -EINVAL);
        return;
    }
    if (!strcmp(text, "reset"))
        monitor_reset(g);
    else if (!strcmp(text, "info"))
        monitor_info(g);
    else if (skip(text, "phys"))
        monitor_phys(g, text + 4);
    else
        say(g, "commands: info, phys [on|off], reset\n");
}

static const struct {
    const char *prefix;
    void (*fn)(struct gdb *g, const char *arg);
} query[] = {
    {"qSupported", supported},
    {"QStartNoAckMode", no_ack},
    {"qXfer:features:read:target.xml:", features},
    {"qfThreadInfo", first_threads},
    {"qsThreadInfo", next_threads},
    {"qThreadExtraInfo,", thread_info},
    {"qC", current_thread}, /* after no other that begins so */
    {"qAttached", attached},
    {"qSymbol:", symbols},
    {"qRcmd,", monitor},
    {"qqemu.PhyMemMode", get_physical}, /* the name that GDB users know */
    {"Qqemu.PhyMemMode:", set_physical},
};

void gdb_query(struct gdb *g)
{
    for (size_t i = 0; i < ARRAY_SIZE(query); i++) {
        const char *arg = skip(g->in.data, query[i].prefix);

        if (arg) {
            query[i].fn(g, arg);
            return;
        }
    }
}
