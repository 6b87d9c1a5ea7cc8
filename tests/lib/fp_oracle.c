/* SPDX-License-Identifier: MIT */
/*
 * Driver of the floating-point differential tests: makes seeded requests, runs the oracle program
 * on them in one go, compares its answers with the library. All files are in a temporary folder
 * that is removed before anything can fail on a difference. Single-threaded.
 */
#include "fp_oracle.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "insn/fp_oracle/fp_record.h"

#define MAX_PRINTED   5
#define MAX_ARGUMENTS 16

static unsigned env_number(const char *name, unsigned fallback)
{
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? (unsigned)strtoul(text, NULL, 0) : fallback;
}

static bool have_program(const char *name)
{
    char command[128];
    snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", name);
    return system(command) == 0;
}

/* Runs argv with stdin and stdout on two files; returns its exit status, or -1. */
static int run_program(char *const argv[], const char *in, const char *out)
{
    pid_t pid = fork();
    if (pid == 0) {
        int in_fd = open(in, O_RDONLY);
        int out_fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (in_fd >= 0 && out_fd >= 0 && dup2(in_fd, 0) == 0 && dup2(out_fd, 1) == 1) {
            execvp(argv[0], argv);
        }
        _exit(127);
    }
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
        return -1;
    }
    return WEXITSTATUS(status);
}

static int compile_oracle(const struct fp_oracle *oracle, char *path)
{
    char compiler[64], flags[128], source[4096];
    char *argv[MAX_ARGUMENTS] = {
        compiler, (char[]){"-static"}, (char[]){"-O1"}, (char[]){"-o"}, path, source};
    char *rest = NULL;

    snprintf(compiler, sizeof compiler, "%s", oracle->compiler);
    snprintf(flags, sizeof flags, "%s", oracle->flags);
    snprintf(source, sizeof source, "%s", oracle->source);
    char *word = strtok_r(flags, " ", &rest);
    for (int n = 6; word != NULL && n < MAX_ARGUMENTS - 1; n++) {
        argv[n] = word;
        word = strtok_r(NULL, " ", &rest);
    }
    return run_program(argv, "/dev/null", "/dev/null");
}

/* Repeats an operand over 64 bits, so that every lane of a vector computes the same. */
static uint64_t repeat(uint64_t v, unsigned bits)
{
    for (; bits < 64; bits *= 2) {
        v |= v << bits;
    }
    return v;
}

static void make_requests(const struct fp_oracle *oracle, struct fp_gen *gen, unsigned count,
                          struct fp_request *requests)
{
    for (size_t i = 0; i < oracle->op_count * count; i++) {
        const struct fp_op *op = &oracle->ops[i / count];
        unsigned lane = fp_operand_bits(op->operand);
        uint64_t mask = UINT64_MAX >> (64 - lane);
        uint64_t v[3];

        fp_gen_operands(gen, op->operand, v);
        requests[i] = (struct fp_request){
            .op = (uint32_t)(i / count),
            .fpscr = fp_gen_fpscr(gen),
            .a = repeat(v[0] & mask, lane),
            .b = repeat(v[1] & mask, lane),
            .c = repeat(v[2] & mask, lane),
        };
    }
}

/* What the library says; only the lowest lane of a vector result is computed and compared. */
static struct fp_answer expect(const struct fp_op *op, const struct fp_request *r)
{
    struct fp_env env =
        op->env == FP_ENV_VFP ? fp_env_from_fpscr(r->fpscr) : fp_env_standard(r->fpscr);
    struct fp_answer answer = {.result = op->eval(r->a, r->b, r->c, &env)};

    answer.fpscr = r->fpscr | env.flags;
    if (op->bits == FP_NZCV_BITS) {
        answer.fpscr |= (uint32_t)answer.result << 28;
    }
    return answer;
}

static bool same(const struct fp_op *op, const struct fp_answer *got, const struct fp_answer *want)
{
    uint64_t mask = UINT64_MAX >> (64 - op->bits);
    bool same_result = op->bits == FP_NZCV_BITS || ((got->result ^ want->result) & mask) == 0;
    return same_result && got->fpscr == want->fpscr;
}

