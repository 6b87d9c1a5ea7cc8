/* SPDX-License-Identifier: MIT */
/*
 * A board: the devices on the bus, the device tree that describes them, and where images go.
 * Today there is one, "virt". All functions run on the main thread while no vCPU runs, unless
 * they say otherwise.
 */
#pragma once

#include "vm.h"

#include <stdio.h>

struct chardev;

/* Create the devices of vm->opt on vm->bus, set vm->ppi_*; RAM, bus, I/O loop and vCPUs exist.
   Reports its own errors. */
int board_create(struct vm *vm) MUST_CHECK;
/* Disks are flushed. The I/O loop is stopped. */
void board_destroy(struct vm *vm);
/* Room for banks of flash in vm->ram, if there are any: after RAM was made, before the MMU. */
int board_reserve_flash(struct vm *vm) MUST_CHECK;
/* Load kernel, initrd and device tree into RAM and set vm->boot_*; at start and after each
   reset. Reports its own errors. */
int board_load(struct vm *vm) MUST_CHECK;
/* Every device to its reset state; the I/O loop may be running. */
void board_reset(struct vm *vm);
/* Press the power key. Any thread. */
void board_power_key(struct vm *vm);
/* A key of the console's escape sequence (Ctrl-A): x quits, p presses the power key, b sends a
   break. `vm` is a struct vm. Any thread. */
void board_console_key(void *vm, char key);
/* The back end of the serial port; NULL with -dumpdtb. */
struct chardev *board_serial(const struct vm *vm);
/* State of the interrupt controller. Any thread. */
void board_dump_irq(const struct vm *vm, FILE *f);
/* The device tree that board_load() made or patched. */
const void *board_dtb(const struct vm *vm, size_t *size);

#define BOARD_VIRT_RAM_BASE 0x40000000u
