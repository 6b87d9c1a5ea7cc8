/* SPDX-License-Identifier: MIT */
/*
 * virtio-blk as a driver sees it: registers, negotiation, requests, durability, and files that are
 * not what they should be. fdatasync() and fallocate() are replaced, to see when they are called
 * and to fail.
 */
#include "virtio_rig.h"

#include <sys/file.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define F_SEG_MAX ((uint64_t)1 << 2)
#define F_RO ((uint64_t)1 << 5)
#define F_FLUSH ((uint64_t)1 << 9)
#define F_WCE ((uint64_t)1 << 11)
#define F_DISCARD ((uint64_t)1 << 13)
#define F_ZEROES ((uint64_t)1 << 14)
enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_ID = 8, T_DISCARD = 11, T_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };

#define HEADER (RAM_BASE + 0x10000)
#define STATUS (RAM_BASE + 0x11000)
#define DATA (RAM_BASE + 0x100000)
#define DISK_SIZE (1u << 20)

/* ---- the host's calls ---- */
static _Atomic unsigned syncs, syncs_running, sync_delay_ms;
static _Atomic int sync_error, allocate_error;

int fdatasync(int fd)
{
    atomic_fetch_add(&syncs_running, 1);
    for (unsigned i = 0; i < 5 * atomic_load(&sync_delay_ms); i++) {
        nap();
    }
    int err = atomic_load(&sync_error);
    long r = err != 0 ? -1 : syscall(SYS_fdatasync, fd);
    if (err != 0) {
        errno = err;
    }
    atomic_fetch_sub(&syncs_running, 1);
    atomic_fetch_add(&syncs, 1);
    return (int)r;
}

int fallocate(int fd, int mode, off_t off, off_t len)
{
    int err = atomic_load(&allocate_error);

    if (err != 0) {
        errno = err;
        return -1;
    }
    return (int)syscall(SYS_fallocate, fd, mode, off, len);
}

/* ---- set-up ---- */
static void setup(void)
{
    rig_setup();
    disk_make(DISK_SIZE);
}

static void teardown(void)
{
    rig_end();
    unlink(disk_path);
}

static struct gqueue begin(uint64_t features)
{
    cr_assert_eq(rig_device("virtio-blk-device", "drive=d,serial=disk-1"), 0);
    return start(features, 64);
}

static void header_at(gpa_t at, uint32_t type, uint64_t sector)
{
    uint32_t h[4] = {type, 0, (uint32_t)sector, (uint32_t)(sector >> 32)};
    memcpy(ram(at), h, sizeof h);
}

/* One request with len bytes of data at DATA; the status. */
static int request(struct gqueue *q, uint32_t type, uint64_t sector, uint32_t len)
{
    uint16_t flags = type == T_IN || type == T_ID ? D_WRITE : 0;
    struct gdesc d[3] = {{HEADER, 16, 0, 0}, {DATA, len, flags, 0}, {STATUS, 1, D_WRITE, 0}};

    header_at(HEADER, type, sector);
    *(uint8_t *)ram(STATUS) = 0xee;
    if (len == 0) {
        d[1] = d[2];
    }
    round_trip(q, d, len == 0 ? 2 : 3);
    return *(uint8_t *)ram(STATUS);
}

TestSuite(virtio_blk, .init = setup, .fini = teardown, .timeout = 60);

/* ---- transport ---- */
Test(virtio_blk, registers_and_configuration)
{
    cr_assert_eq(rig_device("virtio-blk-device", "drive=d,id=x"), 0);
    cr_expect_eq(rd(R_MAGIC), 0x74726976);
    cr_expect_eq(rd(R_VERSION), 2);
    cr_expect_eq(rd(R_DEVICE_ID), 2);
    cr_expect_eq(rd(R_QMAX), 256);
    wr(R_QSEL, 1);
    cr_expect_eq(rd(R_QMAX), 0, "one queue");
    cr_expect_eq(rd(R_CONFIG), DISK_SIZE / 512);
    cr_expect_eq(test_read(vm.bus, NULL, SLOT + R_CONFIG, 8), DISK_SIZE / 512);
    cr_expect_eq(rd(R_CONFIG + 12), 254, "seg_max");
    cr_expect_eq(rd(R_CONFIG + 20), 512, "blk_size");
    cr_expect_eq(test_read(vm.bus, NULL, SLOT + R_CONFIG + 32, 1), 1, "writeback");
    cr_expect_eq(rd(R_CONFIG + 60), 0, "nothing after the configuration");
    cr_expect_eq(rd(0xb0), UINT32_MAX, "no shared memory");
    cr_expect_eq(test_read(vm.bus, NULL, SLOT + R_MAGIC, 1), 0, "registers have 4 bytes");
    cr_expect_eq(rd(R_INT), 0);
}

