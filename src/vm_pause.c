/* SPDX-License-Identifier: MIT */
/*
 * Pausing a machine: every vCPU thread parks in its run loop, where its state is complete and it is
 * quiescent, and guest time stands still until the last pause is taken back.
 *
 * Generated code knows nothing of it: vm_pause.wanted is the state, POLL_PAUSE in the poll word the
 * alarm. One lock (vm_pause.lock) guards everything here; it is outermost: timer, interrupt
 * controller and character back-end locks may be taken below it, and nobody takes it while holding
 * one of them. The argument in full: docs/concurrency.md.
 *
 * Threads: vm_pause() and what it brackets on any but a vCPU's; parking on the vCPU's own; start,
 * end and restart by the main thread.
 */
#include "vm.h"

#include "base/inject.h"
#include "base/log.h"
#include "vcpu/arm.h"

void vm_pause_init(struct vm *vm)
{
    pthread_mutex_init(&vm->pause.lock, NULL);
    pthread_cond_init(&vm->pause.changed, NULL);
    vm->pause.restarting = true; /* until the first life has begun */
}

void vm_pause_destroy(struct vm *vm)
{
    pthread_cond_destroy(&vm->pause.changed);
    pthread_mutex_destroy(&vm->pause.lock);
}

/* All parked, or no threads at all: time stops with the last of them. */
static void settle_locked(struct vm *vm)
{
    struct vm_pause *p = &vm->pause;

    if (p->active != 0) {
        return;
    }
    if (atomic_load(&p->wanted) != 0 && !p->time_stopped) {
        arm_time_stop(vm);
        p->time_stopped = true;
    }
    pthread_cond_broadcast(&p->changed);
}

static void begin_locked(struct vm *vm)
{
    if (atomic_fetch_add(&vm->pause.wanted, 1) != 0) {
        return;
    }
    for (unsigned i = 0; i < vm->ncpus; i++) {
        vcpu_kick(vm->cpu[i], POLL_PAUSE);
    }
    settle_locked(vm);
}

void vm_pause_begin(struct vm *vm)
{
    pthread_mutex_lock(&vm->pause.lock);
    begin_locked(vm);
    pthread_mutex_unlock(&vm->pause.lock);
}

void vm_pause_wait(struct vm *vm)
{
    struct vm_pause *p = &vm->pause;

    VM_CHECK(vcpu_current() == NULL);
    pthread_mutex_lock(&p->lock);
    while ((p->active != 0 || p->restarting) && !INJECT(PAUSE_AT_ONCE)) {
        pthread_cond_wait(&p->changed, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
}

void vm_pause(struct vm *vm)
{
    vm_pause_begin(vm);
    vm_pause_wait(vm);
}

static void resume_locked(struct vm *vm)
{
    struct vm_pause *p = &vm->pause;

    VM_CHECK(atomic_load(&p->wanted) != 0);
    if (atomic_load(&p->wanted) == 1 && p->time_stopped) {
        arm_time_go(vm);
        p->time_stopped = false;
    }
    atomic_fetch_sub(&p->wanted, 1);
    pthread_cond_broadcast(&p->changed);
}

void vm_resume(struct vm *vm)
{
    pthread_mutex_lock(&vm->pause.lock);
    resume_locked(vm);
    pthread_mutex_unlock(&vm->pause.lock);
}

bool vm_user_pause(struct vm *vm)
{
    bool news;

    pthread_mutex_lock(&vm->pause.lock);
    news = !vm->pause.by_user;
    vm->pause.by_user = true;
    if (news) {
        begin_locked(vm);
    }
    pthread_mutex_unlock(&vm->pause.lock);
    return news;
}

bool vm_user_resume(struct vm *vm)
{
    bool news;

    pthread_mutex_lock(&vm->pause.lock);
    news = vm->pause.by_user;
    vm->pause.by_user = false;
    if (news) {
        resume_locked(vm);
    }
    pthread_mutex_unlock(&vm->pause.lock);
    return news;
}

void vm_hold_stopped(struct vm *vm, uint32_t cpus)
{
    atomic_store(&vm->pause.held, cpus);
}

void vm_pause_hold(struct vcpu *v)
{
    atomic_fetch_or(&v->vm->pause.held, 1u << v->index);
}

/* ---- looking at a paused machine ---- */
void vm_stopped_begin(struct vm *vm)
{
    struct vm_pause *p = &vm->pause;

    pthread_mutex_lock(&p->lock);
    VM_CHECK(atomic_load(&p->wanted) != 0);
    while ((p->active != 0 || p->restarting) && !INJECT(PAUSE_AT_ONCE)) {
        pthread_cond_wait(&p->changed, &p->lock);
    }
    p->lookers++;
    pthread_mutex_unlock(&p->lock);
}

void vm_stopped_end(struct vm *vm)
{
    struct vm_pause *p = &vm->pause;

    pthread_mutex_lock(&p->lock);
    p->lookers--;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

/* ---- the main thread ---- */
void vm_pause_restart_begin(struct vm *vm)
{
    struct vm_pause *p = &vm->pause;

    pthread_mutex_lock(&p->lock);
    while (p->lookers != 0) {
        pthread_cond_wait(&p->changed, &p->lock);
    }
    p->restarting = true;
    pthread_cond_broadcast(&p->changed); /* parked threads see vm.stop and end */
    pthread_mutex_unlock(&p->lock);
}

void vm_pause_restart_end(struct vm *vm)
{
    pthread_mutex_lock(&vm->pause.lock);
    vm->pause.restarting = false;
    settle_locked(vm);
    pthread_mutex_unlock(&vm->pause.lock);
}

void vm_pause_thread_starts(struct vm *vm)
{
    pthread_mutex_lock(&vm->pause.lock);
    vm->pause.active++;
    pthread_mutex_unlock(&vm->pause.lock);
}

void vm_pause_thread_ended(struct vm *vm)
{
    pthread_mutex_lock(&vm->pause.lock);
    vm->pause.active--;
    settle_locked(vm);
    pthread_mutex_unlock(&vm->pause.lock);
}

/* ---- a vCPU's own thread ---- */
void vm_pause_park(struct vcpu *v)
{
    struct vm *vm = v->vm;
    struct vm_pause *p = &vm->pause;

    vcpu_quiescent_begin(v);
    pthread_mutex_lock(&p->lock);
    p->active--;
    settle_locked(vm);
    /* A stop does not end the pause before the main thread has waited for those who look. */
    while (vm_must_park(v) &&
           !(p->restarting && atomic_load(&vm->stop) != VM_RUNNING)) {
        pthread_cond_wait(&p->changed, &p->lock);
    }
    p->active++;
    pthread_mutex_unlock(&p->lock);
    vcpu_quiescent_end(v);
}
