/* SPDX-License-Identifier: MIT */
/*
 * The subject of the differential instruction test: the ARM front end, its blocks run by the IR
 * interpreter, in the surroundings that insn_record.h describes.
 */
#pragma once

#include "insn_record.h"

/* Run one test to its end. */
void insn_subject_run(const struct insn_test *t, struct insn_result *out);
