/* SPDX-License-Identifier: MIT */
/*
 * Oracle program for A32 floating point: runs each requested instruction once on whatever executes
 * this program and answers with the result and FPSCR. Built with an armhf cross compiler for
 * ARMv8.2 with FP16, so that one binary has every instruction of the table; single-threaded.
 */
#include "fp_ops_a32.h"
#include "fp_oracle_main.h"

#define DEFINE_RUN(name, env, operand, bits, code, expression)                             \
    static void run_##name(const struct fp_request *r, struct fp_answer *answer)           \
    {                                                                                      \
        __asm__ volatile("vmsr fpscr, %[in]\n"                                             \
                         "vldr d0, %[c]\n"                                                 \
                         "vldr d2, %[a]\n"                                                 \
                         "vldr d3, %[a]\n"                                                 \
                         "vldr d4, %[b]\n" code "\n"                                       \
                         "vstr d0, %[result]\n"                                            \
                         "vmrs %[out], fpscr\n"                                            \
                         : [result] "=m"(answer->result), [out] "=&r"(answer->fpscr)       \
                         : [in] "r"(r->fpscr), [a] "m"(r->a), [b] "m"(r->b), [c] "m"(r->c) \
                         : "d0", "d1", "d2", "d3", "d4", "memory");                        \
    }

FP_OPS_A32(DEFINE_RUN)

#define LIST_RUN(name, env, operand, bits, code, expression) run_##name,

static fp_run_fn *const runs[] = {FP_OPS_A32(LIST_RUN)};

int main(void)
{
    return fp_oracle_main(runs, sizeof runs / sizeof runs[0]);
}