Test(virtio_blk, negotiation)
{
    cr_assert_eq(rig_device("virtio-blk-device", "drive=d"), 0);
    uint64_t f = device_features();
    cr_expect(f & F_V1);
    cr_expect(f & F_FLUSH);
    cr_expect(f & F_DISCARD);
    cr_expect_not(f & F_RO);
    wr(R_DEV_SEL, 2);
    cr_expect_eq(rd(R_DEV_FEATURES), 0);
    cr_expect(negotiate(f));
    cr_expect(negotiate(F_V1), "fewer is fine");
    cr_expect_not(negotiate(F_FLUSH), "version 1 is a must");
    cr_expect_not(negotiate(F_V1 | F_RO), "not offered");
    cr_expect_not(negotiate(F_V1 | (uint64_t)1 << 60), "not offered");
    wr(R_STATUS, ST_ACK | ST_DRIVER | ST_FEATURES_OK | ST_OK);
    cr_expect_not(rd(R_STATUS) & ST_OK, "no DRIVER_OK without features");
    wr(R_STATUS, 0);
    cr_expect_eq(rd(R_STATUS), 0);
}

Test(virtio_blk, nothing_happens_before_driver_ok)
{
    cr_assert_eq(rig_device("virtio-blk-device", "drive=d"), 0);
    cr_assert(negotiate(F_V1));
    struct gqueue q = queue_set_up(0, 16, RAM_BASE);
    header_at(HEADER, T_ID, 0);
    struct gdesc d[] = {{HEADER, 16, 0, 0}, {DATA, 20, D_WRITE, 0}, {STATUS, 1, D_WRITE, 0}};
    publish(&q, put_chain(&q, d, 3));
    wr(R_NOTIFY, 0);
    usleep(20000);
    cr_expect_eq(used_idx(&q), 0);
    driver_ok();
    take_used(&q, NULL);
    take_interrupt();
    cr_expect_not(line.level);
}

Test(virtio_blk, queue_is_fixed_while_in_use)
{
    struct gqueue q = begin(0);
    wr(R_QNUM, 8);
    wr(R_DESC, 0x12345670);
    cr_expect_eq(request(&q, T_IN, 0, 512), S_OK);
    wr(R_QREADY, 0);
    cr_expect_eq(rd(R_QREADY), 0);
    wr(R_NOTIFY, 0);
    q = queue_set_up(0, 8, RAM_BASE + 0x8000);
    cr_expect_eq(request(&q, T_IN, 3, 512), S_OK);
    cr_expect_eq(*(uint8_t *)ram(DATA), disk_byte(3 * 512));
}

/* ---- requests ---- */
Test(virtio_blk, reads_and_writes)
{
    struct gqueue q = begin(F_FLUSH);
    unsigned notes = dma_notes;

    cr_assert_eq(request(&q, T_IN, 5, 4096), S_OK);
    for (unsigned i = 0; i < 4096; i++) {
        cr_assert_eq(((uint8_t *)ram(DATA))[i], disk_byte(5 * 512 + i));
    }
    cr_expect_gt(dma_notes, notes + 2, "the translator heard of data, status and ring");
    take_interrupt();
    memset(ram(DATA), 0x5a, 8192);
    cr_assert_eq(request(&q, T_OUT, 100, 8192), S_OK);
    cr_expect_eq(file_byte(100 * 512 - 1), disk_byte(100 * 512 - 1));
    cr_expect_eq(file_byte(100 * 512), 0x5a);
    cr_expect_eq(file_byte(116 * 512 - 1), 0x5a);
    cr_expect_eq(file_byte(116 * 512), disk_byte(116 * 512));
    cr_expect_eq(syncs, 0, "write-back: no flush was asked for");
    cr_expect_eq(request(&q, T_FLUSH, 0, 0), S_OK);
    cr_expect_eq(syncs, 1);
    cr_expect_eq(request(&q, T_FLUSH, 0, 0), S_OK);
    cr_expect_eq(syncs, 1, "nothing written since");
    cr_expect_eq(request(&q, T_ID, 0, 20), S_OK);
    cr_expect_str_eq(ram(DATA), "disk-1");
    cr_expect_eq(request(&q, 99, 0, 512), S_UNSUPP);
}

