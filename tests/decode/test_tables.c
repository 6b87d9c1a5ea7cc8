/* SPDX-License-Identifier: MIT */
/*
 * The ARM decode tables: words that must decode, to the right encoding and to what Capstone calls
 * them; words that must not; and for each encoding that the generated decision trees agree with a
 * plain scan of the tables and that no other table of the set takes its words.
 */
#include <capstone/capstone.h>
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/types.h"
#include "tcg/arm/arm_tables.h"

#define SAMPLES 64

static const char *const isa_names[] = {"A32", "T32", "T16"};

static enum arm_isa isa_of(const char *name)
{
    for (unsigned i = 0; i < ARM_ISA_COUNT; i++) {
        if (!strcmp(name, isa_names[i])) {
            return (enum arm_isa)i;
        }
    }
    cr_assert_fail("unknown instruction set %s", name);
    return ARM_ISA_A32;
}

static bool encoding_matches(const struct decode_encoding *e, uint32_t insn)
{
    if ((insn & e->mask) != e->value) {
        return false;
    }
    for (unsigned i = 0; i < e->excludes; i++) {
        if ((insn & e->exclude[i].mask) == e->exclude[i].value) {
            return false;
        }
    }
    return true;
}

/* Bytes in memory order. */
static size_t to_bytes(enum arm_isa isa, uint32_t insn, uint8_t out[4])
{
    uint32_t word = isa == ARM_ISA_T32 ? insn >> 16 | insn << 16 : insn;

    for (unsigned i = 0; i < 4; i++) {
        out[i] = (uint8_t)(word >> 8 * i);
    }
    return isa == ARM_ISA_T16 ? 2 : 4;
}

/* The mnemonic up to a width suffix. */
static void stem(char *out, size_t size, const char *text)
{
    size_t n = strcspn(text, " \n");

    snprintf(out, size, "%.*s", (int)n, text);
    n = strlen(out);
    if (n > 2 && (!strcmp(out + n - 2, ".w") || !strcmp(out + n - 2, ".n"))) {
        out[n - 2] = 0;
    }
}

static void check_capstone(csh cs, enum arm_isa isa, uint32_t insn, const char *text)
{
    uint8_t bytes[4];
    size_t len = to_bytes(isa, insn, bytes);
    char want[32], got[32];
    cs_insn *out;
    size_t n;

    cs_option(cs, CS_OPT_MODE, isa == ARM_ISA_A32 ? CS_MODE_ARM : CS_MODE_THUMB);
    n = cs_disasm(cs, bytes, len, 0, 1, &out);
    cr_expect_eq(n, 1, "%s %08x: Capstone does not know it", isa_names[isa], insn);
    if (n == 0) {
        return;
    }
    stem(want, sizeof(want), text);
    stem(got, sizeof(got), out->mnemonic);
    cr_expect_str_eq(got, want, "%s %08x", isa_names[isa], insn);
    cs_free(out, n);
}

static FILE *open_list(const char *name)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof(path), "%s/tests/decode/%s", UMBRA_SOURCE_DIR, name);
    f = fopen(path, "r");
    cr_assert_not_null(f, "%s", path);
    return f;
}

Test(tables, must_accept)
{
    FILE *f = open_list("accept.txt");
    char line[256], isa_name[8], name[32], text[128];
    unsigned lines = 0;
    uint32_t insn;
    csh cs;

    cr_assert_eq(cs_open(CS_ARCH_ARM, CS_MODE_ARM, &cs), CS_ERR_OK);
    while (fgets(line, sizeof(line), f)) {
        const struct decode_encoding *e;
        enum arm_isa isa;

        if (line[0] == '#') {
            continue;
        }
        cr_assert_eq(sscanf(line, "%7s %" SCNx32 " %31s %127[^\n]", isa_name, &insn, name, text), 4,
                     "%s", line);
        isa = isa_of(isa_name);
        e = arm_find_encoding(isa, insn);
        cr_expect_not_null(e, "%s", line);
        if (e) {
            cr_expect_str_eq(e->name, name, "%s", line);
        }
        check_capstone(cs, isa, insn, text);
        lines++;
    }
    cr_expect_gt(lines, 200);
    cs_close(&cs);
    fclose(f);
}

Test(tables, must_reject)
{
    FILE *f = open_list("reject.txt");
    char line[256], isa_name[8];
    unsigned lines = 0;
    uint32_t insn;

    while (fgets(line, sizeof(line), f)) {
        const struct decode_encoding *e;

        if (line[0] == '#') {
            continue;
        }
        cr_assert_eq(sscanf(line, "%7s %" SCNx32, isa_name, &insn), 2, "%s", line);
        e = arm_find_encoding(isa_of(isa_name), insn);
        cr_expect_null(e, "%s taken by %s", line, e ? e->name : "");
        lines++;
    }
    cr_expect_gt(lines, 30);
    fclose(f);
}

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 32);
}

static int scan(const struct arm_table *t, uint32_t insn)
{
    for (unsigned i = 0; i < *t->count; i++) {
        if (encoding_matches(&t->encoding[i], insn)) {
            return (int)i;
        }
    }
    return -1;
}

static void check_word(enum arm_isa isa, uint32_t insn)
{
    unsigned n, taken = 0;
    const struct arm_table *t = arm_tables(isa, &n);

    for (unsigned i = 0; i < n; i++) {
        int tree = t[i].lookup(insn), plain = scan(&t[i], insn);

        cr_expect_eq(tree, plain, "%s %08x: tree %d, scan %d", t[i].name, insn, tree, plain);
        taken += plain >= 0;
    }
    cr_expect_leq(taken, 1, "%s %08x is in %u tables", isa_names[isa], insn, taken);
}

/* Each encoding is reached by words made from it, and the trees agree with the tables there. */
Test(tables, every_encoding_is_reached)
{
    uint64_t seed = 1;

    for (unsigned isa = 0; isa < ARM_ISA_COUNT; isa++) {
        unsigned n;
        const struct arm_table *t = arm_tables((enum arm_isa)isa, &n);

        for (unsigned i = 0; i < n; i++) {
            for (unsigned k = 0; k < *t[i].count; k++) {
                const struct decode_encoding *e = &t[i].encoding[k];
                unsigned hits = 0;

                for (unsigned r = 0; r < SAMPLES; r++) {
                    uint32_t insn = (next_random(&seed) & ~e->mask) | e->value;

                    insn &= e->width == 16 ? 0xffff : ~0u;
                    check_word((enum arm_isa)isa, insn);
                    hits += t[i].lookup(insn) == (int)k;
                }
                cr_expect_gt(hits, 0, "%s: %s is never reached", t[i].name, e->name);
            }
        }
    }
}

Test(tables, random_words_agree_with_a_scan)
{
    uint64_t seed = 2;

    for (unsigned r = 0; r < 20000; r++) {
        uint32_t insn = next_random(&seed);

        check_word(ARM_ISA_A32, insn);
        check_word(ARM_ISA_T32, insn | 0xe8000000);
    }
    for (uint32_t insn = 0; insn < 0xe800; insn++) {
        check_word(ARM_ISA_T16, insn);
    }
}
