/* SPDX-License-Identifier: MIT */
/*
 * See insn_compare.h.
 */
#include "insn_compare.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "insn_generate.h"

#define COMPILER    "arm-linux-gnueabihf-gcc"
#define EMULATOR    "qemu-arm"
#define MAX_PRINTED 3
#define MAX_TRIES   100

struct subject_case {
    const struct arm_table *table;
    const struct decode_encoding *encoding;
};

static const struct insn_subject *subject;
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

/*
 * Not to be tried: what ends at an address where the oracle may have something of its own. And with
 * "max", vector words that are UNDEF for us, since the oracle's has half precision arithmetic too.
 */
static bool unsuitable(const struct arm_table *table, const struct insn_test *t)
{
    bool newer = insn_is_vfp(table) && !strcmp(subject->cpu, "max");
    struct insn_result got;
    uint32_t pc;

    subject->run(t, &got);
    pc = got.out.r[15];
    if (newer && got.outcome == INSN_UNDEF && pc - INSN_CODE_AT < t->code_len) {
        return true;
    }
    if (pc - INSN_CODE_BASE < INSN_CODE_SIZE) {
        return false;
    }
    return pc >= 0xf0000000u || (pc >= 0x1000 && pc < 0x50000000u);
}

static void generate_table(struct insn_random *r, enum arm_isa isa, const struct arm_table *t,
                           unsigned each)
{
    const char *only = getenv("UMBRA_INSN_ONLY");
    unsigned before;

    for (unsigned k = 0; k < *t->count; k++) {
        const struct decode_encoding *e = &t->encoding[k];

        if (insn_excluded(e, subject->cpu) || (!subject->vfp && insn_is_vfp(t)) ||
            (only && strcmp(only, e->name))) {
            continue;
        }
        before = count;
        for (unsigned i = 0; i < each; i++) {
            unsigned tries = 0;

            cases[count] = (struct subject_case){t, e};
            do {
                insn_generate(r, isa, t, e, &tests[count]);
            } while (unsuitable(t, &tests[count]) && ++tries < MAX_TRIES);
            count += tries < MAX_TRIES;
        }
        cr_expect_gt(count, before, "%s %s is UNDEF in all forms", t->name, e->name);
    }
}

/* As many sequences as would be fair for 50 encodings. */
static void generate_sequences(struct insn_random *r, unsigned n)
{
    static const struct arm_table table = {.name = "sequence"}, vectors = {.name = "vfp sequence"};
    static const struct decode_encoding encoding[] = {{.name = "A32"}, {.name = "T32"}};

    for (unsigned i = 0; i < n; i++) {
        cases[count] = (struct subject_case){&table, &encoding[i * 2 / n]};
        insn_generate_sequence(r, i * 2 / n ? ARM_ISA_T32 : ARM_ISA_A32, &tests[count++]);
    }
    /* Half precision is UNDEF for us and not for the oracle's `max`. */
    for (unsigned i = 0; i < n && subject->vfp && strcmp(subject->cpu, "max") != 0; i++) {
        cases[count] = (struct subject_case){&vectors, &encoding[i * 2 / n]};
        insn_generate_vector_sequence(r, i * 2 / n ? ARM_ISA_T32 : ARM_ISA_A32, &tests[count++]);
    }
}

/* Loops, calls, branches. */
static void generate_programs(struct insn_random *r, unsigned n)
{
    static const struct arm_table table = {.name = "program"};
    static const struct decode_encoding encoding[] = {{.name = "A32"}, {.name = "T32"}};

    for (unsigned i = 0; i < n; i++) {
        cases[count] = (struct subject_case){&table, &encoding[i * 2 / n]};
        insn_generate_program(r, i * 2 / n ? ARM_ISA_T32 : ARM_ISA_A32, &tests[count++]);
    }
}

