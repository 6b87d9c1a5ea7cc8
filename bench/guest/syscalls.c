/* SPDX-License-Identifier: MIT */
/*
 * What entering the kernel costs: system calls that do nothing, and two processes on one CPU that
 * hand a byte to and fro through pipes. A kernel with software PAN changes the translation
 * registers at each entry.
 *
 *   syscalls SECONDS    prints "getppid NS" and "switch NS" (ns for one call, one round trip)
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/*
 * Runs what() in batches for so long; nanoseconds for one run in the median batch, so that a host
 * that takes its CPU away now and then does not count.
 */
static double measure(double seconds, unsigned batch, void (*what)(void))
{
    enum { MAX = 1 << 16 };
    static uint64_t taken[MAX];
    uint64_t last = now_ns(), end = last + (uint64_t)(seconds * 1e9);
    unsigned count = 0;

    do {
        for (unsigned i = 0; i < batch; i++) {
            what();
        }
        uint64_t now = now_ns();
        taken[count++] = now - last;
        last = now;
    } while (last < end && count < MAX);
    qsort(taken, count, sizeof *taken, compare);
    return (double)taken[count / 2] / batch;
}

static void ask_parent(void)
{
    if (syscall(SYS_getppid) < 0) {
        exit(1);
    }
}

static int to_child[2], to_parent[2];

static void round_trip(void)
{
    char byte = 'x';

    if (write(to_child[1], &byte, 1) != 1 || read(to_parent[0], &byte, 1) != 1 || byte != 'y') {
        exit(1);
    }
}

static void echo(void)
{
    char byte;

    close(to_child[1]); /* so that the end of the parent is seen */
    while (read(to_child[0], &byte, 1) == 1) {
        byte++;
        if (write(to_parent[1], &byte, 1) != 1) {
            _exit(1);
        }
    }
    _exit(0);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    cpu_set_t first;
    int status = 1;

    CPU_ZERO(&first);
    CPU_SET(0, &first);
    if (sched_setaffinity(0, sizeof first, &first) || pipe(to_child) || pipe(to_parent)) {
        perror("syscalls");
        return 1;
    }
    measure(seconds / 4, 1000, ask_parent); /* translation is not what this measures */
    printf("getppid %.1f\n", measure(seconds, 1000, ask_parent));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        echo();
    }
    close(to_child[0]);
    measure(seconds / 4, 50, round_trip);
    printf("switch %.1f\n", measure(seconds, 50, round_trip));
    close(to_child[1]);
    return child < 0 || waitpid(child, &status, 0) != child || status != 0;
}
