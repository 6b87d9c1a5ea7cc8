/* SPDX-License-Identifier: MIT */
/*
 * Drivers that break the rules: whatever lies in the rings, the device asks for a reset and works
 * again after it; it never reads or writes outside RAM, never hangs. The last test does random
 * things with a seed (VIRTIO_SEED, VIRTIO_ROUNDS).
 */
#include "virtio_rig.h"

#define HEADER (RAM_BASE + 0x10000)
#define STATUS (RAM_BASE + 0x11000)
#define TABLE (RAM_BASE + 0x20000)
#define DATA (RAM_BASE + 0x100000)
#define RAM_END ((gpa_t)RAM_BASE + RAM_SIZE)

static struct gqueue q;

static void restart(void)
{
    q = start(F_INDIRECT | F_EVENT, 16);
}

static void setup(void)
{
    rig_setup();
    disk_make(1 << 20);
    cr_assert_eq(rig_device("virtio-blk-device", "drive=d"), 0);
    restart();
}

static void teardown(void)
{
    rig_end();
    unlink(disk_path);
}

TestSuite(virtio_hostile, .init = setup, .fini = teardown, .timeout = 100);

static void expect_works(void)
{
    uint32_t h[4] = {0, 0, 9, 0};
    struct gdesc d[] = {{HEADER, 16, 0, 0}, {DATA, 512, D_WRITE, 0}, {STATUS, 1, D_WRITE, 0}};

    restart();
    memcpy(ram(HEADER), h, sizeof h);
    *(uint8_t *)ram(STATUS) = 0xee;
    round_trip(&q, d, 3);
    cr_expect_eq(*(uint8_t *)ram(STATUS), 0);
    cr_expect_eq(*(uint8_t *)ram(DATA), disk_byte(9 * 512));
    cr_expect_not(rd(R_STATUS) & ST_NEEDS_RESET);
}

/* After a notification: needs reset, says so by a configuration interrupt, answered nothing. */
static void expect_broken(const char *what)
{
    wr(R_NOTIFY, 0);
    cr_expect(WAIT_FOR(rd(R_STATUS) & ST_NEEDS_RESET), "%s: not noticed", what);
    cr_expect(WAIT_FOR(rd(R_INT) & 2), "%s: no interrupt", what);
    cr_expect_eq(used_idx(&q), q.used_seen, "%s: answered", what);
    wr(R_ACK, 3);
    cr_expect_not(line.level);
    expect_works();
}

static void expect_broken_chain(const char *what, const struct gdesc *d, unsigned n)
{
    publish(&q, put_chain(&q, d, n));
    expect_broken(what);
}

#define CHAIN(what, ...)                                                                           \
    expect_broken_chain(what, (const struct gdesc[]){__VA_ARGS__},                                 \
                        sizeof((const struct gdesc[]){__VA_ARGS__}) / sizeof(struct gdesc))
#define HEAD {HEADER, 16, 0, 0}
#define TAIL {STATUS, 1, D_WRITE, 0}

Test(virtio_hostile, buffers_outside_ram)
{
    CHAIN("above RAM", HEAD, {RAM_END, 512, D_WRITE, 0}, TAIL);
    CHAIN("across the end", HEAD, {RAM_END - 511, 512, D_WRITE, 0}, TAIL);
    CHAIN("below RAM", HEAD, {RAM_BASE - 1, 512, D_WRITE, 0}, TAIL);
    CHAIN("device registers", {SLOT, 16, 0, 0}, TAIL);
    CHAIN("wraps 2^64", HEAD, {UINT64_MAX - 100, 512, D_WRITE, 0}, TAIL);
    CHAIN("huge length", HEAD, {DATA, UINT32_MAX, D_WRITE, 0}, TAIL);
}

Test(virtio_hostile, chains_without_sense)
{
    CHAIN("nothing to write to", HEAD);
    CHAIN("no header", TAIL);
    CHAIN("short header", {HEADER, 15, 0, 0}, TAIL);
    CHAIN("readable after writable", HEAD, TAIL, HEAD);
    CHAIN("nothing at all", {HEADER, 0, 0, 0});
    CHAIN("indirect with next", HEAD, {TABLE, 32, D_INDIRECT, 0}, TAIL);
    CHAIN("empty indirect", {TABLE, 0, D_INDIRECT, 0});
    CHAIN("odd indirect", {TABLE, 40, D_INDIRECT, 0});
    CHAIN("huge indirect", {TABLE, 1025 * 16, D_INDIRECT, 0});
    CHAIN("huger indirect", {TABLE, 0xfffffff0, D_INDIRECT, 0});
    CHAIN("indirect outside RAM", {RAM_END - 16, 32, D_INDIRECT, 0});
}

