/* SPDX-License-Identifier: MIT */
/*
 * Board "virt", address-compatible with the well-known ARM machine of that name: creates the
 * devices, wires their interrupts, loads the images. The map is in board_internal.h. Main thread,
 * while no vCPU runs; board_power_key() may be called by any.
 */
#include "board_internal.h"

#include "base/log.h"
#include "dev/cfi_flash.h"
#include "dev/fw_cfg.h"
#include "dev/pl011.h"
#include "dev/pl031.h"
#include "dev/pl061.h"
#include "dev/pvpanic.h"
#include "dev/sp805.h"
#include "io/chardev.h"
#include "loader.h"
#include "vm_control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DTB_ALIGN 4096u

static int create_gic(struct vm *vm)
{
    struct board *b = vm->board;
    int err = gic_create(&(struct gic_config){.ncpus = vm->ncpus,
                                              .nspis = VIRT_SPIS,
                                              .vcpu = vm->cpu,
                                              .set_irq = vcpu_set_irq},
                         &b->gic);

    if (err == 0) {
        err = gic_attach(b->gic, vm->bus, VIRT_GIC_DIST, VIRT_GIC_CPU);
    }
    if (err == 0 && !vm->opt->ranchu.on) {
        err = gic_v2m_attach(b->gic, vm->bus, VIRT_GIC_V2M, SPI_V2M, SPI_V2M_COUNT);
    }
    for (unsigned i = 0; err == 0 && i < vm->ncpus; i++) {
        vm->ppi_vtimer[i] = gic_ppi(b->gic, i, PPI_VTIMER);
        vm->ppi_ptimer[i] = gic_ppi(b->gic, i, PPI_PTIMER);
        vm->ppi_pmu[i] = gic_ppi(b->gic, i, PPI_PMU);
    }
    return err;
}

void board_console_key(void *opaque, char key)
{
    struct vm *vm = opaque;

    switch (key) {
    case 'x': vm_request_stop(vm, VM_QUIT_CONSOLE); break;
    case 'p': vm_powerdown(vm); break;
    case 'b': pl011_receive_break(vm->board->uart); break;
    default: break;
    }
}

static void console_quit(void *opaque, int status)
{
    vm_guest_exit(opaque, status);
}

static int create_uart(struct vm *vm)
{
    struct board *b = vm->board;
    struct irq_line irq = gic_spi(b->gic, SPI_UART);
    int err = chardev_open(vm->io, vm->opt->serial, &b->serial);

    if (err == 0) {
        err = pl011_create(vm->bus, VIRT_UART, &irq, vm->io, b->serial, &b->uart);
    }
    if (err == 0) {
        pl011_set_escape(b->uart, board_console_key, vm);
        pl011_set_quit(b->uart, console_quit, vm);
    }
    return err;
}

static void watchdog_bites(void *opaque)
{
    vm_watchdog(opaque);
}

static int create_watchdog(struct vm *vm)
{
    struct board *b = vm->board;
    struct irq_line irq = gic_spi(b->gic, SPI_WATCHDOG);

    return sp805_create(vm->bus, VIRT_WATCHDOG, &irq, vm->io, watchdog_bites, vm, &b->watchdog);
}

static int create_small_devices(struct vm *vm)
{
    if (vm->opt->ranchu.on) {
        return board_ranchu_create(vm);
    }
    struct board *b = vm->board;
    struct irq_line rtc = gic_spi(b->gic, SPI_RTC), gpio = gic_spi(b->gic, SPI_GPIO);
    int err = pl031_create(vm->bus, VIRT_RTC, &rtc, vm->io, &b->rtc);

    if (err == 0) {
        err = pl061_create(vm->bus, VIRT_GPIO, &gpio, vm->io, &b->gpio);
    }
    if (err == 0) {
        err = fw_cfg_create(vm, VIRT_FW_CFG, &b->fw_cfg);
    }
    if (err == 0 && vm->opt->watchdog) {
        err = create_watchdog(vm);
    }
    if (err == 0 && vm->opt->pvpanic) {
        err = pvpanic_create(vm, VIRT_PVPANIC);
    }
    return err;
}

int board_create(struct vm *vm)
{
    int err;

    vm->board = calloc(1, sizeof *vm->board);
    if (vm->board == NULL) {
        return -ENOMEM;
    }
    err = create_gic(vm);
    if (err == 0) {
        err = create_small_devices(vm);
    }
    if (err == 0) {
        err = board_flash_create(vm);
    }
    if (err == 0) {
        err = board_framebuffer_create(vm);
    }
    if (err == 0) {
        err = board_virtio_create(vm);
    }
    if (err == 0) {
        err = board_dt_create(vm);
    }
    /* Last, since it takes over the terminal: all messages so far look as usual. */
    if (err == 0 && vm->opt->dumpdtb == NULL) {
        err = create_uart(vm);
    }
    return err;
}