Test(virtio_blk, ends_of_the_disk)
{
    struct gqueue q = begin(0);
    uint64_t n = DISK_SIZE / 512;

    cr_expect_eq(request(&q, T_IN, n - 1, 512), S_OK);
    cr_expect_eq(request(&q, T_IN, n - 1, 1024), S_IOERR);
    cr_expect_eq(request(&q, T_OUT, n, 512), S_IOERR);
    cr_expect_eq(request(&q, T_IN, UINT64_MAX, 512), S_IOERR);
    cr_expect_eq(request(&q, T_IN, UINT64_MAX / 512, 1024), S_IOERR);
    cr_expect_eq(request(&q, T_OUT, 0, 511), S_IOERR, "no whole sector");
    cr_expect_eq(file_byte(DISK_SIZE), -1, "the file did not grow");
    cr_expect_not(rd(R_STATUS) & ST_NEEDS_RESET);
}

/* Header, data and status cut in odd ways; also through an indirect table. */
Test(virtio_blk, any_framing)
{
    struct gqueue q = begin(F_INDIRECT);
    uint32_t len;

    header_at(HEADER, T_IN, 7);
    struct gdesc d[] = {{HEADER, 5, 0, 0},          {HEADER + 5, 11, 0, 0},
                        {DATA, 100, D_WRITE, 0},    {0, 0, D_WRITE, 0},
                        {DATA + 200, 924, D_WRITE, 0}, {DATA + 2000, 1, D_WRITE, 0}};
    len = round_trip(&q, d, 6);
    cr_expect_eq(len, 1025);
    cr_expect_eq(*(uint8_t *)ram(DATA + 2000), S_OK);
    cr_expect_eq(*(uint8_t *)ram(DATA + 99), disk_byte(7 * 512 + 99));
    cr_expect_eq(*(uint8_t *)ram(DATA + 200), disk_byte(7 * 512 + 100));
    cr_expect_eq(*(uint8_t *)ram(DATA + 200 + 923), disk_byte(7 * 512 + 1023));

    /* Status in the last byte of the data descriptor, all in an indirect table of 300 entries. */
    header_at(HEADER, T_IN, 9);
    gpa_t table = RAM_BASE + 0x20000;
    set_desc(table, 0, (struct gdesc){HEADER, 16, D_NEXT, 1});
    for (unsigned i = 1; i < 299; i++) {
        set_desc(table, i, (struct gdesc){DATA + 8 * i, 8, D_WRITE | D_NEXT, (uint16_t)(i + 1)});
    }
    set_desc(table, 299, (struct gdesc){DATA + 8 * 299, 3072 - 298 * 8 + 1, D_WRITE, 0});
    len = round_trip(&q, &(struct gdesc){table, 300 * 16, D_INDIRECT, 0}, 1);
    cr_expect_eq(len, 3073);
    cr_expect_eq(*(uint8_t *)ram(DATA + 8 + 3071), disk_byte(9 * 512 + 3071));
    cr_expect_eq(*(uint8_t *)ram(DATA + 8 + 3072), S_OK);
}

Test(virtio_blk, large_transfer_in_slices)
{
    teardown();
    setup();
    cr_assert_eq(truncate(disk_path, 16 << 20), 0);
    struct gqueue q = begin(0);
    uint32_t *p = ram(DATA);

    for (uint32_t i = 0; i < (12u << 20) / 4; i++) {
        p[i] = i * 2654435761u;
    }
    cr_assert_eq(request(&q, T_OUT, 1, 12 << 20), S_OK);
    memset(p, 0, 12 << 20);
    cr_assert_eq(request(&q, T_IN, 1, 12 << 20), S_OK);
    for (uint32_t i = 0; i < (12u << 20) / 4; i++) {
        cr_assert_eq(p[i], i * 2654435761u);
    }
}

