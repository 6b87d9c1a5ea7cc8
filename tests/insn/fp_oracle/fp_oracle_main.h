/* SPDX-License-Identifier: MIT */
/*
 * The request loop of an oracle program: a function per instruction, each request answered in
 * order. Included by the one source file of the program, which is built without the rest of the
 * tree.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "fp_record.h"

typedef void fp_run_fn(const struct fp_request *request, struct fp_answer *answer);

static int fp_oracle_main(fp_run_fn *const *runs, size_t count)
{
    struct fp_request request;

    while (fread(&request, sizeof request, 1, stdin) == 1) {
        struct fp_answer answer = {0};
        if (request.op >= count) {
            return EXIT_FAILURE;
        }
        runs[request.op](&request, &answer);
        if (fwrite(&answer, sizeof answer, 1, stdout) != 1) {
            return EXIT_FAILURE;
        }
    }
    return ferror(stdin) || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
