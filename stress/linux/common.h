/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the Linux-level stress programs share: parameters, threads, caught faults, a report in TAP.
 *
 *   PROGRAM [SECONDS [THREADS [SEED]]]
 *
 * Like the bare-metal payloads, a program has one thread that changes a mapping and others that use
 * it, and a state word that tells these when one outcome only is right: the changer makes it odd,
 * changes, and makes it even when the system call has returned, so the kernel's shootdown is
 * complete.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE       4096u
#define POISON     0xdeadbeefu
#define THREAD_MAX 16u

typedef volatile uint32_t word;

static double run_seconds = 2;
static unsigned run_threads = 3;
static uint32_t run_seed = 1;
static unsigned tests, failures;
static _Atomic bool run_over;
static _Atomic uint64_t checks, strict, changes;

/* What went wrong: any thread counts, the main thread reports. */
struct verdict {
    const char *name;
    _Atomic uint32_t wrong, last;
};

static inline void wrong(struct verdict *v, uint32_t got)
{
    atomic_store(&v->last, got);
    atomic_fetch_add(&v->wrong, 1);
}

static inline uint32_t dice(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static inline _Noreturn void give_up(const char *what)
{
    printf("Bail out! %s: %s\n", what, strerror(errno));
    exit(3);
}

/* ---- faults: TRY(thing) is 0, or the address of the fault ---- */
static _Thread_local sigjmp_buf caught;
static _Thread_local volatile sig_atomic_t catching;
static _Thread_local volatile uintptr_t fault_address;

static void on_fault(int sig, siginfo_t *info, void *context)
{
    (void)context;
    if (!catching) {
        signal(sig, SIG_DFL);
        return;
    }
    catching = 0;
    fault_address = (uintptr_t)info->si_addr;
    siglongjmp(caught, 1);
}

/* Both false when the access did not fault. */
static inline bool load_faults(uintptr_t at, uint32_t *value)
{
    if (sigsetjmp(caught, 0))
        return true;
    catching = 1;
    *value = *(word *)at;
    catching = 0;
    return false;
}

static inline bool store_faults(uintptr_t at, uint32_t value)
{
    if (sigsetjmp(caught, 0))
        return true;
    catching = 1;
    *(word *)at = value;
    catching = 0;
    return false;
}

/* On a host that is busy with other work it may take longer than asked for. */
#define LATE_SECONDS 50

static inline bool did_something(void)
{
    return atomic_load(&changes) > 1 && atomic_load(&checks) > 100;
}

/* ---- threads ---- */
static inline void run_thread(pthread_t *thread, void *(*body)(void *), uintptr_t arg)
{
    if (pthread_create(thread, NULL, body, (void *)arg))
        give_up("pthread_create");
}

/* `changer` in the calling thread, `user` (argument: 1, 2, ...) in the others, until the time is
 * over and something was done. */
static inline void run_all(void (*changer)(void), void *(*user)(void *))
{
    pthread_t thread[THREAD_MAX];
    struct timespec now, end;
    for (unsigned i = 0; i < run_threads; i++)
        run_thread(&thread[i], user, i + 1);
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += (time_t)run_seconds;
    end.tv_nsec += (long)((run_seconds - (double)(time_t)run_seconds) * 1e9);
    do {
        changer();
        atomic_fetch_add(&changes, 1);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec) ||
             (!did_something() && now.tv_sec < end.tv_sec + LATE_SECONDS));
    atomic_store(&run_over, true);
    for (unsigned i = 0; i < run_threads; i++)
        pthread_join(thread[i], NULL);
}

/* ---- report ---- */
static inline void tap(bool good, const char *name)
{
    failures += !good;
    printf("%sok %u - %s\n", good ? "" : "not ", ++tests, name);
}

static inline int finish(struct verdict *v, unsigned n)
{
    tap(did_something(), "the test did something");
    for (unsigned i = 0; i < n; i++) {
        tap(!atomic_load(&v[i].wrong), v[i].name);
        if (atomic_load(&v[i].wrong))
            printf("# %u times, last got 0x%x\n", atomic_load(&v[i].wrong),
                   atomic_load(&v[i].last));
    }
    printf("# %llu changes, %llu uses (%llu with one legal outcome)\n1..%u\n",
           (unsigned long long)atomic_load(&changes), (unsigned long long)atomic_load(&checks),
           (unsigned long long)atomic_load(&strict), tests);
    return failures != 0;
}

static inline int skip(const char *why)
{
    printf("ok 1 # SKIP %s\n1..1\n", why);
    return 0;
}

static inline void begin(int argc, char **argv)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1)
        run_seconds = atof(argv[1]);
    if (argc > 2)
        run_threads = (unsigned)atoi(argv[2]);
    if (argc > 3)
        run_seed = (uint32_t)strtoul(argv[3], NULL, 10) | 1;
    if (run_threads < 1 || run_threads > THREAD_MAX || !(run_seconds > 0)) {
        fprintf(stderr, "usage: PROGRAM [SECONDS [THREADS, 1 to %u [SEED]]]\n", THREAD_MAX);
        exit(2);
    }
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

/* RAM that can be mapped several times. */
static inline int memory(size_t size)
{
    int fd = (int)syscall(SYS_memfd_create, "stress", 0);
    if (fd < 0 || ftruncate(fd, (off_t)size))
        give_up("memfd_create");
    return fd;
}

static inline void *map(void *at, size_t size, int prot, int flags, int fd, size_t offset)
{
    void *p = mmap(at, size, prot, flags | (at ? MAP_FIXED : 0), fd, (off_t)offset);
    if (p == MAP_FAILED)
        give_up("mmap");
    return p;
}

/* Inaccessible pages of nobody's, with more around them: when they are unmapped, nothing that is as
 * large as a thread's stack comes to lie there. */
static inline uint8_t *island(unsigned pages)
{
    uint8_t *p = map(NULL, (pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p + PAGE;
}
