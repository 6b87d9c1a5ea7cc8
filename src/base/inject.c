/* SPDX-License-Identifier: MIT */
/*
 * Fault injection, see inject.h: the -inject option, the dice, and at exit how often each fault
 * struck, so that a run in which nothing was found can be told from one in which nothing was
 * broken. Built only with UMBRA_FAULT_INJECTION.
 *
 * Threads: the tables are written before other threads exist; counts are atomic; each thread has
 * its own dice, thrown from the seed and the order in which threads first throw.
 */
#include "base/inject.h"

#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MEET_NS_MAX 200000u /* one shootdown and its follow-up, with room */
#define MEET_SHARE  8u      /* one passage in so many sleeps while a race is to be lost */

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

_Static_assert(INJECT_FAULT_COUNT <= 64, "one bit for each fault");
uint64_t inject_armed;
static uint32_t threshold[INJECT_FAULT_COUNT]; /* strikes when a 32-bit die is not above */
static bool racing;                            /* a fault that needs a race is armed */
static uint64_t seed = 1;
static _Atomic uint64_t strikes[INJECT_FAULT_COUNT], passages[INJECT_FAULT_COUNT];
static _Atomic uint32_t throwers;
static _Thread_local uint64_t dice;

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
    if (throw_die() > threshold[f])
        return false;
    atomic_fetch_add_explicit(&strikes[f], 1, memory_order_relaxed);
    return true;
}

/* A perturbation is as likely as asked for, and short more often than long. */
void inject_meet(void)
{
    bool perturb = inject_armed & UINT64_C(1) << INJECT_PERTURB && inject_strikes(INJECT_PERTURB);
    struct timespec t = {0};

    if (!perturb && (!racing || throw_die() % MEET_SHARE))
        return;
    if (throw_die() & 1) {
        sched_yield();
        return;
    }
    t.tv_nsec = throw_die() % MEET_NS_MAX >> (perturb ? throw_die() % 8 : 0);
    clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

static void report(void)
{
    for (unsigned i = 0; i < INJECT_FAULT_COUNT; i++)
        if (inject_armed >> i & 1)
            fprintf(stderr, "umbra: inject: %s struck %" PRIu64 " of %" PRIu64 "\n", fault[i].name,
                    atomic_load(&strikes[i]), atomic_load(&passages[i]));
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
            threshold[i] = p >= 1 ? UINT32_MAX : (uint32_t)(p * 4294967295.0);
            inject_armed |= UINT64_C(1) << i;
            racing |= fault[i].race;
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

int inject_parse(const char *list)
{
    char *copy = strdup(list), *save;
    int err = copy ? 0 : -ENOMEM;

    if (!strcmp(list, "help"))
        help();
    for (char *item = copy ? strtok_r(copy, ",", &save) : NULL; item && !err;
         item = strtok_r(NULL, ",", &save))
        err = parse_item(item);
    free(copy);
    if (!err)
        atexit(report);
    return err;
}
