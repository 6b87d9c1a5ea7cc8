/* SPDX-License-Identifier: MIT */
/*
 * The small devices through their registers: PL031 clock and alarm, PL061 pins and power key,
 * fw_cfg items, files and DMA (RAM is a stand-in).
 */
#include "dev_test.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dev/fw_cfg.h"
#include "dev/pl031.h"
#include "dev/pl061.h"
#include "io/io.h"
#include "vm.h"

#define BASE 0x09010000u
#define RAM 0x40000000u

static struct bus *bus;
static struct test_line line;
static struct irq_line irq;

/* Guest RAM for DMA: one page; the translator's hook counts. */
static uint8_t ram_page[4096];
static unsigned dma_notes;

void *ram_ptr(const struct ram *ram, gpa_t gpa, uint64_t len)
{
    (void)ram;
    if (gpa < RAM || gpa - RAM > sizeof ram_page || len > sizeof ram_page - (gpa - RAM)) {
        return NULL;
    }
    return ram_page + (gpa - RAM);
}

void mmu_dma_written(struct vm *vm, gpa_t gpa, uint64_t len)
{
    (void)vm;
    cr_assert(gpa >= RAM && len > 0);
    dma_notes++;
}

static uint32_t rd(unsigned off)
{
    return (uint32_t)test_read(bus, NULL, BASE + off, 4);
}

static void wr(unsigned off, uint32_t v)
{
    test_write(bus, NULL, BASE + off, 4, v);
}

static void setup(void)
{
    bus = test_bus();
    irq = test_line_of(&line);
}

static void teardown(void)
{
    test_bus_end(bus);
}

/* ---- PL031 ---- */
enum {
    RTC_DR = 0,
    RTC_MR = 4,
    RTC_LR = 8,
    RTC_CR = 0xc,
    RTC_IMSC = 0x10,
    RTC_RIS = 0x14,
    RTC_MIS = 0x18,
    RTC_ICR = 0x1c
};

TestSuite(pl031, .init = setup, .fini = teardown);

Test(pl031, tells_host_time_and_can_be_set)
{
    struct pl031 *r;

    cr_assert_eq(pl031_create(bus, BASE, &irq, NULL, &r), 0);
    uint32_t now = (uint32_t)time(NULL);
    cr_expect(rd(RTC_DR) - now <= 1);
    cr_expect_eq(rd(RTC_CR), 1);
    wr(RTC_LR, 1000);
    cr_expect(rd(RTC_DR) - 1000 <= 1);
    cr_expect_eq(rd(RTC_LR), 1000);
    pl031_reset(r);
    cr_expect(rd(RTC_DR) - 1000 <= 1, "reset does not stop the clock");
    cr_expect_eq(rd(0xfe0), 0x31);
    cr_expect_eq(rd(0xff4), 0xf0);
    pl031_destroy(r);
}

Test(pl031, alarm)
{
    struct pl031 *r;
    struct io_loop *io;

    cr_assert_eq(io_loop_create(&io), 0);
    cr_assert_eq(pl031_create(bus, BASE, &irq, io, &r), 0);
    cr_assert_eq(io_loop_start(io), 0);
    wr(RTC_LR, 5000);
    wr(RTC_MR, 5002);
    cr_expect_eq(rd(RTC_RIS), 0);
    for (unsigned i = 0; i < 4000 && rd(RTC_RIS) == 0; i++) {
        usleep(1000);
    }
    cr_expect_eq(rd(RTC_RIS), 1);
    cr_expect_geq(rd(RTC_DR), 5002);
    cr_expect_eq(rd(RTC_MIS), 0);
    cr_expect_not(line.level);
    wr(RTC_IMSC, 1);
    cr_expect(line.level);
    wr(RTC_ICR, 1);
    cr_expect_not(line.level);
    cr_expect_eq(rd(RTC_RIS), 0);
    wr(RTC_MR, rd(RTC_DR));
    cr_expect(line.level, "matching now");
    io_loop_stop(io);
    pl031_destroy(r);
    io_loop_destroy(io);
}

/* ---- PL061 ---- */
enum {
    DATA = 0x3fc,
    DIR = 0x400,
    IS = 0x404,
    IBE = 0x408,
    IEV = 0x40c,
    IE = 0x410,
    G_RIS = 0x414,
    G_MIS = 0x418,
    IC = 0x41c
};
static struct pl061 *gpio;

