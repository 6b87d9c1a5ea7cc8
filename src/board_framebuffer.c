/* SPDX-License-Identifier: MIT */
/*
 * Board "virt": where -device simple-framebuffer lies. At the top of RAM, below 4 GiB so that
 * kernels without LPAE reach it, and not part of the memory that the device tree tells the kernel
 * of: so every kernel leaves it alone, also those from before reserved memory was known. It begins
 * and ends where 2 MiB do, because ARM kernels map their memory in such pieces. Main thread.
 */
#include "board_internal.h"

#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <stdio.h>

#define FRAMEBUFFER_ALIGN ((uint64_t)2 << 20)
#define FOUR_GIB ((uint64_t)1 << 32)

static uint64_t bytes(const struct display_framebuffer *f)
{
    return (uint64_t)display_framebuffer_stride(f) * f->height;
}

uint64_t board_framebuffer(const struct vm *vm, gpa_t *base)
{
    const struct display_framebuffer *f = &vm->opt->framebuffer;
    gpa_t end = vm->ram.base + vm->ram.size;
    uint64_t size = (bytes(f) + FRAMEBUFFER_ALIGN - 1) & ~(FRAMEBUFFER_ALIGN - 1);

    end = (end < FOUR_GIB ? end : FOUR_GIB) & ~(FRAMEBUFFER_ALIGN - 1);
    *base = end - size;
    return f->width != 0 && size < end - vm->ram.base ? size : 0;
}

struct ram board_low_ram(const struct vm *vm)
{
    struct ram low = vm->ram;
    gpa_t base;

    if (board_framebuffer(vm, &base) != 0) {
        low.size = base - low.base;
    }
    return low;
}

int board_framebuffer_create(struct vm *vm)
{
    const struct display_framebuffer *f = &vm->opt->framebuffer;
    gpa_t base;

    if (f->width == 0) {
        return 0;
    }
    if (board_framebuffer(vm, &base) == 0) {
        log_error("-device simple-framebuffer: its %" PRIu64 " KiB and a kernel do not fit into "
                  "%" PRIu64 " MiB of RAM; give the guest more with -m",
                  bytes(f) >> 10, vm->ram.size >> 20);
        return -ENOSPC;
    }
    return display_add_framebuffer(vm->display, f, ram_ptr(&vm->ram, base, bytes(f)));
}

/* ---- the device tree ---- */
static int append(void *fdt, int node, const char *name, int cells, uint64_t value)
{
    return cells == 2 ? fdt_appendprop_u64(fdt, node, name, value)
                      : fdt_appendprop_u32(fdt, node, name, (uint32_t)value);
}

static int write_properties(void *fdt, int node, const struct display_framebuffer *f)
{
    int err = fdt_setprop_string(fdt, node, "compatible", "simple-framebuffer");

    if (err == 0) {
        err = fdt_setprop_u32(fdt, node, "width", f->width);
    }
    if (err == 0) {
        err = fdt_setprop_u32(fdt, node, "height", f->height);
    }
    if (err == 0) {
        err = fdt_setprop_u32(fdt, node, "stride", display_framebuffer_stride(f));
    }
    return err != 0 ? err
                    : fdt_setprop_string(fdt, node, "format", display_format_name[f->format]);
}

int board_framebuffer_fdt(void *fdt, const struct vm *vm, int address_cells, int size_cells)
{
    char name[40];
    gpa_t base;

    if (board_framebuffer(vm, &base) == 0) {
        return 0;
    }
    snprintf(name, sizeof name, "framebuffer@%" PRIx64, base);
    int node = fdt_subnode_offset(fdt, 0, name);
    if (node < 0) {
        node = fdt_add_subnode(fdt, 0, name);
    }
    int err = node < 0 ? node : write_properties(fdt, node, &vm->opt->framebuffer);
    if (err == 0) {
        err = fdt_setprop(fdt, node, "reg", NULL, 0);
    }
    if (err == 0) {
        err = append(fdt, node, "reg", address_cells, base);
    }
    return err != 0 ? err : append(fdt, node, "reg", size_cells, bytes(&vm->opt->framebuffer));
}
