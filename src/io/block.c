/* SPDX-License-Identifier: MIT */
/*
 * The queue of a drive and the threads that serve it.
 *
 * Owns: the queue, the threads. Lock: block.lock, a leaf (block_internal.h). A request counts as a
 * transfer from the moment it leaves the queue until the kernel is through with its memory, which
 * is before done(): block_cancel() waits for that only, so it never waits for a slow flush, nor
 * for a callback that needs a lock of the caller's.
 */
#include "block_internal.h"

#include "base/log.h"
#include "base/rcu.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The pool's thread that runs now, so that its own submissions wake one thread less. */
static _Thread_local const struct block *serving;

uint64_t block_sectors(const struct block *b)
{
    return b->sectors;
}

bool block_readonly(const struct block *b)
{
    return b->readonly;
}

const char *block_id(const struct block *b)
{
    return b->id;
}

const char *block_format(const struct block *b)
{
    if (b->nbd != NULL) {
        return block_nbd_is_uri(b->file) ? "nbd" : "qcow2";
    }
    return b->sparse != NULL ? "sparse" : "raw";
}

/* ---- queue ---- */
/* Wake as many threads as there is new work for. The caller, when it is one of them, takes one
   piece. */
static void wake_locked(struct block *b, unsigned pieces)
{
    unsigned n = pieces - (serving == b ? 1 : 0);

    for (unsigned i = 0; i < n && i < b->idle; i++) {
        pthread_cond_signal(&b->work);
    }
}

void block_submit(struct block *b, struct block_request *list)
{
    unsigned pieces = 0;

    if (list == NULL) {
        return;
    }
    pthread_mutex_lock(&b->lock);
    *b->tail = list;
    for (struct block_request *r = list; r != NULL; r = r->next) {
        b->tail = &r->next;
        pieces++;
    }
    wake_locked(b, pieces);
    pthread_mutex_unlock(&b->lock);
}

void block_post(struct block *b, struct block_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&b->lock);
    *b->job_tail = job;
    b->job_tail = &job->next;
    wake_locked(b, 1);
    pthread_mutex_unlock(&b->lock);
}

static struct block_job *take_job_locked(struct block *b)
{
    struct block_job *job = b->job_head;

    if (job != NULL) {
        b->job_head = job->next;
        if (b->job_head == NULL) {
            b->job_tail = &b->job_head;
        }
    }
    return job;
}

static struct block_request *take_request_locked(struct block *b)
{
    struct block_request *r = b->head;

    if (r != NULL) {
        b->head = r->next;
        if (b->head == NULL) {
            b->tail = &b->head;
        }
        r->next = NULL;
    }
    return r;
}

void block_cancel(struct block *b)
{
    pthread_mutex_lock(&b->lock);
    struct block_request *list = b->head;
    b->head = NULL;
    b->tail = &b->head;
    atomic_fetch_add(&b->cancels, 1);
    while (b->transfers > 0) {
        pthread_cond_wait(&b->settled, &b->lock);
    }
    pthread_mutex_unlock(&b->lock);
    while (list != NULL) {
        struct block_request *next = list->next;
        list->done(list, -ECANCELED);
        list = next;
    }
}

/* ---- threads ---- */
static bool touches_memory(const struct block_request *r)
{
    return r->op == BLOCK_READ || r->op == BLOCK_WRITE;
}

static void end_transfer(struct block *b)
{
    pthread_mutex_lock(&b->lock);
    if (--b->transfers == 0) {
        pthread_cond_broadcast(&b->settled);
    }
    pthread_mutex_unlock(&b->lock);
}

static void serve(struct block *b, struct block_request *r, uint32_t epoch)
{
    bool transfer = touches_memory(r);
    int err = block_file_run(b, r, epoch);

    if (transfer) {
        end_transfer(b);
    }
    if (err == 0 && r->durable && !b->readonly && r->op != BLOCK_READ && r->op != BLOCK_FLUSH) {
        err = block_file_flush(b);
    }
    if (err != 0 && err != -ECANCELED) {
        block_file_report(b, r, err);
    }
    r->done(r, err);
}

/* Take and do one piece of work; with the lock held, dropped meanwhile. False: there is none. */
static bool work_locked(struct block *b)
{
    struct block_job *job = take_job_locked(b);
    struct block_request *r = job == NULL ? take_request_locked(b) : NULL;
    uint32_t epoch = atomic_load(&b->cancels);

    if (job == NULL && r == NULL) {
        return false;
    }
    b->running++;
    if (r != NULL && touches_memory(r)) {
        b->transfers++;
    }
    pthread_mutex_unlock(&b->lock);
    if (job != NULL) {
        job->fn(job);
    } else {
        serve(b, r, epoch);
    }
    pthread_mutex_lock(&b->lock);
    if (--b->running == 0 && b->closing) {
        pthread_cond_broadcast(&b->work);
    }
    return true;
}

static void *block_thread(void *opaque)
{
    struct block *b = opaque;

    serving = b;
    rcu_thread_register();
    pthread_mutex_lock(&b->lock);
    for (;;) {
        if (work_locked(b)) {
            continue;
        }
        if (b->closing && b->running == 0) {
            break;
        }
        b->idle++;
        pthread_cond_wait(&b->work, &b->lock);
        b->idle--;
    }
    pthread_mutex_unlock(&b->lock);
    rcu_thread_unregister();
    return NULL;
}

static void stop_threads(struct block *b)
{
    pthread_mutex_lock(&b->lock);
    b->closing = true;
    pthread_cond_broadcast(&b->work);
    pthread_mutex_unlock(&b->lock);
    for (unsigned i = 0; i < b->nthreads; i++) {
        pthread_join(b->thread[i], NULL);
    }
    b->nthreads = 0;
}

int block_start_threads(struct block *b)
{
    sigset_t all, old;
    int err = 0;

    /* Signals are for the main thread. A write beyond RLIMIT_FSIZE then is an error, not a
       SIGXFSZ that kills. */
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (err == 0 && b->nthreads < BLOCK_THREADS) {
        err = pthread_create(&b->thread[b->nthreads], NULL, block_thread, b);
        if (err == 0) {
            pthread_setname_np(b->thread[b->nthreads++], "block");
        }
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return b->nthreads > 0 ? 0 : -err;
}

void block_close(struct block *b)
{
    if (b == NULL) {
        return;
    }
    stop_threads(b);
    block_snapshot_close(b);
    block_sparse_close(b);
    if (b->fd >= 0 || (b->nbd != NULL && b->bytes > 0)) {
        int err = block_file_flush(b);
        if (err != 0) {
            log_error("drive %s: %s may lack what was written last: %s", b->id, b->file,
                      strerror(-err));
        }
    }
    block_nbd_close(b);
    if (b->fd >= 0) { /* and with it the lock: after the server of a qcow2 image has ended */
        close(b->fd);
    }
    pthread_mutex_destroy(&b->nbd_lock);
    pthread_cond_destroy(&b->settled);
    pthread_cond_destroy(&b->work);
    pthread_mutex_destroy(&b->lock);
    free(b->id);
    free(b->file);
    free(b);
}
