/* SPDX-License-Identifier: MIT */
/*
 * Goldfish pipe: streams by registers and by parameters in RAM, names that are known and not,
 * framed services, wakes, adb between a guest's pipe and a socket, and guests that mean harm.
 */
#include "goldfish_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

enum { COMMAND = 0, STATUS = 4, CHANNEL = 8, SIZE = 0xc, ADDRESS = 0x10, WAKES = 0x14,
       PARAMS_LOW = 0x18, PARAMS_HIGH = 0x1c, ACCESS = 0x20, VERSION = 0x24 };
enum { OPEN = 1, CLOSE, POLL, WRITE, WAKE_ON_WRITE, READ, WAKE_ON_READ };
enum { INVAL = -1, AGAIN = -2, NOMEM = -3, IO = -4 };

#define BUFFER (RIG_RAM + 0x8000)
#define PARAMS (RIG_RAM + 0x100)

static struct goldfish_pipe *dev;
static char property[2][32] = {"qemu.sf.lcd_density=160", "a.b=c"};
static char *const properties[] = {property[0], property[1]};
static unsigned adb_port;

static unsigned free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static void setup(void)
{
    struct irq_line irq = rig_irq();
    char where[16];

    rig_setup();
    adb_port = free_port();
    snprintf(where, sizeof where, "%u", adb_port);
    const struct goldfish_services services = {.prop = properties, .nprops = 2, .adb = where};
    cr_assert_eq(goldfish_pipe_create(&vm, RIG_DEVICE, &irq, &services, &dev), 0);
}

static void teardown(void)
{
    rig_stop();
    goldfish_pipe_destroy(dev);
    rig_end();
}

TestSuite(goldfish_pipe, .init = setup, .fini = teardown, .timeout = 60);

static int command(uint32_t channel, uint32_t cmd)
{
    wr(CHANNEL, channel);
    wr(COMMAND, cmd);
    return (int)rd(STATUS);
}

static int transfer(uint32_t channel, uint32_t cmd, uint32_t address, uint32_t size)
{
    wr(SIZE, size);
    wr(ADDRESS, address);
    return command(channel, cmd);
}

static int send_bytes(uint32_t channel, const void *p, uint32_t n)
{
    memcpy(rig_ram(BUFFER), p, n);
    return transfer(channel, WRITE, BUFFER, n);
}

static int send_text(uint32_t channel, const char *text)
{
    return send_bytes(channel, text, (uint32_t)strlen(text));
}

static void connect_to(uint32_t channel, const char *name)
{
    uint32_t n = (uint32_t)strlen(name) + 1;

    cr_assert_eq(command(channel, OPEN), 0);
    cr_assert_eq(send_bytes(channel, name, n), (int)n, "%s", name);
}

/* What can be read now is this. */
static void expect_text(uint32_t channel, const char *text, size_t len)
{
    memset(rig_ram(BUFFER), 0xee, 4096);
    cr_assert_eq(transfer(channel, READ, BUFFER, 4096), (int)len);
    cr_expect_arr_eq(rig_ram(BUFFER), text, len);
    cr_expect_eq(*(uint8_t *)rig_ram(BUFFER + len), 0xee);
}

Test(goldfish_pipe, version_and_handles)
{
    cr_expect_eq(rd(VERSION), 1);
    cr_expect_eq(command(5, POLL), INVAL, "not open");
    cr_expect_eq(command(0, OPEN), INVAL, "0 ends lists");
    cr_expect_eq(command(5, OPEN), 0);
    cr_expect_eq(command(5, OPEN), INVAL, "twice");
    cr_expect_eq(command(5, POLL), 2, "may be written to");
    cr_expect_eq(command(5, 99), INVAL);
    cr_expect_eq(command(5, CLOSE), 0);
    cr_expect_eq(command(5, CLOSE), INVAL);
}

