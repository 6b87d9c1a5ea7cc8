/* SPDX-License-Identifier: MIT */
/*
 * For tests of virtio devices: guest RAM, a bus with one slot, the I/O thread, and a driver that
 * sets the device up through its registers and keeps a split virtqueue of its own. Everything is
 * static; the header is included by exactly one file of a program. The driver runs on the test's
 * thread, the device on its own.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "dev_test.h"

#include "dev/virtio.h"
#include "io/io.h"
#include "vm.h"
#include "vm_control.h"

#define SLOT 0x0a000000u
#define RAM_BASE 0x40000000u
#define RAM_SIZE (32u << 20)

enum {
    R_MAGIC = 0, R_VERSION = 4, R_DEVICE_ID = 8, R_VENDOR = 0xc, R_DEV_FEATURES = 0x10,
    R_DEV_SEL = 0x14, R_DRV_FEATURES = 0x20, R_DRV_SEL = 0x24, R_PAGE_SIZE = 0x28, R_QSEL = 0x30, R_QMAX = 0x34,
    R_QNUM = 0x38, R_QALIGN = 0x3c, R_QPFN = 0x40, R_QREADY = 0x44, R_NOTIFY = 0x50, R_INT = 0x60, R_ACK = 0x64, R_STATUS = 0x70,
    R_DESC = 0x80, R_AVAIL = 0x90, R_USED = 0xa0, R_CONFIG = 0x100,
};
enum { ST_ACK = 1, ST_DRIVER = 2, ST_OK = 4, ST_FEATURES_OK = 8, ST_NEEDS_RESET = 64 };
enum { D_NEXT = 1, D_WRITE = 2, D_INDIRECT = 4 };
#define F_INDIRECT ((uint64_t)1 << 28)
#define F_EVENT ((uint64_t)1 << 29)
#define F_V1 ((uint64_t)1 << 32)

struct gdesc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

/* The driver's side of one queue. */
struct gqueue {
    unsigned index;
    uint16_t num, avail_idx, used_seen, next_desc;
    gpa_t desc, avail, used;
};

static struct vm vm;
static struct vm_options opt;
static struct {
    _Atomic bool level;
    _Atomic unsigned raised;
} line;
static _Atomic unsigned dma_notes;

/* The translator's hook: the range is RAM. */
void mmu_dma_written(struct vm *v, gpa_t gpa, uint64_t len)
{
    cr_assert_eq(v, &vm);
    cr_assert_not_null(ram_ptr(&v->ram, gpa, len));
    atomic_fetch_add(&dma_notes, 1);
}

static _Atomic int exit_status = -1;

void vm_guest_exit(struct vm *v, int status)
{
    cr_assert_eq(v, &vm);
    atomic_store(&exit_status, status);
}

static void line_set(void *ctrl, unsigned n, bool level)
{
    (void)ctrl;
    (void)n;
    if (!atomic_exchange(&line.level, level) && level) {
        atomic_fetch_add(&line.raised, 1);
    }
}

static inline void *ram(gpa_t gpa)
{
    void *p = ram_ptr(&vm.ram, gpa, 1);
    cr_assert_not_null(p);
    return p;
}

static inline uint32_t rd(unsigned off)
{
    return (uint32_t)test_read(vm.bus, NULL, SLOT + off, 4);
}
static inline void wr(unsigned off, uint32_t v)
{
    test_write(vm.bus, NULL, SLOT + off, 4, v);
}

static inline void rig_setup(void)
{
    vm.opt = &opt;
    opt.serial = "null";
    vm.bus = test_bus();
    cr_assert_eq(ram_create(&vm.ram, RAM_BASE, RAM_SIZE), 0);
    cr_assert_eq(io_loop_create(&vm.io), 0);
    cr_assert_eq(io_loop_start(vm.io), 0);
}

