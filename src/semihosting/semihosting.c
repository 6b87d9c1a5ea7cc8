/* SPDX-License-Identifier: MIT */
/*
 * Which instruction is a semihosting call, and what each call does. A32: SVC 0x123456, HLT 0xf000;
 * T32: SVC 0xab, HLT 0x3c. r0 is the call, r1 its argument, r0 the result.
 *
 * Owns: struct semihosting. Runs on the vCPU's thread between two blocks.
 */
#include "semihosting_internal.h"

#include "base/log.h"
#include "io/io.h"
#include "tcg/tcg.h"
#include "vcpu/arm.h"
#include "vm.h"
#include "vm_control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SYS_OPEN = 0x01, SYS_CLOSE = 0x02, SYS_WRITEC = 0x03, SYS_WRITE0 = 0x04, SYS_WRITE = 0x05,
    SYS_READ = 0x06, SYS_READC = 0x07, SYS_ISERROR = 0x08, SYS_ISTTY = 0x09, SYS_SEEK = 0x0a,
    SYS_FLEN = 0x0c, SYS_TMPNAM = 0x0d, SYS_REMOVE = 0x0e, SYS_RENAME = 0x0f, SYS_CLOCK = 0x10,
    SYS_TIME = 0x11, SYS_SYSTEM = 0x12, SYS_ERRNO = 0x13, SYS_GET_CMDLINE = 0x15,
    SYS_HEAPINFO = 0x16, SYS_EXIT = 0x18, SYS_EXIT_EXTENDED = 0x20, SYS_ELAPSED = 0x30,
    SYS_TICKFREQ = 0x31,
};
#define APPLICATION_EXIT 0x20026u
#define HLT_A32 0xe10f0070u
#define HLT_T32 0xbabcu
#define FAILED UINT32_MAX
#define WRITE0_MAX 65536u

/* ---- console ---- */
static void put(const struct semihosting *s, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(s->console, p, n);
        if (done < 0 && errno != EINTR) {
            return;
        }
        p += done > 0 ? done : 0;
        n -= done > 0 ? (size_t)done : 0;
    }
}

static void write_string(const struct semihosting *s, struct vcpu *v, uint32_t va)
{
    for (uint32_t total = 0; total < WRITE0_MAX;) {
        uint32_t n;
        const uint8_t *p = semihosting_piece(v, va + total, WRITE0_MAX - total, false, &n);
        if (p == NULL) {
            return;
        }
        size_t len = strnlen((const char *)p, n);
        put(s, p, len);
        if (len < n) {
            return;
        }
        total += n;
    }
}

/* ---- the rest ---- */
static uint32_t command_line(const struct semihosting *s, struct vcpu *v, uint32_t arg)
{
    uint32_t b[2], len = (uint32_t)strlen(s->cmdline);

    if (!semihosting_block(v, arg, b, 2) || b[1] <= len ||
        !semihosting_write(v, b[0], s->cmdline, (size_t)len + 1) ||
        !semihosting_write(v, arg + 4, &len, sizeof len)) {
        return FAILED;
    }
    return 0;
}

/* The upper half of RAM (below 4 GiB): the heap grows up in it, the stack down. */
static uint32_t heap_info(struct vcpu *v, uint32_t arg)
{
    uint64_t base = v->vm->ram.base, size = v->vm->ram.size, most = UINT32_MAX - 0xfffu - base;
    uint32_t top = (uint32_t)(base + (size < most ? size : most)), where;
    uint32_t middle = (uint32_t)base + (top - (uint32_t)base) / 2;
    const uint32_t info[4] = {middle, top, top, middle};

    return semihosting_block(v, arg, &where, 1) &&
                   semihosting_write(v, where, info, sizeof info)
               ? 0
               : FAILED;
}

static void leave(struct vcpu *v, uint32_t reason, uint32_t code)
{
    vm_guest_exit(v->vm, reason == APPLICATION_EXIT ? (int)(code & 0xff) : 1);
}

static uint32_t leave_extended(struct vcpu *v, uint32_t arg)
{
    uint32_t b[2];

    if (!semihosting_block(v, arg, b, 2)) {
        return FAILED;
    }
    leave(v, b[0], b[1]);
    return 0;
}

