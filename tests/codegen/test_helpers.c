/* SPDX-License-Identifier: MIT */
/*
 * Which VFP and Advanced SIMD encodings call helpers on the straight path of generated code, in how
 * many of 64 random words (sizes, types and registers vary) that are not UNDEF on a Cortex-A15,
 * against tests/codegen/helpers.txt. Helpers of floating-point nodes and of misaligned addresses do
 * not count. UMBRA_UPDATE=1 rewrites the file.
 */
#include "insn_generate.h"
#include "tcg/ir/ir.h"
#include "tcg/tcg.h"
#include "tcg/x64/x64_internal.h"
#include "vcpu/arm.h"
#include "vcpu/vcpu.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SNAPSHOT  UMBRA_SOURCE_DIR "/tests/codegen/helpers.txt"
#define WORDS     64
#define NAMES_MAX 24

static _Alignas(4096) uint8_t guest_page[4096];

static const uint8_t *no_next_page(struct vcpu *v)
{
    (void)v;
    return NULL;
}

static void translate(struct ir_block *b, uint32_t word, uint32_t exec_flags)
{
    static struct vcpu *v;
    if (!v)
        v = calloc(1, sizeof(*v));
    memcpy(guest_page + 0x800, &word, 4);
    struct tcg_source src = {.pc = 0x8800,
                             .exec_flags = exec_flags,
                             .page = guest_page,
                             .max_insns = 1,
                             .next_page = no_next_page,
                             .vcpu = v};
    ir_block_reset(b, src.pc, src.exec_flags, false);
    arm_translate_block(&src, b);
    cr_assert_null(ir_verify(b), "%08x: %s", word, ir_verify(b));
    ir_optimize(b);
}

struct tally {
    unsigned calling;
    unsigned count;
    const char *name[NAMES_MAX];
};

static void note(struct tally *t, const char *name)
{
    for (unsigned k = 0; k < t->count; k++)
        if (!strcmp(t->name[k], name))
            return;
    cr_assert_lt(t->count, (unsigned)NAMES_MAX);
    t->name[t->count++] = name;
}

/* False for an UNDEF. */
static bool count_calls(struct tally *t, const struct ir_block *b)
{
    const char *name = NULL;
    for (unsigned i = 1; i < b->n; i++)
        if (b->node[i].op == IR_CALL && strcmp(b->call[b->node[i].imm].name, "alignment") != 0)
            name = b->call[b->node[i].imm].name;
    if (name && !strcmp(name, "raise"))
        return false;
    t->calling += name != NULL;
    if (name)
        note(t, name);
    return true;
}

/* The generator changes some words into others on purpose. */
static uint32_t next_word(struct insn_random *r, const struct arm_table *table,
                          const struct decode_encoding *e)
{
    struct insn_test test;
    uint32_t word;
    do {
        insn_generate(r, ARM_ISA_A32, table, e, &test);
        memcpy(&word, test.code, 4);
        if (word >> 28 != 15)
            word = (word & 0x0fffffff) | 0xe0000000; /* always */
    } while (arm_find_encoding(ARM_ISA_A32, word) != e);
    return word;
}

static int by_name(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

static void report(FILE *f, struct insn_random *r, const struct arm_table *table,
                   const struct decode_encoding *e)
{
    struct ir_block *b = ir_block_new();
    struct tally t = {0};
    unsigned words = 0;
    for (unsigned tries = 0; words < WORDS && tries < 20 * WORDS; tries++) {
        translate(b, next_word(r, table, e), EXEC_NEON | EXEC_CPACR);
        words += count_calls(&t, b);
    }
    ir_block_free(b);
    if (!words)
        return; /* not on this CPU */
    fprintf(f, "%-19s %2u", e->name, t.calling);
    qsort(t.name, t.count, sizeof(t.name[0]), by_name);
    for (unsigned k = 0; k < t.count; k++)
        fprintf(f, " %s", t.name[k]);
    fputc('\n', f);
}

static void report_all(FILE *f)
{
    struct insn_random r = {1};
    unsigned n;
    const struct arm_table *t = arm_tables(ARM_ISA_A32, &n);
    for (unsigned i = 0; i < n; i++)
        for (unsigned k = 0; insn_is_vfp(&t[i]) && k < *t[i].count; k++)
            if (!insn_excluded(&t[i].encoding[k], "cortex-a15"))
                report(f, &r, &t[i], &t[i].encoding[k]);
}

Test(codegen, helper_calls)
{
    char line[512], *got = NULL, *rest;
    unsigned different = 0;
    size_t len;
    FILE *f = open_memstream(&got, &len), *old = fopen(SNAPSHOT, "r");
    x64_cpu = (struct x64_cpu){true, true, true, true, true, true}; /* code is looked at, not run */
    fprintf(f, "# encoding, words of %u that call helpers, which helpers\n", WORDS);
    report_all(f);
    fclose(f);
    if (getenv("UMBRA_UPDATE")) {
        FILE *new = fopen(SNAPSHOT, "w");
        cr_assert(new &&fwrite(got, 1, len, new) == len && !fclose(new));
        return;
    }
    cr_assert_not_null(old, "no %s: make it with UMBRA_UPDATE=1", SNAPSHOT);
    rest = got;
    while (fgets(line, sizeof(line), old)) {
        char *end = strchr(rest, '\n');
        if (!end || strncmp(rest, line, (size_t)(end - rest + 1))) {
            fprintf(stderr, "was: %snow: %.*s\n", line, end ? (int)(end - rest) : 0, rest);
            different++;
        }
        rest = end ? end + 1 : rest;
    }
    fclose(old);
    cr_assert(!different && !*rest, "%u encodings differ from %s", different, SNAPSHOT);
    free(got);
}
