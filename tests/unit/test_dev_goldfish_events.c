/* SPDX-License-Identifier: MIT */
/*
 * Goldfish events: the pages that a driver reads, keys and touches word by word, whole or not at
 * all, and silence until the driver is ready.
 */
#include "goldfish_rig.h"

#include "display/input.h"

#include <linux/input-event-codes.h>

enum { READ = 0, PAGE = 0, LEN = 4, DATA = 8 };
enum { NAME = 0, EVBITS = 0x10000, ABSDATA = 0x20000 | EV_ABS };

static struct goldfish_events *events;

static void setup(void)
{
    struct irq_line irq = rig_irq();

    rig_setup();
    cr_assert_eq(goldfish_events_create(vm.bus, RIG_DEVICE, &irq, vm.display, &events), 0);
}

static void teardown(void)
{
    rig_stop();
    goldfish_events_destroy(events);
    rig_end();
}

TestSuite(goldfish_events, .init = setup, .fini = teardown, .timeout = 60);

static unsigned page_byte(unsigned i)
{
    return (unsigned)test_read(vm.bus, NULL, RIG_DEVICE + DATA + i, 1);
}

static bool can(unsigned type, unsigned code)
{
    wr(PAGE, EVBITS | type);
    return rd(LEN) > code / 8 && (page_byte(code / 8) >> code % 8 & 1);
}

static void driver_starts(void)
{
    wr(PAGE, ABSDATA);
    cr_assert_gt(rd(LEN), ABS_MT_POSITION_Y * 16);
}

static void expect_event(unsigned type, unsigned code, uint32_t value)
{
    cr_assert(rig_level(), "no event");
    uint32_t t = rd(READ), c = rd(READ), v = rd(READ);
    cr_expect_eq(t, type, "type %u instead of %u", t, type);
    cr_expect_eq(c, code, "code 0x%x instead of 0x%x", c, code);
    cr_expect_eq(v, value, "value %u instead of %u", v, value);
}

Test(goldfish_events, pages)
{
    static const char name[] = "qwerty2";

    wr(PAGE, NAME);
    cr_assert_eq(rd(LEN), strlen(name));
    for (unsigned i = 0; i < strlen(name); i++) {
        cr_expect_eq(page_byte(i), (unsigned)name[i]);
    }
    cr_expect(can(EV_SYN, EV_KEY));
    cr_expect(can(EV_SYN, EV_ABS));
    cr_expect_not(can(EV_SYN, EV_REL));
    cr_expect(can(EV_KEY, KEY_POWER));
    cr_expect(can(EV_KEY, KEY_BACK));
    cr_expect(can(EV_KEY, BTN_TOUCH));
    cr_expect_not(can(EV_KEY, BTN_GAMEPAD), "Android would take it for one");
    cr_expect(can(EV_ABS, ABS_MT_POSITION_X));
    cr_expect_not(can(EV_ABS, ABS_Z));
    cr_expect_not(can(EV_SW, 0));
    wr(PAGE, ABSDATA);
    cr_expect_eq(rd(DATA + ABS_X * 16), 0);
    cr_expect_eq(rd(DATA + ABS_X * 16 + 4), INPUT_AXIS_MAX);
    cr_expect_eq(rd(DATA + ABS_MT_SLOT * 16 + 4), INPUT_SLOTS - 1);
    cr_expect_eq(rd(DATA + ABS_Z * 16 + 4), 0);
}

Test(goldfish_events, keys)
{
    cr_expect(input_key(vm.display, KEY_A, true), "dropped");
    driver_starts();
    cr_expect_not(rig_level());
    cr_expect(input_key(vm.display, KEY_B, true));
    expect_event(EV_KEY, KEY_B, 1);
    expect_event(EV_SYN, SYN_REPORT, 0);
    cr_expect_not(rig_level());
    cr_expect_eq(rd(READ), 0);
    cr_expect(input_key(vm.display, KEY_B, false));
    expect_event(EV_KEY, KEY_B, 0);
    goldfish_events_reset(events);
    cr_expect_not(rig_level(), "a reset forgets");
    cr_expect(input_key(vm.display, KEY_C, true));
    cr_expect_not(rig_level());
}

Test(goldfish_events, the_pointer_is_a_finger)
{
    driver_starts();
    cr_expect(input_pointer(vm.display, 100, 200, INPUT_LEFT));
    expect_event(EV_ABS, ABS_MT_SLOT, 0);
    expect_event(EV_ABS, ABS_MT_TRACKING_ID, 0);
    expect_event(EV_ABS, ABS_MT_POSITION_X, 100);
    expect_event(EV_ABS, ABS_MT_POSITION_Y, 200);
    expect_event(EV_ABS, ABS_X, 100);
    expect_event(EV_ABS, ABS_Y, 200);
    expect_event(EV_KEY, BTN_TOUCH, 1);
    expect_event(EV_SYN, SYN_REPORT, 0);
    cr_expect(input_pointer(vm.display, 100, 200, 0));
    expect_event(EV_ABS, ABS_MT_SLOT, 0);
    expect_event(EV_ABS, ABS_MT_TRACKING_ID, UINT32_MAX);
    expect_event(EV_KEY, BTN_TOUCH, 0);
    expect_event(EV_SYN, SYN_REPORT, 0);
    cr_expect_not(rig_level());
}

Test(goldfish_events, what_has_no_room_is_lost_whole)
{
    driver_starts();
    for (unsigned i = 0; i < 1000; i++) {
        input_key(vm.display, 1 + i % 200, true);
    }
    for (unsigned i = 0; i < 128; i++) {
        expect_event(EV_KEY, 1 + i % 200, 1);
        expect_event(EV_SYN, SYN_REPORT, 0);
    }
    cr_expect_not(rig_level());
}

Test(goldfish_events, nonsense)
{
    static const uint32_t page[] = {1, 0xffff, EVBITS | EV_MAX, EVBITS + EV_MAX + 1, 0x20000,
                                    ABSDATA + 1, 0xffffffff, NAME, EVBITS, EVBITS | EV_KEY,
                                    ABSDATA};

    for (unsigned i = 0; i < ARRAY_SIZE(page); i++) {
        wr(PAGE, page[i]);
        uint32_t len = rd(LEN);
        cr_expect_leq(len, 1024);
        for (unsigned at = len; at < 0x1000 - DATA; at++) {
            cr_assert_eq(page_byte(at), 0, "page 0x%x byte %u", page[i], at);
        }
    }
    rig_abuse(0x1000);
}
