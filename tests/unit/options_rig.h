/* SPDX-License-Identifier: MIT */
#pragma once
/* What the tests of the command line share: a line that is parsed, and the message it gets. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options.h"

#define MIB ((uint64_t)1 << 20)

/* Split at blanks; single quotes keep them. */
static inline int parse(const char *line, struct options *o)
{
    static char text[1024];
    char *argv[100] = {(char *)"umbra"};
    int argc = 1;
    char *p = text;

    snprintf(text, sizeof text, "%s", line);
    while (*p != '\0' && argc < 99) {
        char stop = *p == '\'' ? '\'' : ' ';
        p += stop == '\'';
        argv[argc++] = p;
        p += strcspn(p, stop == ' ' ? " " : "'");
        if (*p != '\0') {
            *p++ = '\0';
        }
        p += strspn(p, " ");
    }
    return options_parse(argc, argv, o);
}

/* Standard error of the last parse, up to the first kilobytes. */
static inline const char *message_of(const char *line)
{
    static char text[4096];
    struct options o;
    char path[] = "/tmp/umbra-test-options.XXXXXX";
    int fd = mkstemp(path), saved = dup(2);

    cr_assert_geq(fd, 0);
    fflush(stderr);
    dup2(fd, 2);
    int err = parse(line, &o);
    options_free(&o);
    fflush(stderr);
    dup2(saved, 2);
    close(saved);
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    close(fd);
    unlink(path);
    return err != 0 ? text : "accepted";
}
