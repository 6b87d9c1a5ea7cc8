/* SPDX-License-Identifier: MIT */
/*
 * Messages to the user, the -d log, and the end of the road for broken invariants.
 *
 * Owns: the log file. Threads: any. One mutex (rank: leaf) makes a piece of the -d log whole;
 * messages to stderr are one fprintf each, which stdio already keeps whole.
 */
#include "base/log.h"
#include "tcg/tcg.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

unsigned log_mask;
void (*vm_bug_dump)(FILE *f);
void (*fatal_restore_terminal)(void);

static FILE *log_file; /* NULL = stderr */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static const struct {
    const char *name;
    unsigned mask;
} log_class[] = {
    {"in_asm", LOG_IN_ASM}, {"op", LOG_OP},
    {"out_asm", LOG_OUT_ASM}, {"int", LOG_INT},
    {"mmu", LOG_MMU}, {"guest_error", LOG_GUEST_ERROR},
    {"guest_errors", LOG_GUEST_ERROR}, /* as the mainstream emulator spells it */
    {"exec", LOG_EXEC}, {"tb-stats", LOG_TB_STATS},
};

const char *log_mask_names(void)
{
    return "in_asm, op, out_asm, int, mmu, guest_error, exec, tb-stats";
}

static unsigned find_class(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(log_class); i++) {
        if (strlen(log_class[i].name) == len && memcmp(log_class[i].name, name, len) == 0) {
            return log_class[i].mask;
        }
    }
    return 0;
}

bool log_mask_parse(const char *list, unsigned *mask, const char **bad)
{
    unsigned all = 0;

    for (const char *p = list;;) {
        size_t len = strcspn(p, ",");
        unsigned m = find_class(p, len);
        if (m == 0) {
            *bad = p;
            return false;
        }
        all |= m;
        if (p[len] == '\0') {
            break;
        }
        p += len + 1;
    }
    *mask = all;
    return true;
}

int log_open(const char *path)
{
    FILE *f = NULL;

    if (path != NULL) {
        f = fopen(path, "we");
        if (f == NULL) {
            return -errno;
        }
    }
    log_close();
    log_file = f;
    return 0;
}

void log_close(void)
{
    if (log_file != NULL) {
        fclose(log_file);
        log_file = NULL;
    }
}

FILE *log_begin(void)
{
    pthread_mutex_lock(&log_lock);
    return log_file != NULL ? log_file : stderr;
}

void log_end(FILE *f)
{
    /* A crash must not lose the lines that led to it, and reading along should work. */
    fflush(f);
    pthread_mutex_unlock(&log_lock);
}

void log_printf(const char *fmt, ...)
{
    va_list ap;
    FILE *f = log_begin();

    va_start(ap, fmt);
    vfprintf(f, fmt, ap);
    va_end(ap);
    log_end(f);
}

static void PRINTF_LIKE(2, 0) message(const char *kind, const char *fmt, va_list ap)
{
    char text[1024];

    vsnprintf(text, sizeof text, fmt, ap);
    fprintf(stderr, "umbra: %s%s\n", kind, text);
}

void log_error(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    message("", fmt, ap);
    va_end(ap);
}

void log_warn(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    message("warning: ", fmt, ap);
    va_end(ap);
}

void vm_bug_at(const char *file, int line, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (fatal_restore_terminal != NULL) {
        fatal_restore_terminal();
    }
    fprintf(stderr, "umbra: internal error: %s (%s:%d)\n", text, file, line);
    if (vm_bug_dump != NULL) {
        vm_bug_dump(stderr);
    }
    abort();
}
