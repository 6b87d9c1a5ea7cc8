/* SPDX-License-Identifier: MIT */
/*
 * The user's terminal: raw mode while a guest console uses it, and always put back.
 */
#pragma once

#include "base/types.h"

/* A console wants fd raw once the machine runs; nothing happens when it is no terminal. Main
   thread. */
void terminal_use(int fd);
/* Make it raw. The caller has blocked the signals that would end us. Main thread. */
void terminal_raw(void);
/* Put the settings back. Async-signal-safe, any thread, any number of times. */
void terminal_restore(void);
/* After SIGCONT, when the shell may have changed the settings: raw again. */
void terminal_raw_again(void);
