/* SPDX-License-Identifier: MIT */
/*
 * A board: the devices on the bus, the device tree that describes them, and where images go.
 * Today there is one, "virt". All functions run on the main thread while no vCPU runs, unless
 * they say otherwise.
 */
#pragma once

#include "vm.h"

/* Create the devices of vm->opt on vm->bus, set vm->ppi_*; RAM, bus, I/O loop and vCPUs exist.
   Reports its own errors. */
int board_create(struct vm *vm) MUST_CHECK;
/* Disks are flushed. The I/O loop is stopped. */
void board_destroy(struct vm *vm);
/* Load kernel, initrd and device tree into RAM and set vm->boot_*; at start and after each
   reset. Reports its own errors. */
int board_load(struct vm *vm) MUST_CHECK;
/* Every device to its reset state; the I/O loop may be running. */
void board_reset(struct vm *vm);
/* Press the power key. Any thread. */
void board_power_key(struct vm *vm);
/* The device tree that board_load() made or patched. */
const void *board_dtb(const struct vm *vm, size_t *size);

#define BOARD_VIRT_RAM_BASE 0x40000000u
