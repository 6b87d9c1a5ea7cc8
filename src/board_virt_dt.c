/* SPDX-License-Identifier: MIT */
/*
 * Board "virt": the device tree. Each device writes its own node; what has no device (CPUs, PSCI,
 * timer, clock, memory, chosen) is here. The parts that depend on the command line are patched
 * into the finished tree, the board's own or the user's (-dtb) alike. Main thread.
 */
#include "board_internal.h"

#include "base/log.h"
#include "dev/dt.h"
#include "dev/fw_cfg.h"
#include "dev/pl011.h"
#include "dev/pl031.h"
#include "dev/pl061.h"
#include "dev/pvpanic.h"
#include "dev/sp805.h"
#include "loader.h"
#include "vcpu/arm.h"

#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define DT_ROOM 65536 /* the board's own tree, before it is packed */
#define DT_PATCH_ROOM 4096

static void write_psci(struct dt *d)
{
    dt_begin(d, "psci");
    DT_STRINGS(d, "compatible", "arm,psci-1.0\0arm,psci-0.2\0arm,psci");
    dt_string(d, "method", "hvc");
    DT_CELLS(d, "cpu_suspend", 0x84000001);
    DT_CELLS(d, "cpu_off", 0x84000002);
    DT_CELLS(d, "cpu_on", 0x84000003);
    DT_CELLS(d, "migrate", 0x84000005);
    dt_end(d);
}

static void write_cpus(struct dt *d, const struct vm *vm)
{
    dt_begin(d, "cpus");
    DT_CELLS(d, "#address-cells", 1);
    DT_CELLS(d, "#size-cells", 0);
    for (unsigned i = 0; i < vm->ncpus; i++) {
        dt_begin(d, "cpu@%x", i);
        dt_string(d, "device_type", "cpu");
        dt_string(d, "compatible", arm_cpu_model_compatible(vm->cpu_model));
        dt_string(d, "enable-method", "psci");
        DT_CELLS(d, "reg", i);
        DT_CELLS(d, "phandle", DT_CPU0 + i);
        dt_end(d);
    }
    dt_begin(d, "cpu-map");
    dt_begin(d, "socket0");
    dt_begin(d, "cluster0");
    for (unsigned i = 0; i < vm->ncpus; i++) {
        dt_begin(d, "core%u", i);
        DT_CELLS(d, "cpu", DT_CPU0 + i);
        dt_end(d);
    }
    dt_end(d);
    dt_end(d);
    dt_end(d);
    dt_end(d);
}

static uint32_t ppi_flags(const struct vm *vm)
{
    return ((1u << vm->ncpus) - 1) << 8 | DT_LEVEL_HIGH;
}

static void write_timer(struct dt *d, const struct vm *vm)
{
    uint32_t flags = ppi_flags(vm);

    dt_begin(d, "timer");
    dt_string(d, "compatible", "arm,armv7-timer");
    dt_flag(d, "always-on");
    DT_CELLS(d, "interrupts", DT_PPI, PPI_SEC_TIMER - 16, flags, DT_PPI, PPI_PTIMER - 16, flags,
             DT_PPI, PPI_VTIMER - 16, flags, DT_PPI, PPI_HYP_TIMER - 16, flags);
    dt_end(d);
}

static void write_pmu(struct dt *d, const struct vm *vm)
{
    char compatible[64];

    if (!(arm_cpu_features(vm->cpu[0]) & ARM_FEAT_PMU)) {
        return;
    }
    snprintf(compatible, sizeof compatible, "%s-pmu", arm_cpu_model_compatible(vm->cpu_model));
    dt_begin(d, "pmu");
    dt_string(d, "compatible", compatible);
    DT_CELLS(d, "interrupts", DT_PPI, PPI_PMU - 16, ppi_flags(vm));
    dt_end(d);
}

static void write_clock(struct dt *d)
{
    dt_begin(d, "apb-pclk");
    dt_string(d, "compatible", "fixed-clock");
    DT_CELLS(d, "#clock-cells", 0);
    DT_CELLS(d, "clock-frequency", 24000000);
    dt_string(d, "clock-output-names", "clk24mhz");
    DT_CELLS(d, "phandle", DT_CLOCK);
    dt_end(d);
}

