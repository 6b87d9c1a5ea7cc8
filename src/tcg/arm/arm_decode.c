/* SPDX-License-Identifier: MIT */
/*
 * The decoders of each instruction set, in the order in which they are asked. The tables of one set
 * are disjoint (a test proves it), so the order matters for speed only: frequent groups first.
 *
 * Threads: the translating vCPU thread; the tables are constant.
 */
#include "arm_tables.h"
#include "arm_internal.h"
#include "a32_bits_decode.h"
#include "a32_branch_decode.h"
#include "a32_dp_decode.h"
#include "a32_ldst_decode.h"
#include "a32_media_decode.h"
#include "a32_mul_decode.h"
#include "a32_sys_decode.h"
#include "asimd_crypto_decode.h"
#include "asimd_imm_decode.h"
#include "asimd_ldst_decode.h"
#include "asimd_long_decode.h"
#include "asimd_misc_decode.h"
#include "asimd_three_decode.h"
#include "t16_branch_decode.h"
#include "t16_dp_decode.h"
#include "t16_ldst_decode.h"
#include "t16_mul_decode.h"
#include "t16_sys_decode.h"
#include "t32_bits_decode.h"
#include "t32_branch_decode.h"
#include "t32_dp_decode.h"
#include "t32_ldst_decode.h"
#include "t32_media_decode.h"
#include "t32_mul_decode.h"
#include "t32_sys_decode.h"
#include "vfp_decode.h"
#include "vfp_v8_decode.h"

#define TABLE(stem)                                                                    \
    {                                                                                  \
#stem, stem##_decode, stem##_lookup, stem##_encodings, &stem##_encodings_count \
    }

static const struct arm_table a32_tables[] = {
    TABLE(a32_dp),    TABLE(a32_ldst),   TABLE(a32_branch), TABLE(a32_bits),     TABLE(a32_mul),
    TABLE(a32_media), TABLE(vfp),        TABLE(a32_sys),    TABLE(asimd_ldst),   TABLE(asimd_three),
    TABLE(asimd_imm), TABLE(asimd_misc), TABLE(asimd_long), TABLE(asimd_crypto), TABLE(vfp_v8),
};
static const struct arm_table t32_tables[] = {
    TABLE(t32_dp),    TABLE(t32_ldst), TABLE(t32_branch), TABLE(t32_bits), TABLE(t32_mul),
    TABLE(t32_media), TABLE(vfp),      TABLE(vfp_v8),     TABLE(t32_sys),
};
static const struct arm_table t16_tables[] = {
    TABLE(t16_dp), TABLE(t16_ldst), TABLE(t16_branch), TABLE(t16_mul), TABLE(t16_sys),
};

static const struct {
    const struct arm_table *table;
    unsigned count;
} sets[ARM_ISA_COUNT] = {
    [ARM_ISA_A32] = {a32_tables, ARRAY_SIZE(a32_tables)},
    [ARM_ISA_T32] = {t32_tables, ARRAY_SIZE(t32_tables)},
    [ARM_ISA_T16] = {t16_tables, ARRAY_SIZE(t16_tables)},
};

/*
 * Advanced SIMD has the same words in both instruction sets but for the top byte (A7.1): its tables
 * are those of A32, where it begins with 1111 001 and 1111 0100 xxx0.
 */
#define ASIMD_DP   0xf2000000u
#define ASIMD_LDST 0xf4000000u

/* Turn a T32 word (111U 1111 or 1111 1001 xxx0 at the top) into the A32 one; false for others. */
static bool asimd_word(uint32_t *insn)
{
    uint32_t rest = *insn & 0x00ffffff;

    if ((*insn & 0xef000000) == 0xef000000) {
        *insn = ASIMD_DP | (*insn >> 28 & 1) << 24 | rest;
        return true;
    }
    if ((*insn & 0xff100000) == 0xf9000000) {
        *insn = ASIMD_LDST | rest;
        return true;
    }
    return false;
}

const struct arm_table *arm_tables(enum arm_isa isa, unsigned *count)
{
    *count = sets[isa].count;
    return sets[isa].table;
}

const struct decode_encoding *arm_find_encoding(enum arm_isa isa, uint32_t insn)
{
    if (isa == ARM_ISA_T32 && asimd_word(&insn)) {
        isa = ARM_ISA_A32;
    }
    for (unsigned i = 0; i < sets[isa].count; i++) {
        int k = sets[isa].table[i].lookup(insn);

        if (k >= 0) {
            return &sets[isa].table[i].encoding[k];
        }
    }
    return NULL;
}

bool arm_decode(struct arm_ctx *s)
{
    enum arm_isa isa = !s->thumb ? ARM_ISA_A32 : s->insn_len == 2 ? ARM_ISA_T16 : ARM_ISA_T32;
    uint32_t insn = s->insn;

    if (isa == ARM_ISA_T32 && asimd_word(&insn)) {
        isa = ARM_ISA_A32;
    }
    for (unsigned i = 0; i < sets[isa].count; i++) {
        if (sets[isa].table[i].decode(s, insn)) {
            return true;
        }
    }
    return false;
}