Test(virtio_hostile, loops)
{
    set_desc(q.desc, 0, (struct gdesc){HEADER, 16, D_NEXT, 0});
    publish(&q, 0);
    expect_broken("itself");
    for (unsigned i = 0; i < 16; i++) {
        set_desc(q.desc, i, (struct gdesc){HEADER, 16, D_NEXT, (uint16_t)((i + 1) % 16)});
    }
    publish(&q, 3);
    expect_broken("a ring of all");
    set_desc(q.desc, 0, (struct gdesc){HEADER, 16, D_NEXT, 16});
    publish(&q, 0);
    expect_broken("next out of range");
    set_desc(TABLE, 0, (struct gdesc){HEADER, 16, D_NEXT, 1});
    set_desc(TABLE, 1, (struct gdesc){0, 0, D_NEXT, 0});
    CHAIN("loop in an indirect table", {TABLE, 32, D_INDIRECT, 0});
    set_desc(TABLE, 0, (struct gdesc){DATA, 0, D_NEXT, 1});
    CHAIN("loop of nothing", {TABLE, 32, D_INDIRECT, 0});
    set_desc(q.desc, 0, (struct gdesc){DATA, 0, D_NEXT, 0});
    publish(&q, 0);
    expect_broken("itself, with nothing in it");
    set_desc(TABLE, 0, (struct gdesc){HEADER, 16, D_NEXT, 2});
    CHAIN("next outside an indirect table", {TABLE, 32, D_INDIRECT, 0});
    set_desc(TABLE, 0, (struct gdesc){TABLE, 32, D_INDIRECT, 0});
    CHAIN("indirect in indirect", {TABLE, 32, D_INDIRECT, 0});
}

Test(virtio_hostile, too_many_segments)
{
    for (unsigned i = 0; i < 1024; i++) {
        set_desc(TABLE, i, (struct gdesc){DATA, 1, D_WRITE | (i < 1023 ? D_NEXT : 0),
                                          (uint16_t)(i + 1)});
    }
    CHAIN("1025 segments", HEAD, {TABLE, 1024 * 16, D_INDIRECT, 0});
}

Test(virtio_hostile, indices)
{
    __atomic_store_n((uint16_t *)ram(q.avail) + 1, 17, __ATOMIC_RELEASE);
    expect_broken("index jumps");
    __atomic_store_n((uint16_t *)ram(q.avail) + 1, 0xffff, __ATOMIC_RELEASE);
    expect_broken("index runs back");
    publish(&q, 16);
    expect_broken("head out of range");
    publish(&q, 0xffff);
    expect_broken("head far out of range");
}

Test(virtio_hostile, indirect_without_the_feature)
{
    q = start(0, 16);
    set_desc(TABLE, 0, (struct gdesc){HEADER, 16, D_NEXT, 1});
    set_desc(TABLE, 1, (struct gdesc){STATUS, 1, D_WRITE, 0});
    CHAIN("indirect", {TABLE, 32, D_INDIRECT, 0});
}

static void expect_bad_queue(const char *what, uint32_t num, gpa_t desc, gpa_t avail, gpa_t used)
{
    cr_assert(negotiate(F_V1));
    wr(R_QSEL, 0);
    wr(R_QNUM, num);
    wr(R_DESC, (uint32_t)desc);
    wr(R_DESC + 4, (uint32_t)(desc >> 32));
    wr(R_AVAIL, (uint32_t)avail);
    wr(R_AVAIL + 4, (uint32_t)(avail >> 32));
    wr(R_USED, (uint32_t)used);
    wr(R_USED + 4, (uint32_t)(used >> 32));
    wr(R_QREADY, 1);
    cr_expect_eq(rd(R_QREADY), 0, "%s", what);
    cr_expect(rd(R_STATUS) & ST_NEEDS_RESET, "%s", what);
    wr(R_STATUS, ST_ACK | ST_DRIVER | ST_FEATURES_OK | ST_OK);
    wr(R_NOTIFY, 0);
    expect_works();
}

