/* SPDX-License-Identifier: MIT */
/*
 * The counters' storage and their two printed forms, text and JSON, from the one table in stats.h.
 * Threads: each vCPU writes its own cache lines; printing reads relaxed values at any time, so the
 * numbers of a running machine are a snapshot of each counter, not of all at one instant.
 */
#include "base/stats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

_Alignas(CACHE_LINE) struct stats stats_vcpu[STATS_VCPUS];

static const struct {
    const char *name, *text;
} field[] = {
#define X(name, text) {#name, text},
    STATS(X)
#undef X
};

static uint64_t value(unsigned cpu, size_t i)
{
    const _Atomic uint64_t *first = (const _Atomic uint64_t *)&stats_vcpu[cpu];

    return atomic_load_explicit(first + i, memory_order_relaxed);
}

static bool is_maximum(size_t i)
{
    return strstr(field[i].name, "_max_") != NULL;
}

static uint64_t total(unsigned ncpus, size_t i)
{
    bool is_max = is_maximum(i);
    uint64_t sum = 0;

    for (unsigned c = 0; c < ncpus; c++) {
        uint64_t v = value(c, i);
        sum = is_max ? (v > sum ? v : sum) : sum + v;
    }
    return sum;
}

uint64_t stats_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void stats_print_text(FILE *f, unsigned nvcpus)
{
    _Static_assert(sizeof(struct stats) == ARRAY_SIZE(field) * sizeof(uint64_t), "counters only");
    for (size_t i = 0; i < ARRAY_SIZE(field); i++) {
        fprintf(f, "%-18s %14" PRIu64, field[i].name, total(nvcpus, i));
        if (nvcpus > 1) {
            fprintf(f, "  (");
            for (unsigned c = 0; c < nvcpus; c++) {
                fprintf(f, "%s%" PRIu64, c ? " " : "", value(c, i));
            }
            fprintf(f, ")");
        }
        fprintf(f, "  %s\n", field[i].text);
    }
    fflush(f);
}

static void print_json(FILE *f, unsigned nvcpus, void (*more)(const void *opaque, FILE *f),
                       const void *opaque)
{
    fprintf(f, "{\n  \"vcpus\": [");
    for (unsigned c = 0; c < nvcpus; c++) {
        fprintf(f, "%s\n    {", c ? "," : "");
        for (size_t i = 0; i < ARRAY_SIZE(field); i++) {
            fprintf(f, "%s\"%s\": %" PRIu64, i ? ", " : "", field[i].name, value(c, i));
        }
        fprintf(f, "}");
    }
    fprintf(f, "\n  ],\n  \"total\": {");
    for (size_t i = 0; i < ARRAY_SIZE(field); i++) {
        fprintf(f, "%s\n    \"%s\": %" PRIu64, i ? "," : "", field[i].name, total(nvcpus, i));
    }
    fprintf(f, "\n  }");
    if (more != NULL) {
        more(opaque, f);
    }
    fprintf(f, "\n}\n");
}

static int write_json_to(const char *path, unsigned nvcpus,
                         void (*more)(const void *opaque, FILE *f), const void *opaque)
{
    FILE *f = fopen(path, "we");
    int err = 0;

    if (f == NULL) {
        return -errno;
    }
    print_json(f, nvcpus, more, opaque);
    if (fflush(f) != 0 || ferror(f)) {
        err = errno != 0 ? -errno : -EIO;
    }
    if (fclose(f) != 0 && err == 0) {
        err = -errno;
    }
    return err;
}

int stats_write_json(const char *path, unsigned nvcpus,
                     void (*more)(const void *opaque, FILE *f), const void *opaque)
{
    struct stat st;
    char *tmp = NULL;

    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        return write_json_to(path, nvcpus, more, opaque); /* a device or pipe: never replaced */
    }
    if (asprintf(&tmp, "%s.%ld.tmp", path, (long)getpid()) < 0) {
        return -ENOMEM;
    }
    int err = write_json_to(tmp, nvcpus, more, opaque);
    if (err == 0 && rename(tmp, path) != 0) {
        err = -errno;
    }
    if (err != 0) {
        unlink(tmp);
    }
    free(tmp);
    return err;
}

void stats_print_prometheus(FILE *f, unsigned nvcpus)
{
    for (size_t i = 0; i < ARRAY_SIZE(field); i++) {
        const char *suffix = is_maximum(i) ? "" : "_total";
        fprintf(f, "# HELP umbra_%s%s %s\n", field[i].name, suffix, field[i].text);
        fprintf(f, "# TYPE umbra_%s%s %s\n", field[i].name, suffix,
                is_maximum(i) ? "gauge" : "counter");
        for (unsigned c = 0; c < nvcpus; c++) {
            fprintf(f, "umbra_%s%s{cpu=\"%u\"} %" PRIu64 "\n", field[i].name, suffix, c,
                    value(c, i));
        }
    }
}
