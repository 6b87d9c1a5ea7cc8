/* SPDX-License-Identifier: MIT */
/*
 * The PCI host and virtio-pci: configuration space, regions that move, interrupts by pin and by
 * message, a queue there and back, and a guest that writes anything anywhere.
 */
#include "virtio_rig.h"

#include "dev/pci.h"

#define ECAM 0x3f000000u
#define WINDOW 0x10000000u
#define PORTS 0x3eff0000u
#define DOORBELL 0x08020040u
#define DATA (RAM_BASE + 0x100000)

enum { BAR = 0x10000000, MSIX = 0x10008000 };
enum {
    C_DEV_SEL = 0, C_DEV_FEATURE = 4, C_DRV_SEL = 8, C_DRV_FEATURE = 0xc, C_CONFIG_VECTOR = 0x10,
    C_QUEUES = 0x12, C_STATUS = 0x14, C_QSEL = 0x16, C_QSIZE = 0x18, C_QVECTOR = 0x1a,
    C_QENABLE = 0x1c, C_QNOTIFY = 0x1e, C_DESC = 0x20, C_AVAIL = 0x28, C_USED = 0x30,
    ISR = 0x1000, CONFIG = 0x2000, NOTIFY = 0x3000,
};

static struct pci_host *host;
static struct {
    _Atomic bool level;
} pin[PCI_LINES];
static _Atomic unsigned messages, last_message, strays;

static void pin_set(void *ctrl, unsigned n, bool level)
{
    (void)ctrl;
    cr_assert_lt(n, PCI_LINES);
    atomic_store(&pin[n].level, level);
}

static bool message(void *opaque, uint64_t address, uint32_t data)
{
    (void)opaque;
    if (address != DOORBELL) {
        atomic_fetch_add(&strays, 1);
        return false;
    }
    atomic_store(&last_message, data);
    atomic_fetch_add(&messages, 1);
    return true;
}

static void setup(void)
{
    struct pci_host_config c = {.ecam = ECAM, .ecam_size = 0x1000000, .memory = WINDOW,
                                .memory_size = PORTS - WINDOW, .ports = PORTS,
                                .ports_size = 0x10000, .message = message};

    rig_setup();
    for (unsigned i = 0; i < PCI_LINES; i++) {
        c.line[i] = (struct irq_line){.set = pin_set, .n = i};
    }
    cr_assert_eq(pci_host_create(vm.bus, &c, &host), 0);
}

static void teardown(void)
{
    io_loop_stop(vm.io);
    for (unsigned i = 0; i < VM_PCI_SLOTS; i++) {
        virtio_pci_destroy(&vm, i);
    }
    pci_host_destroy(host);
    rig_end();
}

TestSuite(virtio_pci, .init = setup, .fini = teardown, .timeout = 100);

static int plug(const char *driver, const char *options)
{
    char *d = (char *)(uintptr_t)driver, o[256]; /* the name must last as long as the device */

    snprintf(o, sizeof o, "%s", options);
    return virtio_pci_create(&vm, host, &(struct vm_device){.driver = d, .options = o});
}

static uint32_t cfg(unsigned slot, unsigned off, unsigned size)
{
    return (uint32_t)test_read(vm.bus, NULL, ECAM + (slot << 15) + off, size);
}
static void cfg_write(unsigned slot, unsigned off, uint32_t value, unsigned size)
{
    test_write(vm.bus, NULL, ECAM + (slot << 15) + off, size, value);
}
static uint64_t in(uint32_t off, unsigned size)
{
    return test_read(vm.bus, NULL, BAR + off, size);
}
static void out(uint32_t off, uint64_t value, unsigned size)
{
    test_write(vm.bus, NULL, BAR + off, size, value);
}

/* Base addresses, memory and bus master on. */
static void place(unsigned slot)
{
    cfg_write(slot, PCI_BAR0 + 16, BAR, 4);
    cfg_write(slot, PCI_BAR0 + 4, MSIX, 4);
    cfg_write(slot, PCI_COMMAND, 6, 2);
}