void board_destroy(struct vm *vm)
{
    struct board *b = vm->board;

    if (b == NULL) {
        return;
    }
    board_virtio_destroy(vm);
    cfi_flash_destroy(b->flash[0]);
    cfi_flash_destroy(b->flash[1]);
    board_ranchu_destroy(vm);
    fw_cfg_destroy(b->fw_cfg);
    sp805_destroy(b->watchdog);
    pl061_destroy(b->gpio);
    pl031_destroy(b->rtc);
    chardev_close(b->serial);
    pl011_destroy(b->uart);
    gic_destroy(b->gic);
    free(b->dtb);
    free(b);
    vm->board = NULL;
}

void board_reset(struct vm *vm)
{
    struct board *b = vm->board;

    board_virtio_reset(vm);
    pl011_reset(b->uart);
    pl031_reset(b->rtc);
    if (b->watchdog != NULL) {
        sp805_reset(b->watchdog);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(b->flash) && b->flash[i] != NULL; i++) {
        cfi_flash_reset(b->flash[i]);
    }
    if (b->ranchu != NULL) {
        board_ranchu_reset(vm);
    } else {
        pl061_reset(b->gpio);
        fw_cfg_reset(b->fw_cfg);
    }
    gic_reset(b->gic);
}

void board_power_key(struct vm *vm)
{
    if (vm->board->ranchu != NULL) {
        board_ranchu_power_key(vm);
    } else {
        pl061_pulse(vm->board->gpio, VIRT_POWER_KEY_PIN);
    }
}

struct chardev *board_serial(const struct vm *vm)
{
    return vm->board->serial;
}

void board_dump_irq(const struct vm *vm, FILE *f)
{
    gic_dump(vm->board->gic, f);
}

const void *board_dtb(const struct vm *vm, size_t *size)
{
    *size = vm->board->dtb_size;
    return vm->board->dtb;
}

/* ---- images ---- */
static gpa_t align_up(gpa_t a, uint64_t to)
{
    return (a + to - 1) & ~(to - 1);
}

/*
 * The device tree lies after the initial RAM disk; for a bare-metal ELF at the start of RAM when
 * that is free, where such programs look for it, as firmware does.
 */
static int place_dtb(struct vm *vm, const struct loader_kernel *k, gpa_t after)
{
    const struct board *b = vm->board;
    gpa_t at = align_up(after, DTB_ALIGN);

    if (board_flash_boots(vm)) {
        at = vm->ram.base;
    } else if (k->kind == LOADER_ELF && k->low - vm->ram.base >= b->dtb_size) {
        at = vm->ram.base;
    }
    struct ram low = board_low_ram(vm);
    void *p = ram_ptr(&low, at, b->dtb_size);
    if (p == NULL) {
        log_error("no room for the device tree after kernel and initrd in %" PRIu64
                  " MiB of RAM; give the guest more with -m",
                  vm->ram.size >> 20);
        return -ENOSPC;
    }
    memcpy(p, b->dtb, b->dtb_size);
    mmu_dma_written(vm, at, b->dtb_size);
    vm->boot_r2 = (uint32_t)at;
    return 0;
}

static int load_initrd(struct vm *vm, const struct loader_kernel *k, struct board_images *img)
{
    const struct ram low = board_low_ram(vm);
    gpa_t base = loader_initrd_base(&low, k);
    int err = 0;

    img->initrd = img->initrd_end = base;
    img->cmdline = k->boot.cmdline;
    if (vm->opt->initrd != NULL) {
        err = loader_load_file(&low, "initrd", vm->opt->initrd, base, &img->initrd_end);
    } else if (k->boot.ramdisk != NULL) {
        err = loader_load_ramdisk(&low, vm->opt->kernel, &k->boot, base, &img->initrd_end);
    }
    if (err == 0 && img->initrd_end != base) {
        mmu_dma_written(vm, base, img->initrd_end - base);
    }
    return err;
}

int board_load(struct vm *vm)
{
    struct loader_kernel k = {.kind = LOADER_RAW, .low = vm->ram.base, .end = vm->ram.base,
                              .work_end = vm->ram.base};
    struct ram low = board_low_ram(vm);
    struct board_images img;
    int err = 0;

    if (board_flash_boots(vm)) {
        k.entry = VIRT_FLASH;
    } else if (vm->opt->kernel != NULL) {
        err = loader_load_kernel(&low, vm->opt->kernel, &k);
        if (err != 0) {
            return err;
        }
        mmu_dma_written(vm, k.low, k.end - k.low);
    }
    err = load_initrd(vm, &k, &img);
    if (err == 0) {
        err = board_dt_patch(vm, &img);
    }
    if (err == 0) {
        err = place_dtb(vm, &k, img.initrd_end);
    }
    loader_free_kernel(&k);
    vm->boot_pc = k.entry;
    vm->boot_r1 = UINT32_MAX; /* no machine number: a device tree is given */
    return err;
}