static void setup_gpio(void)
{
    setup();
    cr_assert_eq(pl061_create(bus, BASE, &irq, NULL, &gpio), 0);
}

static void teardown_gpio(void)
{
    pl061_destroy(gpio);
    teardown();
}

TestSuite(pl061, .init = setup_gpio, .fini = teardown_gpio);

Test(pl061, masked_data_access)
{
    wr(DIR, 0xf0);
    wr(DATA, 0xff);
    cr_expect_eq(rd(DATA), 0xf0, "inputs are not written");
    wr(0x30 << 2, 0x10);
    cr_expect_eq(rd(DATA), 0xd0, "only the pins the address selects");
    pl061_set_input(gpio, 3, true);
    cr_expect_eq(rd(DATA), 0xd8);
    cr_expect_eq(rd(0x08 << 2), 0x08);
    cr_expect_eq(rd(0x07 << 2), 0x00);
    cr_expect_eq(rd(0xfe0), 0x61);
}

Test(pl061, edges)
{
    wr(IE, 0x08);
    wr(IEV, 0x08);
    pl061_set_input(gpio, 3, true);
    cr_expect(line.level);
    cr_expect_eq(rd(G_MIS), 0x08);
    wr(IC, 0x08);
    cr_expect_not(line.level);
    pl061_set_input(gpio, 3, false);
    cr_expect_not(line.level, "rising edges only");
    wr(IEV, 0);
    pl061_set_input(gpio, 3, true);
    cr_expect_not(line.level);
    pl061_set_input(gpio, 3, false);
    cr_expect(line.level, "falling");
    wr(IC, 0xff);
    wr(IBE, 0x08);
    pl061_set_input(gpio, 3, true);
    cr_expect_eq(rd(G_RIS), 0x08, "both");
    wr(IC, 0xff);
    wr(IE, 0);
    pl061_set_input(gpio, 3, false);
    cr_expect_eq(rd(G_RIS), 0x08);
    cr_expect_not(line.level, "masked");
}

Test(pl061, levels)
{
    wr(IS, 0x02);
    wr(IEV, 0x02);
    wr(IE, 0x02);
    pl061_set_input(gpio, 1, true);
    cr_expect(line.level);
    wr(IC, 0x02);
    cr_expect(line.level, "cannot be cleared while it lasts");
    pl061_set_input(gpio, 1, false);
    cr_expect_not(line.level);
    wr(IEV, 0);
    cr_expect(line.level, "active low");
}

Test(pl061, power_key_pulse)
{
    wr(IE, 0x08);
    wr(IBE, 0x08);
    line.raised = 0;
    pl061_pulse(gpio, 3);
    cr_expect(line.level);
    cr_expect_eq(rd(DATA) & 8, 0, "let go again");
    pl061_reset(gpio);
    cr_expect_not(line.level);
}

/* ---- fw_cfg ---- */
static struct vm vm;
static struct fw_cfg *fw;

static void setup_fw(void)
{
    setup();
    vm = (struct vm){.bus = bus, .ncpus = 3, .ram = {.base = RAM, .size = 64 << 20}};
    memset(ram_page, 0xee, sizeof ram_page);
    cr_assert_eq(fw_cfg_create(&vm, BASE, &fw), 0);
}

static void teardown_fw(void)
{
    fw_cfg_destroy(fw);
    teardown();
}

TestSuite(fw_cfg, .init = setup_fw, .fini = teardown_fw);

static void fw_select(unsigned key)
{
    test_write(bus, NULL, BASE + 8, 2, htobe16((uint16_t)key));
}

static uint8_t fw_byte(void)
{
    return (uint8_t)test_read(bus, NULL, BASE, 1);
}

Test(fw_cfg, signature_and_id)
{
    fw_select(0);
    cr_expect_eq(fw_byte(), 'Q');
    cr_expect_eq(fw_byte(), 'E');
    cr_expect_eq(fw_byte(), 'M');
    cr_expect_eq(fw_byte(), 'U');
    cr_expect_eq(fw_byte(), 0, "zeros after the end");
    fw_select(1);
    cr_expect_eq(test_read(bus, NULL, BASE, 4), 3, "little-endian item, DMA present");
    fw_select(0);
    cr_expect_eq(test_read(bus, NULL, BASE, 8), 0x554d4551, "bytes in memory order");
    fw_select(3);
    cr_expect_eq(test_read(bus, NULL, BASE, 8), 64 << 20);
    fw_select(5);
    cr_expect_eq(test_read(bus, NULL, BASE, 2), 3);
    fw_select(0x3fff);
    cr_expect_eq(test_read(bus, NULL, BASE, 8), 0, "no such item");
    cr_expect_eq(be64toh(test_read(bus, NULL, BASE + 16, 8)), 0x51454d5520434647);
}