Test(virtio_blk, many_at_once_with_event_index)
{
    struct gqueue q = begin(F_EVENT | F_FLUSH);
    uint16_t *used_event = (uint16_t *)ram(q.avail + 4 + 2u * q.num);

    for (unsigned round = 0; round < 200; round++) {
        *used_event = (uint16_t)(q.used_seen + 19); /* tell me when all 20 are back */
        for (unsigned i = 0; i < 20; i++) {
            gpa_t h = HEADER + 32 * i;
            header_at(h, T_IN, (round + i) % 2000);
            struct gdesc d[] = {{h, 16, 0, 0}, {DATA + 512 * i, 512, D_WRITE, 0},
                                {STATUS + i, 1, D_WRITE, 0}};
            publish(&q, put_chain(&q, d, 3));
        }
        unsigned raised = line.raised;
        wr(R_NOTIFY, 0);
        for (unsigned i = 0; i < 20; i++) {
            take_used(&q, NULL);
        }
        take_interrupt();
        if (round > 0) {
            cr_expect_eq(line.raised, raised + 1);
        }
        for (unsigned i = 0; i < 20; i++) {
            cr_assert_eq(*(uint8_t *)ram(DATA + 512 * i), disk_byte((round + i) % 2000 * 512));
        }
    }
}

Test(virtio_blk, no_interrupt_when_not_wanted)
{
    struct gqueue q = begin(0);

    *(uint16_t *)ram(q.avail) = 1;
    cr_expect_eq(request(&q, T_IN, 0, 512), S_OK);
    usleep(10000);
    cr_expect_not(line.level);
    *(uint16_t *)ram(q.avail) = 0;
    cr_expect_eq(request(&q, T_IN, 0, 512), S_OK);
    take_interrupt();
}

/* ---- discard, write zeroes ---- */
static int ranges(struct gqueue *q, uint32_t type, const uint32_t (*seg)[4], unsigned n)
{
    memcpy(ram(DATA), seg, 16 * n);
    return request(q, type, 0, 16 * n);
}

Test(virtio_blk, discard_and_write_zeroes)
{
    struct gqueue q = begin(F_DISCARD | F_ZEROES | F_FLUSH);

    cr_expect_eq(ranges(&q, T_ZEROES, (const uint32_t[][4]){{8, 0, 8, 0}, {32, 0, 16, 1}}, 2),
                 S_OK);
    cr_expect_eq(file_byte(8 * 512 - 1), disk_byte(8 * 512 - 1));
    cr_expect_eq(file_byte(8 * 512), 0);
    cr_expect_eq(file_byte(16 * 512 - 1), 0);
    cr_expect_eq(file_byte(16 * 512), disk_byte(16 * 512));
    cr_expect_eq(file_byte(40 * 512), 0);
    cr_expect_eq(ranges(&q, T_DISCARD, (const uint32_t[][4]){{1024, 0, 64, 0}}, 1), S_OK);
    cr_expect_eq(ranges(&q, T_DISCARD, (const uint32_t[][4]){{1024, 0, 64, 1}}, 1), S_UNSUPP);
    cr_expect_eq(ranges(&q, T_ZEROES, (const uint32_t[][4]){{0, 0, 8, 2}}, 1), S_UNSUPP);
    cr_expect_eq(ranges(&q, T_ZEROES, (const uint32_t[][4]){{2040, 0, 16, 0}}, 1), S_IOERR);
    cr_expect_eq(ranges(&q, T_ZEROES, (const uint32_t[][4]){{0, 0xffffffff, 1, 0}}, 1), S_IOERR);
    cr_expect_eq(ranges(&q, T_ZEROES, (const uint32_t[][4]){{0, 0, 0xffffffff, 0}}, 1), S_IOERR);
    cr_expect_eq(request(&q, T_ZEROES, 0, 15), S_IOERR);
    cr_expect_eq(request(&q, T_ZEROES, 0, 17 * 16), S_IOERR, "more ranges than announced");
    struct stat st;
    stat(disk_path, &st);
    cr_expect_eq(st.st_size, DISK_SIZE);
}

