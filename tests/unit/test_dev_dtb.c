/* SPDX-License-Identifier: MIT */
/*
 * The board's device tree: well-formed for libfdt and for dtc's checks, describes what the board
 * has, and the patching of the user's own trees. RAM and CPU model are stand-ins.
 */
#include <criterion/criterion.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rcu.h"
#include "board_internal.h"
#include "dev/dt.h"
#include "dev/pci.h"
#include "vcpu/arm.h"
#include "vm_control.h"

static unsigned features = ARM_FEAT_PMU;

unsigned arm_cpu_features(const struct vcpu *v)
{
    (void)v;
    return features;
}

const char *arm_cpu_model_compatible(const struct arm_cpu_model *m)
{
    (void)m;
    return "arm,cortex-a15";
}

void *ram_ptr(const struct ram *ram, gpa_t gpa, uint64_t len)
{
    (void)ram;
    (void)gpa;
    (void)len;
    return NULL;
}

int ram_add_rom(struct ram *ram, uint64_t size)
{
    (void)ram;
    (void)size;
    return 0;
}

void mmu_rom_read_directly(struct vm *vm, struct vcpu *v, gpa_t gpa, bool direct)
{
    (void)vm;
    (void)v;
    (void)gpa;
    (void)direct;
}

void mmu_rom_written(struct vm *vm, gpa_t gpa, uint64_t len)
{
    (void)vm;
    (void)gpa;
    (void)len;
}

void mmu_dma_written(struct vm *vm, gpa_t gpa, uint64_t len)
{
    (void)vm;
    (void)gpa;
    (void)len;
}

void vm_guest_exit(struct vm *vm, int status)
{
    (void)vm;
    (void)status;
}

void vm_panic(struct vm *vm)
{
    (void)vm;
}

void vm_notify(struct vm *vm, enum vm_event_kind kind, enum vm_stop_reason why)
{
    (void)vm;
    (void)kind;
    (void)why;
}

static struct vm vm;
static struct vm_options opt;
static struct board board;

static const struct board_images *with_initrd(gpa_t first, gpa_t end)
{
    static struct board_images images;

    images = (struct board_images){.initrd = first, .initrd_end = end};
    return &images;
}

static void make(unsigned ncpus, uint64_t ram_size)
{
    board = (struct board){0};
    vm = (struct vm){.opt = &opt, .board = &board, .ncpus = ncpus,
                     .ram = {.base = 0x40000000, .size = ram_size}};
}

static const void *prop(const char *path, const char *name, int *len)
{
    int node = fdt_path_offset(board.dtb, path);

    cr_assert_geq(node, 0, "no node %s", path);
    return fdt_getprop(board.dtb, node, name, len);
}

static void expect_cells(const char *path, const char *name, unsigned n, const uint32_t *want)
{
    int len = 0;
    const fdt32_t *p = prop(path, name, &len);

    cr_assert_not_null(p, "%s has no %s", path, name);
    cr_assert_eq(len, (int)(4 * n), "%s of %s", name, path);
    for (unsigned i = 0; i < n; i++) {
        cr_expect_eq(fdt32_ld(p + i), want[i], "%s of %s, cell %u", name, path, i);
    }
}
#define CELLS(path, name, ...)                                                                     \
    expect_cells(path, name, sizeof((uint32_t[]){__VA_ARGS__}) / 4, (uint32_t[]){__VA_ARGS__})

/* dtc's own checks; nothing to say is what we want. */
static void check_with_dtc(void)
{
    char path[64], command[256], said[512] = "";

    if (system("command -v dtc > /dev/null") != 0) {
        cr_log_warn("dtc is not installed: its checks are skipped");
        return;
    }
    snprintf(path, sizeof path, "/tmp/umbra-test-dtb.%d", (int)getpid());
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f);
    fwrite(board.dtb, 1, board.dtb_size, f);
    fclose(f);
    snprintf(command, sizeof command, "dtc -I dtb -O dts -o /dev/null %s 2>&1", path);
    f = popen(command, "r");
    said[fread(said, 1, sizeof said - 1, f)] = '\0';
    cr_expect_eq(pclose(f), 0);
    cr_expect_str_empty(said, "dtc says: %s", said);
    unlink(path);
}