static unsigned capability(unsigned slot, uint8_t id, uint8_t type)
{
    unsigned at = cfg(slot, PCI_CAPABILITIES, 1), tries = 0;

    while (at != 0 && tries++ < 48) {
        if (cfg(slot, at, 1) == id && (id != 9 || cfg(slot, at + 3, 1) == type)) {
            return at;
        }
        at = cfg(slot, at + 1, 1);
    }
    return 0;
}

static struct gqueue start_pci(uint64_t features)
{
    struct gqueue q = {.num = 8, .desc = RAM_BASE, .avail = RAM_BASE + 0x4000,
                       .used = RAM_BASE + 0x5000};

    memset(ram(RAM_BASE), 0, 0x8000);
    out(C_STATUS, 0, 1);
    out(C_STATUS, ST_ACK | ST_DRIVER, 1);
    for (uint32_t i = 0; i < 2; i++) {
        out(C_DRV_SEL, i, 4);
        out(C_DRV_FEATURE, (uint32_t)((features | F_V1) >> 32 * i), 4);
    }
    out(C_STATUS, ST_ACK | ST_DRIVER | ST_FEATURES_OK, 1);
    cr_assert(in(C_STATUS, 1) & ST_FEATURES_OK);
    out(C_QSEL, 0, 2);
    out(C_QSIZE, 8, 2);
    out(C_DESC, q.desc, 8);
    out(C_AVAIL, (uint32_t)q.avail, 4);
    out(C_AVAIL + 4, 0, 4);
    out(C_USED, q.used, 8);
    out(C_QENABLE, 1, 2);
    cr_assert_eq(in(C_QENABLE, 2), 1);
    out(C_STATUS, ST_ACK | ST_DRIVER | ST_FEATURES_OK | ST_OK, 1);
    return q;
}

/* A buffer of the random device there and back; how much was written. */
static uint32_t ask(struct gqueue *q)
{
    uint32_t len;

    publish(q, put_chain(q, &(struct gdesc){DATA, 64, D_WRITE, 0}, 1));
    out(NOTIFY, 0, 2);
    take_used(q, &len);
    return len;
}

/* ---- the bus ---- */
Test(virtio_pci, slots)
{
    cr_expect_eq(cfg(0, 0, 4), 0x00081b36);
    cr_expect_eq(cfg(0, 0xe, 1), 0);
    cr_expect_eq(cfg(1, 0, 4), 0xffffffff, "empty");
    cr_expect_eq(cfg(1, 0, 1), 0xff);
    cr_assert_eq(plug("virtio-rng-pci", ""), 0);
    cr_assert_eq(plug("virtio-rng-pci", "addr=1f,disable-legacy=on,bus=pcie.0"), 0);
    cr_assert_eq(plug("virtio-rng-pci", "addr=0x2.0,id=r,bootindex=1"), 0);
    cr_expect_eq(cfg(1, 0, 4), 0x10441af4);
    cr_expect_eq(cfg(0x1f, 0, 4), 0x10441af4);
    cr_expect_eq(cfg(2, 0, 4), 0x10441af4);
    cr_expect_eq(cfg(2, 0x1000, 4), 0xffffffff, "function 1");
    cr_expect_eq(cfg(32 + 1, 0, 4), 0xffffffff, "bus 1");
    cr_expect_eq(cfg(1, 0x100, 4), 0, "extended space");
    cr_expect_eq(cfg(1, 0xffc, 4), 0);
    cfg_write(1, 0xffc, 1, 4);
    cr_expect_eq(plug("virtio-rng-pci", "addr=2"), -EINVAL, "taken");
    cr_expect_eq(plug("virtio-rng-pci", "addr=0"), -EINVAL, "the bridge");
    cr_expect_eq(plug("virtio-rng-pci", "addr=20"), -EINVAL);
    cr_expect_eq(plug("virtio-rng-pci", "addr=3.1"), -EINVAL);
    cr_expect_eq(plug("virtio-rng-pci", "addr="), -EINVAL);
    cr_expect_eq(plug("virtio-rng-pci", "bus=usb.0"), -EINVAL);
    cr_expect_eq(plug("virtio-rng-pci", "disable-modern=on"), -EINVAL);
    cr_expect_eq(plug("virtio-rng-pci", "shiny=1"), -EINVAL);
    for (unsigned i = 3; i < 0x1f; i++) {
        cr_assert_eq(plug("virtio-rng-pci", ""), 0);
    }
    cr_expect_eq(plug("virtio-rng-pci", ""), -ENOSPC);
    cr_expect_eq(test_read(vm.bus, NULL, PORTS, 4), 0xffffffff);
    test_write(vm.bus, NULL, PORTS + 0xfffe, 2, 1);
}

