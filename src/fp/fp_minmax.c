/* SPDX-License-Identifier: MIT */
/*
 * FPMin(), FPMax() and ARMv8's FPMinNum(), FPMaxNum(). Of two zeros, max prefers the positive one
 * and min the negative one; a flushed denormal is such a zero. Pure functions.
 * DDI 0406C A2.7.7 (minimum and maximum), DDI 0487 FPMaxNum.
 */
#include "fp_internal.h"

/* -1, 0 or 1 as a is below, equal to or above b; neither is a NaN. */
static int order(const struct fp_num *a, const struct fp_num *b)
{
    /* Rank by sign and class: -inf -3, -finite -2, zero 0, finite 2, inf 3. */
    static const int rank_of[] = {[FPC_ZERO] = 0, [FPC_FINITE] = 2, [FPC_INF] = 3};
    int ra = a->sign ? -rank_of[a->class] : rank_of[a->class];
    int rb = b->sign ? -rank_of[b->class] : rank_of[b->class];
    if (ra != rb) {
        return ra < rb ? -1 : 1;
    }
    if (a->class != FPC_FINITE || (a->exp == b->exp && a->sig == b->sig)) {
        return 0;
    }
    bool below = a->exp != b->exp ? a->exp < b->exp : a->sig < b->sig;
    return below != a->sign ? -1 : 1;
}

static uint64_t generic_minmax(const struct fp_format *f, uint64_t abits, uint64_t bbits, bool max,
                               struct fp_env *env)
{
    struct fp_num n[2] = {fp_unpack(f, abits, env), fp_unpack(f, bbits, env)};
    uint64_t result;

    if (fp_process_nans(f, 2, n, (uint64_t[]){abits, bbits}, env, &result)) {
        return result;
    }
    if (n[0].class == FPC_ZERO && n[1].class == FPC_ZERO) {
        bool sign = max ? n[0].sign && n[1].sign : n[0].sign || n[1].sign;
        return fp_zero(f, sign);
    }
    int o = order(&n[0], &n[1]);
    unsigned pick = (max ? o > 0 : o < 0) ? 0 : 1;
    if (n[pick].class == FPC_ZERO) {
        return fp_zero(f, n[pick].sign); /* also a flushed denormal */
    }
    return pick == 0 ? abits : bbits;
}

/* A quiet NaN against anything but a quiet NaN becomes the infinity that cannot win. */
static uint64_t generic_minmaxnum(const struct fp_format *f, uint64_t abits, uint64_t bbits,
                                  bool max, struct fp_env *env)
{
    bool a_quiet = fp_unpack(f, abits, env).class == FPC_QNAN;
    bool b_quiet = fp_unpack(f, bbits, env).class == FPC_QNAN;

    if (a_quiet && !b_quiet) {
        abits = fp_infinity(f, max);
    } else if (b_quiet && !a_quiet) {
        bbits = fp_infinity(f, max);
    }
    return generic_minmax(f, abits, bbits, max, env);
}

#define DEFINE_MINMAX(N)                                                          \
    uint##N##_t fp_min_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env)     \
    {                                                                             \
        return (uint##N##_t)generic_minmax(&fp_format_f##N, a, b, false, env);    \
    }                                                                             \
    uint##N##_t fp_max_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env)     \
    {                                                                             \
        return (uint##N##_t)generic_minmax(&fp_format_f##N, a, b, true, env);     \
    }                                                                             \
    uint##N##_t fp_minnum_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env)  \
    {                                                                             \
        return (uint##N##_t)generic_minmaxnum(&fp_format_f##N, a, b, false, env); \
    }                                                                             \
    uint##N##_t fp_maxnum_f##N(uint##N##_t a, uint##N##_t b, struct fp_env *env)  \
    {                                                                             \
        return (uint##N##_t)generic_minmaxnum(&fp_format_f##N, a, b, true, env);  \
    }

DEFINE_MINMAX(16)
DEFINE_MINMAX(32)
DEFINE_MINMAX(64)