Test(dtb, well_formed_for_every_number_of_cpus)
{
    for (unsigned n = 1; n <= 8; n++) {
        opt = (struct vm_options){.append = "console=ttyAMA0"};
        make(n, (uint64_t)n << 30);
        cr_assert_eq(board_dt_create(&vm), 0);
        cr_assert_eq(board_dt_patch(&vm, with_initrd(0x48000000, 0x48123456)), 0);
        cr_assert_eq(fdt_check_full(board.dtb, board.dtb_size), 0);
        cr_expect_lt(board.dtb_size, 32768);
        check_with_dtc();
        char path[32];
        snprintf(path, sizeof path, "/cpus/cpu@%u", n - 1);
        CELLS(path, "reg", n - 1);
        snprintf(path, sizeof path, "/cpus/cpu@%u", n);
        cr_expect_lt(fdt_path_offset(board.dtb, path), 0);
        CELLS("/timer", "interrupts", 1, 13, ((1u << n) - 1) << 8 | 4, 1, 14,
              ((1u << n) - 1) << 8 | 4, 1, 11, ((1u << n) - 1) << 8 | 4, 1, 10,
              ((1u << n) - 1) << 8 | 4);
        CELLS("/memory@40000000", "reg", 0, 0x40000000, (uint32_t)((uint64_t)n << 30 >> 32),
              (uint32_t)((uint64_t)n << 30));
        free(board.dtb);
    }
}

Test(dtb, describes_the_board)
{
    int len;

    opt = (struct vm_options){.append = "a b=\"c\""};
    make(2, 1u << 30);
    cr_assert_eq(board_dt_create(&vm), 0);
    cr_assert_eq(board_dt_patch(&vm, with_initrd(0x48000000, 0x48123456)), 0);
    CELLS("/intc@8000000", "reg", 0, 0x08000000, 0, 0x10000, 0, 0x08010000, 0, 0x10000);
    CELLS("/intc@8000000/v2m@8020000", "reg", 0, 0x08020000, 0, 0x1000);
    CELLS("/pl011@9000000", "reg", 0, 0x09000000, 0, 0x1000);
    CELLS("/pl011@9000000", "interrupts", 0, 1, 4);
    CELLS("/pl031@9010000", "interrupts", 0, 2, 4);
    CELLS("/fw-cfg@9020000", "reg", 0, 0x09020000, 0, 0x18);
    CELLS("/pl061@9030000", "interrupts", 0, 7, 4);
    CELLS("/gpio-keys/poweroff", "linux,code", 116);
    CELLS("/virtio_mmio@a000000", "interrupts", 0, 16, 1);
    CELLS("/virtio_mmio@a003e00", "interrupts", 0, 47, 1);
    CELLS("/virtio_mmio@a003e00", "reg", 0, 0x0a003e00, 0, 0x200);
    CELLS("/pmu", "interrupts", 1, 7, 0x304);
    CELLS("/psci", "cpu_on", 0x84000003);
    cr_expect_str_eq(prop("/psci", "method", &len), "hvc");
    cr_expect_str_eq(prop("/cpus/cpu@1", "enable-method", &len), "psci");
    cr_expect_str_eq(prop("/chosen", "bootargs", &len), "a b=\"c\"");
    cr_expect_geq(fdt_path_offset(board.dtb, prop("/chosen", "stdout-path", &len)), 0);
    CELLS("/chosen", "linux,initrd-start", 0, 0x48000000);
    CELLS("/chosen", "linux,initrd-end", 0, 0x48123456);
    prop("/chosen", "rng-seed", &len);
    cr_expect_eq(len, 32);
    prop("/chosen", "kaslr-seed", &len);
    cr_expect_eq(len, 8);
    free(board.dtb);
}

