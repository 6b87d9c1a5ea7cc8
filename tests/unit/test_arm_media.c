/* SPDX-License-Identifier: MIT */
/*
 * The pure functions of the media instructions against their definition in wide integers, and
 * worked examples with GE. The comparison with another implementation is in tests/insn.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tcg/arm/arm_media.h"

struct parallel {
    const char *kind, *op;
    uint64_t (*fn)(struct vcpu *v, uint32_t n, uint32_t m);
};

#define LIST(kind, op) {#kind, #op, arm_media_##kind##op},
#define LIST_ALL(op)   ARM_PARALLEL_KINDS(LIST, op)
static const struct parallel table[] = {ARM_PARALLEL_OPS(LIST_ALL)};

/* Bits [pos, pos + bits) as a mathematical integer. */
static int64_t lane(uint32_t v, unsigned pos, unsigned bits, bool is_signed)
{
    int64_t x = v >> pos & ((1ll << bits) - 1);

    return is_signed && x >= 1ll << (bits - 1) ? x - (1ll << bits) : x;
}

static int64_t narrow(const char *kind, int64_t v, unsigned bits)
{
    bool is_signed = kind[0] != 'U';
    int64_t min = is_signed ? -(1ll << (bits - 1)) : 0, max = min + (1ll << bits) - 1;

    if (strchr(kind, 'H')) {
        return (v - (v & 1)) / 2; /* rounds down */
    }
    if (strchr(kind, 'Q')) {
        return v < min ? min : v > max ? max : v;
    }
    return v;
}

static uint64_t model(const struct parallel *p, uint32_t n, uint32_t m)
{
    bool halves = !strchr(p->op, '8'), cross = strchr(p->op, 'X');
    bool is_signed = p->kind[0] != 'U';
    unsigned bits = halves ? 16 : 8;
    uint64_t result = 0, ge = 0;

    for (unsigned pos = 0; pos < 32; pos += bits) {
        bool subtract = cross ? (pos == 0) == !strcmp(p->op, "ASX") : !strncmp(p->op, "SUB", 3);
        int64_t x = lane(n, pos, bits, is_signed),
                y = lane(m, cross ? 16 - pos : pos, bits, is_signed);
        int64_t v = subtract ? x - y : x + y;
        bool flag = is_signed || subtract ? v >= 0 : v >= 1ll << bits;

        result |= ((uint64_t)narrow(p->kind, v, bits) & ((1ull << bits) - 1)) << pos;
        ge |= flag ? (halves ? 3ull : 1ull) << pos / 8 : 0;
    }
    return result | ge << 32;
}

static uint32_t edge_word(void)
{
    static const uint8_t edge[] = {0x00, 0x01, 0x7f, 0x80, 0x81, 0xff, 0xfe, 0x55};
    uint32_t v = 0;

    for (unsigned i = 0; i < 4; i++) {
        v = v << 8 | ((rand() & 1) ? edge[rand() % 8] : (uint32_t)rand() & 0xff);
    }
    return v;
}

Test(arm_media, parallel_against_definition)
{
    srand(1);
    for (unsigned i = 0; i < 200000; i++) {
        uint32_t n = edge_word(), m = edge_word();
        const struct parallel *p = &table[i % ARRAY_SIZE(table)];
        uint64_t got = p->fn(NULL, n, m), want = model(p, n, m);
        bool with_ge = !strcmp(p->kind, "S") || !strcmp(p->kind, "U");

        if (!with_ge) {
            got &= 0xffffffffu;
            want &= 0xffffffffu;
        }
        cr_assert_eq(got, want, "%s%s %08x %08x: %lx, expected %lx", p->kind, p->op, n, m,
                     (unsigned long)got, (unsigned long)want);
    }
}

Test(arm_media, worked_examples)
{
    cr_assert_eq(arm_media_UADD8(NULL, 0xff01ff80, 0x01010180), 0xb00020000ull);
    cr_assert_eq(arm_media_USUB8(NULL, 0x10203040, 0x11203141), 0x4ff00ffffull);
    cr_assert_eq(arm_media_SASX(NULL, 0x00010002, 0x00030004), 0xc0005ffffull);
    cr_assert_eq(arm_media_USAX(NULL, 0xffff0001, 0x0001ffff) & 0xffffffffu, 0x00000002u);
    cr_assert_eq(arm_media_QADD16(NULL, 0x7fff8000, 0x0001ffff) & 0xffffffffu, 0x7fff8000u);
    cr_assert_eq(arm_media_SHSUB8(NULL, 0x80000000, 0x7f000000) & 0xffffffffu, 0x80000000u);
}

Test(arm_media, saturate16)
{
    cr_assert_eq(arm_media_ssat16(NULL, 0x7fff8000, 16), 0x7fff8000u);
    cr_assert_eq(arm_media_ssat16(NULL, 0x7fff8000, 8), 0x1007fff80ull);
    cr_assert_eq(arm_media_ssat16(NULL, 0x0000ffff, 1), 0x0000ffffu);
    cr_assert_eq(arm_media_ssat16(NULL, 0x00010000, 1), 0x100000000ull);
    cr_assert_eq(arm_media_usat16(NULL, 0x00ff8000, 8), 0x100ff0000ull);
    cr_assert_eq(arm_media_usat16(NULL, 0x00010000, 0), 0x100000000ull);
    cr_assert_eq(arm_media_usat16(NULL, 0x7fff0000, 15), 0x7fff0000u);
}

Test(arm_media, absolute_differences)
{
    cr_assert_eq(arm_media_usada8(NULL, 0xff00ff00, 0x00ff00ff, 0), 4 * 255u);
    cr_assert_eq(arm_media_usada8(NULL, 0x01020304, 0x04030201, 0xffffffff), 7u);
}