static uint64_t clock_ns(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint32_t elapsed(struct vcpu *v, uint32_t arg)
{
    uint64_t ns = io_now_ns();

    return semihosting_write(v, arg, &ns, sizeof ns) ? 0 : FAILED;
}

static uint32_t is_error(struct vcpu *v, uint32_t arg)
{
    uint32_t status;

    return semihosting_block(v, arg, &status, 1) && (int32_t)status < 0 ? FAILED : 0;
}

static uint32_t serve(struct semihosting *s, struct vcpu *v, uint32_t call, uint32_t arg)
{
    uint8_t c;

    switch (call) {
    case SYS_OPEN: return semihosting_open(s, v, arg);
    case SYS_CLOSE: return semihosting_close(s, v, arg);
    case SYS_WRITEC:
        if (semihosting_read(v, arg, &c, 1)) {
            put(s, &c, 1);
        }
        return call;
    case SYS_WRITE0: write_string(s, v, arg); return call;
    case SYS_WRITE: return semihosting_transfer(s, v, arg, true);
    case SYS_READ: return semihosting_transfer(s, v, arg, false);
    case SYS_ISERROR: return is_error(v, arg);
    case SYS_ISTTY: return semihosting_is_tty(s, v, arg);
    case SYS_SEEK: return semihosting_seek(s, v, arg);
    case SYS_FLEN: return semihosting_length(s, v, arg);
    case SYS_REMOVE: return semihosting_remove(s, v, arg);
    case SYS_RENAME: return semihosting_rename(s, v, arg);
    case SYS_CLOCK: return (uint32_t)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 10000000u);
    case SYS_TIME: return (uint32_t)time(NULL);
    case SYS_ERRNO: return (uint32_t)s->error;
    case SYS_GET_CMDLINE: return command_line(s, v, arg);
    case SYS_HEAPINFO: return heap_info(v, arg);
    case SYS_EXIT: leave(v, arg, 0); return 0;
    case SYS_EXIT_EXTENDED: return leave_extended(v, arg);
    case SYS_ELAPSED: return elapsed(v, arg);
    case SYS_TICKFREQ: return 1000000000u;
    default: break; /* SYS_READC has nobody to read from; SYS_SYSTEM and names of files: no */
    }
    if (log_on(LOG_GUEST_ERROR)) {
        log_printf("semihosting: call 0x%x is not supported\n", call);
    }
    s->error = ENOSYS;
    return FAILED;
}

/* ---- instructions ---- */
static bool is_halt(struct vcpu *v)
{
    struct mmu_translation t;
    bool thumb = (v->exec_flags & EXEC_T) != 0;
    uint32_t insn = 0;

    if (!mmu_translate(v, v->r[15], MMU_EXEC, (v->exec_flags & EXEC_PRIV) != 0, &t)) {
        return false;
    }
    const uint8_t *p = ram_read_ptr(&v->vm->ram, t.gpa, thumb ? 2 : 4);
    if (p != NULL) {
        memcpy(&insn, p, thumb ? 2 : 4);
    }
    return insn == (thumb ? HLT_T32 : HLT_A32);
}

bool semihosting_call(struct vcpu *v)
{
    struct semihosting *s = v->vm->semihosting;
    bool ours = v->exc == ARM_EXC_SVC     ? v->exc_fsr == SEMIHOSTING_SVC
                : v->exc == ARM_EXC_UNDEF ? is_halt(v)
                                          : false;

    if (!ours || (!(v->exec_flags & EXEC_PRIV) && !v->vm->opt->semihosting.user)) {
        return false;
    }
    v->r[0] = serve(s, v, v->r[0], v->r[1]);
    v->r[15] += v->exec_flags & EXEC_T ? 2 : 4;
    v->exec_flags = arm_it_advance(v->exec_flags);
    v->exc = ARM_EXC_NONE;
    return true;
}

/* ---- life ---- */
static char *default_cmdline(const struct vm_options *opt)
{
    char *line;
    const char *append = opt->append != NULL ? opt->append : "";
    const char *kernel = opt->kernel != NULL ? opt->kernel : "";

    return asprintf(&line, "%s%s%s", kernel, *append ? " " : "", append) < 0 ? NULL : line;
}

int semihosting_create(struct vm *vm, struct semihosting **out)
{
    const struct vm_semihosting *o = &vm->opt->semihosting;
    struct semihosting *s = calloc(1, sizeof *s);

    if (s == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&s->lock, NULL);
    memset(s->fd, 0xff, sizeof s->fd);
    s->console = o->to_stdout ? STDOUT_FILENO : STDERR_FILENO;
    s->cmdline = o->args != NULL ? strdup(o->args) : default_cmdline(vm->opt);
    if (s->cmdline == NULL) {
        semihosting_destroy(s);
        return -ENOMEM;
    }
    *out = s;
    return 0;
}

void semihosting_destroy(struct semihosting *s)
{
    if (s == NULL) {
        return;
    }
    for (unsigned i = 1; i <= SEMIHOSTING_HANDLES; i++) {
        if (s->fd[i] >= 0) {
            close(s->fd[i]);
        }
    }
    pthread_mutex_destroy(&s->lock);
    free(s->cmdline);
    free(s);
}
