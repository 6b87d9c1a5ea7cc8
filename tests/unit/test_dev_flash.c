/* SPDX-License-Identifier: MIT */
/*
 * NOR flash through its registers: identification, programming word by word and by buffer, erasing,
 * errors, read-only banks, files that do not fit, and what is left in the file. The MMU's part is a
 * stand-in that remembers what it was told.
 */
#include "dev_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dev/cfi_flash.h"
#include "vm.h"

#define BANK 0x04000000u
#define BLOCK 0x40000u

static struct vm vm;
static struct cfi_flash *flash;
static char path[64];
static bool direct;
static unsigned switches;
static gpa_t written_at;
static uint64_t written_len;

void mmu_rom_read_directly(struct vm *v, struct vcpu *cpu, gpa_t gpa, bool yes)
{
    (void)cpu;
    cr_assert_eq(v, &vm);
    cr_assert_eq(gpa, BANK);
    cr_expect_neq(yes, direct, "told what is known");
    direct = yes;
    switches++;
}

void mmu_rom_written(struct vm *v, gpa_t gpa, uint64_t len)
{
    cr_assert_eq(v, &vm);
    cr_assert(gpa >= BANK && gpa + len <= BANK + CFI_FLASH_SIZE);
    written_at = gpa;
    written_len = len;
}

static void make_file(uint64_t size)
{
    snprintf(path, sizeof path, "/tmp/umbra-flash-XXXXXX");
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(ftruncate(fd, (off_t)size), 0);
    cr_assert_eq(pwrite(fd, "\x11\x22\x33\x44\x55\x66\x77\x88", 8, 0), 8);
    close(fd);
}

static int open_bank(const struct cfi_flash_image *image)
{
    return cfi_flash_create(&vm, BANK, image, &flash);
}

