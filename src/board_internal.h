/* SPDX-License-Identifier: MIT */
/*
 * Board "virt": its address and interrupt map, and the state shared by board_*.c. "ranchu" has the
 * same CPUs, interrupt controller, serial port and virtio slots, and other small devices.
 */
#pragma once

#include "board.h"
#include "dev/gic.h"

enum {
    VIRT_FLASH = 0, /* two banks */
    VIRT_GIC_DIST = 0x08000000,
    VIRT_GIC_CPU = 0x08010000,
    VIRT_GIC_V2M = 0x08020000,
    VIRT_UART = 0x09000000,
    VIRT_RTC = 0x09010000,
    VIRT_FW_CFG = 0x09020000,
    VIRT_GPIO = 0x09030000,
    VIRT_WATCHDOG = 0x09060000,
    VIRT_PVPANIC = 0x090d0000,
    VIRT_VIRTIO = 0x0a000000,
    VIRT_VIRTIO_STRIDE = 0x200,
    /* PCI where every kernel reaches it, as without high memory on the board of that name. */
    VIRT_PCI_MEMORY = 0x10000000,
    VIRT_PCI_PORTS = 0x3eff0000,
    VIRT_PCI_CONFIG = 0x3f000000,
    VIRT_PCI_MEMORY_SIZE = VIRT_PCI_PORTS - VIRT_PCI_MEMORY,
    VIRT_PCI_PORTS_SIZE = 0x10000,
    VIRT_PCI_CONFIG_SIZE = 0x1000000,
};

/* Shared peripheral interrupts (interrupt ID 32 + n). */
enum {
    SPI_UART = 1, SPI_RTC = 2, SPI_PCI = 3 /* to 6 */, SPI_GPIO = 7, SPI_WATCHDOG = 10,
    SPI_VIRTIO = 16, SPI_V2M = 48, SPI_V2M_COUNT = 64,
};
/* Private peripheral interrupts, as interrupt IDs. */
enum { PPI_PMU = 23, PPI_HYP_TIMER = 26, PPI_VTIMER = 27, PPI_SEC_TIMER = 29, PPI_PTIMER = 30 };

struct dt;

#define VIRT_SPIS 256
#define VIRT_POWER_KEY_PIN 3

struct board {
    struct gic *gic;
    struct pl011 *uart;
    struct pl031 *rtc;
    struct pl061 *gpio;
    struct sp805 *watchdog; /* NULL without -M watchdog=on */
    struct fw_cfg *fw_cfg;
    struct pci_host *pci;   /* NULL: no device on it */
    struct cfi_flash *flash[2]; /* NULL: no flash at all */
    struct board_ranchu *ranchu; /* NULL on "virt", which has gpio and fw_cfg instead */
    struct chardev *serial;
    void *dtb;       /* malloc'd */
    size_t dtb_size;
};

struct board_images {
    gpa_t initrd, initrd_end; /* equal: none */
    const char *cmdline; /* of a boot image, before that of -append; NULL: none */
};

/* board_flash.c: -bios, -drive if=pflash. Reports its own errors. */
int board_flash_create(struct vm *vm) MUST_CHECK;
void board_flash_fdt(struct dt *d, const struct vm *vm);
/* Is the machine started from flash? */
bool board_flash_boots(const struct vm *vm);

/* board_virtio.c: devices on virtio-mmio and PCI. Reports its own errors. */
int board_virtio_create(struct vm *vm) MUST_CHECK;
void board_virtio_destroy(struct vm *vm);
void board_virtio_reset(struct vm *vm);
void board_virtio_fdt(struct dt *d, const struct vm *vm);

/* board_framebuffer.c: -device simple-framebuffer */
/* Where it lies, and how much of RAM it takes from there; 0: there is none. */
uint64_t board_framebuffer(const struct vm *vm, gpa_t *base);
/* Reports its own errors. */
int board_framebuffer_create(struct vm *vm) MUST_CHECK;
/* The RAM below it, in which images may be placed. */
struct ram board_low_ram(const struct vm *vm);
/* libfdt's errors. */
int board_framebuffer_fdt(void *fdt, const struct vm *vm, int address_cells,
                          int size_cells) MUST_CHECK;

/* board_virt_dt.c: make (or read, with -dtb) the tree into board->dtb. Reports its own errors. */
int board_dt_create(struct vm *vm) MUST_CHECK;
/* Bring memory, boot arguments, initrd and seeds up to date. */
int board_dt_patch(struct vm *vm, const struct board_images *img) MUST_CHECK;

/* board_ranchu.c: reports its own errors. */
int board_ranchu_create(struct vm *vm) MUST_CHECK;
void board_ranchu_destroy(struct vm *vm);
void board_ranchu_reset(struct vm *vm);
void board_ranchu_power_key(struct vm *vm);
struct dt;
void board_ranchu_fdt(struct dt *d);