Test(goldfish_pipe, names)
{
    static const char *const bad[] = {"pipe:nothing", "qemud:sensors", "", "pipe:qemud:sensorsx",
                                      "pipe:qemud"};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        cr_assert_eq(command(7, OPEN), 0);
        cr_expect_eq(send_bytes(7, bad[i], (uint32_t)strlen(bad[i]) + 1), INVAL, "%s", bad[i]);
        cr_assert_eq(command(7, CLOSE), 0);
    }
    cr_assert_eq(command(7, OPEN), 0);
    cr_expect_eq(send_text(7, "pipe:qemud:"), 11, "in pieces");
    cr_expect_eq(send_bytes(7, "sensors:x\0" "000clist", 18), 10, "up to its end");
    cr_expect_eq(send_text(7, "000clist-sensors"), 16);
    expect_text(7, "00010", 5);
    cr_assert_eq(command(8, OPEN), 0);
    for (unsigned i = 0; i < 12; i++) {
        cr_expect_eq(send_text(8, "0123456789"), 10);
    }
    cr_expect_eq(send_text(8, "0123456789"), INVAL, "no name is that long");
}

Test(goldfish_pipe, boot_properties)
{
    connect_to(0x1000, "pipe:qemud:boot-properties");
    cr_expect_eq(transfer(0x1000, READ, BUFFER, 4), AGAIN);
    cr_expect_eq(command(0x1000, POLL), 2);
    cr_expect_eq(send_text(0x1000, "00"), 2);
    cr_expect_eq(send_text(0x1000, "04li"), 4);
    cr_expect_eq(transfer(0x1000, READ, BUFFER, 4), AGAIN);
    cr_expect_eq(send_text(0x1000, "st"), 2);
    cr_expect_eq(command(0x1000, POLL), 3);
    expect_text(0x1000, "0017qemu.sf.lcd_density=1600005a.b=c0001\0", 41);
    cr_expect_eq(send_text(0x1000, "0003abc0000"), 11, "not understood, not answered");
    cr_expect_eq(transfer(0x1000, READ, BUFFER, 4), AGAIN);
}

Test(goldfish_pipe, parameters_in_ram)
{
    uint32_t *p = rig_ram(PARAMS);

    wr(PARAMS_HIGH, 0);
    wr(PARAMS_LOW, PARAMS);
    cr_expect_eq(rd(PARAMS_LOW), PARAMS);
    cr_expect_eq(rd(PARAMS_HIGH), 0);
    connect_to(9, "pipe:qemud:sensors");
    memcpy(rig_ram(BUFFER), "000clist-sensors", 16);
    const uint32_t write[6] = {9, 16, BUFFER, WRITE, 0xdeadbeef, 0};
    memcpy(p, write, sizeof write);
    wr(ACCESS, WRITE);
    cr_expect_eq(p[4], 16);
    const uint32_t read[6] = {9, 2, BUFFER, READ, 0xdeadbeef, 0};
    memcpy(p, read, sizeof read);
    wr(ACCESS, READ);
    cr_expect_eq(p[4], 2);
    cr_expect_arr_eq(rig_ram(BUFFER), "00", 2);
    p[3] = CLOSE;
    p[4] = 0xdeadbeef;
    wr(ACCESS, CLOSE);
    cr_expect_eq(p[4], 0xdeadbeef, "transfers only");
    wr(PARAMS_LOW, 0x1000);
    wr(ACCESS, READ);
    wr(PARAMS_LOW, RIG_RAM + RIG_BYTES - 8);
    wr(ACCESS, READ);
    wr(PARAMS_HIGH, 0xffffffff);
    wr(ACCESS, READ);
}

Test(goldfish_pipe, wakes)
{
    connect_to(0x111, "pipe:qemud:sensors");
    connect_to(0x222, "pipe:qemud:sensors");
    cr_expect_eq(command(0x111, WAKE_ON_READ), 0);
    cr_expect_eq(command(0x222, WAKE_ON_READ), 0);
    cr_expect_not(rig_level());
    send_text(0x222, "0004wake");
    cr_assert(rig_level());
    cr_expect_eq(rd(CHANNEL), 0x222);
    cr_expect_eq(rd(WAKES), 2);
    cr_expect_eq(rd(CHANNEL), 0);
    cr_expect_not(rig_level());
    cr_expect_eq(command(0x222, WAKE_ON_READ), 0);
    cr_expect(rig_level(), "there is something already");
    cr_expect_eq(command(0x222, WAKE_ON_WRITE), 0);
    send_text(0x111, "0004wake");
    uint32_t first = rd(CHANNEL), first_wakes = rd(WAKES);
    uint32_t second = rd(CHANNEL), second_wakes = rd(WAKES);
    cr_expect(first != second && (first == 0x111 || first == 0x222));
    cr_expect_eq(first_wakes + second_wakes, 2 + 6);
    send_text(0x111, "0004wake");
    cr_expect_not(rig_level(), "waits no longer");
    command(0x111, WAKE_ON_READ);
    cr_expect(rig_level());
    command(0x111, CLOSE);
    cr_expect_not(rig_level());
    goldfish_pipe_reset(dev);
    cr_expect_eq(command(0x222, POLL), INVAL);
}

