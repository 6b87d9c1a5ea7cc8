/* SPDX-License-Identifier: MIT */
/*
 * perf map of the translated code; see perf_map.c.
 */
#pragma once

#include "base/types.h"

int perf_map_open(void) MUST_CHECK; /* -errno */
void perf_map_close(void);
