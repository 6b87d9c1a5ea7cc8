/* SPDX-License-Identifier: MIT */
/*
 * The human monitor's commands: one table that gives names, arguments, help and what to do. A line
 * is run by human_run(), for a person or for the control socket's human-monitor-command.
 */
#include "monitor_internal.h"

#include "vm_control.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- tables of commands ---- */
/* Is `name` one of the alternatives of "a|b|c"? */
static bool is_named(const char *alternatives, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = alternatives; len > 0;) {
        size_t n = strcspn(p, "|");
        if (n == len && strncmp(p, name, n) == 0) {
            return true;
        }
        if (p[n] == '\0') {
            break;
        }
        p += n + 1;
    }
    return false;
}

const struct command *command_find(const struct command *table, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (is_named(table[i].name, name)) {
            return &table[i];
        }
    }
    return NULL;
}

void command_list(FILE *f, const struct command *table, size_t n, const char *prefix)
{
    for (size_t i = 0; i < n; i++) {
        char left[80];
        snprintf(left, sizeof left, "%s%s %s", prefix, table[i].name, table[i].args);
        fprintf(f, "%-28s %s\n", left, table[i].help);
    }
}

void command_run(const struct command *cmd, struct command_call *c)
{
    if (cmd->args[0] == '\0' && c->args[0] != '\0') {
        fprintf(c->out, "error: %s takes no argument\n", cmd->name);
        return;
    }
    if (!cmd->paused) {
        cmd->run(c);
        return;
    }
    vm_pause(c->vm);
    vm_stopped_begin(c->vm);
    cmd->run(c);
    vm_stopped_end(c->vm);
    vm_resume(c->vm);
}

/* ---- the commands ---- */
static void run_stop(struct command_call *c)
{
    vm_stop(c->vm);
}

static void run_cont(struct command_call *c)
{
    if (!vm_cont(c->vm)) {
        fputs("error: the machine is off: system_reset starts it again\n", c->out);
    }
}

static void run_quit(struct command_call *c)
{
    vm_request_stop(c->vm, VM_QUIT_MONITOR);
}

static void run_reset(struct command_call *c)
{
    vm_request_stop(c->vm, VM_RESET_MONITOR);
}

static void run_powerdown(struct command_call *c)
{
    vm_powerdown(c->vm);
}

static void run_cpu(struct command_call *c)
{
    char *end;

    errno = 0;
    unsigned long n = strtoul(c->args, &end, 10);
    if (!isdigit((unsigned char)c->args[0]) || *end != '\0' || errno != 0 || n >= c->vm->ncpus) {
        fprintf(c->out, "error: cpu takes the number of a CPU, 0 to %u\n", c->vm->ncpus - 1);
        return;
    }
    *c->cpu = (unsigned)n;
}

static command_fn run_help;

static const struct command commands[] = {
    {"help|?", "[COMMAND]", "this list, or one command", run_help, false},
    {"info", "[WHAT]", "show something; alone: what there is to show", human_info, false},
    {"x", "/FMT ADDR", "memory at a virtual address of the selected CPU", human_examine_virtual,
     true},
    {"xp", "/FMT ADDR", "memory or device registers at a physical address",
     human_examine_physical, true},
    {"cpu", "N", "select the CPU for x and info registers, tlb, spt, jit", run_cpu, false},
    {"screendump", "FILE.png", "write a picture of the screen", human_screendump, false},
    {"sendkey", "KEYS [MS]", "press keys, as in ctrl-alt-f1, for some time", human_sendkey, false},
    {"ringbuf_read", "ID SIZE", "what a -chardev ringbuf holds, oldest first", human_ringbuf_read,
     false},
    {"ringbuf_write", "ID TEXT", "add to it", human_ringbuf_write, false},
    {"stop|s", "", "stop the machine, and its time", run_stop, false},
    {"cont|c", "", "let it go on", run_cont, false},
    {"system_reset", "", "reset the machine", run_reset, false},
    {"system_powerdown", "", "press the power key", run_powerdown, false},
    {"quit|q", "", "end the emulator", run_quit, false},
};

static void run_help(struct command_call *c)
{
    const struct command *cmd = command_find(commands, ARRAY_SIZE(commands), c->args);

    if (c->args[0] == '\0') {
        command_list(c->out, commands, ARRAY_SIZE(commands), "");
        fputs("FMT is [COUNT][x|d|u|o|c|i][b|h|w|g]; ADDR a number, $REGISTER or a sum of them\n",
              c->out);
    } else if (cmd != NULL) {
        command_list(c->out, cmd, 1, "");
    } else {
        fprintf(c->out, "error: unknown command %s\n", c->args);
    }
}

/* ---- lines ---- */
/* Split "name args" at blanks, or at the '/' of a format. */
static void split(char *line, char **name, char **args)
{
    while (isspace((unsigned char)*line)) {
        line++;
    }
    *name = line;
    size_t len = strlen(line);
    while (len > 0 && isspace((unsigned char)line[len - 1])) {
        line[--len] = '\0';
    }
    size_t n = strcspn(line, " \t/");
    *args = line + n + strspn(line + n, " \t");
    if (line[n] == '/') { /* the name ends where the format begins: make room between them */
        memmove(line + n + 1, line + n, strlen(line + n) + 1);
        *args = line + n + 1;
    }
    line[n] = '\0';
}

static void run(struct vm *vm, unsigned *cpu, char *line, FILE *f)
{
    char *name, *args;

    split(line, &name, &args);
    const struct command *cmd = command_find(commands, ARRAY_SIZE(commands), name);
    if (cmd != NULL) {
        command_run(cmd, &(struct command_call){.vm = vm, .cpu = cpu, .args = args, .out = f});
    } else if (name[0] != '\0' || args[0] != '\0') {
        fprintf(f, "error: unknown command \"%s\"; \"help\" lists the commands\n", name);
    }
}

/* LF becomes CR LF, as terminals and clients of such monitors expect. */
static char *with_crlf(const char *text, size_t len)
{
    size_t lines = 0;

    for (size_t i = 0; i < len; i++) {
        lines += text[i] == '\n';
    }
    char *out = malloc(len + lines + 1), *p = out;
    for (size_t i = 0; out != NULL && i < len; i++) {
        if (text[i] == '\n') {
            *p++ = '\r';
        }
        *p++ = text[i];
    }
    if (out != NULL) {
        *p = '\0';
    }
    return out;
}

char *human_run(struct vm *vm, unsigned *cpu, const char *line)
{
    char *text = NULL, *out = NULL;
    size_t len = strlen(line), n = 0;
    char *copy = malloc(len + 2); /* split() may need one more */
    FILE *f = open_memstream(&text, &n);

    if (copy != NULL && f != NULL) {
        memcpy(copy, line, len + 1);
        run(vm, cpu, copy, f);
    }
    if (f != NULL && fclose(f) == 0 && copy != NULL) {
        out = with_crlf(text, n);
    }
    free(text);
    free(copy);
    return out;
}
