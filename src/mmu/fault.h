/* SPDX-License-Identifier: MIT */
/* The process's handlers of SIGSEGV and SIGBUS, see fault.c. Private to src/mmu. */
#pragma once

#include "base/types.h"

struct vm;

/* Machine thread, once a machine at a time; -errno. */
int fault_install(struct vm *vm) MUST_CHECK;
void fault_uninstall(void);
