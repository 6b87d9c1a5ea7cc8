/* SPDX-License-Identifier: MIT */
/*
 * A driver nobody should trust: from all CPUs at once, random values to all device registers, and
 * random descriptors, rings and requests to all queues of all virtio devices, which are reset and
 * started again meanwhile.  What the devices may write to lies in the arena, the upper part of RAM:
 * addresses are in it, across its end, or outside of RAM, never where this program is.  Checked are
 * that all CPUs come to the end, that memory outside the arena is as it was, that the interrupt
 * controller and timers still work, and that disk and random numbers do after a reset.
 * Not in `list`: which devices there are and how long it runs is up to the driver
 * (tests/system/hostile.py).  Parameters: seed, ms.
 */
#include "lib/gic.h"
#include "lib/mmu.h"

const char payload_name[] = "devices";

#define ARENA      (RAM_BASE + RAM_SIZE - ARENA_SIZE)
#define ARENA_SIZE 0x04000000u
#define VIRTIO     0x0a000000u
#define SLOTS      32u
#define STRIDE     0x200u
#define UART       0x09000000u
#define FW_CFG     0x09020000u
#define GUARD_SIZE 0x00100000u

enum {
    VERSION = 0x04, DEVICE_ID = 0x08, FEATURES = 0x10, FEATURES_SEL = 0x14, ACCEPT = 0x20,
    ACCEPT_SEL = 0x24, PAGE_SIZE_V1 = 0x28, QUEUE_SEL = 0x30, QUEUE_NUM_MAX = 0x34,
    QUEUE_NUM = 0x38, QUEUE_ALIGN_V1 = 0x3c, QUEUE_PFN_V1 = 0x40, QUEUE_READY = 0x44,
    NOTIFY = 0x50, INT_ACK = 0x64, STATUS = 0x70, DESC = 0x80, AVAIL = 0x90, USED = 0xa0,
    CONFIG = 0x100,
};
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
enum { F_NEXT = 1, F_WRITE = 2, F_INDIRECT = 4 };

struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};
struct avail {
    volatile uint16_t flags, idx, ring[];
};
struct used {
    volatile uint16_t flags, idx;
    volatile struct {
        uint32_t id, len;
    } ring[];
};

static uint32_t *guard;
static uint32_t device[SLOTS], slots; /* bases of those with a device */
static volatile uint32_t rounds[MAX_CPUS];
static uint64_t deadline;
static uint32_t seed;

/* ---- where devices are ---- */
static const struct {
    uint32_t base, size;
} area[] = {
    {0x08000000, 0x1000},   /* GIC distributor */
    {0x08010000, 0x2000},   /* its CPU interface */
    {0x08020000, 0x1000},   /* message-signalled interrupts */
    {UART, 0x1000},         {0x09010000, 0x1000}, /* clock */
    {FW_CFG, 0x1000},       {0x09030000, 0x1000}, /* GPIO */
    {0x09060000, 0x1000},   /* watchdog */
    {VIRTIO, SLOTS *STRIDE}, {0x10000000, 0x100000}, /* PCIe windows, if there are any */
    {0x3eff0000, 0x10000},  {0x3f000000, 0x1000000},
};

/* An address as a device would see it: the arena, or not in RAM at all. */
static uint32_t tame(uint32_t v)
{
    return v >= RAM_BASE && v < ARENA ? ARENA + v % ARENA_SIZE : v;
}

static uint32_t swap(uint32_t v)
{
    return __builtin_bswap32(v);
}

static uint32_t get8(uint32_t a)
{
    return *(volatile uint8_t *)a;
}

static uint32_t get16(uint32_t a)
{
    return *(volatile uint16_t *)a;
}

static void put8(uint32_t a, uint32_t v)
{
    *(volatile uint8_t *)a = (uint8_t)v;
}

static void put16(uint32_t a, uint32_t v)
{
    *(volatile uint16_t *)a = (uint16_t)v;
}

static uint32_t get(uint32_t a)
{
    return catch_call((const void *)load32, a, 0, 0) == TRAP_NONE ? this_cpu()->result : 0;
}

static void put(uint32_t a, uint32_t v)
{
    (void)catch_call((const void *)store32, a, v, 0);
}