Test(virtio_hostile, queues_that_cannot_be)
{
    const gpa_t d = RAM_BASE, a = RAM_BASE + 0x4000, u = RAM_BASE + 0x5000;

    expect_bad_queue("size 0", 0, d, a, u);
    expect_bad_queue("size 3", 3, d, a, u);
    expect_bad_queue("size 512", 512, d, a, u);
    expect_bad_queue("size 65536 + 16", 65552, d, a, u);
    expect_bad_queue("descriptors not aligned", 16, d + 8, a, u);
    expect_bad_queue("available not aligned", 16, d, a + 1, u);
    expect_bad_queue("used not aligned", 16, d, a, u + 2);
    expect_bad_queue("descriptors outside", 16, RAM_END - 128, a, u);
    expect_bad_queue("available outside", 16, d, RAM_END - 20, u);
    expect_bad_queue("used outside", 16, d, a, RAM_BASE - 4096);
    expect_bad_queue("used above 4 GiB", 16, d, a, u | (gpa_t)1 << 33);
    expect_bad_queue("used at the end of addresses", 16, d, a, UINT64_MAX - 3);
}

Test(virtio_hostile, registers_out_of_turn)
{
    for (unsigned off = 0; off < 0x200; off += 4) {
        rd(off);
        if (off != R_STATUS) {
            wr(off, UINT32_MAX);
        }
    }
    wr(R_QSEL, 0);
    for (uint32_t n = 0; n < 40; n++) {
        wr(R_NOTIFY, n);
    }
    for (unsigned size = 1; size <= 8; size *= 2) {
        for (unsigned off = 0; off + size <= 0x200; off++) {
            test_read(vm.bus, NULL, SLOT + off, size);
        }
    }
    expect_works();
}

/* Far more notifications than anybody needs, while the index moves as fast as it can. */
Test(virtio_hostile, storm_of_notifications)
{
    uint32_t h[4] = {8, 0, 0, 0};
    struct gdesc d[] = {{HEADER, 16, 0, 0}, {DATA, 20, D_WRITE, 0}, {STATUS, 1, D_WRITE, 0}};

    memcpy(ram(HEADER), h, sizeof h);
    uint16_t head = put_chain(&q, d, 3);
    for (unsigned i = 0; i < 50000; i++) {
        if ((uint16_t)(q.avail_idx - used_idx(&q)) < q.num) {
            publish(&q, head);
        }
        wr(R_NOTIFY, 0);
    }
    cr_expect(WAIT_FOR(used_idx(&q) == q.avail_idx));
    cr_expect_not(rd(R_STATUS) & ST_NEEDS_RESET);
    /* More than fits: the same chain again and again without waiting for answers. */
    for (unsigned i = 0; i < 1000; i++) {
        publish(&q, head);
        wr(R_NOTIFY, 0);
    }
    expect_works();
}

/* ---- version 1 ---- */
static void legacy_restart(void)
{
    wr(R_STATUS, 0);
    wr(R_STATUS, ST_ACK | ST_DRIVER);
    wr(R_PAGE_SIZE, 4096);
    wr(R_DRV_SEL, 0);
    wr(R_DRV_FEATURES, rd(R_DEV_FEATURES));
    q = legacy_queue(0, 16, RAM_BASE);
}

static void read_a_sector(uint32_t sector)
{
    uint32_t h[4] = {0, 0, sector, 0};
    struct gdesc d[] = {{HEADER, 16, 0, 0}, {DATA, 512, D_WRITE, 0}, {STATUS, 1, D_WRITE, 0}};

    memcpy(ram(HEADER), h, sizeof h);
    *(uint8_t *)ram(STATUS) = 0xee;
    round_trip(&q, d, 3);
    cr_expect_eq(*(uint8_t *)ram(STATUS), 0);
    cr_expect_eq(*(uint8_t *)ram(DATA), disk_byte(512 * sector));
}

static void legacy_setup(void)
{
    rig_setup();
    disk_make(1 << 20);
    opt.virtio_legacy = true;
    cr_assert_eq(rig_device("virtio-blk-device", "drive=d"), 0);
    legacy_restart();
}