static void write_devices(struct dt *d, const struct vm *vm)
{
    bool ranchu = vm->opt->ranchu.on;

    board_flash_fdt(d, vm);
    gic_fdt(d, VIRT_GIC_DIST, VIRT_GIC_CPU, ranchu ? 0 : VIRT_GIC_V2M);
    pl011_fdt(d, VIRT_UART, SPI_UART);
    if (ranchu) {
        board_ranchu_fdt(d);
    } else {
        pl031_fdt(d, VIRT_RTC, SPI_RTC);
        fw_cfg_fdt(d, VIRT_FW_CFG);
        pl061_fdt(d, VIRT_GPIO, SPI_GPIO, VIRT_POWER_KEY_PIN);
    }
    if (!ranchu && vm->opt->watchdog) {
        sp805_fdt(d, VIRT_WATCHDOG, SPI_WATCHDOG);
    }
    if (vm->opt->pvpanic) {
        pvpanic_fdt(d, VIRT_PVPANIC);
    }
    board_virtio_fdt(d, vm);
}

static int write_tree(struct dt *d, const struct vm *vm)
{
    d->err = fdt_create(d->buf, d->size);
    if (d->err == 0) {
        d->err = fdt_finish_reservemap(d->buf);
    }
    dt_begin(d, "%s", "");
    if (vm->opt->ranchu.on) { /* later kernels know no board of that name, and need none */
        dt_string(d, "model", "ranchu");
        DT_STRINGS(d, "compatible", "ranchu\0linux,dummy-virt");
    } else {
        dt_string(d, "model", "linux,dummy-virt");
        dt_string(d, "compatible", "linux,dummy-virt");
    }
    DT_CELLS(d, "#address-cells", 2);
    DT_CELLS(d, "#size-cells", 2);
    DT_CELLS(d, "interrupt-parent", DT_GIC);
    dt_begin(d, "memory@%llx", (unsigned long long)vm->ram.base);
    dt_string(d, "device_type", "memory");
    dt_reg(d, vm->ram.base, vm->ram.size);
    dt_end(d);
    dt_begin(d, "chosen");
    dt_string(d, "stdout-path", "/pl011@9000000");
    dt_end(d);
    write_psci(d);
    write_cpus(d, vm);
    write_timer(d, vm);
    write_pmu(d, vm);
    write_clock(d);
    write_devices(d, vm);
    dt_end(d);
    return d->err != 0 ? d->err : fdt_finish(d->buf);
}

/* -dtb: the user's tree, read through RAM-sized bounds and checked before libfdt walks it. */
static int read_tree(struct vm *vm)
{
    struct board *b = vm->board;
    int err = loader_read_dtb(vm->opt->dtb, &b->dtb, &b->dtb_size);

    if (err != 0) {
        return err;
    }
    if (b->dtb_size < sizeof(struct fdt_header) || fdt_check_full(b->dtb, b->dtb_size) != 0) {
        log_error(
            "-dtb %s: not a device tree blob, or a truncated one; compile the source with dtc",
            vm->opt->dtb);
        return -EINVAL;
    }
    return 0;
}

int board_dt_create(struct vm *vm)
{
    struct board *b = vm->board;
    struct dt d = {.size = DT_ROOM};
    int err;

    if (vm->opt->dtb != NULL) {
        return read_tree(vm);
    }
    d.buf = calloc(1, DT_ROOM);
    if (d.buf == NULL) {
        return -ENOMEM;
    }
    err = write_tree(&d, vm);
    if (err != 0) {
        log_error("cannot build the device tree: %s", fdt_strerror(err));
        free(d.buf);
        return -EINVAL;
    }
    b->dtb = d.buf;
    b->dtb_size = fdt_totalsize(d.buf);
    return 0;
}

/* ---- patching ---- */
struct board_range {
    gpa_t base;
    uint64_t size;
};

static int subnode(void *fdt, int parent, const char *name)
{
    int node = fdt_subnode_offset(fdt, parent, name);

    return node == -FDT_ERR_NOTFOUND ? fdt_add_subnode(fdt, parent, name) : node;
}

static int cells_of_root(const void *fdt, const char *name, int fallback)
{
    int len;
    const fdt32_t *p = fdt_getprop(fdt, 0, name, &len);

    return p != NULL && len == 4 ? (int)fdt32_ld(p) : fallback;
}

static void put_cells(uint8_t *p, size_t cells, uint64_t value)
{
    for (size_t i = 0; i < cells; i++) {
        fdt32_st(p + 4 * i, i == cells - 1 ? (uint32_t)value : (uint32_t)(value >> 32));
    }
}

/* RAM as the kernel is told of it, without the framebuffer. */
static unsigned memory_ranges(const struct vm *vm, struct board_range r[2])
{
    const struct ram *ram = &vm->ram;
    gpa_t fb, end = ram->base + ram->size;
    uint64_t size = board_framebuffer(vm, &fb);

    r[0] = (struct board_range){ram->base, ram->size};
    if (size == 0) {
        return 1;
    }
    r[0].size = fb - ram->base;
    r[1] = (struct board_range){fb + size, end - (fb + size)};
    return r[1].size != 0 ? 2 : 1;
}