/* Find a file by walking the directory through the data register. */
static unsigned fw_find(const char *name, uint32_t *size)
{
    char entry[56];

    fw_select(0x19);
    uint32_t n = be32toh((uint32_t)test_read(bus, NULL, BASE, 4));
    while (n-- > 0) {
        *size = be32toh((uint32_t)test_read(bus, NULL, BASE, 4));
        unsigned key = be16toh((uint16_t)test_read(bus, NULL, BASE, 2));
        test_read(bus, NULL, BASE, 2);
        for (unsigned i = 0; i < sizeof entry; i++) {
            entry[i] = (char)fw_byte();
        }
        if (strcmp(entry, name) == 0) {
            return key;
        }
    }
    return 0;
}

Test(fw_cfg, files)
{
    uint32_t size = 0;

    cr_assert_eq(fw_cfg_add_file(fw, "etc/test", "hello", 5), 0);
    cr_expect_eq(fw_cfg_add_file(fw, "etc/test", "again", 5), -EEXIST);
    cr_expect_eq(
        fw_cfg_add_file(fw, "a-name-that-is-longer-than-fifty-five-characters-is-refused", "", 0),
        -ENAMETOOLONG);
    unsigned key = fw_find("etc/test", &size);
    cr_assert_geq(key, 0x20);
    cr_expect_eq(size, 5);
    fw_select(key);
    cr_expect_eq(fw_byte(), 'h');
    cr_expect_geq(fw_find("opt/umbra/version", &size), 0x20);
    int err = 0;
    for (unsigned i = 0; i < 100 && err == 0; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%u", i);
        err = fw_cfg_add_file(fw, name, &i, sizeof i);
    }
    cr_expect_eq(err, -ENOSPC, "bounded");
}

static uint32_t fw_dma(uint32_t control, uint32_t len, uint64_t addr)
{
    uint32_t c = htobe32(control), l = htobe32(len);
    uint64_t a = htobe64(addr);

    memcpy(ram_page, &c, 4);
    memcpy(ram_page + 4, &l, 4);
    memcpy(ram_page + 8, &a, 8);
    test_write(bus, NULL, BASE + 16, 4, htobe32(0));
    test_write(bus, NULL, BASE + 20, 4, htobe32(RAM));
    memcpy(&c, ram_page, 4);
    return be32toh(c);
}

Test(fw_cfg, dma)
{
    cr_expect_eq(fw_dma(8 | 2, 6, RAM + 64), 0, "select and read");
    cr_expect_arr_eq(ram_page + 64, "QEMU\0\0", 6, "zeros after the end");
    cr_expect_eq(ram_page[70], 0xee);
    cr_expect_eq(dma_notes, 3, "data, zeros and the status");
    cr_expect_eq(fw_dma(8, 0, 0), 0, "select only");
    cr_expect_eq(fw_dma(4, 2, 0), 0, "skip");
    cr_expect_eq(fw_dma(2, 1, RAM + 64), 0);
    cr_expect_eq(ram_page[64], 'M');
    cr_expect_eq(fw_dma(16, 4, RAM + 64), 1, "items are read-only");
    cr_expect_eq(fw_dma(8 | 2, 4, 0x1000), 1, "not RAM");
    cr_expect_eq(fw_dma(8 | 2, 0xffffffff, RAM + 64), 1, "longer than RAM");
    cr_expect_eq(fw_dma(8 | 4, 0xffffffff, 0), 0);
    cr_expect_eq(fw_dma(2, 4, RAM + 64), 0);
    cr_expect_arr_eq(ram_page + 64, "\0\0\0\0", 4, "skipped to the end");
    test_write(bus, NULL, BASE + 16, 8, htobe64(0x1000)); /* a request nowhere: ignored */
    test_write(bus, NULL, BASE + 16, 8, htobe64(RAM + sizeof ram_page - 8));
}