static void generate_all(void)
{
    struct insn_random r = {env_number("UMBRA_INSN_SEED", 1)};
    unsigned each = env_number("UMBRA_INSN_COUNT", 40), sequences = 50 * each;
    unsigned room = count_encodings() * each + 2 * sequences, n;

    tests = calloc(room, sizeof(*tests));
    expected = calloc(room, sizeof(*expected));
    cases = calloc(room, sizeof(*cases));
    cr_assert(tests && expected && cases);
    if (subject->programs) {
        generate_programs(&r, sequences);
        return;
    }
    for (unsigned isa = 0; isa < ARM_ISA_COUNT; isa++) {
        const struct arm_table *t = arm_tables((enum arm_isa)isa, &n);

        for (unsigned i = 0; i < n; i++) {
            generate_table(&r, (enum arm_isa)isa, &t[i], each);
        }
    }
    if (!getenv("UMBRA_INSN_ONLY")) {
        generate_sequences(&r, sequences);
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
             "cd %s && " COMPILER " -marm -static -O1 -I%s/tests/lib -o oracle "
             "%s/tests/diff/oracle/insn_oracle.c && " EMULATOR " -cpu %s ./oracle <in >out",
             dir, UMBRA_SOURCE_DIR, UMBRA_SOURCE_DIR, subject->cpu);
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

/* The oracle branched to an A32 address with bit 1 set: UNPREDICTABLE. */
static bool bad_target(const struct insn_result *r)
{
    return !(r->out.cpsr & INSN_CPSR_T) && (r->out.r[15] & 2);
}

static bool same(const struct insn_test *t, const struct insn_result *a,
                 const struct insn_result *b)
{
    if (a->outcome == INSN_OTHER && b->outcome == INSN_OTHER) {
        return true; /* both loop; where they were stopped is chance */
    }
    if (a->outcome != b->outcome || memcmp(a->out.r, b->out.r, sizeof(a->out.r)) ||
        ((a->out.cpsr ^ b->out.cpsr) & INSN_CPSR_MASK)) {
        return false;
    }
    if ((t->flags & INSN_USES_VFP) && (memcmp(a->out.d, b->out.d, sizeof(a->out.d)) ||
                                       ((a->out.fpscr ^ b->out.fpscr) & INSN_FPSCR_MASK))) {
        return false;
    }
    return !(t->flags & INSN_USES_MEMORY) || a->memory == b->memory;
}

static void print_vfp_difference(const struct insn_test *t, const struct insn_result *got,
                                 const struct insn_result *want)
{
    for (unsigned k = 0; k < 32; k++) {
        if (got->out.d[k] != want->out.d[k]) {
            fprintf(stderr,
                    "    d%-2u in %016" PRIx64 " got %016" PRIx64 " expected %016" PRIx64 "\n", k,
                    t->in.d[k], got->out.d[k], want->out.d[k]);
        }
    }
    if ((got->out.fpscr ^ want->out.fpscr) & INSN_FPSCR_MASK) {
        fprintf(stderr, "    fpscr in %08x got %08x expected %08x\n", t->in.fpscr, got->out.fpscr,
                want->out.fpscr);
    }
}

static void print_difference(unsigned i, const struct insn_result *got)
{
    static const char *const outcome[] = {"undef", "fault", "other"};
    const struct insn_test *t = &tests[i];
    const struct insn_result *want = &expected[i];

    fprintf(stderr, "%s %s:", cases[i].table->name, cases[i].encoding->name);
    for (unsigned k = 0; k < t->code_len; k += 2) {
        fprintf(stderr, " %02x%02x", t->code[k + 1], t->code[k]);
    }
    fprintf(stderr, "  outcome %s, expected %s\n", outcome[got->outcome], outcome[want->outcome]);
    for (unsigned k = 0; k < 16; k++) {
        if (got->out.r[k] != want->out.r[k]) {
            fprintf(stderr, "    r%-2u in %08x got %08x expected %08x\n", k, t->in.r[k],
                    got->out.r[k], want->out.r[k]);
        }
    }
    if ((got->out.cpsr ^ want->out.cpsr) & INSN_CPSR_MASK) {
        fprintf(stderr, "    cpsr in %08x got %08x expected %08x\n", t->in.cpsr, got->out.cpsr,
                want->out.cpsr);
    }
    if (t->flags & INSN_USES_VFP) {
        print_vfp_difference(t, got, want);
    }
    if (got->memory != want->memory) {
        fprintf(stderr, "    memory differs\n");
    }
}

void insn_compare(const struct insn_subject *who)
{
    const struct decode_encoding *last = NULL;
    unsigned wrong = 0, wrong_encodings = 0, printed = 0;

    subject = who;
    count = 0;
    generate_all();
    if (!run_oracle()) {
        cr_skip_test("no " COMPILER " or " EMULATOR);
    }
    for (unsigned i = 0; i < count; i++) {
        struct insn_result got;

        subject->run(&tests[i], &got);
        if (same(&tests[i], &got, &expected[i]) || bad_target(&expected[i])) {
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
