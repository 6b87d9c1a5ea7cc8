/* SPDX-License-Identifier: MIT */
/*
 * The debugger stub: GDB's remote protocol on a socket, vCPUs as threads. See docs/gdb.md.
 */
#pragma once

#include "base/types.h"

struct vm;
struct gdb;

/* "tcp:[HOST]:PORT" or "unix:PATH"? *why says what is accepted. */
bool gdb_spec_valid(const char *spec, const char **why);
/* Listen, and start the stub's thread; before the vCPUs run. Reports its own errors; -errno. */
int gdb_start(struct vm *vm, const char *spec, struct gdb **out) MUST_CHECK;
/* Tell the debugger that the machine ended with `status`, and end. */
void gdb_stop(struct gdb *g, int status);
