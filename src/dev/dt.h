/* SPDX-License-Identifier: MIT */
/*
 * Writing the board's device tree: a thin layer over libfdt's sequential-write calls that keeps the
 * first error, so that a device's node is a few plain lines. Devices describe themselves.
 */
#pragma once

#include "base/types.h"

struct dt {
    void *buf;
    int size;
    int err; /* 0 or a libfdt error, sticky */
};

/* Phandles of the nodes that others refer to. */
enum dt_phandle { DT_GIC = 1, DT_CLOCK = 2, DT_V2M = 3, DT_GPIO = 4, DT_CPU0 = 16 };

/* Interrupt specifiers (arm,gic binding). */
#define DT_SPI          0u
#define DT_PPI          1u
#define DT_EDGE_RISING  1u
#define DT_LEVEL_HIGH   4u
#define DT_LEVEL_LOW    8u

void dt_begin(struct dt *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
void dt_end(struct dt *d);
void dt_flag(struct dt *d, const char *name);
void dt_string(struct dt *d, const char *name, const char *value);
/* Strings separated (and, by the literal's own end, terminated) by NUL. */
#define DT_STRINGS(d, name, literal) dt_bytes((d), (name), (literal), sizeof(literal))
void dt_bytes(struct dt *d, const char *name, const void *p, size_t len);
void dt_cells(struct dt *d, const char *name, const uint32_t *cell, size_t n);
#define DT_CELLS(d, name, ...)                                                                     \
    dt_cells((d), (name), (const uint32_t[]){__VA_ARGS__},                                         \
             sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))
void dt_reg(struct dt *d, gpa_t base, uint64_t size); /* two address and two size cells */
