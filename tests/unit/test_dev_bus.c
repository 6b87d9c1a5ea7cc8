/* SPDX-License-Identifier: MIT */
/*
 * The bus: finding regions at their edges, refusing overlaps, splitting wide and refusing narrow
 * accesses, and lookups while another thread adds regions.
 */
#include "dev_test.h"

#include <errno.h>
#include <pthread.h>

static struct bus *bus;
static uint64_t last_off, last_value;
static unsigned accesses, last_size;

static uint64_t rd(void *dev, struct vcpu *v, uint64_t off, unsigned size)
{
    (void)v;
    accesses++;
    last_off = off;
    last_size = size;
    return (uintptr_t)dev + off;
}

static void wr(void *dev, struct vcpu *v, uint64_t off, uint64_t value, unsigned size)
{
    (void)dev;
    (void)v;
    accesses++;
    last_off = off;
    last_size = size;
    last_value = value;
}

static const struct bus_ops any = {.read = rd, .write = wr};
static const struct bus_ops words = {.read = rd, .write = wr, .min_size = 4, .max_size = 4};

static int add(gpa_t base, uint64_t size, const struct bus_ops *ops, uintptr_t dev)
{
    return bus_add(bus, &(struct bus_region){.name = "test", .base = base, .size = size, .ops = ops,
                                             .dev = (void *)dev});
}

static void setup(void)
{
    bus = test_bus();
    accesses = 0;
}

static void teardown(void)
{
    test_bus_end(bus);
}

TestSuite(bus, .init = setup, .fini = teardown);

Test(bus, finds_regions_at_their_edges)
{
    uint64_t v;

    cr_assert_eq(add(0x3000, 0x1000, &any, 0x30), 0);
    cr_assert_eq(add(0x1000, 0x1000, &any, 0x10), 0);
    cr_assert_eq(add(0x2000, 0x200, &any, 0x20), 0);
    cr_expect_not(bus_has(bus, 0xfff));
    cr_expect(bus_has(bus, 0x1000));
    cr_expect(bus_has(bus, 0x21ff));
    cr_expect_not(bus_has(bus, 0x2200));
    cr_expect_not(bus_read(bus, NULL, 0x4000, 4, &v));
    cr_expect_eq(test_read(bus, NULL, 0x1ffc, 4), 0x10 + 0xffc);
    cr_expect_eq(test_read(bus, NULL, 0x2000, 4), 0x20);
    cr_expect_eq(test_read(bus, NULL, 0x3ffc, 4), 0x30 + 0xffc);
}

Test(bus, refuses_overlaps_and_nonsense)
{
    cr_assert_eq(add(0x1000, 0x1000, &any, 0), 0);
    cr_expect_eq(add(0x1000, 0x1000, &any, 0), -EEXIST);
    cr_expect_eq(add(0x1fff, 1, &any, 0), -EEXIST);
    cr_expect_eq(add(0xfff, 2, &any, 0), -EEXIST);
    cr_expect_eq(add(0x0, 0x10000, &any, 0), -EEXIST);
    cr_expect_eq(add(0x5000, 0, &any, 0), -EINVAL);
    cr_expect_eq(add(UINT64_MAX - 1, 4, &any, 0), -EINVAL);
    cr_expect_eq(add(0x2000, 1, &any, 0), 0);
    cr_expect_eq(add(0x0, 0x1000, &any, 0), 0);
    cr_expect_eq(add(UINT64_MAX, 1, &any, 0), 0, "the last byte is an address too");
    cr_expect(bus_has(bus, UINT64_MAX));
}

Test(bus, access_across_the_end_is_nothing)
{
    uint64_t v;

    cr_assert_eq(add(0x1000, 0x10, &any, 0), 0);
    cr_assert_eq(add(0x1010, 0x10, &any, 0), 0);
    cr_expect_not(bus_read(bus, NULL, 0x100c, 8, &v));
    cr_expect_not(bus_write(bus, NULL, 0x101e, 4, 0));
    cr_expect_not(bus_read(bus, NULL, UINT64_MAX, 8, &v));
    cr_expect_eq(accesses, 0);
}

Test(bus, splits_wide_accesses)
{
    cr_assert_eq(add(0x1000, 0x100, &words, 0x70000000), 0);
    cr_expect_eq(test_read(bus, NULL, 0x1008, 8), 0x7000000c70000008);
    cr_expect_eq(accesses, 2);
    test_write(bus, NULL, 0x1010, 8, 0x1122334455667788);
    cr_expect_eq(accesses, 4);
    cr_expect_eq(last_off, 0x14);
    cr_expect_eq(last_size, 4);
    cr_expect_eq(last_value, 0x11223344);
}

Test(bus, refuses_narrow_accesses)
{
    cr_assert_eq(add(0x1000, 0x100, &words, 0x70000000), 0);
    cr_expect_eq(test_read(bus, NULL, 0x1008, 1), 0, "reads zero");
    cr_expect_eq(test_read(bus, NULL, 0x1008, 2), 0);
    test_write(bus, NULL, 0x1008, 1, 5);
    cr_expect_eq(accesses, 0, "the device sees nothing");
}

Test(bus, masks_values_to_the_access)
{
    cr_assert_eq(add(0x1000, 0x100, &any, 0x12345678), 0);
    cr_expect_eq(test_read(bus, NULL, 0x1000, 1), 0x78);
    cr_expect_eq(test_read(bus, NULL, 0x1000, 2), 0x5678);
    test_write(bus, NULL, 0x1000, 1, 0xffffff42);
    cr_expect_eq(last_value, 0x42);
}

#define GROWTH 400u

static void *reader(void *opaque)
{
    unsigned *bad = opaque;
    uint64_t v;

    rcu_thread_register();
    for (unsigned i = 0; i < 200000; i++) {
        if (!bus_read(bus, NULL, 0x10, 4, &v) || v != 0x111 + 0x10) {
            ++*bad;
        }
    }
    rcu_thread_unregister();
    return NULL;
}

Test(bus, lookups_go_on_while_regions_are_added)
{
    pthread_t t;
    unsigned bad = 0;

    cr_assert_eq(add(0, 0x100, &any, 0x111), 0);
    cr_assert_eq(pthread_create(&t, NULL, reader, &bad), 0);
    for (unsigned i = GROWTH; i > 0; i--) {
        cr_assert_eq(add(0x1000u * i, 0x1000, &any, i), 0);
    }
    pthread_join(t, NULL);
    cr_expect_eq(bad, 0);
    for (unsigned i = 1; i <= GROWTH; i++) {
        cr_expect_eq(test_read(bus, NULL, 0x1000u * i, 8), i);
    }
}
