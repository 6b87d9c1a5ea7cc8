/* SPDX-License-Identifier: MIT */
/*
 * One virtual machine: putting the parts together, starting the vCPU threads, waiting for the end,
 * taking the parts apart.
 *
 * Threads: vm_create, vm_run and vm_destroy run on the main thread, the only one that takes
 * signals (by signalfd). vm_request_stop() is called from any thread and from signal handlers: a
 * compare-and-swap on vm.stop decides the reason, an eventfd wakes the main thread, which stops
 * the vCPUs.
 */
#include "vm.h"

#include "base/log.h"
#include "base/rcu.h"
#include "base/stats.h"
#include "board.h"
#include "gdb/gdb.h"
#include "io/io.h"
#include "io/terminal.h"
#include "semihosting/semihosting.h"
#include "tcg/profile.h"
#include "tcg/tcg.h"
#include "vcpu/arm.h"
#include "vcpu/exclusive.h"
#include "vcpu/pin.h"
#include "vm_control.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define GIB ((uint64_t)1 << 30)
#define STOP_TIMEOUT_S 20

_Static_assert(STATS_VCPUS == VCPU_MAX, "one set of counters for each vCPU");

void vm_request_stop(struct vm *vm, enum vm_stop_reason why)
{
    uint32_t cur = atomic_load(&vm->stop);
    uint64_t one = 1;

    do {
        if (!vm_reason_outranks(why, cur)) {
            return;
        }
    } while (!atomic_compare_exchange_weak(&vm->stop, &cur, (uint32_t)why));
    int saved = errno;
    while (write(vm->stop_fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
    errno = saved;
}

/* ---- construction ---- */
/* Signals that ask for something rather than end us wait from here on until the machine runs. */
static void block_requests(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGPWR);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void warn_about_ram(const struct vm_options *opt)
{
    uint64_t host = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

    if (opt->ram_size > host) {
        log_warn("-m: the guest gets %" PRIu64 " MiB of RAM and this host has %" PRIu64
                 "; it may be killed when it uses all of it",
                 opt->ram_size >> 20, host >> 20);
    }
    if (opt->ram_size > 3 * GIB) {
        log_warn("-m: guest kernels without LPAE use only the first 3 GiB of RAM");
    }
}

static int create_vcpus(struct vm *vm)
{
    exclusive_set_strict(vm->opt->exclusive_strict);
    for (unsigned i = 0; i < vm->opt->smp; i++) {
        int err = vcpu_create(vm, i, &vm->cpu[i]);
        if (err != 0) {
            log_error("cannot create CPU %u: %s", i, strerror(-err));
            return err;
        }
        vm->ncpus = i + 1;
    }
    return 0;
}

static int create_base(struct vm *vm)
{
    int err = ram_create(&vm->ram, BOARD_VIRT_RAM_BASE, vm->opt->ram_size);

    if (err != 0) {
        log_error("cannot reserve %" PRIu64 " MiB of guest RAM: %s; use a smaller -m",
                  vm->opt->ram_size >> 20, strerror(-err));
        return err;
    }
    err = board_reserve_flash(vm);
    if (err != 0) {
        log_error("cannot reserve memory for flash: %s", strerror(-err));
        return err;
    }
    vm->bus = bus_create();
    err = vm->bus == NULL ? -ENOMEM : io_loop_create(&vm->io);
    if (err != 0) {
        log_error("cannot create the I/O loop: %s", strerror(-err));
        return err;
    }
    struct mmu_options mmu = vm->opt->mmu;
    mmu.cpus = vm->opt->smp;
    err = mmu_create(vm, &mmu);
    if (err == -ENOSPC) {
        log_error("too little address space for windows (ulimit -v); -mmu soft needs none");
    } else if (err != 0) {
        log_error("cannot set up guest memory translation: %s", strerror(-err));
    }
    return err != 0 ? err : display_create(vm->io, &vm->display);
}

static int create_parts(struct vm *vm)
{
    vm->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (vm->stop_fd < 0) {
        log_error("eventfd: %s", strerror(errno));
        return -errno;
    }
    vm->cpu_model = arm_cpu_model_find(vm->opt->cpu);
    warn_about_ram(vm->opt);
    int err = create_base(vm);
    if (err == 0) {
        err = create_vcpus(vm);
    }
    if (err == 0 && vm->opt->semihosting.on) {
        err = semihosting_create(vm, &vm->semihosting);
    }
    if (err == 0) {
        err = board_create(vm);
    }
    return err == 0 ? board_load(vm) : err;
}

int vm_create(const struct vm_options *opt, struct vm **out)
{
    struct vm *vm = calloc(1, sizeof *vm);
    int err;

    if (vm == NULL) {
        return -ENOMEM;
    }
    block_requests();
    rcu_thread_register();
    vm_pause_init(vm);
    vm->opt = opt;
    err = create_parts(vm);
    if (err != 0) {
        vm_destroy(vm);
        return err;
    }
    *out = vm;
    return 0;
}

void vm_destroy(struct vm *vm)
{
    if (vm->io != NULL) {
        io_loop_stop(vm->io);
    }
    display_destroy(vm->display); /* while the devices that draw for it exist */
    board_destroy(vm);
    semihosting_destroy(vm->semihosting);
    for (unsigned i = 0; i < VCPU_MAX; i++) {
        vcpu_destroy(vm->cpu[i]);
    }
    if (vm->mmu != NULL) {
        mmu_destroy(vm);
    }
    io_loop_destroy(vm->io);
    rcu_drain();
    bus_destroy(vm->bus);
    if (vm->ram.flat != NULL) {
        ram_destroy(&vm->ram);
    }
    if (vm->stop_fd >= 0) {
        close(vm->stop_fd);
    }
    rcu_thread_unregister();
    vm_pause_destroy(vm);
    free(vm);
}

int vm_dump_dtb(struct vm *vm, const char *path)
{
    size_t size;
    const void *dtb = board_dtb(vm, &size);
    FILE *f = fopen(path, "we");
    int err = 0;

    if (f == NULL || fwrite(dtb, 1, size, f) != size) {
        err = -errno;
    }
    if (f != NULL && fclose(f) != 0 && err == 0) {
        err = -errno;
    }
    if (err != 0) {
        log_error("-dumpdtb %s: %s", path, strerror(-err));
    }
    return err;
}

/* ---- running ---- */
/* What one run needs beside the machine. */
struct run {
    struct vm *vm;
    int sigfd;
    struct vcpu_placement placement;
};

/* A host that refuses the placement only costs speed. */
static void place_vcpus(const struct run *r)
{
    int err = 0;

    for (unsigned i = 0; err == 0 && i < r->vm->ncpus; i++) {
        err = vcpu_placement_apply(&r->placement, r->vm->cpu[i]->thread, i);
    }
    if (err != 0) {
        log_warn("-pin %s: CPUs are not placed: %s", r->vm->opt->pin, strerror(-err));
    }
}

static int start_vcpus(const struct run *r)
{
    struct vm *vm = r->vm;

    for (unsigned i = 0; i < vm->ncpus; i++) {
        atomic_store(&vm->cpu[i]->powered, VCPU_OFF);
        atomic_store(&vm->cpu[i]->poll, 0);
    }
    if (!vcpu_power_on(vm->cpu[0], (uint32_t)vm->boot_pc, 0)) {
        vm_bug("the boot CPU does not power on");
    }
    for (unsigned i = 0; i < vm->ncpus; i++) {
        vm_pause_thread_starts(vm);
        int err = pthread_create(&vm->cpu[i]->thread, NULL, vcpu_thread_main, vm->cpu[i]);
        if (err != 0) {
            vm_pause_thread_ended(vm);
            log_error("cannot start the thread of CPU %u: %s", i, strerror(err));
            vm_request_stop(vm, VM_FATAL);
            return (int)i;
        }
    }
    place_vcpus(r);
    return (int)vm->ncpus;
}

static void stop_vcpus(struct vm *vm, int started)
{
    struct timespec limit;

    for (int i = 0; i < started; i++) {
        vcpu_kick(vm->cpu[i], POLL_STOP);
    }
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += STOP_TIMEOUT_S;
    for (int i = 0; i < started; i++) {
        if (pthread_timedjoin_np(vm->cpu[i]->thread, NULL, &limit) != 0) {
            vm_bug("CPU %d does not stop", i);
        }
    }
}

static void print_status(const struct vm *vm)
{
    for (unsigned i = 0; i < vm->ncpus; i++) {
        vcpu_print_status(stderr, vm->cpu[i]);
    }
    stats_print_text(stderr, vm->ncpus);
}

static void on_signal(struct vm *vm, int sig)
{
    switch (sig) {
    case SIGUSR1: print_status(vm); break;
    case SIGPWR: vm_powerdown(vm); break;
    case SIGCONT: terminal_raw_again(); break;
    default:
        vm->exit_status = 128 + sig;
        vm_request_stop(vm, VM_SIGNAL);
        break;
    }
}

/* Until the machine shall stop. */
static void wait_for_stop(const struct run *r)
{
    struct vm *vm = r->vm;
    struct pollfd p[2] = {{.fd = vm->stop_fd, .events = POLLIN},
                          {.fd = r->sigfd, .events = POLLIN}};

    while (atomic_load(&vm->stop) == VM_RUNNING) {
        struct signalfd_siginfo si;
        if (poll(p, 2, -1) < 0 && errno != EINTR) {
            vm_bug("poll: %s", strerror(errno));
        }
        if ((p[1].revents & POLLIN) && read(r->sigfd, &si, sizeof si) == (ssize_t)sizeof si) {
            on_signal(vm, (int)si.ssi_signo);
        }
    }
    uint64_t count;
    if (read(vm->stop_fd, &count, sizeof count) < 0 && errno != EAGAIN) {
        vm_bug("eventfd: %s", strerror(errno));
    }
}

/* All vCPUs have ended for the reason returned; from here on vm.stop holds what is asked next. A
   request that outranks it may have come meanwhile, and counts. */
static enum vm_stop_reason take_reason(struct vm *vm)
{
    return atomic_exchange(&vm->stop, VM_RUNNING);
}

/* One life of the machine, from power-on to reset or the end. */
static enum vm_stop_reason run_once(const struct run *r)
{
    int started = start_vcpus(r);

    vm_pause_restart_end(r->vm);
    if (!vm_paused(r->vm)) {
        vm_set_started(r->vm);
    }
    wait_for_stop(r);
    vm_pause_restart_begin(r->vm);
    stop_vcpus(r->vm, started);
    return take_reason(r->vm);
}

/* -no-shutdown: no vCPU runs; until the user resets the machine or ends it. */
static enum vm_stop_reason wait_while_off(const struct run *r)
{
    struct vm *vm = r->vm;

    vm_pause_restart_end(vm);
    wait_for_stop(r);
    vm_pause_restart_begin(vm);
    return take_reason(vm);
}

static int exit_status(const struct vm *vm, enum vm_stop_reason why)
{
    if (why == VM_SIGNAL || why == VM_GUEST_EXIT || why == VM_PANIC_OFF) {
        return vm->exit_status;
    }
    return why != VM_FATAL ? 0 : vm->exit_status != 0 ? vm->exit_status : 1;
}

/* To the state after power-on, but for what RAM holds. */
static int reset(struct vm *vm)
{
    board_reset(vm);
    for (unsigned i = 0; i < vm->ncpus; i++) {
        tcg_reset(vm->cpu[i]);
    }
    return board_load(vm);
}

static int run_until_end(const struct run *r)
{
    struct vm *vm = r->vm;

    for (;;) {
        enum vm_stop_reason why = run_once(r);
        enum vm_next next = vm_what_next(vm, why);
        while (next == VM_NEXT_WAIT) {
            why = wait_while_off(r);
            next = vm_what_next(vm, why);
        }
        if (next == VM_NEXT_END) {
            return exit_status(vm, why);
        }
        if (reset(vm) != 0) {
            return 1;
        }
    }
}

static void profile_json(const void *vm, FILE *f)
{
    tcg_profile_json(vm, f);
}

static void write_stats(const struct vm *vm)
{
    const char *path = vm->opt->stats_path;

    tcg_profile_log(vm);
    if (path == NULL) {
        return;
    }
    if (strcmp(path, "-") == 0) {
        stats_print_text(stderr, vm->ncpus);
        return;
    }
    int err = stats_write_json(path, vm->ncpus, profile_json, vm);
    if (err != 0) {
        log_error("-stats %s: %s", path, strerror(-err));
    }
}

/* Signals become readable events of this thread. */
static int take_signals(void)
{
    static const int sig[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGPWR, SIGCONT};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(sig); i++) {
        sigaddset(&set, sig[i]);
    }
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a write past a file size limit is an I/O error of the guest */
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

int vm_run(struct vm *vm)
{
    struct run r = {.vm = vm, .sigfd = -1};
    struct gdb *gdb = NULL;
    const char *why = NULL;
    int status = 1;
    int err = vcpu_placement_make(&r.placement, vm->opt->pin, vm->ncpus, &why);

    if (err != 0) {
        log_error("-pin %s: %s", vm->opt->pin, err == -EINVAL ? why : strerror(-err));
        return status;
    }
    r.sigfd = take_signals();
    if (vm->opt->paused) {
        vm_user_pause(vm);
    }
    if (vm->opt->gdb != NULL && gdb_start(vm, vm->opt->gdb, &gdb) != 0) {
        if (r.sigfd >= 0) {
            close(r.sigfd);
        }
        return status;
    }
    err = r.sigfd < 0 ? r.sigfd : io_loop_start(vm->io);
    if (err != 0) {
        log_error("cannot start the machine: %s", strerror(-err));
    } else {
        terminal_raw();
        status = run_until_end(&r);
    }
    vm_pause_restart_end(vm); /* no thread is left: nobody shall wait for one to park */
    gdb_stop(gdb, status);
    io_loop_stop(vm->io);
    terminal_restore();
    write_stats(vm);
    if (r.sigfd >= 0) {
        close(r.sigfd);
    }
    return status;
}