Test(virtio_blk, write_zeroes_where_the_file_system_cannot)
{
    struct gqueue q = begin(F_DISCARD | F_ZEROES);

    atomic_store(&allocate_error, EOPNOTSUPP);
    cr_expect_eq(ranges(&q, T_ZEROES, (const uint32_t[][4]){{100, 0, 400, 1}}, 1), S_OK);
    cr_expect_eq(file_byte(100 * 512), 0);
    cr_expect_eq(file_byte(500 * 512 - 1), 0);
    cr_expect_eq(file_byte(500 * 512), disk_byte(500 * 512));
    cr_expect_eq(ranges(&q, T_DISCARD, (const uint32_t[][4]){{0, 0, 64, 0}}, 1), S_OK, "a hint");
    cr_expect_eq(file_byte(1), disk_byte(1));
}

Test(virtio_blk, failing_fallocate_is_an_error)
{
    struct gqueue q = begin(F_DISCARD | F_ZEROES);

    atomic_store(&allocate_error, ENOSPC);
    cr_expect_eq(ranges(&q, T_ZEROES, (const uint32_t[][4]){{100, 0, 400, 0}}, 1), S_IOERR);
    cr_expect_eq(ranges(&q, T_DISCARD, (const uint32_t[][4]){{100, 0, 400, 0}}, 1), S_IOERR);
}

/* ---- durability ---- */
Test(virtio_blk, flush_waits_for_a_sync_of_its_own)
{
    struct gqueue q = begin(F_FLUSH);

    cr_assert_eq(request(&q, T_OUT, 0, 512), S_OK);
    atomic_store(&sync_delay_ms, 300);
    header_at(HEADER, T_FLUSH, 0);
    for (unsigned i = 0; i < 3; i++) {
        struct gdesc d[] = {{HEADER, 16, 0, 0}, {STATUS + i, 1, D_WRITE, 0}};
        publish(&q, put_chain(&q, d, 2));
        wr(R_NOTIFY, 0);
        cr_assert(WAIT_FOR(syncs_running > i || syncs > 0));
    }
    /* None may be done before a sync that began after its submission is. */
    for (unsigned i = 0; i < 3; i++) {
        take_used(&q, NULL);
        cr_expect_gt(syncs, 0);
    }
    cr_expect_eq(syncs, 3);
}

Test(virtio_blk, driver_without_flush_gets_durable_writes)
{
    struct gqueue q = begin(0);

    cr_expect_eq(test_read(vm.bus, NULL, SLOT + R_CONFIG + 32, 1), 0);
    cr_expect_eq(request(&q, T_OUT, 0, 512), S_OK);
    cr_expect_eq(syncs, 1);
    cr_expect_eq(request(&q, T_IN, 0, 512), S_OK);
    cr_expect_eq(syncs, 1);
}

Test(virtio_blk, cache_mode_can_be_changed)
{
    struct gqueue q = begin(F_FLUSH | F_WCE);

    cr_expect_eq(request(&q, T_OUT, 0, 512), S_OK);
    cr_expect_eq(syncs, 0);
    test_write(vm.bus, NULL, SLOT + R_CONFIG + 32, 1, 0);
    cr_expect_eq(request(&q, T_OUT, 0, 512), S_OK);
    cr_expect_eq(syncs, 1);
    test_write(vm.bus, NULL, SLOT + R_CONFIG, 4, 1);
    cr_expect_eq(rd(R_CONFIG), DISK_SIZE / 512, "the rest is read-only");
}

Test(virtio_blk, failed_sync_is_reported_and_tried_again)
{
    struct gqueue q = begin(F_FLUSH);

    cr_assert_eq(request(&q, T_OUT, 0, 512), S_OK);
    atomic_store(&sync_error, EIO);
    cr_expect_eq(request(&q, T_FLUSH, 0, 0), S_IOERR);
    atomic_store(&sync_error, 0);
    cr_expect_eq(request(&q, T_FLUSH, 0, 0), S_OK);
    cr_expect_eq(syncs, 2);
}