static void setup(void)
{
    vm.bus = test_bus();
    vm.ram.rom_size = 2 * CFI_FLASH_SIZE;
    vm.ram.rom = mmap(NULL, vm.ram.rom_size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    cr_assert_neq(vm.ram.rom, MAP_FAILED);
    direct = true;
    make_file(CFI_FLASH_SIZE);
    cr_assert_eq(open_bank(&(struct cfi_flash_image){.option = "x", .file = path}), 0);
}

static void teardown(void)
{
    cfi_flash_destroy(flash);
    test_bus_end(vm.bus);
    munmap(vm.ram.rom, vm.ram.rom_size);
    unlink(path);
}

TestSuite(flash, .init = setup, .fini = teardown, .timeout = 60);

static uint32_t rd(uint32_t off)
{
    return (uint32_t)test_read(vm.bus, NULL, BANK + off, 4);
}

static void wr(uint32_t off, uint32_t value)
{
    test_write(vm.bus, NULL, BANK + off, 4, value);
}

/* To both chips. */
static void cmd(uint32_t off, uint32_t value)
{
    wr(off, value | value << 16);
}

static uint32_t file_word(uint32_t off)
{
    uint32_t value = 0;
    int fd = open(path, O_RDONLY);

    cr_assert_eq(pread(fd, &value, 4, off), 4);
    close(fd);
    return value;
}

Test(flash, the_array_is_the_file)
{
    cr_expect_eq(rd(0), 0x44332211);
    cr_expect_eq(test_read(vm.bus, NULL, BANK + 5, 1), 0x66);
    cr_expect_eq(test_read(vm.bus, NULL, BANK, 8), 0x8877665544332211);
    cr_expect_eq(rd(CFI_FLASH_SIZE - 4), 0);
    cr_expect_eq(*(uint32_t *)(void *)(vm.ram.rom + BANK), 0x44332211);
    cr_expect_eq(switches, 0);
}

Test(flash, identification_and_query)
{
    static const char want[] = "QRY";

    cmd(0x55 * 4, 0x98);
    cr_expect_not(direct);
    for (uint32_t i = 0; i < 3; i++) {
        cr_expect_eq(rd((0x10 + i) * 4), (uint32_t)want[i] * 0x10001u);
        cr_expect_eq(test_read(vm.bus, NULL, BANK + (0x10 + i) * 4 + 2, 2), (uint8_t)want[i]);
    }
    uint32_t per_chip = 1u << (rd(0x27 * 4) & 0xff);
    uint32_t blocks = (rd(0x2d * 4) & 0xff) + ((rd(0x2e * 4) & 0xff) << 8) + 1;
    uint32_t block = ((rd(0x2f * 4) & 0xff) + ((rd(0x30 * 4) & 0xff) << 8)) * 256;
    cr_expect_eq(2ull * per_chip, CFI_FLASH_SIZE);
    cr_expect_eq(blocks * block, per_chip);
    cr_expect_eq(2 * block, BLOCK);
    cr_expect_eq(rd(0x31 * 4), 'P' * 0x10001u);
    cr_expect_eq(rd(0xff * 4), 0, "behind the table");
    cmd(0, 0x90);
    cr_expect_eq(rd(0), 0x00890089);
    cr_expect_eq(rd(4), 0x00180018);
    cmd(0, 0xff);
    cr_expect(direct);
    cr_expect_eq(rd(0), 0x44332211);
}

Test(flash, a_word_is_programmed_and_only_clears_bits)
{
    cmd(0x1000, 0x20);
    cmd(0x1000, 0xd0);
    cr_expect_eq(rd(0), 0x00800080, "status");
    cr_expect_eq(written_len, BLOCK);
    cmd(0x1000, 0x40);
    wr(0x1000, 0x12345678);
    cr_expect_eq(rd(0x1000), 0x00800080);
    cr_expect_eq(written_at, BANK + 0x1000);
    cmd(0x1000, 0x10);
    wr(0x1000, 0xffff0000);
    cmd(0, 0xff);
    cr_expect_eq(rd(0x1000), 0x12340000);
    cr_expect_eq(rd(0x1004), 0xffffffff);
    cr_expect_eq(rd(BLOCK), 0, "the next block is as it was");
    cr_expect_eq(file_word(0x1000), 0x12340000);
    cr_expect_eq(file_word(BLOCK - 4), 0xffffffff);
}

static void buffer(uint32_t at, uint32_t words, uint32_t first)
{
    cmd(at, 0xe8);
    cr_expect_eq(rd(at) & 0x80, 0x80, "buffer free");
    cmd(at, words - 1);
    for (uint32_t i = 0; i < words; i++) {
        wr(at + 4 * i, first + i);
    }
}

Test(flash, a_buffer_is_programmed)
{
    cmd(BLOCK, 0x20);
    cmd(BLOCK, 0xd0);
    buffer(BLOCK + 0x800, 512, 1000);
    cr_expect_eq(file_word(BLOCK + 0x800), 0xffffffff, "not before it is confirmed");
    cmd(BLOCK, 0xd0);
    cr_expect_eq(rd(0), 0x00800080);
    cmd(0, 0xff);
    cr_expect_eq(rd(BLOCK + 0x800), 1000);
    cr_expect_eq(rd(BLOCK + 0xffc), 1511);
    cr_expect_eq(rd(BLOCK + 0x1000), 0xffffffff);
    cr_expect_eq(rd(BLOCK + 0x7fc), 0xffffffff);
}

Test(flash, broken_sequences_change_nothing)
{
    cmd(0, 0x20);
    cmd(0, 0xff);
    cr_expect_eq(rd(0), 0x00b000b0, "erase without confirmation");
    cmd(0, 0x50);
    cmd(0, 0x70);
    cr_expect_eq(rd(0), 0x00800080, "cleared");
    cmd(0, 0xe8);
    cmd(0, 512);
    cr_expect_eq(rd(0), 0x00b000b0, "more than a buffer");
    cmd(0, 0x50);
    buffer(0, 2, 0);
    cmd(0, 0xff);
    cr_expect_eq(rd(0) & 0x30, 0x30, "a buffer without confirmation");
    cmd(0, 0x50);
    cmd(0, 0xe8);
    cmd(0, 3);
    wr(0x10, 0);
    wr(0x810, 0);
    cr_expect_eq(rd(0) & 0x30, 0x30, "outside the buffer");
    cmd(0, 0x50);
    cmd(0, 0xff);
    cr_expect_eq(rd(0), 0x44332211);
    cr_expect_eq(written_len, 0);
}

Test(flash, at_the_end_of_the_bank)
{
    uint32_t end = (uint32_t)CFI_FLASH_SIZE;

    cmd(end - 4, 0x20);
    cmd(end - 4, 0xd0);
    test_write(vm.bus, NULL, BANK + end - 2, 2, 0x40);
    test_write(vm.bus, NULL, BANK + end - 2, 2, 0xabcd);
    cmd(end - 4, 0xe8);
    cmd(end - 4, 511);
    for (uint32_t i = 0; i < 511; i++) {
        wr(end - 2048 + 4 * i, i);
    }
    test_write(vm.bus, NULL, BANK + end - 1, 1, 0x77);
    cmd(0, 0xd0);
    cmd(0, 0xff);
    cr_expect_eq(rd(end - 4), 0x23cdffff, "0x77 & 0xab over 0xcd");
}

Test(flash, reset_shows_the_array)
{
    cmd(0, 0xe8);
    cfi_flash_reset(flash);
    cr_expect(direct);
    cr_expect_eq(rd(0), 0x44332211);
    cmd(0, 0x70);
    cr_expect_eq(rd(0), 0x00800080, "and expects a command");
}

static void reopen(const struct cfi_flash_image *image)
{
    cfi_flash_destroy(flash);
    flash = NULL;
    direct = true;
    test_bus_end(vm.bus);
    vm.bus = test_bus();
    cr_assert_eq(open_bank(image), 0);
}

static void expect_word_0(uint32_t here, uint32_t in_file, uint32_t status)
{
    cmd(0, 0x40);
    wr(0, 0);
    cr_expect_eq(rd(0), status);
    cmd(0, 0xff);
    cr_expect_eq(rd(0), here);
    cr_expect_eq(file_word(0), in_file);
}

Test(flash, read_only_and_forgotten)
{
    reopen(&(struct cfi_flash_image){.option = "x", .file = path, .readonly = true});
    expect_word_0(0x44332211, 0x44332211, 0x00920092);
    cmd(0, 0x50);
    cmd(0, 0x20);
    cmd(0, 0xd0);
    cr_expect_eq(rd(0), 0x00a200a2);
    reopen(&(struct cfi_flash_image){.option = "x", .file = path, .forget = true});
    expect_word_0(0, 0x44332211, 0x00800080);
    reopen(&(struct cfi_flash_image){.option = "x", .file = path});
    cr_expect_eq(rd(0), 0x44332211);
    expect_word_0(0, 0, 0x00800080);
}

Test(flash, files_that_do_not_fit)
{
    struct cfi_flash_image image = {.option = "x", .file = path};
    struct cfi_flash *other = NULL;

    cr_expect_eq(cfi_flash_create(&vm, 0, &image, &other), -EBUSY, "in use");
    cfi_flash_destroy(flash);
    flash = NULL;
    test_bus_end(vm.bus);
    vm.bus = test_bus();
    cr_assert_eq(truncate(path, (off_t)CFI_FLASH_SIZE + 1), 0);
    cr_expect_eq(open_bank(&image), -EINVAL, "longer");
    image.shorter = true;
    cr_expect_eq(open_bank(&image), -EINVAL, "longer than firmware may be");
    cr_assert_eq(truncate(path, 5000), 0);
    cr_expect_eq(open_bank(&(struct cfi_flash_image){.option = "x", .file = path}), -EINVAL);
    cr_expect_eq(open_bank(&(struct cfi_flash_image){.option = "x", .file = "/nowhere/x"}),
                 -ENOENT);
    cr_expect_eq(open_bank(&(struct cfi_flash_image){.option = "x", .file = "/tmp"}), -EISDIR);
    image.readonly = true;
    cr_assert_eq(open_bank(&image), 0);
    cr_expect_eq(rd(0), 0x44332211);
    cr_expect_eq(rd(5000), 0, "zeroes behind it");
    cr_expect_eq(rd((uint32_t)CFI_FLASH_SIZE - 4), 0);
}

/* Whatever is written, wherever: nothing outside the bank is touched. */
Test(flash, random_writes)
{
    unsigned seed = 1;

    memset(vm.ram.rom, 0x5a, 4096);
    for (unsigned i = 0; i < 200000; i++) {
        uint32_t off = (uint32_t)rand_r(&seed) % (uint32_t)(CFI_FLASH_SIZE / 4) * 4;
        uint32_t value = (uint32_t)rand_r(&seed);
        static const uint8_t commands[] = {0x40, 0x10, 0xe8, 0x60, 0x98, 0x90, 0xff, 0x70};
        if (value % 3 != 0) {
            value = commands[value / 3 % sizeof commands];
        }
        test_write(vm.bus, NULL, BANK + off % 0x2000, 1u << value % 3, value & ~0xf000u);
        rd(off);
    }
    for (unsigned i = 0; i < 4096; i++) {
        cr_assert_eq(vm.ram.rom[i], 0x5a);
    }
    cr_expect_eq(file_word(0x10000), 0);
}
