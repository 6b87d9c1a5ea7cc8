/* SPDX-License-Identifier: MIT */
/*
 * Oracle of the differential instruction test: an ARM Linux program, run under user-mode emulation.
 * It reads struct insn_test records from standard input, executes each instruction between
 * undefined ones, and writes a struct insn_result for each. The signal handler is the loop: it
 * stores the state in which the last test ended and returns into the state in which the next one
 * begins.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "insn_record.h"

#define VFP_MAGIC 0x56465001u

static struct insn_test *tests;
static struct insn_result *results;
static unsigned count, current;
static int started;
static unsigned last_tick = ~0u;

struct vfp_frame {
    uint32_t magic, size;
    uint64_t d[32];
    uint32_t fpscr, pad;
};

static struct vfp_frame *vfp_of(ucontext_t *uc)
{
    uint32_t *p = (uint32_t *)uc->uc_regspace;

    for (unsigned i = 0; i < sizeof(uc->uc_regspace) / 4 && p[0] && p[1]; i++) {
        if (p[0] == VFP_MAGIC) {
            return (struct vfp_frame *)p;
        }
        p += p[1] / 4;
    }
    return NULL;
}

static void fill_code(const struct insn_test *t)
{
    uint8_t *code = (uint8_t *)INSN_CODE_AT;

    for (unsigned i = 0; i < INSN_MAX_BYTES / 4 + 2; i++) {
        ((uint32_t *)code)[i] = INSN_TRAP;
    }
    memcpy(code, t->code, t->code_len);
    __builtin___clear_cache((char *)code, (char *)code + INSN_MAX_BYTES + 8);
}

static uint32_t *window(void)
{
    return (uint32_t *)INSN_DATA_BASE + INSN_WINDOW_FIRST;
}

static void restore_data(void)
{
    for (unsigned i = 0; i < INSN_WINDOW_WORDS; i++) {
        window()[i] = insn_data_word(INSN_WINDOW_FIRST + i);
    }
}

static void save(ucontext_t *uc, const struct insn_test *t, struct insn_result *res, int sig)
{
    memcpy(res->out.r, &uc->uc_mcontext.arm_r0, sizeof(res->out.r));
    res->out.cpsr = (uint32_t)uc->uc_mcontext.arm_cpsr;
    res->outcome = sig == SIGILL                     ? INSN_UNDEF
                   : sig == SIGSEGV || sig == SIGBUS ? INSN_FAULT
                                                     : INSN_OTHER;
    if (t->flags & INSN_USES_MEMORY) {
        res->memory = insn_data_hash(window(), INSN_WINDOW_WORDS);
        restore_data();
    }
    if (t->flags & INSN_USES_VFP) {
        struct vfp_frame *f = vfp_of(uc);

        memcpy(res->out.d, f->d, sizeof(f->d));
        res->out.fpscr = f->fpscr;
    }
}

static void load(ucontext_t *uc, const struct insn_test *t)
{
    uint32_t keep = (uint32_t)uc->uc_mcontext.arm_cpsr & 0x1df;

    fill_code(t);
    memcpy(&uc->uc_mcontext.arm_r0, t->in.r, 15 * 4);
    uc->uc_mcontext.arm_pc = INSN_CODE_AT;
    uc->uc_mcontext.arm_cpsr = (keep & ~INSN_CPSR_T) | t->in.cpsr;
    if (t->flags & INSN_USES_VFP) {
        struct vfp_frame *f = vfp_of(uc);

        memcpy(f->d, t->in.d, sizeof(f->d));
        f->fpscr = t->in.fpscr;
    }
}

static void write_all(void)
{
    const char *p = (const char *)results;
    size_t left = count * sizeof(*results);

    while (left) {
        ssize_t n = write(1, p, left);

        if (n <= 0) {
            _exit(3);
        }
        p += n;
        left -= (size_t)n;
    }
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;

    (void)info;
    __asm__ volatile(
        "vmsr fpscr, %0" ::"r"(0)); /* a test may leave what library code cannot run with */
    if (sig == SIGVTALRM) { /* a loop: give up a test that has not moved for a whole tick */
        if (last_tick != current) {
            last_tick = current;
            return;
        }
    }
    if (started) {
        save(uc, &tests[current], &results[current], sig);
        current++;
    }
    started = 1;
    if (current == count) {
        write_all();
        _exit(0);
    }
    load(uc, &tests[current]);
    __asm__ volatile("clrex"); /* the test before may have left the monitor armed */
}

static void *map(uint32_t at, uint32_t size)
{
    void *p = mmap((void *)at, size, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

    if (p == MAP_FAILED) {
        _exit(4);
    }
    return p;
}

static void read_tests(void)
{
    size_t room = 1 << 20, used = 0;
    ssize_t n;

    tests = malloc(room);
    while ((n = read(0, (char *)tests + used, room - used)) > 0) {
        used += (size_t)n;
        if (used == room) {
            room *= 2;
            tests = realloc(tests, room);
        }
    }
    count = used / sizeof(*tests);
    results = calloc(count, sizeof(*results));
    if (!tests || !results || !count) {
        _exit(5);
    }
}

int main(void)
{
    static const int signals[] = {SIGILL, SIGSEGV, SIGBUS, SIGTRAP, SIGFPE, SIGVTALRM};
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    struct itimerval tick = {{0, 300000}, {0, 300000}};

    map(INSN_CODE_BASE, INSN_CODE_SIZE);
    for (uint32_t i = 0; i < INSN_CODE_SIZE / 4; i++) {
        ((uint32_t *)INSN_CODE_BASE)[i] = INSN_TRAP;
    }
    map(INSN_DATA_BASE, INSN_DATA_SIZE);
    for (uint32_t i = 0; i < INSN_DATA_SIZE / 4; i++) {
        ((uint32_t *)INSN_DATA_BASE)[i] = insn_data_word(i);
    }
    read_tests(); /* after the areas have their addresses */
    sigfillset(&sa.sa_mask);
    sigaltstack(&stack, NULL);
    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        sigaction(signals[i], &sa, NULL);
    }
    setitimer(ITIMER_VIRTUAL, &tick, NULL);
    __asm__ volatile(".inst 0xe7f000f0" ::: "memory"); /* enter the loop */
    return 1;
}
