/* SPDX-License-Identifier: MIT */
/*
 * virtio-input and the way of keys, pointer and touches to it: what each device says it can do,
 * what a driver is told of a key, a click, two fingers; what happens without a driver, without
 * room, and to one that asks for nonsense.
 */
#include "virtio_rig.h"

#include "display/input.h"

#include <linux/input-event-codes.h>

#define BUFFERS (RAM_BASE + 0x20000)

static struct gqueue events, status;

static void setup(void)
{
    rig_setup();
    cr_assert_eq(display_create(vm.io, &vm.display), 0);
}

static void teardown(void)
{
    io_loop_stop(vm.io);
    display_destroy(vm.display);
    rig_end();
}

TestSuite(virtio_input, .init = setup, .fini = teardown, .timeout = 60);

/* n event buffers, each in a chain of its own. */
static void give_buffers(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct gdesc d[] = {{BUFFERS + 8 * events.next_desc, 8, D_WRITE, 0}};
        publish(&events, put_chain(&events, d, 1));
    }
    wr(R_NOTIFY, 0);
}

static void start_device(const char *driver)
{
    cr_assert_eq(rig_device(driver, ""), 0);
    start_pair(0, 64, &events, &status);
    give_buffers(64);
}

/* The next event is this one. */
static void expect_event(unsigned type, unsigned code, uint32_t value)
{
    uint32_t len, head = take_used(&events, &len);
    const uint16_t *e = ram(BUFFERS + 8 * head);
    uint32_t v;

    memcpy(&v, e + 2, sizeof v);
    cr_expect_eq(len, 8);
    cr_expect_eq(e[0], type, "type %u instead of %u", e[0], type);
    cr_expect_eq(e[1], code, "code 0x%x instead of 0x%x", e[1], code);
    cr_expect_eq(v, value, "value %u instead of %u", v, value);
    const struct gdesc d[] = {{BUFFERS + 8 * events.next_desc, 8, D_WRITE, 0}};
    publish(&events, put_chain(&events, d, 1));
}

static void expect_end(void)
{
    expect_event(EV_SYN, SYN_REPORT, 0);
}

static unsigned config_select(unsigned select, unsigned subsel)
{
    test_write(vm.bus, NULL, SLOT + R_CONFIG, 1, select);
    test_write(vm.bus, NULL, SLOT + R_CONFIG + 1, 1, subsel);
    return (unsigned)test_read(vm.bus, NULL, SLOT + R_CONFIG + 2, 1);
}

static unsigned config_byte(unsigned i)
{
    return (unsigned)test_read(vm.bus, NULL, SLOT + R_CONFIG + 8 + i, 1);
}

static bool can(unsigned type, unsigned code)
{
    return config_select(0x11, type) > code / 8 && (config_byte(code / 8) >> code % 8 & 1);
}

Test(virtio_input, what_a_keyboard_can)
{
    start_device("virtio-keyboard-device");
    cr_expect_eq(rd(R_DEVICE_ID), 18);
    cr_expect_gt(config_select(1, 0), 10, "name");
    cr_expect_eq(config_byte(0), 'U');
    cr_expect_eq(config_select(3, 0), 8, "numbers");
    cr_expect_eq(config_select(0x10, 0), 0, "no property");
    cr_expect(can(EV_KEY, KEY_A));
    cr_expect(can(EV_KEY, KEY_POWER));
    cr_expect_not(can(EV_KEY, BTN_LEFT));
    cr_expect(can(EV_REP, REP_DELAY));
    cr_expect(can(EV_LED, LED_CAPSL));
    cr_expect_eq(config_select(0x11, EV_ABS), 0);
    cr_expect_eq(config_select(0x12, ABS_X), 0);
}

