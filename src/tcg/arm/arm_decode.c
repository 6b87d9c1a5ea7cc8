/* SPDX-License-Identifier: MIT */
/*
 * The decoders of each instruction set, in the order in which they are asked. The tables of one set are
 * disjoint (a test proves it), so the order matters for speed only: frequent groups first.
 *
 * Threads: the translating vCPU thread.
 */
#include "arm_internal.h"
#include "a32_bits_decode.h"
#include "a32_branch_decode.h"
#include "a32_dp_decode.h"
#include "t16_branch_decode.h"
#include "t16_dp_decode.h"
#include "t32_bits_decode.h"
#include "t32_branch_decode.h"
#include "t32_dp_decode.h"
#include "a32_ldst_decode.h"
#include "a32_media_decode.h"
#include "a32_mul_decode.h"
#include "a32_sys_decode.h"
#include "t16_ldst_decode.h"
#include "t16_sys_decode.h"
#include "t32_ldst_decode.h"
#include "t32_media_decode.h"
#include "t32_mul_decode.h"
#include "t32_sys_decode.h"

typedef bool (*decoder)(struct arm_ctx *s, uint32_t insn);

static const decoder a32_decoders[] = {
    a32_dp_decode, a32_ldst_decode, a32_branch_decode, a32_bits_decode, a32_mul_decode,
    a32_media_decode, a32_sys_decode,
};
static const decoder t32_decoders[] = {
    t32_dp_decode, t32_ldst_decode, t32_branch_decode, t32_bits_decode, t32_mul_decode,
    t32_media_decode, t32_sys_decode,
};
static const decoder t16_decoders[] = {
    t16_dp_decode, t16_ldst_decode, t16_branch_decode, t16_sys_decode,
};

static bool try_all(struct arm_ctx *s, const decoder *d, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (d[i](s, s->insn)) {
            return true;
        }
    }
    return false;
}

bool arm_decode(struct arm_ctx *s)
{
    if (!s->thumb) {
        return try_all(s, a32_decoders, ARRAY_SIZE(a32_decoders));
    }
    if (s->insn_len == 2) {
        return try_all(s, t16_decoders, ARRAY_SIZE(t16_decoders));
    }
    return try_all(s, t32_decoders, ARRAY_SIZE(t32_decoders));
}