Test(virtio_pci, names_of_transports)
{
    struct vm_options o = {0};

    cr_expect(virtio_is_pci(&o, "virtio-blk-pci"));
    cr_expect(virtio_is_pci(&o, "virtio-net-pci-non-transitional"));
    cr_expect_not(virtio_is_pci(&o, "virtio-blk-device"));
    cr_expect_not(virtio_is_pci(&o, "virtio-blk"));
    cr_expect_not(virtio_is_pci(&o, "virtconsole"));
    cr_expect_not(virtio_is_pci(&o, "flux-pci"));
    o.virtio_pci = true;
    cr_expect(virtio_is_pci(&o, "virtio-blk"));
    cr_expect_not(virtio_is_pci(&o, "virtio-blk-device"));
}

Test(virtio_pci, header_and_capabilities)
{
    cr_assert_eq(plug("virtio-rng-pci", ""), 0);
    cfg_write(1, 0, 0x12345678, 4);
    cr_expect_eq(cfg(1, 0, 4), 0x10441af4, "read-only");
    cr_expect_eq(cfg(1, PCI_REVISION, 1), 1);
    cr_expect_eq(cfg(1, PCI_INTERRUPT_PIN, 1), 1);
    cr_expect(cfg(1, PCI_STATUS, 2) & 0x10);
    cfg_write(1, PCI_BAR0 + 16, 0xffffffff, 4);
    cr_expect_eq(cfg(1, PCI_BAR0 + 16, 4), 0xffffc000, "16 KiB");
    cfg_write(1, PCI_BAR0, 0xffffffff, 4);
    cr_expect_eq(cfg(1, PCI_BAR0, 4), 0, "no region 0");
    cr_expect_eq(cfg(1, capability(1, 0x11, 0) + 2, 2), 1, "two vectors");
    for (uint8_t type = 1; type <= 5; type++) {
        unsigned at = capability(1, 9, type);
        cr_assert_neq(at, 0, "part %u", type);
        if (type != 5) {
            cr_expect_eq(cfg(1, at + 4, 1), 4);
            cr_expect_leq(cfg(1, at + 8, 4) + cfg(1, at + 12, 4), 0x4000);
            cfg_write(1, at + 8, 0xffffffff, 4);
            cr_expect_leq(cfg(1, at + 8, 4), 0x3000, "read-only");
        }
    }
}

Test(virtio_pci, a_region_is_where_the_guest_puts_it)
{
    cr_assert_eq(plug("virtio-rng-pci", ""), 0);
    cr_assert_eq(plug("virtio-rng-pci", ""), 0);
    cr_expect_eq(in(C_QUEUES, 2), 0xffff, "nothing there");
    cfg_write(1, PCI_BAR0 + 16, BAR, 4);
    cr_expect_eq(in(C_QUEUES, 2), 0xffff, "memory is off");
    cfg_write(1, PCI_COMMAND, 2, 2);
    cr_expect_eq(in(C_QUEUES, 2), 1);
    cfg_write(1, PCI_BAR0 + 16, BAR + 0x100000, 4);
    cr_expect_eq(in(C_QUEUES, 2), 0xffff);
    cr_expect_eq(in(0x100000 + C_QUEUES, 2), 1);
    out(0x100000 + C_STATUS, ST_ACK, 1);
    /* The other over it: the lower slot has the access. */
    cfg_write(2, PCI_BAR0 + 16, BAR + 0x100000, 4);
    cfg_write(2, PCI_COMMAND, 2, 2);
    cr_expect_eq(in(0x100000 + C_STATUS, 1), ST_ACK);
    cfg_write(1, PCI_COMMAND, 0, 2);
    cr_expect_eq(in(0x100000 + C_STATUS, 1), 0);
    /* Outside the window, at its end, over its start. */
    cfg_write(2, PCI_BAR0 + 16, 0x40000000, 4);
    cfg_write(2, PCI_BAR0 + 16, 0xffffc000, 4);
    cfg_write(2, PCI_BAR0 + 16, PORTS - 0x4000, 4);
    cr_expect_eq(test_read(vm.bus, NULL, PORTS - 0x4000 + C_QUEUES, 2), 1);
    test_read(vm.bus, NULL, PORTS - 4, 4);
    pci_host_reset(host);
    cr_expect_eq(cfg(2, PCI_COMMAND, 2), 0);
    cr_expect_eq(cfg(2, PCI_BAR0 + 16, 4), 0);
    cr_expect_eq(test_read(vm.bus, NULL, PORTS - 0x4000 + C_QUEUES, 2), 0xffff);
}