Test(virtio_input, what_a_tablet_can)
{
    start_device("virtio-tablet-device");
    cr_expect(can(EV_KEY, BTN_LEFT));
    cr_expect(can(EV_REL, REL_WHEEL));
    cr_expect_not(can(EV_REL, REL_X));
    cr_expect(can(EV_ABS, ABS_Y));
    cr_expect_eq(config_select(0x12, ABS_X), 20);
    cr_expect_eq(config_byte(0), 0);
    cr_expect_eq(config_byte(4) | config_byte(5) << 8, 32767);
    cr_expect_eq(config_select(0x12, ABS_Z), 0);
}

Test(virtio_input, what_a_touch_screen_can)
{
    start_device("virtio-multitouch-device");
    cr_expect(can(EV_ABS, ABS_MT_SLOT));
    cr_expect(can(EV_ABS, ABS_MT_POSITION_X));
    cr_expect(can(EV_ABS, ABS_MT_TRACKING_ID));
    cr_expect_not(can(EV_ABS, ABS_MT_PRESSURE));
    cr_expect_eq(config_select(0x12, ABS_MT_SLOT), 20);
    cr_expect_eq(config_byte(4), 9);
    cr_expect_eq(config_select(0x10, 0), 1);
    cr_expect_eq(config_byte(0), 1u << INPUT_PROP_DIRECT);
}

Test(virtio_input, keys)
{
    start_device("virtio-keyboard-device");
    cr_expect(input_key(vm.display, KEY_A, true));
    expect_event(EV_KEY, KEY_A, 1);
    expect_end();
    take_interrupt();
    cr_expect(input_key(vm.display, KEY_A, false));
    expect_event(EV_KEY, KEY_A, 0);
    expect_end();
    cr_expect_not(input_pointer(vm.display, 1, 1, 0), "no pointer");
    cr_expect_not(input_touch(vm.display, INPUT_TOUCH_BEGIN, 0, 1, 1), "no touch screen");
}

Test(virtio_input, chords_are_held)
{
    const uint16_t chord[] = {KEY_LEFTCTRL, KEY_C}, next[] = {KEY_B};
    struct timespec from, to;

    start_device("virtio-keyboard-device");
    clock_gettime(CLOCK_MONOTONIC, &from);
    cr_expect_eq(input_chord(vm.display, chord, 2, 50), 0);
    cr_expect_eq(input_chord(vm.display, next, 1, 0), 0);
    expect_event(EV_KEY, KEY_LEFTCTRL, 1);
    expect_end();
    expect_event(EV_KEY, KEY_C, 1);
    expect_end();
    expect_event(EV_KEY, KEY_C, 0);
    clock_gettime(CLOCK_MONOTONIC, &to);
    long ms = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
    cr_expect_geq(ms, 49);
    expect_end();
    expect_event(EV_KEY, KEY_LEFTCTRL, 0);
    expect_end();
    expect_event(EV_KEY, KEY_B, 1);
    expect_end();
    expect_event(EV_KEY, KEY_B, 0);
    expect_end();
    unsigned taken = 0;
    while (taken < 1000 && input_chord(vm.display, next, 1, 60000) == 0) {
        taken++;
    }
    cr_expect_eq(taken, INPUT_CHORDS, "more may not wait");
}

Test(virtio_input, the_pointer)
{
    start_device("virtio-tablet-device");
    cr_expect(input_pointer(vm.display, 100, 200, INPUT_LEFT));
    expect_event(EV_ABS, ABS_X, 100);
    expect_event(EV_ABS, ABS_Y, 200);
    expect_event(EV_KEY, BTN_LEFT, 1);
    expect_end();
    cr_expect(input_pointer(vm.display, 100, 200, INPUT_LEFT), "nothing new: no event");
    cr_expect(input_pointer(vm.display, 99999, 200, 0));
    expect_event(EV_ABS, ABS_X, 32767);
    expect_event(EV_KEY, BTN_LEFT, 0);
    expect_end();
    cr_expect(input_pointer(vm.display, 32767, 200, INPUT_WHEEL_DOWN));
    expect_event(EV_REL, REL_WHEEL, UINT32_MAX);
    expect_end();
    cr_expect(input_pointer(vm.display, 32767, 200, 0));
    cr_expect(input_pointer(vm.display, 32767, 200, INPUT_RIGHT));
    expect_event(EV_KEY, BTN_RIGHT, 1);
    expect_end();
}

