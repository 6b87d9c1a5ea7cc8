/* SPDX-License-Identifier: MIT */
/*
 * The host-FPU versions of the f32 and f64 arithmetic against the integer-only ones: same results
 * and flags for edge-biased and plain operands, with and without flags already raised, whatever
 * MXCSR holds; and MXCSR collects nothing that the guest's flags do not say too.
 * UMBRA_FP_COUNT sets the operands per operation (default 100000), UMBRA_FP_SEED the seed.
 */
#include <criterion/criterion.h>
#include <immintrin.h>
#include <inttypes.h>
#include <stdlib.h>

#include "fp/fp.h"
#include "fp/fp_exact.h"
#include "insn/fp_oracle/fp_gen.h"

#define MXCSR_DE 0x02u /* stands for no guest flag */
#define MXCSR_PE 0x20u

struct pair {
    const char *name;
    enum fp_operand kind;
    uint64_t (*fast)(const uint64_t v[3], struct fp_env *env);
    uint64_t (*exact)(const uint64_t v[3], struct fp_env *env);
};

/* arguments: which of v the operation takes */
#define DEFINE_CALLS(op, N, ...)                                               \
    static uint64_t fast_##op##_f##N(const uint64_t v[3], struct fp_env *env)  \
    {                                                                          \
        return fp_##op##_f##N(__VA_ARGS__, env);                               \
    }                                                                          \
    static uint64_t exact_##op##_f##N(const uint64_t v[3], struct fp_env *env) \
    {                                                                          \
        return fp_exact_##op##_f##N(__VA_ARGS__, env);                         \
    }

#define LIST_PAIR(op, N, ...) {#op "_f" #N, FP_OPERAND_F##N, fast_##op##_f##N, exact_##op##_f##N},

#define VALUE(i, N)           (uint##N##_t) v[i]

#define ALL_PAIRS(X, N)                 \
    X(add, N, VALUE(0, N), VALUE(1, N)) \
    X(sub, N, VALUE(0, N), VALUE(1, N)) \
    X(mul, N, VALUE(0, N), VALUE(1, N)) \
    X(div, N, VALUE(0, N), VALUE(1, N)) \
    X(sqrt, N, VALUE(0, N))             \
    X(muladd, N, VALUE(2, N), VALUE(0, N), VALUE(1, N))

ALL_PAIRS(DEFINE_CALLS, 32)
ALL_PAIRS(DEFINE_CALLS, 64)

static const struct pair pairs[] = {ALL_PAIRS(LIST_PAIR, 32) ALL_PAIRS(LIST_PAIR, 64)};

/* Ordinary numbers with few significant bits, where exact results are common. */
static void make_plain(struct fp_gen *g, enum fp_operand kind, uint64_t v[3])
{
    for (unsigned i = 0; i < 3; i++) {
        struct fp_env env = {.rounding = FP_RZ};
        uint64_t value = fp_gen_u64(g) >> fp_gen_below(g, 64);
        unsigned fbits = fp_gen_below(g, 64);
        v[i] = kind == FP_OPERAND_F32 ? fp_from_int_f32(value, false, fbits, FP_RZ, &env)
                                      : fp_from_int_f64(value, false, fbits, FP_RZ, &env);
    }
    if (fp_gen_below(g, 4) == 0) {
        v[0] = kind == FP_OPERAND_F32
                   ? fp_mul_f32((uint32_t)v[1], (uint32_t)v[1], &(struct fp_env){.rounding = FP_RZ})
                   : fp_mul_f64(v[1], v[1], &(struct fp_env){.rounding = FP_RZ});
    }
}

/* Runs p->fast under a given MXCSR; returns the MXCSR it leaves. */
static unsigned call_fast(const struct pair *p, const uint64_t v[3], unsigned csr,
                          struct fp_env *env, uint64_t *result)
{
    unsigned saved = _mm_getcsr();
    _mm_setcsr(csr);
    *result = p->fast(v, env);
    unsigned left = _mm_getcsr();
    _mm_setcsr(saved);
    return left;
}