Test(dtb, no_flash_and_no_pci_without_a_wish)
{
    opt = (struct vm_options){0};
    make(1, 1u << 28);
    cr_assert_eq(board_dt_create(&vm), 0);
    cr_expect_lt(fdt_path_offset(board.dtb, "/flash@0"), 0);
    cr_expect_lt(fdt_path_offset(board.dtb, "/pcie@10000000"), 0);
    free(board.dtb);
}

static bool no_message(void *opaque, uint64_t address, uint32_t data)
{
    (void)opaque;
    (void)address;
    (void)data;
    return false;
}

Test(dtb, flash_and_pci)
{
    int len;

    rcu_thread_register();
    opt = (struct vm_options){.flash = {{.option = "-bios"}}};
    make(1, 1u << 28);
    struct bus *bus = bus_create();
    const struct pci_host_config c = {.ecam = VIRT_PCI_CONFIG,
                                      .ecam_size = VIRT_PCI_CONFIG_SIZE,
                                      .memory = VIRT_PCI_MEMORY,
                                      .memory_size = VIRT_PCI_MEMORY_SIZE,
                                      .ports = VIRT_PCI_PORTS,
                                      .ports_size = VIRT_PCI_PORTS_SIZE,
                                      .spi = SPI_PCI,
                                      .message = no_message};
    cr_assert_eq(pci_host_create(bus, &c, &board.pci), 0);
    cr_assert_eq(board_dt_create(&vm), 0);
    CELLS("/flash@0", "reg", 0, 0, 0, 0x04000000, 0, 0x04000000, 0, 0x04000000);
    CELLS("/flash@0", "bank-width", 4);
    CELLS("/pcie@10000000", "reg", 0, 0x3f000000, 0, 0x01000000);
    CELLS("/pcie@10000000", "bus-range", 0, 15);
    CELLS("/pcie@10000000", "ranges", 0x01000000, 0, 0, 0, 0x3eff0000, 0, 0x10000, 0x02000000, 0,
          0x10000000, 0, 0x10000000, 0, 0x2eff0000);
    CELLS("/pcie@10000000", "msi-map", 0, DT_V2M, 0, 0x10000);
    CELLS("/pcie@10000000", "interrupt-map-mask", 0x1800, 0, 0, 7);
    const fdt32_t *map = prop("/pcie@10000000", "interrupt-map", &len);
    cr_assert_eq(len, 16 * 10 * 4);
    const fdt32_t *slot3_pin2 = map + (3 * 4 + 1) * 10;
    cr_expect_eq(fdt32_ld(slot3_pin2), 3u << 11);
    cr_expect_eq(fdt32_ld(slot3_pin2 + 3), 2);
    cr_expect_eq(fdt32_ld(slot3_pin2 + 8), 3 + (3 + 1) % 4, "swizzled");
    check_with_dtc();
    free(board.dtb);
    pci_host_destroy(board.pci);
    rcu_drain();
    bus_destroy(bus);
    rcu_thread_unregister();
}

Test(dtb, no_pmu_node_without_one)
{
    features = 0;
    opt = (struct vm_options){0};
    make(1, 1u << 28);
    cr_assert_eq(board_dt_create(&vm), 0);
    cr_expect_lt(fdt_path_offset(board.dtb, "/pmu"), 0);
    cr_assert_eq(board_dt_patch(&vm, with_initrd(0x44000000, 0x44000000)), 0);
    int len;
    cr_expect_null(prop("/chosen", "bootargs", &len));
    cr_expect_null(prop("/chosen", "linux,initrd-start", &len));
    free(board.dtb);
}