static void expect_place(uint32_t x, uint32_t y)
{
    expect_event(EV_ABS, ABS_MT_POSITION_X, x);
    expect_event(EV_ABS, ABS_MT_POSITION_Y, y);
}

Test(virtio_input, two_fingers)
{
    start_device("virtio-multitouch-device");
    cr_expect(input_touch(vm.display, INPUT_TOUCH_BEGIN, 0, 10, 20));
    expect_event(EV_ABS, ABS_MT_SLOT, 0);
    expect_event(EV_ABS, ABS_MT_TRACKING_ID, 0);
    expect_place(10, 20);
    expect_event(EV_ABS, ABS_X, 10);
    expect_event(EV_ABS, ABS_Y, 20);
    expect_event(EV_KEY, BTN_TOUCH, 1);
    expect_end();
    cr_expect(input_touch(vm.display, INPUT_TOUCH_BEGIN, 1, 30, 40));
    expect_event(EV_ABS, ABS_MT_SLOT, 1);
    expect_event(EV_ABS, ABS_MT_TRACKING_ID, 1);
    expect_place(30, 40);
    expect_end();
    cr_expect(input_touch(vm.display, INPUT_TOUCH_MOVE, 1, 31, 41));
    expect_event(EV_ABS, ABS_MT_SLOT, 1);
    expect_place(31, 41);
    expect_end();
    cr_expect(input_touch(vm.display, INPUT_TOUCH_END, 0, 0, 0));
    expect_event(EV_ABS, ABS_MT_SLOT, 0);
    expect_event(EV_ABS, ABS_MT_TRACKING_ID, UINT32_MAX);
    expect_end();
    cr_expect(input_touch(vm.display, INPUT_TOUCH_END, 1, 0, 0));
    expect_event(EV_ABS, ABS_MT_SLOT, 1);
    expect_event(EV_ABS, ABS_MT_TRACKING_ID, UINT32_MAX);
    expect_event(EV_KEY, BTN_TOUCH, 0);
    expect_end();
    cr_expect_not(input_touch(vm.display, INPUT_TOUCH_BEGIN, INPUT_SLOTS, 1, 1));
}

/* Without a tablet the pointer is a finger, while its button is held. */
Test(virtio_input, the_pointer_as_a_finger)
{
    start_device("virtio-multitouch-device");
    cr_expect(input_pointer(vm.display, 5, 6, 0));
    cr_expect(input_pointer(vm.display, 7, 8, INPUT_LEFT));
    expect_event(EV_ABS, ABS_MT_SLOT, 0);
    expect_event(EV_ABS, ABS_MT_TRACKING_ID, 0);
    expect_place(7, 8);
    expect_event(EV_ABS, ABS_X, 7);
    expect_event(EV_ABS, ABS_Y, 8);
    expect_event(EV_KEY, BTN_TOUCH, 1);
    expect_end();
    cr_expect(input_pointer(vm.display, 7, 8, 0));
    expect_event(EV_ABS, ABS_MT_SLOT, 0);
    expect_event(EV_ABS, ABS_MT_TRACKING_ID, UINT32_MAX);
    expect_event(EV_KEY, BTN_TOUCH, 0);
    expect_end();
}

/* ---- bad times ---- */
Test(virtio_input, without_a_driver)
{
    cr_assert_eq(rig_device("virtio-keyboard-device", ""), 0);
    cr_assert(negotiate(F_V1));
    events = queue_set_up(0, 64, RAM_BASE);
    cr_expect(input_key(vm.display, KEY_A, true), "dropped");
    driver_ok();
    give_buffers(64);
    cr_expect(input_key(vm.display, KEY_B, true));
    expect_event(EV_KEY, KEY_B, 1);
    expect_end();
}