/* ---- adb ---- */
static int debugger(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)adb_port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

static void wait_readable(uint32_t channel)
{
    for (unsigned i = 0; i < 5000 && !(command(channel, POLL) & 1); i++) {
        usleep(1000);
    }
    cr_assert(command(channel, POLL) & 1);
}

static void expect_from_guest(int fd, const char *text)
{
    char buf[64] = "";
    size_t len = strlen(text);

    cr_assert_eq(recv(fd, buf, len, MSG_WAITALL), (ssize_t)len);
    cr_expect_str_eq(buf, text);
}

static void guest_accepts(uint32_t channel)
{
    connect_to(channel, "pipe:qemud:adb:5555");
    cr_assert_eq(send_text(channel, "accept"), 6);
}

Test(goldfish_pipe, adb_both_ways)
{
    int fd = debugger(); /* before the guest is there */

    send(fd, "CNXN", 4, 0);
    guest_accepts(0xadb);
    wait_readable(0xadb);
    expect_text(0xadb, "ok", 2);
    usleep(20000);
    cr_expect_eq(transfer(0xadb, READ, BUFFER, 4), AGAIN, "not before it starts");
    cr_expect_eq(command(0xadb, WAKE_ON_READ), 0);
    cr_assert_eq(send_text(0xadb, "start"), 5);
    cr_assert(rig_wait_line());
    cr_expect_eq(rd(CHANNEL), 0xadb);
    cr_expect_eq(rd(WAKES), 2);
    expect_text(0xadb, "CNXN", 4);
    send_text(0xadb, "hello");
    expect_from_guest(fd, "hello");
    guest_accepts(0xadc); /* the next debugger */
    int other = debugger();
    wait_readable(0xadc);
    expect_text(0xadc, "ok", 2);
    send_text(0xadc, "start");
    send_text(0xadc, "you");
    expect_from_guest(other, "you");
    close(other);
    command(0xadb, CLOSE);
    char end;
    cr_expect_eq(recv(fd, &end, 1, 0), 0, "the guest has closed it");
    close(fd);
    cr_assert(rig_wait_line());
    cr_expect_eq(rd(CHANNEL), 0xadc);
    cr_expect_eq(rd(WAKES), 1, "the debugger has gone");
    cr_expect_eq(transfer(0xadc, READ, BUFFER, 4), 0);
    cr_expect_eq(send_text(0xadc, "x"), IO);
    cr_expect_eq(command(0xadc, POLL), 4);
}

/* Much more than fits into the buffers, in both directions. */
Test(goldfish_pipe, adb_much)
{
    static uint8_t data[300000], back[300000];
    size_t sent = 0, got = 0, taken = 0;
    int fd = debugger();

    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)(i * 31 + i / 251);
    }
    guest_accepts(0xadb);
    wait_readable(0xadb);
    expect_text(0xadb, "ok", 2);
    send_text(0xadb, "start");
    while (got < sizeof data) {
        if (sent < sizeof data) {
            ssize_t n = send(fd, data + sent, sizeof data - sent, MSG_DONTWAIT);
            sent += n > 0 ? (size_t)n : 0;
        }
        int n = transfer(0xadb, READ, BUFFER, 4096);
        cr_assert(n > 0 || n == AGAIN, "%d", n);
        for (int done = 0; done < n;) { /* back as it came */
            int m = transfer(0xadb, WRITE, BUFFER + (uint32_t)done, (uint32_t)(n - done));
            cr_assert(m > 0 || m == AGAIN);
            done += m > 0 ? m : 0;
            ssize_t r = recv(fd, back + taken, sizeof back - taken, MSG_DONTWAIT);
            taken += r > 0 ? (size_t)r : 0;
        }
        got += n > 0 ? (size_t)n : 0;
    }
    while (taken < sizeof back) {
        ssize_t r = recv(fd, back + taken, sizeof back - taken, 0);
        cr_assert_gt(r, 0);
        taken += (size_t)r;
    }
    cr_expect_eq(memcmp(data, back, sizeof data), 0);
    close(fd);
}