/* ---- the device ---- */
Test(virtio_pci, a_queue_and_the_pin)
{
    cr_assert_eq(plug("virtio-rng-pci", "addr=6"), 0);
    place(6);
    out(C_QSEL, 1, 2);
    cr_expect_eq(in(C_QSIZE, 2), 0, "one queue");
    out(C_QSEL, 0, 2);
    cr_expect_gt(in(C_QSIZE, 2), 0);
    out(C_DEV_SEL, 1, 4);
    cr_expect(in(C_DEV_FEATURE, 4) & 1, "version 1");
    out(C_DEV_SEL, 2, 4);
    cr_expect_eq(in(C_DEV_FEATURE, 4), 0);
    struct gqueue q = start_pci(0);
    cr_expect_eq(in(C_DESC, 8), RAM_BASE);
    cr_expect_eq(ask(&q), 64);
    cr_expect(WAIT_FOR(atomic_load(&pin[6 % 4].level)), "slot 6 is on line 2");
    cr_expect_eq(in(ISR, 1), 1);
    cr_expect_not(pin[2].level, "reading acknowledges");
    cr_expect_eq(in(ISR, 1), 0);
    cfg_write(6, PCI_COMMAND, 0x406, 2);
    cr_expect_eq(ask(&q), 64);
    cr_expect(WAIT_FOR(in(C_STATUS, 1) != 0));
    nap();
    cr_expect_not(pin[2].level, "disabled");
    cfg_write(6, PCI_COMMAND, 6, 2);
    cr_expect(WAIT_FOR(atomic_load(&pin[2].level)), "and enabled again");
    virtio_pci_reset(&vm, 6);
    cr_expect_not(pin[2].level);
    cr_expect_eq(in(C_STATUS, 1), 0);
    cr_expect_eq(in(C_QENABLE, 2), 0);
    cr_expect_eq(messages, 0);
}

Test(virtio_pci, two_devices_share_a_line)
{
    cr_assert_eq(plug("virtio-rng-pci", "addr=2"), 0);
    cr_assert_eq(plug("virtio-rng-pci", "addr=6"), 0);
    place(6);
    struct gqueue q = start_pci(0);
    ask(&q);
    cr_assert(WAIT_FOR(atomic_load(&pin[2].level)));
    cfg_write(6, PCI_BAR0 + 16, BAR + 0x10000, 4);
    place(2);
    q = start_pci(0);
    ask(&q);
    cr_assert(WAIT_FOR(in(ISR, 1) == 1));
    cr_expect(pin[2].level, "the other still asks");
    cr_expect_eq(in(0x10000 + ISR, 1), 1);
    cr_expect_not(pin[2].level);
}

static void set_entry(unsigned n, uint64_t address, uint32_t data, uint32_t control)
{
    test_write(vm.bus, NULL, MSIX + 16 * n, 4, (uint32_t)address);
    test_write(vm.bus, NULL, MSIX + 16 * n + 4, 4, address >> 32);
    test_write(vm.bus, NULL, MSIX + 16 * n + 8, 4, data);
    test_write(vm.bus, NULL, MSIX + 16 * n + 12, 4, control);
}

static uint64_t pending(void)
{
    return test_read(vm.bus, NULL, MSIX + 0x800, 4);
}

