/* SPDX-License-Identifier: MIT */
/*
 * PL011 through its registers: FIFO depths and flags, receive, transmit and time-out interrupts,
 * masking, overrun, loop back, back-pressure of the back end.
 */
#include "dev_test.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dev/pl011.h"
#include "io/chardev.h"
#include "io/io.h"

#define BASE 0x09000000u
enum {
    DR = 0, RSR = 4, FR = 0x18, IBRD = 0x24, FBRD = 0x28, LCR_H = 0x2c, CR = 0x30, IFLS = 0x34,
    IMSC = 0x38, RIS = 0x3c, MIS = 0x40, ICR = 0x44,
};
enum { FR_BUSY = 8, FR_RXFE = 0x10, FR_TXFF = 0x20, FR_RXFF = 0x40, FR_TXFE = 0x80 };
enum { RX = 0x10, TX = 0x20, RT = 0x40, OE = 0x400 };

static struct bus *bus;
static struct pl011 *uart;
static struct test_line line;

static uint32_t rd(unsigned off)
{
    return (uint32_t)test_read(bus, NULL, BASE + off, 4);
}

static void wr(unsigned off, uint32_t v)
{
    test_write(bus, NULL, BASE + off, 4, v);
}

static void receive(const char *s)
{
    pl011_receive(uart, (const uint8_t *)s, strlen(s));
}

static void setup(void)
{
    struct irq_line l = test_line_of(&line);

    bus = test_bus();
    cr_assert_eq(pl011_create(bus, BASE, &l, NULL, NULL, &uart), 0);
}

static void teardown(void)
{
    pl011_destroy(uart);
    test_bus_end(bus);
}

TestSuite(pl011, .init = setup, .fini = teardown);

Test(pl011, reset_values)
{
    cr_expect_eq(rd(CR), 0x300);
    cr_expect_eq(rd(IFLS), 0x12);
    cr_expect_eq(rd(FR) & 0xf8, FR_RXFE | FR_TXFE);
    cr_expect_eq(rd(RIS), 0);
    cr_expect_eq(rd(DR), 0, "empty");
    static const uint32_t id[] = {0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1};
    for (unsigned i = 0; i < 8; i++) {
        cr_expect_eq(rd(0xfe0 + 4 * i), id[i]);
    }
}

Test(pl011, registers_keep_their_bits)
{
    wr(IBRD, 0x12345);
    wr(FBRD, 0xff);
    wr(IMSC, 0xffff);
    cr_expect_eq(rd(IBRD), 0x2345);
    cr_expect_eq(rd(FBRD), 0x3f);
    cr_expect_eq(rd(IMSC), 0x7ff);
    wr(RIS, 0x7ff);
    wr(FR, 0);
    cr_expect_eq(rd(RIS), 0, "read-only");
    wr(0x800, 1);
    cr_expect_eq(rd(0x800), 0, "reserved");
}

Test(pl011, one_byte_without_fifo)
{
    cr_expect_eq(pl011_room(uart), 1);
    wr(IMSC, RX);
    receive("a");
    cr_expect_eq(rd(FR) & (FR_RXFE | FR_RXFF), FR_RXFF);
    cr_expect_eq(pl011_room(uart), 0);
    cr_expect(line.level);
    cr_expect_eq(rd(MIS), RX);
    cr_expect_eq(rd(DR), 'a');
    cr_expect_not(line.level);
    cr_expect_eq(rd(FR) & (FR_RXFE | FR_RXFF), FR_RXFE);
}

Test(pl011, fifo_trigger_and_timeout)
{
    wr(LCR_H, 0x70);
    wr(IFLS, 2 << 3); /* half: 8 */
    wr(IMSC, RX | RT);
    cr_expect_eq(pl011_room(uart), 16);
    receive("1234567");
    cr_expect_eq(rd(RIS) & RX, 0, "below the trigger");
    cr_expect_eq(rd(RIS) & RT, RT, "but it does not wait for ever");
    cr_expect(line.level);
    wr(ICR, RT);
    cr_expect_not(line.level);
    receive("8");
    cr_expect_eq(rd(RIS) & RX, RX);
    for (char c = '1'; c <= '8'; c++) {
        cr_expect_eq(rd(DR), (uint32_t)c);
    }
    cr_expect_eq(rd(RIS) & (RX | RT), 0, "empty: both gone");
    cr_expect_not(line.level);
}

Test(pl011, overrun)
{
    wr(LCR_H, 0x10);
    receive("0123456789abcdef");
    cr_expect_eq(rd(FR) & FR_RXFF, FR_RXFF);
    cr_expect_eq(pl011_room(uart), 0);
    receive("x");
    cr_expect_eq(rd(RIS) & OE, OE);
    cr_expect_eq(rd(RSR) & 8, 8);
    wr(RSR, 0);
    cr_expect_eq(rd(RSR), 0);
    for (unsigned i = 0; i < 16; i++) {
        cr_expect_eq(rd(DR), (uint32_t)"0123456789abcdef"[i]);
    }
    receive("y");
    cr_expect_eq(rd(DR), ('y' | 1u << 11), "the next one carries the mark");
    receive("z");
    cr_expect_eq(rd(DR), 'z');
}