static inline void rig_end(void)
{
    io_loop_stop(vm.io);
    for (unsigned i = 0; i < VM_VIRTIO_SLOTS; i++) {
        virtio_mmio_destroy(&vm, i);
    }
    io_loop_destroy(vm.io);
    test_bus_end(vm.bus);
    ram_destroy(&vm.ram);
}

/* -device in the slot; 0 or -errno. */
static inline int rig_device(const char *driver, const char *options)
{
    struct irq_line irq = {.set = line_set};
    static char d[64], o[256]; /* as command lines, they stay */

    snprintf(d, sizeof d, "%s", driver);
    snprintf(o, sizeof o, "%s", options);
    return virtio_mmio_create(&vm, 0, SLOT, &irq, &(struct vm_device){.driver = d, .options = o});
}

static inline uint64_t device_features(void)
{
    wr(R_DEV_SEL, 0);
    uint64_t f = rd(R_DEV_FEATURES);
    wr(R_DEV_SEL, 1);
    return f | (uint64_t)rd(R_DEV_FEATURES) << 32;
}

/* Reset, acknowledge, negotiate. True when the device took the features. */
static inline bool negotiate(uint64_t features)
{
    wr(R_STATUS, 0);
    wr(R_STATUS, ST_ACK);
    wr(R_STATUS, ST_ACK | ST_DRIVER);
    wr(R_DRV_SEL, 0);
    wr(R_DRV_FEATURES, (uint32_t)features);
    wr(R_DRV_SEL, 1);
    wr(R_DRV_FEATURES, (uint32_t)(features >> 32));
    wr(R_STATUS, ST_ACK | ST_DRIVER | ST_FEATURES_OK);
    return (rd(R_STATUS) & ST_FEATURES_OK) != 0;
}

/* A queue whose three parts lie one after the other at `at`. */
static inline struct gqueue queue_set_up(unsigned index, uint16_t num, gpa_t at)
{
    struct gqueue q = {.index = index, .num = num, .desc = at, .avail = at + 0x4000,
                       .used = at + 0x5000};

    memset(ram(at), 0, 0x8000);
    wr(R_QSEL, index);
    cr_assert_geq(rd(R_QMAX), num);
    wr(R_QNUM, num);
    wr(R_DESC, (uint32_t)q.desc);
    wr(R_DESC + 4, 0);
    wr(R_AVAIL, (uint32_t)q.avail);
    wr(R_AVAIL + 4, 0);
    wr(R_USED, (uint32_t)q.used);
    wr(R_USED + 4, 0);
    wr(R_QREADY, 1);
    return q;
}

/* The same through the registers of version 1: one piece, the used ring at the next 4 KiB. */
static unsigned legacy_page = 4096;

static inline struct gqueue legacy_queue(unsigned index, uint16_t num, gpa_t at)
{
    struct gqueue q = {.index = index, .num = num, .desc = at, .avail = at + 16u * num,
                       .used = at + 0x1000};

    memset(ram(at), 0, 0x2000);
    wr(R_QSEL, index);
    wr(R_QNUM, num);
    wr(R_QALIGN, 4096);
    wr(R_QPFN, (uint32_t)(at / legacy_page));
    return q;
}

static inline void driver_ok(void)
{
    wr(R_STATUS, ST_ACK | ST_DRIVER | ST_FEATURES_OK | ST_OK);
}

static inline struct gqueue start(uint64_t features, uint16_t num)
{
    cr_assert(negotiate(features | F_V1));
    struct gqueue q = queue_set_up(0, num, RAM_BASE);
    cr_assert_eq(rd(R_QREADY), 1);
    driver_ok();
    return q;
}

/* A device with queues 0 and 1, `num` entries each. */
static inline void start_pair(uint64_t features, uint16_t num, struct gqueue *q0,
                              struct gqueue *q1)
{
    cr_assert(negotiate(features | F_V1));
    *q0 = queue_set_up(0, num, RAM_BASE);
    *q1 = queue_set_up(1, num, RAM_BASE + 0x8000);
    driver_ok();
}

