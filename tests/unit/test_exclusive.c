/* SPDX-License-Identifier: MIT */
/*
 * The exclusive monitor, one step at a time: what a STREX must and must not succeed after. Two
 * vCPUs are two monitors here, called in turn from one thread; stress/exclusive_torture.c runs them
 * in parallel.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tcg/ir/ir.h"
#include "vcpu/exclusive.h"

#define GPA 0x40001000u

static struct vcpu *a, *b;
static _Alignas(16) uint64_t word[4];

static struct vcpu *new_vcpu(void)
{
    struct vcpu *v = aligned_alloc(CACHE_LINE, (sizeof(*v) + CACHE_LINE - 1) & ~(CACHE_LINE - 1ul));

    cr_assert_not_null(v);
    v->excl.armed = false;
    return v;
}

static void setup(void)
{
    a = new_vcpu();
    b = new_vcpu();
    for (unsigned i = 0; i < 4; i++) {
        word[i] = 0x1111111111111111u * i;
    }
}

static void teardown(void)
{
    free(a);
    free(b);
}

TestSuite(exclusive, .init = setup, .fini = teardown);

static uint64_t load(struct vcpu *v, unsigned i, unsigned size)
{
    return exclusive_load_at(v, &word[i], GPA + 8 * i, size);
}

static bool store(struct vcpu *v, unsigned i, unsigned size, uint64_t value)
{
    return exclusive_store_at(v, &word[i], GPA + 8 * i, size, value);
}

Test(exclusive, sizes)
{
    for (unsigned size = MEMOP_8; size <= MEMOP_64; size++) {
        uint64_t mask = size == MEMOP_64 ? ~0ull : (1ull << (8u << size)) - 1;
        uint64_t before = word[1];

        cr_assert_eq(load(a, 1, size), before & mask);
        cr_assert(store(a, 1, size, 0xfedcba9876543210u));
        cr_assert_eq(word[1], (before & ~mask) | (0xfedcba9876543210u & mask));
    }
    cr_assert_eq(word[0], 0);
    cr_assert_eq(word[2], 0x2222222222222222u);
}

Test(exclusive, needs_a_load)
{
    cr_assert_not(store(a, 0, MEMOP_32, 5));
    cr_assert_eq(word[0], 0);
}

Test(exclusive, one_store_per_load)
{
    load(a, 0, MEMOP_32);
    cr_assert(store(a, 0, MEMOP_32, 5));
    cr_assert_not(store(a, 0, MEMOP_32, 6));
    cr_assert_eq(word[0], 5);
}

Test(exclusive, clear)
{
    load(a, 0, MEMOP_32);
    exclusive_clear(a);
    cr_assert_not(store(a, 0, MEMOP_32, 5));
}

Test(exclusive, address_and_size_must_match)
{
    load(a, 0, MEMOP_32);
    cr_assert_not(store(a, 1, MEMOP_32, 5));
    cr_assert_not(store(a, 0, MEMOP_32, 5), "a failed STREX disarms");
    load(a, 0, MEMOP_32);
    cr_assert_not(store(a, 0, MEMOP_64, 5));
    cr_assert_eq(word[0], 0);
}

Test(exclusive, changed_value)
{
    load(a, 0, MEMOP_32);
    word[0] = 7;
    cr_assert_not(store(a, 0, MEMOP_32, 5));
    cr_assert_eq(word[0], 7);
}

Test(exclusive, aba_by_exclusives)
{
    uint64_t old = load(a, 1, MEMOP_32);

    load(b, 1, MEMOP_32);
    cr_assert(store(b, 1, MEMOP_32, 99));
    load(b, 1, MEMOP_32);
    cr_assert(store(b, 1, MEMOP_32, old));
    cr_assert_not(store(a, 1, MEMOP_32, 5), "the value is back, the version is not");
}

Test(exclusive, aba_by_swap)
{
    uint64_t old = load(a, 1, MEMOP_32);

    cr_assert_eq(exclusive_swap_at(&word[1], GPA + 8, MEMOP_32, 99), old);
    cr_assert_eq(exclusive_swap_at(&word[1], GPA + 8, MEMOP_32, old), 99);
    cr_assert_not(store(a, 1, MEMOP_32, 5));
}

Test(exclusive, same_value_stored)
{
    uint64_t old = load(a, 1, MEMOP_32);

    load(b, 1, MEMOP_32);
    cr_assert(store(b, 1, MEMOP_32, old));
    cr_assert_not(store(a, 1, MEMOP_32, old));
}

Test(exclusive, one_of_two_wins)
{
    load(a, 0, MEMOP_32);
    load(b, 0, MEMOP_32);
    cr_assert(store(b, 0, MEMOP_32, 1));
    cr_assert_not(store(a, 0, MEMOP_32, 2));
    cr_assert_eq(word[0], 1);
}

Test(exclusive, failed_store_leaves_others_alone)
{
    load(a, 0, MEMOP_32);
    cr_assert_not(store(b, 0, MEMOP_32, 1));
    cr_assert(store(a, 0, MEMOP_32, 2));
}

Test(exclusive, swap_sizes)
{
    word[1] = 0x8877665544332211u;
    cr_assert_eq(exclusive_swap_at(&word[1], GPA + 8, MEMOP_8, 0xaaaa), 0x11);
    cr_assert_eq(exclusive_swap_at(&word[1], GPA + 8, MEMOP_32, 0x01020304), 0x443322aa);
    cr_assert_eq(word[1], 0x8877665501020304u);
}

Test(exclusive, touch)
{
    load(a, 1, MEMOP_32);
    exclusive_touch(GPA + 8 + 7);
    cr_assert_not(store(a, 1, MEMOP_32, 5));
    load(a, 1, MEMOP_32);
    exclusive_touch(GPA + 16);
    cr_assert(store(a, 1, MEMOP_32, 5), "another granule");
}