static int patch_memory(void *fdt, const struct vm *vm)
{
    const struct ram *ram = &vm->ram;
    int ac = cells_of_root(fdt, "#address-cells", 2), sc = cells_of_root(fdt, "#size-cells", 1);
    struct board_range range[2];
    unsigned n = memory_ranges(vm, range);
    uint8_t reg[2 * 16], *p = reg;
    int node = fdt_node_offset_by_prop_value(fdt, -1, "device_type", "memory", sizeof "memory");

    if (ac < 1 || ac > 2 || sc < 1 || sc > 2 || (sc == 1 && ram->size > UINT32_MAX)) {
        return -FDT_ERR_BADNCELLS;
    }
    if (node == -FDT_ERR_NOTFOUND) {
        node = fdt_add_subnode(fdt, 0, "memory@40000000");
        if (node >= 0 && fdt_setprop_string(fdt, node, "device_type", "memory") != 0) {
            return -FDT_ERR_NOSPACE;
        }
    }
    if (node < 0) {
        return node;
    }
    for (unsigned i = 0; i < n; i++) {
        put_cells(p, (size_t)ac, range[i].base);
        put_cells(p + 4 * (size_t)ac, (size_t)sc, range[i].size);
        p += 4 * (ac + sc);
    }
    int err = fdt_setprop(fdt, node, "reg", reg, (int)(p - reg));
    return err != 0 ? err : board_framebuffer_fdt(fdt, vm, ac, sc);
}

static int patch_seed(void *fdt, int chosen, const char *name, size_t size)
{
    uint8_t seed[32];

    /* A machine without entropy still boots; it just gets no seed. */
    if (getrandom(seed, size, GRND_NONBLOCK) != (ssize_t)size) {
        return 0;
    }
    return fdt_setprop(fdt, chosen, name, seed, (int)size);
}

/* The boot image's text first: of two values for one parameter the kernel takes the last. */
static int patch_bootargs(void *fdt, int chosen, const char *first, const char *second)
{
    char *text;

    if (first == NULL || first[0] == '\0' || second == NULL) {
        const char *only = second != NULL ? second : first;
        return only != NULL ? fdt_setprop_string(fdt, chosen, "bootargs", only) : 0;
    }
    if (asprintf(&text, "%s %s", first, second) < 0) {
        return -FDT_ERR_INTERNAL;
    }
    int err = fdt_setprop_string(fdt, chosen, "bootargs", text);
    free(text);
    return err;
}

static size_t length(const char *text)
{
    return text != NULL ? strlen(text) : 0;
}

static int patch_chosen(void *fdt, const struct vm *vm, const struct board_images *img)
{
    int chosen = subnode(fdt, 0, "chosen");
    int err = chosen < 0 ? chosen : 0;

    if (err == 0) {
        err = patch_bootargs(fdt, chosen, img->cmdline, vm->opt->append);
    }
    if (err == 0 && img->initrd != img->initrd_end) {
        err = fdt_setprop_u64(fdt, chosen, "linux,initrd-start", img->initrd);
        if (err == 0) {
            err = fdt_setprop_u64(fdt, chosen, "linux,initrd-end", img->initrd_end);
        }
    }
    if (err == 0) {
        err = patch_seed(fdt, chosen, "rng-seed", 32);
    }
    return err != 0 ? err : patch_seed(fdt, chosen, "kaslr-seed", 8);
}

int board_dt_patch(struct vm *vm, const struct board_images *img)
{
    struct board *b = vm->board;
    size_t room = fdt_totalsize(b->dtb) + DT_PATCH_ROOM + length(vm->opt->append) +
                  length(img->cmdline);
    void *fdt = malloc(room);
    int err;

    if (fdt == NULL) {
        return -ENOMEM;
    }
    err = fdt_open_into(b->dtb, fdt, (int)room);
    if (err == 0) {
        err = patch_memory(fdt, vm);
    }
    if (err == 0) {
        err = patch_chosen(fdt, vm, img);
    }
    if (err == 0) {
        err = fdt_pack(fdt);
    }
    if (err != 0) {
        log_error("cannot put memory and boot arguments into the device tree: %s",
                  fdt_strerror(err));
        free(fdt);
        return -EINVAL;
    }
    free(b->dtb);
    b->dtb = fdt;
    b->dtb_size = fdt_totalsize(fdt);
    return 0;
}