static unsigned compare_op(const struct fp_op *op, unsigned count,
                           const struct fp_request *requests, const struct fp_answer *answers)
{
    unsigned differences = 0;
    for (unsigned i = 0; i < count; i++) {
        const struct fp_request *r = &requests[i];
        struct fp_answer want = expect(op, r);
        if (same(op, &answers[i], &want)) {
            continue;
        }
        if (differences++ < MAX_PRINTED) {
            fprintf(stderr,
                    "%s: a %" PRIx64 " b %" PRIx64 " c %" PRIx64 " fpscr %08x: oracle %" PRIx64
                    " %08x, library %" PRIx64 " %08x\n",
                    op->name, r->a, r->b, r->c, r->fpscr, answers[i].result, answers[i].fpscr,
                    want.result, want.fpscr);
        }
    }
    return differences;
}

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    cr_assert(file != NULL, "cannot create %s", path);
    cr_assert(fwrite(data, size, 1, file) == 1 && fclose(file) == 0, "cannot write %s", path);
}

static void read_file(const char *path, void *data, size_t size)
{
    FILE *file = fopen(path, "rb");
    cr_assert(file != NULL, "cannot open %s", path);
    cr_assert(fread(data, size, 1, file) == 1, "%s is too short", path);
    fclose(file);
}

struct paths {
    char dir[64], program[80], requests[80], answers[80];
};

static void make_paths(struct paths *p)
{
    const char *tmp = "/tmp/umbra-fp-XXXXXX";
    strcpy(p->dir, tmp);
    cr_assert(mkdtemp(p->dir) != NULL, "cannot create %s", tmp);
    snprintf(p->program, sizeof p->program, "%s/oracle", p->dir);
    snprintf(p->requests, sizeof p->requests, "%s/requests", p->dir);
    snprintf(p->answers, sizeof p->answers, "%s/answers", p->dir);
}

static void remove_paths(const struct paths *p)
{
    unlink(p->program);
    unlink(p->requests);
    unlink(p->answers);
    rmdir(p->dir);
}

static void ask_oracle(const struct fp_oracle *oracle, struct paths *p, size_t total,
                       const struct fp_request *requests, struct fp_answer *answers)
{
    char emulator[32];
    char *argv[] = {emulator, (char[]){"-cpu"}, (char[]){"max"}, p->program, NULL};

    snprintf(emulator, sizeof emulator, "%s", oracle->emulator);
    write_file(p->requests, requests, total * sizeof *requests);
    cr_assert_eq(run_program(argv, p->requests, p->answers), 0, "the oracle failed under %s",
                 oracle->emulator);
    read_file(p->answers, answers, total * sizeof *answers);
}

static void compare_all(const struct fp_oracle *oracle, unsigned count,
                        const struct fp_request *requests, const struct fp_answer *answers)
{
    for (size_t i = 0; i < oracle->op_count; i++) {
        const struct fp_op *op = &oracle->ops[i];
        unsigned differences = compare_op(op, count, &requests[i * count], &answers[i * count]);
        cr_expect_eq(differences, 0, "%s: %u of %u differ", op->name, differences, count);
    }
}

void fp_oracle_check(const struct fp_oracle *oracle)
{
    if (!have_program(oracle->emulator) || !have_program(oracle->compiler)) {
        cr_skip_test("needs %s and %s", oracle->emulator, oracle->compiler);
    }
    unsigned count = env_number("UMBRA_FP_COUNT", 2000);
    struct fp_gen gen = {.state = env_number("UMBRA_FP_SEED", 1)};
    size_t total = oracle->op_count * count;
    struct fp_request *requests = calloc(total, sizeof *requests);
    struct fp_answer *answers = calloc(total, sizeof *answers);
    struct paths paths;

    cr_assert(requests != NULL && answers != NULL);
    make_paths(&paths);
    int compiled = compile_oracle(oracle, paths.program);
    if (compiled == 0) {
        make_requests(oracle, &gen, count, requests);
        ask_oracle(oracle, &paths, total, requests, answers);
    }
    remove_paths(&paths);
    cr_assert_eq(compiled, 0, "%s cannot build the oracle", oracle->compiler);
    compare_all(oracle, count, requests, answers);
    free(requests);
    free(answers);
}