Test(pl011, transmit_interrupt)
{
    wr(IMSC, TX);
    cr_expect_not(line.level, "not by enabling it");
    wr(DR, 'x');
    cr_expect(line.level);
    cr_expect_eq(rd(FR) & (FR_TXFE | FR_TXFF | FR_BUSY), FR_TXFE);
    wr(ICR, TX);
    cr_expect_not(line.level);
    wr(IMSC, 0);
    wr(DR, 'y');
    cr_expect_eq(rd(RIS), TX);
    cr_expect_eq(rd(MIS), 0);
    cr_expect_not(line.level);
}

Test(pl011, loop_back)
{
    wr(LCR_H, 0x10);
    wr(CR, 0x381);
    for (const char *p = "loop"; *p; p++) {
        wr(DR, (uint32_t)*p);
    }
    for (const char *p = "loop"; *p; p++) {
        cr_expect_eq(rd(DR), (uint32_t)*p);
    }
    cr_expect_eq(pl011_room(uart), 0, "the line is cut off");
}

Test(pl011, switching_fifos_empties_them)
{
    wr(LCR_H, 0x10);
    receive("abc");
    wr(LCR_H, 0);
    cr_expect_eq(rd(FR) & FR_RXFE, FR_RXFE);
    cr_expect_eq(rd(RIS) & (RX | RT), 0);
}

Test(pl011, reset)
{
    wr(IMSC, 0x7ff);
    receive("a");
    cr_assert(line.level);
    pl011_reset(uart);
    cr_expect_not(line.level);
    cr_expect_eq(rd(IMSC), 0);
    cr_expect_eq(rd(FR) & FR_RXFE, FR_RXFE);
}

/* ---- with a back end ---- */
TestSuite(pl011_serial);

static void wait_for(bool (*done)(void))
{
    for (unsigned i = 0; i < 2000 && !done(); i++) {
        usleep(1000);
    }
}

static bool has_input(void)
{
    return !(rd(FR) & FR_RXFE);
}

static bool tx_full(void)
{
    return rd(FR) & FR_TXFF;
}

static bool tx_empty(void)
{
    return rd(FR) & FR_TXFE;
}

static struct io_loop *io;
static struct chardev *chr;
static int peer;

/* A UART whose back end is a Unix socket that the test holds the other end of. */
static void connect_uart(void)
{
    struct irq_line l = test_line_of(&line);
    char spec[128], path[64];

    snprintf(path, sizeof path, "/tmp/umbra-test-uart.%d", (int)getpid());
    snprintf(spec, sizeof spec, "unix:%s,server,nowait", path);
    bus = test_bus();
    cr_assert_eq(io_loop_create(&io), 0);
    cr_assert_eq(chardev_open(io, spec, &chr), 0);
    cr_assert_eq(pl011_create(bus, BASE, &l, io, chr, &uart), 0);
    cr_assert_eq(io_loop_start(io), 0);
    wr(LCR_H, 0x10);

    struct sockaddr_storage ss = {.ss_family = AF_UNIX};
    strcpy((char *)&ss + offsetof(struct sockaddr, sa_data), path);
    peer = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(connect(peer, (struct sockaddr *)&ss,
                         (socklen_t)(offsetof(struct sockaddr, sa_data) + strlen(path) + 1)),
                 0);
}

static void disconnect_uart(void)
{
    close(peer);
    io_loop_stop(io);
    chardev_close(chr);
    pl011_destroy(uart);
    io_loop_destroy(io);
    test_bus_end(bus);
}

Test(pl011_serial, both_directions_and_more_than_a_fifo)
{
    char text[200], got[200];

    connect_uart();
    for (unsigned i = 0; i < sizeof text; i++) {
        text[i] = (char)('!' + i % 90);
    }
    cr_assert_eq(write(peer, text, sizeof text), (ssize_t)sizeof text);
    for (unsigned i = 0; i < sizeof text; i++) {
        wait_for(has_input);
        got[i] = (char)rd(DR);
    }
    cr_expect_arr_eq(got, text, sizeof text, "nothing lost although only 16 fit");
    for (unsigned i = 0; i < sizeof text; i++) {
        wait_for(tx_empty);
        wr(DR, (uint8_t)text[i]);
    }
    memset(got, 0, sizeof got);
    for (size_t n = 0; n < sizeof got;) {
        ssize_t k = read(peer, got + n, sizeof got - n);
        cr_assert_gt(k, 0);
        n += (size_t)k;
    }
    cr_expect_arr_eq(got, text, sizeof text);
    disconnect_uart();
}