Test(virtio_pci, messages)
{
    cr_assert_eq(plug("virtio-rng-pci", ""), 0);
    place(1);
    unsigned cap = capability(1, 0x11, 0);
    cr_expect_eq(test_read(vm.bus, NULL, MSIX + 12, 4), 1, "masked at first");
    set_entry(0, DOORBELL, 80, 0);
    set_entry(1, DOORBELL, 81, 0);
    set_entry(2, DOORBELL, 82, 0);
    cr_expect_eq(test_read(vm.bus, NULL, MSIX + 32, 4), 0, "there are two");
    cfg_write(1, cap + 2, 0x8000, 2);
    struct gqueue q = start_pci(0);
    ask(&q);
    nap();
    cr_expect_eq(messages, 0, "no vector, no message");
    out(C_QSEL, 0, 2);
    cr_expect_eq(in(C_QVECTOR, 2), 0xffff);
    out(C_STATUS, 0, 1);
    out(C_QVECTOR, 2, 2);
    cr_expect_eq(in(C_QVECTOR, 2), 0xffff, "there is no vector 2");
    out(C_QVECTOR, 1, 2);
    cr_expect_eq(in(C_QVECTOR, 2), 1);
    q = start_pci(0);
    cr_expect_eq(in(C_QVECTOR, 2), 0xffff, "a reset forgets it");
    out(C_STATUS, 0, 1);
    out(C_CONFIG_VECTOR, 0, 2);
    cr_expect_eq(in(C_CONFIG_VECTOR, 2), 0);
}

/* start_pci() with the queue's vector set before it is enabled. */
static struct gqueue start_with_vector(uint16_t vector)
{
    out(C_STATUS, 0, 1);
    struct gqueue q = start_pci(0);
    out(C_STATUS, 0, 1);
    out(C_STATUS, ST_ACK | ST_DRIVER, 1);
    out(C_DRV_SEL, 1, 4);
    out(C_DRV_FEATURE, 1, 4);
    out(C_STATUS, ST_ACK | ST_DRIVER | ST_FEATURES_OK, 1);
    out(C_QSEL, 0, 2);
    out(C_QVECTOR, vector, 2);
    out(C_QSIZE, 8, 2);
    out(C_DESC, q.desc, 8);
    out(C_AVAIL, q.avail, 8);
    out(C_USED, q.used, 8);
    out(C_QENABLE, 1, 2);
    out(C_STATUS, ST_ACK | ST_DRIVER | ST_FEATURES_OK | ST_OK, 1);
    return q;
}

Test(virtio_pci, messages_and_masks)
{
    cr_assert_eq(plug("virtio-rng-pci", ""), 0);
    place(1);
    unsigned cap = capability(1, 0x11, 0);
    set_entry(1, DOORBELL, 81, 0);
    cfg_write(1, cap + 2, 0x8000, 2);
    struct gqueue q = start_with_vector(1);
    ask(&q);
    cr_expect(WAIT_FOR(atomic_load(&messages) == 1));
    cr_expect_eq(last_message, 81);
    cr_expect_not(pin[1].level, "no pin beside it");
    set_entry(1, DOORBELL, 90, 1);
    ask(&q);
    cr_expect(WAIT_FOR(pending() == 2), "masked: pending");
    set_entry(1, DOORBELL, 91, 0);
    cr_expect_eq(messages, 2, "sent when unmasked");
    cr_expect_eq(last_message, 91);
    cr_expect_eq(pending(), 0);
    cfg_write(1, cap + 2, 0xc000, 2);
    ask(&q);
    cr_expect(WAIT_FOR(pending() == 2), "all masked");
    cfg_write(1, cap + 2, 0x8000, 2);
    cr_expect_eq(messages, 3);
    /* To RAM, to the device itself, to nowhere: it stays a number. */
    static const uint64_t elsewhere[] = {RAM_BASE, BAR + C_STATUS, MSIX, 0, UINT64_MAX,
                                         DOORBELL + 4};
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
        set_entry(1, elsewhere[i], 0, 0);
        ask(&q);
        cr_expect(WAIT_FOR(atomic_load(&strays) == i + 1));
    }
    cr_expect_eq(messages, 3);
    cr_expect(in(C_STATUS, 1) & ST_OK);
    cfg_write(1, cap + 2, 0, 2);
    ask(&q);
    cr_expect(WAIT_FOR(atomic_load(&pin[1].level)), "back to the pin");
}