/* ---- random values ---- */
/* Numbers of every size, and those at which counts and sums go over. */
static uint32_t value(uint32_t *s)
{
    uint32_t r = rnd(s), v = rnd(s);

    switch (r % 8) {
    case 0: return v & 3;
    case 1: return v & 0xff;
    case 2: return tame(1u << (v & 31));
    case 3: return 0xffffffffu - (v & 15);
    case 4: return ARENA + (v % ARENA_SIZE & ~15u);
    case 5: return RAM_BASE + RAM_SIZE - (v & 0x1f); /* across the end of RAM */
    default: return tame(v);
    }
}

static uint32_t arena(uint32_t *s, uint32_t align)
{
    return ARENA + (rnd(s) % (ARENA_SIZE / 2) & ~(align - 1));
}

static void wild_register(uint32_t *s)
{
    uint32_t r = rnd(s), which = r % (ARRAY_SIZE(area) + 8), v = value(s);
    uint32_t a = which < ARRAY_SIZE(area)
                     ? area[which].base + (rnd(s) % area[which].size)
                     : (slots != 0 ? device[rnd(s) % slots] : VIRTIO) + (rnd(s) % STRIDE);
    const void *const load[] = {load32, get16, get8, load32};
    const void *const store[] = {store32, put16, put8, store32};
    unsigned k = r >> 16 & 3;

    if (which == 5 || (a & ~0xfffu) == FW_CFG) { /* addresses there are big-endian */
        v = swap(tame(v));
    }
    if (a >= VIRTIO && a < VIRTIO + SLOTS * STRIDE && a % STRIDE < CONFIG) {
        k = r & 0x100 ? 0 : k;
        v = (a & 0xfc) == PAGE_SIZE_V1   ? 4096
            : (a & 0xfc) == QUEUE_PFN_V1 ? tame(v) >> 12
                                         : v;
    }
    a &= k == 2 ? ~0u : k == 1 ? ~1u : ~3u;
    (void)catch_call(r >> 20 & 1 ? load[k] : store[k], a, v, 0);
}

/* ---- devices, as their drivers would use them, more or less ---- */
#define QUEUES 32u
#define BLOCK  0x8000u /* of one queue: descriptors, available and used ring */
static uint32_t queue_at(unsigned slot, unsigned q)
{
    return ARENA + ARENA_SIZE / 2 + ((slot % 16 * QUEUES + q) * BLOCK);
}

static void offer_queue(uint32_t d, unsigned slot, unsigned q, uint32_t num, uint32_t *s)
{
    uint32_t at = queue_at(slot, q), odd = s != NULL && rnd(s) % 16 == 0;

    put(d + QUEUE_SEL, q);
    put(d + QUEUE_NUM, odd ? value(s) : num);
    if (get(d + VERSION) == 1) {
        put(d + QUEUE_ALIGN_V1, 4096);
        put(d + QUEUE_PFN_V1, at >> 12);
        return;
    }
    put(d + DESC, odd ? value(s) : at);
    put(d + DESC + 4, 0);
    put(d + AVAIL, odd ? value(s) : at + 0x4000);
    put(d + AVAIL + 4, 0);
    put(d + USED, odd ? value(s) : at + 0x6000);
    put(d + USED + 4, 0);
    put(d + QUEUE_READY, 1);
}