Test(virtio_blk, stopping_finishes_requests_and_flushes)
{
    struct gqueue q = begin(F_FLUSH);

    memset(ram(DATA), 0x77, 65536);
    for (unsigned i = 0; i < 16; i++) {
        header_at(HEADER + 32 * i, T_OUT, 128 * i);
        struct gdesc d[] = {{HEADER + 32 * i, 16, 0, 0}, {DATA, 65536, 0, 0},
                            {STATUS + i, 1, D_WRITE, 0}};
        publish(&q, put_chain(&q, d, 3));
    }
    wr(R_NOTIFY, 0);
    io_loop_stop(vm.io);
    virtio_mmio_destroy(&vm, 0);
    cr_expect_eq(used_idx(&q), 16);
    cr_expect_geq(syncs, 1);
    for (unsigned i = 0; i < DISK_SIZE; i += 4096) {
        cr_expect_eq(file_byte(i), 0x77);
    }
}

/* ---- reset ---- */
Test(virtio_blk, reset_with_requests_in_flight)
{
    teardown();
    setup();
    cr_assert_eq(truncate(disk_path, 16 << 20), 0);
    struct gqueue q = begin(0);

    for (unsigned round = 0; round < 60; round++) {
        memset(ram(DATA), 0x11, 16 << 20);
        for (unsigned i = 0; i < 16; i++) {
            header_at(HEADER + 32 * i, T_IN, 0);
            struct gdesc d[] = {{HEADER + 32 * i, 16, 0, 0},
                                {DATA + (i << 20), 1 << 20, D_WRITE, 0},
                                {STATUS + i, 1, D_WRITE, 0}};
            publish(&q, put_chain(&q, d, 3));
        }
        wr(R_NOTIFY, 0);
        for (unsigned i = 0; i < round * 200; i++) {
            __asm__ volatile("pause");
        }
        wr(R_STATUS, 0);
        /* The memory is the guest's again at once. */
        memset(ram(DATA), 0x22, 16 << 20);
        memset(ram(STATUS), 0x22, 16);
        uint16_t used = used_idx(&q);
        cr_expect_not(line.level);
        usleep(500);
        for (unsigned i = 0; i < 16u << 20; i += 512) {
            cr_assert_eq(*(uint8_t *)ram(DATA + i), 0x22, "round %u, byte %u", round, i);
        }
        cr_assert_eq(*(uint8_t *)ram(STATUS), 0x22);
        cr_assert_eq(used_idx(&q), used);
        cr_assert_not(line.level);
        q = start(0, 64);
        cr_assert_eq(request(&q, T_IN, 4, 512), S_OK);
        cr_assert_eq(*(uint8_t *)ram(DATA), disk_byte(4 * 512));
    }
}

Test(virtio_blk, reset_does_not_wait_for_a_slow_flush)
{
    struct gqueue q = begin(F_FLUSH);

    cr_assert_eq(request(&q, T_OUT, 0, 512), S_OK);
    atomic_store(&sync_delay_ms, 1000);
    header_at(HEADER, T_FLUSH, 0);
    struct gdesc d[] = {{HEADER, 16, 0, 0}, {STATUS, 1, D_WRITE, 0}};
    publish(&q, put_chain(&q, d, 2));
    wr(R_NOTIFY, 0);
    cr_assert(WAIT_FOR(syncs_running == 1));
    wr(R_STATUS, 0);
    cr_expect_eq(syncs, 0);
    q = start(F_FLUSH, 64);
    cr_expect_eq(request(&q, T_IN, 0, 512), S_OK);
    cr_expect_eq(syncs, 0);
    cr_assert(WAIT_FOR(syncs == 1));
    usleep(2000);
    cr_expect_eq(used_idx(&q), 1, "the late flush is dropped");
}