static void check_one(const struct pair *p, const uint64_t v[3], struct fp_env env, unsigned csr)
{
    struct fp_env fast_env = env;
    struct fp_env exact_env = env;
    uint64_t fast;
    unsigned left = call_fast(p, v, csr, &fast_env, &fast);
    uint64_t exact = p->exact(v, &exact_env);

    cr_assert(fast == exact && fast_env.flags == exact_env.flags,
              "%s(%" PRIx64 ", %" PRIx64 ", %" PRIx64
              ") rounding %u flags %x mxcsr %x: fast %" PRIx64 " %x, exact %" PRIx64 " %x",
              p->name, v[0], v[1], v[2], env.rounding, env.flags, csr, fast, fast_env.flags, exact,
              exact_env.flags);
    unsigned allowed = MXCSR_DE | ((fast_env.flags & FP_IXC) != 0 ? MXCSR_PE : 0);
    cr_assert((left & ~allowed) == (csr & ~allowed),
              "%s(%" PRIx64 ", %" PRIx64 ", %" PRIx64 ") flags %x: mxcsr %x becomes %x", p->name,
              v[0], v[1], v[2], fast_env.flags, csr, left);
}

/* Mostly the default; else any rounding mode, FTZ, DAZ and flags, exceptions masked. */
static unsigned make_mxcsr(struct fp_gen *g)
{
    unsigned controls = fp_gen_below(g, 4) == 0 ? (unsigned)fp_gen_u64(g) & 0xe040u : 0;
    unsigned flags = fp_gen_below(g, 4) == 0 ? (unsigned)fp_gen_u64(g) & 0x3fu : 0;
    return 0x1f80u | controls | flags;
}

static unsigned env_number(const char *name, unsigned fallback)
{
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? (unsigned)strtoul(text, NULL, 0) : fallback;
}

Test(fp_fast, same_as_exact, .timeout = 3600)
{
    unsigned count = env_number("UMBRA_FP_COUNT", 100000);
    struct fp_gen gen = {.state = env_number("UMBRA_FP_SEED", 1)};

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        for (unsigned n = 0; n < count; n++) {
            uint32_t fpscr = fp_gen_fpscr(&gen);
            uint64_t v[3];
            if (n % 2 == 0) {
                fp_gen_operands(&gen, pairs[i].kind, v);
            } else {
                make_plain(&gen, pairs[i].kind, v);
            }
            fpscr &= n % 8 == 0 ? ~0u : ~0xc00000u; /* mostly to nearest */
            check_one(&pairs[i], v, fp_env_from_fpscr(fpscr), make_mxcsr(&gen));
        }
    }
}

/* TwoSum's and the remainders' limits: operands at the bounds that the fast paths test. */
Test(fp_fast, bounds)
{
    static const uint32_t exps32[] = {0, 1, 2, 3, 251, 252, 253, 254, 255};
    static const uint32_t exps64[] = {0,   1,   2,    3,    63,   64,   127,
                                      128, 129, 2043, 2044, 2045, 2046, 2047};
    struct fp_gen gen = {.state = 7};

    for (unsigned n = 0; n < 200000; n++) {
        uint64_t v32[3], v64[3];
        for (unsigned i = 0; i < 3; i++) {
            uint64_t sign = fp_gen_u64(&gen) & 1;
            uint64_t frac = fp_gen_sparse(&gen, 4);
            v32[i] = sign << 31 | (frac & 0x7fffff) |
                     (uint64_t)exps32[fp_gen_below(&gen, sizeof exps32 / sizeof *exps32)] << 23;
            v64[i] = sign << 63 | (frac & UINT64_C(0xfffffffffffff)) |
                     (uint64_t)exps64[fp_gen_below(&gen, sizeof exps64 / sizeof *exps64)] << 52;
        }
        const struct pair *p = &pairs[n % (sizeof pairs / sizeof pairs[0])];
        struct fp_env env = {.rounding = FP_RN, .flags = n & 1 ? FP_IXC : 0};
        check_one(p, p->kind == FP_OPERAND_F32 ? v32 : v64, env, make_mxcsr(&gen));
    }
}
