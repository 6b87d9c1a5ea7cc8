/* SPDX-License-Identifier: MIT */
/*
 * FPProcessNaN(), FPProcessNaNs() and FPProcessNaNs3(): which operand becomes the NaN result, and
 * the Invalid Operation flag of a signalling one. Pure functions. DDI 0406C A2.7.6.
 */
#include "fp_internal.h"

uint64_t fp_process_nan(const struct fp_format *f, const struct fp_num *n, uint64_t bits,
                        struct fp_env *env)
{
    if (n->class == FPC_SNAN) {
        env->flags |= FP_IOC;
    }
    return env->dn ? fp_default_nan(f) : bits | fp_quiet_bit(f);
}

bool fp_process_nans(const struct fp_format *f, unsigned count, const struct fp_num *nums,
                     const uint64_t *bits, struct fp_env *env, uint64_t *result)
{
    for (enum fp_class want = FPC_SNAN; want >= FPC_QNAN; want--) {
        for (unsigned i = 0; i < count; i++) {
            if (nums[i].class == want) {
                *result = fp_process_nan(f, &nums[i], bits[i], env);
                return true;
            }
        }
    }
    return false;
}
