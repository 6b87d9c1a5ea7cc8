/* SPDX-License-Identifier: MIT */
/*
 * Fault injection, see inject.h: the -inject option, the dice, and at exit how often each fault
 * struck, so that a run in which nothing was found can be told from one in which nothing was
 * broken. Built only with UMBRA_FAULT_INJECTION.
 *
 * Threads: what is armed is written before other threads exist, or by the one thread that follows a
 * file, and atomic for its sake; counts are atomic; each thread has its own dice, thrown from the
 * seed and the order in which threads first throw.
 */
#include "base/inject.h"

#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MEET_NS_MAX 200000u /* one shootdown and its follow-up, with room */
#define MEET_SHARE  8u      /* one passage in so many sleeps while a race is to be lost */

#define POLL_NS     50000000 /* how often a file of faults is looked at */
#define LIST_MAX    4096u

static const struct {
    const char *name;
    double probability;
    bool race;
    const char *rule;
} fault[INJECT_FAULT_COUNT] = {
#define X(id, name, probability, race, rule) {name, probability, race, rule},
    INJECT_FAULTS(X)
#undef X
};

_Atomic bool inject_any;
_Atomic bool inject_armed[INJECT_FAULT_COUNT];
static _Atomic uint32_t threshold[INJECT_FAULT_COUNT]; /* strikes when a die is not above */
static _Atomic bool racing;                            /* a fault that needs a race is armed */
static uint64_t seed = 1;
static _Atomic uint64_t strikes[INJECT_FAULT_COUNT], passages[INJECT_FAULT_COUNT];
static _Atomic uint32_t throwers;
static _Thread_local uint64_t dice;

static const struct {
    const char *name, *argument;
} point[INJECT_POINT_COUNT] = {
#define X(id, name, argument) {name, argument},
    INJECT_POINTS(X)
#undef X
};

static _Atomic uint32_t last_passage; /* number of the thread << 8 | point + 1 */
static _Atomic uint64_t followed[INJECT_POINT_COUNT][INJECT_POINT_COUNT];
static _Atomic uint32_t numbers;
static _Thread_local uint32_t number;

static uint32_t throw_die(void)
{
    if (!dice)
        dice = (seed + atomic_fetch_add(&throwers, 1)) * 0x9e3779b97f4a7c15u | 1;
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (uint32_t)(dice >> 32);
}

bool inject_strikes(enum inject_fault f)
{
    atomic_fetch_add_explicit(&passages[f], 1, memory_order_relaxed);
    if (throw_die() > atomic_load_explicit(&threshold[f], memory_order_relaxed))
        return false;
    atomic_fetch_add_explicit(&strikes[f], 1, memory_order_relaxed);
    return true;
}

static bool is_armed(enum inject_fault f)
{
    return atomic_load_explicit(&inject_armed[f], memory_order_relaxed);
}

/* All passages of all threads are in one order, that of the exchange. */
static void note_passage(enum inject_point at)
{
    uint32_t last;

    if (!number)
        number = atomic_fetch_add(&numbers, 1) + 1;
    last = atomic_exchange(&last_passage, number << 8 | ((uint32_t)at + 1));
    if (last && last >> 8 != number)
        atomic_fetch_add_explicit(&followed[(last & 0xff) - 1][at], 1, memory_order_relaxed);
}

