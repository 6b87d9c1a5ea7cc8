/* SPDX-License-Identifier: MIT */
/*
 * Empty virtio-mmio slots, virtio-rng, and virtio-console with a socket as its other end.
 */
#include "virtio_rig.h"

#include <semaphore.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#define DATA (RAM_BASE + 0x100000)

TestSuite(virtio_small, .init = rig_setup, .fini = rig_end, .timeout = 60);

Test(virtio_small, empty_slot)
{
    cr_assert_eq(virtio_mmio_create(&vm, 0, SLOT, &(struct irq_line){0}, NULL), 0);
    cr_expect_eq(rd(R_MAGIC), 0x74726976);
    cr_expect_eq(rd(R_VERSION), 2);
    cr_expect_eq(rd(R_DEVICE_ID), 0);
    wr(R_STATUS, 1);
    cr_expect_eq(rd(R_STATUS), 0);
    virtio_mmio_reset(&vm, 0);
    virtio_mmio_reset(&vm, 1);
}

/* ---- rng ---- */
Test(virtio_small, rng)
{
    cr_assert_eq(rig_device("virtio-rng-device", "id=r"), 0);
    cr_expect_eq(rd(R_DEVICE_ID), 4);
    struct gqueue q = start(0, 8);
    uint8_t first[64];
    uint32_t len = round_trip(&q, (struct gdesc[]){{DATA, 40, D_WRITE, 0},
                                                   {DATA + 40, 24, D_WRITE, 0}}, 2);

    cr_expect_eq(len, 64);
    memcpy(first, ram(DATA), 64);
    cr_expect_eq(round_trip(&q, &(struct gdesc){DATA, 64, D_WRITE, 0}, 1), 64);
    cr_expect_neq(memcmp(first, ram(DATA), 64), 0);
    take_interrupt();
    memset(ram(DATA), 0, 1 << 20);
    len = round_trip(&q, &(struct gdesc){DATA, 1 << 20, D_WRITE, 0}, 1);
    cr_expect(len > 0 && len <= 4096, "no more than a little at once");
    for (unsigned i = len; i < 8192; i++) {
        cr_assert_eq(*(uint8_t *)ram(DATA + i), 0, "what was not announced is not written");
    }
    cr_expect_eq(round_trip(&q, &(struct gdesc){DATA, 64, 0, 0}, 1), 0, "nothing to write to");
}

Test(virtio_small, rng_reset_by_the_board)
{
    cr_assert_eq(rig_device("virtio-rng-device", ""), 0);
    struct gqueue q = start(0, 8);
    round_trip(&q, &(struct gdesc){DATA, 8, D_WRITE, 0}, 1);
    virtio_mmio_reset(&vm, 0);
    cr_expect_eq(rd(R_STATUS), 0);
    cr_expect_eq(rd(R_INT), 0);
    cr_expect_not(line.level);
    wr(R_QSEL, 0);
    cr_expect_eq(rd(R_QREADY), 0);
    q = start(0, 8);
    round_trip(&q, &(struct gdesc){DATA, 8, D_WRITE, 0}, 1);
}

/* ---- console ---- */
static char path[64];

static void passed(void *semaphore)
{
    sem_post(semaphore);
}

/* The I/O thread has seen what was there for it before the call: it may pass a post in the middle
   of a batch of events, but not two of them. */
static void io_settle(void)
{
    sem_t done;

    cr_assert_eq(sem_init(&done, 0, 0), 0);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(io_post(vm.io, passed, &done), 0);
        while (sem_wait(&done) != 0) {
        }
    }
    sem_destroy(&done);
}

static int connect_console(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char options[128];

    snprintf(path, sizeof path, "/tmp/umbra-console-%d", (int)getpid());
    snprintf(options, sizeof options, "chardev=unix:%s,,server=on,,wait=off", path);
    cr_assert_eq(rig_device("virtio-serial-device", ""), 0);
    struct vm_device port = {.driver = (char *)(uintptr_t)"virtconsole", .options = options};
    cr_assert_eq(virtio_mmio_create(&vm, 1, SLOT + 0x200, &(struct irq_line){0}, &port), 0);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void read_all(int fd, uint8_t *buf, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = read(fd, buf + at, len - at);
        cr_assert_gt(n, 0);
        at += (size_t)n;
    }
}