TestSuite(virtio_legacy, .init = legacy_setup, .fini = teardown, .timeout = 60);

Test(virtio_legacy, works)
{
    cr_expect_eq(rd(R_VERSION), 1);
    cr_expect_eq(rd(R_QPFN), RAM_BASE / 4096);
    wr(R_DEV_SEL, 1);
    cr_expect_eq(rd(R_DEV_FEATURES), 0, "32 features");
    wr(R_DEV_SEL, 0);
    cr_expect(rd(R_DEV_FEATURES) & 1u << 27, "any layout");
    read_a_sector(3); /* before DRIVER_OK, as old drivers do */
    wr(R_STATUS, ST_ACK | ST_DRIVER | ST_OK);
    read_a_sector(4);
    take_interrupt();
    wr(R_QPFN, 0);
    cr_expect_eq(rd(R_QPFN), 0);
    q = legacy_queue(0, 16, RAM_BASE + 0x40000);
    read_a_sector(5);
    /* The page size is set once, before the first reset. */
    wr(R_STATUS, 0);
    cr_expect_eq(rd(R_QPFN), 0, "a reset takes the queue out of use");
    wr(R_STATUS, ST_ACK | ST_DRIVER);
    q = legacy_queue(0, 16, RAM_BASE);
    read_a_sector(6);
    wr(R_QREADY, 1);
    wr(R_DESC, 1);
    read_a_sector(7);
}

/* A kernel of 16 KiB pages. */
Test(virtio_legacy, other_pages)
{
    wr(R_QPFN, 0);
    wr(R_PAGE_SIZE, legacy_page = 16384);
    q = legacy_queue(0, 16, RAM_BASE + 0x4000);
    cr_expect_eq(rd(R_QPFN), RAM_BASE / 16384 + 1);
    read_a_sector(3);
}

Test(virtio_legacy, queues_that_cannot_be)
{
    static const struct {
        uint32_t page, num, align, pfn;
    } bad[] = {{0, 16, 4096, RAM_BASE / 4096},     {4095, 16, 4096, RAM_BASE / 4096},
               {4096, 0, 4096, RAM_BASE / 4096},   {4096, 3, 4096, RAM_BASE / 4096},
               {4096, 512, 4096, RAM_BASE / 4096}, {4096, 65536 + 16, 4096, RAM_BASE / 4096},
               {4096, 16, 0, RAM_BASE / 4096},     {4096, 16, 4097, RAM_BASE / 4096},
               {4096, 16, 1u << 31, RAM_BASE / 4096},
               {4096, 16, 4096, 1},                {4096, 16, 4096, RAM_END / 4096 - 1},
               {4096, 1, 0, RAM_BASE / 4096},      {4096, 1, 3, RAM_BASE / 4096},
               {4080, 16, 4096, RAM_BASE / 4080 + 1},
               {1u << 31, 16, 4096, UINT32_MAX},   {4096, 16, 4096, UINT32_MAX}};

    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        wr(R_STATUS, 0);
        wr(R_STATUS, ST_ACK | ST_DRIVER | ST_OK);
        wr(R_PAGE_SIZE, bad[i].page);
        wr(R_QSEL, 0);
        wr(R_QNUM, bad[i].num);
        wr(R_QALIGN, bad[i].align);
        wr(R_QPFN, bad[i].pfn);
        cr_expect_eq(rd(R_QPFN), 0, "queue %u", i);
        wr(R_NOTIFY, 0);
        cr_expect_eq(rd(R_STATUS), ST_ACK | ST_DRIVER | ST_OK, "there is no bit to say so");
        legacy_restart();
        read_a_sector(i);
    }
    wr(R_QSEL, 40);
    wr(R_QNUM, 16);
    wr(R_QALIGN, 4096);
    wr(R_QPFN, RAM_BASE / 4096);
    cr_expect_eq(rd(R_QPFN), 0);
}

Test(virtio_legacy, broken_driver_stops)
{
    publish(&q, 99);
    wr(R_NOTIFY, 0);
    usleep(20000);
    cr_expect_not(rd(R_STATUS) & ST_NEEDS_RESET);
    cr_expect_eq(used_idx(&q), 0);
    legacy_restart();
    read_a_sector(1);
}