static inline void set_desc(gpa_t table, unsigned i, struct gdesc d)
{
    memcpy((char *)ram(table) + i * sizeof d, &d, sizeof d);
}

/* A chain of n descriptors in the next free ones of the table; its head. Links are made here. */
static inline uint16_t put_chain(struct gqueue *q, const struct gdesc *d, unsigned n)
{
    uint16_t head = q->next_desc;

    for (unsigned i = 0; i < n; i++) {
        struct gdesc t = d[i];
        unsigned at = q->next_desc;
        q->next_desc = (uint16_t)((q->next_desc + 1) % q->num);
        if (i + 1 < n) {
            t.flags |= D_NEXT;
            t.next = q->next_desc;
        }
        set_desc(q->desc, at, t);
    }
    return head;
}

static inline void publish(struct gqueue *q, uint16_t head)
{
    uint16_t *avail = ram(q->avail);

    avail[2 + q->avail_idx % q->num] = head;
    __atomic_store_n(&avail[1], ++q->avail_idx, __ATOMIC_RELEASE);
}

static inline uint16_t used_idx(const struct gqueue *q)
{
    return __atomic_load_n((uint16_t *)ram(q->used) + 1, __ATOMIC_ACQUIRE);
}

static inline void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

/* Waits until cond holds; false after ten seconds. */
#define WAIT_FOR(cond)                                                                             \
    ({                                                                                             \
        unsigned rig_tries = 50000;                                                                \
        while (!(cond) && --rig_tries > 0) {                                                       \
            nap();                                                                                 \
        }                                                                                          \
        rig_tries > 0;                                                                             \
    })

/* The next returned chain: its head, and how much was written. */
static inline uint32_t take_used(struct gqueue *q, uint32_t *len)
{
    cr_assert(WAIT_FOR(used_idx(q) != q->used_seen), "no answer from the device");
    const uint32_t *e = (const uint32_t *)ram(q->used + 4 + 8u * (q->used_seen++ % q->num));
    if (len != NULL) {
        *len = e[1];
    }
    return e[0];
}

/* Take the interrupt as a driver does. */
static inline void take_interrupt(void)
{
    cr_assert(WAIT_FOR(atomic_load(&line.level)), "no interrupt");
    uint32_t why = rd(R_INT);
    cr_assert_neq(why, 0);
    wr(R_ACK, why);
}

/* One chain there and back. */
static inline uint32_t round_trip(struct gqueue *q, const struct gdesc *d, unsigned n)
{
    uint32_t len;
    uint16_t head = put_chain(q, d, n);

    publish(q, head);
    wr(R_NOTIFY, q->index);
    cr_expect_eq(take_used(q, &len), head);
    return len;
}

/* ---- a disk ---- */
static char disk_path[64];

static inline void disk_make(size_t size)
{
    snprintf(disk_path, sizeof disk_path, "/tmp/umbra-virtio-XXXXXX");
    int fd = mkstemp(disk_path);
    cr_assert_geq(fd, 0);
    for (size_t at = 0; at < size; at++) {
        uint8_t b[4096];
        size_t n = size - at < sizeof b ? size - at : sizeof b;
        for (size_t i = 0; i < n; i++) {
            b[i] = (uint8_t)((at + i) * 7 + (at + i) / 512);
        }
        cr_assert_eq(write(fd, b, n), (ssize_t)n);
        at += n - 1;
    }
    close(fd);
    opt.drive[0] = (struct vm_drive){.id = (char *)(uintptr_t)"d", .file = disk_path};
    opt.ndrives = 1;
}

static inline uint8_t disk_byte(uint64_t at)
{
    return (uint8_t)(at * 7 + at / 512);
}

/* What the file holds at `at`; -1 beyond its end. */
static inline int file_byte(uint64_t at)
{
    uint8_t b;
    int fd = open(disk_path, O_RDONLY);
    ssize_t n = pread(fd, &b, 1, (off_t)at);

    close(fd);
    return n == 1 ? b : -1;
}