Test(dtb, seeds_differ_at_each_start)
{
    uint8_t first[32];
    int len;

    opt = (struct vm_options){0};
    make(1, 1u << 28);
    cr_assert_eq(board_dt_create(&vm), 0);
    cr_assert_eq(board_dt_patch(&vm, with_initrd(0, 0)), 0);
    memcpy(first, prop("/chosen", "rng-seed", &len), sizeof first);
    cr_assert_eq(board_dt_patch(&vm, with_initrd(0, 0)), 0);
    cr_expect_arr_neq(first, prop("/chosen", "rng-seed", &len), sizeof first);
    size_t size = board.dtb_size;
    for (unsigned i = 0; i < 20; i++) {
        cr_assert_eq(board_dt_patch(&vm, with_initrd(0, 0)), 0);
    }
    cr_expect_eq(board.dtb_size, size, "reboots do not make it grow");
    free(board.dtb);
}

/* ---- the user's own tree ---- */
static char path[64];

static void put(const void *p, size_t n)
{
    snprintf(path, sizeof path, "/tmp/umbra-test-user-dtb.%d", (int)getpid());
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f);
    fwrite(p, 1, n, f);
    fclose(f);
    opt = (struct vm_options){.dtb = path, .append = "hello"};
    make(1, 1u << 28);
}

/* A root node with these cell counts and nothing else. */
static size_t small_tree(void *buf, int size, uint32_t ac, uint32_t sc)
{
    cr_assert_eq(fdt_create(buf, size), 0);
    cr_assert_eq(fdt_finish_reservemap(buf), 0);
    cr_assert_eq(fdt_begin_node(buf, ""), 0);
    cr_assert_eq(fdt_property_u32(buf, "#address-cells", ac), 0);
    cr_assert_eq(fdt_property_u32(buf, "#size-cells", sc), 0);
    cr_assert_eq(fdt_end_node(buf), 0);
    cr_assert_eq(fdt_finish(buf), 0);
    return fdt_totalsize(buf);
}

Test(dtb, user_tree_gets_memory_and_arguments)
{
    uint8_t buf[1024];
    int len;

    put(buf, small_tree(buf, sizeof buf, 1, 1));
    cr_assert_eq(board_dt_create(&vm), 0);
    cr_assert_eq(board_dt_patch(&vm, with_initrd(0x44000000, 0x44000100)), 0);
    CELLS("/memory@40000000", "reg", 0x40000000, 1u << 28);
    cr_expect_str_eq(prop("/chosen", "bootargs", &len), "hello");
    cr_expect_eq(fdt_check_full(board.dtb, board.dtb_size), 0);
    free(board.dtb);
    unlink(path);
}

Test(dtb, user_tree_that_cannot_hold_the_memory)
{
    uint8_t buf[1024];

    put(buf, small_tree(buf, sizeof buf, 1, 1));
    vm.ram.size = (uint64_t)8 << 30;
    cr_assert_eq(board_dt_create(&vm), 0);
    cr_expect_lt(board_dt_patch(&vm, with_initrd(0, 0)), 0);
    free(board.dtb);
    put(buf, small_tree(buf, sizeof buf, 9, 1));
    cr_assert_eq(board_dt_create(&vm), 0);
    cr_expect_lt(board_dt_patch(&vm, with_initrd(0, 0)), 0);
    free(board.dtb);
    unlink(path);
}

Test(dtb, damaged_user_trees_are_refused_or_harmless)
{
    uint8_t good[1024], bad[1024];
    size_t size = small_tree(good, sizeof good, 2, 2);
    uint32_t rnd = 7;

    for (size_t n = 1; n < size; n += 3) {
        put(good, n);
        cr_expect_lt(board_dt_create(&vm), 0, "%zu of %zu bytes", n, size);
        free(board.dtb);
    }
    for (unsigned i = 0; i < 3000; i++) {
        memcpy(bad, good, size);
        for (unsigned k = 0; k < 2; k++) {
            rnd = rnd * 1664525 + 1013904223;
            bad[rnd / 65536 % size] ^= (uint8_t)(rnd >> 8);
        }
        put(bad, size);
        if (board_dt_create(&vm) == 0) {
            int err = board_dt_patch(&vm, with_initrd(0, 0));
            cr_expect(err <= 0);
        }
        free(board.dtb);
    }
    unlink(path);
}
