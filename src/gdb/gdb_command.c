/* SPDX-License-Identifier: MIT */
/*
 * What a packet asks for, by its first letter. Commands run on the stub's thread while the machine
 * is halted. Replies: data, "OK", "Exx" with an errno, or nothing at all for what the stub does not
 * know, which is how GDB finds out.
 */
#include "gdb/gdb_internal.h"

#include <errno.h>
#include <string.h>

void gdb_reply_ok(struct gdb *g)
{
    gdb_reply_text(&g->out, "OK");
}

void gdb_reply_error(struct gdb *g, int err)
{
    gdb_reply_text(&g->out, "E%02x", (unsigned)-err & 0xff);
}

bool gdb_thread(struct gdb *g, const char **s, unsigned any, unsigned *cpu)
{
    uint64_t id;

    if ((*s)[0] == '-' && (*s)[1] == '1') {
        *s += 2;
        *cpu = any;
        return true;
    }
    if (!gdb_number(s, &id) || id > g->vm->ncpus)
        return false;
    *cpu = id ? (unsigned)id - 1 : any;
    return true;
}

static void done(struct gdb *g, bool ok, int err)
{
    if (ok)
        gdb_reply_ok(g);
    else
        gdb_reply_error(g, err);
}

/* ---- registers ---- */
static void read_all(struct gdb *g, const char *arg)
{
    uint8_t value[GDB_REG_MAX];

    (void)arg;
    for (unsigned n = 0; n < GDB_G_REGS; n++)
        if (gdb_reg_read_stopped(g->vm->cpu[g->cpu], n, value))
            gdb_reply_hex(&g->out, value, gdb_reg_size(n));
}

static void write_all(struct gdb *g, const char *arg)
{
    uint8_t value[GDB_REG_MAX];

    for (unsigned n = 0; n < GDB_G_REGS && *arg; n++) {
        unsigned size = gdb_reg_size(n);

        if (!gdb_bytes(arg, value, size) || !gdb_reg_write_stopped(g->vm->cpu[g->cpu], n, value)) {
            gdb_reply_error(g, -EINVAL);
            return;
        }
        arg += 2 * size;
    }
    gdb_reply_ok(g);
}

static void read_one(struct gdb *g, const char *arg)
{
    uint8_t value[GDB_REG_MAX];
    uint64_t n;

    if (gdb_number(&arg, &n) && n < UINT32_MAX &&
        gdb_reg_read_stopped(g->vm->cpu[g->cpu], (unsigned)n, value))
        gdb_reply_hex(&g->out, value, gdb_reg_size((unsigned)n));
    else
        gdb_reply_error(g, -EINVAL);
}

static void write_one(struct gdb *g, const char *arg)
{
    uint8_t value[GDB_REG_MAX];
    uint64_t n;

    done(g,
         gdb_number(&arg, &n) && *arg == '=' && n < UINT32_MAX && gdb_reg_size((unsigned)n) &&
             gdb_bytes(arg + 1, value, gdb_reg_size((unsigned)n)) &&
             gdb_reg_write_stopped(g->vm->cpu[g->cpu], (unsigned)n, value),
         -EINVAL);
}

/* ---- memory ---- */
/* "ADDR,LEN" and what comes next; lengths beyond a packet are refused. */
static bool range(const char **arg, uint64_t *addr, uint64_t *len)
{
    if (!gdb_number(arg, addr) || *(*arg)++ != ',' || !gdb_number(arg, len))
        return false;
    return *len <= GDB_PACKET_MAX / 2;
}

static void read_memory(struct gdb *g, const char *arg)
{
    static uint8_t buf[GDB_PACKET_MAX / 2];
    uint64_t addr, len;
    size_t n;

    if (!range(&arg, &addr, &len)) {
        gdb_reply_error(g, -EINVAL);
        return;
    }
    n = gdb_memory_read_stopped(g, addr, buf, len);
    if (len && !n)
        gdb_reply_error(g, -EFAULT);
    else
        gdb_reply_hex(&g->out, buf, n);
}

static void write_hex(struct gdb *g, const char *arg)
{
    static uint8_t buf[GDB_PACKET_MAX / 2];
    uint64_t addr, len;

    if (!range(&arg, &addr, &len) || *arg++ != ':' || !gdb_bytes(arg, buf, len))
        gdb_reply_error(g, -EINVAL);
    else
        done(g, gdb_memory_write_stopped(g, addr, buf, len) == len, -EFAULT);
}

static void write_binary(struct gdb *g, const char *arg)
{
    uint64_t addr, len;

    if (!range(&arg, &addr, &len) || *arg++ != ':' || g->in.data + g->in.len != arg + len)
        gdb_reply_error(g, -EINVAL);
    else
        done(g, gdb_memory_write_stopped(g, addr, arg, len) == len, -EFAULT);
}

/* ---- breakpoints and watchpoints ---- */
static int change_point(struct gdb *g, char type, uint64_t addr, uint64_t len, bool add)
{
    static const uint8_t accesses[] = {1u << MMU_WRITE, 1u << MMU_READ,
                                       1u << MMU_WRITE | 1u << MMU_READ};
    struct debug_watch w;

    if (addr >> 32 || len > UINT64_C(1) << 32)
        return -EINVAL;
    if (type < '2')
        return debug_break_stopped(g->vm, addr, add);
    if (!len)
        return -EINVAL;
    w = (struct debug_watch){addr, addr + len - 1, accesses[type - '2']};
    return debug_watch_stopped(g->vm, &w, add);
}

