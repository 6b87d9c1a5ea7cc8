/* SPDX-License-Identifier: MIT */
/*
 * Oracle program for A64 floating point, like fp_oracle_a32.c: FPCR and FPSR are one word with
 * A32's layout, whose bits 31:28 take NZCV of a comparison. Built with an arm64 cross compiler for
 * ARMv8.2 with FP16; single-threaded.
 */
#include "fp_ops_a64.h"
#include "fp_oracle_main.h"

#define FPSR_FLAGS 0x9fu
#define NZCV_BITS  4

#define DEFINE_RUN(name, env, operand, bits, code, expression)                                     \
    static void run_##name(const struct fp_request *r, struct fp_answer *answer)                   \
    {                                                                                              \
        uint64_t flags, nzcv;                                                                      \
        __asm__ volatile("msr fpcr, %[fpcr]\n"                                                     \
                         "msr fpsr, %[fpsr]\n"                                                     \
                         "ldr d0, %[c]\n"                                                          \
                         "ldr d1, %[a]\n"                                                          \
                         "ldr d2, %[b]\n" code "\n"                                                \
                         "str d0, %[result]\n"                                                     \
                         "mrs %[nzcv], nzcv\n"                                                     \
                         "mrs %[flags], fpsr\n"                                                    \
                         : [result] "=m"(answer->result), [flags] "=&r"(flags), [nzcv] "=&r"(nzcv) \
                         : [fpcr] "r"((uint64_t)(r->fpscr & ~FPSR_FLAGS)),                         \
                           [fpsr] "r"((uint64_t)(r->fpscr & FPSR_FLAGS)), [a] "m"(r->a),           \
                           [b] "m"(r->b), [c] "m"(r->c)                                            \
                         : "x9", "v0", "v1", "v2", "cc", "memory");                                \
        answer->fpscr = (r->fpscr & ~FPSR_FLAGS) | (uint32_t)flags;                                \
        if ((bits) == NZCV_BITS) {                                                                 \
            answer->fpscr |= (uint32_t)nzcv & 0xf0000000u;                                         \
        }                                                                                          \
    }

FP_OPS_A64(DEFINE_RUN)

#define LIST_RUN(name, env, operand, bits, code, expression) run_##name,

static fp_run_fn *const runs[] = {FP_OPS_A64(LIST_RUN)};

int main(void)
{
    return fp_oracle_main(runs, sizeof runs / sizeof runs[0]);
}