/* A perturbation is as likely as asked for, and short more often than long. */
void inject_meet(enum inject_point at)
{
    bool perturb = is_armed(INJECT_PERTURB) && inject_strikes(INJECT_PERTURB);
    struct timespec t = {0};

    if (is_armed(INJECT_COVERAGE))
        note_passage(at);
    if (!perturb &&
        (!atomic_load_explicit(&racing, memory_order_relaxed) || throw_die() % MEET_SHARE))
        return;
    if (throw_die() & 1) {
        sched_yield();
        return;
    }
    t.tv_nsec = throw_die() % MEET_NS_MAX >> (perturb ? throw_die() % 8 : 0);
    clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

/* One line for each point, also read by umbra-stress: what others passed next, and how often. */
static void report_coverage(void)
{
    for (unsigned a = 0; a < INJECT_POINT_COUNT; a++) {
        fprintf(stderr, "umbra: inject: after %s %s:", point[a].argument, point[a].name);
        for (unsigned b = 0; b < INJECT_POINT_COUNT; b++)
            if (atomic_load(&followed[a][b]))
                fprintf(stderr, " %s=%" PRIu64, point[b].name, atomic_load(&followed[a][b]));
        fputc('\n', stderr);
    }
}

static void report(void)
{
    for (unsigned i = 0; i < INJECT_FAULT_COUNT; i++)
        if (i != INJECT_COVERAGE && (is_armed(i) || atomic_load(&passages[i])))
            fprintf(stderr, "umbra: inject: %s struck %" PRIu64 " of %" PRIu64 "\n", fault[i].name,
                    atomic_load(&strikes[i]), atomic_load(&passages[i]));
    if (is_armed(INJECT_COVERAGE) || atomic_load(&last_passage))
        report_coverage();
}

static int unknown(const char *item)
{
    log_error("-inject %s: no such fault; -inject help lists them", item);
    return -EINVAL;
}

static int arm(const char *item, double p)
{
    for (unsigned i = 0; i < INJECT_FAULT_COUNT; i++)
        if (!strcmp(item, fault[i].name)) {
            if (p < 0)
                p = fault[i].probability;
            atomic_store(&threshold[i], p >= 1 ? UINT32_MAX : (uint32_t)(p * 4294967295.0));
            if (fault[i].race)
                atomic_store(&racing, true);
            atomic_store(&inject_armed[i], true);
            atomic_store(&inject_any, true);
            return 0;
        }
    return unknown(item);
}

static int parse_item(char *item)
{
    char *colon = strchr(item, ':'), *end;
    double p = -1;

    if (!strncmp(item, "seed=", 5)) {
        seed = strtoull(item + 5, &end, 10);
        return *end || end == item + 5 ? unknown(item) : 0;
    }
    if (colon) {
        *colon = '\0';
        p = strtod(colon + 1, &end);
        if (*end || end == colon + 1 || !(p >= 0 && p <= 1)) {
            log_error("-inject %s:%s: a probability is a number from 0 to 1", item, colon + 1);
            return -EINVAL;
        }
    }
    return arm(item, p);
}

/* One line for each fault, also read by umbra-stress. */
static _Noreturn void help(void)
{
    for (unsigned i = 0; i < INJECT_FAULT_COUNT; i++)
        printf("%-22s %-6g %s\n", fault[i].name, fault[i].probability,
               fault[i].rule ? fault[i].rule : "-");
    exit(EXIT_SUCCESS);
}

static int arm_list(const char *list)
{
    char *copy = strdup(list), *save;
    int err = copy ? 0 : -ENOMEM;

    for (char *item = copy ? strtok_r(copy, ",\n", &save) : NULL; item && !err;
         item = strtok_r(NULL, ",\n", &save))
        err = parse_item(item);
    free(copy);
    return err;
}

/* Reads no more than what has room; an absent file is an empty one. */
static void read_list(const char *path, char *text)
{
    FILE *in = fopen(path, "re");
    size_t n = in ? fread(text, 1, LIST_MAX - 1, in) : 0;

    text[n] = '\0';
    if (in)
        fclose(in);
}

static void disarm(void)
{
    atomic_store(&inject_any, false);
    for (unsigned i = 0; i < INJECT_FAULT_COUNT; i++)
        atomic_store(&inject_armed[i], false);
    atomic_store(&racing, false);
}

/* Arms what the file lists, as long as it lists it. */
static void *follow_file(void *path)
{
    static const struct timespec poll = {.tv_nsec = POLL_NS};
    static char text[LIST_MAX], before[LIST_MAX];

    pthread_setname_np(pthread_self(), "inject");
    for (;;) {
        read_list(path, text);
        if (strcmp(text, before) != 0) {
            memcpy(before, text, sizeof(before));
            disarm();
            if (arm_list(text))
                log_error("-inject from=%s: what it lists is not armed", (const char *)path);
        }
        clock_nanosleep(CLOCK_MONOTONIC, 0, &poll, NULL);
    }
    return NULL;
}

/* The thread lives as long as the process; signals are for the main thread. */
static int start_following(const char *path)
{
    char *copy = strdup(path);
    sigset_t all, old;
    pthread_t thread;
    int err = copy ? 0 : -ENOMEM;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (!err)
        err = -pthread_create(&thread, NULL, follow_file, copy);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (err) {
        free(copy);
        return err;
    }
    return -pthread_detach(thread);
}

int inject_parse(const char *list)
{
    int err;

    if (!strcmp(list, "help"))
        help();
    err = strncmp(list, "from=", 5) ? arm_list(list) : start_following(list + 5);
    if (!err)
        atexit(report);
    return err;
}