/* "TYPE,ADDR,KIND". Asking twice is no error: GDB repeats itself. */
static void point(struct gdb *g, const char *arg, bool add)
{
    uint64_t addr, len;
    char type = *arg;
    int err;

    if (type < '0' || type > '4')
        return;
    if (arg[1] != ',' || (arg += 2, !gdb_number(&arg, &addr)) || *arg++ != ',' ||
        !gdb_number(&arg, &len)) {
        gdb_reply_error(g, -EINVAL);
        return;
    }
    err = change_point(g, type, addr, len, add);
    done(g, !err || err == -EEXIST || err == -ENOENT, err);
}

static void insert_point(struct gdb *g, const char *arg)
{
    point(g, arg, true);
}

static void remove_point(struct gdb *g, const char *arg)
{
    point(g, arg, false);
}

/* ---- threads, running ---- */
static void select_thread(struct gdb *g, const char *arg)
{
    unsigned cpu;
    char use = *arg++;

    if ((use != 'g' && use != 'c') || !gdb_thread(g, &arg, g->cpu, &cpu)) {
        gdb_reply_error(g, -EINVAL);
        return;
    }
    *(use == 'g' ? &g->cpu : &g->run_cpu) = cpu;
    gdb_reply_ok(g);
}

static void thread_alive(struct gdb *g, const char *arg)
{
    unsigned cpu;

    done(g, gdb_thread(g, &arg, 0, &cpu), -ESRCH);
}

static bool jump(struct gdb *g, const char *arg)
{
    uint64_t pc;

    if (!*arg)
        return true;
    if (!gdb_number(&arg, &pc))
        return false;
    vm_stopped_begin(g->vm);
    g->vm->cpu[g->run_cpu]->r[15] = (uint32_t)pc & ~1u;
    vm_stopped_end(g->vm);
    return true;
}

/* c and s without vCont: a step is of the one thread. */
static void resume_as(struct gdb *g, const char *arg, enum gdb_action mine, enum gdb_action others)
{
    enum gdb_action action[VCPU_MAX];

    if (!jump(g, arg)) {
        gdb_reply_error(g, -EINVAL);
        return;
    }
    for (unsigned i = 0; i < VCPU_MAX; i++)
        action[i] = i == g->run_cpu ? mine : others;
    gdb_resume(g, action);
}

static void cont(struct gdb *g, const char *arg)
{
    resume_as(g, arg, GDB_CONTINUE, GDB_CONTINUE);
}

static void step(struct gdb *g, const char *arg)
{
    resume_as(g, arg, GDB_STEP, GDB_STAY);
}

static void stop_reason(struct gdb *g, const char *arg)
{
    (void)arg;
    gdb_reply_stop(g);
}

static void detach(struct gdb *g, const char *arg)
{
    (void)arg;
    gdb_reply_ok(g);
    vm_user_resume(g->vm);
    g->closing = true;
}

static void kill_machine(struct gdb *g, const char *arg)
{
    (void)arg;
    vm_request_stop(g->vm, VM_SHUTDOWN);
    g->closing = true;
}

/* vCont; all other v packets are unknown, vMustReplyEmpty among them. */
static void verbose(struct gdb *g, const char *arg)
{
    if (!strcmp(arg, "Cont?"))
        gdb_reply_text(&g->out, "vCont;c;C;s;S");
    else if (!strncmp(arg, "Cont", 4))
        gdb_vcont(g, arg + 4);
    else if (!strncmp(arg, "Kill", 4))
        gdb_reply_ok(g), kill_machine(g, arg);
}

static void query(struct gdb *g, const char *arg)
{
    (void)arg;
    gdb_query(g);
}

static const struct {
    char letter;
    bool looks; /* runs between vm_stopped_begin and _end */
    void (*fn)(struct gdb *g, const char *arg);
} command[] = {
    {'?', false, stop_reason},  {'g', true, read_all},       {'G', true, write_all},
    {'p', true, read_one},      {'P', true, write_one},      {'m', true, read_memory},
    {'M', true, write_hex},     {'X', true, write_binary},   {'Z', true, insert_point},
    {'z', true, remove_point},  {'H', false, select_thread}, {'T', false, thread_alive},
    {'c', false, cont},         {'s', false, step},          {'v', false, verbose},
    {'q', false, query},        {'Q', false, query},         {'D', false, detach},
    {'k', false, kill_machine},
};

bool gdb_execute(struct gdb *g)
{
    gdb_reply_start(&g->out);
    for (size_t i = 0; i < ARRAY_SIZE(command); i++) {
        if (command[i].letter != g->in.data[0] || !g->in.len)
            continue;
        if (command[i].looks)
            vm_stopped_begin(g->vm);
        command[i].fn(g, g->in.data + 1);
        if (command[i].looks)
            vm_stopped_end(g->vm);
    }
    if (g->running || (g->closing && g->out.len == 1))
        return false;
    gdb_reply_end(&g->out);
    return true;
}
