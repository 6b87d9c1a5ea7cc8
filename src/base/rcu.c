/* SPDX-License-Identifier: MIT */
/*
 * liburcu (memb flavour) behind the wrapper of rcu.h, so that one file knows the library.
 *
 * ThreadSanitizer does not see liburcu's own barriers and reports false races between a reader
 * and the updater that waited for it. Every read section therefore releases one token object when
 * it ends and every grace period acquires it; that is the ordering the library really gives.
 */
#include "base/rcu.h"

#include "base/inject.h"
#include "base/log.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <urcu/urcu-memb.h>

#ifdef UMBRA_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
static char token;
#define TSAN_ACQUIRE(p) __tsan_acquire(p)
#define TSAN_RELEASE(p) __tsan_release(p)
#define TSAN_TOKEN      (&token)
#else
#define TSAN_ACQUIRE(p) ((void)0)
#define TSAN_RELEASE(p) ((void)0)
#endif

struct deferred {
    struct rcu_head head;
    void *p;
};

void rcu_thread_register(void)
{
    urcu_memb_register_thread();
}

void rcu_thread_unregister(void)
{
    urcu_memb_unregister_thread();
}

void rcu_enter(void)
{
    urcu_memb_read_lock();
}

void rcu_leave(void)
{
    TSAN_RELEASE(TSAN_TOKEN);
    urcu_memb_read_unlock();
}

void rcu_wait_readers(void)
{
    if (!INJECT(SKIP_GRACE_WAIT))
        urcu_memb_synchronize_rcu();
    TSAN_ACQUIRE(TSAN_TOKEN);
}

static void free_deferred(struct rcu_head *head)
{
    struct deferred *d = container_of(head, struct deferred, head);

    TSAN_ACQUIRE(d);
    TSAN_ACQUIRE(TSAN_TOKEN);
    free(d->p);
    free(d);
}

static pthread_once_t callback_once = PTHREAD_ONCE_INIT;
static bool callbacks_run;

static void *no_work(void *unused)
{
    return unused;
}

/* The library aborts the process where it can start no thread; who starts the machine says so in a
 * sentence. */
static bool threads_start(void)
{
    pthread_t thread;

    return !pthread_create(&thread, NULL, no_work, NULL) && !pthread_join(thread, NULL);
}

/*
 * The library's callback thread starts at the first use and inherits our signal mask; one that
 * takes SIGTERM would end the process behind the main thread's back.
 */
static void start_callback_thread(void)
{
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    callbacks_run = threads_start();
    if (callbacks_run)
        urcu_memb_get_default_call_rcu_data();
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void rcu_free_later(void *p)
{
    struct deferred *d;

    if (INJECT(FREE_AT_ONCE)) {
        free(p);
        return;
    }
    d = malloc(sizeof *d);
    pthread_once(&callback_once, start_callback_thread);
    if (!callbacks_run)
        return; /* the machine will not run: it is freed with the process */
    d = malloc(sizeof *d);
    VM_CHECK(d != NULL);
    d->p = p;
    TSAN_RELEASE(d);
    urcu_memb_call_rcu(&d->head, free_deferred);
}

struct drain {
    struct rcu_head head;
    sem_t done;
};

static void drained(struct rcu_head *head)
{
    sem_post(&container_of(head, struct drain, head)->done);
}

/* Callbacks run in order, so when ours runs all earlier ones have. (The library's own barrier is
   not understood by ThreadSanitizer.) */
void rcu_drain(void)
{
    struct drain d;

    pthread_once(&callback_once, start_callback_thread);
    if (!callbacks_run)
        return;
    sem_init(&d.done, 0, 0);
    TSAN_RELEASE(&d);
    urcu_memb_call_rcu(&d.head, drained);
    while (sem_wait(&d.done) != 0) {
    }
    sem_destroy(&d.done);
}