Test(goldfish_pipe, adb_that_is_reset)
{
    int fd = debugger();
    char end;

    guest_accepts(0xadb);
    wait_readable(0xadb);
    send_text(0xadb, "start");
    goldfish_pipe_reset(dev);
    cr_expect_eq(recv(fd, &end, 1, 0), 0);
    close(fd);
    fd = debugger();
    guest_accepts(0xadb);
    wait_readable(0xadb);
    expect_text(0xadb, "ok", 2);
    close(fd);
    for (uint32_t i = 0; i < 15; i++) {
        guest_accepts(0x1000 + i);
    }
    cr_assert_eq(command(0x2000, OPEN), 0);
    cr_expect_eq(send_bytes(0x2000, "pipe:qemud:adb:5555", 20), INVAL, "16 at once");
}

Test(goldfish_pipe, addresses_of_adb)
{
    cr_expect(goldfish_adb_valid("5555"));
    cr_expect(goldfish_adb_valid("0.0.0.0:1"));
    cr_expect(goldfish_adb_valid(":65535"));
    cr_expect_not(goldfish_adb_valid(""));
    cr_expect_not(goldfish_adb_valid("0"));
    cr_expect_not(goldfish_adb_valid("65536"));
    cr_expect_not(goldfish_adb_valid("1.2.3:5"));
    cr_expect_not(goldfish_adb_valid("5555x"));
    cr_expect_not(goldfish_adb_valid("1234567890123456789:5555"));
}

/* ---- guests that mean harm ---- */
Test(goldfish_pipe, transfers_that_are_not_ram)
{
    static const uint32_t bad[] = {0, 0x1000, RIG_RAM - 1, RIG_RAM + RIG_BYTES - 1, 0xffffffff};

    connect_to(3, "pipe:qemud:sensors");
    send_text(3, "000clist-sensors");
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        cr_expect_eq(transfer(3, WRITE, bad[i], 4), INVAL, "0x%x", bad[i]);
        cr_expect_eq(transfer(3, READ, bad[i], 4), INVAL, "0x%x", bad[i]);
    }
    cr_expect_eq(transfer(3, READ, BUFFER, 0), 0);
    cr_expect_eq(transfer(3, WRITE, 0xffffffff, 0), 0);
    expect_text(3, "00010", 5);
    cr_expect_eq(transfer(3, WRITE, RIG_RAM, 0xffffffff), 16384, "as much as there is room for");
}

Test(goldfish_pipe, messages_that_cannot_be)
{
    static const char *const bad[] = {"xxxx", "ffff", "-001a", "00 1a", "1001a"};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        connect_to(4, "pipe:qemud:hw-control");
        send_text(4, bad[i]);
        cr_expect_eq(command(4, POLL) & 4, 4, "%s", bad[i]);
        cr_expect_eq(send_text(4, "0001a"), IO);
        cr_expect_eq(rd(CHANNEL), 4);
        cr_expect_eq(rd(WAKES), 1);
        command(4, CLOSE);
    }
    connect_to(4, "pipe:qemud:boot-properties");
    unsigned asked = 0;
    while (asked < 10000 && send_text(4, "0004list") == 8) { /* and never read */
        asked++;
    }
    cr_expect_lt(asked, 1000);
    cr_expect_eq(command(4, POLL), 1, "what is there can be read");
}

Test(goldfish_pipe, too_many)
{
    unsigned n = 0;

    while (n < 10000 && command(n + 1, OPEN) == 0) {
        n++;
    }
    cr_expect_eq(n, 256);
    cr_expect_eq((int)rd(STATUS), NOMEM);
    cr_expect_eq(command(100, CLOSE), 0);
    cr_expect_eq(command(1000, OPEN), 0);
    rig_abuse(0x2000);
}
