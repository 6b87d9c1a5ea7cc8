/* SPDX-License-Identifier: MIT */
/*
 * One virtual machine: what the command line asked for, and the parts that make it run. Built by
 * vm_create() in the order RAM, bus, MMU, vCPUs, board, images; torn down in the reverse order.
 */
#pragma once

#include "base/types.h"
#include "dev/bus.h"
#include "display/display.h"
#include "display/serve.h"
#include "io/net.h"
#include "mmu/mmu.h"
#include "p9/p9.h"
#include "vcpu/vcpu.h"

#include <pthread.h>

struct io_loop;
struct board;
struct arm_cpu_model;
struct virtio_mmio;
struct virtio_pci;

struct vm_drive {
    char *id, *file;
    bool readonly, snapshot;
    bool qcow2;
    bool unplaced; /* -drive without if=: it has a device of its own, unless a -device uses it */
};
/* A bank of flash: -bios, -drive if=pflash */
struct vm_flash {
    const char *option; /* by which it was given; NULL: it was not */
    char *file;
    bool readonly, snapshot;
    bool shorter;       /* the file may be smaller than the bank */
};
struct vm_share {
    char *id, *path;
    struct p9_config config; /* path: the one above */
};
struct vm_device {
    char *driver;  /* "virtio-blk-device", ... */
    char *options; /* the rest of -device, "drive=d0,..." or NULL */
};

/* -chardev */
struct vm_chardev {
    char *id;
    char *spec;         /* as -monitor and -serial spell it */
    bool mux, monitor;  /* mux=on; a monitor of -mon shares it */
};

/* -semihosting-config */
struct vm_semihosting {
    bool on, user;  /* also calls of unprivileged code */
    bool to_stdout; /* console output; else stderr */
    char *args;     /* the program's command line, or NULL */
};

/* -M ranchu */
struct vm_ranchu {
    bool on;
    struct display_framebuffer screen;
    char *wav;      /* what is played goes there; NULL: nowhere */
    char *adb;      /* "[ADDR:]PORT" for debuggers; NULL: none */
    char *prop[32]; /* "NAME=VALUE" that the guest sets while it boots */
    unsigned nprops;
};

/* -action watchdog= */
enum vm_watchdog_action {
    VM_WATCHDOG_RESET, VM_WATCHDOG_SHUTDOWN, VM_WATCHDOG_POWEROFF, VM_WATCHDOG_PAUSE,
    VM_WATCHDOG_DEBUG, VM_WATCHDOG_NONE,
};

/* -action panic= */
enum vm_panic_action { VM_PANIC_SHUTDOWN, VM_PANIC_PAUSE, VM_PANIC_NONE, VM_PANIC_EXIT_FAILURE };

struct vm_options {
    const char *machine;    /* "virt", "ranchu" */
    struct vm_ranchu ranchu;
    const char *cpu;        /* "cortex-a15" */
    unsigned smp;
    uint64_t ram_size;
    const char *kernel, *initrd, *append, *dtb;
    char *dumpdtb;          /* write the device tree there and quit; malloc'd or NULL */
    struct mmu_options mmu;
    const char *serial;     /* "stdio", "null", "file:...", "unix:..." */
    struct vm_drive drive[32];
    unsigned ndrives;
    struct vm_flash flash[2]; /* the first is run when there is no kernel */
    struct vm_share share[8];
    unsigned nshares;
    struct vm_device device[32];
    unsigned ndevices;
    bool no_reboot;         /* -action reboot=shutdown */
    bool no_shutdown;       /* -action shutdown=pause: wait for the user after the guest's end */
    bool watchdog;          /* -M watchdog=on */
    enum vm_watchdog_action watchdog_action;
    bool pvpanic;           /* -device pvpanic-mmio */
    enum vm_panic_action panic_action;
    const char *name;       /* -name, or NULL */
    struct net_config net[8];
    unsigned nnets;
    bool virtio_legacy;     /* virtio-mmio slots of version 1 */
    bool virtio_pci;        /* virtio devices without a transport in their name: on PCI */
    bool exclusive_strict;
    const char *stats_path;
    const char *pin;        /* none, spread, compact, or a list */
    uint32_t tier2_threshold; /* entries that make a block a region; 0: never, 1: at once */
#define VM_TIER2_SAMPLED UINT32_MAX /* by samples, not by counting */
    uint64_t tb_size;       /* code cache bytes of each vCPU; 0 = default */
    const char *gdb;        /* "tcp::1234", "unix:..." or NULL */
    bool paused;            /* -S */
    struct display_framebuffer framebuffer; /* -device simple-framebuffer; width 0: none */
    struct display_options display;
    struct vm_semihosting semihosting;
    const struct vm_chardev *chardev;
    unsigned nchardevs;
};

/* VM_SHUTDOWN and VM_RESET are the guest's. */
enum vm_stop_reason {
    VM_RUNNING, VM_SHUTDOWN, VM_RESET, VM_SIGNAL, VM_FATAL, VM_RESET_MONITOR, VM_QUIT_CONSOLE,
    VM_QUIT_MONITOR, VM_WATCHDOG_OFF, VM_GUEST_EXIT, VM_PANIC_OFF,
};

#define VM_VIRTIO_SLOTS 32
#define VM_PCI_SLOTS 32

