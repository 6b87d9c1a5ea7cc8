/* SPDX-License-Identifier: MIT */
/*
 * One virtual machine: what the command line asked for, and the parts that make it run. Built by
 * vm_create() in the order RAM, bus, MMU, vCPUs, board, images; torn down in the reverse order.
 */
#pragma once

#include "base/types.h"
#include "dev/bus.h"
#include "io/net.h"
#include "mmu/mmu.h"
#include "vcpu/vcpu.h"

struct io_loop;
struct board;
struct arm_cpu_model;
struct virtio_mmio;

struct vm_drive {
    char *id, *file;
    bool readonly, snapshot;
};
struct vm_device {
    char *driver;  /* "virtio-blk-device", ... */
    char *options; /* the rest of -device, "drive=d0,..." or NULL */
};

struct vm_options {
    const char *machine;    /* "virt" */
    const char *cpu;        /* "cortex-a15" */
    unsigned smp;
    uint64_t ram_size;
    const char *kernel, *initrd, *append, *dtb;
    char *dumpdtb;          /* write the device tree there and quit; malloc'd or NULL */
    struct mmu_options mmu;
    const char *serial;     /* "stdio", "null", "file:...", "unix:..." */
    struct vm_drive drive[32];
    unsigned ndrives;
    struct vm_device device[32];
    unsigned ndevices;
    struct net_config net[8];
    unsigned nnets;
    bool virtio_legacy;     /* virtio-mmio slots of version 1 */
    bool no_reboot;
    bool exclusive_strict;
    const char *stats_path;
    const char *pin;        /* none, spread, compact, or a list */
    uint64_t tb_size;       /* code cache bytes of each vCPU; 0 = default */
};

enum vm_stop_reason { VM_RUNNING, VM_SHUTDOWN, VM_RESET, VM_SIGNAL, VM_FATAL };

#define VM_VIRTIO_SLOTS 32

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
    struct virtio_mmio *virtio[VM_VIRTIO_SLOTS]; /* dev/virtio_mmio.c */
    uint32_t nets_used;     /* opt->net[] that have a card, a bit each; main thread */
    gva_t boot_pc;          /* where vCPU 0 starts, and its r0..r2 */
    uint32_t boot_r1, boot_r2;
    struct irq_line ppi_vtimer[VCPU_MAX], ppi_ptimer[VCPU_MAX], ppi_pmu[VCPU_MAX];
    _Atomic uint32_t stop;  /* enum vm_stop_reason; vCPUs leave when it is not VM_RUNNING */
    int stop_fd;            /* eventfd: `stop` changed; the main thread waits on it */
    int exit_status;
};

/* Reports its own errors; -errno. */
int vm_create(const struct vm_options *opt, struct vm **out) MUST_CHECK;
/* Start vCPU threads and wait until the guest or the user ends the machine; the process's exit
   status. Handles guest reset. */
int vm_run(struct vm *vm);
void vm_destroy(struct vm *vm);
/* Ask the machine to stop; any thread, also signal handlers. */
void vm_request_stop(struct vm *vm, enum vm_stop_reason why);
/* -dumpdtb: write the device tree; reports its own errors. */
int vm_dump_dtb(struct vm *vm, const char *path) MUST_CHECK;