static void start_device(unsigned slot, uint32_t *s)
{
    uint32_t d = device[slot], drop = s != NULL && rnd(s) & 1 ? rnd(s) : 0;

    put(d + STATUS, 0);
    put(d + STATUS, ACKNOWLEDGE | DRIVER);
    for (unsigned i = 0; i < 2; i++) {
        put(d + FEATURES_SEL, i);
        put(d + ACCEPT_SEL, i);
        put(d + ACCEPT, get(d + FEATURES) & ~(i == 0 ? drop : 0));
    }
    put(d + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    put(d + PAGE_SIZE_V1, 4096);
    for (unsigned q = 0; q < (s != NULL ? QUEUES : 1); q++) {
        put(d + QUEUE_SEL, q);
        uint32_t max = get(d + QUEUE_NUM_MAX);
        if (max != 0) {
            memset((void *)queue_at(slot, q), 0, BLOCK);
            offer_queue(d, slot, q, s == NULL ? 4 : max > 64 ? 64 : max, s);
        }
    }
    put(d + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

/* The first words of requests, which a device looks at: commands of all of them, and nonsense. */
static void write_request(uint32_t *p, uint32_t *s)
{
    static const uint32_t first[] = {
        0,     1,     4,     8,     11,    13, /* disk */
        0x100, 0x101, 0x102, 0x103, 0x104, 0x105,
        0x106, 0x107, 0x108, 0x10a, 0x300, 0x301,  /* screen */
        0x0100, 0x0001, 0x0104, 0x0004, 0x0005,    /* network */
    };
    uint32_t r = rnd(s);

    for (unsigned i = 0; i < 16; i++)
        p[i] = rnd(s) & 1 ? value(s) : rnd(s) & 3;
    if (r & 3)
        p[0] = first[r >> 8 & 31 ? (r >> 8) % ARRAY_SIZE(first) : 0];
    if ((r & 0xc0) == 0xc0) { /* shared folders: size, type, tag, fid */
        p[0] = r & 0x100 ? 11 + (r >> 9 & 31) : value(s);
        p[1] = (r >> 16) % 128 | (rnd(s) & 0xffff) << 8 | (r & 7) << 24;
    }
}

static void write_desc(struct desc *t, uint32_t num, uint32_t *s)
{
    uint32_t r = rnd(s), at = arena(s, r & 0x10 ? 1 : 64);

    if (r & 1)
        write_request((uint32_t *)(at & ~63u), s);
    t->addr = r & 0xe ? at : (uint64_t)(r & 0x20 ? value(s) : 0) << 32 | value(s);
    t->len = r & 0x1c0 ? rnd(s) % (r & 0x200 ? 64 : 70000) : value(s);
    t->flags = (uint16_t)(r >> 12 & (r & 0x400 ? 3 : 7));
    t->next = (uint16_t)(r & 0xf800 ? (r >> 16) % num : r >> 16);
}

/* Descriptors and entries of the available ring, then word of it. */
static void queue_work(uint32_t *s)
{
    unsigned slot = rnd(s) % slots, q = rnd(s) % (rnd(s) & 3 ? 4 : QUEUES);
    uint32_t at = queue_at(slot, q), num = 64, r = rnd(s);
    struct desc *table = (struct desc *)at;
    bool old = get(device[slot] + VERSION) == 1;
    struct avail *av = (struct avail *)(at + (old ? 16 * num : 0x4000));
    unsigned n = 1 + r % 8;

    for (unsigned i = 0; i < 2 * n; i++) {
        struct desc t;
        write_desc(&t, num, s);
        memcpy(&table[rnd(s) % num], &t, sizeof(t));
    }
    for (unsigned i = 0; i < n; i++)
        av->ring[(av->idx + i) % num] = (uint16_t)(r & 0xf00 ? rnd(s) % num : rnd(s));
    dmb();
    av->idx = (uint16_t)(r & 0xf000 ? av->idx + n : rnd(s));
    av->flags = (uint16_t)(r >> 16 & 1);
    dmb();
    put(device[slot] + NOTIFY, r & 0xf0000 ? q : value(s));
    if (r & 0x100000)
        put(device[slot] + INT_ACK, 3);
}

/* fw_cfg's transfers: control, length, address, big-endian. */
static void transfer(uint32_t *s)
{
    uint32_t at = arena(s, 16), *p = (uint32_t *)at;

    p[0] = swap(rnd(s) & 1 ? (rnd(s) & 0x1f) | (rnd(s) & 0x3f) << 16 : value(s));
    p[1] = swap(value(s));
    p[2] = rnd(s) & 7 ? 0 : swap(value(s));
    p[3] = swap(value(s));
    dmb();
    put(FW_CFG + 16, 0);
    put(FW_CFG + 20, swap(at));
}

static void attack(unsigned cpu, void *arg)
{
    uint32_t s = seed * 0x9e3779b9u + cpu * 0x7f4a7c15u + 1;

    (void)arg;
    while (now() < deadline) {
        uint32_t r = rnd(&s) % 64;
        if (r == 0 && slots != 0)
            start_device(rnd(&s) % slots, &s);
        else if (r < 32 && slots != 0)
            queue_work(&s);
        else if (r < 34)
            transfer(&s);
        else
            wild_register(&s);
        rounds[cpu]++;
    }
}

/* ---- afterwards ---- */
/* One chain of n descriptors in queue 0 of a device that was just started. */
static bool request(unsigned slot, const struct desc *chain, unsigned n)
{
    uint32_t at = queue_at(slot, 0);
    bool old = get(device[slot] + VERSION) == 1;
    struct avail *av = (struct avail *)(at + (old ? 64 : 0x4000));
    struct used *us = (struct used *)(at + (old ? 0x1000 : 0x6000));

    memcpy((void *)at, chain, n * sizeof(*chain));
    av->ring[0] = 0;
    dmb();
    av->idx = 1;
    dmb();
    put(device[slot] + NOTIFY, 0);
    for (unsigned ms = 0; us->idx == 0 && ms < 20000; ms++)
        delay_ms(1);
    dmb();
    return us->idx == 1 && us->ring[0].id == 0;
}

static void check_random(unsigned slot)
{
    uint32_t *buf = mem_alloc(256, 64), sum = 0;
    const struct desc chain = {(uint32_t)buf, 256, F_WRITE, 0};

    tap_ok(request(slot, &chain, 1), "random numbers come after a reset");
    for (unsigned i = 0; i < 64; i++)
        sum |= buf[i];
    tap_ok(sum != 0, "they are not all zero");
}

static void check_disk(unsigned slot)
{
    uint32_t *head = mem_alloc(1024, 64);
    volatile uint8_t *status = (volatile uint8_t *)(head + 200);
    const struct desc chain[] = {{(uint32_t)head, 16, F_NEXT, 1},
                                 {(uint32_t)(head + 16), 512, F_NEXT | F_WRITE, 2},
                                 {(uint32_t)status, 1, F_WRITE, 0}};

    *status = 0xff;
    tap_ok(request(slot, chain, 3) && *status == 0, "a disk is read after a reset");
}

static void check_timer(void)
{
    gicd_write(GICD_CTLR, 0);
    for (unsigned i = 0; i < 32; i++) { /* nothing enabled, active or pending */
        gicd_write(0x80 + 4 * i, 0); /* all in group 0 */
        gicd_write(0x180 + 4 * i, ~0u);
        gicd_write(0x280 + 4 * i, ~0u);
        gicd_write(0x380 + 4 * i, ~0u);
    }
    gicc_write(0xd0, 0); /* no priority is active: nobody ends what random reads have begun */
    gicc_write(0xe0, 0);
    tap_eq(gic_try_timer(5), 5, "the timer and the interrupt controller still work");
}

static void quiet(void)
{
    for (unsigned i = 0; i < slots; i++)
        put(device[i] + STATUS, 0);
    store32(UART + 0x38, 0);      /* no interrupts */
    store32(UART + 0x30, 0x301);  /* on */
    store32(0x09060000 + 0xc00, 0x1acce551);
    store32(0x09060000 + 8, 0);   /* watchdog off */
    print("\n");
}

void payload_main(void)
{
    unsigned n = smp_start(MAX_CPUS), changed = 0, seen = 0;

    seed = param("seed", 1);
    guard = mem_alloc(GUARD_SIZE, PAGE_SIZE);
    for (unsigned i = 0; i < GUARD_SIZE / 4; i++)
        guard[i] = 0x600d0000 + i;
    for (unsigned i = 0; i < SLOTS; i++)
        if (load32(VIRTIO + i * STRIDE + DEVICE_ID) != 0)
            device[slots++] = VIRTIO + i * STRIDE;
    tap_diag("seed %u, %u CPUs, %u virtio devices", (unsigned)seed, n, (unsigned)slots);
    deadline = now() + (uint64_t)param("ms", 2000) * ticks_per_ms();
    smp_run_all(n, attack, NULL);
    quiet();
    for (unsigned i = 0; i < GUARD_SIZE / 4; i++)
        changed += guard[i] != 0x600d0000 + i;
    tap_eq(changed, 0, "memory that no descriptor names");
    for (unsigned i = 0; i < n; i++) {
        tap_diag("CPU %u: %u rounds", i, (unsigned)rounds[i]);
        tap_ok(rounds[i] != 0, "CPU %u came to the end", i);
    }
    check_timer();
    for (unsigned i = 0; i < slots; i++) {
        uint32_t id = get(device[i] + DEVICE_ID);
        if (id != 2 && id != 4)
            continue;
        if (seen & 1u << id)
            continue;
        seen |= 1u << id;
        start_device(i, NULL);
        (id == 4 ? check_random : check_disk)(i);
        put(device[i] + STATUS, 0);
    }
    tap_finish();
}
