/* SPDX-License-Identifier: MIT */
/*
 * The RCU wrapper under load: readers look at objects that updaters keep replacing, some freed
 * later by callback, some poisoned and freed by the updater after it waited for the readers. A
 * reader that sees poison, or two halves that do not belong together, had an object taken from
 * under it. Under ThreadSanitizer the same run proves that the wrapper's annotations cover what the
 * library orders: publishing, reading, waiting, callbacks.
 */
#include "base/inject.h"
#include "base/rcu.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define READERS  3
#define SLOTS    4
#define RUN_MS   1000
#define POISON   UINT64_C(0xdeaddeaddeaddead)

struct object {
    uint64_t value, check; /* check = ~value while readers may see it */
};

static struct object *slot[SLOTS];
static pthread_mutex_t slot_lock[SLOTS];
static _Atomic bool stop;
static _Atomic uint64_t reads, later, waited, bad;

static struct object *object_new(uint64_t value)
{
    struct object *o = malloc(sizeof *o);

    if (o == NULL) {
        fprintf(stderr, "rcu_torture: no memory\n");
        exit(EXIT_FAILURE);
    }
    o->value = value;
    o->check = ~value;
    return o;
}

static void *reader(void *opaque)
{
    uint32_t rnd = (uint32_t)(uintptr_t)opaque;

    rcu_thread_register();
    while (!atomic_load(&stop)) {
        rnd = rnd * 1664525 + 1013904223;
        rcu_enter();
        const struct object *o = rcu_read(&slot[rnd >> 28 & (SLOTS - 1)]);
        uint64_t value = o->value;
        if (rnd >> 24 & 1) {
            sched_yield(); /* stay inside while the object is replaced */
        }
        if (value == POISON || o->check != ~value) {
            atomic_fetch_add(&bad, 1);
        }
        rcu_leave();
        atomic_fetch_add_explicit(&reads, 1, memory_order_relaxed);
    }
    rcu_thread_unregister();
    return NULL;
}

static struct object *replace(unsigned i, uint64_t value)
{
    struct object *new = object_new(value);

    pthread_mutex_lock(&slot_lock[i]);
    struct object *old = slot[i];
    rcu_publish(&slot[i], new);
    pthread_mutex_unlock(&slot_lock[i]);
    return old;
}

/* Bursts, so that callbacks pile up while readers and the callback thread are at work. */
static void *updater_later(void *opaque)
{
    uint64_t n = (uintptr_t)opaque;

    rcu_thread_register();
    while (!atomic_load(&stop)) {
        for (unsigned i = 0; i < 32; i++, n++) {
            rcu_free_later(replace((unsigned)n % SLOTS, n));
        }
        atomic_fetch_add(&later, 32);
        sched_yield();
    }
    rcu_thread_unregister();
    return NULL;
}

static void *updater_waiting(void *opaque)
{
    uint64_t n = (uintptr_t)opaque;

    rcu_thread_register();
    for (; !atomic_load(&stop); n++) {
        struct object *old = replace((unsigned)n % SLOTS, n);
        rcu_wait_readers();
        old->value = old->check = POISON;
        free(old);
        atomic_fetch_add(&waited, 1);
    }
    rcu_thread_unregister();
    return NULL;
}

int main(void)
{
    pthread_t thread[READERS + 2];

#if UMBRA_FAULT_INJECTION
    if (getenv("UMBRA_INJECT") && inject_parse(getenv("UMBRA_INJECT")))
        return EXIT_FAILURE;
#endif
    rcu_thread_register();
    for (unsigned i = 0; i < SLOTS; i++) {
        pthread_mutex_init(&slot_lock[i], NULL);
        slot[i] = object_new(i);
    }
    for (uintptr_t i = 0; i < READERS; i++) {
        pthread_create(&thread[i], NULL, reader, (void *)(i + 1));
    }
    pthread_create(&thread[READERS], NULL, updater_later, (void *)(uintptr_t)1000);
    pthread_create(&thread[READERS + 1], NULL, updater_waiting, (void *)(uintptr_t)2000);
    nanosleep(&(struct timespec){.tv_sec = RUN_MS / 1000, .tv_nsec = RUN_MS % 1000 * 1000000L},
              NULL);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < READERS + 2; i++) {
        pthread_join(thread[i], NULL);
    }
    rcu_drain();
    for (unsigned i = 0; i < SLOTS; i++) {
        free(slot[i]);
    }
    rcu_thread_unregister();
    printf("%llu reads, %llu freed later, %llu waited for, %llu bad\n",
           (unsigned long long)atomic_load(&reads), (unsigned long long)atomic_load(&later),
           (unsigned long long)atomic_load(&waited), (unsigned long long)atomic_load(&bad));
    return atomic_load(&bad) == 0 && atomic_load(&reads) > 0 && atomic_load(&waited) > 0 &&
                   atomic_load(&later) > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