Test(pl011_serial, a_reader_that_stalls_fills_the_fifo_and_loses_nothing, .timeout = 30)
{
    size_t sent = 0;
    uint8_t buf[65536];

    connect_uart();
    /* An answer shows that the back end has accepted us. */
    cr_assert_eq(write(peer, "x", 1), 1);
    wait_for(has_input);
    cr_assert_eq(rd(DR), 'x');
    while (sent < 4u << 20) {
        if (tx_full()) {
            usleep(20000); /* full for good, or was the I/O thread only late? */
            if (tx_full()) {
                break;
            }
        }
        wr(DR, (uint8_t)(sent % 251));
        sent++;
    }
    cr_assert(tx_full(), "the buffers are bounded");
    size_t got = 0;
    while (got < sent) {
        ssize_t n = read(peer, buf, sizeof buf);
        cr_assert_gt(n, 0);
        for (ssize_t i = 0; i < n; i++) {
            cr_assert_eq(buf[i], (uint8_t)((got + (size_t)i) % 251));
        }
        got += (size_t)n;
    }
    cr_expect_eq(got, sent);
    wait_for(tx_empty);
    cr_expect(tx_empty());
    disconnect_uart();
}

Test(pl011_serial, a_window_on_the_console_sees_output_and_types)
{
    uint8_t text[200], got[300];
    uint64_t from = 0;

    connect_uart();
    cr_assert_eq(chardev_record(chr), 0);
    cr_expect_eq(chardev_recorded(chr, &from, got, sizeof got), 0u);
    for (unsigned i = 0; i < sizeof text; i++) {
        text[i] = (uint8_t)('!' + i % 90);
        wait_for(tx_empty);
        wr(DR, text[i]);
    }
    cr_expect_eq(chardev_recorded(chr, &from, got, 150), 150u, "as much as is asked for");
    cr_expect_eq(chardev_recorded(chr, &from, got + 150, 150), 50u, "then the rest");
    cr_expect_eq(from, 200u);
    cr_expect_arr_eq(got, text, sizeof text);
    from = 1000;
    cr_expect_eq(chardev_recorded(chr, &from, got, sizeof got), 200u, "no such byte");

    /* The FIFO takes 16, the UART asks for the others as it is read. */
    cr_expect_eq(chardev_type(chr, text, sizeof text), sizeof text);
    for (unsigned i = 0; i < sizeof text; i++) {
        wait_for(has_input);
        cr_assert_eq(rd(DR), text[i]);
    }
    disconnect_uart();
}

Test(pl011_serial, a_window_forgets_the_oldest_and_takes_a_bounded_number_of_keys)
{
    static uint8_t bytes[5000], got[CHARDEV_RECORD + 1];
    uint64_t from = 0;

    connect_uart();
    cr_assert_eq(chardev_record(chr), 0);
    shutdown(peer, SHUT_RDWR); /* nobody reads: output is dropped, but recorded */
    for (unsigned i = 0; i < CHARDEV_RECORD + 7; i++) {
        uint8_t c = (uint8_t)(i % 251);
        while (chardev_write(chr, &c, 1) == 0) {
            usleep(1000);
        }
    }
    cr_assert_eq(chardev_recorded(chr, &from, got, sizeof got), CHARDEV_RECORD);
    for (unsigned i = 0; i < CHARDEV_RECORD; i++) {
        cr_assert_eq(got[i], (i + 7) % 251);
    }
    cr_expect_eq(from, CHARDEV_RECORD + 7);
    size_t taken = chardev_type(chr, bytes, sizeof bytes);
    cr_expect_eq(taken, 4096u);
    disconnect_uart();
}

Test(pl011_serial, receive_timeout_interrupt_comes_by_itself)
{
    connect_uart();
    wr(IFLS, 4 << 3);
    wr(IMSC, RT);
    cr_assert_eq(write(peer, "q", 1), 1);
    for (unsigned i = 0; i < 2000 && !(rd(MIS) & RT); i++) {
        usleep(1000);
    }
    cr_expect_eq(rd(MIS), RT);
    cr_expect_eq(rd(DR), 'q');
    cr_expect_eq(rd(MIS), 0);
    disconnect_uart();
}

Test(pl011_serial, a_client_may_leave_and_another_come)
{
    connect_uart();
    cr_assert_eq(write(peer, "1", 1), 1);
    wait_for(has_input);
    cr_assert_eq(rd(DR), '1');
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    cr_assert_eq(getpeername(peer, (struct sockaddr *)&ss, &len), 0);
    close(peer);
    for (unsigned i = 0; i < 100000; i++) {
        wr(DR, 'z'); /* nobody reads: thrown away, never stuck */
    }
    peer = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(connect(peer, (struct sockaddr *)&ss, len), 0);
    cr_assert_eq(write(peer, "2", 1), 1);
    wait_for(has_input);
    cr_expect_eq(rd(DR), '2');
    disconnect_uart();
}