Test(virtio_small, console_output_and_input)
{
    int fd = connect_console();
    char text[16] = "";

    cr_expect_eq(rd(R_DEVICE_ID), 3);
    cr_expect_eq(rd(R_CONFIG + 4), 15, "ports");
    struct gqueue in, out;
    start_pair(0, 8, &in, &out);
    memcpy(ram(DATA), "hello", 5);
    round_trip(&out, (struct gdesc[]){{DATA, 2, 0, 0}, {DATA + 2, 3, 0, 0}}, 2);
    read_all(fd, (uint8_t *)text, 5);
    cr_expect_str_eq(text, "hello");

    cr_assert_eq(write(fd, "world", 5), 5);
    io_settle();
    publish(&in, put_chain(&in, &(struct gdesc){DATA, 3, D_WRITE, 0}, 1));
    publish(&in, put_chain(&in, &(struct gdesc){DATA + 3, 100, D_WRITE, 0}, 1));
    wr(R_NOTIFY, 0);
    uint32_t len;
    take_used(&in, &len);
    cr_expect_eq(len, 3);
    take_used(&in, &len);
    cr_expect_eq(len, 2);
    cr_expect_eq(memcmp(ram(DATA), "world", 5), 0);
    take_interrupt();
    wr(R_CONFIG + 8, '!');
    read_all(fd, (uint8_t *)text, 1);
    cr_expect_eq(text[0], '!');
    close(fd);
    unlink(path);
}

/* More than the reader takes: the chain waits, nothing is lost, the device stays responsive. */
Test(virtio_small, console_with_a_slow_reader)
{
    enum { CHUNK = 1 << 20, CHUNKS = 4 };
    int fd = connect_console();

    struct gqueue in, out;
    start_pair(F_EVENT, 8, &in, &out);
    for (unsigned i = 0; i < CHUNK * CHUNKS; i++) {
        *(uint8_t *)ram(DATA + i) = disk_byte(i);
    }
    for (unsigned i = 0; i < CHUNKS; i++) {
        publish(&out, put_chain(&out, &(struct gdesc){DATA + CHUNK * i, CHUNK, 0, 0}, 1));
    }
    wr(R_NOTIFY, 1);
    int readable = 0;
    cr_assert(WAIT_FOR(ioctl(fd, FIONREAD, &readable) == 0 && readable > 0));
    io_settle();
    cr_expect_lt(used_idx(&out), CHUNKS);
    cr_expect_eq(rd(R_MAGIC), 0x74726976);
    uint8_t *got = malloc(CHUNK * CHUNKS);
    read_all(fd, got, CHUNK * CHUNKS);
    cr_expect_eq(memcmp(got, ram(DATA), CHUNK * CHUNKS), 0);
    cr_expect(WAIT_FOR(used_idx(&out) == CHUNKS));
    free(got);
    close(fd);
    unlink(path);
}

/* More than the driver takes: input waits at the other end. */
Test(virtio_small, console_with_a_slow_driver)
{
    int fd = connect_console();
    uint8_t buf[20000];

    cr_assert(negotiate(F_V1 | F_EVENT));
    struct gqueue in = queue_set_up(0, 8, RAM_BASE);
    driver_ok();
    for (unsigned i = 0; i < sizeof buf; i++) {
        buf[i] = disk_byte(i);
    }
    cr_assert_eq(write(fd, buf, sizeof buf), (ssize_t)sizeof buf);
    io_settle();
    for (unsigned at = 0; at < sizeof buf;) {
        uint32_t len = round_trip(&in, &(struct gdesc){DATA, 700, D_WRITE, 0}, 1);
        cr_assert(len > 0 && len <= 700);
        cr_assert_eq(memcmp(ram(DATA), buf + at, len), 0, "at %u", at);
        at += len;
    }
    close(fd);
    unlink(path);
}

Test(virtio_small, console_mistakes)
{
    struct vm_device port = {.driver = (char *)(uintptr_t)"virtconsole"};
    char none[] = "chardev=null", odd[] = "chardev=pigeon", unknown[] = "colour=1";

    port.options = none;
    cr_expect_eq(virtio_mmio_create(&vm, 1, SLOT + 0x200, &(struct irq_line){0}, &port), -EINVAL,
                 "no device to belong to");
    cr_assert_eq(rig_device("virtio-serial-device", ""), 0);
    port.options = odd;
    cr_expect_eq(virtio_mmio_create(&vm, 1, SLOT + 0x200, &(struct irq_line){0}, &port), -EINVAL);
    port.options = unknown;
    cr_expect_eq(virtio_mmio_create(&vm, 1, SLOT + 0x200, &(struct irq_line){0}, &port), -EINVAL);
    port.options = none;
    cr_assert_eq(virtio_mmio_create(&vm, 1, SLOT + 0x200, &(struct irq_line){0}, &port), 0);
    char taken[] = "chardev=null,nr=0", high[] = "chardev=null,nr=15";
    port.options = taken;
    cr_expect_eq(virtio_mmio_create(&vm, 2, SLOT + 0x400, &(struct irq_line){0}, &port), -EINVAL);
    port.options = high;
    cr_expect_eq(virtio_mmio_create(&vm, 2, SLOT + 0x400, &(struct irq_line){0}, &port), -EINVAL);
    /* Output nobody reads. */
    struct gqueue in, out;
    start_pair(0, 8, &in, &out);
    round_trip(&out, &(struct gdesc){DATA, 1 << 20, 0, 0}, 1);
}

