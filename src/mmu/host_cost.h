/* SPDX-License-Identifier: MIT */
/*
 * What the calls of the host that windows are made of cost on this machine. They differ by a factor
 * of 20 between hosts: on a virtual machine whose hypervisor shadows page tables, each signal, each
 * change of a mapping and each page flushed from the TLB is an exit.
 */
#pragma once

#include <stdint.h>

struct host_cost {
    uint64_t ticks_per_us; /* of the time-stamp counter */
    uint32_t signal_ns;    /* SIGSEGV, and back */
    uint32_t map_ns;       /* a page mapped, and touched for the first time */
    uint32_t flush_ns;     /* for each page, when a short run of written pages is unmapped */
};

/* One thread, before the emulator's own handler of SIGSEGV is installed. Takes some ten times what
 * it measures. What cannot be measured here is 0. */
void host_cost_measure(struct host_cost *c);
