/* SPDX-License-Identifier: MIT */
/*
 * Empty virtio-mmio slots, virtio-rng, and virtio-console with a socket as its other end.
 */
#include "virtio_rig.h"

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
    cr_expect_eq(rd(R_CONFIG + 4), 1, "one port");
    struct gqueue in, out;
    start_pair(0, 8, &in, &out);
    memcpy(ram(DATA), "hello", 5);
    round_trip(&out, (struct gdesc[]){{DATA, 2, 0, 0}, {DATA + 2, 3, 0, 0}}, 2);
    read_all(fd, (uint8_t *)text, 5);
    cr_expect_str_eq(text, "hello");

    cr_assert_eq(write(fd, "world", 5), 5);
    usleep(20000);
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
    usleep(50000);
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
    usleep(20000);
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
    char none[] = "chardev=null", odd[] = "chardev=pigeon", unknown[] = "nr=1";

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
    cr_expect_eq(virtio_mmio_create(&vm, 2, SLOT + 0x400, &(struct irq_line){0}, &port), -EINVAL,
                 "the port is taken");
    /* Output nobody reads. */
    struct gqueue in, out;
    start_pair(0, 8, &in, &out);
    round_trip(&out, &(struct gdesc){DATA, 1 << 20, 0, 0}, 1);
}
