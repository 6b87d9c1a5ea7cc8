/* SPDX-License-Identifier: MIT */
/*
 * The binary protocol between a floating-point test and an oracle program that runs one guest
 * instruction per request: a stream of requests on stdin, the answers in the same order on stdout.
 * Both sides are little-endian and lay the structures out alike.
 */
#pragma once

#include <stdint.h>

/* fpscr: A32's layout for both instruction sets; A64 splits it into FPCR and FPSR. */
struct fp_request {
    uint32_t op;
    uint32_t fpscr;
    uint64_t a, b, c; /* c: addend, and old value of the destination */
};

struct fp_answer {
    uint64_t result;
    uint32_t fpscr;
    uint32_t reserved;
};
