/* SPDX-License-Identifier: MIT */
/*
 * Goldfish battery and clock through their registers.
 */
#include "goldfish_rig.h"

#include <time.h>

/* ---- battery ---- */
enum { INT_STATUS = 0, INT_ENABLE = 4, AC = 8, STATUS = 0xc, HEALTH = 0x10, PRESENT = 0x14,
       CAPACITY = 0x18 };

static struct goldfish_battery *battery;

static void battery_setup(void)
{
    struct irq_line irq = rig_irq();

    rig_setup();
    cr_assert_eq(goldfish_battery_create(vm.bus, RIG_DEVICE, &irq, &battery), 0);
}

static void battery_teardown(void)
{
    rig_stop();
    goldfish_battery_destroy(battery);
    rig_end();
}

TestSuite(goldfish_battery, .init = battery_setup, .fini = battery_teardown, .timeout = 60);

Test(goldfish_battery, full_and_on_mains)
{
    cr_expect_eq(rd(AC), 1);
    cr_expect_eq(rd(STATUS), 4, "full");
    cr_expect_eq(rd(HEALTH), 1);
    cr_expect_eq(rd(PRESENT), 1);
    cr_expect_eq(rd(CAPACITY), 100);
    wr(CAPACITY, 7);
    cr_expect_eq(rd(CAPACITY), 100, "the guest cannot charge it");
}

Test(goldfish_battery, changes)
{
    goldfish_battery_set(battery, 40, true);
    cr_expect_not(rig_level(), "not enabled");
    wr(INT_ENABLE, 0xffffffff);
    cr_expect_eq(rd(INT_ENABLE), 3);
    cr_expect(rig_level());
    cr_expect_eq(rd(INT_STATUS), 1, "the battery has changed");
    cr_expect_not(rig_level());
    cr_expect_eq(rd(STATUS), 1, "charging");
    goldfish_battery_set(battery, 40, true);
    cr_expect_not(rig_level(), "nothing new");
    goldfish_battery_set(battery, 400, false);
    cr_expect_eq(rd(INT_STATUS), 3);
    cr_expect_eq(rd(AC), 0);
    cr_expect_eq(rd(STATUS), 2, "discharging");
    cr_expect_eq(rd(CAPACITY), 100);
    goldfish_battery_set(battery, 1, false);
    cr_expect(rig_level());
    goldfish_battery_reset(battery);
    cr_expect_not(rig_level());
    cr_expect_eq(rd(CAPACITY), 1, "a reset does not charge it");
    rig_abuse(0x1000);
}

/* ---- clock ---- */
enum { TIME_LOW = 0, TIME_HIGH = 4, ALARM_LOW = 8, ALARM_HIGH = 0xc, ENABLED = 0x10,
       CLEAR_ALARM = 0x14, ALARM_STATUS = 0x18, CLEAR_INTERRUPT = 0x1c };

#define S 1000000000ull

static struct goldfish_rtc *rtc;

static void rtc_setup(void)
{
    struct irq_line irq = rig_irq();

    rig_setup();
    cr_assert_eq(goldfish_rtc_create(vm.bus, RIG_DEVICE, &irq, vm.io, &rtc), 0);
}

static void rtc_teardown(void)
{
    rig_stop();
    goldfish_rtc_destroy(rtc);
    rig_end();
}

TestSuite(goldfish_rtc, .init = rtc_setup, .fini = rtc_teardown, .timeout = 60);

static uint64_t now(void)
{
    uint64_t low = rd(TIME_LOW);

    return (uint64_t)rd(TIME_HIGH) << 32 | low;
}

static void set_alarm(uint64_t at)
{
    wr(ALARM_HIGH, (uint32_t)(at >> 32));
    wr(ALARM_LOW, (uint32_t)at);
}

Test(goldfish_rtc, tells_and_takes_the_time)
{
    uint64_t host = (uint64_t)time(NULL) * S, t = now();

    cr_expect(t >= host && t < host + 5 * S);
    wr(TIME_HIGH, 1000);
    wr(TIME_LOW, 5);
    t = now();
    cr_expect(t >= (1000ull << 32) + 5 && t < (1000ull << 32) + 5 * S);
    goldfish_rtc_reset(rtc);
    t = now();
    cr_expect(t >= (1000ull << 32) + 5 && t < (1000ull << 32) + 5 * S, "a reset does not stop it");
}

Test(goldfish_rtc, the_halves_belong_together)
{
    wr(TIME_HIGH, 7);
    wr(TIME_LOW, 0xffffffff); /* the low half is about to wrap */
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t t = now();
        cr_assert(t >= 7ull << 32 && t < 9ull << 32, "0x%llx", (unsigned long long)t);
    }
}

Test(goldfish_rtc, alarm)
{
    wr(ENABLED, 1);
    set_alarm(now() + 30000000);
    cr_expect_eq(rd(ALARM_STATUS), 1);
    cr_expect_not(rig_level());
    cr_assert(rig_wait_line());
    cr_expect_eq(rd(ALARM_STATUS), 0);
    wr(CLEAR_INTERRUPT, 1);
    cr_expect_not(rig_level());
    set_alarm(now() + 3600 * S);
    uint64_t alarm = (uint64_t)rd(ALARM_HIGH) << 32 | rd(ALARM_LOW);
    cr_expect(alarm > now() + 3000 * S);
    wr(CLEAR_ALARM, 1);
    cr_expect_eq(rd(ALARM_STATUS), 0);
    wr(ENABLED, 0);
    set_alarm(1);
    cr_expect_not(rig_level(), "due, but not enabled");
    wr(ENABLED, 1);
    cr_expect(rig_level());
    goldfish_rtc_reset(rtc);
    cr_expect_not(rig_level());
    rig_abuse(0x1000);
}