/* ---- files ---- */
Test(virtio_blk, read_only)
{
    opt.drive[0].readonly = true;
    cr_assert_eq(chmod(disk_path, 0444), 0);
    struct gqueue q = begin(F_FLUSH | F_RO);

    cr_expect_not(device_features() & (F_DISCARD | F_ZEROES));
    cr_expect_eq(request(&q, T_IN, 1, 512), S_OK);
    cr_expect_eq(*(uint8_t *)ram(DATA), disk_byte(512));
    cr_expect_eq(request(&q, T_OUT, 0, 512), S_IOERR);
    cr_expect_eq(request(&q, T_FLUSH, 0, 0), S_OK);
    cr_expect_eq(ranges(&q, T_ZEROES, (const uint32_t[][4]){{0, 0, 8, 0}}, 1), S_IOERR);
    cr_expect_eq(file_byte(0), disk_byte(0));
}

Test(virtio_blk, file_cut_short_behind_our_back)
{
    struct gqueue q = begin(0);

    cr_assert_eq(truncate(disk_path, 100 * 512 + 100), 0);
    cr_expect_eq(request(&q, T_IN, 99, 512), S_OK);
    cr_expect_eq(request(&q, T_IN, 99, 1024), S_IOERR);
    cr_expect_eq(request(&q, T_IN, 1000, 512), S_IOERR);
    cr_expect_eq(request(&q, T_OUT, 1000, 512), S_OK, "a write brings it back");
    cr_expect_eq(request(&q, T_IN, 1000, 512), S_OK);
}

Test(virtio_blk, last_partial_sector)
{
    cr_assert_eq(truncate(disk_path, 1000), 0);
    struct gqueue q = begin(0);

    cr_expect_eq(rd(R_CONFIG), 2);
    memset(ram(DATA), 0xff, 1024);
    cr_expect_eq(request(&q, T_IN, 0, 1024), S_OK);
    cr_expect_eq(*(uint8_t *)ram(DATA + 999), disk_byte(999));
    for (unsigned i = 1000; i < 1024; i++) {
        cr_assert_eq(*(uint8_t *)ram(DATA + i), 0);
    }
    cr_expect_eq(file_byte(1000), -1, "reading does not extend it");
    cr_assert_eq(truncate(disk_path, 700), 0);
    cr_expect_eq(request(&q, T_IN, 1, 512), S_IOERR);
}

Test(virtio_blk, full_file_system)
{
    struct gqueue q = begin(0);
    struct rlimit l = {4096 * 16, 4096 * 16};

    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &l), 0);
    memset(ram(DATA), 0x5a, 8192);
    cr_expect_eq(request(&q, T_OUT, 0, 4096), S_OK);
    cr_expect_eq(request(&q, T_OUT, 128, 4096), S_IOERR);
    cr_expect_eq(request(&q, T_OUT, 124, 4096), S_IOERR, "begins inside, ends outside");
    cr_expect_eq(request(&q, T_IN, 128, 4096), S_OK);
    cr_expect_eq(*(uint8_t *)ram(DATA), disk_byte(128 * 512));
}

Test(virtio_blk, files_that_cannot_be_used)
{
    static char folder[] = "/tmp", missing[] = "/nonexistent/disk", null[] = "/dev/null";

    cr_expect_eq(rig_device("virtio-blk-device", "drive=other"), -ENOENT);
    cr_expect_eq(rig_device("virtio-blk-device", "serial=x"), -EINVAL);
    cr_expect_eq(rig_device("virtio-blk-device", "drive=d,serial=123456789012345678901"), -EINVAL);
    cr_expect_eq(rig_device("virtio-blk-device", "drive=d,colour=red"), -EINVAL);
    cr_expect_eq(rig_device("virtio-blk-device", "drive"), -EINVAL);
    cr_expect_eq(rig_device("flux", ""), -EINVAL);
    opt.drive[0].file = missing;
    cr_expect_eq(rig_device("virtio-blk-device", "drive=d"), -ENOENT);
    opt.drive[0].file = folder;
    cr_expect_eq(rig_device("virtio-blk-device", "drive=d"), -EISDIR);
    opt.drive[0].readonly = true;
    cr_expect_eq(rig_device("virtio-blk-device", "drive=d"), -EISDIR);
    opt.drive[0].file = null;
    cr_expect_eq(rig_device("virtio-blk-device", "drive=d"), -EINVAL);
    opt.drive[0].file = disk_path;
    cr_assert_eq(truncate(disk_path, 0), 0);
    cr_expect_eq(rig_device("virtio-blk-device", "drive=d"), -EINVAL);
}

