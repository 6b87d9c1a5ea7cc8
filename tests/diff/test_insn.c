/* SPDX-License-Identifier: MIT */
/*
 * Differential test of the ARM front end: for each encoding of the decode tables UMBRA_INSN_COUNT random
 * tests (default 40; nightly 200), seeded by UMBRA_INSN_SEED, executed by the subject (front end and
 * IR interpreter) and by the oracle program under user-mode emulation of a Cortex-A15; registers,
 * flags, memory and how it ended must be equal. What is not tested: insn_excluded().
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "insn_generate.h"
#include "insn_subject.h"

#define COMPILER "arm-linux-gnueabihf-gcc"
#define EMULATOR "qemu-arm"
#define MAX_PRINTED 3

struct subject_case {
    const struct arm_table *table;
    const struct decode_encoding *encoding;
};

static struct insn_test *tests;
static struct insn_result *expected;
static struct subject_case *cases;
static unsigned count;

static unsigned env_number(const char *name, unsigned fallback)
{
    const char *text = getenv(name);

    return text && *text ? (unsigned)strtoul(text, NULL, 0) : fallback;
}

static unsigned count_encodings(void)
{
    unsigned n, sum = 0;

    for (unsigned isa = 0; isa < ARM_ISA_COUNT; isa++) {
        const struct arm_table *t = arm_tables((enum arm_isa)isa, &n);

        for (unsigned i = 0; i < n; i++) {
            sum += *t[i].count;
        }
    }
    return sum;
}

static void generate_table(struct insn_random *r, enum arm_isa isa, const struct arm_table *t,
                           unsigned each)
{
    const char *only = getenv("UMBRA_INSN_ONLY");

    for (unsigned k = 0; k < *t->count; k++) {
        const struct decode_encoding *e = &t->encoding[k];

        if (insn_excluded(e) || (only && strcmp(only, e->name))) {
            continue;
        }
        for (unsigned i = 0; i < each; i++) {
            cases[count] = (struct subject_case){ t, e };
            insn_generate(r, isa, t, e, &tests[count++]);
        }
    }
}

static void generate_all(void)
{
    struct insn_random r = { env_number("UMBRA_INSN_SEED", 1) };
    unsigned each = env_number("UMBRA_INSN_COUNT", 40), room = count_encodings() * each, n;

    tests = calloc(room, sizeof(*tests));
    expected = calloc(room, sizeof(*expected));
    cases = calloc(room, sizeof(*cases));
    cr_assert(tests && expected && cases);
    for (unsigned isa = 0; isa < ARM_ISA_COUNT; isa++) {
        const struct arm_table *t = arm_tables((enum arm_isa)isa, &n);

        for (unsigned i = 0; i < n; i++) {
            generate_table(&r, (enum arm_isa)isa, &t[i], each);
        }
    }
}

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "wb");

    cr_assert_not_null(f);
    cr_assert_eq(fwrite(data, 1, size, f), size);
    cr_assert_eq(fclose(f), 0);
}

static bool run_oracle(void)
{
    char dir[] = "/tmp/insn-oracle-XXXXXX", command[2048], path[64];
    int status;
    FILE *f;
    size_t n;

    if (system("command -v " COMPILER " >/dev/null && command -v " EMULATOR " >/dev/null") != 0) {
        return false;
    }
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/in", dir);
    write_file(path, tests, count * sizeof(*tests));
    snprintf(command, sizeof(command),
             "cd %s && " COMPILER " -marm -static -O1 -I%s/tests/diff -o oracle %s/tests/diff/oracle/insn_oracle.c && "
             EMULATOR " -cpu cortex-a15 ./oracle <in >out",
             dir, UMBRA_SOURCE_DIR, UMBRA_SOURCE_DIR);
    status = system(command);
    snprintf(path, sizeof(path), "%s/out", dir);
    f = fopen(path, "rb");
    n = f ? fread(expected, sizeof(*expected), count, f) : 0;
    if (f) {
        fclose(f);
    }
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    if (system(command) != 0) {
        fprintf(stderr, "%s stays\n", dir);
    }
    cr_assert_eq(status, 0, "oracle: status %d", status);
    cr_assert_eq(n, count, "oracle answered %zu of %u", n, count);
    return true;
}

static bool same(const struct insn_test *t, const struct insn_result *a, const struct insn_result *b)
{
    if (a->outcome != b->outcome || memcmp(a->out.r, b->out.r, sizeof(a->out.r))
        || ((a->out.cpsr ^ b->out.cpsr) & INSN_CPSR_MASK)) {
        return false;
    }
    return !(t->flags & INSN_USES_MEMORY) || a->memory == b->memory;
}

static void print_difference(unsigned i, const struct insn_result *got)
{
    static const char *const outcome[] = { "undef", "fault", "other" };
    const struct insn_test *t = &tests[i];
    const struct insn_result *want = &expected[i];

    fprintf(stderr, "%s %s:", cases[i].table->name, cases[i].encoding->name);
    for (unsigned k = 0; k < t->code_len; k += 2) {
        fprintf(stderr, " %02x%02x", t->code[k + 1], t->code[k]);
    }
    fprintf(stderr, "  outcome %s, expected %s\n", outcome[got->outcome], outcome[want->outcome]);
    for (unsigned k = 0; k < 16; k++) {
        if (got->out.r[k] != want->out.r[k]) {
            fprintf(stderr, "    r%-2u in %08x got %08x expected %08x\n", k, t->in.r[k], got->out.r[k],
                    want->out.r[k]);
        }
    }
    if ((got->out.cpsr ^ want->out.cpsr) & INSN_CPSR_MASK) {
        fprintf(stderr, "    cpsr in %08x got %08x expected %08x\n", t->in.cpsr, got->out.cpsr,
                want->out.cpsr);
    }
    if (got->memory != want->memory) {
        fprintf(stderr, "    memory differs\n");
    }
}

Test(insn, front_end_agrees_with_the_oracle, .timeout = 600)
{
    const struct decode_encoding *last = NULL;
    unsigned wrong = 0, wrong_encodings = 0, printed = 0;

    generate_all();
    if (!run_oracle()) {
        cr_skip_test("no " COMPILER " or " EMULATOR);
    }
    for (unsigned i = 0; i < count; i++) {
        struct insn_result got;

        insn_subject_run(&tests[i], &got);
        if (same(&tests[i], &got, &expected[i])) {
            continue;
        }
        wrong++;
        if (cases[i].encoding != last) {
            last = cases[i].encoding;
            wrong_encodings++;
            printed = 0;
        }
        if (printed++ < MAX_PRINTED) {
            print_difference(i, &got);
        }
    }
    cr_expect_eq(wrong, 0, "%u of %u tests of %u encodings differ", wrong, count, wrong_encodings);
    free(tests);
    free(expected);
    free(cases);
}
