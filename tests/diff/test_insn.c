/* SPDX-License-Identifier: MIT */
/*
 * The ARM front end against the oracle, its blocks run by the IR interpreter: a difference here is
 * the decoder's, the front end's or the IR builder's. Integer instructions only, as the
 * interpreter.
 */
#include <criterion/criterion.h>

#include "diff/insn_subject.h"
#include "insn_compare.h"

Test(insn, front_end_agrees_with_the_oracle, .timeout = 600)
{
    static const struct insn_subject subject = {.run = insn_subject_run, .cpu = "cortex-a15"};

    insn_compare(&subject);
}
