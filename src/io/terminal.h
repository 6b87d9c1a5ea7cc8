/* SPDX-License-Identifier: MIT */
/*
 * The user's terminal: raw mode while a guest console uses it, and always put back.
 */
#pragma once

#include "base/types.h"

/* Remember the terminal's settings and make it raw; false when fd is no terminal. Main thread. */
bool terminal_raw(int fd);
/* Put the settings back. Async-signal-safe, any thread, any number of times. */
void terminal_restore(void);
/* After SIGCONT the shell may have changed the settings: raw again. */
void terminal_raw_again(void);
