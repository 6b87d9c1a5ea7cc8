/* SPDX-License-Identifier: MIT */
/*
 * The floating-point library against an independent implementation: every instruction of
 * fp_ops_a32.h runs in a small armhf program under qemu-arm with seeded edge-biased operands, all
 * rounding modes and controls; results and FPSCR must be equal bit for bit. Skipped where qemu-arm
 * or the cross compiler is missing. UMBRA_FP_COUNT sets the operands per instruction (default
 * 2000; nightly 200000), UMBRA_FP_SEED the seed.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fp/fp.h"
#include "insn/fp_oracle/fp_gen.h"
#include "insn/fp_oracle/fp_ops_a32.h"
#include "insn/fp_oracle/fp_record.h"

#define CROSS_COMPILER "arm-linux-gnueabihf-gcc"
#define EMULATOR "qemu-arm"
#define SOURCE UMBRA_SOURCE_DIR "/tests/insn/fp_oracle/fp_oracle_a32.c"
#define NZCV_BITS 4
#define MAX_PRINTED 5

enum env_kind {
    ENV_VFP,
    ENV_SIMD,
};

struct op {
    const char *name;
    enum env_kind env;
    enum fp_operand operand;
    unsigned bits;
    uint64_t (*eval)(uint64_t a, uint64_t b, uint64_t c, struct fp_env *env);
};

/* The arguments are narrowed to the operand's width by the prototypes in fp.h. */
#define DEFINE_EVAL(name, env_, operand, bits, code, expression)                                   \
    static uint64_t eval_##name(uint64_t a, uint64_t b, uint64_t c, struct fp_env *env)            \
    {                                                                                              \
        (void)a, (void)b, (void)c, (void)env;                                                      \
        return expression;                                                                         \
    }

FP_OPS_A32(DEFINE_EVAL)

#define LIST_OP(name, env, operand, bits, code, expression)                                        \
    {#name, ENV_##env, FP_OPERAND_##operand, bits, eval_##name},

static const struct op ops[] = {FP_OPS_A32(LIST_OP)};

#define OP_COUNT (sizeof ops / sizeof ops[0])

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

static int compile_oracle(char *path)
{
    char *argv[] = {(char[]){CROSS_COMPILER},
                    (char[]){"-static"},
                    (char[]){"-marm"},
                    (char[]){"-O1"},
                    (char[]){"-march=armv8.2-a+fp16"},
                    (char[]){"-mfpu=neon-fp-armv8"},
                    (char[]){"-o"},
                    path,
                    (char[]){SOURCE},
                    NULL};
    return run_program(argv, "/dev/null", "/dev/null");
}

/* Repeats an operand over 64 bits, so that every lane of a vector computes the same. */
static uint64_t repeat(uint64_t v, unsigned bits)
{
    for (; bits != 0 && bits < 64; bits *= 2) {
        v |= v << bits;
    }
    return v;
}

/* Integer lanes of INT operations are as wide as the result's format: 16 or 32 bits, see below. */
static unsigned lane_bits(const struct op *op)
{
    if (op->operand != FP_OPERAND_INT) {
        return op->operand;
    }
    return strstr(op->name, "f16") != NULL && op->env == ENV_SIMD ? 16 : 32;
}

static void make_requests(struct fp_gen *gen, unsigned count, struct fp_request *requests)
{
    for (size_t i = 0; i < OP_COUNT * count; i++) {
        const struct op *op = &ops[i / count];
        unsigned lane = lane_bits(op);
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
static struct fp_answer expect(const struct op *op, const struct fp_request *r)
{
    struct fp_env env = op->env == ENV_VFP ? fp_env_from_fpscr(r->fpscr)
                                           : fp_env_standard(r->fpscr);
    struct fp_answer answer = {.result = op->eval(r->a, r->b, r->c, &env)};

    answer.fpscr = r->fpscr | env.flags;
    if (op->bits == NZCV_BITS) {
        answer.fpscr |= (uint32_t)answer.result << 28;
    }
    return answer;
}

static unsigned compared_bits(const struct op *op)
{
    if (op->bits == 64 && op->env == ENV_SIMD) {
        return strstr(op->name, "_f32_f16") != NULL ? 32
               : strstr(op->name, "_f16_f32") != NULL ? 16
                                                      : lane_bits(op);
    }
    return op->bits;
}

static bool same(const struct op *op, const struct fp_answer *got, const struct fp_answer *want)
{
    uint64_t mask = UINT64_MAX >> (64 - compared_bits(op));
    bool same_result = op->bits == NZCV_BITS || ((got->result ^ want->result) & mask) == 0;
    return same_result && got->fpscr == want->fpscr;
}

static unsigned compare_op(const struct op *op, unsigned count, const struct fp_request *requests,
                           const struct fp_answer *answers)
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

static void ask_oracle(const struct paths *p, size_t total, const struct fp_request *requests,
                       struct fp_answer *answers)
{
    char *argv[] = {(char[]){EMULATOR}, (char[]){"-cpu"}, (char[]){"max"},
                    (char *)(uintptr_t)p->program, NULL};
    write_file(p->requests, requests, total * sizeof *requests);
    cr_assert_eq(run_program(argv, p->requests, p->answers), 0, "the oracle failed under %s",
                 EMULATOR);
    read_file(p->answers, answers, total * sizeof *answers);
}

Test(fp_oracle, a32, .timeout = 3600)
{
    if (!have_program(EMULATOR) || !have_program(CROSS_COMPILER)) {
        cr_skip_test("needs " EMULATOR " and " CROSS_COMPILER);
    }
    unsigned count = env_number("UMBRA_FP_COUNT", 2000);
    struct fp_gen gen = {.state = env_number("UMBRA_FP_SEED", 1)};
    size_t total = OP_COUNT * count;
    struct fp_request *requests = calloc(total, sizeof *requests);
    struct fp_answer *answers = calloc(total, sizeof *answers);
    struct paths paths;

    cr_assert(requests != NULL && answers != NULL);
    make_paths(&paths);
    int compiled = compile_oracle(paths.program);
    if (compiled == 0) {
        make_requests(&gen, count, requests);
        ask_oracle(&paths, total, requests, answers);
    }
    remove_paths(&paths);
    cr_assert_eq(compiled, 0, "%s cannot build the oracle", CROSS_COMPILER);

    for (size_t i = 0; i < OP_COUNT; i++) {
        unsigned differences = compare_op(&ops[i], count, &requests[i * count],
                                          &answers[i * count]);
        cr_expect_eq(differences, 0, "%s: %u of %u differ", ops[i].name, differences, count);
    }
    free(requests);
    free(answers);
}
