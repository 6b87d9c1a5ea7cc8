/* SPDX-License-Identifier: MIT */
/*
 * Paths of Unix sockets that we listen at. No state, no locks; any thread.
 */
#pragma once

#include "base/types.h"

/*
 * Make the path free for a server, or tidy it up after one whose descriptor is closed: a socket
 * that nobody serves any more is removed. Everything else stays: a file of another kind, a link, a
 * socket that another process has put there. 0, or -EADDRINUSE when something stays.
 */
int unix_path_free(const char *path);
