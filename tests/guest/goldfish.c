/* SPDX-License-Identifier: MIT */
/*
 * The devices of the Android emulator's board: that each is where its driver looks, and that its
 * interrupt is the one of the device tree. Then, with events=1, it draws a picture, says READY, and
 * prints what the events device reports until the key Q comes. Not in `list`: it needs -M ranchu,
 * with prop=a.b=c, and a driver that looks and types (tests/system/ranchu.py).
 */
#include "lib/guest.h"

const char payload_name[] = "goldfish";

#define GICD       0x08000000u
#define GICD_PEND  (GICD + 0x200)
#define FB         0x09010000u
#define BATTERY    0x09020000u
#define AUDIO      0x09030000u
#define EVENTS     0x09040000u
#define RTC        0x09050000u
#define PL031      0x09060000u
#define PIPE       0x0a010000u

enum { SPI_FB = 2, SPI_AUDIO = 4, SPI_EVENTS = 5, SPI_PIPE = 6, SPI_RTC = 7 };
enum { PIPE_OPEN = 1, PIPE_CLOSE, PIPE_POLL, PIPE_WRITE, PIPE_WAKE_ON_WRITE, PIPE_READ,
       PIPE_WAKE_ON_READ };

#define KEY_Q        16u
#define PAGE_ABSDATA 0x20003u
#define CHANNEL      0x1234u

static bool pending(unsigned spi)
{
    unsigned id = 32 + spi;

    return load32(GICD_PEND + id / 32 * 4) >> id % 32 & 1;
}

static bool soon(unsigned spi)
{
    uint64_t limit = now() + (uint64_t)2000 * ticks_per_ms();

    while (!pending(spi) && now() < limit) {
    }
    return pending(spi);
}

static uint16_t *draw(uint32_t width, uint32_t height)
{
    uint16_t *p = mem_alloc((size_t)width * height * 2, PAGE_SIZE);

    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            p[y * width + x] = x < width / 2 ? 0xf800 : y < height / 2 ? 0x07e0 : 0x001f;
        }
    }
    return p;
}

static void check_screen(void)
{
    uint32_t width = load32(FB), height = load32(FB + 4);

    tap_ok(width >= 16 && width <= 4096 && height >= 16 && height <= 4096, "size of the screen");
    tap_eq(load32(FB + 0x24), 4, "pixels of 16 bits");
    store32(FB + 0x0c, 2);
    tap_ok(!pending(SPI_FB), "no interrupt before there is a picture");
    store32(FB + 0x10, (uint32_t)draw(width, height));
    tap_ok(soon(SPI_FB), "an interrupt when it is shown");
    tap_eq(load32(FB + 8), 2, "which is the base's");
    tap_ok(!pending(SPI_FB), "and ends");
}

static void check_battery(void)
{
    tap_eq(load32(BATTERY + 8), 1, "mains");
    tap_eq(load32(BATTERY + 0x18), 100, "charge");
}

static void check_clocks(void)
{
    uint32_t low = load32(RTC);
    uint64_t ns = (uint64_t)load32(RTC + 4) << 32 | low;
    uint32_t s = load32(PL031);

    tap_ok((uint64_t)(s + 1) * 1000000000u - ns <= 2000000000u, "two clocks agree");
    uint64_t alarm = ns + 20000000;
    store32(RTC + 0x10, 1);
    store32(RTC + 0x0c, (uint32_t)(alarm >> 32));
    store32(RTC + 0x08, (uint32_t)alarm);
    tap_ok(soon(SPI_RTC), "an alarm");
    store32(RTC + 0x1c, 1);
    tap_ok(!pending(SPI_RTC), "that ends");
}

static void check_audio(void)
{
    store32(AUDIO + 0x08, (uint32_t)mem_alloc(PAGE_SIZE, PAGE_SIZE));
    store32(AUDIO + 0x04, 3);
    tap_eq(load32(AUDIO), 3, "both buffers are empty");
    store32(AUDIO + 0x10, PAGE_SIZE);
    tap_eq(load32(AUDIO), 2, "one is full");
    tap_ok(!pending(SPI_AUDIO), "it is played");
    tap_ok(soon(SPI_AUDIO), "to its end");
    tap_eq(load32(AUDIO), 3, "then it is empty");
}

static uint32_t pipe_command(uint32_t command, const void *p, uint32_t size)
{
    store32(PIPE + 0x08, CHANNEL);
    store32(PIPE + 0x0c, size);
    store32(PIPE + 0x10, (uint32_t)p);
    store32(PIPE, command);
    return load32(PIPE + 4);
}

static void check_pipe(void)
{
    static const char name[] = "pipe:qemud:boot-properties", list[] = "0004list",
                      answer[] = "0005a.b=c0001";
    char *buf = mem_alloc(PAGE_SIZE, PAGE_SIZE);

    tap_eq(load32(PIPE + 0x24), 1, "version of the pipe");
    tap_eq(pipe_command(PIPE_OPEN, NULL, 0), 0, "open");
    tap_eq(pipe_command(PIPE_WRITE, memcpy(buf, name, sizeof name), sizeof name), sizeof name,
           "connect");
    tap_eq(pipe_command(PIPE_WAKE_ON_READ, NULL, 0), 0, "wait");
    tap_ok(!pending(SPI_PIPE), "for nothing");
    tap_eq(pipe_command(PIPE_WRITE, memcpy(buf, list, 8), 8), 8, "ask");
    tap_ok(soon(SPI_PIPE), "an interrupt when it can be read");
    tap_eq(load32(PIPE + 8), CHANNEL, "whose");
    tap_eq(load32(PIPE + 0x14), 2, "and why");
    tap_eq(pipe_command(PIPE_READ, buf, PAGE_SIZE), sizeof answer, "read");
    tap_ok(memcmp(buf, answer, sizeof answer) == 0, "the property");
    tap_eq(pipe_command(PIPE_CLOSE, NULL, 0), 0, "close");
}

static void report_events(void)
{
    print("READY\n");
    for (;;) {
        while (!pending(SPI_EVENTS)) {
        }
        uint32_t type = load32(EVENTS), code = load32(EVENTS), value = load32(EVENTS);
        print("EVENT %u %u %u\n", type, code, value);
        if (type == 1 && code == KEY_Q && value == 1) {
            return;
        }
    }
}

void payload_main(void)
{
    check_screen();
    check_battery();
    check_clocks();
    check_audio();
    check_pipe();
    store32(EVENTS, PAGE_ABSDATA);
    tap_ok(load32(EVENTS + 4) >= 0x37 * 16, "ranges of axes");
    if (param("events", 0) != 0) {
        report_events();
        tap_ok(true, "events");
    }
    tap_finish();
}
