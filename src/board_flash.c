/* SPDX-License-Identifier: MIT */
/*
 * Board "virt": its two banks of flash. They exist when the command line fills one of them, and
 * both then, since firmware keeps its variables in the second. Main thread, while no vCPU runs.
 */
#include "board_internal.h"

#include "base/log.h"
#include "dev/cfi_flash.h"

#include <errno.h>

#define BANKS 2u

static bool has_flash(const struct vm *vm)
{
    return vm->opt->flash[0].option != NULL || vm->opt->flash[1].option != NULL;
}

bool board_flash_boots(const struct vm *vm)
{
    return vm->opt->kernel == NULL && vm->opt->flash[0].option != NULL;
}

int board_reserve_flash(struct vm *vm)
{
    return has_flash(vm) ? ram_add_rom(&vm->ram, BANKS * CFI_FLASH_SIZE) : 0;
}

int board_flash_create(struct vm *vm)
{
    int err = 0;

    if (has_flash(vm) && vm->opt->ranchu.on) {
        log_error("-M ranchu has no flash: leave out %s",
                  vm->opt->flash[vm->opt->flash[0].option == NULL].option);
        return -EINVAL;
    }
    for (unsigned i = 0; i < BANKS && err == 0 && has_flash(vm); i++) {
        const struct vm_flash *o = &vm->opt->flash[i];
        const struct cfi_flash_image image = {.option = o->option,
                                              .file = o->file,
                                              .readonly = o->readonly,
                                              .forget = o->snapshot,
                                              .shorter = o->shorter};
        err = cfi_flash_create(vm, VIRT_FLASH + i * CFI_FLASH_SIZE, &image, &vm->board->flash[i]);
    }
    return err;
}

void board_flash_fdt(struct dt *d, const struct vm *vm)
{
    if (has_flash(vm)) {
        cfi_flash_fdt(d, VIRT_FLASH, VIRT_FLASH + CFI_FLASH_SIZE);
    }
}