/* What there is room for arrives whole and in order; the rest is lost whole. */
Test(virtio_input, without_room)
{
    cr_assert_eq(rig_device("virtio-keyboard-device", ""), 0);
    start_pair(0, 64, &events, &status);
    for (unsigned i = 0; i < 1000; i++) {
        input_key(vm.display, 1 + i % 200, true);
    }
    give_buffers(64);
    for (unsigned i = 0; i < 128; i++) {
        expect_event(EV_KEY, 1 + i % 200, 1);
        expect_end();
        wr(R_NOTIFY, 0);
    }
    input_key(vm.display, KEY_Z, false);
    expect_event(EV_KEY, KEY_Z, 0);
    expect_end();
}

Test(virtio_input, leds_are_taken)
{
    const struct gdesc d[] = {{BUFFERS + 0x1000, 8, 0, 0}};

    start_device("virtio-keyboard-device");
    for (unsigned i = 0; i < 200; i++) {
        round_trip(&status, d, 1);
    }
    cr_expect_not(rd(R_STATUS) & ST_NEEDS_RESET);
}

Test(virtio_input, configuration_nonsense)
{
    start_device("virtio-multitouch-device");
    for (unsigned select = 0; select < 256; select++) {
        for (unsigned subsel = 0; subsel < 256; subsel++) {
            cr_assert_leq(config_select(select, subsel), 128);
        }
    }
    for (unsigned off = 2; off < 0x100; off++) {
        test_write(vm.bus, NULL, SLOT + R_CONFIG + off, 1, 0xff);
    }
    cr_expect_eq(test_read(vm.bus, NULL, SLOT + R_CONFIG + 4, 4), 0, "not the driver's to write");
    test_write(vm.bus, NULL, SLOT + R_CONFIG, 4, 0xffffffff);
    test_write(vm.bus, NULL, SLOT + R_CONFIG + 1, 2, 0xffff);
    test_write(vm.bus, NULL, SLOT + R_CONFIG, 2, EV_KEY << 8 | 0x11);
    cr_expect_gt(test_read(vm.bus, NULL, SLOT + R_CONFIG + 2, 1), BTN_TOUCH / 8);
}

Test(virtio_input, small_buffers)
{
    const struct gdesc d[] = {{BUFFERS, 3, D_WRITE, 0}}, none[] = {{BUFFERS, 8, 0, 0}};
    uint32_t len;

    cr_assert_eq(rig_device("virtio-keyboard-device", ""), 0);
    start_pair(0, 64, &events, &status);
    memset(ram(BUFFERS), 0xee, 8);
    publish(&events, put_chain(&events, d, 1));
    publish(&events, put_chain(&events, none, 1));
    input_key(vm.display, KEY_A, true);
    take_used(&events, &len);
    cr_expect_eq(len, 3);
    cr_expect_eq(((uint8_t *)ram(BUFFERS))[3], 0xee);
    take_used(&events, &len);
    cr_expect_eq(len, 0);
}

/* ---- names ---- */
Test(input, names_of_keys)
{
    bool shift = true;

    cr_expect_eq(input_key_by_name("ret", 3), KEY_ENTER);
    cr_expect_eq(input_key_by_name("ctrl-", 4), KEY_LEFTCTRL);
    cr_expect_eq(input_key_by_name("retu", 4), 0);
    cr_expect_eq(input_key_by_name("", 0), 0);
    cr_expect_eq(input_key_by_symbol('q', &shift), KEY_Q);
    cr_expect_not(shift);
    cr_expect_eq(input_key_by_symbol('!', &shift), KEY_1);
    cr_expect(shift);
    cr_expect_eq(input_key_by_symbol(0xff9e, &shift), KEY_KP0);
    cr_expect_not(shift, "keypad without num lock");
    cr_expect_eq(input_key_by_symbol(0, &shift), 0);
    cr_expect_eq(input_key_by_symbol(0x20ac, &shift), 0);
}