/* ---- several ports ---- */
#define F_MULTIPORT ((uint64_t)1 << 1)
#define CONTROL (DATA + 0x10000)
enum { C_READY = 0, C_ADD = 1, C_PORT_READY = 3, C_CONSOLE = 4, C_OPEN = 6, C_NAME = 7 };

struct control {
    uint32_t id;
    uint16_t event, value;
};
static struct gqueue control_in, control_out;

static void say(uint32_t id, uint16_t event, uint16_t value)
{
    memcpy(ram(CONTROL), &(struct control){id, event, value}, sizeof(struct control));
    round_trip(&control_out, &(struct gdesc){CONTROL, 8, 0, 0}, 1);
}

static void hear(uint32_t id, uint16_t event, const char *name)
{
    struct control c;
    uint32_t size = round_trip(&control_in, &(struct gdesc){CONTROL, 64, D_WRITE, 0}, 1);

    memcpy(&c, ram(CONTROL), sizeof c);
    cr_expect_eq(size, 8 + strlen(name));
    cr_expect(c.id == id && c.event == event && c.value == 1, "%u %u %u for %u %u", c.id, c.event,
              c.value, id, event);
    cr_expect_eq(memcmp((char *)ram(CONTROL) + 8, name, strlen(name)), 0);
}

Test(virtio_small, ports)
{
    int fd = connect_console();
    char options[] = "chardev=null,name=org.test,nr=3";
    struct vm_device port = {.driver = (char *)(uintptr_t)"virtserialport", .options = options};

    cr_assert_eq(virtio_mmio_create(&vm, 2, SLOT + 0x400, &(struct irq_line){0}, &port), 0);
    cr_assert(device_features() & F_MULTIPORT);
    cr_assert(negotiate(F_V1 | F_MULTIPORT));
    struct gqueue in = queue_set_up(0, 8, RAM_BASE);
    control_in = queue_set_up(2, 8, RAM_BASE + 0x8000);
    control_out = queue_set_up(3, 8, RAM_BASE + 0x10000);
    struct gqueue out3 = queue_set_up(9, 8, RAM_BASE + 0x18000);
    driver_ok();
    say(UINT32_MAX, C_READY, 1);
    hear(0, C_ADD, "");
    hear(3, C_ADD, "");
    say(3, C_PORT_READY, 1);
    hear(3, C_NAME, "org.test");
    hear(3, C_OPEN, "");
    say(0, C_PORT_READY, 1);
    hear(0, C_CONSOLE, "");
    hear(0, C_OPEN, "");
    round_trip(&out3, &(struct gdesc){DATA, 100, 0, 0}, 1);
    /* Input waits until somebody has the port open. */
    publish(&in, put_chain(&in, &(struct gdesc){DATA, 100, D_WRITE, 0}, 1));
    wr(R_NOTIFY, 0);
    cr_assert_eq(write(fd, "early", 5), 5);
    io_settle(); /* the device has it, and has been asked to serve its queue */
    io_settle();
    cr_expect_eq(used_idx(&in), 0, "nobody listens yet");
    say(0, C_OPEN, 1);
    uint32_t got;
    take_used(&in, &got);
    cr_expect_eq(got, 5);
    cr_expect_eq(memcmp(ram(DATA), "early", 5), 0);
    /* Nonsense. */
    say(99, C_OPEN, 1);
    say(2, C_PORT_READY, 1);
    say(UINT32_MAX, 77, 3);
    round_trip(&control_out, &(struct gdesc){CONTROL, 3, 0, 0}, 1);
    for (unsigned i = 0; i < 100; i++) {
        say(UINT32_MAX, C_READY, 1);
    }
    hear(0, C_ADD, "");
    hear(3, C_ADD, "");
    close(fd);
    unlink(path);
}

/* ---- testdev ---- */
Test(virtio_small, testdev)
{
    char options[] = "chardev=ctd";
    struct vm_chardev chardev = {.id = (char *)(uintptr_t)"ctd",
                                 .spec = (char *)(uintptr_t)"testdev"};
    struct vm_device port = {.driver = (char *)(uintptr_t)"virtconsole", .options = options};

    opt.chardev = &chardev;
    opt.nchardevs = 1;
    cr_assert_eq(rig_device("virtio-serial-device", ""), 0);
    cr_assert_eq(virtio_mmio_create(&vm, 1, SLOT + 0x200, &(struct irq_line){0}, &port), 0);
    struct gqueue in, out;
    start_pair(0, 8, &in, &out);
    memcpy(ram(DATA), "12x\n3", 5);
    round_trip(&out, &(struct gdesc){DATA, 5, 0, 0}, 1);
    io_settle();
    cr_expect_eq(exit_status, -1);
    memcpy(ram(DATA), "4q", 2);
    round_trip(&out, &(struct gdesc){DATA, 2, 0, 0}, 1);
    cr_expect(WAIT_FOR(exit_status == (34 << 1 | 1)), "%d", exit_status);
}