Test(virtio_pci, the_window_in_configuration_space)
{
    cr_assert_eq(plug("virtio-rng-pci", ""), 0);
    unsigned at = capability(1, 9, 5);
    cfg_write(1, at + 4, 4, 1);
    cfg_write(1, at + 8, C_QUEUES, 4);
    cfg_write(1, at + 12, 2, 4);
    cr_expect_eq(cfg(1, at + 16, 4), 1, "needs no address");
    cfg_write(1, at + 8, C_STATUS, 4);
    cfg_write(1, at + 12, 1, 4);
    cfg_write(1, at + 16, ST_ACK, 4);
    cr_expect_eq(cfg(1, at + 16, 1), ST_ACK);
    place(1);
    cr_expect_eq(in(C_STATUS, 1), ST_ACK);
    static const uint32_t bad[][3] = {{0, 0, 4}, {6, 0, 4}, {255, 0, 4}, {4, 0x4000, 1}, {4, 1, 4},
                                      {4, 0xfffffffc, 4}, {4, 0, 3}, {4, 0, 8}, {4, 0, 0},
                                      {4, 0x3ffe, 4}, {1, 0, 4}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cfg_write(1, at + 4, bad[i][0], 1);
        cfg_write(1, at + 8, bad[i][1], 4);
        cfg_write(1, at + 12, bad[i][2], 4);
        cfg_write(1, at + 16, 0xffffffff, 4);
        cfg(1, at + 16, 4);
        cr_expect_eq(in(C_STATUS, 1), ST_ACK, "case %zu", i);
    }
}

Test(virtio_pci, a_disk_by_its_configuration)
{
    disk_make(1 << 20);
    cr_assert_eq(plug("virtio-blk-pci", "drive=d,serial=a,,b,addr=4"), 0);
    cr_expect_eq(cfg(4, 0, 4), 0x10421af4);
    cr_expect_eq(cfg(4, PCI_CLASS, 2), 0x0100);
    place(4);
    cr_expect_eq(in(CONFIG, 8), (1 << 20) / 512);
    cr_expect_eq(in(CONFIG + 0xffc, 4), 0, "behind it");
    cr_expect_lt(plug("virtio-blk-pci", "drive=nobody"), 0);
    unlink(disk_path);
}

/* ---- a guest that does anything ---- */
static void random_write(unsigned *seed)
{
    uint32_t value = (uint32_t)rand_r(seed) * 2654435761u, size = 1u << rand_r(seed) % 4;
    uint32_t off = (uint32_t)rand_r(seed);

    switch (rand_r(seed) % 8) {
    case 0:
        test_write(vm.bus, NULL, ECAM + (1u << 15) + off % 0x100 / size * size, size, value);
        break;
    case 1: test_write(vm.bus, NULL, ECAM + off % 0xfffff8, size, value); break;
    case 2: out(off % 0x38 / size * size, value, size); break;
    case 3: out(off % 0x3ff8, value, size); break;
    case 4: test_write(vm.bus, NULL, MSIX + off % 0xff8, size, value); break;
    case 5: out(C_STATUS, value & 0xf, 1); break;
    case 6: place(1); break;
    default: cfg(1, off % 0x100 & ~3u, 4); in(off % 0x3ff8, size); break;
    }
    if (rand_r(seed) % 64 == 0) {
        start_pci(0);
        out(NOTIFY, 0, 2);
    }
}

Test(virtio_pci, random_writes)
{
    const char *s = getenv("VIRTIO_SEED"), *n = getenv("VIRTIO_ROUNDS");
    unsigned seed = s != NULL ? (unsigned)atoi(s) : 1;
    unsigned rounds = n != NULL ? (unsigned)atoi(n) : 20000;

    cr_assert_eq(plug("virtio-rng-pci", ""), 0);
    for (unsigned i = 0; i < rounds; i++) {
        place(1);
        random_write(&seed);
    }
    pci_host_reset(host);
    virtio_pci_reset(&vm, 1);
    cr_expect_eq(cfg(1, 0, 4), 0x10441af4);
    place(1);
    struct gqueue q = start_pci(0);
    cr_expect_eq(ask(&q), 64, "works again");
}