/* Who holds the machine paused (vm_pause.c). */
struct vm_pause {
    _Atomic uint32_t wanted; /* pauses not taken back; changes under lock, vCPUs read it without */
    _Atomic uint32_t held;   /* vCPUs that stay parked when the others go on, a bit each */
    pthread_mutex_t lock;    /* all below */
    pthread_cond_t changed;
    unsigned active;         /* vCPU threads that are not parked */
    unsigned lookers;        /* between vm_stopped_begin and vm_stopped_end */
    bool restarting;         /* the main thread ends, resets, starts again */
    bool time_stopped;
    bool by_user;            /* one of `wanted` is vm_user_pause()'s */
};

struct vm_event;

/* vm_control.c */
struct vm_control {
    void (*listener)(void *opaque, const struct vm_event *e);
    void *opaque;
    _Atomic bool off;     /* the guest has ended, -no-shutdown keeps us */
    _Atomic bool started; /* it has run, or a user has stopped or continued it */
    _Atomic bool panicked; /* stopped because the guest said so, and not reset or continued since */
};

struct vm {
    const struct vm_options *opt;
    struct ram ram;
    struct bus *bus;
    struct io_loop *io;
    struct mmu_vm *mmu;
    struct vcpu *cpu[VCPU_MAX];
    unsigned ncpus;
    const struct arm_cpu_model *cpu_model;
    struct board *board;
    struct display *display;
    struct virtio_mmio *virtio[VM_VIRTIO_SLOTS]; /* dev/virtio_mmio.c */
    struct virtio_pci *virtio_pci[VM_PCI_SLOTS]; /* dev/virtio_pci.c */
    uint32_t nets_used;     /* opt->net[] that have a card, a bit each; main thread */
    gva_t boot_pc;          /* where vCPU 0 starts, and its r0..r2 */
    uint32_t boot_r1, boot_r2;
    struct irq_line ppi_vtimer[VCPU_MAX], ppi_ptimer[VCPU_MAX], ppi_pmu[VCPU_MAX];
    _Atomic uint32_t stop;  /* enum vm_stop_reason; vCPUs leave when it is not VM_RUNNING */
    struct semihosting *semihosting; /* NULL: off */
    struct vm_pause pause;
    struct vm_debug debug;
    struct vm_control control;
    int stop_fd;            /* eventfd: `stop` changed; the main thread waits on it */
    _Atomic int exit_status;
};

/* Reports its own errors; -errno. */
int vm_create(const struct vm_options *opt, struct vm **out) MUST_CHECK;
/* Start vCPU threads and wait until the guest or the user ends the machine; the process's exit
   status. Handles guest reset. */
int vm_run(struct vm *vm);
void vm_destroy(struct vm *vm);
/* Ask the machine to stop; any thread, also signal handlers. The user's wish to end it replaces a
   shutdown or reset under way; otherwise the first request counts. */
void vm_request_stop(struct vm *vm, enum vm_stop_reason why);
/* -dumpdtb: write the device tree; reports its own errors. */
int vm_dump_dtb(struct vm *vm, const char *path) MUST_CHECK;

/*
 * ---- pausing (vm_pause.c) ----
 * vm_pause() returns when every vCPU thread is parked in its run loop: at a block boundary, with
 * its state complete in struct vcpu, quiescent. Guest time (counters, timers, cycle counter) stands
 * still from then to the resume. Pauses nest by a count: the machine runs when each was taken back.
 * Any thread but a vCPU's, without a lock that a vCPU may want; on the I/O thread it delays I/O
 * until the vCPUs are parked.
 */
void vm_pause(struct vm *vm);
void vm_resume(struct vm *vm);
/* The two halves of vm_pause(): ask (any thread, a vCPU's too, which parks when it is back in its
   run loop), and wait. */
void vm_pause_begin(struct vm *vm);
void vm_pause_wait(struct vm *vm);
static inline bool vm_paused(const struct vm *vm)
{
    return atomic_load(&vm->pause.wanted) != 0;
}
/*
 * Functions with suffix _stopped are called between these two, by whoever holds a pause. A reset or
 * the end of the machine in the middle of a pause waits for vm_stopped_end(), vm_stopped_begin()
 * waits until the reset is done: so keep what is between them short and pause nothing in it.
 */
void vm_stopped_begin(struct vm *vm);
void vm_stopped_end(struct vm *vm);
/*
 * The pause that belongs to the user rather than to a part of the emulator: -S, a monitor's `stop`
 * and `cont`. Held at most once; true when the call changed something. Any thread; does not wait.
 */
bool vm_user_pause(struct vm *vm);
bool vm_user_resume(struct vm *vm);
/* Which vCPUs stay parked after the resume: a debugger lets some run and others not. */
void vm_hold_stopped(struct vm *vm, uint32_t cpus);
/* The owner holds itself, until the next vm_hold_stopped(). */
void vm_pause_hold(struct vcpu *v);
static inline bool vm_must_park(const struct vcpu *v)
{
    return vm_paused(v->vm) || atomic_load(&v->vm->pause.held) >> v->index & 1;
}
/* For vm.c and the run loop. */
void vm_pause_init(struct vm *vm);
void vm_pause_destroy(struct vm *vm);
void vm_pause_restart_begin(struct vm *vm);
void vm_pause_restart_end(struct vm *vm);
void vm_pause_thread_starts(struct vm *vm); /* before its thread is created */
void vm_pause_thread_ended(struct vm *vm);
void vm_pause_park(struct vcpu *v); /* on its thread: until nobody wants a pause, or the end */