static int lock_bytes(int fd, short type, off_t start, off_t length)
{
    struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, F_OFD_SETLK, &fl);
}

static int lock_file(int fd, short type)
{
    return lock_bytes(fd, type, 0, 0);
}

Test(virtio_blk, locks)
{
    int fd = open(disk_path, O_RDWR);

    cr_assert_eq(lock_bytes(fd, F_RDLCK, 100, 1), 0, "as who reads");
    cr_expect_eq(rig_device("virtio-blk-device", "drive=d"), -EBUSY);
    opt.drive[0].readonly = true;
    cr_assert_eq(rig_device("virtio-blk-device", "drive=d"), 0, "readers share");
    cr_expect_eq(lock_file(fd, F_WRLCK), -1);
    virtio_mmio_destroy(&vm, 0);
    cr_expect_eq(lock_file(fd, F_WRLCK), 0, "released");
    close(fd);
}

Test(virtio_blk, locks_of_flock)
{
    int fd = open(disk_path, O_RDWR);

    cr_assert_eq(flock(fd, LOCK_SH), 0);
    cr_expect_eq(rig_device("virtio-blk-device", "drive=d"), -EBUSY);
    cr_assert_eq(flock(fd, LOCK_UN), 0);
    cr_assert_eq(rig_device("virtio-blk-device", "drive=d"), 0);
    cr_expect_eq(flock(fd, LOCK_SH | LOCK_NB), -1);
    virtio_mmio_destroy(&vm, 0);
    cr_expect_eq(flock(fd, LOCK_EX | LOCK_NB), 0, "released");
    close(fd);
}

Test(virtio_blk, locks_of_flock_among_readers)
{
    int fd = open(disk_path, O_RDWR);

    opt.drive[0].readonly = true;
    cr_assert_eq(flock(fd, LOCK_EX), 0);
    cr_expect_eq(rig_device("virtio-blk-device", "drive=d"), -EBUSY);
    cr_assert_eq(flock(fd, LOCK_SH), 0);
    cr_assert_eq(rig_device("virtio-blk-device", "drive=d"), 0, "readers share");
    cr_expect_eq(flock(fd, LOCK_EX | LOCK_NB), -1);
    close(fd);
}

/* Byte 101: the mainstream emulator's tools say that they write. */
Test(virtio_blk, locks_of_a_writing_tool)
{
    int fd = open(disk_path, O_RDWR);

    opt.drive[0].readonly = true;
    cr_assert_eq(lock_bytes(fd, F_RDLCK, 101, 1), 0);
    cr_expect_eq(rig_device("virtio-blk-device", "drive=d"), -EBUSY);
    cr_assert_eq(lock_bytes(fd, F_UNLCK, 101, 1), 0);
    cr_expect_eq(rig_device("virtio-blk-device", "drive=d"), 0);
    close(fd);
}

Test(virtio_blk, several_queues)
{
    uint16_t queues;

    cr_expect_eq(rig_device("virtio-blk-device", "drive=d,num-queues=9"), -EINVAL);
    cr_expect_eq(rig_device("virtio-blk-device", "drive=d,num-queues=0"), -EINVAL);
    cr_assert_eq(rig_device("virtio-blk-device", "drive=d,num-queues=3"), 0);
    cr_expect(device_features() & (uint64_t)1 << 12);
    queues = (uint16_t)test_read(vm.bus, NULL, SLOT + R_CONFIG + 34, 2);
    cr_expect_eq(queues, 3);
    cr_assert(negotiate(F_V1 | (uint64_t)1 << 12));
    struct gqueue q[3];
    for (unsigned i = 0; i < 3; i++) {
        q[i] = queue_set_up(i, 16, RAM_BASE + 0x20000 + 0x8000 * i);
    }
    wr(R_QSEL, 3);
    cr_expect_eq(rd(R_QMAX), 0);
    driver_ok();
    for (unsigned i = 0; i < 30; i++) {
        cr_expect_eq(request(&q[i % 3], T_IN, i, 512), S_OK);
        cr_expect_eq(*(uint8_t *)ram(DATA), disk_byte(512 * i));
    }
}