/* ---- at random ---- */
static uint64_t seed;

static uint32_t rnd(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((seed >> 33) % below);
}

static gpa_t random_address(void)
{
    switch (rnd(8)) {
    case 0: return RAM_END - rnd(1024);
    case 1: return (gpa_t)rnd(UINT32_MAX) << 32 | rnd(UINT32_MAX);
    case 2: return TABLE + 16 * rnd(64);
    case 3: return q.used + rnd(256);
    default: return DATA + rnd(1 << 20);
    }
}

static struct gdesc random_desc(void)
{
    static const uint32_t len[] = {0, 1, 16, 32, 512, 512, 1024, 4096, 1 << 20, UINT32_MAX};
    static const uint16_t flags[] = {0, D_NEXT, D_NEXT, D_WRITE, D_WRITE | D_NEXT, D_INDIRECT, 7};

    return (struct gdesc){random_address(), len[rnd(10)], flags[rnd(7)],
                          (uint16_t)(rnd(20) == 0 ? rnd(65536) : rnd(16))};
}

/* Mostly sensible requests with something wrong in them now and then. */
static void random_chain(void)
{
    static const uint32_t type[] = {0, 0, 1, 1, 4, 8, 11, 13, 77};
    gpa_t at = HEADER + 32 * rnd(64);
    uint32_t h[4] = {type[rnd(9)], 0, rnd(10) == 0 ? rnd(UINT32_MAX) : rnd(2048), rnd(50) == 0};
    uint16_t data = h[0] == 0 || h[0] == 8 ? D_WRITE : 0;
    struct gdesc d[] = {{at, 16, 0, 0},
                        {DATA + rnd(1 << 20), rnd(8) * 512, data, 0},
                        {DATA + rnd(1 << 20), h[0] == 13 ? 16 : 1024, data, 0},
                        {STATUS + rnd(256), 1, D_WRITE, 0}};

    memcpy(ram(at), h, sizeof h);
    if (rnd(12) == 0) {
        d[rnd(4)] = random_desc();
    }
    uint16_t head = put_chain(&q, d, 4);
    if (rnd(20) == 0) {
        set_desc(q.desc, rnd(16), random_desc());
    }
    publish(&q, rnd(60) == 0 ? (uint16_t)rnd(65536) : head);
}

static void random_step(void)
{
    switch (rnd(40)) {
    case 0: wr(R_STATUS, 0); restart(); break;
    case 1: wr(4 * rnd(64), rnd(UINT32_MAX)); break;
    case 2: set_desc(TABLE, rnd(64), random_desc()); break;
    case 3: wr(R_QREADY, rnd(2)); break;
    case 4: *(uint16_t *)ram(q.avail + 2 * rnd(20)) = (uint16_t)rnd(65536); break;
    case 5: wr(R_ACK, 3); break;
    case 6: usleep(200); break;
    default:
        random_chain();
        if (rnd(3) == 0) {
            wr(R_NOTIFY, 0);
        }
        break;
    }
    if (rd(R_STATUS) & ST_NEEDS_RESET) {
        restart();
    }
}

Test(virtio_hostile, at_random)
{
    const char *s = getenv("VIRTIO_SEED"), *r = getenv("VIRTIO_ROUNDS");
    unsigned long rounds = r != NULL ? strtoul(r, NULL, 0) : 40000;

    seed = s != NULL ? strtoull(s, NULL, 0) : 1;
    for (unsigned long i = 0; i < rounds; i++) {
        random_step();
        if (rd(R_STATUS) == 0) {
            restart();
        }
    }
    wr(R_STATUS, 0);
    struct stat st;
    cr_assert_eq(stat(disk_path, &st), 0);
    cr_expect_eq(st.st_size, 1 << 20, "the file kept its size");
    cr_assert_eq(truncate(disk_path, 0), 0);
    int fd = open(disk_path, O_WRONLY);
    uint8_t b[10 * 512];
    for (unsigned i = 0; i < sizeof b; i++) {
        b[i] = disk_byte(i);
    }
    cr_assert_eq(write(fd, b, sizeof b), (ssize_t)sizeof b);
    close(fd);
    expect_works();
}
