/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The bare-metal runtime that every payload links: console, test report, memory pool, per-CPU data,
 * exception capture, multi-processor start.  CPU 0 reports; the other CPUs only run what smp_call()
 * gives them.  The payload defines payload_name and payload_main().
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cp15.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_CPUS      8
#define PAGE_SIZE     4096u
#define RAM_BASE      0x40000000u
#define RAM_SIZE      0x10000000u /* the payloads ask for -m 256 */

extern const char payload_name[];
void payload_main(void);

/* --- console and report (print.c, tap.c) --- */
void uart_putc(char c);
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void vprint(const char *fmt, va_list ap);
bool tap_ok(bool good, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool tap_eq(uint32_t got, uint32_t want, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void tap_diag(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void tap_skip(const char *name, const char *why);
_Noreturn void tap_finish(void);
_Noreturn void tap_finish_by_reset(void); /* for an emulator started with -no-reboot */
_Noreturn void bail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * A matrix test counts thousands of cases under one name: case_eq() prints the first few
 * mismatches, matrix_end() reports one line.
 */
struct matrix {
    const char *name;
    unsigned cases;
    unsigned bad;
};
bool case_eq(struct matrix *m, uint32_t got, uint32_t want, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void matrix_end(struct matrix *m);

/* --- exceptions (trap.c, vectors.S) --- */
enum trap_kind {
    TRAP_NONE,
    TRAP_RESET,
    TRAP_UNDEF,
    TRAP_SVC,
    TRAP_PABT,
    TRAP_DABT,
    TRAP_IRQ = 7,
    TRAP_FIQ = 8,
};

enum {
    MODE_USR = 0x10,
    MODE_FIQ = 0x11,
    MODE_IRQ = 0x12,
    MODE_SVC = 0x13,
    MODE_ABT = 0x17,
    MODE_UND = 0x1b,
    MODE_SYS = 0x1f,
    MODE_MASK = 0x1f,
    PSR_T = 1u << 5,
    PSR_F = 1u << 6,
    PSR_I = 1u << 7,
    PSR_A = 1u << 8,
    PSR_E = 1u << 9,
    PSR_J = 1u << 24,
};

/* Register state of the interrupted code; the order is known to vectors.S. */
struct regs {
    uint32_t r[13];
    uint32_t sp, lr, pc; /* pc: where to resume (the preferred return address) */
    uint32_t cpsr;
    uint32_t kind;
    uint32_t exc_lr;   /* LR of the exception mode as found at entry */
    uint32_t exc_cpsr; /* CPSR as found at entry */
    uint32_t new_sp;   /* work area of the return path */
    uint32_t spare;
    uint32_t rfe[2];
};

struct trap {
    struct regs regs;
    uint32_t dfsr, dfar, ifsr, ifar;
};

struct cpu;
typedef bool trap_hook(struct cpu *cpu, struct regs *regs);
typedef void irq_fn(struct cpu *cpu, struct regs *regs);
typedef void cpu_fn(unsigned cpu, void *arg);

/* Per-CPU data, found through TPIDRPRW. */
struct cpu {
    uint32_t catch_sp; /* offsets 0, 4, 8, 12 are known to catch.S */
    uint32_t catch_cpsr;
    uint32_t result;
    uint32_t user_sp;
    unsigned index;
    trap_hook *hook; /* sees a trap first; true: resume with the (changed) registers */
    irq_fn *irq;
    void *hook_arg;
    struct trap trap; /* the last caught trap */
    unsigned traps;
    cpu_fn *volatile fn;
    void *volatile arg;
    volatile uint32_t online, done;
} __attribute__((aligned(64)));

extern struct cpu cpus[MAX_CPUS];
static inline struct cpu *this_cpu(void)
{
    return (struct cpu *)read_tpidrprw();
}

/* Call fn(a, b, c): TRAP_NONE and cpu->result, or the kind of trap that ended it (see cpu->trap).
 */
enum trap_kind catch_call(const void *fn, uint32_t a, uint32_t b, uint32_t c);
/* The same with fn running in User mode on the user stack. */
enum trap_kind catch_user(const void *fn, uint32_t a, uint32_t b, uint32_t c);
/* Start with exactly these registers, in any mode and state; ends with the first trap. */
enum trap_kind catch_frame(const struct regs *regs);
void trap_dump(const struct regs *regs);
extern char vectors[], user_exit[], user_exit_svc[];

/* --- several CPUs (smp.c, psci.S) --- */
enum {
    PSCI_VERSION = 0x84000000,
    PSCI_CPU_SUSPEND = 0x84000001,
    PSCI_CPU_OFF = 0x84000002,
    PSCI_CPU_ON = 0x84000003,
    PSCI_AFFINITY_INFO = 0x84000004,
    PSCI_MIGRATE_INFO_TYPE = 0x84000006,
    PSCI_SYSTEM_OFF = 0x84000008,
    PSCI_SYSTEM_RESET = 0x84000009,
    PSCI_FEATURES = 0x8400000a,
};
int32_t psci(uint32_t fn, uint32_t a, uint32_t b, uint32_t c);
int32_t psci_smc(uint32_t fn, uint32_t a, uint32_t b, uint32_t c);
extern char secondary_start[];
unsigned smp_cpus(void);           /* how many the machine has */
unsigned smp_start(unsigned want); /* starts CPUs 1..want-1; returns how many run */
void smp_call(unsigned cpu, cpu_fn *fn, void *arg); /* another CPU; returns at once */
void smp_wait(unsigned cpu);
void smp_run_all(unsigned n, cpu_fn *fn, void *arg); /* on 0..n-1, waits for all */
void smp_idle_loop(void);

struct barrier {
    volatile uint32_t count, phase;
    uint32_t n;
};
void barrier_init(struct barrier *b, unsigned n);
void barrier_wait(struct barrier *b);
uint32_t atomic_add(volatile uint32_t *p, uint32_t v); /* returns the new value */
bool atomic_cas(volatile uint32_t *p, uint32_t old, uint32_t new);
struct spinlock {
    volatile uint32_t v;
};
void spin_lock(struct spinlock *l);
void spin_unlock(struct spinlock *l);

/* --- parameters (param.c): words "name=number" of the kernel command line --- */
uint32_t param(const char *name, uint32_t otherwise);
void param_init(void);

/* --- memory, time, random numbers (mem.c) --- */
void *mem_alloc(size_t size, size_t align); /* zeroed RAM outside the image; never freed */
void *memset(void *p, int c, size_t n);
void *memcpy(void *d, const void *s, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void code_sync(const void *p, size_t n); /* D-clean, I-invalidate, BP-invalidate, DSB, ISB */
uint64_t now(void);                      /* CNTVCT ticks */
uint32_t ticks_per_ms(void);
/* Before the deadline; past it, by 15 s at most, until enough was done: the host may be busy. */
static inline bool time_left(uint64_t deadline, bool enough)
{
    uint64_t at = now();
    return at < deadline || (!enough && at < deadline + (uint64_t)ticks_per_ms() * 15000u);
}
void delay_ms(uint32_t ms);
uint32_t rnd(uint32_t *state);

static inline uint32_t load32(uint32_t a)
{
    return *(volatile uint32_t *)a;
}
static inline void store32(uint32_t a, uint32_t v)
{
    *(volatile uint32_t *)a = v;
}
